"""gixy, the security linter for NGINX, on every golden nginx.conf; each exception has its reason."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nlbgen.spec.capacity import open_files
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
    if plugin == "worker_rlimit_nofile_vs_connections":
        # It wants two files for each of worker_connections, which counts the connections to nodes already.
        needed, limits = open_files(farm.balancer.limits.connections), farm.balancer.limits.open_files
        return "all files fit" if f"worker_connections {needed};" in finding["config"] and needed <= limits else ""
    if plugin == "ssl_ecdh_curve":
        # The warning is that an OpenSSL before 3.5 refuses the group; the spec says that it is 3.5 or later.
        return "OpenSSL 3.5" if str(farm.nginx.openssl) >= "3.5" else ""
    if plugin == "hsts_header":
        # Switched off by the spec; or the server that before 1.19.4 answers unknown names with nothing but 421.
        return "no HSTS wanted" if not farm.frontend.tls.hsts or "server_name _;" in finding["config"] else ""
    return ""


def findings(*files: Path) -> list[dict[str, str]]:
    """What gixy reports of these files."""
    gixy = shutil.which("gixy", path=str(Path(sys.executable).parent))
    assert gixy is not None, "gixy-ng is part of the test requirements"
    done = subprocess.run(
        [gixy, "-f", "json", *map(str, files)], capture_output=True, text=True, check=False, timeout=300
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def by_file() -> dict[str, list[dict[str, str]]]:
    """The findings in each golden file: one run of the program for all of them."""
    files: dict[str, list[dict[str, str]]] = {str(case / "nginx" / "nginx.conf"): [] for case in CASES}
    for finding in findings(*map(Path, files)):
        files[finding["path"]].append(finding)
    return files


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_gixy_reports_no_finding_in_golden_files(case: Path, by_file: dict[str, list[dict[str, str]]]) -> None:
    found = by_file[str(case / "nginx" / "nginx.conf")]
    assert [finding for finding in found if not excepted(case, finding)] == []


def test_gixy_reports_known_bad_directives_of_each_file(tmp_path: Path) -> None:
    """The linter works: an alias without its slash and a visible version are reported."""
    text = "http { server { listen 80; server_tokens on; location /i { alias /data/; } } }\n"
    files = [tmp_path / name for name in ("one.conf", "two.conf")]
    for path in files:
        path.write_text(text, encoding="ascii")
    found = {(finding["path"], finding["plugin"]) for finding in findings(*files)}
    assert {(str(path), plugin) for path in files for plugin in ("alias_traversal", "version_disclosure")} <= found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@pytest.mark.no_cover  # other tests reach the same lines
def test_one_worker_can_hold_the_connections_of_all_clients(case: Path) -> None:
    """NGINX counts a client's connection and the one to its node, and may give all clients to one worker."""
    text = (case / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    held = int(text.partition("worker_connections ")[2].partition(";")[0]) // 2
    assert held >= load(case / "farm.yaml").farm.balancer.limits.connections
