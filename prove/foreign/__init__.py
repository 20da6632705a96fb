"""The lab for a configuration that nlbgen did not write: what runs on this machine instead, word by word.

Imports core, net, spec, generators, readers, readers.haproxy, prove.lab, prove.nodes.
"""
