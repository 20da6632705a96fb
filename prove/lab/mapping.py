"""The differences between the rendered configuration and the one in the lab, for the user to review."""

import difflib
from typing import NamedTuple

from ...generators.base import render
from .lab import Lab


class Mapped(NamedTuple):
    """One address, file or port that differs in the lab."""

    what: str
    live: str
    here: str


def mapping(lab: Lab) -> list[Mapped]:
    """Return everything that a prepared lab maps: addresses, ports, certificates, the balancer's own files."""
    live, here = lab.live, lab.spec.farm
    rows = [Mapped("clients connect to", _endpoint(live.frontend.address, live.frontend.port), f"127.0.0.1:{lab.port}")]
    if live.frontend.redirect_http:
        rows.append(Mapped("redirect to https", _endpoint(live.frontend.address, 80), f"127.0.0.1:{lab.http_port}"))
    rows += [
        Mapped(
            f"node {one.name}", _endpoint(one.address, live.port_of(one)), _endpoint(other.address, here.port_of(other))
        )
        for one, other in zip(live.nodes, here.nodes, strict=True)
    ]
    before, after = live.frontend.tls, here.frontend.tls
    if live.balancer_tls:
        rows.append(Mapped("certificate", before.certificate, after.certificate))
        rows.append(Mapped("key", before.key, after.key))
    if before.verify_nodes is not False and str(after.verify_nodes) in lab.configuration.read_text(encoding="utf-8"):
        rows.append(Mapped("CA of the nodes", str(before.verify_nodes), str(after.verify_nodes)))
    statistics = f"127.0.0.1:{live.balancer.metrics_port}"
    rows.append(Mapped("statistics", statistics, f"127.0.0.1:{lab.metrics_port}"))
    rows.append(Mapped("the balancer's own files, user and log", "where its package has them", str(lab.folder)))
    return rows


def _endpoint(address: str, port: int) -> str:
    """Return address and port, IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def difference(lab: Lab) -> str:
    """Return a unified diff of the rendered file and the lab's file; `lab` is prepared, running or not."""
    before = next(file for file in render(lab.generator, lab.written) if file.main)
    name = f"{lab.generator.name}/{before.path}"
    lines = difflib.unified_diff(
        before.content.decode("utf-8").splitlines(keepends=True),
        lab.configuration.read_text(encoding="utf-8").splitlines(keepends=True),
        f"rendered/{name}",
        f"lab/{name}",
    )
    return "".join(lines)
