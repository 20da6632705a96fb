"""Mappings as typed, frozen classes: read with all problems at once, described as JSON Schema.

A class declares its keys as annotated attributes. One pass turns plain data into instances and reports every problem
with its path. pydantic could do the same, but building its models takes longer than the whole of `nlbgen render`, and
nlbgen would have to replace each of its messages.
"""

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import (
    Any,
    ClassVar,
    Final,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from ..core.wording import NotTextError, plural

Data = Any
"""What YAML and JSON hold: None, bool, int, float, str, list, or dict with text keys."""
Path = tuple[str | int, ...]
"""The path of a key, from the root of the file: names of keys and indices of lists."""


class Invalid(NamedTuple):
    """What is wrong with a value or a key, and what to do."""

    message: str
    hint: str = ""
    at_key: bool = False
    """Whether the key itself is wrong, and not its value."""
    needs_source: bool = False
    """Whether the message continues the value as the file writes it, which only the document knows."""


Report = Callable[[Path, Invalid], None]
"""Takes a problem with the path of the value, or of the unknown or missing key."""

_REQUIRED: Final = object()
_WRONG: Final = object()
_MANY: Final = 100_000


class Reads:
    """Annotation: a value is read by `parse` (which raises ValueError) and described by `schema` (JSON Schema).

    `bounds` is the range of a number with a unit, as in `1s to 1h`. `is_file` marks the path of a file that nlbgen
    reads, relative to the spec's folder.
    """

    __slots__ = ("bounds", "is_file", "parse", "schema")

    def __init__(
        self,
        parse: Callable[[object], object],
        schema: Mapping[str, Any],
        *,
        bounds: str = "",
        is_file: bool = False,
    ) -> None:
        self.parse = parse
        self.schema = schema
        self.bounds = bounds
        self.is_file = is_file


class WordOr:
    """Annotation: either this very word or the mapping; anything else is refused with `message`."""

    __slots__ = ("message", "word")

    def __init__(self, word: str, message: str) -> None:
        self.word = word
        self.message = message


class Entry(NamedTuple):
    """One key of a mapping: its meaning, its default, its name in the file, and the allowed length of a list."""

    description: str
    default: object
    name: str
    least: int
    most: int
    kind: object = None
    """The annotation, set when the class is made."""

    @property
    def required(self) -> bool:
        """Whether the key must be written."""
        return self.default is _REQUIRED


Declared = Any
"""Declare a key; for type checkers the result has the annotated type, as with `dataclasses.field`."""


def entry(
    description: str, *, default: object = _REQUIRED, name: str = "", least: int = 0, most: int = _MANY
) -> Declared:
    """Declare a key; without `default` it is required; `name` is its name in the file where Python needs another."""
    return Entry(description, default, name, least, most)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(entry, Entry))
class Model:
    """A frozen mapping with a closed list of keys.

    `written` holds the names of the attributes that the file gave, which tells a written value from a default.
    """

    entries: ClassVar[dict[str, Entry]]
    written: frozenset[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.entries = dict(getattr(cls, "entries", {}))
        for attribute, kind in cls.__annotations__.items():
            declared: Entry = cls.__dict__[attribute]
            cls.entries[attribute] = declared._replace(name=declared.name or attribute, kind=kind)
            delattr(cls, attribute)

    def __init__(self, **values: object) -> None:
        own = self.__dict__
        for attribute, declared in self.entries.items():
            if attribute in values:
                own[attribute] = values.pop(attribute)
            elif declared.default is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {attribute}")
            else:
                own[attribute] = declared.default() if isinstance(declared.default, type) else declared.default
        own["written"] = values.pop("written", frozenset())
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().items()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({values})"

    def _values(self) -> dict[str, object]:
        own = self.__dict__
        return {attribute: own[attribute] for attribute in self.entries}

    def replace(self, **changes: object) -> Self:
        """A copy with other values for some attributes."""
        return type(self)(**{**self._values(), "written": self.written, **changes})

    @classmethod
    def refuses(cls, value: object) -> str | None:
        """The reason why this data as a whole is invalid; None where its keys decide."""
        return None if isinstance(value, dict) else f"must be a mapping of {', '.join(list(cls.file_names())[:4])}, ..."

    @classmethod
    def file_names(cls) -> Iterator[str]:
        """The names of the keys as a file writes them."""
        return (declared.name for declared in cls.entries.values())


M = TypeVar("M", bound=Model)
Reader = Callable[[Any, Path, Report], object]
_readers: Final[dict[type[Model], Reader]] = {}


def read(model: type[M], data: object, report: Report) -> M | None:
    """The model that `data` writes.

    After a reported problem an invalid value has its default, and an invalid entry of a list is left out. None where a
    required key is invalid or missing.
    """
    value = _mapping_reader(model)(data, (), report)
    return value if isinstance(value, model) else None


def _mapping_reader(model: type[Model]) -> Reader:
    if model not in _readers:
        _readers[model] = _make_mapping_reader(model)
    return _readers[model]


def _make_mapping_reader(model: type[Model]) -> Reader:
    fields = {declared.name: (attribute, _reader(declared)) for attribute, declared in model.entries.items()}
    required = {declared.name: declared.description for declared in model.entries.values() if declared.required}

    def read_mapping(value: Data, path: Path, report: Report) -> object:
        if (message := model.refuses(value)) is not None:
            report(path, Invalid(message))
            return _WRONG
        values: dict[str, object] = {}
        for name, part in value.items():
            if name not in fields:
                report((*path, name), _unknown_key(name, tuple(fields)))
                continue
            attribute, read_part = fields[name]
            result = read_part(part, (*path, name), report)
            if result is not _WRONG:
                values[attribute] = result
        for name in required.keys() - value.keys():
            report((*path, name), Invalid("is missing", required[name]))
        if any(fields[name][0] not in values for name in required):
            return _WRONG
        return model(**values, written=frozenset(values))

    return read_mapping


def _unknown_key(name: str, known: Sequence[str]) -> Invalid:
    message = "is not a known key"
    if near := nearest(name, known):
        return Invalid(f"{message} (did you mean {near}?)", at_key=True)
    return Invalid(message, f"known keys: {', '.join(known)}", at_key=True)


def nearest(word: str, names: Sequence[str]) -> str | None:
    """The name that is most similar to a mistyped word; None where no name is similar."""
    from difflib import get_close_matches

    folded = {name.lower().replace("-", "_"): name for name in names}
    found = get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def without_none(annotation: object) -> tuple[object, bool]:
    """The annotation without `| None`, and whether it allows None."""
    if get_origin(annotation) in {Union, types.UnionType}:
        (kind,) = (part for part in get_args(annotation) if part is not type(None))
        return kind, True
    return annotation, False


def marker_of(annotation: object) -> object:
    """What an `Annotated` type is read by (`Reads` or `WordOr`); None for any other annotation."""
    return getattr(annotation, "__metadata__", (None,))[0]


def reads_of(annotation: object) -> Reads:
    """What a value of this type is read by; raises TypeError for a type that has no reader."""
    marker = marker_of(annotation)
    if not isinstance(marker, Reads):
        raise TypeError(f"no reader for {annotation!r}")
    return marker


def mapping_of(annotation: object) -> type[Model] | None:
    """The model by which an annotation reads mappings, also beside a word (`WordOr`); None where it reads none."""
    if isinstance(marker_of(annotation), WordOr):
        annotation = next(part for part in get_args(get_args(annotation)[0]) if isinstance(part, type))
    return annotation if isinstance(annotation, type) and issubclass(annotation, Model) else None


def section_of(annotation: object) -> tuple[type[Model] | None, bool]:
    """The model behind an annotation, if there is one, and whether it is a list of such mappings."""
    kind, _ = without_none(annotation)
    many = get_origin(kind) is tuple
    return mapping_of(get_args(kind)[0] if many else kind), many


def _reader(declared: Entry) -> Reader:
    kind, optional = without_none(declared.kind)
    if not optional:
        return _plain_reader(kind, declared)
    inner = _plain_reader(kind, declared)

    def read_optional(value: object, path: Path, report: Report) -> object:
        return None if value is None else inner(value, path, report)

    return read_optional


def _plain_reader(kind: object, declared: Entry) -> Reader:
    if get_origin(kind) is tuple:
        return _list_reader(_plain_reader(get_args(kind)[0], declared), declared)
    marker, mapping = marker_of(kind), mapping_of(kind)
    if mapping is None:
        return _value_reader(reads_of(kind).parse)
    reader = _mapping_reader(mapping)
    return _word_reader(marker, reader) if isinstance(marker, WordOr) else reader


def _value_reader(parse: Callable[[object], object]) -> Reader:
    def read_value(value: object, path: Path, report: Report) -> object:
        try:
            return parse(value)
        except NotTextError as error:
            report(path, Invalid(str(error), "write it in quotes", needs_source=error.needs_source))
        except ValueError as error:
            report(path, Invalid(str(error)))
        return _WRONG

    return read_value


def _word_reader(how: WordOr, read_mapping: Reader) -> Reader:
    def read_word(value: object, path: Path, report: Report) -> object:
        if value == how.word:
            return value
        if isinstance(value, dict):
            return read_mapping(value, path, report)
        report(path, Invalid(how.message))
        return _WRONG

    return read_word


def _list_reader(read_item: Reader, declared: Entry) -> Reader:
    def read_list(value: object, path: Path, report: Report) -> object:
        if not isinstance(value, list):
            report(path, Invalid("must be a list", "write it as [one, two] or one line each with a hyphen"))
            return _WRONG
        if not declared.least <= len(value) <= declared.most:
            few = len(value) < declared.least
            bound = f"the minimum is {declared.least}" if few else f"the maximum is {declared.most}"
            report(path, Invalid(f"has {plural(len(value), 'entry')}: {bound}"))
            return _WRONG
        items = [read_item(item, (*path, index), report) for index, item in enumerate(value)]
        return tuple(item for item in items if item is not _WRONG)

    return read_list


def json_schema(model: type[Model], title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a model, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_mapping_schema(model),
    }


def _mapping_schema(model: type[Model]) -> dict[str, Any]:
    properties = {
        declared.name: {
            **_annotation_schema(declared),
            "description": declared.description,
            **_default_schema(declared.default),
        }
        for declared in model.entries.values()
    }
    required = sorted(declared.name for declared in model.entries.values() if declared.required)
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": required} if required else schema


def _default_schema(default: object) -> dict[str, Any]:
    if default is _REQUIRED or default is None or isinstance(default, type):
        return {}
    if isinstance(default, tuple):
        return {"default": list(default)}
    return {"default": default if type(default) in {str, int, bool} else str(default)}


def _annotation_schema(declared: Entry) -> dict[str, Any]:
    kind, optional = without_none(declared.kind)
    schema = _plain_schema(kind, declared)
    return {"anyOf": [schema, {"type": "null"}]} if optional else schema


def _plain_schema(kind: object, declared: Entry) -> dict[str, Any]:
    if get_origin(kind) is tuple:
        bounds = {"minItems": declared.least} if declared.least else {}
        bounds |= {"maxItems": declared.most} if declared.most < _MANY else {}
        return {"type": "array", "items": _plain_schema(get_args(kind)[0], declared), **bounds}
    marker, mapping = marker_of(kind), mapping_of(kind)
    if mapping is None:
        return dict(reads_of(kind).schema)
    schema = _mapping_schema(mapping)
    return {"anyOf": [{"const": marker.word}, schema]} if isinstance(marker, WordOr) else schema
