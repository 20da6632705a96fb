"""Correctness: POSTs that run once, bodies up to the limit, redirects, HSTS and cookies."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import uuid4

from ...generators.design import COOKIE
from ...generators.relocation import LOOPBACK
from ...generators.tls import HSTS_SECONDS
from ...net.http1 import parse_response
from ...spec.model import Farm
from ...spec.units import Size
from ..clients.raw import Lost, RawAnswer, converse, dial, hang_up, head
from ..clients.simple import Fetched, fetch
from ..lab.lab import live_path
from ..lab.time_scale import changed_farm, restarted, scaled_timeouts
from .base import HttpOnly, Metrics, Scenario, TestBench, first_of, metric

WORK_MS: Final = 300
"""How long a node takes to answer a POST."""
HANG_REQUEST_SECONDS: Final = 3.0
"""The scaled `timeouts.request` while a node hangs."""
LARGEST_BODY: Final = 512 * 1024**2
"""Larger limits are replaced by SMALLER_BODY."""
SMALLER_BODY: Final = Size(64 * 1024**2)
PART: Final = b"x" * (256 * 1024)
UPLOAD_SECONDS: Final = 60.0
REFUSAL_SECONDS: Final = 5.0
USERS, SIGNED_IN_REQUESTS = 8, 8
REPEATED: Final = ("POST", "PUT", "DELETE")
"""Methods that a client must repeat after a redirect."""
APPLICATION_COOKIES: Final = ("ASP.NET_SessionId", "__RequestVerificationToken")


class Posts(Scenario):
    """POSTs in flight: the balancer must not send them to a second node."""

    name = "posts"
    title = "POSTs in flight on a node that crashes, and on one that hangs"
    why = "a job that is started twice runs twice: two invoices, two payments"
    seconds = 90

    async def run(self, bench: TestBench) -> Metrics:
        """Run a load of slow POSTs: kill a node and restart it, then freeze a node and resume it."""
        victim = bench.serving[0]
        work = {"post_share": 1.0, "post_delay_ms": WORK_MS, "rate": 100.0}
        bench.log(f"100 POSTs/s, each takes {WORK_MS} ms")
        killed = await bench.load(
            [(1.5, f"{victim.name} is killed", victim.kill), (3.0, f"{victim.name} starts again", victim.restart)],
            seconds=4.0,
            **work,
        )
        await restarted(bench)  # the balancer forgets the failure of the victim
        request = bench.farm.balancer.timeouts.request / 1000
        async with scaled_timeouts(bench, request / HANG_REQUEST_SECONDS, "a node that hangs") as note:
            frozen = await bench.load(
                [(1.0, f"{victim.name} hangs", victim.freeze), (5.0, f"{victim.name} resumes", victim.thaw)],
                seconds=5.5,
                timeout=10.0,
                **work,
            )
            await asyncio.sleep(WORK_MS / 1000)  # the node now processes what it received while it hung
            posts = await bench.call(bench.posts)
        runs = (killed, frozen)
        total = killed.total + frozen.total
        yield metric("doubled", sum(len(run.duplicates(*posts)) for run in runs), of=total, note=note)
        yield metric("lost", sum(len(run.lost(*posts)) for run in runs), of=total, note=note)
        yield metric("in_hand", killed.failed, of=killed.total, note=f"{victim.name} was killed")
        yield metric("in_hand_hung", frozen.failed + frozen.slow(), of=frozen.total, note=f"{victim.name} hung; {note}")


class Body(HttpOnly):
    """A body of exactly the allowed size."""

    name = "body"
    title = "an upload of the allowed size, and one that is one byte larger"
    why = "if the limit is too low, packages are refused; without a limit, uploads fill the balancer's disk"
    seconds = 150
    changes_farm = f"it uploads balancer.max_body of the spec, or renders it as {SMALLER_BODY}"

    async def run(self, bench: TestBench) -> Metrics:
        """Upload a body of the allowed size; then announce one byte more."""
        async with _limit(bench) as (limit, note):
            mark = uuid4().hex
            bench.log(f"an upload of {limit}, and one that is one byte larger")
            allowed = await converse(
                bench.target(), _upload(bench, f"/prove-{mark}-allowed", limit), UPLOAD_SECONDS, once=True
            )
            announced = head("POST", f"/prove-{mark}-over", bench.lab.host, [f"Content-Length: {limit + 1:d}"])
            over = await converse(bench.target(), announced + PART, REFUSAL_SECONDS, once=True)
            arrived = [await bench.call(node.control.requests, f"/prove-{mark}-over") for node in bench.nodes]
        yield metric(
            "refused", int(allowed.status != 200), of=1, note=f"{limit}: {allowed.status or 'no response'}; {note}"
        )
        yield metric("shortened", int(_bytes(allowed) != limit), of=1, note=f"{_bytes(allowed)} bytes arrived")
        yield metric("accepted_over", int(over.status != 413), of=1, note=f"{over.status or 'no response'}")
        yield metric("arrived_over", sum(map(len, arrived)), of=1)
        yield metric("upload", allowed.seconds, note=str(limit))


@asynccontextmanager
async def _limit(bench: TestBench) -> AsyncIterator[tuple[Size, str]]:
    """Yield the farm's limit if an upload takes less than a minute, otherwise a smaller one; and a note."""
    limit = bench.farm.balancer.max_body
    if limit <= LARGEST_BODY:
        yield limit, "the limit of the spec"
        return
    note = f"with a limit of {SMALLER_BODY} instead of {limit}"
    bench.log(note)
    async with changed_farm(bench, bench.farm.replace(balancer=bench.farm.balancer.replace(max_body=SMALLER_BODY))):
        yield SMALLER_BODY, note


async def _upload(bench: TestBench, path: str, size: int) -> AsyncIterator[bytes]:
    yield head("POST", path, bench.lab.host, [f"Content-Length: {size:d}"])
    for _ in range(size // len(PART)):
        yield PART
    yield PART[: size % len(PART)]


def _bytes(answer: RawAnswer) -> int:
    """Return the bytes of the body that the node counted; 0 without a count."""
    try:
        return int(json.loads(answer.body)["bytes"])
    except (ValueError, KeyError, TypeError):
        return 0


class Browsers(Scenario):
    """Redirects, HSTS and cookies."""

    name = "browsers"
    title = "redirect to https, HSTS, cookies' attributes"
    why = "a wrong redirect or cookie makes a browser send passwords in clear text, or move to another node"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Request pages by HTTP and HTTPS, errors and SignalR paths, and check the headers of the responses."""
        bench.log("requests by HTTP, then by HTTPS")
        redirects = [await _by_http(bench, path, host) for path, host in _http_requests(bench)]
        wrong = [text for text in redirects if text]
        pages = _pages(bench)
        answers = [await bench.fetch(path) for path, _ in pages]
        wrong_hsts = [answer for answer in answers if answer.header("Strict-Transport-Security") != _hsts(bench.farm)]
        pairs = zip(answers, pages, strict=True)
        weak = [text for answer, (_, live) in pairs for text in _faults(bench.farm, answer, live)]
        yield metric("bad_redirects", len(wrong), of=len(redirects), note=first_of(wrong))
        changed = await _changed_methods(bench)
        yield metric("changed_methods", len(changed), of=len(REPEATED), note=first_of(changed))
        yield metric("wrong_hsts", len(wrong_hsts), of=len(answers), note=f"expected: {_hsts(bench.farm) or 'none'}")
        yield metric("weak_cookies", len(weak), of=len(answers), note=first_of(weak))
        yield metric("changed_cookies", await _changed_cookies(bench), of=len(APPLICATION_COOKIES))
        yield metric("changed_locations", await _changed_locations(bench), of=1)


def _http_requests(bench: TestBench) -> list[tuple[str, str]]:
    """Return paths and host names of requests by HTTP, if the farm redirects them."""
    if not bench.farm.frontend.redirect_http:
        return []
    host = bench.lab.host
    return [("/", host), ("/odata/Jobs?$top=1", host), ("//evil.example/", host), ("/x", "evil.example")]


async def _changed_methods(bench: TestBench) -> list[str]:
    """Return the methods that a redirect by HTTP lets a client change to GET."""
    if not bench.farm.frontend.redirect_http:
        return []
    url = f"http://{bench.lab.host}:{bench.lab.http_port}/api/upload"
    answers = {method: await bench.call(partial(fetch, url, method=method, body=b"x")) for method in REPEATED}
    return [f"{method}: {answer.status}" for method, answer in answers.items() if answer.status not in {307, 308}]


async def _by_http(bench: TestBench, path: str, host: str) -> str:
    """Return the error in the response on the HTTP port; empty without one."""
    url = f"http://{bench.lab.host}:{bench.lab.http_port}{path}"
    try:
        answer = await bench.call(lambda: fetch(url, headers={"Host": host}))
    except (OSError, RuntimeError, ValueError) as fault:
        return f"{path}: {type(fault).__name__}"
    if answer.status in {400, 421} and host != bench.lab.host:
        return ""  # a refusal of an unknown name is as good as a redirect
    wanted = f"{bench.lab.url}{path}"
    if answer.status not in {301, 302, 307, 308} or answer.header("Location") != wanted:
        return f"{path} as {host}: {answer.status} {answer.header('Location')} instead of {wanted}"
    return ""


def _pages(bench: TestBench) -> list[tuple[str, bool]]:
    """Return paths of a page, errors and SignalR (True): each response may carry cookies and HSTS."""
    plain = ("/prove", "/prove?status=500", "/prove?status=404")
    return [*((path, False) for path in plain), *((live_path(bench.farm, f"prove{n}"), True) for n in range(2))]


def _hsts(farm: Farm) -> str:
    """Return the expected HSTS header; empty if the balancer does not terminate TLS or the spec turns HSTS off."""
    return f"max-age={HSTS_SECONDS}" if farm.frontend.tls.hsts and farm.balancer_tls else ""


def _faults(farm: Farm, answer: Fetched, live: bool) -> list[str]:
    """Return the errors in the affinity cookie of a response, also a missing or an unexpected cookie."""
    affinity = farm.affinity
    given = [value for name, value in answer.headers if name.lower() == "set-cookie" and value.startswith(f"{COOKIE}=")]
    if affinity != "cookie" and not (affinity == "signalr" and live):
        return [f"{value}, but the farm has no affinity there" for value in given]
    if len(given) != 1:
        return [f"{len(given)} affinity cookies in one response"]
    value, *rest = given[0].split(";")
    wanted = {"path=/", "httponly", "samesite=lax", *(["secure"] if farm.balancer_tls else [])}
    missing = sorted(wanted - {part.strip().lower() for part in rest})
    telling = [node.name for node in farm.nodes if node.name in value or node.address in value]
    return [f"{given[0]}: without {', '.join(missing)}"] * bool(missing) + [f"{value} names {telling}"] * bool(telling)


async def _changed_cookies(bench: TestBench) -> int:
    """Return how many cookies of the application the balancer changed."""
    changed = 0
    for name in APPLICATION_COOKIES:
        answer = await bench.fetch(f"/prove?cookie={name}")
        given = [value for key, value in answer.headers if key.lower() == "set-cookie"]
        changed += f"{name}=1; path=/; HttpOnly" not in given
    return changed


async def _changed_locations(bench: TestBench) -> int:
    """Return 1 if the balancer changed a redirect of the application, otherwise 0."""
    elsewhere = "http://login.example:8080/oauth?back=/"
    answer = await bench.fetch("/redirect?to=http%3A%2F%2Flogin.example%3A8080%2Foauth%3Fback%3D%2F")
    return int(answer.header("Location") != elsewhere)


class WindowsSignIn(Scenario):
    """NTLM, which authenticates a connection."""

    name = "windows-sign-in"
    title = "Windows sign-in (NTLM)"
    why = "a user is asked for a password again and again, or works in the session of another user"
    seconds = 60

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms whose users sign in otherwise."""
        del vendor
        return "" if farm.frontend.windows_sign_in else "frontend.windows_sign_in is false"

    async def run(self, bench: TestBench) -> Metrics:
        """Sign several users in, each on its own connection; then send their requests at the same time."""
        bench.log(f"{USERS} users sign in, and send {SIGNED_IN_REQUESTS} requests each")
        sessions = await asyncio.gather(*(_signed_in(bench, f"user-{number}") for number in range(USERS)))
        answers = [answer for session in sessions for answer in session]
        refused = [f"{user}: {status}" for user, status, _ in answers if status != 200]
        mixed = [f"{user} as {seen}" for user, status, seen in answers if status == 200 and seen != user]
        yield metric("refused", len(refused), of=len(answers), note=first_of(refused))
        yield metric("mixed", len(mixed), of=len(answers), note=first_of(mixed))
        yield metric("offers_http2", int(await _offers_http2(bench)), of=1)


async def _signed_in(bench: TestBench, user: str) -> list[tuple[str, int, str]]:
    """Sign a user in on one connection; return user, status and seen user of each later request."""
    to = bench.target()
    try:
        reader, writer = await dial(to)
    except (OSError, TimeoutError):
        return [(user, 0, "")] * SIGNED_IN_REQUESTS
    try:
        for step in ("negotiate", user):
            await _ask(reader, writer, to.host, [f"Authorization: NTLM {step}"])
        return [(user, *await _ask(reader, writer, to.host, [])) for _ in range(SIGNED_IN_REQUESTS)]
    except (*Lost, TimeoutError, ValueError):
        return [(user, 0, "")] * SIGNED_IN_REQUESTS
    finally:
        await hang_up(writer)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, lines: list[str]
) -> tuple[int, str]:
    """Send a request on an open connection; return the status and the body of its response."""
    writer.write(head("GET", "/windows-sign-in", host, lines))
    received = bytearray()
    async with asyncio.timeout(REFUSAL_SECONDS):
        while (answer := parse_response(received, head_only=False, ended=False)) is None:
            if not (part := await reader.read(65536)):
                raise EOFError
            received += part
    return answer.status, answer.body.decode()


async def _offers_http2(bench: TestBench) -> bool:
    """Whether the balancer chooses HTTP/2 for a client that offers it."""
    lab = bench.lab
    context = ssl.create_default_context(cafile=str(lab.certificates.ca))
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(LOOPBACK, lab.port, ssl=context, server_hostname=lab.host)
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    await hang_up(writer)
    return bool(chosen == "h2")


SCENARIOS: Final = (Posts(), Body(), Browsers(), WindowsSignIn())
