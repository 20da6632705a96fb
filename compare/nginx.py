"""NGINX's own defaults for the keys of the spec."""

from typing import Final

from ..readers.tree import Configuration
from .values import DEFAULT

_DEFAULTS: Final = {
    "balancer.timeouts.connect": ("proxy_connect_timeout", "1m"),
    "balancer.timeouts.request": ("proxy_read_timeout", "1m"),
    "balancer.signalr.idle_timeout": ("proxy_read_timeout", "1m"),
    "balancer.timeouts.reload": ("worker_shutdown_timeout", "no limit"),
    "balancer.max_body": ("client_max_body_size", "1MB"),
    "balancer.limits.connections": ("worker_connections", "512 in each worker, including those to the nodes"),
}
"""Keys with their directives, and the values without them (https://nginx.org/en/docs/, the pages of the modules)."""


def in_force(configuration: Configuration) -> dict[str, str]:
    """What is in force for keys that an import leaves out because the configuration has no such directive."""
    written = {statement.name for statement in configuration.walk()}
    return {path: f"{value}{DEFAULT}" for path, (name, value) in _DEFAULTS.items() if name not in written}
