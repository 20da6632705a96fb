"""A haproxy.cfg that is taken over: its model, the parts that belong to the farm, and what was found so far."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ...core.errors import Location
from ...readers.haproxy.conditions import acls, condition
from ...readers.haproxy.keywords import SERVER_VALUES
from ...readers.haproxy.model import Model, Proxy, Server, Setting, milliseconds
from ...readers.tree import Configuration, Statement
from ...spec.units import Duration
from ..account import Account
from ..values import Values

_HEADER: Final = re.compile(r"HAProxy ([0-9.]+) for the farm ([A-Za-z0-9_-]+)")
_OPEN_FILES: Final = re.compile(r"([0-9]{1,9}) open files\.")
_LIVE_PATH: Final = re.compile(r"signalr|/hubs?\b|websocket", re.IGNORECASE)
UPGRADE: Final = re.compile(r"(req\.)?f?hdr(_[a-z]+)?\((upgrade|connection)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """The proxies that belong to the farm."""

    main: Proxy
    """Where robots and people connect."""
    web: Proxy
    """The pool of all requests that no other pool gets."""
    live: Proxy | None
    """The pool of SignalR and WebSockets, if it has one of its own."""
    spare: tuple[Proxy, ...]
    """Further pools with the same servers."""
    redirects: tuple[Proxy, ...]
    statistics: Proxy | None
    others: tuple[Proxy, ...]

    @property
    def pools(self) -> tuple[Proxy, ...]:
        """The pools with the farm's nodes, the web pool first."""
        return (self.web, *([self.live] if self.live else []), *self.spare)


class Source:
    """The model with the account and the values that come out of it."""

    def __init__(self, model: Model, account: Account, values: Values, roles: Roles) -> None:
        self.model: Final = model
        self.account: Final = account
        self.values: Final = values
        self.roles: Final = roles
        self.members: tuple[Server, ...] = ()
        """The servers that are nodes of the spec, in its order."""

    @cached_property
    def made_by_nlbgen(self) -> tuple[str, str] | None:
        """The version of HAProxy and the farm in the header of a file by nlbgen; None for other files."""
        return header_of(self.model.configuration)

    @cached_property
    def open_files(self) -> int | None:
        """The limit of open files in a comment of nlbgen's own file."""
        found = (_OPEN_FILES.match(one.text) for one in self.model.configuration.comments)
        return next((int(one[1]) for one in found if one), None) if self.made_by_nlbgen else None

    @cached_property
    def _by_line(self) -> dict[tuple[str, int], Statement]:
        return {(one.location.file, one.location.line): one for one in self.model.configuration.walk()}

    def at(self, location: Location) -> Statement:
        """The statement of a word."""
        return self._by_line[location.file, location.line]

    def duration(self, path: str, text: str, *statements: Statement) -> None:
        """Take a time of HAProxy."""
        length = milliseconds(text)
        if length is None or length != int(length):
            self.account.given_up_all(statements, f"{path}: {text} is not a whole number of milliseconds")
        else:
            self.values.take(path, str(Duration(int(length))), *statements)

    def timeout(self, proxy: Proxy, name: str, path: str) -> None:
        """Take the `timeout NAME` that is in force in a proxy."""
        if found := proxy.timeout(name):
            self.duration(path, found.word.text, self.at(found.word.location))

    def number(self, path: str, text: str, *statements: Statement) -> None:
        """Take a whole number."""
        if text.isascii() and text.isdecimal() and len(text) < 10:
            self.values.take(path, int(text), *statements)
        else:
            self.account.given_up_all(statements, f"{path}: {text} is not a whole number")


def header_of(configuration: Configuration) -> tuple[str, str] | None:
    """The version of HAProxy and the farm in the header of a file by nlbgen; None for other files."""
    first = configuration.comments[:1]
    found = _HEADER.fullmatch(first[0].text) if first and first[0].location.line == 1 else None
    return (found[1], found[2]) if found else None


def roles_of(model: Model, farm: str) -> Roles | None:
    """The proxies of the farm: the frontend named like the farm, otherwise that with the most servers.

    None if no frontend has servers.
    """
    candidates = [one for one in model.frontends if _servers(model, one)]
    if not candidates:
        return None
    main = max(candidates, key=lambda one: (one.name == farm, _is_web(one), len(_servers(model, one))))
    pools = list(dict.fromkeys(target.backend for target in model.targets(main) if target.backend.servers))
    selected = _live(model, main)
    web = _web(model, main, pools, selected)
    live = next((one for one in pools if one is not web and one in selected), None)
    addresses = {one.address for one in web.servers}
    used = {web, live}
    spare = [one for one in pools if one not in used and {server.address for server in one.servers} <= addresses]
    used.update((main, *spare))
    rest = [one for one in model.proxies if one not in used]
    redirects = tuple(one for one in rest if one.is_frontend and redirects_of(one) and not _servers(model, one))
    statistics = next((one for one in rest if _is_statistics(one)), None)
    used.update((*redirects, statistics))
    others = tuple(one for one in rest if one not in used)
    return Roles(main, web, live, tuple(spare), redirects, statistics, others)


def _servers(model: Model, frontend: Proxy) -> frozenset[str]:
    return frozenset(server.address for target in model.targets(frontend) for server in target.backend.servers)


def _is_web(proxy: Proxy) -> bool:
    return proxy.is_http or any(bind.address.text.endswith(":443") for bind in proxy.binds)


def _web(model: Model, main: Proxy, pools: list[Proxy], live: set[Proxy]) -> Proxy:
    """The default backend; else the first one that is not for live connections."""
    default = [one.backend for one in model.targets(main) if one.statement.name != "use_backend"]
    known = [one for one in default if one in pools]
    plain = [one for one in pools if one not in live]
    return [*known, *plain, *pools][0]


def _live(model: Model, main: Proxy) -> set[Proxy]:
    """The backends that a condition about SignalR's paths or WebSockets selects."""
    found = set()
    known = acls(main)
    for target in model.targets(main):
        where = condition(target.statement, known) if target.statement.name == "use_backend" else None
        tests = [*where.tests] if where else []
        if any(UPGRADE.match(one.fetch) or any(map(_LIVE_PATH.search, one.values)) for one in tests):
            found.add(target.backend)
    return found


def names_in(statement: Statement) -> set[str]:
    """The names of the ACLs in the condition of a statement."""
    where = condition(statement, {})
    return {term.name for terms in (where.alternatives if where else ()) for term in terms if term.name}


def selects_farm(source: Source, statement: Statement) -> bool:
    """Whether a `use_backend` names a pool of the farm."""
    return bool(statement.arguments) and source.model.proxy(statement.arguments[0]) in source.roles.pools


def redirects_of(proxy: Proxy) -> tuple[Statement, ...]:
    """The statements that redirect to https."""
    found = [*proxy.all("redirect"), *proxy.all("http-request", "redirect")]
    return tuple(one for one in found if any(word.startswith(("https", "code")) for word in one.arguments))


def _is_statistics(proxy: Proxy) -> bool:
    words = [*proxy.all("stats"), *proxy.all("http-request", "use-service", "prometheus-exporter")]
    return proxy.is_frontend and not proxy.servers and any(one in proxy.section.inside for one in words)


def settings_of(statement: Statement) -> Iterator[Setting]:
    """The settings of a `server`, `server-template` or `default-server` line, as that line writes them."""
    first = {"server": 3, "server-template": 4}.get(statement.name, 1)
    rest = iter(statement.words[first:])
    return (Setting(word, next(rest, None) if word.text in SERVER_VALUES else None) for word in rest)
