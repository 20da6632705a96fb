"""All problems of a spec, as `nlbgen check` lists them: its rules, the named vendors, the nodes' files, the secrets."""

from collections.abc import Sequence

from ..core.errors import NodeError, Problem, SpecError, UnsupportedError
from ..generators.base import audit
from ..spec.load import Spec
from ..spec.reports import Result


def check(spec: Spec, *, strict: bool = False) -> Result:
    """Return all problems of a valid spec in the order of their locations; with `strict`, warnings fail."""
    unsupported = audit(spec)
    unprepared = _node_problems(spec)
    problems = (*spec.warnings, *unsupported, *unprepared)
    code = NodeError.exit_code if _has_error(unprepared) else 0
    if _has_error(unsupported):
        code = UnsupportedError.exit_code
    if strict and any(problem.severity == "warning" for problem in problems):
        code = SpecError.exit_code
    return Result(spec.name, spec.digest, tuple(sorted(problems, key=lambda p: (p.location, p.id))), code)


def notes(spec: Spec) -> list[str]:
    """Return the notes on config files of nodes that the spec names and that do not exist."""
    if not _names_files(spec):
        return []
    from ..nodes.spec_checks import missing_notes

    return missing_notes(spec)


def _has_error(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _names_files(spec: Spec) -> bool:
    return any(node.config is not None for node in spec.farm.nodes) or spec.farm.keys.source != "primary"


def _node_problems(spec: Spec) -> list[Problem]:
    """Return the problems of the secrets, and of the nodes' config files if the spec names any."""
    named = _names_files(spec)
    database, redis = spec.farm.stores.database, spec.farm.stores.redis
    windows = database is None or database.auth == "windows"
    if not named and windows and (redis is None or redis.password is None):
        return []
    from ..nodes.spec_checks import problems, secret_problems

    secrets = secret_problems(spec)
    return [*secrets, *problems(spec)] if named else secrets
