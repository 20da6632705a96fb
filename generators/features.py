"""The catalogue of features that a farm can request, and the type of a vendor's support.

Every generator states for each feature whether it supports it, since which version, or why not. A spec *requests* a
feature by writing its key. A default is not a request: a vendor that does not support it only notes that in its output.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from ..spec.model import Farm
from ..spec.schema import Path
from ..spec.units import Version


class Yes(NamedTuple):
    """The vendor supports the feature; `note` is for the matrix."""

    note: str = ""


class No(NamedTuple):
    """The vendor does not support the feature; `fallback` is what its output does instead, if the farm accepts that."""

    reason: str
    fallback: str = ""


class Since(NamedTuple):
    """The vendor supports the feature from `version` on; `before` applies to older versions."""

    version: Version
    before: No
    note: str = ""


Support = Yes | No | Since


ELSEWHERE: Final = "the nodes connect to the Redis frontend of another balancer of the farm"
"""The fallback of a vendor without a front of Redis."""


class Feature(NamedTuple):
    """One feature that a farm can request; `asked` returns the key of the spec that requests it, or None."""

    id: str
    title: str
    asked: Callable[[Farm], Path | None]
    wanted: Callable[[Farm], bool] = lambda _farm: False
    """Whether a farm needs it without a request: an output without it then has a note."""
    by_default: Callable[[Farm], bool] = lambda _farm: False
    """Whether a default requests it: a vendor with a fallback then uses that, and its output has a note."""


def verifies_nodes(farm: Farm) -> bool:
    """Whether the balancer has to verify the nodes' certificates.

    With bridge this is the default. With passthrough only the health checks verify them, and only if the spec names a
    CA: a default would mark every node down whose certificate chains to a private CA.
    """
    tls = farm.frontend.tls
    asked = tls.mode == "bridge" or (tls.mode == "passthrough" and "verify_nodes" in tls.written)
    return asked and tls.verify_nodes is not False


def _never(_farm: Farm) -> Path | None:
    return None


def _every(_farm: Farm) -> bool:
    return True


def _sees_http(farm: Farm) -> bool:
    return farm.frontend.tls.mode != "passthrough"


def _when(path: Path, asks: Callable[[Farm], bool]) -> Callable[[Farm], Path | None]:
    return lambda farm: path if asks(farm) else None


def _state(name: str) -> Callable[[Farm], Path | None]:
    def asked(farm: Farm) -> Path | None:
        return next((("nodes", index, "state") for index, node in enumerate(farm.nodes) if node.state == name), None)

    return asked


def _weights(farm: Farm) -> Path | None:
    weights = [node.weight for node in farm.nodes]
    return next((("nodes", index, "weight") for index, weight in enumerate(weights) if weight != weights[0]), None)


def _configures_checks(farm: Farm) -> bool:
    return "health" in farm.balancer.written and farm.balancer.health.written != {"all_failed"}


def _backup_source(farm: Farm) -> Path | None:
    hashed = farm.balancer.algorithm == "source" or farm.affinity == "source"
    return _state("backup")(farm) if hashed else None


def _haproxy_has_front(farm: Farm) -> bool:
    """Whether the spec names HAProxy, which renders the front of Redis: other vendors of the farm can leave it out."""
    return "haproxy" in farm.written


def _auto_affinity(farm: Farm) -> bool:
    return farm.balancer.affinity == "auto"


_ALGORITHM: Final[Path] = ("balancer", "algorithm")
_AFFINITY: Final[Path] = ("balancer", "affinity")
_MODE: Final[Path] = ("frontend", "tls", "mode")
_VIP: Final[Path] = ("frontend", "vip")
_HEALTH: Final[Path] = ("balancer", "health")
_ALL_FAILED: Final[Path] = ("balancer", "health", "all_failed")
_SENTINEL: Final[Path] = ("stores", "redis", "sentinel")
_QUEUE: Final[Path] = ("balancer", "timeouts", "queue")

FEATURES: Final = (
    Feature(
        "tls-terminate", "TLS termination at the balancer", _when(_MODE, lambda f: f.frontend.tls.mode == "terminate")
    ),
    Feature("tls-bridge", "TLS re-encryption to the nodes", _when(_MODE, lambda f: f.frontend.tls.mode == "bridge")),
    Feature(
        "tls-passthrough", "TLS passthrough to the nodes", _when(_MODE, lambda f: f.frontend.tls.mode == "passthrough")
    ),
    Feature(
        "verify-nodes",
        "Verification of the nodes' certificates, with SNI",
        _when(("frontend", "tls", "verify_nodes"), verifies_nodes),
    ),
    Feature(
        "tls-modern",
        "Mozilla's modern TLS profile",
        _when(("frontend", "tls", "profile"), lambda f: f.balancer_tls and f.frontend.tls.profile == "modern"),
    ),
    Feature(
        "http2",
        "HTTP/2 for clients",
        _when(("frontend", "http2"), lambda f: "http2" in f.frontend.written and f.frontend.offers_http2),
    ),
    Feature(
        "websocket", "WebSocket for SignalR", _when(("balancer", "signalr"), lambda f: "signalr" in f.balancer.written)
    ),
    Feature("signalr-pool", "Separate timeouts for SignalR paths", _never),
    Feature(
        "active-health",
        "Active health checks",
        _when(_HEALTH, lambda f: _configures_checks(f) and _sees_http(f)),
        wanted=_sees_http,
    ),
    Feature(
        "passthrough-health",
        "Active health checks with passthrough",
        _when(_MODE, lambda f: not _sees_http(f)),
    ),
    Feature(
        "health-paths",
        "Health checks of several services",
        _when(("balancer", "health", "paths"), lambda f: len(f.balancer.health.paths) > 1),
        wanted=lambda f: len(f.health_paths) > 1,
    ),
    Feature(
        "health-details-key",
        "Health checks with DetailsKey",
        _when(("balancer", "health", "details_key"), lambda f: f.balancer.health.details_key is not None),
    ),
    Feature(
        "serve-all-failed",
        "Serving requests while all health checks fail",
        _when(_ALL_FAILED, lambda f: f.balancer.health.all_failed == "serve"),
    ),
    Feature(
        "refuse-all-failed",
        "Refusing requests while all health checks fail",
        _when(_ALL_FAILED, lambda f: f.balancer.health.all_failed == "refuse"),
    ),
    Feature("app-pool-stop", "Detection of a stopped IIS app pool", _never, wanted=_sees_http),
    Feature("free-hung-websockets", "Closing the WebSockets of a hung node", _never, wanted=_every),
    Feature("no-replayed-post", "No retry of POST requests", _never, wanted=_sees_http),
    Feature(
        "least-connections",
        "Least connections",
        _when(_ALGORITHM, lambda f: f.balancer.algorithm == "least-connections"),
    ),
    Feature("round-robin", "Round robin", _when(_ALGORITHM, lambda f: f.balancer.algorithm == "round-robin")),
    Feature("source-hash", "Client address hash", _when(_ALGORITHM, lambda f: f.balancer.algorithm == "source")),
    Feature("weights", "Weights", _weights),
    Feature("affinity-cookie", "Affinity by cookie", _when(_AFFINITY, lambda f: f.affinity == "cookie")),
    Feature(
        "affinity-source",
        "Affinity by client address",
        _when(_AFFINITY, lambda f: f.affinity == "source"),
        by_default=_auto_affinity,
    ),
    Feature(
        "affinity-signalr",
        "Affinity on SignalR's paths only",
        _when(_AFFINITY, lambda f: f.affinity == "signalr"),
        by_default=_auto_affinity,
    ),
    Feature("drain", "Draining a node", _state("drain")),
    Feature("down", "Disabling a node", _state("down")),
    Feature("backup", "Backup nodes", _state("backup")),
    Feature("backup-source", "Backup nodes with client address hash", _backup_source),
    Feature("slow-start", "Slow start", _when(("balancer", "slow_start"), lambda f: f.balancer.slow_start > 0)),
    Feature(
        "queue",
        "Request queue at the nodes' connection limit",
        _when(_QUEUE, lambda f: "queue" in f.balancer.timeouts.written),
    ),
    Feature(
        "maintenance",
        "Maintenance page with status 503",
        _when(("balancer", "maintenance", "state"), lambda f: f.balancer.maintenance.state == "closed"),
    ),
    Feature(
        "gradual-release",
        "Rate limit for new robots after an upgrade",
        _when(("balancer", "maintenance", "state"), lambda f: f.balancer.maintenance.state == "releasing"),
    ),
    Feature(
        "address-limit",
        "Connection limit per client address",
        _when(
            ("balancer", "limits", "connections_per_address"), lambda f: f.balancer.limits.connections_per_address > 0
        ),
    ),
    Feature(
        "max-body",
        "Size limit for request bodies",
        _when(("balancer", "max_body"), lambda f: "max_body" in f.balancer.written),
    ),
    Feature("state-over-reload", "Node states that survive a reload", _never, wanted=_every),
    Feature("vip", "Virtual IP address shared by several balancers", _when(_VIP, lambda f: f.frontend.vip is not None)),
    Feature("metrics", "Metrics endpoint on the loopback address", _never),
    Feature(
        "ntlm",
        "NTLM and Negotiate authentication through the balancer",
        _when(("frontend", "windows_sign_in"), lambda f: f.frontend.windows_sign_in and _sees_http(f)),
    ),
    Feature(
        "redis-front",
        "Redis frontend for the current master",
        _when(_SENTINEL, lambda f: f.redis_front),
        by_default=_haproxy_has_front,
    ),
)
"""All features, in the order of the matrix."""
