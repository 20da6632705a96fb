"""Read, compare and merge connection strings of SqlClient.

Source: `SqlConnectionStringBuilder` and `SqlConnectionString`: each key is a keyword or one of its synonyms, the last
of equal keywords wins, and a key without a value has its default.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from . import servers
from .kinds import Client, Keyword, Meaning, Refusal
from .merging import Edit, Piece, Slot, applied, without
from .sql_clients import CLIENTS
from .sql_syntax import Pair, SyntaxProblemError, pairs, quoted
from .words import SECRETS, elsewhere, nearest, shown_keyword

MAX_LENGTH: Final = 1_000_000
_SERVERS: Final = frozenset({"Data Source", "Failover Partner"})


class SqlString(NamedTuple):
    """What a SqlClient holds after it read a string."""

    pairs: tuple[Pair, ...]
    given: dict[str, Meaning]
    """The values that the string names, by the library's keyword."""
    refusal: Refusal | None

    def text(self, keyword: str) -> str:
        """The value of a keyword that holds a text; empty if the string does not name it."""
        return str(self.given.get(keyword, ""))


def read(text: str, client: Client) -> SqlString:
    """What a library reads; its `refusal` is the first reason why the library does not accept the string."""
    if len(text) > MAX_LENGTH:
        return SqlString((), {}, _refused(client, "this string", f"it is longer than {MAX_LENGTH} characters", ""))
    try:
        found = tuple(pairs(text))
    except SyntaxProblemError as error:
        return SqlString((), {}, syntax_refusal(error, client))
    given: dict[str, Meaning] = {}
    secret = False
    first: Refusal | None = None
    for number, pair in enumerate(found, 1):
        refusal = _take(pair, number, client, given, secret=secret)
        first = first or refusal
        secret = secret or pair.key in SECRETS
    return SqlString(found, given, first or _conflict(given, client))


def syntax_refusal(error: SyntaxProblemError, client: Client) -> Refusal:
    """The refusal of a text that is not a list of pairs."""
    what = f"the text from character {error.position + 1} on"
    hint = 'write KEY=VALUE; for each setting, and put a value with ; or quotes in quotes: Password="..."'
    return _refused(client, what, "it is not KEY=VALUE, or a closing quote is missing", hint)


def _refused(client: Client, what: str, reason: str, hint: str) -> Refusal:
    return Refusal(client.name, what, reason, hint or "correct it")


def _take(pair: Pair, number: int, client: Client, given: dict[str, Meaning], *, secret: bool) -> Refusal | None:
    keyword = client.find(pair.key)
    if keyword is None:
        return _unknown(pair, number, client, secret=secret)
    if pair.value is None:
        given.pop(keyword.name, None)
        return None
    try:
        given[keyword.name] = keyword.kind.read(pair.value)
    except ValueError:
        return _refused(client, f'"{keyword.name}"', f"its value is not {keyword.kind.name}", "correct the value")
    return None


def _unknown(pair: Pair, number: int, client: Client, *, secret: bool) -> Refusal | None:
    """A refusal, except for a key without a value: `SqlConnectionStringBuilder` removes that one."""
    if pair.value is None:
        return None
    near, other = nearest(pair.key, client), elsewhere(pair.key, CLIENTS)
    hint = f"write {near}" if near else other or "remove it; a value that contains ; must be in quotes"
    if pair.key == "port":
        hint = "write the port behind a comma: Server=HOST,1433"
    what = shown_keyword(pair.key, pair.value, number, after_secret=secret)
    return _refused(client, what, "it does not know this keyword", hint)


def _conflict(given: Mapping[str, Meaning], client: Client) -> Refusal | None:
    """The refusal of values that exclude each other, as the constructor of `SqlConnectionString` checks them."""
    partner, method = given.get("Failover Partner"), given.get("Authentication", "")
    subnets = given.get("MultiSubnetFailover", given.get("Multi Subnet Failover"))
    if partner and subnets is True:
        return _refused(
            client, '"Failover Partner"', "it cannot be used with MultiSubnetFailover", "remove one of the two"
        )
    if partner and not given.get("Initial Catalog"):
        return _refused(client, '"Failover Partner"', "it needs the database", "write Database=NAME")
    if int(given.get("Min Pool Size", 0)) > int(given.get("Max Pool Size", 100)):
        return _refused(client, '"Min Pool Size"', "it is greater than Max Pool Size", "correct one of the two")
    if method and given.get("Integrated Security") is True:
        return _refused(
            client, '"Authentication"', "it cannot be used with Integrated Security", "remove one of the two"
        )
    return None


def refusal(text: str, candidates: Sequence[Client]) -> Refusal | None:
    """Why none of the libraries starts with the string; None if one of them does."""
    found = [read(text, client).refusal for client in candidates]
    return found[0] if None not in found else None


def meaning(text: str, client: Client, ignored: Collection[str] = ()) -> tuple[object, ...]:
    """What the string means to a library, independent of its spelling; a refused string means only itself.

    The keywords in `ignored`, by the library's spelling, do not count.
    """
    result = read(text, client)
    if result.refusal is not None:
        return ("refused", text)
    return tuple(
        sorted(
            (name, _folded(name, value))
            for name, value in result.given.items()
            if name not in ignored and value != client.keywords[name.lower()].default
        )
    )


def merged(text: str, client: Client, settings: Mapping[str, str | None], secrets: Collection[str] = ()) -> list[Piece]:
    """The string with these settings; everything else stays as it is written.

    A setting with the value None is removed. `secrets` names settings whose values are filled in later; the place of
    every secret is a slot. A value that has the wanted meaning already is not touched. Raises UnsupportedValueError
    for a value that no string can contain, and SyntaxProblemError for a text that is not a list of pairs.
    """
    found = pairs(text)
    given = read(text, client).given
    wanted = {_name(client, name): value for name, value in settings.items() if not _has(given, client, name, value)}
    names = [_name(client, pair.key) for pair in found]
    last = {name: number for number, name in enumerate(names)}
    edits: list[Edit] = []
    removed = set[int]()
    for number, (name, pair) in enumerate(zip(names, found, strict=True)):
        hidden, value = pair.key in SECRETS, wanted.get(name)
        if number == last[name] and value is not None:
            edits.append(Edit(pair.value_start, pair.value_end, (quoted(value),)))
        elif number == last[name] and hidden and name not in wanted:
            slot = Slot(name.lower(), pair.value or "", text[pair.value_start : pair.value_end])
            edits.append(Edit(pair.value_start, pair.value_end, (slot,)))
        elif hidden or (name in wanted and value is None):
            removed.add(number)
    edits += without([(pair.start, pair.value_end) for pair in found], removed)
    more: list[list[Piece]] = [
        [f"{name}={quoted(value)}"]
        for name, value in settings.items()
        if value is not None and _name(client, name) in wanted and _name(client, name) not in last
    ]
    more += [[f"{name}=", Slot(_name(client, name).lower())] for name in secrets if _name(client, name) not in last]
    return applied(text, edits, more, ";")


def _name(client: Client, written: str) -> str:
    """The library's keyword for a spelling, or the spelling itself."""
    keyword = client.find(written)
    return written.lower() if keyword is None else keyword.name


def _has(given: Mapping[str, Meaning], client: Client, name: str, value: str | None) -> bool:
    """Whether the string means this value already."""
    keyword: Keyword | None = client.find(name)
    if keyword is None or value is None:
        return False
    try:
        wanted = keyword.kind.read(value)
    except ValueError:
        return False
    return _folded(keyword.name, given.get(keyword.name, keyword.default)) == _folded(keyword.name, wanted)


def _folded(name: str, value: Meaning) -> Meaning:
    """A value as it is compared: of a server, the case, `tcp:` and the default port do not count."""
    if name not in _SERVERS:
        return value
    host, rest = servers.split(str(value))
    return host + rest
