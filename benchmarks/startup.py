"""Start-up: what a command costs beside the bare imports that it needs."""

import sys
import tempfile
from pathlib import Path

from measure import EXAMPLE, NLBGEN, interleaved, machine, middle, publish, run

ROUNDS = 30
HELP_BAR, RENDER_BAR = 1.5, 1.3


def main() -> bool:
    """Measure, publish, and return whether all thresholds are passed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "outputs"
        times = interleaved(
            {
                "click": lambda: run(sys.executable, "-c", "import click"),
                "imports": lambda: run(sys.executable, "-c", "import click, jinja2, yaml, pydantic"),
                "help": lambda: run(NLBGEN, "--help"),
                "render": lambda: run(NLBGEN, "render", "haproxy", "--no-validate", "-s", EXAMPLE, "-o", output),
            },
            ROUNDS,
        )
    help_ratio = middle(times["help"]) / middle(times["click"])
    render_ratio = middle(times["render"]) / middle(times["imports"])
    publish(
        "startup",
        [
            f"{machine()}, {ROUNDS} rounds in turn. `4 imports` is `import click, jinja2, yaml, pydantic`.",
            "",
            "| Command | Time | Compared with | Ratio | Threshold |",
            "|---|---|---|---|---|",
            (
                f"| `nlbgen --help` | {_shown(times['help'])} | `import click`: {_shown(times['click'])} "
                f"| {help_ratio:.2f} | {HELP_BAR} |"
            ),
            (
                f"| `nlbgen render haproxy --no-validate` | {_shown(times['render'])} "
                f"| 4 imports: {_shown(times['imports'])} | {render_ratio:.2f} | {RENDER_BAR} |"
            ),
        ],
    )
    return help_ratio <= HELP_BAR and render_ratio <= RENDER_BAR


def _shown(times: list[float]) -> str:
    return f"{middle(times) * 1000:.0f} ms ({min(times) * 1000:.0f}-{max(times) * 1000:.0f})"


if __name__ == "__main__":
    sys.exit(not main())
