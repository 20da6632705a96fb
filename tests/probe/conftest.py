"""A farm of simulated machines in this process; each test enables one fault."""

import asyncio
import json
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
from aiohttp import web

from nlbgen.generators.tls import HSTS_SECONDS
from nlbgen.net.loops import LoopThread
from nlbgen.probe.farm import Options, Through, probe
from nlbgen.probe.findings import Finding, Report
from nlbgen.prove.lab import certificates as testca
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.prove.nodes.node import Node
from nlbgen.prove.nodes.options import NodeOptions
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Duration

HOST = "orchestrator.corp.example"
ALIAS = "old.corp.example"


class Machine(Node):
    """A simulated node or balancer with the faults that the simulated node does not have."""

    def __init__(self, options: NodeOptions) -> None:
        super().__init__(options)
        self.headers: dict[str, str] = {}
        """Headers that are added to each response."""
        self.hangs = False
        self.cuts = ""
        """The connections of requests for this path are closed without a response."""
        self.refused: dict[str, int] = {}
        """The status for requests by a part of their path; `upgrade` is for all WebSocket requests."""
        self.body = b""
        self.seen: list[web.BaseRequest] = []
        self.tls_versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None

    def _tls(self) -> ssl.SSLContext | None:
        context = super()._tls()
        if context is not None and self.tls_versions is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the versions are old: that is the fault
                context.minimum_version, context.maximum_version = self.tls_versions
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        if self.hangs:
            await asyncio.sleep(600)
        if request.path == self.cuts and request.transport is not None:
            request.transport.abort()
        requested = "upgrade" if "upgrade" in request.headers else request.path
        for part, status in self.refused.items():
            if part in requested:
                return web.Response(status=status, body=self.body, headers=self.headers)
        response = await super().handle(request)
        if not response.prepared:
            response.headers.update(self.headers)
        return response


class Plain(Machine):
    """The balancer's port 80."""

    location = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        if not self.location:
            return web.Response(text="some other site")
        return web.Response(status=301, headers={"Location": self.location + request.raw_path})


class ProbeOptions(TypedDict, total=False):
    """The options of a run that a test changes."""

    through: Through
    ca: Path | None
    nodes_ca: Path | None
    balancer: tuple[str, int] | None
    http_port: int
    hubs: tuple[str, ...]
    expires_within: Duration
    timeout: Duration
    ignored: frozenset[str]


class SimulatedFarm:
    """A farm without a fault until a test sets one."""

    host, alias = HOST, ALIAS

    def __init__(self, loop: LoopThread, folder: Path, core: bool) -> None:
        self._loop = loop
        self.folder = folder
        self.core = core
        self.certificates = self.made("good", [HOST, ALIAS])
        self.nodes = [self._machine("orch-1"), self._machine("orch-2")]
        self.balancer = self._machine("balancer")
        self.balancer.headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
        self.plain = Plain(NodeOptions(name="plain"))
        self.changes: dict[str, Any] = {}
        self.options = Options(ca=self.certificates.ca, timeout=Duration.of("40s"), expires_within=Duration.of("3d"))

    def made(self, name: str, names: list[str]) -> TestCertificates:
        """Return a CA of its own, and a certificate for these names."""
        return make_certificates(self.folder / name, names)

    def _machine(self, name: str) -> Machine:
        kind = "core" if self.core else "classic"
        made = self.certificates
        return Machine(NodeOptions(name=name, kind=kind, tls_cert=made.certificate, tls_key=made.key))

    @property
    def machines(self) -> list[Machine]:
        return [*self.nodes, self.balancer, self.plain]

    def start(self) -> None:
        for machine in self.machines:
            self._loop.call(machine.start())
        self.plain.location = self.plain.location or f"https://{HOST}"

    def stop(self) -> None:
        for machine in self.machines:
            self._loop.call(machine.stop())

    def show(self, machine: Machine, certificates: TestCertificates) -> None:
        """Set a machine's certificate; call it before `start`."""
        object.__setattr__(machine.options, "tls_cert", certificates.certificate)
        object.__setattr__(machine.options, "tls_key", certificates.key)

    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "farm": "orchestrator-test",
            "orchestrator": {"version": "2022.10" if self.core else "2019.4"},
            "frontend": {
                "host": HOST,
                "aliases": [ALIAS],
                "address": "127.0.0.1",
                "tls": {"verify_nodes": str(self.certificates.ca)},
            },
            "nodes": [{"name": node.options.name, "address": "127.0.0.1", "port": node.port} for node in self.nodes],
            # On a busy computer a response may take longer than the default of one second.
            "balancer": {"health": {"timeout": "30s"}, **({"affinity": "signalr"} if self.core else {})},
            # No Redis here; its own tests use a real one.
            "stores": {"signalr": "sqlserver", "signalr_keys": "server-port"},
        }
        return merged(data, self.changes)

    def spec(self) -> Spec:
        return loads(json.dumps(self.data()), str(self.folder / "farm.yaml"))

    def run(self, **options: Unpack[ProbeOptions]) -> Report:
        base = self.options._replace(balancer=("127.0.0.1", self.balancer.port), http_port=self.plain.port)
        hubs = ("/signalr/core",) if self.core else ()
        return probe(self.spec(), base._replace(hubs=hubs)._replace(**options))

    def differences(self, **options: Unpack[ProbeOptions]) -> list[tuple[str, str]]:
        """Return the id and machine of each finding of the level `finding`."""
        return [(finding.id, finding.device) for finding in self.of_level("finding", **options)]

    def of_level(self, level: str, **options: Unpack[ProbeOptions]) -> list[Finding]:
        return [finding for finding in self.run(**options).findings if finding.level == level]

    def only(self, id: str, device: str, **options: Unpack[ProbeOptions]) -> Finding:  # noqa: A002
        """Return the only finding of the level `finding`, which must have this id and machine."""
        report = self.run(**options)
        found = [finding for finding in report.findings if finding.level == "finding"]
        assert [(finding.id, finding.device) for finding in found] == [(id, device)], report.text()
        return found[0]

    def note(self, id: str, device: str, **options: Unpack[ProbeOptions]) -> Finding:  # noqa: A002
        """Return the note with this id; there must be no finding of the level `finding`."""
        report = self.run(**options)
        assert report.ok, report.text()
        found = [finding for finding in report.findings if (finding.id, finding.device) == (id, device)]
        assert len(found) == 1, report.text()
        return found[0]


MakeFarm = Callable[..., SimulatedFarm]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, mappings key by key."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


@pytest.fixture
def make_farm(tmp_path: Path) -> Iterator[MakeFarm]:
    """Return a function that makes a simulated farm, which is stopped after the test."""
    with ExitStack() as stack:
        loop = stack.enter_context(LoopThread())

        def make(*, core: bool = False) -> SimulatedFarm:
            farm = SimulatedFarm(loop, tmp_path, core)
            stack.callback(farm.stop)
            return farm

        yield make


@pytest.fixture
def farm(make_farm: MakeFarm) -> SimulatedFarm:
    """A running farm of simulated machines with the classic SignalR."""
    made = make_farm()
    made.start()
    return made


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the validity, in days, of certificates made from here on."""
    return lambda number: monkeypatch.setattr(testca, "DAYS", number)
