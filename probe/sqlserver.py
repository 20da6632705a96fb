"""SQL Server: whether its port accepts connections. The probe sends nothing and does not log in.

A named instance has its own port, which the SQL Server Browser returns over UDP. Sources: [MC-SQLR], CLNT_UCAST_INST
and SVR_RESP; SqlClient's documentation of `SqlConnection.ConnectionString` for the data source.
"""

import asyncio
import re
from contextlib import suppress
from typing import Final, NamedTuple

from ..net.connect import ConnectError, Limits, dial, resolve
from .machine import Machine

BROWSER_PORT: Final = 1434
DEFAULT_PORT: Final = 1433
_UNICAST_INSTANCE: Final = 0x04
_RESPONSE: Final = 0x05
_HEADER_BYTES: Final = 3
_LOCAL: Final = frozenset({".", "(local)", "localhost", "127.0.0.1", "::1"})


class DataSource(NamedTuple):
    """The data source of a connection string."""

    host: str
    instance: str
    port: int | None
    """None: the SQL Server Browser knows it."""
    protocol: str = "tcp"

    @classmethod
    def of(cls, text: str) -> "DataSource":
        r"""Parse `[tcp:]HOST[\INSTANCE][,PORT]`; with a port, the instance's name is irrelevant."""
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
        """Whether each node connects to itself."""
        return self.host.lower() in _LOCAL or self.protocol == "lpc"


async def check(machine: Machine, source: DataSource, browser_port: int = BROWSER_PORT) -> None:
    """Connect to the port, and report; `browser_port` is the UDP port of the SQL Server Browser."""
    machine.facts["sql"] = "not checked"
    checked = source.host + (f"\\{source.instance}" if source.instance else "")
    if source.on_the_node or source.protocol != "tcp":
        found = "it runs on the node itself" if source.on_the_node else f"the spec has {source.protocol}, not TCP"
        machine.report("sql-port-unknown", checked, "a TCP port", found, advice="run the probe on a node")
        return
    port = source.port
    if port is None:
        try:
            port = await _browse(source, machine.limits, browser_port)
        except ConnectError as error:
            del machine.facts["sql"]
            machine.failed(error, checked, "an address")
            return
    if port is None:
        found = f"the SQL Server Browser (UDP {browser_port}) did not return it"
        machine.report("sql-port-unknown", checked, "a TCP port", found)
        return
    del machine.facts["sql"]
    try:
        (await dial(source.host, port, machine.limits.connect)).close()
    except ConnectError as error:
        machine.failed(error, f"{checked}, TCP {port}", "a connection")
        return
    machine.reached = True
    machine.facts["sql"] = f"TCP {port} accepts"


class _Browser(asyncio.DatagramProtocol):
    """One request to the SQL Server Browser."""

    def __init__(self) -> None:
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Store the first response."""
        del addr
        if not self.response.done():
            self.response.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Fail: the port is closed."""
        if not self.response.done():
            self.response.set_exception(exc)


async def _browse(source: DataSource, limits: Limits, browser_port: int) -> int | None:
    """Return the instance's TCP port from the Browser; None without a response. Raises ConnectError: unknown name."""
    request = bytes([_UNICAST_INSTANCE]) + source.instance.encode("ascii", "replace") + b"\0"
    for address in await resolve(source.host, limits.connect):
        with suppress(OSError, TimeoutError):
            transport, browser = await asyncio.get_running_loop().create_datagram_endpoint(
                _Browser, remote_addr=(address, browser_port)
            )
            try:
                transport.sendto(request)
                return port_in(await asyncio.wait_for(browser.response, limits.connect))
            finally:
                transport.abort()
    return None


def port_in(response: bytes) -> int | None:
    """Return the TCP port of a SVR_RESP; None if it has no valid one."""
    if not response or response[0] != _RESPONSE:
        return None
    words = response[_HEADER_BYTES:].decode("latin-1").split(";")
    pairs = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
    port = pairs.get("tcp", "")
    return int(port) if re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 else None
