"""Scenarios of TLS: they pass on the example farm with two names, and fail with each fault."""

import pytest

from nlbgen.prove.scenarios.registry import scenarios

from .conftest import Fault, StartBench

pytestmark = pytest.mark.slow

NAMES = {"frontend": {"aliases": ["orch.corp.example"]}}


@pytest.mark.parametrize("name", ["tls-profile", "tls-names"])
def test_tls_on_a_farm_with_an_alias_passes(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor, NAMES).failed(name) == []


def test_tls_profile_modern_passes(shared_bench: StartBench, vendor: str) -> None:
    seen = shared_bench(vendor, {"frontend": {"tls": {"profile": "modern"}}}).run("tls-profile")
    assert seen["deviations"].verdict == "passed", seen


FAULTS: list[tuple[str, str, str, Fault]] = [
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
    ("haproxy", "tls-names", "unserved", lambda text: text.replace("^orch\\.corp", "^", 1)),
    ("nginx", "tls-names", "unserved", lambda text: text.replace(" orch.corp.example;", ";")),
    ("haproxy", "tls-names", "wrong_served", lambda text: text.replace(" unless farm_host", " if FALSE")),
    ("nginx", "tls-names", "wrong_served", lambda text: text.replace(" orch.corp.example;", " orch.corp.example ~.;")),
    ("haproxy", "tls-names", "wrong_arrived", lambda text: text.replace(" unless farm_host", " if FALSE")),
    ("nginx", "tls-names", "wrong_arrived", lambda text: text.replace(" orch.corp.example;", " orch.corp.example ~.;")),
]


@pytest.mark.parametrize(("program", "name", "metric", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_tls_with_a_fault_fails(
    shared_bench: StartBench,
    program: str,
    name: str,
    metric: str,
    fault: Fault,
) -> None:
    seen = shared_bench(program, NAMES).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen


def test_tls_names_with_a_leaf_without_its_chain_fails(shared_bench: StartBench, vendor: str) -> None:
    """The certificate file of the spec holds the chain; this file does not."""
    bench = shared_bench(vendor, NAMES).bench
    chain = bench.lab.certificates.certificate
    leaf = chain.with_name("without-chain.pem")
    leaf.write_bytes(chain.read_bytes().partition(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n")
    leaf.with_name("without-chain.pem.key").write_bytes(bench.lab.certificates.key.read_bytes())

    def fault(text: str) -> str:
        return text.replace(str(chain), str(leaf))

    # The load that waits for the nodes does not trust the certificate either: run without waiting.
    seen = shared_bench(vendor, NAMES).run("tls-names", fault, until="untrusted", settled=False)
    assert seen["untrusted"].metric is not None
    assert seen["untrusted"].metric.value == 2, seen


@pytest.mark.parametrize("mode", ["passthrough", "none"])
def test_tls_without_termination_is_skipped(shared_bench: StartBench, mode: str) -> None:
    farm = shared_bench("haproxy").lab.live
    farm = farm.replace(frontend=farm.frontend.replace(tls=farm.frontend.tls.replace(mode=mode)))
    for name in ("tls-profile", "tls-names"):
        assert scenarios()[name].skip_reason(farm, "haproxy")


def test_tls_profile_without_sslyze_is_skipped(shared_bench: StartBench, monkeypatch: pytest.MonkeyPatch) -> None:
    farm = shared_bench("haproxy").lab.live
    assert scenarios()["tls-profile"].skip_reason(farm, "haproxy") == ""
    monkeypatch.setattr("nlbgen.prove.scenarios.tls.find_spec", lambda name: None)
    assert scenarios()["tls-profile"].skip_reason(farm, "haproxy") == "sslyze is not installed: install nlbgen[prove]"
