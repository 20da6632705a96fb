"""TLS to the clients: Mozilla's profile by an independent judge, the chain, the names."""

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
from ..lab.guard import GUARD, kill_group
from ..lab.raw import converse, dial, hang_up, head, target
from .base import Figures, Scenario, Stage, figure

SCAN_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0
WRONG_NAME: Final = "not-the-farm.example"
NO_NAME: Final = "127.0.0.1"
"""Python sends no server name for an address."""
_VERDICT: Final = re.compile(r"(OK - Compliant|FAILED - Not compliant)")
_DEVIATION: Final = re.compile(r"(?m)^\s+\* (.+)$")


class TlsHere(Scenario):
    """A scenario that asks for a balancer that ends TLS."""

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Not with passthrough, nor without TLS."""
        del vendor
        if farm.frontend.tls.mode == "passthrough":
            return "the nodes end TLS, and how they do that is IIS's"
        return "" if farm.balancer_tls else "the farm has no TLS"


class TlsProfile(TlsHere):
    """sslyze looks at the running balancer."""

    name = "tls-profile"
    title = "TLS against Mozilla's profile"
    why = "old versions and weak ciphers are what audits find first"
    seconds = 90

    def unasked(self, farm: Farm, vendor: str) -> str:
        """Not without sslyze."""
        missing = "" if find_spec("sslyze") else "sslyze is not installed: install nlbgen[prove]"
        return super().unasked(farm, vendor) or missing

    async def play(self, stage: Stage) -> Figures:
        """Have sslyze compare the balancer with the farm's profile, in a process of its own."""
        profile = stage.farm.frontend.tls.profile
        stage.say(f"sslyze asks for every version, cipher and group; profile {profile}")
        said = await _sslyze(stage, profile)
        verdict = _VERDICT.search(said)
        if verdict is None:
            raise NlbgenError(f"sslyze gives no verdict: {said[-500:]}", "run it by hand with --keep")
        deviations = _DEVIATION.findall(said, verdict.end()) if verdict[1].startswith("FAILED") else []
        note = f"Mozilla's {profile}" + "".join(f"; {text}" for text in deviations)
        yield figure("deviations", len(deviations), note=note)


async def _sslyze(stage: Stage, profile: str) -> str:
    lab = stage.lab
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
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            kill_group(process.pid)
            await process.wait()
        GUARD.remove(process.pid)
    return said.decode(errors="replace")


class TlsNames(TlsHere):
    """The certificate's chain and the farm's names."""

    name = "tls-names"
    title = "the certificate chain, the farm's names, and wrong names"
    why = "robots trust no leaf without its chain, and an alias that is forgotten is an outage for those who use it"
    seconds = 60

    async def play(self, stage: Stage) -> Figures:
        """Come by each of the farm's names trusting the root alone; then by names that are not the farm's."""
        to = target(stage)
        names = Design(stage.farm).hosts
        stage.say(f"come as {', '.join(names)}, then as {WRONG_NAME}")
        untrusted = [text for name in names if (text := await _distrust(replace(to, server_name=name)))]
        unserved = [name for name in names if await _status(replace(to, server_name=name), name) != 200]
        answers = {
            f"name {sent or 'none'} in TLS, {host} in HTTP": await _status(_unchecked(to, sent), host)
            for sent in (stage.lab.host, WRONG_NAME, NO_NAME)
            for host in (WRONG_NAME, NO_NAME)
        }
        served = [f"{how}: {status}" for how, status in answers.items() if not 400 <= status < 500 and status]
        arrived = 0
        for node in stage.nodes:
            seen = await stage.call(node.control.requests, "/prove-names")
            arrived += sum(_host(one["headers"]).partition(":")[0] not in names for one in seen)
        yield figure("untrusted", len(untrusted), of=len(names), note=_first(untrusted))
        yield figure("unserved", len(unserved), of=len(names), note=_first(unserved))
        yield figure("wrong_served", len(served), of=len(answers), note=_first(served))
        yield figure("wrong_arrived", arrived, of=len(answers))


async def _distrust(to: Target) -> str:
    """Why a client that trusts the root alone does not believe that this is the name; empty where it does."""
    try:
        _, writer = await dial(to)
    except ssl.SSLCertVerificationError as fault:
        return f"{to.server_name}: {fault.verify_message}"
    except (OSError, TimeoutError) as fault:
        return f"{to.server_name}: {type(fault).__name__}"
    await hang_up(writer)
    return ""


async def _status(to: Target, host: str) -> int:
    """The status of an answer; 0 where the handshake was refused or no answer came."""
    request = head("GET", "/prove-names", host, ["Connection: close"])
    return (await converse(to, request, ANSWER_SECONDS, once=True)).status


def _unchecked(to: Target, server_name: str) -> Target:
    """A client that asks for a name and takes whatever certificate comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return replace(to, server_name=server_name, tls=context)


def _host(headers: list[list[str]]) -> str:
    return next((value for name, value in headers if name.lower() == "host"), "")


def _first(texts: list[str]) -> str:
    return f"the first one: {texts[0]}" if texts else ""


SCENARIOS: Final = (TlsProfile(), TlsNames())
