"""The alerts of each vendor: what its own metrics show, and which facts they do not have."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ...generators.design import Design
from ...spec.model import Farm
from ...spec.units import Duration
from .alerts import FLAPS, Alert, fell, selector
from .targets import reads_snmp
from .timing import WINDOW, Timing

SERVER_ERRORS: Final = 0.05
"""The share of responses with a status of 5xx."""
LEAST_ERROR_RATE: Final = 0.1
"""Failed responses per second: one failed request of a quiet night is no alert."""
CONNECTIONS_HELD: Final = Duration.of("1m")
"""Robots reconnect within this time when a node fails: their connections do not stay low."""
GREEN: Final = 1
"""`ltmPoolMbrStatusAvailState`: the member is available."""

UNSEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "haproxy": (
        "old workers after a reload: nlbgen drift counts them",
        "whether keepalived moved the address: nlbgen drift reports which balancer holds it",
    ),
    "nginx": (
        "nodes: stub_status has no upstreams, so the probes of blackbox_exporter report a node that is down",
        "the status of responses, and the queue: the access log has the status and the times of each request",
        "WebSockets: stub_status counts all connections of clients",
        "old workers, and whether keepalived moved the address: nlbgen drift reports both",
    ),
    "f5": (
        "which node is down: Telemetry Streaming counts active members only. blackbox_exporter probes each node",
        "WebSockets: it counts all connections of a pool",
        "drift: nlbgen drift compares the device with the spec",
    ),
    "zen": (
        "nodes and farms: SNMP shows interfaces only. blackbox_exporter probes each node and the farm",
        "sessions, WebSockets, the status of responses, and the queue: the appliance's own pages show sessions",
        "drift: nlbgen drift compares the appliance with the spec",
    ),
}
"""For each vendor the facts that its exporter does not have, and what reports them instead."""


def program_alerts(vendor: str, farm: Farm, times: Timing) -> list[Alert]:
    """Return the alerts of one vendor's own metrics."""
    return list(_ALERTS[vendor](farm, times))


def _down(farm: Farm, times: Timing, what: str, name: str, title: str) -> Alert:
    return Alert(
        name,
        f"up{selector(farm, what)} == 0",
        times.confirm,
        "critical",
        f"{title} {{{{ $labels.instance }}}} cannot be scraped",
        "Check the program and its exporter. If FarmUnreachable does not fire, the farm serves.",
    )


def _haproxy(farm: Farm, times: Timing) -> Iterator[Alert]:
    design = Design(farm)
    pool = f'proxy="{design.web.name}"'
    servers = selector(farm, "haproxy", pool)
    up = "haproxy_server_status" + selector(farm, "haproxy", pool, 'state=~"UP|DRAIN|NOLB"')
    down = "haproxy_server_status" + selector(farm, "haproxy", pool, 'state="DOWN"')
    yield _down(farm, times, "haproxy", "HaproxyDown", "HAProxy")
    yield Alert(
        "HaproxyNodeDown",
        f"{down} == 1",
        times.confirm,
        "warning",
        "HAProxy marks {{ $labels.server }} as down",
        "Check the site and its app pools on the node. The other nodes serve its requests.",
    )
    yield Alert(
        "HaproxyAllNodesDown",
        f"sum by (farm, instance) ({up}) == 0 and on (farm, instance) sum by (farm, instance) ({down}) > 0",
        times.confirm,
        "critical",
        "HAProxy marks all nodes as down",
        "Check what all nodes share: SQL Server, Redis, the network. docs/troubleshooting.md",
    )
    yield Alert(
        "HaproxyCheckFlaps",
        f"increase(haproxy_server_check_up_down_total{servers}[{WINDOW}]) >= {FLAPS}",
        Duration(0),
        "warning",
        "HAProxy marks {{ $labels.server }} down again and again",
        "Compare the time of its responses with balancer.health.timeout.",
    )
    if not design.passthrough:
        yield from _haproxy_http(farm, times, design)
    sessions = f"sum by (farm, instance) (haproxy_backend_current_sessions{_of_pool(farm, design.live.name)})"
    older = f"haproxy_process_uptime_seconds{selector(farm, 'haproxy')} > {WINDOW.seconds}"
    yield Alert(
        "HaproxyWebSocketsFell",
        fell(sessions, times.scrape, f" and on (farm, instance) {older}"),
        CONNECTIONS_HELD,
        "warning",
        "The connections of robots fell to {{ $value }}",
        "Compare with the connected robots in Orchestrator. After a reload, this alert pauses for 10 minutes.",
    )


def _of_pool(farm: Farm, pool: str) -> str:
    return selector(farm, "haproxy", f'proxy="{pool}"')


def _haproxy_http(farm: Farm, times: Timing, design: Design) -> Iterator[Alert]:
    yield Alert(
        "HaproxyQueue",
        f"haproxy_backend_current_queue{_of_pool(farm, design.web.name)} > 0",
        times.queue,
        "warning",
        "{{ $value }} requests wait for a node",
        f"After {farm.balancer.timeouts.queue} they fail. Check the nodes, then balancer.limits.requests_per_node.",
    )
    responses = "haproxy_frontend_http_responses_total"
    failed = selector(farm, "haproxy", f'proxy="{farm.farm}"', 'code="5xx"')
    every = _of_pool(farm, farm.farm)
    rate = f"sum by (farm, instance) (rate({responses}{failed}[{times.rate}]))"
    total = f"sum by (farm, instance) (rate({responses}{every}[{times.rate}]))"
    yield Alert(
        "HaproxyServerErrors",
        f"{rate} / {total} > {SERVER_ERRORS:g} and {rate} > {LEAST_ERROR_RATE:g}",
        times.confirm,
        "critical",
        "{{ $value | humanizePercentage }} of the responses have a status of 5xx",
        "The panel Responses by node shows the node. 503 without a node comes from HAProxy itself.",
    )


def _nginx(farm: Farm, times: Timing) -> Iterator[Alert]:
    yield _down(farm, times, "nginx", "NginxExporterDown", "The exporter of NGINX")
    yield Alert(
        "NginxDown",
        f"nginx_up{selector(farm, 'nginx')} == 0",
        times.confirm,
        "critical",
        "NGINX on {{ $labels.instance }} does not answer its exporter",
        "Check the service: systemctl status nginx, nginx -t.",
    )
    yield Alert(
        "NginxConnectionsFell",
        fell(f"sum by (farm, instance) (nginx_connections_active{selector(farm, 'nginx')})", times.scrape),
        CONNECTIONS_HELD,
        "warning",
        "The connections of clients fell to {{ $value }}",
        "Compare with the connected robots in Orchestrator.",
    )


def _bigip(farm: Farm, times: Timing) -> Iterator[Alert]:
    yield _down(farm, times, "f5", "BigipDown", "The BIG-IP")
    yield from (_by_snmp if reads_snmp(farm) else _by_telemetry)(farm, times)


def _by_telemetry(farm: Farm, times: Timing) -> Iterator[Alert]:
    design = Design(farm)
    wanted = sum(member.state == "up" for member in design.members)
    active = "f5_activeMemberCnt" + selector(farm, "f5", f'pools=~".*/{design.web.name}"')
    yield Alert(
        "BigipNodeDown",
        f"{active} < {wanted}",
        times.confirm,
        "warning",
        "{{ $labels.pools }} has {{ $value }} active members" + f", the spec has {wanted} nodes that are up",
        "FarmNodeFails names the node. A member that was disabled on the device counts as well.",
    )
    yield Alert(
        "BigipAllNodesDown",
        f"{active} == 0",
        times.confirm,
        "critical",
        "{{ $labels.pools }} has no active member",
        "Check what all nodes share: SQL Server, Redis, the network. docs/troubleshooting.md",
    )
    sessions = f"sum by (farm, instance) (f5_serverside_curConns{_members_of(farm, design.live.name)})"
    yield Alert(
        "BigipConnectionsFell",
        fell(sessions, times.scrape),
        CONNECTIONS_HELD,
        "warning",
        "The connections of robots fell to {{ $value }}",
        "Compare with the connected robots in Orchestrator.",
    )


def _members_of(farm: Farm, pool: str) -> str:
    return selector(farm, "f5", f'pools=~".*/{pool}"', 'members=""')


def _by_snmp(farm: Farm, times: Timing) -> Iterator[Alert]:
    pool = f'ltmPoolMbrStatusPoolName=~".*/{Design(farm).web.name}"'
    # Only enabled members: the spec disables the others.
    members = f"ltmPoolMbrStatusAvailState{selector(farm, 'f5', pool)}"
    enabled = f"ltmPoolMbrStatusEnabledState{selector(farm, 'f5', pool)} == 1"
    on = "(instance, ltmPoolMbrStatusPoolName, ltmPoolMbrStatusNodeName, ltmPoolMbrStatusPort)"
    yield Alert(
        "BigipNodeDown",
        f"{members} != {GREEN} and on {on} {enabled}",
        times.confirm,
        "warning",
        "The BIG-IP marks {{ $labels.ltmPoolMbrStatusNodeName }} as down",
        "Check the site and its app pools on the node. The other nodes serve its requests.",
    )
    yield Alert(
        "BigipAllNodesDown",
        f"(count by (farm, instance) ({members} == {GREEN}) or 0 * count by (farm, instance) ({members})) == 0",
        times.confirm,
        "critical",
        "The BIG-IP has no available member",
        "Check what all nodes share: SQL Server, Redis, the network. docs/troubleshooting.md",
    )


def _zen(farm: Farm, times: Timing) -> Iterator[Alert]:
    yield _down(farm, times, "zen", "ZenDown", "The appliance")


_ALERTS: Final[Mapping[str, Callable[[Farm, Timing], Iterator[Alert]]]] = {
    "haproxy": _haproxy,
    "nginx": _nginx,
    "f5": _bigip,
    "zen": _zen,
}
