"""What the benchmarks share: timing of commands, the machine, the place in the documentation."""

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
EXAMPLE = ROOT / "examples" / "farm.yaml"
NLBGEN = Path(sys.executable).parent / "nlbgen"


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(*command: str | Path) -> None:
    """Run a command to its end, in silence, with compiled modules kept as on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([str(word) for word in command], check=True, capture_output=True, env=kept)


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the times of each case. The cases alternate, so that other work of the machine affects all of them
    equally.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            times[name].append(seconds(work))
    return times


def middle(times: Sequence[float]) -> float:
    """The median."""
    return statistics.median(times)


def machine() -> str:
    """What this was measured on, without a name of the machine."""
    return (
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()}, "
        f"Python {platform.python_version()}; medians, with the range in brackets"
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists() and (found := re.search(r"model name\s*: (.*)", path.read_text(encoding="utf-8"))):
        return found[1]
    return platform.machine()


def publish(name: str, lines: Sequence[str]) -> None:
    """Print the result and put it into its place in docs/performance.md."""
    text = "\n".join(lines)
    print(f"{name}\n{text}\n")
    page = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{PAGE} has no place for bench:{name}")
    PAGE.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page), encoding="utf-8", newline="\n")
