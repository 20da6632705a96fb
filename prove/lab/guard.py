"""A guard process that ends our children and removes our scratch folders when this process ends for any reason.

The parent holds the write end of the guard's standard input and writes `+pid` and `-pid` lines, and the same with a
folder's path. When the parent ends, also by SIGKILL, the pipe closes, and the guard kills and removes what is still
listed: the folders hold the keys of test certificates and must not stay behind. This works from any thread (Linux's
PR_SET_PDEATHSIG would fire when the starting *thread* ends), for stopped children, and for whole process groups.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress


def kill_group(pid: int) -> None:
    """Kill a process group by its leader; a process that has ended already is no error."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


class Guard:
    """The parent's end. The guard process starts with the first child that is added."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def add(self, what: int | str) -> None:
        """Add a child (its process id) or a folder (its absolute path) to the list."""
        self._send(f"+{what}\n")

    def remove(self, what: int | str) -> None:
        """Remove a child that has ended (its id may soon be reused) or a folder from the list."""
        self._send(f"-{what}\n")

    def close(self) -> None:
        """End the guard and every child that is still listed."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)

    def _send(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            with suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())  # type: ignore[union-attr]
                self._process.stdin.flush()  # type: ignore[union-attr]


def _start() -> subprocess.Popen[bytes]:
    # A session of its own, so that Ctrl-C in the terminal does not end the guard before its work.
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


GUARD = Guard()
atexit.register(GUARD.close)


class ScratchFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder that the guard removes if this process cannot."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix=prefix)
        GUARD.add(self.name)

    def cleanup(self) -> None:
        """Remove the folder now."""
        super().cleanup()
        GUARD.remove(self.name)


def main() -> None:
    """Run the guard process: keep the list until standard input ends, then kill and remove what is on it."""
    listed: set[str] = set()
    for line in sys.stdin:
        (listed.add if line[0] == "+" else listed.discard)(line[1:].rstrip("\n"))
    for pid in filter(str.isdecimal, listed):
        kill_group(int(pid))
    for folder in sorted(what for what in listed if not what.isdecimal()):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
