"""One farm of many nodes: reading, checking and rendering are linear in the nodes."""

import sys
from functools import partial

from measure import machine, middle, publish, seconds

from nlbgen.generators.base import generator, render
from nlbgen.spec.load import loads

SIZES = (250, 500, 1_000, 2_000, 4_000)
REPEATS = 5
BAR = 1.5
"""The cost of a node in the largest farm may be so many times that in the smallest."""


def spec_text(count: int) -> str:
    """A farm of `count` nodes."""
    nodes = "".join(f"  - {{name: n{n}, address: 10.{n // 200}.{n % 200}.7}}\n" for n in range(count))
    return f'farm: big\norchestrator: {{version: "2019.4"}}\nfrontend: {{host: farm.corp.example}}\nnodes:\n{nodes}'


def main() -> bool:
    """Measure, publish, and return whether the threshold is passed."""
    for name in ("haproxy", "nginx"):
        render(generator(name), loads(spec_text(2)))  # templates are compiled once for all
    rows, each = [], []
    for count in SIZES:
        text = spec_text(count)
        read = middle([seconds(partial(loads, text)) for _ in range(REPEATS)])
        spec = loads(text)
        made = {
            name: middle([seconds(partial(render, generator(name), spec)) for _ in range(REPEATS)])
            for name in ("haproxy", "nginx")
        }
        each.append((read + sum(made.values())) / count)
        rows.append(
            f"| {count} | {read * 1000:.1f} ms | {made['haproxy'] * 1000:.1f} ms | {made['nginx'] * 1000:.1f} ms "
            f"| {each[-1] * 1e6:.0f} µs |"
        )
    publish(
        "farm",
        [
            f"{machine()}.",
            "",
            "| Nodes | Read and check the spec | Render for HAProxy | Render for NGINX | All steps, for each node |",
            "|---|---|---|---|---|",
            *rows,
        ],
    )
    return each[-1] <= BAR * each[0]


if __name__ == "__main__":
    sys.exit(not main())
