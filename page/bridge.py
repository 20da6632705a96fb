"""What the page calls: each function takes and returns plain data, as the same command does on a command line.

The page sends a request as JSON, `{"call": NAME, "with": {...}}`, and gets `{"value": ...}` or, for what nlbgen
refuses, `{"error": {"message": ..., "hint": ...}}`. Files that the user drops onto the page stay in the folder of
this process, which a browser keeps in memory.
"""

import base64
import binascii
import difflib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from .. import __version__
from ..core.errors import NlbgenError, SpecError, UnsupportedError, UsageError
from ..core.files import write_atomically
from ..generators import base
from ..spec import document
from ..spec.load import Spec, loads
from ..spec.model import Farm
from ..spec.reports import Result, as_json
from ..spec.schema import Data, json_schema
from . import editing

SPEC: Final = "farm.yaml"
"""The spec's name in messages and in the bundle."""
MAX_FILE: Final = 8 * 1024 * 1024
_MAX_LINES: Final = 20_000
"""The longest texts, in lines, of which a difference is shown."""

Json = dict[str, Data]


class _Request(NamedTuple):
    """The arguments of one call, each checked when it is read."""

    given: Mapping[str, Data]

    def text(self, name: str) -> str:
        """A text; raises UsageError."""
        value = self.given.get(name)
        if not isinstance(value, str):
            raise UsageError(f"the argument {name} is not a text")
        return value

    def path(self, name: str) -> tuple[str | int, ...]:
        """The path of a key; raises UsageError."""
        value = self.given.get(name)
        if not isinstance(value, list) or not all(isinstance(step, str | int) for step in value):
            raise UsageError(f"the argument {name} is not a path")
        return tuple(value)

    def number(self, name: str) -> int:
        """A whole number; raises UsageError."""
        value = self.given.get(name)
        if not isinstance(value, int):
            raise UsageError(f"the argument {name} is not a number")
        return value

    def content(self, name: str) -> bytes:
        """The bytes of a file, sent as base64; raises UsageError."""
        try:
            raw = base64.b64decode(self.text(name), validate=True)
        except binascii.Error:
            raise UsageError(f"the argument {name} is not base64") from None
        if len(raw) > MAX_FILE:
            raise UsageError(f"the file has {len(raw)} bytes; the limit is {MAX_FILE}")
        return raw


def call(request: str) -> str:
    """Carry out one request of the page, and return the response as JSON."""
    asked = json.loads(request)
    try:
        value = FUNCTIONS[asked["call"]](_Request(asked["with"]))
    except NlbgenError as error:
        return json.dumps({"error": {"message": error.message, "hint": error.hint or ""}})
    return json.dumps({"value": value})


@lru_cache(maxsize=2)
def _spec(text: str) -> Spec:
    return loads(text, SPEC)


# The spec


def _check(request: _Request) -> Json:
    """The findings of `nlbgen check`, and the data for the form; only a valid text may become a link."""
    text = request.text("text")
    try:
        data: Data = document.parse(SPEC, text).data
    except SpecError:
        data = None
    found = _result(text)
    return {
        "data": data,
        "valid": bool(found.digest),
        "digest": found.digest,
        "problems": json.loads(as_json([found]))[0]["problems"],
        "check": as_json([found]),
    }


def _result(text: str) -> Result:
    from ..export import findings

    try:
        return findings.check(_spec(text))
    except SpecError as error:
        return Result(SPEC, "", error.problems, SpecError.exit_code)


def _edit(request: _Request) -> Json:
    """The text with one value changed: `set`, `remove`, `add` (an item), or `move` (an item to another place)."""
    text, path, how = request.text("text"), request.path("path"), request.text("how")
    if how == "set":
        return {"text": editing.with_value(text, path, request.given.get("value"))}
    if how == "add":
        return {"text": editing.with_item(text, path, request.given.get("value"))}
    if how == "move":
        return {"text": editing.moved(text, path, request.number("index"), request.number("to"))}
    return {"text": editing.without(text, path)}


def _schema(_request: _Request) -> Json:
    return {"schema": json_schema(Farm, "nlbgen farm.yaml")}


def _starter(request: _Request) -> Json:
    """A first farm.yaml as `nlbgen init --from` writes it, from a node's config file."""
    from ..nodes.discovery import facts
    from ..spec.starter import Answers, is_core_version, starter

    name = _stored(request)
    found = facts(name)
    known = {key: value for key, value in found._asdict().items() if key not in {"notes", "redis", "store"} and value}
    store = "redis" if is_core_version(found.orchestrator) else found.store or "redis"
    answers = Answers(
        farm="orchestrator",
        host="orchestrator.corp.example",
        nodes=(("orch-1", "10.20.0.11"), ("orch-2", "10.20.0.12")),
        store=store,
        **known,
        redis=",".join(found.redis) or "redis-1.corp.example",
        config=name.as_posix(),
    )
    content, _ = starter(answers, SPEC)
    return {"text": content.decode("utf-8"), "notes": list(found.notes)}


def _keep(request: _Request) -> Json:
    """Keep a node's config file under the path that the spec names."""
    return {"path": _stored(request).as_posix()}


def _stored(request: _Request) -> Path:
    """Write a file that the user chose below the current folder; raises UsageError for any other place."""
    name = PurePosixPath(request.text("name").replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.name or ":" in str(name):
        raise UsageError(f"{name} is not a path below the spec's folder", "write a relative path into the spec")
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, request.content("content"))
    _spec.cache_clear()
    return path


# Results


def _render(request: _Request) -> Json:
    """The files of all vendors, as `nlbgen render VENDOR` writes them."""
    spec = _spec(request.text("text"))
    return {"vendors": [_vendor(name, spec) for name in base.VENDORS]}


def _vendor(name: str, spec: Spec) -> Json:
    vendor = base.generator(name)
    shown: Json = {"name": name, "title": vendor.title, "called": vendor.called(vendor.version(spec.farm))}
    try:
        job = base.prepare(vendor, spec, base.Site())
        files = base.render(vendor, spec)
    except UnsupportedError as error:
        problems = [
            {"id": one.id, "path": one.path, "message": one.message, "hint": one.hint} for one in error.problems
        ]
        return {**shown, "files": [], "limitations": [], "problems": problems}
    return {
        **shown,
        "files": [
            {"path": f"{name}/{file.path}", "text": file.content.decode("utf-8"), "main": file.main}
            for file in sorted(files, key=lambda file: (not file.main, file.path))
        ],
        "limitations": [one._asdict() for one in job.limitations],
        "problems": [],
    }


def _nodes(request: _Request) -> Json:
    """The files of `nlbgen render nodes` without secrets, the runbook as HTML, and which config files are missing."""
    from ..export.report import markdown, nodes
    from ..nodes.spec_files import named

    spec = _spec(request.text("text"))
    prepared = nodes.prepare(spec, planned=False)
    missing = [str(file) for _path, file in named(spec) if not Path(file).exists()]
    return {
        "files": [
            {"path": f"nodes/{file.path}", "text": file.content.decode("utf-8"), "main": False}
            for file in prepared.files
            if not file.secret
        ],
        "notes": list(prepared.notes),
        "absent": prepared.absent,
        "missing": list(dict.fromkeys(missing)),
        "runbook": str(markdown.rendered(prepared.runbook, level=3)),
    }


def _topology(request: _Request) -> Json:
    """The farm's diagram, and its numbered notes."""
    from ..export.topology import picture, svg

    drawn = picture.picture(_spec(request.text("text")).farm)
    marks = [{"number": mark.number, "doubt": picture.DOUBTS[mark.doubt], "text": mark.text} for mark in drawn.marks]
    return {"svg": str(svg.draw_for_page(drawn)), "marks": marks}


def _highlight(request: _Request) -> Json:
    """The lines of a rendered file as HTML, each with its reason."""
    from ..export.report.code import highlighted

    path = request.text("path").partition("/")[2]
    return {"lines": [[str(line.code), line.reason] for line in highlighted(path, request.text("text"))]}


def _diff(request: _Request) -> Json:
    """The unified difference of two texts."""
    before, after = request.text("before").splitlines(), request.text("after").splitlines()
    if max(len(before), len(after)) > _MAX_LINES:
        raise UsageError(f"the texts have more than {_MAX_LINES} lines", "compare them on a command line")
    name = request.text("path")
    return {"lines": list(difflib.unified_diff(before, after, f"before/{name}", f"now/{name}", lineterm=""))}


def _bundle(request: _Request) -> Json:
    """The bytes of `nlbgen bundle export --no-validate`, as base64."""
    from ..bundle import archive, exporting

    raw = request.text("text").encode("utf-8")
    Path(SPEC).write_bytes(raw)
    spec, raw = exporting.read(Path(SPEC))
    options = exporting.Options(validate=False, vendor=str(request.given.get("vendor") or ""))
    made = exporting.export(spec, raw, archive.FORMATS[".tar.gz"], options)
    return {
        "name": f"{spec.farm.farm}.tar.gz",
        "content": base64.b64encode(made.data).decode("ascii"),
        "digest": made.digest,
        "notes": list(made.notes),
    }


def _report(request: _Request) -> Json:
    """The page of `nlbgen report`, without a plan for the nodes' files."""
    from ..export.report import page

    return {"name": page.FILE, "text": page.render(_spec(request.text("text")), planned=False).decode("utf-8")}


# Other configurations


def _lint(request: _Request) -> Json:
    """The findings of `nlbgen lint` about a configuration."""
    from ..lint.findings import examine
    from ..readers.load import read

    path = _stored(request)
    try:
        report = examine(path.as_posix(), read(path))
    finally:
        path.unlink()
    return {
        "findings": [
            {
                "id": finding.rule.id,
                "severity": finding.rule.severity,
                "line": finding.location.line,
                "column": finding.location.column,
                "message": finding.message,
                "why": finding.rule.why,
                "instead": finding.rule.instead,
                "source": report.source_line(finding),
            }
            for finding in report.findings
        ],
        "unread": len(report.unread),
    }


def _about(_request: _Request) -> Json:
    return {"version": __version__, "vendors": list(base.VENDORS)}


FUNCTIONS: Final[dict[str, Callable[[_Request], Json]]] = {
    "about": _about,
    "bundle": _bundle,
    "check": _check,
    "diff": _diff,
    "edit": _edit,
    "highlight": _highlight,
    "keep": _keep,
    "lint": _lint,
    "nodes": _nodes,
    "render": _render,
    "report": _report,
    "schema": _schema,
    "starter": _starter,
    "topology": _topology,
}
"""Every function that the page may call, by name."""
