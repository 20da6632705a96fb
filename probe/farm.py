"""A whole farm at once: which machines there are, how each is asked, and all of them together.

report = probe(load(Path("farm.yaml")), Options())
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from ..core.errors import NlbgenError
from ..generators.design import Design
from ..net.http1 import AnswerError
from ..net.loops import settle
from ..net.reach import Limits, ReachError, addresses
from ..spec.load import Spec
from ..spec.model import Node, Redis
from ..spec.references import resolve
from ..spec.units import Duration
from . import agreement, redis, signalr, sqlserver, web
from .device import Device, TlsWishes, Where
from .findings import Report

Through = Literal["balancer", "nodes", "both"]
HTTP_PORT: Final = 80


class Options(NamedTuple):
    """What a user can say about a run."""

    through: Through = "both"
    """`nodes` and `both` ask the stores as well, for the nodes stand on them."""
    ca: Path | None = None
    """The CA of the balancer's certificate, and of Redis's; by default what this machine trusts."""
    nodes_ca: Path | None = None
    """The CA of the nodes' certificates, where the spec's path is not on this machine."""
    balancer: tuple[str, int] | None = None
    """Where the balancer is, if not at the spec's address and port."""
    http_port: int = HTTP_PORT
    """Where the balancer redirects from."""
    hubs: tuple[str, ...] = ()
    """The paths of SignalR hubs, where the spec's prefixes are not hubs themselves."""
    expires_within: Duration = Duration.of("30d")
    timeout: Duration = Duration.of("60s")
    """The whole run ends after this."""
    ignored: frozenset[str] = frozenset()
    """Ids of findings that are notes."""


def probe(spec: Spec, options: Options) -> Report:
    """Ask the farm and compare it with its spec. Nothing is changed anywhere.

    Raises FileError for a CA file that cannot be used. Whatever the farm does is in the report.
    """
    with asyncio.Runner() as runner:
        return runner.run(_Probe(spec, options).run())


class _Probe:
    """One run."""

    def __init__(self, spec: Spec, options: Options) -> None:
        self._spec = spec
        self._farm = spec.farm
        self._design = Design(spec.farm)
        self._options = options
        self._limits = Limits.within(options.timeout / 1000)
        self._devices: list[Device] = []
        self._healthy: dict[str, agreement.Met] = {}
        self._live: list[tuple[Device, signalr.Outcome]] = []

    async def run(self) -> Report:
        """All devices at once, then what needs several."""
        ends = time.monotonic() + self._options.timeout / 1000
        try:
            await self._all(ends)
            await self._compare(ends)
        finally:
            await settle()
        findings = [finding for device in self._devices for finding in device.findings]
        report = Report(self._farm.farm, self._options.through, [device.seen() for device in self._devices], findings)
        return report.ignoring(self._options.ignored)

    async def _all(self, ends: float) -> None:
        tasks = {asyncio.create_task(work): device for device, work in self._work()}
        done, late = await asyncio.wait(tasks, timeout=ends - time.monotonic())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        faults = [fault for task in done if (fault := task.exception()) is not None]
        if faults:
            raise faults[0]
        for task, device in tasks.items():
            if task in late:
                device.say("timed-out", device.where.address, f"done within {self._options.timeout}", "not done")

    def _work(self) -> Sequence[tuple[Device, Coroutine[Any, Any, None]]]:
        work: list[tuple[Device, Coroutine[Any, Any, None]]] = []

        def add(device: Device, task: Coroutine[Any, Any, None]) -> None:
            self._devices.append(device)
            work.append((device, task))

        if self._options.through != "nodes":
            add(device := self._balancer_device(), self._ask_balancer(device))
        if self._options.through != "balancer":
            for node in self._farm.nodes:
                add(device := self._node_device(node), self._ask_node(device))
            stores = self._farm.stores
            if stores.signalr == "redis" and stores.redis is not None and stores.redis.host:
                add(device := self._redis_device(stores.redis), self._ask_redis(device, stores.redis))
            if stores.database is not None:
                source = sqlserver.DataSource.of(stores.database.server)
                where = Where(source.host, source.port or sqlserver.BROWSER_PORT, source.host, tls=False)
                add(device := Device("sql", where, self._limits), sqlserver.check(device, source))
        return work

    async def _compare(self, ends: float) -> None:
        nodes = [self._healthy[node.name] for node in self._farm.nodes if node.name in self._healthy]
        for node in nodes:
            agreement.clock_here(node.device, node.clock)
        agreement.clocks(nodes)
        agreement.versions(nodes)
        agreement.hubs(self._live, self._hubs(sticky=True).paths)
        left = ends - time.monotonic()
        if not self._farm.orchestrator.is_core and left > 0:
            tokens = asyncio.create_task(agreement.tokens(nodes))
            await asyncio.wait({tokens}, timeout=left)
            tokens.cancel()
            await asyncio.gather(tokens, return_exceptions=True)

    def _hubs(self, *, sticky: bool) -> signalr.Hubs:
        given = self._options.hubs
        paths = tuple(path.rstrip("/") for path in given or self._farm.balancer.signalr.paths)
        return signalr.Hubs(paths, bool(given), self._farm.orchestrator.is_core, sticky)

    # Nodes

    def _node_device(self, node: Node) -> Device:
        farm = self._farm
        host = farm.frontend.host
        where = Where(node.address, farm.port_of(node), host, farm.node_tls, header=host)
        return Device(node.name, where, self._limits, node.state)

    async def _ask_node(self, device: Device) -> None:
        if device.state == "down":
            await self._ask_down(device)
            return
        if not await device.arrive(self._node_tls()):
            return
        if self._design.passthrough:
            await self._ask_passthrough(device)
        elif device.where.tls:
            self._ca_is_here(device)
        reply = await web.health(device, self._design)
        if reply is None:
            return
        clock = web.clock(device, reply)
        live = await signalr.check(device, self._hubs(sticky=True))
        self._live.append((device, live))
        self._healthy[device.name] = agreement.Met(device, reply, clock, live)

    async def _ask_passthrough(self, device: Device) -> None:
        """Under passthrough the balancer's health checks rely on a CA if the spec names one in words."""
        ca = self._nodes_ca()
        if ca is not None and "verify_nodes" in self._farm.frontend.tls.written and self._ca_is_here(device):
            await device.chains_to(ca, "the health checks")

    def _nodes_ca(self) -> Path | None:
        """The authority that the nodes' certificates are held to: the one that the user gives, or the spec's."""
        verify = self._farm.frontend.tls.verify_nodes
        return self._options.nodes_ca or (Path(verify) if isinstance(verify, str) else None)

    def _is_here(self, ca: Path) -> bool:
        return ca == self._options.nodes_ca or ca.exists()

    def _ca_is_here(self, device: Device) -> bool:
        """Whether a node's chain can be judged on this machine; a node that answers has it said where not."""
        ca = self._nodes_ca()
        if ca is None or self._is_here(ca):
            return True
        device.say("chain-unchecked", "certificate", f"a chain to {ca}", f"{ca} is not on this machine")
        return False

    async def _ask_down(self, device: Device) -> None:
        """Ask a node that should serve nothing whether it could; nobody minds if not."""
        shadow = Device(device.name, device.where, device.limits, device.state)
        healthy = await shadow.arrive(None) and await self._answers(shadow)
        device.reached = shadow.reached
        device.facts["state"] = "healthy" if healthy else "down, as in the spec"
        if healthy:
            device.say("node-answers", f"GET {self._design.health_path}", "down", "healthy")

    async def _answers(self, device: Device) -> bool:
        if device.where.tls:
            device.without_checks()
        try:
            reply = await device.ask(self._design.health_path)
        except AnswerError:
            return False
        return reply.status == self._farm.balancer.health.expect

    def _node_tls(self) -> TlsWishes | None:
        if not self._farm.node_tls:
            return None
        if self._design.passthrough:
            return self._client_tls()
        ca = self._nodes_ca()
        names = () if ca is None else (self._farm.frontend.host,)
        return self._server_tls(names, ca, checked=ca is not None and self._is_here(ca))

    def _server_tls(self, names: Sequence[str], ca: Path | None, *, checked: bool = True) -> TlsWishes:
        """What the farm's own machines rely on when they connect to each other."""
        within = self._options.expires_within
        return TlsWishes(names, ca, checked, modern=False, old_is="note", expires_within=within, by_common_name=True)

    # The balancer

    def _balancer_device(self) -> Device:
        frontend = self._farm.frontend
        host = frontend.host if frontend.address == "*" else frontend.address
        if frontend.vip is not None:
            host = frontend.vip.address.partition("/")[0]
        host, port = self._options.balancer or (host, frontend.port)
        tls = frontend.tls.mode != "none"
        usual = 443 if tls else 80
        header = frontend.host if frontend.port == usual else f"{frontend.host}:{frontend.port}"
        return Device("balancer", Where(host, port, frontend.host, tls, header), self._limits)

    def _client_tls(self) -> TlsWishes:
        """What clients rely on, at the machine that ends their TLS."""
        return TlsWishes(
            self._design.hosts,
            self._options.ca,
            chain_checked=True,
            modern=self._farm.balancer_tls and self._farm.frontend.tls.profile == "modern",
            old_is="finding",
            expires_within=self._options.expires_within,
        )

    async def _ask_balancer(self, device: Device) -> None:
        wishes = self._client_tls() if device.where.tls else None
        _, reached = await asyncio.gather(self._names(device), device.arrive(wishes))
        if not reached:
            return
        await self._redirect(device)
        reply = await web.health(device, self._design)
        if reply is None:
            return
        agreement.clock_here(device, web.clock(device, reply))
        if self._farm.balancer_tls:
            web.hsts(device, self._design, reply)
        if not self._design.passthrough:
            web.affinity_cookie(device, self._design, reply, live=False)
        await self._ask_live(device)

    async def _ask_live(self, device: Device) -> None:
        """SignalR through the balancer, and the cookie on its paths."""
        hubs = self._hubs(sticky=self._design.signalr.affinity != "none")
        self._live.append((device, await signalr.check(device, hubs)))
        affinity = self._farm.balancer.affinity
        if not self._design.passthrough and affinity != "cookie":
            reply = await signalr.first_answer(device, hubs)
            if reply is not None and (reply.status < 500 or reply.cookies()):
                web.affinity_cookie(device, self._design, reply, live=True)

    async def _redirect(self, device: Device) -> None:
        if device.where.tls:
            host = self._farm.frontend.host
            where = Where(device.where.host, self._options.http_port, host, tls=False, header=host)
            plain = Device(device.name, where, self._limits)
            plain.findings = device.findings
            check = web.redirect if self._farm.frontend.redirect_http else web.no_redirect
            await check(plain, self._design)

    async def _names(self, device: Device) -> None:
        """Whether the farm's names lead to the machine that is asked; by a name given for it, nothing can be said."""
        try:
            wanted = set(await addresses(device.where.host, self._limits.connect))
        except ReachError:
            return  # said when it is connected to
        for name in self._design.hosts:
            try:
                found = await addresses(name, self._limits.connect)
            except ReachError as error:
                device.say(error.kind, f"name {name}", "an address", error.found, level="note")
                continue
            if not wanted & set(found):
                device.say("name-elsewhere", f"name {name}", ", ".join(sorted(wanted)), ", ".join(found))

    # Stores

    def _redis_device(self, store: Redis) -> Device:
        host = store.host or ""
        return Device("redis", Where(host, store.port or 6379, host, store.tls), self._limits)

    async def _ask_redis(self, device: Device, store: Redis) -> None:
        wishes = self._server_tls((device.where.name,), self._options.ca)
        if not await device.arrive(wishes if store.tls else None):
            return
        password = None
        if store.password is not None:
            try:
                password = resolve(store.password, Path(self._spec.name).parent)
            except NlbgenError as error:
                device.say("redis-unchecked", "password", "a secret", error.message)
                return
        await redis.check(device, password)
