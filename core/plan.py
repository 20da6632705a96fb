"""Plans of changes, for the nodes' config files and for devices.

A plan can be reviewed (`text`, `data`). Its digest identifies it: `--expect DIGEST` applies exactly the reviewed
changes to exactly the reviewed state. A plan never holds a secret, only a fingerprint of it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

from .errors import DifferenceError, UsageError
from .wording import json_text, legible, plural

DIGEST_SHOWN: Final = 16
"""The number of hex digits of the digest that are printed; `--expect` needs at least as many."""


@dataclass(frozen=True, slots=True, order=True)
class Shown:
    """A value as a plan may show it: the value itself, or the fingerprint of a secret.

    `identity` is the full fingerprint where `text` is a short one, so that the plan's digest depends on all of it.
    """

    text: str
    secret: bool = False
    identity: str = ""

    def __str__(self) -> str:
        if self.secret:
            return self.text
        plain = self.text and self.text.isprintable() and self.text == self.text.strip()
        return self.text if plain else json.dumps(self.text, ensure_ascii=True)

    def data(self) -> dict[str, object]:
        """For programs."""
        return {"text": self.text, "secret": True} if self.secret else {"text": self.text}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the node or device, the path, the old and the new value; None where there is no value."""

    target: str
    path: str
    old: Shown | None
    new: Shown | None
    where: object = ""
    """The location in a file, if there is one; it becomes text only in `data`."""

    @property
    def kind(self) -> str:
        """`add`, `change` or `remove`."""
        if self.old is None:
            return "add"
        return "remove" if self.new is None else "change"

    def __str__(self) -> str:
        sign = {"add": "+", "change": "~", "remove": "-"}[self.kind]
        path = legible(self.path)
        if self.old is None or self.new is None:
            return f"{sign} {path}: {self.new if self.old is None else self.old}"
        return f"{sign} {path}: {self.old} -> {self.new}"

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "target": self.target,
            "path": self.path,
            "kind": self.kind,
            "old": None if self.old is None else self.old.data(),
            "new": None if self.new is None else self.new.data(),
            "where": str(self.where) or None,
        }

    def _identity(self) -> list[object]:
        values = [None if value is None else [value.text, value.identity] for value in (self.old, self.new)]
        return [self.target, self.path, *values]


class Plan:
    """Changes in order of target and path, and the state they were planned on."""

    def __init__(
        self, changes: Iterable[Change], base: Mapping[str, str], targets: Iterable[str] = (), incomplete: str = ""
    ) -> None:
        self.changes: Final = tuple(sorted(changes, key=lambda change: (change.target, change.path)))
        self.base: Final = dict(sorted(base.items()))
        """The names of the files and devices that were read, each with the digest of its state."""
        self.targets: Final = tuple(sorted({*targets, *(change.target for change in self.changes)}))
        """The nodes or devices that were read, changed or not."""
        self.incomplete: Final = incomplete
        """Why the plan is not applied by its digest, so that none is shown; empty for a complete plan."""

    def __len__(self) -> int:
        return len(self.changes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over changes and state, in hex."""
        canonical = json.dumps(
            {"base": self.base, "changes": [change._identity() for change in self.changes]},  # noqa: SLF001  # its twin
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()

    def expect(self, digest: str) -> None:
        """Raise DifferenceError if the plan has another digest, UsageError if `digest` is not a digest."""
        wanted = digest.strip().lower()
        if len(wanted) < DIGEST_SHOWN or not set(wanted) <= set("0123456789abcdef"):
            raise UsageError(f"{digest} is not a digest", f"a plan shows its digest: {DIGEST_SHOWN} hex digits or more")
        if not self.digest.startswith(wanted):
            raise DifferenceError(
                f"the plan now has the digest {self.digest[:DIGEST_SHOWN]}, not {wanted[:DIGEST_SHOWN]}",
                "something changed since that plan was made: review the new plan, then apply it",
            )

    def text(self) -> str:
        """Return the text: the changes by target, then their number and the digest of a complete plan."""
        lines = []
        changed = {target: list(group) for target, group in groupby(self.changes, key=lambda change: change.target)}
        for target in self.targets:
            name = legible(target)
            lines.append(name if target in changed else f"{name}: nothing to change")
            lines += [f"  {change}" for change in changed.get(target, ())]
        digest = f"no digest: {self.incomplete}" if self.incomplete else f"digest {self.digest[:DIGEST_SHOWN]}"
        lines.append(f"{plural(len(self), 'change')}, {digest}")
        return "\n".join(lines) + "\n"

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "digest": None if self.incomplete else self.digest,
            "targets": list(self.targets),
            "changes": [change.data() for change in self.changes],
            "base": self.base,
            **({"incomplete": self.incomplete} if self.incomplete else {}),
        }

    def json(self) -> str:
        """The data as JSON."""
        return json_text(self.data()) + "\n"
