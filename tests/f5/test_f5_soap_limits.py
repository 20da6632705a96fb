"""What iControl SOAP has no call for: which object needs it, and what a farm can accept to go without."""

import pytest

from nlbgen.generators.f5.soap_limits import ACCEPTABLE_IDS, SOAP_LIMITS
from nlbgen.generators.f5.vocabulary import Object

OBJECTS = {
    "f5-soap-websocket": Object("ltm profile websocket", "/Common/a", {}),
    "f5-soap-monitor-sni": Object("ltm monitor https", "/Common/a", {"ssl-profile": "/Common/b"}),
    "f5-soap-policy": Object("ltm policy", "/Common/a", {}),
    "f5-soap-carp": Object("ltm persistence source-addr", "/Common/a", {"hash-algorithm": "carp"}),
    "f5-soap-cipher-group": Object("ltm profile client-ssl", "/Common/a", {"cipher-group": "/Common/b"}),
    "f5-soap-cookie": Object("ltm persistence cookie", "/Common/a", {"secure": "disabled"}),
    "f5-soap-fqdn": Object("ltm node", "/Common/a", {"fqdn": {"name": "a.corp.example"}}),
}
"""The object that each limit is about."""
HARMLESS = [
    Object("ltm node", "/Common/a", {"address": "10.0.0.1"}),
    Object("ltm persistence cookie", "/Common/a", {"method": "insert"}),
    Object("ltm profile client-ssl", "/Common/a", {"ciphers": "DEFAULT"}),
    Object("ltm pool", "/Common/a", {"members": {}}),
]


@pytest.mark.parametrize("problem_id", SOAP_LIMITS)
def test_soap_limit_concerns_only_its_object(problem_id: str) -> None:
    concerned = [name for name, one in OBJECTS.items() if SOAP_LIMITS[problem_id].concerns(one)]
    assert concerned == [problem_id]
    assert not any(SOAP_LIMITS[problem_id].concerns(one) for one in HARMLESS)


def test_soap_limits_that_can_be_accepted_are_those_with_a_substitute() -> None:
    assert {"f5-soap-websocket", "f5-soap-monitor-sni", "f5-soap-policy", "f5-soap-carp"} == ACCEPTABLE_IDS
