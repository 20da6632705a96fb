"""All scenarios in the order in which they are played."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Final

from ...core.errors import UsageError
from ...spec.schema import nearest
from .base import Scenario

MODULES: Final = ("steady", "failover", "reload", "live", "correct", "hostile", "tls")
"""Each ends with its `SCENARIOS`."""


@cache
def scenarios() -> dict[str, Scenario]:
    """Every scenario by its name."""
    found = (import_module(f"{__package__}.{module}").SCENARIOS for module in MODULES)
    return {scenario.name: scenario for group in found for scenario in group}


def chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names in the order of the registry, all without names; UsageError for an unknown one."""
    known = scenarios()
    for name in names:
        if name not in known:
            near = nearest(name, list(known))
            meant = f" (did you mean {near}?)" if near else ""
            raise UsageError(f"{name} is not a scenario{meant}", f"there are {', '.join(known)}")
    return [scenario for name, scenario in known.items() if name in names or not names]
