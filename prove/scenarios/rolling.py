"""`nlbgen roll` and `nlbgen nodes` in the lab: the same code, with the lab's balancer in place of the live one."""

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from ...core.errors import NlbgenError
from ...generators.base import Site
from ...operate import journal
from ...operate.changing import Operator
from ...operate.contract import Balancer
from ...operate.events import EventLog
from ...operate.haproxy import Haproxy, Sockets
from ...operate.nginx import Nginx, Paths
from ...operate.pace import Pace
from ...operate.rolling import Roll, Times
from ...operate.shell import LocalShell
from ..lab.lab import Lab
from .base import TestBench

LOOK_SECONDS: Final = 0.5
"""How often the change looks at the balancer."""
REAL: Final = Times()
"""The time limits of `nlbgen roll` without options."""
SCALED: Final = Times(limit=5, health=60, back=60, pause=REAL.pause)
"""The limits in the lab without `--real-time`. Robots hold their WebSockets for longer than either `limit`: at its
end, the node is set to down with all of its robots."""


def balancer_of(lab: Lab) -> Balancer:
    """Return the lab's balancer as `nlbgen nodes` and `nlbgen roll` use it."""
    shell, folder, running = LocalShell(name=lab.generator.title), lab.folder, lab.foreground
    if running.states is not None:
        return Haproxy(
            lab.spec.farm, shell, Sockets(str(folder / running.states.socket), str(folder / running.states.master))
        )
    reload = ("kill", f"-{running.reload.removeprefix('SIG')}", str(lab.balancer.pid))
    paths = Paths(str(lab.configuration), lab.program, str(folder / running.pid_file), reload)
    return Nginx(lab.spec, shell, paths, Site(str(folder), http_port=lab.http_port))


class InterruptedChangeError(NlbgenError):
    """`Change.stop` ended the change."""


class Change:
    """A change of the lab's nodes, in a thread; `stop` ends its waits."""

    def __init__(self, bench: TestBench) -> None:
        self._bench: Final = bench
        self._stopped: Final = threading.Event()
        self._folder: Final = bench.lab.folder
        farm = bench.lab.spec.farm
        log = EventLog(self._folder / "events.jsonl", farm.farm)
        pace = Pace(monotonic, self._sleep, LOOK_SECONDS)
        self.operator: Final = Operator(bench.lab.spec, (balancer_of(bench.lab),), log, bench.log, pace)

    def stop(self) -> None:
        """End the change at its next wait."""
        self._stopped.set()

    def roll(self, restart: Callable[[str], object], times: Times) -> None:
        """Run `nlbgen roll`: `restart` is the command for a node. Raises NlbgenError at the first failure."""

        def command(words: Sequence[str], _seconds: float) -> int:
            restart(words[1])
            return 0

        names = [node.name for node in self._bench.serving]
        path = self._folder / "roll.json"
        Roll(
            self.operator,
            journal.started(path, self.operator.spec.farm.farm, ("restart", "{node}"), names),
            times,
            run_command=command,
        ).run()

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise InterruptedChangeError("the change of the lab's nodes was interrupted", "the scenario took too long")
