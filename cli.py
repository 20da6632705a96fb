"""The command line: its commands, and the exit code of each error.

Each command is a module of `commands/`. It is imported when the command runs, so that the start-up stays fast.
"""

import errno
import io
import os
import sys
from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click

from . import __version__
from .commands import console, lenient
from .core import interrupts, streams
from .core.errors import NlbgenError, UsageError

INTERNAL_ERROR = 70
INTERRUPTED = 130

COMMANDS = {
    "bundle": "Put all files of a change into one archive.",
    "check": "List all errors and warnings of a spec.",
    "completion": "Print the completion script for a shell.",
    "doctor": "Show which programs, packages and secrets are missing.",
    "drift": "Compare the loaded configuration with the spec.",
    "explain": "Explain an id, an exit code, a key or a rendered line.",
    "export": "Write a rollout for an automation tool.",
    "init": "Write a commented farm.yaml to start from.",
    "lint": "Check a configuration that was not written by nlbgen.",
    "nodes": "Edit the nodes' config files; drain or enable nodes.",
    "probe": "Test the running farm over the network.",
    "prove": "Test the configuration with simulated nodes that fail.",
    "push": "Change an F5 or Zen device to match the spec.",
    "render": "Write configurations, and files to prepare the nodes.",
    "report": "Write one HTML page about the farm.",
    "roll": "Run a command for each node, one at a time.",
    "schema": "Print the JSON Schema of the spec.",
    "serve": "Serve the page that runs nlbgen in a browser.",
    "topology": "Draw the farm as a diagram.",
    "vendors": "Show the features that each vendor supports.",
}
"""The line of each command in the help. A command is the object `command` in the module of its name in `commands/`."""


class Commands(UserDict[str, click.Command]):
    """All commands by name; each is imported when it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        line = COMMANDS[name]
        if name not in self.data:
            self.data[name] = import_module(f".commands.{name}", __package__).command
            self.data[name].short_help = line
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandLine(click.Group):
    """The command line. Its help lists the commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=CommandLine,
    commands=Commands(),
    short_help="Scale UiPath Orchestrator out to a farm.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="nlbgen")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.option("-v", "--verbose", is_flag=True, help="Also print each file, program and device that is used.")
def cli(quiet: bool, verbose: bool) -> None:
    """Generate and check the configuration of a UiPath Orchestrator farm from one farm.yaml.

    nlbgen renders load balancer configurations and checks them with HAProxy or NGINX if installed, prepares the nodes,
    changes F5 and Zen devices, tests the configuration under failures, and compares the running farm with the spec.

    \b
    Exit codes: 0 done, 1 a difference or another error, 2 usage, 3 the spec is invalid,
    4 a vendor does not support a requested feature, 5 a node's config file cannot be read or changed,
    6 a device or balancer cannot be reached or refuses a request,
    70 internal error (a bug in nlbgen).
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose cannot be combined", "use only one of them")
    console.begin(quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the command line and exit."""
    streams.open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not be able to encode it
    console.begin()
    if os.environ.get("_NLBGEN_COMPLETE", "").startswith("powershell"):
        from .commands import powershell

        powershell.register()
    try:
        with interrupts.as_ctrl_c():
            cli.main(lenient.understood(sys.argv[1:], cli), standalone_mode=False)
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(_status(error))


def _status(error: BaseException) -> int:
    """Print an error and return its exit code; the only place that maps errors to exit codes."""
    match error:
        case console.Exit():
            return error.status
        case NlbgenError():
            console.error(error)
            return error.exit_code
        case click.exceptions.Abort() | KeyboardInterrupt():
            console.failure("interrupted")
            return INTERRUPTED
        case click.ClickException():
            console.usage_error(error)
            return error.exit_code
        case BrokenPipeError():
            # The reader of standard output has ended, for example `head`: exit must not flush it.
            sys.stdout = None
            return 1
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EFBIG | errno.EBADF):
            # Standard output failed: exit must not flush it. Errors of other files are reported where they occur.
            sys.stdout = None
            console.failure(f"nlbgen: standard output cannot be written: {error.strerror}")
            return 1
    return _internal_error(error)


def _internal_error(error: BaseException) -> int:
    """Print the traceback of an unexpected exception, and ask for a report."""
    import traceback

    console.failure("".join(traceback.format_exception(error)))
    console.failure("nlbgen: internal error (a bug in nlbgen): please report it with the command and the text above")
    return INTERNAL_ERROR
