"""One change of one node, at all load balancers of the farm: gate, change, read back, wait.

Two balancers of a pair are kept alike. If one of them fails, the error says the state of the node at each of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from ..core.errors import CapacityError, DeviceError, DifferenceError, FileError, UsageError
from ..core.wording import all_of, legible
from ..spec.load import Spec
from . import gate
from .abilities import refuse
from .contract import Balancer, NodeStatus, Wanted, status_of
from .events import EventLog, by_balancer
from .pace import Pace
from .spread import Spread


class Limits(NamedTuple):
    """How long a change takes."""

    wait: float | None = None
    """Seconds to wait for the end of the sessions (drain, down) or for passing checks (up); None: do not wait."""
    spread: float | None = None
    """Seconds over which the long-lived sessions are closed; None: they are not closed."""
    force: bool = False
    """Whether fewer than `balancer.minimum` nodes may stay in rotation."""


class _IncompleteError(DeviceError):
    """A change that one balancer did not make; the message has the node's state at each balancer."""


class Operator:
    """Changes the nodes of one farm at its balancers."""

    def __init__(
        self,
        spec: Spec,
        balancers: Sequence[Balancer],
        log: EventLog,
        say: Callable[[str], None] = lambda _text: None,
        pace: Pace | None = None,
    ) -> None:
        self.spec: Final = spec
        self.balancers: Final = tuple(balancers)
        self.log: Final = log
        self.say: Final = say
        self.pace: Final = pace or Pace()

    # Read

    def read(self) -> dict[str, tuple[NodeStatus, ...]]:
        """Return the nodes at each balancer; raises DeviceError for the first one that cannot be read."""
        try:
            return {balancer.name: balancer.read() for balancer in self.balancers}
        except DeviceError as error:
            if len(self.balancers) > 1:
                error.hint = f"{error.hint}; to change only the other balancers, name each with --ssh HOST"
            raise

    def at_each(self, node: str) -> Iterator[NodeStatus]:
        """Yield the status of a node at each balancer."""
        for balancer in self.balancers:
            yield balancer.status(node)

    def require(self, node: str) -> None:
        """Raise UsageError if the spec has no such node."""
        names = [one.name for one in self.spec.farm.nodes]
        if node not in names:
            raise UsageError(
                f"{self.spec.name}: no node is named {legible(node) or '(empty)'}", f"the nodes are {all_of(names)}"
            )

    def check(self, node: str, limits: Limits) -> list[str]:
        """Return the balancers at which the node serves, and which count it; none if the gate is off.

        Raises CapacityError if the node must not leave the rotation now, UnsupportedError for what a vendor lacks.
        """
        self.require(node)
        if limits.spread is not None:
            for balancer in self.balancers:
                refuse(self.spec, balancer.vendor, "spread")
        if limits.force:
            return []
        seen = self.read()
        gate.check(self.spec.farm, seen, node)
        return [name for name, nodes in seen.items() if gate.serves(nodes, node)]

    # Change

    def drain(self, node: str, limits: Limits) -> None:
        """Give the node no new clients. Raises DifferenceError if it still has sessions after the wait."""
        counted = self.check(node, limits)
        self._set(node, "drain")
        with _after(f"{node} stays drained"):
            self._confirm(node, counted)
            if limits.wait is None and limits.spread is None:
                return
            left = self._empty(node, limits)
        if left is not None and limits.wait is not None:
            raise DifferenceError(
                f"{node}: {left} after {limits.wait:g} s; it stays drained",
                f"wait longer, or close them: `nlbgen nodes down {node}`",
            )

    def down(self, node: str, limits: Limits, *, interrupted: bool = False) -> None:
        """Drain the node first if there is a wait or a spread, then give it no requests.

        A node that is down at every balancer is not drained: that would give it the requests of its sessions again.
        `interrupted`: an earlier run may have drained the node already, so it counts as a node that serves.
        """
        counted = self.check(node, limits)
        if interrupted and not limits.force:
            counted = [balancer.name for balancer in self.balancers]
        patient = limits.wait is not None or limits.spread is not None
        if patient and not all(one.state == "down" for one in self.at_each(node)):
            self._set(node, "drain")
            with _after(f"{node} stays drained"):
                self._confirm(node, counted)
                left = self._empty(node, limits)
                self._confirm(node, counted)
            if left is not None:
                longest = max(limits.wait or 0, limits.spread or 0)
                self.say(f"{node}: {left} after {longest:g} s; the node is set to down now, which can close them")
        self._set(node, "down")
        with _after(f"{node} stays down"):
            self._confirm(node, counted)

    def up(self, node: str, limits: Limits) -> None:
        """Give the node requests again. Raises DifferenceError if its checks do not pass within the wait."""
        self.require(node)
        self._set(node, "up")
        if limits.wait is None:
            return
        with _after(f"{node} is up, but it is not known whether its checks pass"):
            if self.pace.wait(lambda: all(one.serves for one in self.at_each(node)), limits.wait):
                return
            found = "; ".join(f"{b.name}: {_described(b.status(node))}" for b in self.balancers)
        raise DifferenceError(
            f"{node}: does not serve requests after {limits.wait:g} s: {found}",
            "check the node itself; it gets requests as soon as its health checks pass",
        )

    def _confirm(self, node: str, counted: Sequence[str]) -> None:
        """Return the node to rotation if too few others serve meanwhile, at the balancers at which it counts.

        Another node may have failed during the wait, or another run of nlbgen may have removed one at the same time.
        """
        if not counted:
            return
        seen = {name: nodes for name, nodes in self.read().items() if name in counted}
        outcome = f"{node} was returned to rotation"
        try:
            gate.require_others(self.spec.farm, seen, node, outcome)
        except CapacityError as error:
            self._set(node, "up")
            raise CapacityError(error.message, f"repeat the command later; {error.hint}") from None

    def _empty(self, node: str, limits: Limits) -> str | None:
        """Wait until the node has no sessions; return what is left as text, None for nothing."""
        self.say(f"{node}: is drained; waiting until its sessions end")
        spreads = [Spread(one, node, limits.spread, self.pace) for one in self.balancers if limits.spread is not None]

        def done() -> bool:
            for spread in spreads:
                spread.step()
            return _left(self.at_each(node)) == 0

        if self.pace.wait(done, max(limits.wait or 0, limits.spread or 0)):
            return None
        left = _left(self.at_each(node))
        return (
            None
            if left == 0
            else "the number of its sessions is unknown"
            if left is None
            else f"it has {left} open sessions"
        )

    def _set(self, node: str, state: Wanted) -> None:
        """Change every balancer, and read each one back."""
        self.log.write("begin", node=node, state=state, balancers=[one.name for one in self.balancers])
        done: list[str] = []
        for balancer in self.balancers:
            try:
                balancer.change(node, state)
                found = status_of(balancer, balancer.read(), node)
                if not found.is_in(state):
                    raise DeviceError(f"{balancer.name}: {node} is {found.state} after the change to {state}")
            except DeviceError as error:
                raise self._incomplete(node, state, balancer, done, error) from None
            except BaseException:
                self.log.also("interrupted", node=node, state=state, balancer=balancer.name)
                raise
            done.append(balancer.name)
            self.say(f"{balancer.name}: {node} is {state}")
        try:
            self.log.write("changed", node=node, state=state, balancers=done)
        except FileError as error:
            raise FileError(f"{error.message}; {node} is {state} at {', '.join(done)}", error.hint) from None

    def _incomplete(
        self, node: str, state: Wanted, failed: Balancer, done: Sequence[str], error: DeviceError
    ) -> "_IncompleteError":
        """Return the error for a change that one balancer did not make, with the node's state at each of them."""
        states = self._states(node)
        unlogged = self.log.also(
            "failed", node=node, state=state, balancer=failed.name, error=error.message, now=by_balancer(states)
        )
        listed = "; ".join(f"{name}: {found}" for name, found in states.items())
        return _IncompleteError(
            f"{error.message}\n    {node} now: {listed}{unlogged}",
            f"{error.hint + '; then ' if error.hint else ''}repeat the command: it changes only what differs"
            if len(self.balancers) > 1 or done
            else error.hint,
        )

    def _states(self, node: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for balancer in self.balancers:
            try:
                states = [one.state for one in balancer.read() if one.name == node]
                found[balancer.name] = states[0] if states else "missing"
            except DeviceError:
                found[balancer.name] = "unknown (cannot be read)"
        return found


@contextmanager
def _after(outcome: str) -> Iterator[None]:
    """Add the outcome of the change so far to the error of a balancer that cannot be read after it."""
    try:
        yield
    except _IncompleteError:  # its message has the states already
        raise
    except DeviceError as error:
        error.message = f"{error.message}; {outcome}"
        raise


def _left(nodes: Iterator[NodeStatus]) -> int | None:
    """Return the number of sessions at all balancers; None if one of them does not show it."""
    totals = [node.sessions.total for node in nodes]
    known = [total for total in totals if total is not None]
    return None if len(known) < len(totals) else sum(known)


def _described(node: NodeStatus) -> str:
    return f"{node.state}, checks {node.health}" + (f" ({node.check})" if node.check else "")
