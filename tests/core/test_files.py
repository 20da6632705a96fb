"""Files are read only if they are regular, and written only in place of regular ones; full disks are reported."""

import errno
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.bundle import archive
from nlbgen.bundle.sealing import Opener
from nlbgen.core import files
from nlbgen.core.errors import FileError, NlbgenError, NodeError, SpecError
from nlbgen.nodes.config import webconfig
from nlbgen.probe.certificates import trusting
from nlbgen.push.http import Client, Endpoint
from nlbgen.spec import document
from nlbgen.spec.model import Secret
from nlbgen.spec.references import resolve

if TYPE_CHECKING:
    from tests.conftest import RunCommand

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX named pipes")
PIPE = "it is a named pipe, not a regular file"
HINT = "give a regular file; to read from a pipe, give /dev/stdin"

READERS: dict[str, tuple[Callable[[Path], object], type[NlbgenError]]] = {
    "spec": (document.read_text, SpecError),
    "secret": (lambda path: resolve(Secret(file=str(path)), Path()), FileError),
    "config of a node": (webconfig.read, NodeError),
    "certificate": (files.read_bytes, FileError),
    "bundle": (archive.read, FileError),
    "private key of age": (Opener, FileError),
    "CA of a node": (trusting, FileError),
}


@posix
@pytest.mark.parametrize("what", READERS)
def test_reader_refuses_a_named_pipe(tmp_path: Path, what: str) -> None:
    read, kind = READERS[what]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(kind) as error:
        read(tmp_path / "pipe")
    text = f"{error.value.message}\n    {error.value.hint or ''}"
    assert f"cannot be read: {PIPE}" in text
    assert HINT in text


@posix
def test_push_refuses_a_named_pipe_as_its_ca(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NlbgenError, match=f"device: .*pipe: cannot be read: {PIPE}") as error:
        Client(Endpoint("device", str(tmp_path / "pipe"), 5.0, "f5.ca", "f5.host"))
    assert error.value.hint == "write the path of a PEM file as f5.ca"


def test_push_reports_a_missing_ca_at_its_first_request(tmp_path: Path) -> None:
    Client(Endpoint("device", str(tmp_path / "missing"), 5.0, "f5.ca", "f5.host")).close()


@posix
@pytest.mark.parametrize("args", [["check"], ["nodes", "plan"], ["bundle", "verify"]], ids=" ".join)
def test_command_does_not_wait_for_a_named_pipe(args: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "farm.tar.gz")
    os.mkfifo(tmp_path / "farm.yaml")
    name = ["farm.tar.gz"] if args[0] == "bundle" else ["-s", "farm.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "nlbgen", *args, *name], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert done.returncode in {1, 3}
    assert PIPE.encode() in done.stdout + done.stderr


@posix
def test_reader_names_the_kind_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path, kind in ((Path("socket"), "a socket"), (Path("/dev/null"), "a device")):
            with pytest.raises(files.NotRegularError, match=f"it is {kind}, not a regular file"):
                files.content(path)
    with pytest.raises(IsADirectoryError):
        files.content(tmp_path)


@posix
def test_content_reads_one_byte_more_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.content(tmp_path / "file", 3) == b"1234"
    assert files.content(tmp_path / "file", 0) == b"1"
    assert files.content(tmp_path / "file") == b"12345"


@posix
def test_spec_from_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    """The form of `nlbgen check -s <(command)`."""
    example = (Path(__file__).parents[2] / "examples" / "farm.yaml").read_bytes()
    reader, writer = os.pipe()
    os.write(writer, example)
    os.close(writer)
    for name, stdin, passed in ((f"/dev/fd/{reader}", subprocess.DEVNULL, (reader,)), ("/dev/stdin", None, ())):
        done = subprocess.run(
            [sys.executable, "-m", "nlbgen", "check", "-s", name],
            **({"input": example} if stdin is None else {"stdin": stdin}),
            pass_fds=passed,
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    os.close(reader)


@posix
@pytest.mark.parametrize("name", ["pipe", "/dev/stdout", "/dev/fd/1", "/dev/null"])
def test_write_refuses_to_replace_anything_but_a_regular_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match=r"cannot be written: it is .*, not a regular file"):
        files.write_atomically(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


@posix
def test_init_does_not_replace_a_device(cli: "RunCommand") -> None:
    answers = ["--host", "a.example", "--node", "a=10.0.0.1", "--redis", "r.example", "--force"]
    ran = cli("init", *answers, "-o", "/dev/null")
    assert (ran.code, ran.out) == (1, "")
    assert "/dev/null: cannot be written: it is a device, not a regular file" in ran.err


# Temporary folders


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EIO, errno.ENOENT])
def test_scratch_folder_full_disk_names_the_folder_and_the_fix(number: int) -> None:
    tempfile.gettempdir()
    with pytest.raises(FileError, match=r"cannot be written: no space") as error, files.scratch_folder():
        raise OSError(number, "no space")
    assert error.value.message.startswith(str(tempfile.tempdir))
    assert error.value.hint == "free space on that disk, or set TMPDIR (Windows: TEMP) to a folder on another one"


def test_scratch_folder_error_of_a_file_names_the_file() -> None:
    with (
        pytest.raises(FileError, match=r"site\.pem: cannot be written: No such file"),
        files.scratch_folder() as folder,
    ):
        (folder / "missing" / "site.pem").write_bytes(b"")


def test_scratch_folder_other_errors_pass() -> None:
    with pytest.raises(OSError, match="in use"), files.scratch_folder() as folder:
        raise OSError(errno.EADDRINUSE, "in use")
    assert not folder.exists()


LIMITED = """
import resource, sys
from nlbgen import cli
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[0] = "nlbgen"
cli.main()
"""


@posix
@pytest.mark.haproxy
@pytest.mark.parametrize(
    "command, limit, reason",
    [
        ("render", 64, "File too large"),
        ("render", 0, "No usable temporary directory found in"),
        ("prove", 64, "File too large"),
    ],
)
def test_full_temporary_folder_is_not_reported_as_standard_output(
    command: str, limit: int, reason: str, tmp_path: Path
) -> None:
    """A limit on the size of files has the effect of a full disk."""
    example = Path(__file__).parents[2] / "examples" / "farm.yaml"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), command, "haproxy", "-s", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot be written: {reason}" in done.stderr
    assert "\n    free space on that disk, or set TMPDIR" in done.stderr
    assert "standard output" not in done.stderr


# Interrupts

ENDED = """
import os, signal, sys
from nlbgen import cli
number = getattr(signal, sys.argv.pop(1))
replace = os.replace
def ended(source, target):
    os.replace = replace
    print("written:", source, os.path.getsize(source))
    signal.raise_signal(number)
    replace(source, target)
os.replace = ended
cli.main()
"""


@posix
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_signal_while_a_file_is_written_leaves_no_temporary_file(number: str, tmp_path: Path) -> None:
    """The temporary files of `render nodes` contain keys."""
    examples = Path(__file__).parents[2] / "examples"
    done = subprocess.run(
        [sys.executable, "-c", ENDED, number, "render", "nodes", "-s", examples / "farm.yaml", "-o", "out"],
        cwd=tmp_path,
        env={**os.environ, "NLBGEN_REDIS_PASSWORD": "secret-of-redis"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert re.search(r"^written: \S+\.tmp [1-9]", done.stdout)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "interrupted")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
