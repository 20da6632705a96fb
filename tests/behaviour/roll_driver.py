"""Rolling changes that are cut: each in a process of its own, which sends a signal to itself at its n-th step.

A step is a command to HAProxy or a call of NGINX's host, a line of the event log, a journal, or the user's command.
After each cut, another process resumes the change. Prints one line of JSON for each round.

The argument is a JSON file with a `Plan`; its folder has the spec of the lab, pickled, as the lab relocated it.
"""

import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlbgen.generators.base import Site
from nlbgen.operate import journal
from nlbgen.operate.changing import Operator
from nlbgen.operate.contract import Balancer
from nlbgen.operate.events import EventLog
from nlbgen.operate.haproxy import Haproxy, Sockets
from nlbgen.operate.journal import Journal
from nlbgen.operate.nginx import Nginx, Paths
from nlbgen.operate.pace import Pace
from nlbgen.operate.rolling import Roll, Times
from nlbgen.operate.shell import LocalShell
from nlbgen.spec.load import Spec

TIMES = Times(limit=2, pause=0)
READS = ("show ", "@!")
INTERRUPTED = 130
"""The exit code of a change that Ctrl-C ended."""


@dataclass(frozen=True)
class Plan:
    """What the test wants."""

    folder: str
    vendor: str
    stride: int
    signal: int
    lab: str
    """The folder of the balancer's files."""
    program: str
    http_port: int

    def balancer(self, spec: Spec) -> Balancer:
        shell = LocalShell(name="here")
        if self.vendor == "haproxy":
            return Haproxy(spec.farm, shell, Sockets(f"{self.lab}/admin.sock", f"{self.lab}/master.sock"))
        reload = ("sh", "-c", f"kill -HUP $(cat {self.lab}/nginx.pid)")
        paths = Paths(f"{self.lab}/nginx.conf", self.program, f"{self.lab}/nginx.pid", reload)
        healthy = lambda farm: {node.name: True for node in farm.nodes}  # noqa: E731
        return Nginx(spec, shell, paths, Site(self.lab, http_port=self.http_port), healthy)


class Mortal:
    """Counts steps, and sends a signal to this process at one of them; 0 is never."""

    def __init__(self, at: int, number: int) -> None:
        self.left = at
        self.number = number

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)

    def before(self, owner: type, name: str, counts: Callable[..., bool] = lambda *_: True) -> None:
        """Count each call of a method before it runs."""
        real = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401  # whatever the method takes and returns
            if counts(*arguments):
                self.step()
            return real(*arguments, **more)

        setattr(owner, name, counted)


def roll(plan: Plan, at: int) -> None:
    """Begin a change, or resume the unfinished one."""
    folder = Path(plan.folder)
    mortal = Mortal(at, plan.signal)
    mortal.before(Journal, "write")
    mortal.before(EventLog, "write")
    mortal.before(Haproxy, "_ask", lambda _self, commands: not commands.startswith(READS))
    mortal.before(Nginx, "_load")
    spec: Spec = pickle.loads((folder / "spec").read_bytes())
    path = folder / "roll.json"
    found = journal.read(path)
    names = [node.name for node in spec.farm.nodes[:2]]
    made = found or journal.started(path, "f", ["x", "{node}"], names)
    balancer = plan.balancer(spec)
    operator = Operator(spec, (balancer,), EventLog(folder / "events.jsonl", "f"), pace=Pace(every=0.1))

    def command(words: Sequence[str], _seconds: float) -> int:
        mortal.step()
        assert balancer.status(words[1]).state == "down", "the command runs only while its node is down"
        with (folder / "ran").open("a", encoding="utf-8") as file:
            file.write(f"{words[1]}\n")
        mortal.step()
        return 0

    checks = lambda farm, chosen: dict.fromkeys(chosen, bool(farm.nodes))  # noqa: E731
    Roll(operator, made, TIMES, run_command=command, checks=checks).run()


def in_a_process(plan: Plan, at: int) -> int:
    """Run it in a child, and return how it ended: a signal is negative."""
    child = os.fork()
    if child == 0:
        try:
            roll(plan, at)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)
        except BaseException as error:
            print(f"failed: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Cut at every n-th step, until a change ends before its step comes."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    ran = Path(plan.folder) / "ran"
    for at in range(1, 200, plan.stride):
        ran.write_text("", encoding="utf-8")
        killed = in_a_process(plan, at)
        resumed = in_a_process(plan, 0) if killed != 0 else 0
        done = ran.read_text(encoding="utf-8").split()
        print(json.dumps({"at": at, "killed": killed, "resumed": resumed, "ran": done}), flush=True)
        if killed == 0:
            break


if __name__ == "__main__":
    main()
