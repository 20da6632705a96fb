"""Refusals of specs that no appliance of the family can serve and no feature of the catalogue covers."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

from ...core.errors import Problem
from ...spec.load import Spec
from ..design import Design
from ..redis import role_front_of, role_refusals
from .objects import vip
from .products import GENERATIONS, NEVER, Edition, Generation

if TYPE_CHECKING:
    from ...spec.schema import Path

VERSION_ID: Final = "zen-version"
NODE_TLS13_ID: Final = "zen-node-tls13"
CLASSIC_ID: Final = "zen-classic-websocket"
NTLM_ID: Final = "zen-ntlm"
OWN_IDS: Final = frozenset({NODE_TLS13_ID, CLASSIC_ID, "zen-redis-votes"})
"""The limits that `accept` may name and that are no feature of the catalogue."""
_SAFE_PATH: Final = re.compile(r"/[A-Za-z0-9._/=+@,:-]*")
"""The paths that a FarmGuardian command can hold: it runs through a shell."""
_FILLED_IN: Final = re.compile(r"HOST|PORT|:::")
"""What the appliance replaces in a command, and the separator of fields in older files."""


def refusals(spec: Spec, edition: Edition) -> Iterator[Problem]:
    """Every problem, each with its location in the spec."""
    if (problem := _product(spec, edition)) is not None:
        yield problem
        return
    yield from _node_tls(spec, edition)
    yield from _classic(spec, edition)
    yield from _ntlm(spec, edition)
    yield from _addresses(spec)
    yield from _health(spec)
    yield from _backups(spec, edition)
    yield from _cookie(spec, edition)
    yield from _redis(spec, edition)


def _product(spec: Spec, edition: Edition) -> Problem | None:
    path: Path = ("zen", "version")
    found = edition.generation
    if found is None:
        return spec.problem(path, f"nlbgen makes no configurations for {edition}", _names(edition), id=VERSION_ID)
    if found.refusal:
        message = f"{edition} is not usable: {found.refusal}"
        return spec.problem(path, message, 'upgrade to Zevenet "5.13", or to Relianoid or Skudonet "7"', id=VERSION_ID)
    return None


def _names(edition: Edition) -> str:
    """The products and versions that a version which does not exist may stand for, as a hint."""
    hints = []
    for product, generations in GENERATIONS.items():
        if product != edition.product and any(one.oldest <= edition.number < one.below for one in generations):
            hints.append(f"`product: {product}`")
    known = "; ".join(_range(one) for one in GENERATIONS[edition.product] if not one.refusal)
    versions = f"a version of {edition.product}: {known}"
    return f"write {' or '.join(hints)}, which has such a version, or {versions}" if hints else f"write {versions}"


def _range(generation: Generation) -> str:
    if generation.below == NEVER:
        return f"{generation.oldest} or later"
    return f"{generation.oldest} and later, before {generation.below}"


def _node_tls(spec: Spec, edition: Edition) -> Iterator[Problem]:
    """Refuse TLS to nodes that may speak TLS 1.3: zproxy 0.9.5 fails on the session ticket that such a node sends."""
    if not edition.zproxy or not spec.farm.node_tls or NODE_TLS13_ID in spec.farm.accepted:
        return
    message = (
        f"{edition} loses requests to nodes that use TLS 1.3: its zproxy closes the connection without a response "
        "if the body of a POST arrives in a TLS record of its own"
    )
    hint = (
        "disable TLS 1.3 in IIS on every node (Windows Server 2022 and later enable it), then write "
        f"`accept: [{NODE_TLS13_ID}]`; or write `mode: terminate`; or use Relianoid 7 or Skudonet 7"
    )
    yield spec.problem(("frontend", "tls", "mode"), message, hint, id=NODE_TLS13_ID)


def _classic(spec: Spec, edition: Edition) -> Iterator[Problem]:
    """Refuse classic SignalR: its server sends the first frame of a WebSocket, which zproxy 0.9.5 does not forward."""
    if not edition.zproxy or not edition.classic or CLASSIC_ID in spec.farm.accepted:
        return
    message = (
        f"{edition} forwards the data of a node on a WebSocket only after the client has sent a frame, but with "
        "Orchestrator before 2020.10 (SignalR 2) the node sends first"
    )
    hint = (
        "use Relianoid 7 or Skudonet 7; or remove the WebSocket Protocol from IIS on every node, so that clients use "
        f"server-sent events or long polling, and write `accept: [{CLASSIC_ID}]`"
    )
    yield spec.problem(("zen", "version"), message, hint, id=CLASSIC_ID)


def _ntlm(spec: Spec, edition: Edition) -> Iterator[Problem]:
    """Refuse Windows sign-in without source affinity: pound sends the requests of one handshake to several nodes."""
    farm = spec.farm
    by_source = farm.affinity == "source" or (farm.affinity == "none" and farm.balancer.algorithm == "source")
    if edition.layer4 or edition.zproxy or not farm.frontend.windows_sign_in or by_source:
        return
    message = (
        f"{edition} breaks most NTLM handshakes unless clients stay on their node by their address: it sends the "
        "requests of one connection to different nodes"
    )
    yield spec.problem(("frontend", "windows_sign_in"), message, "write `affinity: source`", id=NTLM_ID)


def _addresses(spec: Spec) -> Iterator[Problem]:
    listen = vip(spec.farm)
    if not _is_ipv4(listen):
        what = "no address is given" if listen == "*" else f"{listen} is not IPv4"
        message = f"a farm of the Zen family listens on one IPv4 address of the appliance, and {what}"
        yield spec.problem(("frontend", "address"), message, "write the appliance's address, for example 10.20.0.10")
    for index, node in enumerate(spec.farm.nodes):
        if not _is_ipv4(node.address):
            message = f"the Zen family supports only IPv4 addresses of nodes, but {node.address} is not an IPv4 address"
            yield spec.problem(("nodes", index, "address"), message, "write the node's IPv4 address")


def _is_ipv4(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv4Address)
    except ValueError:
        return False


def _health(spec: Spec) -> Iterator[Problem]:
    design = Design(spec.farm)
    for index, path in enumerate(design.health_paths):
        if _SAFE_PATH.fullmatch(path) and not _FILLED_IN.search(path):
            continue
        message = f"FarmGuardian runs its check through a shell and fills in HOST and PORT: it cannot check {path}"
        hint = "use a path of letters, digits and ._/=+@,:- without HOST, PORT and :::"
        yield spec.problem(design.health_location(index), message, hint)


def _backups(spec: Spec, edition: Edition) -> Iterator[Problem]:
    if edition.layer4 or edition.product != "relianoid":
        return
    backups = [index for index, node in enumerate(spec.farm.nodes) if node.state == "backup"]
    if len(backups) == len(spec.farm.nodes):
        return  # then they serve like other nodes
    for index in backups[1:]:
        message = f"a farm of {edition} has at most one backup node (Emergency), but this is a second one"
        yield spec.problem(("nodes", index, "state"), message, "write `state: up` or `state: down` for this node")


def _cookie(spec: Spec, edition: Edition) -> Iterator[Problem]:
    if not edition.layer4 and spec.farm.affinity in {"cookie", "signalr"} and spec.farm.frontend.aliases:
        message = "the affinity cookie of the Zen family is valid for one host name only, but the farm has aliases"
        yield spec.problem(("frontend", "aliases"), message, "remove the aliases, or write `affinity: source`")


def _redis(spec: Spec, edition: Edition) -> Iterator[Problem]:
    front = role_front_of(spec.farm, "zen")
    if front is None or edition.generation is None or not edition.generation.websockets:
        return  # the feature is refused
    yield from role_refusals(spec, "zen", str(edition))
    for server in front.servers:
        if not _is_ipv4(server.address):
            path: Path = ("stores", "redis", "sentinel", "nodes")
            message = (
                f"the Zen family supports only IPv4 addresses, but the address of {server.name} is {server.address}"
            )
            yield spec.problem(path, message, "write the host's IPv4 address")
