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
*'show sess') echo '0x1: proto=tcpv4 be=orchestrator-prod_signalr srv=orch-1 ts=00' ;;
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


def rounds(spec: Spec, folder: Path, workers: str) -> list[list[str]]:
    """The commands of each round, until the fourth one sleeps."""
    for name, text in (("socat", SOCAT), ("sleep", SLEEP)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "proc").write_text(f"# workers\n{NEW}{workers}", encoding="utf-8")
    (folder / "stat").write_text(statistics("orchestrator-prod_signalr", **{"orch-1": "DOWN", "orch-2": "UP"}))
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
