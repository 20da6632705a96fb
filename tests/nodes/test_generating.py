"""A new machineKey in place of a generated one: lengths, algorithms, the file, and that no key is shown."""

import json
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import NodeError
from nlbgen.nodes import generating, keys
from nlbgen.nodes.config import effective as configs
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples"
AUTO = "AutoGenerate,IsolateApps"
KEY, LONG = "AB" * 32, "CD" * 64


def counted(length: int) -> str:
    """Return bytes that show their number."""
    return f"{length:02x}" * length


def web_config(machine: str) -> str:
    return (
        '<configuration>\r\n  <secureAppSettings><add key="EncryptionKey" value="AAAA"/></secureAppSettings>\r\n'
        f"  <system.web>\r\n    {machine}\r\n  </system.web>\r\n</configuration>\r\n"
    )


def machine_key(folder: Path, machine: str) -> dict[str, str]:
    """The attributes of machineKey in the file for which keys were generated."""
    path = folder / "web.config"
    path.write_bytes(web_config(machine).encode())
    planned = generating.of_file(path, counted)
    for document, content in planned.files:
        document.path.write_bytes(content)
    section = configs.load(path).section(configs.MACHINE_KEY)
    assert section
    return {name: attribute.value for name, attribute in section.element.attributes.items()}


@pytest.mark.parametrize(
    ("decryption", "length"),
    [("", 32), ('decryption="Auto"', 32), ('decryption="AES"', 32), ('decryption="3DES"', 24), ('decryption="DES"', 8)],
)
@pytest.mark.parametrize("validation", ["", "SHA1", "MD5", "AES", "HMACSHA256", "HMACSHA512"])
def test_generated_keys_have_the_length_of_their_algorithm(
    tmp_path: Path, decryption: str, length: int, validation: str
) -> None:
    written = f'validation="{validation}"' if validation else ""
    attributes = machine_key(
        tmp_path, f'<machineKey {decryption} decryptionKey="{AUTO}" {written} validationKey="{AUTO}"/>'
    )
    assert attributes["decryptionKey"] == counted(length).upper()
    assert attributes["validationKey"] == counted(64).upper()
    assert attributes.get("validation", "") == validation
    section = configs.load(tmp_path / "web.config").section(configs.MACHINE_KEY)
    assert section
    assert [keys.refused_machine_key(section, name) for name in keys.MACHINE_KEYS] == ["", ""]


def test_generated_machine_key_has_uipath_s_algorithms(tmp_path: Path) -> None:
    assert machine_key(tmp_path, '<compilation debug="false"/>') == {
        "decryption": "AES",
        "decryptionKey": counted(32),
        "validation": "HMACSHA256",
        "validationKey": counted(64),
    }


@pytest.mark.parametrize(
    "value",
    [AUTO, "autogenerate", "", "[your key here]", "AB" * 31 + "A", "AB" * 7, "AB" * 19, f"{LONG},IsolateApps"],
)
@pytest.mark.parametrize("name", ["decryptionKey", "validationKey"])
def test_generated_keys_replace_only_what_cannot_be_shared(tmp_path: Path, name: str, value: str) -> None:
    whole = {"decryptionKey": KEY, "validationKey": LONG, name: value}
    written = " ".join(f'{key}="{text}"' for key, text in whole.items())
    attributes = machine_key(tmp_path, f"<machineKey {written}/>")
    if (name, value) == ("decryptionKey", "AB" * 19):  # 152 bits: ASP.NET's rule for the length is not documented
        assert attributes == whole
        return
    length = {"decryptionKey": 32, "validationKey": 64}[name]
    assert attributes == {**whole, name: counted(length).upper()}


def test_fixed_keys_are_kept(tmp_path: Path) -> None:
    machine = f'<machineKey decryptionKey="{KEY.lower()}" validationKey="{LONG}"/>'
    (tmp_path / "web.config").write_bytes(web_config(machine).encode())
    planned = generating.of_file(tmp_path / "web.config", counted)
    assert (len(planned.plan), planned.files) == (0, ())


@pytest.mark.parametrize("attribute", ['decryption="alg:Mine"', 'decryption="aes"', 'validation="sha1"'])
def test_unknown_algorithm_is_an_error(tmp_path: Path, attribute: str) -> None:
    with pytest.raises(NodeError, match=r"web\.config:4:17: .* nlbgen does not know how long its keys must be"):
        machine_key(tmp_path, f'<machineKey {attribute} decryptionKey="{AUTO}" validationKey="{AUTO}"/>')


def test_encrypted_machine_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="is encrypted"):
        machine_key(tmp_path, "<machineKey configProtectionProvider='P'><EncryptedData/></machineKey>")


def test_generated_keys_are_hidden_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "web.config").write_bytes(web_config("<compilation/>").encode())
    planned = generating.of_file(tmp_path / "web.config", counted)
    assert counted(32) not in repr(planned)


def test_generated_keys_differ_in_each_run(tmp_path: Path) -> None:
    (tmp_path / "web.config").write_bytes(web_config("<compilation/>").encode())
    contents = {generating.of_file(tmp_path / "web.config").files[0][1] for _ in range(3)}
    assert len(contents) == 3


@pytest.mark.parametrize("value", ["[your key here]", "AB" * 31 + "A", "AB" * 7])
def test_plan_of_an_unusable_machine_key_is_an_error(tmp_path: Path, value: str) -> None:
    path = tmp_path / "web.config"
    path.write_bytes(web_config(f'<machineKey decryptionKey="{value}" validationKey="{LONG}"/>').encode())
    with pytest.raises(
        NodeError, match=r"web\.config:4:17: decryptionKey .*: nlbgen does not copy it \[machine-key\]"
    ) as error:
        keys.keys_to_clone(configs.load(path))
    assert value not in str(error.value)
    assert "`nlbgen nodes keys --generate`" in str(error.value.hint)


def test_plan_accepts_a_key_of_des(tmp_path: Path) -> None:
    path = tmp_path / "web.config"
    machine = f'<machineKey decryption="DES" decryptionKey="{"AB" * 8}" validationKey="{LONG}"/>'
    path.write_bytes(web_config(machine).encode())
    assert dict(keys.keys_to_clone(configs.load(path)).machine)["decryptionKey"]


# The command


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the example farm; the first node has a generated machineKey."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "secret-of-redis")
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    shutil.copy(EXAMPLES / "farm.yaml", tmp_path / "farm.yaml")
    first = tmp_path / "inputs" / "orch-1" / "web.config"
    first.write_bytes(
        re.sub(rb'(validationKey|decryptionKey)="[0-9A-F]+"', rf'\1="{AUTO}"'.encode(), first.read_bytes())
    )
    first.chmod(0o600)
    return tmp_path


def everything(farm: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((farm / "inputs").rglob("*")) if path.is_file()}


def test_generate_command_writes_the_first_nodes_file_and_shows_no_key(cli: "RunCommand", farm: Path) -> None:
    first, second = (farm / "inputs" / node / "web.config" for node in ("orch-1", "orch-2"))
    old, other = first.read_bytes(), second.read_bytes()
    refused = cli("nodes", "plan", cwd=farm)
    assert refused.code == 5
    assert "run it, copy the file to that node" in refused.err
    ran = cli("nodes", "keys", "--generate", "--yes", cwd=farm)
    assert ran.code == 0
    assert second.read_bytes() == other
    backup = next(first.parent.glob("*.bak"))
    assert backup.read_bytes() == old
    assert ran.out == f"changed inputs/orch-1/web.config; the old file is inputs/orch-1/{backup.name}\n"
    assert "2 changes, no digest: the keys are new in each run" in ran.err
    assert "next: copy the file to its node and restart the site there" in ran.err
    written = re.findall(rb'(?:validation|decryption)Key="([0-9A-F]+)"', first.read_bytes())
    assert sorted(map(len, written)) == [64, 128]
    assert not any(value.decode() in ran.out + ran.err for value in written)
    if stat.S_IMODE(first.stat().st_mode):  # not on Windows
        assert [stat.S_IMODE(path.stat().st_mode) for path in (first, backup)] == [0o600, 0o600]
    before = everything(farm)
    again = cli("nodes", "keys", "--generate", "--yes", cwd=farm)
    assert (again.code, again.out, everything(farm)) == (0, "", before)
    assert "its machineKey already has fixed keys; nothing was generated" in again.err
    assert cli("nodes", "plan", cwd=farm).out.count("machineKey@") == 2


def test_generate_command_without_terminal_needs_yes(cli: "RunCommand", farm: Path) -> None:
    before = everything(farm)
    ran = cli("nodes", "keys", "--generate", cwd=farm)
    assert ran.code == 2
    assert "then run it with --yes" in ran.err
    assert everything(farm) == before


def test_generate_command_for_one_file_as_json(cli: "RunCommand", farm: Path) -> None:
    name = "inputs/orch-1/web.config"
    ran = cli("nodes", "keys", "--generate", "--yes", "--format", "json", name, cwd=farm)
    data = json.loads(ran.out)
    assert (data["digest"], [one["file"] for one in data["written"]]) == (None, [name])


def test_generate_command_follows_keys_from(farm: Path) -> None:
    """The other nodes' files need not exist."""
    (farm / "keys").mkdir()
    (farm / "inputs" / "orch-1" / "web.config").rename(farm / "keys" / "web.config")
    shutil.rmtree(farm / "inputs")
    spec = farm / "farm.yaml"
    text = spec.read_text(encoding="utf-8")
    spec.write_text(re.sub("^keys: .*", "keys: {from: keys/web.config}", text, flags=re.MULTILINE), encoding="utf-8")
    planned = generating.of_spec(load(spec), counted)
    assert planned.config.path == farm / "keys" / "web.config"
    assert planned.plan.targets == (f"keys.from ({(farm / 'keys' / 'web.config').as_posix()})",)
    assert len(planned.files) == 1


def test_generate_command_without_a_source_is_an_error(farm: Path) -> None:
    spec = farm / "farm.yaml"
    text = spec.read_text(encoding="utf-8")
    spec.write_text(re.sub(r", config: inputs/orch-1/web\.config", "", text), encoding="utf-8")
    with pytest.raises(NodeError, match="the keys come from orch-1, but the spec has no `config` for this node"):
        generating.of_spec(load(spec), counted)


@pytest.mark.parametrize(
    ("args", "message"),
    [(["--yes"], "--yes needs --generate"), (["--generate", "a.config", "b.config"], "--generate takes one CONFIG")],
)
def test_generate_command_refuses_other_arguments(cli: "RunCommand", farm: Path, args: list[str], message: str) -> None:
    ran = cli("nodes", "keys", *args, cwd=farm)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
