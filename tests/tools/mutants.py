"""Run mutmut over rooms of the package: `make mutants`, or `python tests/tools/mutants.py spec/rules nodes/config`.

mutmut finds a function by the name of its module, and the root of this checkout is the package itself. So a copy of the
committed tree, named `nlbgen`, stands in `.mutants/ROOM/`; a second run goes on where the first stopped. The tests of a
room are those that need no other program and start no other process.
"""

import argparse
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SCRATCH: Final = CHECKOUT / ".mutants"
TESTS: Final = {
    "generators": ("generators",),
    "generators/haproxy": ("generators",),
    "generators/nginx": ("generators",),
    "generators/f5": ("generators/test_f5_render.py", "f5"),
    "generators/zen": ("generators/test_zen_render.py", "generators/test_zen_dialect.py"),
    "generators/zen/check": ("generators/test_zen_render.py", "generators/test_zen_dialect.py"),
    "nodes": ("nodes",),
    "nodes/config": ("nodes",),
    "nodes/prepare": ("nodes",),
    "spec/rules": ("spec", "commands/test_golden_errors.py"),
    "push": ("f5", "zen"),
    "push/f5": ("f5",),
    "push/f5/rest": ("f5",),
    "push/f5/as3": ("f5",),
    "push/f5/soap": ("f5",),
    "push/zen": ("zen",),
}
"""The rooms that decide what is rendered and changed, and the tests of each."""
LEFT_OUT: Final = "not slow and not alone and not haproxy and not nginx and not redis and not chromium"


def main() -> int:
    """Run the rooms that the command line names, all of them without a name; report the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("rooms", nargs="*", metavar="ROOM")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    arguments = parser.parse_args()
    return max(run(room, arguments.jobs) for room in arguments.rooms or TESTS)


def run(room: str, jobs: int) -> int:
    """Mutate one room in its own copy of the tree."""
    folder = SCRATCH / room.replace("/", "-")
    if not (folder / "pyproject.toml").exists():
        prepare(folder, room)
    print(f"mutants of {room}", flush=True)
    mutmut = [str(Path(sys.executable).with_name("mutmut"))]
    code = subprocess.run([*mutmut, "run", "--max-children", str(jobs)], cwd=folder, check=False).returncode
    subprocess.run([*mutmut, "results"], cwd=folder, check=False)
    return code


def prepare(folder: Path, room: str) -> None:
    """Copy the committed tree, and write the settings of mutmut and pytest beside it."""
    (folder / "nlbgen").mkdir(parents=True, exist_ok=True)
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
        archive.extractall(folder / "nlbgen", filter="data")
    tests = ", ".join(f'"nlbgen/tests/{test}"' for test in TESTS[room])
    (folder / "pyproject.toml").write_text(
        "[tool.mutmut]\n"
        'source_paths = ["nlbgen"]\n'
        f'only_mutate = ["nlbgen/{room}/*.py"]\n'
        'also_copy = ["nlbgen"]\n'
        f"pytest_add_cli_args_test_selection = [{tests}]\n"
        f'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "{LEFT_OUT}"]\n',
        encoding="utf-8",
    )
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.pytest.ini_options]")[2]
    markers = settings.partition("markers = [")[2].partition("]")[0]
    lines = [line.strip().strip(",").strip('"') for line in markers.splitlines() if line.strip()]
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\nmarkers =\n" + "".join(f"    {line}\n" for line in lines),
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
