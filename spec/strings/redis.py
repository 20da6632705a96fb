"""Read, compare and merge connection strings of StackExchange.Redis.

Source: `ConfigurationOptions.DoParse`: the text is split at commas, a part with `=` behind its first character is an
option, any other part is an endpoint; nothing can be quoted, and the last of equal options wins.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from . import endpoints
from .endpoints import Endpoint, PortError
from .kinds import SPACE, Client, Meaning, Refusal
from .merging import Edit, Piece, Slot, applied, without
from .redis_clients import CLIENTS, V1
from .words import SECRETS, elsewhere, entry, nearest, shown_keyword

MAX_LENGTH: Final = 1_000_000
_NO_COMMA: Final = "remove it; a password ends at a comma, which cannot be quoted"
_DEFAULT_PORT: Final = 6379
_TLS_PORT: Final = 6380
_SENTINEL_PORT: Final = 26379


class Part(NamedTuple):
    """One part between commas: an option with its key as written, or an endpoint, whose key is empty."""

    key: str
    value: str
    start: int
    """Where the part begins, without the blanks around it."""
    value_start: int
    end: int


class RedisString(NamedTuple):
    """What a version of the library holds after it read a string."""

    endpoints: tuple[Endpoint, ...]
    given: dict[str, Meaning]
    """The options that the string names, by the library's spelling."""
    lost: tuple[str, ...]
    """The positions of endpoints that the library drops without an error."""
    refusal: Refusal | None

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """The endpoints with the ports that the library takes where the string names none."""
        port = _TLS_PORT if self.given.get("ssl") is True else _DEFAULT_PORT
        port = _SENTINEL_PORT if self.given.get("serviceName") else port
        return tuple(Endpoint(one.host.lower(), one.port or port) for one in self.endpoints)

    def value(self, keyword: str, default: Meaning = "") -> Meaning:
        """The value of an option, or the default if the string does not name it."""
        return self.given.get(keyword, default)


def parts(text: str) -> Iterator[Part]:
    """The parts of a string, without the empty ones."""
    position = 0
    for written in text.split(","):
        body = written.strip(SPACE)
        if body:
            start = position + len(written) - len(written.lstrip(SPACE))
            yield _part(body, start)
        position += len(written) + 1


def _part(body: str, start: int) -> Part:
    equals = body.find("=")
    end = start + len(body)
    if equals <= 0:
        return Part("", body, start, start, end)
    raw = body[equals + 1 :]
    value_start = start + equals + 1 + len(raw) - len(raw.lstrip(SPACE))
    return Part(body[:equals].rstrip(SPACE), raw.strip(SPACE), start, value_start, end)


def read(text: str, client: Client) -> RedisString:
    """What a version reads; its `refusal` is the first reason why the version does not accept the string."""
    given: dict[str, Meaning] = {}
    servers: dict[Endpoint, None] = {}
    lost: list[str] = []
    if len(text) > MAX_LENGTH or not text.strip(SPACE):
        reason = "it is empty" if len(text) <= MAX_LENGTH else f"it is longer than {MAX_LENGTH} characters"
        return RedisString((), given, (), Refusal(client.name, "this string", reason, "write HOST:PORT and options"))
    secret = False
    first: Refusal | None = None
    for number, part in enumerate(parts(text), 1):
        refusal = _take(part, number, client, given, servers, lost, secret=secret)
        first = first or refusal
        secret = secret or part.key.lower() in SECRETS
    return RedisString(tuple(servers), given, tuple(lost), first)


def _take(
    part: Part,
    number: int,
    client: Client,
    given: dict[str, Meaning],
    servers: dict[Endpoint, None],
    lost: list[str],
    *,
    secret: bool,
) -> Refusal | None:
    if part.key:
        return _option(part, number, client, given, secret=secret)
    try:
        found = (endpoints.first if client is V1 else endpoints.second)(part.value)
    except PortError as error:
        return Refusal(client.name, entry(number), str(error), "correct the port")
    if found is None:
        lost.append(entry(number))
    else:
        servers.setdefault(found)
    return None


def _option(part: Part, number: int, client: Client, given: dict[str, Meaning], *, secret: bool) -> Refusal | None:
    keyword = client.find(part.key)
    if keyword is None:
        if part.key.startswith("$"):
            given[part.key.upper()] = part.value.upper()
            return None
        what = shown_keyword(part.key, part.value, number, after_secret=secret)
        near, other = nearest(part.key, client), elsewhere(part.key, CLIENTS)
        hint = f"write {near}" if near else other or (_NO_COMMA if secret else "remove it")
        return Refusal(client.name, what, "it does not know this keyword", hint)
    try:
        given[keyword.name] = keyword.kind.read(part.value)
    except ValueError:
        return Refusal(client.name, f'"{keyword.name}"', f"its value is not {keyword.kind.name}", "correct the value")
    return None


def refusal(text: str, candidates: Sequence[Client]) -> Refusal | None:
    """Why none of the versions starts with the string; None if one of them does."""
    found = [read(text, client).refusal for client in candidates]
    return found[0] if None not in found else None


def meaning(text: str, client: Client, ignored: Collection[str] = ()) -> tuple[object, ...]:
    """What the string means to a version, independent of its spelling; a refused string means only itself.

    The options in `ignored`, by the library's spelling, do not count.
    """
    result = read(text, client)
    if result.refusal is not None:
        return ("refused", text)
    options = {
        name: value
        for name, value in result.given.items()
        if name not in ignored and value != _default(name, result, client)
    }
    return (tuple(sorted(result.servers)), tuple(sorted(options.items())))


def _default(name: str, result: RedisString, client: Client) -> Meaning | None:
    if name.startswith("$"):
        return None
    sync = result.value("syncTimeout", client.keywords["synctimeout"].default)
    if name in {"asyncTimeout", "responseTimeout"}:
        return sync if client.keywords[name.lower()].default != "" else ""
    if name == "connectTimeout":
        return max(5000, int(sync))
    if name == "abortConnect":
        return not any(one.is_azure for one in result.endpoints)
    return client.keywords[name.lower()].default


def merged(
    text: str,
    client: Client,
    servers: Sequence[Endpoint],
    options: Mapping[str, str | None],
    secrets: Collection[str] = (),
) -> list[Piece]:
    """The string with these endpoints and options; everything else stays as it is written.

    An option with the value None is removed. `secrets` names options whose values are filled in later; the place of
    every secret is a slot. A value that has the wanted meaning already is not touched.
    """
    before = read(text, client)
    wanted = {name.lower(): value for name, value in options.items() if not _has(before, client, name, value)}
    found = list(parts(text))
    last = {part.key.lower(): number for number, part in enumerate(found)}
    keep = _same(servers, before, client, options)
    first = next((number for number, part in enumerate(found) if not part.key), -1)
    edits: list[Edit] = []
    removed = set[int]()
    for number, part in enumerate(found):
        key = part.key.lower()
        if (not key and keep) or (key and key not in wanted and key not in SECRETS):
            continue
        pieces: tuple[Piece, ...] | None = None
        if number == first:
            pieces = (",".join(map(str, servers)),)
        elif key and number == last[key]:
            pieces = _new_value(part, wanted)
        if pieces is None:
            removed.add(number)
        else:
            edits.append(Edit(part.value_start, part.end, pieces))
    edits += without([(part.start, part.end) for part in found], removed)
    more: list[list[Piece]] = [] if keep or "" in last else [[",".join(map(str, servers))]]
    more += [[f"{name}=", Slot(name.lower())] for name in secrets if name.lower() not in last]
    more += [[f"{name}={value}"] for name, value in options.items() if _is_new(name, wanted, last)]
    return applied(text, edits, more, ",")


def _new_value(part: Part, wanted: Mapping[str, str | None]) -> tuple[Piece, ...] | None:
    """The pieces for the value of an option; None if the option goes."""
    key = part.key.lower()
    if key in wanted:
        value = wanted[key]
        return None if value is None else (value,)
    return (Slot(key, part.value, part.value),)


def _is_new(name: str, wanted: Mapping[str, str | None], last: Mapping[str, int]) -> bool:
    return wanted.get(name.lower()) is not None and name.lower() not in last


def _has(before: RedisString, client: Client, name: str, value: str | None) -> bool:
    """Whether the string means this value already."""
    keyword = client.find(name)
    if keyword is None or value is None:
        return False
    try:
        wanted = keyword.kind.read(value)
    except ValueError:
        return False
    return before.given.get(keyword.name, _default(keyword.name, before, client)) == wanted


def _same(servers: Sequence[Endpoint], before: RedisString, client: Client, options: Mapping[str, str | None]) -> bool:
    """Whether the string names these servers already, with the ports that it takes when the options are changed."""
    given = dict(before.given)
    for name, value in options.items():
        keyword = client.find(name)
        if keyword is not None and keyword.name in {"ssl", "serviceName"}:
            given[keyword.name] = "" if value is None else keyword.kind.read(value)
    return set(before._replace(given=given).servers) == set(
        before._replace(endpoints=tuple(servers), given=given).servers
    )
