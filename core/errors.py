"""Every failure that nlbgen expects, one class per exit code.

The command line catches [`NlbgenError`][nlbgen.core.errors.NlbgenError] in one place and exits with its `exit_code`.
Any other exception there is an internal error, a bug in nlbgen (exit code 70).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from .wording import legible

if TYPE_CHECKING:
    from .excerpt import Excerpt

Severity = Literal["error", "warning"]


class NlbgenError(Exception):
    """An error with its `message` and a `hint` what to do, both for users."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DifferenceError(NlbgenError):
    """An unexpected difference was found."""


class CapacityError(NlbgenError):
    """A change would leave too few nodes in rotation."""


class FileError(NlbgenError):
    """A file cannot be read or written."""


class ValidationError(NlbgenError):
    """The real program refuses the rendered configuration."""


class UsageError(NlbgenError):
    """The command line is invalid."""

    exit_code = 2


class Location(NamedTuple):
    """A position in a text file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """An error or a warning about a spec, with its location and a hint what to do.

    `path` names the key as a user would (`nodes[1].port`; empty for the whole file). `id` is what `accept` names;
    it is empty for plain type errors, which cannot be accepted. `excerpt` is the line at the location, where it can be
    shown.
    """

    location: Location
    path: str
    message: str
    hint: str = ""
    id: str = ""
    severity: Severity = "error"
    excerpt: "Excerpt | None" = None

    @property
    def headline(self) -> str:
        """The problem without its hint: location, severity of a warning, path, message, id."""
        what = f"{self.path}: {self.message}" if self.path else self.message
        kind = "warning: " if self.severity == "warning" else ""
        return legible(f"{self.location}: {kind}{what}" + (f" [{self.id}]" if self.id else ""))

    def __str__(self) -> str:
        return f"{self.headline}\n    {legible(self.hint)}" if self.hint else self.headline


class ProblemsError(NlbgenError):
    """All problems of a spec at once, in the order of their locations."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.location, problem.path, problem.id)))
        super().__init__("\n".join(map(str, self.problems)))


class SpecError(ProblemsError):
    """The spec is invalid."""

    exit_code = 3


class UnsupportedError(ProblemsError):
    """A vendor does not support what the spec requests; `accept` can name the `id` of a problem."""

    exit_code = 4


class NodeError(NlbgenError):
    """A node's configuration cannot be read or changed."""

    exit_code = 5


class DeviceError(NlbgenError):
    """A device refused a request, or is unreachable."""

    exit_code = 6
