"""A node fails under robots: nlbgen's configurations and those of the manuals. `make robots`, `make robots ROBOTS=500`.

Each contender runs alone, with the same nodes and robots as in `nlbgen prove --robots`. nlbgen's configuration has
limits for the number of robots (`balancer.limits`); the manuals' run as they are published.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

from measure import machine, publish

from nlbgen.net.loops import run
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.scenarios.base import Metric
from nlbgen.prove.scenarios.fleet_base import FleetScenario
from nlbgen.prove.scenarios.registry import scenarios

from .lab import CONTENDERS, MANUALS, Contender, PeerLab

USUAL = 1000
SCENARIO = "robots-kill"
PATIENCE = 40.0
"""How long a contender may take until all robots are back, in seconds; 99 % must be back within 30 s."""
CHOSEN = tuple(one for one in CONTENDERS if one.ours or one.key in MANUALS.values())
COLUMNS: Mapping[str, str] = {
    "hit": "Disconnected",
    "within_30": "Connected again within 30 s",
    "innocent": "Disconnected robots of the other node",
    "unresponsive": "Unresponsive",
    "memory": "Memory for each robot",
    "cpu": "Processor time",
}
UNITS: Mapping[str, str] = {"within_30": "%", "memory": " KB", "cpu": " s"}


def measured(contender: Contender, count: int) -> list[Metric]:
    """Run the scenario."""
    scenario = scenarios()[SCENARIO]
    assert isinstance(scenario, FleetScenario)

    async def all_of_it(lab: PeerLab) -> list[Metric]:
        return [one async for one in scenario.measured(TestBench(lab), count, patience=PATIENCE)]

    with PeerLab(contender, tls=True, robots=count) as lab:
        return run(all_of_it(lab))


def lines(found: Mapping[Contender, Sequence[Metric]], count: int) -> Iterator[str]:
    """Yield the part of the documentation."""
    yield f"{machine().partition(';')[0]}. {count} robots. The event: {scenarios()[SCENARIO].title}."
    yield ""
    yield f"| | Connected | {' | '.join(COLUMNS.values())} |"
    yield f"|---|{'---|' * (1 + len(COLUMNS))}"
    for contender, metrics in found.items():
        values = {one.name: one for one in metrics}
        cells = [f"{values[name].value:g}{UNITS.get(name, '')}" for name in COLUMNS]
        title = f"**{contender.title}**" if contender.ours else contender.title
        yield f"| {title} | {count - values['unconnected'].value:g} of {count} | {' | '.join(cells)} |"
    for contender, metrics in found.items():
        if doubt := next((one.doubt for one in metrics if one.doubt), ""):
            yield ""
            yield f"{contender.title}: {doubt}."


def main(arguments: Sequence[str]) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="peers.robots", description=__doc__)
    parser.add_argument("robots", nargs="?", type=int, default=USUAL)
    parser.add_argument("--print", action="store_true", help="print the table, and do not change the page")
    options = parser.parse_args(arguments)
    found = {}
    for contender in CHOSEN:
        print(f"... {contender.title}", file=sys.stderr, flush=True)
        found[contender] = measured(contender, options.robots)
    table = list(lines(found, options.robots))
    if options.print:
        print("\n".join(table))
    else:
        publish("robots", table)


if __name__ == "__main__":
    main(sys.argv[1:])
