"""How often Prometheus looks, and how long a condition must hold before an alert fires.

The times follow from the farm's own health checks: an alert is never faster than the balancer's own decision, and never
much slower.
"""

from typing import Final, NamedTuple

from ...generators.design import Design
from ...spec.model import Farm
from ...spec.units import Duration

SHORTEST_SCRAPE: Final = Duration.of("5s")
LONGEST_SCRAPE: Final = Duration.of("15s")
WINDOW: Final = Duration.of("10m")
"""The time over which the alerts compare: connections that fell, checks that flap."""
RATE_WINDOWS: Final = 4
"""A rate needs two samples, also after a scrape that failed: its window has four scrapes."""
DEVICE_SCRAPE: Final = Duration.of("30s")
"""Between two scrapes of a device, which computes its statistics for each of them. Probes report a failure faster."""
DRIFT_EVERY: Final = Duration.of("1m")
"""The interval of the timer of `nlbgen drift`."""
MISSED_DRIFTS: Final = 5
"""After this number of intervals without a run, the result is out of date."""
RELOAD_GRACE: Final = Duration.of("5m")
"""The time after `balancer.timeouts.reload` in which old workers may still end."""


class Timing(NamedTuple):
    """The times of one farm's alerts."""

    scrape: Duration
    """Between two scrapes, and between two evaluations of the rules."""
    confirm: Duration
    """The time for which the balancer's own view of a node must hold: one more detection."""
    probe: Duration
    """The same for probes, which fail once for each scrape: `fall` probes in a row."""
    rate: Duration
    """The window of rates."""
    queue: Duration
    """The time for which requests must wait: half of the time after which they fail."""
    workers: Duration
    """The time after which old workers should have ended."""


def timing(farm: Farm) -> Timing:
    """Return the times for a farm; all are whole seconds.

    `confirm` is at least `interval` x `fall`: the time in which the balancer itself detects a failed node.
    """
    balancer, health = farm.balancer, farm.balancer.health
    detection = max(Design(farm).longest_detection, Duration(health.interval * health.fall))
    scrape = _whole(min(max(detection, SHORTEST_SCRAPE), LONGEST_SCRAPE))
    return Timing(
        scrape=scrape,
        confirm=_whole(detection),
        probe=max(_whole(detection), Duration(scrape * (health.fall - 1))),
        rate=Duration(scrape * RATE_WINDOWS),
        queue=max(scrape, _whole(Duration(balancer.timeouts.queue // 2))),
        workers=_whole(Duration(balancer.timeouts.reload + RELOAD_GRACE)),
    )


def _whole(time: Duration) -> Duration:
    return Duration(time.seconds * 1000)
