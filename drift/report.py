"""The result of a comparison: for each subject the differences, or why it could not be compared."""

from dataclasses import dataclass
from typing import Final

from ..core.errors import DeviceError, DifferenceError
from ..core.wording import legible, plural

MOST_SHOWN: Final = 50
"""The number of differences of one subject that the text shows."""


class UnreachedError(Exception):
    """A subject cannot be compared; the first text has the reason, the second what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs."""

    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, found {self.found}"

    def data(self) -> dict[str, str]:
        """For programs."""
        return {"what": self.what, "expected": self.expected, "found": self.found}


@dataclass(frozen=True, slots=True)
class Subject:
    """One program, device, or the nodes."""

    name: str
    differences: tuple[Difference, ...] = ()
    unreached: str = ""
    """Why it could not be compared, or not completely."""
    hint: str = ""
    """What to do then."""
    host: str = ""
    """The host for ssh on which it runs; empty for this machine and for devices."""

    @property
    def title(self) -> str:
        """Its name, with its host if there is one."""
        return f"{self.name} at {self.host}" if self.host else self.name

    @property
    def reached(self) -> bool:
        """Whether it could be compared."""
        return not self.unreached

    def lines(self) -> list[str]:
        """Return the subject as text."""
        lines = [str(one) for one in self.differences[:MOST_SHOWN]]
        if (more := len(self.differences) - MOST_SHOWN) > 0:
            lines.append(f"{plural(more, 'more difference')}")
        if self.unreached:
            lines += [f"not compared: {self.unreached}", f"    {self.hint}"]
        if not lines:
            lines.append("no difference")
        return [line if line.startswith(" ") else f"{self.title}: {line}" for line in lines]

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "subject": self.name,
            "host": self.host or None,
            "reached": self.reached,
            "differences": [one.data() for one in self.differences],
            "unreached": self.unreached or None,
        }


@dataclass(frozen=True, slots=True)
class Machine:
    """What only the balancer's own machine knows; None where it cannot be read."""

    host: str = ""
    """The host for ssh; empty for this machine."""
    old_workers: int | None = None
    address: str = ""
    """The shared address; empty without one."""
    holds_address: bool | None = None

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "old_workers": self.old_workers,
            "address": self.address or None,
            "holds_address": self.holds_address,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The comparison of a farm."""

    farm: str
    subjects: tuple[Subject, ...]
    machines: tuple[Machine, ...] = ()

    @property
    def exit_code(self) -> int:
        """6 if a subject could not be compared, else 1 if there are differences."""
        if not all(subject.reached for subject in self.subjects):
            return DeviceError.exit_code
        return DifferenceError.exit_code if any(subject.differences for subject in self.subjects) else 0

    def text(self) -> str:
        """For people."""
        return "".join(legible(line) + "\n" for subject in self.subjects for line in subject.lines())

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "farm": self.farm,
            "drift": any(subject.differences for subject in self.subjects),
            "subjects": [subject.data() for subject in self.subjects],
            **next((one for one in self.machines if not one.host), Machine()).data(),
            "hosts": [{"host": one.host, **one.data()} for one in self.machines if one.host],
        }

    def summary(self) -> str:
        """The counts of differences and of subjects that were not compared."""
        found = sum(len(subject.differences) for subject in self.subjects)
        missed = sum(not subject.reached for subject in self.subjects)
        if missed == len(self.subjects):
            return "no subject could be compared"
        compared = plural(len(self.subjects) - missed, "subject")
        text = f"{compared} compared: {plural(found, 'difference') if found else 'no difference'}"
        return f"{text}; {plural(missed, 'subject')} not compared" if missed else text
