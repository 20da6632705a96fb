"""The script that collects a node without its secrets: it only reads, tests itself first, and replaces each secret.

No Windows PowerShell runs here: the script is read by its tree. `Protector` is the same in Python; the script contains
its results as a test vector.
"""

import base64
import hashlib
import hmac
import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.core.errors import FileError
from nlbgen.nodes.collect import protecting, script
from nlbgen.nodes.collect.protecting import Protector, UnreadableError
from nlbgen.nodes.config.json_lexer import parse
from nlbgen.nodes.config.json_settings import leaves
from nlbgen.spec.load import load

from .powershell_rules import Node, broken, nodes_of

if TYPE_CHECKING:
    from tests.conftest import RunCommand

KEY = "0123456789abcdef" * 4
SPEC = """version: 1
farm: f
orchestrator: {version: "2023.10", directory: 'D:\\Ui''Path', site: "Site"}
frontend: {host: orch.corp.example, tls: {mode: passthrough}}
nodes: [{name: orch-1, address: 10.0.0.11}, {name: orch-2, address: 10.0.0.12}]
stores: {signalr: redis, redis: {host: haa-1, port: 10000}}
"""
PROTECTOR = Protector(KEY)


@pytest.fixture
def rendered(tmp_path: Path) -> bytes:
    (tmp_path / "farm.yaml").write_text(SPEC, encoding="utf-8")
    return script.render(load(tmp_path / "farm.yaml")).content


# The script by its tree


def commands(content: bytes) -> set[str]:
    return {node.children[0].text.decode() for node in nodes_of(content) if node.type == "command"}


@pytest.mark.no_cover  # other tests reach the same lines
def test_script_breaks_no_rule(rendered: bytes) -> None:
    assert broken(rendered) == []


def test_script_runs_only_commands_that_read(rendered: bytes) -> None:
    own = {node.children[1].text.decode() for node in nodes_of(rendered) if node.type == "function_statement"}
    assert commands(rendered) - own == {
        "ConvertTo-Json", "Get-Acl", "Get-ChildItem", "Get-ItemProperty", "Get-WebApplication", "Get-WebAppPoolState",
        "Get-WebBinding", "Get-WindowsOptionalFeature", "Get-Website", "Import-Module", "New-Object", "Read-Host",
        "Set-StrictMode", "Test-Path", "Where-Object", "Write-Host", "Write-Warning", "w32tm.exe",
    }  # fmt: skip
    calls = {
        re.sub(r"\(.*", "", node.text.decode(), flags=re.DOTALL)
        for node in nodes_of(rendered)
        if node.type == "invokation_expression"
    }
    files = {call for call in calls if call.startswith("[IO.File]::")}
    assert files == {"[IO.File]::ReadAllText", "[IO.File]::ReadAllBytes", "[IO.File]::WriteAllText"}
    written = [line for line in rendered.decode().splitlines() if "WriteAllText" in line]
    assert len(written) == 1
    assert written[0].startswith("[IO.File]::WriteAllText($OutputPath, ")


def test_script_tests_itself_before_it_reads_anything(rendered: bytes) -> None:
    tree = next(nodes_of(rendered))
    found: list[str] = []

    def body(node: Node) -> None:
        for child in node.children:
            if child.type in {"function_statement", "param_block", "comment"}:
                continue
            if child.type in {"pipeline", "flow_control_statement", "if_statement", "foreach_statement"}:
                found.append(child.text.decode())
            else:
                body(child)

    body(tree)
    calls = [one for one in found if not re.match(r"(?:Set-StrictMode|\$\w|\$script:\w+) ?.*=|Set-StrictMode", one)]
    assert calls[0] == "Assert-Vector"
    before = found[: found.index("Assert-Vector")]
    assert not [one for one in before if re.search(r"IO\.File|Get-|Read-", one)]
    text = rendered.decode()
    vector = text[text.index("function Assert-Vector") : text.index("function Assert-Elevated")]
    assert vector.count("throw") == vector.count("Nothing was read.'") == 4
    assert "[IO.File]" not in vector


def test_script_takes_the_key_from_no_command_line(rendered: bytes) -> None:
    parameters = [node.text.decode() for node in nodes_of(rendered) if node.type == "script_parameter"]
    names = {re.sub(r".*\$(\w+).*", r"\1", one, flags=re.DOTALL) for one in parameters}
    assert "KeyFile" in names
    assert "Key" not in names
    text = rendered.decode()
    assert "(Read-Host 'Key of this run' -AsSecureString)" in text
    assert "$env:NLBGEN_COLLECT_KEY" in text


def lines_of(text: str, name: str) -> str:
    """The text of a variable that is a list of literals."""
    part = re.search(rf"\${name} = @\(\n(.*?)\n    \) -join", text, re.DOTALL)
    assert part
    lines = [line.strip().removesuffix(",") for line in part[1].splitlines()]
    assert all(line[0] == line[-1] == "'" for line in lines)
    return "\n".join(line[1:-1].replace("''", "'") for line in lines)


def test_vector_of_the_script_is_what_this_code_computes(rendered: bytes) -> None:
    text = rendered.decode()
    key = re.search(r"\$script:Key = \[Text\.Encoding\]::UTF8\.GetBytes\('(the key.*?)'\)", text)
    assert key
    protector = Protector(key[1])
    assert lines_of(text, "safeXml") == protector.xml(lines_of(text, "xml"))
    assert lines_of(text, "safeJson") == protector.json(lines_of(text, "json"))
    assert f"(Get-KeyCheck), '{protector.check}')" in text
    for name in ("safeXml", "safeJson"):
        assert "p4" not in lines_of(text, name)
    rfc = hmac.new(b"Jefe", b"what do ya want for nothing?", "sha256").hexdigest().upper()
    assert rfc in text


def test_forms_of_the_script_are_those_of_this_code(rendered: bytes) -> None:
    text = rendered.decode()
    for form in (*protecting.FORMS.values(), *(form for form, _kind in protecting.KINDS)):
        assert "'" + form.replace("'", "''") + "'" in text
    for words in (protecting.PLAIN_ATTRIBUTES, protecting.SQL_PLAIN, protecting.REDIS_PLAIN, protecting.STORAGE_PLAIN):
        assert "@(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")" in text
    assert r"[string] $Folder = 'D:\Ui''Path'," in text
    assert "[string] $SiteName = 'Site'," in text


# The command


def test_collect_writes_script_and_key(tmp_path: Path, cli: "RunCommand") -> None:
    (tmp_path / "farm.yaml").write_text(SPEC, encoding="utf-8")
    done = cli("nodes", "collect", "--new-key", "run.key")
    assert done.code == 0, done.err
    assert "wrote outputs/nodes/collect-node.ps1" in done.err
    key = (tmp_path / "run.key").read_text(encoding="ascii")
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert stat.S_IMODE((tmp_path / "run.key").stat().st_mode) == 0o600
    assert key not in done.out + done.err + (tmp_path / "outputs/nodes/collect-node.ps1").read_text(encoding="utf-8")
    again = cli("nodes", "collect")
    assert "unchanged outputs/nodes/collect-node.ps1" in again.err
    refused = cli("nodes", "collect", "--new-key", "run.key")
    assert refused.code == 1
    assert "give another file: a key is for one run" in refused.err
    with pytest.raises(FileError, match="cannot be written") as error:
        script.write_key(tmp_path / "none" / "key")
    assert error.value.hint == "give another folder"


# The rules


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("AB" * 32, r"[0-9A-F]{64}"),
        ("ab" * 20 + "c", r"[0-9A-F]{41}"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        (base64.b64encode(b"x" * 32).decode(), r"[A-Za-z0-9+/]{43}="),
        (base64.b64encode(b"x" * 64).decode(), r"[A-Za-z0-9+/]{86}=="),
        ("short", r"hmac-[0-9a-f]{32}"),
        ("", ""),
        (" ", " "),
        ("AutoGenerate,IsolateApps", "AutoGenerate,IsolateApps"),
    ],
)
def test_pseudonym_has_the_form_of_the_value(value: str, form: str) -> None:
    new = PROTECTOR.pseudonym(value)
    assert re.fullmatch(form, new)
    assert new == PROTECTOR.pseudonym(value)
    if value.strip() and "Auto" not in value:
        assert new not in {value, Protector(KEY[1:]).pseudonym(value)}


def test_pseudonym_begins_with_the_hmac() -> None:
    mac = hmac.new(KEY.encode(), b"AB" * 16, hashlib.sha256).hexdigest()
    assert PROTECTOR.pseudonym("AB" * 16) == mac[:32].upper()
    assert PROTECTOR.pseudonym("p") == "hmac-" + hmac.new(KEY.encode(), b"p", hashlib.sha256).hexdigest()[:32]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("LoadBalancer.UseRedis", "no", True),
        ("loadbalancer.redis.server", "redis-1", True),
        ("Anything", "True", True),
        ("EncryptionKey", "s3cret", False),
        ("LoadBalancer.Redis.Password", "s3cret", False),
        ("AppSettings:SigningCredentialSettings:ValidationKeys:0:Name", "0A", True),
        ("AppSettings:SigningCredentialSettings:StoreLocation:Password", "s3cret", False),
        ("AppSettings:OrchestratorUrl", "https://orch/identity", True),
        ("AppSettings:OrchestratorUrl", "https://user:s3cret@orch", False),
        ("AcceptedRootUrls", "https://a;https://b/c", True),
        ("Storage.Location", r"\\files\share", True),
        ("packagesPath", "", True),
        ("packagesPath", "~/Packages", True),
        ("Storage.Location", "RootPath=x", True),
        ("Storage.Location", "s3cret", False),
        ("A:StorageX:Location", "AccountKey=s3cret", False),
        ("ConnectionStrings:Default", "Server=a; Database = b ;;", True),
        ("ConnectionStrings:Default", "Server=a;Password=s3;cret=1", False),
        ("ConnectionStrings:Default", "Server=a;'s3cret", False),
        ("ConnectionStrings:Redis", "a:1,b,ssl=true,user=x", True),
        ("ConnectionStrings:Redis", "a:1,odd=s3cret", False),
        ("X:RedisConnectionString", "redis://x:s3cret@y", False),
    ],
)
def test_setting_keeps_only_what_is_no_secret(name: str, value: str, kept: bool) -> None:
    new = PROTECTOR.setting(name, value)
    assert (new == value) is kept
    assert "s3cret" not in new
    assert "cret=" not in new


def test_equal_passwords_have_equal_pseudonyms_in_any_quotes() -> None:
    one = PROTECTOR.setting("ConnectionStrings:A", "Server=a;Password='p\"\"''w'")
    other = PROTECTOR.setting("ConnectionStrings:A", 'Server=a;PWD="p""""\'w"')
    assert one.partition("hmac-")[2] == other.partition("hmac-")[2]
    assert PROTECTOR.setting("X:RedisConnectionString", 'a,password=p""\'w').endswith(one.partition("hmac-")[2])


@pytest.mark.parametrize("text", ["<a", "<a b='x>", '<a b="x" <c/>'])
def test_xml_that_is_not_well_formed_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableError):
        PROTECTOR.xml(text)


@pytest.mark.parametrize("text", ['{"a', "{/* x", '{"a": "b"x"'])
def test_json_that_is_not_well_formed_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableError):
        PROTECTOR.json(text)


def test_doctype_stays_for_the_audit_without_its_content() -> None:
    assert PROTECTOR.xml('<!DOCTYPE p4ss "x">\n<a/>') == "<!DOCTYPE         >\n<a/>"


def test_attributes_of_a_state_server_stay_only_in_their_form() -> None:
    assert "p4ss" not in PROTECTOR.xml('<sessionState stateConnectionString="tcpip=a:1;p4ss"/>')
    assert 'value="hmac-' in PROTECTOR.xml("<environmentVariable name='A__B' value=\"p4ss\"/>")
    assert "Pwd" not in PROTECTOR.xml('<add connectionString="Server=a;p4ss;Pwd=b"/>')


def test_machine_keys_with_other_letters_are_equal() -> None:
    one, other = (PROTECTOR.xml(f'<machineKey validationKey="{key}"/>') for key in ("ab" * 20, "AB" * 20))
    assert one == other
    assert "hmac-" in PROTECTOR.xml('<machineKey validationKey="[your key]"/>')


def test_odd_json_stays_in_its_form() -> None:
    for text in ("}", "]", '"p4ss"', '{"A":}', "[,]"):
        assert "p4ss" not in PROTECTOR.json(text)
    assert json.loads(PROTECTOR.json('{"ConnectionStrings": {"A": "Server=a\\u0001;Pwd=\\"b\\""}}'))


SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=6, max_size=20)


@given(SECRETS)
def test_no_secret_is_left_in_json_and_names_stay(secret: str) -> None:
    data = {"EncryptionSettings": {"EncryptionKey": secret}, "ConnectionStrings": {"A": f"Server=a;Password={secret}"}}
    text = json.dumps({**data, "List": [secret, {"Pass": secret}]}, ensure_ascii=False)
    new = PROTECTOR.json(text)
    assert leaves(parse(new)).keys() == leaves(parse(text)).keys()
    if PROTECTOR.pseudonym(secret) != secret and secret.strip().lower() not in {"true", "false"}:
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in new
