"""`nlbgen prove`: runs the rendered configuration in a lab, or checks the files of a device.

Imports the root, core, net, spec, generators, prove.clients, prove.foreign, prove.lab, prove.nodes,
prove.scenarios, prove.score.
"""
