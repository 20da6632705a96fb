"""What changes in behaviour if the configuration that runs today is replaced by the rendered one.

Imports core, generators, lint, readers, readers.haproxy, spec, takeover, takeover.haproxy.
"""
