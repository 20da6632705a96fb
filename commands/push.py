"""`nlbgen push`: from the spec to a device."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from ..core.errors import DifferenceError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from ..core.plan import Plan
    from ..push.contract import Report
    from .tables import Block

_QUESTION = "Change the device?"
_REVIEW = "review with --dry-run"
_REFUSED = "the device was not changed"


@click.group(short_help="Bring a device to what the spec says.")
def command() -> None:
    """Bring a device to what the spec says: plan, confirm, apply, read back."""


@command.command("zen", short_help="Push to the Zen family by its API.")
@console.ONE_SPEC
@console.STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit 1 where something would change.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("--adopt", is_flag=True, help="Take over a farm that does not carry nlbgen's mark.")
@click.option("--prune", is_flag=True, help="Remove nodes and the redirect that the spec does not have any more.")
@click.option("--force", is_flag=True, help="Take out more than half of the nodes at once.")
@console.ends_on_sigterm()
def _zen(file: Path, style: str, yes: bool, **options: "Unpack[_Given]") -> None:
    """Make the farm on a Zevenet, Skudonet or Relianoid by its API; on failure everything is taken back."""
    report = _pushed("zen", file, style, yes, options)
    if style == "json":
        console.show({**report.plan.data(), "applied": report.outcome == "applied"})
    else:
        console.show_plan(report.plan)
    _end(report)


@command.command("f5", short_help="Push to a BIG-IP by iControl or AS3.")
@console.ONE_SPEC
@console.STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit 1 where something would change.")
@click.option("--validate", is_flag=True, help="Have the device check the plan, and change nothing; exit as --dry-run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("--adopt", is_flag=True, help="Take over objects that do not carry the farm's mark.")
@click.option("--prune", is_flag=True, help="Remove marked objects that the farm does not have any more.")
@click.option("--force", is_flag=True, help="Take out more than half of a pool's members at once.")
@click.option("--sync", metavar="GROUP", default="", help="Synchronise this device group afterwards.")
@click.option(
    "--restore",
    type=console.FilePath(dir_okay=False),
    metavar="SNAPSHOT",
    help="Bring back what a push has saved before it changed something.",
)
@click.option(
    "--snapshots",
    type=console.FilePath(file_okay=False),
    default=Path("outputs/snapshots"),
    show_default=True,
    metavar="DIR",
    help="Where a push saves what it is about to change.",
)
@console.ends_on_sigterm()
def _f5(file: Path, style: str, yes: bool, **options: "Unpack[_Given]") -> None:
    """Bring the farm onto a BIG-IP: by iControl REST in one transaction, by AS3, or by iControl SOAP (f5.api)."""
    report = _pushed("f5", file, style, yes, options)
    if style == "json":
        console.show(report.data())
    elif report.outcome == "applied":
        console.show(report.table(), lambda: _counts(report))
    else:
        console.show_plan(report.plan)
    _end(report)


class _Given(TypedDict, total=False):
    """The options of a push, as [`Options`][nlbgen.push.contract.Options] has them."""

    dry_run: bool
    validate: bool
    expect: str | None
    adopt: bool
    prune: bool
    force: bool
    sync: str
    restore: Path | None
    snapshots: Path


def _pushed(vendor: str, file: Path, style: str, yes: bool, given: _Given) -> "Report":
    """Push the spec of the file; the user reads the plan and agrees."""
    from ..push.backends.connect import push
    from ..push.contract import Options
    from ..spec.load import load

    console.on_refusal(_REFUSED)
    spec = load(file)
    console.show_warnings(spec)
    options = Options(**given)
    user = _User(ask=not yes and options.expect is None, shown=style == "text" and not options.dry_run)
    return push(vendor, spec, options, user)


def _end(report: "Report") -> None:
    if report.outcome in {"planned", "valid"}:
        raise console.Exit(DifferenceError.exit_code)


def _counts(report: "Report") -> "Iterator[Block]":
    """What a push has done, by kind of object; what it has not done is dim."""
    from .tables import Cell, Style, Table

    colours: dict[str, Style] = {"created": "green", "changed": "yellow", "removed": "red", "unchanged": ""}
    rows = [
        [Cell(kind), *(Cell(str(counts[name]), colour if counts[name] else "dim") for name, colour in colours.items())]
        for kind, counts in report.counts.items()
    ]
    yield Table([Cell(""), *map(Cell, colours)], rows, figures=True)


class _User:
    """The user of a push: everything but the result goes to standard error."""

    def __init__(self, *, ask: bool, shown: bool) -> None:
        self._ask = ask
        self._shown = shown

    def say(self, text: str) -> None:
        console.info(text)

    def insist(self, text: str) -> None:
        console.notice(text)

    def show(self, plan: "Plan") -> None:
        if self._shown and plan.changes:
            console.show_proposal(plan, question=self._ask)

    def agree(self, question: str) -> bool:
        console.info(question)
        console.confirm(not self._ask, _QUESTION, _REVIEW)
        return True
