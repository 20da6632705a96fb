"""Install the pinned npm packages of folders, each once: `python tests/tools/npm.py tests/js tests/browser`.

Processes that install into the same folder at once would disturb each other, so each holds a lock.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

INSTALL_SECONDS = 300


class NpmError(Exception):
    """npm is not installed, or cannot install the packages."""


def packages(folder: Path) -> Path:
    """Return the folder of the installed packages of `package-lock.json`; raises NpmError."""
    installed = folder / "node_modules"
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"nlbgen-npm-{name}.lock", timeout=2 * INSTALL_SECONDS):
        if not (installed / ".package-lock.json").exists():
            _install(folder)
    return installed


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError("npm is not installed")
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NpmError(f"npm ci failed in {folder}: {done.stderr[-300:]}")


if __name__ == "__main__":
    # Without npm, or if it fails, the tests that need the packages report it.
    for argument in sys.argv[1:]:
        try:
            packages(Path(argument))
        except NpmError as error:
            print(error, file=sys.stderr)
