"""The virtual server of the farm: address, port, partition, TLS mode, redirect, and how it connects to the nodes."""

from ipaddress import IPv4Address, ip_address
from typing import Final

from ...generators.f5.as3 import APPLICATION
from ...generators.f5.irules import REDIRECT_PORT
from ...readers.f5.endpoints import Endpoint
from ...readers.f5.model import Virtual
from ...readers.f5.objects import full_path
from ...readers.tree import Statement
from ...spec.capacity import open_files
from ...spec.model import F5, Limits
from ..shared import take_redirect
from .choice import HTTPS_REDIRECT
from .source import Source, all_of, number

_EVERY_IPV4: Final = str(IPv4Address(0))
_EVERY: Final = {"any": _EVERY_IPV4, "any6": "::"}
_COMMON: Final = "Common"
_DEEP: Final = 3
"""Folders and name in the path of an object that AS3 or an iApp made."""


def take(source: Source) -> None:
    """Take what the farm's virtual server listens on."""
    main = source.roles.main
    source.account.taken(main.item.statement, "frontend")
    for twin in source.roles.twins:
        source.account.taken(twin.item.statement, "frontend.address")
    mode = mode_of(source)
    source.values.take("frontend.tls.mode", mode)
    _address(source)
    _port(source, mode)
    _redirect(source, mode)
    _partition(source)
    source.values.take("f5.version", source.header.version or str(F5().version))
    _clients(source)
    for virtual in source.roles.virtuals:
        _snat(source, virtual)
    _limit(source)


def mode_of(source: Source) -> str:
    """The TLS mode that the profiles of the virtual server make."""
    main = source.roles.main
    clients, nodes = main.of_kind("client-ssl"), main.of_kind("server-ssl")
    if clients:
        return "bridge" if nodes else "terminate"
    if main.of_kind("http") or nodes:  # with TLS to the nodes only, the device reads what clients send
        return "none"
    monitors = (source.model.named("ltm monitor", path) for path in source.roles.web.monitors)
    kinds = {item.kind for item in monitors if item}
    ports = {main.destination.port, *(member.endpoint.port for member in source.roles.web.members)}
    plain = ports == {REDIRECT_PORT} or ("ltm monitor http" in kinds and "ltm monitor https" not in kinds)
    return "none" if plain else "passthrough"


def _address(source: Source) -> None:
    main = source.roles.main
    statement = source.property(main.item, "destination")
    host = _host(source, main.destination, statement)
    every = {host, *(_host(source, twin.destination, None) for twin in source.roles.twins)} == {_EVERY_IPV4, "::"}
    if not source.values.take("frontend.address", "*" if every else host, *all_of(statement)):
        source.account.given_up(main.item.statement, "the address cannot be used in a spec: add --address")
    for twin in source.roles.twins:
        source.taken(twin.item, "destination", "frontend.address")


def _host(source: Source, destination: Endpoint, statement: Statement | None) -> str:
    """The address of a destination, which can name a virtual address. A spec has no route domain."""
    text, domain = destination.host, destination.route_domain
    if not destination.is_address:
        for item in source.model.of_kind("ltm virtual-address"):
            if item.path.rpartition("/")[2] == text:
                text, _, domain = item.text("address").partition("%")
                source.taken(item, "address", "frontend.address")
    if statement is not None and domain not in {"", "0"}:
        source.account.given_up(
            statement, f"route domain {domain}: nlbgen uses the default route domain of f5.partition"
        )
    return _EVERY.get(text, text)


def _port(source: Source, mode: str) -> None:
    main = source.roles.main
    port, statements = main.destination.port, all_of(source.property(main.item, "destination"))
    if not port:
        source.account.given_up_all(statements, f"{portless(port)}: frontend.port has its default")
    elif port == (REDIRECT_PORT if mode == "none" else 443):
        for statement in statements:
            source.account.taken(statement, "frontend.port")
    else:
        source.values.take("frontend.port", port, *statements)


def portless(port: int | None) -> str:
    """Why a destination or a member has no port of a spec."""
    return "no single port" if port == 0 else "nlbgen does not know the number of this port"


def _redirect(source: Source, mode: str) -> None:
    statements = []
    for virtual in source.roles.redirects:
        statements += [virtual.item.statement, *all_of(source.property(virtual.item, "destination"))]
        statements += all_of(source.property(virtual.item, "rules")) + all_of(source.property(virtual.item, "policies"))
    take_redirect(source.account, source.values, statements, mode)


def _partition(source: Source) -> None:
    """Take the partition; that of AS3 is not for objects of nlbgen, because AS3 removes what it does not know."""
    item = source.roles.main.item
    first, *rest = item.path.strip("/").split("/")
    own = bool(source.farm) and rest[:1] == [APPLICATION]
    if own:
        usual = source.farm.replace("-", "_")
        source.values.take("f5.partition", _COMMON if first in {usual, f"{usual}_farm"} else first)
    elif len(rest) + 1 < _DEEP or first == _COMMON:
        source.values.take("f5.partition", first)
    else:
        why = f"f5.partition: {first} belongs to AS3, which removes other objects: choose another partition"
        source.account.given_up(item.statement, why)


def by_as3(source: Source) -> bool:
    """Whether AS3 made the virtual server."""
    return "f5.partition" not in source.values


def _clients(source: Source) -> None:
    """Account for the networks from which clients may connect, and where."""
    for virtual in source.roles.virtuals:
        item = virtual.item
        if item.text("source") in {"0.0.0.0/0", "::/0", "0.0.0.0%0/0"}:
            source.implied(item, "source", "every client may connect")
        else:
            source.given_up(item, "source", "clients are not limited to a network")
        mask = item.text("mask")
        if mask in {"any", "any6", "255.255.255.255"} or _is_host_mask(mask):
            source.implied(item, "mask", "the farm listens on one address, or on every address")
        else:
            source.given_up(item, "mask", "a farm listens on one address, or on every address")
        if item.text("ip-protocol") == "tcp":
            source.implied(item, "ip-protocol", "the virtual servers are for TCP")
        _rules(source, virtual)
    for item in source.model.of_kind("ltm virtual-address"):
        if (
            item.text("traffic-group") in {"/Common/traffic-group-1", "traffic-group-1"}
            and item.location in source.of_farm
        ):
            source.implied(item, "traffic-group", "the device's default")


def _rules(source: Source, virtual: Virtual) -> None:
    """Account for the iRules that are not in the file, and can do anything."""
    for statement in virtual.item.block("rules"):
        for word in statement.words:
            path = full_path(word.text)
            if path.rpartition("/")[2] == HTTPS_REDIRECT:
                source.account.implied(statement, "nlbgen's iRule redirects to frontend.host")
            elif path not in source.model.rules:
                source.account.not_understood(statement, f"iRule {path} is not in the file")


def _is_host_mask(mask: str) -> bool:
    try:
        address = ip_address(mask)
    except ValueError:
        return False
    return address == ip_address("255.255.255.255" if address.version == 4 else "ffff:" * 7 + "ffff")


def _snat(source: Source, virtual: Virtual) -> None:
    item = virtual.item
    kind = virtual.snat or "none"
    block = source.property(item, "source-address-translation")
    statements = [
        *(block.walk() if block else ()),
        *all_of(source.property(item, "snat")),
        *all_of(source.property(item, "snatpool")),
    ]
    pool = "".join(word.text for one in statements for word in one.words[1:2] if one.name in {"pool", "snatpool"})
    pool = "" if pool == "none" else pool
    for statement in statements:
        if pool:
            source.account.given_up(statement, f"SNAT pool {full_path(pool)}: nlbgen uses SNAT automap")
        elif kind == "automap":
            source.account.implied(statement, "SNAT automap: answers return through the device")
        else:
            source.account.given_up(statement, f"SNAT {kind}: nlbgen uses SNAT automap")


def _limit(source: Source) -> None:
    item = source.roles.main.item
    text = item.text("connection-limit")
    if text == "0":
        source.implied(item, "connection-limit", "no limit")
    elif text and (limit := number(text)) is not None:
        taken = source.values.take(
            "balancer.limits.connections", limit, *all_of(source.property(item, "connection-limit"))
        )
        source.given_up(item, "connection-limit", "nlbgen renders no connection limit for a BIG-IP")
        if taken and open_files(limit) > Limits().open_files:
            source.values.take("balancer.limits.open_files", open_files(limit))
