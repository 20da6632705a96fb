"""A farm in the laboratory: the rendered configuration in the real balancer, before stand-in nodes."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlbgen.generators.base import generator
from nlbgen.generators.validate import installed
from nlbgen.net.loops import run
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.simple import Fetched, fetch
from nlbgen.prove.lab.bench import Stage
from nlbgen.prove.lab.lab import Laboratory
from nlbgen.prove.lab.time_scale import edited
from nlbgen.prove.scenarios.base import Figure
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.prove.score.limits import defaults
from nlbgen.prove.score.scorecard import Scored, score
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Version

VENDORS = ("haproxy", "nginx")
PROGRAMS = Path(__file__).parents[2] / ".programs" / "programs.json"
EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"

BASE: dict[str, Any] = {
    "farm": "orchestrator-test",
    "orchestrator": {"version": "2019.4"},
    "frontend": {"host": "orchestrator.corp.example", "address": "10.20.0.10"},
    "nodes": [
        {"name": "orch-1", "address": "10.20.0.11"},
        {"name": "orch-2", "address": "10.20.0.12"},
    ],
    "stores": {"signalr": "redis", "redis": {"host": "redis-1.corp.example", "port": 6379}},
    "accept": [
        "nginx-active-health",
        "nginx-affinity-cookie",
        "nginx-affinity-signalr",
        "nginx-passthrough-health",
        "nginx-queue",
        "nginx-slow-start",
    ],
}


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` laid over it, mappings key by key."""
    if isinstance(base, dict) and isinstance(changes, dict):
        return {**base, **{name: merged(base.get(name), value) for name, value in changes.items()}}
    return changes


def make_spec(changes: dict[str, Any] | None = None) -> Spec:
    return loads(yaml.safe_dump(merged(BASE, changes or {}), sort_keys=False, allow_unicode=True))


def example(changes: dict[str, Any] | None = None) -> Spec:
    """The example farm, its nodes' files apart."""
    farm = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    farm["nodes"] = [{key: value for key, value in node.items() if key != "config"} for node in farm["nodes"]]
    accept = {"accept": [*farm["accept"], "nginx-affinity-signalr", "nginx-passthrough-health"]}
    return loads(yaml.safe_dump(merged(merged(farm, accept), changes or {}), sort_keys=False))


def require(name: str) -> None:
    """Skip where the program is missing; fail where the environment promised it."""
    if installed(generator(name)) is None:
        if os.environ.get("NLBGEN_REQUIRE_PROGRAMS"):
            pytest.fail(f"{name} is not installed, and NLBGEN_REQUIRE_PROGRAMS is set")
        pytest.skip(f"{name} is not installed")


class Farm(Laboratory):
    """A laboratory with what tests do all day."""

    def get(self, path: str = "/odata/Jobs", **options: Any) -> Fetched:
        return fetch(f"{self.url}{path}", ca=self.certificates.ca, timeout=15, **options)

    def hits(self, count: int, path: str = "/odata/Jobs", **options: Any) -> list[str]:
        """Which node answered each of `count` requests."""
        return [self.get(path, **options).header("X-Node") for _ in range(count)]

    def log(self) -> str:
        """What the balancer wrote into its own error log."""
        path = self.folder / "error.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def settled(self) -> "Farm":
        """Wait until the balancer has asked every node once and sends requests to more than a dead one."""
        assert wait_until(lambda: self.get().status == 200, 10), self.balancer.output()
        return self


@pytest.fixture
def farm() -> Iterator[Callable[..., Farm]]:
    """Start a farm: `farm("haproxy", {"balancer": {"affinity": "cookie"}})`; it ends with the test."""
    with ExitStack() as stack:

        def start(vendor: str, changes: dict[str, Any] | None = None, **options: Any) -> Farm:
            if "program" not in options:
                require(vendor)
            return stack.enter_context(Farm(make_spec(changes), vendor, **options)).settled()

        yield start


class Theatre:
    """A laboratory in which scenarios are played, with the configuration as it is or with a fault in it."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.stage = Stage(lab)

    def play(
        self, name: str, fault: Callable[[str], str] | None = None, until: str = "", *, settled: bool = True
    ) -> dict[str, Scored]:
        """Play one scenario, no longer than `until` that figure is there.

        `fault` gets the balancer's configuration and returns the faulty one. Without `settled` nobody waits until the
        faulty one serves, because it does not.
        """
        figures = run(self._play(name, fault, until, settled))
        return {each.name: each for each in score(name, figures, defaults(self.stage.vendor))}

    async def _play(self, name: str, fault: Callable[[str], str] | None, until: str, settled: bool) -> list[Figure]:
        figures: list[Figure] = []
        await self.stage.bring_back()
        async with AsyncExitStack() as stack:
            if fault is not None:
                await stack.enter_async_context(edited(self.stage, _changing(fault), settle=settled))
            async with aclosing(scenarios()[name].play(self.stage)) as play:
                async for figure in play:
                    figures.append(figure)
                    if figure.name == until:
                        break
            if settled:
                await self.stage.bring_back()
        return figures


def _changing(fault: Callable[[str], str]) -> Callable[[str], str]:
    """A fault that is none would let a test pass that proves nothing."""

    def edit(text: str) -> str:
        changed = fault(text)
        assert changed != text, "the fault is not in the configuration"
        return changed

    return edit


@pytest.fixture(scope="module")
def theatre() -> Iterator[Callable[..., Theatre]]:
    """Start a laboratory once for a module: `theatre("nginx", {"balancer": {"affinity": "signalr"}})`."""
    open_ones: dict[str, Theatre] = {}
    with ExitStack() as stack:

        def start(vendor: str, changes: dict[str, Any] | None = None) -> Theatre:
            require(vendor)
            key = json.dumps([vendor, changes])
            if key not in open_ones:
                open_ones[key] = Theatre(stack.enter_context(Laboratory(example(changes), vendor)))
            return open_ones[key]

        yield start


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def other_programs() -> list[dict[str, Any]]:
    """The builds of other versions that `tests/tools/programs.py` fetched."""
    if not PROGRAMS.exists():
        return []
    found = json.loads(PROGRAMS.read_text(encoding="utf-8"))
    return [{"wrapper": wrapper, **about} for wrapper, about in sorted(found.items())]


def tool(name: str) -> str:
    """A tool of the virtual environment or the system."""
    import sys

    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        if os.environ.get("NLBGEN_REQUIRE_PROGRAMS"):
            pytest.fail(f"{name} is not installed, and NLBGEN_REQUIRE_PROGRAMS is set")
        pytest.skip(f"{name} is not installed")
    return path


JS = Path(__file__).parents[1] / "js"


@pytest.fixture(scope="session")
def microsoft() -> Callable[..., dict[str, Any]]:
    """Run one session with Microsoft's own JavaScript clients."""
    import subprocess

    node, npm = tool("node"), tool("npm")
    if not (JS / "node_modules" / ".package-lock.json").exists():
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=JS, check=True, timeout=300, capture_output=True)

    def session(ca: Path, **ask: Any) -> dict[str, Any]:
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

    return session


@pytest.fixture(scope="session")
def backplane() -> Iterator[str]:
    """A Redis that carries SignalR's messages between the nodes: `address:port`."""
    from nlbgen.net.loopback import free_port
    from nlbgen.prove.lab.processes import BalancerProcess

    port = free_port()
    argv = [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with BalancerProcess(argv, ports=[port]):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def run_tool() -> Callable[..., Any]:
    """Run a tool to its end; its output is text."""
    import subprocess

    def run(name: str, *arguments: str) -> Any:
        return subprocess.run(
            [tool(name), *arguments], capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
        )

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`build`: each program of another version at hand that configurations are made for."""
    if "build" not in metafunc.fixturenames:
        return
    found = [
        program
        for program in other_programs()
        if program["program"] in VENDORS and Version(program["version"]) >= generator(program["program"]).oldest
    ]
    metafunc.parametrize("build", found, ids=[str(program["wrapper"]) for program in found])
