"""What a farm is on a BIG-IP: the objects that bigip.conf, as3.json and a push have in common.

Sources: F5's tmsh reference; the defaults and traps of AS3's own mapping (f5-appsvcs-extension, `map_mcp.js` and
`properties.json`); recorded answers of devices. The order of [`KINDS`][nlbgen.generators.f5_objects.KINDS] is the one
in which AS3 and f5-bigip-rest-go create objects: nothing names what comes later.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ..spec.model import Farm
from ..spec.types import Version
from .design import COOKIE, Design, Member, Pool
from .f5_rules import redirect_rule, request_rule, signalr_rule
from .tls import profile

Value: TypeAlias = "str | int | bool | tuple[str, ...] | Mapping[str, Value]"
"""A property in tmsh's words: a word, a number, a flag (True is the bare word), several words, or a block."""

KINDS: Final = (
    "ltm profile server-ssl",
    "ltm monitor http",
    "ltm monitor https",
    "ltm node",
    "ltm pool",
    "ltm profile client-ssl",
    "ltm profile http",
    "ltm profile tcp",
    "ltm profile websocket",
    "ltm persistence cookie",
    "ltm persistence source-addr",
    "ltm rule",
    "ltm policy",
    "ltm virtual",
)
"""Every kind of object that a farm can have, in the order of creation."""

NAMED: Final = frozenset(
    {"members", "profiles", "persist", "policies", "cert-key-chain", "rules", "actions", "conditions"}
)
"""Blocks whose entries have names of their own; other blocks hold properties."""

GATES: Final[Mapping[str, Version]] = {
    "websocket-profile": Version("12.1"),
    "legacy-policy": Version("12.1"),
    "tcp-progressive": Version("13.0"),
    "monitor-ssl-profile": Version("13.1"),
    "tls-1.3": Version("14.0"),
}
"""What a TMOS version brought. Before 12.1 the http profile lets WebSockets pass by itself (since 11.4)."""

LONGEST_IDLE: Final = 86_400
"""AS3 takes no longer idle time-out; SignalR's pings come every few seconds anyway."""
LONGEST_INTERVAL, LONGEST_TIMEOUT, LONGEST_UP, LONGEST_RAMP = 299, 900, 1800, 900
"""Bounds of monitors and pools in AS3's schema; an interval must stay below its time-out."""
MOST_RATIO: Final = 100
CIPHERS_12: Final = tuple(name for name in profile("intermediate", Version("3.0")).ciphers if "CHACHA20" not in name)
"""Mozilla's TLS 1.2 suites that every TMOS from 11.6 on knows."""
MODERN_GROUP: Final = "/Common/f5-default"


def mapping(value: object) -> Mapping[str, Any]:
    """A value that the view made as a mapping; anything else is a fault of nlbgen."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping")
    return value


class Object(NamedTuple):
    """One object of the device: its kind in tmsh's words, its full path, and the properties that the farm owns."""

    kind: str
    path: str
    properties: Mapping[str, Value]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Names(NamedTuple):
    """Where the objects go, and what the certificates are called on the device; `none` stands for no file."""

    folder: str
    node_folder: str
    nodes_by_address: bool
    certificate: str
    key: str
    chain: str
    ca: str

    @classmethod
    def of(cls, farm: Farm) -> "Names":
        """The names for a farm whose certificate files are not at hand."""
        folder, name = f"/{farm.f5.partition}", farm.farm
        own = farm.f5.certificate is None
        return cls(
            folder,
            folder,
            False,
            f"{folder}/{name}.crt" if own else str(farm.f5.certificate),
            f"{folder}/{name}.key" if own else str(farm.f5.key),
            f"{folder}/{name}_chain.crt" if own else "none",
            ca_name(farm, f"{folder}/{name}_ca.crt"),
        )


def ca_name(farm: Farm, name: str) -> str:
    """The name where the nodes' certificates are checked, else `none`."""
    tls = farm.frontend.tls
    return name if tls.mode == "bridge" and tls.verify_nodes is not False else "none"


def mark(farm: Farm) -> str:
    """What the description of every object of this farm says; nothing without it is ever touched."""
    return f"nlbgen:{farm.farm}"


def objects(farm: Farm, version: Version, names: Names | None = None, *, policies: bool = True) -> tuple[Object, ...]:
    """All objects of a farm on this TMOS, in the order of creation.

    Without `policies` an iRule chooses SignalR's pool: for ways onto a device that know no traffic policies.
    """
    return tuple(_View(farm, version, names or Names.of(farm), policies=policies).objects())


class _View:
    def __init__(self, farm: Farm, version: Version, names: Names, *, policies: bool) -> None:
        self.farm = farm
        self.design = Design(farm)
        self.version = version
        self.names = names
        self.policies = policies
        self.mark = mark(farm)

    def has(self, gate: str) -> bool:
        return self.version >= GATES[gate]

    def path(self, name: str) -> str:
        """The path of the object of that name, which no other has, of whatever kind: AS3 has one space of names."""
        return f"{self.names.folder}/{self.farm.farm}_{name}"

    def node_path(self, member: Member) -> str:
        # A device has one node for an address, whatever its ports.
        member = next(other for other in self.design.members if other.host == member.host)
        name = member.host.strip("[]") if self.names.nodes_by_address else member.name
        return f"{self.names.node_folder}/{name}"

    def objects(self) -> Iterator[Object]:
        made = [*self._nodes(), *self._health(), *self._pools(), *self._profiles(), *self._persistence()]
        made += [*self._rules(), *self._policies(), *self._virtuals()]
        yield from sorted(made, key=lambda one: (KINDS.index(one.kind), one.path))

    def _object(self, kind: str, name: str, **properties: Value) -> Object:
        given = {key.rstrip("_").replace("_", "-"): value for key, value in properties.items()}
        return Object(kind, self.path(name), {"description": self.mark, **given})

    # Nodes and pools.

    def _nodes(self) -> Iterator[Object]:
        for member in {other.host: other for other in reversed(self.design.members)}.values():
            yield Object(
                "ltm node", self.node_path(member), {"description": self.mark, **_address(member, autopopulate=True)}
            )

    @property
    def own_signalr_pool(self) -> bool:
        asked = "signalr" in self.farm.balancer.written or self.farm.balancer.affinity == "signalr"
        return asked and not self.design.passthrough

    def _pools(self) -> Iterator[Object]:
        for pool, name in self._named_pools():
            yield self._object(
                "ltm pool",
                name,
                load_balancing_mode=self._mode(pool),
                members={self._member_name(member): self._member(member) for member in self.design.members},
                min_active_members=1 if any(member.state == "backup" for member in self.design.members) else 0,
                monitor=self.path(f"health_{self._monitor_name}"),
                service_down_action="reset",
                slow_ramp_time=min(self.farm.balancer.slow_start.seconds, LONGEST_RAMP),
            )

    def _named_pools(self) -> Iterator[tuple[Pool, str]]:
        yield self.design.web, "web"
        if self.own_signalr_pool:
            yield self.design.signalr, "signalr"

    def _mode(self, pool: Pool) -> str:
        ratio = len({member.weight for member in self.design.members}) > 1
        if pool.algorithm == "round-robin":
            return "ratio-member" if ratio else "round-robin"
        return "ratio-least-connections-member" if ratio else "least-connections-member"

    def _member_name(self, member: Member) -> str:
        path = self.node_path(member)
        # After an address with colons the port follows a dot.
        return f"{path}{'.' if ':' in path else ':'}{member.port}"

    def _member(self, member: Member) -> Mapping[str, Value]:
        stopped = member.state in {"drain", "down"}
        backups = any(other.state == "backup" for other in self.design.members)
        return {
            **_address(member, autopopulate=False),
            "priority-group": 10 if backups and member.state != "backup" else 0,
            "ratio": self._ratio(member),
            "session": "user-disabled" if stopped else "user-enabled",
            "state": "user-down" if member.state == "down" else "user-up",
        }

    def _ratio(self, member: Member) -> int:
        shares = [other.weight // self.design.weight_unit for other in self.design.members]
        share = member.weight // self.design.weight_unit
        return share if max(shares) <= MOST_RATIO else max(1, share * MOST_RATIO // max(shares))

    # Health.

    @property
    def _monitor_name(self) -> str:
        return "https" if self.farm.node_tls else "http"

    def _health(self) -> Iterator[Object]:
        health, design = self.farm.balancer.health, self.design
        interval = min(health.interval.seconds, LONGEST_INTERVAL)
        send = rf"GET {design.health_path} HTTP/1.1\r\nHost: {design.frontend.host}\r\nConnection: Close\r\n\r\n"
        properties: dict[str, Value] = {
            "defaults_from": f"/Common/{self._monitor_name}",
            "interval": interval,
            "recv": f"^HTTP/1.[01] {health.expect}",
            "send": send,
            "time_until_up": min((health.rise - 1) * interval, LONGEST_UP),
            "timeout": min(health.fall * interval + 1, LONGEST_TIMEOUT),
        }
        if self.farm.node_tls and self.has("monitor-ssl-profile"):
            properties["ssl_profile"] = self.path("nodes")
        yield self._object(f"ltm monitor {self._monitor_name}", f"health_{self._monitor_name}", **properties)

    # Profiles.

    def _profiles(self) -> Iterator[Object]:
        if self.farm.node_tls and (not self.design.passthrough or self.has("monitor-ssl-profile")):
            yield self._server_ssl()
        if self.farm.balancer_tls:
            yield self._client_ssl()
        if not self.design.passthrough:
            yield self._object(
                "ltm profile http",
                "http",
                defaults_from="/Common/http",
                header_insert=f"X-Forwarded-Proto: {self.design.scheme}",
                insert_xforwarded_for="enabled",
            )
            if self.has("websocket-profile"):
                yield self._object(
                    "ltm profile websocket", "websocket", defaults_from="/Common/websocket", masking="preserve"
                )
        parent = "f5-tcp-progressive" if self.has("tcp-progressive") else "tcp"
        idle = min(self.farm.balancer.signalr.idle_timeout.seconds, LONGEST_IDLE)
        yield self._object("ltm profile tcp", "tcp", defaults_from=f"/Common/{parent}", idle_timeout=str(idle))

    def _server_ssl(self) -> Object:
        verify, host = self.names.ca != "none", self.design.frontend.host
        return self._object(
            "ltm profile server-ssl",
            "nodes",
            authenticate_name=host if verify else "none",
            ca_file=self.names.ca,
            defaults_from="/Common/serverssl",
            peer_cert_mode="require" if verify else "ignore",
            server_name=host,
        )

    def _client_ssl(self) -> Object:
        tls, names = self.design.frontend.tls, self.names
        modern = tls.profile == "modern"
        group = self.farm.f5.cipher_group or (MODERN_GROUP if modern else None)
        options = ["dont-insert-empty-fragments", "no-sslv3", "no-tlsv1", "no-tlsv1.1"]
        options += ["no-tlsv1.2"] * modern
        # TLS 1.3 takes a cipher group; with a cipher string it stays off.
        options += ["no-tlsv1.3"] * (group is None and self.has("tls-1.3"))
        ciphers: dict[str, Value] = {"ciphers": ":".join(CIPHERS_12)}
        if group is not None:
            ciphers = {"cipher_group": group, "ciphers": "none"}
        chain: dict[str, Value] = {} if names.chain == "none" else {"chain": names.chain}
        return self._object(
            "ltm profile client-ssl",
            "clients",
            cert_key_chain={"site": {"cert": names.certificate, **chain, "key": names.key}},
            **ciphers,
            defaults_from="/Common/clientssl",
            options=tuple(options),
        )

    # Persistence, rules, policies.

    def _persistence(self) -> Iterator[Object]:
        if self._persist == "cookie":
            yield self._object(
                "ltm persistence cookie",
                "cookie",
                cookie_name=COOKIE,
                defaults_from="/Common/cookie",
                method="insert",
            )
        elif self._persist == "source":
            # CARP picks the node by a hash of the address, without a table that a failover would lose.
            yield self._object(
                "ltm persistence source-addr", "source", defaults_from="/Common/source_addr", hash_algorithm="carp"
            )

    @property
    def _persist(self) -> str:
        hashed = self.design.web.algorithm == "source" and self.design.web.affinity == "none"
        return "source" if hashed else self.design.web.affinity

    @property
    def _signalr_is_sticky(self) -> bool:
        """Whether a cookie holds clients on SignalR's paths alone."""
        return self.design.signalr.affinity == "cookie" and self._persist != "cookie"

    def _rules(self) -> Iterator[Object]:
        if not self.design.passthrough:
            yield self._rule("request_rule", request_rule(self.farm, self.design))
        if self._redirects:
            yield self._rule("redirect_rule", redirect_rule(self.design))
        if self.own_signalr_pool and not self.policies:
            pools = self.path("signalr"), self.path("web")
            lines = signalr_rule(self.farm.balancer.signalr.paths, *pools, sticky=self._signalr_is_sticky)
            yield self._rule("signalr_rule", lines)

    def _rule(self, name: str, lines: Iterable[str]) -> Object:
        # A rule has no description: the mark is its first line.
        return Object("ltm rule", self.path(name), {"definition": "\n".join((f"# {self.mark}", *lines))})

    def _policies(self) -> Iterator[Object]:
        if not (self.own_signalr_pool and self.policies):
            return
        condition: dict[str, Value] = {"http-uri": True, "path": True, "request": True, "starts-with": True}
        condition |= {"case-insensitive": True, "values": tuple(self.farm.balancer.signalr.paths)}
        actions: dict[str, Value] = {
            "0": {"forward": True, "pool": self.path("signalr"), "request": True, "select": True}
        }
        sticky = self._signalr_is_sticky
        if sticky:
            actions["1"] = {"cookie-insert": True, "expiry": "0", "name": COOKIE, "persist": True, "request": True}
        properties: dict[str, Value] = {
            "controls": ("forwarding", "persistence") if sticky else ("forwarding",),
            "requires": ("http",),
            "rules": {"signalr": {"actions": actions, "conditions": {"0": condition}}},
            "strategy": "/Common/first-match",
        }
        if self.has("legacy-policy"):
            # Without `legacy` a policy must be drafted and published, which does not fit into one transaction.
            properties["status"] = "legacy"
        yield self._object("ltm policy", "signalr_paths", **properties)

    # Virtual servers.

    @property
    def _redirects(self) -> bool:
        return self.design.frontend.redirect_http and self.design.frontend.port != 80

    def _virtuals(self) -> Iterator[Object]:
        for suffix, address in self._listens():
            yield self._virtual(f"main{suffix}", address, self.design.frontend.port, **self._main())
            if self._redirects:
                rule = self.path("redirect_rule")
                profiles = {"/Common/http": _context("all"), "/Common/tcp": _context("all")}
                yield self._virtual(f"redirect{suffix}", address, 80, profiles=profiles, rules=(rule,))

    def _listens(self) -> Iterator[tuple[str, str]]:
        for listen in self.design.listens:
            address = "0.0.0.0" if listen == "*" else listen.strip("[]")  # noqa: S104  # an address of the device
            yield ("_v6" if listen == "[::]" else ""), address

    def _main(self) -> dict[str, Value]:
        profiles: dict[str, Value] = {self.path("tcp"): _context("all")}
        if not self.design.passthrough:
            profiles[self.path("http")] = _context("all")
            if self.has("websocket-profile"):
                profiles[self.path("websocket")] = _context("all")
        if self.farm.balancer_tls:
            profiles[self.path("clients")] = _context("clientside")
        if self.design.tls_mode == "bridge":
            profiles[self.path("nodes")] = _context("serverside")
        persist: dict[str, Value] = {} if self._persist == "none" else {self.path(self._persist): {"default": "yes"}}
        return {
            "persist": persist,
            "policies": {self.path("signalr_paths"): {}} if self.own_signalr_pool and self.policies else {},
            "pool": self.path("web"),
            "profiles": profiles,
            "rules": tuple(self._main_rules()),
        }

    def _main_rules(self) -> Iterator[str]:
        if not self.design.passthrough:
            yield self.path("request_rule")
        if self.own_signalr_pool and not self.policies:
            yield self.path("signalr_rule")

    def _virtual(self, name: str, address: str, port: int, **properties: Value) -> Object:
        ip = ipaddress.ip_address(address)
        separator = "." if ip.version == 6 else ":"
        # tmsh writes the wildcard's mask as a word.
        mask = "any" if ip.is_unspecified else str(ipaddress.ip_network(f"{ip}/{ip.max_prefixlen}").netmask)
        source = "0.0.0.0/0" if ip.version == 4 else "::/0"
        if ip.is_unspecified and ip.version == 6:
            mask = "any6"
        return self._object(
            "ltm virtual",
            name,
            destination=f"{self.names.node_folder}/{address}{separator}{port}",
            ip_protocol="tcp",
            mask=mask,
            source=source,
            source_address_translation={"type": "automap"},
            **properties,
        )


def _context(side: str) -> Mapping[str, Value]:
    return {"context": side}


def _address(member: Member, *, autopopulate: bool) -> dict[str, Value]:
    """An address, or a name that the device looks up (to one address, so that names and members match)."""
    if not member.is_name:
        return {"address": member.host.strip("[]")}
    looked_up: dict[str, Value] = {"autopopulate": "disabled"}
    if autopopulate:
        looked_up["name"] = member.host
    return {"fqdn": looked_up}
