"""The values that nodes shall have: known in the open, or put together from secrets only where they are needed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..errors import NlbgenError, NodeError
from ..spec.model import Secret
from ..spec.references import SecretValue, resolve
from . import connection
from .fingerprints import Secrecy

Quoting = Literal["plain", "sql", "redis"]

_QUOTE: Final[dict[Quoting, Callable[[str], str]]] = {
    "plain": str,
    "sql": connection.sql_value,
    "redis": connection.redis_password,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A secret inside a value: the scripts' parameter for it, how it is quoted, and the secret if it is known."""

    parameter: str
    quoting: Quoting
    secret: SecretValue | None
    missing: NlbgenError | None = None
    """Why it is not known."""
    env: str = ""
    """The environment variable that the spec names for it."""

    @property
    def variable(self) -> str:
        """The environment variable that scripts take it from."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.parameter).upper()
        return self.env or f"NLBGEN_{words}"

    def reveal(self) -> str:
        """The secret as the value holds it; raises NodeError for what it cannot carry, and where it is not known."""
        if self.secret is None:
            raise self.missing or NodeError(f"{self.parameter} is not known")
        try:
            return _QUOTE[self.quoting](self.secret.reveal())
        except connection.UncarriedError as error:
            raise NodeError(f"the secret {self.parameter} cannot be used: {error}", "choose another password") from None


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and how much of it is secret."""

    parts: tuple[str | Part, ...]
    secrecy: Secrecy = "open"

    def reveal(self) -> str:
        """The value itself; raises NlbgenError where a secret of it is not known or cannot be carried."""
        return "".join(part if isinstance(part, str) else part.reveal() for part in self.parts)


def plain(text: str) -> Value:
    """A value in the open."""
    return Value((text,))


def key(text: str, parameter: str) -> Value:
    """A key out of a config file."""
    return Value((Part(parameter, "plain", SecretValue(text)),), "key")


def referred(secret: Secret, folder: Path, parameter: str, quoting: Quoting) -> Part:
    """The secret behind a reference of the spec; one that leads to nothing is only missed when it is needed."""
    env = secret.env or ""
    try:
        return Part(parameter, quoting, resolve(secret, folder), env=env)
    except NlbgenError as error:
        return Part(parameter, quoting, None, error, env)


@dataclass(frozen=True, slots=True)
class Want:
    """One setting that a node shall have: the key of an `<add>`, or an attribute of a section; None shall be absent."""

    section: str
    key: str
    value: Value | None
    secrecy: Secrecy = "open"
    """How much of what stands there now may be shown."""

    @property
    def path(self) -> str:
        """The setting as plans name it."""
        return f"{self.section}/{self.key}" if "/" not in self.section else f"{self.section}@{self.key}"
