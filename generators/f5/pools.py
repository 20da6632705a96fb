"""Nodes, pools with their members, and the monitor."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ...spec.model import Farm, Health
from ..design import Member, Pool
from .view import View
from .vocabulary import Object, Value, monitor_rule

LONGEST_INTERVAL, LONGEST_TIMEOUT, LONGEST_UP, LONGEST_RAMP = 299, 900, 1800, 900
"""Bounds of monitors and pools in AS3's schema; an interval must be less than its timeout."""
MOST_RATIO: Final = 100
UNCHECKED: Final = "unchecked"
"""The name of the pool without a monitor, which serves while the monitors of all nodes fail."""


class Times(NamedTuple):
    """The times of a monitor in seconds."""

    interval: int
    timeout: int
    until_up: int

    @classmethod
    def of(cls, checks: Health) -> "Times":
        """The times for the health checks of a spec, before the bounds of a BIG-IP.

        A monitor has no time limit for one check: its timeout runs from the last good answer. F5's rule is three
        intervals and one second; here it is `fall` intervals. An interval is at least as long as the spec's limit for
        one check, so that a slow answer arrives before the next check.
        """
        interval = max(checks.interval, checks.timeout).seconds
        return cls(interval, checks.fall * interval + 1, (checks.rise - 1) * interval)

    @property
    def bounded(self) -> "Times":
        """The nearest times that a BIG-IP accepts."""
        return Times(
            min(self.interval, LONGEST_INTERVAL), min(self.timeout, LONGEST_TIMEOUT), min(self.until_up, LONGEST_UP)
        )


def nodes(view: View) -> Iterator[Object]:
    """One node for each address of the farm: a device cannot have two."""
    for member in {other.host: other for other in reversed(view.design.members)}.values():
        yield Object(
            "ltm node", view.node_path(member), {"description": view.mark, **_address(member, autopopulate=True)}
        )


def pools(view: View) -> Iterator[Object]:
    """The pool of all requests, SignalR's own if the spec asks for it, and the one without a monitor."""
    ramp = min(view.farm.balancer.slow_start.seconds, LONGEST_RAMP)
    for pool, name in _named(view):
        rule = monitor_rule(path for _, path in _monitors(view))
        monitor: dict[str, Value] = {"monitor": rule} if name != UNCHECKED else {}
        yield view.object(
            "ltm pool",
            name,
            load_balancing_mode=_mode(view, pool),
            members={_member_name(view, member): _member(view, member) for member in view.design.members},
            min_active_members=1 if view.has_backups else 0,
            **monitor,
            service_down_action="reset",
            slow_ramp_time=0 if name == UNCHECKED else ramp,
        )


def _named(view: View) -> Iterator[tuple[Pool, str]]:
    yield view.design.web, "web"
    if view.own_signalr_pool:
        yield view.design.signalr, "signalr"
    if view.serves_all_failed:
        yield view.design.unchecked, UNCHECKED


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
    return {
        **_address(member, autopopulate=False),
        "priority-group": 10 if view.has_backups and member.state != "backup" else 0,
        "ratio": _ratio(view, member),
        "session": "user-disabled" if stopped else "user-enabled",
        "state": "user-down" if member.state == "down" else "user-up",
    }


def _ratio(view: View, member: Member) -> int:
    share = member.weight // view.design.weight_unit
    return share if view.largest_share <= MOST_RATIO else max(1, share * MOST_RATIO // view.largest_share)


def _address(member: Member, *, autopopulate: bool) -> dict[str, Value]:
    """An address, or a name that the device resolves (to one address, so that names and members match)."""
    if not member.is_name:
        return {"address": member.host.strip("[]")}
    fqdn: dict[str, Value] = {"autopopulate": "disabled"}
    if autopopulate:
        fqdn["name"] = member.host
    return {"fqdn": fqdn}


def _monitors(view: View) -> Iterator[tuple[str, str]]:
    """Yield each path of the health checks with the path of its monitor."""
    for number, path in enumerate(view.design.health_paths, 1):
        yield path, view.path(f"health_{view.monitor}" + (f"_{number}" if number > 1 else ""))


def health(view: View) -> Iterator[Object]:
    """The monitors of the pools: each requests a health endpoint over HTTP/1.1 by the farm's own name."""
    for path, name in _monitors(view):
        yield Object(f"ltm monitor {view.monitor}", name, {"description": view.mark, **_monitor(view, path)})


def _monitor(view: View, path: str) -> dict[str, Value]:
    checks = view.farm.balancer.health
    times = Times.of(checks).bounded
    send = rf"GET {path} HTTP/1.1\r\nHost: {view.design.frontend.host}\r\nConnection: Close\r\n\r\n"
    properties: dict[str, Value] = {
        "defaults-from": f"/Common/{view.monitor}",
        "interval": times.interval,
        # Without a backslash, which each syntax quotes differently.
        "recv": f"^HTTP/1.[01] {checks.expect}",
        "send": send,
        "time-until-up": times.until_up,
        "timeout": times.timeout,
    }
    if view.farm.node_tls and view.has("monitor-ssl-profile"):
        properties["ssl-profile"] = view.path("nodes")
    return properties


def clamps(farm: Farm) -> Iterator[str]:
    """One line for each value that the spec sets and a BIG-IP cannot have."""
    yield from _health_clamps(farm.balancer.health)
    slow_start = farm.balancer.slow_start
    ramp = min(slow_start.seconds, LONGEST_RAMP)
    if "slow_start" in farm.balancer.written and ramp * 1000 != int(slow_start):
        yield (
            f"balancer.slow_start is {slow_start}, but the device gets {ramp}s: a BIG-IP accepts only whole "
            f"seconds, at most {LONGEST_RAMP}."
        )


def _health_clamps(checks: Health) -> Iterator[str]:
    wanted = Times.of(checks)
    used = wanted.bounded
    if "interval" in checks.written and used.interval * 1000 != int(checks.interval):
        yield (
            f"balancer.health.interval is {checks.interval}, but the device gets {used.interval}s: a BIG-IP "
            f"accepts only whole seconds, at most {LONGEST_INTERVAL}, and the interval must not be shorter than "
            f"balancer.health.timeout ({checks.timeout})."
        )
    if "timeout" in checks.written and used.interval * 1000 != int(checks.timeout):
        yield (
            f"balancer.health.timeout is {checks.timeout}: a BIG-IP does not use this value for single checks, because "
            f"it has no time limit for one check. Instead, it marks a node down {used.timeout}s after the last good "
            "response."
        )
    if used.timeout != wanted.timeout:
        yield (
            f"A node is marked down after {used.timeout}s, not after {wanted.timeout}s: this is the maximum of a "
            "BIG-IP."
        )
    if used.until_up != wanted.until_up:
        yield (
            f"A node is marked up after {used.until_up}s, not after {wanted.until_up}s: this is the maximum of a "
            "BIG-IP."
        )
