"""Secrets: references in the spec, values only at the moment and place of use."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.errors import FileError, NlbgenError
from .model import Secret

_LONGEST: Final = 4096


class SecretValue:
    """A resolved secret that does not show itself: `reveal()` is the only way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__


class SecretError(NlbgenError):
    """A secret that is needed cannot be used."""


class MissingSecretError(SecretError):
    """A reference leads to nothing."""


def resolve(secret: Secret, folder: Path, environment: Mapping[str, str] | None = None) -> SecretValue:
    """The secret behind a reference; files are looked for from `folder`, the spec's own.

    One line end at the end of a file is not part of the secret. Raises MissingSecretError or FileError, never with
    any part of the secret in the text.
    """
    if secret.env is not None:
        return _from_environment(secret.env, os.environ if environment is None else environment)
    return _from_file(folder / str(secret.file))


def _from_environment(name: str, environment: Mapping[str, str]) -> SecretValue:
    text = environment.get(name, "")
    if not text:
        state = "empty" if name in environment else "not set"
        raise MissingSecretError(
            f"the environment variable {name} is {state}", f"set {name} to the secret and try again"
        )
    return SecretValue(text)


def _from_file(path: Path) -> SecretValue:
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise FileError(
            f"{path}: the secret cannot be read: {error.strerror}", "check the path and its rights"
        ) from None
    activity.note(f"file read: {path}")
    if len(raw) > _LONGEST:
        raise MissingSecretError(
            f"{path}: holds more than {_LONGEST} bytes", "the file holds the secret and nothing else"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MissingSecretError(f"{path}: is not UTF-8 text", "save the secret as UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or any(char in text for char in "\r\n\0"):
        raise MissingSecretError(f"{path}: must hold the secret on one line, and nothing else")
    return SecretValue(text)
