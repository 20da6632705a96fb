"""Rules about load balancing: health, affinity, timeouts, limits."""

from collections.abc import Iterator
from typing import Final

from .. import orchestrator as facts
from ..capacity import open_files
from ..model import Farm
from .base import Finding, Rule, loopback, several

FRONT_FILES: Final = 600
"""Open files of the front of Redis: two for each of its 256 connections, and its health checks."""


def _health_path(farm: Farm) -> Iterator[Finding]:
    if farm.health_path is None:
        yield Finding(
            ("balancer", "health", "path"),
            f"no health endpoint is known for Orchestrator {farm.orchestrator.version}",
            "write `health: {path: /PATH}` under `balancer`. The path must answer 200 "
            "without a login while the node works, and another status while it does not. No "
            "documentation names such a path for this version. Try `/Account/Login` on a "
            "node first: `curl -k -i https://localhost/Account/Login`",
        )


def _health_paths(farm: Farm) -> Iterator[Finding]:
    health = farm.balancer.health
    if health.paths and "path" in health.written:
        yield Finding(
            ("balancer", "health", "paths"),
            "`path` and `paths` are both written, but they exclude each other: `path` is "
            "the short form of `paths` with one path",
            "keep one of them",
        )
    for index, path in enumerate(health.paths):
        if path.lower() in {earlier.lower() for earlier in health.paths[:index]}:
            yield Finding(("balancer", "health", "paths", index), f"{path} is listed twice", "write each path once")


def _details_key(farm: Farm) -> Iterator[Finding]:
    if farm.balancer.health.details_key is not None and not any(map(facts.takes_details_key, farm.health_paths)):
        yield Finding(
            ("balancer", "health", "details_key"),
            "is not used: no health check requests /api/health (requested: "
            f"{', '.join(farm.health_paths) or 'nothing'})",
            "remove `details_key`; or let the balancer request /api/health (Orchestrator 2021.10 or later): "
            "write it as `path`, or into `paths`",
        )


def _short_idle(farm: Farm) -> Iterator[Finding]:
    idle = farm.balancer.signalr.idle_timeout
    if idle <= facts.LONG_POLL_SECONDS * 1000:
        yield Finding(
            ("balancer", "signalr", "idle_timeout"),
            f"{idle} disconnects robots: a SignalR long poll lasts {facts.LONG_POLL_SECONDS}s",
            "write more than 110s; 1h is a good value",
        )


def _core_affinity(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.orchestrator.is_core and farm.affinity == "none":
        yield Finding(
            ("balancer", "affinity"),
            "ASP.NET Core SignalR without affinity works only for clients that use WebSockets with SkipNegotiation; "
            'others get 404 "No Connection with that ID"',
            "write `affinity: auto`; if clients do not store cookies, write `affinity: "
            "source`; if all clients skip the negotiation, write `accept: [core-affinity]`",
        )


def _affinity_auto(farm: Farm) -> Iterator[Finding]:
    if several(farm) and farm.affinity != "none" and "affinity" not in farm.balancer.written:
        yield Finding(
            ("balancer", "affinity"),
            f"is not written: the default `auto` means `{farm.affinity}`, because "
            f"Orchestrator {farm.orchestrator.version} uses SignalR Core",
            f"write `affinity: {farm.affinity}`; for the behaviour of older versions, write "
            "`affinity: none` and `accept: [core-affinity]`",
        )


def _passthrough_affinity(farm: Farm) -> Iterator[Finding]:
    affinity = farm.affinity
    if farm.frontend.tls.mode == "passthrough" and affinity in {"cookie", "signalr"}:
        yield Finding(
            ("balancer", "affinity"),
            f"`{affinity}` uses a cookie, but with passthrough the balancer cannot read cookies",
            "write `affinity: source`, or `mode: bridge` under frontend.tls",
        )


def _open_files(farm: Farm) -> Iterator[Finding]:
    limits = farm.balancer.limits
    needed = open_files(limits.connections) + FRONT_FILES * farm.redis_front
    if needed > limits.open_files:
        yield Finding(
            ("balancer", "limits", "open_files"),
            f"{limits.connections} client connections need {needed} open files (two for each, and "
            f"{needed - 2 * limits.connections} for the process), but the limit is {limits.open_files}",
            f"write `open_files: {needed}` and raise LimitNOFILE of the balancer's service, or reduce `connections`",
        )


def _metrics_port(farm: Farm) -> Iterator[Finding]:
    frontend, port = farm.frontend, farm.balancer.metrics_port
    taken = {frontend.port: "the port for clients"}
    if frontend.redirect_http:
        taken.setdefault(80, "the port of the redirect to https")
    if port in taken and (frontend.address == "*" or loopback(frontend.address)):
        yield Finding(
            ("balancer", "metrics_port"),
            f"port {port} is already used on the same address: it is {taken[port]}",
            f"write another port for the statistics, for example {8404 if 8404 not in taken else 8405}",
        )


def _minimum(farm: Farm) -> Iterator[Finding]:
    minimum = farm.balancer.minimum
    if minimum is not None and minimum > len(farm.nodes):
        yield Finding(
            ("balancer", "minimum"),
            f"{minimum} nodes cannot stay in rotation: the farm has {len(farm.nodes)}",
            f"write at most {max(1, len(farm.nodes) - 1)}, so that one node at a time can be drained",
        )


RULES: Final = (
    Rule("minimum-nodes", "error", "`minimum` is at most the number of nodes", _minimum),
    Rule("health-path", "error", "a version without a known health endpoint needs a path", _health_path),
    Rule("health-paths", "error", "`path` and `paths` exclude each other, and each path is listed once", _health_paths),
    Rule("details-key-unused", "warning", "only /api/health uses HealthCheck.DetailsKey", _details_key),
    Rule("short-idle", "error", "the SignalR idle timeout must exceed 110 s", _short_idle),
    Rule(
        "core-affinity",
        "error",
        "ASP.NET Core SignalR needs affinity, or clients that skip negotiation",
        _core_affinity,
        acceptable=True,
    ),
    Rule("affinity-auto", "warning", "from 2020.10 on affinity is on by default", _affinity_auto),
    Rule("passthrough-affinity", "error", "a cookie needs a balancer that reads HTTP", _passthrough_affinity),
    Rule("open-files", "error", "the limit of open files must be high enough for the connections", _open_files),
    Rule("metrics-port", "error", "the statistics need their own port", _metrics_port),
)
