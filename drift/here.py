"""This machine: sockets, files and processes without other programs."""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.files import content
from ..net.connect import ConnectError, Limits, connected
from ..net.loops import run
from ..net.request import ResponseError, exchange, probe_request
from . import sockets
from .report import UnreachedError

DIGEST: Final = "/digest"
SECONDS: Final = 5.0
LONGEST: Final = 1024
"""Bytes of NGINX's answer that are read."""
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a configuration file."""
OLD_WORKER: Final = "nginx: worker process is shutting down"
_PORT: Final = 9
"""Any port: connecting a datagram socket sends nothing."""


class Here:
    """This machine."""

    name: Final = ""

    def __init__(self, processes: Path = Path("/proc")) -> None:
        self._processes: Final = processes

    def ask(self, path: Path, command: str, title: str) -> str:
        """Return the answer at a Unix socket of the program `title`; raises UnreachedError."""
        return sockets.ask(path, command, title)

    def read(self, path: Path) -> str:
        """Return the text of a configuration file; raises UnreachedError."""
        activity.note(f"file read: {path}")
        try:
            return content(path, LARGEST).decode("utf-8", "replace")
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise UnreachedError(
                f"{path}: {reason}", "run nlbgen drift on the balancer, as a user who may read it; or use --ssh"
            ) from None

    def digest_of_nginx(self, port: int) -> str:
        """Return what NGINX answers; with another configuration it answers 404, or anything."""
        where = f"http://127.0.0.1:{port}{DIGEST}"
        activity.note(f"GET {where}")
        try:
            return run(_body(port)).decode("utf-8", "replace")
        except (ConnectError, ResponseError) as error:
            raise UnreachedError(
                f"NGINX does not answer at {where}: {error}",
                "if this machine is not the balancer, run nlbgen drift there, or use --ssh; otherwise check "
                "that NGINX runs, and check balancer.metrics_port",
            ) from None

    def old_workers_of_nginx(self) -> int | None:
        """Return the number of workers that a reload replaced; None on systems without /proc."""
        if not self._processes.is_dir():
            return None
        wanted = OLD_WORKER.encode()
        return sum(wanted in _command(entry) for entry in self._processes.iterdir() if entry.name.isdecimal())

    def holds(self, address: str) -> bool | None:
        """Whether an interface of this machine has the address, by the tables of Linux.

        A bind does not show it: the balancers may bind addresses that they do not have (ip_nonlocal_bind). Where the
        tables of Linux are missing, the system decides.
        """
        wanted = ipaddress.ip_address(address)
        table = self._processes / "net" / ("if_inet6" if wanted.version == 6 else "fib_trie")
        try:
            text = table.read_text(encoding="ascii")
        except OSError:
            return _reaches_from_itself(wanted)
        if wanted.version == 6:
            return any(line.startswith(wanted.packed.hex()) for line in text.splitlines())
        return bool(re.search(rf"(?m)^ *\|-- {re.escape(str(wanted))}\n +/32 host LOCAL$", text))


def _reaches_from_itself(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the system reaches an address from the address itself; not so for a second address in a network."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _PORT))
            own = probe.getsockname()[0]
    except OSError:  # no route: the address is not here
        return False
    return ipaddress.ip_address(own) == address


async def _body(port: int) -> bytes:
    """The beginning of the answer; `exchange` limits the time of the complete answer, and its size."""
    async with connected("127.0.0.1", port, Limits(SECONDS, SECONDS)) as peer:
        answer = await exchange(peer, probe_request("GET", DIGEST, f"127.0.0.1:{port}", {}), SECONDS)
        return answer.body[:LONGEST]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""
