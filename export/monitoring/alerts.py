"""The alerts of the farm itself: its address, its nodes, its certificates, and Redis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ...spec.model import Farm
from ...spec.units import Duration
from .targets import job
from .timing import WINDOW, Timing

Severity = Literal["critical", "warning", "info"]

CERTIFICATE_SOON_DAYS: Final = 30
"""As `nlbgen probe`: a renewal of a company CA takes weeks."""
CERTIFICATE_ENDS_DAYS: Final = 7
FLAPS: Final = 3
"""The number of times that a node was marked down in WINDOW."""
FELL_BELOW: Final = 0.5
"""The share of the highest number of connections in WINDOW."""
FEWEST_CONNECTIONS: Final = 10
"""Below this number of connections, a fall is no sign of a failure."""
ROLE_CHANGED: Final = Duration.of("5m")
"""The time for which a changed role is reported."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule."""

    name: str
    expression: str
    held: Duration
    """The time for which the expression must hold."""
    severity: Severity
    summary: str
    action: str
    """What to do."""

    def view(self) -> dict[str, object]:
        """Return the rule for the template."""
        return {
            "name": self.name,
            "expression": self.expression,
            "held": str(self.held),
            "severity": self.severity,
            "summary": self.summary,
            "action": self.action,
        }


def selector(farm: Farm, what: str, *conditions: str) -> str:
    """Return the labels of one job's metrics, as PromQL writes them."""
    return "{" + ",".join([f'farm="{farm.farm}"', f'job="{job(farm, what)}"', *conditions]) + "}"


def fell(sessions: str, scrape: Duration, guard: str = "") -> str:
    """Return that a sum of connections is below half of its highest value in WINDOW."""
    highest = f"max_over_time(({sessions})[{WINDOW}:{scrape}])"
    return f"{sessions} < {FELL_BELOW:g} * {highest} and {highest} >= {FEWEST_CONNECTIONS}{guard}"


def farm_alerts(farm: Farm, times: Timing) -> Iterator[Alert]:
    """Yield the alerts that only need blackbox_exporter."""
    front = f"probe_success{selector(farm, 'front')}"
    nodes = f"probe_success{selector(farm, 'nodes', _SERVING)}"
    yield Alert(
        "FarmUnreachable",
        f"{front} == 0",
        times.probe,
        "critical",
        "{{ $labels.instance }} does not answer as expected",
        "Run nlbgen probe. If the nodes answer, check DNS, the certificate and the balancer.",
    )
    yield Alert(
        "FarmAllNodesFail",
        f"max by (farm) ({nodes}) == 0",
        times.probe,
        "critical",
        "No node of {{ $labels.farm }} answers its health check",
        "Check what all nodes share: SQL Server, Redis, the network. docs/troubleshooting.md",
    )
    yield Alert(
        "FarmNodeFails",
        f"{nodes} == 0",
        times.probe,
        "warning",
        "{{ $labels.node }} does not answer {{ $labels.path }} as expected",
        "Check the site and its app pools on the node. The other nodes serve its requests.",
    )
    yield Alert(
        "FarmNodeFlaps",
        f"changes({nodes}[{WINDOW}]) >= {2 * FLAPS}",
        Duration(0),
        "warning",
        "{{ $labels.node }} fails and recovers again and again",
        "Compare the time of its responses with balancer.health.timeout.",
    )
    yield from _certificates(farm)


_SERVING: Final = 'state!="down"'
"""The nodes that the spec does not remove from rotation. A metric without the label `state` matches too."""


def _certificates(farm: Farm) -> Iterator[Alert]:
    if farm.frontend.tls.mode == "none":
        return
    jobs = [job(farm, "front"), *([job(farm, "nodes")] if farm.node_tls else [])]
    chosen = f'{{farm="{farm.farm}",job=~"{"|".join(jobs)}",{_SERVING}}}'
    left = f"(probe_ssl_earliest_cert_expiry{chosen} - time()) / 86400"
    for name, days, severity in (
        ("FarmCertificateEndsSoon", CERTIFICATE_SOON_DAYS, "warning"),
        ("FarmCertificateEnds", CERTIFICATE_ENDS_DAYS, "critical"),
    ):
        yield Alert(
            name,
            f"{left} < {days}",
            Duration(0),
            "critical" if severity == "critical" else "warning",
            'The certificate of {{ $labels.instance }} ends in {{ $value | printf "%.0f" }} days',
            "Renew it: docs/certificates.md",
        )


def redis_alerts(farm: Farm, times: Timing) -> Iterator[Alert]:
    """Yield the alerts of Redis; none if another store carries SignalR's messages."""
    redis = farm.stores.backplane
    if redis is None:
        return
    servers = selector(farm, "redis", 'kind="redis"')
    masters = "redis_instance_info" + selector(farm, "redis", 'kind="redis"', 'role="master"')
    yield Alert(
        "RedisDown",
        # A server that accepts connections and does not answer, or whose host is gone, lasts longer than the scrape.
        f"redis_up{selector(farm, 'redis')} == 0 or up{selector(farm, 'redis')} == 0",
        times.confirm,
        "critical" if redis.sentinel is None else "warning",
        "{{ $labels.instance }} does not answer",
        "Check the service on its host, then redis_exporter and its password.",
    )
    yield Alert(
        "RedisRoleChanged",
        f"{masters} unless on (instance) {masters} offset {ROLE_CHANGED} and on (instance) "
        f"redis_up{servers} offset {ROLE_CHANGED} == 1",
        Duration(0),
        "warning",
        "{{ $labels.instance }} became the master of Redis within the last 5 minutes",
        "Find out why the former master was replaced: the log of Sentinel has the reason.",
    )
    if redis.sentinel is None:
        return
    yield Alert(
        "RedisMasters",
        f"(count by (farm) ({masters}) or 0 * count by (farm) (up{servers})) != 1",
        max(times.confirm, Duration(2 * redis.sentinel.down_after)),
        "critical",
        "Redis has {{ $value }} masters",
        "Run redis-cli INFO replication on each host. With two masters, messages of some nodes are lost.",
    )
    yield Alert(
        "SentinelQuorumLost",
        "redis_sentinel_master_ckquorum_status" + selector(farm, "redis", 'kind="sentinel"') + " == 0",
        times.confirm,
        "critical",
        "{{ $labels.instance }} reports that the Sentinels cannot replace the master",
        "Start the Sentinels that are down. Until then, a failure of the master stops SignalR.",
    )
