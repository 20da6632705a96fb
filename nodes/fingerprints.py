"""What may be shown of secrets, so that people can compare them and nobody can use them.

Keys are long and random: the first 12 hex digits of their SHA-256 tell them apart and give nothing away. Passwords
are chosen by people, and a plain hash of one can be guessed offline: theirs are keyed with the farm's own
EncryptionKey, so they compare within a farm and mean nothing to anyone without that key.
"""

import hashlib
import hmac
from typing import Final, Literal

from ..core.plan import Shown
from . import connection

DIGITS: Final = 12
UNREADABLE: Final = "(not shown: not of the usual form)"

Secrecy = Literal["open", "key", "password", "pairs", "redis"]
"""`pairs` and `redis` are connection strings that may hold a password."""


class Fingerprints:
    """Fingerprints that compare within one run; `pepper` is a secret of the farm, if it has one."""

    __slots__ = ("_pepper",)

    def __init__(self, pepper: str = "") -> None:
        self._pepper = hashlib.sha256(b"nlbgen fingerprints\0" + pepper.encode("utf-8")).digest() if pepper else b""

    def shown(self, value: str, secrecy: Secrecy) -> Shown:
        """What may be shown of a value of this kind."""
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
        mask = connection.masked_redis if secrecy == "redis" else connection.masked_pairs
        try:
            text = mask(value, self._password)
        except ValueError:
            return Shown(UNREADABLE, secret=True, identity=self._full(value))
        if text == value:
            return Shown(value)
        return Shown(text, secret=True, identity=self._full(value))

    def _password(self, value: str) -> str:
        return f"<{self._full(value)[:DIGITS]}>" if self._pepper else "<set>"

    def _full(self, value: str) -> str:
        return hmac.new(self._pepper, value.encode("utf-8"), "sha256").hexdigest() if self._pepper else ""


def _key(value: str) -> Shown:
    if value.lower().startswith("autogenerate"):
        return Shown(value)
    full = hashlib.sha256(value.encode("utf-8")).hexdigest()
    return Shown(f"sha256:{full[:DIGITS]}", secret=True, identity=full)
