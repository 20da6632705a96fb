"""Secrets: the spec holds references, and nlbgen reads the values only where it uses them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..core.errors import FileError, NlbgenError
from ..core.files import content, hint_for
from .model import Secret

_LONGEST: Final = 4096


class SecretValue:
    """A resolved secret; its `repr` hides it, and only `reveal()` returns its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text of the secret."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__


class SecretError(NlbgenError):
    """A required secret is unusable."""


class MissingSecretError(SecretError):
    """A reference names no secret: no such variable, or no usable file."""

    state: str
    """The reason in few words, for a plan that is shown without the secret."""

    def __init__(self, message: str, hint: str | None = None, state: str = "not readable") -> None:
        super().__init__(message, hint)
        self.state = state


def resolve(secret: Secret, folder: Path, environment: Mapping[str, str] | None = None) -> SecretValue:
    """The secret behind a reference; a file's path is relative to `folder`, the spec's own.

    A byte order mark at the beginning of a file and one line end at its end are not part of the secret. Raises
    MissingSecretError or FileError; their messages never hold a part of the secret.
    """
    if secret.env is not None:
        return _from_environment(secret.env, os.environ if environment is None else environment)
    return _from_file(folder / str(secret.file))


def _from_environment(name: str, environment: Mapping[str, str]) -> SecretValue:
    text = environment.get(name, "")
    if not text:
        state = "empty" if name in environment else "not set"
        raise MissingSecretError(
            f"the environment variable {name} is {state}", f"set {name} to the secret and try again", state
        )
    return SecretValue(text)


def _from_file(path: Path) -> SecretValue:
    try:
        raw = content(path, _LONGEST)
    except OSError as error:
        hint = hint_for(error, "check the path and its permissions")
        raise FileError(f"{path}: the secret cannot be read: {error.strerror}", hint) from None
    if len(raw) > _LONGEST:
        raise MissingSecretError(f"{path}: contains more than {_LONGEST} bytes", "write only the secret into the file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MissingSecretError(
            f"{path}: is not UTF-8 text", "save the secret as UTF-8, not as UTF-16 or ANSI"
        ) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or any(char in text for char in "\r\n\0"):
        raise MissingSecretError(f"{path}: must contain the secret on one line, and no other line")
    return SecretValue(text)
