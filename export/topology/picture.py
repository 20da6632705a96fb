"""The model of a farm's diagram: boxes, hops between them, and notes on single points of failure.

`picture` decides content and wording; [`topology_svg`][nlbgen.export.topology.svg],
[`topology_mermaid`][nlbgen.export.topology.mermaid] and [`topology_ascii`][nlbgen.export.topology.ascii] only draw it.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Final, Literal, NamedTuple

from ...core.artifacts import Artifact
from ...core.wording import plural
from ...generators.design import Design, Member
from ...spec.checks import RULES
from ...spec.load import Spec
from ...spec.model import LEAST_ADD_ON_NODES, Farm, Redis, Sentinel

Security = Literal["encrypted", "re-encrypted", "passthrough", "plain", "untold"]
Kind = Literal["client", "balancer", "node", "store"]
Doubt = Literal["single", "unknown"]
Format = Literal["svg", "mermaid", "ascii"]

SECURITY: Final[dict[Security, str]] = {
    "encrypted": "encrypted",
    "re-encrypted": "encrypted again",
    "passthrough": "passed through",
    "plain": "not encrypted",
    "untold": "not in the spec",
}
"""The label of a hop: how it is encrypted."""
SECURITY_MEANING: Final[dict[Security, str]] = {
    "encrypted": "TLS",
    "re-encrypted": "the balancer terminates the clients' TLS and opens a new TLS connection",
    "passthrough": "the clients' TLS, terminated by the nodes",
    "plain": "readable on the network",
    "untold": "see the nodes' connection strings for the encryption",
}
STATES: Final[dict[str, str]] = {
    "up": "gets requests",
    "drain": "keeps its sessions, gets no new ones",
    "down": "gets no requests",
    "backup": "gets requests only if no other node can serve",
}
DOUBTS: Final[dict[Doubt, str]] = {
    "single": "Single point of failure",
    "unknown": "Please verify",
}
MOST_NODES: Final = 12
"""Up to this number, each node has its own box; above it, nodes of the same state share one."""
MOST_BALANCERS: Final = 4
SQL_PORT: Final = 1433
"""The TCP port of SQL Server's default instance (Microsoft's documentation)."""


class Mark(NamedTuple):
    """A note on one box: a single point of failure, or a fact that the spec does not contain."""

    number: int
    doubt: Doubt
    text: str


class Box(NamedTuple):
    """One box of the diagram; `state` is that of a node, `mark` is a note on the box."""

    id: str
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    state: str = ""
    mark: Mark | None = None

    def marked(self, mark: Mark | None) -> "Box":
        """Return the same box with this note."""
        return self._replace(mark=mark)


class Hop(NamedTuple):
    """One step of a request, and its encryption."""

    protocol: str
    """With the port if all targets have the same: `HTTPS :443`."""
    security: Security
    note: str = ""

    @property
    def words(self) -> str:
        """The hop in one line."""
        return ", ".join(filter(None, (self.protocol, SECURITY[self.security], self.note)))


class Store(NamedTuple):
    """A store, and the hop from the nodes to it."""

    box: Box
    hop: Hop


class Picture(NamedTuple):
    """The content of a diagram."""

    farm: str
    url: str
    clients: tuple[Box, ...]
    client_hop: Hop
    frontend: Box
    """The address that clients connect to."""
    balancers: tuple[Box, ...]
    """The machines that share that address; empty without `frontend.vip`."""
    node_hop: Hop
    nodes: tuple[Box, ...]
    node_count: int
    """The number of nodes; a large farm has fewer boxes than nodes."""
    stores: tuple[Store, ...]
    marks: tuple[Mark, ...]

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All hops, starting at the clients."""
        return (self.client_hop, self.node_hop, *(store.hop for store in self.stores))

    @property
    def summary(self) -> str:
        """The diagram as sentences, for screen readers."""
        nodes = "; ".join(f"{box.title} {box.state} ({', '.join(box.lines)})" for box in self.nodes)
        sentences = [
            f"Robots and browsers connect to {self.url}: {self.client_hop.words}.",
            f"{self.frontend.title}: {', '.join(self.frontend.lines)}.",
            *(f"{box.title}: {', '.join(box.lines)}." for box in self.balancers),
            f"It connects to {plural(self.node_count, 'node')} ({self.node_hop.words}): {nodes}.",
            *(f"{box.title}: {', '.join(box.lines)} ({hop.words})." for box, hop in self.stores),
            *(f"{DOUBTS[mark.doubt]}: {mark.text}" for mark in self.marks),
        ]
        return " ".join(sentences)


def picture(farm: Farm) -> Picture:
    """Return the content of a farm's diagram."""
    design = Design(farm)
    found = {box_id: Mark(number, doubt, text) for number, (box_id, doubt, text) in enumerate(_doubts(design), 1)}

    def marked(box: Box) -> Box:
        return box.marked(found.get(box.id))

    front = farm.frontend
    scheme, usual = ("http", 80) if front.tls.mode == "none" else ("https", 443)
    return Picture(
        farm=farm.farm,
        url=f"{scheme}://{front.host}" + ("" if front.port == usual else f":{front.port}"),
        clients=(Box("robots", "client", "Robots"), Box("browsers", "client", "Browsers")),
        client_hop=_client_hop(farm),
        frontend=marked(_frontend(design)),
        balancers=tuple(_balancers(farm)),
        node_hop=_node_hop(design),
        nodes=tuple(map(marked, _nodes(design))),
        node_count=len(farm.nodes),
        stores=tuple(Store(marked(store.box), store.hop) for store in _stores(farm)),
        marks=tuple(found.values()),
    )


# The balancer


def _client_hop(farm: Farm) -> Hop:
    port = farm.frontend.port
    if farm.frontend.tls.mode == "none":
        return Hop(f"HTTP :{port}", "plain")
    if farm.frontend.tls.mode == "passthrough":
        return Hop(f"TLS :{port}", "passthrough")
    return Hop(f"HTTPS :{port}", "encrypted")


def _frontend(design: Design) -> Box:
    front, balancer, vip = design.frontend, design.balancer, design.frontend.vip
    lines = [front.host]
    if len(design.hosts) > 1:
        lines.append(f"and {plural(len(design.hosts) - 1, 'alias', 'aliases')}")
    lines += [f"listens on {listen}:{front.port}" for listen in design.listens]
    if vip is not None:
        lines.append(f"shared address {vip.address}")
    if front.redirect_http:
        lines.append("port 80 redirects to https")
    lines.append(balancer.algorithm + (f", affinity: {design.farm.affinity}" if design.farm.affinity != "none" else ""))
    if not design.passthrough:
        lines += [f"checks {path}, expects {balancer.health.expect}" for path in design.health_paths]
    return Box("frontend", "balancer", "Load balancer" if vip is None else "Virtual address", tuple(lines))


def _balancers(farm: Farm) -> Iterator[Box]:
    """Yield the machines of a VRRP group, the preferred one first."""
    vip = farm.frontend.vip
    if vip is None:
        return
    shown = vip.balancers if len(vip.balancers) <= MOST_BALANCERS else vip.balancers[: MOST_BALANCERS - 1]
    for number, name in enumerate(shown):
        role = "preferred" if number == 0 else "standby"
        yield Box(f"balancer-{number + 1}", "balancer", name, (role, f"{vip.interface}, VRRP router {vip.router_id}"))
    if rest := vip.balancers[len(shown) :]:
        names = f"{rest[0]} to {rest[-1]}"
        yield Box("balancers-rest", "balancer", f"{len(rest)} more", (names, "standby"))


def _node_hop(design: Design) -> Hop:
    ports = sorted({member.port for member in design.members})
    port = f" :{ports[0]}" if len(ports) == 1 else ""
    if design.passthrough:
        return Hop(f"TLS{port}", "passthrough")
    if not design.farm.node_tls:
        return Hop(f"HTTP{port}", "plain")
    checked = "not verified" if design.frontend.tls.verify_nodes is False else "verified"
    return Hop(f"HTTPS{port}", "re-encrypted", f"certificates {checked}")


# The nodes


def _nodes(design: Design) -> Iterator[Box]:
    farm, members = design.farm, design.members
    if len(members) <= MOST_NODES:
        yield from (_node(farm, member) for member in members)
        return
    primary = next(member for member in members if member.name == farm.primary.name)
    yield _node(farm, primary)
    for state in STATES:
        group = [member for member in members if member.state == state and member is not primary]
        if len(group) == 1:
            yield _node(farm, group[0])
        elif group:
            yield _group(group, state)


def _node(farm: Farm, member: Member) -> Box:
    rank = f"weight {member.weight}" + (", primary" if member.name == farm.primary.name else "")
    lines = [member.endpoint, rank]
    if farm.stores.session == "inproc" and not farm.orchestrator.is_core:
        lines.append("sessions in memory")
    if farm.stores.signalr == "inproc":
        lines.append("SignalR in memory")
    return Box(f"node-{member.name}", "node", member.name, tuple(lines), member.state)


def _group(group: list[Member], state: str) -> Box:
    """Return one box for the nodes of a state; it names the first and the last node."""
    first, last = group[0], group[-1]
    lines = (
        f"{first.name} to {last.name}",
        f"from {first.endpoint}",
        f"to {last.endpoint}",
        _span("weight", {member.weight for member in group}),
    )
    return Box(f"nodes-{state}", "node", f"{len(group)} nodes", lines, state)


def _span(what: str, values: set[int]) -> str:
    lowest, highest = min(values), max(values)
    return f"{what} {lowest}" if lowest == highest else f"{what}s {lowest} to {highest}"


# The stores


def _stores(farm: Farm) -> Iterator[Store]:
    stores = farm.stores
    if stores.database is None:
        holds = _in_sql_server(farm, "the Orchestrator database")
        yield Store(Box("sql", "store", "SQL Server", ("not named in the spec", *holds)), Hop("SQL", "untold"))
    else:
        server, database = stores.database.server, stores.database.name
        holds = _in_sql_server(farm, f"database {database}")
        yield Store(Box("sql", "store", "SQL Server", (server, *holds)), _sql_hop(server))
    if stores.backplane is not None:
        yield _redis(stores.backplane)


def _in_sql_server(farm: Farm, database: str) -> Iterator[str]:
    yield database
    if farm.stores.session == "sqlserver" and not farm.orchestrator.is_core:
        yield "session state (ASPState)"
    if farm.stores.signalr == "sqlserver":
        yield "SignalR's messages"


def _sql_hop(server: str) -> Hop:
    r"""`SERVER,PORT` names a port, `SERVER\INSTANCE` gets its port from SQL Server Browser."""
    name, _comma, port = server.rpartition(",")
    if name and port.strip().isdigit():
        return Hop(f"SQL :{port.strip()}", "untold")
    if "\\" in server:
        return Hop("SQL", "untold", "on the instance's port")
    return Hop(f"SQL :{SQL_PORT}", "untold")


def _redis(redis: Redis) -> Store:
    if redis.sentinel is not None:
        return _sentinel(redis, redis.sentinel)
    lines = [*map(str, redis.servers), "SignalR's messages"]
    if redis.install_on is not None:
        lines.append(f"on the node {redis.install_on}")
    return Store(
        Box("redis", "store", "Redis", tuple(lines)),
        Hop(f"Redis :{redis.servers[0].port}", "encrypted" if redis.tls else "plain"),
    )


def _sentinel(redis: Redis, sentinel: Sentinel) -> Store:
    servers = [f"{_bracketed(host.address)}:{host.port}" for host in sentinel.servers]
    lines = [*servers, f"{len(sentinel.nodes)} Sentinels", "SignalR's messages"]
    how = "through the balancer" if redis.front else "the nodes query the Sentinels"
    port = redis.front_port if redis.front else sentinel.servers[0].port
    return Store(
        Box("redis", "store", "Redis with Sentinel", (*lines, how)),
        Hop(f"Redis :{port}", "encrypted" if redis.tls else "plain", how),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# Single points of failure


def _doubts(design: Design) -> Iterator[tuple[str, Doubt, str]]:
    """Yield the ids of boxes with a note: its kind and its text."""
    farm = design.farm
    if farm.frontend.vip is None:
        yield (
            "frontend",
            "single",
            (
                "one load balancer: while it is down, no client reaches the farm. Add a second one with "
                "`frontend.vip`, unless it is a device that is already a redundant pair."
            ),
        )
    yield from _one_node(design)
    stores = farm.stores
    if stores.database is None:
        yield (
            "sql",
            "unknown",
            "the spec does not name the SQL Server, which every node needs: write `stores.database`.",
        )
    else:
        yield (
            "sql",
            "unknown",
            "the spec names one server; verify that it is a failover cluster or an availability group.",
        )
    redis = stores.backplane
    if redis is not None and (doubt := _redis_doubt(farm, redis)) is not None:
        yield "redis", *doubt


def _one_node(design: Design) -> Iterator[tuple[str, Doubt, str]]:
    serving = [member for member in design.members if member.state in {"up", "backup"}]
    if len(serving) != 1:
        return
    (only,) = serving
    text = f"one node: while {only.name} is down, the farm does not serve clients. Add a second one."
    if len(design.members) > 1:
        text = f"only {only.name} gets requests: while it is down, the farm does not serve clients. Start another one."
    yield f"node-{only.name}", "single", text


def _redis_doubt(farm: Farm, redis: Redis) -> tuple[Doubt, str] | None:
    """What is doubtful about Redis; None if a server that fails is replaced."""
    if redis.sentinel is not None:
        return _front_doubt(redis) if redis.front and redis.balancer_host is not None else None
    if redis.add_on:
        if len(redis.named) >= LEAST_ADD_ON_NODES:
            return None
        text = (
            "its port belongs to the High Availability Add-on; verify that the cluster of the add-on has at least "
            "three nodes."
        )
        return "unknown", text
    if len(redis.named) == 1:
        return "single", _one_redis(farm)
    return "unknown", (
        "the spec names several Redis servers; verify that all are endpoints of one database, as in Redis Enterprise, "
        "or that another program replaces the master."
    )


def _front_doubt(redis: Redis) -> tuple[Doubt, str]:
    text = f"the nodes reach the master through {redis.balancer_host}; verify that two balancers share this address."
    return "unknown", text


def _one_redis(farm: Farm) -> str:
    rule = next(rule for rule in RULES if rule.id == "redis-on-node")
    for finding in rule.check(farm):
        return f"{finding.message}. {finding.hint[0].upper()}{finding.hint[1:]}."
    return (
        "the spec names one Redis: while it is down, messages of a node do not reach robots and people on the other "
        "nodes. Make Redis highly available under this host name."
    )


# Files

FORMATS: Final[dict[Format, str]] = {"svg": "topology.svg", "mermaid": "topology.mmd", "ascii": "topology.txt"}
"""The file name of each format."""


def format_named(name: str) -> Format:
    """Return the format of that name; raises KeyError if there is none."""
    return {str(style): style for style in FORMATS}[name]


def draw(spec: Spec, style: Format) -> bytes:
    """Return the farm's diagram in one format."""
    drawn: Callable[[Picture], str] = import_module(f".{style}", __package__).draw
    return drawn(picture(spec.farm)).encode("utf-8")


def files(spec: Spec) -> list[Artifact]:
    """Return the farm's diagram in every format, sorted by path."""
    made = [Artifact(PurePosixPath(name), draw(spec, style)) for style, name in FORMATS.items()]
    return sorted(made, key=lambda artifact: artifact.path)
