"""The rules that a spec is held to beyond the types of its values.

Each rule has an id that users, `accept` and the documentation know it by. Errors stop; warnings can be accepted.
Sources: the guide of the nine steps for scaling an Orchestrator out, and the notes at the rules.
"""

import ipaddress
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ..errors import Severity
from . import orchestrator as facts
from .model import Farm
from .schema import Path

FD_RESERVE: Final = 1024
"""Open files that a balancer needs beside its client connections and their twins to the nodes."""


class Finding(NamedTuple):
    """What a rule found: the path of the key to blame, what is wrong with it, and the way out."""

    path: Path
    message: str
    hint: str = ""


class Rule(NamedTuple):
    """One rule: its id, whether it stops, what it says in one line, and the check."""

    id: str
    severity: Severity
    summary: str
    check: Callable[[Farm], Iterator[Finding]]


def _several(farm: Farm) -> bool:
    return len(farm.nodes) > 1


def _session_inproc(farm: Farm) -> Iterator[Finding]:
    if _several(farm) and farm.stores.session == "inproc" and not farm.orchestrator.is_core:
        yield Finding(
            ("stores", "session"),
            f"{len(farm.nodes)} nodes cannot share sessions that each keeps in its own memory",
            "write `session: sqlserver`, and create the tables with aspnet_regsql (the guide's step 3)",
        )


def _signalr_inproc(farm: Farm) -> Iterator[Finding]:
    if _several(farm) and farm.stores.signalr == "inproc":
        yield Finding(
            ("stores", "signalr"),
            f"{len(farm.nodes)} nodes cannot reach robots whose connections another node keeps in its own memory",
            "write `signalr: redis` (advised) or `signalr: sqlserver`",
        )


def _sql_login(farm: Farm) -> Iterator[Finding]:
    database = farm.stores.database
    if database is None or isinstance(database.auth, str):
        return
    for key in ("user", "password"):
        if getattr(database.auth, key) is None:
            yield Finding(
                ("stores", "database", "auth", key),
                f"SQL Server authentication needs the {key}",
                "write `auth: {user: NAME, password: {env: NAME}}`, or `auth: windows`",
            )


def _redis_endpoint(farm: Farm) -> Iterator[Finding]:
    if farm.stores.signalr != "redis":
        return
    redis = farm.stores.redis
    for key in ("host", "port"):
        if redis is None or getattr(redis, key) is None:
            yield Finding(
                ("stores", "redis", key),
                f"the Redis store needs its {key}",
                "write `redis: {host: redis-1.corp.example, port: 6379}` under `stores`",
            )


def _redis_on_node(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    if farm.stores.signalr != "redis" or redis is None:
        return
    for node in farm.nodes:
        if redis.install_on == node.name or redis.host in {node.address, node.name.lower()}:
            key = "install_on" if redis.install_on == node.name else "host"
            yield Finding(
                ("stores", "redis", key),
                f"Redis on the node {node.name} is a single point of failure: without that node no robot is reached",
                "install Redis on a machine of its own, or make it highly available",
            )


def _install_on(farm: Farm) -> Iterator[Finding]:
    redis = farm.stores.redis
    names = [node.name for node in farm.nodes]
    if redis is not None and redis.install_on is not None and redis.install_on not in names:
        yield Finding(
            ("stores", "redis", "install_on"),
            f"{redis.install_on} is not one of the nodes ({', '.join(names)})",
            "name a node, or leave it out where Redis has a machine of its own",
        )


def _signalr_sql_store(farm: Farm) -> Iterator[Finding]:
    stores = farm.stores
    if _no_sql_store(farm) and (_several(farm) or "signalr" in stores.written):
        named = stores.signalr_keys == "connection-string"
        settings = "`signalr_keys: connection-string`" if named else f"Orchestrator {farm.orchestrator.version}"
        yield Finding(
            ("stores", "signalr"),
            f"no setting is documented that puts SignalR into SQL Server with {settings}",
            "write `signalr: redis`; from 2020.10 on UiPath supports its High Availability Add-on there (port 10000)",
        )


def _no_sql_store(farm: Farm) -> bool:
    """Whether the nodes' files have no setting for SignalR in SQL Server: only the oldest settings know one."""
    stores = farm.stores
    newer = stores.signalr_keys == "connection-string" or (stores.signalr_keys == "auto" and farm.orchestrator.is_core)
    return newer and stores.signalr == "sqlserver"


def _signalr_sql_lag(farm: Farm) -> Iterator[Finding]:
    if _several(farm) and farm.stores.signalr == "sqlserver" and not _no_sql_store(farm):
        yield Finding(
            ("stores", "signalr"),
            "with SignalR in SQL Server, changes of permissions, settings and organizational units reach "
            "logged-in users after about an hour",
            "write `signalr: redis`; with Redis they arrive at once",
        )


def _one_node(farm: Farm) -> Iterator[Finding]:
    if not _several(farm):
        yield Finding(("nodes",), "a farm of one node is not highly available", "add the second node")


def _tls_terminate_redirect(farm: Farm) -> Iterator[Finding]:
    if farm.frontend.tls.mode == "terminate":
        yield Finding(
            ("frontend", "tls", "mode"),
            'with TLS ended at the balancer, the IIS rewrite rule "Redirect HTTP to HTTPS" loops',
            "switch that rule off on every node and bind the site to http, or write `mode: bridge`",
        )


def _short_idle(farm: Farm) -> Iterator[Finding]:
    idle = farm.balancer.signalr.idle_timeout
    if idle <= facts.LONG_POLL_SECONDS * 1000:
        yield Finding(
            ("balancer", "signalr", "idle_timeout"),
            f"{idle} cuts the robots off: SignalR holds a long poll for {facts.LONG_POLL_SECONDS}s",
            "write more than 110s; 1h is a good value",
        )


def _core_affinity(farm: Farm) -> Iterator[Finding]:
    if _several(farm) and farm.orchestrator.is_core and farm.balancer.affinity == "none":
        yield Finding(
            ("balancer", "affinity"),
            "ASP.NET Core SignalR without affinity works only for clients that use WebSockets with SkipNegotiation; "
            'others get 404 "No Connection with that ID"',
            "write `affinity: signalr` to hold the SignalR paths alone, or accept this if all clients do so",
        )


def _version_unknown(farm: Farm) -> Iterator[Finding]:
    if farm.orchestrator.version is None:
        assumed = f", and the health checks ask {farm.health_path}" if farm.balancer.health.path == "auto" else ""
        yield Finding(
            ("orchestrator", "version"),
            f"the Orchestrator version is not given: it is taken for a classic one (before 2020.10){assumed}",
            'write `orchestrator: {version: "2019.4"}`, in quotes',
        )


def _health_path(farm: Farm) -> Iterator[Finding]:
    if farm.health_path is None:
        yield Finding(
            ("balancer", "health", "path"),
            f"no health endpoint is known for Orchestrator {farm.orchestrator.version}",
            "write a path that answers 200 without a login only while the node works",
        )


def _node_names(farm: Farm) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, node in enumerate(farm.nodes):
        # Windows machines and HAProxy's server names are told apart without case in people's heads at least.
        name = node.name.lower()
        if name in first:
            yield Finding(
                ("nodes", index, "name"),
                f"{node.name} is the name of nodes[{first[name]}] as well",
                "give each node a name of its own",
            )
        first.setdefault(name, index)


def _node_configs(farm: Farm) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, node in enumerate(farm.nodes):
        if node.config is None:
            continue
        path = posixpath.normpath(node.config.replace("\\", "/"))
        if path in first:
            yield Finding(
                ("nodes", index, "config"),
                f"{node.config} is the config of {first[path]} as well",
                "name a copy of this node's own file",
            )
        first.setdefault(path, node.name)


def _node_endpoints(farm: Farm) -> Iterator[Finding]:
    first: dict[tuple[str, int], str] = {}
    for index, node in enumerate(farm.nodes):
        endpoint = (node.address, farm.port_of(node))
        if endpoint in first:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} has the address and port of {first[endpoint]}",
                "each node is a machine of its own; check the address",
            )
        first.setdefault(endpoint, node.name)


def _primaries(farm: Farm) -> Iterator[Finding]:
    primaries = [index for index, node in enumerate(farm.nodes) if node.primary]
    for index in primaries[1:]:
        yield Finding(
            ("nodes", index, "primary"),
            f"{farm.nodes[primaries[0]].name} is the primary node already",
            "the keys come from one node: the first that was installed",
        )


def _no_node_up(farm: Farm) -> Iterator[Finding]:
    states = Counter(node.state for node in farm.nodes)
    if not states["up"] and not states["backup"]:
        yield Finding(("nodes",), "no node is up: the farm would answer nobody", "leave at least one `state: up`")


def _node_is_balancer(farm: Farm) -> Iterator[Finding]:
    listen = farm.frontend.address
    for index, node in enumerate(farm.nodes):
        if node.address == listen and farm.port_of(node) == farm.frontend.port:
            yield Finding(
                ("nodes", index, "address"),
                f"{node.name} is the balancer's own address and port: requests would run in a circle",
                "give the balancer an address of its own",
            )
        elif _loopback(node.address) and not _loopback(listen):
            yield Finding(
                ("nodes", index, "address"),
                f"{node.address} is the balancer itself, seen from the balancer",
                "write the address by which the balancer reaches the node",
            )


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _passthrough_affinity(farm: Farm) -> Iterator[Finding]:
    affinity = farm.balancer.affinity
    if farm.frontend.tls.mode == "passthrough" and affinity in {"cookie", "signalr"}:
        yield Finding(
            ("balancer", "affinity"),
            f"affinity {affinity} needs a cookie, and with passthrough the balancer sees no HTTP",
            "write `affinity: source`, or `mode: bridge` under frontend.tls",
        )


_SEEN_BY_HTTP_ALONE: Final[tuple[Path, ...]] = (
    ("balancer", "max_body"),
    ("balancer", "signalr", "paths"),
    ("balancer", "limits", "requests_per_node"),
    ("frontend", "aliases"),
    ("frontend", "tls", "hsts"),
    ("frontend", "tls", "profile"),
)


def _passthrough_http(farm: Farm) -> Iterator[Finding]:
    if farm.frontend.tls.mode != "passthrough":
        return
    for path in _SEEN_BY_HTTP_ALONE:
        mapping: Any = farm
        for step in path[:-1]:
            mapping = getattr(mapping, str(step))
        if path[-1] in mapping.written:
            yield Finding(
                path,
                "has no effect: with passthrough the balancer sees no HTTP",
                "leave it out, or write `mode: bridge` under frontend.tls",
            )


def _node_ca(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    if tls.mode == "bridge" and "verify_nodes" not in tls.written:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            f"is not given: a node whose certificate no CA in {tls.verify_nodes} has signed gets no requests",
            "write the path of the CA that the nodes' certificates chain to",
        )


def _redirect(farm: Farm) -> Iterator[Finding]:
    frontend = farm.frontend
    if not frontend.redirect_http:
        return
    if frontend.tls.mode == "none":
        yield Finding(
            ("frontend", "redirect_http"),
            "there is no https to redirect to: tls.mode is none",
            "leave redirect_http out, or write a TLS mode",
        )
    elif frontend.port == 80:
        yield Finding(
            ("frontend", "port"),
            "port 80 is taken by the redirect to https",
            "write another port (443), or `redirect_http: false`",
        )


def _unverified_nodes(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    if tls.mode == "bridge" and tls.verify_nodes is False:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            "the nodes' certificates are not checked: whoever answers at a node's address reads the passwords",
            "write the path of the CA that the nodes' certificates chain to",
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


def _everywhere(version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address("0.0.0.0" if version == 4 else "::")  # noqa: S104  # compared, not listened on


def _vip_address(farm: Farm) -> Iterator[Finding]:
    vip, listen = farm.frontend.vip, farm.frontend.address
    if vip is None:
        return
    shared = ipaddress.ip_interface(vip.address).ip
    if listen != "*" and ipaddress.ip_address(listen) not in {shared, _everywhere(shared.version)}:
        yield Finding(
            ("frontend", "address"),
            f"the balancer listens on {listen} alone, and clients come to the shared address {shared}",
            f"write `address: {shared}`, or leave it out to listen on every address",
        )
    network = ipaddress.ip_interface(vip.address).network
    if network.num_addresses > 2 and shared in {network.network_address, network.broadcast_address}:
        message = f"{shared} is no machine's address but stands for the network {network}"
        yield Finding(("frontend", "vip", "address"), message, "write an address in that network")
    for index, node in enumerate(farm.nodes):
        if node.address == str(shared):
            message = f"{node.address} is the address that the balancers share"
            yield Finding(("nodes", index, "address"), message, "write the node's own address")


def _vip_balancers(farm: Farm) -> Iterator[Finding]:
    vip = farm.frontend.vip
    if vip is None:
        return
    shared = str(ipaddress.ip_interface(vip.address).ip)
    nodes = {node.address: node.name for node in farm.nodes}
    for index, balancer in enumerate(vip.balancers):
        path: Path = ("frontend", "vip", "balancers", index)
        if balancer in vip.balancers[:index]:
            yield Finding(path, f"{balancer} is listed twice", "name each balancer once")
        if balancer == shared:
            yield Finding(
                path, f"{balancer} is the address that they share", "write the balancer's own address or name"
            )
        if balancer in nodes:
            yield Finding(path, f"{balancer} is the node {nodes[balancer]}", "a balancer is a machine of its own")


def _metrics_port(farm: Farm) -> Iterator[Finding]:
    frontend, port = farm.frontend, farm.balancer.metrics_port
    taken = {frontend.port: "where clients connect"}
    if frontend.redirect_http:
        taken.setdefault(80, "where the redirect to https answers")
    if port in taken and (frontend.address == "*" or _loopback(frontend.address)):
        yield Finding(
            ("balancer", "metrics_port"),
            f"port {port} of the loopback address is {taken[port]}",
            f"write another port, as in {8404 if 8404 not in taken else 8405}: statistics are for the balancer alone",
        )


RULES: Final = (
    Rule("session-inproc", "error", "two or more nodes need the SessionState in SQL Server", _session_inproc),
    Rule("signalr-inproc", "error", "two or more nodes need SignalR in Redis or SQL Server", _signalr_inproc),
    Rule("sql-login", "error", "SQL Server authentication needs user and password", _sql_login),
    Rule("redis-endpoint", "error", "the Redis store needs host and port", _redis_endpoint),
    Rule("redis-on-node", "warning", "Redis on a node is a single point of failure", _redis_on_node),
    Rule("redis-install-on", "error", "`install_on` names one of the nodes", _install_on),
    Rule("signalr-sql-store", "error", "from 2020.10 on SignalR has no store in SQL Server", _signalr_sql_store),
    Rule("signalr-sql-lag", "warning", "with the SQL store, changes reach users after about an hour", _signalr_sql_lag),
    Rule("one-node", "warning", "a farm of one node is not highly available", _one_node),
    Rule(
        "tls-terminate-redirect",
        "warning",
        "IIS's redirect rule loops behind a balancer that ends TLS",
        _tls_terminate_redirect,
    ),
    Rule("short-idle", "error", "the SignalR idle time-out must exceed 110 s", _short_idle),
    Rule(
        "core-affinity",
        "warning",
        "ASP.NET Core SignalR needs affinity, or clients that skip negotiation",
        _core_affinity,
    ),
    Rule("version-unknown", "warning", "without the Orchestrator version the health path is a guess", _version_unknown),
    Rule("health-path", "error", "a version without a known health endpoint needs a path", _health_path),
    Rule("node-names", "error", "each node has a name of its own", _node_names),
    Rule("node-configs", "error", "each node has a config file of its own", _node_configs),
    Rule("node-endpoints", "error", "each node has an address and port of its own", _node_endpoints),
    Rule("one-primary", "error", "one node at the most is the primary", _primaries),
    Rule("no-node-up", "error", "at least one node takes requests", _no_node_up),
    Rule("node-is-balancer", "error", "no node stands at the balancer's own address", _node_is_balancer),
    Rule("passthrough-affinity", "error", "a cookie needs a balancer that sees HTTP", _passthrough_affinity),
    Rule(
        "passthrough-http",
        "warning",
        "what needs a balancer that sees HTTP has no effect under passthrough",
        _passthrough_http,
    ),
    Rule("node-ca", "warning", "the CA of the nodes' certificates is the company's own as a rule", _node_ca),
    Rule("redirect-port", "error", "the redirect to https needs https and port 80", _redirect),
    Rule("unverified-nodes", "warning", "without a CA anybody can pose as a node", _unverified_nodes),
    Rule("open-files", "error", "the connections must fit the limit of open files", _open_files),
    Rule("vip-address", "error", "clients come to the shared address, so the balancer listens on it", _vip_address),
    Rule("vip-balancers", "error", "each balancer is a machine of its own, with its own address", _vip_balancers),
    Rule("metrics-port", "error", "statistics have a port of their own", _metrics_port),
)
"""All rules, in the order of the documentation."""
