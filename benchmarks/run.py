"""Run every benchmark and write the results into docs/performance.md; exit 1 when a bar is missed."""

import sys

import farm
import fleet
import startup

import nodes

if __name__ == "__main__":
    held = {module.__name__: module.main() for module in (startup, fleet, farm, nodes)}
    missed = [name for name, ok in held.items() if not ok]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    sys.exit(bool(missed))
