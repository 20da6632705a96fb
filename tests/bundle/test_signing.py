"""Signatures of bundles: minisign accepts ours, nlbgen accepts minisign's, and neither accepts a changed bundle."""

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from nlbgen.bundle import signing
from nlbgen.core.errors import DifferenceError, NlbgenError, UsageError

if TYPE_CHECKING:
    from tests.conftest import RunCommand

CHECKOUT = Path(__file__).resolve().parents[2]
PASSWORD = "xq1z correct horse ü"
PLAIN_PUBLIC = "RWT6NHougeaveJlNYlG816wkhytwpcviIE2ExuAyOqadwiy7EmYEg2vV"
PLAIN_SECRET = (
    "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+jR6LoHmr3jHHPFfi+Sprfsoo+oEEnrgIzz1jLPi"
    "OPtflkhk1L9j8plNYlG816wkhytwpcviIE2ExuAyOqadwiy7EmYEg2vVAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)
"""A pair that minisign 0.11 made for these tests with `minisign -G -W`."""
OTHER_PUBLIC = "RWTnpkCAd0kCnOrYVTNiig1kdSKzm+SKAHr7aQe51bTx8Degr1yGa9ap"
MINISIGN = """untrusted comment: signature from minisign secret key
RUT6NHougeaveL3BAkkVA1dcjAaETnZEuBqNpwVTRxgDXtwwE+e0GZ+wKJxaJooeEWuB/LYkipp0YofTdkDDl/2138IfblW7YgE=
trusted comment: tc
SZD8e1WM6LfwGzkc9eOYzAPELv6MbDDE53TEtb7Lom5MP/sqq2vg4sRF7NV9K2+j4qR9CEAxEsDlfus9RNsdCg==
"""
"""What minisign 0.11 wrote for the file `hello` and a line end, with the comment `tc`."""

minisign = pytest.mark.minisign


class Keys(NamedTuple):
    public: Path
    secret: Path


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKOUT / "examples", tmp_path / "farm"))


@pytest.fixture
def bundle(farm: Path, cli: "RunCommand") -> Path:
    assert cli("bundle", "export", "--no-validate", "-o", "b.tar.gz", cwd=farm).code == 0
    return farm / "b.tar.gz"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    found = Keys(tmp_path / "key.pub", tmp_path / "key")
    found.public.write_text(f"untrusted comment: minisign public key\n{PLAIN_PUBLIC}\n", encoding="utf-8")
    found.secret.write_text(f"untrusted comment: minisign encrypted secret key\n{PLAIN_SECRET}\n", encoding="utf-8")
    return found


def made_by_minisign(folder: Path, password: str) -> Keys:
    """A pair of keys of the real minisign; without a password the secret key is not encrypted."""
    found = Keys(folder / "made.pub", folder / "made")
    command = ["minisign", "-G", "-p", str(found.public), "-s", str(found.secret)]
    subprocess.run(
        command if password else [*command, "-W"],
        input=f"{password}\n{password}\n",
        text=True,
        check=True,
        capture_output=True,
    )
    return found


def test_signature_of_minisign_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "f.minisig"
    path.write_text(MINISIGN, encoding="utf-8")
    found = signing.read_signature(path)
    public = signing.public_key(PLAIN_PUBLIC)
    assert signing.verify(b"hello\n", found, public, "f") == "tc"
    with pytest.raises(DifferenceError, match="does not match"):
        signing.verify(b"hello", found, public, "f")
    with pytest.raises(DifferenceError, match="does not match"):
        signing.verify(b"hello\n", found._replace(comment="tC"), public, "f")
    with pytest.raises(DifferenceError, match="signed with the key 78AFE6812E7A34FA, not 9C0249778040A6E7"):
        signing.verify(b"hello\n", found, signing.public_key(OTHER_PUBLIC), "f")


def test_signature_of_the_whole_file_is_accepted() -> None:
    """As `minisign -l` and minisign before 0.6 write it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = signing.PublicKey(b"12345678", private.public_key().public_bytes_raw())
    signature = private.sign(b"data")
    found = signing.Signature(b"Ed", public.id, signature, "c", private.sign(signature + b"c"))
    assert signing.verify(b"data", found, public, "f") == "c"


def test_signed_bundle_is_verified_and_extracted(bundle: Path, keys: Keys, cli: "RunCommand") -> None:
    folder = bundle.parent
    signed = cli("bundle", "sign", bundle.name, "--key", keys.secret, cwd=folder)
    assert (signed.code, signed.err) == (0, "wrote b.tar.gz.minisig\n")
    for key in (keys.public, PLAIN_PUBLIC):
        ran = cli("bundle", "verify", bundle.name, "--key", key, cwd=folder)
        assert ran.code == 0
        assert "signed with the key 78AFE6812E7A34FA" in ran.out
    assert (
        '"signer": "78AFE6812E7A34FA"'
        in cli("bundle", "verify", bundle.name, "--key", keys.public, "--format", "json", cwd=folder).out
    )
    assert cli("bundle", "extract", bundle.name, "out", "--key", keys.public, cwd=folder).code == 0
    assert "signed" not in cli("bundle", "verify", bundle.name, cwd=folder).out


def test_same_bundle_has_the_same_signature(bundle: Path, keys: Keys, cli: "RunCommand") -> None:
    made = [cli("bundle", "sign", bundle.name, "--key", keys.secret, "-o", "-", cwd=bundle.parent) for _ in range(2)]
    assert made[0].out == made[1].out
    assert f"sha256:{hashlib.sha256(bundle.read_bytes()).hexdigest()}" in made[0].out


def test_unsigned_or_changed_bundle_is_refused(bundle: Path, keys: Keys, cli: "RunCommand") -> None:
    folder = bundle.parent
    missing = cli("bundle", "verify", bundle.name, "--key", keys.public, cwd=folder)
    assert missing.code == 1
    assert "b.tar.gz.minisig: cannot be read" in missing.err
    assert cli("bundle", "sign", bundle.name, "--key", keys.secret, cwd=folder).code == 0
    (folder / "farm.yaml").write_text((folder / "farm.yaml").read_text(encoding="utf-8") + "\n# changed\n")
    assert cli("bundle", "export", "--no-validate", "-o", bundle.name, cwd=folder).code == 0
    for args in (("verify", bundle.name), ("extract", bundle.name, "out")):
        ran = cli("bundle", *args, "--key", keys.public, cwd=folder)
        assert ran.code == 1
        assert "b.tar.gz: the signature does not match" in ran.err
    assert not (folder / "out").exists()
    assert cli("bundle", "verify", bundle.name, "--key", OTHER_PUBLIC, cwd=folder).code == 1


def test_damaged_bundle_is_not_signed(bundle: Path, keys: Keys, cli: "RunCommand") -> None:
    bundle.write_bytes(bundle.read_bytes()[:-1])
    ran = cli("bundle", "sign", bundle.name, "--key", keys.secret, cwd=bundle.parent)
    assert ran.code == 1
    assert not (bundle.parent / "b.tar.gz.minisig").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not a file of minisign"),
        ("a\nb\n", "is not a secret key of minisign"),
        (f"x\n{PLAIN_PUBLIC}\n", "is not a secret key of minisign"),
        ("x\n" + base64.b64encode(bytes(158)).decode(), "is not a secret key of minisign"),
        ("\udcff", "is not a file of minisign"),
        ("x" * 5000, "is not a file of minisign"),
    ],
)
def test_other_file_as_secret_key_is_refused(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=what):
        signing.secret_key(path, lambda: "")


def test_key_that_needs_much_memory_is_refused(tmp_path: Path) -> None:
    raw = b"EdScB2" + bytes(32) + (1 << 40).to_bytes(8, "little") * 2 + bytes(104)
    path = tmp_path / "key"
    path.write_text(f"x\n{base64.b64encode(raw).decode()}\n", encoding="ascii")
    with pytest.raises(UsageError, match="more than 1 GB"):
        signing.secret_key(path, lambda: "")


@pytest.mark.parametrize("text", ["RW", "RWx", PLAIN_PUBLIC[:-1], "RWT/"])
def test_other_text_as_public_key_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NlbgenError, match="cannot be read"):
        signing.public_key(text)
    Path(text.replace("/", "_")).write_text("x\ny\n", encoding="ascii")
    with pytest.raises(UsageError, match="is not a public key of minisign"):
        signing.public_key(text.replace("/", "_"))


@pytest.mark.parametrize(
    "text",
    [
        "a\nb\nc\nd\n",
        MINISIGN.replace("trusted comment: tc", "comment: tc"),
        MINISIGN.replace("RUT6", "AAT6"),
        MINISIGN + "more\n",
        MINISIGN[:-30],
        "\n".join(MINISIGN.splitlines()[:3]),
    ],
)
def test_other_file_as_signature_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "f.minisig"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="is not a signature of minisign"):
        signing.read_signature(path)


def test_signature_without_a_key_is_a_usage_error(bundle: Path, cli: "RunCommand") -> None:
    ran = cli("bundle", "verify", bundle.name, "--signature", "x", cwd=bundle.parent)
    assert ran.code == 2
    assert "--signature needs --key" in ran.err


def test_secret_key_does_not_show_itself() -> None:
    assert repr(signing.SecretKey(b"\1" * 8, b"\2" * 32)) == "SecretKey(0101010101010101)"


# The real minisign.


@minisign
@pytest.mark.slow
def test_minisign_and_nlbgen_accept_each_others_signatures(bundle: Path, cli: "RunCommand", tmp_path: Path) -> None:
    folder = bundle.parent
    keys = made_by_minisign(tmp_path, PASSWORD)
    arguments = ("bundle", "sign", bundle.name, "--key", keys.secret)
    asked = cli(*arguments, cwd=folder)
    assert asked.code == 2
    assert "no terminal to prompt" in asked.err
    wrong = cli(*arguments, cwd=folder, env={"NLBGEN_SIGN_PASSWORD": "xq1z wrong"})
    assert (wrong.code, wrong.err.count("the password is wrong")) == (1, 1), wrong.err
    signed = cli(*arguments, cwd=folder, env={"NLBGEN_SIGN_PASSWORD": PASSWORD})
    assert signed.code == 0, signed.err
    assert "xq1z" not in f"{asked.err}{wrong.err}{signed.err}{signed.out}"
    verify = ["minisign", "-V", "-m", bundle.name, "-p", str(keys.public)]
    accepted = subprocess.run(verify, cwd=folder, capture_output=True, text=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    assert f"file:{bundle.name}" in accepted.stdout
    (folder / "b.tar.gz.minisig").unlink()
    for option in ([], ["-l"]):
        sign = ["minisign", "-S", *option, "-s", str(keys.secret), "-m", bundle.name]
        subprocess.run(sign, cwd=folder, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        assert cli("bundle", "verify", bundle.name, "--key", keys.public, cwd=folder).code == 0
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    assert subprocess.run(verify, cwd=folder, capture_output=True, check=False).returncode != 0


@minisign
def test_minisign_accepts_the_signature_of_a_key_without_a_password(tmp_path: Path) -> None:
    keys = made_by_minisign(tmp_path, "")
    path = tmp_path / "f"
    path.write_bytes(b"data")
    key = signing.secret_key(keys.secret, lambda: pytest.fail("asked for a password"))
    (tmp_path / "f.minisig").write_bytes(signing.sign(b"data", "file:f", key))
    subprocess.run(["minisign", "-Vm", str(path), "-p", str(keys.public)], check=True, capture_output=True)
