"""Files that are no spec at all: one clear message, exit code 3, soon, and with little memory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.spec.document import MAX_BYTES, MAX_DEPTH, MAX_PROBLEMS, MAX_TEXT, MAX_VALUES

if TYPE_CHECKING:
    from tests.conftest import Ran, RunCommand

CPU_SECONDS = 10
"""Of one file, in a process of its own: each takes well under a second."""
LIMIT_MEGABYTES = 160
"""A good spec takes about 25; a file of the largest size, with the most values in it, about 110."""
HANGS_SECONDS = 300
"""When a test gives up: no measure, because the machine may do much else."""

EACH_FILE = """
import contextlib, io, sys, time
from nlbgen.cli import main
for name in sys.argv[1:]:
    before = time.process_time()
    sys.argv[1:] = ["check", "-s", name]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit:
            pass
    print(name, time.process_time() - before)
try:
    with open("/proc/self/status") as status:
        peak = [line.split()[1] for line in status if line.startswith("VmHWM")]
except OSError:
    peak = []
print("peak", *peak or "0")
"""
"""Checks each file in one process; prints the CPU time of each, and the most memory in kilobytes."""

GOOD = """farm: test
orchestrator: {version: "2019.4", site: Büro}
frontend: {host: orchestrator.corp.example, tls: {verify_nodes: /etc/ssl/ca.pem}}
nodes:
  - {name: orch-1, address: 10.20.0.11}
  - {name: orch-2, address: 10.20.0.12}
stores: {signalr: redis, redis: {host: redis.corp.example, port: 6379}}
"""


def one_message(ran: "Ran", file: str = "farm.yaml") -> str:
    """The one message about a bad file, without the file's name."""
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1
    message, *hint = ran.out.splitlines()
    assert len(hint) <= 1
    assert all(line.startswith("    ") for line in hint)
    return message.removeprefix(f"{file}:")


def written(folder: Path, content: str | bytes, name: str = "farm.yaml") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def bomb() -> str:
    """Ten levels of aliases, each nine times the one before: 3 billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    return "\n".join(lines)


ONE_MESSAGE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "empty": (lambda: "", "1:1: the file is empty"),
    "blanks": (lambda: " \n\t\n"[:1] + "\n\n", "1:1: the file is empty"),
    "only comments": (lambda: "# nothing\n# yet\n", "1:1: the file is empty"),
    "only a BOM": (lambda: b"\xef\xbb\xbf", "1:1: the file is empty"),
    "a list": (lambda: "- farm\n- host\n", "1:1: the file has a list, but a spec is a mapping"),
    "a scalar": (lambda: "farm\n", "1:1: the file has a single value, but a spec is a mapping"),
    "null": (lambda: "~\n", "1:1: the file has a single value, but a spec is a mapping"),
    "two documents": (lambda: GOOD + "---\n" + GOOD, "8:1: a second YAML document starts here"),
    "JSON cut short": (lambda: '{"farm": "test", ', "2:1: invalid YAML: a value is missing or invalid here"),
    "a binary": (
        lambda: b"\x7fELF\x02\x01\x01\x00\x00" + bytes(range(256)) * 100,
        "1:1: is a binary file, not YAML text",
    ),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "1:1: is a binary file, not YAML text"),
    "NUL": (lambda: GOOD.replace("Büro", "a\0b"), "1:1: is a binary file, not YAML text"),
    "a control character": (
        lambda: GOOD.replace("Büro", "Bü\x1bro"),
        "2:43: the character U+001B is not allowed in YAML",
    ),
    "a deleted character": (lambda: GOOD.replace("Büro", "ü\x7f"), "2:42: the character U+007F is not allowed in YAML"),
    "UTF-16": (lambda: GOOD.encode("utf-16"), "1:1: is encoded as UTF-16"),
    "UTF-16 big-endian": (lambda: b"\xfe\xff" + GOOD.encode("utf-16-be"), "1:1: is encoded as UTF-16"),
    "UTF-16 without a mark": (lambda: GOOD.encode("utf-16-le"), "1:1: is a binary file, not YAML text"),
    "Latin-1": (lambda: GOOD.encode("latin-1"), "2:42: byte 0xfc is not UTF-8"),
    "cut UTF-8": (lambda: GOOD.encode()[: GOOD.encode().index("ü".encode()) + 1], "2:42: byte 0xc3 is not UTF-8"),
    "surrogates": (lambda: b"farm: \xed\xa0\x80\n", "1:7: byte 0xed is not UTF-8"),
    "a bomb": (bomb, f"6:15: more than {MAX_VALUES} values"),
    "many values": (lambda: "- x\n" * (MAX_BYTES // 4), f"{MAX_VALUES}:3: more than {MAX_VALUES} values"),
    "deep brackets": (
        lambda: "[" * MAX_BYTES,
        f"1:{MAX_DEPTH + 2}: more than {MAX_DEPTH} mappings and lists are nested here",
    ),
    "deep braces": (
        lambda: "{a: " * 1000,
        f"1:{4 * MAX_DEPTH + 5}: more than {MAX_DEPTH} mappings and lists are nested here",
    ),
    "deep lists": (
        lambda: "- " * 100_000,
        f"1:{2 * MAX_DEPTH + 3}: more than {MAX_DEPTH} mappings and lists are nested here",
    ),
    "deep indentation": (
        lambda: "".join(f"{' ' * level}a:\n" for level in range(1000)),
        f"{MAX_DEPTH + 2}:{MAX_DEPTH + 2}: more than {MAX_DEPTH} mappings and lists are nested here",
    ),
    "keys of keys": (lambda: "? " * 100_000, "1:3: a key must be a word"),
    "a long value": (lambda: "farm: " + "a" * (MAX_BYTES - 10), f"1:7: a value of {MAX_BYTES - 10} characters"),
    "a long number": (lambda: "farm: " + "1" * (MAX_TEXT + 1), f"1:7: a value of {MAX_TEXT + 1} characters"),
    "a long text of lines": (lambda: "farm: |\n" + " a\n" * 100_000, "1:7: a value of 200000 characters"),
    "a long key": (lambda: '"' + "a" * 100_000 + '": 1', "1:1: a value of 100000 characters"),
    "an endless anchor": (lambda: "a: *" + "x" * (MAX_BYTES - 10), f"1:4: *{'x' * 40}... refers to an anchor"),
}


@pytest.mark.parametrize("kind", ONE_MESSAGE)
def test_invalid_file_gives_one_message(kind: str, cli: "RunCommand", tmp_path: Path) -> None:
    make, message = ONE_MESSAGE[kind]
    written(tmp_path, make())
    said = one_message(cli("check"))
    assert said.startswith(message)
    assert len(said) < 200


def test_missing_file_is_an_error(cli: "RunCommand") -> None:
    for name in ("other.yaml", "no/such/folder.yaml"):
        assert one_message(cli("check", "-s", name), name) == "1:1: there is no such file"


def test_path_below_a_file_is_an_error(cli: "RunCommand", tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    name = "farm.yaml/farm.yaml"
    assert one_message(cli("check", "-s", name), name).startswith("1:1: cannot be read: ")


def test_folder_for_a_single_spec_is_an_error(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").mkdir()
    assert (ran := cli("check")).code == 2
    assert "has no *.yaml or *.yml file" in ran.err


def test_100_megabytes_are_not_read(cli: "RunCommand", tmp_path: Path) -> None:
    sparse(tmp_path / "farm.yaml")
    assert one_message(cli("check")) == "1:1: is larger than 8 MB"


def sparse(path: Path) -> None:
    """A file of 100 MB."""
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_an_endless_file_is_not_read(cli: "RunCommand") -> None:
    message = one_message(cli("check", "-s", "/dev/zero"), "/dev/zero")
    assert message == "1:1: cannot be read: it is a device, not a regular file"


def largest() -> bytes:
    """A good spec of the largest size."""
    return GOOD.encode() + b"#" * (MAX_BYTES - len(GOOD.encode()))


def test_the_largest_file_is_read(cli: "RunCommand", tmp_path: Path) -> None:
    written(tmp_path, largest())
    ran = cli("check")
    assert (ran.code, ran.out) == (0, "")


MANY_PROBLEMS: "dict[str, Callable[[int], str]]" = {
    "unknown keys": lambda size: "".join(f"key{number}: 1\n" for number in range(90 * size)),
    "keys given twice": lambda size: "a: 1\n" * 100 * size,
    "ambiguous values": lambda size: "- 012\n" * 190 * size,
    "wrong nodes": lambda size: (
        "farm: x\nfrontend: {host: a.example}\nnodes:\n" + "  - {name: x, address: x_y, port: 0}\n" * 28 * size
    ),
    "nodes of one name": lambda size: (
        "farm: x\nfrontend: {host: a.example}\nnodes:\n" + "  - {name: x, address: 10.0.0.1}\n" * 28 * size
    ),
    "names of other scripts": lambda size: "nodes:\n" + ("  - {address: " + "ü" * 8000 + "}\n") * (size * 49 // 100),
    "nearly numbers": lambda size: "a:\n" + ("  - " + "1_" * 120 + "x\n") * 30 * size,
}
"""Files with more problems than are reported, by their size: with 1000, they are nearly as large as a spec may be."""
WHOLE = 1000


@pytest.mark.parametrize("kind", MANY_PROBLEMS)
def test_number_of_reported_problems_is_limited(kind: str, cli: "RunCommand", tmp_path: Path) -> None:
    written(tmp_path, MANY_PROBLEMS[kind](WHOLE // 10))
    ran = cli("check")
    assert ran.code == 3
    assert 1 <= ran.out.count("farm.yaml:") <= 5 * MAX_PROBLEMS


def test_no_invalid_file_needs_much_memory_or_time(tmp_path: Path) -> None:
    names = []
    texts = [*(make() for make, _said in ONE_MESSAGE.values()), *(make(WHOLE) for make in MANY_PROBLEMS.values())]
    for number, text in enumerate([*texts, largest()]):
        names.append(f"{number}.yaml")
        written(tmp_path, text, names[-1])
    sparse(tmp_path / "sparse.yaml")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            EACH_FILE,
            *names,
            "sparse.yaml",
            *(["/dev/zero"] if Path("/dev/zero").exists() else []),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=True,
    )
    *files, (_peak, kilobytes) = (line.split() for line in done.stdout.splitlines())
    assert len(files) > len(names)
    assert [name for name, seconds in files if float(seconds) > CPU_SECONDS] == []
    assert int(kilobytes) < LIMIT_MEGABYTES * 1024


ACCEPTED = {
    "a BOM": b"\xef\xbb\xbf" + GOOD.encode(),
    "CRLF": GOOD.replace("\n", "\r\n").encode(),
    "CR": GOOD.replace("\n", "\r").encode(),
    "no line end at the end": GOOD.rstrip().encode(),
    "a document start and end": f"%YAML 1.1\n---\n{GOOD}...\n".encode(),
    "trailing blanks and comments": GOOD.replace("\n", "   # ü\n").encode(),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_files_of_common_editors_are_accepted(kind: str, cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_bytes(ACCEPTED[kind])
    ran = cli("check")
    assert (ran.code, ran.out, ran.err) == (0, "", "farm.yaml: no problems\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_locations_do_not_depend_on_the_line_end(end: str, cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_bytes(GOOD.replace("10.20.0.12", "10.20.0.300").replace("\n", end).encode())
    assert cli("check").out.startswith("farm.yaml:6:29: nodes[1].address: ")
