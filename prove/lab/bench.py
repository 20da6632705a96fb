"""What a scenario plays on: the real balancer, the stand-in nodes, the load, and the log of what happens.

Everything here is asynchronous; what blocks (a node's control port, a balancer's reload) runs in a thread.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

from ...core.errors import NlbgenError
from ...spec.model import Farm
from ..clients.load import Load, LoadPlan
from ..clients.load_result import LoadResult
from ..clients.simple import Fetched, SocketHolder, SocketPlan, fetch
from .lab import Laboratory
from .processes import NodeProcess

P = ParamSpec("P")
T = TypeVar("T")

SETTLE_SECONDS: Final = 30.0
"""How long a balancer may take to use all nodes again after a scenario."""

Happening = tuple[float, str, Callable[[], object]]
"""Seconds since the load began, what happens, and what makes it happen (blocking)."""


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context that blocks in a thread; a cancellation meanwhile leaves nothing behind."""
    entering = asyncio.create_task(asyncio.to_thread(context.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await asyncio.to_thread(context.__exit__, None, None, None)


@dataclass
class Diary:
    """What happened, when, in words; listeners hear of it at once."""

    entries: list[tuple[float, str]] = field(default_factory=list)
    listeners: list[Callable[[float, str], None]] = field(default_factory=list)
    _start: float = field(default_factory=perf_counter)

    def write(self, text: str) -> None:
        """Note what happens now; may be called from any thread."""
        now = perf_counter() - self._start
        self.entries.append((now, text))
        for listener in self.listeners:
            listener(now, text)


class Stage:
    """One laboratory, and what a scenario can do with it."""

    def __init__(self, lab: Laboratory, diary: Diary | None = None) -> None:
        self.lab: Final = lab
        self.diary: Final = diary or Diary()
        self.real_time = False
        """Whether the user waits as long as it really takes, where a scenario would divide every time-out."""
        self.current: Load | None = None
        """The load that runs now, for whoever watches."""
        self.sockets_held: list[SocketHolder] = []
        """The WebSockets that are held now, for whoever watches."""
        self.inner: Stage | None = None
        """The second laboratory while one is used, for whoever watches."""
        self.runs: list[tuple[str, LoadResult]] = []
        """Every load so far, with what was asked; each request is in it."""

    @property
    def farm(self) -> Farm:
        """The farm as the user wrote it (addresses and ports as they go live)."""
        return self.lab.live

    @property
    def vendor(self) -> str:
        """haproxy or nginx."""
        return self.lab.generator.name

    @property
    def nodes(self) -> list[NodeProcess]:
        """The stand-in nodes, in the order of the spec."""
        return self.lab.nodes

    @property
    def serving(self) -> list[NodeProcess]:
        """The nodes that get new requests while all is well: those whose state is `up`."""
        return [node for node in self.nodes if self._state(node) == "up"]

    def _state(self, node: NodeProcess) -> str:
        return next(one.state for one in self.farm.nodes if one.name == node.name)

    def say(self, text: str) -> None:
        """Tell the user what happens now."""
        self.diary.write(text)

    async def call(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run something that blocks in a thread."""
        return await asyncio.to_thread(work, *arguments, **options)

    async def load(self, happenings: Sequence[Happening] = (), **plan: Any) -> LoadResult:
        """Run an open-loop load through the balancer while things happen; `plan` changes LoadPlan's defaults.

        The defaults are the measurement that balancers are judged by: 200 requests a second for 14 s from 50
        clients, three quarters GET, in an order that chance made once.
        """
        return await self.run(self.plan(**plan), happenings)

    def plan(self, **changes: Any) -> LoadPlan:
        """The load that fits this farm: clients with addresses of their own or with cookies, where those decide.

        Where TLS is passed through, connections are spread and not requests: there each request has its own.
        """
        balancer = self.lab.spec.farm.balancer  # as it runs now: a scenario may have given it another affinity
        hashed = "source" in {balancer.algorithm, balancer.affinity} and sys.platform == "linux"
        usual = {
            "url": self.lab.url,
            "ca": self.lab.certificates.ca,
            "warm_up": True,
            "cookies": balancer.affinity == "cookie",
            "source_addresses": hashed,
            "keep_alive": self.farm.frontend.tls.mode != "passthrough",
        }
        return LoadPlan(**{**usual, **changes})

    async def run(self, plan: LoadPlan, happenings: Sequence[Happening] = ()) -> LoadResult:
        """Run any plan, as one straight to a node."""
        self.current = load = Load(plan)
        try:
            result = await load.run([(when, self._told(text, work)) for when, text, work in happenings])
        finally:
            self.current = None
        self.runs.append((plan.url, result))
        return result

    async def beside(self, main: LoadPlan, other: LoadPlan) -> tuple[LoadResult, LoadResult]:
        """Run two loads at the same time."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.run(plan)) for plan in (main, other)]
        return tasks[0].result(), tasks[1].result()

    def _told(self, text: str, work: Callable[[], object]) -> Callable[[], object]:
        def happen() -> object:
            self.say(text)
            return work()

        return happen

    def posts(self) -> list[list[str]]:
        """For each node the ids of the POSTs that it executed: what LoadResult.duplicates() and lost() take."""
        return [node.posts() for node in self.nodes]

    async def fetch(self, path: str = "/odata/Jobs", **options: Any) -> Fetched:
        """Send one request through the balancer on a connection of its own; options as of clients.fetch."""
        return await self.call(
            lambda: fetch(f"{self.lab.url}{path}", **{"ca": self.lab.certificates.ca, "timeout": 15.0, **options})
        )

    @asynccontextmanager
    async def sockets(self, count: int, *, path: str = "/ws", **plan: Any) -> AsyncIterator[SocketHolder]:
        """Hold WebSockets through the balancer; `echo_every=0.5` makes them console."""
        asked = SocketPlan(**{"url": f"{self.lab.url}{path}", "count": count, "ca": self.lab.certificates.ca, **plan})
        async with in_thread(SocketHolder(asked)) as holder:
            self.sockets_held.append(holder)
            try:
                yield holder
            finally:
                self.sockets_held.remove(holder)

    @asynccontextmanager
    async def another(
        self, change: Callable[[Farm], Farm] | None = None, note: str = "", **node_options: Any
    ) -> AsyncIterator["Stage"]:
        """A second laboratory for a farm that differs (`change`), or whose nodes do (`node_options`, NodeOptions).

        `note` says what differs and why, for the log; put it on the figures as well.
        """
        farm = change(self.farm) if change else self.farm
        lab = Laboratory(self.lab.written._replace(farm=farm), self.vendor, program=self.lab.program, **node_options)
        if note:
            self.say(note)
        async with in_thread(lab):
            stage = Stage(lab, self.diary)
            stage.real_time = self.real_time
            await stage.settled()
            self.inner = stage
            try:
                yield stage
            finally:
                self.inner = None
                self.runs += stage.runs

    async def bring_back(self) -> None:
        """Wake, restart and reset every node, and wait until the balancer uses those that should serve."""
        for node in self.nodes:
            await self.call(_bring_back, node)
        await self.settled()

    async def settled(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until every serving node answers through the balancer; NlbgenError if one does not within `seconds`."""
        wanted = {node.name for node in self.serving} or {node.name for node in self.nodes}
        deadline = perf_counter() + seconds
        missing = wanted
        while missing:
            missing = wanted - await self._seen(4 * len(wanted))
            if missing and perf_counter() > deadline:
                raise NlbgenError(
                    f"{', '.join(sorted(missing))}: no request arrives there within {seconds:g} s",
                    f"what {self.lab.generator.title} says: {self.lab.balancer.output() or 'nothing'}",
                )
            if missing:
                await asyncio.sleep(0.2)

    async def _seen(self, count: int) -> set[str]:
        """The nodes that answer a few requests."""
        plan = self.plan(rate=200.0, seconds=count / 200.0, clients=count, post_share=0.0, cookies=False, warm_up=False)
        return set((await Load(plan).run()).nodes)


def _bring_back(node: NodeProcess) -> None:
    if not node.running:
        node.start()
        return
    node.thaw()
    node.reset()
