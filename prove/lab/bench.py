"""The test bench of a scenario: the real balancer, the simulated nodes, the load, and the timeline of events.

Everything here is asynchronous; blocking work (a node's control port, a balancer's reload) runs in a thread.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

from ...core.errors import NlbgenError
from ...core.wording import shown
from ...net.client import Target, WireError
from ...spec.model import Farm
from ..clients.load import Load, LoadPlan
from ..clients.load_result import LoadResult
from ..clients.simple import Fetched, SocketHolder, SocketPlan, fetch
from ..nodes.options import NodeOption
from .lab import Lab
from .processes import NodeProcess

P = ParamSpec("P")
T = TypeVar("T")

Option = Any
"""The value of a field of LoadPlan, or of an option of `fetch`."""
SETTLE_SECONDS = 60.0
"""How long a balancer may take to use all nodes again after a scenario."""
ANSWER_SECONDS = 5.0
"""How long the balancer may answer all requests itself after its start, before this is an error."""
_SERVER_ERRORS: Final = 500
_TOO_MANY: Final = 429
MOST_CLIENTS: Final = 128
"""The maximum number of clients that look for a node: hashing by address may send a few clients to the same node."""

TimedEvent = tuple[float, str, Callable[[], object]]
"""Seconds since the load began, the text for the timeline, and the blocking call that causes the event."""


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a blocking context in a thread; a cancellation while entering leaves it as well."""
    entering = asyncio.create_task(asyncio.to_thread(context.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await asyncio.to_thread(context.__exit__, None, None, None)


@dataclass
class Timeline:
    """Events in words with their time; listeners are called at once."""

    entries: list[tuple[float, str]] = field(default_factory=list)
    listeners: list[Callable[[float, str], None]] = field(default_factory=list)
    _start: float = field(default_factory=perf_counter)

    def add(self, text: str) -> None:
        """Add an event that happens now; safe from any thread."""
        now = perf_counter() - self._start
        self.entries.append((now, text))
        for listener in self.listeners:
            listener(now, text)


class TestBench:
    """One lab, and what a scenario can do with it."""

    __test__ = False

    def __init__(self, lab: Lab, timeline: Timeline | None = None) -> None:
        self.lab: Final = lab
        self.timeline: Final = timeline or Timeline()
        self.real_time = False
        """Whether scenarios wait for the real timeouts instead of scaled ones."""
        self.quick = False
        """Whether the loads of `--quick` are shorter."""
        self.robots: int | None = None
        """The number of robots of `--robots`."""
        self.current: Load | None = None
        """The load that runs now, for the live view."""
        self.sockets_held: list[SocketHolder] = []
        """The WebSockets that are open now, for the live view."""
        self.inner: TestBench | None = None
        """The second lab while a scenario uses one, for the live view."""
        self.runs: list[tuple[str, LoadResult]] = []
        """The URL and the result of every load so far."""

    @property
    def farm(self) -> Farm:
        """The farm as the user wrote it (live addresses and ports)."""
        return self.lab.live

    @property
    def vendor(self) -> str:
        """The name of the vendor whose program runs."""
        return self.lab.generator.name

    @property
    def nodes(self) -> list[NodeProcess]:
        """The simulated nodes, in the order of the spec."""
        return self.lab.nodes

    @property
    def serving(self) -> list[NodeProcess]:
        """The nodes that get new requests in normal operation: those whose state is `up`."""
        return [node for node in self.nodes if self._state(node) == "up"]

    def _state(self, node: NodeProcess) -> str:
        return next(one.state for one in self.farm.nodes if one.name == node.name)

    def target(self) -> Target:
        """Return the balancer's frontend, for raw connections."""
        return Target.of(self.lab.url, ca=str(self.lab.certificates.ca))

    def log(self, text: str) -> None:
        """Add an event to the timeline, which the user sees."""
        self.timeline.add(text)

    async def call(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a blocking call in a thread."""
        return await asyncio.to_thread(work, *arguments, **options)

    async def load(self, events: Sequence[TimedEvent] = (), **plan: Option) -> LoadResult:
        """Run an open-loop load through the balancer while events happen; `plan` overrides LoadPlan's defaults.

        The default load is the reference measurement: 200 requests/s for 14 s from 50 clients, three quarters GET, in
        a fixed random order.
        """
        return await self.run(self.plan(**plan), events)

    def plan(self, **changes: Option) -> LoadPlan:
        """Return the load that fits this farm: clients with own addresses or cookies where those select the node.

        With TLS passthrough the balancer distributes connections, not requests: each request has a new connection.
        """
        farm = self.lab.spec.farm  # as it runs now: a scenario may have changed the affinity
        by_address = "source" in {farm.balancer.algorithm, farm.affinity} or self.lab.own_addresses
        hashed = by_address and sys.platform == "linux"
        usual = LoadPlan(
            url=self.lab.url,
            ca=self.lab.certificates.ca,
            warm_up=True,
            cookies=farm.affinity == "cookie",
            source_addresses=hashed,
            keep_alive=self.farm.frontend.tls.mode != "passthrough",
            post_path=self.lab.post_path,
        )
        return replace(usual, **changes)

    async def run(self, plan: LoadPlan, events: Sequence[TimedEvent] = ()) -> LoadResult:
        """Run any load, for example one directly to a node."""
        self.current = load = Load(plan)
        try:
            result = await load.run([(when, self._logged(text, work)) for when, text, work in events])
        finally:
            self.current = None
        self.runs.append((plan.url, result))
        return result

    async def beside(self, main: LoadPlan, other: LoadPlan) -> tuple[LoadResult, LoadResult]:
        """Run two loads at the same time."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.run(plan)) for plan in (main, other)]
        return tasks[0].result(), tasks[1].result()

    def _logged(self, text: str, work: Callable[[], object]) -> Callable[[], object]:
        def log_and_work() -> object:
            self.log(text)
            return work()

        return log_and_work

    def posts(self) -> list[list[str]]:
        """Return the ids of the POSTs that each node executed: the input of LoadResult.duplicates() and lost()."""
        return [node.posts() for node in self.nodes]

    async def fetch(self, path: str = "/odata/Jobs", **options: Option) -> Fetched:
        """Send one request through the balancer on a new connection; options as in clients.fetch."""
        return await self.call(
            lambda: fetch(f"{self.lab.url}{path}", **{"ca": self.lab.certificates.ca, "timeout": 15.0, **options})
        )

    @asynccontextmanager
    async def sockets(
        self, count: int, *, path: str = "/ws", echo_every: float | None = None
    ) -> AsyncIterator[SocketHolder]:
        """Hold WebSockets through the balancer; with `echo_every` each sends a message every so many seconds."""
        url, ca = f"{self.lab.url}{path}", self.lab.certificates.ca
        plan = SocketPlan(url=url, count=count, ca=ca, echo_every=echo_every)
        async with in_thread(SocketHolder(plan)) as holder:
            self.sockets_held.append(holder)
            try:
                yield holder
            finally:
                self.sockets_held.remove(holder)

    @asynccontextmanager
    async def another(self, farm: Farm, note: str = "", **node_options: NodeOption) -> AsyncIterator["TestBench"]:
        """Start a second lab for a farm that differs; the options go to every simulated node.

        `note` says what differs and why, for the timeline; the metrics need it as well.
        """
        lab = Lab(self.lab.written._replace(farm=farm), self.vendor, program=self.lab.program, **node_options)
        if note:
            self.log(note)
        async with in_thread(lab):
            bench = TestBench(lab, self.timeline)
            bench.real_time, bench.quick = self.real_time, self.quick
            await bench.settled()
            self.inner = bench
            try:
                yield bench
            finally:
                self.inner = None
                self.runs += bench.runs

    async def restore(self) -> None:
        """Resume, restart and reset every node, and wait until the balancer uses all serving nodes."""
        for node in self.nodes:
            await self.call(_restore, node)
        await self.settled()

    async def settled(self, *, first: bool = False) -> None:
        """Wait until every serving node answers through the balancer; NlbgenError after SETTLE_SECONDS.

        The `first` time, it is an error already after ANSWER_SECONDS if the balancer itself answers all requests, and
        not with an error of a server (5xx): then it will never send them to a node.
        """
        wanted = {node.name for node in self.serving} or {node.name for node in self.nodes}
        begun = perf_counter()
        missing, clients = wanted, 4 * len(wanted)
        while missing:
            asked = await self._asked(clients)
            missing = wanted - set(asked.nodes)
            clients = min(2 * clients, MOST_CLIENTS)
            most = ANSWER_SECONDS if first and _is_final(asked) else SETTLE_SECONDS
            if missing and perf_counter() > begun + most:
                where = f"{', '.join(sorted(missing))}: no request arrives there within {most:g} s"
                raise NlbgenError(where, await self._explained(asked))
            if missing:
                await asyncio.sleep(0.2)

    async def _asked(self, count: int) -> LoadResult:
        """Send one request from each of `count` clients."""
        plan = self.plan(rate=200.0, seconds=count / 200.0, clients=count, post_share=0.0, cookies=False, warm_up=False)
        return await Load(plan).run()

    async def _explained(self, asked: LoadResult) -> str:
        """What a client requested, what was answered, and the output of the program."""
        what = f"{self.lab.listener}: GET {self.lab.url}{LoadPlan.get_path}"
        try:
            answer = await self.fetch()
        except (OSError, WireError) as fault:
            answered = f"is not answered ({type(fault).__name__})"
        else:
            answered = _described(answer)
        others = (
            f"; {', '.join(sorted(asked.nodes))} answered {sum(asked.nodes.values())} requests" if asked.nodes else ""
        )
        output = self.lab.balancer.output() or "none"
        return f"{what} {answered}{others}\noutput of {self.lab.generator.title}: {output}"


def _is_final(asked: LoadResult) -> bool:
    """Whether the balancer itself answers all requests, with a redirect, a page or a refusal that is no limit."""
    return not asked.nodes and all(0 < one.status < _SERVER_ERRORS and one.status != _TOO_MANY for one in asked.records)


def _described(answer: Fetched) -> str:
    """The status of an answer, who gave it, and where it redirects to."""
    node = answer.header("X-Node")
    by = f"by {node}" if node else "by the balancer itself"
    location = f", Location: {shown(answer.header('Location'))}" if answer.header("Location") else ""
    return f"is answered {by} with status {answer.status}{location}"


def _restore(node: NodeProcess) -> None:
    if not node.running:
        node.start()
        return
    node.thaw()
    node.reset()
