"""The values that both configurations have, by the keys of the spec: timeouts, TLS, checks, affinity, limits."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, get_args

from ..core.errors import Location
from ..spec.schema import reads_of, without_none
from ..takeover.values import Plain, Value, Values, entry_of

ABSENT: Final = "not set"
DEFAULT: Final = " (default)"
"""Ends a value that the file does not have, and that the program uses by itself."""
NO_VALUE: Final = "no value"
"""The file has none, or none that the spec can express: then its statement is listed as given up."""
_OTHER: Final = re.compile(r"(version|farm|accept|orchestrator|stores|haproxy|nginx|zen)(\.|\Z)|nodes\[")
"""Keys that no configuration of a load balancer has, or that do not change its behaviour; nodes have their own part."""
_CALCULATED: Final = frozenset({"balancer.limits.open_files"})
"""Values that an import calculates if the file does not have them."""


class Difference(NamedTuple):
    """A value that differs: its name, the two values as text, what it means, and where today's value stands."""

    name: str
    today: str
    then: str
    meaning: str
    locations: tuple[Location, ...] = ()


_BY_MODE: Final[Mapping[str, tuple[str, str]]] = {
    "frontend.port": ("443", "80"),
    "frontend.redirect_http": ("true", "false"),
}
"""Keys that an import leaves out if they have their default: the one with TLS, and the one without."""
_LEFT_OUT: Final = {
    "frontend.windows_sign_in": "false",
    "balancer.maintenance.state": str(entry_of("balancer.maintenance.state").default),
}
"""Other keys that an import leaves out if they have their default."""


def is_same(one: str, other: str) -> bool:
    """Whether two values mean the same; a default and a written value can."""
    return one.removesuffix(DEFAULT) == other.removesuffix(DEFAULT)


def differences(today: Values, then: Values, in_force: Mapping[str, str]) -> Iterator[Difference]:
    """Yield the values that differ, in the order of the spec's keys, except those of nodes.

    `in_force` has what today's program does for keys that an import leaves out.
    """
    before, after = dict(today.in_order()), dict(then.in_order())
    for path in Values.ordered({*before, *after, *_BY_MODE}):
        if _OTHER.match(path) or (path in _CALCULATED and not _is_written(before.get(path))):
            continue
        old, new = _text(path, before, in_force), _text(path, after, {})
        if not is_same(old, new):
            value = before.get(path)
            locations = tuple(one.location for one in value.statements) if value else ()
            yield Difference(path, old, new, entry_of(path).description, locations)


def _is_written(value: Value | None) -> bool:
    return value is not None and bool(value.statements)


def _text(path: str, found: Mapping[str, Value], in_force: Mapping[str, str]) -> str:
    """The value as the spec writes it; for a key that an import leaves out if it has its default, the default."""
    if value := found.get(path):
        return written(path, value.plain)
    mode = found.get("frontend.tls.mode")
    if path in _BY_MODE and mode is not None:
        return _BY_MODE[path][mode.plain == "none"]
    return _LEFT_OUT.get(path) or in_force.get(path, NO_VALUE)


def written(path: str, plain: Plain) -> str:
    """The value with the unit that the spec writes: `60s` and `1m` are the same text."""
    kind, _ = without_none(entry_of(path).kind)
    if isinstance(plain, list):
        return ", ".join(str(reads_of(get_args(kind)[0]).parse(one)) for one in plain)
    parsed = reads_of(kind).parse(plain)
    return str(parsed).lower() if isinstance(parsed, bool) else str(parsed)
