"""The event log: one JSON line for each change of the running farm, with who made it and why."""

import datetime as dt
import getpass
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.errors import FileError

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


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
            descriptor = os.open(self.path, _FLAGS, 0o640)
            try:
                os.write(descriptor, f"{line}\n".encode())  # one write: lines of two runs never mix
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FileError(
                f"{self.path}: the event log cannot be written: {error.strerror}", "choose another file with --log FILE"
            ) from None
        activity.note(f"event: {line}")


def _user() -> str:
    """Return the user who runs nlbgen; through sudo, the user who called sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id; on Windows, USERNAME is not set
        return "unknown"


def by_balancer(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the states of a node at each balancer for an event."""
    return [{"balancer": name, "state": state} for name, state in values.items()]
