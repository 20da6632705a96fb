"""The exported playbooks for Redis, run by the real ansible-playbook, with real servers and Sentinels on loopback.

There is no systemd: `redis_service_commands` name scripts that start and stop the processes. The files of a host are in
a folder of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlbgen.export.ansible import rollout as ansible
from nlbgen.net.loopback import free_port
from nlbgen.spec.load import loads

from .conftest import BASE, missing

pytestmark = [pytest.mark.redis, pytest.mark.slow]

PASSWORD = "redis-s3cret"
SCRIPT = """#!/bin/sh
# start FILE [--sentinel] | stop FOLDER
runs() { test -s "$1.pid" && kill -0 "$(cat "$1.pid")" 2>/dev/null; }
stop() { runs "$1" && kill "$(cat "$1.pid")"; while runs "$1"; do sleep 0.1; done; rm -f "$1.pid"; }
case $1 in
start) runs "$2" || redis-server "$2" --daemonize yes --pidfile "$2.pid" --logfile "$2.log" $3 ;;
restart) stop "$2"; "$0" start "$2" $3 ;;
stop) for file in "$2"/*.conf; do stop "$file"; done ;;
esac
true
"""
HOST = "{{ redis_folder }}"


class Hosts:
    """Three hosts of Redis in folders, and the exported tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "ansible"
        self.ports = {f"redis-{number}": (free_port(), free_port()) for number in (1, 2, 3)}
        self.export("2s")
        for name in self.ports:
            (folder / name).mkdir()
        script = folder / "service"
        script.write_text(SCRIPT, encoding="utf-8")
        script.chmod(0o755)

    def export(self, down_after: str) -> None:
        """Write the tree of a spec with this time."""
        folder = self.folder
        nodes = [
            {"name": name, "address": f"127.0.0.2{name[-1]}", "port": port, "sentinel_port": sentinel}
            for name, (port, sentinel) in self.ports.items()
        ]
        store = {"password": {"env": "NLBGEN_REDIS"}, "sentinel": {"nodes": nodes, "down_after": down_after}}
        farm = {**BASE, "stores": {"signalr": "redis", "redis": store}, "haproxy": {"version": "2.6"}}
        for file in ansible.files(loads(yaml.safe_dump(farm))):
            path = self.tree / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            text = file.content.decode()
            if path.suffix == ".conf" and path.parts[-3] == "redis":
                home = str(folder / path.parts[-2])
                text = text.replace("/etc/redis", home).replace("/var/lib/redis", home)
                text = text.replace("bind 127.0.0.1 ", "bind ")
            path.write_text(text, encoding="utf-8")

    def close(self) -> None:
        for name in self.ports:
            subprocess.run([str(self.folder / "service"), "stop", str(self.folder / name)], check=False)

    def _settings(self) -> dict[str, Any]:
        home, script = f"{self.folder}/{HOST}", str(self.folder / "service")
        server, sentinel = f"{home}/redis.conf", f"{home}/sentinel.conf"
        return {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "redis_packages": [],
            "redis_owner": "root",
            "redis_config": server,
            "redis_sentinel_config": sentinel,
            "redis_installed_config": f"{home}/redis.conf.installed",
            "redis_installed_sentinel_config": f"{home}/sentinel.conf.installed",
            "redis_secret_file": f"{home}/nlbgen-redis.secret",
            "redis_users_file": f"{home}/nlbgen-users.acl",
            "redis_sentinel_secret_file": f"{home}/nlbgen-sentinel.secret",
            "redis_environment_file": f"{self.folder}/balancer/nlbgen-redis.env",
            "redis_service_commands": {
                "stop": [script, "stop", home],
                "start_server": [script, "start", server],
                "start_sentinel": [script, "start", sentinel, "--sentinel"],
                "restart_server": [script, "restart", server],
                "restart_sentinel": [script, "restart", sentinel, "--sentinel"],
            },
        }

    def play(self, playbook: str, *options: str) -> str:
        """Run a playbook; return its output."""
        program = Path(sys.executable).parent / "ansible-playbook"
        if not program.exists():
            missing("ansible-playbook is not installed")
        environment = {"ANSIBLE_HOME": str(self.folder / "home"), "NO_COLOR": "1", "NLBGEN_REDIS": PASSWORD}
        ran = subprocess.run(
            [str(program), playbook, "-e", json.dumps(self._settings()), *options],
            cwd=self.tree,
            env={**os.environ, **environment, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr
        return ran.stdout

    def process(self, name: str, file: str) -> int:
        return int((self.folder / name / f"{file}.pid").read_text(encoding="ascii"))

    def role(self, name: str) -> str:
        """The first line of ROLE."""
        return self.asked(name, "ROLE")[0]

    def asked(self, name: str, *words: str, sentinel: bool = False) -> list[str]:
        """The lines of an answer."""
        port = self.ports[name][sentinel]
        command = ["redis-cli", "-h", f"127.0.0.2{name[-1]}", "-p", str(port), *words]
        environment = {**os.environ, "REDISCLI_AUTH": PASSWORD}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return ran.stdout.splitlines()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    if shutil.which("redis-server") is None:
        missing("redis-server is not installed")
    made = Hosts(tmp_path)
    yield made
    made.close()


@pytest.mark.long
def test_redis_is_installed_once_and_restarted_with_the_master_last(hosts: Hosts) -> None:
    first = hosts.play("redis.yml")
    assert PASSWORD not in first
    assert [hosts.role(name) for name in hosts.ports] == ["master", "slave", "slave"]
    files = {path: path.read_bytes() for path in hosts.folder.glob("redis-*/*.conf")}
    again = hosts.play("redis.yml", "--diff")
    assert again.count("changed=0") == 3, again
    assert {path: path.read_bytes() for path in files} == files

    before = {
        (name, file): hosts.process(name, file) for name in hosts.ports for file in ("redis.conf", "sentinel.conf")
    }
    restarted = hosts.play("redis-restart.yml")
    assert PASSWORD not in restarted
    assert all(hosts.process(*one) != process for one, process in before.items())
    assert hosts.role("redis-1") == "slave"
    assert sorted(hosts.role(name) for name in hosts.ports) == ["master", "slave", "slave"]
    assert (hosts.folder / "redis-1" / "nlbgen-redis.secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_changed_spec_is_rolled_out_with_the_master_last_and_only_once(hosts: Hosts) -> None:
    hosts.play("redis.yml")
    files = {path: path.read_bytes() for path in hosts.folder.glob("redis-*/*.conf")}
    before = {name: hosts.process(name, "redis.conf") for name in hosts.ports}
    assert hosts.play("redis-change.yml").count("changed=0") == 3
    assert {path: path.read_bytes() for path in files} == files

    hosts.export("3s")
    for file in hosts.tree.glob("files/*/haproxy/redis/redis-*/redis.conf"):
        file.write_text(file.read_text("utf-8").replace("tcp-keepalive 60", "tcp-keepalive 45"), encoding="utf-8")
    assert "differs from the spec" in hosts.play("redis-change.yml", "--check")
    assert {path: path.read_bytes() for path in files} == files
    changed = hosts.play("redis-change.yml")
    assert PASSWORD not in changed
    assert all(hosts.process(name, "redis.conf") != process for name, process in before.items())
    assert sorted(hosts.role(name) for name in hosts.ports) == ["master", "slave", "slave"]
    assert hosts.role("redis-1") == "slave"
    for name in hosts.ports:
        assert hosts.asked(name, "CONFIG", "GET", "tcp-keepalive")[-1] == "45"
        known = hosts.asked(name, "SENTINEL", "MASTER", "mymaster", sentinel=True)
        facts = dict(zip(known[::2], known[1::2], strict=True))
        assert (facts["down-after-milliseconds"], facts["num-other-sentinels"], facts["num-slaves"]) == (
            "3000",
            "2",
            "2",
        )

    again = {path: path.read_bytes() for path in files}
    assert hosts.play("redis-change.yml").count("changed=0") == 3
    assert {path: path.read_bytes() for path in again} == again


def test_check_mode_installs_nothing(hosts: Hosts) -> None:
    hosts.play("redis.yml", "--check")
    assert not list(hosts.folder.glob("redis-*/*"))
