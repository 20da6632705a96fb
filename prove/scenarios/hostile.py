"""Clients that mean harm: forged headers, other protocols, smuggled requests, huge heads, slow ones."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final
from uuid import uuid4

from ...generators.design import FORGEABLE_HEADERS, HEADER_TIME
from ...net.client import Target
from ...spec.model import Farm
from ..clients.simple import Fetched
from ..clients.smuggling import FORBIDDEN_FORM, Probe, probes
from ..lab.lab import live_path
from ..lab.raw import Heard, Lost, converse, dial, hang_up, head, target
from ..lab.recording import Ear, ears, heard
from ..lab.request_parser import Reading, read
from ..lab.time_scale import paced
from .base import Figures, Scenario, Stage, figure
from .live import NO_HTTP

FORGED: Final = "6.6.6.6"
ANSWER_SECONDS: Final = 3.0
"""How long a probe waits for its answer."""
QUIET_SECONDS: Final = 1.0
"""How long it listens for a second answer after the first one."""
AT_ONCE: Final = 8
SLOW_CLIENTS: Final = 100
SLOW_DIVISOR: Final = 4.0
SLOW_BYTE_SECONDS: Final = 0.25
SLOW_HEAD_START: Final = 0.5
SLOW_GRACE: Final = 2.0
"""How much later than its time a slow client may be cut."""


class HttpOnly(Scenario):
    """A scenario that asks for a balancer that sees HTTP."""

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Not with passthrough."""
        del vendor
        return NO_HTTP if farm.frontend.tls.mode == "passthrough" else ""


class ForgedHeaders(HttpOnly):
    """Headers that ASP.NET or IIS modules believe, written by the client."""

    name = "forged-headers"
    title = "forged X-Forwarded-For and its kin"
    why = "whoever forges them passes for another machine: in the audit log, in redirects, before address filters"
    seconds = 30

    async def play(self, stage: Stage) -> Figures:
        """Send every header that must not arrive, to both pools, once and twice, and in the hop-by-hop list."""
        names = [*FORGEABLE_HEADERS, "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"]
        forged = [(name, _forgery(name)) for name in names]
        attempts: list[list[tuple[str, str]]] = [
            forged,
            [*forged, *forged],
            [(name.lower(), value) for name, value in forged],
            [("Connection", ", ".join(("keep-alive", *names)))],
        ]
        paths = ("/prove-headers", live_path(stage.farm, "prove-headers"))
        stage.say(f"{len(attempts) * len(paths)} requests with {len(names)} forged headers each")
        answers = [await stage.fetch(path, headers=attempt) for attempt in attempts for path in paths]
        arrived = sum(_bears_forgery(answer) for answer in answers)
        wrong = [text for answer in answers for text in _untruths(stage, answer)]
        yield figure("arrived", arrived, of=len(answers))
        yield figure("untrue", len(wrong), of=4 * len(answers), note=wrong[0] if wrong else "")


def _forgery(name: str) -> str:
    return {"X-Forwarded-Port": "666", "X-Forwarded-Proto": "forged"}.get(name, f"for={FORGED}")


def _seen(answer: Fetched) -> list[tuple[str, str]]:
    """The headers as the node saw them; none where it was not asked."""
    if answer.status != 200:
        return []
    return [(name.lower(), value) for name, value in answer.json()["headers"]]


def _bears_forgery(answer: Fetched) -> bool:
    """Whether a forged value arrived, in whatever header."""
    return any(FORGED in value or value in {"666", "forged"} for _, value in _seen(answer))


def _untruths(stage: Stage, answer: Fetched) -> list[str]:
    """What the node was told wrongly about the client, or not at all."""
    lab = stage.lab
    scheme = lab.url.partition(":")[0]
    truth = {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": scheme,
        "x-forwarded-host": f"{lab.host}:{lab.port}",
        "x-forwarded-port": str(lab.port),
    }
    seen = _seen(answer)
    found = {name: [value for key, value in seen if key == name] for name in truth}
    return [f"{name}: {found[name]} instead of {value}" for name, value in truth.items() if found[name] != [value]]


class H2c(HttpOnly):
    """An upgrade to HTTP/2 over clear text would tunnel past every rule of the balancer."""

    name = "h2c"
    title = "upgrades to anything but WebSocket"
    why = "inside of an h2c tunnel no header is checked and no path is refused any more"
    seconds = 30

    async def play(self, stage: Stage) -> Figures:
        """Ask for h2c alone, beside websocket, and for other protocols, on both pools."""
        settings = ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
        asked: Sequence[list[tuple[str, str]]] = (
            [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), settings],
            [("Connection", "Upgrade"), ("Upgrade", "h2c"), settings],
            [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
            [("Connection", "Upgrade"), ("Upgrade", "h2c, websocket")],
            [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c")],
            [("Connection", "Upgrade"), ("Upgrade", "TLS/1.2")],
        )
        mark = uuid4().hex
        paths = (f"/prove-{mark}", live_path(stage.farm, f"prove-{mark}"))
        stage.say(f"{len(asked) * len(paths)} requests to become another protocol")
        answers = [await stage.fetch(path, headers=headers) for headers in asked for path in paths]
        seen = [one for node in stage.nodes for one in await stage.call(node.control.requests) if mark in one["target"]]
        yield figure("switched", sum(answer.status == 101 for answer in answers), of=len(answers))
        yield figure("arrived", sum(_offers(one["headers"]) for one in seen), of=len(answers))


def _offers(headers: list[list[str]]) -> bool:
    """Whether a node was asked for another protocol than WebSocket."""
    wanted = [value.lower() for name, value in headers if name.lower() == "upgrade"]
    settings = any(name.lower() == "http2-settings" for name, _ in headers)
    return settings or any(value != "websocket" for value in wanted)


class Smuggling(HttpOnly):
    """Requests that two servers may read differently."""

    name = "smuggling"
    title = "request smuggling"
    why = "what the balancer takes for one request and the node for two lets a client answer for somebody else"
    seconds = 90

    async def play(self, stage: Stage) -> Figures:
        """Send every probe on a connection of its own, and read what the nodes heard as strictly as one can."""
        mark = uuid4().hex[:12]
        every = list(probes(stage.lab.host, mark))
        async with ears(stage, mark.encode()) as listening:
            stage.say(f"{len(every)} requests that can be read in more than one way")
            answers = await _converse_all(target(stage), [probe.data for probe in every])
            await stage.settled()
            readings = [_reading(listening, probe) for probe in every]
        pairs = [(probe, one) for probe, one in zip(every, readings, strict=True) if one.doubt]
        doubts = [f"{probe.name}: {one.doubt}" for probe, one in pairs if probe.name not in FORBIDDEN_FORM]
        forms = [probe.name for probe, _ in pairs if probe.name in FORBIDDEN_FORM]
        triples = zip(every, readings, answers, strict=True)
        hidden = [probe.name for probe, one, answer in triples if one.requests > answer.count]
        clear = [(probe, one) for probe, one in zip(every, readings, strict=True) if probe.clear]
        refused = [probe.name for probe, one in clear if one.requests != 1]
        yield figure("dubious", len(doubts), of=len(every), note=_first(doubts))
        yield figure("malformed", len(forms), of=len(FORBIDDEN_FORM), note=_first(forms))
        yield figure("hidden", len(hidden), of=len(every), note=_first(hidden))
        yield figure("refused_clear", len(refused), of=len(clear), note=_first(refused))
        yield figure("refused", sum(400 <= answer.status < 500 for answer in answers), of=len(every))


def _reading(listening: list[Ear], probe: Probe) -> Reading:
    """What all nodes together heard of a probe."""
    readings = [read(stream) for stream in heard(listening, probe.mark)]
    doubt = next((one.doubt for one in readings if one.doubt), "")
    return Reading(sum(one.requests for one in readings), doubt)


async def _converse_all(to: Target, requests: Sequence[bytes]) -> list[Heard]:
    """Send requests, AT_ONCE at a time, each on a connection of its own."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(data: bytes) -> Heard:
        async with gate:
            return await converse(to, data, ANSWER_SECONDS, quiet=QUIET_SECONDS)

    return await asyncio.gather(*(one(data) for data in requests))


def _first(texts: Sequence[str]) -> str:
    return f"the first one: {texts[0]}" if texts else ""


class OversizedHeaders(HttpOnly):
    """Heads that no honest client sends, and the largest that honest ones do."""

    name = "oversized-headers"
    title = "huge request heads"
    why = "they must be refused by an answer: a balancer that dies of them takes the farm with it"
    seconds = 60

    async def play(self, stage: Stage) -> Figures:
        """Huge lines and many lines must be refused, some kilobytes of cookies must not."""
        mark = uuid4().hex[:12]
        host = stage.lab.host
        huge = {
            "a header of 64 KB": head("GET", f"/{mark}-huge", host, ["X-Huge: " + "x" * 65536]),
            "100 headers of 1 KB": head("GET", f"/{mark}-huge", host, [f"X-{n}: {'x' * 1000}" for n in range(100)]),
            "10000 headers": head("GET", f"/{mark}-huge", host, [f"X-{n}: x" for n in range(10_000)]),
            "a URL of 64 KB": head("GET", f"/{mark}-huge?{'x' * 65536}", host),
        }
        cookies = "; ".join(f"c{n}={'x' * 3900}" for n in range(3))
        honest = head("GET", f"/{mark}-honest", host, [f"Cookie: {cookies}"])
        async with ears(stage, mark.encode()) as listening:
            stage.say(f"{len(huge)} huge heads")
            answers = await _converse_all(target(stage), [*huge.values(), honest])
            await stage.settled()
            passed = len(heard(listening, f"{mark}-huge".encode()))
            through = len(heard(listening, f"{mark}-honest".encode()))
        bad = [
            f"{name}: {answer.status or 'no answer'}"
            for name, answer in zip(huge, answers, strict=False)
            if not 400 <= answer.status < 500
        ]
        yield figure("unrefused", len(bad), of=len(huge), note=_first(bad))
        yield figure("passed_on", passed, of=len(huge))
        yield figure("honest_refused", 1 - through, of=1, note="12 KB of cookies")


class Slowloris(HttpOnly):
    """Clients that send their requests letter by letter."""

    name = "slowloris"
    title = f"{SLOW_CLIENTS} clients that never finish their request"
    why = "each holds a place until its time is over: if there is no such time, one laptop stops the farm"
    seconds = 60

    async def play(self, stage: Stage) -> Figures:
        """Hold slow connections while others are served, and see when each is cut."""
        divisor = 1.0 if stage.real_time else SLOW_DIVISOR
        allowed = HEADER_TIME / 1000 / divisor
        seconds = allowed + SLOW_GRACE
        async with paced(stage, divisor, "slow clients") as note:
            stage.say(f"{SLOW_CLIENTS} clients send a byte each {SLOW_BYTE_SECONDS:g} s, {allowed:g} s are allowed")
            to = target(stage)
            slow = [asyncio.create_task(_dribble(to, seconds)) for _ in range(SLOW_CLIENTS)]
            await asyncio.sleep(SLOW_HEAD_START)
            # Newcomers, each with a connection of its own: those who are in already would not notice.
            result = await stage.load(rate=50.0, seconds=seconds, clients=20, warm_up=False, keep_alive=False)
            lives = await asyncio.gather(*slow)
        held = [life for life in lives if life is None]
        cut = [life for life in lives if life is not None]
        yield figure("others_failed", result.failed, of=result.total, note=note)
        yield figure("others_slow", result.slow(), of=result.total, note=note)
        yield figure("held", len(held), of=len(lives), note=note)
        yield figure("longest", max(cut, default=seconds), note=f"of {allowed:g} s; {note}")


async def _dribble(to: Target, seconds: float) -> float | None:
    """Send a head that never ends; after how long the balancer ended it, None if it did not within `seconds`."""
    began = perf_counter()
    try:
        reader, writer = await dial(to)
    except (OSError, TimeoutError):
        return perf_counter() - began
    feeding = asyncio.create_task(_feed(writer, to.host))
    try:
        async with asyncio.timeout(seconds):
            with suppress(*Lost):
                while await reader.read(1024):
                    pass
            return perf_counter() - began
    except TimeoutError:
        return None
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await hang_up(writer)


async def _feed(writer: asyncio.StreamWriter, host: str) -> None:
    with suppress(*Lost):
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nX-Slow: ".encode())
        while True:
            await writer.drain()
            await asyncio.sleep(SLOW_BYTE_SECONDS)
            writer.write(b"x")


SCENARIOS: Final = (ForgedHeaders(), H2c(), Smuggling(), OversizedHeaders(), Slowloris())
