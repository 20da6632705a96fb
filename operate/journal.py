"""The journal of a rolling change: how far it has come, so that it can be resumed after any interruption.

It is a JSON file, written atomically before each step begins. Only its owner can read it, because the command may
contain secrets.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from ..core.errors import FileError, UsageError
from ..core.files import discard, read_bytes, write_atomically
from .contract import Wanted

Step = Literal["waiting", "leaving", "running", "stopping", "ran", "returning", "done"]
"""What has begun for a node.

`waiting`: nothing. `leaving`: it is drained and set to down. `running`: the command has begun. `stopping`: the
command has succeeded, and the node is expected to stop for a reboot. `ran`: its health is awaited. `returning`: it is
healthy and is set to its former state. `done`: it serves again.
"""
_STEPS: Final[tuple[Step, ...]] = ("waiting", "leaving", "running", "stopping", "ran", "returning", "done")
TITLES: Final[Mapping[Step, str]] = {
    "waiting": "gate",
    "leaving": "drain or down",
    "running": "command",
    "stopping": "reboot",
    "ran": "health",
    "returning": "up",
    "done": "pause",
}
"""The names of the steps for people, as in the docs."""
_VERSION: Final = 1


@dataclass(frozen=True)
class Entry:
    """One node of a rolling change."""

    node: str
    step: Step = "waiting"
    before: Wanted = "up"
    """Its state before, to which it returns."""


@dataclass(frozen=True)
class Journal:
    """A rolling change: its command, and its nodes in order."""

    path: Path
    farm: str
    command: tuple[str, ...]
    entries: tuple[Entry, ...] = field(default_factory=tuple)
    reboot: float | None = None
    """Seconds to wait until a node stops for the reboot that the command begins; None: the command begins none."""

    @property
    def left(self) -> tuple[Entry, ...]:
        """The nodes that are not done."""
        return tuple(entry for entry in self.entries if entry.step != "done")

    @property
    def begun(self) -> bool:
        """Whether a step of a node has begun, and with it the file was written."""
        return any(entry.step != "waiting" for entry in self.entries)

    def resume_command(self, *, command_done: bool = False) -> str:
        """Return the command line that continues the change."""
        done = " --command-done" if command_done else ""
        return f"nlbgen roll --resume{done} --journal {shlex.quote(str(self.path))}"

    def at(self, node: str, step: Step, before: Wanted | None = None) -> "Journal":
        """Return the journal with a new step of a node, written to the disk. Raises FileError."""
        entries = tuple(
            replace(entry, step=step, before=before or entry.before) if entry.node == node else entry
            for entry in self.entries
        )
        made = replace(self, entries=entries)
        made.write()
        return made

    def entry(self, node: str) -> Entry:
        """Return the entry of a node."""
        return next(entry for entry in self.entries if entry.node == node)

    def write(self) -> None:
        """Write the journal: it is on the disk when this returns. Raises FileError."""
        data = {
            "version": _VERSION,
            "farm": self.farm,
            "command": list(self.command),
            "reboot": self.reboot,
            "nodes": [{"node": one.node, "step": one.step, "before": one.before} for one in self.entries],
        }
        content = f"{json.dumps(data, indent=2)}\n".encode()
        write_atomically(self.path, content, mode=0o600, durable=True, option="--journal FILE")

    def remove(self) -> None:
        """Remove the journal of a change that is complete."""
        discard(self.path)


def read(path: Path) -> Journal | None:
    """Return the journal at this path, or None if there is none; raises FileError if it is not one."""
    content = read_bytes(path)
    if content is None:
        return None
    try:
        return _parsed(path, json.loads(content))
    except (ValueError, KeyError, TypeError):
        raise FileError(
            f"{path}: is not the journal of a rolling change", "choose another file with --journal FILE, or remove it"
        ) from None


def _parsed(path: Path, data: Mapping[str, Any]) -> Journal:
    if data["version"] != _VERSION:
        raise ValueError("another version")
    entries = tuple(_entry(one) for one in data["nodes"])
    reboot = data.get("reboot")
    return Journal(
        path, str(data["farm"]), tuple(map(str, data["command"])), entries, None if reboot is None else float(reboot)
    )


def _entry(one: Mapping[str, Any]) -> Entry:
    if one["step"] not in _STEPS or one["before"] not in {"up", "drain", "down"}:
        raise ValueError("an unknown step")
    return Entry(str(one["node"]), one["step"], one["before"])


def started(path: Path, farm: str, command: Sequence[str], nodes: Sequence[str]) -> Journal:
    """Return a new journal, which is not written yet; raises UsageError if a change is unfinished."""
    found = read(path)
    if found is not None and found.left:
        nodes_left = ", ".join(f"{entry.node} ({entry.step})" for entry in found.left)
        raise UsageError(
            f"{path}: a rolling change is unfinished: {nodes_left}",
            "continue it with `nlbgen roll --resume`; or begin a new one with --discard",
        )
    return Journal(path, farm, tuple(command), tuple(Entry(node) for node in nodes))


def discarded(path: Path, farm: str, command: Sequence[str], nodes: Sequence[str]) -> tuple[Journal, list[str]]:
    """Return a new journal in place of an unfinished change, and the nodes that this change leaves out of rotation.

    A node that the unfinished change removed from rotation, and that is one of `nodes`, returns to its former state.
    """
    try:
        found = read(path)
    except FileError:
        found = None
    removed = {} if found is None or found.farm != farm else {one.node: one for one in found.left}
    removed = {name: one for name, one in removed.items() if one.step != "waiting"}
    entries = (replace(removed[name], step="leaving") if name in removed else Entry(name) for name in nodes)
    return Journal(path, farm, tuple(command), tuple(entries)), [name for name in removed if name not in nodes]


def resumed(path: Path, farm: str) -> Journal:
    """Return the journal to continue; raises UsageError if there is nothing to continue.

    A run that was interrupted after its last node has nothing left; to continue it removes the journal.
    """
    found = read(path)
    if found is None:
        raise UsageError(f"{path}: there is no unfinished rolling change", "begin one: `nlbgen roll -- COMMAND`")
    if found.farm != farm:
        raise UsageError(
            f"{path}: is a change of the farm {found.farm}, not of {farm}",
            f"use the spec of the farm {found.farm}: --spec FILE",
        )
    return found
