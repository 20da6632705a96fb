"""TLS for clients: Mozilla's profile (checked by sslyze), the certificate chain, the names."""

import asyncio
import re
import ssl
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

from ...core.errors import NlbgenError
from ...generators.design import Design
from ...net.client import Target
from ...spec.model import Farm
from ..clients.raw import converse, dial, hang_up, head
from ..lab.guard import GUARD, kill_group
from .base import Metrics, Scenario, TestBench, first_of, metric

SCAN_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0
WRONG_NAME: Final = "not-the-farm.example"
NO_NAME: Final = "127.0.0.1"
"""Python sends no server name for an address."""
_VERDICT: Final = re.compile(r"(OK - Compliant|FAILED - Not compliant)")
_DEVIATION: Final = re.compile(r"(?m)^\s+\* (.+)$")


class TlsOnly(Scenario):
    """A scenario for balancers that terminate TLS."""

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip farms whose balancer does not terminate TLS."""
        del vendor
        if farm.frontend.tls.mode == "passthrough":
            return "the nodes terminate TLS: IIS determines the TLS settings"
        return "" if farm.balancer_tls else "the farm has no TLS"


class TlsProfile(TlsOnly):
    """Check the running balancer with sslyze."""

    name = "tls-profile"
    title = "TLS settings compared with Mozilla's profile"
    why = "audits find old versions and weak ciphers first"
    seconds = 90

    def skip_reason(self, farm: Farm, vendor: str) -> str:
        """Skip if sslyze is missing."""
        missing = "" if find_spec("sslyze") else "sslyze is not installed: install nlbgen[prove]"
        return super().skip_reason(farm, vendor) or missing

    async def run(self, bench: TestBench) -> Metrics:
        """Compare the balancer with the farm's profile; sslyze runs in its own process."""
        profile = bench.farm.frontend.tls.profile
        bench.log(f"sslyze tries every version, cipher and group; profile {profile}")
        output = await _sslyze(bench, profile)
        verdict = _VERDICT.search(output)
        if verdict is None:
            raise NlbgenError(f"sslyze reported no result: {output[-500:]}", "run sslyze manually with --keep")
        deviations = _DEVIATION.findall(output, verdict.end()) if verdict[1].startswith("FAILED") else []
        note = f"Mozilla's {profile}" + "".join(f"; {text}" for text in deviations)
        yield metric("deviations", len(deviations), note=note)


async def _sslyze(bench: TestBench, profile: str) -> str:
    lab = bench.lab
    arguments = [
        f"--mozilla_config={profile}",
        f"--certinfo_ca_file={lab.certificates.ca}",
        *("--sni", lab.host),
        f"{lab.host}:{lab.port}{{127.0.0.1}}",
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sslyze", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    GUARD.add(process.pid)
    try:
        async with asyncio.timeout(SCAN_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            kill_group(process.pid)
            await process.wait()
        GUARD.remove(process.pid)
    return output.decode(errors="replace")


class TlsNames(TlsOnly):
    """The certificate's chain and the farm's names."""

    name = "tls-names"
    title = "the certificate chain, the farm's names, and wrong names"
    why = "robots do not trust a certificate without its chain; if a name is not served, its users have an outage"
    seconds = 60

    async def run(self, bench: TestBench) -> Metrics:
        """Connect with each name of the farm, trusting only the root CA; then with unknown names."""
        to = bench.target()
        names = Design(bench.farm).hosts
        bench.log(f"requests for {', '.join(names)}, then for {WRONG_NAME}")
        untrusted = [text for name in names if (text := await _distrust(replace(to, server_name=name)))]
        unserved = [name for name in names if await _status(replace(to, server_name=name), name) != 200]
        answers = {
            f"name {sent or 'none'} in TLS, {host} in HTTP": await _status(_unchecked(to, sent), host)
            for sent in (bench.lab.host, WRONG_NAME, NO_NAME)
            for host in (WRONG_NAME, NO_NAME)
        }
        served = [f"{how}: {status}" for how, status in answers.items() if not 400 <= status < 500 and status]
        arrived = 0
        for node in bench.nodes:
            seen = await bench.call(node.control.requests, "/prove-names")
            arrived += sum(_host(one["headers"]).partition(":")[0] not in names for one in seen)
        yield metric("untrusted", len(untrusted), of=len(names), note=first_of(untrusted))
        yield metric("unserved", len(unserved), of=len(names), note=first_of(unserved))
        yield metric("wrong_served", len(served), of=len(answers), note=first_of(served))
        yield metric("wrong_arrived", arrived, of=len(answers))


async def _distrust(to: Target) -> str:
    """Return why a client that trusts only the root CA refuses the certificate; empty if it does not."""
    try:
        _, writer = await dial(to)
    except ssl.SSLCertVerificationError as fault:
        return f"{to.server_name}: {fault.verify_message}"
    except (OSError, TimeoutError) as fault:
        return f"{to.server_name}: {type(fault).__name__}"
    await hang_up(writer)
    return ""


async def _status(to: Target, host: str) -> int:
    """Return the status of the response; 0 if the handshake or the request got none."""
    request = head("GET", "/prove-names", host, ["Connection: close"])
    return (await converse(to, request, ANSWER_SECONDS, once=True)).status


def _unchecked(to: Target, server_name: str) -> Target:
    """Return the target for a client that sends a name and accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return replace(to, server_name=server_name, tls=context)


def _host(headers: list[list[str]]) -> str:
    return next((value for name, value in headers if name.lower() == "host"), "")


SCENARIOS: Final = (TlsProfile(), TlsNames())
