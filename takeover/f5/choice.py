"""The virtual server of the farm among those of a device, and the objects that belong to it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ...core.errors import UsageError
from ...core.wording import legible
from ...readers.f5.endpoints import Endpoint
from ...readers.f5.model import Model, Pool, Virtual
from ...readers.f5.objects import Item, full_path
from ...readers.tree import Statement
from .scan import Clause, clauses_of_policies, clauses_of_rule

MARK: Final = "nlbgen:"
"""How the description of an object begins that nlbgen made; the farm's name follows."""
_LOOKS: Final = re.compile(r"uipath|orchestrator|/api/(?:status|health)\b|/signalr|/odata", re.IGNORECASE)
_WEB_PORTS: Final = frozenset((80, 443, 8080, 8443))
_HTTP_PORT: Final = 80
REDIRECT: Final = re.compile(r"(?:HTTP::redirect|HTTP::respond\s.*\bLocation)\b.*https:", re.IGNORECASE)
HTTPS_REDIRECT: Final = "_sys_https_redirect"
"""The iRule for redirects that every device has."""
_MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class Roles:
    """The objects that belong to the farm."""

    main: Virtual
    """Where robots and people connect."""
    twins: tuple[Virtual, ...]
    """The same virtual server at another address."""
    redirects: tuple[Virtual, ...]
    web: Pool
    """The pool of all requests that no other pool gets."""
    live: Pool | None
    """The pool of SignalR, if it has one of its own."""
    spare: tuple[Pool, ...]
    """Further pools with the same nodes."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools with the farm's nodes, the web pool first."""
        return (self.web, *([self.live] if self.live else []), *self.spare)

    @property
    def virtuals(self) -> tuple[Virtual, ...]:
        """All virtual servers of the farm."""
        return (self.main, *self.twins, *self.redirects)


def farm_of(item: Item) -> str:
    """The farm whose mark an object has; empty for an object that nlbgen did not make."""
    text = item.text("description")
    return text.removeprefix(MARK) if text.startswith(MARK) else ""


def choose(model: Model, source: str, name: str) -> Virtual:
    """The virtual server of this name; without one, that of nlbgen's own farm, or the one that looks like a farm's.

    Raises UsageError if there is none, or if several could be it.
    """
    candidates = [one for one in model.virtuals if _has_members(model, one) and one.item.text("ip-protocol") != "udp"]
    if name:
        found = [one for one in candidates if name in {one.item.path, one.item.path.rpartition("/")[2]}]
        if len(found) == 1:
            return found[0]
        reason = f"no virtual server {name} has a pool with members"
        if found:
            reason = f"several virtual servers are named {name}"
        raise UsageError(f"{source}: {reason}", f"give one of these names:\n{_listed(model, found or candidates)}")
    if not candidates:
        hint = (
            "give the file with the virtual server and the pool of the farm: bigip.conf, UCS, or a declaration of AS3"
        )
        raise UsageError(f"{source}: no virtual server has a pool with members", hint)
    found = _likely(model, candidates)
    if len(found) > 1:
        what = f"{len(found)} virtual servers could be the farm's"
        raise UsageError(f"{source}: {what}", f"choose one with --frontend NAME\n{_listed(model, found)}")
    return found[0]


def _likely(model: Model, candidates: list[Virtual]) -> list[Virtual]:
    """The candidates that remain after each test that at least one of them passes."""
    tests = (
        lambda one: one.enabled,
        lambda one: one.item.path.endswith("_main") and bool(farm_of(one.item)),
        _is_web,
        lambda one: not redirects(model, one),
        lambda one: bool(_LOOKS.search(_evidence(model, one))),
    )
    for test in tests:
        candidates = [one for one in candidates if test(one)] or candidates
    if len({_address(one.destination) for one in candidates}) == 1:
        candidates = [one for one in candidates if one.of_kind("client-ssl")] or candidates
    return candidates


def _listed(model: Model, virtuals: Iterable[Virtual]) -> str:
    lines = []
    for one in virtuals:
        pool = next((path for path in (*one.pools, *one.rule_pools) if path in model.pools), "")
        count = len(model.pools[pool].members) if pool else 0
        where = f"{one.item.location}: {one.item.path} {one.item.text('destination')}"
        lines.append(legible(f"    {where}, pool {pool}, members: {count}"))
    rest = [f"    and {len(lines) - _MOST_SHOWN} more"] if len(lines) > _MOST_SHOWN else []
    return "\n".join((*lines[:_MOST_SHOWN], *rest))


def _has_members(model: Model, virtual: Virtual) -> bool:
    return any(model.pools[path].members for path in (*virtual.pools, *virtual.rule_pools) if path in model.pools)


def _is_web(virtual: Virtual) -> bool:
    http = virtual.of_kind("http") or virtual.of_kind("client-ssl")
    return bool(http) or virtual.destination.port in _WEB_PORTS


def _evidence(model: Model, virtual: Virtual) -> str:
    """The texts in which a farm of Orchestrator shows itself: names, descriptions, checks, conditions."""
    found = [virtual.item.path, virtual.item.text("description")]
    for path in (*virtual.pools, *virtual.rule_pools):
        if pool := model.pools.get(path):
            found += [path, pool.item.text("description"), *(one.endpoint.host for one in pool.members)]
            monitors = (model.named("ltm monitor", one) for one in pool.monitors)
            found += [model.effective(one, "send") or "" for one in monitors if one]
    found += [profile.path for profile in virtual.of_kind("client-ssl")]
    found += [model.rules.get(path, "") for path in virtual.rules]
    found += [
        path
        for clause in clauses_of_policies(model, virtual)
        for path in (*(one for one, _ in clause.paths), *clause.hosts)
    ]
    return "\n".join(found)


def redirects(model: Model, virtual: Virtual) -> bool:
    """Whether an iRule or a policy of a virtual server redirects to https."""
    if any(path.endswith(f"/{HTTPS_REDIRECT}") or REDIRECT.search(model.rules.get(path, "")) for path in virtual.rules):
        return True
    policies = (model.items.get(("ltm policy", full_path(one.name))) for one in virtual.item.entries("policies"))
    return any(
        "redirect" in words and any(word.startswith(("https:", "tcl:https:")) for word in words)
        for policy in policies
        if policy
        for words in ([word.text for one in policy.statement.walk() for word in one.words],)
    )


def roles_of(model: Model, main: Virtual, rules: dict[str, tuple[Statement, ...]]) -> Roles:
    """The roles of the objects around the chosen virtual server; `rules` are the lines of its iRules."""
    names = [path for path in (*main.pools, *main.rule_pools) if path in model.pools and model.pools[path].members]
    pools = [model.pools[path] for path in names]
    clauses = [*clauses_of_policies(model, main), *_of_rules(main, rules)]
    chosen = {clause.pool for clause in clauses if clause.live}
    own = full_path(main.item.text("pool")) if main.item.text("pool") else ""
    web = next((one for one in pools if one.item.path == own), None)
    web = web or next((one for one in pools if one.item.path not in chosen), pools[0])
    nodes = _addresses(web)
    farm = farm_of(main.item)
    if farm:
        chosen = {f"{main.item.path.removesuffix('_main')}_signalr"}
    live = next((one for one in pools if one is not web and one.item.path in chosen), None)
    spare = tuple(one for one in pools if one not in (web, live) and _addresses(one) <= nodes)
    others = [one for one in model.virtuals if one is not main]
    twins = tuple(one for one in others if farm and one.item.path == f"{main.item.path}_v6" and one.pools == main.pools)
    hosts = {_address(one.destination) for one in (main, *twins)}
    to_https = tuple(
        one
        for one in others
        if _address(one.destination) in hosts
        and one.destination.port == _HTTP_PORT != main.destination.port
        and redirects(model, one)
    )
    return Roles(main, twins, to_https, web, live, spare)


def _of_rules(main: Virtual, rules: dict[str, tuple[Statement, ...]]) -> Iterator[Clause]:
    for path in main.rules:
        yield from clauses_of_rule(rules.get(path, ()))


def _address(destination: Endpoint) -> tuple[str, str]:
    """The address with its route domain; 0 is the default one."""
    return destination.host, destination.route_domain or "0"


def _addresses(pool: Pool) -> set[tuple[str, str]]:
    return {(one.address, one.endpoint.host if not one.address else "") for one in pool.members}
