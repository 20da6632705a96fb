"""Snapshots: the objects of a plan before the push, in a file that only its owner can read; and their restore.

The file contains only properties that farms set, in tmsh's words. It contains no secrets and no keys.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...core.errors import FileError, UsageError
from ...core.files import read_bytes, write_atomically
from ...generators.f5.vocabulary import KINDS, NAMED, Object, Value
from .plan import Key, State, Work

FORMAT: Final = 1
MODE: Final = 0o600
_DIGITS: Final = 12
"""The number of digits of the plan's digest in a snapshot's name."""


class Snapshot(NamedTuple):
    """The earlier state of objects on one device; None for an object that did not exist."""

    device: str
    farm: str
    partition: str
    api: str
    """The API that read them: another API may have other properties."""
    objects: Mapping[Key, Mapping[str, Value] | None]
    record: Mapping[str, Any] | None = None
    """AS3's record of the tenant, or None. With AS3, only a declaration restores the objects."""


def save(folder: Path, snapshot: Snapshot, digest: str) -> Path:
    """Write the snapshot, marked as pending. The same push of the same state writes the same file."""
    path = folder / f"{snapshot.farm}-{digest[:_DIGITS]}.json"
    _write(path, snapshot, pending=True)
    return path


def settle(path: Path) -> None:
    """Mark the push of this snapshot as completed: its configuration is saved.

    A missing snapshot belonged to another push, which was refused in the meantime.
    """
    content = read_bytes(path)
    if content is not None:
        _write(path, _parsed(path, content)[0], pending=False)


def pending(folder: Path, device: str, farm: str, *, as3: bool) -> list[Path]:
    """Return the snapshots of pushes of this farm on this device, by AS3 or not, that were not completed."""
    if not folder.is_dir():
        return []
    named = re.compile(rf"{re.escape(farm)}-[0-9a-f]{{{_DIGITS}}}\.json")
    mine = [path for path in sorted(folder.iterdir()) if named.fullmatch(path.name)]
    return [path for path in mine if _is_pending(path, device, farm, as3=as3)]


def existing(path: Path) -> dict[Key, Mapping[str, Value]]:
    """Return the objects of a snapshot that existed."""
    return {key: values for key, values in _load(path)[0].objects.items() if values is not None}


def _is_pending(path: Path, device: str, farm: str, *, as3: bool) -> bool:
    """Whether this is the snapshot of a push that was not completed. An invalid file must not stop a push."""
    try:
        found, is_pending = _load(path)
    except FileError:
        return False
    return is_pending and (found.device, found.farm, found.api == "as3") == (device, farm, as3)


def load(path: Path, device: str, farm: str, partition: str, api: str) -> Snapshot:
    """Return the snapshot to restore; raises FileError for an invalid file, UsageError for the snapshot of another
    farm.
    """
    found = _load(path)[0]
    if (found.device, found.farm, found.partition) != (device, farm, partition):
        place = f"the farm {found.farm} on {found.device}, partition {found.partition}"
        raise UsageError(f"{path}: is a snapshot of {place}", "restore it with the spec of that farm")
    if found.api != api:
        raise UsageError(f"{path}: was made with f5.api: {found.api}", "restore it with this API in the spec")
    return found


def _write(path: Path, snapshot: Snapshot, *, pending: bool) -> None:
    objects = [
        {"kind": kind, "path": name, "properties": values} for (kind, name), values in sorted(snapshot.objects.items())
    ]
    data = {
        "nlbgen": "f5-snapshot",
        "format": FORMAT,
        "device": snapshot.device,
        "farm": snapshot.farm,
        "partition": snapshot.partition,
        "api": snapshot.api,
        "pending": pending,
        "objects": objects,
        **({} if snapshot.record is None else {"record": snapshot.record}),
    }
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(), mode=MODE, durable=True)


def _load(path: Path) -> tuple[Snapshot, bool]:
    content = read_bytes(path)
    if content is None:
        raise FileError(f"{path}: there is no such snapshot", "each push prints the path of its snapshot")
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> tuple[Snapshot, bool]:
    """Return the snapshot in a file's content, and whether it is pending."""
    try:
        data = json.loads(content)
        if data["nlbgen"] != "f5-snapshot" or data["format"] != FORMAT:
            raise ValueError
        objects = {
            (one["kind"], one["path"]): None if one["properties"] is None else _values(one["properties"])
            for one in data["objects"]
            if one["kind"] in KINDS
        }
        place = data["device"], data["farm"], data["partition"], data["api"]
        return Snapshot(*place, objects, data.get("record")), bool(data["pending"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FileError(f"{path}: is not a snapshot of a push", "each push prints the path of its snapshot") from None


def _values(data: Mapping[str, Any]) -> dict[str, Value]:
    return {key: _value(value) for key, value in data.items()}


def _value(data: "Value | list[str]") -> Value:
    if isinstance(data, list):
        return tuple(data)
    return _values(data) if isinstance(data, Mapping) else data


def of(work: Work, state: State, device: str, farm: str, partition: str, api: str) -> Snapshot:
    """Return a snapshot of the objects that a push will change, as they are now."""
    return Snapshot(device, farm, partition, api, {key: state.found.get(key) for key in work.keys})


def wanted(snapshot: Snapshot, state: State) -> tuple[tuple[Object, ...], frozenset[Key]]:
    """Return the objects to restore, and the keys of objects that did not exist."""
    back = [
        Object(kind, path, _sendable(values, there=(kind, path) in state.found))
        for (kind, path), values in snapshot.objects.items()
        if values is not None
    ]
    absent = frozenset(key for key, values in snapshot.objects.items() if values is None)
    return tuple(sorted(back, key=lambda one: (KINDS.index(one.kind), one.path))), absent


def _sendable(values: Mapping[str, Value], *, there: bool) -> dict[str, Value]:
    """Return the values without absent ones (`none`), which a request cannot set for a new object or member."""
    sent: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            sent[key] = _entries(value) if key in NAMED else _sendable(value, there=False)
        elif there or value != "none":
            sent[key] = value
    return {key: value for key, value in sent.items() if value != {} or key in NAMED}


def _entries(value: Mapping[str, Value]) -> dict[str, Value]:
    return {
        name: _sendable(inner, there=False) if isinstance(inner, Mapping) else inner for name, inner in value.items()
    }
