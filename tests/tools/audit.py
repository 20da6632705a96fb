"""Look for known vulnerabilities of the pinned packages: `make audit`, a part of `make check`.

Exits with 1 if there are any. Where the service of the Python Package Index cannot be reached, or does not know the
packages because a mirror answers, the audit is impossible, which is said and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = ("run.txt", "test.txt")


def audit(path: Path) -> int:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--format", "json", "--timeout", "10", "-r", str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        print(f"{path.name}: not audited: {last[0]}")
        return 0
    known = [one for one in found if "skip_reason" not in one]
    for one in known:
        for each in one["vulns"]:
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            print(f"{path.name}: {one['name']} {one['version']}: {each['id']}, fixed in {fixed}")
    print(f"{path.name}: {len(known)} of {len(found)} packages audited")
    return sum(bool(one["vulns"]) for one in known)


if __name__ == "__main__":
    sys.exit(bool(sum([audit(CHECKOUT / "requirements" / name) for name in FILES])))
