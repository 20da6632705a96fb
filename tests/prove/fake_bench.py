"""A test bench without traffic, programs and a clock: its loads have known results."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nlbgen.generators.base import generator
from nlbgen.prove.clients.load import LoadPlan
from nlbgen.prove.clients.load_result import LoadResult, Record
from nlbgen.prove.clients.simple import Fetched
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.scenarios.base import Metric, Scenario
from nlbgen.spec.load import Spec
from nlbgen.spec.model import Farm

if TYPE_CHECKING:
    from nlbgen.prove.lab.bench import TimedEvent
    from nlbgen.prove.lab.lab import Lab

Answer = Callable[[LoadPlan], LoadResult]
MakeBench = Callable[..., "FakeBench"]
CONFIGURATION = "defaults\n    timeout server 2m\n    timeout connect 5s\n    timeout check 1900ms\n"


class FakeNode:
    """A node that records what was done to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = f"http://{name}.example"
        self.done: list[str] = []
        self.executed: list[str] = []
        self.control = SimpleNamespace(requests=lambda _path: [])

    def posts(self) -> list[str]:
        return self.executed

    def set(self, **switches: object) -> None:
        self.done.append(f"set {switches}")

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name not in {"kill", "start", "stop", "restart", "freeze", "thaw", "reset"}:
            raise AttributeError(name)
        return lambda: self.done.append(name)


class FakeBalancer:
    """A balancer that fails to start with a configuration that contains `broken`."""

    def __init__(self, configuration: Path) -> None:
        self.configuration = configuration
        self.ran: list[str] = []
        self.reloads = 0
        self.broken = "-"
        self.pid = 1

    def stop(self) -> None:
        pass

    def reload(self) -> None:
        self.reloads += 1

    def kill(self) -> None:
        self.reloads = 0

    def start(self) -> None:
        text = self.configuration.read_text(encoding="utf-8")
        self.ran.append(text)
        if self.broken in text:
            raise RuntimeError("it exited")


class FakeBench(TestBench):
    """A test bench whose loads return known results, in no time."""

    def __init__(self, spec: Spec, folder: Path, vendor: str = "haproxy") -> None:
        configuration = folder / "running.cfg"
        configuration.write_text(CONFIGURATION, encoding="utf-8")
        self.nodes_: list[FakeNode] = [FakeNode(node.name) for node in spec.farm.nodes]
        self.balancer = FakeBalancer(configuration)
        self.changed: list[Farm] = []
        lab = SimpleNamespace(
            renders=True,
            live=spec.farm,
            spec=spec,
            url="https://farm.example",
            host="farm.example",
            folder=folder,
            program=vendor,
            foreground=generator(vendor).foreground(configuration, generator(vendor).version(spec.farm)),
            node=lambda name: next(node for node in self.nodes_ if node.name == name),
            port=443,
            http_port=80,
            metrics_port=8404,
            certificates=SimpleNamespace(ca=None),
            generator=generator(vendor),
            configuration=configuration,
            configurations=(configuration,),
            post_path=LoadPlan.post_path,
            own_addresses=False,
            balancer=self.balancer,
            nodes=self.nodes_,
            change=self.changed.append,
        )
        super().__init__(cast("Lab", lab))
        self.answer: Answer = lambda plan: loaded(plan, [node.name for node in self.nodes_])
        self.pages: Callable[[str], Fetched] = lambda _path: page()
        self.settles = 0
        self.plans: list[LoadPlan] = []

    async def run(self, plan: LoadPlan, events: "Sequence[TimedEvent]" = ()) -> LoadResult:
        self.plans.append(plan)
        for _when, _text, work in events:
            work()
        return self.answer(plan)

    async def call(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # as the base class
        return work(*arguments, **options)

    async def settled(self, *, first: bool = False) -> None:
        self.settles += 1

    async def fetch(self, path: str = "/odata/Jobs", **options: Any) -> Fetched:  # noqa: ANN401  # as the base class
        del options
        return self.pages(path)

    @asynccontextmanager
    async def another(self, farm: Farm, note: str = "", **_node_options: object) -> AsyncIterator[TestBench]:
        self.changed.append(farm)
        self.log(note)
        yield self

    @asynccontextmanager
    async def sockets(self, count: int, **_options: Any) -> AsyncIterator[Any]:  # noqa: ANN401  # as the base class
        yield SimpleNamespace(reports=[SimpleNamespace(alive=number > 0) for number in range(count)])


def page(status: int = 200, body: bytes = b"", **headers: str) -> Fetched:
    return Fetched(status, [(name.replace("_", "-"), value) for name, value in headers.items()], body, 0.01)


def loaded(plan: LoadPlan, nodes: Sequence[str], **changes: object) -> LoadResult:
    """Ten requests per second that these nodes answer in turn, every fourth one a POST."""
    count = int(plan.seconds * 10)
    made = [
        Record(
            number / 10,
            "POST" if number % 4 == 3 else "GET",
            f"id-{number}",
            0,
            latency=0.01,
            outcome="ok",
            status=200,
            node=nodes[number % len(nodes)],
        )
        for number in range(count)
    ]
    for record in made:
        for name, value in changes.items():
            setattr(record, name, value)
    return LoadResult(made, 10.0, plan.seconds)


def measured(scenario: Scenario, bench: TestBench) -> dict[str, Metric]:
    async def run() -> list[Metric]:
        return [one async for one in scenario.run(bench)]

    return {one.name: one for one in asyncio.run(run())}


def values(found: Mapping[str, Metric]) -> dict[str, float]:
    return {name: one.value for name, one in found.items()}
