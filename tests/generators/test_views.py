"""The views of templates: a template uses every key, and the golden farms reach every template of a vendor."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from jinja2 import meta, nodes

from nlbgen.core import templating
from nlbgen.core.errors import UnsupportedError
from nlbgen.generators.base import Draft, Site, all_generators, prepare
from nlbgen.spec.load import loads

TESTS = Path(__file__).parents[1]
FARMS = sorted(
    path for pattern in ("golden", "golden_f5", "zen/golden") for path in TESTS.glob(f"{pattern}/*/farm.yaml")
)
TEMPLATES = TESTS.parent / "templates"


@cache
def drafts(vendor: str) -> tuple[Draft, ...]:
    """The files of every golden farm that the vendor accepts."""
    generator = next(one for one in all_generators() if one.name == vendor)
    found: list[Draft] = []
    for path in FARMS:
        try:
            job = prepare(generator, loads(path.read_text(encoding="utf-8")), Site())
        except UnsupportedError:
            continue
        found += generator.files(job)
    return tuple(found)


@cache
def parsed(template: str) -> nodes.Template:
    return templating.environment().parse((TEMPLATES / template).read_text(encoding="utf-8"))


def names_of(template: str) -> set[str]:
    """The names that a template takes from its view."""
    return meta.find_undeclared_variables(parsed(template))


def attributes_of(template: str) -> set[str]:
    """The names that a template looks up in values of its view."""
    return {node.attr for node in parsed(template).find_all(nodes.Getattr)}


def inner_keys(value: object) -> Iterator[str]:
    """The keys of the mappings in a value, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from inner_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from inner_keys(inner)


VENDORS = [vendor.name for vendor in all_generators()]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_view_keys_are_used_by_a_template_that_gets_them(vendor: str) -> None:
    """Files of one vendor may share a view: then one of their templates uses the key."""
    handed: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    for draft in drafts(vendor):
        for key in draft.view:
            handed.setdefault(key, set()).add(draft.template)
    for key, templates in handed.items():
        used[key] = {template for template in templates if key in names_of(template)}
    assert {key: sorted(handed[key]) for key, templates in used.items() if not templates} == {}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_inner_view_keys_are_used_by_a_template_that_gets_them(vendor: str) -> None:
    handed: dict[str, set[str]] = {}
    for draft in drafts(vendor):
        for value in draft.view.values():
            for key in inner_keys(value):
                handed.setdefault(key, set()).add(draft.template)
    unused = {
        key: sorted(templates)
        for key, templates in handed.items()
        if not any(key in attributes_of(template) for template in templates)
    }
    assert unused == {}


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_template_of_a_vendor_is_rendered_for_a_golden_farm(vendor: str) -> None:
    rendered = {draft.template for draft in drafts(vendor)}
    assert {f"{vendor}/{path.name}" for path in (TEMPLATES / vendor).glob("*.j2")} <= rendered
