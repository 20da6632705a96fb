"""`nlbgen drift`: compares what runs with what the spec makes. It changes nothing.

`farm.py` compares all subjects. `haproxy.py` and `nginx.py` read the running process and its file, `devices.py` the
plan of a push, `nodes.py` the nodes' files, `machine.py` the old workers and the shared address of a machine.
`places.py` has the vocabulary of machines: `here.py` is this one, `remote.py` one by ssh. `report.py` has the result,
and `textfile.py` the metrics for node_exporter.

Imports core, net, spec, generators, generators.haproxy, nodes, operate, push, push.backends.
"""
