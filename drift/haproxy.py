"""HAProxy: the digest that the process reports, its nodes with addresses, weights and states, and the file.

Source: HAProxy's management guide, "show info" and "show servers state" (version 1 of the format).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ..generators.base import Site, generator
from ..generators.design import Design, Member
from ..generators.haproxy import runtime
from ..generators.haproxy.generator import structure
from ..operate.haproxy import is_complete
from ..spec.load import Spec
from .hosted import Expected, file_differences, process_difference
from .places import Place
from .report import Difference, UnreachedError

TITLE: Final = "HAProxy"
SOCKET: Final = Path(runtime.SOCKET)
MASTER: Final = Path(runtime.MASTER)
FILE: Final = Path("/etc/haproxy/haproxy.cfg")
FORMAT: Final = "1"


class Server(NamedTuple):
    """One server of the running process."""

    address: str
    port: int
    weight: int
    state: str
    """`ready`, `drain` or `maint`."""


def differences(spec: Spec, site: Site, place: Place, socket: Path, file: Path) -> list[Difference]:
    """Compare the running process and its file with the spec.

    Raises:
        UnreachedError: The process or the file cannot be read.
        UnsupportedError: HAProxy does not support the farm.
    """
    expected = Expected.of(generator("haproxy"), spec, site)
    found = process_difference(_description(_asked(place, socket, "show info")), expected)
    running = servers(_asked(place, socket, "show servers state"))
    found += _compare(wanted(spec), running)
    return found + file_differences(place, file, expected, structure)


def _asked(place: Place, socket: Path, command: str) -> str:
    """Return a complete answer, which ends with an empty line; raises UnreachedError."""
    answer = place.ask(socket, command, TITLE)
    if not is_complete(command, answer):
        raise UnreachedError(
            f"{TITLE}'s answer at {socket.as_posix()} to {command} is incomplete",
            "run nlbgen drift again; if it fails again, check that the socket is that of HAProxy",
        )
    return answer


def old_workers(place: Place, master: Path) -> int | None:
    """Return the number of workers that a reload replaced; None if the master process cannot be asked."""
    try:
        return len(runtime.old_workers(place.ask(master, "show proc", TITLE)))
    except UnreachedError:
        return None


def wanted(spec: Spec) -> dict[str, Member]:
    """Return the nodes of the spec by their names in HAProxy, `pool/node`."""
    design = Design(spec.farm)
    return {f"{pool}/{member.name}": member for pool in runtime.Pools.of(design).every for member in design.members}


def servers(answer: str) -> dict[str, Server]:
    """Return the servers of the answer to "show servers state"; raises UnreachedError for another format."""
    version, _, table = answer.partition("\n")
    columns = table.partition("\n")[0].split()
    if version.strip() != FORMAT or "srv_uweight" not in columns:
        raise UnreachedError("HAProxy's list of servers has an unknown format", "update nlbgen")
    return {f"{row['be_name']}/{row['srv_name']}": _server(row) for row in runtime.servers(table)}


def _server(values: Mapping[str, str]) -> Server:
    admin, weight = int(values["srv_admin_state"]), int(values["srv_uweight"])
    state = "maint" if admin & runtime.MAINTENANCE else "drain" if admin & runtime.DRAIN else "ready"
    return Server(values["srv_addr"], int(values["srv_port"]), weight, state)


def _description(info: str) -> str:
    found = re.search(r"(?m)^description: (.*)$", info)
    return found[1] if found else ""


def _compare(expected: Mapping[str, Member], running: Mapping[str, Server]) -> list[Difference]:
    pools = {name.partition("/")[0] for name in expected}
    extra = [name for name in running if name.partition("/")[0] in pools and name not in expected]
    found = [Difference(name, "no such node", "a node") for name in extra]
    for name, member in expected.items():
        server = running.get(name)
        found += [Difference(name, "a node", "no such node")] if server is None else _of_node(name, member, server)
    return found


def _of_node(name: str, member: Member, server: Server) -> Iterator[Difference]:
    """Yield what differs; HAProxy resolves host names itself, so their addresses are not compared."""
    host = f"[{server.address}]" if ":" in server.address else server.address
    if not member.is_name and f"{host}:{server.port}" != member.endpoint:
        yield Difference(f"{name}, address", member.endpoint, f"{host}:{server.port}")
    weight = 0 if member.state == "drain" else member.weight
    if server.weight != weight:
        yield Difference(f"{name}, weight", str(weight), str(server.weight))
    state = "maint" if member.state == "down" else "ready"
    if server.state != state:
        yield Difference(f"{name}, state", state, server.state)
