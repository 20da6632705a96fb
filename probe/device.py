"""One machine of the farm while it is asked: how it is reached, what it told, what there is to say about it."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ..core import activity
from ..net.http1 import AnswerError, Reply, exchange, head
from ..net.reach import Limits, Peer, ReachError, connected
from ..spec.units import Duration
from . import certificates, hello
from .findings import KINDS, Finding, Level, Seen

_SHOWN_NAMES: Final = 5


class Where(NamedTuple):
    """How a machine is reached, as the balancer or a client would."""

    host: str
    port: int
    name: str
    """The name that TLS asks for."""
    tls: bool
    header: str = ""
    """The Host header, where HTTP is spoken."""

    @property
    def address(self) -> str:
        """Host and port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsWishes(NamedTuple):
    """What TLS should be like on a machine."""

    names: Sequence[str]
    """What its certificate must carry; empty to leave the certificate unchecked, as the spec may say."""
    ca: Path | None
    """The CA; None for those that this machine trusts."""
    chain_checked: bool
    modern: bool
    """Whether TLS 1.2 is excluded as well."""
    old_is: Level
    """What it is if TLS 1.0 or 1.1 is accepted."""
    expires_within: Duration
    by_common_name: bool = False
    """Whether a certificate without alternative names may call the machine by its common name."""


class Device:
    """One machine. What `say` is told becomes the report's findings, in that order."""

    def __init__(self, name: str, where: Where, limits: Limits, state: str = "") -> None:
        self.name: Final = name
        self.where: Final = where
        self.limits: Final = limits
        self.state: Final = state
        self.findings: list[Finding] = []
        self.facts: dict[str, str] = {}
        self.reached = False
        self.trusted = not where.tls
        """Whether a secret may be sent: TLS is checked, or the spec wants none."""
        self._tls: ssl.SSLContext | None = None

    def say(
        self,
        kind: str,
        what: str,
        expected: str,
        found: str,
        *,
        level: Level | None = None,
        advice: str = "",
    ) -> None:
        """Report something by its id in the catalogue; of a drained node, which somebody works on, it is a note."""
        level = level or KINDS[kind].level
        if level == "finding" and self.state == "drain":
            level, found = "note", f"{found} (the spec drains this node)"
        self.findings.append(Finding(kind, level, self.name, what, expected, found, advice or KINDS[kind].advice))

    def failed(self, error: ReachError, what: str = "", expected: str = "") -> None:
        """Report that the machine cannot be reached."""
        self.say(error.kind, what or self.where.address, expected or "a connection", error.found)

    def seen(self) -> Seen:
        """The machine for the report."""
        return Seen(self.name, self.where.address, self.state, self.reached, self.facts)

    # TLS

    async def arrive(self, wishes: TlsWishes | None) -> bool:
        """Connect, and look at the certificate; whether it makes sense to ask on. `wishes` is None without TLS."""
        activity.note(f"connect to {self.name}, {self.where.address}")
        try:
            async with connected(self.where.host, self.where.port, self.limits):
                self.reached = True
        except ReachError as error:
            self.failed(error)
            return False
        if wishes is None or not self.where.tls:
            return True
        try:
            return await self._greet(wishes)
        except ReachError as error:
            self.say(error.kind, "TLS", "TLS 1.2 or later", await self._spoken(error.found))
            return False

    def without_checks(self) -> None:
        """Take any certificate from here on."""
        self._tls = certificates.unchecked()

    async def _greet(self, wishes: TlsWishes) -> bool:
        judge = certificates.trusting(wishes.ca) if wishes.names and wishes.chain_checked else None
        where = self.where
        judged = set()
        for name in wishes.names or (where.name,):
            found = await certificates.look(where.host, where.port, name, judge, self.limits)
            if wishes.names:
                self._judge(found, name, wishes, again=found.der in judged)
            judged.add(found.der)
            if name == where.name:
                self._remember(found, wishes, good=judge is not None and not found.verdict)
        await self._old_versions(wishes)
        return True

    async def chains_to(self, ca: Path, purpose: str) -> None:
        """Report a certificate that does not chain to this CA as well."""
        where = self.where
        judge = certificates.trusting(ca)
        try:
            found = await certificates.look(where.host, where.port, where.name, judge, self.limits)
        except ReachError as error:
            self.failed(error)
            return
        if found.verdict:
            self.say("certificate-chain", f"certificate for {purpose}", f"a chain to {ca}", found.verdict)

    def _remember(self, found: certificates.Certificate, wishes: TlsWishes, *, good: bool) -> None:
        """Ask on over checked TLS where the check succeeds, and else over unchecked TLS: a difference hides no other.

        Nothing that is asked is secret, but for Redis's password, which is sent over checked TLS alone.
        """
        good = good and found.carries(self.where.name, by_common_name=wishes.by_common_name)
        self._tls = certificates.trusting(wishes.ca, host_checked=True) if good else certificates.unchecked()
        self.trusted = good
        self.facts["tls"] = found.version.replace("TLSv", "TLS ")
        self.facts["certificate"] = f"certificate until {found.ends:%Y-%m-%d}"

    def _judge(self, found: certificates.Certificate, name: str, wishes: TlsWishes, *, again: bool) -> None:
        """Report what is wrong; `again` if the same certificate was shown for another name before."""
        what = f"certificate for {name}"
        if not again:
            self._judge_validity(found, what, wishes)
        if not found.carries(name, by_common_name=wishes.by_common_name):
            names = [one for one in sorted(found.names) if one.isprintable()]
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            carried = ", ".join(names[:_SHOWN_NAMES]) or "no alternative name"
            self.say("certificate-name", what, f"carries {name}", carried + more)

    def _judge_validity(self, found: certificates.Certificate, what: str, wishes: TlsWishes) -> None:
        now = dt.datetime.now(dt.UTC)
        valid = found.begins <= now <= found.ends
        if not valid:
            days = f"valid from {_day(found.begins)} to {_day(found.ends)}"
            self.say("certificate-expired", what, "valid today", days)
        elif found.ends - now < dt.timedelta(milliseconds=wishes.expires_within):
            expected = f"valid for {wishes.expires_within} or longer"
            self.say("certificate-expires", what, expected, f"ends on {_day(found.ends)}")
        if found.verdict and (valid or found.verdict_code not in certificates.OF_ITS_DAYS):
            trusted = str(wishes.ca) if wishes.ca else "what this machine trusts"
            self.say("certificate-chain", what, f"a chain to {trusted}", found.verdict)

    async def _old_versions(self, wishes: TlsWishes) -> None:
        where = self.where
        newest = hello.TLS_1_2 if wishes.modern else hello.TLS_1_1
        picked = await hello.accepted(where.host, where.port, where.name, newest, self.limits)
        if picked is not None:
            excluded = "TLS 1.3 alone" if wishes.modern else "TLS 1.2 and 1.3 alone"
            found = f"accepts {hello.NAMES.get(picked, f'version {picked:#06x}')}"
            self.say("tls-old", "TLS versions", excluded, found, level=wishes.old_is)
        if wishes.old_is == "finding" and ssl.HAS_TLSv1_3 and self.facts["tls"] != "TLS 1.3":
            self.say("tls-new", "TLS versions", "TLS 1.3", self.facts["tls"])

    async def _spoken(self, refusal: str) -> str:
        """Why there is no TLS here, and which old version there is, if that is why."""
        where = self.where
        try:
            picked = await hello.accepted(where.host, where.port, where.name, hello.TLS_1_1, self.limits)
        except ReachError:
            picked = None
        return refusal if picked is None else f"{refusal}; it speaks {hello.NAMES.get(picked, 'an old version')}"

    # HTTP

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Peer]:
        """A connection for one request. Raises ReachError."""
        where = self.where
        try:
            async with connected(where.host, where.port, self.limits, tls=self._tls, name=where.name) as peer:
                yield peer
        except ssl.SSLCertVerificationError as error:
            raise ReachError("certificate-chain", error.verify_message) from None

    async def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to one request. Raises AnswerError, also where no connection comes about."""
        activity.note(f"{method} {path} to {self.name}")
        extra = {"Content-Length": "0"} if method == "POST" else {}
        request = head(method, path, self.where.header, {**extra, "Connection": "close", **(headers or {})})
        try:
            async with self.connection() as peer:
                return await exchange(peer, request, self.limits.answer)
        except ReachError as error:
            raise AnswerError(error.found) from None


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
