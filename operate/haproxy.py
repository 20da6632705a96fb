"""HAProxy by its runtime socket, and by the socket of the master process for the workers that a reload replaced.

An old worker runs no health checks and takes no commands for nodes, but it lists and closes single sessions. States
that are set here survive a reload, because the rendered systemd drop-in saves them.
"""

import csv
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..core.errors import DeviceError
from ..core.wording import legible, shortened
from ..generators.design import Design
from ..generators.haproxy import runtime
from ..generators.haproxy.runtime import MASTER, SOCKET, STATES, Pools
from ..spec.model import Farm
from .contract import Balancer, Health, NodeStatus, Sessions, State, Wanted, status_of
from .shell import Output, Shell

_SESSION: Final = re.compile(r"^(?P<id>0x[0-9a-f]+):(?P<rest>.*)$", re.MULTILINE)
_GONE: Final = "Can't find the target"
"""How the master process answers a command for a worker that has ended."""
_ANSWER_SECONDS: Final = 5
"""socat waits so long for each part of an answer; then it ends without an error."""
PAUSES: Final = (0.2, 0.5, 1.0)
_LONGEST_TEXT: Final = 100
_AT_ONCE: Final = 50
"""Commands in one line to the socket."""


class Sockets(NamedTuple):
    """The paths of the sockets on the balancer's host."""

    runtime: str = SOCKET
    master: str = MASTER


class Session(NamedTuple):
    """One session with a node; `worker` is empty for the current worker."""

    worker: str
    id: str
    pool: str
    node: str

    @property
    def name(self) -> str:
        """The worker and the id as one text."""
        return f"{self.worker}/{self.id}"


class Haproxy(Balancer):
    """One HAProxy."""

    vendor = "haproxy"

    def __init__(
        self, farm: Farm, shell: Shell, sockets: Sockets | None = None, pauses: Sequence[float] = PAUSES
    ) -> None:
        """`pauses` are the seconds before each further attempt of a command."""
        self.name = shell.name
        self._farm: Final = farm
        self._pools: Final = Pools.of(Design(farm))
        self._shell: Final = shell
        self._sockets: Final = sockets or Sockets()
        self._pauses: Final = tuple(pauses)

    # Read

    def read(self) -> tuple[NodeStatus, ...]:
        """Return the nodes; the sessions are those of all workers."""
        answer = self._ask("show stat;show servers state")
        statistics, states = _split(answer)
        if not statistics or not states:
            raise DeviceError(
                f"{self.name}: the answer at {self._sockets.runtime} is not that of HAProxy's runtime socket: "
                f"{shortened(legible(' '.join(answer.split())), _LONGEST_TEXT)}",
                "check --socket: HAProxy's configuration has its path after `stats socket`",
            )
        rows = {(row["pxname"], row["svname"]): row for row in statistics}
        servers = {(row["be_name"], row["srv_name"]): row for row in states}
        old = Counter((session.node, session.pool in self._pools.long_lived) for session in self._old_sessions())
        return tuple(
            self._node(node.name, rows, servers[self._pools.web, node.name], old)
            for node in self._farm.nodes
            if (self._pools.web, node.name) in servers and (self._pools.web, node.name) in rows
        )

    def _node(
        self,
        name: str,
        rows: Mapping[tuple[str, str], Mapping[str, str]],
        server: Mapping[str, str],
        old: Mapping[tuple[str, bool], int],
    ) -> NodeStatus:
        row = rows[self._pools.web, name]
        now = {pool: int(rows.get((pool, name), {}).get("scur") or 0) for pool in self._pools.every}
        live = sum(now[pool] for pool in self._pools.long_lived) + old.get((name, True), 0)
        replaced = old.get((name, True), 0) + old.get((name, False), 0)
        return NodeStatus(
            name=name,
            state=_state(server),
            health=_health(row["status"]),
            check=" ".join(filter(None, (row["status"], row.get("check_status", ""), row.get("last_chk", "")))),
            sessions=Sessions(sum(now.values()) + replaced, live, replaced),
            since=int(server["srv_time_since_last_change"]),
        )

    def _old_sessions(self) -> Iterator[Session]:
        for worker in self._old_workers():
            yield from self._sessions(worker)

    def _old_workers(self) -> list[str]:
        """Return the process ids of the workers that a reload replaced and that still have connections."""
        return runtime.old_workers(self._ask("show proc", master=True))

    def _sessions(self, worker: str) -> Iterator[Session]:
        """Yield the sessions of one worker with the farm's nodes; an old worker that has just ended has none."""
        text = self._ask(f"@!{worker} show sess", master=True) if worker else self._ask("show sess")
        for found in _SESSION.finditer(text):
            words = dict(word.split("=", 1) for word in found["rest"].split() if "=" in word)
            pool, node = words.get("be", ""), words.get("srv", "")
            if pool in self._pools.every and node not in {"", "<none>"}:
                yield Session(worker, found["id"], pool, node)

    # Change

    def change(self, node: str, state: Wanted) -> None:
        """Set the state in every pool with states of its own, and read it back.

        `up` also sets the weight of a node that the configuration drains with the weight 0. `down` also closes the
        node's long-lived sessions in old workers, which the current worker cannot reach.
        """
        status_of(self, self.read(), node)
        weight = next(one.weight for one in self._farm.nodes if one.name == node)
        commands = [f"set server {pool}/{node} state {STATES[state]}" for pool in self._pools.own]
        if state == "up":
            drained = self._weightless(node)
            commands = [f"set server {pool}/{node} weight {weight}" for pool in drained] + commands
        for command in commands:
            answer = self._ask(command).strip()
            if answer:
                raise DeviceError(f"{self.name}: {command}: {answer}", "check the node with `nlbgen nodes status`")
        found = self.status(node)
        if not found.is_in(state):
            raise DeviceError(f"{self.name}: {node} is {found.state} after the change to {state}")
        if state == "down":
            self.close([one.name for one in self._old_sessions() if one.node == node and self._is_live(one)])

    def _weightless(self, node: str) -> list[str]:
        """Return the pools in which a node has the weight 0."""
        states = _split(self._ask("show servers state"))[1]
        return [
            row["be_name"]
            for row in states
            if row["srv_name"] == node and row["be_name"] in self._pools.every and row["srv_uweight"] == "0"
        ]

    def _is_live(self, session: Session) -> bool:
        return session.pool in self._pools.long_lived

    # Long-lived sessions

    def closable(self, node: str) -> Collection[str]:
        """Return the WebSockets and long polls of a node in all workers; under passthrough all of its connections."""
        workers = ["", *self._old_workers()]
        every = (session for worker in workers for session in self._sessions(worker))
        return tuple(one.name for one in every if one.node == node and self._is_live(one))

    def close(self, sessions: Sequence[str]) -> None:
        """Close these sessions, in whatever worker they are."""
        for start in range(0, len(sessions), _AT_ONCE):
            by_worker: dict[str, list[str]] = {}
            for session in sessions[start : start + _AT_ONCE]:
                worker, _, number = session.partition("/")
                by_worker.setdefault(worker, []).append(number)
            for worker, numbers in by_worker.items():
                prefix = f"@!{worker} " if worker else ""
                self._ask(";".join(f"{prefix}shutdown session {number}" for number in numbers), master=bool(worker))

    def _ask(self, commands: str, *, master: bool = False) -> str:
        """Return the answer to a line of commands; raises DeviceError if HAProxy does not answer.

        During a reload, the sockets refuse connections for a moment. A repeated command has no further effect.
        """
        path = self._sockets.master if master else self._sockets.runtime
        for pause in (*self._pauses, None):
            command = ["socat", "-t", str(_ANSWER_SECONDS), "-", f"UNIX-CONNECT:{path}"]
            found = self._shell.run(command, f"{commands}\n")
            if found.status == 0 and is_complete(commands, found.out):
                return found.out
            if pause is not None:
                time.sleep(pause)
        raise self._silent(path, commands, found, master=master)

    def _silent(self, path: str, commands: str, found: Output, *, master: bool) -> DeviceError:
        """Return the error for a program that does not answer: it cannot be reached, or it hangs."""
        worker = commands.removeprefix("@!").partition(" ")[0] if commands.startswith("@!") else ""
        what = f"HAProxy's old worker {worker}" if worker else "HAProxy's master process" if master else "HAProxy"
        if found.status == 0:
            return DeviceError(
                f"{self.name}: {what} gives no complete answer at {path} within {_ANSWER_SECONDS} s",
                "repeat the command; if it fails again, the process hangs: check it, or restart HAProxy",
            )
        return DeviceError(
            f"{self.name}: {what} does not answer at {path}: {found.reason}",
            f"the service must start HAProxy with -S {path} (EXTRAOPTS of Debian's unit): nlbgen reads "
            "the list of old workers there"
            if master
            else f"check that HAProxy runs, and that the user may write to {path} (--sudo)",
        )


def is_complete(commands: str, answer: str) -> bool:
    """Whether an answer ends as HAProxy ends it: with an empty line, which for many commands is the whole answer.

    The program socat reports no error if HAProxy hangs, or if an answer is truncated.
    """
    if "show " in commands and not answer.startswith(_GONE):
        return answer.endswith("\n\n")
    return answer.endswith("\n")


def _split(text: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the rows of `show stat` and those of `show servers state` in one answer."""
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith("# be_id")), len(lines))
    head = next((number for number, line in enumerate(lines[:at]) if line.startswith("# pxname")), at)
    table = [line for line in lines[head:at] if "," in line]
    rows = list(csv.DictReader([table[0].removeprefix("# "), *table[1:]])) if table else []
    return rows, list(runtime.servers("\n".join(lines[at:])))


def _state(server: Mapping[str, str]) -> State:
    flags = int(server["srv_admin_state"])
    if flags & (runtime.MAINTENANCE | runtime.UNRESOLVED):
        return "down"
    return "drain" if flags & runtime.DRAIN or server["srv_uweight"] == "0" else "up"


def _health(status: str) -> Health:
    if status.startswith(("UP", "DRAIN", "NOLB")):
        return "passing"
    return "failing" if status.startswith("DOWN") else "unchecked"
