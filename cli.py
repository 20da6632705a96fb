"""The command line: which commands there are, and what an error means for the exit code.

Each command is a module of `commands/`, imported when it is asked for: a command pays for nothing but itself.
"""

import errno
import io
import sys
from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click

from . import __version__
from .commands import console
from .core.errors import NlbgenError, UsageError

FAULT = 70
INTERRUPTED = 130

COMMANDS = {
    "bundle": "bundle",
    "check": "check",
    "completion": "completion",
    "export": "export",
    "init": "init",
    "nodes": "nodes",
    "probe": "probe",
    "prove": "prove",
    "push": "push",
    "render": "render",
    "report": "report",
    "schema": "schema",
    "topology": "topology",
    "vendors": "vendors",
}
"""The module in `commands/` of each command; what it calls `command` is what runs."""


class Commands(UserDict[str, click.Command]):
    """All commands by their names, each imported when it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in self.data:
            self.data[name] = import_module(f".commands.{COMMANDS[name]}", __package__).command
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@click.group(
    commands=Commands(),
    short_help="Scale a UiPath Orchestrator out to a farm.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="nlbgen")
@click.option("-q", "--quiet", is_flag=True, help="Say only errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say also each file, program and device that is used.")
def cli(quiet: bool, verbose: bool) -> None:
    """One farm.yaml makes a highly available UiPath Orchestrator farm.

    It renders load balancer configurations checked by the real program, prepares the nodes, pushes to devices,
    proves the farm through failures, and probes the living one.

    \b
    Exit codes: 0 done, 1 a difference or anything else, 2 usage, 3 the spec is wrong,
    4 a vendor cannot do what the spec asks, 5 a node's config, 6 a device, 70 a fault of nlbgen.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", "leave one of them out")
    console.begin(quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and specs hold what a terminal may not know
    console.begin()
    try:
        cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exception as error:
        sys.exit(_status(error))


def _status(error: Exception) -> int:
    """Say what an error means; its exit code. The one place where errors become exit codes."""
    match error:
        case console.Exit():
            return error.status
        case NlbgenError():
            console.tell(error)
            return error.exit_code
        case click.exceptions.Abort():
            console.fail("interrupted")
            return INTERRUPTED
        case click.ClickException():
            console.misused(error)
            return error.exit_code
        case BrokenPipeError():
            # The reader of our output went away, as `head` does: nothing is left to say, not even at exit.
            sys.stdout = None
            return 1
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EFBIG | errno.EBADF):
            # Of standard output, and not to be tried again at exit: where files are written, the writer tells it.
            sys.stdout = None
            console.fail(f"nlbgen: standard output cannot be written: {error.strerror}")
            return 1
    return _fault(error)


def _fault(error: Exception) -> int:
    """Whatever else arrives is our fault, and is reported as such."""
    import traceback

    console.fail("".join(traceback.format_exception(error)))
    console.fail("nlbgen: this is a fault of nlbgen: please report it with the command and the text above")
    return FAULT
