"""The command line, run as users run it."""

import contextlib
import difflib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import pytest

from nlbgen import __version__
from nlbgen.cli import cli as root
from nlbgen.core import templating
from nlbgen.generators.base import VENDORS, known_ids
from nlbgen.generators.features import FEATURES
from nlbgen.spec.load import load

if TYPE_CHECKING:
    from typing import Any

    from tests.conftest import RunCommand

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "farm.yaml"
FILES = [
    *("haproxy/INSTALL.md", "haproxy/certificate-hook", "haproxy/haproxy.cfg"),
    *("haproxy/haproxy.service.d/nlbgen.conf", "haproxy/nlbgen-haproxy", "haproxy/nlbgen-haproxy.service"),
]
posix = pytest.mark.skipif(os.name != "posix", reason="this is how POSIX systems do it")
LIMIT_SECONDS = 30
NLBGEN = [shutil.which("nlbgen", path=Path(sys.executable).parent) or "nlbgen is not installed"]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Help


def commands(command: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(command: tuple[str, ...], option: str, cli: "RunCommand") -> None:
    ran = cli(*command, option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(['nlbgen', *command])} ")
    assert all(len(line) <= 100 for line in ran.out.splitlines())
    found: click.Command = root
    for name in command:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{parameter.name} has no help"
            assert parameter.opts[-1] in ran.out


def test_version(cli: "RunCommand") -> None:
    assert cli("--version").out == f"nlbgen, version {__version__}\n"


def test_nlbgen_without_a_command_lists_the_commands(cli: "RunCommand") -> None:
    ran = cli()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_module_and_command_print_the_same(shell: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm(frontend={"host": "1.2.3.4"})
    folder = farm("x/farm.yaml").parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "nlbgen", "check"], cwd=folder, capture_output=True, text=True, check=False
    )
    ran = shell("check")
    assert (done.returncode, done.stdout, done.stderr) == (ran.code, ran.out, ran.err)
    assert ran.code == 3


@pytest.mark.no_cover  # other tests reach the same lines
def test_cli_fixture_behaves_like_a_process(
    cli: "RunCommand", shell: "RunCommand", farm: "Callable[..., Path]"
) -> None:
    farm(balancer={"slow_start": "30s"}, accept=["nonsense"])
    for args in (["check"], ["render", "nginx"], ["rendr"], ["vendors"], ["render", "haproxy", "--no-validate"]):
        shutil.rmtree(farm().parent / "outputs", ignore_errors=True)
        farm(balancer={"slow_start": "30s"}, accept=["nonsense"])
        here = cli(*args)
        shutil.rmtree(farm().parent / "outputs", ignore_errors=True)
        farm(balancer={"slow_start": "30s"}, accept=["nonsense"])
        assert here == shell(*args), args


# check


def test_check_valid_farm_exits_0(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm()
    assert cli("check") == cli("check", "-s", "farm.yaml") == cli("check", "--strict")
    ran = cli("check")
    assert (ran.code, ran.out, ran.err) == (0, "", "farm.yaml: no problems\n")


def test_check_example_exits_0(cli: "RunCommand") -> None:
    ran = cli("check", "-s", EXAMPLE, "--format", "json")
    (found,) = json.loads(ran.out)
    of_spec = [problem for problem in found["problems"] if problem["path"]]  # findings in nodes' files have no path
    assert [problem for problem in of_spec if problem["path"].partition("[")[0] != "nodes"] == []


def test_check_counts_problems_of_several_specs(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm("good.yaml", farm="good")
    farm("warned.yaml", farm="warned", stores={"signalr": "sqlserver"})
    farm("bad.yaml", nodes=[])
    ran = cli("check", "-s", "good.yaml", "-s", "warned.yaml", "-s", "bad.yaml")
    assert (ran.code, ran.err) == (3, "3 specs: 1 error, 1 warning\n")
    assert cli("check", "-s", "good.yaml", "-s", "warned.yaml").code == 0
    assert cli("check", "-s", "good.yaml", "-s", "warned.yaml", "--strict").code == 3


def test_check_json_has_every_problem_with_its_location(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm(stores={"signalr": "sqlserver"})
    ran = cli("check", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    (found,) = json.loads(ran.out)
    assert (found["spec"], found["ok"]) == ("farm.yaml", True)
    assert re.fullmatch(r"[0-9a-f]{64}", found["digest"])
    (problem,) = found["problems"]
    assert list(problem) == ["severity", "id", "file", "line", "column", "path", "message", "hint"]
    assert (problem["severity"], problem["id"], problem["path"]) == ("warning", "signalr-sql-lag", "stores.signalr")
    strict = cli("check", "--format", "json", "--strict")
    assert strict.code == 3
    assert json.loads(strict.out)[0]["ok"] is False


def test_check_github_prints_one_line_per_problem(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm(nodes=[{"name": "a", "address": "10.0.0.1", "port": 0}, {"name": "b\n", "address": "x,y:z%"}])
    lines = cli("check", "--format", "github").out.splitlines()
    assert len(lines) == 3
    command = re.compile(r"::error file=farm\.yaml,line=\d+,col=\d+,title=spec::nodes\[\d\]\.\w+: .+")
    assert all(command.fullmatch(line) for line in lines)
    assert "%25" in lines[2]


@posix
def test_file_names_that_are_not_unicode_are_reported(shell: "RunCommand") -> None:
    ran = shell("check", "-s", os.fsdecode(b"\xff.yaml"), env={"LC_ALL": "C.UTF-8"})
    assert ran.code == 3
    assert "there is no such file" in ran.out


def test_output_is_printable_in_any_encoding(shell: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm(frontend={"host": "⁂.example"})
    ran = shell("check", env={"PYTHONIOENCODING": "latin-1"})
    assert ran.code == 3
    assert '"\\u2042.example"' in ran.out


# schema and vendors


def test_schema_is_valid_and_accepts_the_example(cli: "RunCommand") -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

    schema = json.loads(cli("schema").out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    data = load(EXAMPLE).document.data
    validator.validate(data)
    changes: tuple[dict[str, object], ...] = (
        {"farm": "1 2"},
        {"nodes": []},
        {"unknown": 1},
        {"frontend": {}},
        {"version": 2},
    )
    for change in changes:
        with pytest.raises(ValidationError):
            validator.validate({**data, **change})


def test_vendors_has_the_same_content_in_every_format(cli: "RunCommand") -> None:
    data = json.loads(cli("vendors", "--format", "json").out)
    assert [vendor["name"] for vendor in data["vendors"]] == list(VENDORS)
    assert [feature["id"] for feature in data["features"]] == [feature.id for feature in FEATURES]
    text, markdown = cli("vendors").out, cli("vendors", "--format", "markdown").out
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == len(FEATURES) + 2
    assert len({row.count(" | ") for row in rows if not row.startswith("|---")}) == 1
    for feature in data["features"]:
        assert f"| {feature['title']} | " in markdown
        assert feature["title"] in text
        for cell in feature["support"].values():
            assert re.fullmatch(r"yes|no|fallback|since (?:[A-Z]\w+ )?[0-9.]+", cell["answer"])
            assert cell["answer"] == "yes" or cell["note"]
            if cell["accept"]:
                assert cell["accept"] in known_ids()
                assert cell["accept"] in text
                assert f"`{cell['accept']}`" in markdown


def test_vendors_with_names_shows_only_these_in_every_format(cli: "RunCommand") -> None:
    assert cli("vendors", "f5", "nginx").out.splitlines()[0].split() == ["NGINX", "F5", "BIG-IP"]
    text = cli("vendors", "haproxy").out
    assert "\nHAProxy, Affinity" not in text and "NGINX" not in text.splitlines()[0]
    assert set(re.findall(r"accept: \[(\w+)-", cli("vendors", "zen").out)) == {"zen"}
    data = json.loads(cli("vendors", "haproxy", "--format", "json").out)
    assert [list(feature["support"]) for feature in data["features"]] == [["haproxy"]] * len(FEATURES)
    assert cli("vendors", "haproxy", "--format", "markdown").out.startswith("| Feature | HAProxy 2.4 to ")
    assert cli("vendors", "apache").code == 2


def test_notes_of_the_markdown_matrix_are_numbered(cli: "RunCommand") -> None:
    markdown = cli("vendors", "--format", "markdown").out
    notes = re.findall(r"^(\d+)\. ", markdown, re.MULTILINE)
    assert notes == [str(number) for number in range(1, len(notes) + 1)]
    assert re.findall(r" \((\d+)\) \|", markdown) == notes


# init


def test_init_writes_the_values_of_the_options(cli: "RunCommand", tmp_path: Path) -> None:
    ran = cli(
        *("init", "--host", "Orchestrator.corp.example", "--node", "one=10.0.0.1", "--node", "two=fd00::2"),
        *("--orchestrator", "2019.4", "--tls", "terminate", "--store", "redis", "--redis", "redis.corp.example"),
    )
    assert ran.code == 0
    assert ran.out == ""
    assert ran.err.startswith("wrote farm.yaml\n")
    assert "[tls-terminate-redirect]" in ran.err
    farm = load(tmp_path / "farm.yaml").farm
    assert (farm.farm, farm.frontend.host) == ("Orchestrator", "orchestrator.corp.example")
    assert [(node.name, node.address, node.primary) for node in farm.nodes] == [
        ("one", "10.0.0.1", True),
        ("two", "fd00::2", False),
    ]
    assert (farm.frontend.tls.mode, farm.stores.signalr) == ("terminate", "redis")
    assert "#" in (tmp_path / "farm.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["bridge", "terminate", "passthrough", "none"])
@pytest.mark.parametrize("version", ["", "2018.4", "2019.10.19", "2020.10", "2023.4", "22.10"])
@pytest.mark.parametrize("store", ["redis", "sqlserver"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_init_writes_a_valid_spec(mode: str, version: str, store: str, cli: "RunCommand", tmp_path: Path) -> None:
    args = ["init", "--host", "o.example", "--node", "a=10.0.0.1", "--node", "b=b.example", "--tls", mode]
    ran = cli(*args, "--orchestrator", version, "--store", store, "--redis", "redis.corp.example")
    core = version in {"2020.10", "2023.4", "22.10"}
    if core and store == "sqlserver":
        assert ran.code == 2
        assert "--store: with Orchestrator" in ran.err
        assert not (tmp_path / "farm.yaml").exists()
        return
    assert ran.code == 0
    spec = load(tmp_path / "farm.yaml")
    assert cli("check").code == 0
    assert "session" not in spec.farm.stores.written if core else spec.farm.stores.session == "sqlserver"
    assert (spec.farm.stores.redis and spec.farm.stores.redis.port) == (
        None if store == "sqlserver" else 10000 if core else 6379
    )
    assert {warning.id for warning in spec.warnings} <= {
        *({"version-unknown"} if not version else set()),
        *({"signalr-sql-lag"} if store == "sqlserver" else set()),
        *({"tls-terminate-redirect"} if mode == "terminate" else set()),
        *({"tls-none"} if mode == "none" else set()),
    }
    assert cli("render", "haproxy", "--no-validate").code == 0


def test_init_invalid_answer_names_the_option(cli: "RunCommand", tmp_path: Path) -> None:
    nodes = ("--node", "a=10.0.0.1", "--node", "a=10.0.0.1")
    ran = cli("init", "--host", "bad_host!", *nodes, "--redis", "r.example")
    assert ran.code == 2
    assert "--host: " in ran.err
    assert "--farm" not in ran.err  # its name only came from the host
    assert "farm.yaml:" not in ran.err
    ran = cli("init", "--host", "o.example", "--node", "a=10.0.0.1", "--from", "nope.config")
    assert ran.code == 5
    assert "nope.config: cannot be read" in ran.err
    assert "in the spec" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_init_replaces_a_file_only_with_force(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine", encoding="utf-8")
    args = ["init", "-o", "mine.yaml", "--host", "o.example", "--node", "a=10.0.0.1", "--redis", "r.example"]
    assert cli(*args).code == 2
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "mine"
    assert cli(*args, "--force").code == 0
    assert load(tmp_path / "mine.yaml").farm.frontend.host == "o.example"


def test_init_creates_missing_folders(cli: "RunCommand", tmp_path: Path) -> None:
    args = ["--host", "o.example", "--node", "a=10.0.0.1", "--redis", "r.example"]
    assert cli("init", "-o", "a/b/farm.yaml", *args).code == 0
    assert {path.name for path in (tmp_path / "a/b").iterdir()} == {"farm.yaml", "nlbgen.schema.json"}


def test_init_writes_the_schema_that_the_first_line_names(cli: "RunCommand", tmp_path: Path) -> None:
    nodes = ("--node", "a=10.0.0.1", "--node", "b=10.0.0.2")
    args = ("init", "--yes", "--host", "o.example", *nodes, "--redis", "r.example", "--address", "10.0.0.9")
    assert cli(*args).code == 0
    first = (tmp_path / "farm.yaml").read_text(encoding="utf-8").splitlines()[0]
    name = first.rpartition("$schema=")[2]
    assert (tmp_path / name).read_text(encoding="utf-8") == cli("schema").out
    assert load(tmp_path / "farm.yaml").farm.frontend.address == "10.0.0.9"


@pytest.mark.parametrize("tls", ["bridge", "terminate", "passthrough", "none"])
@pytest.mark.parametrize("version", ["", "2019.4", "2023.4"])
def test_init_comments_fit_an_80_column_terminal(tls: str, version: str, cli: "RunCommand", tmp_path: Path) -> None:
    nodes = ("--node", "orch-1=10.0.0.1", "--node", "orch-2=10.0.0.2")
    args = ("--host", "orchestrator.corp.example", *nodes, "--orchestrator", version, "--redis", "redis.corp.example")
    assert cli("init", *args, "--tls", tls).code == 0
    lines = (tmp_path / "farm.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    "args, hint",
    [([], "or use SQL Server with --store sqlserver"), (["--orchestrator", "2023.4"], "give its host\n")],
)
def test_init_does_not_make_up_a_redis(args: list[str], hint: str, cli: "RunCommand", tmp_path: Path) -> None:
    ran = cli("init", "--host", "o.example", "--node", "a=10.0.0.1", *args)
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert "--redis is missing" in ran.err and hint in ran.err


@pytest.mark.parametrize(
    "args, message",
    [
        ([], "--host, --node and --redis are missing"),
        (["--store", "sqlserver"], "--host and --node are missing"),
        (["--host", "o.example", "--redis", "r.example"], "--node is missing"),
    ],
)
def test_init_names_all_missing_options_at_once(args: list[str], message: str, cli: "RunCommand") -> None:
    ran = cli("init", "--yes", *args)
    assert ran.code == 2 and message in ran.err


class Terminal:
    """nlbgen on a terminal of its own."""

    def __init__(self, folder: Path, *args: str) -> None:
        import pty

        self._master, slave = pty.openpty()
        env = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [*NLBGEN, *args], cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.shown = ""
        self._answered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self, until: float) -> bool:
        """Add what comes next to what was shown; false at the end of everything."""
        ready, _, _ = select.select([self._master], [], [], max(0, until - time.monotonic()))
        assert ready, f"nothing more came after {self.shown!r}"
        try:
            part = os.read(self._master, 4096)
        except OSError:  # Linux reports this when the other side has closed
            return False
        self.shown += part.decode()
        return bool(part)

    def wait_for(self, text: str) -> None:
        """Read until the terminal shows this text below the last answer."""
        until = time.monotonic() + LIMIT_SECONDS
        while text not in self.shown[self._answered :]:
            assert self._read(until), f"it ended without {text!r}: {self.shown!r}"

    def answer(self, question: str, text: str) -> None:
        self.wait_for(question)
        self._answered = len(self.shown)
        os.write(self._master, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, again where the first came just before the question was being read."""
        for _ in range(LIMIT_SECONDS):
            os.killpg(self._process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                return

    def end(self) -> int:
        """The exit code, after everything was read."""
        until = time.monotonic() + LIMIT_SECONDS
        while self._read(until):
            pass
        return self._process.wait(LIMIT_SECONDS)


@posix
def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    with Terminal(tmp_path, "init", "--tls", "none") as terminal:
        terminal.answer("Name that robots and people use", "")  # there is no default: the prompt is repeated
        terminal.answer("Name that robots and people use", "bad host")
        terminal.answer('Error: "bad host" is not a host name', "orchestrator.corp.example")
        terminal.answer("Address of node 1, the existing one", "10.0.0.1")
        terminal.answer("Address of node 2", "10.0.0.300")
        terminal.answer('Error: "10.0.0.300" is not an IPv4', "10.0.0.2")
        terminal.answer("Address of node 3 (empty: no more)", "")
        terminal.answer("Address of the balancer (* for every address of its machine) [*]", "10.0.0.10")
        terminal.answer("Orchestrator version", "2020")
        terminal.answer("Error: 2020 is not a version of Orchestrator", "2020.10")
        terminal.answer("Host of the High Availability Add-on", "redis.corp.example:x")
        terminal.answer("Error: ", "redis.corp.example")
        assert terminal.end() == 0
        assert "wrote farm.yaml" in terminal.shown
    farm = load(tmp_path / "farm.yaml").farm
    assert (farm.farm, farm.frontend.tls.mode, str(farm.orchestrator.version)) == ("orchestrator", "none", "2020.10")
    assert farm.frontend.address == "10.0.0.10"
    assert [node.address for node in farm.nodes] == ["10.0.0.1", "10.0.0.2"]
    assert (farm.stores.signalr, farm.stores.redis and farm.stores.redis.host) == ("redis", "redis.corp.example")


@posix
def test_init_explains_each_word_for_tls_before_the_prompt(tmp_path: Path) -> None:
    nodes = ("--node", "a=10.0.0.1", "--node", "b=10.0.0.2")
    given = ("--host", "o.example", *nodes, "--address", "*", "--orchestrator", "2019.4", "--store", "sqlserver")
    with Terminal(tmp_path, "init", *given) as terminal:
        terminal.answer("TLS mode (bridge, terminate, passthrough, none) [bridge]: ", "")
        assert terminal.end() == 0
    for mode in ("bridge", "terminate", "passthrough", "none"):
        assert re.search(rf"(?m)^  {mode} +\w.*\S", terminal.shown)


@posix
def test_init_with_yes_does_not_prompt_on_a_terminal(tmp_path: Path) -> None:
    with Terminal(tmp_path, "init", "--yes", "--node", "a=10.0.0.1") as terminal:
        assert terminal.end() == 2
    assert "--host and --redis are missing" in terminal.shown


@posix
@pytest.mark.usefixtures("default_signals")
def test_init_interrupted_prompt_writes_no_file(tmp_path: Path) -> None:
    with Terminal(tmp_path, "init") as terminal:
        terminal.wait_for("Name that robots and people use")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "interrupted" in terminal.shown
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_interrupt_exits_130_without_a_traceback(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*NLBGEN, "check", "-s", "/dev/stdin"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(b"#" * 1_000_000)  # more than a pipe holds: this returns when nlbgen reads
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert err.strip() == b"interrupted"


@posix
def test_fleet_on_a_terminal_shows_a_progress_bar(tmp_path: Path, farm: "Callable[..., Path]") -> None:
    for number in range(20):
        farm(f"farms/{number}.yaml", farm=f"farm-{number}")
    with Terminal(tmp_path, "render", "haproxy", "--no-validate", "-s", "farms") as terminal:
        assert terminal.end() == 0
    assert "farms" in terminal.shown
    assert "100%" in terminal.shown
    assert len(list((tmp_path / "outputs").iterdir())) == 20
    with Terminal(tmp_path, "-q", "render", "haproxy", "--no-validate", "-s", "farms") as terminal:
        assert terminal.end() == 0
    assert terminal.shown == ""


@posix
def test_quiet_shows_the_text_before_a_prompt(tmp_path: Path, farm: "Callable[..., Path]") -> None:
    for number, keys in ((1, ("AB" * 32, "CD" * 64)), (2, ("01" * 32, "23" * 64))):
        (tmp_path / f"{number}.config").write_text(
            '<configuration>\n<appSettings><add key="apiKey" value="0f8fad5b-d9cb-469f-a165-70867728950e"/>\n'
            '<add key="LoadBalancer.UseSqlServer" value="false"/><add key="LoadBalancer.UseRedis" value="false"/>\n'
            '<add key="LoadBalancer.Redis.Server" value=""/></appSettings>\n<secureAppSettings>'
            '<add key="EncryptionKey" value="c2VjcmV0LW9uZS1zZWNyZXQtb25lLXNlY3JldC1vbjE="/></secureAppSettings>\n'
            '<system.web><machineKey validation="SHA1" decryption="AES" '
            f'decryptionKey="{keys[0]}" validationKey="{keys[1]}"/></system.web>\n</configuration>\n',
            encoding="utf-8",
        )
    node = {"name": "orch-1", "address": "10.0.0.1", "primary": True, "config": "1.config"}
    stores = {
        "signalr": "redis",
        "redis": {"host": "redis.corp.example"},
        "database": {"server": "SQL01", "name": "UiPath", "auth": "windows"},
    }
    farm(nodes=[node, {"name": "orch-2", "address": "10.0.0.2", "config": "2.config"}], stores=stores)
    before = (tmp_path / "2.config").read_bytes()
    with Terminal(tmp_path, "-q", "nodes", "apply") as terminal:
        terminal.answer("Change these files?", "n")
        assert terminal.end() == 130
        assert "machineKey" in terminal.shown
    assert (tmp_path / "2.config").read_bytes() == before
    with Terminal(tmp_path, "-q", "nodes", "apply", "--yes") as terminal:
        assert terminal.end() == 0
        assert "machineKey" not in terminal.shown
        assert terminal.shown.startswith("changed ")
    assert (tmp_path / "2.config").read_bytes() != before


# render


def test_render_lists_the_written_files(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    ran = cli("render", "haproxy", "--no-validate")
    assert (ran.code, ran.out) == (0, "")
    assert sorted(tree(tmp_path / "outputs")) == FILES
    assert "wrote outputs/haproxy/haproxy.cfg (not checked: --no-validate)\n" in ran.err
    assert sorted(re.findall(r"^wrote outputs/(\S+)", ran.err, re.MULTILINE)) == FILES
    again = cli("render", "haproxy", "--no-validate")
    assert "wrote" not in again.err
    assert "unchanged outputs/haproxy/haproxy.cfg" in again.err


@pytest.mark.haproxy
@pytest.mark.nginx
def test_render_names_the_program_that_checked_the_file(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm()
    ran = cli("render", "haproxy", "nginx")
    assert ran.code == 0
    assert re.search(r"haproxy\.cfg \((checked by HAProxy \d|not checked: HAProxy .* the spec says)", ran.err)
    assert re.search(r"nginx\.conf \((checked by NGINX \d|not checked: NGINX .* the spec says)", ran.err)


def test_render_names_the_reason_of_a_skipped_check(
    shell: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    script = "import nlbgen.generators.validate as v, sys; v.shutil.which = lambda *a, **k: None; "
    done = subprocess.run(
        [sys.executable, "-c", script + "from nlbgen.cli import main; main()", "render", "haproxy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "haproxy.cfg (not checked: haproxy is not installed here)" in done.stderr


def test_render_output_option_sets_the_folder(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    assert cli("render", "haproxy", "--no-validate", "-o", "a/b").code == 0
    assert cli("render", "haproxy", "--no-validate", "-o", tmp_path / "c").code == 0
    assert cli("render", "haproxy", "--no-validate").code == 0
    assert tree(tmp_path / "a/b") == tree(tmp_path / "c") == tree(tmp_path / "outputs")


def test_render_stdout_prints_only_the_configuration(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    ran = cli("render", "nginx", "haproxy", "--stdout", "--no-validate")
    assert (ran.code, ran.err) == (0, "")
    assert not (tmp_path / "outputs").exists()
    cli("render", "haproxy", "nginx", "--no-validate")
    files = tree(tmp_path / "outputs")
    assert ran.out.encode() == files["haproxy/haproxy.cfg"] + files["nginx/nginx.conf"]


def test_render_diff_shows_the_changes(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    new = cli("render", "haproxy", "--diff", "--no-validate")
    assert new.code == 1
    assert new.out.count("--- /dev/null\n") == len(FILES)
    assert not (tmp_path / "outputs").exists()
    cli("render", "haproxy", "--no-validate")
    before = tree(tmp_path / "outputs")
    same = cli("render", "haproxy", "--diff")
    assert (same.code, same.out, same.err) == (0, "", "")
    farm(balancer={"timeouts": {"connect": "7s"}})
    changed = cli("render", "haproxy", "--diff")
    assert changed.code == 1
    assert tree(tmp_path / "outputs") == before
    assert "-    timeout connect 5s\n+    timeout connect 7s\n" in changed.out
    assert "the files differ" in changed.err
    cli("render", "haproxy", "--no-validate")
    after = tree(tmp_path / "outputs")
    expected = [
        line
        for name in FILES
        for line in difflib.unified_diff(
            before[name].decode().splitlines(),
            after[name].decode().splitlines(),
            f"outputs/{name}",
            f"outputs/{name}",
            lineterm="",
        )
    ]
    assert changed.out.splitlines() == expected


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
def test_render_diff_can_be_applied_as_a_patch(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    cli("render", "haproxy", "--no-validate")
    farm(balancer={"affinity": "cookie", "max_body": "1GB"})
    diff = cli("render", "haproxy", "--diff").out
    subprocess.run(["patch", "-p0", "-s"], input=diff, text=True, cwd=tmp_path, check=True)
    assert cli("render", "haproxy", "--diff").code == 0


def test_render_diff_accepts_files_that_are_not_utf_8(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    cli("render", "haproxy", "--no-validate")
    (tmp_path / "outputs/haproxy/haproxy.cfg").write_bytes(b"\xff\xfe\x00old\r\n")
    ran = cli("render", "haproxy", "--diff")
    assert ran.code == 1
    assert "+frontend orchestrator-test" in ran.out


def test_render_refused_farm_changes_no_file(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    cli("render", "haproxy", "nginx", "--no-validate")
    before = tree(tmp_path)
    for change, code in (({"nodes": []}, 3), ({"balancer": {"slow_start": "1s"}}, 4)):
        path = farm(**change)
        assert cli("render", "haproxy", "nginx", "--no-validate").code == code
        assert tree(tmp_path) == {**before, "farm.yaml": path.read_bytes()}


def test_render_prints_warnings_and_continues(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm(stores={"signalr": "sqlserver"})
    ran = cli("render", "haproxy", "--no-validate")
    assert ran.code == 0
    assert ran.err.startswith("farm.yaml:1:1: warning: ") or "warning: stores.signalr: " in ran.err.splitlines()[0]
    assert cli("render", "haproxy", "--stdout", "--no-validate").out.startswith("# HAProxy")


# Fleets


def test_render_folder_of_specs_is_a_fleet(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm("farms/one.yaml", farm="one")
    farm("farms/two.yml", farm="two")
    farm("farms/notes.txt", farm="three")
    farm("farms/deeper/four.yaml", farm="four")
    ran = cli("render", "haproxy", "--no-validate", "-s", "farms")
    assert (ran.code, ran.err) == (0, "2 of 2 farms written below outputs\n")
    assert sorted(tree(tmp_path / "outputs")) == [f"{farm}/{file}" for farm in ("one", "two") for file in FILES]


def test_render_several_specs_are_a_fleet(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm("one.yaml", farm="one")
    farm("two.yaml", farm="two")
    cli("render", "haproxy", "--no-validate", "-s", "one.yaml", "-s", "two.yaml", "-s", "one.yaml", "-o", "several")
    assert sorted({path.partition("/")[0] for path in tree(tmp_path / "several")}) == ["one", "two"]
    cli("render", "haproxy", "--no-validate", "-s", "one.yaml", "-o", "alone")
    assert sorted(tree(tmp_path / "alone")) == FILES


def test_render_folder_with_one_spec_is_a_fleet(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm("farms/one.yaml", farm="one")
    cli("render", "haproxy", "--no-validate", "-s", "farms")
    assert sorted(tree(tmp_path / "outputs")) == [f"one/{file}" for file in FILES]


def test_fleet_invalid_farm_does_not_stop_other_farms(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm("farms/a.yaml", farm="a")
    farm("farms/b.yaml", farm="b", nodes=[])
    farm("farms/c.yaml", farm="c", balancer={"slow_start": "1s"})
    farm("farms/d.yaml", farm="d")
    (tmp_path / "farms/e.yaml").write_bytes(b"\0")
    ran = cli("render", "nginx", "--no-validate", "-s", "farms")
    assert ran.code == 4
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["a", "d"]
    assert "farms/b.yaml:" in ran.err
    assert "farms/c.yaml:" in ran.err
    assert "farms/e.yaml:1:1: is a binary file" in ran.err
    assert ran.err.endswith("2 of 5 farms written below outputs\n")


def test_fleet_with_equal_farm_names_is_refused(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm("a.yaml", farm="same", frontend={"host": "first.example"})
    farm("b.yaml", farm="SAME", frontend={"host": "second.example"})
    ran = cli("render", "haproxy", "--no-validate", "-s", "a.yaml", "-s", "b.yaml")
    assert ran.code == 3
    assert "b.yaml:2:11: farm: a.yaml already has the farm name SAME" in ran.err
    assert b"first.example" in (tmp_path / "outputs/same/haproxy/haproxy.cfg").read_bytes()
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["same"]


def test_diff_of_a_fleet(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm("farms/a.yaml", farm="a")
    farm("farms/b.yaml", farm="b")
    cli("render", "haproxy", "--no-validate", "-s", "farms")
    assert cli("render", "haproxy", "--diff", "-s", "farms").code == 0
    (tmp_path / "outputs/b/haproxy/haproxy.cfg").unlink()
    ran = cli("render", "haproxy", "--diff", "-s", "farms")
    assert ran.code == 1
    assert re.findall(r"^\+\+\+ (.*)", ran.out, re.MULTILINE) == ["outputs/b/haproxy/haproxy.cfg"]


# Files


def test_file_at_the_path_of_an_output_folder_is_an_error(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/haproxy").write_text("mine", encoding="utf-8")
    ran = cli("render", "haproxy", "--no-validate")
    assert ran.code == 1
    assert ran.err.startswith("nlbgen: outputs/haproxy/")
    assert (tmp_path / "outputs/haproxy").read_text(encoding="utf-8") == "mine"


def test_folder_at_the_path_of_an_output_file_is_an_error(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    (tmp_path / "outputs/haproxy/haproxy.cfg").mkdir(parents=True)
    ran = cli("render", "haproxy", "--no-validate")
    assert ran.code == 1
    assert "it is a folder" in ran.err
    assert not list((tmp_path / "outputs/haproxy").glob(".*"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_output_folder_below_proc_is_an_error(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    farm()
    ran = cli("render", "haproxy", "--no-validate", "-o", "/proc/nlbgen")
    assert ran.code == 1
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ["check", "-s", "x" * 300],
        ["render", "haproxy", "-s", "x" * 300],
        ["render", "haproxy", "--no-validate", "-o", "x" * 300],
        ["init", "--host", "a.b", "--node", "a=b", "--redis", "r.b", "-o", "x" * 300],
        ["check", "-s", "x/" * 3000],
    ],
    ids=lambda args: " ".join(args)[:30],
)
def test_file_name_that_is_too_long_is_an_error(
    args: list[str], cli: "RunCommand", farm: "Callable[..., Path]"
) -> None:
    farm()
    ran = cli(*args)
    assert ran.code in {1, 3}
    assert "File name too long" in ran.out + ran.err
    assert "Traceback" not in ran.err


WITHOUT_RIGHTS = """
import os, sys, traceback
import nlbgen.cli, nlbgen.generators.output, nlbgen.spec.reports
from nlbgen.generators.base import generator, render
from nlbgen.spec.load import loads
b"a".decode("utf-8-sig")
render(generator("haproxy"), loads(sys.stdin.read()))  # imports what the user nobody may not be able to read
if os.geteuid() == 0:
    os.seteuid(65534)
nlbgen.cli.main()
"""
"""Runs nlbgen as the user nobody if the tests run as root, because file permissions do not restrict root."""


@posix
@pytest.mark.parametrize(
    "args, said",
    [
        (["check", "-s", "folder"], "folder: cannot be read: Permission denied"),
        (["check", "-s", "folder/farm.yaml"], "folder/farm.yaml:1:1: cannot be read: permission denied"),
        (["check", "-s", "farm.yaml"], "farm.yaml:1:1: cannot be read: permission denied"),
        (["render", "haproxy", "-s", "folder", "-s", "farm.yaml"], "folder: cannot be read: Permission denied"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_unreadable_file_is_an_error(args: list[str], said: str, farm_data: "Callable[..., dict[str, Any]]") -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "folder").mkdir()
        for path in (folder / "farm.yaml", folder / "folder" / "farm.yaml"):
            path.write_text(json.dumps(farm_data()), encoding="utf-8")
        (folder / "folder").chmod(0)
        (folder / "farm.yaml").chmod(0)
        try:
            done = subprocess.run(
                [sys.executable, "-c", WITHOUT_RIGHTS, *args],
                input=json.dumps(farm_data()),
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            (folder / "folder").chmod(0o755)
    assert done.returncode in {1, 3}
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@posix
def test_read_only_folder_is_an_error(farm_data: "Callable[..., dict[str, Any]]") -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "farm.yaml").write_text(json.dumps(farm_data()), encoding="utf-8")
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, "render", "haproxy", "--no-validate"],
            input=json.dumps(farm_data()),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        folder.chmod(0o755)
    assert done.returncode == 1
    assert "outputs/haproxy/INSTALL.md: cannot be written: Permission denied" in done.stderr


@posix
def test_full_disk_leaves_the_old_file(farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm()
    subprocess.run([*NLBGEN, "render", "haproxy", "--no-validate"], cwd=tmp_path, check=True, capture_output=True)
    before = tree(tmp_path / "outputs")
    farm(frontend={"host": "other.example"})
    limit = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)); from nlbgen.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", limit, "render", "haproxy", "--no-validate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert tree(tmp_path / "outputs") == before


@posix
def test_kill_before_the_rename_leaves_the_old_file(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    cli("render", "haproxy", "--no-validate")
    before = tree(tmp_path / "outputs")
    farm(frontend={"host": "other.example"})
    kill = (
        "import os, pathlib, signal; from nlbgen.cli import main; "
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", kill, "render", "haproxy", "--no-validate"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    left = tree(tmp_path / "outputs")
    assert {name: left[name] for name in before} == before
    (half,) = left.keys() - before.keys()
    assert re.fullmatch(r"haproxy/\.\S+\.tmp", half)
    assert cli("render", "haproxy", "--no-validate").code == 0
    assert b"other.example" in (tmp_path / "outputs/haproxy/haproxy.cfg").read_bytes()


@posix
def test_written_files_have_the_mode_of_the_umask(
    shell: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    assert shell("render", "haproxy", "--no-validate").code == 0
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "outputs/haproxy/haproxy.cfg").stat().st_mode & 0o777 == 0o644 & ~umask


@pytest.mark.no_cover  # other tests reach the same lines
def test_render_same_farm_gives_the_same_bytes(farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm(
        frontend={"aliases": [f"alias-{number}.example" for number in range(9)]},
        balancer={"affinity": "cookie"},
        accept=sorted(known_ids()),
    )
    made = []
    for number, surroundings in enumerate(
        [
            {"PYTHONHASHSEED": "0"},
            {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
            {"PYTHONHASHSEED": "random", "HOME": "/nowhere", "USER": "someone", "HOSTNAME": "elsewhere"},
        ]
    ):
        args = [*NLBGEN, "render", "haproxy", "nginx", "--no-validate", "-o", f"run-{number}"]
        subprocess.run(args, cwd=tmp_path, env={**os.environ, **surroundings}, check=True, capture_output=True)
        made.append(tree(tmp_path / f"run-{number}"))
    assert made[0] == made[1] == made[2]
    other = tmp_path / "deeper" / "farm.yaml"
    other.parent.mkdir()
    shutil.copy(tmp_path / "farm.yaml", other)
    subprocess.run(
        [*NLBGEN, "render", "haproxy", "nginx", "--no-validate"], cwd=other.parent, check=True, capture_output=True
    )
    assert tree(other.parent / "outputs") == made[0]


def test_render_lists_files_of_an_earlier_run(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    vip = {"address": "10.20.0.10/24", "interface": "eth0", "balancers": ["a", "b"], "secret": {"env": "V"}}
    farm(frontend={"vip": vip})
    assert "not used" not in cli("render", "haproxy", "--no-validate").err
    farm()
    said = cli("render", "haproxy", "--no-validate").err.replace("\\", "/")
    for name in ("a/keepalived.conf", "b/keepalived.conf", "90-nlbgen-vip.conf", "INSTALL.md"):
        assert f"not used outputs/haproxy/keepalived/{name} (an earlier run wrote it" in said
    assert (tmp_path / "outputs" / "haproxy" / "keepalived" / "INSTALL.md").exists()


def test_all_skips_an_unsupported_vendor_that_is_not_named(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    ran = cli("render", "all", "--no-validate")
    assert ran.code == 0
    assert "skipped: zen: not in the spec, and not supported for this farm; `nlbgen render zen` lists" in ran.err
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"haproxy", "nginx", "f5"}


def test_all_renders_only_the_vendors_that_the_spec_names(
    cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm(haproxy={"version": "2.6"})
    ran = cli("render", "all", "--no-validate")
    assert ran.code == 0
    assert (
        "skipped: nginx, zen and f5: not in the spec; to render one of them, run for example `nlbgen render nginx`\n"
        in ran.err
    )
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"haproxy"}
    assert cli("render", "all", "nginx", "--no-validate").code == 0
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"haproxy", "nginx"}


@pytest.mark.parametrize(
    "args, changes", [(["zen", "haproxy"], {}), (["all", "zen"], {}), (["all"], {"zen": {"product": "relianoid"}})]
)
def test_all_does_not_skip_a_named_vendor(
    args: list[str], changes: dict[str, object], cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm(**changes)
    ran = cli("render", *args, "--no-validate")
    assert ran.code == 4
    assert "[zen-least-connections]" in ran.err
    assert not (tmp_path / "outputs").exists()


# Pipes and faults


@posix
@pytest.mark.parametrize(
    "args",
    [
        ["schema"],
        ["vendors"],
        ["check"],
        ["render", "haproxy", "--stdout", "--no-validate"],
        ["render", "haproxy", "--diff"],
    ],
    ids=" ".join,
)
def test_closed_pipe_ends_without_a_traceback(args: list[str], farm: "Callable[..., Path]", tmp_path: Path) -> None:
    farm(stores={"signalr": "sqlserver"})
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*NLBGEN, *args], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_internal_error_exits_70_and_asks_for_a_report(
    cli: "RunCommand", farm: "Callable[..., Path]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    farm()
    environment: dict[str, object] = {}
    monkeypatch.setattr(templating, "environment", lambda: environment["no such template"])
    ran = cli("render", "haproxy", "--no-validate")
    assert (ran.code, ran.out) == (70, "")
    assert "Traceback (most recent call last)" in ran.err
    assert ran.err.endswith("internal error (a bug in nlbgen): please report it with the command and the text above\n")
    assert not (tmp_path / "outputs").exists()


@posix
@pytest.mark.parametrize(
    "args", [["schema"], ["vendors"], ["render", "haproxy", "--stdout", "--no-validate"]], ids=" ".join
)
def test_full_disk_behind_standard_output_is_an_error(
    args: list[str], farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("POSIX systems other than Linux have no /dev/full")
    farm()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*NLBGEN, *args], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "nlbgen: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    "args",
    [
        ["render", "haproxy", "-s", ""],
        ["render", "haproxy", "-o", ""],
        ["check", "-s", ""],
        ["render", "zen", "-o", "-"],
    ],
    ids=" ".join,
)
def test_empty_path_and_dash_are_usage_errors(
    args: list[str], cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path
) -> None:
    farm()
    before = tree(tmp_path)
    ran = cli(*args)
    assert ran.code == 2
    assert "the path is empty" in ran.err or "does not support -" in ran.err
    assert tree(tmp_path) == before


def test_command_for_one_spec_refuses_two_specs(cli: "RunCommand", farm: "Callable[..., Path]", tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        farm(name)
    ran = cli("bundle", "export", "-s", "a.yaml", "-s", "b.yaml")
    assert (ran.code, "takes one spec" in ran.err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]


def test_check_reports_two_farms_with_one_name(cli: "RunCommand", farm: "Callable[..., Path]") -> None:
    for name in ("a.yaml", "b.yaml"):
        farm(name)
    ran = cli("check", "-s", "a.yaml", "-s", "b.yaml")
    assert ran.code == 3
    assert "b.yaml:2:11: farm: a.yaml already has the farm name orchestrator-test" in ran.out
    assert "[farm-names]" in ran.out


@pytest.mark.parametrize(
    "string, written, expected",
    [
        (
            "10.9.0.1:6379,10.9.0.2:6379,10.9.0.3:6380,password=x,connectTimeout=15000",
            (
                'redis: {endpoints: ["10.9.0.1:6379", "10.9.0.2:6379", "10.9.0.3:6380"], password: '
                '{env: NLBGEN_REDIS_PASSWORD}, options: {connectTimeout: "15000"}}'
            ),
            0,
        ),
        ("localhost:6379,password=x", "redis: {host: localhost, port: 6379, password:", 3),
        ("127.0.0.1", "redis: {host: 127.0.0.1, port: 6379}", 3),
    ],
    ids=["three endpoints", "localhost", "loopback"],
)
def test_init_from_keeps_each_server_of_redis_as_the_file_names_it(
    cli: "RunCommand", tmp_path: Path, string: str, written: str, expected: int
) -> None:
    """No server is dropped and none is invented; `check` reports a Redis on loopback."""
    raw = (Path(__file__).parents[2] / "examples" / "inputs" / "orch-1" / "web.config").read_bytes().decode("utf-8-sig")
    raw = re.sub(r'(key="LoadBalancer\.Redis\.ConnectionString"\s+value=)"[^"]*"', rf'\1"{string}"', raw)
    (tmp_path / "web.config").write_text(
        re.sub(r'(key="LoadBalancer\.UseRedis"\s+value=)"[^"]*"', r'\1"true"', raw), encoding="utf-8"
    )
    nodes = ["--node", "orch-1=10.0.0.1", "--node", "orch-2=10.0.0.2"]
    ran = cli("init", "--from", "web.config", "--host", "orchestrator.corp.example", *nodes)
    assert ran.code == 0
    assert written in (tmp_path / "farm.yaml").read_text(encoding="utf-8")
    assert ("redis-loopback" in ran.out + ran.err) is (expected == 3)
    assert cli("check").code == expected
