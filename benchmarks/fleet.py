"""Fleets: thousands of farms in one process, against a script that does the same job with bare libraries.

The script reads each YAML file by PyYAML's C loader, renders ready-made views by the same compiled templates in a plain
Jinja2 environment, and writes the files plainly: no places, no checks, no digest, no guard, no atomic replacement. What
the template calls alone take is shown as well.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jinja2
import yaml
from measure import EXAMPLE, NLBGEN, machine, middle, publish

from nlbgen.core import templating
from nlbgen.generators import base
from nlbgen.spec.load import load

VENDORS = ("haproxy", "nginx")
SIZES = (1_000, 2_000, 10_000)
REPEATS = 3
BAR = 1.9


def make_farms(folder: Path, count: int) -> None:
    """`count` farms like the example, each with a name and addresses of its own."""
    folder.mkdir()
    text = EXAMPLE.read_text(encoding="utf-8")
    for number in range(count):
        farm = text.replace("farm: orchestrator-prod", f"farm: farm-{number:05}")
        farm = farm.replace("10.20.0.1", f"10.{number // 200}.{number % 200}.1")
        (folder / f"farm-{number:05}.yaml").write_text(farm, encoding="utf-8")


def views() -> list[tuple[str, str, dict[str, object]]]:
    """Vendor/path, template and view of every file of the example farm."""
    spec = load(EXAMPLE)
    found = []
    for name in VENDORS:
        vendor = base.generator(name)
        job = base.prepare(vendor, spec, base.Site())
        header = base.header_lines(vendor, job)
        found += [(f"{name}/{f.path}", f.template, {**f.view, "header": header}) for f in vendor.files(job)]
    return found


def bare(specs: Path | None, output: Path, count: int) -> float:
    """Seconds of the bare script; without `specs` only the template calls."""
    environment = jinja2.Environment(
        loader=templating.environment().loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    templates = [(path, environment.get_template(template), view) for path, template, view in views()]
    start = time.perf_counter()
    for file in sorted(specs.iterdir()) if specs else [None] * count:
        if file is not None:
            yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
        for path, template, view in templates:
            text = template.render(view)
            if file is not None:
                target = output / file.stem / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
    return time.perf_counter() - start


def ours(specs: Path, output: Path) -> tuple[float, int]:
    """Seconds of `nlbgen render`, start-up included, and its peak memory in MB."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [NLBGEN, "render", *VENDORS, "--no-validate", "-s", specs, "-o", output],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit("nlbgen failed")
    return time.perf_counter() - start, usage.ru_maxrss // 1024


def main() -> bool:
    """Measure, publish, and return whether the threshold is passed."""
    rows, held = [], True
    for count in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            make_farms(folder / "farms", count)
            calls = bare(None, folder, count)
            pairs = []
            for number in range(REPEATS if count < max(SIZES) else 1):
                reference = bare(folder / "farms", folder / f"bare-{number}", count)
                pairs.append((reference, *ours(folder / "farms", folder / f"ours-{number}")))
        reference, own = middle([pair[0] for pair in pairs]), middle([pair[1] for pair in pairs])
        memory = max(pair[2] for pair in pairs)
        held = held and own / reference <= BAR
        rows.append(
            f"| {count} | {own:.2f} s ({own / count * 1000:.2f} ms) | {memory} MB | {reference:.2f} s "
            f"| {own / reference:.2f} | {BAR} | {calls:.2f} s |"
        )
    publish(
        "fleet",
        [
            f"{machine()}.",
            "",
            (
                "| Farms | nlbgen: all farms (one farm) | Peak memory of nlbgen | Bare libraries | Ratio | Threshold "
                "| Bare libraries, only the template calls |"
            ),
            "|---|---|---|---|---|---|---|",
            *rows,
        ],
    )
    return held


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(not main())
