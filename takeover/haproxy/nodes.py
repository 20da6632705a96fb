"""The nodes, from the `server` lines of the farm's pools."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ...readers.haproxy.model import Proxy, Server
from ...readers.tree import Statement
from ..shared import node_name
from ..values import problem_of
from .source import Source, settings_of

_ADDRESS: Final = re.compile(
    r"(?:ipv4@|ipv6@)?(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]/@$%]+?))(?::(?P<port>[0-9]{1,5}))?\Z"
)
_TAKEN: Final = frozenset(
    (
        *("weight", "disabled", "backup", "ssl", "inter", "rise", "fall", "maxconn", "slowstart", "ca-file", "verify"),
        *("cookie", "sni", "check-sni", "verifyhost", "check-ssl", "non-stick", "enabled"),
    )
)
"""Their values are read elsewhere."""
_IMPLIED: Final = {
    "check": "nlbgen checks every node",
    "track": "the pool for SignalR has the states of the other pool",
    "observe": "failed requests trigger a check",
    "error-limit": "failed requests trigger a check",
    "on-error": "failed requests trigger a check",
    "on-marked-down": "connections to a node that is marked down are closed",
    "fastinter": "after a failed check, the next check follows immediately",
    "downinter": "nodes that are down are checked at the same interval",
    "resolvers": "names are resolved by the name servers of the machine",
    "init-addr": "names are resolved at the start and later",
    "resolve-prefer": "names are resolved by the name servers of the machine",
    "ssl-min-ver": "TLS to the nodes is 1.2 or later",
    "no-sslv3": "TLS to the nodes is 1.2 or later",
    "no-tlsv10": "TLS to the nodes is 1.2 or later",
    "no-tlsv11": "TLS to the nodes is 1.2 or later",
    "no-tls-tickets": "TLS to the nodes is without tickets",
}
_GIVEN_UP: Final = {
    "send-proxy": "IIS does not read the PROXY protocol",
    "send-proxy-v2": "IIS does not read the PROXY protocol",
    "send-proxy-v2-ssl": "IIS does not read the PROXY protocol",
    "crt": "a certificate of the balancer for the nodes is not supported",
    "port": "the checks use the port of the node",
    "addr": "the checks use the address of the node",
    "agent-check": "agents on the nodes are not supported",
    "agent-port": "agents on the nodes are not supported",
    "agent-inter": "agents on the nodes are not supported",
    "agent-addr": "agents on the nodes are not supported",
    "minconn": "the limit of a node does not depend on the load",
    "maxqueue": "the queue of a node is limited by balancer.timeouts.queue",
    "redir": "clients are not redirected to the nodes",
    "ciphers": "TLS to the nodes has OpenSSL's default ciphers",
    "ciphersuites": "TLS to the nodes has OpenSSL's default ciphers",
    "ssl-max-ver": "TLS to the nodes has no highest version",
    "alpn": "requests to the nodes are HTTP/1.1",
    "check-alpn": "checks are HTTP/1.1",
    "proto": "requests to the nodes are HTTP/1.1",
    "source": "the system chooses the source address",
    "tfo": "TCP Fast Open is not used",
    "pool-purge-delay": "HAProxy's own default",
    "pool-max-conn": "HAProxy's own default",
    "pool-low-conn": "HAProxy's own default",
    "max-reuse": "HAProxy's own default",
    "id": "HAProxy numbers the servers",
}


class _Place(NamedTuple):
    host: str
    port: int | None


def take(source: Source) -> None:
    """Take the servers of the web pool as nodes, and account for the words of every server line of the farm."""
    servers = [(one, place) for one in source.roles.web.servers if (place := _place(source, one)) is not None]
    weighted = any(one.has("weight") for one, _ in servers)
    seen: set[tuple[str, int | None]] = set()
    names: set[str] = set()
    index = 0
    for server, place in servers:
        key = (place.host.lower(), place.port)
        if key in seen:
            source.account.given_up(server.statement, f"{server.address} is already a node")
            continue
        seen.add(key)
        name = node_name(source.account, server.statement, server.name, index, names)
        names.add(name.lower())
        _node(source, server, place, f"nodes[{index}]", name)
        _weight(source, server, f"nodes[{index}].weight", weighted=weighted)
        source.members = (*source.members, server)
        index += 1
    for pool in source.roles.pools[1:]:
        for server in pool.servers:
            source.account.implied(server.statement, "the same node in another pool")
    for pool in source.roles.pools:
        _words(source, pool)


def _place(source: Source, server: Server) -> _Place | None:
    if server.template:
        source.account.given_up(server.statement, "a template names no node: add --node NAME=ADDRESS for each")
        return None
    match = _ADDRESS.match(server.address)
    host = (match["six"] or match["host"]) if match else ""
    if match and match["host"] and match["host"].count(":") > 1:
        host = match["host"]
    if match is None or (problem := problem_of("nodes[0].address", host)):
        why = f"{server.address}: {problem if match else 'nlbgen needs a host name or an IP address'}"
        source.account.given_up(server.statement, why)
        return None
    return _Place(host, int(match["port"]) if match["port"] else None)


def _node(source: Source, server: Server, place: _Place, path: str, name: str) -> None:
    values, statement = source.values, server.statement
    values.take(f"{path}.name", name, statement)
    values.take(f"{path}.address", place.host, statement)
    default = 443 if values.get("frontend.tls.mode") in {"bridge", "passthrough"} else 80
    port = place.port or source.values.get("frontend.port") or default
    if isinstance(port, int) and port != default:
        values.take(f"{path}.port", port, statement)
    if not place.port:
        source.account.given_up(statement, f"no port: nlbgen sends the node's requests to port {port}")
    state = _state(source, server)
    if state != "up":
        values.take(f"{path}.state", state, statement)


def _state(source: Source, server: Server) -> str:
    if server.has("disabled"):
        if source.values.get("balancer.maintenance.state") == "closed":
            source.account.implied(server.statement, "while the farm is closed, all nodes are disabled")
            return "up"
        return "down"
    if server.value("weight") == "0":
        return "drain"
    return "backup" if server.has("backup") else "up"


def _weight(source: Source, server: Server, path: str, *, weighted: bool) -> None:
    weight = server.settings.get("weight")
    if weight is None:
        if weighted:  # HAProxy's default beside servers with a weight
            source.values.take(path, 1, server.statement)
    elif weight.text != "0":
        source.number(path, weight.text, source.at(weight.word.location))


def _words(source: Source, pool: Proxy) -> None:
    """Account for each word of the server lines of a pool, and of the default-server lines that it inherits."""
    for statement in (*pool.all("default-server"), *(one.statement for one in pool.servers)):
        for setting in settings_of(statement):
            _word(source, statement, setting.word.text)
        if statement.name == "default-server" and not source.account.has(statement):
            source.account.implied(statement, "the server lines are complete")


def _word(source: Source, statement: Statement, name: str) -> None:
    account = source.account
    if name in _TAKEN or (name.startswith("no-") and name.removeprefix("no-") in _TAKEN):
        return
    if name in _IMPLIED:
        account.implied(statement, _IMPLIED[name])
    elif name in _GIVEN_UP:
        account.given_up(statement, f"{name}: {_GIVEN_UP[name]}")
    else:
        account.not_understood(statement, name)


def common(source: Source, servers: Sequence[Server], keyword: str) -> tuple[str, tuple[Statement, ...]] | None:
    """The value that a keyword has for every server, with the lines; None if there is none, or servers differ."""
    found = [one.settings[keyword] for one in servers if one.has(keyword)]
    texts = {one.text for one in found}
    statements = tuple(dict.fromkeys(source.at(one.word.location) for one in found))
    if len(texts) == 1 and len(found) == len(servers):
        return texts.pop(), statements
    source.account.given_up_all(statements, f"{keyword}: it is the same for all nodes in a spec, and differs here")
    return None
