"""An open-loop load generator: a fixed rate independent of the responses, many logical clients, a log of all requests.

    result = run_load(LoadPlan(url="https://127.0.0.1:8443", ca=ca), events=[(4.0, node.kill), (10.0, node.restart)])
    assert result.failed == 0 and not result.duplicates(one.posts(), two.posts())

It retries no request. The schedule is fixed before the start and seeded, so two runs send the same requests in the
same order; only the ids of the POSTs differ.
"""

import argparse
import asyncio
import random
import secrets
import ssl
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from ...net.client import Connection, Target, WireError
from ...net.http1 import Response
from ...net.loopback import source_address
from ...net.loops import raise_file_limit, run, settle
from .load_result import OK, LoadResult, Record

MAX_REQUESTS = 1_000_000
MAX_SECONDS = 3600.0
MAX_CLIENTS = 10_000
MAX_CONNECTIONS = 12_000
WARM_UP_AT_ONCE = 20
MAX_IDLE_PER_CLIENT = 6
"""The number of connections that a browser keeps to one host."""
HANDSHAKES_AT_ONCE = 1
"""For one client; further requests wait for it or for a free connection. Without this limit a short stall causes
hundreds of TLS handshakes, which cause the next stall."""

Event = tuple[float, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The requests of a load. The defaults are the reference measurement: 200/s x 14 s = 2800."""

    url: str
    rate: float = 200.0
    seconds: float = 14.0
    post_share: float = 0.25
    clients: int = 50
    """Logical clients: each has its own connections and, with these options, its own cookies and source address."""
    timeout: float = 5.0
    """Seconds for one request, connecting included, counted from when it is sent."""
    seed: int = 1
    get_path: str = "/odata/Jobs"
    post_path: str = "/api/jobs"
    post_delay_ms: int = 0
    """The node executes a POST, then waits this long before it answers: POSTs are in flight when the node fails."""
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    address: str = "127.0.0.1"
    ca: Path | None = None
    verify: bool = True
    cookies: bool = False
    """Clients send back the cookies that they received (cookie affinity)."""
    source_addresses: bool = False
    """Client n comes from 127.1.x.y, for balancers that hash the source. Linux only: macOS has only 127.0.0.1."""
    warm_up: bool = False
    """Open one connection for each client before the run, so that its first seconds are not handshakes."""
    keep_alive: bool = True
    """False: a new connection for each request."""

    def __post_init__(self) -> None:
        if not 0 < self.rate * self.seconds <= MAX_REQUESTS or self.seconds > MAX_SECONDS:
            raise ValueError(f"1 to {MAX_REQUESTS} requests in at most {MAX_SECONDS:g} s")
        if not 1 <= self.clients <= MAX_CLIENTS:
            raise ValueError(f"1 to {MAX_CLIENTS} clients")
        if not 0 <= self.post_share <= 1:
            raise ValueError("post_share is a share: 0 to 1")

    def schedule(self, run_id: str = "run") -> list[Record]:
        """Return the requests in order, the same for the same plan; `run_id` begins the id of each POST."""
        count = round(self.rate * self.seconds)
        chooser = random.Random(self.seed)  # noqa: S311 - reproducible, no secret
        posts = round(count * self.post_share)
        methods = ["POST"] * posts + ["GET"] * (count - posts)
        chooser.shuffle(methods)
        return [
            Record(
                scheduled=number / self.rate,
                method=method,
                id=f"{run_id}-{number}" if method == "POST" else "",
                client=chooser.randrange(self.clients),
            )
            for number, method in enumerate(methods)
        ]


class Client:
    """One logical client: connections, cookies, source address."""

    __slots__ = ("connecting", "cookies", "idle", "local", "waiting")

    def __init__(self, number: int, plan: LoadPlan) -> None:
        self.idle: list[Connection] = []
        self.connecting = 0
        self.waiting: deque[asyncio.Future[Connection | None]] = deque()
        """Requests that wait for a connection; None allows one of them to open its own."""
        self.cookies: dict[str, str] = {}
        self.local: tuple[str, int] | None = None
        if plan.source_addresses:
            self.local = source_address(number, network=1)

    def take(self) -> Connection | None:
        """Return the most recently used connection that is still open."""
        while self.idle:
            connection = self.idle.pop()
            if connection.open and not connection.stale:
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, which may wait already."""
        if not connection.open or self._give_next(connection):
            return
        if len(self.idle) < MAX_IDLE_PER_CLIENT:
            self.idle.append(connection)
        else:
            connection.abort()

    def _give_next(self, connection: Connection | None) -> bool:
        """Give the first waiting request a connection, or its turn to open one."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def connection(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        """Return an idle connection, a new one, or the first that becomes free."""
        found = self.take()
        while found is None and self.connecting >= HANDSHAKES_AT_ONCE:
            waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self.waiting.append(waiter)
            try:
                handed = await waiter
            except asyncio.CancelledError:
                # The request timed out: pass what it received meanwhile to the next one.
                if waiter.done() and not waiter.cancelled():
                    given = waiter.result()
                    if given is None:
                        self._give_next(None)
                    else:
                        self.give_back(given)
                raise
            found = handed if handed is not None and handed.open else None
            if handed is None:
                break
        if found is not None:
            return found
        self.connecting += 1
        try:
            return await connect()
        finally:
            self.connecting -= 1
            self._give_next(None)

    def remember(self, answer: Response) -> None:
        """Keep the cookies of a response."""
        for value in answer.headers(b"set-cookie"):
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]


class Load:
    """One run of a plan in the running loop."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self._target = Target.of(
            plan.url,
            host=plan.host,
            address=plan.address,
            ca=str(plan.ca) if plan.ca else None,
            verify=plan.verify,
        )
        self._clients = [Client(number, plan) for number in range(plan.clients)]
        self._in_flight: set[asyncio.Task[None]] = set()
        extra = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
        self._tail = f"Host: {self._target.host}\r\nUser-Agent: nlbgen-load\r\n{extra}"
        if not plan.keep_alive:
            self._tail += "Connection: close\r\n"
        self._start = 0.0
        self.done = 0
        """The number of ended requests, for the live view."""
        self.failed = 0
        self.answers: Counter[str] = Counter()
        """Responses by node."""

    async def run(self, events: Sequence[Event] = ()) -> LoadResult:
        """Send all requests, wait for the last response or timeout, and return the result.

        Each event is (seconds since the start, callable); the callable runs in a thread, and its exception is raised
        here at the end.
        """
        for when, _ in events:
            if not 0 <= when <= self.plan.seconds:
                raise ValueError(f"an event at {when:g} s is outside of the run")
        # New ids for each run: nodes remember the POSTs of earlier runs, which must not count as duplicates.
        records = self.plan.schedule(secrets.token_hex(4))
        result = LoadResult(records, self.plan.rate, self.plan.seconds)
        loop = asyncio.get_running_loop()
        reporter = loop.get_exception_handler()
        # uvloop logs a traceback for each connection that is dropped in its TLS handshake: thousands of them when a
        # node is overloaded. The records hold the failures.
        loop.set_exception_handler(lambda *_: None)
        event_tasks: list[asyncio.Task[None]] = []
        try:
            if self.plan.warm_up:
                await self._warm_up()
            self._start = perf_counter()
            event_tasks += [asyncio.create_task(self._event(event, result)) for event in events]
            await self._send_all(records)
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=self.plan.timeout + 5)
            await asyncio.gather(*event_tasks)
        finally:
            await self._close(event_tasks)
            loop.set_exception_handler(reporter)
        result.elapsed = perf_counter() - self._start
        return result

    async def _warm_up(self) -> None:
        gate = asyncio.Semaphore(WARM_UP_AT_ONCE)

        async def one(client: Client) -> None:
            async with gate:
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self.plan.timeout):
                        client.give_back(await Connection.to(self._target, client.local))

        await asyncio.gather(*(one(client) for client in self._clients))

    async def _event(self, event: Event, result: LoadResult) -> None:
        await asyncio.sleep(event[0] - (perf_counter() - self._start))
        await asyncio.to_thread(event[1])
        result.event_times.append(perf_counter() - self._start)

    async def _send_all(self, records: Sequence[Record]) -> None:
        for record in records:
            wait = record.scheduled - (perf_counter() - self._start)
            if wait > 0:
                await asyncio.sleep(wait)
            if len(self._in_flight) >= MAX_CONNECTIONS:
                record.outcome = "generator-full"
                continue
            task = asyncio.create_task(self._one(record))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _close(self, event_tasks: Sequence["asyncio.Task[None]"]) -> None:
        for task in (*self._in_flight, *event_tasks):
            task.cancel()
        await asyncio.gather(*self._in_flight, *event_tasks, return_exceptions=True)
        for client in self._clients:
            for connection in client.idle:
                connection.abort()
        await settle()

    async def _one(self, record: Record) -> None:
        record.sent = perf_counter() - self._start
        try:
            async with asyncio.timeout(self.plan.timeout):
                await self._exchange(record)
        except TimeoutError:
            record.outcome = "timeout"
        except WireError as fault:
            record.outcome = fault.kind
        except ConnectionRefusedError:
            record.outcome = "refused"
        except ConnectionError:
            record.outcome = "reset"
        except ssl.SSLError:
            record.outcome = "tls"
        except OSError:
            record.outcome = "connect"
        record.latency = perf_counter() - self._start - record.scheduled
        self.done += 1
        self.failed += not record.ok

    async def _exchange(self, record: Record) -> None:
        client = self._clients[record.client]
        connection = await client.connection(lambda: Connection.to(self._target, client.local))
        try:
            answer = await connection.send(self._request(record, client))
        except BaseException:
            connection.abort()
            raise
        client.give_back(connection)
        record.status = answer.status
        record.outcome = OK if 200 <= answer.status < 400 else f"http {answer.status}"
        record.node = answer.header(b"x-node")
        self.answers[record.node] += 1
        if self.plan.cookies:
            client.remember(answer)

    def _request(self, record: Record, client: Client) -> bytes:
        plan = self.plan
        tail = self._tail
        if client.cookies:
            tail += "Cookie: " + "; ".join(f"{k}={v}" for k, v in client.cookies.items()) + "\r\n"
        if record.method == "GET":
            return f"GET {plan.get_path} HTTP/1.1\r\n{tail}\r\n".encode("latin-1")
        delay = f"&delay={plan.post_delay_ms}" if plan.post_delay_ms else ""
        return (
            f"POST {plan.post_path}?id={record.id}{delay} HTTP/1.1\r\n{tail}"
            'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"Job":"run"}\n'
        ).encode("latin-1")


def run_load(plan: LoadPlan, events: Sequence[Event] = ()) -> LoadResult:
    """Run a plan on a new event loop and return the result; blocks for plan.seconds and the last timeout.

    >>> run_load(LoadPlan(url=node.url, rate=200, seconds=2)).failed     # doctest: +SKIP
    0
    """
    raise_file_limit()
    return run(Load(plan).run(events))


def main(argv: Sequence[str] | None = None) -> None:
    """Run `python -m nlbgen.prove.clients.load URL`: print the metrics as one line of JSON."""
    parser = argparse.ArgumentParser(prog="nlbgen.prove.clients.load", description="Open-loop load on loopback.")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=LoadPlan.rate)
    parser.add_argument("--seconds", type=float, default=LoadPlan.seconds)
    parser.add_argument("--clients", type=int, default=LoadPlan.clients)
    parser.add_argument("--no-verify", dest="verify", action="store_false")
    sys.stdout.write(run_load(LoadPlan(**vars(parser.parse_args(argv)))).to_json() + "\n")


if __name__ == "__main__":
    main()
