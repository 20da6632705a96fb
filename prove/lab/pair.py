"""Balancers that share `frontend.vip` by keepalived, with simulated nodes, on hosts made of network namespaces.

    lan: nodes and robots, each with its own address ---- bridge ---- first balancer
                                                                 \\--- second balancer

Inside, all addresses and ports are those of the spec; only certificates and folders differ. Each balancer runs what
`nlbgen render` writes for it: its configuration, keepalived.conf and sysctl settings.
"""

import ipaddress
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...generators.base import Generator, Site, generator, render
from ...generators.keepalived import SECRET, folder_of
from ...generators.redis import VARIABLE
from ...net.loopback import own_network
from ...net.waiting import wait_until
from ...spec.load import Spec
from ...spec.model import Farm, Vip
from ..nodes.options import NodeOptions, to_argv
from .certificates import TestCertificates, make_certificates
from .guard import ScratchFolder
from .lab import REDIS_LOGIN, farm_options
from .namespaces import Host, unavailable
from .processes import Child

ROBOTS: Final = "198.18"
"""The network of the robots: 198.18.0.0/15 is for tests of networks (RFC 2544)."""
GATEWAY: Final = f"{ROBOTS}.255.254"
BRIDGE: Final = "lan"
READY_SECONDS: Final = 20.0
CONTROL_PORT: Final = 19_999


def unsupported(farm: Farm) -> str:
    """Return why the pair of this farm cannot run on this machine; empty if it can."""
    vip = farm.frontend.vip
    if vip is None:
        return "the spec has no frontend.vip"
    addresses = [str(ipaddress.ip_interface(vip.address).ip), *vip.balancers, *(node.address for node in farm.nodes)]
    for address in addresses:
        if not _is_ipv4(address):
            return f"{address} is not an IPv4 address: the lab's network has only IPv4 addresses and no name server"
    return unavailable("keepalived", "curl")


def _is_ipv4(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 4
    except ValueError:
        return False


class PairedBalancer(Host):
    """The host of one balancer: the vendor's program and keepalived."""

    def __init__(self, address: str, vip: Vip, folder: Path) -> None:
        super().__init__(address, folder)
        self.address: Final = address
        self._vip: Final = vip
        self._balancer: Child | None = None
        self._keepalived: Child | None = None

    @property
    def group(self) -> int:
        """The process group of the balancer."""
        return self._running.pid

    @property
    def _running(self) -> Child:
        if self._balancer is None:
            raise NlbgenError(f"{self.name}: the balancer is not running")
        return self._balancer

    @property
    def holds_address(self) -> bool:
        """Whether this host has the shared address."""
        shared = ipaddress.ip_interface(self._vip.address).ip
        return f" {shared}/" in self.run("ip", "-brief", "address", "show", "dev", self._vip.interface)

    def install(self, vendor: Generator, spec: Spec) -> None:
        """Write the rendered files, and start the balancer and keepalived."""
        main = self._write(vendor, spec)
        running = vendor.foreground(main, vendor.version(spec.farm))
        if running.states is not None:
            write_atomically(self.folder / running.states.path, running.states.empty)
        environment = {**running.environment, VARIABLE: REDIS_LOGIN}
        words = ["env", *(f"{name}={value}" for name, value in environment.items()), vendor.program, *running.arguments]
        self._balancer = self.start("balancer", words)
        pids = [
            f"{option}={self.folder / name}" for option, name in (("--pid", "main.pid"), ("--vrrp_pid", "vrrp.pid"))
        ]
        conf = self.folder / "keepalived" / folder_of(self.address) / "keepalived.conf"
        # In the foreground, with details in its output, and only VRRP.
        words = ["keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", f"--use-file={conf}", *pids]
        self._keepalived = self.start("keepalived", words)

    def _write(self, vendor: Generator, spec: Spec) -> Path:
        main = None
        for file in render(vendor, spec, Site(str(self.folder))):
            path = self.folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, file.content)
            main = path if file.main else main
        if main is None:
            raise NlbgenError(f"{vendor.title} has no main file")
        write_atomically(self.folder / SECRET, b"auth_pass nlbgen\n", mode=0o600)
        settings = (self.folder / "keepalived" / "90-nlbgen-vip.conf").read_text(encoding="utf-8").splitlines()
        for line in settings:
            if line and not line.startswith("#"):
                self.run("sysctl", "-w", line.replace(" ", ""))
        return main

    def is_ready(self) -> bool:
        """Whether keepalived's check of the balancer has passed: only then may it take the address."""
        log = "" if self._keepalived is None else self._keepalived.output(1 << 20)
        return "STATE" in log.rpartition("FAULT")[2]

    def kill(self) -> None:
        """Kill the balancer with its workers; keepalived runs on."""
        self._running.kill()

    def log(self) -> str:
        """Return the last output of both programs."""
        started = filter(None, (self._balancer, self._keepalived))
        return "".join(child.output(2000) for child in started)


class Pair:
    """The balancers of a farm with `frontend.vip`, its nodes, and the network between them."""

    def __init__(self, spec: Spec, vendor: str) -> None:
        vip = spec.farm.frontend.vip
        if vip is None:
            raise ValueError("the spec has no frontend.vip")
        self._vip: Final = vip
        self._vendor: Final = generator(vendor)
        self._written: Final = spec
        self._stack: Final = ExitStack()
        self.nodes: list[Child] = []
        self.balancers: list[PairedBalancer] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def shared(self) -> str:
        """The shared address."""
        return str(ipaddress.ip_interface(self._vip.address).ip)

    @property
    def holder(self) -> PairedBalancer:
        """The balancer that has the shared address. Raises NlbgenError if none has it."""
        for balancer in self.balancers:
            if balancer.holds_address:
                return balancer
        raise NlbgenError(f"no balancer has {self.shared}: {self.log()}")

    def moved_from(self, balancer: PairedBalancer) -> bool:
        """Wait until another balancer has the shared address; False if none takes it."""
        others = [one for one in self.balancers if one is not balancer]
        return wait_until(lambda: any(one.holds_address for one in others), READY_SECONDS)

    def log(self) -> str:
        """Return the last output of the balancers and keepalived."""
        return "\n".join(f"{balancer.name}: {balancer.log()}" for balancer in self.balancers)

    def start_robots(self, words: Sequence[str]) -> Child:
        """Start a Python module in the network of the robots."""
        return self._lan.start("robots", [sys.executable, "-m", *words])

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(ScratchFolder("nlb-pair-")))
        folder.chmod(0o755)
        farm = self._written.farm
        names = (farm.frontend.host, *farm.frontend.aliases)
        self.certificates = make_certificates(folder, names)
        spec = self._written._replace(farm=_with(farm, self.certificates))
        write_atomically(Path(f"{self.certificates.certificate}.key"), self.certificates.key.read_bytes(), mode=0o600)
        self._lan = self._stack.enter_context(Host("lan", folder))
        self._network(farm)
        for number, address in enumerate(self._vip.balancers):
            balancer = self._stack.enter_context(PairedBalancer(address, self._vip, folder))
            self._connect(balancer, f"lb{number}")
            self.balancers.append(balancer)
        for node in farm.nodes:
            self.nodes.append(self._node(farm, node.name))
        for balancer in self.balancers:
            balancer.install(self._vendor, spec)
        if not wait_until(lambda: all(balancer.is_ready() for balancer in self.balancers), READY_SECONDS):
            raise NlbgenError(f"keepalived does not start: {self.log()}")
        if not wait_until(lambda: any(balancer.holds_address for balancer in self.balancers), READY_SECONDS):
            raise NlbgenError(f"no balancer has {self.shared}: {self.log()}")

    def _network(self, farm: Farm) -> None:
        lan = self._lan
        lan.run("ip", "link", "add", BRIDGE, "type", "bridge")
        lan.run("ip", "link", "set", BRIDGE, "up")
        for address in (GATEWAY, *dict.fromkeys(node.address for node in farm.nodes)):
            lan.run("ip", "address", "add", f"{address}/32", "dev", BRIDGE)
        # Every robot has an address of its own, without an entry for each.
        lan.run("ip", "route", "add", "local", f"{ROBOTS}.0.0/16", "dev", "lo")
        lan.run("ip", "route", "add", "default", "dev", BRIDGE)

    def _connect(self, balancer: PairedBalancer, port: str) -> None:
        """Connect a host to the bridge; all addresses are its neighbours, and the robots are behind one of them."""
        interface = self._vip.interface
        prefix = ipaddress.ip_interface(self._vip.address).network.prefixlen
        lan, pid = self._lan, str(balancer.pid)
        lan.run("ip", "link", "add", port, "type", "veth", "peer", "name", interface, "netns", pid)
        lan.run("ip", "link", "set", port, "master", BRIDGE, "up")
        balancer.run("ip", "link", "set", interface, "up")
        balancer.run("ip", "address", "add", f"{balancer.address}/{prefix}", "dev", interface)
        balancer.run("ip", "route", "add", "default", "dev", interface)
        balancer.run("ip", "route", "add", f"{ROBOTS}.0.0/16", "via", GATEWAY, "dev", interface, "onlink")

    def _node(self, farm: Farm, name: str) -> Child:
        node = next(one for one in farm.nodes if one.name == name)
        address = {"host": node.address, "port": farm.port_of(node), "outside": own_network()}
        options = NodeOptions(**{**farm_options(farm), **address}, name=name, control_port=CONTROL_PORT)
        if farm.node_tls:
            options = replace(options, tls_cert=self.certificates.certificate, tls_key=self.certificates.key)
        words = [sys.executable, "-m", "nlbgen.prove.nodes.node", *to_argv(options)]
        child = self._lan.start(name, words)
        if not wait_until(lambda: _is_ready(child) or not child.running, READY_SECONDS) or not child.running:
            raise NlbgenError(f"the simulated node {name} does not start: {child.output()}")
        return child


def _is_ready(node: Child) -> bool:
    lines = node.output(1 << 20).splitlines()
    return any(line.startswith("{") and "port" in json.loads(line) for line in lines)


def _with(farm: Farm, files: TestCertificates) -> Farm:
    """Return the farm with the lab's certificates."""
    tls = farm.frontend.tls
    verify = tls.verify_nodes if tls.verify_nodes is False else str(files.ca)
    tls = tls.replace(certificate=str(files.certificate), key=f"{files.certificate}.key", verify_nodes=verify)
    farm = farm.replace(frontend=farm.frontend.replace(tls=tls))
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None:
        return farm
    sentinel = redis.sentinel.replace(
        certificate=str(files.certificate), key=f"{files.certificate}.key", ca=str(files.ca)
    )
    return farm.replace(stores=farm.stores.replace(redis=redis.replace(sentinel=sentinel)))
