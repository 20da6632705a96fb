"""The check of `nlbgen render` by the installed program; programs that misbehave are scripts here."""

import difflib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import NlbgenError
from nlbgen.generators import validate
from nlbgen.generators.base import generator, render
from nlbgen.net.loopback import accepts
from nlbgen.net.waiting import wait_until
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.spec.load import Spec

if TYPE_CHECKING:
    from tests.conftest import RunCommand

MakeSpec = Callable[..., Spec]
RenderedBy = Callable[..., tuple[int, str]]

posix = pytest.mark.skipif(os.name != "posix", reason="the programs here are shell scripts")
VERSION_2_6 = 'echo "HAProxy version 2.6.5"; echo "Running on OpenSSL version : OpenSSL 3.0.2 15 Mar 2022"'


@pytest.fixture
def other_programs() -> Iterator[None]:
    """The programs are looked for anew, in the test and after it."""
    validate.installed.cache_clear()
    yield
    validate.installed.cache_clear()


@pytest.fixture
def rendered_by(
    tmp_path: Path,
    cli: "RunCommand",
    other_programs: None,
    farm_data: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> RenderedBy:
    """Renders a farm where the installed program is a script; returns the exit code and the messages."""

    def run(version: str, check: str, vendor: str = "haproxy", **changes: object) -> tuple[int, str]:
        program = tmp_path / "bin" / vendor
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ncase $1 in -[vV]*) {version};; *) {check};; esac\n", encoding="utf-8")
        program.chmod(0o755)
        (tmp_path / "farm.yaml").write_text(json.dumps(farm_data(**changes)), encoding="utf-8")
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
        ran = cli("render", vendor, env={"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"})
        assert ran.out == ""
        assert list((tmp_path / "scratch").iterdir()) == []
        assert str(tmp_path / "scratch") not in ran.err
        assert (tmp_path / "outputs").exists() == (ran.code == 0)
        return ran.code, ran.err

    return run


@posix
def test_render_with_a_program_that_accepts_reports_checked(rendered_by: RenderedBy) -> None:
    code, said = rendered_by(VERSION_2_6, "exit 0")
    assert code == 0
    assert "haproxy.cfg (checked by HAProxy 2.6.5)\n" in said


@posix
def test_render_with_another_version_that_accepts_reports_both_versions(rendered_by: RenderedBy) -> None:
    code, said = rendered_by("echo HAProxy version 3.1.1-2ubuntu1", "exit 0")
    assert code == 0
    assert "haproxy.cfg (checked by HAProxy 3.1.1; the spec says 2.6)\n" in said


@posix
@pytest.mark.parametrize(
    "check",
    [
        'echo "[ALERT] (1) : config : $3:7: nonsense" >&2; exit 1',
        'echo "[WARNING]  (1) : config : $3:7: nonsense" >&2; exit 0',
        'echo "[ALERT] 326/101010 (1) : config : $3:7: nonsense"; exit 0',
    ],
)
def test_render_with_a_program_that_refuses_or_warns_fails(check: str, rendered_by: RenderedBy) -> None:
    code, said = rendered_by(VERSION_2_6, check)
    assert code == 1
    assert said.startswith("nlbgen: HAProxy 2.6.5 refuses the configuration of the farm orchestrator-test:\n")
    assert ".../haproxy.cfg:7: nonsense\n" in said
    assert said.endswith("this is an internal error (a bug in nlbgen): please report it with the spec\n")


@posix
def test_render_with_a_program_that_fails_silently_reports_its_status(rendered_by: RenderedBy) -> None:
    code, said = rendered_by(VERSION_2_6, "exit 3")
    assert code == 1
    assert "it ended with status 3" in said


@posix
def test_render_with_a_program_that_prints_a_notice_succeeds(rendered_by: RenderedBy) -> None:
    assert rendered_by(VERSION_2_6, 'echo "[NOTICE] (1) : haproxy version is 2.6.5, warned about nothing"')[0] == 0


@posix
def test_render_with_another_version_that_refuses_reports_not_checked(rendered_by: RenderedBy) -> None:
    code, said = rendered_by("echo HAProxy version 2.2.9", "exit 1")
    assert code == 0
    assert "(not checked: HAProxy 2.2.9 is installed, the spec says 2.6)" in said


@posix
def test_render_with_an_older_tls_library_that_refuses_reports_not_checked(rendered_by: RenderedBy) -> None:
    code, said = rendered_by(VERSION_2_6, "exit 1", haproxy={"openssl": "3.5"})
    assert code == 0
    assert "(not checked: HAProxy 2.6.5 is installed with OpenSSL 3.0.2, the spec says 3.5)" in said


@posix
def test_render_where_nginx_lacks_the_stream_module_reports_that_it_is_not_checked(rendered_by: RenderedBy) -> None:
    code, said = rendered_by(
        "echo nginx version: nginx/1.22.1",
        """echo 'nginx: [emerg] unknown directive "stream" in nginx.conf:9'; exit 1""",
        vendor="nginx",
        frontend={"tls": {"mode": "passthrough"}},
        nginx={"version": "1.22"},
        accept=["nginx-passthrough-health"],
    )
    assert code == 0
    assert "(not checked: NGINX's stream module is not installed here (Debian: libnginx-mod-stream))" in said


@posix
def test_render_with_a_program_that_prints_no_version_fails(rendered_by: RenderedBy) -> None:
    code, said = rendered_by("echo hello", "exit 0")
    assert code == 1
    assert "bin/haproxy does not print its version" in said


@posix
def test_render_with_a_program_that_cannot_run_fails_unless_validation_is_off(
    tmp_path: Path, cli: "RunCommand", rendered_by: RenderedBy
) -> None:
    rendered_by(VERSION_2_6, "exit 0")
    validate.installed.cache_clear()
    (tmp_path / "bin" / "haproxy").write_bytes(b"\x7fELF of another machine")
    env = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    ran = cli("render", "haproxy", env=env)
    assert ran.code == 1
    assert "haproxy cannot be run: " in ran.err
    assert "--no-validate" in ran.err
    assert cli("render", "haproxy", "--no-validate", env=env).code == 0


def test_render_without_a_program_reports_not_checked(
    other_programs: None, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    verdict = validate.validate(generator("haproxy"), make_spec())
    assert verdict == (False, "not checked: haproxy is not installed here")


@posix
def test_output_of_a_program_that_hangs_raises_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "TIMEOUT_SECONDS", 0.1)
    with pytest.raises(NlbgenError, match=r"sleep cannot be run: .* timed out"):
        validate._output(["sleep", "60"])


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
@pytest.mark.parametrize("mode", ["bridge", "terminate", "passthrough", "none"])
def test_relocated_configuration_differs_only_in_paths_and_addresses(
    vendor: str, mode: str, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(
        frontend={"address": "10.20.0.10", "tls": {"mode": mode}},
        nodes=[{"name": "a", "address": "10.20.0.11"}, {"name": "b", "address": "orch-2.corp.example"}],
        accept=["nginx-passthrough-health"],
    )
    with validate.relocation(spec.farm, tmp_path) as (farm, site):
        moved = spec._replace(farm=farm)
    real, checked = (
        next(file.content.decode() for file in render(generator(vendor), *which) if file.main)
        for which in ((spec,), (moved, site))
    )
    assert "10.20.0.10" not in checked
    assert "/etc/ssl" not in checked
    assert "orch-2.corp.example" not in checked
    of_the_service = re.compile(r"^[^#]*/(?:run|var/lib|var/log)/", re.MULTILINE)
    assert of_the_service.search(real)
    assert not of_the_service.search(checked)
    changed = [
        line[1:].strip()
        for line in difflib.unified_diff(real.splitlines(), checked.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    places = re.compile(
        r"#|$|user|group|chroot|log|description nlbgen-digest-|return 200 nlbgen-digest-|stats socket|server-state-file"
        r"|bind|listen|load crt|server |redirect|return 30[18]"
        r"|}$|default-server (?:check-)?ssl|ssl_certificate|proxy_ssl_trusted|proxy_set_header"
        r"|http-request (?:add-header|redirect)|proxy_redirect|error_log|access_log|pid|\w+_temp_path|.*:\d+;?$"
    )
    assert [line for line in changed if not places.match(line)] == []


def test_relocated_key_is_readable_only_by_its_owner(make_spec: MakeSpec, tmp_path: Path) -> None:
    with validate.relocation(make_spec().farm, tmp_path):
        pass
    assert stat.S_IMODE((tmp_path / "site.pem.key").stat().st_mode) == 0o600 or os.name != "posix"


@pytest.mark.haproxy
@pytest.mark.nginx
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_installed_returns_versions_of_program_and_openssl(vendor: str) -> None:
    program = validate.installed(generator(vendor))
    assert program
    assert program.version.parts > (1, 1)
    assert program.openssl
    assert program.openssl.parts >= (1, 1)


@pytest.mark.haproxy
@pytest.mark.nginx
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_validate_accepts_very_large_farms(vendor: str, make_spec: MakeSpec) -> None:
    """What no golden file shows because it would be too long."""
    nodes = [{"name": f"n{number}", "address": f"10.0.0.{number + 1}", "weight": 256} for number in range(41)]
    farms: list[dict[str, Any]] = [
        {"nodes": [{**nodes[0], "weight": 1}, *nodes[1:]], "balancer": {"affinity": "cookie"}},
        {"nodes": [{"name": f"n{n}", "address": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(1000)]},
        {"frontend": {"aliases": [f"tenant-{number}.corp.example" for number in range(2000)]}},
        {"frontend": {"tls": {"certificate": "/" + "a" * 1023}}},
        {"balancer": {"signalr": {"paths": ["/" + "a" * 250 + f"{number:x}" for number in range(16)]}}},
    ]
    for changes in farms:
        spec = make_spec(**changes, accept=["nginx-affinity-cookie"])
        verdict = validate.validate(generator(vendor), spec)
        program = validate.installed(generator(vendor))
        assert verdict.checked or (
            program and program.version.parts[:2] != generator(vendor).version(spec.farm).parts[:2]
        )


@pytest.mark.haproxy
@pytest.mark.nginx
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_program_in_the_foreground_serves_until_it_is_stopped(vendor: str, make_spec: MakeSpec, tmp_path: Path) -> None:
    made = generator(vendor)
    program = validate.installed(made)
    assert program
    spec = make_spec(**{vendor: {"version": ".".join(map(str, program.version.parts[:2]))}})
    assert made.version(spec.farm).parts == program.version.parts[:2]
    with validate.relocation(spec.farm, tmp_path) as (farm, site):
        main = next(file for file in render(made, spec._replace(farm=farm), site) if file.main)
        path = tmp_path / main.path
        path.write_bytes(main.content)
        run = made.foreground(path, program.version)
        argv = [program.path, *run.arguments]
        with BalancerProcess(argv, ports=[farm.frontend.port], env={**os.environ, **run.environment}) as balancer:
            assert balancer.running
        assert wait_until(lambda: not accepts(farm.frontend.port), validate.TIMEOUT_SECONDS)
