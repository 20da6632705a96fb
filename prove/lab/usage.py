"""Memory and processor time of the lab's processes, and whether this machine was at its limit. Linux only: /proc.

Sources: `man proc`: /proc/stat (time of all processors), /proc/PID/stat (utime, stime, cutime, cstime),
/proc/PID/smaps_rollup (Pss: a page that several processes share counts once in the sum).
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
SAMPLE_SECONDS: Final = 1.0
FULL: Final = 0.9
"""From this share on, the processors are the limit."""
BUSY_SECONDS: Final = 5.0
"""For so long the processors may be the limit without a doubt about the result."""


class Usage(NamedTuple):
    """What a program and its workers use."""

    memory_mb: float
    cpu_seconds: float


def usage(group: int) -> Usage:
    """Return what the processes of a process group use now; zeros where there is no /proc."""
    memory, ticks = 0.0, 0
    for folder, fields in _processes():
        if int(fields[2]) == group:
            memory += _memory_mb(folder, fields)
            ticks += _ticks(fields)
    return Usage(memory, ticks / _ticks_per_second())


def own_memory_mb() -> float:
    """Return the memory of this process; 0 where there is no /proc."""
    return sum(_memory_mb(folder, fields) for folder, fields in _processes() if folder.name == str(os.getpid()))


def lab_seconds(groups: Collection[int]) -> float:
    """Return the processor time of this process, its ended children, and these process groups."""
    times = os.times()
    ticks = sum(_ticks(fields) for _, fields in _processes() if int(fields[2]) in groups)
    return times.user + times.system + times.children_user + times.children_system + ticks / _ticks_per_second()


def machine_seconds() -> float:
    """Return the time for which the processors worked, without programs of low priority (`nice`)."""
    try:
        user, _nice, system, _idle, _wait, irq, softirq, steal = map(int, (PROC / "stat").read_text().split()[1:9])
    except (OSError, ValueError):
        return 0.0
    return (user + system + irq + softirq + steal) / _ticks_per_second()


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class Watch:
    """What the processors do, from its creation to its last sample."""

    def __init__(self, groups: Callable[[], Collection[int]]) -> None:
        """`groups` returns the process groups of the lab."""
        self._groups = groups
        self.seconds = 0.0
        self.full_seconds = 0.0
        """How long the processors were the limit."""
        self.lab = 0.0
        """Processor time of the lab, in seconds."""
        self.others = 0.0
        """Processor time of other programs."""
        self._before = self._now()

    def _now(self) -> tuple[float, float, float]:
        return perf_counter(), lab_seconds(self._groups()), machine_seconds()

    def sample(self) -> None:
        """Add the time since the last sample."""
        before, self._before = self._before, self._now()
        seconds, lab, machine = (new - old for new, old in zip(self._before, before, strict=True))
        self.add(seconds, max(lab, 0.0), machine)  # the time of a worker can be lost with it

    def add(self, seconds: float, lab: float, machine: float) -> None:
        """Add a sample: its length, and the processor time of the lab and of all programs."""
        self.seconds += seconds
        self.lab += lab
        self.others += max(machine - lab, 0.0)
        if max(machine, lab) >= FULL * processors() * seconds:
            self.full_seconds += seconds

    def doubt(self) -> str:
        """Return why a failure says nothing about the balancer; empty if it does."""
        if self.full_seconds < BUSY_SECONDS:
            return ""
        others = round(100 * self.others / (processors() * self.seconds))
        return (
            f"inconclusive: the processors of this machine were the limit for {self.full_seconds:.0f} of "
            f"{self.seconds:.0f} s; other programs used {others}% of them"
        )


@asynccontextmanager
async def watched(groups: Callable[[], Collection[int]]) -> AsyncIterator[Watch]:
    """Watch the processors during the context."""
    seen = Watch(groups)
    task = asyncio.create_task(_repeat(seen))
    try:
        yield seen
    finally:
        task.cancel()
        seen.sample()


async def _repeat(seen: Watch) -> None:
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        seen.sample()


def _processes() -> list[tuple[Path, list[str]]]:
    """Return the folder of each process below /proc, and the fields of its `stat` from the state on."""
    found = []
    for folder in PROC.glob("[0-9]*") if sys.platform == "linux" else ():
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # the process ended
        found.append((folder, text.rpartition(")")[2].split()))
    return found


def _ticks(fields: list[str]) -> int:
    """Return the clock ticks of a process, with those of its children that ended: a reload replaces the workers."""
    return sum(map(int, fields[11:15]))


def _memory_mb(folder: Path, fields: list[str]) -> float:
    """Return the memory of a process; the resident memory where its Pss cannot be read."""
    try:
        lines = (folder / "smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration, ValueError):
        return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK") if sys.platform != "win32" else 100
