"""How all commands speak: data to standard output, talk to standard error, questions to whoever sits at a terminal.

Also what several commands share: their options, and the way to leave with an exit code.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..core import activity
from ..core.errors import NlbgenError, Problem, ProblemsError, UsageError
from ..core.wording import plural

if TYPE_CHECKING:
    from ..core.plan import Plan
    from ..spec.load import Spec
    from .tables import Block

# Options


class FilePath(click.Path):
    """The path of a file or folder, as `pathlib.Path`. An empty one is refused: a script's variable was not set."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        # Whether a file can be read is told by what reads it, with the way out.
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; refuses an empty one, and `-`, because standard input and output are not files here."""
        if str(value) == "":
            self.fail("the path is empty: a variable may not be set", param, ctx)
        if str(value) == "-":
            self.fail("- stands for no file here: name one, or ./- for a file of that name", param, ctx)
        return super().convert(value, param, ctx)


def _only_one(_context: click.Context, _parameter: click.Parameter, given: tuple[Path, ...]) -> Path:
    if len(given) > 1:
        raise UsageError("this command takes one spec", "run it once for each")
    return given[0] if given else DEFAULT_SPECS[0]


SPEC = click.option(
    "-s",
    "--spec",
    "specs",
    multiple=True,
    type=FilePath(),
    metavar="FILE",
    help="The spec [default: farm.yaml]. Several, or a folder of them, make a fleet.",
)
DEFAULT_SPECS = (Path("farm.yaml"),)
"""What SPEC stands for where it is not given."""

ONE_SPEC = click.option(
    "-s",
    "--spec",
    "file",
    multiple=True,
    callback=_only_one,
    type=FilePath(),
    metavar="FILE",
    help="The spec [default: farm.yaml].",
)
OUTPUT = click.option(
    "-o",
    "--output",
    type=FilePath(file_okay=False),
    default=Path("outputs"),
    show_default=True,
    metavar="DIR",
    help="Where files go.",
)
STYLE = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="How the result is shown."
)

# How much is said


class _Manner:
    """How this run speaks. `outcome` is what a refused spec means for the command that runs."""

    quiet = False
    outcome = ""


_manner = _Manner()


def begin(*, quiet: bool = False, verbose: bool = False) -> None:
    """Decide how a run speaks: `quiet` says only errors, `verbose` also each file, program and device used."""
    _manner.quiet = quiet
    _manner.outcome = "nothing was written"
    activity.listen(_detail if verbose else None)


def is_quiet() -> bool:
    """Whether only errors are to be said, so that no bar shows how far the work is either."""
    return _manner.quiet


def on_refusal(outcome: str) -> None:
    """What to say when the spec is refused, in a command to which "nothing was written" does not fit."""
    _manner.outcome = outcome


# Colours


def coloured(stream: TextIO) -> bool:
    """Whether colours are wanted on this stream: on terminals, unless the environment says otherwise.

    NO_COLOR forbids them (https://no-color.org). FORCE_COLOR (https://force-color.org) and CLICOLOR_FORCE
    (https://bixense.com/clicolors) ask for them in pipes and files too. A terminal that is `dumb` knows none.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def drawable(stream: TextIO) -> bool:
    """Whether this stream leads to a terminal that tables can be drawn on; pipes, files and `dumb` ones get text."""
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def animated() -> bool:
    """Whether a picture that changes may be drawn on standard error."""
    return not _manner.quiet and drawable(sys.stderr)


def _paint(text: str, stream: TextIO, *, colour: str | None = None, dim: bool = False) -> str:
    return click.style(text, fg=colour, dim=dim or None) if text and coloured(stream) else text


def described(problem: Problem, stream: TextIO) -> str:
    """A problem as text for this stream: errors red, warnings yellow, the way out dim."""
    head, line_end, hint = str(problem).partition("\n")
    colour = "red" if problem.severity == "error" else "yellow"
    return _paint(head, stream, colour=colour) + line_end + _paint(hint, stream, dim=True)


# Talk


def _talk(text: str) -> None:
    click.echo(text, err=True, color=coloured(sys.stderr))


def say(text: str) -> None:
    """Tell the user how things go; `--quiet` leaves it out."""
    if not _manner.quiet:
        _talk(text)


def insist(text: str) -> None:
    """Tell the user what may not be missed, with `--quiet` too."""
    _talk(text)


def _detail(text: str) -> None:
    _talk(_paint(text, sys.stderr, dim=True))


def warn(spec: "Spec") -> None:
    """Tell what is doubtful in a spec."""
    for problem in spec.warnings:
        say(described(problem, sys.stderr))


def tell(error: NlbgenError, outcome: str | None = None) -> None:
    """Tell what went wrong; `outcome` is what that means, where it is not the end of the command."""
    if isinstance(error, ProblemsError):
        for problem in error.problems:
            _talk(described(problem, sys.stderr))
        closing = f"nlbgen: {count(error.problems)}; {outcome or _manner.outcome}"
        _talk(_paint(closing, sys.stderr, colour="red"))
        return
    _talk(_paint(f"nlbgen: {error.message}", sys.stderr, colour="red"))
    if error.hint:
        _talk(_paint(f"    {error.hint}", sys.stderr, dim=True))


def count(problems: Iterable[Problem]) -> str:
    """How many errors and warnings these are, as in `2 errors and 1 warning`."""
    kinds = [problem.severity for problem in problems]
    parts = [plural(number, kind) for kind in ("error", "warning") if (number := kinds.count(kind))]
    return " and ".join(parts)


def misused(error: click.ClickException) -> None:
    """Tell what click does not understand of a command line."""
    error.show(said := io.StringIO())
    for line in said.getvalue().splitlines():
        _talk(_paint(line, sys.stderr, colour="red") if line.startswith("Error: ") else line)


def fail(text: str) -> None:
    """Tell why this is the end, where no NlbgenError does; `--quiet` does not hide it."""
    _talk(_paint(text, sys.stderr, colour="red"))


# Questions


def propose(plan: "Plan", *, question: bool) -> None:
    """Show what is about to be done. Whoever is asked about it next sees it even with `--quiet`."""
    if not _manner.quiet or (question and sys.stdin.isatty()):
        _put(plan.text(), _changes(plan), sys.stderr)


def confirmed(agreed: bool, question: str, review: str) -> None:
    """Go on only where someone agrees; raises UsageError where nobody can be asked."""
    if agreed:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here", f"{review}, then run it with --expect DIGEST or --yes")
    click.confirm(question, abort=True, err=True)


# Data


View = Callable[[], "Iterable[Block]"]
"""What a terminal shows instead of a text; it is only made where there is a terminal, or where colours are forced."""


def show(result: object, view: View | None = None) -> None:
    """Print what a command makes: a text as it is, or on a terminal its `view`; anything else as JSON."""
    import json

    if isinstance(result, str):
        _put(result, view, sys.stdout)
    else:
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))


def show_plan(plan: "Plan") -> None:
    """Print a plan."""
    _put(plan.text(), _changes(plan), sys.stdout)


def _changes(plan: "Plan") -> View:
    def view() -> "Iterable[Block]":
        from . import tables

        return tables.changes(plan)

    return view


def _put(text: str, view: View | None, stream: TextIO) -> None:
    """Write a text; on a terminal what it shows instead, in a pipe with forced colours the text in colours."""
    if view is None or not (drawable(stream) or coloured(stream)):
        click.echo(text, file=stream, nl=False)
        return
    from . import tables

    shown = tables.drawn(view(), stream) if drawable(stream) else tables.painted(text, view())
    click.echo(shown, file=stream, nl=False, color=True)


# The end


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Have SIGTERM, and SIGHUP of a terminal that closes, do what Ctrl-C does: what was begun ends in order."""

    def end(_: int, frame: FrameType | None) -> None:
        interrupted = signal.getsignal(signal.SIGINT)
        if not callable(interrupted):
            # A shell has its background jobs ignore Ctrl-C; this signal is meant all the same.
            raise KeyboardInterrupt
        interrupted(signal.SIGINT, frame)

    numbers = [signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup is meant to go on
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class Exit(Exception):  # noqa: N818  # no error: everything was said already
    """Leave with a status and without a word."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
