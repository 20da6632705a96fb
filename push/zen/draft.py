"""A plan for a Zen device, while it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...core.plan import Change, Plan, Shown
from ...generators.zen.calls import Call
from .state import State, partners, same, text, typed
from .steps import Send, Step


class Certificate(NamedTuple):
    """The farm's certificate: its name on the device, and its PEM if it must be uploaded."""

    name: str
    pem: bytes | None

    def __repr__(self) -> str:
        return f"Certificate({self.name})"


@dataclass
class Draft:
    """A plan while it is made: the changes, the steps, and notes for the user."""

    target: str
    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    restarts: list[Step] = field(default_factory=list)
    last: list[Step] = field(default_factory=list)
    """The steps after the new farm serves; they are not undone."""
    notes: list[str] = field(default_factory=list)

    def change(self, path: str, old: str | None, new: str | None) -> None:
        """Add a line to the plan."""
        self.changes.append(
            Change(self.target, path, None if old is None else Shown(old), None if new is None else Shown(new))
        )

    def differences(self, label: str, found: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that differ, and add a line to the plan for each."""
        changed = {}
        for name, value in wanted.items():
            old = found.get(name, "")
            if same(name, old, text(value)):
                continue
            changed[name] = value
            self.change(f"{label}/{name}", old or None, text(value) or "(none)")
        return changed

    def put(
        self, what: str, at: str, changed: Mapping[str, Any], found: Mapping[str, str], wanted: Mapping[str, Any]
    ) -> None:
        """Add a step that writes the changes, with the old values for its rollback."""
        changed = {**changed, **partners(changed, wanted)}
        old = {name: found[name] for name in changed if name in found}
        if old.get("ciphers", "customsecurity") != "customsecurity":
            old.pop("cipherc", None)  # the other choices define the ciphers
        back = (Call("PUT", at, typed(old, changed)),) if old else ()
        self.steps.append(Send(what, Call("PUT", at, dict(changed)), back))

    def plan(self, state: State) -> Plan:
        """Return the plan for this state."""
        return Plan(self.changes, {self.target: state.digest}, [self.target])
