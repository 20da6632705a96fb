"""The values of the nodes' settings: plain, or with secrets that are resolved only when needed."""

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
    """A secret inside a value: the scripts' parameter for it, its quoting, and the secret if it is known."""

    parameter: str
    quoting: Quoting
    secret: SecretValue | None
    missing: MissingSecretError | None = None
    """The reason why it is unknown."""
    env: str = ""
    """The environment variable that the spec names for it."""
    named: str = ""
    """Its name for users: location in the spec, key, and source."""

    @property
    def variable(self) -> str:
        """The environment variable that scripts read it from."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.parameter).upper()
        return self.env or f"NLBGEN_{words}"

    def reveal(self) -> str:
        """The quoted secret; raises SecretError if it is unknown or the value cannot contain it."""
        if self.secret is None:
            raise self.missing or MissingSecretError(f"{self.parameter} is not known")
        try:
            return _QUOTE[self.quoting](self.secret.reveal())
        except connection.UnsupportedValueError as error:
            what = self.named or self.parameter
            raise SecretError(f"{what}: cannot be used: {error}", "choose another password") from None


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its kind of secrecy."""

    parts: tuple[str | SecretPart, ...]
    secrecy: Secrecy = "open"

    def reveal(self) -> str:
        """The value itself; raises SecretError if one of its secrets is unknown or invalid."""
        return "".join(part if isinstance(part, str) else part.reveal() for part in self.parts)


def plain(text: str) -> Value:
    """A value without secrets."""
    return Value((text,))


def key(text: str, parameter: str) -> Value:
    """A key from a config file."""
    return Value((SecretPart(parameter, "plain", SecretValue(text)),), "key")


def referred(spec: Spec, path: SpecPath, secret: Secret, parameter: str, quoting: Quoting) -> SecretPart:
    """The secret that the spec refers to at `path`; an unresolved one raises an error only when it is used."""
    env, place = secret.env or "", f"{spec.document.location(path)}: {dotted(path)}"
    named = f"{place} ({secret.env or secret.file})"
    try:
        return SecretPart(parameter, quoting, resolve(secret, Path(spec.name).parent), env=env, named=named)
    except NlbgenError as error:
        missing = MissingSecretError(f"{place}: {error.message}", error.hint)
        return SecretPart(parameter, quoting, None, missing, env, named)


def require(parts: Iterable[SecretPart | None]) -> None:
    """Raise one SecretError with all problems of these secrets, if there are any.

    It is a MissingSecretError if every problem is a missing secret.
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
    raise kind("\n".join(texts), f"{len(texts)} secrets: correct each of them, then run the command again")


@dataclass(frozen=True, slots=True)
class DesiredSetting:
    """One setting for a node: the key of an `<add>`, or an attribute of a section; the value None removes it."""

    section: str
    key: str
    value: Value | None
    secrecy: Secrecy = "open"
    """The kind of secrecy of the current value."""

    @property
    def path(self) -> str:
        """The name of the setting in plans."""
        return f"{self.section}/{self.key}" if "/" not in self.section else f"{self.section}@{self.key}"
