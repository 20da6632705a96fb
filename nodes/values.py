"""The values that nodes shall have: known in the open, or put together from secrets only where they are needed."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..core.errors import NlbgenError
from ..spec.load import Spec, dotted
from ..spec.model import Secret
from ..spec.references import MissingSecretError, SecretError, SecretValue, resolve
from ..spec.schema import Path as SpecPath
from . import connection
from .fingerprints import Secrecy

Quoting = Literal["plain", "sql", "redis"]

_QUOTE: Final[dict[Quoting, Callable[[str], str]]] = {
    "plain": str,
    "sql": connection.sql_value,
    "redis": connection.redis_password,
}


@dataclass(frozen=True, slots=True)
class SecretPart:
    """A secret inside a value: the scripts' parameter for it, how it is quoted, and the secret if it is known."""

    parameter: str
    quoting: Quoting
    secret: SecretValue | None
    missing: MissingSecretError | None = None
    """Why it is not known."""
    env: str = ""
    """The environment variable that the spec names for it."""
    named: str = ""
    """How users know it: its place in the spec, its key, and where it comes from."""

    @property
    def variable(self) -> str:
        """The environment variable that scripts take it from."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.parameter).upper()
        return self.env or f"NLBGEN_{words}"

    def reveal(self) -> str:
        """The secret as the value holds it; raises SecretError for what it cannot carry, and where it is not known."""
        if self.secret is None:
            raise self.missing or MissingSecretError(f"{self.parameter} is not known")
        try:
            return _QUOTE[self.quoting](self.secret.reveal())
        except connection.UnsupportedValueError as error:
            what = self.named or self.parameter
            raise SecretError(f"{what}: cannot be used: {error}", "choose another password") from None


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and how much of it is secret."""

    parts: tuple[str | SecretPart, ...]
    secrecy: Secrecy = "open"

    def reveal(self) -> str:
        """The value itself; raises SecretError where a secret of it is not known or cannot be carried."""
        return "".join(part if isinstance(part, str) else part.reveal() for part in self.parts)


def plain(text: str) -> Value:
    """A value in the open."""
    return Value((text,))


def key(text: str, parameter: str) -> Value:
    """A key out of a config file."""
    return Value((SecretPart(parameter, "plain", SecretValue(text)),), "key")


def referred(spec: Spec, path: SpecPath, secret: Secret, parameter: str, quoting: Quoting) -> SecretPart:
    """The secret behind the reference at `path` of a spec; one that leads to nothing is only missed when needed."""
    env, place = secret.env or "", f"{spec.document.location(path)}: {dotted(path)}"
    named = f"{place} ({secret.env or secret.file})"
    try:
        return SecretPart(parameter, quoting, resolve(secret, Path(spec.name).parent), env=env, named=named)
    except NlbgenError as error:
        missing = MissingSecretError(f"{place}: {error.message}", error.hint)
        return SecretPart(parameter, quoting, None, missing, env, named)


def require(parts: Iterable[SecretPart | None]) -> None:
    """Raise one SecretError with everything that is wrong with these secrets; nothing where all can be used.

    Where some are only missed, and none is known to be unusable, it is a MissingSecretError.
    """
    errors: list[SecretError] = []
    for part in parts:
        try:
            if part is not None:
                part.reveal()
        except SecretError as error:
            errors.append(error)
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    unusable = any(not isinstance(error, MissingSecretError) for error in errors)
    texts = [error.message + (f"\n    {error.hint}" if error.hint else "") for error in errors]
    kind = SecretError if unusable else MissingSecretError
    raise kind("\n".join(texts), f"{len(texts)} secrets: put each of them right, then run the command again")


@dataclass(frozen=True, slots=True)
class DesiredSetting:
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
