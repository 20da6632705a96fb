"""The states of maintenance in the window of an upgrade, for a farm and for the data of its spec."""

from typing import Any, Final

from ..spec.model import Farm

WINDOW: Final = ("closed", "releasing")
"""The states with configurations of their own, in the order of the window."""


def in_state(farm: Farm, state: str) -> Farm:
    """Return the farm in a state of maintenance."""
    balancer = farm.balancer
    return farm.replace(balancer=balancer.replace(maintenance=balancer.maintenance.replace(state=state)))


def data_in_state(data: dict[str, Any], state: str) -> dict[str, Any]:
    """Return the data of a spec in a state of maintenance; the given data stay as they are."""
    balancer = data.get("balancer") or {}
    maintenance = {**(balancer.get("maintenance") or {}), "state": state}
    return {**data, "balancer": {**balancer, "maintenance": maintenance}}
