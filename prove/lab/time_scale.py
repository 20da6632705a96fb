"""Scaled timeouts: the running configuration with every timeout divided by one number.

A test that an idle WebSocket stays open for an hour must not take an hour. So the balancer is restarted with each
timeout of its configuration divided by one number, and the clients wait that much less. The rendered text is changed,
not the spec: this scales every timeout, including those that no key of the spec sets, and a missing line stays
missing. NGINX's documented defaults are written out first (`proxy_read_timeout` is 60 s if it is not set); HAProxy has
no timeouts but those in the text.

No timeout is scaled below FLOOR_SECONDS, because a busy machine needs that time.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...generators.base import generator
from ...spec.model import Farm
from .bench import TestBench

FLOOR_SECONDS: Final = 2.0

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+)(us|ms|s|m|h|d)?")


def scale_timeouts(vendor: str, text: str, divisor: float, *, complete: bool = False) -> str:
    """Return a configuration with every timeout divided, but not below FLOOR_SECONDS; shorter ones stay.

    A `complete` text has the program's defaults already.
    """
    hosting = generator(vendor).hosting
    if hosting is None:
        raise ValueError(f"{vendor} is a device: nothing runs in the lab")
    syntax = hosting.timeouts

    def shorter(found: re.Match[str]) -> str:
        seconds = _seconds(found["time"], syntax.unit)
        return found["before"] + (found["time"] if seconds <= FLOOR_SECONDS else _written(seconds / divisor))

    if syntax.defaults and not complete:
        unset = {name: time for name, time in syntax.defaults.items() if f"\n    {name} " not in text}
        written = "".join(f"\n    {name} {seconds:g}s;" for name, seconds in unset.items())
        text = re.sub(syntax.section, lambda found: found[0] + written, text, count=1)
    return re.sub(syntax.pattern, shorter, text)


def _seconds(time: str, bare: str) -> float:
    """Return the seconds of `90s`, `1h30m`, or a plain number in the program's own unit."""
    return sum(int(number) * _UNITS[unit or bare] for number, unit in _PART.findall(time))


def _written(seconds: float) -> str:
    return f"{round(max(seconds, FLOOR_SECONDS) * 1000)}ms"


@asynccontextmanager
async def scaled_timeouts(bench: TestBench, divisor: float, why: str) -> AsyncIterator[str]:
    """Run the balancer with scaled timeouts and restore them at the end; yields a note for the metrics."""
    if divisor <= 1:
        yield ""
        return
    note = f"every timeout divided by {divisor:.4g}, {FLOOR_SECONDS:g} s at least"
    bench.log(f"{why}: {note}")
    complete = not bench.lab.renders  # a foreign configuration is mapped with its defaults
    async with edited(bench, lambda text: scale_timeouts(bench.vendor, text, divisor, complete=complete)):
        yield note


@asynccontextmanager
async def edited(bench: TestBench, edit: Callable[[str], str], *, settle: bool = True) -> AsyncIterator[None]:
    """Run the balancer with an edited configuration and restore it at the end.

    Restarts it both times: a reload would keep the old processes beside the new ones. `settle` waits until every node
    serves.
    """
    before = _contents(bench)
    try:
        await _restart(bench, {path: _edited(content, edit) for path, content in before.items()}, settle=settle)
        yield
    finally:
        await _restart(bench, before)


async def restarted(bench: TestBench) -> None:
    """Restart the balancer: it forgets the states of nodes and closes every connection."""
    await _restart(bench, _contents(bench))


def _contents(bench: TestBench) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in bench.lab.configurations}


def _edited(content: bytes, edit: Callable[[str], str]) -> bytes:
    """The edited content; a foreign configuration may have bytes that are not UTF-8."""
    return edit(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


async def _restart(bench: TestBench, contents: Mapping[Path, bytes], *, settle: bool = True) -> None:
    balancer = bench.lab.balancer
    await bench.call(balancer.stop)
    for path, content in contents.items():
        await bench.call(write_atomically, path, content)
    try:
        await bench.call(balancer.start)
    except RuntimeError as fault:
        title = bench.lab.generator.title
        raise NlbgenError(
            f"{title} does not start with the edited configuration: {fault}", "the balancer's output shows the reason"
        ) from fault
    if settle:
        await bench.settled()


@asynccontextmanager
async def changed_farm(bench: TestBench, farm: Farm) -> AsyncIterator[None]:
    """Run the balancer for a changed farm with the same nodes, and restore it at the end."""
    lab = bench.lab
    try:
        await bench.call(lab.change, farm)
        await restarted(bench)
        yield
    finally:
        await bench.call(lab.change, lab.live)
        await restarted(bench)
