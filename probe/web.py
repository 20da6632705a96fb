"""What a machine answers over HTTP: health, the redirect of port 80, HSTS, the affinity cookie."""

import time
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from ..core.wording import shown
from ..generators.design import COOKIE, Design
from ..generators.tls import HSTS_SECONDS
from ..net.http1 import AnswerError, Reply
from .device import Device

REDIRECTS: Final = frozenset({301, 302, 307, 308})
_QUESTION: Final = "/?nlbgen-probe"


class Clock(NamedTuple):
    """By how many seconds a machine's clock is ahead of this one's: within these bounds.

    A Date header has whole seconds, and an answer takes its time: both widen the bounds.
    """

    least: float
    most: float

    @classmethod
    def of(cls, reply: Reply) -> "Clock | None":
        """What an answer's Date says; None where it has none."""
        try:
            date = parsedate_to_datetime(reply.header("date")).timestamp()
        except (TypeError, ValueError, IndexError):
            return None
        return cls(date - reply.received, date + 1 - reply.sent)

    def apart(self, other: "Clock") -> float:
        """By how many seconds the two clocks differ at least."""
        return max(0.0, self.least - other.most, other.least - self.most)

    @property
    def middle(self) -> float:
        """The likeliest value."""
        return (self.least + self.most) / 2


HERE: Final = Clock(0, 0)
"""This machine's own clock."""


async def health(device: Device, design: Design) -> Reply | None:
    """Ask the health endpoint as the balancer does, and report; the answer where it is as expected."""
    path, wanted = design.health_path, design.balancer.health
    what = f"GET {path}"
    expected = f"{wanted.expect} within {wanted.timeout}"
    begun = time.monotonic()
    try:
        reply = await device.ask(path)
    except AnswerError as error:
        device.say("health", what, expected, str(error))
        return None
    seconds = time.monotonic() - begun
    device.facts["health"] = f"health {reply.status} in {seconds * 1000:.0f} ms"
    if reply.status != wanted.expect:
        found, advice = _explained(reply, design)
        device.say("health", what, expected, found, advice=advice)
        return None
    if seconds > wanted.timeout / 1000:
        device.say("health-slow", what, expected, f"{reply.status} after {seconds:.1f} s")
    if b"degraded" in reply.answer.body[:200].lower():
        device.say("health-degraded", what, "Healthy", "Degraded")
    return reply


def _explained(reply: Reply, design: Design) -> tuple[str, str]:
    """What came instead of health, and what to do about it if that is special."""
    if reply.status in REDIRECTS:
        advice = ""
        if not design.farm.node_tls:
            advice = "with TLS ended at the balancer, switch IIS's rule Redirect HTTP to HTTPS off"
        return f"{reply.status} to {shown(reply.header('location'))}", advice
    if reply.status == 404:
        return "404", "check orchestrator.version: the health endpoint moved between versions"
    return str(reply.status), ""


def clock(device: Device, reply: Reply) -> Clock | None:
    """The machine's clock, and a fact about it."""
    found = Clock.of(reply)
    if found is not None:
        device.facts["clock"] = f"clock {round(found.middle):+d} s"
    return found


# The balancer alone


async def redirect(device: Device, design: Design) -> None:
    """Ask port 80 (the device's own) where it sends a client that comes by http."""
    wanted = design.public_url + _QUESTION
    what, expected = "GET / by http", f"a redirect to {design.public_url}"
    try:
        reply = await device.ask(_QUESTION)
    except AnswerError as error:
        device.say("redirect", what, expected, str(error))
        return
    location = reply.header("location")
    if reply.status not in REDIRECTS:
        device.say("redirect", what, expected, f"{reply.status}, no redirect")
    elif location not in {wanted, wanted.replace(design.public_url, f"https://{design.frontend.host}:443", 1)}:
        device.say("redirect", what, expected, f"{reply.status} to {shown(location)}")


async def no_redirect(device: Device, design: Design) -> None:
    """See that port 80 does not send clients to the farm, where the spec says that it should not."""
    try:
        reply = await device.ask(_QUESTION)
    except AnswerError:
        return  # nobody there, or something else that is none of the farm's
    location = reply.header("location")
    if reply.status in REDIRECTS and location.startswith(f"https://{design.frontend.host}"):
        device.say("redirect", "GET / by http", "no redirect", f"{reply.status} to {shown(location)}")


def hsts(device: Device, design: Design, reply: Reply) -> None:
    """Compare the answer's Strict-Transport-Security with the spec."""
    header = reply.header("strict-transport-security")
    what = "Strict-Transport-Security"
    if not design.frontend.tls.hsts:
        if header:
            device.say("hsts", what, "no such header", shown(header))
        return
    words = dict(word.strip().lower().partition("=")[::2] for word in header.split(";"))
    age = words.get("max-age", "").strip('"')
    if not age.isdecimal() or int(age) < HSTS_SECONDS:
        device.say("hsts", what, f"max-age={HSTS_SECONDS}", shown(header) if header else "no such header")


def affinity_cookie(device: Device, design: Design, reply: Reply, *, live: bool) -> None:
    """Compare the affinity cookie of an answer with the spec; `live` if the path is one of SignalR's."""
    pool = design.signalr if live else design.web
    what = f"cookie {COOKIE} on {'SignalR paths' if live else 'pages'}"
    found = reply.cookies().get(COOKIE)
    if pool.affinity != "cookie":
        if found is not None:
            device.say("affinity-cookie", what, f"no cookie: affinity is {pool.affinity} here", "a cookie")
        return
    if found is None:
        device.say("affinity-cookie", what, "a cookie", "no cookie")
        return
    _value, *attributes = (part.strip().lower() for part in found.split(";"))
    wanted = ("httponly", *["secure"] * design.farm.balancer_tls)
    missing = [name for name in wanted if name not in attributes]
    site = next((name.partition("=")[2].strip() for name in attributes if name.startswith("samesite")), "")
    if site == "none":
        missing.append("samesite=lax")
    if missing:
        device.say("cookie-attributes", what, ", ".join((*wanted, "samesite=lax")), f"lacks {', '.join(missing)}")
    if not site:
        device.say("cookie-samesite", what, "SameSite=Lax", "no SameSite")
