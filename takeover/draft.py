"""A spec in the making: the values that a configuration has, and those that only its user knows."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ..core.errors import Problem, SpecError, UsageError
from ..readers.tree import Statement
from ..spec.load import Spec, loads
from .account import Account, Line
from .document import text_of
from .values import Plain, Values

_MOST: Final = 50
"""Values that are given up before nlbgen stops."""


class Result(NamedTuple):
    """A written spec, and what became of each statement of its source."""

    content: bytes
    spec: Spec
    lines: tuple[Line, ...]


class Members(NamedTuple):
    """Where a vendor's configuration has the addresses of nodes."""

    called: str
    """What the vendor calls such a statement: `server line`."""
    statements: tuple[Statement, ...]
    """Those of the farm; if it has none, those of the configuration."""


MISSING: Final = ("the stores", "the nodes' config files and keys", "the version of Orchestrator")
"""What no configuration of a load balancer has."""


class Draft(NamedTuple):
    """What a vendor's module found."""

    account: Account
    values: Values
    close: Callable[[Account, Spec], None]
    """Accounts for the statements that are still open, when the spec is complete."""
    notes: tuple[str, ...]
    """What the user should verify."""
    members: Members
    missing: tuple[str, ...] = MISSING
    """What the configuration does not have, for a list in a sentence."""

    def finish(self, given: Mapping[str, Plain], source: str, name: str) -> Result:
        """Write the spec with the values that are `given` by the paths of their keys.

        A value of the configuration that breaks a rule of the spec is given up. Raises UsageError if a value that every
        spec needs is invalid or missing.
        """
        for path, plain in given.items():
            self.values.give(path, plain)
        content, spec = self._written(source, name)
        self.close(self.account, spec)
        return Result(content, spec, self.account.lines())

    def _written(self, source: str, name: str) -> tuple[bytes, Spec]:
        for _ in range(_MOST):
            content = text_of(self.values.tree(), source)
            try:
                return content, loads(content.decode("utf-8"), name)
            except SpecError as error:
                errors = [problem for problem in error.problems if problem.severity == "error"]
                dropped = [self.values.drop(problem) for problem in errors]
                if not any(dropped):
                    raise _refused(errors, source) from None
        raise UsageError(f"{source}: no valid spec can be made", "write the spec with `nlbgen init` without --from")


_OPTIONS: Final = {
    "frontend.host": "--host",
    "frontend.address": "--address",
    "farm": "--farm",
    "nodes": "--node",
    "stores.redis": "--redis",
    "stores.signalr": "--store",
    "orchestrator.version": "--orchestrator",
    "balancer.health.path": "--orchestrator",
}
"""The options of `nlbgen init` that give a value."""


def _refused(errors: list[Problem], source: str) -> UsageError:
    lines = []
    for problem in errors:
        option = next((option for path, option in _OPTIONS.items() if problem.path.startswith(path)), "")
        lines.append(f"{problem.path}: {problem.message}" + (f" (option {option})" if option else ""))
        lines += [f"    {problem.hint}"] if problem.hint else []
    text = "\n".join(lines)
    return UsageError(
        f"{source}: the spec would be invalid\n{text}", "nothing was written: give the options, or correct the file"
    )
