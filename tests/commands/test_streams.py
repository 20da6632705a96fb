"""Standard streams: `-o -`, streams that the caller has closed, and outputs that are no regular file."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCommand

NLBGEN = [sys.executable, "-m", "nlbgen"]
INIT = ("init", "--host", "o.example", "--farm", "f", "--orchestrator", "2019.4", "--redis", "r.example")
INIT_NODES = ("--node", "a=10.0.0.1", "--node", "b=10.0.0.2")
posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")


@pytest.mark.parametrize(
    ("args", "file"),
    [
        (("topology",), "farm.svg"),
        (("topology", "--format", "ascii"), "farm.txt"),
        (("report",), "report.html"),
        (("bundle", "export", "--no-validate"), "b.tar.gz"),
        ((*INIT, *INIT_NODES), "new.yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_dash_writes_the_bytes_of_the_file_to_standard_output(
    args: tuple[str, ...], file: str, farm: Callable[..., Path], tmp_path: Path
) -> None:
    farm()
    subprocess.run([*NLBGEN, *args, "-o", file], cwd=tmp_path, check=True, capture_output=True)
    written = (tmp_path / file).read_bytes()
    before = sorted(tmp_path.rglob("*"))
    piped = subprocess.run([*NLBGEN, *args, "-o", "-"], cwd=tmp_path, check=True, capture_output=True)
    assert piped.stdout == written
    assert b"wrote" not in piped.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_bundle_on_standard_output_has_its_digest_on_standard_error(farm: Callable[..., Path], tmp_path: Path) -> None:
    farm()
    command = [*NLBGEN, "bundle", "export", "--no-validate", "-o", "-"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert f"{hashlib.sha256(done.stdout).hexdigest()}  -" in done.stderr.decode().splitlines()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        assert "farm.yaml" in archive.getnames()


def test_path_that_ends_in_a_dash_is_a_file(cli: "RunCommand", farm: Callable[..., Path], tmp_path: Path) -> None:
    farm()
    assert cli("topology", "-o", "./-").code == 0
    assert (tmp_path / "-").read_bytes().startswith(b"<svg")


def test_reports_of_a_fleet_do_not_go_to_standard_output(cli: "RunCommand", farm: Callable[..., Path]) -> None:
    farm("a.yaml", farm="a")
    farm("b.yaml", farm="b")
    for command in ("report", "topology"):
        ran = cli(command, "-s", "a.yaml", "-s", "b.yaml", "-o", "-")
        assert ran.code == 2
        assert "-o DIR" in ran.err
        assert ran.out == ""


@posix
@pytest.mark.parametrize("args", [("topology",), ("report",), ("bundle", "export", "--no-validate")], ids=" ".join)
@pytest.mark.no_cover  # other tests reach the same lines
def test_output_that_is_no_regular_file_stays(
    args: tuple[str, ...], cli: "RunCommand", farm: Callable[..., Path], tmp_path: Path
) -> None:
    farm()
    pipe = tmp_path / "pipe.tar.gz"
    os.mkfifo(pipe)
    link = tmp_path / "link.tar.gz"
    link.symlink_to("/dev/null")
    for path, what in ((pipe, "a named pipe"), (link, "a device"), (Path("/dev/stdout"), "")):
        ran = cli(*args, "-o", path)
        assert ran.code in {1, 2}, path
        assert f"it is {what}" in ran.err or path.name == "stdout"
        assert "permissions" not in ran.err
    assert pipe.is_fifo()
    assert link.is_symlink()


CLOSED = [
    ("check >&-", 0),
    ("topology >&-", 1),
    ("schema >&-", 1),
    ("vendors >&-", 1),
    ("--help >&-", 1),
    ("check <&- >&- 2>&-", 0),
    ("check 2>&-", 0),
    ("render haproxy --no-validate 2>&-", 0),
    ("check <&-", 0),
    ("nodes apply <&-", 5),
    ("init <&-", 2),
]


@posix
@pytest.mark.parametrize(("command", "code"), CLOSED, ids=[command for command, _code in CLOSED])
def test_closed_stream_ends_without_a_traceback(
    command: str, code: int, farm: Callable[..., Path], tmp_path: Path
) -> None:
    farm()
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m nlbgen {command}', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    if code == 1:
        assert "standard output cannot be written" in done.stderr


@posix
def test_file_never_gets_the_descriptor_of_a_closed_stream(farm: Callable[..., Path], tmp_path: Path) -> None:
    farm()
    script = '"$0" -m nlbgen render haproxy --no-validate <&- >&- 2>&-'
    subprocess.run(["bash", "-c", script, sys.executable], cwd=tmp_path, check=False)
    alone = tmp_path / "alone"
    command = [*NLBGEN, "render", "haproxy", "--no-validate", "-o", str(alone)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for path in sorted((alone / "haproxy").rglob("*")):
        if path.is_file():
            assert (tmp_path / "outputs" / path.relative_to(alone)).read_bytes() == path.read_bytes()
