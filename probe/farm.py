"""The probe of a farm: checks each machine, then compares the machines.

report = probe(load(Path("farm.yaml")), Options())
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ..core import activity
from ..core.errors import NlbgenError
from ..generators.design import Design
from ..net.connect import ConnectError, Limits, resolve
from ..net.loops import settle
from ..spec.load import Spec
from ..spec.model import Node, Redis
from ..spec.references import SecretValue
from ..spec.references import resolve as resolve_secret
from ..spec.strings.endpoints import Endpoint as Server
from ..spec.units import Duration
from . import agreement, health, redis, sentinel, signalr, sqlserver, web
from .findings import Report
from .machine import Endpoint, Machine, TlsPolicy

Through = Literal["balancer", "nodes", "both"]
Check = Coroutine[object, None, None]
HTTP_PORT: Final = 80


class Options(NamedTuple):
    """The options of a run."""

    through: Through = "both"
    """`nodes` and `both` include the stores, because the nodes depend on them."""
    ca: Path | None = None
    """The CA of the balancer's certificate, and of Redis's; default: the CAs that this computer trusts."""
    nodes_ca: Path | None = None
    """The CA of the nodes' certificates, if the spec's path does not exist on this computer."""
    balancer: tuple[str, int] | None = None
    """Address and port of the balancer, if not the spec's."""
    http_port: int = HTTP_PORT
    """The port from which the balancer redirects."""
    hubs: tuple[str, ...] = ()
    """The paths of SignalR hubs, if the spec's prefixes are not hubs themselves."""
    expires_within: Duration = Duration.of("30d")
    timeout: Duration = Duration.of("60s")
    """The time limit of the run."""
    ignored: frozenset[str] = frozenset()
    """Ids of findings to report as notes."""


def probe(spec: Spec, options: Options) -> Report:
    """Compare the running farm with its spec. Nothing is changed.

    All failures of the farm are in the report.

    Raises:
        FileError: A CA file cannot be used.
    """
    with asyncio.Runner() as runner:
        return runner.run(_Probe(spec, options).run())


class _Probe:
    """One run."""

    def __init__(self, spec: Spec, options: Options) -> None:
        self._spec = spec
        self._farm = spec.farm
        self._design = Design(spec.farm)
        self._health = health.Health(self._design, self._details_key())
        self._options = options
        self._limits = Limits.within(options.timeout / 1000)
        self._machines: list[Machine] = []
        self._healthy: dict[str, agreement.HealthyNode] = {}
        self._live: list[tuple[Machine, signalr.Outcome]] = []
        self._hosts: sentinel.Hosts | None = None

    async def run(self) -> Report:
        """Check all machines in parallel, then compare them."""
        ends = time.monotonic() + self._options.timeout / 1000
        try:
            await self._all(ends)
            await self._compare(ends)
        finally:
            await settle()
        findings = [finding for machine in self._machines for finding in machine.findings]
        report = Report(
            self._farm.farm, self._options.through, [machine.summary() for machine in self._machines], findings
        )
        return report.ignoring(self._options.ignored)

    async def _all(self, ends: float) -> None:
        tasks = {asyncio.create_task(check): machine for machine, check in self._checks()}
        done, late = await asyncio.wait(tasks, timeout=ends - time.monotonic())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        errors = [error for task in done if (error := task.exception()) is not None]
        if errors:
            raise errors[0]
        for task, machine in tasks.items():
            if task in late:
                machine.report(
                    "timed-out", machine.endpoint.address, f"finished within {self._options.timeout}", "not finished"
                )

    def _checks(self) -> Sequence[tuple[Machine, Check]]:
        checks: list[tuple[Machine, Check]] = []

        def add(machine: Machine, check: Check) -> None:
            self._machines.append(machine)
            checks.append((machine, check))

        if self._options.through != "nodes":
            add(machine := self._balancer_machine(), self._check_balancer(machine))
        if self._options.through != "balancer":
            for node in self._farm.nodes:
                add(machine := self._node_machine(node), self._check_node(machine))
            stores = self._farm.stores
            if stores.backplane is not None:
                for machine, check in self._redis_checks(stores.backplane):
                    add(machine, check)
            if stores.database is not None:
                source = sqlserver.DataSource.of(stores.database.server)
                endpoint = Endpoint(source.host, source.port or sqlserver.BROWSER_PORT, source.host, tls=False)
                add(machine := Machine("sql", endpoint, self._limits), sqlserver.check(machine, source))
        return checks

    async def _compare(self, ends: float) -> None:
        nodes = [self._healthy[node.name] for node in self._farm.nodes if node.name in self._healthy]
        for node in nodes:
            agreement.local_clock(node.machine, node.clock)
        agreement.clocks(nodes)
        agreement.versions(nodes)
        agreement.hubs(self._live, self._hubs(sticky=True).paths)
        if self._hosts is not None:
            self._hosts.compare()
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

    def _details_key(self) -> SecretValue | None:
        """Return the value of HealthCheck.DetailsKey; None without one: the checks then show no details."""
        key = self._farm.balancer.health.details_key
        if key is None:
            return None
        try:
            return resolve_secret(key, Path(self._spec.name).parent)
        except NlbgenError as error:
            activity.note(f"HealthCheck.DetailsKey is not sent: {error.message}")
            return None

    def _node_machine(self, node: Node) -> Machine:
        farm = self._farm
        host = farm.frontend.host
        endpoint = Endpoint(node.address, farm.port_of(node), host, farm.node_tls, header=host)
        return Machine(node.name, endpoint, self._limits, node.state)

    async def _check_node(self, machine: Machine) -> None:
        if machine.state == "down":
            await self._check_down(machine)
            return
        if not await machine.connect(self._node_tls()):
            return
        if self._design.passthrough:
            await self._check_health_ca(machine)
        elif machine.endpoint.tls:
            self._ca_available(machine)
        response = await self._health.check(machine)
        if response is None:
            return
        clock = web.clock(machine, response)
        live = await signalr.check(machine, self._hubs(sticky=True))
        self._live.append((machine, live))
        self._healthy[machine.name] = agreement.HealthyNode(machine, response, clock, live)

    async def _check_health_ca(self, machine: Machine) -> None:
        """With passthrough, the balancer's health checks verify against the CA if the spec sets `verify_nodes`."""
        ca = self._nodes_ca()
        if ca is not None and "verify_nodes" in self._farm.frontend.tls.written and self._ca_available(machine):
            await machine.chains_to(ca, "the health checks")

    def _nodes_ca(self) -> Path | None:
        """Return the CA that verifies the nodes' certificates: the user's, else the spec's."""
        verify = self._farm.frontend.tls.verify_nodes
        return self._options.nodes_ca or (Path(verify) if isinstance(verify, str) else None)

    def _available(self, ca: Path) -> bool:
        return ca == self._options.nodes_ca or ca.exists()

    def _ca_available(self, machine: Machine) -> bool:
        """Return whether this computer has the CA of the nodes; if not, report it."""
        ca = self._nodes_ca()
        if ca is None or self._available(ca):
            return True
        machine.report("chain-unchecked", "certificate", f"a chain to {ca}", f"{ca} is not on this computer")
        return False

    async def _check_down(self, machine: Machine) -> None:
        """Note that a node is healthy although it is down in the spec; a failure is no finding."""
        trial = Machine(machine.name, machine.endpoint, machine.limits, machine.state)
        healthy = await trial.connect(None) and await self._is_healthy(trial)
        machine.reached = trial.reached
        machine.facts["state"] = "healthy" if healthy else "down, as in the spec"
        if healthy:
            machine.report("node-answers", f"GET {self._design.health_path}", "down", "healthy")

    async def _is_healthy(self, machine: Machine) -> bool:
        if machine.endpoint.tls:
            machine.without_checks()
        return await self._health.answers(machine)

    def _node_tls(self) -> TlsPolicy | None:
        if not self._farm.node_tls:
            return None
        if self._design.passthrough:
            return self._client_tls()
        ca = self._nodes_ca()
        names = () if ca is None else (self._farm.frontend.host,)
        return self._server_tls(names, ca, checked=ca is not None and self._available(ca))

    def _server_tls(self, names: Sequence[str], ca: Path | None, *, checked: bool = True) -> TlsPolicy:
        """Return the policy for connections between machines of the farm."""
        within = self._options.expires_within
        return TlsPolicy(
            names, ca, checked, modern=False, old_version_level="note", expires_within=within, by_common_name=True
        )

    # The balancer

    def _balancer_machine(self) -> Machine:
        frontend = self._farm.frontend
        host = frontend.host if frontend.address == "*" else frontend.address
        if frontend.vip is not None:
            host = frontend.vip.address.partition("/")[0]
        host, port = self._options.balancer or (host, frontend.port)
        tls = frontend.tls.mode != "none"
        usual = 443 if tls else 80
        header = frontend.host if frontend.port == usual else f"{frontend.host}:{frontend.port}"
        return Machine("balancer", Endpoint(host, port, frontend.host, tls, header), self._limits)

    def _client_tls(self) -> TlsPolicy:
        """Return the policy for clients' connections, at the machine that ends their TLS."""
        return TlsPolicy(
            self._design.hosts,
            self._options.ca,
            chain_checked=True,
            modern=self._farm.balancer_tls and self._farm.frontend.tls.profile == "modern",
            old_version_level="finding",
            expires_within=self._options.expires_within,
        )

    async def _check_balancer(self, machine: Machine) -> None:
        policy = self._client_tls() if machine.endpoint.tls else None
        _, reached = await asyncio.gather(self._names(machine), machine.connect(policy))
        if not reached:
            return
        await self._redirect(machine)
        response = await self._health.check(machine)
        if response is None:
            return
        agreement.local_clock(machine, web.clock(machine, response))
        if self._farm.balancer_tls:
            web.hsts(machine, self._design, response)
        if not self._design.passthrough:
            web.affinity_cookie(machine, self._design, response, live=False)
        await self._check_signalr(machine)

    async def _check_signalr(self, machine: Machine) -> None:
        """Check SignalR through the balancer, and the cookie on its paths."""
        hubs = self._hubs(sticky=self._design.signalr.affinity != "none")
        self._live.append((machine, await signalr.check(machine, hubs)))
        affinity = self._farm.affinity
        if not self._design.passthrough and affinity != "cookie":
            response = await signalr.first_response(machine, hubs)
            if response is not None and (response.status < 500 or response.cookies()):
                web.affinity_cookie(machine, self._design, response, live=True)

    async def _redirect(self, machine: Machine) -> None:
        if machine.endpoint.tls:
            host = self._farm.frontend.host
            endpoint = Endpoint(machine.endpoint.host, self._options.http_port, host, tls=False, header=host)
            plain = Machine(machine.name, endpoint, self._limits)
            plain.findings = machine.findings
            check = web.redirect if self._farm.frontend.redirect_http else web.no_redirect
            await check(plain, self._design)

    async def _names(self, machine: Machine) -> None:
        """Check that the farm's names resolve to the balancer's address."""
        try:
            wanted = set(await resolve(machine.endpoint.host, self._limits.connect))
        except ConnectError:
            return  # `connect` reports it
        for name in self._design.hosts:
            try:
                found = await resolve(name, self._limits.connect)
            except ConnectError as error:
                machine.report(error.kind, f"name {name}", "an address", error.found, level="note")
                continue
            if not wanted & set(found):
                machine.report("name-elsewhere", f"name {name}", ", ".join(sorted(wanted)), ", ".join(found))

    # Stores

    def _redis_machine(self, server: Server, store: Redis) -> Machine:
        name = "redis" if len(store.servers) == 1 else f"redis {server}"
        return Machine(name, Endpoint(server.host, server.port, server.host, store.tls), self._limits)

    def _redis_checks(self, store: Redis) -> Iterator[tuple[Machine, Check]]:
        """Yield the servers to which the nodes connect, and the hosts under Sentinel."""
        connect = partial(self._connect_redis, store)
        nodes = sum(node.state != "down" for node in self._farm.nodes)
        addresses = {node.address: node.name for node in self._farm.nodes if node.state != "down"}
        listeners = redis.Listeners(nodes, self._farm.orchestrator.is_core, addresses)
        for server in store.servers if store.asked is None else ():
            machine = self._redis_machine(server, store)
            yield machine, self._check_redis(machine, store, connect, listeners)
        if store.sentinel is not None:
            self._hosts = sentinel.Hosts(store, store.sentinel, self._limits)
            yield from self._hosts.checks(connect, None if store.front else listeners)

    async def _connect_redis(self, store: Redis, machine: Machine) -> sentinel.Access | None:
        policy = self._server_tls((machine.endpoint.name,), self._options.ca)
        if not await machine.connect(policy if store.tls else None):
            return None
        if store.password is None:
            return sentinel.Access(None)
        try:
            return sentinel.Access(resolve_secret(store.password, Path(self._spec.name).parent))
        except NlbgenError as error:
            machine.report("redis-unchecked", "password", "a secret", error.message)
            return None

    async def _check_redis(
        self, machine: Machine, store: Redis, connect: sentinel.Connect, listeners: redis.Listeners
    ) -> None:
        access = await connect(machine)
        if access is not None:
            several = len(store.servers) > 1
            found = await redis.check(machine, access.password, store.user, replicas=several, listeners=listeners)
            if store.sentinel is None and not store.add_on and found.get("role") == "master":
                alone = "the nodes exchange no messages until it runs again"
                machine.facts["failure"] = (
                    f"if this server fails, {'no other server replaces it: ' if several else ''}{alone}"
                )
