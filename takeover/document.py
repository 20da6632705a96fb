"""The text of a farm.yaml from its data."""

from collections.abc import Iterator, Mapping
from typing import Final

from ..core import templating
from ..spec.schema import Data
from ..spec.starter import quoted, scalar

_COMMENTS: Final = {
    "orchestrator.version": "In quotes. It determines the names of settings.",
    "frontend.host": "The name that robots and people use.",
    "frontend.address": 'The address on which the balancer listens; "*" for every address.',
    "frontend.tls.mode": "terminate | bridge (encrypt again to the nodes) | passthrough | none",
    "frontend.tls.certificate": "On the balancer: the certificate with its chain, and its key.",
    "frontend.tls.verify_nodes": "On the balancer: the CA that issued the nodes' certificates.",
    "nodes": "state: up | drain | down | backup",
    "balancer.algorithm": "round-robin | least-connections | source",
    "balancer.affinity": "auto | none | cookie | source | signalr (only on the SignalR paths)",
    "stores.signalr": "redis | sqlserver: it sends messages between the nodes",
    "haproxy": "`haproxy -v` and `haproxy -vv` print the versions.",
    "accept": "Ids of warnings that this farm accepts.",
}
"""Comments by the path of the key that they stand above."""


def text_of(data: Mapping[str, Data], source: str) -> bytes:
    """Return the commented farm.yaml; `source` is the name of the configuration that the values come from."""
    return templating.render("spec/takeover.yaml.j2", {"source": quoted(source), "lines": [*_lines(data, "", 0)]})


def _lines(data: Mapping[str, Data], above: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, value in data.items():
        path = f"{above}{key}"
        if not depth and isinstance(value, dict | list):
            yield ""
        if path in _COMMENTS:
            yield f"{indent}# {_COMMENTS[path]}"
        if isinstance(value, dict) and depth < 2 and key != "redis":
            yield f"{indent}{key}:"
            yield from _lines(value, f"{path}.", depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_flow(one)}" for one in value)
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Data) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return scalar(value) if isinstance(value, str) else str(value).lower()
