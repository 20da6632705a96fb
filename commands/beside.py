"""`nlbgen prove --config FILE --beside`: the spec of the second column, and the two runs."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..core.errors import UsageError

if TYPE_CHECKING:
    from ..spec.load import Spec


class Rendered(NamedTuple):
    """The spec of nlbgen's column, and where it comes from; the note is empty for the user's own spec."""

    spec: "Spec"
    note: str


def rendered_for(files: Sequence[Path], vendor: str, host: str, given: "Spec | None") -> Rendered:
    """Return the user's spec, or else the one that `nlbgen init --from` makes of the configuration.

    Raises UsageError if no spec can be made, and UnsupportedError if the vendor refuses the farm.
    """
    from ..generators.base import generator, render

    made = _taken(files, host) if given is None else Rendered(given, "")
    render(generator(vendor), made.spec)
    return made


def _taken(files: Sequence[Path], host: str) -> Rendered:
    """Take the configuration over, with the version and the Redis of the lab's own farms."""
    from ..prove.foreign.plan import ORCHESTRATOR, REDIS
    from ..takeover.account import counts
    from .takeover import take_over

    answers = {"host": host, "orchestrator": ORCHESTRATOR, "redis": REDIS}
    given: defaultdict[str, object] = defaultdict(lambda: None, answers)  # no other option of `nlbgen init` is given
    hint = "write the spec with `nlbgen init`, and give it with -s FILE"
    config, *more = files
    if more:
        raise UsageError(f"`nlbgen init --from` reads one file, and --config has {len(files)}", hint)
    try:
        taken = take_over(config, given, lambda name, *_, **__: answers[name], Path(f"init --from {config}"))
    except UsageError as error:
        raise UsageError(error.message, hint) from None
    if taken is None:
        raise UsageError(f"{config}: no spec can be made of this file", hint)
    found = ", ".join(f"{number} {fate}" for fate, number in counts(taken.lines).items())
    note = f"the spec is the one that `nlbgen init --from {config}` writes ({len(taken.lines)} statements: {found})"
    return Rendered(taken.spec, note)
