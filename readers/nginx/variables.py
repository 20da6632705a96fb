"""The values that a variable can have, as far as `map`, `geo`, `split_clients` and `set` define them."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ...core.errors import Location
from .scopes import Scope

DEFINING: Final = frozenset(("map", "geo", "split_clients"))
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_MOST_VALUES: Final = 200
_SPECIAL: Final = frozenset(("hostnames", "volatile", "ranges", "proxy", "proxy_recursive", "delete", "include"))
"""Lines of these blocks that give no value."""
_WITH_VALUE: Final = 2


@dataclass(frozen=True, slots=True)
class Variables:
    """What the file defines; `unread` are the locations of includes that were not read."""

    blocks: Mapping[str, Scope]
    settings: Mapping[str, tuple[str, ...]]
    unread: Collection[Location] = ()

    @classmethod
    def of(cls, blocks: Iterable[Scope], servers: Iterable[Scope], unread: Collection[Location]) -> "Variables":
        """Collect the `blocks` of `http` that define variables, and each `set` in the `servers`."""
        settings: dict[str, tuple[str, ...]] = {}
        for server in servers:
            for scope in server.walk():
                for one in scope.own("set"):
                    if len(one.arguments) == _WITH_VALUE:
                        name, value = one.arguments
                        name = name.removeprefix("$")
                        settings[name] = (*settings.get(name, ()), value)
        return cls({one.path.removeprefix("$"): one for one in blocks}, settings, unread)

    def block(self, text: str) -> Scope | None:
        """The block that defines the variable which is the whole word."""
        found = _VARIABLE.fullmatch(text)
        return self.blocks.get(found[1] or found[2]) if found else None

    def values(self, text: str, active: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
        """All texts that the word can be; None if one of its variables can be anything."""
        found = _VARIABLE.search(text)
        if found is None:
            return (text,)
        name = found[1] or found[2]
        defined = None if name in active else self._defined(name)
        if defined is None:
            return None
        before, after = text[: found.start()], text[found.end() :]
        values: dict[str, None] = {}
        for one in defined:
            for value in (inner := self.values(one, active | {name})) or ():
                rest = self.values(before + value + after, active)
                if rest is None:
                    return None
                values.update(dict.fromkeys(rest))
            if inner is None or len(values) > _MOST_VALUES:
                return None
        return tuple(values)

    def _defined(self, name: str) -> tuple[str, ...] | None:
        """The words that define a variable; None if the file does not have all of them."""
        if name in self.settings:
            return self.settings[name]
        scope = self.blocks.get(name)
        if scope is None or any(one.location in self.unread for one in scope.own("include")):
            return None
        lines = [one for group in scope.own_by_name.values() for one in group if one.name not in _SPECIAL]
        values = [one.arguments[0] for one in lines if one.arguments]
        has_default = "default" in scope.own_by_name or scope.kind == "split_clients"
        return tuple(values) if has_default else (*values, "")
