"""A real Redis accepts the settings that the plan writes into the nodes' files."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.planning import plan_farm
from nlbgen.spec.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"


def requirepass(password: str) -> str:
    """The line that redis.ps1 writes, by the replacements that stand in the script."""
    script = (Path(__file__).parents[2] / "templates" / "nodes" / "redis.ps1.j2").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +\$quoted = \$RedisPassword(.*)$", script, re.MULTILINE)
    for old, new in re.findall(r"\.Replace\('([^']*)', '([^']*)'\)", line):
        password = password.replace(old, new)
    (shape,) = re.findall(r'GetBytes\("(requirepass .*)"\)\)$', script, re.MULTILINE)
    return str(shape).replace('`"', '"').replace("$quoted", password)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Return a function that starts a Redis with a password and returns its port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(password: str) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        lines = ["bind 127.0.0.1", f"port {port}", "save ''", f"dir {tmp_path}", requirepass(password)]
        (tmp_path / "redis.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        binary = shutil.which("redis-server", path="/usr/bin:/usr/sbin:/usr/local/bin")
        assert binary
        running.append(subprocess.Popen([binary, str(tmp_path / "redis.conf")], stdout=subprocess.DEVNULL))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return port
        raise AssertionError("redis-server does not listen")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def ask(host: str, port: int, *commands: tuple[str, ...]) -> list[bytes]:
    """The answers of Redis, one line for each command."""
    answers = []
    with socket.create_connection((host, port), 5) as connection, connection.makefile("rb") as lines:
        for command in commands:
            parts = [part.encode() for part in command]
            request = b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)])
            connection.sendall(request)
            answers.append(lines.readline().strip())
    return answers


def options(text: str) -> tuple[str, int, str]:
    """Host, port and password of a StackExchange.Redis string, as its ConfigurationOptions.Parse takes it apart."""
    endpoint, *rest = (part.strip() for part in text.split(","))
    host, _colon, port = endpoint.rpartition(":")
    given = {}
    for option in rest:
        key, _equals, value = option.partition("=")
        given[key.strip().lower()] = value.strip()
    return host, int(port), given.get("password", "")


@pytest.mark.redis
@pytest.mark.parametrize("password", ["simple", "p=ss;w'ord\"&<>", "pässwörd€", "back\\slash", "in ner"])
def test_redis_accepts_the_planned_connection_string(
    redis: Callable[[str], int], password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", password)
    port = redis(password)
    shutil.copytree(EXAMPLES / "inputs", tmp_path / "inputs")
    text = (EXAMPLES / "farm.yaml").read_text(encoding="utf-8")
    text = text.replace("host: redis-1.corp.example, port: 6379", f"host: 127.0.0.1, port: {port}")
    text = text.replace("accept:\n", "accept:\n  - redis-loopback\n")
    (tmp_path / "farm.yaml").write_text(text, encoding="utf-8")
    for node in plan_farm(load(tmp_path / "farm.yaml")).nodes:
        document, content = node.files[0]
        written = Config(webconfig.parse(document.path, content)).app.value("LoadBalancer.Redis.ConnectionString")
        assert written is not None
        host, port_written, given = options(written)
        assert ask(host, port_written, ("PING",))[0].startswith(b"-NOAUTH")
        assert ask(host, port_written, ("AUTH", given), ("PING",)) == [b"+OK", b"+PONG"]


@pytest.mark.redis
@pytest.mark.parametrize(
    "password",
    [
        "it's",
        "'quoted'",
        '"quoted"',
        "a b",
        "a\\b",
        "end\\",
        "Grüße",
        "😀",
        "#x",
        "$(x)`",
        "a;b=c",
        '\\"',
        "--%",
        "é" * 256,
    ],
)
def test_redis_takes_the_line_of_the_script(redis: Callable[[str], int], password: str) -> None:
    port = redis(password)
    answers = ask("127.0.0.1", port, ("PING",), ("AUTH", password), ("PING",))
    assert answers[0].startswith(b"-NOAUTH")
    assert answers[1:] == [b"+OK", b"+PONG"]


@pytest.mark.redis
def test_redis_does_not_start_with_the_bare_line_of_former_scripts(tmp_path: Path) -> None:
    (tmp_path / "redis.conf").write_text("requirepass it's\n", encoding="utf-8")
    done = subprocess.run(
        ["redis-server", tmp_path / "redis.conf"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "Unbalanced quotes in configuration line" in done.stdout + done.stderr
