"""`nlbgen drift`: compares what runs with what the spec makes. It changes nothing.

`farm.py` compares all subjects. `haproxy.py` and `nginx.py` read the running process and its file, `devices.py` the
plan of a push, `nodes.py` the nodes' files, `machine.py` the old workers and the shared address of this machine.
`report.py` has the result, and `textfile.py` the metrics for node_exporter.

Imports core, spec, generators, generators.haproxy, nodes, push, push.backends.
"""
