"""`nlbgen probe` with the real balancers: the rendered configuration has no finding, a removed directive has one.

The lab runs the farm: the rendered configuration in the real program, in front of simulated nodes.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest

from nlbgen.net.waiting import wait_until
from nlbgen.probe.farm import Options, probe
from nlbgen.probe.findings import Report
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.prove.nodes.options import NodeOptions, to_argv
from nlbgen.spec.units import Duration

from .conftest import FarmLab, StartFarm

STORES = {"stores": {"signalr": "sqlserver", "signalr_keys": "server-port"}}
ALIAS = "old.corp.example"


class ProbeOptions(TypedDict, total=False):
    """The options of a run that a test changes."""

    nodes_ca: Path | None
    timeout: Duration


def ask(lab: FarmLab, **options: Unpack[ProbeOptions]) -> Report:
    base = Options(
        ca=lab.certificates.ca,
        http_port=lab.http_port,
        expires_within=Duration.of("3d"),
        timeout=Duration.of("40s"),
        hubs=("/signalr/core",) if lab.spec.farm.orchestrator.is_core else (),
    )
    return probe(lab.spec, base._replace(**options))


def differences(report: Report) -> list[tuple[str, str]]:
    return [(finding.id, finding.device) for finding in report.findings if finding.level == "finding"]


FARMS: dict[str, dict[str, Any]] = {
    "as the guide": {},
    "cookie": {"balancer": {"affinity": "cookie"}},
    "signalr": {"balancer": {"affinity": "signalr"}},
    "source": {"balancer": {"affinity": "source"}},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "none": {"frontend": {"tls": {"mode": "none"}}},
    "modern": {"frontend": {"tls": {"profile": "modern"}}},
    "no hsts, no redirect": {"frontend": {"redirect_http": False, "tls": {"hsts": False}}},
    "an alias": {"frontend": {"aliases": [ALIAS]}},
    "core": {"orchestrator": {"version": "2022.10"}, "balancer": {"affinity": "signalr"}},
    "core, cookie": {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "cookie"}},
    "core, no affinity": {"orchestrator": {"version": "2022.10"}, "balancer": {"affinity": "none"}},
}


@pytest.mark.parametrize("changes", FARMS.values(), ids=FARMS)
def test_probe_of_the_rendered_configuration_has_no_finding(
    farm: StartFarm, vendor: str, changes: dict[str, Any]
) -> None:
    report = ask(farm(vendor, {**changes, **STORES}))
    assert report.ok, report.text()
    for device in report.devices:
        assert device.facts["signalr"] == "SignalR connects", report.text()
    # On a busy computer a response may take longer than health.timeout.
    expected = {"name-unknown", "name-elsewhere", "version-unknown", "health-slow"}
    assert {finding.id for finding in report.findings} <= expected, report.text()


EDITS: dict[str, dict[str, tuple[str, str]]] = {
    "hsts": {
        "haproxy": ("http-after-response set-header Strict-Transport-Security", "http-after-response set-header X-Odd"),
        "nginx": ("add_header Strict-Transport-Security", "add_header X-Odd"),
    },
    "redirect": {
        "haproxy": ("redirect prefix https://", "redirect prefix https://www."),
        "nginx": ("return 301 https://", "return 301 https://www."),
    },
    "websocket": {
        "haproxy": (
            "http-request del-header Upgrade if upgrade !websocket or upgrade !one_upgrade",
            "http-request del-header Upgrade",
        ),
        "nginx": ('"~*^websocket$" websocket;', '"~*^websocket$" "";'),
    },
    "cookie-attributes": {
        "haproxy": (" httponly secure ", " httponly "),
        "nginx": (" Secure;", ""),
    },
    "tls-old": {
        "haproxy": ("ssl-min-ver TLSv1.3", "ssl-min-ver TLSv1.2"),
        "nginx": ("ssl_protocols TLSv1.3;", "ssl_protocols TLSv1.2 TLSv1.3;"),
    },
}
"""By finding: the text that is replaced in the rendered configuration, and its replacement."""


@pytest.mark.parametrize("id", EDITS)
def test_probe_reports_a_removed_directive(
    farm: StartFarm,
    vendor: str,
    id: str,  # noqa: A002
) -> None:
    changes = {"frontend": {"tls": {"profile": "modern"}}, "balancer": {"affinity": "cookie"}, **STORES}
    lab = farm(vendor, changes)
    assert (before := ask(lab)).ok, before.text()
    old, new = EDITS[id][vendor]
    text = lab.configuration.read_text(encoding="utf-8")
    assert old in text
    lab.configuration.write_text(text.replace(old, new), encoding="utf-8")
    lab.balancer.reload()
    found: set[tuple[str, str]] = set()

    def seen() -> bool:
        """Old workers may respond for a moment."""
        found.update(differences(ask(lab)))
        return bool(found)

    assert wait_until(seen, 10)
    assert found == {(id, "balancer")}


def test_common_name_of_a_node_is_accepted_as_by_the_balancers(
    farm: StartFarm, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe reports it only for the balancer, because browsers reject it."""
    from cryptography import x509

    add = x509.CertificateBuilder.add_extension

    def add_others(
        builder: x509.CertificateBuilder, extension: x509.ExtensionType, critical: bool
    ) -> x509.CertificateBuilder:
        return builder if isinstance(extension, x509.SubjectAlternativeName) else add(builder, extension, critical)

    monkeypatch.setattr(x509.CertificateBuilder, "add_extension", add_others)
    # Options of its own: a lab with these certificates is not shared with other tests.
    lab = farm(vendor, STORES, machine_key="common name")
    report = ask(lab)
    assert differences(report) == [("certificate-name", "balancer")], report.text()


def test_ca_file_without_the_root_is_rejected_as_by_the_balancers(farm: StartFarm, vendor: str) -> None:
    """The probe rejects it too."""
    lab = farm(vendor, STORES)
    begin = "-----BEGIN CERTIFICATE-----"
    between = lab.folder / "between.pem"
    between.write_text(begin + lab.certificates.certificate.read_text(encoding="ascii").split(begin)[2], "ascii")
    between.chmod(0o644)
    text = lab.configuration.read_text(encoding="utf-8")
    assert str(lab.certificates.ca) in text
    lab.configuration.write_text(text.replace(str(lab.certificates.ca), str(between)), encoding="utf-8")
    lab.balancer.reload()
    assert wait_until(lambda: lab.get().status in {502, 503}, 10)
    found = differences(ask(lab, nodes_ca=between))
    assert found == [("health", "balancer"), ("certificate-chain", "orch-1"), ("certificate-chain", "orch-2")]


@pytest.mark.parametrize(
    "fault, id",
    [
        (lambda node: node.control.set(pool_stopped=True), "health"),
        (lambda node: node.kill(), "unreachable"),
        (lambda node: node.freeze(), "tls-handshake"),
    ],
    ids=["pool stopped", "killed", "frozen"],
)
def test_failed_node_is_reported_without_the_balancer(
    farm: StartFarm,
    fault: Callable[[Any], None],
    id: str,  # noqa: A002
) -> None:
    lab = farm("haproxy", STORES)
    fault(lab.nodes[1])
    assert wait_until(lambda: _is_down(lab), 10)
    assert differences(ask(lab, timeout=Duration.of("8s"))) == [(id, "orch-2")]
    if id == "tls-handshake":
        lab.nodes[1].thaw()


def _is_down(lab: FarmLab) -> bool:
    """Return whether HAProxy has marked the second node down (srv_op_state is 0)."""
    lines = [line.split() for line in lab.runtime("show servers state").splitlines()]
    return any(len(line) > 5 and line[3] == "orch-2" and line[5] == "0" for line in lines)


NO_WEBSOCKETS = """
from aiohttp import web
from nlbgen.prove.nodes import node

class NoWebSockets(node.Node):
    async def handle(self, request):
        if "upgrade" in request.headers:
            return web.Response(status=400, headers={"Server": "Microsoft-IIS/10.0"})
        return await super().handle(request)

node.Node = NoWebSockets
node.main()
"""
"""A node whose SignalR offers WebSockets, but IIS lacks the feature WebSocket Protocol."""
ANY_NODE = "from nlbgen.prove.nodes import node; node.main()"


@pytest.mark.parametrize(
    "program, options, id",
    [
        (NO_WEBSOCKETS, {}, "websocket"),
        (ANY_NODE, {"machine_key": "another"}, "signalr-token"),
        (ANY_NODE, {"kind": "core"}, "signalr-negotiate"),
    ],
    ids=["no WebSockets", "another machine key", "another SignalR"],
)
def test_node_different_from_the_other_is_reported(
    farm: StartFarm,
    vendor: str,
    program: str,
    options: dict[str, Any],
    id: str,  # noqa: A002
) -> None:
    lab = farm(vendor, STORES)
    assert (before := ask(lab)).ok, before.text()
    old = lab.nodes[1]
    old.kill()
    made = {"tls_cert": lab.certificates.certificate, "tls_key": lab.certificates.key, **options}
    arguments = to_argv(NodeOptions(name="orch-2", port=old.port, **made))
    with BalancerProcess([sys.executable, "-c", program, *arguments], ports=[old.port]):
        found = differences(ask(lab))
    # Through the balancer the fault is visible when the request goes to this node.
    assert (id, "orch-2") in found
    # NGINX chooses the node of a WebSocket by itself: it may differ from that of the negotiation before it.
    assert set(found) <= {(id, "orch-2"), (id, "balancer"), ("websocket", "balancer")}
