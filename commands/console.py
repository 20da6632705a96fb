"""Input and output of all commands: data on standard output, messages on standard error, prompts on terminals.

It also has the options that several commands share, and the exit with a status.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import click

from ..core import activity
from ..core.errors import NlbgenError, Problem, ProblemsError, UsageError

if TYPE_CHECKING:
    from ..core.plan import Plan
    from ..spec.load import Spec
    from .tables import Block

    TextChoice = click.Choice[str]
else:
    TextChoice = click.Choice  # not generic before click 8.2

# Options


class VendorName(TextChoice):
    """The name of a vendor; the vendors are imported only when the option is used or its help is shown."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of all vendors."""
        from ..generators.base import VENDORS

        return VENDORS


class FilePath(click.Path):
    """The path of a file or folder, as `pathlib.Path`; an empty path is an error, because a variable was not set.

    With `stream`, `-` is standard output: the value is then STDOUT itself, while `./-` names a file.
    """

    def __init__(
        self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True, stream: bool = False
    ) -> None:
        self._stream = stream
        # Code that reads the file reports an unreadable one, with a hint.
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, readable=False, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path; an empty path is a usage error, and so is `-` where it is not standard output."""
        if str(value) == "":
            self.fail("the path is empty: check whether a shell variable is unset", param, ctx)
        if value is STDOUT or (self._stream and str(value) == "-" and not isinstance(value, Path)):
            return STDOUT
        if str(value) == "-":
            self.fail(
                "this option does not support - (standard input or output): give a file name (for a file with the "
                "name -, write ./-)",
                param,
                ctx,
            )
        path = Path(value)
        with contextlib.suppress(OSError):  # reported with a hint by the code that uses the file
            if not self.file_okay and path.is_file():
                self.fail(f"{path} is a file, but this option needs a folder: give the path of a folder", param, ctx)
            if not self.dir_okay and path.is_dir():
                self.fail(f"{path} is a folder, but this option needs a file: add the name of the file", param, ctx)
        return super().convert(value, param, ctx)


STDOUT: Final = Path("-")
"""Standard output as the value of an option; compare it with `is`."""


def _only_one(_context: click.Context, _parameter: click.Parameter, given: tuple[Path, ...]) -> Path:
    if len(given) > 1:
        raise UsageError("this command takes one spec", "run it once for each spec")
    return given[0] if given else default_specs()[0]


SPEC = click.option(
    "-s",
    "--spec",
    "specs",
    multiple=True,
    type=FilePath(),
    metavar="FILE",
    help="The spec [default: farm.yaml]. For a fleet, repeat the option or give a folder.",
)


def default_specs() -> tuple[Path, ...]:
    """The default of SPEC: farm.yaml, or farm.yml where only that exists."""
    name, other = Path("farm.yaml"), Path("farm.yml")
    return (other if not name.exists() and other.exists() else name,)


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
    help="The folder for the files.",
)
STYLE = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="The output format."
)

# Verbosity


class _Settings:
    """The output settings of this run. `outcome` is the consequence of an invalid spec for the command."""

    quiet = False
    outcome = ""


_settings = _Settings()


def begin(*, quiet: bool = False, verbose: bool = False) -> None:
    """Set the verbosity of a run: `quiet` shows only errors, `verbose` also each file, program and device used."""
    _settings.quiet = quiet
    _settings.outcome = "nothing was written"
    activity.listen(_detail if verbose else None)


def is_quiet() -> bool:
    """Whether only errors are shown, and no progress bar."""
    return _settings.quiet


def on_refusal(outcome: str) -> None:
    """Set the consequence of an invalid spec, for commands to which "nothing was written" does not apply."""
    _settings.outcome = outcome


# Colours


def coloured(stream: TextIO) -> bool:
    """Whether to write colours to this stream: by default only to terminals.

    NO_COLOR disables them (https://no-color.org). FORCE_COLOR (https://force-color.org) and CLICOLOR_FORCE
    (https://bixense.com/clicolors) enable them in pipes and files too. A `dumb` terminal gets none.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def drawable(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can show tables; pipes, files and `dumb` terminals get plain text."""
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def animated() -> bool:
    """Whether standard error may show a display that changes."""
    return not _settings.quiet and drawable(sys.stderr)


def _paint(text: str, stream: TextIO, *, colour: str | None = None, dim: bool = False) -> str:
    """The text in a colour where the stream has them; what the text itself brings of control characters is escaped."""
    from ..core.wording import legible_lines

    text = legible_lines(text)
    return click.style(text, fg=colour, dim=dim or None) if text and (colour or dim) and coloured(stream) else text


# Messages


def _write(text: str) -> None:
    click.echo(text, err=True, color=coloured(sys.stderr))


def info(text: str) -> None:
    """Print a message about progress; `--quiet` hides it."""
    if not _settings.quiet:
        notice(text)


def progress(text: str) -> None:
    """Print a message during a change like `info`; the change continues if standard error cannot be written."""
    with contextlib.suppress(OSError):
        info(text)


def notice(text: str) -> None:
    """Print a message that users must see, also with `--quiet`."""
    _write(_paint(text, sys.stderr))


def _detail(text: str) -> None:
    _write(_paint(text, sys.stderr, dim=True))


def show_warnings(spec: "Spec") -> None:
    """Print the warnings about a spec; `--quiet` hides them."""
    if not _settings.quiet:
        _show_problems(spec.warnings)


def _show_problems(problems: Sequence[Problem]) -> None:
    """Print problems, on a terminal with the lines that they are about."""

    def view() -> "Iterable[Block]":
        from . import tables

        return tables.problems(problems)

    if problems:
        _put("".join(f"{problem}\n" for problem in problems), view, sys.stderr)


def error(failed: NlbgenError, outcome: str | None = None) -> None:
    """Print an error; `outcome` is its consequence if the command continues."""
    if isinstance(failed, ProblemsError):
        _show_problems(failed.problems)
        closing = f"nlbgen: {count(failed.problems)}; {outcome or _settings.outcome}"
        _write(_paint(closing, sys.stderr, colour="red"))
        return
    _write(_paint(f"nlbgen: {failed.message}", sys.stderr, colour="red"))
    if failed.hint:
        _write(_paint(f"    {failed.hint}", sys.stderr, dim=True))


def count(problems: Iterable[Problem]) -> str:
    """Return the numbers of errors and warnings, as in `2 errors and 1 warning`."""
    from ..core.wording import plural

    kinds = [problem.severity for problem in problems]
    parts = [plural(number, kind) for kind in ("error", "warning") if (number := kinds.count(kind))]
    return " and ".join(parts)


def usage_error(invalid: click.ClickException) -> None:
    """Print click's usage lines for an invalid command line, then its error in red."""
    invalid.show(shown := io.StringIO())
    message = f"Error: {invalid.format_message()}"
    usage = shown.getvalue().removesuffix(f"{message}\n")
    if usage:
        _write(usage.removesuffix("\n"))
    _write(_paint(message, sys.stderr, colour="red"))


def failure(text: str) -> None:
    """Print the reason why nlbgen ends if it is not an NlbgenError; `--quiet` does not hide it."""
    _write(_paint(text, sys.stderr, colour="red"))


# Prompts


def show_proposal(plan: "Plan", *, question: bool) -> None:
    """Print a plan before it is applied; with `--quiet` only if a prompt about it follows."""
    if not _settings.quiet or (question and sys.stdin.isatty()):
        _put(plan.text(), _changes(plan), sys.stderr)


def confirm(agreed: bool, question: str, review: str, options: str = "--expect DIGEST or --yes") -> None:
    """Return if the user agrees; on a terminal, prompt. Raises UsageError without a terminal, Abort after a no.

    `options` are those of the command that agree without a prompt.
    """
    if agreed:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to prompt for confirmation", f"{review}, then run it with {options}")
    click.confirm(question, abort=True, err=True)


# Data


View = Callable[[], "Iterable[Block]"]
"""Makes the blocks that a terminal shows instead of the text; called only for terminals and forced colours."""


def show(result: object, view: View | None = None) -> None:
    """Print the result of a command: a text unchanged (on a terminal its `view`), other objects as JSON."""
    from ..core.wording import json_text

    if isinstance(result, str):
        _put(result, view, sys.stdout)
    else:
        click.echo(json_text(result))


def deliver(content: bytes, path: Path, *, mode: int = 0o644, note: str = "") -> None:
    """Write a file and say so, or with STDOUT write its bytes to standard output.

    `note` replaces the message `wrote PATH`. Raises FileError.
    """
    from ..core.files import write_atomically

    if path is STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    write_atomically(path, content, mode=mode)
    info(note or f"wrote {path}")


def show_plan(plan: "Plan") -> None:
    """Print a plan."""
    _put(plan.text(), _changes(plan), sys.stdout)


def _changes(plan: "Plan") -> View:
    def view() -> "Iterable[Block]":
        from . import tables

        return tables.changes(plan)

    return view


def _put(text: str, view: View | None, stream: TextIO) -> None:
    """Write a text; on a terminal its view, in a pipe with forced colours the text in colours."""
    from ..core.wording import legible_lines

    if view is None or not (drawable(stream) or coloured(stream)):
        click.echo(legible_lines(text), file=stream, nl=False)
        return
    from . import tables

    shown = tables.drawn(view(), stream, colours=coloured(stream)) if drawable(stream) else tables.painted(text, view())
    click.echo(shown, file=stream, nl=False, color=True)


# Exit


class Exit(Exception):  # noqa: N818  # not an error: the messages are already printed
    """Exit with a status and without a message."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
