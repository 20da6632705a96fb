"""Fingerprints of secrets: users can compare them, and no one can recover the secret.

Keys are long and random: the first 12 hex digits of their SHA-256 distinguish them and reveal nothing. People choose
passwords, and a plain hash of one can be guessed offline. So a password's fingerprint is an HMAC keyed with the farm's
EncryptionKey: it is comparable within the farm and useless without that key.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from ..core.plan import Shown
from ..spec.strings import masking

DIGITS: Final = 12
UNREADABLE: Final = "(not shown: not of the usual form)"

Secrecy = Literal["open", "key", "password", "pairs", "redis", "storage", "url"]
"""`pairs` and `redis` are connection strings of SqlClient and StackExchange.Redis, which can contain a password,
`storage` the location of a storage, which can contain a key, and `url` an address, which can contain a user."""

_PLAIN_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?", re.IGNORECASE)


def _url(text: str, _mask: masking.Mask) -> str:
    """An address that contains no secret; raises ValueError for any other text."""
    if _PLAIN_URL.fullmatch(text) is None:
        raise ValueError("not a plain address")
    return text


_MASKS: Final[dict[str, Callable[[str, masking.Mask], str]]] = {
    "pairs": masking.sql,
    "redis": masking.redis,
    "storage": masking.storage,
    "url": _url,
}


class Fingerprints:
    """Fingerprints that are comparable within one run; `pepper` is a secret of the farm, or empty.

    `unknown` maps the markers of unknown secrets to the texts that are shown for them.
    """

    __slots__ = ("_pepper", "_unknown")

    def __init__(self, pepper: str = "", unknown: Mapping[str, str] | None = None) -> None:
        self._unknown = unknown or {}
        self._pepper = hashlib.sha256(b"nlbgen fingerprints\0" + pepper.encode("utf-8")).digest() if pepper else b""

    def shown(self, value: str, secrecy: Secrecy) -> Shown:
        """The value as it can be shown, with its secrets masked."""
        if secrecy == "open":
            return Shown(value)
        if not value:
            return Shown("")
        if secrecy == "key":
            return _key(value)
        if secrecy == "password":
            return Shown(self._password(value), secret=True, identity=self._full(value))
        return self._string(value, secrecy)

    def _string(self, value: str, secrecy: Secrecy) -> Shown:
        try:
            text = _MASKS[secrecy](value, self._password)
        except ValueError:
            return Shown(UNREADABLE, secret=True, identity=self._full(value))
        if text == value:
            return Shown(value)
        return Shown(text, secret=True, identity=self._full(value))

    def _password(self, value: str) -> str:
        if value in self._unknown:
            return self._unknown[value]
        return f"<{self._full(value)[:DIGITS]}>" if self._pepper else "<set>"

    def _full(self, value: str) -> str:
        return hmac.new(self._pepper, value.encode("utf-8"), "sha256").hexdigest() if self._pepper else ""


def _key(value: str) -> Shown:
    if value.lower().startswith("autogenerate"):
        return Shown(value)
    full = hashlib.sha256(value.encode("utf-8")).hexdigest()
    return Shown(f"sha256:{full[:DIGITS]}", secret=True, identity=full)
