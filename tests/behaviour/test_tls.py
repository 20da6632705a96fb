"""TLS by Mozilla's profiles: sslyze judges the running balancer."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["intermediate", "modern"])
def test_sslyze_finds_no_deviation_from_the_profile(farm, vendor, run_tool, profile):
    """Guideline 5.7 is what sslyze knows; ours is 6.0, which offers a part of 5.7's ciphers and groups."""
    lab = farm(vendor, {"frontend": {"tls": {"profile": profile}}})
    done = run_tool(
        "sslyze",
        f"--mozilla_config={profile}",
        f"--certinfo_ca_file={lab.certificates.ca}",
        "--sni",
        lab.host,
        f"{lab.host}:{lab.port}{{127.0.0.1}}",
    )
    assert "COMPLIANCE AGAINST" in done.stdout, done.stdout + done.stderr
    verdict = done.stdout[done.stdout.index("COMPLIANCE AGAINST") :]
    assert "OK - Compliant" in verdict, verdict
    assert done.returncode == 0


@pytest.mark.slow
def test_sslyze_does_find_deviations(farm, run_tool):
    """The judge is awake: the intermediate profile is not the modern one."""
    lab = farm("haproxy")
    target = f"{lab.host}:{lab.port}{{127.0.0.1}}"
    ca = f"--certinfo_ca_file={lab.certificates.ca}"
    done = run_tool("sslyze", "--mozilla_config=modern", ca, "--sni", lab.host, target)
    assert "tls_versions" in done.stdout[done.stdout.index("COMPLIANCE AGAINST") :]
    assert done.returncode == 1
