"""A balancer's host by ssh: with the programs socat, cat, curl, pgrep and ip of that host."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..core.errors import DeviceError
from ..operate.shell import Output, Shell
from .here import DIGEST, LONGEST, OLD_WORKER, SECONDS
from .report import UnreachedError

_FOUND: Final = (0, 1)
"""The exit codes of pgrep: processes were found, or none."""


class Remote:
    """One host that ssh reaches."""

    def __init__(self, shell: Shell) -> None:
        self.name: Final = shell.name
        self._shell: Final = shell

    def ask(self, path: Path, command: str, title: str) -> str:
        """Return the answer at a Unix socket of the program `title`; raises UnreachedError."""
        place = path.as_posix()
        found = self._run(["socat", "-t", f"{SECONDS:g}", "-", f"UNIX-CONNECT:{place}"], f"{command}\n")
        if found.status or not found.out:  # socat reports no error if the program hangs
            reason = found.reason if found.status else f"no answer within {SECONDS:g} s"
            raise UnreachedError(
                f"{title} does not answer at {place}: {reason}",
                f"check that it runs on {self.name}, and that the user may write to the socket (--sudo)",
            )
        return found.out

    def read(self, path: Path) -> str:
        """Return the text of a configuration file; raises UnreachedError."""
        found = self._run(["cat", "--", path.as_posix()])
        if found.status:
            raise UnreachedError(
                f"{path.as_posix()}: {found.reason}", f"check that the user may read it on {self.name} (--sudo)"
            )
        return found.out

    def digest_of_nginx(self, port: int) -> str:
        """Return what NGINX answers, whatever it is; raises UnreachedError."""
        where = f"http://127.0.0.1:{port}{DIGEST}"
        options = ["-q", "--silent", "--show-error", "--max-time", f"{SECONDS:g}", "--noproxy", "*"]
        found = self._run(["curl", *options, where])
        if found.status:
            raise UnreachedError(
                f"NGINX does not answer at {where}: {found.reason}",
                f"check that NGINX runs on {self.name}; check balancer.metrics_port",
            )
        return found.out[:LONGEST]

    def old_workers_of_nginx(self) -> int | None:
        """Return the number of workers that a reload replaced; None if pgrep cannot be run."""
        try:
            found = self._shell.run(["pgrep", "-f", "-c", f"^{OLD_WORKER}"])
        except DeviceError:
            return None
        count = found.out.strip()
        return int(count) if found.status in _FOUND and count.isdecimal() else None

    def holds(self, address: str) -> bool | None:
        """Whether an interface of the host has this address; None if ip cannot be run."""
        try:
            found = self._shell.run(["ip", "-oneline", "address", "show", "to", address])
        except DeviceError:
            return None
        return None if found.status else bool(found.out.strip())

    def _run(self, command: Sequence[str], text: str = "") -> Output:
        try:
            return self._shell.run(command, text)
        except DeviceError as error:
            raise UnreachedError(error.message, error.hint or f"check {self.name}") from None
