"""The rounds of `nlbgen-haproxy watch`: the rendered script with a simulated HAProxy, without a clock."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nlbgen.generators.base import generator, render
from nlbgen.spec.load import Spec

SOCAT = """#!/bin/sh
command=$(cat)
echo "$command" >> "$LOG"
case $command in
'show proc') cat "$FOLDER/proc" ;;
'show stat') cat "$FOLDER/stat" ;;
*'show sess') cat "$FOLDER/sess" ;;
esac
"""
SLEEP = """#!/bin/sh
echo round >> "$LOG"
[ "$(grep -c round "$LOG")" -lt 4 ] || kill "$PPID"
"""
NEW = "1 worker 0 0 0d00h00m10s 2.6\n"
OLD = "# old workers\n2 worker [was: 1] 1 0d00h01m10s 2.6\n"


def statistics(pool: str, **states: str) -> str:
    rows = [f"{pool},{name},0,0,1,{'0,' * 12}{state},100," for name, state in states.items()]
    return "".join(f"{row}\n" for row in (*rows, f"{pool},BACKEND,0,0,1,{'0,' * 12}UP,100,"))


def rounds(spec: Spec, folder: Path, workers: str, shown: str = "", pool: str = "signalr") -> list[list[str]]:
    """The commands of each round, until the fourth one sleeps.

    `shown` is what `show stat` prints. The old worker has one session with orch-1, in the pool.
    """
    session = f"0x1: proto=tcpv4 be=orchestrator-prod_{pool} srv=orch-1 ts=00\n"
    (folder / "sess").write_text(session, encoding="utf-8")
    for name, text in (("socat", SOCAT), ("sleep", SLEEP)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "proc").write_text(f"# workers\n{NEW}{workers}", encoding="utf-8")
    usual = statistics("orchestrator-prod_signalr", **{"orch-1": "DOWN", "orch-2": "UP"})
    (folder / "stat").write_text(shown or usual, encoding="utf-8")
    script = folder / "nlbgen-haproxy"
    files = render(generator("haproxy"), spec)
    script.write_bytes(next(file.content for file in files if file.path.name == "nlbgen-haproxy"))
    log = folder / "log"
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log), "FOLDER": str(folder)}
    subprocess.run(["/bin/sh", str(script), "watch"], env=environment, check=False, timeout=60)
    return [part.splitlines() for part in log.read_text(encoding="utf-8").split("round\n")[:-1]]


@pytest.mark.parametrize("all_failed", ["serve", "refuse"])
def test_watch_reads_the_statistics_once_in_each_round(
    make_spec: Callable[..., Spec], tmp_path: Path, all_failed: str
) -> None:
    spec = make_spec(farm="orchestrator-prod", balancer={"health": {"all_failed": all_failed}})
    first, *others = rounds(spec, tmp_path, OLD)
    assert [each.count("show stat") for each in (first, *others)] == [1, 1, 1, 1]
    assert [each.count("show proc") for each in (first, *others)] == [1, 1, 1, 1]
    assert [line for line in first if "shutdown session" in line] == ["@!2 shutdown session 0x1"]
    assert not any("shutdown" in line for each in others for line in each), "nothing has changed"


@pytest.mark.parametrize(("all_failed", "times"), [("serve", 1), ("refuse", 0)])
def test_watch_without_old_workers_reads_only_what_it_needs(
    make_spec: Callable[..., Spec], tmp_path: Path, all_failed: str, times: int
) -> None:
    spec = make_spec(farm="orchestrator-prod", balancer={"health": {"all_failed": all_failed}})
    assert [each.count("show stat") for each in rounds(spec, tmp_path, "")] == [times] * 4


def row(pool: str, name: str, status: str, *, sessions: int = 0, since: int = 0) -> str:
    """One row of `show stat`: sessions in column 5, status in column 18, seconds since the last change in column 24."""
    columns = [pool, name, "0", "0", str(sessions), *["0"] * 12, status, "100", "1", "0", "0", "0", str(since)]
    return ",".join(columns) + "\n"


@pytest.mark.parametrize(
    ("since", "closes"), [(0, False), (3, False), (4, True), (86400, True)], ids=["now", "3s", "4s", "a day"]
)
def test_watch_keeps_last_resort_connections_while_other_nodes_may_recover(
    make_spec: Callable[..., Spec], tmp_path: Path, since: int, closes: bool
) -> None:
    """Interval 2 s and timeout 1.5 s: a node that recovers at the same time is up after 4 s at the latest."""
    health = {"all_failed": "serve", "interval": "2s", "timeout": "1500ms"}
    spec = make_spec(farm="orchestrator-prod", balancer={"health": health})
    live, last = "orchestrator-prod_signalr", "orchestrator-prod_unchecked"
    rows = [row(live, "orch-1", "UP", since=since), row(live, "orch-2", "DOWN", since=90), row(live, "BACKEND", "UP")]
    rows += [row(last, name, "no check", sessions=1) for name in ("orch-1", "orch-2")]
    found = [line for each in rounds(spec, tmp_path, "", "".join(rows)) for line in each]
    closed = {line for line in found if "shutdown" in line}
    assert closed == ({f"shutdown sessions server {last}/orch-2"} if closes else set())


@pytest.mark.parametrize(
    ("state", "since", "closes"), [("DOWN", 90, False), ("UP", 0, False), ("UP", 4, True)], ids=["none", "now", "4s"]
)
def test_watch_keeps_last_resort_connections_of_an_old_worker_until_another_node_serves(
    make_spec: Callable[..., Spec], tmp_path: Path, state: str, since: int, closes: bool
) -> None:
    health = {"all_failed": "serve", "interval": "2s", "timeout": "1500ms"}
    spec = make_spec(farm="orchestrator-prod", balancer={"health": health})
    live = "orchestrator-prod_signalr"
    rows = row(live, "orch-1", "DOWN", since=90) + row(live, "orch-2", state, since=since) + row(live, "BACKEND", state)
    found = [line for each in rounds(spec, tmp_path, OLD, rows, "unchecked") for line in each]
    assert {line for line in found if "shutdown" in line} == ({"@!2 shutdown session 0x1"} if closes else set())
