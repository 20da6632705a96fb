"""One run: a laboratory, the scenarios one after another, and the scorecard; everything ends with it."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp

from .. import __version__
from ..core.errors import NlbgenError
from ..generators.base import Generator, generator, render
from ..generators.validate import Program, installed
from ..net.loops import run
from ..spec.load import Spec
from ..spec.units import Version
from .clients.load_result import LoadResult
from .clients.sessions import SessionError
from .lab.bench import Stage
from .lab.lab import Laboratory
from .lab.mapping import mapping
from .lab.processes import MAX_NODES, ProcessError
from .nodes.control import ControlError
from .scenarios.base import Figure, Scenario
from .score.limits import Limits
from .score.scorecard import Played, Scorecard, score

LAG_SECONDS: Final = 0.25
"""A generator that is later than this measures itself."""
RESTORE_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 10.0

BREAKS: Final = (NlbgenError, ControlError, SessionError, TimeoutError, OSError, aiohttp.ClientError)
"""What a scenario may end with when the farm, and not nlbgen, is at fault."""

UNPROVED: Final = (
    "the real nodes: how fast they are, how they share keys and stores (`nlbgen nodes audit`)",
    "the real certificates and names (`nlbgen probe`): stand-ins are used here",
    "the network between clients, balancer and nodes: firewalls, routes, packet sizes",
    "the balancer's machine: its limits of open files, its kernel, its service (INSTALL.md)",
)
VIP: Final = "frontend.vip: that the address moves to another balancer (keepalived is not started here)"


@dataclass
class Wishes:
    """What the user asked for."""

    scenarios: Sequence[Scenario]
    limits: Limits
    requests: Path | None = None
    """A file that gets every request of the load, one line of JSON each."""
    real_time: bool = False
    """Wait as long as it really takes, where scenarios would divide time-outs."""
    keep: Callable[[Stage, Scorecard], None] | None = None
    """Called when all is played; returns when the laboratory may end."""


Watch = Callable[[Stage, Scenario | None], None]
"""Told of each scenario before it begins, and of None at the end."""


def program_of(vendor: Generator) -> Program:
    """The installed program; NlbgenError with the way to install it where there is none."""
    program = installed(vendor)
    if program is None:
        raise NlbgenError(
            f"{vendor.program} is not installed here, and only the real program proves anything",
            f"install it (Debian, Ubuntu: apt-get install {vendor.program}; Fedora, RHEL: dnf install "
            f"{vendor.program}; macOS: brew install {vendor.program}) or run this on a machine that has it",
        )
    return program


def laboratory(spec: Spec, vendor: str) -> Laboratory:
    """The laboratory of a farm, not started; UnsupportedError where the vendor refuses the farm."""
    chosen = generator(vendor)
    render(chosen, spec)
    if (count := len(spec.farm.nodes)) > MAX_NODES:
        raise NlbgenError(
            f"the farm has {count} nodes, and at most {MAX_NODES} stand-ins are started: each is a process",
            "prove a copy of the spec with fewer nodes of each state and weight",
        )
    return Laboratory(spec, vendor, program=program_of(chosen).path)


def prove(spec: Spec, vendor: str, wishes: Wishes, watch: Watch) -> Scorecard:
    """Play the scenarios and return the scorecard; nothing that was started is left, however this ends."""
    card = _card(spec, generator(vendor))
    with _started(spec, vendor) as lab:
        card.mapped = mapping(lab)
        stage = Stage(lab)
        stage.real_time = wishes.real_time
        run(_play_all(stage, wishes, card, watch))
        watch(stage, None)
        if wishes.keep is not None:
            wishes.keep(stage, card)
    return card


@contextmanager
def _started(spec: Spec, vendor: str) -> Iterator[Laboratory]:
    """A running laboratory; NlbgenError with the program's words where it does not start."""
    lab = laboratory(spec, vendor)
    try:
        lab.__enter__()
    except ProcessError as error:
        raise NlbgenError(error.message.rstrip(), _why_not(lab.generator, spec)) from None
    try:
        yield lab
    finally:
        with _undisturbed():
            lab.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody who presses Ctrl-C twice, or again and again, end the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = isinstance(sys.exception(), KeyboardInterrupt)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        if not interrupted:  # the program is about to leave, and its status shall say why
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _why_not(vendor: Generator, spec: Spec) -> str:
    here, wanted = program_of(vendor).version, vendor.version(spec.farm)
    if _same(here, wanted):
        return "what the program says stands above; `nlbgen render` has the same file checked"
    other = f'write `version: "{here}"` under {vendor.name}'
    return f"{here} is installed and the spec is for {wanted}: install that, or {other}"


def _same(here: Version, wanted: Version) -> bool:
    """Whether an installed version is the one that a spec names, as 2.6.12 is 2.6."""
    return here.parts[: len(wanted.parts)] == wanted.parts


def _card(spec: Spec, vendor: Generator) -> Scorecard:
    program = program_of(vendor)
    card = Scorecard(
        farm=spec.farm.farm,
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
            f"this machine was busy before the run began (load {busy:.1f} on {processors} processors): "
            "more requests are in hand at once, and more fail when a node stops"
        )
    wanted = vendor.version(spec.farm)
    if not _same(program.version, wanted):
        card.notes.append(
            f"{vendor.title} {program.version} runs here, the spec is for {wanted}: nothing is said about what differs"
        )
    return card


async def _play_all(stage: Stage, wishes: Wishes, card: Scorecard, watch: Watch) -> None:
    asyncio.get_running_loop().set_exception_handler(_quiet)
    await _warm_up(stage)
    for scenario in wishes.scenarios:
        reason = scenario.unasked(stage.farm, stage.vendor)
        if reason:
            card.played.append(Played(scenario, "not played", reason))
            continue
        watch(stage, scenario)
        begun = len(stage.runs)
        card.played.append(await _play(stage, scenario, wishes.limits))
        loads = stage.runs[begun:]
        card.notes += _lags(scenario, [result for _, result in loads])
        if wishes.requests is not None:
            await stage.call(_write, wishes.requests, scenario, loads)
        del stage.runs[begun:]
        if card.played[-1].state == "broken" and not await _restored(stage):
            rest = wishes.scenarios[wishes.scenarios.index(scenario) + 1 :]
            card.played += [Played(one, "broken", f"the farm did not come back after {scenario.name}") for one in rest]
            return


async def _warm_up(stage: Stage) -> None:
    """Some load until the balancer has made up its mind about every node: before its first checks all count as up."""
    await stage.settled()
    health = stage.farm.balancer.health
    stage.say("warming up")
    await stage.load(rate=50.0, seconds=min(health.interval.seconds * health.fall + 1.0, WARM_UP_SECONDS))
    await stage.settled()
    stage.runs.clear()


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # uvloop's TLS complains of each connection that is dropped in its handshake; the failure itself was counted.
    if "protocol" not in context:
        loop.default_exception_handler(context)


async def _play(stage: Stage, scenario: Scenario, limits: Limits) -> Played:
    """Play one scenario within its time, score it, and bring the nodes back."""
    figures: list[Figure] = []
    keep = figures.append  # one by one: those before a scenario breaks count
    played = Played(scenario, "passed")
    begun, noted = perf_counter(), len(stage.diary.entries)
    stage.say(f"{scenario.name}: {scenario.title}")
    try:
        async with asyncio.timeout(scenario.seconds):
            async with aclosing(scenario.play(stage)) as play:
                async for figure in play:
                    keep(figure)
        await asyncio.wait_for(stage.bring_back(), RESTORE_SECONDS)
    except BREAKS as fault:
        played.state = "broken"
        played.reason = _said(fault, scenario)
        stage.say(f"{scenario.name}: {played.reason}")
    played.figures = score(scenario.name, figures, limits)
    if played.state == "passed" and played.missed:
        played.state = "missed"
    played.seconds = perf_counter() - begun
    first = stage.diary.entries[noted][0]
    played.diary = [(at - first, what) for at, what in stage.diary.entries[noted + 1 :]]
    return played


def _said(fault: BaseException, scenario: Scenario) -> str:
    if isinstance(fault, NlbgenError):
        return " ".join(": ".join(filter(None, (fault.message, fault.hint))).split())
    if isinstance(fault, TimeoutError):
        return f"it did not end within {scenario.seconds:g} s"
    return f"{type(fault).__name__}: {fault}"


async def _restored(stage: Stage) -> bool:
    """Whether the farm serves again after a scenario that broke."""
    try:
        await asyncio.wait_for(stage.bring_back(), RESTORE_SECONDS)
    except BREAKS:
        return False
    return True


def _lags(scenario: Scenario, results: Sequence[LoadResult]) -> list[str]:
    worst = max((result.worst_lag for result in results), default=0.0)
    if worst <= LAG_SECONDS:
        return []
    return [f"{scenario.name}: this machine was busy, a request went out {worst:.2f} s late; its times are too long"]


def _write(path: Path, scenario: Scenario, loads: Sequence[tuple[str, LoadResult]]) -> None:
    """Add every request of these loads to the log."""
    with path.open("a", encoding="utf-8") as file:
        for url, result in loads:
            for record in result.records:
                file.write(json.dumps({"scenario": scenario.name, "url": url, **asdict(record)}) + "\n")
