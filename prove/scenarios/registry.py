"""All scenarios, in the order in which they run."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Final

from ...core.errors import UsageError
from ...spec.schema import nearest
from .base import Scenario

MODULES: Final = (
    "steady",
    "failover",
    "services",
    "reload",
    "upgrade",
    "live",
    "robots",
    "correct",
    "hostile",
    "limits",
    "tls",
    "redis",
    "redis_split",
    "fleet",
    "paired",
)
"""The modules; each defines `SCENARIOS`."""
QUICK: Final = ("kill", "pool-stopped", "hang", "drain", "reload-websockets")
"""The scenarios of `--quick`: the failures that every farm meets."""


@cache
def scenarios() -> dict[str, Scenario]:
    """Return every scenario by its name."""
    found = (import_module(f"{__package__}.{module}").SCENARIOS for module in MODULES)
    return {scenario.name: scenario for group in found for scenario in group}


def chosen(names: Sequence[str], *, robots: bool = False) -> list[Scenario]:
    """Return the scenarios of these names in the order of the registry.

    Without names: those of `--robots` if `robots`, else all others.

    Raises UsageError for an unknown name.
    """
    known = scenarios()
    for name in names:
        if name not in known:
            near = nearest(name, list(known))
            meant = f" (did you mean {near}?)" if near else ""
            raise UsageError(f"{name} is not a scenario{meant}", f"scenarios: {', '.join(known)}")
    usual = [name for name, scenario in known.items() if scenario.needs_robots == robots]
    return [scenario for name, scenario in known.items() if name in (names or usual)]
