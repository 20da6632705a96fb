"""The result as metrics in a file that node_exporter reads (`--collector.textfile.directory`).

Source of the format: Prometheus's text exposition format 0.0.4; `promtool check metrics` accepts the file.
"""

from collections.abc import Iterator, Mapping

from .report import Report


def metrics(report: Report, now: float) -> bytes:
    """Return the content of the file; `now` is the time of the comparison in seconds since the epoch.

    The metrics have no label `farm`: the scrape job adds it. They have a label `host` only for hosts that ssh reached.
    """
    return "".join(f"{line}\n" for line in _lines(report, now)).encode("utf-8")


def _lines(report: Report, now: float) -> Iterator[str]:
    yield from _metric(
        "nlbgen_drift_differences",
        "Differences between what runs and the spec.",
        {_labels(subject=one.name, host=one.host): len(one.differences) for one in report.subjects if one.reached},
    )
    yield from _metric(
        "nlbgen_drift_reached",
        "Whether the subject could be compared.",
        {_labels(subject=one.name, host=one.host): int(one.reached) for one in report.subjects},
    )
    yield from _metric("nlbgen_drift_time_seconds", "When the comparison ended.", {"": round(now, 3)})
    yield from _metric(
        "nlbgen_old_workers",
        "Workers that a reload replaced and that still have connections.",
        {_labels(host=one.host): one.old_workers for one in report.machines if one.old_workers is not None},
    )
    yield from _metric(
        "nlbgen_vip_held",
        "Whether the machine holds the shared address.",
        {
            _labels(address=one.address, host=one.host): int(one.holds_address)
            for one in report.machines
            if one.holds_address is not None
        },
    )


def _metric(name: str, text: str, samples: Mapping[str, float]) -> Iterator[str]:
    if samples:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} gauge"
    for labels, value in samples.items():
        yield f"{name}{labels} {value}"


def _labels(**values: str) -> str:
    """Return the labels that have a value, in braces; an empty text without any."""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items() if value)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
