"""Connection strings: quoted for their parsers, compared, and shown without secrets.

Sources: `DbConnectionStringBuilder.AppendKeyValuePair` and `DbConnectionOptions` in .NET's reference source;
`ConfigurationOptions.Parse` of StackExchange.Redis, which splits at commas and knows no quoting.
"""

import re
from collections.abc import Callable
from typing import Final

Mask = Callable[[str], str]
"""A function from a secret to its masked form."""

_BARE: Final = re.compile(r"[^\"'=;\s\x00-\x1f\x7f-\x9f]+")
_PAIR: Final = re.compile(
    r"\s*;?\s*(?P<key>(?:[^=;\x00-\x1f]|==)+?)\s*=(?!=)\s*"
    r"(?P<value>\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|[^;\"'][^;]*?|)\s*(?:;|$)"
)
_SECRET: Final = re.compile(r"pwd|password|secret|token|key$|^sig", re.IGNORECASE)
_SYNONYMS: Final = {
    "data source": "server",
    "addr": "server",
    "address": "server",
    "network address": "server",
    "initial catalog": "database",
    "uid": "user id",
    "user": "user id",
    "pwd": "password",
    "trusted_connection": "integrated security",
}
_YES: Final = {"yes": "true", "sspi": "true", "no": "false"}


class UnsupportedValueError(ValueError):
    """A connection string cannot contain this text; the message gives the reason without the text."""


def sql_value(text: str) -> str:
    """A value in a connection string of SqlClient; see `consumers` for the texts that it cannot hold."""
    if not text:
        return '""'
    if _BARE.fullmatch(text):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + text.replace('"', '""') + '"'


def redis_host(text: str) -> str:
    """A host in a connection string of StackExchange.Redis; raises UnsupportedValueError."""
    if ":" in text:
        raise UnsupportedValueError("StackExchange.Redis of these versions reads an IPv6 address as host and port")
    return text


def sql_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a connection string, keys as written; raises ValueError (without the text) for anything else."""
    return [(key, _unquoted(value)) for key, value, _start, _end in _spans(text)]


def canonical(text: str) -> tuple[tuple[str, str], ...]:
    """The meaning of a SqlClient connection string, independent of its spelling; raises ValueError."""
    pairs: dict[str, str] = {}
    for key, value in sql_pairs(text):
        name = _SYNONYMS.get(key.lower(), key.lower())
        folded = value.lower()
        pairs[name] = _YES.get(folded, folded) if name == "integrated security" else value
    return tuple(sorted(pairs.items()))


def same_server(one: str, other: str) -> bool:
    """Whether two texts name the same SQL Server; case, the default port and the domain do not count.

    DNS is not queried: an alias and its server are different.
    """
    (host, rest), (other_host, other_rest) = _server(one), _server(other)
    short, long = sorted((host, other_host), key=len)
    return rest == other_rest and (short == long or long.partition(".")[0] == short)


def _server(text: str) -> tuple[str, str]:
    """Host, and instance or port."""
    text = text.strip().lower().removeprefix("tcp:")
    end = min((text.index(mark) for mark in "\\," if mark in text), default=len(text))
    rest = text[end:].replace(" ", "")
    return text[:end].strip(), "" if rest == ",1433" else rest


def masked_pairs(text: str, mask: Mask) -> str:
    """A text of `key=value;` pairs with the values of passwords, keys and tokens masked; raises ValueError."""
    result = []
    position = 0
    for key, value, start, end in _spans(text):
        if _SECRET.search(key.strip()) and _unquoted(value):
            result += [text[position:start], mask(_unquoted(value))]
            position = end
    return "".join([*result, text[position:]])


def masked_redis(text: str, mask: Mask) -> str:
    """A connection string of StackExchange.Redis with its password masked."""
    parts = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        secret = equals and _SECRET.search(key.strip()) and value.strip()
        parts.append(f"{key}={mask(value.strip())}" if secret else part)
    return ",".join(parts)


def _spans(text: str) -> list[tuple[str, str, int, int]]:
    found = []
    position = 0
    end = len(text.rstrip("; \t\r\n"))
    while position < end:
        match = _PAIR.match(text, position)
        if match is None:
            raise ValueError("this is not a connection string of key=value pairs")
        found.append((match["key"].replace("==", "="), match["value"], *match.span("value")))
        position = match.end()
    return found


def _unquoted(value: str) -> str:
    if value[:1] in {'"', "'"}:
        quote = value[0]
        return value[1:-1].replace(quote * 2, quote)
    return value
