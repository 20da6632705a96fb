"""SignalR sessions from the client's side, both generations, each transport: what a robot or a browser does.

    report = await session(SessionPlan(url=url, generation="classic", transport="longPolling"))
    assert report.ok, report.error

aiohttp retries an idempotent request once when a kept-alive connection turns out to be closed, as browsers do.
"""

import asyncio
from contextlib import suppress

import aiohttp

from .hub_client import HubClient, SessionError, SessionPlan, SessionReport
from .signalr2 import Signalr2Client
from .signalrcore import SignalrCoreClient
from .simple import open_session


def make_client(plan: SessionPlan, http: aiohttp.ClientSession) -> HubClient:
    """Return the client for the plan's generation."""
    return Signalr2Client(plan, http) if plan.generation == "classic" else SignalrCoreClient(plan, http)


def open_http(plan: SessionPlan) -> aiohttp.ClientSession:
    """Return the HTTP client of one session; the caller closes it."""
    # The total timeout of a request must not end a poll or stream that stays open.
    return open_session(plan.ca, verify=plan.verify, cookies=plan.cookies, timeout=24 * 3600.0)


async def session(plan: SessionPlan) -> SessionReport:
    """Run one session from the negotiation to the end; never raises for errors of the farm."""
    async with open_http(plan) as http:
        client = make_client(plan, http)
        try:
            with suppress(SessionError):
                await client.open()
                for number in range(plan.echoes):
                    if number == 1 and plan.hold:
                        client.report.step = "hold"
                        await asyncio.sleep(plan.hold)
                    text = f"echo {number}"
                    if await client.invoke("Echo", text) == text:
                        client.report.echoes += 1
        finally:
            failed = client.report.step if client.report.error else ""
            await client.close()
        client.report.step = failed or ("done" if not client.report.error else client.report.step)
        return client.report
