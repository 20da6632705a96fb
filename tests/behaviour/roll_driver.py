"""Rolling changes that are killed: each in a process of its own, which sends SIGKILL to itself at its n-th step.

A step is a command to HAProxy, a line of the event log, a journal, or the user's command. After each kill, another
process resumes the change. Prints one line of JSON for each round.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nlbgen.operate import journal
from nlbgen.operate.changing import Operator
from nlbgen.operate.events import EventLog
from nlbgen.operate.haproxy import Haproxy, Sockets
from nlbgen.operate.journal import Journal
from nlbgen.operate.pace import Pace
from nlbgen.operate.rolling import Roll, Times
from nlbgen.operate.shell import LocalShell
from nlbgen.spec.load import load

TIMES = Times(limit=2, pause=0)
READS = ("show ", "@!")


class Mortal:
    """Counts steps, and kills this process at one of them; 0 is never."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: type, name: str, counts: Callable[..., bool] = lambda *_: True) -> None:
        """Count each call of a method before it runs."""
        real = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401  # whatever the method takes and returns
            if counts(*arguments):
                self.step()
            return real(*arguments, **more)

        setattr(owner, name, counted)


def roll(folder: Path, sockets: Sockets, at: int) -> None:
    """Begin a change, or resume the unfinished one."""
    mortal = Mortal(at)
    mortal.before(Journal, "write")
    mortal.before(EventLog, "write")
    mortal.before(Haproxy, "_ask", lambda _self, commands: not commands.startswith(READS))
    spec = load(folder / "farm.yaml")
    path = folder / "roll.json"
    found = journal.read(path)
    names = [node.name for node in spec.farm.nodes[:2]]
    made = found or journal.started(path, "f", ["x", "{node}"], names)
    balancer = Haproxy(spec.farm, LocalShell(name="here"), sockets)
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


def in_a_process(folder: Path, sockets: Sockets, at: int) -> int:
    """Run it in a child, and return how it ended: a signal is negative."""
    child = os.fork()
    if child == 0:
        try:
            roll(folder, sockets, at)
        except BaseException as error:
            print(f"failed: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Kill at every n-th step, until a change ends before its step comes."""
    folder, sockets, stride = Path(sys.argv[1]), Sockets(sys.argv[2], sys.argv[3]), int(sys.argv[4])
    for at in range(1, 200, stride):
        (folder / "ran").write_text("", encoding="utf-8")
        killed = in_a_process(folder, sockets, at)
        resumed = in_a_process(folder, sockets, 0) if killed != 0 else 0
        ran = (folder / "ran").read_text(encoding="utf-8").split()
        print(json.dumps({"at": at, "killed": killed, "resumed": resumed, "ran": ran}), flush=True)
        if killed == 0:
            break


if __name__ == "__main__":
    main()
