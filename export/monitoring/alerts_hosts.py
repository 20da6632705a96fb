"""The alerts of the machines on which `nlbgen drift` runs: what it writes for node_exporter."""

from collections.abc import Iterator
from typing import Final

from ...spec.model import Farm
from ...spec.units import Duration
from .alerts import Alert, selector
from .timing import DRIFT_EVERY, MISSED_DRIFTS, WINDOW, Timing

METRIC: Final = "nlbgen"
"""How the names of the metrics of `nlbgen drift` begin."""
_MACHINE: Final = "{{ or $labels.host $labels.instance }}"
"""The machine of a metric: the host that `nlbgen drift --ssh` compared, or the one on which it ran."""
_SUBJECT: Final = "{{ $labels.subject }}{{ with $labels.host }} at {{ . }}{{ end }}"


def host_alerts(farm: Farm, times: Timing, *, hosted: bool) -> Iterator[Alert]:
    """Yield the alerts of the machines; `hosted` if they run the balancer, whose workers and address they have."""
    chosen = selector(farm, "hosts")
    yield Alert(
        "HostDown",
        f"up{chosen} == 0",
        times.confirm,
        "warning",
        "{{ $labels.instance }} cannot be scraped",
        "Check the machine and node_exporter.",
    )
    yield from _drift(chosen)
    if not hosted:
        return
    yield Alert(
        "OldWorkersAlive",
        f"{METRIC}_old_workers{chosen} > 0",
        times.workers,
        "warning",
        f"{{{{ $value }}}} old workers on {_MACHINE} still have connections",
        f"They should end {farm.balancer.timeouts.reload} after a reload. Frequent reloads cause this as well.",
    )
    if farm.frontend.vip is not None:
        yield from _address(chosen)


def _drift(chosen: str) -> Iterator[Alert]:
    stale = Duration(DRIFT_EVERY * MISSED_DRIFTS)
    yield Alert(
        "DriftFound",
        f"{METRIC}_drift_differences{chosen} > 0",
        Duration(2 * DRIFT_EVERY),
        "warning",
        f"{_SUBJECT}: {{{{ $value }}}} differences from the spec",
        "Run nlbgen drift. Then load the rendered files, or write the change into the spec.",
    )
    yield Alert(
        "DriftUnknown",
        f"{METRIC}_drift_reached{chosen} == 0",
        Duration(2 * DRIFT_EVERY),
        "warning",
        f"nlbgen drift cannot compare {_SUBJECT}",
        "Run nlbgen drift on that machine: it reports the reason.",
    )
    yield Alert(
        "DriftStale",
        f"time() - {METRIC}_drift_time_seconds{chosen} > {stale.seconds}",
        Duration(0),
        "warning",
        "nlbgen drift did not run on {{ $labels.instance }} for {{ $value | humanizeDuration }}",
        "systemctl status nlbgen-drift.timer nlbgen-drift.service",
    )


def _address(chosen: str) -> Iterator[Alert]:
    held = f"{METRIC}_vip_held{chosen}"
    yield Alert(
        "VipMoved",
        f"changes({held}[{WINDOW}]) > 0",
        Duration(0),
        "warning",
        f"The shared address moved: {_MACHINE} took it or lost it",
        "Check why: journalctl -u keepalived on both balancers.",
    )
    yield Alert(
        "VipHolders",
        f"sum by (farm, address) ({held}) != 1",
        Duration(2 * DRIFT_EVERY),
        "critical",
        "{{ $value }} balancers hold the shared address",
        "With 0, no balancer works. With 2 or more, VRRP packets are lost: check the firewall (protocol 112).",
    )
