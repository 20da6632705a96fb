"""The event log: one JSON line for each change of the running farm, with who made it and why."""

import contextlib
import datetime as dt
import errno
import getpass
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.errors import FileError
from ..core.files import require_regular

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_HINT: Final = "choose another file with --log FILE"


class EventLog:
    """Appends events to a file; each line is on the disk before the next step begins.

    The begin of a change is written before the change: without a log, nothing is changed.
    """

    def __init__(self, path: Path, farm: str, ticket: str = "") -> None:
        self.path: Final = path
        self._common: Final = {"farm": farm, "user": _user(), "host": socket.gethostname(), "ticket": ticket}

    def write(self, event: str, **facts: object) -> None:
        """Append one event; raises FileError if that is not possible."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "event": event, **self._common, **facts}, ensure_ascii=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append(self.path, f"{line}\n".encode())
        except OSError as error:
            raise FileError(f"{self.path}: the event log cannot be written: {error.strerror}", _HINT) from None
        activity.note(f"event: {line}")

    def also(self, event: str, **facts: object) -> str:
        """Append an event about a failure; return why that is not possible, as the end of the failure's message."""
        try:
            self.write(event, **facts)
        except FileError as error:
            return f"\n    {error.message}"
        return ""


def _append(path: Path, line: bytes) -> None:
    """Append a line as a whole: what a full disk took of it is removed again. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        require_regular(path)  # a named pipe without a reader would never open
    descriptor = os.open(path, _FLAGS, 0o640)
    try:
        written = os.write(descriptor, line)  # one write: lines of two runs never mix
        if written < len(line):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _user() -> str:
    """Return the user who runs nlbgen; through sudo, the user who called sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id; on Windows, USERNAME is not set
        return "unknown"


def by_balancer(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the states of a node at each balancer for an event."""
    return [{"balancer": name, "state": state} for name, state in values.items()]
