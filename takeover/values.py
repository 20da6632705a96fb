"""The values of a spec by the paths of their keys, each with the statement that it comes from."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, get_args

from ..core.errors import Problem
from ..readers.tree import Statement
from ..spec.model import Farm
from ..spec.schema import Data, Entry, Model, reads_of, section_of, without_none
from .account import Account

Scalar = str | int | bool
Plain = Scalar | Sequence[str]
_STEP: Final = re.compile(r"([a-z0-9_]+)(?:\[([0-9]+)\])?")


class Value(NamedTuple):
    """A value as farm.yaml writes it, and its statements; none for a value that no statement has."""

    plain: Plain
    statements: tuple[Statement, ...]


class Values:
    """The values that were found. Each is checked by the type of its key before it is taken."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._found: dict[str, Value] = {}
        self._shown: set[str] = set()

    def get(self, path: str) -> Plain | None:
        """The value at this path; None if there is none."""
        value = self._found.get(path)
        return value.plain if value else None

    def __contains__(self, path: str) -> bool:
        return path in self._found

    def in_order(self) -> Iterator[tuple[str, Value]]:
        """Yield all paths with their values, in the order of the spec's keys."""
        return ((path, self._found[path]) for path in self.ordered(self._found))

    @staticmethod
    def ordered(paths: Iterable[str]) -> list[str]:
        """The paths in the order of the spec's keys."""
        return sorted(paths, key=_order)

    def take(self, path: str, plain: Plain, *statements: Statement) -> bool:
        """Take a value; False, and the statements are given up, if the key cannot have it."""
        if problem := problem_of(path, plain):
            self._account.given_up_all(statements, f"{path}: {problem}")
            return False
        self._found[path] = Value(plain, statements)
        for statement in statements:
            self._account.taken(statement, path)
        return True

    def show(self, path: str) -> None:
        """Write a value even if it is the default: a file by nlbgen shows that its spec has the key."""
        self._shown.add(path)

    def give(self, path: str, plain: Plain) -> None:
        """Set a value that the user gave; the statements of the value before are given up."""
        before = self._found.get(path)
        self._found[path] = Value(plain, ())
        if before and before.plain != plain:
            for statement in before.statements:
                self._account.dropped(statement, path, f"{path}: an option replaces it")

    def clear(self, beginning: str) -> None:
        """Forget all values below a path, which options replace."""
        for path in [path for path in self._found if path.startswith(beginning)]:
            for statement in self._found.pop(path).statements:
                self._account.dropped(statement, path, f"{beginning.rstrip('[')}: options replace it")

    def drop(self, problem: Problem) -> bool:
        """Give up the value that a rule of the spec refuses; False if no statement has it."""
        path = next((path for path in (problem.path, _parent(problem.path)) if path in self._found), "")
        value = self._found.get(path)
        if value is None or path in REQUIRED or re.fullmatch(r"nodes\[[0-9]+\]\.(name|address)", path):
            return False
        del self._found[path]
        for statement in value.statements:
            self._account.dropped(statement, path, f"{path}: {problem.message}")
        return True

    def tree(self) -> dict[str, Data]:
        """The data of farm.yaml in the order of the spec's keys: values that are no defaults, and SHOWN."""
        data: dict[str, Data] = {"version": 1}
        for path in sorted(self._found, key=_order):
            plain = self._found[path].plain
            if path in SHOWN or path in self._shown or not _is_default(path, plain):
                _put(data, path, plain)
        return data


REQUIRED: Final = frozenset({"farm", "frontend.host"})
"""The keys that every spec has; a rule that refuses their value is an error."""


SHOWN: Final = frozenset(
    (
        *("frontend.address", "frontend.tls.mode", "frontend.tls.certificate", "frontend.tls.key"),
        *(
            "frontend.tls.verify_nodes",
            "balancer.algorithm",
            "balancer.affinity",
            "stores.signalr",
            "haproxy.version",
            "f5.version",
            "nginx.version",
        ),
    )
)
"""The keys that are written although they have their default: a reader of the file looks for them."""


def _parent(path: str) -> str:
    return re.sub(r"(\[[0-9]+\]|\.[a-z0-9_]+)$", "", path)


def problem_of(path: str, plain: Plain) -> str:
    """Why a key cannot have this value; empty if it can."""
    kind, _ = without_none(entry_of(path).kind)
    many = isinstance(plain, list)
    reads = reads_of(get_args(kind)[0] if many else kind)
    try:
        for one in plain if isinstance(plain, list) else [plain]:
            reads.parse(one)
    except ValueError as error:
        return str(error)
    most = entry_of(path).most
    return f"at most {most} entries" if isinstance(plain, list) and len(plain) > most else ""


def entry_of(path: str) -> Entry:
    """The declaration of a key."""
    *sections, last = (name for name, _ in _steps(path))
    model: type[Model] = Farm
    for name in sections:
        found, _ = section_of(_named(model, name).kind)
        if found is None:
            raise KeyError(path)
        model = found
    return _named(model, last)


def _named(model: type[Model], name: str) -> Entry:
    return next(one for one in model.entries.values() if one.name == name)


def _steps(path: str) -> list[tuple[str, int | None]]:
    return [(name, int(index) if index else None) for name, index in _STEP.findall(path)]


def _order(path: str) -> tuple[tuple[int, int], ...]:
    """The position of a key in the spec's own order."""
    found: list[tuple[int, int]] = []
    model: type[Model] = Farm
    for name, index in _steps(path):
        names = [one.name for one in model.entries.values()]
        found.append((names.index(name), index or 0))
        section, _ = section_of(_named(model, name).kind)
        model = section or model
    return tuple(found)


def _is_default(path: str, plain: Plain) -> bool:
    """Whether the key has this value if it is not written; False for an invalid value."""
    entry = entry_of(path)
    kind, _ = without_none(entry.kind)
    try:
        if isinstance(plain, list):
            parse = reads_of(get_args(kind)[0]).parse
            return entry.default == tuple(map(parse, plain))
        return not entry.required and entry.default == reads_of(kind).parse(plain)
    except ValueError:
        return False


def _put(data: dict[str, Data], path: str, plain: Plain) -> None:
    """Put a value into nested mappings and lists. The items of a list come in their order."""
    *outer, (last, _) = _steps(path)
    inner = data
    for name, index in outer:
        if index is None:
            inner = inner.setdefault(name, {})
        else:
            items = inner.setdefault(name, [])
            items += [{}] * (index >= len(items))
            inner = items[-1]
    inner[last] = plain
