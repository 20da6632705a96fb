"""Connection strings as they can be shown: nothing that can be a secret, or part of one, is left.

A string with a mistake is where secrets stand in unusual places: in a URL, alone without a keyword, behind a separator
that is part of the password. So only what is known to be harmless is shown: keywords, values of the right kind, and
host names in front of the first secret.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from . import endpoints, redis_clients, sql_clients
from .endpoints import PortError
from .kinds import SPACE, Client, Keyword
from .redis import parts
from .sql_syntax import pairs
from .words import SECRETS, entry, shown_keyword

Mask = Callable[[str], str]
"""A function from a secret to its masked form."""

_PLAIN: Final = re.compile(r"(?!.*//)[^=\x00-\x1f\x7f]*")
_SERVERS: Final = frozenset({"Data Source", "Failover Partner"})
_NAME: Final = re.compile(r"(?:[a-z0-9-]+\.){2,}[a-z]{2,24}", re.IGNORECASE)
_COMMAND: Final = re.compile(r"\$[A-Za-z]+")
_STORAGE_SECRET: Final = re.compile(r"pwd|password|secret|token|key$|^sig", re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z][a-z0-9 _.-]{0,39}", re.IGNORECASE)


def sql(text: str, mask: Mask) -> str:
    """A connection string of SqlClient without its secrets; raises ValueError for a text that is not one."""
    return _replaced(text, _sql_secrets(text), mask)


def redis(text: str, mask: Mask) -> str:
    """A connection string of StackExchange.Redis without its secrets."""
    return _replaced(text, _redis_secrets(text), mask)


def storage(text: str, mask: Mask) -> str:
    """The location of a storage as `KEY=VALUE;` without its secrets; raises ValueError for a text that is not one."""
    return _replaced(text, _storage_secrets(text), mask)


class _Span(NamedTuple):
    """Characters that are masked, and the secret in them: the password without its quotes."""

    start: int
    end: int
    secret: str = ""


def _replaced(text: str, spans: Iterable[_Span], mask: Mask) -> str:
    result = []
    position = 0
    for start, end, secret in spans:
        result += [text[position:start], mask(secret or text[start:end])]
        position = end
    return "".join([*result, text[position:]])


def _sql_secrets(text: str) -> Iterator[_Span]:
    secret = False
    for number, pair in enumerate(pairs(text), 1):
        known = _keywords(pair.key, sql_clients.CLIENTS)
        named = known or shown_keyword(pair.key, pair.value, number, after_secret=secret) != entry(number)
        if not named:
            yield _Span(pair.start, pair.value_end)
        elif pair.value and not _harmless(pair.value, known, pair.key):
            yield _Span(pair.value_start, pair.value_end, pair.value)
        secret = secret or pair.key in SECRETS


def _redis_secrets(text: str) -> Iterator[_Span]:
    secret = False
    for number, part in enumerate(parts(text), 1):
        known = _keywords(part.key, redis_clients.CLIENTS) if part.key else []
        if not part.key:
            if secret or not _is_server(part.value):
                yield _Span(part.start, part.end)
        elif _COMMAND.fullmatch(part.key) and not secret:
            if part.value and not part.value.isalnum():
                yield _Span(part.value_start, part.end)
        elif not known and shown_keyword(part.key, part.value, number, after_secret=secret) == entry(number):
            yield _Span(part.start, part.end)
        elif part.value and not _harmless(part.value, known, part.key.lower()):
            yield _Span(part.value_start, part.end)
        secret = secret or part.key.lower() in SECRETS


def _storage_secrets(text: str) -> Iterator[_Span]:
    for pair in pairs(text):
        if not _WORD.fullmatch(pair.key):
            yield _Span(pair.start, pair.value_end)
        elif pair.value and (_STORAGE_SECRET.search(pair.key) or "=" in pair.value or "@" in pair.value):
            yield _Span(pair.value_start, pair.value_end, pair.value)


def _keywords(key: str, clients: Iterable[Client]) -> list[Keyword]:
    return [client.keywords[key.lower()] for client in clients if key.lower() in client.keywords]


def _harmless(value: str, known: Iterable[Keyword], key: str) -> bool:
    """Whether a value can be shown: not a secret, of its kind, and without the marks of other syntaxes."""
    if key in SECRETS or not _PLAIN.fullmatch(value):
        return False
    return any(_reads(one, value) and not (one.name in _SERVERS and "@" in value) for one in known)


def _reads(keyword: Keyword, value: str) -> bool:
    try:
        keyword.kind.read(value)
    except ValueError:
        return False
    return True


def _is_server(token: str) -> bool:
    """Whether a part without a keyword is surely a server: with a port, an address, or a long host name."""
    try:
        found = endpoints.second(token.strip(SPACE))
    except PortError:
        return False
    if found is None or not found.is_plain or token.startswith("!"):
        return False
    return bool(found.port) or found.is_address or found.is_loopback or _NAME.fullmatch(found.host) is not None
