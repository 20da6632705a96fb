"""What differs between NGINX builds: affinity without `sticky cookie`, URLs that fail on every node, large headers."""

from typing import Any

import pytest

from nlbgen.generators.nginx.generator import STICKY
from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.load import LoadPlan, run_load
from nlbgen.prove.clients.simple import Fetched, SocketHolder, SocketPlan
from nlbgen.spec.units import Version

from .conftest import Changes, FarmLab, StartFarm, for_build, other_programs
from .http2_client import Http2Client

NGINX = [build for build in other_programs() if build["program"] == "nginx"]
HASHING = [build for build in NGINX if Version(build["version"]) < STICKY]
STATES = ("up", "up", "up", "drain", "backup")


@pytest.fixture(params=NGINX, ids=lambda build: build["wrapper"])
def nginx(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each fetched build of NGINX."""
    build: dict[str, Any] = request.param
    return build


def start(farm: StartFarm, build: dict[str, Any], changes: Changes) -> FarmLab:
    about = for_build(build)
    return farm("nginx", {"nginx": about, **changes}, program=build["path"])


def cookie_of(answer: Fetched) -> str:
    return answer.header("set-cookie").partition(";")[0]


def five_nodes(farm: StartFarm, build: dict[str, Any]) -> FarmLab:
    """Three nodes that serve, a drained one and a backup, with affinity by cookie."""
    nodes = [
        {"name": f"orch-{n}", "address": f"10.20.0.1{n}", "state": state} for n, state in enumerate(STATES, start=1)
    ]
    return start(farm, build, {"nodes": nodes, "balancer": {"affinity": "cookie"}})


def clients_of(lab: FarmLab) -> dict[str, dict[str, str]]:
    """The headers of a client of each node that serves."""
    clients: dict[str, dict[str, str]] = {}
    while set(clients) != {"orch-1", "orch-2", "orch-3"}:
        answer = lab.get()
        clients[answer.header("X-Node")] = {"Cookie": cookie_of(answer)}
    return clients


def test_cookie_selects_its_node_and_is_set_to_the_node_that_answered(farm: StartFarm, nginx: dict[str, Any]) -> None:
    lab = five_nodes(farm, nginx)
    quick = lab.configuration.read_text(encoding="utf-8").replace("fail_timeout=10s", "fail_timeout=1s")
    lab.configuration.write_text(quick, encoding="utf-8")
    lab.balancer.reload()
    clients = clients_of(lab)
    for name, headers in clients.items():
        assert set(lab.hits(5, headers=headers)) == {name}
    lab.node("orch-1").kill()
    moved = lab.get(headers=clients["orch-1"])
    other = moved.header("X-Node")
    assert other in {"orch-2", "orch-3"}, "neither a drained node nor a backup takes over while another node serves"
    if Version(nginx["version"]) < STICKY:
        assert set(lab.hits(8, headers=clients["orch-1"])) == {other}, "one client stays on one node"
    lab.node("orch-1").restart()
    assert wait_until(lambda: lab.get(headers=clients["orch-1"]).header("X-Node") == "orch-1", 20)
    assert set(lab.hits(8, headers={"Cookie": cookie_of(moved)})) == {other}, "the new cookie leads to the new node"


@pytest.mark.nginx
def test_clients_of_a_node_that_is_down_go_to_all_other_nodes(farm: StartFarm) -> None:
    nodes = [{"name": f"orch-{n}", "address": f"10.20.0.1{n}"} for n in (1, 2, 3)]
    lab = farm("nginx", {"nodes": nodes, "balancer": {"affinity": "cookie"}, "nginx": {"version": "1.22"}})
    headers = clients_of(lab)["orch-1"]
    lab.node("orch-1").kill()
    plan = LoadPlan(
        url=lab.url, ca=lab.certificates.ca, clients=24, rate=100.0, seconds=0.5, source_addresses=True, headers=headers
    )
    assert set(run_load(plan).nodes) == {"orch-2", "orch-3"}
    lab.node("orch-1").restart()


@pytest.mark.parametrize("nginx", HASHING, ids=lambda build: build["wrapper"], indirect=True)
def test_backup_takes_over_from_the_last_node_of_a_hash(farm: StartFarm, nginx: dict[str, Any]) -> None:
    lab = five_nodes(farm, nginx)
    clients = clients_of(lab)
    for name in clients:
        lab.node(name).kill()
    answers = [lab.get(headers=headers) for headers in clients.values() for _ in range(4)]
    assert {answer.status for answer in answers[4:]} == {200}


@pytest.mark.parametrize("affinity", ["none", "cookie", "source"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_url_that_fails_on_every_node_fails_no_other_request(
    farm: StartFarm, nginx: dict[str, Any], affinity: str, status: int
) -> None:
    lab = start(farm, nginx, {"balancer": {"affinity": affinity}})
    cookie = {"Cookie": cookie_of(lab.get())} if affinity == "cookie" else {}
    broken = [lab.get(f"/odata/Broken?status={status}", headers=cookie).status for _ in range(20)]
    assert set(broken) == {status}
    assert [lab.get(headers=cookie).status for _ in range(10)] == [200] * 10
    assert lab.get(method="POST", headers={"Content-Length": "0", **cookie}).status == 200


@pytest.mark.parametrize("affinity", ["none", "cookie", "source"])
def test_websockets_open_while_any_node_is_healthy(farm: StartFarm, nginx: dict[str, Any], affinity: str) -> None:
    """The nodes die in turn; the second one before NGINX has used the first one again."""
    lab = start(farm, nginx, {"balancer": {"affinity": affinity}})
    plan = SocketPlan(url=f"{lab.url}/ws", count=6, ca=lab.certificates.ca)
    first, second = lab.nodes
    first.kill()
    with SocketHolder(plan) as held:
        assert {report.node for report in held.reports} == {second.name}, held.reports
        first.restart()
        second.kill()
        with SocketHolder(plan) as again:
            assert {report.node for report in again.reports} == {first.name}, again.reports


def test_websockets_avoid_a_node_that_hangs(farm: StartFarm, nginx: dict[str, Any]) -> None:
    """All open at once, before a request has marked the node down."""
    lab = start(farm, nginx, {})
    first, second = lab.nodes
    first.freeze()
    with SocketHolder(SocketPlan(url=f"{lab.url}/ws", count=6, ca=lab.certificates.ca)) as held:
        assert {report.node for report in held.reports} == {second.name}, held.reports


@pytest.mark.parametrize("size", [16_384, 64_000])
def test_large_header_over_http2_reaches_a_node(farm: StartFarm, nginx: dict[str, Any], size: int) -> None:
    lab = start(farm, nginx, {})
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/"), ("authorization", "Negotiate " + "x" * size))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert "x" * size in client.data.decode()


def test_internal_check_is_no_path_for_clients(farm: StartFarm, nginx: dict[str, Any]) -> None:
    lab = start(farm, nginx, {})
    assert lab.get("/nlb-check").header("X-Node") == ""
    paths = [seen["target"] for node in lab.nodes for seen in node.control.requests()]
    assert "/nlb-check" not in paths
    assert lab.live.health_path not in paths
