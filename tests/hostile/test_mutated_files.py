"""Specs, node files and bundles with random damage end in an answer: never in a traceback, never in a lost file."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import COUNT, PASSWORDS

if TYPE_CHECKING:
    from tests.conftest import RunCommand

COMMANDS = (
    ("check", "--format", "json"),
    ("render", "all", "--no-validate", "-o", "out"),
    ("topology", "--format", "ascii"),
    ("report", "-o", "-"),
    ("nodes", "plan"),
    ("nodes", "audit"),
    ("bundle", "export", "--no-validate", "-o", "b.zip"),
)
PIECES = [
    *(b"\0", b"\n", b"\r\n", b"\t", b"\x1b[2J", b"\xff", b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode()),
    *(b"{", b"}", b"[", b"]", b": ", b"- ", b"&a", b"*a", b"<<", b"!!python/object", b"#", b"|", b">", b"%YAML 1.1"),
    *(b"'", b'"', b"`", b"$(id)", b"${x}", b"%PATH%", b"';--", b"<img src=x>", b"../" * 5, b"C:\\", b"\\\\x\\y"),
    *(b"<", b"</a>", b"&lt;", b"&x;", b"<![CDATA[", b"<!--", b"]]>", b"<!DOCTYPE x>", b"<?x?>", b'=""'),
    *(b"9" * 400, b"-1", b"0", b"1e999", b".inf", b"~", b"null", b"true", b"a" * 5000),
]
"""What is put in the place of bytes; every part of nlbgen that quotes has something here to break it."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with up to four places replaced, removed, repeated or cut."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.choice([0, 1, 3, 20, 200]))
        match chance.randrange(5):
            case 0:
                changed[start:end] = chance.choice(PIECES)
            case 1:
                del changed[start:end]
            case 2:
                changed[start:start] = changed[start:end] * 3
            case 3:
                changed[start:end] = bytes(chance.randrange(256) for _ in range(end - start))
            case _:
                values = list(re.finditer(rb"(?<=[:\"'] )[^\s\"'#,}]+|(?<=value=\")[^\"]+", changed))
                if values:
                    place = chance.choice(values)
                    changed[place.start() : place.end()] = chance.choice(PIECES)
    return bytes(changed)


def answered(cli: "RunCommand", args: tuple[str, ...], folder: Path) -> None:
    """Run a command; it must end with an exit code of nlbgen's, and print only what a terminal shows."""
    ran = cli(*args, cwd=folder, env=PASSWORDS)
    assert ran.code in {0, 1, 2, 3, 4, 5}, ran.err
    assert "Traceback" not in ran.err, ran.err
    assert "xq1z" not in ran.out + ran.err
    unseen = [char for char in ran.err if not char.isprintable() and char not in "\n\t"]
    assert not unseen, ascii(ran.err)


@pytest.mark.parametrize("seed", range(COUNT))
def test_damaged_spec_ends_in_an_answer(seed: int, cli: "RunCommand", farm: Path) -> None:
    chance = random.Random(seed)
    path = farm / "farm.yaml"
    path.write_bytes(damaged(path.read_bytes(), chance))
    kept = {file: file.read_bytes() for file in (farm / "inputs").rglob("*") if file.is_file()}
    answered(cli, COMMANDS[0], farm)
    answered(cli, chance.choice(COMMANDS[1:]), farm)
    assert {file: file.read_bytes() for file in (farm / "inputs").rglob("*") if file.is_file()} == kept


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.no_cover  # other tests reach the same lines
def test_damaged_node_file_ends_in_an_answer(seed: int, cli: "RunCommand", farm: Path) -> None:
    chance = random.Random(seed)
    path = chance.choice(sorted((farm / "inputs").rglob("*.config")))
    path.write_bytes(damaged(path.read_bytes(), chance))
    before = path.read_bytes()
    for args in (("check",), ("nodes", "keys"), ("nodes", "plan"), ("nodes", "audit", "--format", "json")):
        answered(cli, args, farm)
    answered(cli, ("nodes", "apply", "--yes"), farm)
    kept = [file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name)]
    assert before in kept  # unchanged, or in the backup


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.no_cover  # other tests reach the same lines
def test_damaged_bundle_writes_nothing_outside_of_its_folder(
    seed: int, ending: str, bundle: Callable[[str], bytes], cli: "RunCommand", tmp_path: Path
) -> None:
    chance = random.Random(seed)
    path = tmp_path / f"b{ending}"
    path.write_bytes(damaged(bundle(ending), chance))
    answered(cli, ("bundle", "verify", str(path)), tmp_path)
    answered(cli, ("bundle", "extract", str(path), "out"), tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, "out", "farm"}
    if (tmp_path / "out").exists():  # only what is whole is written
        assert path.read_bytes() == bundle(ending)


@pytest.fixture
def bundle(cli: "RunCommand", farm: Path) -> Callable[[str], bytes]:
    def made(ending: str) -> bytes:
        path = farm / f"b{ending}"
        if not path.exists():
            assert cli("bundle", "export", "--no-validate", "-o", path.name, cwd=farm).code == 0
        return path.read_bytes()

    return made
