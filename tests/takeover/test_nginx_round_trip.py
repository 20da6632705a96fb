"""An nginx.conf by nlbgen becomes a spec that renders the same bytes, but for the digest of the spec."""

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given

from nlbgen.generators.base import generator
from nlbgen.readers.nginx.reader import read
from nlbgen.spec.load import Spec, load, loads
from nlbgen.spec.schema import Data
from nlbgen.takeover.account import Line
from nlbgen.takeover.nginx import importer
from tests.generators.test_properties import as_yaml, farms
from tests.takeover.test_round_trip import GOLDEN, is_rendered, many, rendered, without_digest

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

NGINX = generator("nginx")
OUTSIDE = (
    *("stores", "orchestrator", "frontend.vip", "frontend.windows_sign_in", "balancer.slow_start"),
    *("balancer.timeouts.queue", "balancer.limits.connections_per_address", "balancer.limits.requests_per_node"),
    *("balancer.health.paths", "balancer.health.details_key", "balancer.health.all_failed"),
    *("balancer.health.interval", "balancer.health.timeout", "balancer.health.rise", "balancer.health.expect"),
)
"""What an nginx.conf cannot hold. Most of these keys only add a line to the header: NGINX lacks the feature."""
UNSEEN = ("frontend.host", "frontend.aliases", "balancer.health.path", "balancer.health.fall")
"""What an nginx.conf does not hold under passthrough or while the farm is closed."""


def at(data: Data, path: str) -> Data:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def put(data: Data, path: str, value: Data) -> None:
    *outer, last = path.split(".")
    for key in outer:
        data = data.setdefault(key, {})
    data[last] = value


def taken_over(text: str, spec: Spec) -> tuple[Spec, tuple[Line, ...]]:
    """The spec from a configuration, with what the configuration cannot hold from the original spec."""
    original = spec.document.data
    draft = importer.take(read(Path("nginx.conf"), text.encode()), "nginx.conf")
    given_: dict[str, Plain] = {"stores.signalr": "redis", "stores.redis.host": "r.example", "stores.redis.port": 6379}
    if version := at(original, "orchestrator.version"):
        given_["orchestrator.version"] = version
    if "frontend.host" not in draft.values:
        given_["frontend.host"] = original["frontend"]["host"]
    taken = draft.values.get("accept")
    given_["accept"] = sorted({*(taken if isinstance(taken, list) else ()), *(original.get("accept") or ())})
    result = draft.finish(given_, "nginx.conf", "farm.yaml")
    data = yaml.safe_load(result.content)
    for path in OUTSIDE:
        if (value := at(original, path)) is not None:
            put(data, path, deepcopy(value))
    for path in UNSEEN:
        if path not in draft.values and (value := at(original, path)) is not None:
            put(data, path, value)
    if at(data, "balancer.health.paths"):
        data["balancer"]["health"].pop("path", None)
    known = {node["name"] for node in data["nodes"]}
    data["nodes"] += [node for node in original["nodes"] if node["name"] not in known and node.get("state") == "down"]
    return loads(as_yaml(data)), result.lines


def check(spec: Spec) -> None:
    text = rendered(spec, NGINX)
    again, lines = taken_over(text, spec)
    assert without_digest(rendered(again, NGINX)) == without_digest(text)
    assert [line for line in lines if line.fate == "not understood"] == []
    assert len(lines) == sum(1 for _ in read(Path("nginx.conf"), text.encode()).walk())


GOLDEN_FARMS = [path.parent.name for path in sorted(GOLDEN.glob("*/farm.yaml")) if (path.parent / "nginx").exists()]


@pytest.mark.parametrize("name", GOLDEN_FARMS)
def test_a_golden_configuration_renders_again(name: str) -> None:
    check(load(GOLDEN / name / "farm.yaml"))


@many(40)
@given(farms())
def test_any_farm_renders_again(spec: Spec) -> None:
    if is_rendered(spec, NGINX):
        check(spec)


@pytest.mark.long
@pytest.mark.slow
@many(1000)
@given(farms())
def test_a_thousand_farms_render_again(spec: Spec) -> None:
    if is_rendered(spec, NGINX):
        check(spec)


CLOSED = """\
farm: prod
orchestrator: {version: "2019.4"}
frontend: {host: o.example, address: 10.0.0.5, tls: {mode: passthrough}}
nodes: [{name: a, address: 10.0.0.1, weight: 20}, {name: b, address: 10.0.0.2, weight: 10}]
balancer: {maintenance: {state: closed}}
stores: {signalr: redis, redis: {host: r.example, port: 6379}}
nginx: {version: "1.22"}
accept: [nginx-passthrough-health]
"""


def test_a_closed_farm_with_passthrough_renders_again() -> None:
    check(loads(CLOSED))


def test_an_address_that_balancers_share_is_a_note() -> None:
    text = rendered(load(GOLDEN / "vip" / "farm.yaml"), NGINX)
    draft = importer.take(read(Path("nginx.conf"), text.encode()), "nginx.conf")
    assert "the farm has an address that balancers share: add frontend.vip to farm.yaml" in draft.notes
