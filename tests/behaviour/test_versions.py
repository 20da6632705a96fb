"""The same farm on every available version, each with the configuration for it.

`tests/tools/programs.py` fetches the builds from Debian's archive; without them these tests are skipped.
"""

import json
import time
from typing import Any

import pytest

from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.hub_client import SessionPlan
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan

from .conftest import FarmLab, StartFarm, run_session
from .delay import delayed
from .http2_client import Http2Client


@pytest.fixture
def lab(farm: StartFarm, build: dict[str, Any]) -> FarmLab:
    """A farm with the affinity that differs most between versions, on one build."""
    about = {"version": build["version"].rpartition(".")[0], "openssl": build["openssl"].rstrip("w")}
    changes = {build["program"]: about, "balancer": {"affinity": "cookie"}}
    return farm(build["program"], changes, program=build["path"])


def test_other_version_serves_the_farm(lab: FarmLab) -> None:
    assert set(lab.hits(12)) == {"orch-1", "orch-2"}
    first = lab.get()
    cookie = first.header("set-cookie").partition(";")[0]
    assert cookie.startswith("NLBID=")
    assert set(lab.hits(6, headers={"Cookie": cookie})) == {first.header("X-Node")}
    report = run_session(SessionPlan(url=lab.url, ca=lab.certificates.ca))
    assert report.ok, report


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


@pytest.mark.alone
def test_other_version_takes_an_upload_over_http2_from_far_away(lab: FarmLab) -> None:
    """A window of 64 kB for each round trip of 20 ms: more than 3 s, and on HAProxy 2.6 and 3.0 more than 10."""
    with delayed(lab.port, 0.02) as port, Http2Client(lab, port) as client:
        started = time.monotonic()
        client.upload("/api/upload", 10 * 1024**2)
        seconds = time.monotonic() - started
    assert client.headers[":status"] == "200"
    assert json.loads(client.data)["bytes"] == 10 * 1024**2
    assert seconds < 3


def test_other_version_prints_no_warning(lab: FarmLab) -> None:
    output = lab.balancer.output() + lab.log()
    bad = [line for line in output.splitlines() if any(word in line.lower() for word in ("[warn", "[alert", "[emerg"))]
    # The lab runs the balancer as root without a change of user; the packaged configuration does not.
    assert [line for line in bad if "chroot" not in line and "as root" not in line] == []
