"""Generated files: written where their content changes, compared without their secrets, listed where left over."""

import stat
from pathlib import Path, PurePosixPath

from nlbgen import __version__
from nlbgen.core import artifacts
from nlbgen.core.artifacts import Artifact


def made(path: str, content: bytes, *, secret: bool = False) -> Artifact:
    return Artifact(PurePosixPath(path), content, secret=secret)


def test_write_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    one = made("a/b.cfg", b"1\n")
    assert artifacts.write([one], tmp_path) == [(tmp_path / "a/b.cfg", True)]
    before = (tmp_path / "a/b.cfg").stat()
    assert artifacts.write([one], tmp_path) == [(tmp_path / "a/b.cfg", False)]
    after = (tmp_path / "a/b.cfg").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert artifacts.write([made("a/b.cfg", b"2\n")], tmp_path) == [(tmp_path / "a/b.cfg", True)]
    assert (tmp_path / "a/b.cfg").read_bytes() == b"2\n"


def test_write_secret_file_gets_its_permission_bits_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k\n")
    path.chmod(0o644)
    assert artifacts.write([made("key", b"k\n", secret=True)], tmp_path) == [(path, False)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_artifact_secret_content_is_hidden() -> None:
    assert "hunter2" not in repr(made("key", b"hunter2", secret=True))


def test_artifact_below_changes_only_the_path() -> None:
    one = Artifact(PurePosixPath("a"), b"x", secret=True, main=True)
    assert one.below("f/g") == Artifact(PurePosixPath("f/g/a"), b"x", secret=True, main=True)


def test_diff_shows_changed_and_new_files_only(tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes(b"1\n")
    (tmp_path / "old").write_bytes(b"1\n2\n")
    found = artifacts.diff([made("same", b"1\n"), made("old", b"1\n3\n"), made("new", b"4\n")], tmp_path)
    old, new = (tmp_path / "old").as_posix(), (tmp_path / "new").as_posix()
    assert found == [
        *(f"--- {old}", f"+++ {old}", "@@ -1,2 +1,2 @@", " 1", "-2", "+3"),
        *("--- /dev/null", f"+++ {new}", "@@ -0,0 +1 @@", "+4"),
    ]


def test_diff_of_a_secret_file_shows_only_that_it_differs(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"hunter1\n")
    found = artifacts.diff([made("old", b"hunter2\n", secret=True), made("new", b"hunter3\n", secret=True)], tmp_path)
    old, new = (tmp_path / "old").as_posix(), (tmp_path / "new").as_posix()
    hidden = "(contains secrets: not shown)"
    assert found == [f"--- {old}", f"+++ {old}", hidden, "--- /dev/null", f"+++ {new}", hidden]


def test_leftovers_are_the_files_of_the_folder_that_no_artifact_names(tmp_path: Path) -> None:
    for name in ("v/a", "v/b/c", "w/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert artifacts.leftovers([made("v/a", b"")], tmp_path, "v") == [tmp_path / "v/b/c"]
    assert artifacts.leftovers([made("v/a", b"")], tmp_path) == [tmp_path / "v/b/c", tmp_path / "w/d"]
    assert artifacts.leftovers([], tmp_path, "none") == []


def test_header_names_version_digest_and_command() -> None:
    assert artifacts.made_by("render nodes", "0123456789abcdef" * 4) == [
        f"Made by nlbgen {__version__} from the spec with digest 0123456789abcdef.",
        "Do not edit: change the spec and run `nlbgen render nodes` again.",
    ]
