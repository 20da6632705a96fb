"""The same farm on every available version, each with the configuration for it.

`tests/tools/programs.py` fetches the builds from Debian's archive; without them these tests are skipped.
"""

import json
import socket
import ssl
import time
from typing import Any

import pytest

from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.hub_client import SessionPlan
from nlbgen.prove.clients.raw import head
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan
from nlbgen.spec.units import Version

from .conftest import FarmLab, StartFarm, for_build, run_session
from .delay import delayed
from .http2_client import Http2Client


@pytest.fixture
def lab(farm: StartFarm, build: dict[str, Any]) -> FarmLab:
    """A farm with the affinity that differs most between versions, on one build."""
    about = for_build(build)
    changes = {build["program"]: about, "balancer": {"affinity": "cookie"}}
    return farm(build["program"], changes, program=build["path"])


@pytest.mark.every_build
@pytest.mark.no_cover  # other tests reach the same lines
def test_other_version_serves_the_farm(lab: FarmLab) -> None:
    assert set(lab.hits(12)) == {"orch-1", "orch-2"}
    first = lab.get()
    cookie = first.header("set-cookie").partition(";")[0]
    assert cookie.startswith("NLBID=")
    assert set(lab.hits(6, headers={"Cookie": cookie})) == {first.header("X-Node")}
    report = run_session(SessionPlan(url=lab.url, ca=lab.certificates.ca))
    assert report.ok, report


@pytest.mark.no_cover  # other tests reach the same lines
def test_other_version_keeps_websockets_over_a_reload(lab: FarmLab) -> None:
    plan = SocketPlan(url=f"{lab.url}/ws", count=10, echo_every=0.2, ca=lab.certificates.ca)
    with SocketHolder(plan) as held:
        lab.balancer.reload()
        time.sleep(2)
        assert lab.get().status == 200
        assert held.alive == 10, [report for report in held.reports if not report.alive]


def test_other_version_serves_after_a_node_is_killed(lab: FarmLab) -> None:
    lab.nodes[0].kill()
    assert wait_until(lambda: lab.hits(4) == ["orch-2"] * 4, 10)


@pytest.mark.parametrize("size", [0, 3000, 21_000])
@pytest.mark.no_cover  # other tests reach the same lines
def test_other_version_retries_a_get_with_large_headers(lab: FarmLab, size: int) -> None:
    """HAProxy 3.4 copies a GET into a small buffer for the retry, if the GET fits."""
    lab.nodes[0].set(pool_stopped=True)
    headers = {f"X-Large-{number}": "x" * (size // 6) for number in range(6)}
    assert {lab.get(headers=headers).status for _ in range(6)} == {200}


@pytest.mark.alone
def test_other_version_accepts_an_http2_upload_with_high_latency(lab: FarmLab) -> None:
    """A window of 64 kB for each round trip of 20 ms: more than 3 s, and on HAProxy 2.6 and 3.0 more than 10."""
    with delayed(lab.port, 0.02) as port, Http2Client(lab, port) as client:
        started = time.monotonic()
        client.upload("/api/upload", 10 * 1024**2)
        seconds = time.monotonic() - started
    assert client.headers[":status"] == "200"
    assert json.loads(client.data)["bytes"] == 10 * 1024**2
    assert seconds < 3


def test_other_version_shows_413_to_a_client_that_sends_before_it_reads(farm: StartFarm, build: dict[str, Any]) -> None:
    """HAProxy before 3.0 closes the connection at once, as its page says."""
    about = for_build(build)
    lab = farm(build["program"], {build["program"]: about, "balancer": {"max_body": "1MB"}}, program=build["path"])
    closes = build["program"] == "haproxy" and Version(build["version"]) < Version("3.0")
    try:
        seen = upload_then_read(lab, 20 * 1024**2)
    except OSError:
        seen = b""
    assert seen.startswith(b"HTTP/1.1 413") is not closes


def upload_then_read(lab: FarmLab, size: int) -> bytes:
    """Send an upload completely, and only then read: as .NET's client does. Raises OSError."""
    context = ssl.create_default_context(cafile=str(lab.certificates.ca))
    plain = socket.create_connection(("127.0.0.1", lab.port), timeout=20)
    with context.wrap_socket(plain, server_hostname=lab.host) as client:
        client.sendall(head("POST", "/over", lab.host, [f"Content-Length: {size}"]))
        for _ in range(size // 65536):
            client.sendall(bytes(65536))
        return client.recv(65536)


@pytest.mark.every_build
@pytest.mark.no_cover  # other tests reach the same lines
def test_other_version_prints_no_warning(lab: FarmLab) -> None:
    output = lab.balancer.output() + lab.log()
    bad = [line for line in output.splitlines() if any(word in line.lower() for word in ("[warn", "[alert", "[emerg"))]
    # The lab runs the balancer as root without a change of user; the packaged configuration does not.
    assert [line for line in bad if "chroot" not in line and "as root" not in line] == []
