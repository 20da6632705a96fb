"""The contenders: the same farm with nlbgen's configurations and with those of others.

A peer's configuration is a text in `configurations/` with `@name@` for each address, port and path. Program, nodes,
ports, certificates and temporary folder are the same as for nlbgen's configuration.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from nlbgen.core.files import write_atomically
from nlbgen.net.loopback import free_port, release_port
from nlbgen.prove.lab.lab import Lab
from nlbgen.prove.lab.processes import BalancerProcess, NodeProcess
from nlbgen.prove.scenarios.fleet_base import sized
from nlbgen.spec.load import Spec, loads

TEMPLATES = Path(__file__).parent / "configurations"
FARM: Mapping[str, Any] = {
    "farm": "orchestrator-prod",
    "orchestrator": {"version": "2019.4"},
    "nodes": [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.12"}],
    "stores": {"signalr": "redis", "redis": {"host": "redis-1.corp.example", "port": 6379}},
    "accept": ["nginx-active-health", "nginx-queue", "nginx-slow-start"],
}
"""Two nodes; all other settings are nlbgen's defaults."""
HOST = "orchestrator.corp.example"


@dataclass(frozen=True)
class Contender:
    """One configuration."""

    key: str
    vendor: str
    title: str
    template: str = ""
    """Its file in `configurations/`; none for what nlbgen renders."""
    speed_only: bool = False
    """Another contender in one respect that only its throughput shows."""
    without: str = ""
    """The lines that are left out of what nlbgen renders, to see what they cost."""

    @property
    def ours(self) -> bool:
        """Whether nlbgen renders it as it is."""
        return not self.template and not self.without


def _without(what: str, lines: str) -> Contender:
    title = f"HAProxy, nlbgen without {what}"
    return Contender(title, "haproxy", title, speed_only=True, without=rf"^ +(?:{lines}).*\n")


CONTENDERS = (
    Contender("haproxy", "haproxy", "HAProxy, nlbgen"),
    Contender("haproxy-manual", "haproxy", "HAProxy, its manual", "haproxy-manual.cfg"),
    Contender(
        "haproxy-manual-log", "haproxy", "HAProxy, its manual and a log", "haproxy-manual-log.cfg", speed_only=True
    ),
    Contender("haproxy-easyhaproxy", "haproxy", "HAProxy, EasyHAProxy", "haproxy-easyhaproxy.cfg"),
    _without("the log", r"log global|log-format|http-request set-var\(txn.url\)"),
    _without("second tries", r"retry-on|http-request disable-l7-retry"),
    _without("X-Forwarded-*", r"http-request add-header X-Forwarded-"),
    Contender("nginx", "nginx", "NGINX, nlbgen"),
    Contender("nginx-manual", "nginx", "NGINX, nginx.org", "nginx-manual.conf"),
    Contender("nginx-nginxconfig", "nginx", "NGINX, nginxconfig.io", "nginx-nginxconfig.conf"),
)
MANUALS = {"haproxy": "haproxy-manual", "nginx": "nginx-manual"}
"""What each vendor's documentation shows: nlbgen's throughput is held against it."""


def farm(*, tls: bool) -> Spec:
    """The farm, with TLS to clients or without."""
    frontend = {
        "host": HOST,
        "address": "10.20.0.10",
        "redirect_http": tls,
        "tls": {"mode": "terminate" if tls else "none"},
    }
    return loads(yaml.safe_dump({**FARM, "frontend": frontend}))


class PeerLab(Lab):
    """A lab that runs a contender's configuration; with `quick_nodes` in front of those, with one thread."""

    def __init__(
        self, contender: Contender, *, tls: bool, quick_nodes: Sequence["QuickNode"] = (), robots: int = 0
    ) -> None:
        """With `robots`, nlbgen's configuration has limits for so many."""
        spec = farm(tls=tls)
        super().__init__(spec._replace(farm=sized(spec.farm, robots)) if robots else spec, contender.vendor)
        self.contender = contender
        self.tls = tls
        self._quick = {node.name: node for node in quick_nodes}

    @property
    def url(self) -> str:
        """The peers listen on both ports; nlbgen's configuration listens as the farm requires."""
        if self.tls or not self.contender.template:
            return super().url
        return f"http://{self.host}:{self.http_port}"

    def _node(self, name: str) -> NodeProcess:
        if self._quick:
            return cast("NodeProcess", self._quick[name])  # it has what a lab uses of a node
        return super()._node(name)

    def _start(self) -> "PeerLab":
        if not self._quick:
            return super()._start()
        self.balancer = self._stack.enter_context(self._balancer())
        return self

    def _write(self) -> Path:
        path = super()._write()
        text = path.read_text(encoding="utf-8")
        if self.contender.template:
            text = filled(self.contender.template, self.values())
        if self.contender.without:
            text, left_out = re.subn(self.contender.without, "", text, flags=re.MULTILINE)
            assert left_out, f"{self.contender.title}: there are no such lines"
        if self._quick:
            text = single(text)
        write_atomically(path, text.encode())
        return path

    def values(self) -> dict[str, str]:
        """The values of the placeholders."""
        made = self.certificates
        places = {"folder": self.folder, "bundle": made.bundle, "certificate": made.certificate, "key": made.key}
        ports = {"port": self.port, "http_port": self.http_port, "metrics_port": self.metrics_port}
        nodes = {f"node_{number}": f"127.0.0.1:{node.port}" for number, node in enumerate(self.nodes, 1)}
        return {"host": HOST, **nodes, **{name: str(value) for name, value in {**places, **ports}.items()}}


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a peer's configuration with its placeholders replaced. Raises KeyError for an unknown one."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@([a-z0-9_]+)@", lambda found: values[found[1]], text)


def single(text: str) -> str:
    """Return the configuration with one thread or worker: then the balancer is the limit."""
    return re.sub(r"^global\n", "global\n    nbthread 1\n", text, flags=re.MULTILINE).replace(
        "worker_processes auto;", "worker_processes 1;"
    )


class QuickNode:
    """A port of one program that responds for all nodes, where simulated nodes would be the limit."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()

    def __exit__(self, *_: object) -> None:
        """Do nothing: a lab stops its nodes, but these are shared."""


_QUICK = """\
worker_processes 1;
pid {folder}/nodes.pid;
error_log {folder}/nodes.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
{servers}
}}
"""
_QUICK_SERVER = """\
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000000;
        location / {{ add_header X-Node {name}; return 200 '{{"node":"{name}"}}'; }}
    }}"""


@contextmanager
def quick_nodes(folder: Path) -> Iterator[list[QuickNode]]:
    """Run nodes that respond immediately, by one NGINX worker without a log."""
    nodes = [QuickNode(node["name"]) for node in FARM["nodes"]]
    servers = "\n".join(_QUICK_SERVER.format(port=node.port, name=node.name) for node in nodes)
    configuration = folder / "nodes.conf"
    configuration.write_text(_QUICK.format(folder=folder, servers=servers), encoding="utf-8")
    command = ["nginx", "-g", "daemon off;", "-e", str(folder / "nodes.log"), "-c", str(configuration)]
    try:
        with BalancerProcess(command, ports=[node.port for node in nodes]):
            yield nodes
    finally:
        for node in nodes:
            release_port(node.port)


@contextmanager
def peer_labs(*, tls: bool, nodes: Sequence[QuickNode] = ()) -> Iterator[dict[str, PeerLab]]:
    """Run all contenders, each with its own nodes; with `nodes`, all share those, to measure speed."""
    chosen = [one for one in CONTENDERS if nodes or not one.speed_only]
    with ExitStack() as stack:
        yield {one.key: stack.enter_context(PeerLab(one, tls=tls, quick_nodes=nodes)) for one in chosen}
