"""One run of `nlbgen prove`: a lab, the scenarios one after another, and the scorecard."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp

from .. import __version__
from ..core import interrupts
from ..core.errors import NlbgenError
from ..core.files import scratch_errors
from ..generators.base import Generator, generator, render
from ..generators.validate import Program, installed
from ..net.loops import run
from ..spec.load import Spec
from ..spec.units import Version
from .clients.hub_client import SessionError
from .clients.load_result import LoadResult
from .foreign.lab import ForeignLab
from .foreign.plan import Foreign, names_of
from .lab.bench import TestBench
from .lab.lab import Lab
from .lab.mapping import mapping
from .lab.processes import MAX_NODES, ProcessError
from .nodes.control import ControlError
from .scenarios.base import Metric, Scenario
from .score.limits import Limits
from .score.scorecard import ScenarioResult, Scorecard, score

LAG_SECONDS: Final = 0.25
"""From this delay on, the load generator distorts its own measurement."""
CERTAIN: Final = frozenset(("doubled_posts", "lost_posts"))
"""The metrics that a busy machine does not change: a POST is executed twice or it is not."""
RESTORE_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 10.0

BREAKING_ERRORS: Final = (NlbgenError, ControlError, SessionError, TimeoutError, OSError, aiohttp.ClientError)
"""The errors of a scenario that the farm causes; any other is a bug in nlbgen."""

FOREIGN_START: Final = (
    "the program's output above shows the reason. Its line numbers refer to the mapped text, which --diff shows. "
    "The installed version may differ from the version on the live machine"
)
UNPROVED: Final = (
    "the real nodes: their speed, and whether they share keys and stores (`nlbgen nodes audit`)",
    "the real certificates and names (`nlbgen probe`): the lab uses its own",
    "the network between clients, balancer and nodes: firewalls, routes, packet sizes",
    "the balancer's machine: its limits of open files, its kernel, its service (INSTALL.md)",
)
UNPROVED_QUICK: Final = "the other scenarios: run `nlbgen prove` without --quick before the change"
FIXED: Final = "and nlbgen did not write this configuration"
"""The end of the reason why a scenario that changes the farm is skipped."""
VIP: Final = (
    "frontend.vip: that the address moves to another balancer (`--scenario robots-failover`, as root, tests this)"
)
PAIRED: Final = "robots-failover"
"""The scenario that moves the address."""


@dataclass
class RunOptions:
    """The options of one run."""

    scenarios: Sequence[Scenario]
    limits: Limits
    requests: Path | None = None
    """A file for every request of the load, one line of JSON each."""
    real_time: bool = False
    """Wait for the real timeouts instead of scaled ones."""
    quick: bool = False
    """Shorten the load before and after a failure."""
    robots: int | None = None
    """The number of robots of the scenarios of `--robots`."""
    foreign: Foreign | None = None
    """The configuration to run in place of the rendered one."""
    keep: Callable[[TestBench, Scorecard], None] | None = None
    """Called after the last scenario; the lab ends when it returns."""


Watch = Callable[[TestBench, Scenario | None], None]
"""Called before each scenario, and with None at the end."""


def program_of(vendor: Generator) -> Program:
    """Return the installed program; NlbgenError with the command that installs it if there is none."""
    program = installed(vendor)
    if program is None:
        raise NlbgenError(
            f"{vendor.program} is not installed, and `nlbgen prove` runs the real program",
            f"install it (Debian, Ubuntu: apt-get install {vendor.program}; Fedora, RHEL: dnf install "
            f"{vendor.program}; macOS: brew install {vendor.program}) or run this on a machine that has it",
        )
    return program


def make_lab(spec: Spec, vendor: str, foreign: Foreign | None = None) -> Lab:
    """Return the lab of a farm, not started; UnsupportedError if the vendor refuses the farm."""
    chosen = generator(vendor)
    if foreign is not None:
        return ForeignLab(foreign, spec, vendor, program=program_of(chosen).path)
    render(chosen, spec)
    if (count := len(spec.farm.nodes)) > MAX_NODES:
        raise NlbgenError(
            f"the farm has {count} nodes, but the lab starts at most {MAX_NODES}, because each node is a process",
            "use a copy of the spec with fewer nodes: keep a node of each state and of each weight",
        )
    return Lab(spec, vendor, program=program_of(chosen).path)


def prove(spec: Spec, vendor: str, options: RunOptions, watch: Watch) -> Scorecard:
    """Run the scenarios and return the scorecard; stops every process, also on errors."""
    card = _card(spec, generator(vendor), options.foreign)
    card.shows_mapping = options.foreign is not None
    if options.quick:
        card.unproved = (*card.unproved, UNPROVED_QUICK)
    with _started(spec, vendor, options.foreign) as lab:
        card.mapped = lab.rows if isinstance(lab, ForeignLab) else mapping(lab)
        card.notes += options.foreign.plan.notes if options.foreign else ()
        bench = TestBench(lab)
        bench.real_time, bench.quick, bench.robots = options.real_time, options.quick, options.robots
        run(_run_all(bench, options, card, watch))
        if any(one.scenario.name == PAIRED and one.state == "passed" for one in card.results):
            card.unproved = tuple(one for one in card.unproved if one != VIP)
        watch(bench, None)
        if options.keep is not None:
            options.keep(bench, card)
    return card


@contextmanager
def _started(spec: Spec, vendor: str, foreign: Foreign | None) -> Iterator[Lab]:
    """Start a lab; NlbgenError with the program's output if it does not start."""
    lab = make_lab(spec, vendor, foreign)
    try:
        with scratch_errors():
            lab.__enter__()
    except ProcessError as error:
        hint = FOREIGN_START if foreign else _start_hint(lab.generator, spec)
        raise NlbgenError(error.message.rstrip(), hint) from None
    try:
        yield lab
    finally:
        with interrupts.ignored():
            lab.close()


def _start_hint(vendor: Generator, spec: Spec) -> str:
    here, wanted = program_of(vendor).version, vendor.version(spec.farm)
    if _same(here, wanted):
        return "the program's output above shows the reason; `nlbgen render` checks the same file"
    other = f'write `version: "{here}"` under {vendor.name}'
    return f"{here} is installed, but the spec is for {wanted}: install that version, or {other}"


def _same(here: Version, wanted: Version) -> bool:
    """Whether an installed version matches the version of a spec, as 2.6.12 matches 2.6."""
    return here.parts[: len(wanted.parts)] == wanted.parts


def _card(spec: Spec, vendor: Generator, foreign: Foreign | None = None) -> Scorecard:
    program = program_of(vendor)
    card = Scorecard(
        farm=spec.farm.farm if foreign is None else names_of(foreign.files),
        spec=spec.name,
        digest=spec.digest,
        vendor=vendor.name,
        program=f"{vendor.title} {program.version}",
        nodes=len(spec.farm.nodes),
        nlbgen=__version__,
        unproved=(*UNPROVED, VIP) if spec.farm.frontend.vip else UNPROVED,
    )
    busy, processors = os.getloadavg()[0], os.cpu_count() or 1
    if busy > processors:
        card.notes.append(
            f"this machine was busy before the run began (load {busy:.1f} on {processors} processors): therefore more "
            "requests are in flight at the same time, and more of them fail when a node stops"
        )
    wanted = vendor.version(spec.farm)
    if foreign is None and not _same(program.version, wanted):
        card.notes.append(
            f"{vendor.title} {program.version} runs here, but the spec is for {wanted}: the results may differ "
            f"for {wanted}"
        )
    return card


async def _run_all(bench: TestBench, options: RunOptions, card: Scorecard, watch: Watch) -> None:
    asyncio.get_running_loop().set_exception_handler(_quiet)
    await _warm_up(bench)
    for scenario in options.scenarios:
        if scenario.changes_farm and not bench.lab.renders:
            reason = f"{scenario.changes_farm}, {FIXED}"
        else:
            reason = scenario.skip_reason(bench.farm, bench.vendor)
        if reason:
            card.results.append(ScenarioResult(scenario, "skipped", reason))
            continue
        watch(bench, scenario)
        begun = len(bench.runs)
        card.results.append(await _run(bench, scenario, options.limits))
        loads = bench.runs[begun:]
        card.notes += _lags(scenario, [result for _, result in loads])
        if options.requests is not None:
            await bench.call(_write, options.requests, scenario, loads)
        del bench.runs[begun:]
        await asyncio.sleep(bench.lab.rest_seconds)
        if card.results[-1].state == "broken" and not await _restored(bench):
            rest = options.scenarios[options.scenarios.index(scenario) + 1 :]
            card.results += [
                ScenarioResult(one, "broken", f"the farm did not recover after {scenario.name}") for one in rest
            ]
            return


async def _warm_up(bench: TestBench) -> None:
    """Run some load until the balancer has checked every node: before its first checks all nodes count as up."""
    await bench.settled(first=True)
    health = bench.farm.balancer.health
    bench.log("warming up")
    await bench.load(rate=50.0, seconds=min(health.interval.seconds * health.fall + 1.0, WARM_UP_SECONDS))
    await bench.settled()
    bench.runs.clear()


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # uvloop reports each connection that is dropped in its TLS handshake; the failure itself is counted.
    if "protocol" not in context:
        loop.default_exception_handler(context)


async def _run(bench: TestBench, scenario: Scenario, limits: Limits) -> ScenarioResult:
    """Run one scenario within its timeout, score it, and restore the nodes."""
    metrics: list[Metric] = []
    add = metrics.append  # one by one: metrics before an error count
    result = ScenarioResult(scenario, "passed")
    begun, noted, loads = perf_counter(), len(bench.timeline.entries), len(bench.runs)
    bench.log(f"{scenario.name}: {scenario.title}")
    try:
        async with asyncio.timeout(scenario.seconds):
            async with aclosing(scenario.run(bench)) as running:
                async for metric in running:
                    add(metric)
        await asyncio.wait_for(bench.restore(), RESTORE_SECONDS)
    except BREAKING_ERRORS as fault:
        result.state = "broken"
        result.reason = _reason(fault, scenario)
        bench.log(f"{scenario.name}: {result.reason}")
    late = max((load.worst_lag for _, load in bench.runs[loads:]), default=0.0)
    result.metrics = score(scenario.name, [_doubted(one, late) for one in metrics], limits)
    if result.state == "passed" and result.failed_metrics:
        result.state = "failed"
    elif result.state == "passed" and result.doubtful_metrics:
        result.state = "inconclusive"
    result.seconds = perf_counter() - begun
    first = bench.timeline.entries[noted][0]
    result.events = [(at - first, what) for at, what in bench.timeline.entries[noted + 1 :]]
    return result


def _doubted(metric: Metric, late: float) -> Metric:
    """Return a metric with the doubt about its failure, if the load was sent this many seconds late."""
    if late <= LAG_SECONDS or metric.doubt or metric.name in CERTAIN:
        return metric
    return metric._replace(doubt=f"inconclusive: this machine was busy and sent a request {late:.2f} s late")


def _reason(fault: BaseException, scenario: Scenario) -> str:
    if isinstance(fault, NlbgenError):
        return " ".join(": ".join(filter(None, (fault.message, fault.hint))).split())
    if isinstance(fault, TimeoutError):
        return f"it did not end within {scenario.seconds:g} s"
    return f"{type(fault).__name__}: {fault}"


async def _restored(bench: TestBench) -> bool:
    """Whether the farm serves again after a broken scenario."""
    try:
        await asyncio.wait_for(bench.restore(), RESTORE_SECONDS)
    except BREAKING_ERRORS:
        return False
    return True


def _lags(scenario: Scenario, results: Sequence[LoadResult]) -> list[str]:
    worst = max((result.worst_lag for result in results), default=0.0)
    if worst <= LAG_SECONDS:
        return []
    return [f"{scenario.name}: this machine was busy and sent a request {worst:.2f} s late; its times are too long"]


def _write(path: Path, scenario: Scenario, loads: Sequence[tuple[str, LoadResult]]) -> None:
    """Append every request of these loads to the file."""
    with path.open("a", encoding="utf-8") as file:
        for url, result in loads:
            for record in result.records:
                file.write(json.dumps({"scenario": scenario.name, "url": url, **asdict(record)}) + "\n")
