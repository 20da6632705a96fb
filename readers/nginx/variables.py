"""The values that a variable can have, as far as `map`, `geo`, `split_clients` and `set` define them."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ...core.errors import Location
from .scopes import Scope

DEFINING: Final = frozenset(("map", "geo", "split_clients"))
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_MOST_VALUES: Final = 200
_LONGEST: Final = 4096
"""Characters of one value."""
_DEEPEST: Final = 50
"""Variables that are defined by each other."""
_SPECIAL: Final = frozenset(("hostnames", "volatile", "ranges", "proxy", "proxy_recursive", "delete", "include"))
"""Lines of these blocks that give no value."""
_WITH_VALUE: Final = 2


@dataclass(frozen=True, slots=True)
class Variables:
    """What the file defines; `unread` are the locations of includes that were not read."""

    blocks: Mapping[str, Scope]
    settings: Mapping[str, tuple[str, ...]]
    unread: Collection[Location] = ()
    known: dict[str, tuple[str, ...] | None] = field(default_factory=dict, compare=False, repr=False)
    """The values of variables that were already asked for."""

    @classmethod
    def of(cls, blocks: Iterable[Scope], servers: Iterable[Scope], unread: Collection[Location]) -> "Variables":
        """Collect the `blocks` of `http` that define variables, and each `set` in the `servers`."""
        settings: dict[str, list[str]] = {}
        for server in servers:
            for scope in server.walk():
                for one in scope.own("set"):
                    if len(one.arguments) == _WITH_VALUE:
                        name, value = one.arguments
                        settings.setdefault(name.removeprefix("$"), []).append(value)
        by_name = {name: tuple(values) for name, values in settings.items()}
        return cls({one.path.removeprefix("$"): one for one in blocks}, by_name, unread)

    def block(self, text: str) -> Scope | None:
        """The block that defines the variable which is the whole word."""
        found = _VARIABLE.fullmatch(text)
        return self.blocks.get(found[1] or found[2]) if found else None

    def values(self, text: str, active: tuple[str, ...] = ()) -> tuple[str, ...] | None:
        """All texts that the word can be; None if one of its variables can be anything, or for too many texts.

        `active` are the variables whose definitions lead to this word.
        """
        found = [""]
        at = 0
        for variable in _VARIABLE.finditer(text):
            values = self._values(variable[1] or variable[2], active)
            if values is None:
                return None
            literal = text[at : variable.start()]
            found = list(dict.fromkeys(one + literal + value for one in found for value in values))
            if len(found) > _MOST_VALUES or any(len(one) > _LONGEST for one in found):
                return None
            at = variable.end()
        return tuple(one + text[at:] for one in found)

    def _values(self, name: str, active: tuple[str, ...]) -> tuple[str, ...] | None:
        """All texts that a variable can be; a variable that depends on itself can be anything."""
        if name not in self.known:
            defined = None if name in active or len(active) > _DEEPEST else self._defined(name)
            values = [self.values(one, (*active, name)) for one in dict.fromkeys(defined or ())]
            texts = tuple(dict.fromkeys(text for some in values for text in some or ()))
            certain = defined is not None and None not in values and len(texts) <= _MOST_VALUES
            self.known[name] = texts if certain else None
        return self.known[name]

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
