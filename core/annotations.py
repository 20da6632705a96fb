"""Workflow commands of GitHub Actions, which GitHub shows at the line of the file."""

from typing import Literal

from .errors import Location

Kind = Literal["error", "warning", "notice"]


def annotation(kind: Kind, location: Location, title: str, message: str) -> str:
    """One annotation as a line; the message may have several lines."""
    properties = {
        "file": location.file,
        "line": str(location.line),
        "col": str(location.column),
        "title": title,
    }
    listed = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{kind} {listed}::{_escaped(message, '')}"


def _escaped(value: str, special: str) -> str:
    """A value for a workflow command, percent-encoded where it would end the command or the property."""
    for char in "%\r\n" + special:
        value = value.replace(char, f"%{ord(char):02X}")
    return value
