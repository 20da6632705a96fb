"""Any farm that the rules pass is pushed as planned, or refused before anything is done."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from nlbgen.errors import NlbgenError, SpecError, UnsupportedError
from nlbgen.push.f5 import push
from nlbgen.push.f5_session import Options
from nlbgen.spec.load import loads


@cache
def farms() -> Any:
    """The farms that test_properties.py makes."""
    path = Path(__file__).parents[1] / "test_properties.py"
    made = importlib.util.spec_from_file_location("properties_of_all", path)
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    sys.modules["properties_of_all"] = module
    made.loader.exec_module(module)
    return module.farms()


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(farms())
def test_any_farm_is_pushed_or_refused(make, running, site, tmp_path, talk, spec) -> None:
    device = running.device
    device.__init__()
    base = make().document.data
    data = json.loads(json.dumps(spec.document.data))
    tls = data["frontend"].setdefault("tls", {})
    for key in ("certificate", "key"):
        tls[key] = base["frontend"]["tls"][key]
    if tls.get("verify_nodes") is not False:
        tls["verify_nodes"] = base["frontend"]["tls"]["verify_nodes"]
    data |= {"f5": base["f5"], "accept": [*data.get("accept", []), "f5-queue"]}
    options = Options(snapshots=tmp_path / "snapshots")
    try:
        farm = loads(json.dumps(data), str(tmp_path / "farm.yaml"))
        report = push(farm, options, talk, (0.0,))
    except (UnsupportedError, SpecError):
        event("refused")
        assert device.writes() == []
        return
    assert report.outcome == "applied"
    device.log.clear()
    try:
        assert push(farm, options, talk, (0.0,)).outcome == "unchanged"
    except NlbgenError as error:
        raise AssertionError(str(error)) from error
    assert device.writes() == []
    assert not device.tokens
