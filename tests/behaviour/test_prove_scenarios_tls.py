"""Scenarios of TLS: they pass on the example farm with two names, and each fault misses its bar."""

import pytest

from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.spec.model import Farm

pytestmark = pytest.mark.slow

NAMES = {"frontend": {"aliases": ["orch.corp.example"]}}


@pytest.mark.parametrize("name", ["tls-profile", "tls-names"])
def test_a_farm_with_an_alias_holds_the_bars(theatre, vendor, name):
    assert [each for each in theatre(vendor, NAMES).play(name).values() if each.verdict == "missed"] == []


def test_the_modern_profile_holds_the_bars(theatre, vendor):
    seen = theatre(vendor, {"frontend": {"tls": {"profile": "modern"}}}).play("tls-profile")
    assert seen["deviations"].verdict == "held", seen


FAULTS = [
    (
        "haproxy",
        "tls-profile",
        "deviations",
        lambda text: text.replace("bind-ciphers ", "bind-ciphers ECDHE-ECDSA-AES128-SHA:"),
    ),
    (
        "nginx",
        "tls-profile",
        "deviations",
        lambda text: text.replace("ssl_ciphers ", "ssl_ciphers ECDHE-ECDSA-AES128-SHA:"),
    ),
    ("haproxy", "tls-names", "unserved", lambda text: text.replace(" orch.corp.example", "", 1)),
    ("nginx", "tls-names", "unserved", lambda text: text.replace(" orch.corp.example;", ";")),
    ("haproxy", "tls-names", "wrong_served", lambda text: text.replace(" unless farm_host", " if FALSE")),
    ("nginx", "tls-names", "wrong_served", lambda text: text.replace(" orch.corp.example;", " orch.corp.example ~.;")),
    ("haproxy", "tls-names", "wrong_arrived", lambda text: text.replace(" unless farm_host", " if FALSE")),
    ("nginx", "tls-names", "wrong_arrived", lambda text: text.replace(" orch.corp.example;", " orch.corp.example ~.;")),
]


@pytest.mark.parametrize(("program", "name", "figure", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_a_fault_misses_its_bar(theatre, program, name, figure, fault):
    seen = theatre(program, NAMES).play(name, fault, until=figure)
    assert seen[figure].verdict == "missed", seen


def test_a_leaf_without_its_chain_is_not_trusted(theatre, vendor):
    """The file of the spec holds the chain; here is one that does not."""
    stage = theatre(vendor, NAMES).stage
    whole = stage.lab.certificates.certificate
    alone = whole.with_name("alone.pem")
    alone.write_bytes(whole.read_bytes().partition(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n")
    alone.with_name("alone.pem.key").write_bytes(stage.lab.certificates.key.read_bytes())

    def fault(text):
        return text.replace(str(whole), str(alone))

    # The load that waits for the nodes trusts nobody either, so the balancer is changed without it.
    seen = theatre(vendor, NAMES).play("tls-names", fault, until="untrusted", settled=False)
    assert seen["untrusted"].figure.value == 2, seen


@pytest.mark.parametrize("mode", ["passthrough", "none"])
def test_a_balancer_without_tls_is_not_asked(theatre, mode):
    changes = {"tls": {"mode": mode}, "redirect_http": False}
    farm = theatre("haproxy").lab.live
    farm = farm.replace(frontend=farm.frontend.replace(tls=farm.frontend.tls.replace(**changes["tls"])))
    assert isinstance(farm, Farm)
    for name in ("tls-profile", "tls-names"):
        assert scenarios()[name].unasked(farm, "haproxy")


def test_without_sslyze_the_way_to_it_is_said(theatre, monkeypatch):
    farm = theatre("haproxy").lab.live
    assert scenarios()["tls-profile"].unasked(farm, "haproxy") == ""
    monkeypatch.setattr("nlbgen.prove.scenarios.tls.find_spec", lambda name: None)
    assert scenarios()["tls-profile"].unasked(farm, "haproxy") == "sslyze is not installed: install nlbgen[prove]"
