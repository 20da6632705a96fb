"""`nlbgen probe`: the living farm against its spec."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import DeviceError, DifferenceError, UsageError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..probe.findings import Report
    from ..spec.units import Duration
    from .tables import Block

_CA = console.FilePath(dir_okay=False, exists=True)


@click.command(short_help="Ask the living farm what differs from the spec.")
@console.ONE_SPEC
@click.option(
    "--through",
    type=click.Choice(["balancer", "nodes", "both"]),
    default="both",
    show_default=True,
    help="Whom to ask; with nodes or both also Redis and SQL Server.",
)
@console.STYLE
@click.option("--timeout", default="60s", show_default=True, metavar="DURATION", help="The run ends after this.")
@click.option("--ca-file", type=_CA, metavar="FILE", help="The CA of the balancer's certificate (and of Redis's).")
@click.option("--nodes-ca", type=_CA, metavar="FILE", help="The CA of the nodes, where verify_nodes is not here.")
@click.option("--balancer", metavar="ADDRESS[:PORT]", help="Where the balancer is, if not where the spec says.")
@click.option("--http-port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Where it redirects.")
@click.option("--hub", "hubs", multiple=True, metavar="PATH", help="The path of a SignalR hub.")
@click.option(
    "--expires-within",
    default="30d",
    show_default=True,
    metavar="DURATION",
    help="Report certificates that end so soon.",
)
@click.option("--ignore", "ignored", multiple=True, metavar="ID", help="Findings of this id are notes.")
def command(file: Path, style: str, **wishes: Any) -> None:
    """Ask each node, the balancer and the stores, change nothing, and say what differs from the spec.

    Exit codes: 0 all as in the spec, 1 a finding, 2 usage, 3 the spec is wrong, 6 nothing of the farm was reached.
    """
    from ..probe.farm import Options, probe
    from ..spec.load import load

    console.on_refusal("nothing was asked")
    options = Options(
        through=wishes["through"],
        ca=wishes["ca_file"],
        nodes_ca=wishes["nodes_ca"],
        balancer=_place(wishes["balancer"]),
        http_port=wishes["http_port"],
        hubs=_hubs(wishes["hubs"]),
        expires_within=_duration("--expires-within", wishes["expires_within"], "0s"),
        timeout=_duration("--timeout", wishes["timeout"], "1s"),
        ignored=_ids(wishes["ignored"]),
    )
    spec = load(file)
    console.warn(spec)
    report = probe(spec, options)
    console.show(report.data() if style == "json" else report.text(), lambda: _view(report))
    console.say(report.summary())
    _leave(report)


def _view(report: "Report") -> "Iterator[Block]":
    """A table of the devices, then what there is to say."""
    from ..probe.findings import KINDS
    from .tables import Cell, Line, Style, Table

    rows = []
    for device in report.devices:
        facts = ", ".join(device.facts.values())
        reached = Cell("reached", "green") if device.reached else Cell("not reached", "red")
        told = Cell(facts, reached.style) if facts else reached
        rows.append([Cell(device.device, "bold"), Cell(device.address), Cell(device.state or "-"), told])
    if rows:
        yield Table([Cell("device"), Cell("address"), Cell("in the spec"), Cell("found")], rows)
    levels: dict[str, Style] = {"finding": "red", "unchecked": "yellow", "note": "cyan"}
    for level, colour in levels.items():
        for one in (finding for finding in report.findings if finding.level == level):
            yield Line(f"{level}: {one.device}: {KINDS[one.id].means} [{one.id}]", colour)
            said = {"object": one.object, "expected": one.expected, "found": one.found, "to do": one.advice}
            for title, text in said.items():
                if text or title != "expected":
                    yield Line(f"    {title:<8}  {text}", "dim" if title == "to do" else "", len("expected  "))
            yield Line("")


def _leave(report: "Report") -> None:
    if not report.reached:
        raise DeviceError(
            "nothing of the farm was reached from here",
            "run the probe on a machine of the farm's network, as the balancer",
        )
    if not report.ok:
        raise console.Exit(DifferenceError.exit_code)


def _duration(option: str, text: str, least: str) -> "Duration":
    from ..spec.units import Duration

    try:
        duration = Duration.of(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", "as in 30s, 2m, 14d") from None
    if duration < Duration.of(least):
        raise UsageError(f"{option}: {text} is less than {least}", f"give {least} or more")
    return duration


def _place(text: str | None) -> tuple[str, int] | None:
    """Address and port; the port is 443 where none is given."""
    import re

    if text is None:
        return None
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?", text) or re.fullmatch(
        r"([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?", text
    )
    port = int(found[2] or 443) if found else 0
    if found is None or not 0 < port < 65536:
        raise UsageError(
            f"--balancer: {text} is no address with a port",
            "as in 10.20.0.10, lb-1.corp.example:8443, [2001:db8::1]:443",
        )
    return found[1], port


def _hubs(paths: tuple[str, ...]) -> tuple[str, ...]:
    import re

    for path in paths:
        if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", path):
            raise UsageError(f"--hub: {path} is no path", "it starts with / and holds letters, digits and ._~/-")
    return paths


def _ids(ids: tuple[str, ...]) -> frozenset[str]:
    from ..probe.findings import KINDS
    from ..spec.schema import nearest

    for one in ids:
        if one not in KINDS:
            near = nearest(one, tuple(KINDS))
            raise UsageError(
                f"--ignore: there is no finding of the id {one}",
                f"did you mean {near}?" if near else "the ids stand in docs/commands/probe.md",
            )
    return frozenset(ids)
