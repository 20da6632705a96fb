"""The result as metrics in a file that node_exporter reads (`--collector.textfile.directory`).

Source of the format: Prometheus's text exposition format 0.0.4; `promtool check metrics` accepts the file.
"""

from collections.abc import Iterator, Mapping

from .report import Report


def metrics(report: Report, now: float) -> bytes:
    """Return the content of the file; `now` is the time of the comparison in seconds since the epoch.

    The metrics have no label `farm`: the scrape job adds it.
    """
    return "".join(f"{line}\n" for line in _lines(report, now)).encode("utf-8")


def _lines(report: Report, now: float) -> Iterator[str]:
    yield from _metric(
        "nlbgen_drift_differences",
        "Differences between what runs and the spec.",
        {_label("subject", one.name): len(one.differences) for one in report.subjects if one.reached},
    )
    yield from _metric(
        "nlbgen_drift_reached",
        "Whether the subject could be compared.",
        {_label("subject", one.name): int(one.reached) for one in report.subjects},
    )
    yield from _metric("nlbgen_drift_time_seconds", "When the comparison ended.", {"": round(now, 3)})
    machine = report.machine
    if machine.old_workers is not None:
        text = "Workers that a reload replaced and that still have connections."
        yield from _metric("nlbgen_old_workers", text, {"": machine.old_workers})
    if machine.holds_address is not None:
        held = {_label("address", machine.address): int(machine.holds_address)}
        yield from _metric("nlbgen_vip_held", "Whether this machine holds the shared address.", held)


def _metric(name: str, text: str, samples: Mapping[str, float]) -> Iterator[str]:
    if samples:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} gauge"
    for labels, value in samples.items():
        yield f"{name}{labels} {value}"


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{name}="{escaped}"}}'
