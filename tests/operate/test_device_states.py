"""The health of a node from the state of a device's monitor; an unknown state is no passing check."""

import pytest

from nlbgen.operate import f5, zen


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ("up", "passing"),
        ("fqdn-up", "passing"),
        ("down", "failing"),
        ("fqdn-down", "failing"),
        ("node-down", "failing"),
        ("address-down", "failing"),
        ("user-down", "unchecked"),
        ("unchecked", "unchecked"),
        ("checking", "unchecked"),
        ("None", "unchecked"),
    ],
)
def test_state_of_a_member_of_f5(state: str, health: str) -> None:
    assert f5._health(state) == health


@pytest.mark.parametrize(
    ("status", "health"),
    [("up", "passing"), ("down", "failing"), ("fgDOWN", "failing"), ("maintenance", "unchecked")],
)
def test_status_of_a_backend_of_zen(status: str, health: str) -> None:
    assert zen._health(status) == health
