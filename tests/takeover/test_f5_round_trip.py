"""A bigip.conf by nlbgen becomes a spec that renders the same bytes, but for the digest of the spec."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given

from nlbgen.generators.base import generator
from nlbgen.readers.f5 import reader
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.schema import Data
from nlbgen.takeover.account import Line
from nlbgen.takeover.f5 import importer
from tests.generators.test_properties import EVERY_ID, as_yaml, farms
from tests.takeover.test_round_trip import is_rendered, many, rendered, without_digest

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

GOLDEN = [
    path for name in ("golden", "golden_f5") for path in sorted((Path(__file__).parents[1] / name).glob("*/farm.yaml"))
]
F5 = generator("f5")
OUTSIDE = ("stores", "accept", "orchestrator")
"""What a bigip.conf cannot hold, with `frontend.vip` and `balancer.limits`."""


def taken_over(text: str, original: Data) -> tuple[Spec, tuple[Line, ...]]:
    """The spec from a configuration, with what the configuration cannot hold from the original spec."""
    draft = importer.take(reader.read(Path("bigip.conf"), text.encode()), "bigip.conf")
    given: dict[str, Plain] = {"stores.signalr": "redis", "stores.redis.host": "r.example", "stores.redis.port": 6379}
    if "frontend.host" not in draft.values:
        given["frontend.host"] = original["frontend"]["host"]
    if original.get("accept"):
        given["accept"] = original["accept"]
    if version := original.get("orchestrator", {}).get("version"):
        given["orchestrator.version"] = version
    result = draft.finish(given, "bigip.conf", "farm.yaml")
    data = yaml.safe_load(result.content)
    data |= {key: original[key] for key in OUTSIDE if key in original}
    if "vip" in original["frontend"]:
        data["frontend"]["vip"] = original["frontend"]["vip"]
    if "limits" in original.get("balancer", {}):
        data["balancer"]["limits"] = original["balancer"]["limits"]
    return loads(as_yaml(data)), result.lines


def check(spec: Spec) -> None:
    text = rendered(spec, F5)
    again, lines = taken_over(text, spec.document.data)
    assert without_digest(rendered(again, F5)) == without_digest(text)
    assert [line for line in lines if line.fate == "not understood"] == []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_golden_farm_renders_again(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    spec = loads(as_yaml({**data, "accept": EVERY_ID}))
    if is_rendered(spec, F5):
        check(spec)


@pytest.mark.slow
@many(40)
@given(farms())
def test_any_farm_renders_again(spec: Spec) -> None:
    if is_rendered(spec, F5):
        check(spec)


@pytest.mark.long
@pytest.mark.slow
@many(1000)
@given(farms())
def test_a_thousand_farms_render_again(spec: Spec) -> None:
    if is_rendered(spec, F5):
        check(spec)
