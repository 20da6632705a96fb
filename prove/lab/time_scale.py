"""Time-outs of hours in seconds: the running configuration once more, with every time-out divided.

Nobody waits an hour to see that an idle WebSocket lives for an hour. So the balancer is restarted for a moment with
each time-out of its configuration divided by one number, and the clients wait that much less. It is the written text
that is changed, not the spec: so every time-out is divided, those as well that no key of the spec sets, and a line
that is missing stays missing. NGINX's own defaults of the manual are written out for that (`proxy_read_timeout` is
60 s where nothing is said); HAProxy has none but those in the text.

None becomes shorter than FLOOR_SECONDS, because a machine that is busy with tests is not quick either.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...spec.model import Farm
from .bench import Stage

FLOOR_SECONDS: Final = 2.0

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+)(us|ms|s|m|h|d)?")
_HAPROXY: Final = re.compile(r"(?m)^(?P<before>\s*timeout\s+[a-z-]+\s+)(?P<time>[0-9a-z]+)(?=\s*(?:#.*)?$)")
_NGINX: Final = re.compile(
    r"(?m)^(?P<before>\s*(?:client_header|client_body|send|keepalive|proxy_read|proxy_send|proxy_connect|"
    r"proxy_next_upstream|proxy)_timeout\s+)(?P<time>[0-9a-z]+)(?=;)"
)
_NGINX_DEFAULTS: Final[Mapping[str, float]] = {
    "client_header_timeout": 60,
    "client_body_timeout": 60,
    "send_timeout": 60,
    "keepalive_timeout": 75,
    "proxy_read_timeout": 60,
    "proxy_send_timeout": 60,
}
"""What holds where nothing is written: nginx.org, ngx_http_core_module and ngx_http_proxy_module."""
_NGINX_HTTP: Final = re.compile(r"(?m)^http \{$")


def divided(vendor: str, text: str, divisor: float) -> str:
    """A configuration with every time-out divided, down to FLOOR_SECONDS; shorter ones are left as they are."""
    pattern, bare = (_HAPROXY, "ms") if vendor == "haproxy" else (_NGINX, "s")

    def shorter(found: re.Match[str]) -> str:
        seconds = _seconds(found["time"], bare)
        return found["before"] + (found["time"] if seconds <= FLOOR_SECONDS else _written(seconds / divisor))

    if vendor == "nginx":
        silent = {name: time for name, time in _NGINX_DEFAULTS.items() if f"\n    {name} " not in text}
        written = "".join(f"\n    {name} {seconds:g}s;" for name, seconds in silent.items())
        text = _NGINX_HTTP.sub(lambda found: found[0] + written, text, count=1)
    return pattern.sub(shorter, text)


def _seconds(time: str, bare: str) -> float:
    """`90s`, `1h30m`, or a plain number in the program's own unit."""
    return sum(int(number) * _UNITS[unit or bare] for number, unit in _PART.findall(time))


def _written(seconds: float) -> str:
    return f"{round(max(seconds, FLOOR_SECONDS) * 1000)}ms"


@asynccontextmanager
async def paced(stage: Stage, divisor: float, why: str) -> AsyncIterator[str]:
    """Run the balancer with its time-outs divided, and as it was again afterwards; yields a note for the figures."""
    if divisor <= 1:
        yield ""
        return
    note = f"every time-out divided by {divisor:.4g}, {FLOOR_SECONDS:g} s at least"
    stage.say(f"{why}: {note}")
    async with edited(stage, lambda text: divided(stage.vendor, text, divisor)):
        yield note


@asynccontextmanager
async def edited(stage: Stage, edit: Callable[[str], str], *, settle: bool = True) -> AsyncIterator[None]:
    """Run the balancer with its configuration changed, and as it was again afterwards.

    It is restarted both times: a reload would leave the old processes beside the new ones. `settle` waits until every
    node serves.
    """
    path = stage.lab.configuration
    before = path.read_bytes()
    try:
        await _restart(stage, edit(before.decode()).encode(), settle=settle)
        yield
    finally:
        await _restart(stage, before)


async def restarted(stage: Stage) -> None:
    """Start the balancer anew: it forgets what it knows of nodes, and ends every connection."""
    await _restart(stage, stage.lab.configuration.read_bytes())


async def _restart(stage: Stage, content: bytes, *, settle: bool = True) -> None:
    balancer = stage.lab.balancer
    await stage.call(balancer.stop)
    await stage.call(write_atomically, stage.lab.configuration, content)
    try:
        await stage.call(balancer.start)
    except RuntimeError as fault:
        title = stage.lab.generator.title
        raise NlbgenError(
            f"{title} does not start with its configuration changed: {fault}", "look into its output"
        ) from fault
    if settle:
        await stage.settled()


@asynccontextmanager
async def rearranged(stage: Stage, farm: Farm) -> AsyncIterator[None]:
    """Run the balancer for a farm that differs in what needs no other nodes, and as it was again afterwards."""
    lab = stage.lab
    try:
        await stage.call(lab.change, farm)
        await restarted(stage)
        yield
    finally:
        await stage.call(lab.change, lab.live)
        await restarted(stage)
