"""All rules of `nlbgen lint`, by vendor."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final

from ..readers.tree import Vendor
from .rule import Rule

MODULES: Final[dict[Vendor, tuple[str, ...]]] = {
    "haproxy": ("timeouts", "checks", "affinity", "requests", "operation", "tls"),
    "nginx": ("timeouts", "upgrades", "headers", "nodes", "affinity", "operation"),
    "f5": ("virtuals", "pools", "system"),
}
"""The modules of each vendor in `lint/VENDOR/`; each defines `RULES`."""


@cache
def rules(vendor: Vendor) -> tuple[Rule, ...]:
    """The rules about configurations of a vendor, in the order of the documentation."""
    modules = (import_module(f"{__package__}.{vendor}.{module}") for module in MODULES[vendor])
    return tuple(rule for module in modules for rule in module.RULES)


def all_rules() -> Iterator[Rule]:
    """Each rule once, also if it is about several vendors."""
    known = {rule.id: rule for vendor in MODULES for rule in rules(vendor)}
    yield from known.values()
