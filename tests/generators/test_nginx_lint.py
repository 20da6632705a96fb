"""gixy, the security linter for NGINX, on every golden nginx.conf; each exception stands here with its reason."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nlbgen.spec.load import load

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent.parent for path in GOLDEN.glob("*/nginx/nginx.conf"))


def excepted(case: Path, finding: dict[str, str]) -> str:
    """Why a finding is none for this farm; empty where it is one."""
    farm = load(case / "farm.yaml").farm
    plugin = finding["plugin"]
    if plugin == "missing_resolver":
        # The variable holds the name of an upstream of the same file: nothing is looked up.
        return (
            "upstream by variable" if "proxy_pass http" in finding["config"] and "_pool;" in finding["config"] else ""
        )
    if plugin == "ssl_ecdh_curve":
        # The warning is that an OpenSSL before 3.5 refuses the group; the spec says that it is 3.5 or later.
        return "OpenSSL 3.5" if str(farm.nginx.openssl) >= "3.5" else ""
    if plugin == "hsts_header":
        # Switched off by the spec; or the server that before 1.19.4 answers unknown names with nothing but 421.
        return "no HSTS wanted" if not farm.frontend.tls.hsts or "server_name _;" in finding["config"] else ""
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_gixy_reports_no_finding_in_golden_files(case: Path) -> None:
    gixy = shutil.which("gixy", path=str(Path(sys.executable).parent))
    assert gixy is not None, "gixy-ng is part of the test requirements"
    configuration = case / "nginx" / "nginx.conf"
    done = subprocess.run(
        [gixy, "-f", "json", str(configuration)], capture_output=True, text=True, check=False, timeout=60
    )
    findings = json.loads(done.stdout)
    assert [finding for finding in findings if not excepted(case, finding)] == []


def test_gixy_reports_known_bad_directives(tmp_path: Path) -> None:
    """The linter works: an alias without its slash and a visible version are reported."""
    bad = tmp_path / "nginx.conf"
    bad.write_text("http { server { listen 80; server_tokens on; location /i { alias /data/; } } }\n", encoding="ascii")
    gixy = shutil.which("gixy", path=str(Path(sys.executable).parent))
    assert gixy is not None, "gixy-ng is part of the test requirements"
    done = subprocess.run([gixy, "-f", "json", str(bad)], capture_output=True, text=True, check=False, timeout=60)
    assert {"alias_traversal", "version_disclosure"} <= {finding["plugin"] for finding in json.loads(done.stdout)}
