"""The algorithm, the affinity, SignalR's paths, the timeouts and the limits."""

import re
from typing import Final

from ...generators.f5.profiles import LONGEST_IDLE
from ...readers.f5.objects import block_of, full_path
from ...readers.tree import Statement
from ...spec.units import Duration, Size
from ..shared import take_page
from .header import LONG_IDLE, UPLOADS
from .hosts import clauses
from .outline import text_of
from .scan import policy_rules
from .source import Source, all_of, number

_LIMIT: Final = re.compile(
    r"(?:Content-Length\"?\]|\$\w*(?:length|size)\w*) >(?P<equal>=?) \"?(?P<bytes>[0-9]{1,12})\b", re.IGNORECASE
)
_PAGE: Final = re.compile(
    r"HTTP::respond 503 content \{(?P<page>.*<h1>Maintenance</h1><p>.*</p>.*)\"Retry-After\" \"(?P<seconds>[0-9]+)\""
)
_LOWEST: Final = "the affinity has no timeout: a cookie lasts as long as the browser's session"


def take(source: Source) -> None:
    """Take how requests are distributed and limited."""
    _algorithm(source)
    _affinity(source)
    _signalr(source)
    _idle(source)
    _slow_start(source)
    _uploads(source)
    if "f5-queue" in source.header.missing:
        source.values.take("balancer.timeouts.queue", "30s")
        source.values.show("balancer.timeouts.queue")


def _algorithm(source: Source) -> None:
    item = source.roles.web.item
    mode = item.text("load-balancing-mode") or "round-robin"
    statements = all_of(source.property(item, "load-balancing-mode"))
    connections = any(word in mode for word in ("least", "observed", "predictive", "fastest"))
    source.values.take("balancer.algorithm", "least-connections" if connections else "round-robin", *statements)
    if mode.startswith(("observed", "predictive", "fastest", "dynamic", "weighted", "least-sessions")):
        source.account.given_up_all(
            statements, f"{mode}: balancer.algorithm can only be round-robin, least-connections or source"
        )
    for pool in source.roles.pools[1:]:
        if (pool.item.text("load-balancing-mode") or "round-robin") == mode:
            source.implied(pool.item, "load-balancing-mode", "the algorithm is the same for every pool")
        else:
            source.given_up(pool.item, "load-balancing-mode", "the algorithm is the same for every pool")


# Affinity.


def _affinity(source: Source) -> None:
    main = source.roles.main
    on_paths = [one for one in _policy_statements(source) if one.name == "cookie-insert"]
    kinds = [(path, _persistence(source, path)) for path in main.persistence]
    block, fallback = source.property(main.item, "persist"), source.property(main.item, "fallback-persistence")
    statements = [*(block.walk() if block else ()), *all_of(fallback)]
    kind = next((kind for _, kind in kinds if kind in {"cookie", "source"}), "none")
    if on_paths:
        hashed = kind == "source"
        source.values.take("balancer.affinity", "signalr", *on_paths, *(() if hashed else statements))
        if hashed:
            source.values.take("balancer.algorithm", "source", *statements)
    else:
        source.values.take("balancer.affinity", kind, *(() if kind == "none" else statements))
    for number_, (path, found) in enumerate(kinds):
        why = "" if found == kind else f"{path}: a client stays on its node by cookie or source address"
        if number_ and kinds[0][1] == kind:
            why = f"{path}: nlbgen renders no fallback persistence"
        for statement in statements if why else ():
            if any(full_path(word.text) == path for word in statement.words):
                source.account.given_up(statement, why)
        _settings(source, path)


def _policy_statements(source: Source) -> list[Statement]:
    """The statements in the actions of the policies."""
    rules = policy_rules(source.model, source.roles.main)
    return [one for rule in rules for action in block_of(rule, "actions") for one in action.walk()]


def _persistence(source: Source, path: str) -> str:
    item = source.model.named("ltm persistence", path)
    kind = item.kind.rpartition(" ")[2] if item else path.rpartition("/")[2]
    return {"cookie": "cookie", "source-addr": "source", "source_addr": "source"}.get(kind, kind)


def _settings(source: Source, path: str) -> None:
    """Account for the properties of a persistence profile."""
    item = source.model.named("ltm persistence", path)
    if item is None:
        return
    if _persistence(source, path) not in {"cookie", "source"}:
        return
    source.account.taken(item.statement, "balancer.affinity")
    source.implied(item, "defaults-from", "nlbgen makes a persistence profile of the spec's affinity")
    method = item.text("method")
    if method in {"", "insert"}:
        source.implied(item, "method", "the balancer inserts a cookie")
    else:
        source.given_up(item, "method", f"{method}: the balancer inserts its own cookie, NLBID")
    if item.text("cookie-name") == "NLBID":
        source.implied(item, "cookie-name", "nlbgen's cookie is NLBID")
    else:
        source.given_up(
            item, "cookie-name", "the balancer's cookie is NLBID: clients lose their affinity once, at the change"
        )
    for name in ("timeout", "expiration"):
        if item.text(name) in {"0", "session-cookie"}:
            source.implied(item, name, _LOWEST)
        else:
            source.given_up(item, name, _LOWEST)
    source.implied(item, "hash-algorithm", "nlbgen hashes the source address, without a table")
    if source.values.get("frontend.tls.mode") == "none":
        source.implied(item, "secure", "without TLS, the cookie is not Secure")


# SignalR.


def _signalr(source: Source) -> None:
    """Take the paths by which policies and iRules select the pool for SignalR."""
    live = source.roles.live
    paths: list[tuple[str, Statement]] = []
    for clause in clauses(source):
        if live is None or clause.pool != live.item.path:
            continue
        for statement in all_of(clause.action) if clause.prefix else ():
            source.account.taken(statement, "balancer.signalr.paths")
        for path, statement in clause.paths:
            if clause.prefix and (source.farm or path not in [one for one, _ in paths]):
                paths.append((path, statement))
            elif not clause.prefix:
                source.account.given_up(statement, "balancer.signalr.paths supports only prefixes")
    if paths:
        source.values.take(
            "balancer.signalr.paths", [path for path, _ in paths], *dict.fromkeys(one for _, one in paths)
        )
        if source.farm:
            source.values.show("balancer.signalr.paths")
            _policies(source)


def _policies(source: Source) -> None:
    """Account for nlbgen's own policy."""
    for used in source.roles.main.item.entries("policies"):
        source.account.taken(used, "balancer.signalr.paths")


# Times and limits.


def _idle(source: Source) -> None:
    """Take the idle timeout: the shorter one of both sides, because either one closes a WebSocket."""
    found: list[tuple[int, tuple[Statement, ...]]] = []
    for profile in (*source.roles.main.of_kind("tcp"), *source.roles.main.of_kind("fastl4")):
        timeout = source.find_in(profile, "idle-timeout")
        seconds = number(timeout.text) if timeout else None
        if seconds is not None and timeout:
            found.append((seconds, all_of(timeout.statement)))
        elif timeout and timeout.statement:
            source.account.given_up(timeout.statement, f"{timeout.text}: nlbgen always sets an idle timeout")
    if not found:
        return
    least = min(seconds for seconds, _ in found)
    statements = dict.fromkeys(one for seconds, many in found if seconds == least for one in many)
    longer = least == LONGEST_IDLE and LONG_IDLE in source.header.notes
    text = str(Duration((least + 3600 * longer) * 1000))
    source.values.take("balancer.signalr.idle_timeout", text, *statements)
    for seconds, many in found:
        if seconds != least:
            source.account.given_up_all(many, f"the other side closes idle connections after {least} s")


def _slow_start(source: Source) -> None:
    item = source.roles.web.item
    statements = all_of(source.property(item, "slow-ramp-time"))
    text = source.header.changed.get("balancer.slow_start")
    if text:
        source.values.take("balancer.slow_start", text, *statements)
        source.values.show("balancer.slow_start")
    else:
        source.seconds("balancer.slow_start", item.text("slow-ramp-time") or "10", *(statements or (item.statement,)))
    for pool in source.roles.pools[1:]:
        source.implied(pool.item, "slow-ramp-time", "the value is the same for every pool with checks")


def _uploads(source: Source) -> None:
    for rule in source.roles.main.rules:
        for line in source.lines(rule):
            if found := _LIMIT.search(text_of(line)):
                source.values.take("balancer.max_body", str(Size(int(found["bytes"]) - bool(found["equal"]))), line)
    if UPLOADS in source.header.notes:
        source.values.take("balancer.max_body", "300MB")
        source.values.show("balancer.max_body")


def take_maintenance(source: Source) -> None:
    """Take the state of nlbgen's own file: closed with a page, or with a limit of new robots."""
    for rule in source.roles.main.rules if source.farm else ():
        for line in source.lines(rule):
            if found := _PAGE.search(text_of(line)):
                take_page(source.values, found["page"], line)
                source.seconds("balancer.maintenance.retry_after", found["seconds"], line)
    if "f5-gradual-release" in source.header.missing:
        source.values.take("balancer.maintenance.state", "releasing")


def take_all_failed(source: Source) -> None:
    """Take that nlbgen's own objects do not serve while all checks fail."""
    if not source.farm:
        return
    pools = [one for one in source.roles.spare if not one.monitors]
    if pools:
        for pool in pools:
            source.account.taken(pool.item.statement, "balancer.health.all_failed")
    else:
        source.values.take("balancer.health.all_failed", "refuse")
