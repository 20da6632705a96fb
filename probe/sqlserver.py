"""SQL Server: whether its port is there. Nothing is sent to it, and nobody logs in.

A named instance has a port of its own, which the SQL Server Browser tells by UDP ([MC-SQLR], CLNT_UCAST_INST and
SVR_RESP). How a data source is written: SqlClient's documentation of `SqlConnection.ConnectionString`.
"""

import asyncio
import re
from contextlib import suppress
from typing import Final, NamedTuple

from ..net.reach import Limits, ReachError, addresses, dial
from .device import Device

BROWSER_PORT: Final = 1434
DEFAULT_PORT: Final = 1433
_OF_AN_INSTANCE: Final = 0x04
_ANSWER: Final = 0x05
_HEADER_BYTES: Final = 3
_HERE: Final = frozenset({".", "(local)", "localhost", "127.0.0.1", "::1"})


class DataSource(NamedTuple):
    """Where a connection string looks for SQL Server."""

    host: str
    instance: str
    port: int | None
    """None where only the SQL Server Browser knows it."""
    protocol: str = "tcp"

    @classmethod
    def of(cls, text: str) -> "DataSource":
        r"""What `[tcp:]HOST[\INSTANCE][,PORT]` says; a port makes the instance's name irrelevant."""
        protocol, colon, rest = text.strip().partition(":")
        if not colon or protocol.lower() not in {"tcp", "np", "lpc", "admin"}:
            protocol, rest = "tcp", text.strip()
        rest, _comma, port = rest.partition(",")
        host, _slash, instance = rest.strip().partition("\\")
        number = int(port) if re.fullmatch(r"\s*[0-9]{1,5}\s*", port) else None
        if number is None and instance.strip().upper() in {"", "MSSQLSERVER"}:
            number = DEFAULT_PORT
        return cls(host.strip().removeprefix("[").removesuffix("]"), instance.strip(), number, protocol.lower())

    @property
    def on_the_node(self) -> bool:
        """Whether each node would look for it on itself."""
        return self.host.lower() in _HERE or self.protocol == "lpc"


async def check(device: Device, source: DataSource, browser_port: int = BROWSER_PORT) -> None:
    """Connect to the port, and report; `browser_port` is where the SQL Server Browser answers."""
    device.facts["sql"] = "not asked"
    what = source.host + (f"\\{source.instance}" if source.instance else "")
    if source.on_the_node or source.protocol != "tcp":
        found = "it is on the node itself" if source.on_the_node else f"the spec names {source.protocol}, not TCP"
        device.say("sql-port-unknown", what, "a TCP port", found, advice="ask from a node")
        return
    port = source.port
    if port is None:
        try:
            port = await _browsed(source, device.limits, browser_port)
        except ReachError as error:
            del device.facts["sql"]
            device.failed(error, what, "an address")
            return
    if port is None:
        found = f"the SQL Server Browser (UDP {browser_port}) did not tell it"
        device.say("sql-port-unknown", what, "a TCP port", found)
        return
    del device.facts["sql"]
    try:
        (await dial(source.host, port, device.limits.connect)).close()
    except ReachError as error:
        device.failed(error, f"{what}, TCP {port}", "a connection")
        return
    device.reached = True
    device.facts["sql"] = f"TCP {port} accepts"


class _Browser(asyncio.DatagramProtocol):
    """One question to the SQL Server Browser."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep the first answer."""
        del addr
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """The port is closed."""
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _browsed(source: DataSource, limits: Limits, browser_port: int) -> int | None:
    """The instance's TCP port, from the Browser; None where it does not tell. Raises ReachError for an unknown name."""
    question = bytes([_OF_AN_INSTANCE]) + source.instance.encode("ascii", "replace") + b"\0"
    for address in await addresses(source.host, limits.connect):
        with suppress(OSError, TimeoutError):
            transport, browser = await asyncio.get_running_loop().create_datagram_endpoint(
                _Browser, remote_addr=(address, browser_port)
            )
            try:
                transport.sendto(question)
                return port_in(await asyncio.wait_for(browser.answer, limits.connect))
            finally:
                transport.abort()
    return None


def port_in(answer: bytes) -> int | None:
    """The TCP port that a SVR_RESP names; None where it names none."""
    if not answer or answer[0] != _ANSWER:
        return None
    words = answer[_HEADER_BYTES:].decode("latin-1").split(";")
    pairs = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
    port = pairs.get("tcp", "")
    return int(port) if re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 else None
