"""Run every benchmark and write the results into docs/performance.md; exit 1 if a threshold is not passed."""

import sys

import f5
import farm
import fleet
import load
import startup

import nodes

if __name__ == "__main__":
    passed = {module.__name__: module.main() for module in (startup, fleet, farm, nodes, load, f5)}
    failed = [name for name, ok in passed.items() if not ok]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    sys.exit(bool(failed))
