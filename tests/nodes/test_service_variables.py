"""Environment variables of the services' web.config, and settings that a plan removes."""

from pathlib import Path

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes.config import effective, json_settings
from nlbgen.nodes.config.json_lexer import JsonProblemError
from nlbgen.nodes.config.json_settings import changed
from tests.nodes.test_services import (
    KEY,
    OTHER,
    Folder,
    audited,
    differing,
    folder,
    identity,
    node,
    planned,
    sha,
)

__all__ = ["folder"]
WEB = "Identity/web.config"


def web(*variables: str, before: str = "", module: str = "") -> str:
    """The web.config of a service; `variables` as NAME=VALUE."""
    parts = [one.partition("=") for one in variables]
    added = "".join(f'\n  <environmentVariable name="{name}" value="{value}" />' for name, _equal, value in parts)
    return (
        '<configuration><location path="." inheritInChildApplications="false"><system.webServer>'
        f'<aspNetCore processPath="x"{module}><environmentVariables>{before}{added}\n</environmentVariables>'
        "</aspNetCore></system.webServer></location><location path='x'/></configuration>"
    )


def test_variable_has_precedence_over_the_files(folder: Folder) -> None:
    text = web(f"encryptionsettings__encryptionkey={OTHER}", "SQLCONNSTR_Extra=Server=SQL09", "A:B=1", "ASPNETCORE_X=2")
    one = effective.load(folder("orch-1", {**node(), WEB: text})).services[0]
    setting = one.get("EncryptionSettings:EncryptionKey")
    assert setting is not None
    assert (setting.text, str(setting.location).rpartition("/")[2]) == (OTHER, "web.config:2:3")
    assert one.text("ConnectionStrings:Extra") == "Server=SQL09"
    assert one.text("a:b") == "1"
    assert one.text("ASPNETCORE_X") == "2"
    assert one.text("nothing") is None


def test_later_variables_and_clear_are_read_as_iis_reads_them(folder: Folder) -> None:
    text = web("A=1", "a=2", before='<environmentVariable name="B" value="x"/><clear/><remove name="A"/>')
    one = effective.load(folder("orch-1", {**node(), WEB: text})).services[0]
    assert (one.text("A"), one.text("B")) == ("2", None)
    empty = web(before='<environmentVariable name="A"/><environmentVariable/>')
    one = effective.load(folder("orch-1", {**node(), WEB: empty})).services[0]
    assert one.text("A") == ""


def test_plan_changes_the_variable_that_sets_a_key(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node())
    text = web(f"EncryptionSettings__EncryptionKey={OTHER}", "Other=1")
    second = folder("orch-2", {**node(), WEB: text})
    plan = planned(tmp_path)
    assert [str(change) for change in plan.plan.changes] == [
        f"~ Identity/EncryptionSettings:EncryptionKey: {sha(OTHER)} -> {sha(KEY)}"
    ]
    assert str(plan.plan.changes[0].where) == f"{second / WEB}:2:3"
    ((document, content),) = plan.nodes[1].files
    assert (document.path, content.decode()) == (second / WEB, text.replace(OTHER, KEY))


def test_plan_copies_what_a_variable_of_the_first_node_sets(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", {**node(), WEB: web(f"EncryptionSettings__EncryptionKey={KEY}")})
    folder("orch-2", node(identity=identity(OTHER)))
    ((document, content),) = planned(tmp_path).nodes[1].files
    assert document.path.name == "appsettings.Production.json"
    assert content == identity().encode()


def test_value_that_no_xml_holds_is_an_error(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node(identity=identity(name="00\\u000111")))
    name = "AppSettings__SigningCredentialSettings__StoreLocation__Name"
    folder("orch-2", {**node(), WEB: web(f"{name}=0022BB")})
    with pytest.raises(NodeError, match=r"Identity/web\.config: a value cannot be written"):
        planned(tmp_path)


def test_audit_compares_what_the_services_read(folder: Folder) -> None:
    same = {**node(identity=identity(OTHER)), WEB: web(f"EncryptionSettings__EncryptionKey={KEY}")}
    assert not differing(audited(folder("orch-1", node()), folder("orch-2", same)))
    other = {**node(), WEB: web("ConnectionStrings__DefaultConnection=Server=SQL09")}
    result = audited(folder("orch-1", node()), folder("orch-2", other))
    assert differing(result) == ["Identity ConnectionStrings:DefaultConnection"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (web("ASPNETCORE_ENVIRONMENT=Staging"), "2:3: the variable ASPNETCORE_ENVIRONMENT is not Production"),
        (web("dotnet_environment="), "2:3: the variable dotnet_environment is not Production"),
        (web(module=' configSource="x.config"'), "<aspNetCore> has a configSource"),
        ("<configuration>", "closed"),
    ],
)
def test_web_config_with_which_a_service_reads_other_settings_is_a_problem(
    folder: Folder, tmp_path: Path, text: str, words: str
) -> None:
    folder("orch-1", node())
    second = folder("orch-2", {**node(), WEB: text})
    (problem,) = effective.load(second).service_problems
    assert words in problem.message
    assert problem.rule == "service-settings"
    with pytest.raises(NodeError):
        planned(tmp_path)


def test_environment_production_is_the_default(folder: Folder) -> None:
    config = effective.load(folder("orch-1", {**node(), WEB: web("ASPNETCORE_ENVIRONMENT=production")}))
    assert not config.service_problems


# Removal


def test_plan_removes_parts_of_a_certificate_that_the_first_node_lacks(folder: Folder, tmp_path: Path) -> None:
    first = identity().replace(', "NameType": "Thumbprint"', "")
    folder("orch-1", node(identity=first))
    rotation = identity(name="0022BB").replace('"Password"', '"ValidationKeys": [{"Name": "33"}],\r\n      "Password"')
    folder("orch-2", node(identity=rotation))
    plan = planned(tmp_path)
    assert [str(change) for change in plan.plan.changes] == [
        "~ Identity/AppSettings:SigningCredentialSettings:StoreLocation:Name: 0022BB -> 0011AA",
        "- Identity/AppSettings:SigningCredentialSettings:StoreLocation:NameType: Thumbprint",
        "- Identity/AppSettings:SigningCredentialSettings:ValidationKeys:0:Name: 33",
    ]
    ((_document, content),) = plan.nodes[1].files
    assert content == first.encode()


@pytest.mark.parametrize("place", ["defaults", "variable"])
def test_plan_notes_what_it_cannot_remove(folder: Folder, tmp_path: Path, place: str) -> None:
    folder("orch-1", node(identity=identity().replace(', "NameType": "Thumbprint"', "")))
    name = "AppSettings:SigningCredentialSettings:StoreLocation:NameType"
    more = {"Identity/appsettings.json": f'{{"{name}": "x"}}'}
    if place == "variable":
        more = {WEB: web(f"{name.replace(':', '__')}=x")}
    folder("orch-2", {**node(), **more})
    plan = planned(tmp_path)
    assert not plan.plan.changes
    (note,) = [note for note in plan.notes if "remove this setting by hand" in note]
    assert f"Identity has {name}, but the first node does not" in note


def test_plan_removes_nothing_if_the_first_node_names_no_certificate(folder: Folder, tmp_path: Path) -> None:
    folder("orch-1", node(identity=identity(name="")))
    folder("orch-2", node(identity=identity(name="").replace('"Name"', '"Location": "x", "name"', 0)))
    assert not planned(tmp_path).plan.changes


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ('{ "A": 1, "B": 2 }', ["a"], '{ "B": 2 }'),
        ('{ "A": 1, "B": 2 }', ["b"], '{ "A": 1 }'),
        ('{ "A": 1, "B": 2, }', ["b"], '{ "A": 1, }'),
        ('{\n  "A": 1,\n  "B": 2 // c\n}', ["B"], '{\n  "A": 1\n // c\n}'),
        ('{\r\n  "A": 1, // c\r\n  "B": {\r\n    "C": 2\r\n  }\r\n}', ["b:c"], '{\r\n  "A": 1 // c\r\n}'),
        ('{\r  "A": [1, 2],\r  "B": 1\r}', ["A:1", "B"], '{\r  "A": [1]\r}'),
        ('{"A": {"B": 1}}', ["a:b"], "{}"),
        ('{"A:B": 1, "A": {"C": 1}}', ["A:B"], '{ "A": {"C": 1}}'),
        ('{"A": 1}', ["B"], '{"A": 1}'),
        ('{"A": {}, "B": 1}', ["A"], '{ "B": 1}'),
    ],
)
def test_removal_cuts_out_only_the_setting(text: str, names: list[str], wanted: str) -> None:
    assert changed(text, {}, names) == wanted


def test_removal_within_an_array_is_refused() -> None:
    with pytest.raises(JsonProblemError, match="the elements after it would get other indexes"):
        changed('{"A": [1, 2]}', {}, ["A:0"])


def test_removal_that_leaves_the_setting_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_settings, "_removal", lambda *_all: [])
    with pytest.raises(RuntimeError, match="does not match the plan"):
        changed('{"A": 1}', {}, ["A"])
