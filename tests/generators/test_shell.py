"""ShellCheck on the rendered shell scripts, with names that need quoting."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlbgen.generators.base import generator, render
from nlbgen.spec.load import Spec

SCRIPTS = {"nlbgen-haproxy", "certificate-hook"}
FRONTEND = {"host": "orchestrator.corp.example"}
TLS = {
    "two files": {"certificate": "/etc/ssl/farm.pem", "key": "/etc/ssl/farm.key"},
    "one file": {"certificate": "/etc/ssl/farm.pem", "key": "/etc/ssl/farm.pem"},
    "passthrough": {"mode": "passthrough"},
    "none": {"mode": "none"},
}


@pytest.mark.parametrize("tls", TLS)
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_shellcheck_finds_no_fault(make_spec: Callable[..., Spec], vendor: str, tls: str, tmp_path: Path) -> None:
    spec = make_spec(frontend={**FRONTEND, "tls": TLS[tls]}, accept=["plain-http", "nginx-passthrough-health"])
    paths = []
    for file in render(generator(vendor), spec):
        if file.path.name in SCRIPTS:
            paths.append(path := tmp_path / file.path.name)
            path.write_bytes(file.content)
    if vendor == "nginx" and tls in {"passthrough", "none"}:
        assert paths == []
        return
    command = [str(Path(sys.executable).with_name("shellcheck")), *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
