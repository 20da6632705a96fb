"""The same farm on every version at hand: each gets the configuration made for it, and serves.

`tests/tools/programs.py` fetches the builds from Debian's archive; without them these tests are skipped.
"""

import time

import pytest

from nlbgen.net.waiting import wait_until
from nlbgen.prove.clients.sessions import SessionPlan, run_session
from nlbgen.prove.clients.simple import SocketHolder, SocketPlan


@pytest.fixture
def lab(farm, build):
    """A farm with the affinity that differs most between versions, on one build."""
    about = {"version": build["version"].rpartition(".")[0], "openssl": build["openssl"].rstrip("w")}
    changes = {build["program"]: about, "balancer": {"affinity": "cookie"}}
    return farm(build["program"], changes, program=build["path"])


def test_a_build_of_another_version_serves_the_farm(lab):
    assert set(lab.hits(12)) == {"orch-1", "orch-2"}
    first = lab.get()
    cookie = first.header("set-cookie").partition(";")[0]
    assert cookie.startswith("NLBID=")
    assert set(lab.hits(6, headers={"Cookie": cookie})) == {first.header("X-Node")}
    report = run_session(SessionPlan(url=lab.url, ca=lab.certificates.ca))
    assert report.ok, report


def test_a_build_of_another_version_reloads_under_open_websockets(lab):
    plan = SocketPlan(url=f"{lab.url}/ws", count=10, echo_every=0.2, ca=lab.certificates.ca)
    with SocketHolder(plan) as held:
        lab.balancer.reload()
        time.sleep(2)
        assert lab.get().status == 200
        assert held.alive == 10, [report for report in held.reports if not report.alive]


def test_a_build_of_another_version_survives_a_node(lab):
    lab.nodes[0].kill()
    assert wait_until(lambda: lab.hits(4) == ["orch-2"] * 4, 10)


def test_a_build_of_another_version_complains_of_nothing(lab):
    said = lab.balancer.output() + lab.log()
    bad = [line for line in said.splitlines() if any(word in line.lower() for word in ("[warn", "[alert", "[emerg"))]
    # Run by root without a change of user, which the laboratory wants and the packaged configuration does not do.
    assert [line for line in bad if "chroot" not in line and "as root" not in line] == []
