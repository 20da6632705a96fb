"""F5 and the Zen family: what a push would change."""

from ..core.errors import NlbgenError
from ..core.plan import Change, Plan
from ..push.backends.connect import connect
from ..push.contract import Options
from ..spec.load import Spec
from .report import Difference, UnreachedError


class _Silent:
    """A plan that is only compared prints nothing and asks nothing."""

    def say(self, text: str) -> None: ...

    def insist(self, text: str) -> None: ...

    def show(self, plan: Plan) -> None: ...

    def agree(self, question: str) -> bool:
        raise NotImplementedError


def differences(vendor: str, spec: Spec) -> list[Difference]:
    """Return each change of the plan as a difference, also of a plan that a push would refuse.

    Raises UnreachedError if the device cannot be read.
    """
    try:
        with connect(vendor, spec, Options(dry_run=True), _Silent()) as backend:
            planned = backend.plan()
    except NlbgenError as error:
        raise UnreachedError(error.message, error.hint or f"nlbgen push {vendor} --dry-run") from None
    return [_difference(change) for change in planned.plan.changes]


def _difference(change: Change) -> Difference:
    """A plan goes from the device's value to the spec's."""
    return Difference(
        change.path,
        "nothing" if change.new is None else str(change.new),
        "nothing" if change.old is None else str(change.old),
    )
