"""The features of the Zen family: one table for each kind of farm and engine, and the support matrix."""

from collections.abc import Mapping
from typing import Final

from ...core.wording import one_of
from ...spec.units import Version
from ..features import FEATURES, No, Since, Support, Yes
from .products import Edition

_PLAIN: Final = (
    *("tls-terminate", "tls-bridge", "tls-passthrough", "verify-nodes", "tls-modern", "http2", "websocket"),
    *("free-hung-websockets", "no-replayed-post", "least-connections", "round-robin", "source-hash"),
    *("affinity-cookie", "affinity-source", "affinity-signalr", "backup", "backup-source", "state-over-reload", "ntlm"),
)
"""The features that each table supports unless it overrides them; a new feature of the catalogue is not listed."""
_EVERY: Final[dict[str, Support]] = dict.fromkeys(_PLAIN, Yes())
_ONE_SERVICE: Final = No("a farm has one service for all paths", "every answer may take as long as a long poll")
_QUEUE: Final = No("no product of the Zen family has a request queue", "requests wait in IIS's own queue")
_SLOW_START: Final = No("no product of the Zen family has a slow start", "a recovered node gets its full share at once")
_BODY: Final = No("a limit for uploads is not tested on this product", "only the limit of IIS applies")
_METRICS: Final = No("the appliance shows its metrics in its own pages and API")
_COMMON: Final[dict[str, Support]] = {
    "signalr-pool": _ONE_SERVICE,
    "slow-start": _SLOW_START,
    "queue": _QUEUE,
    "max-body": _BODY,
    "metrics": _METRICS,
    "vip": No(
        "the appliances share an address by their own cluster, which nlbgen does not configure",
        "the farm listens on the shared address: configure the cluster by hand",
    ),
    "passthrough-health": Yes("by FarmGuardian"),
    "active-health": Yes("FarmGuardian; one failed check marks a node down, `rise` and `fall` do not exist"),
    "serve-all-failed": No(
        "no product of the Zen family sends requests to nodes that FarmGuardian marked down",
        "requests get 503 while the checks of all nodes fail",
    ),
    "address-limit": No(
        "its IPDS module limits connections, which nlbgen does not configure", "one address may use all connections"
    ),
    "refuse-all-failed": Yes(),
    "app-pool-stop": Yes("by FarmGuardian's check"),
    "weights": Yes("as shares of 1 to 9 in HTTP farms"),
    "drain": Yes("maintenance, mode drain"),
    "down": Yes("maintenance, mode cut"),
}
_HTTP: Final[dict[str, Support]] = {
    "tls-passthrough": Yes("an L4xNAT farm, by the API"),
    "verify-nodes": No(
        "no product of the Zen family checks the nodes' certificates",
        "any host that answers at a node's address is accepted as the node",
    ),
    "tls-modern": No(
        "TLS 1.3 cannot be the only TLS version", "TLS 1.2 stays allowed, with the intermediate profile's ciphers"
    ),
    "http2": No("its engines support HTTP/1.1 only"),
    "source-hash": No("its engines do not hash addresses", "each client's address is remembered instead"),
    "affinity-signalr": No("affinity belongs to the whole service", "clients stay on their node on every path"),
}
_POUND: Final[dict[str, Support]] = {
    "websocket": Yes("only the file sets WSTimeOut, the API leaves it at 600s"),
    "tls-bridge": Yes("the client's SNI is passed to the nodes"),
    "least-connections": No("pound balances by weighted random only", "requests are distributed by weight"),
    "round-robin": Yes("by weighted random"),
    "affinity-cookie": Yes("by the file; the API of the Community editions refuses it"),
    "backup": Yes("Relianoid: one node; Skudonet has none"),
    "backup-source": Yes("Relianoid: one node; Skudonet has none"),
    "state-over-reload": Yes("in the farm's status file"),
}
_PROXY: Final[dict[str, Support]] = {
    "websocket": Yes("zproxy 0.9.3 or later; one that is silent for as long as an answer may take is closed"),
    "tls-bridge": Yes("without SNI to the nodes: no `Require SNI` at IIS"),
    "affinity-cookie": Yes("by the file; the API of the Community editions refuses it"),
    "backup": Yes("as the second in the order of failover"),
    "state-over-reload": Yes("in the farm's status file"),
    "ntlm": No("clients share connections to the nodes, and zproxy 0.9.5 refuses to pin them"),
}
_LAYER4: Final[dict[str, Support]] = {
    "verify-nodes": No("FarmGuardian's check_http checks no certificate", "the health checks take any certificate"),
    "tls-passthrough": Yes("an L4xNAT farm with FarmGuardian, without which it never detects a failed node"),
    "round-robin": Yes("by weight"),
    "state-over-reload": Yes("in the farm's own file"),
}
_OLD_HTTP: Final = "an HTTP farm of this product answers 101 to a WebSocket and then passes no frame, and refuses PATCH"
_BY_ADDRESS: Final = "clients stay on their node by their address"
_OLD: Final[dict[str, Support]] = {
    "tls-bridge": No(
        _OLD_HTTP,
        "an L4xNAT farm passes TLS through to the nodes, whose certificates must carry the farm's name",
    ),
    "tls-terminate": No(f"{_OLD_HTTP}; and an L4xNAT farm cannot terminate TLS"),
    "verify-nodes": No(
        "an L4xNAT farm passes TLS through, and FarmGuardian's check_http checks no certificate",
        "the clients check the nodes' certificates, and the health checks take any",
    ),
    "tls-modern": No("an L4xNAT farm passes TLS through", "the nodes' TLS settings apply"),
    "websocket": Yes("by an L4xNAT farm; its HTTP farms break them"),
    "least-connections": No("its L4xNAT farms are tested with weights only", "connections are distributed by weight"),
    "source-hash": No("its L4xNAT farms are tested with weights only", _BY_ADDRESS),
    "affinity-cookie": No(_OLD_HTTP, _BY_ADDRESS),
    "affinity-signalr": No(_OLD_HTTP, _BY_ADDRESS),
    "backup": No("its L4xNAT farms have no backup nodes beside weights"),
    "backup-source": No("its L4xNAT farms have no backup nodes beside weights"),
    "free-hung-websockets": No(
        "its FarmGuardian leaves connections to a failed node open",
        "WebSockets of a node that hangs end by SignalR's own timeouts",
    ),
}
_NO_BACKUP: Final = No("Skudonet's API and engine have no backup node by priority")

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
