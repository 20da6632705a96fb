"""Change the code in small ways, and list the changes that no test notices: `make mutants`.

    python tests/tools/mutants.py spec/rules nodes/config     these rooms of the package
    python tests/tools/mutants.py nodes:11 push/f5:43         each 11th and each 43rd mutant of them

mutmut makes the mutants. All of a room are in one copy of the committed tree, `.mutants/SUITE/nlbgen`, and a variable
of the environment selects the one that runs. mutmut's own runner starts pytest for each mutant and collects its tests
again. This one collects them once, and forks a process for each mutant. The test that noticed a function's last mutant
is the first to run for the next; most mutants end after one test.

Tests with traffic, ansible-lint, and tests that take longer than SLOW take no part: what only they notice is listed.
`.mutants/SUITE/results.json` keeps what was noticed, as long as the function remains the same. A second run repeats
what remained, and also runs what is new.
"""

import argparse
import contextlib
import difflib
import gc
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, TypedDict

import pytest

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SCRATCH: Final = CHECKOUT / ".mutants"


class Suite(NamedTuple):
    """Rooms of the package, and the tests that hold them: they share a copy of the tree."""

    tests: tuple[str, ...]
    rooms: tuple[str, ...]


SUITES: Final = {
    "rules": Suite(("spec", "commands/test_golden_errors.py"), ("spec/rules",)),
    "generators": Suite(
        (
            "generators/test_golden.py",
            "generators/test_generators.py",
            "generators/test_views.py",
            "generators/test_validate.py",
            "generators/test_toy_vendor.py",
            "commands/test_golden_errors.py",
            "export/test_ansible.py",
        ),
        ("generators/haproxy", "generators/nginx", "generators"),
    ),
    "nodes": Suite(("nodes", "commands/test_golden_errors.py"), ("nodes/config", "nodes", "nodes/prepare")),
    "f5": Suite(
        ("generators/test_f5_render.py", "f5"),
        ("generators/f5", "push/f5", "push", "push/f5/rest", "push/f5/as3", "push/f5/soap"),
    ),
    "zen": Suite(
        ("generators/test_zen_render.py", "generators/test_zen_dialect.py", "zen"),
        ("generators/zen", "push/zen", "generators/zen/check"),
    ),
}
"""The rooms that decide what is rendered and changed, by the harm that a wrong line in them does."""
ROOMS: Final = tuple(room for suite in SUITES.values() for room in suite.rooms)
LEFT_OUT: Final = "not slow and not alone and not haproxy and not nginx and not redis and not chromium"
SLOW: Final = 1.0
"""Seconds of processor time, with that of the programs that a test starts."""
TOTAL: Final = 6.0
"""Seconds for one mutant: the shortest tests that call its function, as many as fit."""
NOTICED: Final = ("noticed", "endless")
UNCALLED: Final = "not called"


def main() -> int:
    """Run the rooms that the command line names, all of them without a name; list the mutants that remain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM[:N]", type=sample, help="each N-th mutant of these rooms")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="show what remained so far, and run nothing")
    arguments = parser.parse_args()
    asked = dict(arguments.rooms) or dict.fromkeys(ROOMS, 1)
    for name, suite in SUITES.items():
        rooms = {room: asked[room] for room in suite.rooms if room in asked}
        if rooms and not arguments.list:
            # A process of its own for each suite: the copies are packages of the same name.
            process = os.fork() or run(SCRATCH / name, suite.tests, rooms, arguments.jobs)
            os.waitpid(process, 0)
        for room in rooms:
            report(SCRATCH / name, room)
    return 0


def sample(text: str) -> tuple[str, int]:
    """A room, and which of its mutants to run: `nodes:11` is each 11th of nodes/."""
    room, _, every = text.partition(":")
    if room not in ROOMS or not re.fullmatch(r"[1-9]\d*", every or "1"):
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(ROOMS)}")
    return room, int(every or 1)


def run(folder: Path, tests: tuple[str, ...], rooms: dict[str, int], jobs: int) -> NoReturn:
    """Run samples of the rooms of one suite, and exit."""
    copy(folder)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    plugin = Runner(folder / "results.json", {room: mutate(folder, room) for room in rooms}, rooms, jobs)
    # How a test fails is of no interest, and takes longer than the test.
    options = ["--assert=plain", "--tb=no", "-qs", "-pno:cacheprovider", "-m", LEFT_OUT, "-k", "not ansible_lint"]
    code = pytest.main([*options, *(f"nlbgen/tests/{test}" for test in tests)], plugins=[plugin])
    sys.stdout.flush()
    os._exit(code)


# Making the mutants.


class Mutant(NamedTuple):
    """A change of one function."""

    name: str
    """As mutmut selects it: the module and the name of the changed function."""
    function: str
    """As mutmut counts calls of it."""
    change: str
    """The lines that differ."""
    digest: str
    """Of the function's source before and after."""


def copy(folder: Path) -> None:
    """Copy the committed tree, and write the settings of mutmut and pytest beside it."""
    for name in ("nlbgen", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
        archive.extractall(folder / "nlbgen", filter="data")
    (folder / "pyproject.toml").write_text('[tool.mutmut]\nsource_paths = ["nlbgen"]\n', encoding="utf-8")
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.pytest.ini_options]")[2]
    markers = settings.partition("markers = [")[2].partition("]")[0]
    lines = [line.strip().strip(",").strip('"') for line in markers.splitlines() if line.strip()]
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\nmarkers =\n" + "".join(f"    {line}\n" for line in lines),
        encoding="utf-8",
    )


def mutate(folder: Path, room: str) -> list[Mutant]:
    """Put all mutants of a room into the copy of the tree."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    mutants = []
    for path in sorted((folder / "nlbgen" / room).glob("*.py")):
        mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        path.write_text(mutated.code, encoding="utf-8")
        module = ".".join(path.relative_to(folder).with_suffix("").parts)
        source = mutated.code.splitlines()
        bodies = {name: source[span.start - 1 : span.end] for name, span in mutated.line_span_by_function_name.items()}
        for name in mutated.mutant_names:
            function = function_of(name)
            before, after = bodies[f"{function}__mutmut_orig"], bodies[name]
            digest = hashlib.sha256("\n".join([module, *before, *after]).encode()).hexdigest()[:16]
            mutants.append(Mutant(f"{module}.{name}", f"{module}.{function}", changed(before, after), digest))
    return mutants


def changed(before: list[str], after: list[str]) -> str:
    """The lines that differ, but for the name of the function."""
    name = re.compile(r"__mutmut_(?:\d+|orig)")
    old, new = ([name.sub("", line) for line in lines] for lines in (before, after))
    return "\n".join(line for line in list(difflib.unified_diff(old, new, n=0))[2:] if not line.startswith("@@"))


# Running them.


class Verdict(TypedDict):
    """What became of a mutant."""

    verdict: str
    room: str
    name: str
    change: str
    test: str


@dataclass
class Learned:
    """What one run of all tests without a mutant showed."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Processor time by the id of the test."""
    called: dict[str, list[str]] = field(default_factory=dict)
    """The tests that call a function."""
    failed: list[str] = field(default_factory=list)


class Runner:
    """A plugin of pytest that runs the collected tests once for each mutant."""

    def __init__(self, results: Path, mutants: dict[str, list[Mutant]], rooms: dict[str, int], jobs: int) -> None:
        self._results = results
        self._mutants = mutants
        self._rooms = rooms
        self._jobs = jobs
        self._verdicts: dict[str, Verdict] = {}
        self._running: dict[int, tuple[str, Mutant, int]] = {}
        self._first: dict[str, list[str]] = {}
        self._failed = False
        self._saved = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember that the test failed."""
        self._failed = self._failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which test calls which function, then run the mutants."""
        items = {item.nodeid: item for item in session.items}
        known = json.loads(self._results.read_text(encoding="utf-8")) if self._results.exists() else {}
        possible = {mutant.digest for mutants in self._mutants.values() for mutant in mutants}
        self._verdicts = {
            digest: verdict
            for digest, verdict in known.items()
            if digest in possible or verdict["room"] not in self._mutants
        }
        learned = self._learn(session.items)
        if learned.failed:
            print("\nleft out, because they fail without a mutant:", *learned.failed, sep="\n  ", flush=True)
        print(f"\n{len(items)} tests, {sum(learned.seconds.values()):.0f} s", flush=True)
        gc.freeze()  # what a collection of garbage touches is copied for each process
        for room, mutants in self._mutants.items():
            print(f"{room}: {len(mutants)} mutants", flush=True)
            for number, mutant in enumerate(mutants):
                verdict = known.get(mutant.digest, {}).get("verdict")
                if verdict not in NOTICED and (verdict or number % self._rooms[room] == 0):
                    self._start(room, mutant, [items[test] for test in self._chosen(mutant, learned)], learned)
        while self._running:
            self._wait()
        self._save()
        return True

    def _chosen(self, mutant: Mutant, learned: Learned) -> list[str]:
        """The tests for a mutant, in order: those that noticed others of its function, then the shortest."""
        called = {test for test in learned.called.get(mutant.function, ()) if learned.seconds[test] <= SLOW}
        called.difference_update(learned.failed)
        first = [test for test in self._first.get(mutant.function, []) if test in called]
        rest = sorted(called.difference(first), key=lambda test: (learned.seconds[test], test))
        total = itertools.accumulate(learned.seconds[test] for test in [*first, *rest])
        return [test for test, seconds in zip([*first, *rest], total, strict=True) if seconds <= TOTAL]

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        """Run one test; whether it passed."""
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self._failed

    def _learn(self, items: list[pytest.Item]) -> Learned:
        """Run all tests without a mutant, in a process of its own: what they cache must not reach the mutants."""
        from mutmut.mutation.trampoline import set_mutant_under_test
        from mutmut.state import state

        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            learned = Learned()
            set_mutant_under_test("stats")
            with quiet():
                for item, following in zip(items, [*items[1:], None], strict=True):
                    state()._stats.clear()
                    begin = sum(os.times()[:4])
                    if not self._run(item, following):
                        learned.failed.append(item.nodeid)
                    learned.seconds[item.nodeid] = sum(os.times()[:4]) - begin
                    for function in state()._stats:
                        learned.called.setdefault(function, []).append(item.nodeid)
            with os.fdopen(writing, "w", encoding="utf-8") as stream:
                json.dump(vars(learned), stream)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as stream:
            learned = Learned(**json.load(stream))
        os.waitpid(process, 0)
        return learned

    def _start(self, room: str, mutant: Mutant, tests: list[pytest.Item], learned: Learned) -> None:
        """Run tests with a mutant until one fails, in a process that writes the test's id into a pipe."""
        import resource
        import signal

        from mutmut.mutation.trampoline import set_mutant_under_test

        if not tests:
            self._keep(room, mutant, UNCALLED, "")
            return
        while len(self._running) >= self._jobs:
            self._wait()
        limit = 10 + 10 * int(sum(learned.seconds[test.nodeid] for test in tests))
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            signal.alarm(20 * limit)
            set_mutant_under_test(mutant.name)
            with quiet():
                for item, following in zip(tests, [*tests[1:], None], strict=True):
                    if not self._run(item, following):
                        os.write(writing, item.nodeid.encode())
                        break
            os._exit(0)
        os.close(writing)
        self._running[process] = (room, mutant, reading)

    def _wait(self) -> None:
        process, status = os.wait()
        room, mutant, reading = self._running.pop(process)
        with os.fdopen(reading, encoding="utf-8") as stream:
            test = stream.read()
        if test:
            first = self._first.setdefault(mutant.function, [])
            self._first[mutant.function] = [test, *(each for each in first if each != test)]
        self._keep(room, mutant, "noticed" if test else "endless" if status else "not noticed", test)

    def _keep(self, room: str, mutant: Mutant, verdict: str, test: str) -> None:
        self._verdicts[mutant.digest] = Verdict(
            verdict=verdict, room=room, name=mutant.name, change=mutant.change, test=test
        )
        if time.monotonic() > self._saved + 10:
            self._save()

    def _save(self) -> None:
        self._results.write_text(json.dumps(self._verdicts, indent=1), encoding="utf-8")
        self._saved = time.monotonic()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Print nothing, and keep temporary files in a folder that is removed."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = root = tempfile.mkdtemp(dir="tmp")
    try:
        yield
    finally:
        shutil.rmtree(root, ignore_errors=True)


# Reporting.


def report(folder: Path, room: str) -> None:
    """Print the figures of a room, and each change that remained."""
    results = folder / "results.json"
    known = json.loads(results.read_text(encoding="utf-8")).values() if results.exists() else []
    verdicts = [verdict for verdict in known if verdict["room"] == room]
    counts = Counter(verdict["verdict"] for verdict in verdicts)
    print(f"{room}: {len(verdicts)} mutants, {sum(counts[each] for each in NOTICED)} noticed; {dict(counts)}")
    for function, number in Counter(
        function_of(each["name"]) for each in verdicts if each["verdict"] == UNCALLED
    ).items():
        print(f"no test calls {function}: {number} mutants")
    for verdict in verdicts:
        if verdict["verdict"] not in {*NOTICED, UNCALLED}:
            print(f"\n{verdict['name']}: {verdict['verdict']}\n{verdict['change']}")


def function_of(mutant: str) -> str:
    """The name that a mutant shares with the others of its function."""
    return re.sub(r"__mutmut_\d+$", "", mutant)


if __name__ == "__main__":
    sys.exit(main())
