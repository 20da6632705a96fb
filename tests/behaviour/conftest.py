"""Labs for the behaviour tests: the rendered configuration in the real balancer, with simulated nodes.

Tests share labs. `farm` returns a lab with fresh nodes' states and a restarted balancer; it starts new processes only
for nodes that no open lab has. `shared_bench` runs scenarios in one lab for each configuration of a module.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
import yaml

from nlbgen.generators.base import generator
from nlbgen.generators.validate import installed
from nlbgen.net.loopback import free_port
from nlbgen.net.loops import run
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.hub_client import SessionPlan, SessionReport
from nlbgen.prove.clients.sessions import session
from nlbgen.prove.clients.simple import Fetched, fetch
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.lab.lab import Lab, farm_options
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.prove.lab.time_scale import edited
from nlbgen.prove.nodes.options import NodeOption
from nlbgen.prove.scenarios.base import Metric
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.score.limits import defaults
from nlbgen.prove.score.scorecard import Scored, score
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Version

from ..tools.npm import NpmError, packages

VENDORS = ("haproxy", "nginx")
PROGRAMS = Path(__file__).parents[2] / ".programs" / "programs.json"
EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
LABS_OPEN = 5
"""How many labs `farm` keeps open in one process; the one that was used longest ago is closed first."""

Changes = Mapping[str, Any]
"""Keys of a spec that differ, as nested mappings."""

BASE: Changes = {
    "farm": "orchestrator-test",
    "orchestrator": {"version": "2019.4"},
    "frontend": {"host": "orchestrator.corp.example", "address": "10.20.0.10"},
    "nodes": [
        {"name": "orch-1", "address": "10.20.0.11"},
        {"name": "orch-2", "address": "10.20.0.12"},
    ],
    "stores": {"signalr": "redis", "redis": {"host": "redis-1.corp.example", "port": 6379}},
    "accept": [
        "core-affinity",
        "nginx-active-health",
        "nginx-affinity-cookie",
        "nginx-affinity-signalr",
        "nginx-passthrough-health",
        "nginx-queue",
        "nginx-slow-start",
    ],
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, mappings key by key."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def make_spec(changes: Changes | None = None) -> Spec:
    return loads(yaml.safe_dump(merged(BASE, changes or {}), sort_keys=False, allow_unicode=True))


def example(changes: Changes | None = None) -> Spec:
    """The example farm without the nodes' files."""
    farm = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    farm["nodes"] = [{key: value for key, value in node.items() if key != "config"} for node in farm["nodes"]]
    accept = {"accept": [*farm["accept"], "nginx-affinity-signalr", "nginx-passthrough-health"]}
    return loads(yaml.safe_dump(merged(merged(farm, accept), changes or {}), sort_keys=False))


def missing(what: str) -> None:
    """Skip the test; fail it where NLBGEN_REQUIRE_PROGRAMS is set."""
    if os.environ.get("NLBGEN_REQUIRE_PROGRAMS"):
        pytest.fail(f"{what}, and NLBGEN_REQUIRE_PROGRAMS is set")
    pytest.skip(what)


def require(name: str) -> None:
    """Skip without the program of a vendor."""
    if installed(generator(name)) is None:
        missing(f"{name} is not installed")


def received_headers(answer: Fetched, name: str) -> list[str]:
    """The values of a request header as the node received it; for answers that mirror the request."""
    return [value for key, value in answer.json()["headers"] if key.lower() == name.lower()]


def run_session(plan: SessionPlan) -> SessionReport:
    """Run one SignalR session (blocking)."""
    return run(session(plan))


class RequestOptions(TypedDict, total=False):
    """What a test changes in a request."""

    method: str
    headers: Mapping[str, str] | Sequence[tuple[str, str]]
    body: bytes
    host: str | None
    verify: bool


class FarmLab(Lab):
    """A lab with the requests that tests need, which can run another farm on the same nodes."""

    def get(self, path: str = "/odata/Jobs", **options: Unpack[RequestOptions]) -> Fetched:
        return fetch(f"{self.url}{path}", ca=self.certificates.ca, timeout=15, **options)

    def hits(self, count: int, path: str = "/odata/Jobs", **options: Unpack[RequestOptions]) -> list[str]:
        """The node that answered each of `count` requests."""
        return [self.get(path, **options).header("X-Node") for _ in range(count)]

    def log(self) -> str:
        """The balancer's own error log."""
        path = self.folder / "error.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def settled(self) -> "FarmLab":
        """Wait until the balancer has checked every node and answers."""
        assert wait_until(lambda: self.get().status == 200, 10), self.balancer.output()
        return self

    def reuse(self, spec: Spec) -> "FarmLab":
        """Run another farm with the same nodes: nodes as after a start, and a new balancer process."""
        self.balancer.stop()
        for node in self.nodes:
            if not node.running or node.condition == "hangs":
                node.restart()
            node.reset()
            node.control.clear()
        (self.folder / "error.log").unlink(missing_ok=True)
        self.written = spec
        self.spec = spec._replace(farm=self.relocated(spec.farm))
        self._write()
        self.balancer = self._stack.enter_context(self._balancer())
        return self


class LabPool:
    """Open labs by what their nodes and certificates are made from."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, FarmLab] = OrderedDict()
        self._busy: list[str] = []

    def take(self, vendor: str, spec: Spec, options: Mapping[str, Any]) -> FarmLab:
        """A lab that runs this farm, not used by this test yet."""
        farm = spec.farm
        names = [farm.frontend.host, *farm.frontend.aliases, *(node.name for node in farm.nodes)]
        made_from = [vendor, names, farm.node_tls, farm_options(farm), dict(options)]
        key = json.dumps(made_from, default=str, sort_keys=True)
        while key in self._busy:
            key += " again"
        self._busy.append(key)
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key].reuse(spec)
        while len(self._open) >= LABS_OPEN and (idle := [one for one in self._open if one not in self._busy]):
            self._open.pop(idle[0]).close()
        lab = FarmLab(spec, vendor, **options)
        lab.__enter__()
        self._open[key] = lab
        return lab

    def release(self) -> None:
        """End of a test: its labs may be used by the next one."""
        self._busy.clear()

    def close(self) -> None:
        for lab in self._open.values():
            lab.close()


@pytest.fixture(scope="session")
def lab_pool() -> Iterator[LabPool]:
    pool = LabPool()
    yield pool
    pool.close()


StartFarm = Callable[..., FarmLab]
"""`farm("haproxy", {"balancer": {"affinity": "cookie"}})`; further options go to the nodes (NodeOptions)."""


@pytest.fixture
def farm(lab_pool: LabPool) -> Iterator[StartFarm]:
    """Start a farm, or reuse the processes of an earlier one."""

    def start(vendor: str, changes: Changes | None = None, **options: NodeOption) -> FarmLab:
        if "program" not in options:
            require(vendor)
        return lab_pool.take(vendor, make_spec(changes), options).settled()

    yield start
    lab_pool.release()


Fault = Callable[[str], str]
"""Takes the balancer's configuration and returns the faulty one."""


class ScenarioRunner:
    """A lab in which scenarios run, with the configuration as it is or with a fault in it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.bench = TestBench(lab)

    def run(self, name: str, fault: Fault | None = None, until: str = "", *, settled: bool = True) -> dict[str, Scored]:
        """Run one scenario, at most until it yields the metric `until`.

        Without `settled` the test does not wait until the faulty configuration serves, because it does not.
        """
        metrics = run(self._run(name, fault, until, settled))
        return {each.name: each for each in score(name, metrics, defaults(self.bench.vendor))}

    def failed(self, name: str) -> list[Scored]:
        """Run one scenario and return the metrics beyond their thresholds."""
        return failed_in(self.run(name))

    async def _run(self, name: str, fault: Fault | None, until: str, settled: bool) -> list[Metric]:
        metrics: list[Metric] = []
        await self.bench.restore()
        async with AsyncExitStack() as stack:
            if fault is not None:
                await stack.enter_async_context(edited(self.bench, _changing(fault), settle=settled))
            async with aclosing(scenarios()[name].run(self.bench)) as running:
                async for metric in running:
                    metrics.append(metric)
                    if metric.name == until:
                        break
            if settled:
                await self.bench.restore()
        return metrics


def _changing(fault: Fault) -> Fault:
    """Assert that the fault changes the configuration: without a fault the test would prove nothing."""

    def edit(text: str) -> str:
        changed = fault(text)
        assert changed != text, "the fault is not in the configuration"
        return changed

    return edit


def failed_in(seen: Mapping[str, Scored]) -> list[Scored]:
    """The metrics beyond their thresholds."""
    return [each for each in seen.values() if each.verdict == "failed"]


def lines_without(text: str, *words: str) -> str:
    """The configuration without the lines that contain one of the words."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


StartBench = Callable[..., ScenarioRunner]
"""`shared_bench("nginx", {"balancer": {"affinity": "signalr"}})`: the example farm with these changes."""


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[StartBench]:
    """Start a lab once for each configuration of a module."""
    runners: dict[str, ScenarioRunner] = {}
    with ExitStack() as stack:

        def start(vendor: str, changes: Changes | None = None) -> ScenarioRunner:
            require(vendor)
            key = json.dumps([vendor, changes])
            if key not in runners:
                runners[key] = ScenarioRunner(stack.enter_context(Lab(example(changes), vendor)))
            return runners[key]

        yield start


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def other_programs() -> list[dict[str, Any]]:
    """The builds of other versions; fails if NLBGEN_REQUIRE_PROGRAMS is set and a program has none."""
    found = fetched_programs()
    absent = {"haproxy", "nginx"} - {build["program"] for build in found}
    if absent and os.environ.get("NLBGEN_REQUIRE_PROGRAMS"):
        names = " and ".join(sorted(absent))
        pytest.fail(f"no builds of {names} in .programs: run tests/tools/programs.py", pytrace=False)
    return found


def fetched_programs() -> list[dict[str, Any]]:
    """The builds of other versions that `tests/tools/programs.py` fetched."""
    found = json.loads(PROGRAMS.read_text(encoding="utf-8")) if PROGRAMS.exists() else {}
    return [{"wrapper": wrapper, **about} for wrapper, about in sorted(found.items())]


def for_build(build: Mapping[str, Any]) -> dict[str, str]:
    """The spec's section of the program for one of these builds."""
    return {"version": build["version"].rpartition(".")[0], "openssl": build["openssl"].rstrip("w")}


def tool(name: str) -> str:
    """A tool of the virtual environment or the system."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        missing(f"{name} is not installed")
    return str(path)


JS = Path(__file__).parents[1] / "js"
RunClient = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def microsoft() -> RunClient:
    """Run one session with Microsoft's own JavaScript clients."""
    node = tool("node")
    try:
        packages(JS)
    except NpmError as error:
        missing(str(error))

    def run_client(ca: Path, **ask: object) -> dict[str, Any]:
        done = subprocess.run(
            [node, "session.js", json.dumps(ask)],
            cwd=JS,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ca)},
        )
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run_client


@pytest.fixture(scope="session")
def backplane() -> Iterator[str]:
    """A Redis that carries SignalR's messages between the nodes: `address:port`."""
    port = free_port()
    argv = [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with BalancerProcess(argv, ports=[port]):
        yield f"127.0.0.1:{port}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`build`: each program of another version that configurations are rendered for.

    With a marker for one vendor, only the builds of this vendor.
    """
    if "build" not in metafunc.fixturenames:
        return
    marked = [vendor for vendor in VENDORS if metafunc.definition.get_closest_marker(vendor)] or VENDORS
    found = [
        program
        for program in other_programs()
        if program["program"] in marked and Version(program["version"]) >= generator(program["program"]).oldest
    ]
    metafunc.parametrize("build", found, ids=[str(program["wrapper"]) for program in found])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share labs in one process (`--dist loadgroup`): those of a module, a vendor or a build.

    `make test` runs the oldest and the newest build; of the others only tests with the marker `every_build`.
    """
    middle = middle_builds()
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        params: Mapping[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
        # Without `.programs` pytest skips these tests, with a mark of its own for the parameter.
        builds = [value["wrapper"] for value in params.values() if isinstance(value, Mapping) and "wrapper" in value]
        if middle.intersection(builds) and not item.get_closest_marker("every_build"):
            item.add_marker(pytest.mark.long)
        if "lan" not in getattr(item, "fixturenames", ()):
            shared = [*builds, params.get("vendor"), params.get("program"), ""]
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {next(filter(None, shared), '')}".strip()))


def middle_builds() -> set[str]:
    """The builds that are neither the oldest nor the newest of their program."""
    found: dict[str, list[tuple[Version, str]]] = {}
    for build in fetched_programs():
        vendor = build["program"]
        if vendor in VENDORS and Version(build["version"]) >= generator(vendor).oldest:
            found.setdefault(vendor, []).append((Version(build["version"]), build["wrapper"]))
    return {wrapper for builds in found.values() for _, wrapper in sorted(builds)[1:-1]}
