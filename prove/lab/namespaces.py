"""Hosts made of network namespaces: a network that no other machine sees. Linux only, as root.

A namespace belongs to one process that sleeps. It ends with this process: nothing is left if nlbgen is
killed.
Sources: network_namespaces(7), unshare(1), nsenter(1), ip-link(8).
"""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from ...core.errors import NlbgenError
from ...net.loopback import own_network
from ...net.waiting import wait_until
from ...operate.shell import execute
from .processes import Child

PROGRAMS: Final = ("unshare", "nsenter", "ip", "sysctl", "sleep")
SYSTEM_PATHS: Final = ("/usr/sbin", "/sbin")
"""Where programs of administrators are that a user's PATH may not list."""
SECONDS: Final = 10.0
"""The time limit of one command, and of the start of a namespace."""


def program(name: str) -> str | None:
    """Return the path of an installed program; None without it."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS]))


def unavailable(*programs: str) -> str:
    """Return why this machine cannot make namespaces with these further programs; empty if it can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    for name in (*PROGRAMS, *programs):
        if program(name) is None:
            return f"{name} is not installed here"
    if os.geteuid() != 0:
        return "network namespaces need root"
    tried = execute([str(program("unshare")), "--net", "true"], SECONDS, "")
    return "" if tried.status == 0 else f"this machine cannot create network namespaces: {tried.reason}"


class Host:
    """One network namespace; its processes end with it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name: Final = name
        self.folder: Final = folder / name
        self._stack: Final = ExitStack()
        self._holder: Final = Child([str(program("unshare")), "--net", "sleep", "infinity"], folder / f"{name}.txt")

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self.folder.chmod(0o755)  # balancers and their checks do not run as root
        self._stack.callback(self._holder.kill)
        try:
            self._holder.start()
            own = own_network()
            if not wait_until(lambda: str(Path(self.namespace).readlink()) != own, SECONDS):
                raise NlbgenError(f"{self.name}: the network namespace does not start: {self._holder.output()}")
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """The process that the namespace belongs to."""
        return self._holder.pid

    @property
    def namespace(self) -> str:
        """The path of the namespace."""
        return f"/proc/{self.pid}/ns/net"

    def command(self, *words: str) -> list[str]:
        """Return a command that runs in this namespace."""
        return [str(program("nsenter")), f"--net={self.namespace}", "--", program(words[0]) or words[0], *words[1:]]

    def run(self, *words: str) -> str:
        """Run a command in this namespace and return its output. Raises NlbgenError if it fails."""
        done = execute(self.command(*words), SECONDS, "")
        if done.status != 0:
            raise NlbgenError(f"{self.name}: {' '.join(words)}: {done.reason}")
        return done.out

    def start(self, name: str, words: Sequence[str]) -> Child:
        """Start a program in this namespace; its output is in the host's folder."""
        child = Child(self.command(*words), self.folder / f"{name}.txt")
        self._stack.callback(child.kill)
        child.start()
        return child
