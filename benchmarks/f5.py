"""A push to a BIG-IP that answers after 20 ms: requests, sequential round trips, and what 200 members cost.

The device is the simulator of the tests, on loopback with TLS. Requests and round trips are counted by it, not timed.
"""

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from measure import ROOT, machine, middle, publish, seconds

from nlbgen.core.plan import Plan
from nlbgen.push.backends.connect import push
from nlbgen.push.contract import Options
from nlbgen.spec.load import Spec, loads

if TYPE_CHECKING:
    from tests.f5.bigip import Running

LATENCY = 0.020
ROUNDS = 3
MOST_ROUND_TRIPS = 12
MOST_REQUESTS = 54
"""A push that creates everything: 18 for its transaction, two reads of 12 kinds, 7 for certificates, 5 more."""
MOST_TIMES = 3
MANY = 200
_PASSWORD = "NLBGEN_BENCH_F5"


class _Quiet:
    def say(self, text: str) -> None:
        pass

    def insist(self, text: str) -> None:
        pass

    def show(self, plan: Plan) -> None:
        pass

    def agree(self, question: str) -> bool:
        return bool(question)


def main() -> bool:
    """Measure, publish, and return whether all thresholds are passed."""
    bigip = _simulator()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tls = _certificates(bigip, folder)
        with bigip.Running(bigip.BigIp(latency=LATENCY), *bigip.certificates(folder)) as running:
            os.environ[_PASSWORD] = running.device.password
            few = _measured(running, folder, tls, 2)
            many = _measured(running, folder, tls, MANY)
    # What more requests cost by themselves is not the push's doing.
    allowed = MOST_TIMES * few["new"][0] + LATENCY * (many["new"][1] - few["new"][1])
    held = few["unchanged"][2] <= MOST_ROUND_TRIPS and few["new"][1] <= MOST_REQUESTS and many["new"][0] <= allowed
    _show(few, many, allowed)
    return held


def _measured(
    running: "Running", folder: Path, tls: Mapping[str, str], members: int
) -> dict[str, tuple[float, int, int]]:
    """For a push of everything and one of nothing: seconds, requests, sequential round trips."""
    spec = _spec(running, folder, tls, members)
    times: dict[str, list[float]] = {"new": [], "unchanged": []}
    counts: dict[str, tuple[int, int]] = {}
    for _ in range(ROUNDS if members < MANY else 1):
        running.device.renew(latency=LATENCY)
        for case, found in times.items():
            running.device.log.clear()
            running.device.spans.clear()
            found.append(seconds(lambda: push("f5", spec, Options(snapshots=folder / "snapshots"), _Quiet())))
            counts[case] = len(running.device.log), running.device.rounds()
    return {case: (middle(found), *counts[case]) for case, found in times.items()}


def _spec(running: "Running", folder: Path, tls: Mapping[str, str], members: int) -> Spec:
    farm = {
        "farm": "orchestrator-prod",
        "orchestrator": {"version": "2019.4"},
        "frontend": {"host": "orchestrator.corp.example", "address": "10.20.0.10", "tls": dict(tls)},
        "nodes": [{"name": f"orch-{n}", "address": f"10.20.{1 + n // 200}.{1 + n % 200}"} for n in range(members)],
        "stores": {"signalr": "redis", "redis": {"host": "redis.corp.example", "port": 6379}},
        "f5": {"host": "127.0.0.1", "port": running.port, "ca": str(running.ca), "password": {"env": _PASSWORD}},
    }
    return loads(json.dumps(farm), str(folder / "farm.yaml"))


def _certificates(bigip: ModuleType, folder: Path) -> dict[str, str]:
    ca = bigip.pair("CA", ca=True)
    certificate, key = bigip.pair("orchestrator.corp.example", ca)
    (folder / "site.pem").write_bytes(bigip.pem(certificate) + bigip.pem(ca[0]))
    (folder / "site.key").write_bytes(bigip.key_pem(key))
    (folder / "ca.pem").write_bytes(bigip.pem(ca[0]))
    return {
        "certificate": str(folder / "site.pem"),
        "key": str(folder / "site.key"),
        "verify_nodes": str(folder / "ca.pem"),
    }


def _show(few: Mapping[str, Any], many: Mapping[str, Any], allowed: float) -> None:
    rows: list[Sequence[object]] = [
        ("2 members, nothing changes", *few["unchanged"], f"{MOST_ROUND_TRIPS} round trips"),
        ("2 members, everything is new", *few["new"], f"{MOST_REQUESTS} requests"),
        (f"{MANY} members, nothing changes", *many["unchanged"], ""),
        (f"{MANY} members, everything is new", *many["new"], f"{allowed:.1f} s"),
    ]
    lines = [
        f"{machine()}. The device answers after {LATENCY * 1000:.0f} ms.",
        "",
        "| Push | Time | Requests | One after another | Threshold |",
        "|---|---|---|---|---|",
        *(f"| {name} | {took:.2f} s | {sent} | {rounds} | {most} |" for name, took, sent, rounds, most in rows),
    ]
    publish("f5", lines)


def _simulator() -> ModuleType:
    found = importlib.util.spec_from_file_location("f5_bigip", ROOT / "tests" / "f5" / "bigip" / "__init__.py")
    if found is None or found.loader is None:
        raise SystemExit("the simulator of the tests is not there")
    module = importlib.util.module_from_spec(found)
    sys.modules["f5_bigip"] = module
    found.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(not main())
