"""Single requests: the node that gets them, their headers, refusals; the TLS modes."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Unpack

import pytest

from nlbgen.generators.headers import FORGED_NAMES, KNOWN_FORGED, SET_BY_BALANCER
from nlbgen.net.client import Target
from nlbgen.net.loops import run
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.raw import converse, head
from nlbgen.prove.clients.simple import Fetched, fetch
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.lab.processes import NodeProcess
from nlbgen.prove.scenarios.hostile import PLANTED

from .conftest import Changes, FarmLab, RequestOptions, StartFarm, received_headers


def plain(lab: FarmLab, path: str = "/", port: int | None = None, **options: Unpack[RequestOptions]) -> Fetched:
    return fetch(f"http://{lab.host}:{port or lab.http_port}{path}", **options)


def test_round_robin_distributes_evenly(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"algorithm": "round-robin"}})
    counts = Counter(lab.hits(40))
    assert set(counts) == {"orch-1", "orch-2"}
    # NGINX's workers share one state, HAProxy's threads too; 40 requests may be off by the first ones.
    assert abs(counts["orch-1"] - counts["orch-2"]) <= 4


def test_weights_distribute_by_weight(farm: StartFarm, vendor: str) -> None:
    nodes = [
        {"name": "orch-1", "address": "10.20.0.11", "weight": 75},
        {"name": "orch-2", "address": "10.20.0.12", "weight": 25},
    ]
    lab = farm(vendor, {"balancer": {"algorithm": "round-robin"}, "nodes": nodes})
    counts = Counter(lab.hits(40))
    assert 26 <= counts["orch-1"] <= 34, counts


def test_source_hash_keeps_a_client_on_one_node(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"algorithm": "source"}})
    assert len(set(lab.hits(10))) == 1


def nodes(*states: str) -> Changes:
    return {
        "nodes": [
            {"name": f"orch-{number}", "address": f"10.20.0.{10 + number}", "state": state}
            for number, state in enumerate(states, 1)
        ]
    }


@pytest.mark.parametrize("state", ["drain", "down"])
def test_node_in_drain_or_down_gets_no_new_request(farm: StartFarm, vendor: str, state: str) -> None:
    lab = farm(vendor, nodes("up", state))
    assert set(lab.hits(20)) == {"orch-1"}


def test_backup_serves_when_no_other_node_can(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, nodes("up", "backup"))
    assert set(lab.hits(20)) == {"orch-1"}
    lab.nodes[0].kill()
    assert wait_until(lambda: lab.hits(3) == ["orch-2"] * 3, 10)


@pytest.mark.parametrize("affinity", ["cookie", "signalr"])
def test_affinity_cookie_keeps_a_client_on_its_node(farm: StartFarm, vendor: str, affinity: str) -> None:
    lab = farm(vendor, {"balancer": {"affinity": affinity, "algorithm": "round-robin"}})
    held, free = ("/signalr/negotiate", "/odata/Jobs")
    first = lab.get(held)
    cookie = first.header("set-cookie")
    assert cookie.startswith("NLBID=")
    assert first.header("X-Node") not in cookie, "the cookie must not show the node's name"
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"path=/", "httponly", "secure", "samesite=lax"} <= attributes
    sent = {"Cookie": cookie.partition(";")[0]}
    assert set(lab.hits(12, held, headers=sent)) == {first.header("X-Node")}
    if affinity == "signalr":
        assert lab.get(free).header("set-cookie") == ""
        assert set(lab.hits(12, free, headers=sent)) == {"orch-1", "orch-2"}


def test_affinity_cookie_of_a_killed_node_gets_another_node(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"affinity": "cookie"}})
    first = lab.get()
    sent = {"Cookie": first.header("set-cookie").partition(";")[0]}
    dead = first.header("X-Node")
    lab.node(dead).kill()
    answers = [lab.get(headers=sent) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert dead not in {answer.header("X-Node") for answer in answers}


def test_clients_of_a_killed_node_stay_together_on_one_node(farm: StartFarm, vendor: str) -> None:
    """SignalR Core would lose its connection ids if they went from node to node."""
    lab = farm(vendor, {"balancer": {"affinity": "cookie"}, **nodes("up", "up", "up")})
    first = lab.get()
    dead = first.header("X-Node")
    lab.node(dead).kill()
    cookie = first.header("set-cookie")
    seen = []
    for _ in range(15):
        answer = lab.get(headers={"Cookie": cookie.partition(";")[0]})
        cookie = answer.header("set-cookie") or cookie
        seen.append(answer.header("X-Node"))
    # The first responses may come from retried requests, before the node is marked down.
    assert len(set(seen[5:])) == 1, seen
    assert dead not in seen


def test_affinity_cookie_keeps_a_client_on_a_draining_node(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"affinity": "cookie"}})
    clients: dict[str, dict[str, str]] = {}
    while set(clients) != {"orch-1", "orch-2"}:
        answer = lab.get()
        clients[answer.header("X-Node")] = {"Cookie": answer.header("set-cookie").partition(";")[0]}
    farm_now = lab.spec.farm
    draining = tuple(node.replace(state="drain") if node.name == "orch-2" else node for node in farm_now.nodes)
    lab.change(farm_now.replace(nodes=draining))
    assert wait_until(lambda: set(lab.hits(4)) == {"orch-1"}, 10), "new clients go to the other node"
    assert set(lab.hits(5, headers=clients["orch-2"])) == {"orch-2"}, "known clients stay"


@pytest.mark.parametrize("state", ["drain", "down"])
def test_node_removed_and_added_by_reloads(farm: StartFarm, vendor: str, state: str) -> None:
    lab = farm(vendor)
    before = lab.spec.farm
    out = tuple(node.replace(state=state) if node.name == "orch-2" else node for node in before.nodes)
    lab.change(before.replace(nodes=out))
    assert wait_until(lambda: set(lab.hits(6)) == {"orch-1"}, 10)
    lab.change(before)
    assert wait_until(lambda: set(lab.hits(6)) == {"orch-1", "orch-2"}, 15)


def test_headers_that_a_client_must_not_set_do_not_arrive(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    names = (*FORGED_NAMES, *KNOWN_FORGED, *SET_BY_BALANCER)
    twins = [name.replace("-", "_") for name in names if "-" in name]
    answer = lab.get("/echo-headers", headers={name: f"6.6.6.6 {name}" for name in (*names, *twins)})
    assert received_headers(answer, "x-forwarded-for") == ["127.0.0.1"]
    assert received_headers(answer, "x-forwarded-proto") == ["https"]
    assert received_headers(answer, "x-forwarded-host") == [f"{lab.host}:{lab.port}"]
    assert received_headers(answer, "x-forwarded-port") == [str(lab.port)]
    assert received_headers(answer, "host") == [f"{lab.host}:{lab.port}"]
    assert [value for _, value in answer.json()["headers"] if "6.6.6.6" in value] == []


def test_headers_of_the_application_arrive(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    sent = {"Authorization": "Bearer x", "X-UIPATH-TenantName": "a", "X-Requested-With": "b", "X-Original": "c"}
    answer = lab.get("/echo-headers", headers=sent)
    assert {name: received_headers(answer, name) for name in sent} == {name: [value] for name, value in sent.items()}


def test_header_of_a_known_prefix_does_not_arrive_on_haproxy(farm: StartFarm) -> None:
    """NGINX removes only single names."""
    for vendor, seen in (("haproxy", []), ("nginx", ["6.6.6.6"])):
        assert (
            received_headers(
                farm(vendor).get("/echo-headers", headers={"X-Forwarded-New": "6.6.6.6"}), "x-forwarded-new"
            )
            == seen
        )


@pytest.mark.parametrize(
    "headers",
    [
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")],
        [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c")],
    ],
    ids=["h2c", "list", "twice"],
)
def test_upgrade_to_another_protocol_than_websocket_is_refused(
    farm: StartFarm, vendor: str, headers: list[tuple[str, str]]
) -> None:
    lab = farm(vendor)
    answer = lab.get("/echo-headers", headers=headers)
    assert answer.status in {200, 400}
    if answer.status == 200:
        assert "h2c" not in " ".join(received_headers(answer, "upgrade"))
        assert received_headers(answer, "http2-settings") == []
    assert all(
        not any("h2c" in str(value) for value in seen.values())
        for node in lab.nodes
        for seen in node.control.upgrades()
    )


def test_unknown_host_name_is_refused(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"frontend": {"aliases": ["orch.corp.example"]}})
    assert lab.get(headers={"Host": f"orch.corp.example:{lab.port}"}).status == 200
    assert lab.get(headers={"Host": "evil.example"}).status == 421
    seen = [seen for node in lab.nodes for seen in node.control.requests("/planted")]
    assert lab.get("/planted", headers={"Host": "evil.example"}).status == 421
    assert seen == [seen for node in lab.nodes for seen in node.control.requests("/planted")]


@pytest.mark.parametrize("form", PLANTED)
@pytest.mark.no_cover  # other tests reach the same lines
def test_host_name_that_resembles_the_farms_is_refused(farm: StartFarm, vendor: str, form: str) -> None:
    lab = farm(vendor)
    request = head("GET", "/planted", form.format(lab.host), ["Connection: close"])
    answer = run(converse(Target.of(lab.url, ca=str(lab.certificates.ca)), request, 5.0, once=True))
    assert answer.status in {400, 421}, answer.data
    assert not any(node.control.requests("/planted") for node in lab.nodes)


def test_host_name_with_any_port_is_served(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"frontend": {"aliases": ["orch-2.corp.example"]}})
    for host in (lab.host, lab.host.upper(), f"{lab.host}:443", f"{lab.host}:8443", "orch-2.corp.example:1"):
        assert lab.get(headers={"Host": host}).status == 200, host
    assert lab.get(headers={"Host": "orch-2xcorp.example"}).status == 421, "a dot is a dot, not any character"


SIGN_IN: Changes = {"frontend": {"windows_sign_in": True}}


@pytest.mark.parametrize(
    ("program", "size", "changes"),
    [
        ("haproxy", 16_000, {}),
        ("haproxy", 16_000, SIGN_IN),
        ("haproxy", 64_000, SIGN_IN),
        ("nginx", 16_000, {}),
        ("nginx", 64_000, {}),
    ],
)
def test_kerberos_ticket_reaches_a_node(farm: StartFarm, program: str, size: int, changes: Changes) -> None:
    ticket = f"Negotiate {'x' * size}"
    answer = farm(program, changes).get("/echo-headers", headers={"Authorization": ticket})
    assert answer.status == 200
    assert received_headers(answer, "authorization") == [ticket]


@pytest.mark.haproxy
def test_kerberos_ticket_of_64_kb_without_windows_sign_in_gets_400(farm: StartFarm) -> None:
    lab = farm("haproxy")
    assert lab.get("/echo-headers", headers={"Authorization": f"Negotiate {'x' * 64_000}"}).status == 400
    assert lab.get("/echo-headers").status == 200


def test_six_headers_of_several_kilobytes_reach_a_node(farm: StartFarm, vendor: str) -> None:
    headers = {f"X-Large-{number}": "x" * 3500 for number in range(6)}
    answer = farm(vendor).get("/echo-headers", headers=headers)
    assert [received_headers(answer, name) for name in headers] == [[value] for value in headers.values()]


def test_answer_with_five_large_cookies_arrives(farm: StartFarm, vendor: str) -> None:
    answer = farm(vendor).get("/x?cookie_chunks=5&bytes=3500")
    assert len([name for name, value in answer.headers if name.lower() == "set-cookie" and len(value) > 3500]) == 5


def test_http_port_redirects_to_https(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    answer = plain(lab, "/odata/Jobs?x=1")
    assert answer.status == 301
    assert answer.header("location") == f"https://{lab.host}:{lab.port}/odata/Jobs?x=1"
    planted = plain(lab, "/x", headers={"Host": "evil.example"})
    assert "evil" not in planted.header("location")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_http_port_redirect_keeps_the_method(farm: StartFarm, vendor: str, method: str) -> None:
    lab = farm(vendor)
    answer = plain(lab, "/odata/Jobs?x=1", method=method, body=b"x=1")
    assert answer.status == 308
    assert answer.header("location") == f"https://{lab.host}:{lab.port}/odata/Jobs?x=1"
    assert plain(lab, "/x", method="HEAD").status == 301


@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("/x?access_token=secret-.%2B&m=1", "/x?access_token=***&m=1"),
        ("/x?m=1&ACCESS_TOKEN=secret", "/x?m=1&ACCESS_TOKEN=***"),
        ("/signalr/connect?connectionToken=secret&m=1", "/signalr/connect?connectionToken=***&m=1"),
        ("/x?id=secret7890123456789012&access_token=secret", "/x?id=***&access_token=***"),
        ("/x?access_token=secret&id=secret7890123456789012", "/x?access_token=***&id=***"),
        ("/x?id=12345&m=1", "/x?id=12345&m=1"),
    ],
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_log_masks_tokens_in_urls(farm: StartFarm, vendor: str, mode: str, sent: str, logged: str) -> None:
    lab = farm(vendor, {"frontend": {"tls": {"mode": mode}}})
    lab.get(sent)
    plain(lab, sent)
    seen = 2 if mode == "bridge" else 1
    shown = logged.partition("***")[0] + "***" if vendor == "nginx" and "***" in logged else logged
    assert wait_until(lambda: sum(f"GET {shown} HTTP" in line for line in lab.logged()) >= seen, 5), lab.logged()
    assert [line for line in lab.logged() if "secret" in line] == []


@pytest.mark.haproxy
@pytest.mark.parametrize("sent", ["/x", "/x?m=1", "/x?access_token=secret"])
def test_haproxy_log_line_has_the_format_of_httplog(farm: StartFarm, sent: str) -> None:
    lab = farm("haproxy")
    lab.get(sent)
    plain(lab, sent)
    shown = re.escape(sent.replace("secret", "***"))
    number, rest = r"[0-9]+", r"[0-9/+-]+"
    line = rf'127\.0\.0\.1:{number} \[\S+\] {{}} {rest} {{}} {number} - - \S+ {rest} {rest} "GET {shown} HTTP/1\.1"'
    web = line.format("orchestrator-test~ orchestrator-test_web/orch-[12]", 200)
    redirect = line.format("orchestrator-test_redirect orchestrator-test_redirect/<NOSRV>", 301)
    assert wait_until(lambda: any(re.fullmatch(web, one) for one in lab.logged()), 5), lab.logged()
    assert wait_until(lambda: any(re.fullmatch(redirect, one) for one in lab.logged()), 5), lab.logged()


def test_http_port_without_redirect_is_closed(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"frontend": {"redirect_http": False}})
    with pytest.raises((OSError, ValueError, RuntimeError)):
        plain(lab)


def test_hsts_is_sent_unless_the_spec_turns_it_off(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    for path in ("/odata/Jobs", "/signalr/negotiate", "/x?status=500"):
        assert lab.get(path).header("strict-transport-security") == "max-age=63072000"
    without = farm(vendor, {"frontend": {"tls": {"hsts": False}}})
    assert without.get().header("strict-transport-security") == ""


def test_body_up_to_the_limit_is_accepted(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"max_body": "1MB"}})
    size = 1024 * 1024
    answer = lab.get("/api/upload", method="POST", body=b"x" * size)
    assert answer.status == 200
    assert answer.json()["bytes"] == size
    assert lab.get("/api/upload", method="POST", body=b"x" * (size + 1)).status == 413


def test_status_page_answers_on_loopback(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    if vendor == "haproxy":
        metrics = fetch(f"http://127.0.0.1:{lab.metrics_port}/metrics").body.decode()
        assert 'haproxy_server_status{proxy="orchestrator-test_web",server="orch-1"' in metrics
        assert fetch(f"http://127.0.0.1:{lab.metrics_port}/").status == 200
    else:
        status = fetch(f"http://127.0.0.1:{lab.metrics_port}/status", headers={"Host": "localhost"})
        assert "Active connections" in status.body.decode()


@pytest.mark.parametrize("mode", ["bridge", "terminate", "none"])
def test_tls_mode_with_http_forwards_scheme_and_name(farm: StartFarm, vendor: str, mode: str) -> None:
    lab = farm(vendor, {"frontend": {"tls": {"mode": mode}}})
    answer = lab.get("/echo-headers")
    assert answer.json()["scheme"] == ("https" if mode == "bridge" else "http")
    assert received_headers(answer, "x-forwarded-proto") == ["http" if mode == "none" else "https"]
    if mode == "bridge":
        assert answer.json()["sni"] == lab.host


def test_passthrough_forwards_tls_to_the_nodes(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"frontend": {"tls": {"mode": "passthrough"}}})
    answer = lab.get("/echo-headers")
    assert answer.json()["sni"] == lab.host
    assert received_headers(answer, "x-forwarded-for") == []
    assert set(lab.hits(10)) == {"orch-1", "orch-2"}
    lab.nodes[0].kill()
    assert wait_until(lambda: lab.hits(6) == ["orch-2"] * 6, 10)


@pytest.mark.no_cover  # other tests reach the same lines
def test_passthrough_detects_a_stopped_app_pool_only_on_haproxy(farm: StartFarm) -> None:
    """As `nginx-passthrough-health` states: on NGINX requests fail while the app pool is stopped."""
    for vendor, seen in (("haproxy", {200}), ("nginx", {200, 503})):
        lab = farm(vendor, {"frontend": {"tls": {"mode": "passthrough"}}, "balancer": {"algorithm": "round-robin"}})
        lab.nodes[0].set(pool_stopped=True)
        time.sleep(4)
        assert {lab.get().status for _ in range(12)} == seen


def test_node_with_a_foreign_certificate_gets_no_request(farm: StartFarm, vendor: str, tmp_path: Path) -> None:
    """An impostor without a certificate of the CA must see no password."""
    lab = farm(vendor)
    victim = lab.nodes[1]
    victim.kill()
    foreign = make_certificates(tmp_path, [lab.host])
    with NodeProcess(name="impostor", port=victim.port, tls_cert=foreign.certificate, tls_key=foreign.key) as impostor:
        time.sleep(1)
        assert set(lab.hits(12)) == {"orch-1"}
        assert impostor.control.requests("/odata") == []


def test_stopped_app_pool_without_traffic_is_marked_down_on_haproxy(farm: StartFarm) -> None:
    lab = farm("haproxy")
    lab.nodes[0].set(pool_stopped=True)
    assert wait_until(lambda: "DOWN" in _status(lab, "orch-1"), 8)
    lab.nodes[0].reset()
    assert wait_until(lambda: "UP" in _status(lab, "orch-1"), 8)


def _status(lab: FarmLab, name: str) -> str:
    """The state of a node in HAProxy's statistics."""
    for line in lab.runtime("show stat").splitlines():
        columns = line.split(",")
        if columns[:2] == ["orchestrator-test_web", name]:
            return columns[17]
    return ""


def test_degraded_node_stays_in_rotation(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    lab.nodes[0].set(degraded=True)
    time.sleep(3)
    assert set(lab.hits(10)) == {"orch-1", "orch-2"}
