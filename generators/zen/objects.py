"""The objects of a farm on an appliance of the Zen family, from which the files and the calls of the API are made.

All decisions are made here; the templates and the calls only write them down.
"""

from collections.abc import Sequence
from ipaddress import ip_interface
from math import gcd
from typing import Final, Literal, NamedTuple

from ...spec.model import Farm
from ...spec.units import Duration, Version
from .. import redis
from ..design import COOKIE, LONG_POLL, Design, Member
from ..tls import HSTS_SECONDS as HSTS
from ..tls import profile
from .check.formats import FORGED_HEADERS, NAME_END, NEXT_CHECK, TLS_HEADER
from .products import Edition

SERVICE: Final = "orchestrator"
OTHER_SERVICE: Final = "portal"
"""The service of a farm that is itself called SERVICE: a farm made by the API keeps a commented service of the farm's
name, and the appliance's code confuses the two."""
REDIRECT_SERVICE: Final = "redirect"
HEAVIEST: Final = 9
"""Weights are 1 to 9: in the files of HTTP farms, and in the API for every farm."""
CLIENT_SECONDS: Final = 30
"""How long pound waits for a client's next request; the vendor's default."""
LIVE_SECONDS: Final = 3600
"""The least `Client` timeout in zproxy, which closes a WebSocket whose client is silent for so long."""
HEADER: Final = TLS_HEADER
"""The header that every farm with TLS adds to requests."""
REMOVED: Final = FORGED_HEADERS
"""The pattern of the request headers that every farm with nodes removes."""
FIRST_MARK: Final = 0x200
MARK: Final = "nlbgen"
"""The first word in the description of nlbgen's FarmGuardian checks: the only mark of ownership that the API keeps."""

State = Literal["up", "drain", "down"]
_ANY_OPENSSL: Final = Version("3.0")
"""The appliance has its own OpenSSL; the TLS 1.2 ciphers are the same for every version."""


class Backend(NamedTuple):
    """One node in a farm."""

    name: str
    ip: str
    port: int
    weight: int
    backup: bool
    state: State


class Guardian(NamedTuple):
    """The FarmGuardian check of a farm: without it only a refused connection shows that a node failed."""

    name: str
    command: str
    interval: int
    timeout: int
    description: str

    @property
    def checks(self) -> int:
        """How many services the command checks."""
        return len(self.command.split(NEXT_CHECK))


class Times(NamedTuple):
    """The timeouts of an HTTP farm, in seconds."""

    answer: int
    connect: int
    alive: int
    client: int
    websocket: int


class Affinity(NamedTuple):
    """How clients stay on a node: by a cookie, or by their address for `ttl` seconds."""

    kind: Literal["none", "source", "cookie"]
    ttl: int
    cookie: str
    domain: str


class HttpFarm(NamedTuple):
    """A farm that handles HTTP: the site itself, or the redirect to it (then `redirect` is set)."""

    name: str
    vip: str
    port: int
    tls: bool
    certificate: str
    """The name of its PEM on the appliance; empty without TLS."""
    ciphers: str
    modern: bool
    """Whether TLS 1.3 is the only version of TLS."""
    times: Times
    service: str
    host: str
    """The pattern of the Host header; empty for any."""
    node_tls: bool
    hsts: int
    affinity: Affinity
    policy: str
    """zproxy's balancing algorithm; empty in the other engines."""
    redirect: str
    backends: tuple[Backend, ...]
    guardian: Guardian | None


class L4Farm(NamedTuple):
    """A farm that forwards connections."""

    name: str
    vip: str
    port: int
    algorithm: str
    affinity: Affinity
    backends: tuple[Backend, ...]
    guardian: Guardian

    @property
    def marks(self) -> tuple[str, ...]:
        """The packet mark of each backend in an L4xNAT file, as the appliance's register of marks writes it."""
        return tuple(f"{FIRST_MARK + number:#x}" for number in range(len(self.backends)))


class Objects(NamedTuple):
    """All farms of one spec: that of the site, and those of the redirect and of Redis where there are any."""

    main: HttpFarm | L4Farm
    redirect: HttpFarm | None
    guardian: Guardian
    """The check of the site's own farm."""
    redis: L4Farm | None = None
    """The front of Redis."""

    @property
    def site_farms(self) -> tuple[HttpFarm | L4Farm, ...]:
        """The farms of the site in the order in which they are made."""
        return (self.main,) if self.redirect is None else (self.main, self.redirect)

    @property
    def farms(self) -> tuple[HttpFarm | L4Farm, ...]:
        """All farms in the order in which they are made."""
        return self.site_farms if self.redis is None else (*self.site_farms, self.redis)

    @property
    def guardians(self) -> tuple[Guardian, ...]:
        """The check of each farm that has one."""
        return tuple(farm.guardian for farm in self.farms if farm.guardian is not None)


def objects(farm: Farm, edition: Edition) -> Objects:
    """The objects that the appliance should have for a farm."""
    design = Design(farm)
    guardian = _guardian(design, edition)
    main = _l4_farm(design, edition, guardian) if edition.layer4 else _http_farm(design, edition, guardian)
    redirect = _redirect_farm(design, edition) if farm.frontend.redirect_http else None
    return Objects(main, redirect, guardian, _redis_farm(farm))


def farm_name(farm: Farm) -> str:
    """The farm's name with hyphens for underscores: an underscore would end the name in the names of its files."""
    return farm.farm.replace("_", "-")


def vip(farm: Farm) -> str:
    """The address that the farm listens on; `*` where the spec has none."""
    if farm.frontend.address == "*" and farm.frontend.vip is not None:
        return str(ip_interface(farm.frontend.vip.address).ip)
    return farm.frontend.address


def shares(weights: list[int]) -> tuple[list[int], bool]:
    """The weights as shares of 1 to 9, and whether they are exact."""
    unit = gcd(*weights)
    smallest = [weight // unit for weight in weights]
    heaviest = max(smallest)
    if heaviest <= HEAVIEST:
        return smallest, True
    scaled = [max(1, round(HEAVIEST * weight / heaviest)) for weight in smallest]
    exact = all(share * heaviest == weight * max(scaled) for share, weight in zip(scaled, smallest, strict=True))
    return scaled, exact


def _backends(design: Design) -> tuple[Backend, ...]:
    """The nodes, backups last, so that the others have the same numbers in the status file as in the spec."""
    parts = shares([member.weight for member in design.members])[0]
    ordered = sorted(zip(design.members, parts, strict=True), key=lambda pair: pair[0].state == "backup")
    return tuple(
        Backend(member.name, member.host, member.port, part, member.state == "backup", _state(member))
        for member, part in ordered
    )


def _state(member: Member) -> State:
    if member.state == "drain":
        return "drain"
    return "down" if member.state == "down" else "up"


def _guardian(design: Design, edition: Edition) -> Guardian:
    """The check by Nagios' check_http, once for each service; the appliance replaces HOST and PORT."""
    health = design.balancer.health
    # One failed check marks a node down, so the one check lasts as long as `fall` checks that time out.
    answer = Duration(health.fall * health.timeout).seconds
    words = ["check_http", "-I", "HOST", "-p", "PORT", "-H", design.frontend.host]
    if design.farm.node_tls:
        # The check_http of Zen 3 does not support --sni.
        words += ["-S"] if edition.way == "l4-file" else ["-S", "--sni"]
    paths = design.health_paths if edition.checks_services else design.health_paths[:1]
    checks = [" ".join([*words, "-u", path, "-e", str(health.expect), "-t", str(answer)]) for path in paths]
    timeout = answer * len(checks) + 1
    # All nodes are checked one after another within one interval.
    interval = max(health.interval.seconds, timeout * len(design.members) + 1)
    name = farm_name(design.farm)
    return Guardian(guardian_name(name), NEXT_CHECK.join(checks), interval, timeout, f"{MARK} {name}")


def _times(design: Design, edition: Edition) -> Times:
    timeouts = design.balancer.timeouts
    connect = timeouts.connect.seconds
    idle = design.balancer.signalr.idle_timeout.seconds
    ng = edition.generation is not None and edition.generation.dialect == "zproxy-ng"
    return Times(
        answer=Duration(max(timeouts.request, LONG_POLL)).seconds,
        connect=connect,
        alive=connect + 1,
        client=max(idle, LIVE_SECONDS) if ng else CLIENT_SECONDS,
        websocket=idle,
    )


def _affinity(design: Design, *, layer4: bool) -> Affinity:
    balancer = design.balancer
    kind: Literal["none", "source", "cookie"] = "none"
    if design.farm.affinity in {"cookie", "signalr"} and not layer4:
        kind = "cookie"
    elif design.farm.affinity != "none" or balancer.algorithm == "source":
        kind = "source"
    return Affinity(kind, balancer.signalr.idle_timeout.seconds, COOKIE, design.frontend.host)


def _http_farm(design: Design, edition: Edition, guardian: Guardian) -> HttpFarm:
    farm, found = design.farm, edition.generation
    policy = ""
    if found is not None and found.dialect == "zproxy-ng":
        policy = "LEAST_CONNECTIONS" if design.balancer.algorithm == "least-connections" else "ROUND_ROBIN"
    tls = farm.balancer_tls
    return HttpFarm(
        name=farm_name(farm),
        vip=vip(farm),
        port=design.frontend.port,
        tls=tls,
        certificate=f"{farm_name(farm)}.pem" if tls else "",
        ciphers=":".join(profile("intermediate", _ANY_OPENSSL).ciphers) if tls else "",
        modern=tls and design.frontend.tls.profile == "modern",
        times=_times(design, edition),
        service=OTHER_SERVICE if farm_name(farm).lower() == SERVICE else SERVICE,
        host=_names(design.hosts),
        node_tls=farm.node_tls,
        hsts=HSTS if design.frontend.tls.hsts and tls and not policy else 0,
        affinity=_affinity(design, layer4=False),
        policy=policy,
        redirect="",
        backends=_backends(design),
        guardian=guardian,
    )


def _names(hosts: Sequence[str]) -> str:
    """The pattern of the farm's names: whole names in any case, each with or without a port."""
    names = [host.replace(".", r"\.") for host in hosts]
    return (names[0] if len(names) == 1 else f"({'|'.join(names)})") + NAME_END


def _redirect_farm(design: Design, edition: Edition) -> HttpFarm:
    found = edition.generation
    return HttpFarm(
        name=f"{farm_name(design.farm)}-http",
        vip=vip(design.farm),
        port=80,
        tls=False,
        certificate="",
        ciphers="",
        modern=False,
        times=_times(design, edition),
        service=REDIRECT_SERVICE,
        host="",
        node_tls=False,
        hsts=0,
        affinity=Affinity("none", 0, "", ""),
        policy="ROUND_ROBIN" if found is not None and found.dialect == "zproxy-ng" else "",
        redirect=design.public_url,
        backends=(),
        guardian=None,
    )


def _l4_farm(design: Design, edition: Edition, guardian: Guardian) -> L4Farm:
    affinity = _affinity(design, layer4=True)
    algorithm = "weight"
    if edition.way == "l4-api" and edition.generation is not None and edition.generation.websockets:
        algorithm = {"least-connections": "leastconn", "source": "hash_srcip"}.get(design.balancer.algorithm, "weight")
        if design.farm.affinity == "none":
            affinity = affinity._replace(kind="none")  # the hash itself keeps clients on a node
    return L4Farm(
        name=farm_name(design.farm),
        vip=vip(design.farm),
        port=design.frontend.port,
        algorithm=algorithm,
        affinity=affinity,
        backends=_backends(design),
        guardian=guardian,
    )


def guardian_name(name: str) -> str:
    """The name of the FarmGuardian check of a farm of that name."""
    return f"{name}-fg"


def redis_name(name: str) -> str:
    """The name of the farm of Redis beside a farm of that name."""
    return f"{name}-redis"


def _redis_farm(farm: Farm) -> L4Farm | None:
    """The front of Redis: connections go to the servers that report to be the master."""
    front = redis.role_front_of(farm, "zen")
    if front is None:
        return None
    return L4Farm(
        name=redis_name(farm_name(farm)),
        vip=vip(farm),
        port=front.port,
        algorithm="weight",
        affinity=Affinity("none", 0, "", ""),
        backends=tuple(
            Backend(server.name, server.address, server.port, 1, backup=False, state="up") for server in front.servers
        ),
        guardian=_redis_guardian(farm, front),
    )


def _redis_guardian(farm: Farm, front: redis.RedisFront) -> Guardian:
    """The check by Nagios' check_tcp; with -E before -s, the two characters backslash and r are a carriage return."""
    answer = redis.FALL * redis.CHECK.seconds
    words = ["check_tcp", "-H", "HOST", "-p", "PORT", *(["-S"] if front.tls else [])]
    words += ["-E", "-s", f"'{redis.ROLE_QUESTION}'", "-e", redis.ROLE_ANSWER, "-M", "crit", "-t", str(answer)]
    timeout = answer + 1
    name = redis_name(farm_name(farm))
    return Guardian(guardian_name(name), " ".join(words), timeout * len(front.servers) + 1, timeout, f"{MARK} {name}")
