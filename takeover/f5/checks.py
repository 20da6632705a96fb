"""The health checks, from the monitors of the farm's pool."""

import re
from typing import Final
from urllib.parse import unquote

from ...generators.f5.pools import LONGEST_INTERVAL
from ...readers.f5 import builtin
from ...readers.f5.objects import Item, full_path
from ...readers.tree import Statement
from ...spec.model import Health
from ...spec.units import Duration
from ..values import problem_of
from . import tls
from .source import Source, all_of, number

_REQUEST: Final = re.compile(r"(?P<method>[A-Z]+)\s+(?P<path>/\S*?)(?=\s|\\r|\\n|\Z)")
_STATUS: Final = re.compile(r"(?:HTTP/\S+\s*|\A|\()([2-5][0-9]{2})(?![0-9])")
_HTTP: Final = frozenset(("ltm monitor http", "ltm monitor https"))
_ROOT: Final = "a check of / does not detect a stopped service: nlbgen uses balancer.health.path"
_TCP: Final = "nlbgen checks by HTTP: TCP checks pass while the app pool of a node is stopped"


def take(source: Source) -> None:
    """Take the monitors of the web pool."""
    paths: dict[str, list[Statement]] = {}
    items: list[Item] = []
    for name in source.roles.web.monitors:
        item = source.model.named("ltm monitor", name)
        if item is not None and item.kind in _HTTP:
            items.append(item)
            _request(source, item, paths)
        elif item is not None:
            source.account.given_up(item.statement, _TCP)
        else:
            source.account.given_up_all(all_of(source.property(source.roles.web.item, "monitor")), _built_in(name))
    _paths(source, paths)
    _selection(source, items)
    if items:
        _expect(source, items)
        _times(source, items[0])
        for other in items[1:]:
            _same(source, other, items[0])
        for item in items:
            _rest(source, item)


def _built_in(name: str) -> str:
    """Why a monitor that is not in the file has no value of a spec."""
    kind = builtin.MONITORS.get(name)
    if kind is None:
        return f"{name}: the monitor is not in the file"
    return f"{name}: {_ROOT if kind in _HTTP else _TCP}"


def _selection(source: Source, items: list[Item]) -> None:
    """Account for the property that names the monitors."""
    for number_, pool in enumerate(source.roles.pools):
        statement = source.property(pool.item, "monitor")
        for one in statement.walk() if statement else ():
            if number_:
                source.account.implied(one, "every pool has the same checks")
            elif items:
                source.account.taken(one, "balancer.health")
            if "min" in [word.text for word in one.words]:
                source.account.given_up(one, "all checks must succeed, not only some of them")


def _request(source: Source, item: Item, paths: dict[str, list[Statement]]) -> None:
    source.account.taken(item.statement, "balancer.health")
    sent = source.find(item, "send")
    found = _REQUEST.search(sent.text) if sent else None
    statements = [*all_of(sent.statement if sent else None)]
    if found is None or (found["path"] == "/" and not source.farm):
        source.account.given_up_all(statements or [item.statement], _ROOT)
        return
    if found["method"] != "GET":
        source.account.given_up_all(statements, f"{found['method']}: the checks are GET requests")
    path, key = _without_key(found["path"])
    for statement in statements if key else ():
        why = "HealthCheck.DetailsKey is a secret: add balancer.health.details_key with a reference to it"
        source.account.given_up(statement, why)
    if problem := problem_of("balancer.health.path", path):
        source.account.given_up_all(statements, f"balancer.health.path: {problem}")
        return
    paths.setdefault(path, []).extend(statements)


def _without_key(path: str) -> tuple[str, bool]:
    """The path without `detailsKey=VALUE`, and whether it had that."""
    plain, _, query = path.partition("?")
    words = query.split("&")
    kept = [word for word in words if not unquote(word).lower().startswith("detailskey")]
    return (path, False) if len(kept) == len(words) else ("?".join((plain, *(["&".join(kept)] if kept else []))), True)


def _paths(source: Source, paths: dict[str, list[Statement]]) -> None:
    if len(paths) == 1:
        for path, statements in paths.items():
            source.values.take("balancer.health.path", path, *statements)
    elif paths:
        source.values.take("balancer.health.paths", [*paths], *(one for found in paths.values() for one in found))
    if "f5-health-details-key" in source.header.missing:
        source.values.take("balancer.health.details_key.env", "NLBGEN_HEALTH_DETAILS_KEY")


def _expect(source: Source, items: list[Item]) -> None:
    """Take the status of a good answer; a text in the answer has no place."""
    expected: set[str] = set()
    for item in items:
        found = source.find(item, "recv")
        statements = all_of(found.statement if found else None)
        status = _STATUS.search(found.text) if found else None
        if status:
            expected.add(status[1])
            if len(expected) == 1:
                source.values.take("balancer.health.expect", int(status[1]), *statements)
                continue
        for statement in statements:
            if found and found.text != "none":
                source.account.given_up(statement, "a check expects one status: balancer.health.expect")


def _times(source: Source, item: Item) -> None:
    """Take interval and timeout: the timeout is `fall` intervals and one second, as nlbgen renders it."""
    found = {name: source.find(item, name) for name in ("interval", "timeout", "time-until-up")}
    statements = {name: all_of(one.statement if one else None) for name, one in found.items()}
    seconds = {name: (number(one.text) if one else None) or 0 for name, one in found.items()}
    if not seconds["interval"]:
        return
    interval = _interval(source, seconds["interval"], statements["interval"])
    timeout = source.header.marked.get("down", seconds["timeout"])
    fall = max(1, -(-(timeout - 1) // interval))
    source.values.take("balancer.health.fall", fall, *statements["timeout"])
    if fall * interval + 1 != timeout:
        source.account.given_up_all(
            statements["timeout"], f"{timeout} s become {fall * interval + 1} s: {fall} intervals and one second"
        )
    until = source.header.marked.get("up", seconds["time-until-up"])
    rise = -(-until // interval) + 1
    source.values.take("balancer.health.rise", rise, *statements["time-until-up"])
    if (rise - 1) * interval != until:
        source.account.given_up_all(
            statements["time-until-up"], f"{until} s become {(rise - 1) * interval} s, which are whole intervals"
        )


def _interval(source: Source, interval: int, statements: tuple[Statement, ...]) -> int:
    """Take the interval, and return its seconds. It is at least the limit of one check, which a device does not have.

    In a file by nlbgen, comments have the times that a BIG-IP cannot have.
    """
    values, changed = source.values, source.header.changed
    for name in ("interval", "timeout"):
        if text := changed.get(f"balancer.health.{name}"):
            values.take(f"balancer.health.{name}", text, *(statements if name == "interval" else ()))
            values.show(f"balancer.health.{name}")
    if "balancer.health.interval" in changed and "balancer.health.timeout" not in changed:
        values.take("balancer.health.timeout", f"{interval}s")
    wanted = max(values_of(source, "interval"), values_of(source, "timeout"))
    if min(wanted.seconds, LONGEST_INTERVAL) == interval and source.farm:
        for statement in statements:
            source.account.taken(statement, "balancer.health.interval")
        return wanted.seconds
    values.take("balancer.health.interval", f"{interval}s", *statements)
    if Health().timeout.seconds > interval:
        values.take("balancer.health.timeout", f"{interval}s")
    return interval


def values_of(source: Source, name: str) -> Duration:
    """A time of the health checks, as far as it is known; else its default."""
    text = source.values.get(f"balancer.health.{name}")
    default = Health().interval if name == "interval" else Health().timeout
    return Duration.of(text) if isinstance(text, str) else default


def _same(source: Source, item: Item, first: Item) -> None:
    for name in ("interval", "timeout", "time-until-up"):
        if item.text(name) == first.text(name):
            source.implied(item, name, "the value is the same for the checks of all services")
        else:
            source.given_up(item, name, f"{first.path} has another value, but a spec has one value for all checks")


def _rest(source: Source, item: Item) -> None:
    """Account for the other properties of a monitor, and take how it verifies certificates under passthrough."""
    source.implied(item, "defaults-from", "nlbgen makes a monitor with the values of the spec")
    name = item.text("ssl-profile")
    profile = source.model.named("ltm profile server-ssl", full_path(name)) if name else None
    source.implied(item, "ssl-profile", "the checks send frontend.host as SNI (TMOS 13.1 or later)")
    if profile and source.values.get("frontend.tls.mode") == "passthrough":
        source.account.taken(profile.statement, "frontend.tls.verify_nodes")
        tls.verification(source, profile)
        tls.settle(source, profile)
    destination = item.text("destination")
    if destination in {"*:*", "*.*"}:
        source.implied(item, "destination", "the checks use address and port of the node")
    else:
        source.given_up(item, "destination", f"{destination}: the checks use address and port of the node")
