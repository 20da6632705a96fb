"""The other configurations of the benchmark: the real programs accept them, and each states its source."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PEERS = sorted((BENCHMARKS / "peers" / "configurations").iterdir())
MARKS = {".cfg": pytest.mark.haproxy, ".conf": pytest.mark.nginx}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the benchmarks' modules importable."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if name.startswith(("peers", "measure")):
            del sys.modules[name]


@pytest.mark.usefixtures("benchmarks")
def test_every_peer_is_measured() -> None:
    from peers.lab import CONTENDERS

    assert sorted(one.template for one in CONTENDERS if one.template) == [path.name for path in PEERS]
    assert {one.vendor for one in CONTENDERS if one.ours} == {"haproxy", "nginx"}


@pytest.mark.parametrize("path", PEERS, ids=lambda path: path.name)
def test_every_peer_states_its_source(path: Path) -> None:
    head = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    assert all(line.startswith("# ") for line in head)
    assert any(re.match(r"# Source: https://\S+", line) for line in head)
    assert any(line.startswith("# Left out: ") for line in head)
    assert any("Here instead of there: " in line for line in head)


@pytest.mark.parametrize("path", [pytest.param(path, marks=MARKS[path.suffix]) for path in PEERS], ids=lambda p: p.name)
@pytest.mark.usefixtures("benchmarks")
def test_real_program_accepts_every_peer(path: Path) -> None:
    from peers.lab import CONTENDERS, PeerLab

    [contender] = [one for one in CONTENDERS if one.template == path.name]
    lab = PeerLab(contender, tls=True)
    try:
        lab.prepare()
        text = lab.configuration.read_text(encoding="utf-8")
        assert "Source: https://" in text, "it is nlbgen's own configuration"
        assert all(f"127.0.0.1:{node.port}" in text for node in lab.nodes)
        check = {"haproxy": ["-c", "-f"], "nginx": ["-t", "-e", str(lab.folder / "error.log"), "-c"]}[contender.vendor]
        done = subprocess.run(
            [lab.program, *check, str(lab.configuration)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
    finally:
        lab.close()


@pytest.mark.usefixtures("benchmarks")
def test_chart_is_valid_and_reproducible() -> None:
    from peers.charts import Bar, Group, chart

    groups = [Group("a & b", [Bar("none", 0, "0"), Bar("<ours>", 600, "600 (599-601)", ours=True)])]
    drawn = chart("Failed requests", "Shorter is better.", groups)
    assert drawn == chart("Failed requests", "Shorter is better.", groups)
    root = ET.fromstring(drawn)
    bars = [float(one.attrib["width"]) for one in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars[0] < 2 < 100 < bars[1] < float(root.attrib["width"])
    assert "prefers-color-scheme: dark" in drawn
    assert "600 (599-601)" in drawn


@pytest.mark.usefixtures("benchmarks")
def test_table_of_robots_has_a_row_for_each_contender_and_each_doubt() -> None:
    from peers.lab import CONTENDERS
    from peers.robots import CHOSEN, COLUMNS, lines

    from nlbgen.prove.scenarios.base import metric

    assert [one.key for one in CHOSEN] == ["haproxy", "haproxy-manual", "nginx", "nginx-manual"]
    metrics = [metric("unconnected", 245), *(metric(name, 12.5) for name in COLUMNS)]
    unsure = [metrics[0]._replace(doubt="inconclusive: busy"), *metrics[1:]]
    text = "\n".join(lines({CONTENDERS[0]: metrics, CONTENDERS[1]: unsure}, 300))
    assert "| **HAProxy, nlbgen** | 55 of 300 | 12.5 | 12.5% | 12.5 | 12.5 | 12.5 KB | 12.5 s |" in text
    assert "| HAProxy, its manual | 55 of 300 |" in text
    assert text.endswith("\n\nHAProxy, its manual: inconclusive: busy.")
