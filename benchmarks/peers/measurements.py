"""The measurements. Contenders take turns or run in parallel, so that other load on the machine affects all of them."""

import asyncio
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from nlbgen.net.loops import raise_file_limit, run
from nlbgen.prove.clients.load import Event, Load, LoadPlan
from nlbgen.prove.clients.load_result import LoadResult
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan, fetch
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.lab.processes import NodeProcess

from .lab import PeerLab

Labs = Mapping[str, PeerLab]
FORGED = "6.6.6.6"
SOCKETS = 3
POLLS = 3
CONNECTIONS = 16
SHAKERS = 4


@dataclass(frozen=True)
class Incident:
    """An incident of the first node, and the load during it."""

    key: str
    title: str
    events: Callable[[NodeProcess], Sequence[Event]]
    plan: Mapping[str, Any] = field(default_factory=dict)


INCIDENTS = (
    Incident("kill", "a node is killed", lambda node: [(4.0, node.kill), (10.0, node.restart)]),
    Incident(
        "pool",
        "an app pool answers 503 for 6 s",
        lambda node: [(4.0, lambda: node.set(pool_stopped=True)), (10.0, node.reset)],
    ),
    Incident("hang", "a node hangs for 6 s", lambda node: [(4.0, node.freeze), (10.0, node.thaw)]),
    Incident(
        "drain",
        "a node is drained, killed 5 s later",
        lambda node: [(4.0, lambda: node.set(drain=True)), (9.0, node.kill)],
    ),
    Incident(
        "posts",
        "a node is killed with POSTs in flight",
        lambda node: [(1.5, node.kill), (3.0, node.restart)],
        {"rate": 100.0, "seconds": 4.0, "post_share": 1.0, "post_delay_ms": 300},
    ),
)


@dataclass(frozen=True)
class Outcome:
    """The result of an incident for one contender."""

    total: int
    failed: int
    failed_gets: int
    slow: int
    doubled: int
    lag: float
    """The latest start of a request, in seconds after its time."""

    @classmethod
    def of(cls, result: LoadResult, nodes: Sequence[NodeProcess]) -> "Outcome":
        """Count the results of a run."""
        return cls(
            result.total,
            result.failed,
            result.failed_by_method.get("GET", 0),
            result.slow(),
            len(result.duplicates(*(node.posts() for node in nodes))),
            result.worst_lag,
        )


def run_incident(labs: Labs, incident: Incident) -> dict[str, Outcome]:
    """Run an incident for all contenders in parallel, each with its own nodes and load, then restore them."""
    raise_file_limit()
    results = run(_at_once(labs, incident))
    outcomes = {key: Outcome.of(results[key], lab.nodes) for key, lab in labs.items()}
    with ThreadPoolExecutor(len(labs)) as pool:
        list(pool.map(_fresh, labs.values()))
    run(_settled(labs))
    return outcomes


async def _at_once(labs: Labs, incident: Incident) -> dict[str, LoadResult]:
    loads = {
        key: Load(LoadPlan(url=lab.url, ca=lab.certificates.ca, warm_up=True, **incident.plan))
        for key, lab in labs.items()
    }
    runs = (load.run(incident.events(labs[key].nodes[0])) for key, load in loads.items())
    return dict(zip(loads, await asyncio.gather(*runs), strict=True))


def _fresh(lab: PeerLab) -> None:
    """Restore the nodes, and restart the balancer, which forgets their states."""
    for node in lab.nodes:
        if node.running:
            node.thaw()
            node.reset()
        else:
            node.restart()
    lab.balancer.stop()
    lab.balancer.start()


async def _settled(labs: Labs) -> None:
    await asyncio.gather(*(TestBench(lab).settled() for lab in labs.values()))


# Waiting


@dataclass(frozen=True)
class Waited:
    """The results of silent WebSockets and long polls."""

    sockets: list[float | None]
    """The time until each was closed, in seconds; None: open to the end."""
    polls: list[tuple[int, float]]
    """Status (0: no response) and seconds."""
    arrived: int
    """The number of requests for the polls at the nodes."""


def wait(labs: Labs, watched: float, held: float) -> dict[str, Waited]:
    """Hold silent WebSockets for `watched` seconds, and polls that the nodes complete after `held` seconds."""
    mark = uuid4().hex
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(labs) * POLLS))
        holders = {key: stack.enter_context(SocketHolder(_sockets(lab))) for key, lab in labs.items()}
        start = time.perf_counter()
        asked = {
            key: [pool.submit(_poll, lab, f"{mark}-{number}", held, watched) for number in range(POLLS)]
            for key, lab in labs.items()
        }
        polls = {key: [one.result() for one in futures] for key, futures in asked.items()}
        time.sleep(max(0.0, watched - (time.perf_counter() - start)))
        lives = {key: [report.lived for report in holder.reports] for key, holder in holders.items()}
    prefix = f"/signalr/hold-{mark}"
    return {
        key: Waited(lives[key], polls[key], sum(len(node.control.requests(prefix)) for node in lab.nodes))
        for key, lab in labs.items()
    }


def _sockets(lab: PeerLab) -> SocketPlan:
    return SocketPlan(url=f"{lab.url}/ws", count=SOCKETS, ca=lab.certificates.ca)


def _poll(lab: PeerLab, mark: str, held: float, most: float) -> tuple[int, float]:
    url = f"{lab.url}/signalr/hold-{mark}?delay={held * 1000:.0f}"
    start = time.perf_counter()
    try:
        status = fetch(url, ca=lab.certificates.ca, timeout=most).status
    except (OSError, RuntimeError, ValueError):
        status = 0
    return status, time.perf_counter() - start


# Headers at the node


def passed_on(lab: PeerLab) -> dict[str, str]:
    """Return the headers of a node when a client forges them: the host, an upgrade to h2c, a client address."""
    lies = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
        "X-Forwarded-For": FORGED,
        "X-Forwarded-Proto": "forged",
    }
    answer = fetch(f"{lab.url}/odata/Jobs", headers=lies, ca=lab.certificates.ca)
    seen = [(name.lower(), value) for name, value in answer.json()["headers"]]
    wanted = ("Host", "Upgrade", "X-Forwarded-For")
    return {name: ", ".join(value for key, value in seen if key == name.lower()) for name in wanted}


# Speed


@dataclass(frozen=True)
class Speed:
    """Requests or handshakes per second, and the balancer's processor time for one of them."""

    rate: float
    cost: float
    """Microseconds; 0 without a balancer."""

    @property
    def busy(self) -> float:
        """The share of one processor that the balancer used: near 1, its one thread was the limit."""
        return self.rate * self.cost / 1e6


def press(url: str, seconds: int, host: str, group: int = 0) -> Speed:
    """Measure the maximum of requests from 16 connections with wrk; `group` is the balancer's process group."""
    before = _processor_seconds(group)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Host: {host}", f"{url}/odata/Jobs"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = _processor_seconds(group) - before
    if bad := re.search(r"Non-2xx.*|Socket errors.*", text):
        raise SystemExit(f"{url}: {bad[0]}")
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    return Speed(float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1]), spent / count * 1e6)  # type: ignore[index]


def handshakes(lab: PeerLab, host: str, seconds: float) -> Speed:
    """Measure new TLS 1.2 connections (the version that all offer) by a few clients, without resumption."""
    group = lab.balancer.pid
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The clients verify no chain: that would cost them more than the handshake costs the balancer.
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    before, start = _processor_seconds(group), time.perf_counter()
    with ThreadPoolExecutor(SHAKERS) as pool:
        counts = list(pool.map(lambda _: _shake(tls, lab.port, host, start + seconds), range(SHAKERS)))
    took, spent = time.perf_counter() - start, _processor_seconds(group) - before
    return Speed(sum(counts) / took, spent / sum(counts) * 1e6)


def _shake(tls: ssl.SSLContext, port: int, host: str, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        with socket.create_connection(("127.0.0.1", port)) as plain, tls.wrap_socket(plain, server_hostname=host):
            count += 1
    return count


def _processor_seconds(group: int) -> float:
    """The processor time of all processes of a group, in seconds."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat") if group else ():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def latency(url: str, host: str, seconds: float) -> LoadResult:
    """Send 200 GET requests per second on open connections."""
    raise_file_limit()
    return run(Load(LoadPlan(url=url, host=host, seconds=seconds, post_share=0.0, warm_up=True)).run())
