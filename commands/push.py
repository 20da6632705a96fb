"""`nlbgen push`: change a device to match the spec."""

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
_REVIEW = "review the plan with --dry-run"
_REFUSED = "the device was not changed"


@click.group()
def command() -> None:
    """Change an F5 or Zen device to match the spec: show the plan, ask for confirmation, apply, verify."""


@command.command("zen", short_help="Push to a Zevenet, Skudonet or Relianoid.")
@console.ONE_SPEC
@console.STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit with 1 if there are changes.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--expect", metavar="DIGEST", help="Apply only the plan with this digest.")
@click.option("--adopt", is_flag=True, help="Take over an existing farm that nlbgen did not create.")
@click.option("--prune", is_flag=True, help="Remove nodes and the redirect that are no longer in the spec.")
@click.option("--force", is_flag=True, help="Allow a plan that disables more than half of the nodes at once.")
def _zen(file: Path, style: str, yes: bool, **options: "Unpack[_Given]") -> None:
    """Create or change the farm on a Zevenet, Skudonet or Relianoid by its API; after a failure, roll back."""
    report = _pushed("zen", file, style, yes, options)
    if style == "json":
        console.show({**report.plan.data(), "applied": report.outcome == "applied"})
    else:
        console.show_plan(report.plan)
    _end(report)


@command.command("f5", short_help="Push to an F5 BIG-IP.")
@console.ONE_SPEC
@console.STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit with 1 if there are changes.")
@click.option(
    "--validate",
    is_flag=True,
    help="The device checks the plan and changes nothing; the exit codes are those of --dry-run.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--expect", metavar="DIGEST", help="Apply only the plan with this digest.")
@click.option("--adopt", is_flag=True, help="Take over existing objects that nlbgen did not create for this farm.")
@click.option("--prune", is_flag=True, help="Remove nlbgen's objects that the farm no longer needs.")
@click.option("--force", is_flag=True, help="Allow a plan that disables more than half of a pool's members at once.")
@click.option(
    "--sync", metavar="GROUP", default="", help="After the change, synchronize the configuration to this device group."
)
@click.option(
    "--restore",
    type=console.FilePath(dir_okay=False),
    metavar="SNAPSHOT",
    help="Roll back: restore the state that a push saved in this file.",
)
@click.option(
    "--snapshots",
    type=console.FilePath(file_okay=False),
    default=Path("outputs/snapshots"),
    show_default=True,
    metavar="DIR",
    help="The folder where a push saves the old state before it changes anything.",
)
def _f5(file: Path, style: str, yes: bool, **options: "Unpack[_Given]") -> None:
    """Create or change the farm on a BIG-IP; `f5.api` selects iControl REST, AS3 or iControl SOAP."""
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
    """Push the spec in the file, after the user has confirmed the plan."""
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
    """Yield a table of the numbers of changed objects by kind; zeros are dim."""
    from .tables import Cell, Style, Table

    colours: dict[str, Style] = {"created": "green", "changed": "yellow", "removed": "red", "unchanged": ""}
    rows = [
        [Cell(kind), *(Cell(str(counts[name]), colour if counts[name] else "dim") for name, colour in colours.items())]
        for kind, counts in report.counts.items()
    ]
    yield Table([Cell(""), *map(Cell, colours)], rows, figures=True)


class _User:
    """The prompts and messages of a push, on standard error."""

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
