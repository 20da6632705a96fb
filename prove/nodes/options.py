"""The options of a simulated node: a dataclass, and its conversion to and from a command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from ...net.loopback import require_loopback

NodeOption = Any
"""The value of a field of NodeOptions."""
KINDS = ("any", "classic", "core")


@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """The options of one simulated node. Times are in seconds."""

    name: str = "orch-1"
    host: str = "127.0.0.1"
    outside: str = ""
    """The network namespace of the machine, as in `net:[4026531840]`. The node runs in another one, without other
    machines, so `host` may be any address. Empty: `host` is a loopback address."""
    port: int = 0
    """0: the system chooses; the ready line shows it."""
    control_port: int = 0
    tls_cert: Path | None = None
    """PEM, leaf first; with `tls_key` the main port uses HTTPS."""
    tls_key: Path | None = None
    kind: str = "any"
    """`classic` (.NET Framework, up to 2020.4: /api/status, SignalR 2), `core` (2020.10 and later:
    /api/health, ASP.NET Core SignalR), or `any`: both at once."""
    machine_key: str = "shared-machine-key"
    """Nodes with the same value accept each other's SignalR 2 connection tokens."""
    backplane: str | None = None
    """`address:port` of a Redis that carries SignalR messages between the nodes."""
    health_paths: tuple[str, ...] = ()
    """Other health endpoints besides UiPath's own: what the farm's balancer checks."""
    health_status: int = 200
    """The status of `health_paths` while the node is healthy."""
    signalr_path: str = "/signalr"
    hub_paths: tuple[str, ...] = ("/signalr/core", "/hub")
    poll_seconds: float = 110.0
    """How long an idle long poll is held: SignalR 2's ConnectionTimeout (DefaultConfigurationManager.cs)."""
    keep_alive: float = 10.0
    """SignalR 2's keep-alive frames on WebSocket and SSE; 0 turns them off."""
    disconnect_timeout: float = 30.0
    core_ping: float = 15.0
    """ASP.NET Core SignalR's KeepAliveInterval; 0 turns the pings off."""
    core_poll_seconds: float = 90.0
    """ASP.NET Core's LongPolling.PollTimeout."""
    ws_ping: float = 0.0
    """WebSocket ping frames on `/ws`; 0: none, so that no byte is sent on an idle connection."""
    idle_timeout: float = 120.0
    """The timeout of an idle keep-alive connection: IIS's connectionTimeout."""
    post_log: Path | None = None
    """Each executed POST is appended to this file before the response: the file survives a SIGKILL."""

    def __post_init__(self) -> None:
        if not self.outside:
            require_loopback(self.host)
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind}: the kind of a node is one of {', '.join(KINDS)}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")

    @property
    def classic(self) -> bool:
        """Whether the node behaves as an Orchestrator up to 2020.4."""
        return self.kind != "core"

    @property
    def core(self) -> bool:
        """Whether the node behaves as an Orchestrator from 2020.10 on."""
        return self.kind != "classic"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def to_argv(options: NodeOptions) -> list[str]:
    """Return the arguments that make `parse_argv` return the same options."""
    argv: list[str] = []
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        if field.name == "kind":
            argv.append(_flag(value))
        elif isinstance(value, tuple):
            argv += [_flag(field.name), ",".join(value)]
        else:
            argv += [_flag(field.name), str(value)]
    return argv


def parse_argv(argv: Sequence[str]) -> NodeOptions:
    """Parse the arguments of `python -m nlbgen.prove.nodes.node`."""
    parser = argparse.ArgumentParser(prog="nlbgen.prove.nodes.node", description="A simulated node Orchestrator node.")
    kinds = parser.add_mutually_exclusive_group()
    for field in fields(NodeOptions):
        if field.name == "kind":
            for kind in KINDS[1:]:
                kinds.add_argument(_flag(kind), dest="kind", action="store_const", const=kind, default="any")
        else:
            parser.add_argument(_flag(field.name), default=field.default, type=_argument_type(field.name))
    try:
        return NodeOptions(**vars(parser.parse_args(argv)))
    except ValueError as fault:
        parser.error(str(fault))


def _argument_type(name: str) -> type[int] | type[float] | type[str] | type[Path] | type["_Names"]:
    if name in {"tls_cert", "tls_key", "post_log"}:
        return Path
    default = getattr(NodeOptions, name)
    if isinstance(default, int | float):
        return type(default)
    return _Names if isinstance(default, tuple) else str


class _Names(tuple[str, ...]):
    """A comma-separated list of an argument."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, [part for part in text.split(",") if part])
