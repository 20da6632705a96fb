"""The vocabulary of machines: what the comparison reads of the machine on which HAProxy or NGINX runs."""

from pathlib import Path
from typing import Protocol


class Place(Protocol):
    """One machine with HAProxy or NGINX."""

    @property
    def name(self) -> str:
        """The host for ssh; empty for this machine."""

    def ask(self, path: Path, command: str, title: str) -> str:
        """Return the answer at a Unix socket of the program `title`; raises UnreachedError."""

    def read(self, path: Path) -> str:
        """Return the text of a configuration file; raises UnreachedError."""

    def digest_of_nginx(self, port: int) -> str:
        """Return what NGINX answers at `/digest` on its loopback port, whatever it is; raises UnreachedError."""

    def old_workers_of_nginx(self) -> int | None:
        """Return the number of NGINX's workers that a reload replaced; None if it is unknown."""

    def holds(self, address: str) -> bool | None:
        """Whether the machine has this address; None if it is unknown."""
