"""Render the files for monitoring a farm."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from ...core import templating
from ...core.artifacts import Artifact, made_by
from ...core.errors import UnsupportedError
from ...core.markdown import code
from ...generators.base import VENDORS, Generator, generator, render
from ...spec.load import Spec
from . import dashboard, targets
from .alerts import Alert, farm_alerts, redis_alerts
from .alerts_hosts import host_alerts
from .alerts_programs import UNSEEN, program_alerts
from .timing import DRIFT_EVERY, LONGEST_SCRAPE, SHORTEST_SCRAPE, Timing, timing

SPEC_PATH: Final = "/etc/nlbgen/farm.yaml"
PROGRAM: Final = "/usr/local/bin/nlbgen"
TEXTFILE: Final = "/var/lib/prometheus/node-exporter/nlbgen.prom"
"""A file in the folder that Debian's node_exporter reads."""


def render_monitoring(spec: Spec) -> list[Artifact]:
    """Return the files in the order of their paths, below the folder `monitoring`.

    Raises UnsupportedError if a vendor that the spec names does not support the farm.
    """
    vendors = vendors_of(spec)
    times = timing(spec.farm)
    rules = dict(_rules(spec, vendors, times))
    made = [
        _prometheus(spec, vendors, times, rules),
        *(_rule_file(spec, name, alerts) for name, alerts in rules.items()),
        _text(spec, "blackbox.yml", {"modules": [module.view() for module in targets.modules(spec.farm)]}),
        Artifact(PurePosixPath("dashboard.json"), dashboard.dashboard(spec.farm, vendors, times)),
        _text(spec, "INSTALL.md", _install(spec, vendors, rules)),
        *_units(spec, vendors),
        *_bigip(spec, vendors),
    ]
    return sorted(made, key=lambda file: file.path)


def vendors_of(spec: Spec) -> tuple[Generator, ...]:
    """Return the vendors that the spec names, or all that support the farm; raises UnsupportedError."""
    named = [name for name in VENDORS if name in spec.farm.written]
    found: list[Generator] = []
    for vendor in map(generator, named or VENDORS):
        try:
            render(vendor, spec)
        except UnsupportedError:
            if named:
                raise
            continue
        if _is_known(vendor, spec):
            found.append(vendor)
    return tuple(found)


def _is_known(vendor: Generator, spec: Spec) -> bool:
    """Whether the spec has the address of what would be scraped."""
    known = {"f5": spec.farm.f5.host is not None, "zen": spec.farm.zen.api is not None}
    return known.get(vendor.name, True)


def _rules(spec: Spec, vendors: tuple[Generator, ...], times: Timing) -> Iterator[tuple[str, list[Alert]]]:
    """Yield the alerts of each file; the file of a vendor can be left out if another vendor runs."""
    farm = spec.farm
    yield "", [*farm_alerts(farm, times), *redis_alerts(farm, times)]
    for vendor in vendors:
        yield vendor.name, program_alerts(vendor.name, farm, times)
    hosted = any(vendor.hosting is not None for vendor in vendors)
    yield "hosts", list(host_alerts(farm, times, hosted=hosted))


def _file_of(spec: Spec, part: str) -> str:
    return f"{spec.farm.farm}-{part}" if part else spec.farm.farm


def _rule_file(spec: Spec, part: str, alerts: list[Alert]) -> Artifact:
    name = _file_of(spec, part)
    view = {
        "name": name,
        "farm": targets.quoted(spec.farm.farm),
        "alerts": [alert.view() for alert in alerts],
        "title": generator(part).title if part in VENDORS else "",
        "unseen": UNSEEN.get(part, ()),
    }
    return _text(spec, "rules.yml", view, folder="rules", name=f"{name}.yml")


def _prometheus(spec: Spec, vendors: tuple[Generator, ...], times: Timing, rules: dict[str, list[Alert]]) -> Artifact:
    farm = spec.farm
    view = {
        "scrape": str(times.scrape),
        "shortest": str(SHORTEST_SCRAPE),
        "longest": str(LONGEST_SCRAPE),
        "rules": [targets.quoted(f"rules/{_file_of(spec, part)}.yml") for part in rules],
        "jobs": [scrape.view(farm.farm) for scrape in targets.scrapes(farm, vendors)],
    }
    return _text(spec, "prometheus.yml", view)


def _units(spec: Spec, vendors: tuple[Generator, ...]) -> Iterator[Artifact]:
    """Yield the systemd units of the balancers' machines."""
    names = {vendor.name for vendor in vendors}
    if "haproxy" in names:
        view: dict[str, Any] = {"port": targets.HAPROXY_PORT, "metrics_port": spec.farm.balancer.metrics_port}
        yield _text(spec, "nlbgen-metrics.socket", view, folder="haproxy")
        yield _text(spec, "nlbgen-metrics.service", view, folder="haproxy")
    subjects = " ".join(vendor.name for vendor in vendors)
    command = f"{PROGRAM} --quiet drift {subjects} --spec {SPEC_PATH} --textfile {TEXTFILE}"
    drift = {"command": command, "every": str(DRIFT_EVERY), "timeout": str(DRIFT_EVERY)}
    yield _text(spec, "nlbgen-drift.service", drift, folder="drift")
    yield _text(spec, "nlbgen-drift.timer", drift, folder="drift")


def _bigip(spec: Spec, vendors: tuple[Generator, ...]) -> Iterator[Artifact]:
    """Yield what a BIG-IP needs before it can be scraped."""
    if not any(vendor.name == "f5" for vendor in vendors):
        return
    if targets.reads_snmp(spec.farm):
        yield _text(spec, "generator.yml", {}, folder="f5")
    else:
        yield _text(spec, "telemetry.json", {"consumer": targets.PULL_CONSUMER}, folder="f5")


def _install(spec: Spec, vendors: tuple[Generator, ...], rules: dict[str, list[Alert]]) -> dict[str, Any]:
    farm = spec.farm
    names = {vendor.name for vendor in vendors}
    module = targets.modules(farm)[1]
    return {
        "farm": farm.farm,
        **{name: name in names for name in VENDORS},
        "hosted": any(vendor.hosting is not None for vendor in vendors),
        "several": len(vendors) > 1,
        "vendors": [
            {
                "title": vendor.title,
                "job": code(targets.job(farm, vendor.name)),
                "file": code(f"rules/{_file_of(spec, vendor.name)}.yml"),
                "unseen": UNSEEN[vendor.name],
            }
            for vendor in vendors
        ],
        "ca_file": code(module.ca_file) if module.ca_file else "",
        "metrics_port": farm.balancer.metrics_port,
        "haproxy_port": targets.HAPROXY_PORT,
        "redis": farm.stores.backplane is not None,
        "sentinel": farm.stores.backplane is not None and farm.stores.backplane.sentinel is not None,
        "snmp": targets.reads_snmp(farm),
        "snmp_used": "zen" in names or ("f5" in names and targets.reads_snmp(farm)),
        "f5_ca": farm.f5.ca is not None,
        "f5_password": code(f"{targets.SECRETS}/{farm.farm}-f5.password"),
        "f5_ca_file": code(f"{targets.SECRETS}/{farm.farm}-f5-ca.pem"),
        "spec_path": code(SPEC_PATH),
        "program": code(PROGRAM),
        "textfile": TEXTFILE,
        "every": str(DRIFT_EVERY),
        "alerts": [alert.view() for alerts in rules.values() for alert in alerts],
    }


def _text(spec: Spec, template: str, view: dict[str, Any], *, folder: str = "", name: str = "") -> Artifact:
    what = f"Monitoring of the farm {spec.farm.farm}"
    header = [what, *made_by("render monitoring", spec.digest)]
    content = templating.render(f"monitoring/{template}.j2", {"header": header, **view})
    return Artifact(PurePosixPath(folder) / (name or template), content)
