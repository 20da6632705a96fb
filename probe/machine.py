"""One machine of the farm: how to reach it, its TLS, its HTTP responses, and what the probe reports about it."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ..core import activity
from ..net.connect import ConnectError, Limits, Peer, connected
from ..net.request import ResponseError, TimedResponse, exchange, probe_request
from ..spec.units import Duration
from . import certificates, hello
from .findings import KINDS, Finding, Level, MachineSummary

_SHOWN_NAMES: Final = 5


class Endpoint(NamedTuple):
    """The address of a machine's service, as the balancer or a client uses it."""

    host: str
    port: int
    name: str
    """The server name in TLS."""
    tls: bool
    header: str = ""
    """The Host header, for HTTP."""

    @property
    def address(self) -> str:
        """Host and port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsPolicy(NamedTuple):
    """What the spec requires of TLS on a machine."""

    names: Sequence[str]
    """The names that the certificate must carry; empty: the spec leaves the certificate unchecked."""
    ca: Path | None
    """The CA file; None: the CAs that this computer trusts."""
    chain_checked: bool
    modern: bool
    """Whether TLS 1.2 is excluded too."""
    old_version_level: Level
    """The level of the finding that the machine accepts TLS 1.0 or 1.1."""
    expires_within: Duration
    by_common_name: bool = False
    """Whether the common name counts if the certificate has no subject alternative names."""


class Machine:
    """One machine. `report` appends to the findings, in the order of the calls."""

    def __init__(self, name: str, endpoint: Endpoint, limits: Limits, state: str = "") -> None:
        self.name: Final = name
        self.endpoint: Final = endpoint
        self.limits: Final = limits
        self.state: Final = state
        self.findings: list[Finding] = []
        self.facts: dict[str, str] = {}
        self.reached = False
        self.trusted = not endpoint.tls
        """Whether a secret may be sent: the certificate is verified, or the spec does not use TLS."""
        self._tls: ssl.SSLContext | None = None

    def report(
        self,
        kind: str,
        checked: str,
        expected: str,
        found: str,
        *,
        level: Level | None = None,
        advice: str = "",
    ) -> None:
        """Append a finding by its id in the catalogue; for a drained node, which is under maintenance, it is a note."""
        level = level or KINDS[kind].level
        if level == "finding" and self.state == "drain":
            level, found = "note", f"{found} (the spec drains this node)"
        self.findings.append(Finding(kind, level, self.name, checked, expected, found, advice or KINDS[kind].advice))

    def failed(self, error: ConnectError, checked: str = "", expected: str = "") -> None:
        """Report that the machine cannot be reached."""
        self.report(error.kind, checked or self.endpoint.address, expected or "a connection", error.found)

    def summary(self) -> MachineSummary:
        """Return the machine's line of the report."""
        return MachineSummary(self.name, self.endpoint.address, self.state, self.reached, self.facts)

    # TLS

    async def connect(self, policy: TlsPolicy | None) -> bool:
        """Connect and check TLS; return whether further checks make sense. `policy` is None without TLS."""
        activity.note(f"connect to {self.name}, {self.endpoint.address}")
        try:
            async with connected(self.endpoint.host, self.endpoint.port, self.limits):
                self.reached = True
        except ConnectError as error:
            self.failed(error)
            return False
        if policy is None or not self.endpoint.tls:
            return True
        try:
            return await self._check_tls(policy)
        except ConnectError as error:
            self.report(error.kind, "TLS", "TLS 1.2 or later", await self._refusal_reason(error.found))
            return False

    def without_checks(self) -> None:
        """Accept any certificate from here on."""
        self._tls = certificates.unchecked()

    async def _check_tls(self, policy: TlsPolicy) -> bool:
        verifier = certificates.trusting(policy.ca) if policy.names and policy.chain_checked else None
        endpoint = self.endpoint
        checked = set()
        for name in policy.names or (endpoint.name,):
            found = await certificates.fetch(endpoint.host, endpoint.port, name, verifier, self.limits)
            if policy.names:
                self._check_certificate(found, name, policy, again=found.der in checked)
            checked.add(found.der)
            if name == endpoint.name:
                self._choose_tls(found, policy, verified=verifier is not None and not found.verdict)
        await self._old_versions(policy)
        return True

    async def chains_to(self, ca: Path, purpose: str) -> None:
        """Report a certificate that does not chain to this CA."""
        endpoint = self.endpoint
        verifier = certificates.trusting(ca)
        try:
            found = await certificates.fetch(endpoint.host, endpoint.port, endpoint.name, verifier, self.limits)
        except ConnectError as error:
            self.failed(error)
            return
        if found.verdict:
            self.report("certificate-chain", f"certificate for {purpose}", f"a chain to {ca}", found.verdict)

    def _choose_tls(self, found: certificates.Certificate, policy: TlsPolicy, *, verified: bool) -> None:
        """Use verified TLS from here on if the verification succeeds, else unverified TLS: one finding hides no other.

        The probe sends two secrets, Redis's password and HealthCheck.DetailsKey, and only over verified TLS.
        """
        trusted = verified and found.carries(self.endpoint.name, by_common_name=policy.by_common_name)
        self._tls = certificates.trusting(policy.ca, host_checked=True) if trusted else certificates.unchecked()
        self.trusted = trusted
        self.facts["tls"] = found.version.replace("TLSv", "TLS ")
        self.facts["certificate"] = f"certificate until {found.ends:%Y-%m-%d}"

    def _check_certificate(self, found: certificates.Certificate, name: str, policy: TlsPolicy, *, again: bool) -> None:
        """Report what is wrong; `again`: the server sent the same certificate for another name before."""
        checked = f"certificate for {name}"
        if not again:
            self._check_validity(found, checked, policy)
        if not found.carries(name, by_common_name=policy.by_common_name):
            names = [one for one in sorted(found.names) if one.isprintable()]
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            carried = ", ".join(names[:_SHOWN_NAMES]) or "no alternative name"
            self.report("certificate-name", checked, f"contains {name}", carried + more)

    def _check_validity(self, found: certificates.Certificate, checked: str, policy: TlsPolicy) -> None:
        now = dt.datetime.now(dt.UTC)
        valid = found.begins <= now <= found.ends
        if not valid:
            days = f"valid from {_day(found.begins)} to {_day(found.ends)}"
            self.report("certificate-expired", checked, "valid today", days)
        elif found.ends - now < dt.timedelta(milliseconds=policy.expires_within):
            expected = f"valid for {policy.expires_within} or longer"
            self.report("certificate-expires", checked, expected, f"ends on {_day(found.ends)}")
        if found.verdict and (valid or found.verdict_code not in certificates.VALIDITY_ERRORS):
            trusted = str(policy.ca) if policy.ca else "a CA that this computer trusts"
            self.report("certificate-chain", checked, f"a chain to {trusted}", found.verdict)

    async def _old_versions(self, policy: TlsPolicy) -> None:
        endpoint = self.endpoint
        newest = hello.TLS_1_2 if policy.modern else hello.TLS_1_1
        picked = await hello.accepted(endpoint.host, endpoint.port, endpoint.name, newest, self.limits)
        if picked is not None:
            excluded = "only TLS 1.3" if policy.modern else "only TLS 1.2 and 1.3"
            found = f"accepts {hello.NAMES.get(picked, f'version {picked:#06x}')}"
            self.report("tls-old", "TLS versions", excluded, found, level=policy.old_version_level)
        if policy.old_version_level == "finding" and ssl.HAS_TLSv1_3 and self.facts["tls"] != "TLS 1.3":
            self.report("tls-new", "TLS versions", "TLS 1.3", self.facts["tls"])

    async def _refusal_reason(self, refusal: str) -> str:
        """Return why the TLS handshake failed, with the old version that the server accepts instead, if any."""
        endpoint = self.endpoint
        try:
            picked = await hello.accepted(endpoint.host, endpoint.port, endpoint.name, hello.TLS_1_1, self.limits)
        except ConnectError:
            picked = None
        return refusal if picked is None else f"{refusal}; it accepts {hello.NAMES.get(picked, 'an old version')}"

    # HTTP

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Peer]:
        """Open a connection for one request. Raises ConnectError."""
        endpoint = self.endpoint
        try:
            async with connected(endpoint.host, endpoint.port, self.limits, tls=self._tls, name=endpoint.name) as peer:
                yield peer
        except ssl.SSLCertVerificationError as error:
            raise ConnectError("certificate-chain", error.verify_message) from None

    async def request(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, shown: str = ""
    ) -> TimedResponse:
        """Return the response to one request; `shown` is the path to report, if the path contains a secret.

        Raises ResponseError, also if there is no connection.
        """
        activity.note(f"{method} {shown or path} to {self.name}")
        extra = {"Content-Length": "0"} if method == "POST" else {}
        lines = {**extra, "Connection": "close", **(headers or {})}
        request = probe_request(method, path, self.endpoint.header, lines)
        try:
            async with self.connection() as peer:
                return await exchange(peer, request, self.limits.answer)
        except ConnectError as error:
            raise ResponseError(error.found) from None


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
