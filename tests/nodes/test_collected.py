"""Nodes collected without their secrets: compared like those with secrets, and refused where secrets are needed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes import audit, collected_facts, reading, service_checks, spec_checks
from nlbgen.nodes.config import collected, effective
from nlbgen.spec.load import Spec, load
from tests.nodes.collecting import KEY, THUMBPRINT, certificate, collect, document
from tests.nodes.test_services import (
    CORE,
    FRESH,
    OTHER,
    Folder,
    differing,
    farm,
    folder,
    identity,
    load_names,
    main,
    node,
)

if TYPE_CHECKING:
    from tests.conftest import RunCommand

__all__ = ["folder"]
SIGNED = identity(name=THUMBPRINT)


def audited(*files: Path) -> audit.Audit:
    return audit.audit({path.stem: effective.load(path) for path in files})


def problems(result: audit.Audit) -> list[tuple[str, str]]:
    return [(one.node, one.id) for one in result.problems]


def test_audit_of_equal_collected_nodes_agrees(folder: Folder) -> None:
    result = audited(*(collect(folder(name, node(identity=SIGNED))) for name in ("orch-1", "orch-2")))
    assert not result.drift
    rows = {row.title: row.values["orch-1"].shown for row in result.rows}
    assert (rows["site id"], rows["UiPath.Orchestrator.dll"]) == ("2", "23.10.1.0")
    assert rows["app pool"] == "ApplicationPoolIdentity, Started"
    assert "Identity EncryptionSettings:EncryptionKey" in rows
    (note,) = result.notes
    assert "fingerprints of collected nodes are fingerprints of pseudonyms" in note


def test_audit_finds_the_same_with_and_without_secrets(folder: Folder) -> None:
    first, second = folder("orch-1", node()), folder("orch-2", {**node(**FRESH), CORE: main(OTHER, secret="x")})
    raw = audit.audit({path.name: effective.load(path) for path in (first, second)})
    safe = audited(collect(first), collect(second, certificates=[certificate(thumbprint="0022BB")]))
    assert differing(raw) == differing(safe)
    assert problems(raw) == [one for one in problems(safe) if one[1] != "signing-certificate"]
    assert [one.location.rpartition("/")[2] for one in raw.problems] == [
        one.location.rpartition("/")[2] for one in safe.problems if one.id != "signing-certificate"
    ]
    assert OTHER not in safe.text()


def test_cli_audits_collected_files(folder: Folder, cli: "RunCommand") -> None:
    files = [collect(folder(name, node(identity=SIGNED))) for name in ("orch-1", "orch-2")]
    done = cli("nodes", "audit", *map(str, files))
    assert done.code == 0, done.err
    assert "settings agree" in done.out


@pytest.mark.parametrize("command", ["keys", "plan", "apply"])
def test_commands_that_need_secrets_refuse_collected_files(
    folder: Folder, tmp_path: Path, cli: "RunCommand", command: str
) -> None:
    for name in ("orch-1", "orch-2"):
        collect(folder(name, node()))
    text = farm(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "farm.yaml").write_text(
        text.replace("config: orch-1", "config: orch-1.json").replace("config: orch-2", "config: orch-2.json"),
        encoding="utf-8",
    )
    done = cli("nodes", command)
    assert done.code == 5
    assert "orch-1.json: comes from `nlbgen nodes collect`" in done.err
    if command == "keys":
        assert cli("nodes", command, "orch-1.json").code == 5
        done = cli("nodes", command, "--generate", "--yes", "orch-1.json")
        assert done.code == 5
        assert "has pseudonyms in place of secrets" in done.err


def test_spec_of_collected_files_is_checked_and_compared_without_secrets(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_REDIS", "another")
    for name in ("orch-1", "orch-2"):
        collect(folder(name, node(identity=SIGNED)))
    path = farm(tmp_path, password="password: {env: NLBGEN_TEST_REDIS}", keys="keys: {from: orch-1}")
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("config: orch-1}", "config: orch-1.json}").replace("config: orch-2", "config: orch-2.json"),
        encoding="utf-8",
    )
    spec = load(path)
    result = audit.audit(load_names_of(spec), spec)
    assert not result.drift, result.text()
    assert any("passwords were not compared: the passwords in" in note for note in result.notes)
    assert any("the keys of collected nodes are pseudonyms" in note for note in result.notes)
    assert not [one for one in spec_checks.problems(spec) if one.severity == "error"]
    path.write_text(path.read_text(encoding="utf-8").replace("from: orch-1}", "from: orch-1.json}"), encoding="utf-8")
    with pytest.raises(NodeError, match="has pseudonyms in place of secrets"):
        reading.keys_source(load(path), {})
    with pytest.raises(NodeError):
        load_names(spec)


def load_names_of(spec: Spec) -> dict[str, effective.Config]:
    return reading.read_configs(spec)[0]


def test_nodes_with_and_without_secrets_are_not_compared(folder: Folder) -> None:
    first, second = folder("orch-1", node()), folder("orch-2", node())
    with pytest.raises(NodeError, match="orch-1: is a node's own file with secrets, but the files of other nodes"):
        audit.audit({"orch-1": effective.load(first), "orch-2": effective.load(collect(second))})
    with pytest.raises(NodeError, match="collected with different keys: orch-1 "):
        audited(collect(first), collect(second, KEY + "x"))


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"clock_offset": 1.5}, "clock-offset", "the node's clock differs from its time source by 1.5 s"),
        ({"clock_offset": -70}, "clock-offset", "by -70.0 s"),
        ({"features": {"IIS-WebSockets": "Disabled"}}, "iis-websockets", "IIS-WebSockets of Windows is Disabled"),
        ({"certificates": []}, "signing-certificate", f"{THUMBPRINT} is not in the store My"),
        ({"certificates": [certificate(ends="2030-04-30T00:00:00Z")]}, "signing-certificate", "expired at 2030-04-30"),
        (
            {"certificates": [certificate(begins="2030-06-01T00:00:00Z")]},
            "signing-certificate",
            "not valid before 2030-06-01",
        ),
        ({"certificates": [certificate(bits=1024)]}, "signing-certificate", "has 1024 bits"),
        ({"certificates": [certificate(has_key=False)]}, "signing-certificate", "has no private key on this node"),
        (
            {"certificates": [certificate(readable={"Identity": False})]},
            "signing-certificate",
            "has a private key that the app pool Identity cannot read",
        ),
    ],
)
def test_audit_reports_what_no_file_shows(folder: Folder, changes: dict[str, Any], rule: str, words: str) -> None:
    path = collect(folder("orch-1", node(identity=SIGNED)), **changes)
    result = audited(path)
    assert problems(result) == [("orch-1", rule)]
    assert words in result.problems[0].message
    if rule == "signing-certificate":
        assert result.problems[0].location.endswith("orch-1.json/Identity/appsettings.Production.json:9:26")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clock_offset": None}, "could not read the offset of the clock"),
        ({"features": {}}, "could not read the features of Windows"),
        ({"certificates": [certificate(ends="2030-05-20T00:00:00Z")]}, "expires at 2030-05-20"),
        (
            {"certificates": [certificate(readable={"Identity": None})]},
            "the script could not find out whether the app pool of Identity can read",
        ),
        ({"certificates": [certificate(bits=None)]}, ""),
        ({"applications": {}, "certificates": [certificate(readable={"Orchestrator": True})]}, ""),
    ],
)
def test_audit_notes_what_could_not_be_decided(folder: Folder, changes: dict[str, Any], words: str) -> None:
    result = audited(collect(folder("orch-1", node(identity=SIGNED)), **changes))
    assert not result.problems
    notes = [note for note in result.notes if "pseudonyms" not in note]
    assert [words in note for note in notes] == ([True] if words else [])


@pytest.mark.parametrize("name", ["Identity Signing", "CN=Identity Signing, O=Corp", "0a " * 20])
def test_certificate_is_found_by_subject_and_thumbprint(folder: Folder, name: str) -> None:
    assert not audited(collect(folder("orch-1", node(identity=identity(name=name))))).problems


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        SIGNED.replace("LocalMachine", "CurrentUser").replace(THUMBPRINT, "missing"),
        identity(name="x", more=',"ConfigEncryptionSettings": {}'),
    ],
)
def test_certificate_that_the_script_cannot_see_is_not_reported(folder: Folder, text: str) -> None:
    config = effective.load(collect(folder("orch-1", node(identity=text))))
    assert not list(collected_facts.findings(config))
    assert not service_checks.certificate_note(config)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"site": {"id": 3, "pool": "Orchestrator", "bindings": []}}, "site id"),
        ({"versions": {"orchestrator": "23.10.2.0", "windows": "10.0.20348.0"}}, "UiPath.Orchestrator.dll"),
        ({"versions": {"orchestrator": "23.10.1.0", "windows": "10.0.17763.0"}}, "Windows"),
        ({"pools": [{"name": "Orchestrator", "state": "Stopped", "identity": "ApplicationPoolIdentity"}]}, "app pool"),
        ({"pools": []}, "app pool"),
    ],
)
def test_audit_compares_what_no_file_shows(folder: Folder, changes: dict[str, Any], title: str) -> None:
    first = collect(folder("orch-1", node(identity=SIGNED)))
    assert differing(audited(first, collect(folder("orch-2", node(identity=SIGNED)), **changes))) == [title]


def test_local_accounts_of_the_same_name_are_equal(folder: Folder) -> None:
    files = [
        collect(
            folder(name, node(identity=SIGNED)),
            pools=[{"name": "Orchestrator", "state": "Started", "identity": f"{name}\\svc"}],
        )
        for name in ("orch-1", "orch-2")
    ]
    assert not differing(audited(*files))


def test_files_that_the_script_could_not_split_are_named(folder: Folder) -> None:
    path = collect(folder("orch-1", {**node(), "Webhooks/appsettings.json": '{"a": "'}))
    config = effective.load(path)
    assert config.notes == [
        f"{path}: was not compared: Webhooks\\appsettings.json: cannot be read as text (RuntimeException)"
    ]
    broken = collect(folder("orch-2", {CORE: "<a"}))
    with pytest.raises(
        NodeError, match=r"does not contain UiPath\.Orchestrator\.dll\.config: UiPath.*cannot be read as text"
    ):
        effective.load(broken)


def test_included_files_are_found_in_any_case(folder: Folder) -> None:
    text = main().replace("<appSettings>", '<appSettings file="Sub\\More.config">')
    files = {**node(core=text), "sub/more.config": '<appSettings><add key="X" value="TRUE"/></appSettings>'}
    assert effective.load(collect(folder("orch-1", files))).app.value("X") == "TRUE"
    config = effective.load(collect(folder("orch-2", node(core=text))))
    assert any("which does not exist" in note for note in config.notes)


CHANGES: list[tuple[str, object, str]] = [
    ("made_by", "x", "is not a file of"),
    ("format", 2, "another version of nlbgen"),
    ("check", "XYZ", "check is not 16 hex digits"),
    ("check", 1, "check is not a short text"),
    ("files", {}, "files is not an array"),
    ("files", [1], "files is not an object"),
    ("files", [{"path": "..\\x", "text": ""}], "files.path is not a path below the folder"),
    ("files", [{"path": "C:\\x", "text": ""}], "files.path is not a path below the folder"),
    ("files", [{"path": "x\x1b", "text": ""}], "files.path is not a short text"),
    ("files", [{"path": "x"}], "files.error is not a short text"),
    ("main", "y" * 301, "main is not a short text"),
    ("facts", None, "facts is not an object"),
    ("facts.collected", "today", "facts.collected is not a time"),
    ("facts.site", {"id": True, "pool": "", "bindings": []}, "facts.site.id is not a number"),
    ("facts.clock_offset", "x", "facts.clock_offset is not a number"),
    ("facts.clock_offset", float("inf"), "facts.clock_offset is not a number"),
    ("facts.pools", [{"name": "x"}], "facts.pools.state is not a short text"),
    ("facts.certificates", [certificate(readable={"x": 1})], "facts.certificates.readable is not true, false or null"),
    ("facts.features", {"x": 1}, "facts.features.x is not a short text"),
]


@pytest.mark.parametrize(("path", "value", "words"), CHANGES)
def test_file_of_another_form_is_an_error(folder: Folder, path: str, value: object, words: str) -> None:
    first = folder("orch-1", node())
    data = document(first)
    *parents, last = path.split(".")
    place = data
    for parent in parents:
        place = place[parent]
    place[last] = value
    target = first.with_name("bad.json")
    target.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(NodeError) as error:
        effective.load(target)
    assert words in error.value.message


@pytest.mark.parametrize(
    ("content", "words"), [("[]", "is not a file of"), ("{", "is not JSON"), ("\udcff", "not JSON")]
)
def test_file_that_is_no_such_json_is_an_error(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.JSON"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(NodeError, match=words):
        effective.load(path)


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NodeError, match="cannot be read: No such file"):
        effective.load(tmp_path / "none.json")
    monkeypatch.setattr(collected, "MAX_BYTES", 3)
    (tmp_path / "x.json").write_text("12345", encoding="utf-8")
    with pytest.raises(NodeError, match="is larger than 3 bytes"):
        effective.load(tmp_path / "x.json")
