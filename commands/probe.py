"""`nlbgen probe`: compares the running farm with its spec."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ..core.errors import DeviceError, DifferenceError, UsageError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..probe.farm import Through
    from ..probe.findings import Report
    from ..spec.units import Duration
    from .tables import Block

_CA = console.FilePath(dir_okay=False, exists=True)


class _Given(TypedDict):
    """The options as click parses them."""

    through: "Through"
    ca_file: Path | None
    nodes_ca: Path | None
    balancer: str | None
    http_port: int
    hubs: tuple[str, ...]
    expires_within: str
    timeout: str
    ignored: tuple[str, ...]


@click.command()
@console.ONE_SPEC
@click.option(
    "--through",
    type=click.Choice(["balancer", "nodes", "both"]),
    default="both",
    show_default=True,
    help="The machines to check. The values `nodes` and `both` also check Redis and SQL Server.",
)
@console.STYLE
@click.option(
    "--timeout", default="60s", show_default=True, metavar="DURATION", help="The time limit for the whole run."
)
@click.option("--ca-file", type=_CA, metavar="FILE", help="The CA of the certificates of the balancer and Redis.")
@click.option(
    "--nodes-ca",
    type=_CA,
    metavar="FILE",
    help="The CA of the nodes, if the file in verify_nodes is not on this machine.",
)
@click.option("--balancer", metavar="ADDRESS[:PORT]", help="The balancer's address, if it differs from the spec.")
@click.option(
    "--http-port",
    type=click.IntRange(1, 65535),
    default=80,
    show_default=True,
    help="The port of the redirect to https.",
)
@click.option("--hub", "hubs", multiple=True, metavar="PATH", help="The path of a SignalR hub; repeatable.")
@click.option(
    "--expires-within",
    default="30d",
    show_default=True,
    metavar="DURATION",
    help="Report certificates that expire within this time.",
)
@click.option(
    "--ignore", "ignored", multiple=True, metavar="ID", help="Report findings with this id as notes; repeatable."
)
def command(file: Path, style: str, **given: Unpack[_Given]) -> None:
    """Check each node, the balancer and the stores, and report differences from the spec. The probe changes nothing.

    Exit codes: 0 no difference, 1 a finding, 2 usage, 3 the spec is invalid, 6 no machine of the farm was reached.
    """
    from ..probe.farm import Options, probe
    from ..spec.load import load

    console.on_refusal("nothing was checked")
    options = Options(
        through=given["through"],
        ca=given["ca_file"],
        nodes_ca=given["nodes_ca"],
        balancer=_endpoint(given["balancer"]),
        http_port=given["http_port"],
        hubs=_hubs(given["hubs"]),
        expires_within=_duration("--expires-within", given["expires_within"], "0s"),
        timeout=_duration("--timeout", given["timeout"], "1s"),
        ignored=_ids(given["ignored"]),
    )
    spec = load(file)
    console.show_warnings(spec)
    report = probe(spec, options)
    console.show(report.data() if style == "json" else report.text(), lambda: _view(report))
    console.info(report.summary())
    _leave(report)


def _view(report: "Report") -> "Iterator[Block]":
    """Yield a table of the machines, then the findings."""
    from ..probe.findings import KINDS
    from .tables import Cell, Line, Style, Table

    rows = []
    for device in report.devices:
        facts = ", ".join(device.facts.values())
        reached = Cell("reached", "green") if device.reached else Cell("not reached", "red")
        found = Cell(facts, reached.style) if facts else reached
        rows.append([Cell(device.device, "bold"), Cell(device.address), Cell(device.state or "-"), found])
    if rows:
        yield Table([Cell("machine"), Cell("address"), Cell("in the spec"), Cell("found")], rows)
    levels: dict[str, Style] = {"finding": "red", "unchecked": "yellow", "note": "cyan"}
    for level, colour in levels.items():
        for finding in (finding for finding in report.findings if finding.level == level):
            yield Line(f"{level}: {finding.device}: {KINDS[finding.id].means} [{finding.id}]", colour)
            fields = {
                "object": finding.object,
                "expected": finding.expected,
                "found": finding.found,
                "to do": finding.advice,
            }
            for title, text in fields.items():
                if text or title != "expected":
                    yield Line(f"    {title:<8}  {text}", "dim" if title == "to do" else "", len("expected  "))
            yield Line("")


def _leave(report: "Report") -> None:
    if not report.reached:
        raise DeviceError(
            "no machine of the farm was reached from here",
            "run the probe on a machine in the farm's network, for example on the balancer",
        )
    if not report.ok:
        raise console.Exit(DifferenceError.exit_code)


def _duration(option: str, text: str, least: str) -> "Duration":
    from ..spec.units import Duration

    try:
        duration = Duration.of(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", "write for example 30s, 2m or 14d") from None
    if duration < Duration.of(least):
        raise UsageError(f"{option}: {text} is less than {least}", f"write {least} or more")
    return duration


def _endpoint(text: str | None) -> tuple[str, int] | None:
    """Return host and port; the default port is 443. Raises UsageError."""
    import re

    if text is None:
        return None
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?", text) or re.fullmatch(
        r"([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?", text
    )
    port = int(found[2] or 443) if found else 0
    if found is None or not 0 < port < 65536:
        raise UsageError(
            f"--balancer: {text} is not an address or an address with a port",
            "write for example 10.20.0.10, lb-1.corp.example:8443, [2001:db8::1]:443",
        )
    return found[1], port


def _hubs(paths: tuple[str, ...]) -> tuple[str, ...]:
    import re

    for path in paths:
        if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", path):
            raise UsageError(f"--hub: {path} is not a path", "write / and then only letters, digits and ._~/-")
    return paths


def _ids(ids: tuple[str, ...]) -> frozenset[str]:
    from ..probe.findings import KINDS
    from ..spec.schema import nearest

    for one in ids:
        if one not in KINDS:
            near = nearest(one, tuple(KINDS))
            raise UsageError(
                f"--ignore: there is no finding with the id {one}",
                f"did you mean {near}?" if near else "docs/commands/probe.md lists the ids",
            )
    return frozenset(ids)
