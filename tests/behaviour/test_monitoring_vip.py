"""The alerts about the shared address: real keepalived, `nlbgen drift` on each balancer, node_exporter, Prometheus.

The balancers and the machine of Prometheus are network namespaces. The addresses and ports of prometheus.yml are those
that nlbgen renders; only the jobs of other exporters are left out, and the times of minutes are shorter.
"""

import json
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlbgen.export.monitoring.rendering import render_monitoring
from nlbgen.net.waiting import wait_until
from nlbgen.spec.load import Spec

from .conftest import tool
from .test_keepalived import ADDRESSES, SHARED, Balancer, Host, Pair, StartPair, pair
from .test_monitoring import FIRES_WITHIN, HURRIED, START_SECONDS

__all__ = ["pair"]

DRIFT = """
import sys, time
from pathlib import Path
from nlbgen.core.files import write_atomically
from nlbgen.drift.farm import Options, drift
from nlbgen.drift.textfile import metrics
from nlbgen.generators.base import Site
from nlbgen.spec.load import load
folder, textfile = Path(sys.argv[1]), Path(sys.argv[2])
options = Options(folder / "admin.sock", folder / "no.sock", folder / "haproxy.cfg", site=Site(str(folder)))
spec = load(folder / "farm.yaml")
while True:
    write_atomically(textfile, metrics(drift(spec, ["haproxy"], options), time.time()), mode=0o644)
    time.sleep(1)
"""
"""What the timer of `nlbgen drift` does, each second, for a configuration in another folder than /etc."""


class Watched:
    """Both balancers with node_exporter and the timer, and Prometheus beside them."""

    def __init__(self, farm: Pair, folder: Path) -> None:
        self._lan = farm.lan
        self._folder = folder
        for balancer in farm.balancers:
            self._report(balancer)
        self._start(farm.balancers[0].spec)

    def _report(self, balancer: Balancer) -> None:
        """Start node_exporter and the timer on a balancer."""
        textfiles = balancer.folder / "textfiles"
        textfiles.mkdir(mode=0o755)
        (balancer.folder / "farm.yaml").write_text(json.dumps(balancer.spec.document.data), encoding="utf-8")
        log = balancer.folder / "drift.log"
        balancer.start(sys.executable, "-c", DRIFT, str(balancer.folder), str(textfiles / "nlbgen.prom"), output=log)
        only = ["--collector.disable-defaults", "--collector.textfile"]
        files = f"--collector.textfile.directory={textfiles}"
        balancer.start(tool("prometheus-node-exporter"), *only, files, output=log)

    def _start(self, spec: Spec) -> None:
        """Start Prometheus with the rendered job and rules of the hosts."""
        for file in render_monitoring(spec):
            path = self._folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        config = self._folder / "prometheus.yml"
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        content["scrape_configs"] = [one for one in content["scrape_configs"] if one["job_name"] == "shared-hosts"]
        assert len(content["scrape_configs"]) == 1
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        for path in (self._folder / "rules").iterdir():
            text = path.read_text(encoding="utf-8")
            for old, new in HURRIED:
                text = re.sub(old, new, text)
            path.write_text(text, encoding="utf-8")
        options = [f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}"]
        self._lan.start(tool("prometheus"), *options, output=self._folder / "prometheus.log")

    def get(self, path: str) -> dict[str, Any]:
        """Return the data of an answer of Prometheus; none while it does not answer."""
        found = self._lan.run("curl", "-s", "--max-time", "5", f"http://127.0.0.1:9090/api/v1/{path}")
        data: dict[str, Any] = json.loads(found.stdout)["data"] if found.stdout.startswith("{") else {}
        return data

    def held(self) -> dict[str, str]:
        """The value of the metric at each balancer, by its address."""
        query = urllib.parse.quote(f'nlbgen_vip_held{{address="{SHARED}"}}')
        found = self.get(f"query?query={query}").get("result", [])
        return {one["metric"]["instance"].partition(":")[0]: one["value"][1] for one in found}

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {one["labels"]["alertname"] for one in self.get("alerts")["alerts"] if one["state"] == "firing"}

    def shows(self, first: str, second: str) -> None:
        """Wait until Prometheus has these values of the two balancers."""
        wanted = dict(zip(ADDRESSES.values(), (first, second), strict=True))
        assert wait_until(lambda: self.held() == wanted, START_SECONDS), (self.held(), self.get("targets"))

    def fires(self, *names: str) -> None:
        """Wait until exactly these alerts fire."""
        assert wait_until(lambda: self.firing() == {*names}, FIRES_WITHIN), self.firing()


def part(first: Host, second: Host) -> None:
    """Let the two balancers lose each other's packets; all others still reach both."""
    for host, other in ((first, "lb-2"), (second, "lb-1")):
        no_host = ("lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")
        host.ip("neighbour", "replace", ADDRESSES[other], *no_host)


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.haproxy
@pytest.mark.prometheus
def test_prometheus_fires_the_alerts_of_an_address_that_moves_is_lost_and_is_held_twice(
    pair: StartPair, tmp_path: Path
) -> None:
    farm = pair("haproxy", address=SHARED)
    first, second = farm.balancers
    watched = Watched(farm, tmp_path)
    watched.shows("1", "0")
    assert watched.firing() == set()

    first.stop_keepalived()
    farm.settled("lb-2")
    watched.shows("0", "1")
    watched.fires("VipMoved")

    second.stop_keepalived()
    watched.shows("0", "0")
    watched.fires("VipMoved", "VipHolders")

    first.start_keepalived()
    second.start_keepalived()
    farm.settled("lb-1")
    watched.shows("1", "0")
    watched.fires("VipMoved")

    part(first, second)
    watched.shows("1", "1")
    watched.fires("VipMoved", "VipHolders")
