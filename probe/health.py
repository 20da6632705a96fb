"""The health endpoints of a machine, requested as the balancer does.

On Orchestrator 2020.10 UiPath's pages disagree about the endpoint: the probe requests both, and reports which one
answers.
"""

import time
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote

from ..core.wording import one_of, shown
from ..generators.design import Design
from ..net.request import ResponseError, TimedResponse
from ..spec.orchestrator import normalized
from ..spec.references import SecretValue
from .machine import Machine

REDIRECTS: Final = frozenset({301, 302, 307, 308})
DISPUTED: Final = ("/api/status", "/api/health")
"""The endpoints that UiPath's pages of 2020.10 name: one page the first, another page the second."""


class Health(NamedTuple):
    """The health checks of a farm."""

    design: Design
    details_key: SecretValue | None = None
    """The value of HealthCheck.DetailsKey; it is sent only over verified TLS, or where the spec uses no TLS."""

    async def check(self, machine: Machine) -> TimedResponse | None:
        """Request every endpoint; return the response of the first one if all are as expected."""
        disputed = await self._disputed(machine)
        answers = [await self._endpoint(machine, path, disputed) for path in self.design.health_paths]
        return None if None in answers else answers[0]

    async def answers(self, machine: Machine) -> bool:
        """Return whether every endpoint answers as expected, without a finding."""
        statuses = [await self._status(machine, path) for path in self.design.health_paths]
        return set(statuses) == {self.design.balancer.health.expect}

    async def _endpoint(self, machine: Machine, path: str, disputed: "_Disputed | None") -> TimedResponse | None:
        wanted = self.design.balancer.health
        checked = f"GET {path}"
        expected = f"{wanted.expect} within {wanted.timeout}"
        begun = time.monotonic()
        try:
            response = await self._request(machine, path)
        except ResponseError as error:
            machine.report("health", checked, expected, str(error))
            return None
        seconds = time.monotonic() - begun
        machine.facts.setdefault("health", f"health {response.status} in {seconds * 1000:.0f} ms")
        if response.status != wanted.expect:
            found, advice = self._unhealthy(response, path, disputed)
            machine.facts["health"] = f"health {response.status} in {seconds * 1000:.0f} ms"
            machine.report("health", checked, expected, found, advice=advice)
            return None
        if seconds > wanted.timeout / 1000:
            machine.report("health-slow", checked, expected, f"{response.status} after {seconds:.1f} s")
        if b"degraded" in response.body[:LONGEST_DETAILS].lower():
            machine.report("health-degraded", checked, "Healthy", "Degraded")
        return response

    async def _request(self, machine: Machine, path: str) -> TimedResponse:
        if self.details_key is None or not machine.trusted or not self.design.sends_details_key(path):
            return await machine.request(path)
        separator = "&" if "?" in path else "?"
        secret = f"{path}{separator}detailsKey={quote(self.details_key.reveal(), safe='')}"
        return await machine.request(secret, shown=path)

    def _unhealthy(self, response: TimedResponse, path: str, disputed: "_Disputed | None") -> tuple[str, str]:
        """Return what was received instead of the expected status, and advice where the general one does not fit."""
        if response.status in REDIRECTS:
            advice = ""
            if not self.design.farm.node_tls:
                advice = "TLS is terminated at the balancer: disable the IIS rule Redirect HTTP to HTTPS"
            return f"{response.status} to {shown(response.header('location'))}", advice
        if disputed is not None and path.lower() in DISPUTED and disputed.working:
            return str(response.status), disputed.advice(path, self.design.health_paths)
        if response.status == 404:
            return "404", "check orchestrator.version: the health endpoint moved between versions"
        return str(response.status), ""

    async def _disputed(self, machine: Machine) -> "_Disputed | None":
        """Request both endpoints of 2020.10, and add to the machine's facts which one answers; None elsewhere."""
        version = self.design.farm.orchestrator.version
        checked = {path.lower() for path in self.design.health_paths}
        if version is None or normalized(version).parts[:2] != (2020, 10) or not checked & set(DISPUTED):
            return None
        statuses = {path: await self._status(machine, path) for path in DISPUTED}
        wanted = self.design.balancer.health.expect
        machine.facts["endpoints"] = ", ".join(f"{path} {status or 'no answer'}" for path, status in statuses.items())
        return _Disputed(tuple(path for path, status in statuses.items() if status == wanted))

    async def _status(self, machine: Machine, path: str) -> int | None:
        try:
            return (await machine.request(path)).status
        except ResponseError:
            return None


LONGEST_DETAILS: Final = 16 * 1024
"""Bytes of a response in which `Degraded` is looked for: with the details, each check has its own status."""


class _Disputed(NamedTuple):
    """Which of the two endpoints of 2020.10 answer as expected on a machine."""

    working: tuple[str, ...]

    def advice(self, path: str, checked: Iterable[str]) -> str:
        """Return what to write instead of the path that does not answer."""
        paths = ", ".join(self.working[0] if each == path else each for each in checked)
        return (
            f"{one_of(self.working)} answers here: write `health: {{paths: [{paths}]}}` under balancer; UiPath's pages "
            "of 2020.10 name both endpoints"
        )
