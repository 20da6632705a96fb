"""The checks of F5 and Zen at real Redis servers: what their user may do, and what their command finds."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import yaml

from nlbgen.generators import redis_hosts
from nlbgen.generators.base import Site, generator, render
from nlbgen.generators.redis import HEALTH_USER, ROLE_ANSWER, ROLE_QUESTION
from nlbgen.net.loopback import free_port
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.spec.load import Spec, loads

from .conftest import BASE, missing

pytestmark = pytest.mark.redis

PASSWORD = "redis-s3cret"
PLUGINS = Path("/usr/lib/nagios/plugins")
ALWAYS = {"auth", "hello", "quit", "reset"}
"""The commands that each connection may send, also without a login."""
OPEN_SECONDS = 20.0


class Servers:
    """A master and its replica, from the files that a vendor renders."""

    def __init__(self, folder: Path, vendor: str, user: str | None, *, tls: bool = False) -> None:
        self.folder, self.user = folder, user
        self.certificates = make_certificates(folder / "tls", ["127.0.0.31", "127.0.0.32"]) if tls else None
        self.hosts = {f"redis-{number}": (f"127.0.0.3{number}", free_port()) for number in (1, 2)}
        self.spec = self._spec(vendor)
        for file in render(generator(vendor), self.spec, Site(str(folder))):
            if file.path.name == "redis.conf":
                (folder / file.path).parent.mkdir(parents=True)
                text = file.content.decode().replace("bind 127.0.0.1 ", "bind ")
                (folder / file.path).write_text(text, encoding="utf-8")
        redis = self.spec.farm.stores.redis
        assert redis is not None and redis.sentinel is not None
        users = redis_hosts.user_lines(redis, redis.sentinel, health_user=True)
        for name, lines in (
            (redis_hosts.REDIS_FILE, redis_hosts.redis_secret_lines(redis)),
            (redis_hosts.USERS, users),
        ):
            (folder / name).write_text("".join(f"{line}\n" for line in lines).replace("%s", PASSWORD), encoding="utf-8")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def _spec(self, vendor: str) -> Spec:
        nodes = [{"name": name, "address": address, "port": port} for name, (address, port) in self.hosts.items()]
        nodes.append({"name": "witness", "address": "127.0.0.33", "redis": False})
        sentinel: dict[str, Any] = {"nodes": nodes}
        store: dict[str, Any] = {"password": {"env": "R"}, "sentinel": sentinel}
        if self.certificates is not None:
            store["tls"] = True
            for key in ("certificate", "key", "ca"):
                sentinel[key] = str(getattr(self.certificates, key))
        farm: dict[str, Any] = {**BASE, "accept": [f"{vendor}-redis-votes", "zen-verify-nodes"]}
        farm["frontend"] = {**BASE["frontend"], "address": "127.0.0.1"}
        if self.user:
            store["user"] = self.user
            farm["orchestrator"] = {"version": "2023.10"}
            farm["accept"].append("core-affinity")
        farm["balancer"] = {"algorithm": "round-robin", "affinity": "none"}
        return loads(yaml.safe_dump({**farm, "stores": {"signalr": "redis", "redis": store}}))

    def start(self, name: str) -> None:
        conf = self.folder / "redis" / name / "redis.conf"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(["redis-server", str(conf)], stdout=log, stderr=log)
        deadline = monotonic() + OPEN_SECONDS
        while not self.asked(name, "PING").startswith(("PONG", "LOADING")):
            assert monotonic() < deadline, (self.folder / f"{name}.log").read_text(encoding="utf-8")
            sleep(0.05)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name)

    def asked(self, name: str, *command: str, health: bool = False, lines: str = "") -> str:
        """What redis-cli prints for a command (or for several `lines`) of the nodes' user, or of the checks' user."""
        address, port = self.hosts[name]
        user = HEALTH_USER if health else self.user
        login = ["--user", user] if user else []
        if self.certificates is not None:
            login += ["--tls", "--cacert", str(self.certificates.ca)]
        ran = subprocess.run(
            ["redis-cli", "-h", address, "-p", str(port), *login, "--no-auth-warning", *command],
            env={**os.environ, "REDISCLI_AUTH": "x" if health else PASSWORD},
            input=lines, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.stdout.strip()

    def answer(self, name: str) -> str:
        """The answer to what the monitors send, until the server closes the connection."""
        with socket.create_connection(self.hosts[name], timeout=5) as connection:
            connection.sendall(ROLE_QUESTION.replace(r"\r\n", "\r\n").encode())
            return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


@pytest.fixture(params=[("f5", None), ("zen", None), ("f5", "orchestrator")], ids=["f5", "zen", "f5-user"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    if shutil.which("redis-server") is None:
        missing("redis-server is not installed")
    made = Servers(tmp_path, *request.param)
    try:
        for name in made.hosts:
            made.start(name)
        yield made
    finally:
        made.close()


def test_only_the_master_answers_the_check_with_the_word_that_it_expects(servers: Servers) -> None:
    assert ROLE_ANSWER in servers.answer("redis-1")
    replica = servers.answer("redis-2")
    assert replica.startswith("+OK\r\n*5\r\n$5\r\nslave\r\n"), replica
    assert ROLE_ANSWER not in replica.lower()
    servers.asked("redis-2", "REPLICAOF", "NO", "ONE")
    assert ROLE_ANSWER in servers.answer("redis-2")


def test_user_of_the_checks_may_only_ask_for_the_role(servers: Servers) -> None:
    known = json.loads(servers.asked("redis-1", "--json", "COMMAND"))
    single = [part for one in known for part in (one[9] or [one])]
    commands = {name.replace("|", " "): abs(arity) - 1 - name.count("|") for name, arity, *_ in single}
    assert len(commands) > 300
    lines = [" ".join(["ACL DRYRUN", HEALTH_USER, name, *["1"] * more]) for name, more in commands.items()]
    answers = servers.asked("redis-1", lines="\n".join(lines)).splitlines()
    answers = [answer for answer in answers if answer]
    assert len(answers) == len(commands)
    allowed = {name for name, answer in zip(commands, answers, strict=True) if "no permissions to run" not in answer}
    assert allowed - ALWAYS == {"role"}, answers


def test_user_of_the_checks_stays_after_a_failover_has_rewritten_the_configuration(servers: Servers) -> None:
    assert servers.asked("redis-1", "CONFIG", "REWRITE") == "OK"
    servers.stop("redis-1")
    servers.start("redis-1")
    assert ROLE_ANSWER in servers.answer("redis-1")
    assert "NOPERM" in servers.asked("redis-1", "INFO", health=True)


@pytest.mark.parametrize("tls", [False, True])
def test_command_of_farmguardian_accepts_only_a_master_that_answers(tmp_path: Path, tls: bool) -> None:
    if not (PLUGINS / "check_tcp").exists():
        missing("check_tcp is not installed")
    servers = Servers(tmp_path, "zen", None, tls=tls)
    try:
        for name in servers.hosts:
            servers.start(name)
        assert [farmguardian(servers, name) for name in servers.hosts] == [0, 2]
        servers.running["redis-1"].send_signal(signal.SIGSTOP)
        assert farmguardian(servers, "redis-1") == 2
        servers.stop("redis-1")
        assert farmguardian(servers, "redis-1") == 2
    finally:
        servers.close()


def farmguardian(servers: Servers, name: str) -> int:
    """The exit code of the check of one server, started as FarmGuardian does it: by a shell."""
    calls = next(
        file.content.decode()
        for file in render(generator("zen"), servers.spec)
        if file.path.name.endswith("-redis_calls.json")
    )
    command = next(call["body"]["command"] for call in yaml.safe_load(calls) if "command" in call["body"])
    address, port = servers.hosts[name]
    command = command.replace("HOST", address).replace("PORT", str(port))
    return subprocess.run(f"{PLUGINS}/{command}", shell=True, check=False, capture_output=True).returncode
