"""Which words of a connection string can be shown: keywords can, but a keyword can be part of a secret by mistake."""

from collections.abc import Iterable
from functools import cache
from typing import Final

from ...core.wording import all_of
from .kinds import SPACE, Client

SECRETS: Final = frozenset(
    {"password", "pwd", "sentinelpassword", "accesskey", "accountkey", "clientkeypassword", "secret", "token"}
)
"""The keywords of secrets, in lower case."""

_FOREIGN: Final = frozenset(
    (
        "ansi",
        "charset",
        "client name",
        "connection string",
        "connectionstring",
        "data provider",
        "db",
        "dbname",
        "dbq",
        "dsn",
        "driver",
        "filedsn",
        "host",
        "hostname",
        "initialcatalog",
        "integratedsecurity",
        "logintimeout",
        "maxpoolsize",
        "metadata",
        "minpoolsize",
        "ole db services",
        "poolsize",
        "port",
        "prefix",
        "protocol",
        "provider",
        "provider connection string",
        "servername",
        "sslmode",
        "trustedconnection",
        "userid",
        "username",
        "user name",
    )
)
"""Keywords of other libraries, and misspelt ones: they are shown wherever they stand."""


def entry(number: int) -> str:
    """The position of a part of a string that cannot be shown."""
    return f"its entry {number}"


def shown_keyword(key: str, value: str | None, number: int, *, after_secret: bool) -> str:
    """An unknown keyword in quotes, or its position if it can be part of a secret.

    A word that a list of keywords holds is shown. Another one is shown if it looks like a word and no secret comes
    before it, because a password can go on behind a separator.
    """
    folded = key.lower()
    if folded in known_words():
        return f'"{key}"'
    looks = len(key) <= 24 and key.isascii() and key.replace(" ", "").replace("_", "").isalpha()
    return f'"{key}"' if looks and not after_secret and (value or "").strip("=" + SPACE) else entry(number)


@cache
def known_words() -> frozenset[str]:
    """All keywords of all libraries, and those of others."""
    from . import redis_clients, sql_clients

    clients = (*sql_clients.CLIENTS, *redis_clients.CLIENTS)
    return _FOREIGN | {word for client in clients for word in client.keywords}


def nearest(key: str, client: Client) -> str:
    """The keyword that the library spells otherwise; empty if there is none."""
    bare = _bare(key)
    return next((one.name for spelled, one in client.keywords.items() if _bare(spelled) == bare), "")


def elsewhere(key: str, clients: Iterable[Client]) -> str:
    """A hint that other libraries know the keyword; empty if none does."""
    found = [client.name for client in clients if client.find(key)]
    return f"remove it: it is a keyword of {all_of(found)}" if found else ""


def _bare(text: str) -> str:
    return text.lower().replace(" ", "").replace("_", "").replace("\\", "")
