"""What must be right to the letter: work that is done once, bodies of the allowed size, what browsers are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from ...generators.design import COOKIE
from ...generators.tls import HSTS_SECONDS
from ...spec.model import Farm
from ...spec.units import Size
from ..clients.simple import Fetched, fetch
from ..lab.lab import live_path
from ..lab.raw import Heard, converse, head, target
from ..lab.time_scale import paced, rearranged, restarted
from .base import Figures, Scenario, Stage, figure
from .live import NO_HTTP

WORK_MS: Final = 300
"""How long a node works on a POST before it answers."""
HANG_REQUEST_SECONDS: Final = 3.0
"""What `timeouts.request` is divided down to while a node hangs."""
LARGEST_BODY: Final = 512 * 1024**2
"""Larger limits are rendered smaller for the play."""
SMALLER_BODY: Final = Size(64 * 1024**2)
PART: Final = b"x" * (256 * 1024)
UPLOAD_SECONDS: Final = 60.0
REFUSAL_SECONDS: Final = 5.0
APPLICATION_COOKIES: Final = ("ASP.NET_SessionId", "__RequestVerificationToken")


class Posts(Scenario):
    """Work that a node has begun must not be begun by another one."""

    name = "posts"
    title = "POSTs in hand of a node that dies, and of one that hangs"
    why = "a job that is started twice runs twice: two invoices, two payments"
    seconds = 90

    async def play(self, stage: Stage) -> Figures:
        """Every request is a POST that takes a while: kill a node under them, then freeze one and wake it up."""
        victim = stage.serving[0]
        work = {"post_share": 1.0, "post_delay_ms": WORK_MS, "rate": 100.0}
        stage.say(f"100 POSTs/s, each takes {WORK_MS} ms")
        killed = await stage.load(
            [(1.5, f"kill {victim.name}", victim.kill), (3.0, f"start {victim.name}", victim.restart)],
            seconds=4.0,
            **work,
        )
        await restarted(stage)  # it forgets that the victim failed
        request = stage.farm.balancer.timeouts.request / 1000
        async with paced(stage, request / HANG_REQUEST_SECONDS, "a node that hangs") as note:
            frozen = await stage.load(
                [(1.0, f"freeze {victim.name}", victim.freeze), (5.0, f"wake {victim.name}", victim.thaw)],
                seconds=5.5,
                timeout=10.0,
                **work,
            )
            await asyncio.sleep(WORK_MS / 1000)  # what the node got while it was frozen is worked off now
            posts = await stage.call(stage.posts)
        runs = (killed, frozen)
        total = killed.total + frozen.total
        yield figure("doubled", sum(len(run.duplicates(*posts)) for run in runs), of=total, note=note)
        yield figure("lost", sum(len(run.lost(*posts)) for run in runs), of=total, note=note)
        yield figure("in_hand", killed.failed, of=killed.total, note=f"{victim.name} died")
        yield figure("in_hand_hung", frozen.failed + frozen.slow(), of=frozen.total, note=f"{victim.name} hung; {note}")


class Body(Scenario):
    """The largest package, to the byte."""

    name = "body"
    title = "a body of the allowed size, and one byte more"
    why = "a limit that is too low refuses packages, and one that is missing fills the balancer's disk"
    seconds = 150

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Not with passthrough."""
        del vendor
        return NO_HTTP if farm.frontend.tls.mode == "passthrough" else ""

    async def play(self, stage: Stage) -> Figures:
        """Upload as much as is allowed; then announce one byte more."""
        async with _playable_limit(stage) as (limit, note):
            mark = uuid4().hex
            stage.say(f"an upload of {limit}, and one that is a byte larger")
            whole = await converse(
                target(stage), _upload(stage, f"/prove-{mark}-whole", limit), UPLOAD_SECONDS, once=True
            )
            announced = head("POST", f"/prove-{mark}-over", stage.lab.host, [f"Content-Length: {limit + 1:d}"])
            over = await converse(target(stage), announced + PART, REFUSAL_SECONDS, once=True)
            arrived = [await stage.call(node.control.requests, f"/prove-{mark}-over") for node in stage.nodes]
        yield figure("refused", int(whole.status != 200), of=1, note=f"{limit}: {whole.status or 'no answer'}; {note}")
        yield figure("shortened", int(_bytes(whole) != limit), of=1, note=f"{_bytes(whole)} bytes arrived")
        yield figure("accepted_over", int(over.status != 413), of=1, note=f"{over.status or 'no answer'}")
        yield figure("arrived_over", sum(map(len, arrived)), of=1)
        yield figure("upload", whole.seconds, note=str(limit))


@asynccontextmanager
async def _playable_limit(stage: Stage) -> AsyncIterator[tuple[Size, str]]:
    """The farm's limit where it can be played in a minute, else a smaller one; and a note."""
    limit = stage.farm.balancer.max_body
    if limit <= LARGEST_BODY:
        yield limit, "played as it is"
        return
    note = f"played with a limit of {SMALLER_BODY} instead of {limit}"
    stage.say(note)
    async with rearranged(stage, stage.farm.replace(balancer=stage.farm.balancer.replace(max_body=SMALLER_BODY))):
        yield SMALLER_BODY, note


async def _upload(stage: Stage, path: str, size: int) -> AsyncIterator[bytes]:
    yield head("POST", path, stage.lab.host, [f"Content-Length: {size:d}"])
    for _ in range(size // len(PART)):
        yield PART
    yield PART[: size % len(PART)]


def _bytes(answer: Heard) -> int:
    """How many bytes of the body the node counted; 0 where it does not say."""
    try:
        return int(json.loads(answer.body)["bytes"])
    except (ValueError, KeyError, TypeError):
        return 0


class Browsers(Scenario):
    """What browsers are told besides the page."""

    name = "browsers"
    title = "redirect to https, HSTS, cookies' attributes"
    why = "a browser that is told wrongly sends passwords in clear text, or leaves the node that knows it"
    seconds = 60

    async def play(self, stage: Stage) -> Figures:
        """Ask by http, ask for pages, errors and live connections, and read what comes with the answers."""
        stage.say("a browser comes by http, then by https")
        redirects = [await _by_http(stage, path, host) for path, host in _comings(stage)]
        wrong = [text for text in redirects if text]
        pages = _pages(stage)
        answers = [await stage.fetch(path) for path, _ in pages]
        silent = [answer for answer in answers if answer.header("Strict-Transport-Security") != _hsts(stage.farm)]
        pairs = zip(answers, pages, strict=True)
        weak = [text for answer, (_, live) in pairs for text in _faults(stage.farm, answer, live)]
        yield figure("bad_redirects", len(wrong), of=len(redirects), note=_first(wrong))
        yield figure("wrong_hsts", len(silent), of=len(answers), note=f"wanted: {_hsts(stage.farm) or 'none'}")
        yield figure("weak_cookies", len(weak), of=len(answers), note=_first(weak))
        yield figure("changed_cookies", await _changed_cookies(stage), of=len(APPLICATION_COOKIES))
        yield figure("changed_locations", await _changed_locations(stage), of=1)


def _comings(stage: Stage) -> list[tuple[str, str]]:
    """Paths and names that a client comes with by http, where the farm redirects."""
    if not stage.farm.frontend.redirect_http:
        return []
    host = stage.lab.host
    return [("/", host), ("/odata/Jobs?$top=1", host), ("//evil.example/", host), ("/x", "evil.example")]


async def _by_http(stage: Stage, path: str, host: str) -> str:
    """What is wrong with the answer on the port for http; empty where nothing is."""
    url = f"http://{stage.lab.host}:{stage.lab.http_port}{path}"
    try:
        answer = await stage.call(lambda: fetch(url, headers={"Host": host}))
    except (OSError, RuntimeError, ValueError) as fault:
        return f"{path}: {type(fault).__name__}"
    if answer.status in {400, 421} and host != stage.lab.host:
        return ""  # no redirect for a name that is not the farm's: that is as good
    wanted = f"{stage.lab.url}{path}"
    if answer.status not in {301, 302, 307, 308} or answer.header("Location") != wanted:
        return f"{path} as {host}: {answer.status} {answer.header('Location')} instead of {wanted}"
    return ""


def _pages(stage: Stage) -> list[tuple[str, bool]]:
    """A page, errors, live connections: cookies and HSTS may come with each. True for live connections."""
    plain = ("/prove", "/prove?status=500", "/prove?status=404")
    return [*((path, False) for path in plain), *((live_path(stage.farm, f"prove{n}"), True) for n in range(2))]


def _hsts(farm: Farm) -> str:
    """What browsers must be told: nothing where the nodes end TLS, or nobody does, or the spec says so."""
    return f"max-age={HSTS_SECONDS}" if farm.frontend.tls.hsts and farm.balancer_tls else ""


def _faults(farm: Farm, answer: Fetched, live: bool) -> list[str]:
    """What is wrong with the affinity cookie of an answer, the missing one or the one too many included."""
    affinity = farm.balancer.affinity
    given = [value for name, value in answer.headers if name.lower() == "set-cookie" and value.startswith(f"{COOKIE}=")]
    if affinity != "cookie" and not (affinity == "signalr" and live):
        return [f"{value}, and the farm has none there" for value in given]
    if len(given) != 1:
        return [f"{len(given)} affinity cookies in one answer"]
    value, *rest = given[0].split(";")
    wanted = {"path=/", "httponly", "samesite=lax", *(["secure"] if farm.balancer_tls else [])}
    missing = sorted(wanted - {part.strip().lower() for part in rest})
    telling = [node.name for node in farm.nodes if node.name in value or node.address in value]
    return [f"{given[0]}: without {', '.join(missing)}"] * bool(missing) + [f"{value} names {telling}"] * bool(telling)


async def _changed_cookies(stage: Stage) -> int:
    """How many cookies of the application did not arrive as the node wrote them."""
    changed = 0
    for name in APPLICATION_COOKIES:
        answer = await stage.fetch(f"/prove?cookie={name}")
        given = [value for key, value in answer.headers if key.lower() == "set-cookie"]
        changed += f"{name}=1; path=/; HttpOnly" not in given
    return changed


async def _changed_locations(stage: Stage) -> int:
    """Whether a redirect of the application itself was written anew: 1 if it was."""
    elsewhere = "http://login.example:8080/oauth?back=/"
    answer = await stage.fetch("/redirect?to=http%3A%2F%2Flogin.example%3A8080%2Foauth%3Fback%3D%2F")
    return int(answer.header("Location") != elsewhere)


def _first(texts: list[str]) -> str:
    return f"the first one: {texts[0]}" if texts else ""


SCENARIOS: Final = (Posts(), Body(), Browsers())
