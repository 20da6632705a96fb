"""The user's farm on this machine: the real balancer with the rendered configuration, and simulated nodes.

Only addresses, ports, certificates and folders differ from the live configuration; everything is bound to loopback
and ends with the lab.

    with Lab(spec, "haproxy") as lab:
        lab.nodes[0].kill()
        fetch(f"{lab.url}/odata/Jobs", host=lab.host, ca=lab.certificates.ca)
"""

import os
import re
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...generators.base import Generator, Site, generator, render
from ...generators.hosting import Companion, Foreground, StateFile
from ...generators.redis import VARIABLE
from ...generators.relocation import LOOPBACK, CertificateFiles, Ports, relocated
from ...generators.validate import installed
from ...net.answers import received
from ...net.loopback import free_ports
from ...net.waiting import wait_until
from ...spec.load import Spec
from ...spec.model import Farm, RedisHost
from ..clients.load import LoadPlan
from ..nodes.options import NodeOption, NodeOptions
from .certificates import TestCertificates, make_certificates
from .guard import ScratchFolder
from .processes import BalancerProcess, Child, NodeProcess

RUNTIME_SECONDS: Final = 5.0
"""How long a runtime socket may take to answer."""
RUNTIME_BYTES: Final = 64 * 1024 * 1024
"""The longest answer of a runtime socket: the sessions of a large farm."""
STARTS_AT_ONCE: Final = 4
"""Nodes that start at the same time: most of it is Python's own start."""
LOG_FILES: Final = ("access.log", "error.log")
REDIS_LOGIN: Final = "nlbgen-lab"
RELOAD_ATTEMPTS: Final = 3
"""A master may lose a signal while it starts a worker, as HAProxy's does."""


class Lab:
    """One farm: a simulated node for each of its nodes, and the balancer."""

    renders: ClassVar[bool] = True
    """Whether nlbgen renders the configuration, and can render it for a changed farm."""
    rest_seconds: float = 0.0
    """How long the clients wait after a scenario, until the balancer's limits of requests allow all of them again."""
    own_addresses: bool = False
    """Whether each client of a load needs an address of its own."""
    post_path: str = LoadPlan.post_path
    """The path of the POSTs of a load."""

    def __init__(
        self,
        spec: Spec,
        vendor: str,
        *,
        program: str | None = None,
        **node_options: NodeOption,
    ) -> None:
        """`program` is the path of another build than the installed one; the options go to every simulated node."""
        self.generator: Final[Generator] = generator(vendor)
        self.program = program or _installed(self.generator)
        self._node_options = node_options
        self.written = spec
        """The spec as the user wrote it."""
        self._stack = ExitStack()
        self._companion = self._stack.enter_context(ExitStack())
        self.folder = Path()
        self.nodes: list[NodeProcess] = []
        self.redis_hosts: tuple[RedisHost, ...] = ()
        """The hosts of Redis with the lab's addresses, if the farm has Sentinel; the lab does not start them."""

    def __enter__(self) -> Self:
        try:
            self.prepare()
            return self._start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what was started and remove the scratch folder."""
        self._stack.close()

    def prepare(self) -> None:
        """Choose ports, make certificates, write the configuration; starts nothing. `close` releases all of it."""
        # The workers of a balancer that is started as root run as another user and must get in.
        self.folder = Path(self._stack.enter_context(ScratchFolder("nlb-")))
        self.folder.chmod(0o755)
        self.certificates: TestCertificates = make_certificates(self.folder, [*self._names(), "127.0.0.1"])
        # HAProxy before 3.0 looks for the key beside the certificate under this name.
        write_atomically(Path(f"{self.certificates.certificate}.key"), self.certificates.key.read_bytes(), mode=0o600)
        for node in self.live.nodes:
            self.nodes.append(process := self._node(node.name))
            self._stack.push(process)
        self.redis_hosts = self._redis_hosts()
        self._ports = Ports(*self._stack.enter_context(free_ports(len(Ports._fields))))
        self.spec = self.written._replace(farm=self.relocated(self.live))
        self.configuration = self._write()

    def _start(self) -> Self:
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            list(pool.map(NodeProcess.start, self.nodes))
        self.balancer = self._stack.enter_context(self._balancer())
        return self

    def _before_start(self) -> None:
        """Begin without states, as in the systemd drop-in, and with a new companion: the farm may have changed."""
        running = self.foreground
        if running.states is not None:
            self._keep(running.states, running.states.empty)
        if running.companion is not None:
            self._accompany(running.companion)

    def _accompany(self, companion: Companion) -> None:
        if shutil.which(companion.needs) is None:
            raise NlbgenError(f"{companion.needs} is not installed here", f"apt-get install {companion.needs}")
        self._companion.close()
        command = ["/bin/sh", str(self.folder / companion.file), *companion.arguments]
        process = Child(command, self.folder / f"{companion.file}.output")
        process.start()
        self._companion.callback(process.kill)

    def _names(self) -> tuple[str, ...]:
        frontend = self.live.frontend
        return (frontend.host, *frontend.aliases)

    def _node(self, name: str) -> NodeProcess:
        options = NodeOptions(**{**farm_options(self.live), "name": name, **self._node_options})
        if self.live.node_tls:
            options = replace(options, tls_cert=self.certificates.certificate, tls_key=self.certificates.key)
        return NodeProcess(options)

    def relocated(self, farm: Farm) -> Farm:
        """Return the farm with the lab's addresses, ports and certificates."""
        files = CertificateFiles(str(self.certificates.certificate), ca=str(self.certificates.ca))
        nodes = [
            node.replace(address=LOOPBACK, listen_port=process.port)
            for node, process in zip(farm.nodes, self.nodes, strict=True)
        ]
        return relocated(farm, self._ports, files, nodes, self.redis_hosts)

    def _redis_hosts(self) -> tuple[RedisHost, ...]:
        redis = self.live.stores.redis
        if redis is None or redis.sentinel is None:
            return ()
        hosts = redis.sentinel.nodes
        ports = self._stack.enter_context(free_ports(2 * len(hosts)))
        return tuple(
            host.replace(address=LOOPBACK, port=port, sentinel_port=other)
            for host, port, other in zip(hosts, ports[::2], ports[1::2], strict=True)
        )

    def _write(self) -> Path:
        site = Site(str(self.folder), http_port=self._ports.http)
        files = render(self.generator, self.spec, site)
        main = next((file.path for file in files if file.main), None)
        if main is None:
            raise NlbgenError(f"{self.generator.title} has no main file")
        companion = self.generator.foreground(self.folder / main, self.generator.version(self.spec.farm)).companion
        for file in files:
            if file.main or (companion is not None and str(file.path) == companion.file):
                write_atomically(self.folder / file.path, file.content)
        return self.folder / main

    def _balancer(self) -> BalancerProcess:
        running = self.foreground
        states = running.states
        return BalancerProcess(
            [self.program, *running.arguments],
            ports=[self.port],
            reload=signal.Signals[running.reload] if states is None else partial(self._reload_with, states),
            stop=signal.SIGTERM,
            env={**os.environ, **running.environment, VARIABLE: REDIS_LOGIN},
            prepare=self._before_start,
        )

    @property
    def foreground(self) -> Foreground:
        """How the program runs in the lab."""
        return self.generator.foreground(self.configuration, self.generator.version(self.spec.farm))

    def _keep(self, states: StateFile, content: bytes) -> None:
        write_atomically(self.folder / states.path, content)

    def _reload_with(self, states: StateFile, balancer: BalancerProcess) -> None:
        """Reload as the systemd drop-in does: save the nodes' states, then signal the master to start a new worker."""
        self._keep(states, self.runtime(states.save).encode())
        before = self._process_id(states)
        for _attempt in range(RELOAD_ATTEMPTS):
            balancer.signal(signal.Signals[self.foreground.reload])
            if wait_until(lambda: self._process_id(states) not in {"", before}, RUNTIME_SECONDS):
                return
        raise NlbgenError(
            f"{self.generator.title} did not reload: {balancer.output()}", "the output above shows the reason"
        )

    def _process_id(self, states: StateFile) -> str:
        found = re.search(states.process, self.runtime(states.info))
        return found["id"] if found else ""

    def logged(self) -> list[str]:
        """Return the lines of all the balancer's logs since its start."""
        files = (self.folder / name for name in LOG_FILES)
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists()]
        return [line for text in (self.balancer.output(None), *texts) for line in text.splitlines()]

    def runtime(self, command: str) -> str:
        """Return the answer of the program's runtime socket; empty while a new worker takes it over.

        Raises ValueError for a program without one.
        """
        states = self.foreground.states
        if states is None:
            raise ValueError(f"{self.generator.title} has no runtime socket")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(RUNTIME_SECONDS)
            try:
                client.connect(str(self.folder / states.socket))
                client.sendall(command.encode() + b"\n")
                answer = received(client, RUNTIME_SECONDS, RUNTIME_BYTES)
            except (ConnectionError, FileNotFoundError, TimeoutError):
                return ""
        return answer.decode()

    def change(self, farm: Farm) -> None:
        """Write the configuration of a changed farm and reload the balancer, as in a live change."""
        self.spec = self.written._replace(farm=self.relocated(farm))
        self._write()
        self.balancer.reload()

    @property
    def live(self) -> Farm:
        """The farm with its live addresses."""
        return self.written.farm

    @property
    def host(self) -> str:
        """The farm's name."""
        return self.spec.farm.frontend.host

    @property
    def port(self) -> int:
        """The port of the balancer's frontend."""
        return self._ports.frontend

    @property
    def authority(self) -> str:
        """The Host header of the lab's clients."""
        return f"{self.host}:{self.port}"

    @property
    def client_ports(self) -> tuple[str, ...]:
        """The ports that X-Forwarded-Port may have."""
        return (str(self.port),)

    @property
    def metrics_port(self) -> int:
        """The port of the balancer's statistics."""
        return self._ports.metrics

    @property
    def redis_port(self) -> int:
        """The port of the front of Redis."""
        return self._ports.redis

    @property
    def http_port(self) -> int:
        """The port of the redirect to https."""
        return self._ports.http

    @property
    def configurations(self) -> tuple[Path, ...]:
        """The files that the program reads."""
        return (self.configuration,)

    @property
    def listener(self) -> str:
        """What the clients request, as an error names it."""
        return f"the listener of {self.url}"

    @property
    def url(self) -> str:
        """The farm's URL for clients; every client in the lab connects to loopback, not to the resolved name."""
        scheme = "http" if self.spec.farm.frontend.tls.mode == "none" else "https"
        return f"{scheme}://{self.host}:{self.port}"

    def node(self, name: str) -> NodeProcess:
        """Return the simulated node of that name."""
        return next(node for node in self.nodes if node.name == name)


def farm_options(farm: Farm) -> dict[str, Any]:
    """Return the options of a farm's simulated nodes: SignalR generation, health endpoint, SignalR paths."""
    options: dict[str, Any] = {
        "kind": "core" if farm.orchestrator.is_core else "any",
        "health_paths": farm.health_paths,
        "health_status": farm.balancer.health.expect,
    }
    if (base := live_path(farm)) != NodeOptions.signalr_path:
        # A path of the spec may be a hub itself; on a classic farm SignalR 2 answers there.
        own = (base,) if farm.orchestrator.is_core else ()
        options |= {"signalr_path": base, "hub_paths": (*own, f"{base}/core")}
    return options


def live_path(farm: Farm, *names: str) -> str:
    """Return the first SignalR path of the farm (`/signalr` if it is `/`) with `names` appended."""
    base = farm.balancer.signalr.paths[0].rstrip("/") or NodeOptions.signalr_path
    return "/".join([base, *names])


def _installed(vendor: Generator) -> str:
    program = installed(vendor)
    if program is None:
        raise NlbgenError(f"{vendor.program} is not installed here", f"install it: apt-get install {vendor.program}")
    return program.path
