"""Walk a spec's values with their key paths: every reference to a secret, every file that the spec names.

The paths come from the model's declarations, so a new key is found without a list of keys.
"""

from collections.abc import Iterator
from typing import NamedTuple, get_args

from .model import Secret
from .schema import Model, Path, Reads, marker_of, without_none


class Value(NamedTuple):
    """A value of a model with its key path, its annotation, and the default of its key."""

    path: Path
    value: object
    kind: object
    default: object


def values(model: Model) -> Iterator[Value]:
    """Every value of `model`, its mappings and lists, depth first, in the order of the declarations.

    A path holds the names that a file uses, and the indices of lists: `("nodes", 1, "address")`.
    """
    yield from _entries(model, ())


def _entries(model: Model, path: Path) -> Iterator[Value]:
    for attribute, declared in model.entries.items():
        value = Value((*path, declared.name), getattr(model, attribute), declared.kind, declared.default)
        yield value
        yield from _parts(value)


def _parts(value: Value) -> Iterator[Value]:
    if isinstance(value.value, Model):
        yield from _entries(value.value, value.path)
    elif isinstance(value.value, tuple):
        (kind, *_) = get_args(value.kind)
        for index, item in enumerate(value.value):
            part = Value((*value.path, index), item, kind, None)
            yield part
            yield from _parts(part)


def secrets(model: Model) -> Iterator[tuple[Path, Secret]]:
    """Each reference to a secret with the path of its key, as in `("f5", "password")`."""
    for value in values(model):
        if isinstance(value.value, Secret):
            yield value.path, value.value


def files(model: Model) -> Iterator[tuple[Path, str]]:
    """Each file that nlbgen reads by its path in the spec, with the path of its key, as in `("f5", "ca")`.

    The paths are relative to the spec's folder or absolute. The files of secrets are not among them: see `secrets`.
    A value that equals the default of its key is a word and not a file (`keys.from: primary`).
    """
    for value in values(model):
        how = marker_of(without_none(value.kind)[0])
        if isinstance(how, Reads) and how.is_file and isinstance(value.value, str) and value.value != value.default:
            yield value.path, value.value
