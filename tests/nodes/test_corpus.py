"""Farms of complete install folders from 2019.10 to 2025.10, with more than 60 seeded faults: the audit finds each one.

Each fault is seeded into one node of a farm of three to six nodes, in every other version that can have it; once the
audit reads the files, and once what `collect-node.ps1` makes of them. Nothing else is reported, and no secret is shown.
"""

import fnmatch
import json
from pathlib import Path

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.nodes import audit, reading
from nlbgen.nodes.planning import plan_farm
from nlbgen.spec.load import Spec, load
from tests.nodes import corpus
from tests.nodes.collecting import certificate, collect
from tests.nodes.corpus import FAULTS, SECRETS, VERSIONS, Fault, Version

PASSWORDS = frozenset({"password of Redis"})
"""Faults in a password of the spec: a collected node has a pseudonym, which only other nodes are compared with."""


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_CORPUS_REDIS", "R3dis-Pass-w0rd")
    monkeypatch.setenv("NLBGEN_CORPUS_SQL", "Sql-Pass-w0rd")


def farm(folder: Path, version: Version, count: int, fault: Fault | None = None, at: int = 0) -> Spec:
    """Write the nodes and their spec; one node has the fault."""
    for number in range(1, count + 1):
        files = corpus.healthy(version)
        if fault is not None and number == at:
            fault.change(files, version)
        for name, text in files.items():
            path = folder / f"orch-{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    (folder / "farm.yaml").write_text(corpus.spec(version, count), encoding="utf-8")
    return load(folder / "farm.yaml")


def collected(folder: Path, version: Version, count: int, **changes: object) -> Spec:
    """Collect the nodes of a farm; the last one has these facts."""
    for number in range(1, count + 1):
        collect(folder / f"orch-{number}", **(changes if number == count else {}))
    (folder / "farm.yaml").write_text(corpus.spec(version, count, ".json"), encoding="utf-8")
    return load(folder / "farm.yaml")


def audited(spec: Spec) -> audit.Audit:
    found, failed = reading.read_configs(spec)
    return audit.audit(found, spec, [audit.Unreadable(one.name, one.error, one.location) for one in failed])


def reported(result: audit.Audit, node: str) -> set[str]:
    """The settings that differ and the ids of the problems; a problem of another node is not expected."""
    assert {one.node for one in result.problems} <= {node}
    return {row.title for row in result.rows if not row.same} | {f"[{one.id}]" for one in result.problems}


def unexpected(found: set[str], wanted: frozenset[str]) -> list[str]:
    """What is reported and not wanted, or wanted and not reported."""
    patterns = {one: one.replace("[", "[[]") for one in wanted}
    missing = [f"not found: {one}" for one, form in patterns.items() if not fnmatch.filter(found, form)]
    return missing + [one for one in found if not any(fnmatch.fnmatchcase(one, form) for form in patterns.values())]


def shown_by(result: audit.Audit) -> str:
    """All that an audit shows."""
    return "\n".join([result.text(), json.dumps(result.data()), *result.notes])


def leaked(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def count_of(index: int) -> int:
    return 3 + index % 4


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_audit_of_a_healthy_farm_reports_nothing(tmp_path: Path, name: str, count: int) -> None:
    version = VERSIONS[name]
    for spec in (farm(tmp_path, version, count), collected(tmp_path, version, count)):
        result = audited(spec)
        assert not result.drift, result.text()
        assert not leaked(shown_by(result))


@pytest.mark.parametrize("name", VERSIONS)
def test_plan_of_a_healthy_farm_changes_nothing(tmp_path: Path, name: str) -> None:
    assert not plan_farm(farm(tmp_path, VERSIONS[name], 3)).plan.changes


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.no_cover  # other tests reach the same lines
def test_audit_finds_the_fault_and_nothing_else(tmp_path: Path, fault: Fault) -> None:
    number = FAULTS.index(fault)
    for index, name in enumerate(fault.versions[number % 2 :: 2] or fault.versions, number):
        count = count_of(index)
        at = 2 + index % (count - 1)
        spec = farm(tmp_path / name, VERSIONS[name], count, fault, at)
        result = audited(spec)
        assert not unexpected(reported(result, f"orch-{at}"), fault.found), (name, result.text())
        assert not leaked(shown_by(result) + planned(spec))


def planned(spec: Spec) -> str:
    """What a plan shows, or its error."""
    try:
        plan = plan_farm(spec)
    except NlbgenError as error:
        return f"{error.message} {error.hint}"
    return "\n".join([plan.plan.text(), json.dumps(plan.plan.data()), *plan.notes])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_audit_finds_the_fault_without_the_secrets(tmp_path: Path, fault: Fault) -> None:
    wanted = fault.found - {"[spec-differs]"} if fault.name in PASSWORDS else fault.found
    index = FAULTS.index(fault)
    version = VERSIONS[fault.versions[index % len(fault.versions)]]
    count = count_of(index)
    at = 2 + index % (count - 1)
    farm(tmp_path, version, count, fault, at)
    found = reported(audited(collected(tmp_path, version, count)), f"orch-{at}") - {"[signing-certificate]"}
    assert not unexpected(found, wanted)
    for path in tmp_path.glob("*.json"):
        assert not leaked(path.read_text(encoding="utf-8-sig"))


FACTS: dict[str, tuple[dict[str, object], str]] = {
    "site id": ({"site": {"id": 7, "pool": "Orchestrator", "bindings": []}}, "site id"),
    "stopped pool": (
        {"pools": [{"name": "Orchestrator", "state": "Stopped", "identity": "ApplicationPoolIdentity"}]},
        "app pool",
    ),
    "other account": ({"pools": [{"name": "Orchestrator", "state": "Started", "identity": "CORP\\svc"}]}, "app pool"),
    "other version": ({"versions": {"orchestrator": "1.0", "windows": "10.0.20348.0"}}, "UiPath.Orchestrator.dll"),
    "other Windows": ({"versions": {"orchestrator": "23.10.1.0", "windows": "6.3.9600.0"}}, "Windows"),
    "clock": ({"clock_offset": 4.2}, "[clock-offset]"),
    "no WebSockets": ({"features": {"IIS-WebSockets": "Disabled"}}, "[iis-websockets]"),
    "no certificate": ({"certificates": []}, "[signing-certificate]"),
    "expired certificate": ({"certificates": [certificate(ends="2030-04-01T00:00:00Z")]}, "[signing-certificate]"),
    "unreadable key": ({"certificates": [certificate(readable={"Identity": False})]}, "[signing-certificate]"),
}


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_audit_finds_what_only_the_script_sees(tmp_path: Path, name: str) -> None:
    changes, found = FACTS[name]
    version = VERSIONS["2023.10"]
    farm(tmp_path, version, 4)
    assert reported(audited(collected(tmp_path, version, 4, **changes)), "orch-4") == {found}


def test_corpus_has_every_kind_of_fault() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 60
    assert {name for fault in FAULTS for name in fault.versions} == set(VERSIONS)
