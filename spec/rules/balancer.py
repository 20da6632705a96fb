"""Rules about load balancing: health, affinity, timeouts, limits."""

from collections.abc import Iterator
from typing import Final

from .. import orchestrator as facts
from ..model import Farm
from .base import Finding, Rule, loopback, several

FD_RESERVE: Final = 1024
"""Open files that a balancer needs besides its connections to clients and nodes."""


def _health_path(farm: Farm) -> Iterator[Finding]:
    if farm.health_path is None:
        yield Finding(
            ("balancer", "health", "path"),
            f"no health endpoint is known for Orchestrator {farm.orchestrator.version}",
            "write a path that answers 200 without a login, and only while the node works",
        )


def _short_idle(farm: Farm) -> Iterator[Finding]:
    idle = farm.balancer.signalr.idle_timeout
    if idle <= facts.LONG_POLL_SECONDS * 1000:
        yield Finding(
            ("balancer", "signalr", "idle_timeout"),
            f"{idle} disconnects the robots: SignalR holds a long poll for {facts.LONG_POLL_SECONDS}s",
            "write more than 110s; 1h is a good value",
        )


def _core_affinity(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.orchestrator.is_core and farm.balancer.affinity == "none":
        yield Finding(
            ("balancer", "affinity"),
            "ASP.NET Core SignalR without affinity works only for clients that use WebSockets with SkipNegotiation; "
            'others get 404 "No Connection with that ID"',
            "write `affinity: signalr` for affinity on the SignalR paths only, or accept this if all clients do so",
        )


def _passthrough_affinity(farm: Farm) -> Iterator[Finding]:
    affinity = farm.balancer.affinity
    if farm.frontend.tls.mode == "passthrough" and affinity in {"cookie", "signalr"}:
        yield Finding(
            ("balancer", "affinity"),
            f"affinity {affinity} needs a cookie, and with passthrough the balancer sees no HTTP",
            "write `affinity: source`, or `mode: bridge` under frontend.tls",
        )


def _open_files(farm: Farm) -> Iterator[Finding]:
    limits = farm.balancer.limits
    needed = 2 * limits.connections + FD_RESERVE
    if needed > limits.open_files:
        yield Finding(
            ("balancer", "limits", "open_files"),
            f"{limits.connections} client connections need {needed} open files (one to the client, one to a node, "
            f"and {FD_RESERVE} besides), and the limit is {limits.open_files}",
            f"write `open_files: {needed}` and raise LimitNOFILE of the balancer's service, or fewer connections",
        )


def _metrics_port(farm: Farm) -> Iterator[Finding]:
    frontend, port = farm.frontend, farm.balancer.metrics_port
    taken = {frontend.port: "the port for clients"}
    if frontend.redirect_http:
        taken.setdefault(80, "the port of the redirect to https")
    if port in taken and (frontend.address == "*" or loopback(frontend.address)):
        yield Finding(
            ("balancer", "metrics_port"),
            f"port {port} of the loopback address is {taken[port]}",
            f"write another port, as in {8404 if 8404 not in taken else 8405}: only the balancer reads statistics",
        )


RULES: Final = (
    Rule("health-path", "error", "a version without a known health endpoint needs a path", _health_path),
    Rule("short-idle", "error", "the SignalR idle timeout must exceed 110 s", _short_idle),
    Rule(
        "core-affinity",
        "warning",
        "ASP.NET Core SignalR needs affinity, or clients that skip negotiation",
        _core_affinity,
    ),
    Rule("passthrough-affinity", "error", "a cookie needs a balancer that sees HTTP", _passthrough_affinity),
    Rule("open-files", "error", "the connections must fit the limit of open files", _open_files),
    Rule("metrics-port", "error", "statistics have a port of their own", _metrics_port),
)
