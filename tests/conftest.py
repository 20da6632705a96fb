"""What all tests share: `--update-golden`, the real programs, and nlbgen's command line as a user runs it.

A test that needs a real program carries its marker (`haproxy`, `nginx`, `redis`, `prometheus`, `chromium`) and is
skipped where the program is missing; with NLBGEN_REQUIRE_PROGRAMS=1 in the environment it fails there. Other versions
of HAProxy and NGINX are looked for in `.programs/` (`tests/tools/programs.py` makes it); what needs one of them is
skipped without.
"""

import contextlib
import copy
import importlib
import json
import os
import pkgutil
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, settings

import nlbgen
from nlbgen import cli as command_line
from nlbgen.generators import validate
from nlbgen.generators.base import generator, render
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Version

CHECKOUT = Path(__file__).resolve().parents[1]
BINARIES = {
    "haproxy": "haproxy",
    "nginx": "nginx",
    "redis": "redis-server",
    "tclsh": "tclsh",
    "prometheus": "promtool",
    "chromium": "chromedriver",
    "minisign": "minisign",
}
"""The program behind each marker."""
SUBPROCESS_SECONDS = 60
COMPLAINT = re.compile(r"\[\s*(?:warning|warn|alert|emerg)\s*\]", re.IGNORECASE)
"""How HAProxy and NGINX begin what they complain of, also where their exit code is 0."""

# The same examples in every run, none kept on disk. HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("fixed"), derandomize=False, max_examples=2000)
# For mutants.py, which needs to know that a test fails, not the smallest example.
settings.register_profile("mutants", settings.get_profile("fixed"), phases=(Phase.explicit, Phase.generate))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests find into the golden files instead of comparing with them",
    )
    parser.addoption(
        "--sample", type=int, metavar="N", help="run at most N parameter sets of each test function, evenly spaced"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, binary in BINARIES.items():
        if item.get_closest_marker(marker) and find_binary(binary) is None:
            if os.environ.get("NLBGEN_REQUIRE_PROGRAMS") == "1":
                pytest.fail(f"{binary} is not installed, and NLBGEN_REQUIRE_PROGRAMS=1 asks for it", pytrace=False)
            pytest.skip(f"{binary} is not installed")


def pytest_collection(session: pytest.Session) -> None:
    """Import each module before the tests if coverage is measured.

    Otherwise a test without coverage may import a module first, and the lines that run at the import do not count.
    """
    if session.config.pluginmanager.hasplugin("_cov"):
        for module in pkgutil.walk_packages(nlbgen.__path__, "nlbgen."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Property tests run without coverage: tracing doubles their time, and examples of their own reach each line.

    With `--sample`, the other parameter sets are deselected.
    """
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)
    if most := config.getoption("--sample"):
        kept = sampled(items, most)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


def sampled(items: list[pytest.Item], most: int) -> set[pytest.Item]:
    """The tests of each function, or `most` of them at the same distances, so that the first one is always there."""
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        functions.setdefault(item.nodeid.partition("[")[0], []).append(item)
    counted = [(each, min(most, len(each))) for each in functions.values()]
    return {each[at * len(each) // count] for each, count in counted for at in range(count)}


@cache
def find_binary(name: str) -> str | None:
    """The program's path; Debian keeps daemons outside a user's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


# The real programs.


@dataclass(frozen=True)
class Program:
    """A real HAProxy or NGINX of `.programs/`."""

    vendor: str
    version: Version
    openssl: Version
    path: str
    modules: str

    def __str__(self) -> str:
        return f"{self.vendor} {self.version} with OpenSSL {self.openssl}"


class Programs:
    """The versions of HAProxy and NGINX that `.programs/` holds."""

    def __init__(self, listing: Path) -> None:
        entries = json.loads(listing.read_text(encoding="utf-8")).values() if listing.exists() else []
        self.all = [
            Program(
                entry["program"],
                Version(entry["version"]),
                Version(re.sub(r"[a-z]+$", "", entry["openssl"])),
                entry["path"],
                entry["modules"],
            )
            for entry in entries
            if entry["program"] in {"haproxy", "nginx"} and os.access(entry["path"], os.X_OK)
        ]

    def named(self, name: str) -> Program:
        """The program of a series, as in `haproxy-3.0`; skips the test without it."""
        for program in self.all:
            if name == f"{program.vendor}-{'.'.join(map(str, series(program.version)))}":
                return program
        pytest.skip(f"no {name} in .programs: run tests/tools/programs.py")

    def judge(self, vendor: str, wanted: Version, openssl: Version) -> Program:
        """The nearest program from the wanted series on, or the newest one below it; skips the test without one.

        A configuration for OpenSSL 3.5 names a group that older libraries refuse.
        """
        fitting = [
            program
            for program in sorted(self.all, key=lambda program: program.version)
            if program.vendor == vendor and (openssl < Version("3.5") or program.openssl >= Version("3.5"))
        ]
        later = [program for program in fitting if series(program.version) >= series(wanted)]
        found = [*later[:1], *fitting[-1:]]
        if not found or (not later and vendor == "nginx" and fitting[-1].version < Version("1.30")):
            pytest.skip(f"no {vendor} for {wanted} with OpenSSL {openssl} in .programs: run tests/tools/programs.py")
        return found[0]

    def complaint(self, program: Program, spec: Spec, folder: Path) -> str | None:
        """Return this program's error for a farm's configuration, relocated as by `nlbgen render`; None if it accepts
        it.

        If this machine has IPv6, the relocated configuration also listens on IPv6 where the farm does.
        """
        vendor = generator(program.vendor)
        listen = spec.farm.frontend.address
        with validate.relocation(spec.farm, folder) as (moved, site):
            farm = moved
            if has_ipv6() and (listen == "*" or ":" in listen):
                farm = moved.replace(frontend=moved.frontend.replace(address="*" if listen == "*" else "::1"))
            main = next(file for file in render(vendor, spec._replace(farm=farm), site) if file.main)
            return self.objection(program, main.content, folder / main.path)

    def objection(self, program: Program, content: bytes, path: Path) -> str | None:
        """Return this program's error for a configuration, written to `path`; None if it accepts the text."""
        if program.modules:
            # The host's modules belong to the host's NGINX.
            own = f"load_module {program.modules}/ngx_stream_module.so;".encode()
            content = content.replace(b"include /etc/nginx/modules-enabled/*.conf;", own)
        path.write_bytes(content)
        check = generator(program.vendor).check_command(path, program.version)
        done = subprocess.run(
            [program.path, *check],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SUBPROCESS_SECONDS,
            check=False,
        )
        if done.returncode == 0 and not COMPLAINT.search(done.stdout):
            return None
        return done.stdout or f"exit code {done.returncode}"


@cache
def has_ipv6() -> bool:
    """Whether this machine can listen on IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def series(version: Version) -> tuple[int, ...]:
    return version.parts[:2]


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The other versions of HAProxy and NGINX, for tests of version gates."""
    return Programs(CHECKOUT / ".programs" / "programs.json")


# Farms.


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


FARM: Mapping[str, Any] = {
    "farm": "orchestrator-test",
    "orchestrator": {"version": "2019.4"},
    "frontend": {"host": "orchestrator.corp.example", "tls": {"verify_nodes": "/etc/ssl/orchestrator/ca.pem"}},
    "nodes": [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.12"}],
    "stores": {"signalr": "redis", "redis": {"host": "redis.corp.example", "port": 6379}},
}
"""A farm without a problem or a warning."""


@pytest.fixture
def farm_data() -> Callable[..., dict[str, Any]]:
    """Makes the data of a farm without problems, with the changes that are given."""
    return lambda **changes: copy.deepcopy(merged(FARM, changes))


@pytest.fixture
def make_spec(farm_data: Callable[..., dict[str, Any]]) -> Callable[..., Spec]:
    """Makes the spec of a farm without problems, with the changes that are given."""
    return lambda **changes: loads(json.dumps(farm_data(**changes), ensure_ascii=False))


# The command line.


@dataclass(frozen=True)
class Ran:
    """What a command has left: its exit code and its two outputs."""

    code: int
    out: str
    err: str


RunCommand = Callable[..., Ran]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunCommand:
    """Runs `nlbgen ARGS` in this process, through the same `main` that the installed command calls.

    Takes `cwd` (default: the test's own folder), `stdin` and `env`.
    """
    # click names the command after the program that runs, which is pytest here.
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None)

    def run(*args: str | Path, cwd: Path = tmp_path, stdin: str = "", env: Mapping[str, str] | None = None) -> Ran:
        code = 0
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.chdir(cwd))
            context = stack.enter_context(monkeypatch.context())
            context.setattr(sys, "argv", ["nlbgen", *map(str, args)])
            out, err, _both = stack.enter_context(CliRunner().isolation(stdin, env={"COLUMNS": "120", **(env or {})}))
            try:
                command_line.main()
            except SystemExit as done:
                assert done.code is None or isinstance(done.code, int)
                code = done.code or 0
            sys.stdout.flush()
            texts = out.getvalue().decode("utf-8"), err.getvalue().decode("utf-8")
        return Ran(code, *texts)

    return run


@pytest.fixture
def shell(tmp_path: Path) -> RunCommand:
    """Runs the installed command `nlbgen ARGS` as a process of its own; takes what `cli` takes."""
    command = shutil.which("nlbgen", path=Path(sys.executable).parent)
    assert command, "nlbgen is not installed beside this Python: pip install -e ."

    def run(*args: str | Path, cwd: Path = tmp_path, stdin: str = "", env: Mapping[str, str] | None = None) -> Ran:
        done = subprocess.run(
            [command, *map(str, args)],
            input=stdin.encode(),
            capture_output=True,
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120", **(env or {})},
            timeout=SUBPROCESS_SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return run


@pytest.fixture
def default_signals() -> Iterator[None]:
    """The processes that the test starts do not ignore interrupts, also if this one does.

    `nohup` and a shell's background jobs ignore some signals, and children inherit that. They do not inherit a handler.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [signal.Signals[name] for name in names if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda _number, _frame: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True)
class Screen:
    """What a command has left on a terminal: its exit code, what it has sent, and the lines that an emulator shows."""

    code: int
    sent: str
    lines: tuple[str, ...]
    cells: Any

    @property
    def text(self) -> str:
        """What it has sent, without colours and hyperlinks."""
        return re.sub(r"\x1b(?:\[[0-9;]*m|\]8;[^\x1b]*\x1b\\)", "", self.sent)

    def colours(self, word: str) -> set[str]:
        """The colours in which the emulator shows a word, wherever it stands."""
        pattern = re.compile(rf"(?<!\S){re.escape(word)}(?!\S)")
        return {
            self.cells[y][found.start()].fg for y, line in enumerate(self.lines) for found in pattern.finditer(line)
        }


RunOnTerminal = Callable[..., Screen]


@pytest.fixture
def terminal(tmp_path: Path) -> RunOnTerminal:
    """Runs `nlbgen ARGS` on a terminal with this number of columns; `answer` is typed at the first prompt."""

    def run(*args: str | Path, columns: int = 80, answer: str = "", env: Mapping[str, str] | None = None) -> Screen:
        import fcntl
        import pty
        import struct
        import termios

        import pyte

        unset = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"}
        around = {name: value for name, value in os.environ.items() if name not in unset}
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        with subprocess.Popen(
            [sys.executable, "-m", "nlbgen", *map(str, args)],
            cwd=tmp_path,
            stdin=slave if answer else subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            env={**around, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **(env or {})},
        ) as process:
            os.close(slave)
            sent = b""
            while select.select([master], [], [], SUBPROCESS_SECONDS)[0]:
                try:
                    part = os.read(master, 65536)
                except OSError:  # Linux reports this when the other side has closed
                    part = b""
                if not part:
                    break
                sent += part
                if answer and sent.endswith(b"]: "):
                    os.write(master, f"{answer}\n".encode())
                    answer = ""
            code = process.wait(SUBPROCESS_SECONDS)
        os.close(master)
        screen = pyte.Screen(columns, sent.count(b"\n") * 3 + 10)
        pyte.ByteStream(screen).feed(sent)
        lines = tuple(line.rstrip() for line in screen.display)
        return Screen(code, sent.decode("utf-8").replace("\r\n", "\n"), lines, screen.buffer)

    return run


# In CI nothing may be missing.

MAY_BE_SKIPPED = re.compile(
    # Debian has no package of PowerShell.
    r"\.\./shared|recorded \w+ are not at hand|not Windows|POSIX|for Windows|pwsh is not installed"
    r"|got empty parameter set for \((?!build\b|haproxy\b|nginx\b|program\b)",
    re.IGNORECASE,
)
"""Why a test may be skipped even where NLBGEN_REQUIRE_PROGRAMS is set; a list of versions must not be empty."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With NLBGEN_REQUIRE_PROGRAMS a skipped test is a failure, unless it is about other machines."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("NLBGEN_REQUIRE_PROGRAMS") != "1" or reporter is None:
        return
    reasons = [str(report.longrepr[2]) for report in reporter.stats.get("skipped", [])]
    refused = [reason for reason in reasons if not MAY_BE_SKIPPED.search(reason)]
    if refused:
        reporter.write_line(f"\nskipped, and NLBGEN_REQUIRE_PROGRAMS=1 allows no skips: {refused}", red=True)
        session.exitstatus = 1
