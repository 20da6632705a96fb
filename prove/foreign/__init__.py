"""The lab for a configuration that nlbgen did not write: what runs on this machine instead, word by word.

Imports core, net, spec, generators, generators.nginx, readers, readers.haproxy, readers.nginx,
prove.lab, prove.nodes.
"""
