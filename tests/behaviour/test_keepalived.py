"""Two balancers share an address: real keepalived, HAProxy and NGINX on hosts made of network namespaces.

lan: clients and nodes, 10.20.0.100, .11, .12  ---- bridge ---- lb-1: 10.20.0.8
                                                          \\---- lb-2: 10.20.0.9
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest

from nlbgen.generators.base import Site, generator, render
from nlbgen.net.waiting import wait_until
from nlbgen.spec.load import Spec, loads

from .conftest import missing

SHARED = "10.20.0.10"
ADDRESSES = {"lb-1": "10.20.0.8", "lb-2": "10.20.0.9"}
MOVES_WITHIN = 4.0
"""Seconds until the other balancer answers at the shared address: what the documentation promises."""
PATIENCE = 20.0

NODE = """
import http.server
class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), Node).serve_forever()
"""

CLIENT = """
import socket, sys, time
def answered():
    try:
        with socket.create_connection(("10.20.0.10", 80), timeout=0.2) as client:
            client.sendall(b"GET /odata HTTP/1.0\\r\\nHost: orchestrator.corp.example\\r\\n\\r\\n")
            return client.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False
while True:
    print(f"{time.monotonic():.3f} {int(answered())}", flush=True)
    time.sleep(0.05)
"""


def spec_of(changes: dict[str, Any]) -> Spec:
    import yaml

    vip = {
        "address": f"{SHARED}/24",
        "interface": "eth0",
        "balancers": list(ADDRESSES.values()),
        "secret": {"env": "NLBGEN_VRRP"},
        **changes.pop("vip", {}),
    }
    farm = {
        "farm": "shared",
        "orchestrator": {"version": "2019.4"},
        "frontend": {"host": "orchestrator.corp.example", "tls": {"mode": "none"}, "vip": vip, **changes},
        "nodes": [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.12"}],
        "stores": {"signalr": "redis", "redis": {"host": "redis-1.corp.example", "port": 6379}},
    }
    return loads(yaml.safe_dump(farm))


def ip(*args: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(args)}: {done.stderr}"
    return done.stdout


class Host:
    """A network namespace with a loopback address; its processes end with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace = f"nlbgen-{os.getpid()}-{name}"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        ip("netns", "add", self.namespace)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for pid in ip("netns", "pids", self.namespace, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self._started:
            process.wait(10)
        ip("netns", "del", self.namespace, check=False)

    def ip(self, *args: str) -> str:
        return ip("-n", self.namespace, *args)

    def start(self, *command: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        with (output or Path(os.devnull)).open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True, check=False, timeout=30
        )

    def holds(self, address: str) -> bool:
        return f" {address}/" in self.ip("-brief", "address", "show", "dev", "eth0")


class Balancer(Host):
    """A host with the rendered configuration of one vendor and keepalived's."""

    def __init__(self, name: str, vendor: str, spec: Spec, folder: Path) -> None:
        super().__init__(name)
        self.vendor = vendor
        self.folder = folder / name
        self.spec = spec
        self._balancer: subprocess.Popen[bytes] | None = None
        self._keepalived: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        self.folder.mkdir()
        self.folder.chmod(0o755)
        files = render(generator(self.vendor), self.spec, Site(str(self.folder)))
        for file in files:
            path = self.folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        secret = self.folder / "nlbgen-secret.conf"
        secret.touch(mode=0o600)
        secret.write_text("auth_pass s3cretpw\n", encoding="ascii")
        settings = (self.folder / "keepalived" / "90-nlbgen-vip.conf").read_text(encoding="utf-8")
        for line in settings.splitlines():
            if line and not line.startswith("#"):
                self.run("sysctl", "-w", line.replace(" ", ""))

    @property
    def keepalived_conf(self) -> Path:
        return self.folder / "keepalived" / ADDRESSES[self.name] / "keepalived.conf"

    def start_balancer(self) -> None:
        commands = {
            "haproxy": ["haproxy", "-W", "-f", str(self.folder / "haproxy.cfg")],
            "nginx": ["nginx", "-g", "daemon off;", "-c", str(self.folder / "nginx.conf")],
        }
        self._balancer = self.start(*commands[self.vendor], output=self.folder / "balancer.log")

    def kill_balancer(self) -> None:
        """Kill it with its workers."""
        assert self._balancer
        os.killpg(self._balancer.pid, signal.SIGKILL)
        self._balancer.wait()
        for pid in ip("netns", "pids", self.namespace).split():
            name = Path(f"/proc/{pid}/comm")
            if name.exists() and name.read_text(encoding="ascii").strip() == self.vendor:
                os.kill(int(pid), signal.SIGKILL)

    def freeze_balancer(self, number: int = signal.SIGSTOP) -> None:
        for pid in ip("netns", "pids", self.namespace).split():
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == self.vendor:
                os.kill(int(pid), number)

    def start_keepalived(self) -> None:
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        pids = ["-p", str(run / "main.pid"), "-r", str(run / "vrrp.pid"), "-c", str(run / "checkers.pid")]
        options = ["-n", "-l", "-D", "-P", "-f", str(self.keepalived_conf), *pids]
        self._keepalived = self.start("keepalived", *options, output=self.folder / "keepalived.log")

    def ready(self) -> None:
        """Wait until its check of the balancer has passed: only then may it take the address."""
        passed = lambda: "STATE" in self.log().rpartition("FAULT")[2]  # noqa: E731
        assert wait_until(passed, PATIENCE), self.log()

    def stop_keepalived(self) -> None:
        assert self._keepalived
        self._keepalived.send_signal(signal.SIGTERM)
        self._keepalived.wait(10)

    def log(self) -> str:
        logs = (self.folder / name for name in ("balancer.log", "keepalived.log"))
        found = [log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists()]
        return "".join(text[-3000:] for text in found)


class Pair:
    """Both balancers, and the network that sees them."""

    def __init__(self, lan: Host, balancers: list[Balancer], answers: Path) -> None:
        self.lan = lan
        self.balancers = balancers
        self._answers = answers

    def holder(self) -> str:
        """The balancer that has the shared address; empty for none. Fails if both have it."""
        holders = [balancer for balancer in self.balancers if balancer.holds(SHARED)]
        # The balancers are read one after the other: the address may have moved in between.
        both = len(holders) > 1 and holders[0].holds(SHARED)
        assert not both, f"both hold {SHARED}\n{self.logs()}"
        return holders[-1].name if holders else ""

    def settled(self, name: str) -> None:
        """Wait until a balancer has the address and clients are answered."""
        assert wait_until(lambda: self.holder() == name, PATIENCE), self.logs()
        assert wait_until(lambda: self._last()[1], PATIENCE), self.logs()

    def logs(self) -> str:
        return "".join(f"{balancer.name}:\n{balancer.log()}" for balancer in self.balancers)

    def _lines(self) -> list[tuple[float, bool]]:
        text = self._answers.read_text(encoding="ascii").rpartition("\n")[0]
        return [(float(when), answered == "1") for when, answered in (line.split() for line in text.splitlines())]

    def _last(self) -> tuple[float, bool]:
        lines = self._lines()
        return lines[-1] if lines else (0.0, False)

    def downtime(self, event: Callable[[], object], holder: str) -> float:
        """The longest time without a response after an event, until the new holder answers steadily."""
        begin = time.monotonic()
        event()
        assert wait_until(lambda: self.holder() == holder, PATIENCE), self.logs()
        settled = time.monotonic()
        watched = settled + 2
        while time.monotonic() < watched:
            self.holder()
            time.sleep(0.05)
        good = [when for when, answered in self._lines() if answered]
        before = max((when for when in good if when <= begin), default=begin)
        after = [before, *(when for when in good if when > begin)]
        assert after[-1] > settled, "no balancer answers"
        return max(later - sooner for sooner, later in pairwise(after))


StartPair = Callable[..., Pair]
"""`pair("haproxy", address=...)`; keyword arguments are keys of `frontend`."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """Start two balancers that share an address: `pair("haproxy")`; lb-1, the preferred one, has it first."""
    for program in ("keepalived", "ip", "curl", "sysctl"):
        if shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin:/sbin") is None:
            missing(f"{program} is not installed")
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)  # the balancers drop root, and keepalived's check does not run as root
    with ExitStack() as stack:
        yield lambda vendor, nodes=((NODE,),), **changes: start_pair(stack, tmp_path, vendor, spec_of(changes), nodes)


def start_pair(
    stack: ExitStack, folder: Path, vendor: str, spec: Spec, nodes: Sequence[Sequence[str]] = ((NODE,),)
) -> Pair:
    """`nodes`: a script of each process that serves the nodes' addresses, and its arguments."""
    lan = stack.enter_context(Host("lan"))
    lan.ip("link", "add", "eth0", "type", "bridge")
    lan.ip("link", "set", "eth0", "up")
    for address in ("10.20.0.100", "10.20.0.11", "10.20.0.12"):
        lan.ip("address", "add", f"{address}/24", "dev", "eth0")
    balancers = []
    for name, address in ADDRESSES.items():
        balancer = stack.enter_context(Balancer(name, vendor, spec, folder))
        lan.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", balancer.namespace)
        lan.ip("link", "set", name, "master", "eth0", "up")
        balancer.ip("link", "set", "eth0", "up")
        balancer.ip("address", "add", f"{address}/24", "dev", "eth0")
        balancer.prepare()
        balancers.append(balancer)
    answers = folder / "answers.txt"
    answers.touch()
    for script in nodes:
        lan.start(sys.executable, "-c", *script)
    lan.start(sys.executable, "-c", CLIENT, output=answers)
    found = Pair(lan, balancers, answers)
    for balancer in balancers:
        balancer.start_balancer()
        balancer.start_keepalived()
        balancer.ready()
        found.settled("lb-1")
    return found


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
@pytest.mark.parametrize("listen", [SHARED, "*"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_address_moves_from_a_killed_balancer(vendor: str, listen: str, pair: StartPair) -> None:
    farm = pair(vendor, address=listen)
    first, second = farm.balancers
    assert farm.downtime(first.kill_balancer, "lb-2") <= MOVES_WITHIN
    first.start_balancer()
    first.ready()
    time.sleep(4)
    assert farm.holder() == "lb-2", "the balancer that has the address keeps it"
    assert farm.downtime(second.kill_balancer, "lb-1") <= MOVES_WITHIN


@pytest.mark.no_cover  # other tests reach the same lines
def test_address_moves_from_a_hanging_balancer(pair: StartPair) -> None:
    farm = pair("haproxy", address=SHARED)
    assert farm.downtime(farm.balancers[0].freeze_balancer, "lb-2") <= MOVES_WITHIN


@pytest.mark.no_cover  # other tests reach the same lines
def test_address_moves_from_an_isolated_host_and_stays_when_it_returns(pair: StartPair) -> None:
    farm = pair("haproxy", address=SHARED)
    first = farm.balancers[0]
    cut = lambda: farm.lan.ip("link", "set", "lb-1", "down")  # noqa: E731
    assert farm.downtime(cut, "lb-2") <= MOVES_WITHIN
    farm.lan.ip("link", "set", "lb-1", "up")
    first.ready()
    farm.settled("lb-2")


@pytest.mark.no_cover  # other tests reach the same lines
def test_address_moves_fast_when_keepalived_is_stopped(pair: StartPair) -> None:
    """keepalived announces its end, so the other balancer need not wait for a timeout."""
    farm = pair("haproxy", address=SHARED)
    assert farm.downtime(farm.balancers[0].stop_keepalived, "lb-2") <= 3


@pytest.mark.alone  # on a busy machine the lower balancer reads late that it lost the address
def test_address_returns_to_the_preferred_balancer_with_preempt(pair: StartPair) -> None:
    farm = pair("haproxy", address=SHARED, vip={"preempt": True})
    first = farm.balancers[0]
    assert farm.downtime(first.kill_balancer, "lb-2") <= MOVES_WITHIN
    assert farm.downtime(first.start_balancer, "lb-1") <= MOVES_WITHIN


OTHERS = {
    "not by nlbgen": 'server { listen 80; return 200 "Welcome"; }',
    "another farm's": """server { listen 127.0.0.1:8404;
        location = /status { stub_status; } location = /alive/another { return 200; } location / { return 404; } }""",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_address_moves_from_a_balancer_with_another_configuration(pair: StartPair, other: str) -> None:
    farm = pair("nginx", address=SHARED)
    first = farm.balancers[0]

    def misconfigure() -> None:
        first.kill_balancer()
        config = first.folder / "nginx.conf"
        config.write_text(f"pid other.pid; events {{}} http {{ {other} }}", encoding="ascii")
        first.start_balancer()

    assert farm.downtime(misconfigure, "lb-2") <= MOVES_WITHIN


def test_keepalived_accepts_the_file(pair: StartPair, tmp_path: Path) -> None:
    """keepalived 2.2.7 ends its test of a valid file with a signal, so only its output counts."""
    host = pair("haproxy").balancers[0]
    for vip in ({}, {"balancers": ["lb-1", "lb-2"]}, {"preempt": True}):
        keepalived_accepts(vip, host, tmp_path / "candidate.conf")


def keepalived_accepts(vip: dict[str, Any], host: Balancer, path: Path) -> None:
    spec = spec_of({"vip": vip})
    files = [
        file
        for file in render(generator("haproxy"), spec, Site(str(host.folder)))
        if "keepalived.conf" in str(file.path)
    ]
    assert len(files) == 2
    for file in files:
        path.write_bytes(file.content)
        assert host.run("keepalived", "-t", "-f", str(path)).stderr == ""
        path.write_bytes(file.content.replace(b"priority", b"prioritee"))
        assert "Unknown keyword" in host.run("keepalived", "-t", "-f", str(path)).stderr
