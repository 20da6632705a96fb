"""Each fault of a machine is found where it is, and nothing else; a farm without a fault gives no finding."""

import socket
import ssl
import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from nlbgen.net.loopback import free_port

TWO_YEARS = "max-age=63072000"


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
def test_a_farm_without_a_fault_has_no_finding(stand_in, core):
    farm = stand_in(core=core)
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


def test_requests_carry_the_name_of_the_probe_and_only_read(farm):
    assert farm.run().ok
    requests = [request for machine in farm.machines for request in machine.seen]
    assert {request.headers["User-Agent"].partition("/")[0] for request in requests} == {"nlbgen-probe"}
    assert {request.method for request in requests} == {"GET"}
    assert {request.headers["Host"] for node in farm.nodes for request in node.seen} == {farm.host}


def test_core_negotiates_by_post_and_posts_nothing_else(stand_in):
    farm = stand_in(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    assert farm.run().ok
    posts = [request for machine in farm.machines for request in machine.seen if request.method != "GET"]
    assert {(request.method, request.path) for request in posts} == {("POST", "/signalr/core/negotiate")}
    assert all(not request.body_exists for request in posts)


@pytest.mark.parametrize("through, asked", [("nodes", {"orch-1", "orch-2"}), ("balancer", {"balancer"})])
def test_only_those_are_asked_who_should_be(farm, through, asked):
    report = farm.run(through=through)
    assert report.ok
    assert {device.device for device in report.devices} == asked
    assert {machine.options.name for machine in farm.machines if machine.seen} - {"plain"} == asked


# Reach


def test_a_node_that_refuses_connections(farm):
    nodes = farm.data()["nodes"]
    nodes[1]["port"] = free_port()
    farm.changes = {"nodes": nodes}
    assert "refused" in farm.only("unreachable", "orch-2").found


def test_a_node_whose_name_nobody_knows(farm):
    farm.changes = {"nodes": [{**farm.data()["nodes"][0]}, {"name": "orch-2", "address": "orch-2.invalid"}]}
    farm.only("name-unknown", "orch-2")


def test_a_node_that_hangs(farm):
    farm.nodes[1].hangs = True
    assert "no answer within 3 s" in farm.only("health", "orch-2", timeout=farm.options.timeout.of("6s")).found


def test_a_machine_that_accepts_connections_and_says_nothing(farm):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        nodes = farm.data()["nodes"]
        nodes[1]["port"] = silent.getsockname()[1]
        farm.changes = {"nodes": nodes}
        found = farm.only("tls-handshake", "orch-2", timeout=farm.options.timeout.of("6s")).found
    assert found == "no handshake within 1.5 s"


def test_the_run_ends_in_its_time(farm):
    for machine in farm.machines:
        machine.hangs = True
    begun = time.monotonic()
    assert not farm.run(timeout=farm.options.timeout.of("2s")).ok
    assert time.monotonic() - begun < 30  # the machines would answer after ten minutes


def test_what_is_not_done_in_time_is_said(farm, monkeypatch):
    from nlbgen.net import reach

    farm.nodes[0].hangs = True
    patient = reach.Limits(connect=60, answer=60)
    monkeypatch.setattr(reach.Limits, "within", lambda _seconds: patient)
    farm.only("timed-out", "orch-1", timeout=farm.options.timeout.of("2s"))


def test_a_balancer_that_is_away(farm):
    farm.only("unreachable", "balancer", balancer=("127.0.0.1", free_port()))


def test_a_farm_of_which_nothing_is_reached(farm):
    nodes = [{**node, "port": free_port()} for node in farm.data()["nodes"]]
    farm.changes = {"nodes": nodes}
    report = farm.run(balancer=("127.0.0.1", free_port()))
    assert not report.reached
    assert not report.ok


def test_the_farms_name_leads_elsewhere(farm, monkeypatch):
    async def looked_up(host, _seconds):
        return ("127.0.0.1",) if host in {"127.0.0.1", farm.alias} else ("203.0.113.7",)

    monkeypatch.setattr("nlbgen.probe.farm.addresses", looked_up)
    found = farm.note("name-elsewhere", "balancer")
    assert (found.object, found.expected, found.found) == (f"name {farm.host}", "127.0.0.1", "203.0.113.7")


# TLS


def test_a_node_with_another_authority(stand_in):
    farm = stand_in()
    farm.show(farm.nodes[1], farm.made("other", [farm.host]))
    farm.start()
    assert str(farm.certificates.ca) in farm.only("certificate-chain", "orch-2").expected


def test_a_node_that_forgets_the_authority_between(stand_in):
    farm = stand_in()
    chain = farm.certificates.certificate.read_text(encoding="ascii")
    leaf, end, rest = chain.partition("-----END CERTIFICATE-----\n")
    assert "BEGIN CERTIFICATE" in rest
    alone = farm.folder / "alone.pem"
    alone.write_text(leaf + end, encoding="ascii")
    farm.show(farm.nodes[1], replace(farm.certificates, certificate=alone))
    farm.start()
    assert "intermediate" in farm.only("certificate-chain", "orch-2").advice


def test_a_balancer_with_another_authority(stand_in):
    farm = stand_in()
    farm.show(farm.balancer, farm.made("other", [farm.host, farm.alias]))
    farm.start()
    assert farm.host in farm.only("certificate-chain", "balancer").object


def test_what_this_machine_trusts_is_not_the_tests_authority(farm):
    assert "this machine trusts" in farm.only("certificate-chain", "balancer", ca=None).expected


def test_a_node_with_another_name(stand_in):
    farm = stand_in()
    other = farm.made("other", ["orch-2.corp.example"])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], other)
    farm.start()
    found = farm.only("certificate-name", "orch-2", nodes_ca=other.ca)
    assert found.found == "orch-2.corp.example"
    assert farm.host in found.expected


def test_a_balancer_that_forgets_the_alias(stand_in):
    farm = stand_in()
    other = farm.made("other", [farm.host])
    farm.show(farm.balancer, other)
    farm.start()
    assert farm.alias in farm.only("certificate-name", "balancer", ca=other.ca).object


def test_a_wildcard_stands_for_one_label(stand_in):
    farm = stand_in()
    other = farm.made("other", ["*.corp.example"])
    farm.show(farm.balancer, other)
    farm.start()
    assert farm.run(ca=other.ca).ok
    farm.changes = {"frontend": {"aliases": ["deep.old.corp.example"]}}
    farm.only("certificate-name", "balancer", ca=other.ca)


def test_a_certificate_that_has_expired(stand_in, days):
    farm = stand_in()
    days(-0.02)
    old = farm.made("old", [farm.host, farm.alias])
    farm.show(farm.balancer, old)
    farm.start()
    # The authority was made at the same time: it has expired with its certificate, and is not blamed besides.
    farm.only("certificate-expired", "balancer", ca=old.ca)


def test_a_certificate_that_ends_soon(stand_in, days):
    farm = stand_in()
    days(2)
    soon = farm.made("soon", [farm.host])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], soon)
    farm.start()
    farm.only("certificate-expires", "orch-2", nodes_ca=soon.ca)
    assert farm.run(nodes_ca=soon.ca, expires_within=farm.options.timeout.of("1d")).ok


def test_a_node_that_speaks_old_tls_alone(stand_in):
    farm = stand_in()
    farm.nodes[1].tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    farm.start()
    assert "it speaks TLS 1.1" in farm.only("tls-handshake", "orch-2").found


def test_a_balancer_that_still_accepts_old_tls(stand_in):
    farm = stand_in()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3)
    farm.start()
    assert farm.only("tls-old", "balancer").found == "accepts TLS 1.1"


def test_a_node_that_still_accepts_old_tls_is_a_note(stand_in):
    farm = stand_in()
    farm.nodes[0].tls_versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3)
    farm.start()
    farm.note("tls-old", "orch-1")


def test_the_modern_profile_excludes_tls_1_2(farm):
    farm.changes = {"frontend": {"tls": {"profile": "modern"}}}
    assert farm.only("tls-old", "balancer").found == "accepts TLS 1.2"


def test_the_modern_profile_as_it_should_be(stand_in):
    farm = stand_in()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    farm.start()
    farm.changes = {"frontend": {"tls": {"profile": "modern"}}}
    assert farm.run().ok


def test_a_balancer_without_tls_1_3_is_a_note(stand_in):
    farm = stand_in()
    farm.balancer.tls_versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    farm.start()
    farm.note("tls-new", "balancer")


def test_an_authority_that_is_not_on_this_machine(farm):
    farm.changes = {"frontend": {"tls": {"verify_nodes": "/etc/ssl/not-here/ca.pem"}}}
    report = farm.run()
    assert report.ok
    assert [finding.device for finding in report.findings if finding.id == "chain-unchecked"] == ["orch-1", "orch-2"]
    assert not any(f.id == "chain-unchecked" for f in farm.run(nodes_ca=farm.certificates.ca).findings)
    farm.changes["nodes"] = [{**farm.data()["nodes"][0], "port": free_port()}, farm.data()["nodes"][1]]
    assert [f.device for f in farm.run().findings if f.id == "chain-unchecked"] == ["orch-2"]


def test_a_certificate_with_nothing_but_a_common_name(stand_in, monkeypatch):
    """A balancer takes it from a node; a browser does not take it from the balancer."""
    from nlbgen.prove.lab import certificates as testca

    farm = stand_in()
    add = testca.x509.CertificateBuilder.add_extension

    def add_others(builder, extension, critical):
        if isinstance(extension, testca.x509.SubjectAlternativeName):
            return builder
        return add(builder, extension, critical)

    monkeypatch.setattr(testca.x509.CertificateBuilder, "add_extension", add_others)
    plain = farm.made("plain", [farm.host])
    farm.nodes = farm.nodes[1:]
    farm.show(farm.nodes[0], plain)
    farm.show(farm.balancer, plain)
    farm.start()
    farm.changes = {"frontend": {"aliases": []}}
    found = farm.only("certificate-name", "balancer", ca=plain.ca, nodes_ca=plain.ca)
    assert found.found == "no alternative name"


def test_certificates_of_nodes_are_left_alone_where_the_spec_says_so(stand_in):
    farm = stand_in()
    for node in farm.nodes:
        farm.show(node, farm.made(node.options.name, ["other.example"]))
    farm.start()
    farm.changes = {"frontend": {"tls": {"verify_nodes": False}}}
    assert farm.run().ok


# Health


def test_a_stopped_application_pool(farm):
    farm.nodes[1].state.pool_stopped = True
    assert farm.only("health", "orch-2").found == "503"


def test_another_version_than_the_specs(farm):
    farm.changes = {"orchestrator": {"version": "2023.4"}}
    report = farm.run()
    assert {finding.id for finding in report.findings if finding.level == "finding"} == {"health"}
    assert "orchestrator.version" in next(f.advice for f in report.findings if f.id == "health")


def test_the_expected_status_is_the_specs(farm):
    farm.changes = {"balancer": {"health": {"expect": 204}}}
    assert farm.differences() == [("health", "balancer"), ("health", "orch-1"), ("health", "orch-2")]


def test_a_node_that_answers_too_late_is_a_note(farm):
    farm.nodes[0].state.health_delay = 0.3
    farm.changes = {"balancer": {"health": {"timeout": "100ms"}}}
    assert "after 0." in farm.note("health-slow", "orch-1").found


def test_a_degraded_node_is_a_note(farm):
    farm.nodes[0].state.degraded = True
    farm.note("health-degraded", "orch-1")


def test_a_loop_of_redirects_under_terminate(stand_in):
    farm = stand_in()
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


def state_of(farm, state):
    nodes = farm.data()["nodes"]
    nodes[1]["state"] = state
    return {"nodes": nodes}


def test_a_node_that_is_down_as_in_the_spec(farm):
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "down")
    report = farm.run()
    assert report.ok
    assert report.devices[2].facts["state"] == "down, as in the spec"
    farm.changes["nodes"][1]["port"] = free_port()
    report = farm.run()
    assert report.ok
    assert not report.devices[2].reached


def test_a_node_that_is_down_in_the_spec_and_healthy(farm):
    farm.changes = state_of(farm, "down")
    farm.note("node-answers", "orch-2")


def test_differences_of_a_drained_node_are_notes(farm):
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "drain")
    assert "drains" in farm.note("health", "orch-2").found


def test_a_backup_is_held_to_the_spec(farm):
    farm.nodes[1].state.pool_stopped = True
    farm.changes = state_of(farm, "backup")
    farm.only("health", "orch-2")


# The balancer


@pytest.mark.parametrize("virtual", [False, True], ids=["address", "virtual address"])
def test_the_balancer_is_where_the_spec_says(stand_in, virtual):
    farm = stand_in()
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


def test_no_redirect(farm):
    farm.plain.location = ""
    assert "200" in farm.only("redirect", "balancer").found


@pytest.mark.parametrize("to", ["https://elsewhere.example", "http://orchestrator.corp.example", ""])
def test_a_redirect_to_the_wrong_place(farm, to):
    farm.plain.location = to or "https://orchestrator.corp.example/odd"
    assert "301 to" in farm.only("redirect", "balancer").found


def test_port_80_closed(farm):
    assert "refused" in farm.only("redirect", "balancer", http_port=free_port()).found


def test_a_redirect_that_the_spec_does_not_want(farm):
    farm.changes = {"frontend": {"redirect_http": False}}
    assert farm.run(http_port=free_port()).ok
    assert "301 to" in farm.only("redirect", "balancer").found
    farm.plain.location = "https://another.example/"
    assert farm.run().ok


@pytest.mark.parametrize("value", ["", "max-age=300", "includeSubDomains", "max-age=abc"])
def test_hsts_is_missing_or_short(farm, value):
    if value:
        farm.balancer.headers["Strict-Transport-Security"] = value
    else:
        del farm.balancer.headers["Strict-Transport-Security"]
    farm.only("hsts", "balancer")


def test_hsts_may_promise_more(farm):
    farm.balancer.headers["Strict-Transport-Security"] = 'max-age="94608000"; includeSubDomains'
    assert farm.run().ok


def test_hsts_against_the_spec(farm):
    farm.changes = {"frontend": {"tls": {"hsts": False}}}
    farm.only("hsts", "balancer")


COOKIE = "NLBID=6c9d2f01; path=/; HttpOnly; Secure; SameSite=Lax"


def test_the_affinity_cookie_as_it_should_be(farm):
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert farm.run().ok


@pytest.mark.parametrize("attribute", ["HttpOnly", "Secure"])
def test_a_cookie_that_lacks_an_attribute(farm, attribute):
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace(f" {attribute};", "")
    assert attribute.lower() in farm.only("cookie-attributes", "balancer").found


def test_a_cookie_for_every_site(farm):
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace("Lax", "None")
    assert "samesite" in farm.only("cookie-attributes", "balancer").found


def test_a_cookie_without_samesite_is_a_note(farm):
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.balancer.headers["Set-Cookie"] = COOKIE.replace("; SameSite=Lax", "")
    farm.note("cookie-samesite", "balancer")


def test_no_affinity_cookie(farm):
    farm.changes = {"balancer": {"affinity": "cookie"}}
    farm.only("affinity-cookie", "balancer")


def test_an_affinity_cookie_against_the_spec(farm):
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert farm.differences() == [("affinity-cookie", "balancer")] * 2  # on pages, and on SignalR's paths


def test_an_affinity_cookie_on_pages_though_for_signalr_alone(stand_in):
    farm = stand_in(core=True)
    farm.start()
    farm.balancer.headers["Set-Cookie"] = COOKIE
    assert "pages" in farm.only("affinity-cookie", "balancer").object


def test_no_affinity_cookie_on_the_paths_of_signalr(stand_in):
    farm = stand_in(core=True)
    farm.start()
    assert "SignalR" in farm.only("affinity-cookie", "balancer").object


def test_a_plain_farm(stand_in):
    farm = stand_in()
    for machine in farm.machines:
        object.__setattr__(machine.options, "tls_cert", None)
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "none"}}}
    assert farm.run().ok


def test_a_passthrough_farm_shows_the_nodes_certificates(stand_in):
    farm = stand_in()
    farm.show(farm.nodes[1], farm.made("other", [farm.host, farm.alias]))
    farm.start()
    farm.changes = {"frontend": {"tls": {"mode": "passthrough"}}}
    found = farm.of_level("finding")
    assert [(f.id, f.device) for f in found] == [("certificate-chain", "orch-2")] * 2
    assert [f.object for f in found] == [f"certificate for {farm.host}", "certificate for the health checks"]


def test_the_health_checks_of_a_passthrough_farm_rely_on_an_authority_of_their_own(stand_in):
    farm = stand_in()
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
def test_a_negotiation_that_fails(stand_in, core, place):
    farm = stand_in(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[place].refused["negotiate"] = 500
    assert farm.only("signalr-negotiate", f"orch-{place + 1}").found == "500"


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
def test_a_negotiation_of_something_else(stand_in, core):
    farm = stand_in(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b"<html>"
    assert "no SignalR answer" in farm.only("signalr-negotiate", "orch-2").found


@pytest.mark.parametrize("core", [False, True], ids=["classic", "core"])
@pytest.mark.parametrize("through", ["balancer", "orch-2"])
def test_websockets_that_are_refused(stand_in, core, through):
    farm = stand_in(core=core)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    machine = farm.balancer if through == "balancer" else farm.nodes[1]
    machine.refused["upgrade"] = 400
    assert farm.only("websocket", through).found == "400"


def test_a_node_without_the_feature_for_websockets(farm):
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b'{"ConnectionToken": "x", "TryWebSockets": false}'
    assert "has none" in farm.only("websocket", "orch-2").found


def test_a_core_node_without_the_feature_for_websockets(stand_in):
    farm = stand_in(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.nodes[1].refused["negotiate"] = 200
    farm.nodes[1].body = b'{"connectionToken": "x", "availableTransports": [{"transport": "LongPolling"}]}'
    assert "has none" in farm.only("websocket", "orch-2").found


def test_another_machine_key(stand_in):
    farm = stand_in()
    object.__setattr__(farm.nodes[1].options, "machine_key", "another")
    node = farm.nodes[1]
    farm.nodes[1] = type(node)(node.options)
    farm.start()
    found = farm.only("signalr-token", "orch-2")
    assert "orch-1" in found.expected
    assert "machineKey" in found.advice


def test_a_hub_that_one_node_does_not_know(farm):
    farm.nodes[1].refused["negotiate"] = 404
    farm.only("signalr-negotiate", "orch-2")


def test_a_hub_that_the_balancer_alone_does_not_lead_to(farm):
    farm.balancer.refused["negotiate"] = 404
    farm.only("signalr-negotiate", "balancer")


def test_a_hub_that_nobody_knows(farm):
    farm.changes = {"balancer": {"signalr": {"paths": ["/hubs"]}}}
    report = farm.run()
    assert report.ok
    assert {f.device for f in report.findings if f.id == "signalr-hub"} == {"balancer", "orch-1", "orch-2"}
    assert set(farm.differences(hubs=("/hubs",))) == {
        ("signalr-negotiate", device) for device in ("balancer", "orch-1", "orch-2")
    }


def test_a_login_is_not_gone_past(farm):
    farm.nodes[1].refused["negotiate"] = 401
    report = farm.run()
    assert report.ok
    assert [f.device for f in report.findings if f.id == "signalr-login"] == ["orch-2"]


def test_core_without_affinity_connects_without_negotiation(stand_in):
    farm = stand_in(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "none"}, "accept": ["core-affinity"]}
    assert farm.run(through="balancer").ok
    upgrades = [request for request in farm.balancer.seen if "upgrade" in request.headers]
    assert [request.query_string for request in upgrades] == [""]


def test_core_that_comes_back_to_another_node(stand_in):
    farm = stand_in(core=True)
    farm.start()
    farm.changes = {"balancer": {"affinity": "source"}}
    farm.balancer.refused["upgrade"] = 404
    farm.balancer.body = b"No Connection with that ID"
    farm.only("signalr-affinity", "balancer")


# What the nodes have in common


def test_a_clock_that_is_wrong(farm):
    farm.nodes[1].headers["Date"] = formatdate(time.time() + 90, usegmt=True)
    found = farm.only("clock-nodes", "orch-2")
    assert "ahead of orch-1" in found.found
    assert 60 < int(found.found.partition(" ")[0]) <= 90


def test_a_clock_is_wrong_here_or_there(farm):
    for machine in (*farm.nodes, farm.balancer):
        machine.headers["Date"] = formatdate(time.time() - 600, usegmt=True)
    report = farm.run()
    assert report.ok
    assert [f.device for f in report.findings if f.id == "clock-here"] == ["balancer", "orch-1", "orch-2"]


def test_a_date_that_is_none(farm):
    farm.nodes[1].headers["Date"] = "yesterday"
    assert farm.run().ok


@pytest.mark.parametrize("header", ["api-supported-versions", "X-AspNet-Version", "Server"])
def test_versions_that_differ(farm, header):
    farm.nodes[0].headers[header] = "11.0"
    farm.nodes[1].headers[header] = "12.0"
    found = farm.only("versions", "orch-2")
    assert (found.object, found.found) == (header, '"12.0"')


def test_a_version_that_one_node_alone_tells(farm):
    farm.nodes[1].headers["api-supported-versions"] = "12.0"
    farm.only("versions", "orch-2")


def test_of_three_nodes_the_odd_one_is_named(stand_in):
    farm = stand_in()
    farm.nodes.append(farm._machine("orch-3"))
    farm.start()
    farm.nodes[0].headers["X-AspNet-Version"] = "4.0.30319"
    assert farm.only("versions", "orch-1").expected == "no such header, as orch-2 says"
    farm.nodes[0].headers.clear()
    farm.nodes[2].headers["Date"] = formatdate(time.time() - 90, usegmt=True)
    assert "behind" in farm.only("clock-nodes", "orch-3").found


# Ignored findings


def test_an_ignored_finding_is_a_note(farm):
    farm.nodes[1].state.pool_stopped = True
    assert farm.run(ignored=frozenset({"health"})).ok
