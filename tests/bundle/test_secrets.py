"""Secrets in bundles: left out, encrypted for recipients, or unencrypted with a warning; never shown."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage
import pyrage.x25519
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.bundle import sealing
from nlbgen.bundle.manifest import MANIFEST
from nlbgen.bundle.sealing import Opener, Sealer
from nlbgen.core import locks
from nlbgen.core.errors import NlbgenError, SpecError, UsageError
from nlbgen.spec.load import loads
from nlbgen.spec.recipients import recipient

if TYPE_CHECKING:
    from tests.conftest import RunCommand

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-geheim"
ENVIRONMENT = {"NLBGEN_REDIS_PASSWORD": SECRET}
OPTIONS = ("bundle", "export", "--no-validate", "--with-secrets")


class Reader:
    """A recipient with a key pair."""

    def __init__(self, path: Path) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.key = str(identity.to_public())
        self.path = path
        path.write_text(f"# made for a test\n# public key: {self.key}\n\n{identity}\n", encoding="utf-8")


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    shutil.copytree(CHECKOUT / "examples", tmp_path / "farm")
    return tmp_path / "farm"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "identity")


@pytest.fixture
def secrets(farm: Path) -> list[bytes]:
    """What may not be seen: the password of Redis and the keys of the nodes' configs."""
    text = (farm / "inputs" / "orch-1" / "web.config").read_text(encoding="utf-8-sig")
    keys = [part.split('"')[1] for part in text.replace("'", '"').split("Key=")[1:]]
    long = [key.encode() for key in keys if len(key) > 30]
    assert len(long) >= 2
    return [SECRET.encode(), *long]


def ssh_key(path: Path, kind: str) -> tuple[Path, str]:
    """A new key pair as OpenSSH writes it: the private key's file, and the line of its .pub file."""
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return path, f"{public.decode()} ops at example\n"


def files(path: Path) -> dict[str, tuple[bytes, int]]:
    with tarfile.open(path) as tar:
        return {info.name: (file.read(), info.mode) for info in tar if (file := tar.extractfile(info)) is not None}


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(path)[MANIFEST][0])
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Encrypted.


def test_extract_with_identity_gives_the_files_of_render(farm: Path, reader: Reader, cli: "RunCommand") -> None:
    made = cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert made.code == 0, made.err
    assert cli("bundle", "extract", "b.tgz", "out", "-i", reader.path, cwd=farm).code == 0
    assert cli("render", "nodes", "--with-secrets", "-o", "rendered", cwd=farm, env=ENVIRONMENT).code == 0
    rendered = tree(farm / "rendered" / "nodes")
    assert tree(farm / "out" / "nodes") == rendered
    assert any(SECRET.encode() in content for content in rendered.values())
    if os.name == "posix":
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (farm / "out" / "nodes").rglob("*.*")}
        assert modes["web.config"] == modes["prepare-node.ps1"] == modes["redis.ps1"] == 0o600
        assert modes["RUNBOOK.md"] & 0o600 == 0o600


def test_encrypted_bundle_contains_no_plain_secret(
    farm: Path, reader: Reader, cli: "RunCommand", secrets: list[bytes]
) -> None:
    assert cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    data = (farm / "b.tgz").read_bytes()
    assert not [secret for secret in secrets if secret in data]
    found = manifest_of(farm / "b.tgz")
    assert (found["secrets"], found["recipients"]) == ("encrypted", [reader.key])
    secret = [entry for entry in found["files"] if entry["secret"]]
    assert {entry["path"] for entry in secret} >= {"nodes/orch-1/web.config.age", "nodes/redis.ps1.age"}
    for entry in secret:
        content, mode = files(farm / "b.tgz")[entry["path"]]
        assert content.startswith(sealing.HEAD)
        assert entry["path"].endswith(".age")
        assert (mode, entry["mode"]) == (0o600, "0600")
    assert not any(left["part"] == "nodes" for left in found["left_out"])
    assert "secrets encrypted for 1 recipient" in cli("bundle", "verify", "b.tgz", cwd=farm).out


def test_bundle_without_secrets_contains_no_secret(farm: Path, cli: "RunCommand", secrets: list[bytes]) -> None:
    assert cli("bundle", "export", "--no-validate", "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    data = (farm / "b.tgz").read_bytes()
    assert not [secret for secret in secrets if secret in data]
    assert not any(entry["secret"] for entry in manifest_of(farm / "b.tgz")["files"])


STOPPED_EXTRACT = """
import sys, time
from nlbgen import cli
from nlbgen.bundle import unpacking

written = unpacking.write_atomically

def slow(path, content, *, mode):
    written(path, content, mode=mode)
    if mode == 0o600:
        print("a secret is written", flush=True)
        time.sleep(60)

unpacking.write_atomically = slow
sys.argv = ["nlbgen", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_no_interrupt_of_an_extract_leaves_decrypted_secrets(
    farm: Path, reader: Reader, secrets: list[bytes], cli: "RunCommand", name: str
) -> None:
    assert cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    before = tree(farm)
    arguments = ["bundle", "extract", "b.tgz", "out", "-i", str(reader.path)]
    with subprocess.Popen([sys.executable, "-c", STOPPED_EXTRACT, *arguments], cwd=farm, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"a secret is written\n"
        run.send_signal(signal.Signals[name])
    if name == "SIGKILL":
        left = [path for path in tree(farm) if path not in before]
        assert left  # what no program can prevent is removed by the next run
        assert sum(path.endswith(".tmp") or "out.nlbgen" not in path for path in left) == 0
        assert cli("bundle", "extract", "b.tgz", "out", "-i", reader.path, cwd=farm).code == 0
        shutil.rmtree(farm / "out")
    else:
        assert run.returncode == 130
    assert tree(farm) == before


def test_extract_beside_another_one_is_refused(farm: Path, cli: "RunCommand") -> None:
    assert cli("bundle", "export", "--no-validate", "-o", "b.tgz", cwd=farm).code == 0
    with locks.locked((farm / "out").resolve()):
        ran = cli("bundle", "extract", "b.tgz", "out", cwd=farm)
    assert ran.code == 1
    assert f"another run of nlbgen is writing this folder (process {os.getpid()} on " in ran.err
    assert not (farm / "out").exists()


@pytest.mark.parametrize("left", ["link", "file", "folder"])
def test_extract_removes_what_stands_at_its_temporary_name(farm: Path, cli: "RunCommand", left: str) -> None:
    assert cli("bundle", "export", "--no-validate", "-o", "b.tgz", cwd=farm).code == 0
    scratch = farm / ".out.nlbgen-tmp"
    if left == "link":
        scratch.symlink_to(farm / "inputs", target_is_directory=True)
    elif left == "file":
        scratch.write_bytes(b"")
    else:
        scratch.mkdir()
        (scratch / "old").write_bytes(b"")
    before = tree(farm / "inputs")
    assert cli("bundle", "extract", "b.tgz", "out", cwd=farm).code == 0
    assert tree(farm / "inputs") == before
    assert not (farm / "out" / "old").exists()
    assert not scratch.is_symlink()
    assert not scratch.exists()


def test_extract_without_identity_keeps_files_encrypted(farm: Path, reader: Reader, cli: "RunCommand") -> None:
    assert cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    ran = cli("bundle", "extract", "b.tgz", "out", cwd=farm)
    assert ran.code == 0
    assert "--identity" in ran.err
    sealed = farm / "out" / "nodes" / "redis.ps1.age"
    assert SECRET in Opener(reader.path).open(sealed.read_bytes(), "x").decode("utf-8-sig")
    assert not (farm / "out" / "nodes" / "redis.ps1").exists()
    if shutil.which("age"):
        done = subprocess.run(["age", "-d", "-i", reader.path, sealed], capture_output=True, check=True, timeout=60)
        assert SECRET.encode() in done.stdout


def test_extract_with_the_wrong_identity_fails(farm: Path, reader: Reader, cli: "RunCommand", tmp_path: Path) -> None:
    assert cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    other = Reader(tmp_path / "other")
    ran = cli("bundle", "extract", "b.tgz", "out", "-i", other.path, cwd=farm)
    assert ran.code == 1
    assert "cannot be decrypted" in ran.err
    assert not (farm / "out").exists()
    assert cli("bundle", "diff", "b.tgz", "b.tgz", "-i", other.path, cwd=farm).code == 1


def test_every_recipient_decrypts_the_bundle(farm: Path, cli: "RunCommand", tmp_path: Path) -> None:
    """Those of the spec, of all kinds."""
    age = Reader(tmp_path / "age")
    small, small_public = ssh_key(tmp_path / "ed25519", "ed25519")
    large, large_public = ssh_key(tmp_path / "rsa", "rsa")
    keys = [age.key, small_public.strip(), large_public.strip()]
    with (farm / "farm.yaml").open("a", encoding="utf-8") as spec:
        spec.write(f"bundle: {{recipients: {json.dumps(keys)}}}\n")
    made = cli(*OPTIONS, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert made.code == 0, made.err
    assert "ops at example" not in json.dumps(manifest_of(farm / "b.tgz")["recipients"])
    assert len(manifest_of(farm / "b.tgz")["recipients"]) == 3
    for number, identity in enumerate((age.path, small, large)):
        assert cli("bundle", "extract", "b.tgz", f"out{number}", "-i", identity, cwd=farm).code == 0
        assert SECRET in (farm / f"out{number}" / "nodes" / "redis.ps1").read_text(encoding="utf-8-sig")


def test_recipient_option_replaces_the_recipients_of_the_spec(farm: Path, cli: "RunCommand", tmp_path: Path) -> None:
    named, given_ = Reader(tmp_path / "named"), Reader(tmp_path / "given")
    with (farm / "farm.yaml").open("a", encoding="utf-8") as spec:
        spec.write(f"bundle: {{recipients: [{named.key}]}}\n")
    ran = cli(*OPTIONS, "--recipient", given_.key, "--recipient", given_.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert ran.code == 0
    assert manifest_of(farm / "b.tgz")["recipients"] == [given_.key]
    assert cli("bundle", "extract", "b.tgz", "out", "-i", named.path, cwd=farm).code == 1


def test_export_with_a_missing_secret_fails(farm: Path, reader: Reader, cli: "RunCommand") -> None:
    ran = cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env={"NLBGEN_REDIS_PASSWORD": ""})
    assert ran.code == 1
    assert "NLBGEN_REDIS_PASSWORD" in ran.err
    assert not (farm / "b.tgz").exists()


def test_export_with_secrets_but_without_node_configs_reports_no_secrets(
    farm: Path, reader: Reader, cli: "RunCommand"
) -> None:
    shutil.rmtree(farm / "inputs")
    ran = cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert ran.code == 0
    assert "the nodes' files are not in the bundle" in ran.err
    assert "no secrets" in ran.err
    assert manifest_of(farm / "b.tgz")["recipients"] == []
    assert cli("bundle", "verify", "b.tgz", cwd=farm).code == 0


def test_diff_with_identity_compares_decrypted_files(
    farm: Path, reader: Reader, cli: "RunCommand", secrets: list[bytes]
) -> None:
    for name, secret in (("a.tgz", SECRET), ("b.zip", SECRET), ("c.zip", "another-one")):
        environment = {"NLBGEN_REDIS_PASSWORD": secret}
        assert cli(*OPTIONS, "--recipient", reader.key, "-o", name, cwd=farm, env=environment).code == 0
    unknown = cli("bundle", "diff", "a.tgz", "b.zip", cwd=farm)
    assert unknown.code == 1
    assert "the content may be the same" in unknown.out
    same = cli("bundle", "diff", "a.tgz", "b.zip", "-i", reader.path, cwd=farm)
    assert (same.code, same.out) == (0, "")
    other = cli("bundle", "diff", "a.tgz", "c.zip", "--identity", reader.path, cwd=farm)
    assert other.code == 1
    assert "changed nodes/orch-1/web.config\n(contains secrets: not shown)\n" in other.out
    said = (unknown.out + other.out + other.err).encode()
    assert not [secret for secret in [*secrets, b"another-one"] if secret in said]


def test_verify_of_a_damaged_encrypted_file_fails(farm: Path, reader: Reader, cli: "RunCommand") -> None:
    assert cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).code == 0
    data = bytearray((farm / "b.tgz").read_bytes())
    data[data.index(sealing.HEAD) + 300] ^= 1
    (farm / "b.tgz").write_bytes(data)
    assert cli("bundle", "verify", "b.tgz", cwd=farm).code == 1


# In the clear.


def test_plaintext_export_warns_and_has_mode_0600(farm: Path, cli: "RunCommand", secrets: list[bytes]) -> None:
    (farm / "b.tgz").write_bytes(b"old")
    (farm / "b.tgz").chmod(0o644)
    ran = cli(*OPTIONS, "--plaintext", "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert ran.code == 0
    assert "unencrypted secrets" in ran.err
    if os.name == "posix":
        assert stat.S_IMODE((farm / "b.tgz").stat().st_mode) == 0o600
    found = files(farm / "b.tgz")
    assert SECRET.encode() in found["nodes/redis.ps1"][0]
    assert found["nodes/redis.ps1"][1] == 0o600
    assert manifest_of(farm / "b.tgz")["secrets"] == "plain"
    assert "SECRETS NOT ENCRYPTED" in cli("bundle", "verify", "b.tgz", cwd=farm).out
    assert (
        "unencrypted secrets" in cli("--quiet", *OPTIONS, "--plaintext", "-o", "b.tgz", cwd=farm, env=ENVIRONMENT).err
    )
    assert cli("bundle", "extract", "b.tgz", "out", cwd=farm).code == 0
    if os.name == "posix":
        assert stat.S_IMODE((farm / "out" / "nodes" / "redis.ps1").stat().st_mode) == 0o600
    assert SECRET not in ran.out + ran.err


def test_plaintext_export_is_reproducible(farm: Path, cli: "RunCommand") -> None:
    for name in ("a.zip", "b.zip"):
        assert cli(*OPTIONS, "--plaintext", "-o", name, cwd=farm, env=ENVIRONMENT).code == 0
    assert (farm / "a.zip").read_bytes() == (farm / "b.zip").read_bytes()


@pytest.mark.no_cover  # other tests reach the same lines
def test_diff_never_shows_plain_secrets(farm: Path, cli: "RunCommand", secrets: list[bytes]) -> None:
    for name, secret in (("a.zip", SECRET), ("b.zip", "another-one")):
        environment = {"NLBGEN_REDIS_PASSWORD": secret}
        assert cli(*OPTIONS, "--plaintext", "-o", name, cwd=farm, env=environment).code == 0
    assert cli("bundle", "export", "--no-validate", "-o", "c.zip", cwd=farm).code == 0
    for one, other in (("a.zip", "b.zip"), ("a.zip", "c.zip"), ("c.zip", "b.zip")):
        for style in ("text", "json"):
            ran = cli("bundle", "diff", one, other, "--format", style, cwd=farm)
            assert ran.code == 1
            said = (ran.out + ran.err).encode()
            assert not [secret for secret in [*secrets, b"another-one"] if secret in said]


def test_contradictory_secret_options_are_refused(farm: Path, reader: Reader, cli: "RunCommand") -> None:
    for options in (
        ("--with-secrets",),
        ("--plaintext",),
        ("--recipient", reader.key),
        ("--with-secrets", "--plaintext", "--recipient", reader.key),
    ):
        ran = cli("bundle", "export", *options, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
        assert ran.code == 2, options
        assert ran.err.count("\n") == 2
    assert not (farm / "b.tgz").exists()


# Keys.


def test_recipient_accepts_age_and_ssh_keys(tmp_path: Path) -> None:
    for _number in range(50):
        key = str(pyrage.x25519.Identity.generate().to_public())
        assert recipient(f" {key}\n") == key
    for kind in ("ed25519", "rsa"):
        _path, public = ssh_key(tmp_path / kind, kind)
        assert recipient(public) == " ".join(public.split()[:2])
        Sealer([recipient(public)])


@given(st.integers(4, 61), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_recipient_with_a_typo_fails_its_checksum(place: int, char: str) -> None:
    key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    slipped = key[:place] + char + key[place + 1 :]
    if slipped == key:
        assert recipient(slipped) == key
        return
    with pytest.raises(ValueError, match="checksum"):
        recipient(slipped)
    with pytest.raises(pyrage.RecipientError):
        pyrage.x25519.Recipient.from_str(slipped)


ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"
BAD_KEYS = {
    "": "is not a public key",
    "hunter2": "is not a public key",
    "age1": "is not a public key",
    "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t": "is not a public key",
    "AGE1QL3Z7HJY54PW3HYWW5AYYFG7ZQGVC7W3J2ELW8ZMRJ2KG5SFN9AQMCAC8P": "is not a public key",
    f"ecdsa-sha2-nistp256 {ED25519}": "is not a public key",
    "ssh-ed25519": "is not a public key",
    f"ssh-ed25519 {ED25519[:-4]}": "truncated or damaged",
    f"ssh-ed25519 {ED25519[:-1]}": "truncated or damaged",
    f"ssh-ed25519 {ED25519}AAAA": "truncated or damaged",
    f"ssh-rsa {ED25519}": "but contains another type",
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q": "checksum does not match",
    f"ssh-ed25519 {ED25519}\nssh-ed25519 {ED25519}": "is not a public key",
    "AGE-SECRET-KEY-1DEH7AQ527ZQXEPUEZYP4Z005XAZ3P6SKNHJRAACVQMDADHPTMYPQ5PAKF2": "private key is a secret",
    "-----BEGIN OPENSSH PRIVATE KEY-----": "private key is a secret",
}


@pytest.mark.parametrize("text", BAD_KEYS)
def test_invalid_recipient_is_refused_with_its_location(text: str, farm: Path, cli: "RunCommand") -> None:
    with pytest.raises(ValueError, match=BAD_KEYS[text]) as error:
        recipient(text)
    assert "hunter2" not in str(error.value)
    assert "DEH7AQ" not in str(error.value)
    with (farm / "farm.yaml").open("a", encoding="utf-8") as spec:
        spec.write(f"bundle:\n  recipients:\n    - {json.dumps(text)}\n")
    lines = (farm / "farm.yaml").read_text(encoding="utf-8").count("\n")
    ran = cli("check", cwd=farm)
    assert ran.code == 3
    assert f"farm.yaml:{lines}:7: bundle.recipients[0]: " in ran.out + ran.err
    option = cli(*OPTIONS, "-s", CHECKOUT / "examples" / "farm.yaml", "--recipient", text, cwd=farm)
    assert option.code == 2
    assert "hunter2" not in option.err
    assert "DEH7AQ" not in option.err


def ssh_line(kind: str, *fields: bytes) -> str:
    """A line of a .pub file with a key of these fields."""
    import base64

    blob = b"".join(len(field).to_bytes(4) + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()}"


def test_recipient_with_a_key_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 bits"):
        recipient(ssh_line("ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 128))
    with pytest.raises(ValueError, match="does not have 32 bytes"):
        recipient(ssh_line("ssh-ed25519", b"\1" * 31))


@given(st.binary(max_size=80))
def test_recipient_with_random_ssh_bytes_raises_only_value_error(blob: bytes) -> None:
    import base64

    for head in (b"", b"\0\0\0\x0bssh-ed25519", b"\0\0\0\x07ssh-rsa"):
        text = base64.b64encode(head + blob).decode()
        for kind in ("ssh-ed25519", "ssh-rsa"):
            try:
                recipient(f"{kind} {text}")
            except ValueError:
                continue


def test_recipient_that_is_a_number_is_refused() -> None:
    spec = "farm: f\nfrontend: {host: f.example}\nnodes: [{name: a, address: 10.0.0.1}]\nbundle: {recipients: [5]}\n"
    with pytest.raises(SpecError, match=r"bundle.recipients\[0\]"):
        loads(spec)


def test_recipients_in_the_docs_are_valid() -> None:
    page = (CHECKOUT / "docs" / "commands" / "bundle.md").read_text(encoding="utf-8")
    block = page.partition("```yaml\nbundle:")[2].partition("```")[0]
    found = [line.strip().removeprefix("- ") for line in block.splitlines() if line.strip().startswith("- ")]
    assert len(found) == 2
    for key in found:
        assert recipient(key)


IDENTITIES = {
    "": "contains no private key",
    "# only a comment\n": "contains no private key",
    "hunter2\n": "not a private key of age",
    "AGE-SECRET-KEY-1XXXX\n": "not a private key of age",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n": "not an SSH private key",
    "x" * 70_000: "too large",
}


@pytest.mark.parametrize("text", IDENTITIES, ids=range(len(IDENTITIES)))
def test_invalid_identity_is_refused_without_showing_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "identity"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=IDENTITIES[text]) as error:
        Opener(path)
    assert "hunter2" not in f"{error.value.message} {error.value.hint}"


def test_identity_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a phrase")))
    with pytest.raises(UsageError, match="passphrase"):
        Opener(path)


def test_missing_identity_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NlbgenError, match="cannot be read"):
        Opener(tmp_path / "no")


def test_export_with_secrets_without_pyrage_names_the_extra(
    farm: Path, reader: Reader, cli: "RunCommand", monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyrage", "pyrage.ssh", "pyrage.x25519"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    ran = cli(*OPTIONS, "--recipient", reader.key, "-o", "b.tgz", cwd=farm, env=ENVIRONMENT)
    assert ran.code == 2
    assert 'pip install "nlbgen[secrets]"' in ran.err
    assert cli("bundle", "export", "--no-validate", "-o", "b.tgz", cwd=farm).code == 0
