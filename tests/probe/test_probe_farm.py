"""Each fault of a machine gives its finding and no other; a farm without a fault gives none."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core import activity
from nlbgen.net.connect import Limits
from nlbgen.net.loopback import free_port

if TYPE_CHECKING:
    from nlbgen.probe.farm import Through
    from tests.probe.conftest import MakeFarm, SimulatedFarm


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
def test_farm_without_a_fault_has_no_finding(make_farm: "MakeFarm", core: bool) -> None:
    farm = make_farm(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    report = farm.run()
    assert report.ok, report.text()
    assert report.reached
    assert [device.device for device in report.devices] == ["balancer", "orch-1", "orch-2"]
    for device in report.devices:
        assert device.reached
        assert device.facts["signalr"] == "SignalR connects"
        assert device.facts["tls"] == "TLS 1.3"
    assert {finding.id for finding in report.findings} == {"name-unknown", "version-unknown"}


def test_requests_are_get_and_have_the_user_agent_of_the_probe(farm: "SimulatedFarm") -> None:
    assert farm.run().ok
    requests = [request for machine in farm.machines for request in machine.seen]
    assert {request.headers["User-Agent"].partition("/")[0] for request in requests} == {"nlbgen-probe"}
    assert {request.method for request in requests} == {"GET"}
    assert {request.headers["Host"] for node in farm.nodes for request in node.seen} == {farm.host}


def test_core_negotiates_by_post_without_a_body(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    assert farm.run().ok
    posts = [request for machine in farm.machines for request in machine.seen if request.method != "GET"]
    assert {(request.method, request.path) for request in posts} == {("POST", "/signalr/core/negotiate")}
    assert all(not request.body_exists for request in posts)


@pytest.mark.parametrize("through, asked", [("nodes", {"orch-1", "orch-2"}), ("balancer", {"balancer"})])
def test_through_limits_the_checked_machines(farm: "SimulatedFarm", through: "Through", asked: set[str]) -> None:
    report = farm.run(through=through)
    assert report.ok
    assert {device.device for device in report.devices} == asked
    assert {machine.options.name for machine in farm.machines if machine.seen} - {"plain"} == asked


# Connections


def test_node_refusing_connections_is_unreachable(farm: "SimulatedFarm") -> None:
    nodes = farm.data()["nodes"]
    nodes[1]["port"] = free_port()
    farm.changes = {"nodes": nodes}
    assert "refused" in farm.only("unreachable", "orch-2").found


def test_node_with_an_unknown_name_is_reported(farm: "SimulatedFarm") -> None:
    farm.changes = {"nodes": [{**farm.data()["nodes"][0]}, {"name": "orch-2", "address": "orch-2.invalid"}]}
    farm.only("name-unknown", "orch-2")


def test_hung_node_fails_the_health_check(farm: "SimulatedFarm") -> None:
    farm.nodes[1].hangs = True
    assert "no response within 3 s" in farm.only("health", "orch-2", timeout=farm.options.timeout.of("6s")).found


def test_machine_without_a_tls_response_is_reported(farm: "SimulatedFarm") -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        nodes = farm.data()["nodes"]
        nodes[1]["port"] = silent.getsockname()[1]
        farm.changes = {"nodes": nodes}
        found = farm.only("tls-handshake", "orch-2", timeout=farm.options.timeout.of("6s")).found
    assert found == "no handshake within 1.5 s"


def test_run_ends_at_its_time_limit(farm: "SimulatedFarm") -> None:
    for machine in farm.machines:
        machine.hangs = True
    begun = time.monotonic()
    assert not farm.run(timeout=farm.options.timeout.of("2s")).ok
    assert time.monotonic() - begun < 30  # the machines would respond after ten minutes


def test_unfinished_check_is_reported_as_timed_out(farm: "SimulatedFarm", monkeypatch: pytest.MonkeyPatch) -> None:
    farm.nodes[0].hangs = True
    patient = Limits(connect=60, answer=60)
    monkeypatch.setattr(Limits, "within", lambda _seconds: patient)
    farm.only("timed-out", "orch-1", timeout=farm.options.timeout.of("2s"))


def test_stopped_balancer_is_unreachable(farm: "SimulatedFarm") -> None:
    farm.only("unreachable", "balancer", balancer=("127.0.0.1", free_port()))


def test_farm_without_a_reachable_machine_is_not_reached(farm: "SimulatedFarm") -> None:
    nodes = [{**node, "port": free_port()} for node in farm.data()["nodes"]]
    farm.changes = {"nodes": nodes}
    report = farm.run(balancer=("127.0.0.1", free_port()))
    assert not report.reached
    assert not report.ok


def test_farm_name_resolving_to_another_address_is_a_note(
    farm: "SimulatedFarm", monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolved(host: str, _seconds: float) -> tuple[str, ...]:
        return ("127.0.0.1",) if host in {"127.0.0.1", farm.alias} else ("203.0.113.7",)

    monkeypatch.setattr("nlbgen.probe.farm.resolve", resolved)
    found = farm.note("name-elsewhere", "balancer")
    assert (found.object, found.expected, found.found) == (f"name {farm.host}", "127.0.0.1", "203.0.113.7")


# TLS


def test_node_certificate_of_another_ca_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.show(farm.nodes[1], farm.made("other", [farm.host]))
    farm.start()
    assert str(farm.certificates.ca) in farm.only("certificate-chain", "orch-2").expected


def test_node_without_the_intermediate_certificate_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    chain = farm.certificates.certificate.read_text(encoding="ascii")
    leaf, end, rest = chain.partition("-----END CERTIFICATE-----\n")
    assert "BEGIN CERTIFICATE" in rest
    leaf_file = farm.folder / "leaf.pem"
    leaf_file.write_text(leaf + end, encoding="ascii")
    farm.show(farm.nodes[1], replace(farm.certificates, certificate=leaf_file))
    farm.start()
    assert "intermediate" in farm.only("certificate-chain", "orch-2").advice


def test_balancer_certificate_of_another_ca_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.show(farm.balancer, farm.made("other", [farm.host, farm.alias]))
    farm.start()
    assert farm.host in farm.only("certificate-chain", "balancer").object


def test_balancer_without_ca_option_is_verified_by_the_trusted_cas(farm: "SimulatedFarm") -> None:
    assert "this computer trusts" in farm.only("certificate-chain", "balancer", ca=None).expected


def test_node_certificate_with_another_name_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    other = farm.made("other", ["orch-2.corp.example"])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], other)
    farm.start()
    found = farm.only("certificate-name", "orch-2", nodes_ca=other.ca)
    assert found.found == "orch-2.corp.example"
    assert farm.host in found.expected


def test_balancer_certificate_without_the_alias_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    other = farm.made("other", [farm.host])
    farm.show(farm.balancer, other)
    farm.start()
    assert farm.alias in farm.only("certificate-name", "balancer", ca=other.ca).object


def test_wildcard_certificate_matches_one_label(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    other = farm.made("other", ["*.corp.example"])
    farm.show(farm.balancer, other)
    farm.start()
    assert farm.run(ca=other.ca).ok
    farm.changes = {"frontend": {"aliases": ["deep.old.corp.example"]}}
    farm.only("certificate-name", "balancer", ca=other.ca)


def test_expired_certificate_is_reported_once(make_farm: "MakeFarm", days: Callable[[float], None]) -> None:
    farm = make_farm()
    days(-0.02)
    old = farm.made("old", [farm.host, farm.alias])
    farm.show(farm.balancer, old)
    farm.start()
    # The CA has the same validity: it has expired too, and is not reported in addition.
    farm.only("certificate-expired", "balancer", ca=old.ca)


def test_certificate_expiring_soon_is_reported(make_farm: "MakeFarm", days: Callable[[float], None]) -> None:
    farm = make_farm()
    days(2)
    soon = farm.made("soon", [farm.host])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], soon)
    farm.start()
    farm.only("certificate-expires", "orch-2", nodes_ca=soon.ca)
    assert farm.run(nodes_ca=soon.ca, expires_within=farm.options.timeout.of("1d")).ok


def test_node_with_only_old_tls_is_reported_with_the_version(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.nodes[1].tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    farm.start()
    assert "it accepts TLS 1.1" in farm.only("tls-handshake", "orch-2").found


def test_balancer_accepting_old_tls_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3)
    farm.start()
    assert farm.only("tls-old", "balancer").found == "accepts TLS 1.1"


def test_node_accepting_old_tls_is_a_note(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.nodes[0].tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3)
    farm.start()
    farm.note("tls-old", "orch-1")


def test_modern_profile_reports_tls_1_2(farm: "SimulatedFarm") -> None:
    farm.changes = {"frontend": {"tls": {"profile": "modern"}}}
    assert farm.only("tls-old", "balancer").found == "accepts TLS 1.2"


def test_modern_profile_with_only_tls_1_3_has_no_finding(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    farm.start()
    farm.changes = {"frontend": {"tls": {"profile": "modern"}}}
    assert farm.run().ok


def test_balancer_without_tls_1_3_is_a_note(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    farm.start()
    farm.note("tls-new", "balancer")


def test_missing_ca_file_leaves_the_chain_unchecked(farm: "SimulatedFarm") -> None:
    farm.changes = {"frontend": {"tls": {"verify_nodes": "/etc/ssl/not-here/ca.pem"}}}
    report = farm.run()
    assert report.ok
    assert [finding.device for finding in report.findings if finding.id == "chain-unchecked"] == ["orch-1", "orch-2"]
    assert not any(f.id == "chain-unchecked" for f in farm.run(nodes_ca=farm.certificates.ca).findings)
    farm.changes["nodes"] = [{**farm.data()["nodes"][0], "port": free_port()}, farm.data()["nodes"][1]]
    assert [f.device for f in farm.run().findings if f.id == "chain-unchecked"] == ["orch-2"]


def test_certificate_with_only_a_common_name_is_reported_for_the_balancer(
    make_farm: "MakeFarm", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer accepts it from a node; a browser does not accept it from the balancer."""
    from cryptography import x509

    farm = make_farm()
    add = x509.CertificateBuilder.add_extension

    def add_others(
        builder: x509.CertificateBuilder, extension: x509.ExtensionType, critical: bool
    ) -> x509.CertificateBuilder:
        if isinstance(extension, x509.SubjectAlternativeName):
            return builder
        return add(builder, extension, critical)

    monkeypatch.setattr(x509.CertificateBuilder, "add_extension", add_others)
    plain = farm.made("plain", [farm.host])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], plain)
    farm.show(farm.balancer, plain)
    farm.start()
    farm.changes = {"frontend": {"aliases": []}}
    found = farm.only("certificate-name", "balancer", ca=plain.ca, nodes_ca=plain.ca)
    assert found.found == "no alternative name"


def test_verify_nodes_false_leaves_node_certificates_unchecked(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    for node in farm.nodes:
        farm.show(node, farm.made(node.options.name, ["other.example"]))
    farm.start()
    farm.changes = {"frontend": {"tls": {"verify_nodes": False}}}
    assert farm.run().ok


# Health


def test_stopped_application_pool_fails_the_health_check(farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    assert farm.only("health", "orch-2").found == "503"


def test_health_endpoint_of_another_version_advises_orchestrator_version(farm: "SimulatedFarm") -> None:
    farm.changes = {"orchestrator": {"version": "2023.4"}}
    report = farm.run()
    assert {finding.id for finding in report.findings if finding.level == "finding"} == {"health"}
    assert "orchestrator.version" in next(f.advice for f in report.findings if f.id == "health")


IDENTITY = "/identity/.well-known/openid-configuration"


def test_identity_that_fails_is_a_finding_while_orchestrator_answers(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.nodes[1].state.identity_stopped = True
    farm.changes = {"balancer": {"affinity": "source"}}
    finding = farm.only("health", "orch-2")
    assert (finding.object, finding.found) == (f"GET {IDENTITY}", "503")


@pytest.mark.parametrize(
    ("refused", "advice"),
    [
        ("/api/status", f"/api/health answers here: write `health: {{paths: [/api/health, {IDENTITY}]}}`"),
        ("/api/", "check orchestrator.version"),
    ],
)
def test_probe_of_2020_10_reports_which_endpoint_answers(make_farm: "MakeFarm", refused: str, advice: str) -> None:
    farm = make_farm(core=True)
    farm.nodes[0].refused[refused] = 404
    farm.start()
    farm.changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "source"}}
    finding = farm.only("health", "orch-1")
    assert (finding.object, finding.found) == ("GET /api/status", "404")
    assert finding.advice.startswith(advice)


def test_probe_of_2020_10_reports_an_endpoint_that_does_not_answer(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.nodes[0].cuts = "/api/health"
    farm.changes = {"orchestrator": {"version": "2020.10"}, "balancer": {"affinity": "source"}}
    summaries = {each.device: each.facts.get("endpoints") for each in farm.run().devices}
    assert summaries["orch-1"] == "/api/status 200, /api/health no answer"
    assert summaries["orch-2"] == summaries["balancer"] == "/api/status 200, /api/health 200"


def test_details_key_is_sent_to_the_health_endpoint_and_not_shown(
    make_farm: "MakeFarm", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DETAILS", "hunter2 &")
    farm = make_farm(core=True)
    farm.start()
    farm.changes = {
        "balancer": {"affinity": "source", "health": {"path": "/api/health?a=1", "details_key": {"env": "DETAILS"}}}
    }
    noted: list[str] = []
    monkeypatch.setattr(activity, "note", noted.append)
    report = farm.run()
    targets = [request.raw_path for request in farm.nodes[0].seen]
    assert "/api/health?a=1&detailsKey=hunter2%20%26" in targets
    assert not any("hunter2" in text for text in (*noted, str(report), capsys.readouterr().out))


def test_details_key_is_not_sent_to_a_node_that_is_not_verified(
    make_farm: "MakeFarm", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETAILS", "hunter2")
    farm = make_farm(core=True)
    farm.show(farm.nodes[0], farm.made("other", ["other.example"]))
    farm.start()
    health = {"path": "/api/health", "details_key": {"env": "DETAILS"}}
    farm.changes = {"balancer": {"affinity": "source", "health": health}}
    farm.run()
    assert not any("hunter2" in request.raw_path for request in farm.nodes[0].seen)


def test_missing_details_key_does_not_stop_the_probe(make_farm: "MakeFarm", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DETAILS", raising=False)
    farm = make_farm(core=True)
    farm.start()
    health = {"path": "/api/health", "details_key": {"env": "DETAILS"}}
    farm.changes = {"balancer": {"affinity": "source", "health": health}}
    assert farm.run().ok
    assert not any("detailsKey" in request.raw_path for request in farm.nodes[0].seen)


def test_health_status_is_compared_with_the_spec(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"health": {"expect": 204}}}
    assert farm.differences() == [("health", "balancer"), ("health", "orch-1"), ("health", "orch-2")]


def test_slow_health_endpoint_is_a_note(farm: "SimulatedFarm") -> None:
    farm.nodes[0].state.health_delay = 0.3
    farm.changes = {"balancer": {"health": {"timeout": "100ms"}}}
    assert "after 0." in farm.note("health-slow", "orch-1").found


def test_degraded_node_is_a_note(farm: "SimulatedFarm") -> None:
    farm.nodes[0].state.degraded = True
    farm.note("health-degraded", "orch-1")


def test_terminate_with_redirecting_node_advises_to_disable_the_iis_rule(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    for node in farm.nodes:
        object.__setattr__(node.options, "tls_cert", None)
        node.refused["/api"] = 301
        node.headers["Location"] = f"https://{farm.host}/api/Status/Get"
    farm.nodes[0].refused.clear()
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "terminate"}}}
    found = farm.only("health", "orch-2")
    assert found.found.startswith("301 to ")
    assert "Redirect HTTP to HTTPS" in found.advice


# The state in the spec


def state_of(farm: "SimulatedFarm", state: str) -> dict[str, Any]:
    nodes = farm.data()["nodes"]
    nodes[1]["state"] = state
    return {"nodes": nodes}


def test_down_node_that_is_unhealthy_has_no_finding(farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "down")
    report = farm.run()
    assert report.ok
    assert report.devices[2].facts["state"] == "down, as in the spec"
    farm.changes["nodes"][1]["port"] = free_port()
    report = farm.run()
    assert report.ok
    assert not report.devices[2].reached


def test_down_node_that_is_healthy_is_a_note(farm: "SimulatedFarm") -> None:
    farm.changes = state_of(farm, "down")
    farm.note("node-answers", "orch-2")


def test_findings_of_a_drained_node_are_notes(farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "drain")
    assert "drains" in farm.note("health", "orch-2").found


def test_backup_node_is_checked_like_others(farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "backup")
    farm.only("health", "orch-2")


# The balancer


@pytest.mark.parametrize("virtual", [False, True], ids=["address", "virtual address"])
def test_balancer_is_reached_at_the_address_of_the_spec(make_farm: "MakeFarm", virtual: bool) -> None:
    farm = make_farm()
    farm.start()
    port = farm.balancer.port
    vip = {"address": "127.0.0.1/8", "interface": "lo", "balancers": ["10.0.0.1", "10.0.0.2"], "secret": {"env": "V"}}
    farm.changes = {"frontend": {"port": port, **({"vip": vip, "address": "*"} if virtual else {})}}
    farm.changes["nodes"] = [
        {**node, "address": f"10.20.0.{place}", "state": "down"} for place, node in enumerate(farm.data()["nodes"], 1)
    ]
    farm.changes["nodes"][0]["state"] = "up"
    farm.plain.location = f"https://{farm.host}:{port}"
    report = farm.run(balancer=None, through="balancer")
    assert report.ok, report.text()
    assert report.devices[0].address == f"127.0.0.1:{port}"
    assert {request.headers["Host"] for request in farm.balancer.seen} == {f"{farm.host}:{port}"}


def test_missing_redirect_is_reported(farm: "SimulatedFarm") -> None:
    farm.plain.location = ""
    assert "200" in farm.only("redirect", "balancer").found


@pytest.mark.parametrize("to", ["https://elsewhere.example", "http://orchestrator.corp.example", ""])
def test_redirect_to_another_url_is_reported(farm: "SimulatedFarm", to: str) -> None:
    farm.plain.location = to or "https://orchestrator.corp.example/odd"
    assert "301 to" in farm.only("redirect", "balancer").found


def test_closed_port_80_is_reported(farm: "SimulatedFarm") -> None:
    assert "refused" in farm.only("redirect", "balancer", http_port=free_port()).found


def test_redirect_disabled_in_the_spec_is_reported(farm: "SimulatedFarm") -> None:
    farm.changes = {"frontend": {"redirect_http": False}}
    assert farm.run(http_port=free_port()).ok
    assert "301 to" in farm.only("redirect", "balancer").found
    farm.plain.location = "https://another.example/"
    assert farm.run().ok


@pytest.mark.parametrize("value", ["", "max-age=300", "includeSubDomains", "max-age=abc"])
def test_hsts_missing_or_too_short_is_reported(farm: "SimulatedFarm", value: str) -> None:
    if value:
        farm.balancer.headers["Strict-Transport-Security"] = value
    else:
        del farm.balancer.headers["Strict-Transport-Security"]
    farm.only("hsts", "balancer")


@pytest.mark.no_cover  # other tests reach the same lines
def test_hsts_with_a_longer_max_age_has_no_finding(farm: "SimulatedFarm") -> None:
    farm.balancer.headers["Strict-Transport-Security"] = 'max-age="94608000"; includeSubDomains'
    assert farm.run().ok


def test_hsts_disabled_in_the_spec_is_reported(farm: "SimulatedFarm") -> None:
    farm.changes = {"frontend": {"tls": {"hsts": False}}}
    farm.only("hsts", "balancer")


COOKIE = "NLBID=6c9d2f01; path=/; HttpOnly; Secure; SameSite=Lax"


def test_affinity_cookie_of_the_spec_has_no_finding(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert farm.run().ok


@pytest.mark.parametrize("attribute", ["HttpOnly", "Secure"])
def test_cookie_without_a_security_attribute_is_reported(farm: "SimulatedFarm", attribute: str) -> None:
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace(f" {attribute};", "")
    assert attribute.lower() in farm.only("cookie-attributes", "balancer").found


def test_cookie_with_samesite_none_is_reported(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace("Lax", "None")
    assert "samesite" in farm.only("cookie-attributes", "balancer").found


def test_cookie_without_samesite_is_a_note(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace("; SameSite=Lax", "")
    farm.note("cookie-samesite", "balancer")


def test_missing_affinity_cookie_is_reported(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.only("affinity-cookie", "balancer")


def test_affinity_cookie_not_in_the_spec_is_reported(farm: "SimulatedFarm") -> None:
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert farm.differences() == [("affinity-cookie", "balancer")] * 2  # on pages, and on SignalR's paths


def test_affinity_cookie_on_pages_is_reported_if_only_for_signalr(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert "pages" in farm.only("affinity-cookie", "balancer").object


def test_missing_affinity_cookie_on_signalr_paths_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    assert "SignalR" in farm.only("affinity-cookie", "balancer").object


def test_farm_without_tls_has_no_finding(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    for machine in farm.machines:
        object.__setattr__(machine.options, "tls_cert", None)
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "none"}}}
    assert farm.run().ok


def test_passthrough_reports_the_certificates_of_the_nodes(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.show(farm.nodes[1], farm.made("other", [farm.host, farm.alias]))
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "passthrough"}}}
    found = farm.of_level("finding")
    assert [(f.id, f.device) for f in found] == [("certificate-chain", "orch-2")] * 2
    assert [f.object for f in found] == [f"certificate for {farm.host}", "certificate for the health checks"]


def test_passthrough_verifies_node_certificates_for_the_health_checks(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    other = farm.made("other", [farm.host])
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "passthrough", "verify_nodes": str(other.ca)}}}
    assert {(f.id, f.device, f.object) for f in farm.of_level("finding")} == {
        ("certificate-chain", node, "certificate for the health checks") for node in ("orch-1", "orch-2")
    }
    farm.changes["frontend"]["tls"]["verify_nodes"] = "/not/here.pem"
    assert [f.device for f in farm.of_level("unchecked") if f.id == "chain-unchecked"] == ["orch-1", "orch-2"]
    assert farm.run(nodes_ca=farm.certificates.ca).ok


# SignalR


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
@pytest.mark.parametrize("place", [0, 1])
def test_failed_negotiation_is_reported(make_farm: "MakeFarm", core: bool, place: int) -> None:
    farm = make_farm(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[place].refused["negotiate"] = 500
    assert farm.only("signalr-negotiate", f"orch-{place + 1}").found == "500"


@pytest.mark.parametrize(
    "body",
    [
        b'{"connectionToken": "\\ud800", "connectionId": "\\ud800", "ConnectionToken": "\\ud800"}',
        b'{"connectionToken": "a\\u0000b", "ConnectionToken": "a\\u0000b"}',
        b"[" * 100_000,
        b'{"ConnectionToken":' * 100_000,
    ],
    ids=["surrogate", "nul", "nested-lists", "nested-mappings"],
)
@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
def test_hostile_negotiation_is_reported(make_farm: "MakeFarm", core: bool, body: bytes) -> None:
    farm = make_farm(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = body
    assert "not a SignalR response" in farm.only("signalr-negotiate", "orch-2").found


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
def test_negotiation_without_a_signalr_response_is_reported(make_farm: "MakeFarm", core: bool) -> None:
    farm = make_farm(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b"<html>"
    assert "not a SignalR response" in farm.only("signalr-negotiate", "orch-2").found


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
@pytest.mark.parametrize("through", ["balancer", "orch-2"])
def test_rejected_websocket_is_reported(make_farm: "MakeFarm", core: bool, through: str) -> None:
    farm = make_farm(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    machine = farm.balancer if through == "balancer" else farm.nodes[1]
    machine.refused["upgrade"] = 400
    assert farm.only("websocket", through).found == "400"


def test_classic_node_without_websockets_is_reported(farm: "SimulatedFarm") -> None:
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b'{"ConnectionToken": "x", "TryWebSockets": false}'
    assert "does not offer them" in farm.only("websocket", "orch-2").found


def test_core_node_without_websockets_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b'{"connectionToken": "x", "availableTransports": [{"transport": "LongPolling"}]}'
    assert "does not offer them" in farm.only("websocket", "orch-2").found


def test_node_with_another_machine_key_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    object.__setattr__(farm.nodes[1].options, "machine_key", "another")
    node = farm.nodes[1]
    farm.nodes[1] = type(node)(node.options)
    farm.start()
    found = farm.only("signalr-token", "orch-2")
    assert "orch-1" in found.expected
    assert "machineKey" in found.advice


def test_hub_missing_on_one_node_is_reported(farm: "SimulatedFarm") -> None:
    farm.nodes[1].refused["negotiate"] = 404
    farm.only("signalr-negotiate", "orch-2")


def test_hub_missing_only_through_the_balancer_is_reported(farm: "SimulatedFarm") -> None:
    farm.balancer.refused["negotiate"] = 404
    farm.only("signalr-negotiate", "balancer")


def test_hub_missing_on_all_machines_is_unchecked(farm: "SimulatedFarm") -> None:
    farm.changes = {"balancer": {"signalr": {"paths": ["/hubs"]}}}
    report = farm.run()
    assert report.ok
    assert {f.device for f in report.findings if f.id == "signalr-hub"} == {"balancer", "orch-1", "orch-2"}
    assert set(farm.differences(hubs=("/hubs",))) == {
        ("signalr-negotiate", device) for device in ("balancer", "orch-1", "orch-2")
    }


def test_hub_with_a_login_is_unchecked(farm: "SimulatedFarm") -> None:
    farm.nodes[1].refused["negotiate"] = 401
    report = farm.run()
    assert report.ok
    assert [f.device for f in report.findings if f.id == "signalr-login"] == ["orch-2"]


def test_core_without_affinity_connects_without_an_id(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "none"}, "accept": ["core-affinity"]}
    assert farm.run(through="balancer").ok
    upgrades = [request for request in farm.balancer.seen if "upgrade" in request.headers]
    assert [request.query_string for request in upgrades] == [""]


def test_core_connection_to_another_node_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.balancer.refused["upgrade"] = 404
    farm.balancer.body = b"No Connection with that ID"
    farm.only("signalr-affinity", "balancer")


# Checks across the nodes


def test_wrong_clock_of_a_node_is_reported(farm: "SimulatedFarm") -> None:
    farm.nodes[1].headers["Date"] = formatdate(time.time() + 90, usegmt=True)
    found = farm.only("clock-nodes", "orch-2")
    assert "ahead of orch-1" in found.found
    assert 60 < int(found.found.partition(" ")[0]) <= 90


def test_clocks_differing_from_the_local_clock_are_notes(farm: "SimulatedFarm") -> None:
    for machine in (*farm.nodes, farm.balancer):
        machine.headers["Date"] = formatdate(time.time() - 600, usegmt=True)
    report = farm.run()
    assert report.ok
    assert [f.device for f in report.findings if f.id == "clock-here"] == ["balancer", "orch-1", "orch-2"]


def test_invalid_date_header_has_no_finding(farm: "SimulatedFarm") -> None:
    farm.nodes[1].headers["Date"] = "yesterday"
    assert farm.run().ok


@pytest.mark.parametrize("header", ["api-supported-versions", "X-AspNet-Version", "Server"])
def test_different_versions_are_reported(farm: "SimulatedFarm", header: str) -> None:
    farm.nodes[0].headers[header] = "11.0"
    farm.nodes[1].headers[header] = "12.0"
    found = farm.only("versions", "orch-2")
    assert (found.object, found.found) == (header, '"12.0"')


def test_version_header_on_only_one_node_is_reported(farm: "SimulatedFarm") -> None:
    farm.nodes[1].headers["api-supported-versions"] = "12.0"
    farm.only("versions", "orch-2")


def test_one_different_node_of_three_is_reported(make_farm: "MakeFarm") -> None:
    farm = make_farm()
    farm.nodes.append(farm._machine("orch-3"))
    farm.start()
    farm.nodes[0].headers["X-AspNet-Version"] = "4.0.30319"
    assert farm.only("versions", "orch-1").expected == "no such header as on orch-2"
    farm.nodes[0].headers.clear()
    farm.nodes[2].headers["Date"] = formatdate(time.time() - 90, usegmt=True)
    assert "behind" in farm.only("clock-nodes", "orch-3").found


# Ignored findings


def test_ignored_finding_is_a_note(farm: "SimulatedFarm") -> None:
    farm.nodes[1].state.pool_stopped = True
    assert farm.run(ignored=frozenset({"health"})).ok
