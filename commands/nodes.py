"""`nlbgen nodes`: read, compare and change the nodes' own config files."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import DifferenceError, NodeError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..nodes.audit import Audit, Row
    from ..nodes.config.effective import Config
    from ..nodes.key_list import Inventory
    from ..nodes.keys import Key
    from ..nodes.planning import FarmPlan
    from ..spec.load import Spec
    from .tables import Block, Cell, Style

_SIDE_BY_SIDE = 4
"""The most nodes in columns of an audit; for more nodes it lists values with their nodes."""
_CONFIGS = click.argument("configs", nargs=-1, type=console.FilePath(), metavar="[CONFIG]...")


@click.group(short_help="Look at the nodes' own config files, and change them.")
def command() -> None:
    """Look at the nodes' own config files, and change them.

    Secrets are shown only as fingerprints: 12 hex digits of SHA-256 for keys, of an HMAC for passwords.
    """


@command.command("keys", short_help="List keys by fingerprint, never by value.")
@console.ONE_SPEC
@console.STYLE
@_CONFIGS
def _keys(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """List the keys of the spec's nodes, or of these CONFIG files, by fingerprint and location; never a value."""
    from ..nodes import key_list
    from ..nodes.fingerprints import Fingerprints
    from ..nodes.keys import inventory

    console.on_refusal("nothing was listed")
    found = {name: inventory(config, Fingerprints()) for name, config in _loaded(file, configs)[1].items()}
    console.show(key_list.data(found) if style == "json" else key_list.text(found), lambda: _side_by_side(found))


def _side_by_side(found: "Inventory") -> "Iterator[Block]":
    """A row for each key, a column for each node; a key that all nodes share is green, any other yellow."""
    from .tables import Cell, Style, Table

    files = {node: keys[0].location.file if keys else "" for node, keys in found.items()}
    keys_by_node: dict[tuple[str, str], dict[str, Key]] = {}
    for node, keys in found.items():
        for key in keys:
            keys_by_node.setdefault((key.name, key.section), {})[node] = key
    rows = []
    for (name, section), by_node in keys_by_node.items():
        # A value without a fingerprint, such as AutoGenerate, is never shared.
        shown = {key.shown.text if key.shown.secret else None for key in by_node.values()}
        shared = len(shown) == 1 and None not in shown and len(by_node) == len(found)
        colour: Style = "" if len(found) == 1 else "green" if shared else "yellow"
        fields = (_field(by_node.get(node), file, colour) for node, file in files.items())
        rows.append([Cell(name, "bold", section), *fields])
    yield Table([Cell("key"), *(Cell(node, note=file) for node, file in files.items())], rows)


def _field(key: "Key | None", file: str, colour: "Style") -> "Cell":
    from .tables import Cell

    if key is None:
        return Cell("-", colour)
    place = f"{key.location.line}:{key.location.column}" if key.location.file == file else str(key.location)
    note = f"{key.kind}, length {key.length}, at {place}" + (f" ({key.note})" if key.note else "")
    return Cell(str(key.shown), colour, note)


@command.command("plan", short_help="Show the planned changes of each node's config.")
@console.ONE_SPEC
@console.STYLE
def _plan(file: Path, style: str) -> None:
    """Show the planned changes of each node's config; nothing is written."""
    console.on_refusal("nothing was planned")
    planned = _planned(file)
    if style == "json":
        console.show(planned.plan.data())
    else:
        console.show_plan(planned.plan)


@command.command("apply", short_help="Change the nodes' configs in place.")
@console.ONE_SPEC
@console.STYLE
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def _apply(file: Path, style: str, expect: str | None, yes: bool) -> None:
    """Change the nodes' configs in place: all or none, each with a dated backup."""
    from datetime import datetime

    from ..nodes.apply import apply

    planned = _planned(file)
    if expect is not None:
        planned.plan.expect(expect)
    agreed = yes or expect is not None
    console.show_proposal(planned.plan, question=bool(planned.plan.changes) and not agreed)
    if planned.plan.changes:
        console.confirm(agreed, "Change these files?", "review with `nlbgen nodes plan`")
    written = apply(planned, datetime.now().astimezone())
    for one in written:
        if one.open_to_others:
            console.info(
                f"{one.path}: every user of this machine can read it and its backup (mode {one.mode:04o}); "
                f"both contain keys and passwords\n    chmod o-rwx {shlex.join([str(one.path), str(one.backup)])}"
            )
    if style == "json":
        files = [{"file": str(one.path), "backup": str(one.backup)} for one in written]
        console.show({"digest": planned.plan.digest, "written": files})
        return
    for one in written:
        click.echo(f"changed {one.path}; the old file is {one.backup}")


@command.command("audit", short_help="Compare what the nodes must share.")
@console.ONE_SPEC
@console.STYLE
@_CONFIGS
def _audit(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """Compare what the spec's nodes, or these CONFIG files, must share; exit 1 where they differ."""
    from ..nodes.audit import audit

    console.on_refusal("nothing was compared")
    spec, loaded = _loaded(file, configs)
    result = audit(loaded, spec)
    for note in dict.fromkeys(note for config in loaded.values() for note in config.notes):
        console.info(note)
    console.show(result.data() if style == "json" else result.text(), lambda: _compared(result))
    if result.drift:
        raise console.Exit(DifferenceError.exit_code)


def _compared(result: "Audit") -> "Iterator[Block]":
    """The settings in columns (for many nodes only those that differ), the problems, and the count."""
    from .tables import Cell, Line, Style, Table

    if len(result.nodes) <= _SIDE_BY_SIDE:
        head = [Cell("setting"), *map(Cell, result.nodes), Cell("")]
        rows = [_setting(row, result.nodes) for row in result.rows]
    else:
        head = [Cell("setting"), Cell("value"), Cell("nodes"), Cell("")]
        rows = [
            [Cell(row.title, "bold"), Cell(value), Cell(", ".join(nodes)), Cell("DIFFERS", "red")]
            for row in result.rows
            if not row.same
            for value, nodes in row.groups()
        ]
    if rows:
        yield Table(head, rows)
    for one in result.problems:
        yield Line(f"{one.node}: {one.message} [{one.id}]", "red")
        yield from (Line(f"    {one.hint}", "dim", 0), Line(f"    at {one.location}", "dim", 0))
    closing: Style = "red" if result.drift else "green"
    yield Line(result.summary(), closing)


def _setting(row: "Row", nodes: tuple[str, ...]) -> "list[Cell]":
    from .tables import Cell

    values = (Cell(row.values[node].shown, "" if row.same else "yellow") for node in nodes)
    return [Cell(row.title), *values, Cell("" if row.same else "DIFFERS", "red")]


def _planned(file: Path) -> "FarmPlan":
    from ..nodes.planning import plan_farm
    from ..spec.load import load

    spec = load(file)
    console.show_warnings(spec)
    planned = plan_farm(spec)
    for note in planned.notes:
        console.info(note)
    for name in planned.without_config:
        console.info(f"{name}: the spec names no config, so the node is left out; use its prepare-node.ps1")
    return planned


def _loaded(file: Path, configs: tuple[Path, ...]) -> "tuple[Spec | None, dict[str, Config]]":
    """The configs given, or the spec and its nodes' configs, by the names to show."""
    from ..nodes import planning

    if configs:
        return None, planning.load_files(configs)
    from ..spec.load import load

    spec = load(file)
    loaded = {node.name: config for node, config in planning.load_configs(spec).items()}
    if not loaded:
        raise NodeError(f"{file}: no node names its config", "write `config: PATH` at the nodes, or name files")
    return spec, loaded
