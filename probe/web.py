"""Checks over HTTP: the redirect of port 80, HSTS, the affinity cookie, the clock."""

from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from ..core.wording import shown
from ..generators.design import COOKIE, Design
from ..generators.tls import HSTS_SECONDS
from ..net.request import ResponseError, TimedResponse
from .health import REDIRECTS
from .machine import Machine

_QUESTION: Final = "/?nlbgen-probe"


class Clock(NamedTuple):
    """By how many seconds a machine's clock is ahead of this computer's: at least and at most.

    A Date header has whole seconds, and a response takes time: both widen the bounds.
    """

    least: float
    most: float

    @classmethod
    def of(cls, response: TimedResponse) -> "Clock | None":
        """Return the clock by the Date header; None without a valid one."""
        try:
            date = parsedate_to_datetime(response.header("date")).timestamp()
        except (TypeError, ValueError, IndexError):
            return None
        return cls(date - response.received, date + 1 - response.sent)

    def difference(self, other: "Clock") -> float:
        """The least difference between two clocks, in seconds."""
        return max(0.0, self.least - other.most, other.least - self.most)

    @property
    def middle(self) -> float:
        """The middle of the bounds."""
        return (self.least + self.most) / 2


LOCAL: Final = Clock(0, 0)
"""The clock of this computer."""


def clock(machine: Machine, response: TimedResponse) -> Clock | None:
    """Return the machine's clock, and add it to the machine's facts."""
    found = Clock.of(response)
    if found is not None:
        machine.facts["clock"] = f"clock {round(found.middle):+d} s"
    return found


# Only the balancer


async def redirect(machine: Machine, design: Design) -> None:
    """Check that port 80 redirects to the farm's https address."""
    wanted = design.public_url + _QUESTION
    checked, expected = "GET / over http", f"a redirect to {design.public_url}"
    try:
        response = await machine.request(_QUESTION)
    except ResponseError as error:
        machine.report("redirect", checked, expected, str(error))
        return
    location = response.header("location")
    if response.status not in REDIRECTS:
        machine.report("redirect", checked, expected, f"{response.status}, no redirect")
    elif location not in {wanted, wanted.replace(design.public_url, f"https://{design.frontend.host}:443", 1)}:
        machine.report("redirect", checked, expected, f"{response.status} to {shown(location)}")


async def no_redirect(machine: Machine, design: Design) -> None:
    """Check that port 80 does not redirect to the farm; for `redirect_http: false`."""
    try:
        response = await machine.request(_QUESTION)
    except ResponseError:
        return  # nothing listens, or the service is not the farm's
    location = response.header("location")
    if response.status in REDIRECTS and location.startswith(f"https://{design.frontend.host}"):
        machine.report("redirect", "GET / over http", "no redirect", f"{response.status} to {shown(location)}")


def hsts(machine: Machine, design: Design, response: TimedResponse) -> None:
    """Compare the Strict-Transport-Security of a response with the spec."""
    header = response.header("strict-transport-security")
    checked = "Strict-Transport-Security"
    if not design.frontend.tls.hsts:
        if header:
            machine.report("hsts", checked, "no such header", shown(header))
        return
    words = dict(word.strip().lower().partition("=")[::2] for word in header.split(";"))
    age = words.get("max-age", "").strip('"')
    if not age.isdecimal() or int(age) < HSTS_SECONDS:
        machine.report("hsts", checked, f"max-age={HSTS_SECONDS}", shown(header) if header else "no such header")


def affinity_cookie(machine: Machine, design: Design, response: TimedResponse, *, live: bool) -> None:
    """Compare the affinity cookie of a response with the spec; `live`: the path is a SignalR path."""
    pool = design.signalr if live else design.web
    checked = f"cookie {COOKIE} on {'SignalR paths' if live else 'pages'}"
    found = response.cookies().get(COOKIE)
    if pool.affinity != "cookie":
        if found is not None:
            machine.report("affinity-cookie", checked, f"no cookie: affinity is {pool.affinity} here", "a cookie")
        return
    if found is None:
        machine.report("affinity-cookie", checked, "a cookie", "no cookie")
        return
    _value, *attributes = (part.strip().lower() for part in found.split(";"))
    wanted = ("httponly", *["secure"] * design.farm.balancer_tls)
    missing = [name for name in wanted if name not in attributes]
    site = next((name.partition("=")[2].strip() for name in attributes if name.startswith("samesite")), "")
    if site == "none":
        missing.append("samesite=lax")
    if missing:
        machine.report(
            "cookie-attributes", checked, ", ".join((*wanted, "samesite=lax")), f"lacks {', '.join(missing)}"
        )
    if not site:
        machine.report("cookie-samesite", checked, "SameSite=Lax", "no SameSite")
