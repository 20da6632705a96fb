"""Any farm that the rules pass is pushed as planned, or refused before anything is done."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from nlbgen.core.errors import NlbgenError, SpecError, UnsupportedError
from nlbgen.generators.f5 import as3 as f5_as3
from nlbgen.generators.f5.objects import objects
from nlbgen.push.backends.connect import push
from nlbgen.push.contract import Options
from nlbgen.spec.load import Spec, loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from tests.f5.bigip import BigIp
    from tests.f5.conftest import Console, Make, Reached


@cache
def farms() -> "SearchStrategy[Spec]":
    """The farms that test_properties.py makes."""
    path = Path(__file__).parents[1] / "generators/test_properties.py"
    made = importlib.util.spec_from_file_location("properties_of_all", path)
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    sys.modules["properties_of_all"] = module
    made.loader.exec_module(module)
    found: SearchStrategy[Spec] = module.farms()
    return found


def rest(running: "Reached", _as3: ModuleType, _soap: ModuleType) -> None:
    running.reset()


def as3(running: "Reached", as3_module: ModuleType, _soap: ModuleType) -> None:
    running.reset(extensions=[as3_module.As3().answer])


def soap(running: "Reached", _as3: ModuleType, soap_module: ModuleType) -> None:
    pytest.importorskip("bigsuds")
    running.reset(version="11.6.0", portal=soap_module.Portal())


def changed(device: "BigIp") -> list[Any]:
    """The requests of a push that change something, by REST or SOAP."""
    return device.portal.writes() if device.portal else device.writes()


def texts(device: "BigIp") -> dict[tuple[str, str], Any]:
    """The texts of a spec on the device: health checks, rules and paths of policies, by kind and name."""
    found: dict[tuple[str, str], Any] = {}
    for (kind, path), own in device.own().items():
        rules = own.get("rules", []) if kind == "ltm policy" else []
        values = [condition["values"] for rule in rules for condition in rule["conditions"]]
        told = {"send": own.get("send"), "rule": own.get("apiAnonymous"), "paths": values}
        if any(told.values()):
            found[kind, path.rpartition("/")[2]] = told
    return found


def wanted(farm: Spec) -> dict[tuple[str, str], Any]:
    """The same texts of the farm's objects; SOAP has a rule instead of a policy."""
    f5 = farm.farm.f5
    found: dict[tuple[str, str], Any] = {}
    for one in objects(farm.farm, f5.version, policies=f5.api != "soap"):
        own = one.properties
        values = [list(farm.farm.balancer.signalr.paths)] if one.kind == "ltm policy" else []
        folder = f"/{f5_as3.tenant(farm.farm)}/{f5_as3.APPLICATION}/" if f5.api == "as3" else f"/{f5.partition}/"
        rule = str(own["definition"]).replace(f"/{f5.partition}/", folder) if "definition" in own else None
        told = {"send": own.get("send"), "rule": rule, "paths": values}
        if any(told.values()):
            found[one.kind, one.name] = told
    return found


EXAMPLES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.slow
@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("restart", [rest, as3])
@settings(EXAMPLES, max_examples=25)
@given(farms())
def test_push_of_any_farm_is_applied_or_refused(
    make: "Make",
    running: "Reached",
    console: "Console",
    tmp_path: Path,
    as3_module: ModuleType,
    soap_module: ModuleType,
    restart: "Callable[[Reached, ModuleType, ModuleType], None]",
    spec: Spec,
) -> None:
    restart(running, as3_module, soap_module)
    pushed_or_refused(make, running.device, console, tmp_path, restart.__name__, spec)


@pytest.mark.slow
@pytest.mark.usefixtures("near")
@settings(EXAMPLES, max_examples=8)
@given(farms())
def test_push_by_soap_of_any_farm_is_applied_or_refused(
    make: "Make",
    running: "Reached",
    console: "Console",
    tmp_path: Path,
    as3_module: ModuleType,
    soap_module: ModuleType,
    kept_descriptions: None,
    spec: Spec,
) -> None:
    soap(running, as3_module, soap_module)
    pushed_or_refused(make, running.device, console, tmp_path, "soap", spec)


def pushed_or_refused(make: "Make", device: "BigIp", console: "Console", tmp_path: Path, api: str, spec: Spec) -> None:
    base = make().document.data
    data = json.loads(json.dumps(spec.document.data))
    tls = data["frontend"].setdefault("tls", {})
    for key in ("certificate", "key"):
        tls[key] = base["frontend"]["tls"][key]
    if tls.get("verify_nodes") is not False:
        tls["verify_nodes"] = base["frontend"]["tls"]["verify_nodes"]
    accepted = ["f5-queue", *(["f5-soap-policy", "f5-soap-carp"] if api == "soap" else [])]
    data |= {"f5": {**base["f5"], "api": api}, "accept": [*data.get("accept", []), *accepted]}
    options = Options(snapshots=tmp_path / "snapshots")
    try:
        farm = loads(json.dumps(data), str(tmp_path / "farm.yaml"))
        report = push("f5", farm, options, console, (0.0,))
    except (UnsupportedError, SpecError):
        event("refused")
        assert changed(device) == [] and device.own() == {}
        return
    assert report.outcome == "applied"
    assert texts(device) == wanted(farm)
    device.log.clear()
    if device.portal:
        device.portal.calls.clear()
    try:
        assert push("f5", farm, options, console, (0.0,)).outcome == "unchanged"
    except NlbgenError as error:
        raise AssertionError(str(error)) from error
    assert changed(device) == []
    assert not device.tokens
