"""The nodes: the settings in the copies of their files that the spec names, as `nlbgen nodes audit` compares them."""

from ..core.errors import NlbgenError
from ..nodes.audit import Audit, Unreadable, audit
from ..nodes.reading import read_configs
from ..spec.load import Spec
from .report import Difference, UnreachedError

HINT = "`nlbgen nodes audit` shows which file cannot be read; a node without files needs `config: PATH` in the spec"


def differences(spec: Spec) -> list[Difference]:
    """Return the settings that differ between the nodes; raises UnreachedError if a file cannot be read."""
    try:
        loaded, failed = read_configs(spec)
    except NlbgenError as error:
        raise UnreachedError(error.message, error.hint or HINT) from None
    if not loaded:
        raise UnreachedError("no node has a config that can be read", HINT)
    if failed:
        names = ", ".join(one.name for one in failed)
        raise UnreachedError(f"the files of {names} cannot be read: {failed[0].error.message}", HINT)
    unreadable: list[Unreadable] = []
    return list(_of(audit(loaded, spec, unreadable)))


def _of(result: Audit) -> list[Difference]:
    found = [
        Difference(
            row.title,
            "the same on all nodes",
            "; ".join(f"{value} ({', '.join(names)})" for value, names in row.groups()),
        )
        for row in result.rows
        if not row.same
    ]
    return found + [Difference(f"{one.node}, {one.id}", "no problem", one.message) for one in result.problems]
