"""The features of the Zen family: one table for each kind of farm and engine, and the support matrix."""

from collections.abc import Mapping
from typing import Final

from ...core.wording import one_of
from ...spec.units import Version
from ..features import ELSEWHERE, FEATURES, No, Since, Support, Yes
from .products import Edition

_PLAIN: Final = (
    *("tls-terminate", "tls-bridge", "tls-passthrough", "verify-nodes", "tls-modern", "http2", "websocket"),
    *("free-hung-websockets", "no-replayed-post", "least-connections", "round-robin", "source-hash"),
    *("affinity-cookie", "affinity-source", "affinity-signalr", "backup", "backup-source", "state-over-reload", "ntlm"),
)
"""The features that each table supports unless it overrides them; a new feature of the catalogue is not listed."""
_EVERY: Final[dict[str, Support]] = dict.fromkeys(_PLAIN, Yes())
_ONE_SERVICE: Final = No("a farm has one service for all paths", "all requests have the timeout of a long poll")
_QUEUE: Final = No("no product of the Zen family has a request queue", "requests wait in IIS's own queue")
_SLOW_START: Final = No(
    "no product of the Zen family has a slow start", "a node that recovers gets its full share at once"
)
_BODY: Final = No(
    "no limit for uploads is tested on this product, so nlbgen sets none", "only the limit of IIS applies"
)
_METRICS: Final = No("the appliance shows metrics only in its own web pages and API")
_COMMON: Final[dict[str, Support]] = {
    "redis-front": Yes(
        "the front is an L4xNAT farm. Its FarmGuardian check asks each server for its role, and uses a Redis user who "
        "may do nothing else. The Sentinels have no vote, so the spec must accept `zen-redis-votes`"
    ),
    "signalr-pool": _ONE_SERVICE,
    "slow-start": _SLOW_START,
    "queue": _QUEUE,
    "max-body": _BODY,
    "metrics": _METRICS,
    "vip": No(
        "the appliances share an address by their own cluster, which nlbgen does not configure",
        "the farm listens on the shared address: configure the cluster by hand",
    ),
    "passthrough-health": Yes("FarmGuardian runs the checks"),
    "active-health": Yes(
        "FarmGuardian runs the checks. One failed check marks a node down, because FarmGuardian has no `rise` and "
        "`fall`"
    ),
    "health-paths": Yes("one command checks the services one after another, and all services must answer"),
    "health-details-key": No(
        "the command of a check is shown in the appliance's pages and process list",
        "the checks are sent without the key; the key does not change the status",
    ),
    "serve-all-failed": No(
        "no product of the Zen family sends requests to nodes that FarmGuardian marked down",
        "requests get 503 while the checks of all nodes fail",
    ),
    "address-limit": No(
        "only the IPDS module limits connections, and nlbgen does not configure it",
        "one client address can use all connections",
    ),
    "refuse-all-failed": Yes(),
    "maintenance": Yes("an HTTP farm sends the page, without Retry-After. An L4xNAT farm refuses connections"),
    "gradual-release": No(
        "no product of the Zen family limits new connections in the farm",
        "all robots connect as soon as the farm serves",
    ),
    "app-pool-stop": Yes("FarmGuardian's check detects the stopped app pool"),
    "weights": Yes("in HTTP farms, weights are scaled to 1 to 9"),
    "drain": Yes("the node is in maintenance, with mode drain"),
    "down": Yes("the node is in maintenance, with mode cut"),
}
_HTTP: Final[dict[str, Support]] = {
    "tls-passthrough": Yes("the farm is an L4xNAT farm, which the API creates"),
    "verify-nodes": No(
        "no product of the Zen family verifies the nodes' certificates",
        "any host that answers at a node's address is accepted as the node",
    ),
    "http2": No("the engines support only HTTP/1.1"),
    "source-hash": No("the engines do not hash addresses", "the engine remembers the node of each client address"),
    "affinity-signalr": No("affinity applies to all paths of a farm", "clients stay on their node on all paths"),
}
_POUND: Final[dict[str, Support]] = {
    "websocket": Yes(
        "only a file can set the idle timeout `WSTimeOut`. In a farm that the API creates, the idle timeout is 600s"
    ),
    "tls-bridge": Yes("pound passes the client's SNI to the nodes"),
    "least-connections": No("pound supports only weighted random", "requests are distributed at random, by weight"),
    "round-robin": Yes("requests are distributed at random, by weight"),
    "affinity-cookie": Yes("only files can set the cookie: the API of the Community editions refuses it"),
    "backup": Yes("Relianoid allows one backup node, Skudonet allows none"),
    "backup-source": Yes("Relianoid allows one backup node, Skudonet allows none"),
    "state-over-reload": Yes("the farm's status file keeps the states"),
    "ntlm": Yes("this needs `affinity: source`"),
}
_PROXY: Final[dict[str, Support]] = {
    "websocket": Yes("needs zproxy 0.9.3 or later; a WebSocket without traffic is closed after the response timeout"),
    "tls-bridge": Yes("zproxy sends no SNI to the nodes: IIS must not require it"),
    "affinity-cookie": Yes("only files can set the cookie: the API of the Community editions refuses it"),
    "backup": Yes("as the second node in the order of failover"),
    "state-over-reload": Yes("the farm's status file keeps the states"),
    "ntlm": No("clients share the connections to the nodes, and zproxy 0.9.5 refuses `PinnedConnection`"),
}
_LAYER4: Final[dict[str, Support]] = {
    "verify-nodes": No("FarmGuardian's check_http verifies no certificate", "the health checks accept any certificate"),
    "tls-passthrough": Yes("as an L4xNAT farm, in which only FarmGuardian detects a failed node"),
    "round-robin": Yes("as distribution by weight"),
    "state-over-reload": Yes("in the farm's own file"),
}
_OLD_HTTP: Final = "an HTTP farm of this product opens WebSockets but forwards no frames, and refuses PATCH"
_BY_ADDRESS: Final = "clients stay on their node by their address"
_OLD: Final[dict[str, Support]] = {
    "tls-bridge": No(
        _OLD_HTTP,
        "an L4xNAT farm passes TLS through to the nodes; their certificates must contain the farm's name",
    ),
    "tls-terminate": No(f"{_OLD_HTTP}; and an L4xNAT farm cannot terminate TLS"),
    "verify-nodes": No(
        "an L4xNAT farm passes TLS through, and FarmGuardian's check_http verifies no certificate",
        "clients verify the nodes' certificates; the health checks accept any certificate",
    ),
    "tls-modern": No("an L4xNAT farm passes TLS through", "the nodes' TLS settings apply"),
    "websocket": Yes("as an L4xNAT farm; HTTP farms of this product break WebSockets"),
    "least-connections": No(
        "L4xNAT farms of this product are tested only with weights", "connections are distributed by weight"
    ),
    "source-hash": No("L4xNAT farms of this product are tested only with weights", _BY_ADDRESS),
    "health-paths": No(
        "FarmGuardian of this product fills in HOST and PORT only once in a command",
        "only the first path is checked",
    ),
    "affinity-cookie": No(_OLD_HTTP, _BY_ADDRESS),
    "affinity-signalr": No(_OLD_HTTP, _BY_ADDRESS),
    "backup": No("an L4xNAT farm of this product with weights cannot have backup nodes"),
    "backup-source": No("an L4xNAT farm of this product with weights cannot have backup nodes"),
    "redis-front": No(
        "FarmGuardian of this product does not close the connections to a master that hangs or is replaced", ELSEWHERE
    ),
    "free-hung-websockets": No(
        "FarmGuardian of this product does not close the connections to a failed node",
        "only SignalR's own timeouts close the WebSockets of a node that hangs",
    ),
}
_NO_BACKUP: Final = No("Skudonet has no backup nodes, neither in its API nor in its engine")

POUND: Final[Mapping[str, Support]] = {**_EVERY, **_COMMON, **_HTTP, **_POUND}
SKUDONET: Final[Mapping[str, Support]] = {**POUND, "backup": _NO_BACKUP, "backup-source": _NO_BACKUP}
PROXY: Final[Mapping[str, Support]] = {**_EVERY, **_COMMON, **_HTTP, **_PROXY}
LAYER4: Final[Mapping[str, Support]] = {**_EVERY, **_COMMON, **_LAYER4}
OLD: Final[Mapping[str, Support]] = {**LAYER4, **_OLD}


def table(edition: Edition) -> Mapping[str, Support]:
    """The features of an edition, for the kind of farm that it gets."""
    found = edition.generation
    if found is not None and not found.websockets:
        return OLD
    if edition.layer4:
        return LAYER4
    if found is not None and found.dialect == "zproxy-ng":
        return PROXY
    return SKUDONET if edition.product == "skudonet" else POUND


def upgrade(feature: str, edition: Edition) -> str | None:
    """The products that have a feature that this edition lacks, each with its own version; None where none has."""
    found = [str(other) for other in edition.successors() if not isinstance(table(other)[feature], No)]
    return one_of(found) if found else None


class _Release(Version):
    """A version in the matrix with its product, because each product counts its own versions."""

    __slots__ = ("_name",)

    def __init__(self, product: str, version: str) -> None:
        super().__init__(version)
        self._name: Final = f"{product} {version}"

    def __str__(self) -> str:
        return self._name


def _matrix(feature: str) -> Support:
    """The support of the default product, with the first version that has it where an older product lacks it."""
    now = POUND[feature]
    if isinstance(now, No):
        return now
    for release, older in ((_Release("Relianoid", "7"), PROXY), (_Release("Zevenet", "5.13"), OLD)):
        before = older[feature]
        if isinstance(before, No):
            return Since(release, before, now.note if isinstance(now, Yes) else "")
    return now


SUPPORT: Final[Mapping[str, Support]] = {feature.id: _matrix(feature.id) for feature in FEATURES}
"""The family's column in the matrix: the current products (Relianoid 7, Skudonet 7), and what older ones lack."""
