"""Reading mappings into frozen classes, and describing them as JSON Schema."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator

from nlbgen.core.errors import SpecError
from nlbgen.spec.document import parse
from nlbgen.spec.load import check, dotted, load, loads
from nlbgen.spec.model import Balancer, BalancerProgram, Farm, Frontend, Haproxy, Node, Secret, SqlLogin
from nlbgen.spec.schema import Model, Reads, WordOr, entry, json_schema, nearest, read
from nlbgen.spec.types import Port, Text
from nlbgen.spec.units import Duration, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from nlbgen.spec.load import Spec

HERE = Path(__file__).parents[1]
FARMS = [*HERE.glob("golden/*/farm.yaml"), *HERE.parent.glob("examples/*.yaml")]
SCHEMA = json_schema(Farm, "farm.yaml")


def models(kind: object = Farm) -> Iterator[type[Model]]:
    """Every class that the spec is made of."""
    if isinstance(kind, type) and issubclass(kind, Model):
        yield kind
        for declared in kind.entries.values():
            yield from models(declared.kind)
    for part in get_args(kind):
        yield from models(part)


MODELS = sorted({*models()}, key=lambda model: model.__name__)


class Part(Model):
    name: Text = entry("A name.")
    port: Port | None = entry("A port.", default=None)


class Whole(Model):
    part: Part = entry("One part.")
    parts: tuple[Part, ...] = entry("Several parts.", default=(), most=2)
    listed: tuple[Text, ...] = entry("Texts.", default=("a",), least=1, name="list")
    choice: Annotated[Literal["none"] | Part, WordOr("none", "is neither none nor a part")] = entry(
        "One or the other.", default="none"
    )


def problems(data: object) -> tuple[Whole | None, list[tuple[str, str]]]:
    found: list[tuple[str, str]] = []
    return read(Whole, data, lambda path, invalid: found.append((dotted(path), invalid.message))), found


def test_read_returns_the_model_of_valid_data() -> None:
    whole, found = problems(
        {"part": {"name": "a"}, "parts": [{"name": "b", "port": 1}], "list": ["x"], "choice": {"name": "c"}}
    )
    assert found == []
    assert whole == Whole(part=Part(name="a"), parts=(Part(name="b", port=1),), listed=("x",), choice=Part(name="c"))
    assert whole.written == {"part", "parts", "listed", "choice"}
    assert whole.part.written == {"name"}


def test_read_sets_defaults_and_optional_values() -> None:
    whole, found = problems({"part": {"name": "a", "port": None}})
    assert found == []
    assert whole is not None
    assert (whole.parts, whole.listed, whole.choice, whole.part.port) == ((), ("a",), "none", None)
    assert whole.written == {"part"}


@pytest.mark.parametrize(
    "data, expected",
    [
        ({}, [("part", "is missing")]),
        ([], [("", "must be a mapping of part, parts, list, choice, ...")]),
        (None, [("", "must be a mapping of part, parts, list, choice, ...")]),
        ({"part": None}, [("part", "must be a mapping of name, port, ...")]),
        ({"part": {"name": 1, "prt": 2}}, [
            ("part.name", "1 is a number, not a text"),
            ("part.prt", "is not a known key (did you mean port?)"),
        ]),
        ({"part": {"name": "a"}, "parts": {}}, [("parts", "must be a list")]),
        ({"part": {"name": "a"}, "parts": [{"name": "a"}] * 3}, [("parts", "has 3 entries: the maximum is 2")]),
        ({"part": {"name": "a"}, "list": []}, [("list", "has 0 entries: the minimum is 1")]),
        ({"part": {"name": "a"}, "list": [1, "a", None]}, [
            ("list[0]", "1 is a number, not a text"),
            ("list[2]", "null is not a text"),
        ]),
        ({"part": {"name": "a"}, "choice": "nothing"}, [("choice", "is neither none nor a part")]),
        ({"part": {"name": "a"}, "choice": {"port": 0}}, [
            ("choice.port", "0 is not a TCP port (1 to 65535)"),
            ("choice.name", "is missing"),
        ]),
    ],
)  # fmt: skip
def test_read_reports_every_problem(data: object, expected: list[tuple[str, str]]) -> None:
    _, found = problems(data)
    assert found == expected


def test_read_leaves_out_invalid_values() -> None:
    whole, _ = problems({"part": {"name": "a", "port": 0}, "parts": [{"name": 1}, {"name": "b"}], "list": 1})
    assert whole == Whole(part=Part(name="a"), parts=(Part(name="b"),))
    assert problems({"part": {"name": 1}})[0] is None


def test_models_are_frozen_and_compare_by_value() -> None:
    part = Part(name="a")
    assert part == Part(name="a", port=None)
    assert part != Part(name="b")
    assert part != "a"
    assert hash(part) == hash(Part(name="a"))
    assert repr(part) == "Part(name='a', port=None)"
    assert part.replace(port=1) == Part(name="a", port=1)
    with pytest.raises(AttributeError, match=r"Part\.name is frozen"):
        part.name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match="Part needs name"):
        Part()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Part has no nme"):
        Part(name="a", nme="b")  # type: ignore[call-arg]


def test_a_kind_without_a_reader_is_found_when_it_is_first_read() -> None:
    class Odd(Model):
        number: int = entry("No reader knows a bare int.", default=1)

    with pytest.raises(TypeError, match="no reader for"):
        read(Odd, {}, lambda *_: None)


@pytest.mark.parametrize(
    "word, names, found",
    [
        ("prot", ["port", "host"], "port"),
        ("PORT", ["port"], "port"),
        ("idle-timeout", ["idle_timeout"], "idle_timeout"),
        ("x", ["port"], None),
        ("", ["port"], None),
    ],
)
def test_nearest(word: str, names: list[str], found: str | None) -> None:
    assert nearest(word, names) == found


# The spec's own classes


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_a_description(model: type[Model]) -> None:
    assert model.__doc__
    names = list(model.file_names())
    assert len(set(names)) == len(names)
    for declared in model.entries.values():
        assert declared.description.endswith((".", "`", ")")), declared.name
        assert "\n" not in declared.description


def defaults(model: type[Model]) -> dict[str, Any]:
    """The data of a mapping with everything written out that has a default."""
    data: dict[str, Any] = {}
    for declared in model.entries.values():
        default = declared.default
        if declared.required or default is None:
            continue
        if isinstance(default, type):
            data[declared.name] = defaults(default)
        elif isinstance(default, tuple):
            data[declared.name] = list(default)
        else:
            data[declared.name] = default if type(default) in {str, int, bool} else str(default)
    return data


def test_every_default_can_be_written() -> None:
    least = {"farm": "f", "frontend": {"host": "a.b"}, "nodes": [{"name": "a", "address": "b"}]}
    data = {**defaults(Farm), **copy.deepcopy(least)}
    for key, model in (("frontend", Frontend), ("nodes", Node)):
        for part in data[key] if isinstance(data[key], list) else [data[key]]:
            part |= {**defaults(model), **part}
    assert loads(json.dumps(data)).farm == loads(json.dumps(least)).farm
    Draft202012Validator(SCHEMA).validate(data)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_default_fits_the_schema(model: type[Model]) -> None:
    schema = json_schema(model, "part")
    Draft202012Validator.check_schema(schema)
    required = set(schema.get("required", ()))
    for name, described in schema["properties"].items():
        if "default" in described:
            assert name not in required
            Draft202012Validator(described).validate(described["default"])
        for example in described.get("examples", ()):
            Draft202012Validator(described).validate(example)


@pytest.mark.parametrize("path", FARMS, ids=lambda path: path.parent.name)
def test_farms_fit_the_schema(path: Path) -> None:
    Draft202012Validator(SCHEMA).validate(load(path).document.data)


WRONG = [
    path for path in sorted(HERE.glob("golden_errors/*/farm.yaml")) if path.parent.name.startswith(("keys-", "type-"))
]
LOOSE = {
    # What a pattern does not say, or an editor takes for a matter of taste.
    *(
        "type-duration-bounds",
        "type-size-bounds",
        "type-host-name",
        "type-host-name-idn",
        "type-path-control-characters",
    ),
    *("type-listen-address", "type-listen-address-brackets", "type-listen-address-port", "type-listen-address-prefix"),
    *("type-path", "type-path-blank", "type-node-address", "type-windows-path", "type-windows-path-characters"),
    *("type-windows-path-relative", "type-url", "type-url-path", "type-version-text"),
}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.parent.name)
def test_invalid_farms_do_not_fit_the_schema(path: Path) -> None:
    data = parse("f", path.read_text(encoding="utf-8")).data
    with pytest.raises(SpecError):
        check(parse("f", path.read_text(encoding="utf-8")))
    if path.parent.name not in LOOSE:
        assert not Draft202012Validator(SCHEMA).is_valid(data)


def test_schema_of_every_kind_of_value_is_json() -> None:
    json.dumps(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["additionalProperties"] is False
    for model in MODELS:
        for declared in model.entries.values():
            for part in (declared.kind, *get_args(declared.kind)):
                if get_origin(part) is Annotated and isinstance(part.__metadata__[0], Reads):
                    assert part.__metadata__[0].schema


def test_properties_fill_in_what_depends_on_other_keys() -> None:
    def farm(**frontend: object) -> Farm:
        data = {"farm": "f", "frontend": {"host": "a.b", **frontend}, "nodes": [{"name": "a", "address": "b"}]}
        return loads(json.dumps(data)).farm

    for mode, port, node_port, redirect, node_tls, balancer_tls in [
        ("bridge", 443, 443, True, True, True),
        ("terminate", 443, 80, True, False, True),
        ("passthrough", 443, 443, True, True, False),
        ("none", 80, 80, False, False, False),
    ]:
        found = farm(tls={"mode": mode})
        assert (found.frontend.port, found.port_of(found.nodes[0])) == (port, node_port)
        assert (found.frontend.redirect_http, found.node_tls, found.balancer_tls) == (redirect, node_tls, balancer_tls)
    assert farm(port=8443, redirect_http=False).frontend.port == 8443
    assert farm(redirect_http=False).frontend.redirect_http is False


def test_the_primary_node_is_the_named_one_or_the_first(make_spec: "Callable[..., Spec]") -> None:
    nodes = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]
    assert make_spec(nodes=nodes).farm.primary.name == "a"
    assert make_spec(nodes=[nodes[0], {**nodes[1], "primary": True}]).farm.primary.name == "b"


def test_model_defaults_are_the_classes_of_the_sections() -> None:
    assert {BalancerProgram, Secret, SqlLogin} & {*MODELS} == {Secret, SqlLogin}
    assert Farm.entries["haproxy"].default is Haproxy
    assert Haproxy().version == Version("2.6")
    assert Farm.entries["balancer"].default is Balancer
    assert Balancer().timeouts.connect == Duration.of("5s")
