"""A haproxy.cfg by nlbgen becomes a spec that renders the same bytes, but for the digests."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from nlbgen.core.errors import UnsupportedError
from nlbgen.generators.base import Generator, generator, render
from nlbgen.readers.haproxy.reader import read_text
from nlbgen.spec.load import Spec, load, loads
from nlbgen.spec.schema import Data
from nlbgen.takeover.account import Line
from nlbgen.takeover.haproxy import importer
from tests.generators.test_properties import as_yaml, farms

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

GOLDEN = Path(__file__).parents[1] / "golden"
HAPROXY = generator("haproxy")
OUTSIDE = ("stores", "accept", "orchestrator")
"""What a haproxy.cfg cannot hold, with `frontend.vip`."""


def rendered(spec: Spec, vendor: Generator = HAPROXY) -> str:
    return next(file for file in render(vendor, spec) if file.main).content.decode("utf-8")


def without_digest(text: str) -> str:
    """The digest of the spec differs; that of the configuration (`nlbgen-digest-`) must not."""
    return re.sub(r"(spec with digest )[0-9a-f]{16}", r"\1", text)


def taken_over(text: str, original: Data) -> tuple[Spec, tuple[Line, ...]]:
    """The spec from a configuration, with what the configuration cannot hold from the original spec."""
    draft = importer.take(read_text(text, "haproxy.cfg"), "haproxy.cfg")
    given: dict[str, Plain] = {"stores.signalr": "redis", "stores.redis.host": "r.example", "stores.redis.port": 6379}
    if original.get("accept"):
        given["accept"] = original["accept"]
    if version := original.get("orchestrator", {}).get("version"):
        given["orchestrator.version"] = version
    result = draft.finish(given, "haproxy.cfg", "farm.yaml")
    data = yaml.safe_load(result.content)
    data |= {key: original[key] for key in OUTSIDE if key in original}
    if "vip" in original["frontend"]:
        data["frontend"]["vip"] = original["frontend"]["vip"]
    return loads(as_yaml(data)), result.lines


def check(spec: Spec) -> None:
    text = rendered(spec)
    again, lines = taken_over(text, spec.document.data)
    assert without_digest(rendered(again)) == without_digest(text)
    assert [line for line in lines if line.fate == "not understood"] == []
    assert len(lines) == sum(1 for _ in read_text(text, "").walk())


GOLDEN_FARMS = [path.parent.name for path in sorted(GOLDEN.glob("*/farm.yaml")) if (path.parent / "haproxy").exists()]


@pytest.mark.parametrize("name", GOLDEN_FARMS)
def test_a_golden_configuration_renders_again(name: str) -> None:
    check(load(GOLDEN / name / "farm.yaml"))


def many(number: int) -> Callable[[Any], Any]:
    return settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))


def is_rendered(spec: Spec, vendor: Generator = HAPROXY) -> bool:
    """Whether the vendor supports what the farm requests."""
    try:
        rendered(spec, vendor)
    except UnsupportedError:
        return False
    return True


@many(60)
@given(farms())
def test_any_farm_renders_again(spec: Spec) -> None:
    if is_rendered(spec):
        check(spec)


@pytest.mark.long
@pytest.mark.slow
@many(1000)
@given(farms())
def test_a_thousand_farms_render_again(spec: Spec) -> None:
    if is_rendered(spec):
        check(spec)
