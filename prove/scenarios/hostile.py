"""Hostile clients: forged headers, other protocols, smuggled requests, oversized heads, slow requests."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final
from uuid import uuid4

from ...generators.design import HEADER_TIME
from ...generators.headers import FORGED_NAMES, KNOWN_FORGED, SET_BY_BALANCER
from ...net.client import Target
from ...spec.model import Farm
from ..clients.raw import Lost, RawAnswer, converse, dial, hang_up, head
from ..clients.simple import Fetched
from ..clients.smuggling import FORBIDDEN_FORM, Probe, probes
from ..lab.lab import live_path
from ..lab.recording import RecordingServer, recorded, recording_servers
from ..lab.request_parser import Parsed, parse_strictly
from ..lab.time_scale import scaled_timeouts
from .base import HttpOnly, Metrics, TestBench, first_of, metric

FORGED: Final = "6.6.6.6"
PLANTED: Final = (
    *("{},evil.example", "evil.example,{}", "{}:1,evil.example", "{}:443@evil.example", "evil.example@{}"),
    *("{}:443:444", "{}:443/evil", "{}:443#evil", "{}:443;evil", "{}:443 evil", "{}:port", "{}:", "{}."),
)
"""Host headers that begin or end as the farm's name does; {} stands for it."""
TICKET: Final = 64_000
"""The characters of the largest Kerberos ticket that Windows makes by default. Farms with Windows sign-in get it."""
SMALL_TICKET: Final = 16_000
CHUNKS, CHUNK_BYTES = 5, 3500
"""The cookies that a large sign-in sets, and the size of each; a client may send one more."""
ANSWER_SECONDS: Final = 3.0
"""How long a probe waits for its response."""
QUIET_SECONDS: Final = 1.0
"""How long a probe waits for a second response after the first."""
AT_ONCE: Final = 8
LOG_SECONDS: Final = 2.0
"""NGINX writes its access log once a second."""
UPGRADE: Final = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
SLOW_CLIENTS: Final = 100
SLOW_DIVISOR: Final = 4.0
SLOW_BYTE_SECONDS: Final = 0.25
SLOW_HEAD_START: Final = 0.5
SLOW_GRACE: Final = 2.0
"""How long after its timeout a slow client may be disconnected."""


class ForgedHeaders(HttpOnly):
    """Forwarded headers, which ASP.NET and IIS modules trust, sent by the client."""

    name = "forged-headers"
    title = "forged X-Forwarded-For, Host and similar headers"
    why = "with forged headers, a client appears as another machine in the audit log, redirects and address filters"
    seconds = 30

    async def run(self, bench: TestBench) -> Metrics:
        """Send every forbidden header to both pools, once and twice, and in the hop-by-hop list."""
        names = [*FORGED_NAMES, *KNOWN_FORGED, *SET_BY_BALANCER]
        forged = [(name, _forgery(name)) for name in names]
        attempts: list[list[tuple[str, str]]] = [
            forged,
            [*forged, *forged],
            [(name.lower(), value) for name, value in forged],
            [(name.replace("-", "_"), value) for name, value in forged if "-" in name],
            [("Connection", ", ".join(("keep-alive", *names)))],
        ]
        paths = ("/prove-headers", live_path(bench.farm, "prove-headers"))
        bench.log(f"{len(attempts) * len(paths)} requests with {len(names)} forged headers each")
        answers = [await bench.fetch(path, headers=attempt) for attempt in attempts for path in paths]
        arrived = sum(_carries_forgery(answer) for answer in answers)
        wrong = [text for answer in answers for text in _wrong_headers(bench, answer)]
        yield metric("arrived", arrived, of=len(answers))
        yield metric("untrue", len(wrong), of=4 * len(answers), note=wrong[0] if wrong else "")
        mark = uuid4().hex
        hosts = [form.format(bench.lab.host) for form in PLANTED]
        bench.log(f"{len(hosts)} requests with host names that resemble the farm's")
        requests = [head("GET", f"/prove-{mark}", host, ["Connection: close"]) for host in hosts]
        refused = [400 <= one.status < 500 for one in await _converse_all(bench.target(), requests)]
        planted = [host for host, fine in zip(hosts, refused, strict=True) if not fine]
        yield metric("planted", len(planted), of=len(hosts), note=first_of(planted))


def _forgery(name: str) -> str:
    return {"X-Forwarded-Port": "666", "X-Forwarded-Proto": "forged"}.get(name, f"for={FORGED}")


def _seen(answer: Fetched) -> list[tuple[str, str]]:
    """Return the headers that the node received; none if the request did not reach it."""
    if answer.status != 200:
        return []
    return [(name.lower(), value) for name, value in answer.json()["headers"]]


def _carries_forgery(answer: Fetched) -> bool:
    """Whether a forged value arrived in any header."""
    return any(FORGED in value or value in {"666", "forged"} for _, value in _seen(answer))


def _wrong_headers(bench: TestBench, answer: Fetched) -> list[str]:
    """Return the headers about the client that are wrong or missing on the node."""
    lab = bench.lab
    scheme = lab.url.partition(":")[0]
    expected = {
        "x-forwarded-for": ("127.0.0.1",),
        "x-forwarded-proto": (scheme,),
        "x-forwarded-host": (lab.authority,),
        "x-forwarded-port": lab.client_ports,
    }
    seen = _seen(answer)
    found = {name: [value for key, value in seen if key == name] for name in expected}
    return [
        f"{name}: {found[name]} instead of {' or '.join(values)}"
        for name, values in expected.items()
        if found[name] not in [[value] for value in values]
    ]


class H2c(HttpOnly):
    """Upgrades to HTTP/2 over clear text, which would tunnel past every rule of the balancer."""

    name = "h2c"
    title = "upgrades to other protocols than WebSocket"
    why = "inside an h2c tunnel, the balancer checks no headers and refuses no paths"
    seconds = 30

    async def run(self, bench: TestBench) -> Metrics:
        """Request h2c alone, together with websocket, and other protocols, on both pools."""
        settings = ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
        requests: Sequence[list[tuple[str, str]]] = (
            [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), settings],
            [("Connection", "Upgrade"), ("Upgrade", "h2c"), settings],
            [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
            [("Connection", "Upgrade"), ("Upgrade", "h2c, websocket")],
            [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c")],
            [("Connection", "Upgrade"), ("Upgrade", "TLS/1.2")],
        )
        mark = uuid4().hex
        paths = (f"/prove-{mark}", live_path(bench.farm, f"prove-{mark}"))
        bench.log(f"{len(requests) * len(paths)} requests to switch the protocol")
        answers = [await bench.fetch(path, headers=headers) for headers in requests for path in paths]
        seen = [one for node in bench.nodes for one in await bench.call(node.control.requests) if mark in one["target"]]
        yield metric("switched", sum(answer.status == 101 for answer in answers), of=len(answers))
        yield metric("arrived", sum(_requests_other_protocol(one["headers"]) for one in seen), of=len(answers))


def _requests_other_protocol(headers: list[list[str]]) -> bool:
    """Whether a request asks for another protocol than WebSocket."""
    wanted = [value.lower() for name, value in headers if name.lower() == "upgrade"]
    settings = any(name.lower() == "http2-settings" for name, _ in headers)
    return settings or any(value != "websocket" for value in wanted)


class Smuggling(HttpOnly):
    """Requests that two servers may parse differently."""

    name = "smuggling"
    title = "request smuggling"
    why = "if the balancer sees one request and the node two, a client can insert a request for another user"
    seconds = 90

    async def run(self, bench: TestBench) -> Metrics:
        """Send every probe on a new connection, and parse strictly what the nodes received."""
        mark = uuid4().hex[:12]
        every = list(probes(bench.lab.host, mark))
        async with recording_servers(bench, mark.encode()) as recorders:
            bench.log(f"{len(every)} requests that can be parsed in more than one way")
            answers = await _converse_all(bench.target(), [probe.data for probe in every])
            await bench.settled()
            parsed = [_parsed(recorders, probe) for probe in every]
        pairs = [(probe, one) for probe, one in zip(every, parsed, strict=True) if one.ambiguity]
        ambiguous = [f"{probe.name}: {one.ambiguity}" for probe, one in pairs if probe.name not in FORBIDDEN_FORM]
        forms = [probe.name for probe, _ in pairs if probe.name in FORBIDDEN_FORM]
        triples = zip(every, parsed, answers, strict=True)
        hidden = [probe.name for probe, one, answer in triples if one.requests > answer.count]
        valid = [(probe, one) for probe, one in zip(every, parsed, strict=True) if probe.valid]
        refused = [probe.name for probe, one in valid if one.requests != 1]
        yield metric("dubious", len(ambiguous), of=len(every), note=first_of(ambiguous))
        yield metric("malformed", len(forms), of=len(FORBIDDEN_FORM), note=first_of(forms))
        yield metric("hidden", len(hidden), of=len(every), note=first_of(hidden))
        yield metric("refused_clear", len(refused), of=len(valid), note=first_of(refused))
        yield metric("refused", sum(400 <= answer.status < 500 for answer in answers), of=len(every))


def _parsed(recorders: list[RecordingServer], probe: Probe) -> Parsed:
    """Parse everything that the nodes received of a probe."""
    parsed = [parse_strictly(stream) for stream in recorded(recorders, probe.mark)]
    ambiguity = next((one.ambiguity for one in parsed if one.ambiguity), "")
    return Parsed(sum(one.requests for one in parsed), ambiguity)


async def _converse_all(to: Target, requests: Sequence[bytes]) -> list[RawAnswer]:
    """Send requests, AT_ONCE at a time, each on a new connection."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(data: bytes) -> RawAnswer:
        async with gate:
            return await converse(to, data, ANSWER_SECONDS, quiet=QUIET_SECONDS)

    return await asyncio.gather(*(one(data) for data in requests))


class OversizedHeaders(HttpOnly):
    """Oversized request heads, and the largest valid ones."""

    name = "oversized-headers"
    title = "requests with an oversized URL or oversized headers"
    why = "the balancer must refuse them with a response: if it crashes, the farm is down"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Send heads with huge lines and many lines, and valid large heads; then request a large response head."""
        mark = uuid4().hex[:12]
        host = bench.lab.host
        huge = {
            "a header of 128 KB": head("GET", f"/{mark}-huge", host, ["X-Huge: " + "x" * 131072]),
            "400 headers of 1 KB": head("GET", f"/{mark}-huge", host, [f"X-{n}: {'x' * 1000}" for n in range(400)]),
            "10000 headers": head("GET", f"/{mark}-huge", host, [f"X-{n}: x" for n in range(10_000)]),
            "a URL of 128 KB": head("GET", f"/{mark}-huge?{'x' * 131072}", host),
        }
        valid = {
            name: head("GET", f"/{mark}-valid-{number}", host, lines)
            for number, (name, lines) in enumerate(_valid_heads(bench.farm), 1)
        }
        answer = await bench.fetch(f"/prove?cookie_chunks={CHUNKS}&bytes={CHUNK_BYTES}")
        chunks = sum(len(value) > CHUNK_BYTES for name, value in answer.headers if name.lower() == "set-cookie")
        async with recording_servers(bench, mark.encode()) as recorders:
            bench.log(f"{len(huge)} oversized requests")
            answers = await _converse_all(bench.target(), [*huge.values(), *valid.values()])
            await bench.settled()
            passed = len(recorded(recorders, f"{mark}-huge".encode()))
            wanted = {name: f"{mark}-valid-{number}" for number, name in enumerate(valid, 1)}
            refused = [name for name, path in wanted.items() if not recorded(recorders, path.encode())]
        bad = [
            f"{name}: {answer.status or 'no response'}"
            for name, answer in zip(huge, answers, strict=False)
            if not 400 <= answer.status < 500
        ]
        yield metric("unrefused", len(bad), of=len(huge), note=first_of(bad))
        yield metric("passed_on", passed, of=len(huge))
        yield metric("honest_refused", len(refused), of=len(valid), note=first_of(refused))
        yield metric("cookies_lost", CHUNKS - chunks, of=CHUNKS, note=f"{answer.status}, {CHUNK_BYTES} bytes each")


def _valid_heads(farm: Farm) -> Iterator[tuple[str, list[str]]]:
    """Yield the largest heads that the farm must accept: what they are, and their lines."""
    yield f"{CHUNKS + 1} headers of {CHUNK_BYTES} bytes", [f"X-{n}: {'x' * CHUNK_BYTES}" for n in range(CHUNKS + 1)]
    tickets = (SMALL_TICKET, TICKET) if farm.frontend.windows_sign_in else (SMALL_TICKET,)
    for size in tickets:
        yield f"a Kerberos ticket of {size} characters", [f"Authorization: Negotiate {'x' * size}"]


class Slowloris(HttpOnly):
    """Clients that send their requests byte by byte."""

    name = "slowloris"
    title = f"{SLOW_CLIENTS} clients that never finish their request"
    why = "each slow client occupies a connection until the timeout; without a timeout, one laptop stops the farm"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Hold slow connections during a load, and measure when each is closed."""
        divisor = 1.0 if bench.real_time else SLOW_DIVISOR
        allowed = HEADER_TIME / 1000 / divisor
        seconds = allowed + SLOW_GRACE
        async with scaled_timeouts(bench, divisor, "slow clients") as note:
            bench.log(f"{SLOW_CLIENTS} clients send a byte every {SLOW_BYTE_SECONDS:g} s, the timeout is {allowed:g} s")
            to = bench.target()
            slow = [asyncio.create_task(_dribble(to, seconds)) for _ in range(SLOW_CLIENTS)]
            await asyncio.sleep(SLOW_HEAD_START)
            # New connections for each request: clients that are connected already would not notice.
            result = await bench.load(rate=50.0, seconds=seconds, clients=20, warm_up=False, keep_alive=False)
            lives = await asyncio.gather(*slow)
        held = [life for life in lives if life is None]
        cut = [life for life in lives if life is not None]
        yield metric("others_failed", result.failed, of=result.total, note=note)
        yield metric("others_slow", result.slow(), of=result.total, note=note)
        yield metric("held", len(held), of=len(lives), note=note)
        yield metric("longest", max(cut, default=seconds), note=f"of {allowed:g} s; {note}")


async def _dribble(to: Target, seconds: float) -> float | None:
    """Send a head that never ends; return the seconds until the balancer closed it, None if not within `seconds`."""
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


class LoggedTokens(HttpOnly):
    """Access tokens in URLs, as browsers send them for SignalR."""

    name = "logged-tokens"
    title = "access tokens in URLs"
    why = "anyone who reads the balancer's log could act as a user whose token is in it"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Send tokens to both pools, by HTTP, and while the nodes are down; then search the logs."""
        mark, secret = uuid4().hex, f"secret{uuid4().hex}"
        connection = uuid4().hex[:22]
        query = f"{mark}=1&id={connection}&access_token={secret}&connectionToken={secret}%2B&x=1"
        paths = (f"/prove?{query}", live_path(bench.farm, f"prove?{query}"))
        bench.log("requests with tokens in their URLs")
        requests = [head("GET", path, bench.lab.host, ["Connection: close"]) for path in paths]
        requests.append(head("GET", paths[1], bench.lab.host, [*UPGRADE, "Connection: Upgrade"]))
        await _converse_all(bench.target(), requests)
        if bench.farm.frontend.redirect_http:
            by_http = Target.of(f"http://{bench.lab.host}:{bench.lab.http_port}")
            await _converse_all(by_http, requests)
        for node in bench.nodes:
            await bench.call(node.kill)
        await _converse_all(bench.target(), requests[1:])
        await asyncio.sleep(LOG_SECONDS)
        lines = [line for line in await bench.call(bench.lab.logged) if mark in line]
        shown = [line for line in lines if secret in line or connection in line]
        yield metric("lines", len(lines))
        yield metric("shown", len(shown), of=len(lines), note=first_of(shown).replace(secret, "..."))


SCENARIOS: Final = (ForgedHeaders(), H2c(), Smuggling(), OversizedHeaders(), Slowloris(), LoggedTokens())
