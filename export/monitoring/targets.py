"""What Prometheus scrapes: one job for each exporter, with the farm's name as a label of all its metrics."""

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ...generators.base import Generator
from ...generators.design import Design
from ...spec.model import Farm, Redis
from ...spec.units import Duration, Version
from .timing import DEVICE_SCRAPE

HAPROXY_PORT: Final = 9101
"""The port on which nlbgen-metrics.socket serves HAProxy's own metrics, which are bound to loopback."""
NGINX_PORT: Final = 9113
NODE_EXPORTER_PORT: Final = 9100
BLACKBOX: Final = "127.0.0.1:9115"
REDIS_EXPORTER: Final = "127.0.0.1:9121"
SNMP_EXPORTER: Final = "127.0.0.1:9116"
TELEMETRY: Final = Version("13.1")
"""The first TMOS that F5 supports Telemetry Streaming on; before, a BIG-IP is read by SNMP."""
PULL_CONSUMER: Final = "nlbgen_metrics"
SECRETS: Final = "/etc/prometheus"
"""The folder of Prometheus's machine for passwords and CAs."""


@dataclass(frozen=True, slots=True)
class Group:
    """Addresses that have the same labels."""

    targets: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape job."""

    name: str
    why: str
    """What it measures, for the comment above it."""
    groups: tuple[Group, ...]
    path: str = "/metrics"
    scheme: str = "http"
    via: str = ""
    """The address of an exporter that gets the target as a parameter; empty if the target has the metrics itself."""
    module: str = ""
    """The exporter's module."""
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    interval: Duration | None = None
    """The time between two scrapes, if not the global one."""

    def view(self, farm: str) -> dict[str, object]:
        """Return the job for the template, with quoted texts."""
        return {
            "name": quoted(self.name),
            "why": self.why,
            "path": quoted(self.path),
            "scheme": self.scheme,
            "interval": str(self.interval) if self.interval else "",
            "via": quoted(self.via) if self.via else "",
            "module": quoted(self.module) if self.module else "",
            "user": quoted(self.user) if self.user else "",
            "password_file": quoted(self.password_file),
            "ca_file": quoted(self.ca_file) if self.ca_file else "",
            "groups": [
                {
                    "targets": ", ".join(map(quoted, group.targets)),
                    "labels": [f"{name}: {quoted(value)}" for name, value in (("farm", farm), *group.labels)],
                }
                for group in self.groups
            ],
        }


@dataclass(frozen=True, slots=True)
class Module:
    """One module of blackbox_exporter: an HTTP request to the health endpoint."""

    name: str
    why: str
    host: str
    """The Host header and the server name of TLS."""
    expect: int
    timeout: str
    tls: bool
    verify: bool = True
    ca_file: str = ""

    def view(self) -> dict[str, object]:
        """Return the module for the template, with quoted texts."""
        return {
            "name": quoted(self.name),
            "why": self.why,
            "host": quoted(self.host),
            "expect": self.expect,
            "timeout": self.timeout,
            "tls": self.tls,
            "verify": self.verify,
            "ca_file": quoted(self.ca_file) if self.ca_file else "",
        }


def quoted(text: str) -> str:
    """Return a text as a double-quoted scalar of YAML, which every JSON string is."""
    return json.dumps(text)


def job(farm: Farm, what: str) -> str:
    """Return the name of a job: several farms share one Prometheus."""
    return f"{farm.farm}-{what}"


def balancers(farm: Farm) -> tuple[str, ...]:
    """Return the balancers' own addresses, as hosts of a URL."""
    vip, listen = farm.frontend.vip, farm.frontend.address
    if vip is not None:
        return tuple(map(_bracketed, vip.balancers))
    try:
        address = ipaddress.ip_address(listen)
    except ValueError:
        return (farm.frontend.host,)
    return (farm.frontend.host,) if address.is_unspecified else (_bracketed(listen),)


def scrapes(farm: Farm, vendors: tuple[Generator, ...]) -> Iterator[Scrape]:
    """Yield the jobs: the farm's probes, the programs or devices of its vendors, the machines, and Redis."""
    yield _front(farm)
    yield _nodes(farm)
    names = {vendor.name for vendor in vendors}
    hosts = balancers(farm)
    if "haproxy" in names:
        why = "HAProxy's own metrics, through nlbgen-metrics.socket."
        yield Scrape(job(farm, "haproxy"), why, (_at(hosts, HAPROXY_PORT),))
    if "nginx" in names:
        why = "NGINX's stub_status, through nginx-prometheus-exporter on each balancer."
        yield Scrape(job(farm, "nginx"), why, (_at(hosts, NGINX_PORT),))
    hosted = any(vendor.hosting is not None for vendor in vendors)
    whose = "The balancers' machines" if hosted else "The machine of Prometheus"
    why = f"{whose}, through node_exporter, with the result of nlbgen drift."
    yield Scrape(job(farm, "hosts"), why, (_at(hosts if hosted else ("localhost",), NODE_EXPORTER_PORT),))
    if "f5" in names and farm.f5.host is not None:
        yield _bigip(farm, farm.f5.host)
    if "zen" in names and farm.zen.api is not None:
        yield _appliance(farm, urlsplit(farm.zen.api).hostname or "")
    if farm.stores.backplane is not None:
        yield _redis(farm, farm.stores.backplane)


def modules(farm: Farm) -> tuple[Module, Module]:
    """Return the probes of the farm's own address and of its nodes."""
    health, tls = farm.balancer.health, farm.frontend.tls
    name, timeout = farm.frontend.host, str(health.timeout)
    front = Module(
        job(farm, "front"),
        "The farm as a client sees it. The machine of blackbox_exporter must trust the certificate's CA.",
        name,
        health.expect,
        timeout,
        tls=tls.mode != "none",
    )
    checked = farm.node_tls and tls.verify_nodes is not False
    node = Module(
        job(farm, "nodes"),
        "A node, without the balancer: what the balancer's own health check requests.",
        name,
        health.expect,
        timeout,
        tls=farm.node_tls,
        verify=checked,
        ca_file=str(tls.verify_nodes) if checked else "",
    )
    return front, node


def reads_snmp(farm: Farm) -> bool:
    """Whether the BIG-IP is too old for Telemetry Streaming."""
    return farm.f5.version < TELEMETRY


def _at(hosts: tuple[str, ...], port: int) -> Group:
    return Group(tuple(f"{host}:{port}" for host in hosts))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _front(farm: Farm) -> Scrape:
    scheme = "http" if farm.frontend.tls.mode == "none" else "https"
    path = Design(farm).health_path
    urls = tuple(f"{scheme}://{host}:{farm.frontend.port}{path}" for host in Design(farm).hosts)
    name = job(farm, "front")
    why = "The farm's own address, as a client uses it: DNS, certificate, balancer and one node."
    return Scrape(name, why, (Group(urls),), path="/probe", via=BLACKBOX, module=name)


def _nodes(farm: Farm) -> Scrape:
    design = Design(farm)
    scheme = "https" if farm.node_tls else "http"
    groups = tuple(
        Group((f"{scheme}://{member.endpoint}{path}",), (("node", member.name), ("state", node.state), ("path", path)))
        for member, node in zip(design.members, farm.nodes, strict=True)
        for path in design.health_paths
    )
    name = job(farm, "nodes")
    why = "Each node without the balancer. `state` is the state in the spec."
    return Scrape(name, why, groups, path="/probe", via=BLACKBOX, module=name)


def _appliance(farm: Farm, host: str) -> Scrape:
    why = "The appliance, through SNMP and snmp_exporter's own module if_mib. SNMP shows no farm and no node."
    return _by_snmp(job(farm, "zen"), why, host, "if_mib")


def _by_snmp(name: str, why: str, host: str, module: str) -> Scrape:
    group = Group((host,))
    return Scrape(name, why, (group,), path="/snmp", via=SNMP_EXPORTER, module=module, interval=DEVICE_SCRAPE)


def _bigip(farm: Farm, host: str) -> Scrape:
    name = job(farm, "f5")
    if reads_snmp(farm):
        why = "The BIG-IP, through SNMP and the module of f5/generator.yml: this TMOS has no Telemetry Streaming."
        return _by_snmp(name, why, host, "nlbgen_f5")
    return Scrape(
        name,
        "The BIG-IP, through the pull consumer of Telemetry Streaming (f5/telemetry.json).",
        (Group((f"{_bracketed(host)}:{farm.f5.port}",)),),
        interval=DEVICE_SCRAPE,
        path=f"/mgmt/shared/telemetry/pullconsumer/{PULL_CONSUMER}",
        scheme="https",
        user=farm.f5.user,
        password_file=f"{SECRETS}/{farm.farm}-f5.password",
        ca_file=f"{SECRETS}/{farm.farm}-f5-ca.pem" if farm.f5.ca is not None else "",
    )


def _redis(farm: Farm, redis: Redis) -> Scrape:
    scheme = "rediss" if redis.tls else "redis"
    if redis.sentinel is None:
        urls = tuple(f"{scheme}://{_bracketed(server.host)}:{server.port}" for server in redis.servers)
        groups: tuple[Group, ...] = (Group(urls, (("kind", "redis"),)),)
    else:
        servers = tuple(f"{scheme}://{_bracketed(one.address)}:{one.port}" for one in redis.sentinel.servers)
        asked = tuple(f"{scheme}://{_bracketed(one.address)}:{one.sentinel_port}" for one in redis.sentinel.nodes)
        groups = (Group(servers, (("kind", "redis"),)), Group(asked, (("kind", "sentinel"),)))
    why = "Redis, through one redis_exporter, which keeps the passwords."
    return Scrape(job(farm, "redis"), why, groups, path="/scrape", via=REDIS_EXPORTER)
