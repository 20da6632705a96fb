"""The proxies of a haproxy.cfg as HAProxy runs them: with what they inherit from `defaults` and `default-server`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from ...core.errors import Location
from ..tree import Configuration, Statement, Word
from .keywords import BIND_VALUES, SERVER_VALUES

PROXIES: Final = frozenset({"frontend", "backend", "listen"})
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}


class Setting(NamedTuple):
    """A keyword of a `server` or `bind` line, with its value (None for a flag)."""

    word: Word
    value: Word | None

    @property
    def text(self) -> str:
        """The value; empty for a flag."""
        return self.value.text if self.value else ""


@dataclass(frozen=True, eq=False)
class Server:
    """A server with its own settings and those of the `default-server` lines before it; a template is one server."""

    statement: Statement
    settings: Mapping[str, Setting]

    @property
    def location(self) -> Location:
        """Where the line begins."""
        return self.statement.location

    @property
    def template(self) -> bool:
        """Whether the line is a `server-template`, which stands for several servers."""
        return self.statement.name == "server-template"

    @property
    def name(self) -> str:
        """Its name, or the prefix of a template."""
        return self.statement.arguments[0]

    @property
    def address(self) -> str:
        """The address as it is written, or the name that a template resolves."""
        return self.statement.arguments[2 if self.template else 1]

    def has(self, flag: str) -> bool:
        """Whether a flag is set, and no later `no-FLAG` removes it."""
        return flag in self.settings

    def value(self, name: str) -> str | None:
        """The value of a keyword; None if it is absent."""
        setting = self.settings.get(name)
        return setting.text if setting else None


@dataclass(frozen=True, eq=False)
class Bind:
    """An address on which a frontend listens."""

    statement: Statement
    address: Word
    settings: tuple[Setting, ...]

    @property
    def location(self) -> Location:
        """Where the line begins."""
        return self.statement.location

    def get(self, name: str) -> Setting | None:
        """The setting of this name."""
        return next((setting for setting in self.settings if setting.word.text == name), None)


@dataclass(frozen=True, eq=False)
class Proxy:
    """A frontend, a backend, or both (`listen`), with the statements of the `defaults` section that apply to it."""

    section: Statement
    inherited: tuple[Statement, ...]

    @property
    def kind(self) -> str:
        """`frontend`, `backend` or `listen`."""
        return self.section.name

    @property
    def name(self) -> str:
        """The name of the proxy; empty if it is missing."""
        return self.section.arguments[0] if self.section.arguments else ""

    @property
    def location(self) -> Location:
        """Where the section begins."""
        return self.section.location

    @property
    def is_frontend(self) -> bool:
        """Whether clients connect to it."""
        return self.kind != "backend"

    @property
    def is_backend(self) -> bool:
        """Whether it has servers, or could have."""
        return self.kind != "frontend"

    @cached_property
    def _statements(self) -> tuple[Statement, ...]:
        return (*self.inherited, *self.section.inside)

    def all(self, *words: str) -> Iterator[Statement]:
        """The statements that begin with these words: inherited ones first, then its own, in the order of the file."""
        for statement in self._by_name.get(words[0], ()):
            if tuple(word.text for word in statement.words[: len(words)]) == words:
                yield statement

    @cached_property
    def _by_name(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for statement in self._statements:
            found.setdefault(statement.name, []).append(statement)
        return found

    def last(self, *words: str) -> Statement | None:
        """The statement that wins where each one replaces the one before."""
        return _last(self.all(*words))

    def option(self, name: str) -> Statement | None:
        """The `option NAME` that is in force; None without, or after a `no option NAME`."""
        return self._options.get(name)

    @cached_property
    def _options(self) -> dict[str, Statement]:
        found: dict[str, Statement] = {}
        for statement in self._statements:
            words = statement.arguments
            if statement.name == "option" and words:
                found[words[0]] = statement
            elif statement.name == "no" and words[:1] == ("option",) and len(words) > 1:
                found.pop(words[1], None)
        return found

    @cached_property
    def mode(self) -> str:
        """`http`, `tcp` (the default) or another mode."""
        found = self.last("mode")
        return found.arguments[0] if found and found.arguments else "tcp"

    @property
    def is_http(self) -> bool:
        """Whether HAProxy reads its traffic as HTTP."""
        return self.mode == "http"

    def timeout(self, name: str) -> "Timeout | None":
        """The `timeout NAME` in force, if it has a value that HAProxy accepts."""
        found = self.last("timeout", name)
        if found is None or len(found.words) < 3:
            return None
        length = milliseconds(found.words[2].text)
        return None if length is None else Timeout(length, found.words[2])

    @cached_property
    def binds(self) -> tuple[Bind, ...]:
        """The addresses of its `bind` lines and of its section line (`listen NAME ADDRESS`)."""
        found = [
            Bind(statement, statement.words[1], _settings(statement.words[2:], BIND_VALUES))
            for statement in self.section.inside
            if statement.name == "bind" and len(statement.words) > 1
        ]
        if self.is_frontend and self.section.arguments[1:2] not in ((), ("from",)):
            found.insert(0, Bind(self.section, self.section.words[2], ()))
        return tuple(found)

    @cached_property
    def servers(self) -> tuple[Server, ...]:
        """Its servers and templates in the order of the file; none for a frontend."""
        return tuple(self._servers()) if self.is_backend else ()

    def _servers(self) -> Iterator[Server]:
        defaults: dict[str, Setting] = {}
        for statement in self._statements:
            if statement.name == "default-server":
                _merge(defaults, _settings(statement.words[1:], SERVER_VALUES))
            elif statement.name in {"server", "server-template"}:
                first = 3 if statement.name == "server" else 4
                if len(statement.words) >= first:
                    own = dict(defaults)
                    _merge(own, _settings(statement.words[first:], SERVER_VALUES))
                    yield Server(statement, own)


class Timeout(NamedTuple):
    """A timeout in milliseconds, and the word that has it."""

    milliseconds: float
    word: Word


@dataclass(frozen=True, eq=False)
class Model:
    """All proxies of a configuration, and its global section."""

    configuration: Configuration
    proxies: tuple[Proxy, ...]
    globals: tuple[Statement, ...]

    @property
    def frontends(self) -> Iterator[Proxy]:
        """The proxies to which clients connect."""
        return (proxy for proxy in self.proxies if proxy.is_frontend)

    @property
    def backends(self) -> Iterator[Proxy]:
        """The proxies that have servers."""
        return (proxy for proxy in self.proxies if proxy.is_backend and proxy.servers)

    def proxy(self, name: str) -> Proxy | None:
        """The backend of this name, as `use_backend` finds it."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Proxy]:
        return {proxy.name: proxy for proxy in reversed(self.proxies) if proxy.is_backend}

    def all_global(self, *words: str) -> Iterator[Statement]:
        """The statements of the global sections that begin with these words."""
        for statement in self.globals:
            if tuple(word.text for word in statement.words[: len(words)]) == words:
                yield statement

    def last_global(self, *words: str) -> Statement | None:
        """The last one of them."""
        return _last(self.all_global(*words))

    def targets(self, frontend: Proxy) -> "tuple[Target, ...]":
        """The backends to which a frontend sends requests; a `listen` with servers is its own last one.

        With a name that is made at run time (`use_backend %[...]`), it can be any backend.
        """
        return self._targets.get(frontend, ())

    def sources(self, backend: Proxy) -> tuple[Proxy, ...]:
        """The frontends that send requests to a backend."""
        return tuple(self._sources.get(backend, ()))

    @cached_property
    def _targets(self) -> "dict[Proxy, tuple[Target, ...]]":
        return {frontend: tuple(self._found_targets(frontend)) for frontend in self.frontends}

    @cached_property
    def _sources(self) -> dict[Proxy, list[Proxy]]:
        found: dict[Proxy, list[Proxy]] = {}
        for frontend, targets in self._targets.items():
            for backend in dict.fromkeys(target.backend for target in targets):
                found.setdefault(backend, []).append(frontend)
        return found

    def _found_targets(self, frontend: Proxy) -> "Iterator[Target]":
        selections = [*frontend.all("use_backend"), *frontend.all("default_backend")]
        known = []
        for statement in selections:
            proxy = self.proxy(statement.arguments[0]) if statement.arguments else None
            if proxy is not None:
                known.append(proxy)
                yield Target(proxy, statement)
        if dynamic := next(filter(at_run_time, selections), None):
            others = [one for one in self.backends if one.kind == "backend" and one not in known]
            yield from (Target(one, dynamic) for one in others)
        if frontend.kind == "listen" and frontend.servers:
            yield Target(frontend, frontend.section)


class Target(NamedTuple):
    """A backend of a frontend, and the statement that selects it."""

    backend: Proxy
    statement: Statement


def model(configuration: Configuration) -> Model:
    """The effective model; a section's `from NAME` selects its defaults, otherwise the last `defaults` before it."""
    proxies: list[Proxy] = []
    named: dict[str, tuple[Statement, ...]] = {}
    current: tuple[Statement, ...] = ()
    collected: list[Statement] = []
    for section in configuration.statements:
        base = _base(section, named)
        if section.name == "defaults":
            current = (*(base or ()), *section.inside)
            if section.arguments:
                named[section.arguments[0]] = current
        elif section.name in PROXIES:
            proxies.append(Proxy(section, current if base is None else base))
        elif section.name == "global":
            collected += section.inside
    return Model(configuration, tuple(proxies), tuple(collected))


def _base(section: Statement, named: Mapping[str, tuple[Statement, ...]]) -> tuple[Statement, ...] | None:
    """The statements of the section that `from NAME` names; None without it, or if there is no such section."""
    words = section.arguments
    return named.get(words[words.index("from") + 1]) if "from" in words[:-1] else None


def _settings(words: Iterable[Word], with_value: frozenset[str]) -> tuple[Setting, ...]:
    rest = iter(words)
    return tuple(Setting(word, next(rest, None) if word.text in with_value else None) for word in rest)


def _merge(into: dict[str, Setting], settings: Iterable[Setting]) -> None:
    for setting in settings:
        name = setting.word.text
        if name.startswith("no-") and name not in {"no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13"}:
            into.pop(name.removeprefix("no-"), None)
        else:
            into[name] = setting


def at_run_time(statement: Statement) -> bool:
    """Whether the name of the backend is known only at run time, or in HAProxy's environment."""
    name = statement.arguments[0] if statement.arguments else ""
    return "%[" in name or "$" in name


def _last(statements: Iterable[Statement]) -> Statement | None:
    return next(reversed([*statements]), None)


def milliseconds(text: str) -> float | None:
    """A time of HAProxy: a number of milliseconds, or with a unit; None for other texts."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(digits) :] or "ms"
    return int(digits) * _UNITS[unit] if digits.isdecimal() and unit in _UNITS else None
