"""Run every benchmark and write the results into docs/performance.md; exit 1 when a bar is missed."""

import sys

import f5
import farm
import fleet
import load
import startup

import nodes

if __name__ == "__main__":
    held = {module.__name__: module.main() for module in (startup, fleet, farm, nodes, load, f5)}
    missed = [name for name, ok in held.items() if not ok]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    sys.exit(bool(missed))
