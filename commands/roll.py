"""`nlbgen roll`: run a command for each node, one after the other, while the node is out of rotation."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..core.errors import FileError, NlbgenError, UsageError
from . import console
from .running import AUDIT, FORCE, REACH, Given, Seconds, reach_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from ..operate.journal import Journal
    from ..operate.rolling import Times
    from ..spec.load import Spec

_JOURNAL: Final = Path("outputs/roll.json")


@click.command()
@console.ONE_SPEC
@REACH
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME",
    help="Change only this node; can be given several times [default: all nodes].",
)
@click.option(
    "--limit",
    type=Seconds(),
    default="300s",
    show_default=True,
    metavar="DURATION",
    help="The longest wait until a drained node has no sessions; then the node is set to down.",
)
@click.option(
    "--for",
    "spread",
    type=Seconds(),
    metavar="DURATION",
    help="Close the long-lived sessions gradually over this time (HAProxy).",
)
@click.option(
    "--command-limit",
    type=Seconds(),
    default="30m",
    show_default=True,
    metavar="DURATION",
    help="The time limit of the command for one node.",
)
@click.option(
    "--reboot-limit",
    type=Seconds(),
    metavar="DURATION",
    help="For a COMMAND that only begins a reboot: the longest wait until the node's health endpoint stops answering.",
)
@click.option(
    "--health-limit",
    type=Seconds(),
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="The longest wait for the node's health endpoint after the command.",
)
@click.option(
    "--up-limit",
    type=Seconds(),
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="The longest wait for the balancers' checks after the node is up.",
)
@click.option(
    "--pause",
    type=Seconds(),
    default="10s",
    show_default=True,
    metavar="DURATION",
    help="The pause between two nodes, after the slow start.",
)
@click.option(
    "--journal",
    "path",
    type=console.FilePath(dir_okay=False),
    default=_JOURNAL,
    show_default=True,
    metavar="FILE",
    help="The file that records the progress.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished change of the journal.")
@click.option(
    "--command-done", is_flag=True, help="With --resume: the interrupted command has completed; do not repeat it."
)
@click.option("--discard", is_flag=True, help="Begin a new change although the journal has an unfinished one.")
@FORCE
@AUDIT
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(
    file: Path,
    nodes: tuple[str, ...],
    limit: float,
    spread: float | None,
    command_limit: float,
    reboot_limit: float | None,
    health_limit: float,
    up_limit: float,
    pause: float,
    path: Path,
    resume: bool,
    command_done: bool,
    discard: bool,
    ticket: str,
    log: Path,
    force: bool,
    yes: bool,
    words: tuple[str, ...],
    **given: "Unpack[Given]",
) -> None:
    """For each node, one after the other: drain it, run COMMAND, wait until it is healthy, and return it to rotation.

    In COMMAND, {node} and {address} are replaced by the node's name and address. COMMAND is run on this computer,
    without a shell. At the first failure, nlbgen stops; a node that is not healthy stays out of rotation.
    """
    from ..operate.rolling import Times
    from ..spec.load import load

    console.on_refusal("nothing was changed")
    spec = load(file)
    times = Times(limit, spread, command_limit, health_limit, up_limit, pause, reboot_limit)
    if resume and (words or nodes or discard):
        raise UsageError("--resume takes its command and nodes from the journal", "omit COMMAND, --node and --discard")
    if command_done and not resume:
        raise UsageError("--command-done needs --resume", "add --resume")
    with _held(path):
        journal = _journal(spec, path, words, nodes, resume=resume, discard=discard)
        _roll(spec, journal, times, (ticket, log, yes, force, command_done), given)


@contextlib.contextmanager
def _held(path: Path) -> "Iterator[None]":
    """Hold the lock of the journal for the block. Raises UsageError if another run holds it, and FileError."""
    from ..core.locks import LockedError, locked

    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path.resolve()))
        except LockedError as error:
            raise UsageError(f"{path}: another rolling change runs: {error}", "wait until it has ended") from None
        except OSError as error:
            raise FileError(
                f"{path}: the journal cannot be written: {error.filename or path.parent}: {error.strerror}",
                "choose another file with --journal FILE",
            ) from None
        yield


def _journal(
    spec: "Spec", path: Path, words: tuple[str, ...], nodes: tuple[str, ...], *, resume: bool, discard: bool
) -> "Journal":
    """Return the journal to continue, or a new one that is not written yet."""
    from ..core.wording import all_of
    from ..operate import journal, rolling

    if resume:
        return journal.resumed(path, spec.farm.farm)
    if not words:
        raise UsageError(
            "no command is given", "write it after --, as in: nlbgen roll -- pwsh -File patch.ps1 -Node {address}"
        )
    rolling.check_command(words)
    names = [node.name for node in spec.farm.nodes]
    unknown = [name for name in nodes if name not in names]
    if unknown:
        raise UsageError(f"{spec.name}: no node is named {unknown[0]}", f"the nodes are {', '.join(names)}")
    chosen = [name for name in names if name in nodes or not nodes]
    if discard:
        made, left = journal.discarded(path, spec.farm.farm, words, chosen)
        if left:
            console.notice(
                f"the discarded change removed {all_of(left)} from rotation; to return it: nlbgen nodes up NODE"
            )
        return made
    return journal.started(path, spec.farm.farm, words, chosen)


def _roll(
    spec: "Spec", journal: "Journal", times: "Times", audit: tuple[str, Path, bool, bool, bool], given: Given
) -> None:
    from ..operate.changing import Operator
    from ..operate.events import EventLog
    from ..operate.hosts import connected
    from ..operate.rolling import Roll

    ticket, log, agreed, force, command_done = audit
    with connected(spec, reach_of(given)) as balancers:
        operator = Operator(spec, balancers, EventLog(log, spec.farm.farm, ticket), console.progress)
        left = ", ".join(entry.node for entry in journal.left)
        console.info(f"nodes, one after the other: {left}\ncommand: {' '.join(journal.command)}")
        console.confirm(agreed, "Begin?", "see `nlbgen nodes status`", "--yes")
        roll = Roll(operator, journal, times, force=force)
        try:
            roll.run(command_done=command_done)
        except NlbgenError:
            raise
        except BaseException:
            if roll.journal.begun:
                console.notice(f"the rolling change is unfinished: continue it with `{journal.resume_command()}`")
            raise
    console.info("all nodes are done")
