"""What nlbgen says when something is wrong: the whole of both outputs, and the exit code.

Each folder of `golden_errors/` is a working directory: an `args` file with the command's arguments (`check` without
one), whatever files they name, and the `expected.txt` that `pytest --update-golden` writes, which also lists what the
command has left in the folder.
"""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCommand

GOLDEN = Path(__file__).parents[1] / "golden_errors"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
EXPECTED = "expected.txt"
SECRET = "hunter2"
"""No case's output may hold this text; the cases about secrets write it where a reference belongs."""


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES)
def test_output_matches_the_golden_file(case: str, cli: "RunCommand", tmp_path: Path, update_golden: bool) -> None:
    folder = tmp_path / "here"
    shutil.copytree(GOLDEN / case, folder, ignore=shutil.ignore_patterns(EXPECTED))
    before = files(folder)
    args = (folder / "args").read_text(encoding="utf-8") if (folder / "args").exists() else "check"
    ran = cli(*shlex.split(args), cwd=folder)
    output = f"$ nlbgen {args.strip()}\nexit code {ran.code}\n"
    for name, text in (("stdout", ran.out), ("stderr", ran.err)):
        output += f"\n[{name}]\n{text}" if text else ""
    if written := sorted(set(files(folder)) - set(before)):
        output += "\n[written]\n" + "\n".join(written) + "\n"
    assert "Traceback" not in output
    assert SECRET not in output
    if update_golden:
        (GOLDEN / case / EXPECTED).write_text(output, encoding="utf-8")
    assert (GOLDEN / case / EXPECTED).read_text(encoding="utf-8") == output


def test_every_golden_case_prints_a_message() -> None:
    assert CASES
    for case in CASES:
        assert (GOLDEN / case / EXPECTED).read_text(encoding="utf-8").count("\n") > 2, case
