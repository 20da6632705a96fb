"""The values of the nodes' settings: plain, or with secrets that are resolved only when needed."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..core.errors import NlbgenError
from ..spec.load import Spec, dotted
from ..spec.model import Secret
from ..spec.references import MissingSecretError, SecretError, SecretValue, resolve
from ..spec.schema import Path as SpecPath
from ..spec.strings.sql_syntax import quoted as sql_value
from .consumers import Quoting, refusal
from .fingerprints import Secrecy

ANOTHER: Final = "choose another secret, and set it also in the program that checks it"
"""What to do about a secret that a consumer cannot hold."""

_QUOTE: Final[dict[Quoting, Callable[[str], str]]] = {
    "plain": str,
    "sql": sql_value,
    "redis": str,
    "sentinel": str,
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
    source: str = ""
    """The environment variable or the file that the spec names for it."""
    named: str = ""
    """Its name for users: location in the spec, key, and source."""
    written: str = field(default="", repr=False)
    """How the node's own string writes this secret, with its quotes; empty if the string has another one."""

    @property
    def variable(self) -> str:
        """The environment variable that scripts read it from."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.parameter).upper()
        return self.env or f"NLBGEN_{words}"

    @property
    def marker(self) -> str:
        """A text in place of the unknown secret, which no connection string quotes or splits."""
        return f"\ue000{self.parameter}\ue000"

    @property
    def placeholder(self) -> str:
        """How a plan shows the unknown secret."""
        return f"<from {self.source}, {self.state}>"

    @property
    def state(self) -> str:
        """Why it is unknown, in few words."""
        return "not known" if self.missing is None else self.missing.state

    @property
    def refusal(self) -> str:
        """The consumer that cannot hold the secret, and the reason; empty if all can, or the secret is unknown."""
        return "" if self.secret is None else refusal(self.secret.reveal(), self.quoting)

    def bare(self) -> str:
        """The secret without quotes; raises SecretError if it is unknown or a consumer cannot hold it."""
        if self.secret is None:
            raise self.missing or MissingSecretError(f"{self.parameter} is not known")
        if self.refusal:
            what = self.named or self.parameter
            raise SecretError(f"{what}: cannot be used: {self.refusal}", ANOTHER)
        return self.secret.reveal()

    def reveal(self) -> str:
        """The quoted secret; raises SecretError if it is unknown or a consumer cannot hold it."""
        return self.written or _QUOTE[self.quoting](self.bare())


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its kind of secrecy."""

    parts: tuple[str | SecretPart, ...]
    secrecy: Secrecy = "open"

    def reveal(self) -> str:
        """The value itself; raises SecretError if one of its secrets is unknown or invalid."""
        return "".join(part if isinstance(part, str) else part.reveal() for part in self.parts)

    def marked(self) -> str:
        """The value with a marker in place of each unknown secret; raises SecretError if a secret is invalid."""
        return "".join(
            part if isinstance(part, str) else part.marker if part.secret is None else part.reveal()
            for part in self.parts
        )

    @property
    def is_known(self) -> bool:
        """Whether all its secrets are known."""
        return all(isinstance(part, str) or part.secret is not None for part in self.parts)


def plain(text: str) -> Value:
    """A value without secrets."""
    return Value((text,))


def key(text: str, parameter: str) -> Value:
    """A key from a config file."""
    return Value((SecretPart(parameter, "plain", SecretValue(text)),), "key")


def referred(spec: Spec, path: SpecPath, secret: Secret, parameter: str, quoting: Quoting) -> SecretPart:
    """The secret that the spec refers to at `path`; an unresolved one raises an error only when it is used."""
    env, place = secret.env or "", f"{spec.document.location(path)}: {dotted(path)}"
    source = secret.env or str(secret.file)
    named = f"{place} ({source})"
    try:
        found = resolve(secret, Path(spec.name).parent)
        return SecretPart(parameter, quoting, found, env=env, source=source, named=named)
    except NlbgenError as error:
        states = (error.state,) if isinstance(error, MissingSecretError) else ()
        missing = MissingSecretError(f"{place}: {error.message}", error.hint, *states)
        return SecretPart(parameter, quoting, None, missing, env, source, named)


def require(parts: Iterable[SecretPart | None]) -> None:
    """Raise one SecretError with all problems of these secrets, if there are any.

    It is a MissingSecretError if every problem is a missing secret.
    """
    if error := problem_of(parts):
        raise error


def problem_of(parts: Iterable[SecretPart | None]) -> SecretError | None:
    """One error with all problems of these secrets, a MissingSecretError if each of them is one; None without any."""
    errors: list[SecretError] = []
    for part in parts:
        try:
            if part is not None:
                part.reveal()
        except SecretError as error:
            errors.append(error)
    if len(errors) < 2:
        return errors[0] if errors else None
    unusable = any(not isinstance(error, MissingSecretError) for error in errors)
    texts = [error.message + (f"\n    {error.hint}" if error.hint else "") for error in errors]
    kind = SecretError if unusable else MissingSecretError
    return kind("\n".join(texts), f"{len(texts)} secrets: correct each of them, then run the command again")


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
