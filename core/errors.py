"""Every failure that nlbgen expects, one class per exit code.

The command line catches [`NlbgenError`][nlbgen.core.errors.NlbgenError] in one place and exits with its `exit_code`;
anything else that reaches that place is a fault of nlbgen itself (exit code 70).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

Severity = Literal["error", "warning"]


class NlbgenError(Exception):
    """What went wrong (`message`) and the way out (`hint`), for the user to read."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DifferenceError(NlbgenError):
    """A difference or a drift was found where none should be."""


class FileError(NlbgenError):
    """A file that nlbgen should read or write cannot be read or written."""


class ValidationError(NlbgenError):
    """The real program refuses what was rendered."""


class UsageError(NlbgenError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class Location(NamedTuple):
    """A position in a text file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """One thing that is wrong or doubtful in a spec, where it stands and what to do.

    `path` names the key as a user would (`nodes[1].port`; empty for the whole file). `id` is what `accept` names;
    it is empty for plain type errors, which cannot be accepted.
    """

    location: Location
    path: str
    message: str
    hint: str = ""
    id: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        what = f"{self.path}: {self.message}" if self.path else self.message
        kind = "warning: " if self.severity == "warning" else ""
        text = f"{self.location}: {kind}{what}"
        if self.id:
            text += f" [{self.id}]"
        return f"{text}\n    {self.hint}" if self.hint else text


class ProblemsError(NlbgenError):
    """One or more problems of a spec, all of them at once, in the order of their places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.location, problem.path, problem.id)))
        super().__init__("\n".join(map(str, self.problems)))


class SpecError(ProblemsError):
    """The spec is wrong: nothing can be made from it."""

    exit_code = 3


class UnsupportedError(ProblemsError):
    """A vendor cannot do what the spec asks; each problem's `id` is what `accept` could name."""

    exit_code = 4


class NodeError(NlbgenError):
    """A node's configuration cannot be read or changed."""

    exit_code = 5


class DeviceError(NlbgenError):
    """A device refused, or could not be reached."""

    exit_code = 6
