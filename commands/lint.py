"""`nlbgen lint`: find problems in a load balancer configuration for SignalR and IIS."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from . import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..lint.findings import Report
    from ..lint.rule import Severity
    from ..readers.tree import Vendor
    from .tables import Block, Style

_FORMATS = ["text", "json", "github", "sarif"]
_VENDORS = ["haproxy", "nginx", "f5"]
"""Those of `readers/load.py`, which would be slow to import for the help."""


class _Given(TypedDict):
    """The options of the command."""

    style: str
    together: bool
    vendor: "Vendor | None"
    fail_on: "Severity"
    baseline: Path | None
    write_baseline: Path | None
    program_version: str | None


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=console.FilePath())
@click.option(
    "--together",
    is_flag=True,
    help="For HAProxy: check the files and folders as one configuration, as `haproxy -f A -f B` reads them.",
)
@click.option("--format", "style", type=click.Choice(_FORMATS), default="text", help="The output format.")
@click.option("--vendor", type=click.Choice(_VENDORS), help="The vendor of the files [default: by their content].")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note"]),
    default="warning",
    show_default=True,
    help="Exit with 1 on findings that are this severe, or more.",
)
@click.option(
    "--baseline",
    type=console.FilePath(dir_okay=False),
    metavar="FILE",
    help="Do not report the findings that FILE lists.",
)
@click.option(
    "--write-baseline",
    type=console.FilePath(dir_okay=False),
    metavar="FILE",
    help="Write the findings to FILE, for --baseline, and exit with 0.",
)
@click.option(
    "--program-version",
    metavar="VERSION",
    help="The version of the program that runs the files, for example 2.6.12. With it, lint also reports the known "
    "security fixes that this version lacks.",
)
def command(files: tuple[Path, ...], **given: Unpack[_Given]) -> None:
    """Check configurations of load balancers in front of SignalR and IIS, each by the rules of its vendor.

    Exit codes: 0 no finding, 1 findings as severe as --fail-on, or a file that cannot be read, 2 usage.
    """
    from ..lint.formats.text import summary

    console.on_refusal("nothing was checked")
    reports = _reports(files, given)
    if target := given["write_baseline"]:
        _write_baseline(reports, target)
        return
    _show(reports, given["style"])
    console.info(summary(reports))
    if any(report.reaches(given["fail_on"]) for report in reports):
        raise console.Exit(1)


def _reports(files: "Sequence[Path]", given: _Given) -> "list[Report]":
    from ..lint import gixy
    from ..lint.findings import examine
    from ..lint.suppress import read_baseline
    from ..lint.versions import missing_fixes
    from ..readers.load import read, read_together

    path, version = given["baseline"], given["program_version"]
    known = read_baseline(path) if path else frozenset()
    once = tuple(dict.fromkeys(files))
    if given["together"]:
        read_ones = [(" ".join(map(str, files)), read_together(once, given["vendor"]))]
    else:
        read_ones = [(str(file), read(_no_folder(file), given["vendor"])) for file in once]
    reports = []
    for name, configuration in read_ones:
        more = [*gixy.findings(name, configuration), *(missing_fixes(configuration, version) if version else ())]
        reports.append(examine(name, configuration, more, baseline=known, baseline_name=str(path or "")))
    return reports


def _no_folder(path: Path) -> Path:
    """Return the path. Raises UsageError for a folder."""
    from ..core.errors import UsageError
    from ..core.files import is_folder

    if is_folder(path):
        raise UsageError(f"{path} is a folder", "give the files in it; or, for a folder of HAProxy, add --together")
    return path


def _write_baseline(reports: "Sequence[Report]", target: Path) -> None:
    from ..core.wording import plural
    from ..lint.suppress import baseline

    entries = [pair for report in reports for pair in zip(report.findings, report.fingerprints, strict=True)]
    note = f"wrote {target} with {plural(len(entries), 'finding')}"
    console.deliver(baseline(entries), target, note=note)


def _show(reports: "Sequence[Report]", style: str) -> None:
    from ..lint.formats import data, sarif, text

    styles: dict[str, Callable[[Sequence[Report]], str]] = {
        "json": data.as_json,
        "github": data.as_github,
        "sarif": sarif.as_sarif,
    }
    if style == "text":
        console.show(text.text(reports), lambda: _view(reports))
    else:
        console.show(styles[style](reports))


def _view(reports: "Sequence[Report]") -> "Iterator[Block]":
    """Yield the findings: errors red, warnings yellow, notes cyan, the rest dim; source lines never wrap."""
    from ..lint.formats.text import pieces
    from .tables import Line

    colours: dict[str, Style] = {"error": "red", "warning": "yellow", "note": "cyan", "source": "", "unread": "cyan"}
    for piece in pieces(reports):
        hang = None if piece.kind == "source" else 0
        yield Line(piece.text, colours.get(piece.kind, "dim"), hang)
