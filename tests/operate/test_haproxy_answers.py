"""Answers of HAProxy that are not complete, or not HAProxy's: an error, and never a state that is not true."""

from collections.abc import Sequence

import pytest

from nlbgen.core.errors import DeviceError
from nlbgen.operate.haproxy import Haproxy
from nlbgen.operate.shell import Output
from nlbgen.spec.load import loads

FARM = loads("""
farm: site
frontend: {host: orchestrator.corp.example, address: 10.20.0.10}
nodes: [{name: orch-1, address: 10.20.1.1}, {name: orch-2, address: 10.20.1.2}]
balancer: {health: {all_failed: refuse}}
haproxy: {version: "2.6"}
""").farm
COLUMNS = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change"
)
STAT = (
    "# pxname,svname,scur,status,check_status,last_chk,\nsite_web,orch-1,0,UP,L7OK,,\nsite_web,orch-2,0,UP,L7OK,,\n\n"
)
STATES = f"1\n{COLUMNS}\n1 site_web 1 orch-1 10.20.1.1 2 0 100 100 7\n1 site_web 2 orch-2 10.20.1.2 2 0 100 100 7\n\n"
OLD = "#<PID> <type>\n1 master\n# workers\n7 worker\n# old workers\n5 worker\n# programs\n\n"


class Sockets:
    """A host whose sockets give these answers: of the current worker, of the master, and of the old worker."""

    name = "lb-1"

    def __init__(self, runtime: str, master: str = "#<PID>\n\n", old: str = "\n\n") -> None:
        self.runtime, self.master, self.old = runtime, master, old

    def run(self, command: Sequence[str], text: str = "") -> Output:
        answer = self.old if text.startswith("@!") else self.master if "master" in command[-1] else self.runtime
        return Output(0, answer, "")


def read(runtime: str, master: str = "#<PID>\n\n", old: str = "\n\n") -> list[str]:
    nodes = Haproxy(FARM, Sockets(runtime, master, old), pauses=()).read()
    return [f"{node.name} {node.state} {node.sessions.total}" for node in nodes]


def test_complete_answers_are_read() -> None:
    session = "0x1: proto=tcpv4 be=site_signalr srv=orch-2 ts=00\n\n"
    assert read(STAT + STATES) == ["orch-1 up 0", "orch-2 up 0"]
    assert read(STAT + STATES, OLD, session) == ["orch-1 up 0", "orch-2 up 1"]
    assert read(STAT + STATES, OLD, "Can't find the target PID matching the prefix '@!5'\n") == [
        "orch-1 up 0",
        "orch-2 up 0",
    ]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (("",), "lb-1: HAProxy gives no complete answer at /run/haproxy/admin.sock within 5 s"),
        (((STAT + STATES)[:-40],), "lb-1: HAProxy gives no complete answer"),
        ((STAT + STATES, ""), "lb-1: HAProxy's master process gives no complete answer at /run/haproxy-master.sock"),
        ((STAT + STATES, OLD, ""), "lb-1: HAProxy's old worker 5 gives no complete answer"),
        ((STAT,), "is not that of HAProxy's runtime socket: # pxname,svname"),
        (("HTTP/1.1 400 Bad Request\r\n\x1b[0m\n\n",), r"runtime socket: HTTP/1.1 400 Bad Request \\x1b\[0m$"),
    ],
    ids=["hangs", "is truncated", "master hangs", "old worker hangs", "half", "another program"],
)
def test_answer_that_is_not_complete_is_an_error(answers: tuple[str, ...], message: str) -> None:
    """The program socat ends without an error in all of these cases."""
    with pytest.raises(DeviceError, match=message) as refused:
        read(*answers)
    assert refused.value.hint
