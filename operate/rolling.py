"""A rolling change: node by node, remove it from rotation, run a command, wait for its health, put it back.

gate → drain → wait → down → command → (reboot) → health → former state → slow start → pause → next node.

At the first failure it stops: the node that failed stays out of rotation, all others are unchanged. Each step is in the
journal before it begins, so an interrupted change continues where it was, and a step that is repeated has no further
effect. Only the command may have run in part: it is run again, unless the user says that it was completed.
"""

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..core import activity
from ..core.errors import DifferenceError, NlbgenError, UsageError
from ..core.wording import legible
from ..spec.model import Node
from .changing import Limits, Operator
from .contract import Wanted
from .health import healthy
from .journal import TITLES, Journal, Step
from .shell import execute

PLACEHOLDERS: Final = ("{node}", "{address}")
_COMMAND: Final = frozenset({"running", "stopping"})
_BEFORE_COMMAND: Final = frozenset({"waiting", "leaving", "running"})
_BEFORE_HEALTH: Final = frozenset({*_BEFORE_COMMAND, "stopping", "ran"})


@dataclass(frozen=True)
class Times:
    """The time limits of a rolling change, in seconds."""

    limit: float = 300
    """For the end of a drained node's sessions; then it is set to down anyway."""
    spread: float | None = None
    command: float = 1800
    health: float = 900
    """For the node's own health after the command."""
    back: float = 120
    """For the balancers' checks after the node is up."""
    pause: float = 10
    """Between two nodes, after the slow start."""
    reboot: float | None = None
    """For the end of the health endpoint's answers after a command that only begins a reboot; None for others.

    Without this wait, the endpoint of a node that has not stopped yet would count as healthy.
    """


class _RebootNotSeenError(DifferenceError):
    """The node's health endpoint did not stop answering; only the user can see whether the node has rebooted."""


Run = Callable[[Sequence[str], float], int]
"""Runs a command with a time limit; returns its exit code."""


def run(command: Sequence[str], seconds: float) -> int:
    """Run a command without a shell; what it prints goes to standard error. Raises DifferenceError if it cannot run."""
    activity.note(f"run: {legible(' '.join(command))}")
    try:
        return execute(command, seconds, None).status
    except subprocess.TimeoutExpired:
        raise DifferenceError(
            f"{command[0]}: has not ended after {seconds:g} s, and was killed; a program that it started may still run",
            "if such a program still runs, end it; if the command needs more time, increase --command-limit",
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise DifferenceError(
            f"{command[0]}: cannot be run: {reason}", "install the program, or add its folder to PATH"
        ) from None


class Roll:
    """One rolling change of a farm."""

    def __init__(
        self,
        operator: Operator,
        journal: Journal,
        times: Times | None = None,
        *,
        force: bool = False,
        run_command: Run = run,
        checks: Callable[..., Mapping[str, bool]] = healthy,
    ) -> None:
        self._operator: Final = operator
        self._farm: Final = operator.spec.farm
        self._times: Final = times or Times()
        # A resumed change without the option waits for the reboot as well: a node that has not stopped yet is no
        # healthy one.
        self._reboot: Final = journal.reboot if self._times.reboot is None else self._times.reboot
        self.journal = replace(journal, reboot=self._reboot)
        self._force: Final = force
        self._run: Final = run_command
        self._checks: Final = checks

    def run(self, *, command_done: bool = False) -> None:
        """Change all nodes that are left; `command_done`: the command that was interrupted has completed.

        Raises NlbgenError at the first failure, with a hint how to continue.
        """
        log = self._operator.log
        log.write("roll", command=list(self.journal.command), nodes=[one.node for one in self.journal.left])
        for number, entry in enumerate(left := self.journal.left, start=1):
            try:
                self._node(self._spec_node(entry.node), command_done=command_done and entry.step in _COMMAND)
            except NlbgenError as error:
                unlogged = log.also("roll stopped", node=entry.node, error=error.message)
                raise _stopped(error, unlogged, entry.node, self.journal) from None
            except BaseException:
                log.also("roll interrupted", node=entry.node, step=self.journal.entry(entry.node).step)
                raise
            if number < len(left):
                self._pause()
        log.write("roll done")
        self.journal.remove()

    def _spec_node(self, name: str) -> Node:
        self._operator.require(name)
        return next(node for node in self._farm.nodes if node.name == name)

    def _node(self, node: Node, *, command_done: bool) -> None:
        """Run the steps of one node, from the first one that has not completed."""
        step = self.journal.entry(node.name).step
        say = self._operator.say
        say(f"{node.name}: {'begins' if step == 'waiting' else f'continues; it stopped in the step {TITLES[step]}'}")
        if step in _BEFORE_COMMAND:
            # After an interruption, someone may have put the node back: a repeated step changes nothing.
            self._leave(node, step)
            if not command_done:
                self._command(node)
        if step in _BEFORE_HEALTH:
            if step != "ran" and not command_done and self._reboot is not None:
                self._stops(node, self._reboot)
            self.journal = self.journal.at(node.name, "ran")
            self._healthy(node)
        self._return(node)

    def _leave(self, node: Node, step: Step) -> None:
        limits = Limits(self._times.limit, self._times.spread, self._force)
        self._operator.check(node.name, limits)
        before = self._before(node) if step == "waiting" else self.journal.entry(node.name).before
        self.journal = self.journal.at(node.name, "leaving", before)
        self._operator.down(node.name, limits, interrupted=step == "leaving" and before == "up")

    def _before(self, node: Node) -> Wanted:
        """The node's state now, to which it returns; a device that does not show it leaves it to the spec."""
        found = [status.state for status in self._operator.at_each(node.name)]
        if all(state == "up" for state in found):
            return "up"
        spec: Wanted = "drain" if node.state == "drain" else "down" if node.state == "down" else "up"
        return spec if "out" in found else "drain" if "drain" in found else "down"

    def _command(self, node: Node) -> None:
        self.journal = self.journal.at(node.name, "running")
        command = filled(self.journal.command, node)
        self._operator.say(f"{node.name}: running {legible(' '.join(command))}")
        self._operator.log.write("command", node=node.name, command=list(command))
        status = self._run(command, self._times.command)
        if status != 0:
            raise DifferenceError(f"{node.name}: the command {_ended(status)}; the node stays down")

    def _answers(self, node: Node) -> bool:
        return self._checks(self._farm, [node.name])[node.name]

    def _stops(self, node: Node, seconds: float) -> None:
        """Wait until the health endpoint does not answer: the reboot that the command began has stopped the site."""
        self.journal = self.journal.at(node.name, "stopping")
        self._operator.say(f"{node.name}: waiting until its health endpoint stops answering")
        if not self._operator.pace.wait(lambda: not self._answers(node), seconds):
            raise _RebootNotSeenError(
                f"{node.name}: its health endpoint still answers {seconds:g} s after the command, so nlbgen has not "
                "seen the reboot; the node stays down on the balancer",
                "check whether the node has rebooted; if it has not, reboot it yourself, and wait until it has "
                "restarted",
            )

    def _healthy(self, node: Node) -> None:
        """Wait for the node's own health, requested directly: the balancer does not check a node that is down."""
        self._operator.say(f"{node.name}: waiting for its health endpoint")
        if not self._operator.pace.wait(lambda: self._answers(node), self._times.health):
            paths = ", ".join(self._farm.health_paths)
            raise DifferenceError(
                f"{node.name}: its health endpoint ({paths}) does not answer {self._farm.balancer.health.expect} after "
                f"{self._times.health:g} s; the node stays down, and the nodes that follow are unchanged"
            )

    def _return(self, node: Node) -> None:
        before = self.journal.entry(node.name).before
        self.journal = self.journal.at(node.name, "returning")
        if before == "up":
            self._operator.up(node.name, Limits(self._times.back))
        elif before == "drain":
            self._operator.drain(node.name, Limits(force=True))
        self.journal = self.journal.at(node.name, "done")
        self._operator.say(f"{node.name}: is done ({before})")

    def _pause(self) -> None:
        """Wait until the node has its full share, and for the pause that the user wants."""
        seconds = self._farm.balancer.slow_start / 1000 + self._times.pause
        if seconds:
            self._operator.say(f"pausing for {seconds:g} s")
            self._operator.pace.sleep(seconds)


def filled(command: Sequence[str], node: Node) -> tuple[str, ...]:
    """Return the command for one node: the placeholders are replaced in each word, and no shell reads it."""
    return tuple(word.replace("{node}", node.name).replace("{address}", node.address) for word in command)


def check_command(command: Sequence[str]) -> None:
    """Raise UsageError for a command that does not name the node: it would do the same for every node."""
    if not any(placeholder in word for word in command for placeholder in PLACEHOLDERS):
        raise UsageError(
            "the command contains neither {node} nor {address}", "write one of them: it is replaced for each node"
        )


def _ended(status: int) -> str:
    """How a command ended: a negative status is the number of the signal."""
    if status >= 0:
        return f"failed with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:  # a signal of real time has no name
        return f"was ended by signal {-status}"


def _stopped(error: NlbgenError, unlogged: str, node: str, journal: Journal) -> NlbgenError:
    """Add to an error how to continue; the class and its exit code stay."""
    error.message += unlogged
    resume = f"`{journal.resume_command(command_done=isinstance(error, _RebootNotSeenError))}`"
    way = resume if journal.begun else "run `nlbgen roll` again"
    if error.hint:
        error.hint += f"; then {way}"
    else:
        error.hint = f"repair {node}, then {way}" if journal.begun else way
    return error
