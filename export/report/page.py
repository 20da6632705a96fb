"""One HTML file about a farm, for the reviewers of a change.

It loads nothing: it contains its styles and its small script, and its content security policy allows only these, by
their hashes, so that no text of the spec can fetch or run anything. Without JavaScript, and on paper, all panels are
open. It depends only on the spec, the nodes' files and the available secrets: no clock, no name of this machine.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ... import __version__
from ...core.artifacts import Artifact
from ...core.errors import Problem, UnsupportedError
from ...core.plan import DIGEST_SHOWN
from ...core.wording import all_of, plural
from ...generators import base, matrix
from ...generators.base import Limitation
from ...generators.features import FEATURES
from ...spec.load import Spec
from ..markup import digest_source, made, sentence
from ..markup import render as markup
from ..topology import picture as topology
from ..topology import svg as topology_svg
from . import nodes as report_nodes
from .code import CodeLine, highlighted
from .markdown import rendered
from .robots import robots

FILE: Final = "report.html"
Verdict = Callable[[str], str]
"""The verdict of a vendor's program on the farm's configuration, by the vendor's name."""


class ShownFile(NamedTuple):
    """One file of a vendor: highlighted lines, or a text for people."""

    anchor: str
    path: str
    size: int
    digest: str
    lines: tuple[CodeLine, ...]
    prose: Markup
    explained: bool
    """Whether any line has a reason."""


class Vendor(NamedTuple):
    """The panel of a vendor that the spec names; a vendor that refuses the farm has problems and no files."""

    name: str
    title: str
    called: str
    verdict: str
    files: tuple[ShownFile, ...]
    limitations: tuple[Limitation, ...]
    problems: tuple[Problem, ...]
    findings: "tuple[ShownFinding, ...]"


class ShownFinding(NamedTuple):
    """A problem to read before the change."""

    level: str
    """`error` or `warning`."""
    word: str
    id: str
    location: str
    path: str
    message: Markup
    hint: Markup


class Sum(NamedTuple):
    """One file of `nlbgen render all` with its checksum."""

    path: str
    size: int
    digest: str
    """Empty, like the size, for a file with secrets: a digest helps to guess them."""
    anchor: str


def render(spec: Spec, *, verdict: Verdict | None = None, planned: bool = True) -> bytes:
    """The report of a farm.

    Without `planned` no secret is read, and the page has no plan for the nodes' files: it then depends only on the
    spec and the nodes' files.

    `verdict` is called for each vendor that accepts the farm, as
    [`verdicts`][nlbgen.generators.output.verdicts] does it; its exceptions are not caught. Without it the page has no
    verdicts. The page is about the vendors that the spec names; if it names none, about those that accept the farm. It
    lists nodes without files.
    """
    vendors = [_vendor(name, spec, verdict) for name in base.named_vendors(spec)]
    if not spec.farm.written & {*base.VENDORS}:
        vendors = [vendor for vendor in vendors if vendor.files] or vendors
    others = [base.generator(name).title for name in base.VENDORS if name not in {vendor.name for vendor in vendors}]
    prepared = report_nodes.prepare(spec, planned=planned)
    drawn = topology.picture(spec.farm)
    findings = _findings(spec, vendors)
    view = {
        "farm": spec.farm,
        "url": drawn.url,
        "spec": Path(spec.name).name,
        "digest": spec.digest,
        "short": spec.digest[:DIGEST_SHOWN],
        "version": __version__,
        "counts": _counts(findings),
        "ready": [vendor.called for vendor in vendors if vendor.files],
        "serving": _serving(spec),
        "marks": [(mark.number, topology.DOUBTS[mark.doubt], sentence(mark.text)) for mark in drawn.marks],
        "picture": topology_svg.draw_for_page(drawn),
        "findings": findings,
        "accepted": [(vendor.title, one) for vendor in vendors for one in vendor.limitations if one.accepted],
        "vendors": vendors,
        "others": all_of(others) if others else "",
        "nodes": report_nodes.rows(spec),
        "robots": robots(spec.farm),
        "plan": report_nodes.plan(spec) if planned else report_nodes.NOT_PLANNED,
        "prepared": prepared,
        "runbook": rendered(prepared.runbook, level=3),
        "matrix": _matrix([base.generator(vendor.name) for vendor in vendors]),
        "sums": [*_vendor_sums(vendors), *_node_sums(prepared)],
        **_sources(),
    }
    return markup("report/report.html.j2", view).encode("utf-8")


def _sources() -> dict[str, object]:
    """The styles and the script, and the policy that allows these alone."""
    styles = [topology_svg.style_sheet(), markup("report/report.css.j2", {})]
    script = markup("report/report.js.j2", {})
    style_hashes = " ".join(map(digest_source, styles))
    policy = (
        f"default-src 'none'; style-src {style_hashes}; script-src {digest_source(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"styles": styles, "script": script, "policy": made(policy)}


# Vendors


def _vendor(name: str, spec: Spec, verdict: Verdict | None) -> Vendor:
    generator = base.generator(name)
    version = generator.version(spec.farm)
    called = generator.called(version)
    try:
        job = base.prepare(generator, spec, base.Site())
        files = base.render(generator, spec)
    except UnsupportedError as error:
        return Vendor(name, generator.title, called, "", (), (), error.problems, tuple(map(_finding, error.problems)))
    said = verdict(name) if verdict else ""
    main_first = sorted(files, key=lambda file: (not file.main, file.path))
    shown = tuple(_shown(name, file) for file in main_first)
    return Vendor(name, generator.title, called, said, shown, job.limitations, (), ())


def _shown(vendor: str, file: Artifact) -> ShownFile:
    path, text = str(file.path), file.content.decode("utf-8")
    prose = file.path.suffix == ".md"
    lines = () if prose else tuple(highlighted(path, text))
    return ShownFile(
        anchor=f"file-{vendor}-{path.replace('/', '-')}",
        path=path,
        size=len(file.content),
        digest=hashlib.sha256(file.content).hexdigest(),
        lines=lines,
        prose=rendered(text, level=5) if prose else Markup(),
        explained=any(line.reason for line in lines),
    )


# Findings


def _findings(spec: Spec, vendors: Iterable[Vendor]) -> list[ShownFinding]:
    """Return errors first, then warnings: of the spec, of the nodes' files, and of the vendors."""
    problems = [*report_nodes.problems(spec), *spec.warnings, *base.audit(spec)]
    problems += [problem for vendor in vendors for problem in vendor.problems]
    found = [_finding(problem) for problem in dict.fromkeys(problems)]
    return sorted(found, key=lambda finding: finding.level != "error")


def _finding(problem: Problem) -> ShownFinding:
    return ShownFinding(
        problem.severity,
        "error" if problem.severity == "error" else "warning",
        problem.id,
        str(problem.location),
        problem.path,
        sentence(problem.message),
        sentence(problem.hint),
    )


def _counts(findings: Iterable[ShownFinding]) -> str:
    levels = [finding.level for finding in findings]
    parts = [plural(count, level) for level in ("error", "warning") if (count := levels.count(level))]
    return ", ".join(parts) or "nothing"


def _serving(spec: Spec) -> str:
    states = [node.state for node in spec.farm.nodes]
    return ", ".join(f"{states.count(state)} {state}" for state in topology.STATES if state in states)


# Matrix


def _matrix(generators: Sequence[base.Generator]) -> dict[str, Any]:
    notes: list[str] = []
    rows = []
    for feature in FEATURES:
        cells = []
        for generator in generators:
            found = matrix.cell(generator, feature)
            number = ""
            if found.note:
                accept = f" Accept it as {found.accept}." if found.accept else ""
                notes.append(f"{generator.title}, {feature.title}: {found.note}.{accept}")
                number = str(len(notes))
            cells.append({"answer": found.answer, "kind": found.answer.split()[0], "note": number})
        rows.append({"title": feature.title, "cells": cells})
    heads = [{"title": one.title, "versions": f"{one.oldest} to {one.newest}"} for one in generators]
    return {"heads": heads, "rows": rows, "notes": notes}


# Checksums


def _vendor_sums(vendors: Iterable[Vendor]) -> list[Sum]:
    return [
        Sum(f"{vendor.name}/{file.path}", file.size, file.digest, file.anchor)
        for vendor in vendors
        for file in sorted(vendor.files, key=lambda file: file.path)
    ]


def _node_sums(prepared: report_nodes.Prepared) -> list[Sum]:
    return [
        Sum(f"nodes/{file.path}", 0, "", "")
        if file.secret
        else Sum(f"nodes/{file.path}", len(file.content), hashlib.sha256(file.content).hexdigest(), "")
        for file in prepared.files
    ]
