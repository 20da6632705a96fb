"""The Grafana dashboard: a variable selects the farm; it has rows for the vendors of the spec."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ...generators.base import Generator
from ...spec.model import Farm
from ...spec.units import Duration
from .targets import reads_snmp
from .timing import DEVICE_SCRAPE, RATE_WINDOWS, Timing

SCHEMA_VERSION: Final = 36
"""The version of the dashboard's JSON: Grafana 9 and later read it."""
COLUMNS: Final = 24
HEIGHT: Final = 8
DEVICE_WINDOW: Final = Duration(DEVICE_SCRAPE * RATE_WINDOWS)
FARM: Final = 'farm="$farm"'

Unit = Literal["short", "reqps", "s", "percentunit", "d", "bool_yes_no"]


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of PromQL, and the name of its series."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph."""

    title: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    description: str = ""
    state: bool = False
    """Whether it shows states over time instead of a line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of panels with a heading."""

    title: str
    panels: tuple[Panel, ...]


def dashboard(farm: Farm, vendors: Sequence[Generator], times: Timing) -> bytes:
    """Return the JSON of the dashboard; the same for farms with the same vendors and times."""
    names = [vendor.name for vendor in vendors]
    content = {
        "uid": f"nlbgen-{farm.farm}",
        "title": f"Orchestrator farm {farm.farm}",
        "tags": ["nlbgen"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(farm)},
        "annotations": {"list": []},
        "panels": list(_placed(rows(farm, names, times))),
    }
    return (json.dumps(content, indent=2, ensure_ascii=True) + "\n").encode("utf-8")


def rows(farm: Farm, vendors: Sequence[str], times: Timing) -> list[Row]:
    """Return the rows of the dashboard: the farm, its programs or devices, the machines, Redis."""
    found = [_farm_row(farm)]
    found += [_ROWS[vendor](farm, times) for vendor in vendors]
    found.append(_hosts_row(farm))
    if farm.stores.backplane is not None:
        found.append(_redis_row())
    return found


def _variables(farm: Farm) -> list[dict[str, Any]]:
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }
    chosen = {
        "name": "farm",
        "label": "Farm",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": 'label_values(up{farm!=""}, farm)', "refId": "farm"},
        "refresh": 2,
        "sort": 1,
        "multi": False,
        "includeAll": False,
        "current": {"selected": True, "text": farm.farm, "value": farm.farm},
        "hide": 0,
    }
    return [source, chosen]


_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _placed(found: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the headings and the panels with their positions; a row has up to three panels side by side."""
    number, y = 0, 0
    for row in found:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
            "panels": [],
        }
        y += 1
        for start in range(0, len(row.panels), 3):
            beside = row.panels[start : start + 3]
            width = COLUMNS // len(beside)
            for column, panel in enumerate(beside):
                number += 1
                place = {"h": HEIGHT, "w": width, "x": column * width, "y": y}
                yield _panel(panel, number, place)
            y += HEIGHT


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "state-timeline" if panel.state else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": one.expression, "legendFormat": one.legend}
            for index, one in enumerate(panel.queries)
        ],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    if not panel.state:
        return {"unit": panel.unit, "min": 0}
    colours = {"0": {"text": "fails", "color": "red", "index": 0}, "1": {"text": "up", "color": "green", "index": 1}}
    return {"unit": panel.unit, "mappings": [{"type": "value", "options": colours}]}


def _farm_row(farm: Farm) -> Row:
    panels = [
        Panel("Farm", (Query(f'probe_success{{{FARM},job="$farm-front"}}', "{{instance}}"),), state=True),
        Panel("Nodes", (Query(f'probe_success{{{FARM},job="$farm-nodes"}}', "{{node}} {{path}}"),), state=True),
        Panel(
            "Response time of the health endpoint",
            (Query(f"probe_duration_seconds{{{FARM}}}", "{{node}} {{instance}}"),),
            unit="s",
        ),
    ]
    if farm.frontend.tls.mode != "none":
        left = f"(probe_ssl_earliest_cert_expiry{{{FARM}}} - time()) / 86400"
        panels.append(Panel("Days until a certificate ends", (Query(left, "{{node}} {{instance}}"),), unit="d"))
    alerts = Query(f'count by (alertname, severity) (ALERTS{{{FARM},alertstate="firing"}})', "{{alertname}}")
    return Row("Farm", (*panels, Panel("Firing alerts", (alerts,))))


def _haproxy_row(farm: Farm, times: Timing) -> Row:
    window = f"[{times.rate}]"
    pool = 'proxy="${farm}_web"'
    live = "web" if farm.frontend.tls.mode == "passthrough" else "signalr"
    panels = [
        Panel(
            "Nodes as HAProxy sees them",
            (Query(f'haproxy_server_status{{{FARM},{pool},state="UP"}}', "{{server}} {{instance}}"),),
            state=True,
        ),
        Panel(
            "Sessions by node",
            (Query(f'haproxy_server_current_sessions{{{FARM},proxy="${{farm}}_{live}"}}', "{{server}} {{instance}}"),),
            description="Long-lived sessions: WebSockets and long polls. Old workers are not counted.",
        ),
        Panel(
            "Failed checks",
            (Query(f"rate(haproxy_server_check_failures_total{{{FARM},{pool}}}{window})", "{{server}}"),),
        ),
    ]
    if farm.frontend.tls.mode != "passthrough":
        responses = f'rate(haproxy_frontend_http_responses_total{{{FARM},proxy="$farm"}}{window})'
        by_node = f'rate(haproxy_server_http_responses_total{{{FARM},{pool},code="5xx"}}{window})'
        panels += [
            Panel("Responses", (Query(f"sum by (code) ({responses})", "{{code}}"),), unit="reqps"),
            Panel("Responses by node with 5xx", (Query(by_node, "{{server}}"),), unit="reqps"),
            Panel("Queue", (Query(f"haproxy_backend_current_queue{{{FARM},{pool}}}", "{{instance}}"),)),
        ]
    return Row("HAProxy", tuple(panels))


def _nginx_row(_farm: Farm, times: Timing) -> Row:
    rate = f"rate(nginx_http_requests_total{{{FARM}}}[{times.rate}])"
    states = tuple(
        Query(f"nginx_connections_{name}{{{FARM}}}", f"{name} {{{{instance}}}}")
        for name in ("active", "reading", "writing", "waiting")
    )
    return Row(
        "NGINX",
        (
            Panel("NGINX answers its exporter", (Query(f"nginx_up{{{FARM}}}", "{{instance}}"),), state=True),
            Panel("Requests", (Query(rate, "{{instance}}"),), unit="reqps"),
            Panel("Connections of clients", states, description="stub_status does not count WebSockets separately."),
        ),
    )


def _bigip_row(farm: Farm, _times: Timing) -> Row:
    if reads_snmp(farm):
        state = f'ltmPoolMbrStatusAvailState{{{FARM},ltmPoolMbrStatusPoolName=~".*/${{farm}}_.*"}}'
        legend = "{{ltmPoolMbrStatusPoolName}} {{ltmPoolMbrStatusNodeName}}"
        described = "1 available, 2 busy, 3 down, 4 unknown, 5 unlicensed"
        return Row("F5 BIG-IP", (Panel("State of the members", (Query(state, legend),), description=described),))
    pools = 'pools=~".*/${farm}_.*"'
    failed = f"rate(f5_5xxResp{{{FARM}}}[{DEVICE_WINDOW}])"
    return Row(
        "F5 BIG-IP",
        (
            Panel("Active members", (Query(f"f5_activeMemberCnt{{{FARM},{pools}}}", "{{pools}}"),)),
            Panel("Connections", (Query(f'f5_serverside_curConns{{{FARM},{pools},members=""}}', "{{pools}}"),)),
            Panel("Responses with 5xx", (Query(failed, "{{httpProfiles}}"),), unit="reqps"),
        ),
    )


def _zen_row(_farm: Farm, _times: Timing) -> Row:
    status = Query(f'ifOperStatus{{{FARM},job="$farm-zen"}}', "{{ifDescr}}")
    traffic = f'rate(ifHCOutOctets{{{FARM},job="$farm-zen"}}[{DEVICE_WINDOW}])'
    return Row(
        "Appliance",
        (
            Panel("Interfaces", (status,), description="1 up, 2 down"),
            Panel("Bytes sent per second", (Query(traffic, "{{ifDescr}}"),)),
        ),
    )


_ROWS: Final[Mapping[str, Callable[[Farm, Timing], Row]]] = {
    "haproxy": _haproxy_row,
    "nginx": _nginx_row,
    "f5": _bigip_row,
    "zen": _zen_row,
}


def _hosts_row(farm: Farm) -> Row:
    panels = [
        Panel("Differences from the spec", (Query(f"nlbgen_drift_differences{{{FARM}}}", "{{subject}} {{instance}}"),)),
        Panel("Old workers", (Query(f"nlbgen_old_workers{{{FARM}}}", "{{instance}}"),)),
        Panel("Load of the machines", (Query(f'node_load1{{{FARM},job="$farm-hosts"}}', "{{instance}}"),)),
    ]
    if farm.frontend.vip is not None:
        panels.append(Panel("Holder of the address", (Query(f"nlbgen_vip_held{{{FARM}}}", "{{instance}}"),)))
    return Row("Machines of the balancers", tuple(panels))


def _redis_row() -> Row:
    masters = f'redis_instance_info{{{FARM},role="master"}}'
    return Row(
        "Redis",
        (
            Panel("Redis answers", (Query(f"redis_up{{{FARM}}}", "{{instance}}"),), state=True),
            Panel("Master", (Query(masters, "{{instance}}"),)),
            Panel("Clients", (Query(f"redis_connected_clients{{{FARM}}}", "{{instance}}"),)),
        ),
    )
