"""Nodes, pools with their members, and the monitor."""

from collections.abc import Iterator, Mapping
from typing import Final

from ...spec.model import Farm
from ..design import Member, Pool
from .view import View
from .vocabulary import Object, Value

LONGEST_INTERVAL, LONGEST_TIMEOUT, LONGEST_UP, LONGEST_RAMP = 299, 900, 1800, 900
"""Bounds of monitors and pools in AS3's schema; an interval must be less than its timeout."""
MOST_RATIO: Final = 100


def nodes(view: View) -> Iterator[Object]:
    """One node for each address of the farm: a device cannot have two."""
    for member in {other.host: other for other in reversed(view.design.members)}.values():
        yield Object(
            "ltm node", view.node_path(member), {"description": view.mark, **_address(member, autopopulate=True)}
        )


def pools(view: View) -> Iterator[Object]:
    """The pool of all requests, and SignalR's own if the spec asks for it."""
    for pool, name in _named(view):
        yield view.object(
            "ltm pool",
            name,
            load_balancing_mode=_mode(view, pool),
            members={_member_name(view, member): _member(view, member) for member in view.design.members},
            min_active_members=1 if any(member.state == "backup" for member in view.design.members) else 0,
            monitor=view.path(f"health_{view.monitor}"),
            service_down_action="reset",
            slow_ramp_time=min(view.farm.balancer.slow_start.seconds, LONGEST_RAMP),
        )


def _named(view: View) -> Iterator[tuple[Pool, str]]:
    yield view.design.web, "web"
    if view.own_signalr_pool:
        yield view.design.signalr, "signalr"


def _mode(view: View, pool: Pool) -> str:
    ratio = len({member.weight for member in view.design.members}) > 1
    if pool.algorithm == "round-robin":
        return "ratio-member" if ratio else "round-robin"
    return "ratio-least-connections-member" if ratio else "least-connections-member"


def _member_name(view: View, member: Member) -> str:
    path = view.node_path(member)
    # After an address with colons the port follows a dot.
    return f"{path}{'.' if ':' in path else ':'}{member.port}"


def _member(view: View, member: Member) -> Mapping[str, Value]:
    stopped = member.state in {"drain", "down"}
    backups = any(other.state == "backup" for other in view.design.members)
    return {
        **_address(member, autopopulate=False),
        "priority-group": 10 if backups and member.state != "backup" else 0,
        "ratio": _ratio(view, member),
        "session": "user-disabled" if stopped else "user-enabled",
        "state": "user-down" if member.state == "down" else "user-up",
    }


def _ratio(view: View, member: Member) -> int:
    shares = [other.weight // view.design.weight_unit for other in view.design.members]
    share = member.weight // view.design.weight_unit
    return share if max(shares) <= MOST_RATIO else max(1, share * MOST_RATIO // max(shares))


def _address(member: Member, *, autopopulate: bool) -> dict[str, Value]:
    """An address, or a name that the device resolves (to one address, so that names and members match)."""
    if not member.is_name:
        return {"address": member.host.strip("[]")}
    fqdn: dict[str, Value] = {"autopopulate": "disabled"}
    if autopopulate:
        fqdn["name"] = member.host
    return {"fqdn": fqdn}


def health(view: View) -> Iterator[Object]:
    """The monitor of both pools: it requests the health endpoint over HTTP/1.1 by the farm's own name."""
    checks, design = view.farm.balancer.health, view.design
    interval = min(checks.interval.seconds, LONGEST_INTERVAL)
    send = rf"GET {design.health_path} HTTP/1.1\r\nHost: {design.frontend.host}\r\nConnection: Close\r\n\r\n"
    properties: dict[str, Value] = {
        "defaults_from": f"/Common/{view.monitor}",
        "interval": interval,
        # Without a backslash, which each syntax quotes differently.
        "recv": f"^HTTP/1.[01] {checks.expect}",
        "send": send,
        "time_until_up": min((checks.rise - 1) * interval, LONGEST_UP),
        # It runs from the last good answer, so the last of `fall` checks has its full timeout too.
        "timeout": min(checks.fall * interval + checks.timeout.seconds, LONGEST_TIMEOUT),
    }
    if view.farm.node_tls and view.has("monitor-ssl-profile"):
        properties["ssl_profile"] = view.path("nodes")
    yield view.object(f"ltm monitor {view.monitor}", f"health_{view.monitor}", **properties)


def clamps(farm: Farm) -> Iterator[str]:
    """One line for each value that the spec sets and a BIG-IP cannot have."""
    checks = farm.balancer.health
    written = {f"balancer.{key}" for key in farm.balancer.written}
    written |= {f"balancer.health.{key}" for key in checks.written}
    for key, wanted, longest in (
        ("balancer.health.interval", checks.interval, LONGEST_INTERVAL),
        ("balancer.health.timeout", checks.timeout, LONGEST_TIMEOUT),
        ("balancer.slow_start", farm.balancer.slow_start, LONGEST_RAMP),
    ):
        used = min(wanted.seconds, longest)
        if key in written and used * 1000 != int(wanted):
            yield f"{key} is {wanted}, and becomes {used}s: a BIG-IP has whole seconds, at most {longest}."
    interval = min(checks.interval.seconds, LONGEST_INTERVAL)
    down, up = checks.fall * interval + checks.timeout.seconds, (checks.rise - 1) * interval
    if down > LONGEST_TIMEOUT:
        yield f"A node is marked down after {LONGEST_TIMEOUT}s, not after {down}s: this is the maximum of a BIG-IP."
    if up > LONGEST_UP:
        yield f"A node is marked up after {LONGEST_UP}s, not after {up}s: this is the maximum of a BIG-IP."
