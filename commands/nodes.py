"""`nlbgen nodes`: list, compare and change the settings in the nodes' own config files."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import DifferenceError, NodeError, UsageError
from . import console, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.plan import Plan
    from ..nodes.apply import WrittenFile
    from ..nodes.audit import Audit, Row, Unreadable
    from ..nodes.config.effective import Config
    from ..nodes.key_list import Inventory
    from ..nodes.keys import Key
    from ..nodes.planning import FarmPlan
    from ..spec.load import Spec
    from .tables import Block, Cell, Style

_SIDE_BY_SIDE = 4
"""An audit shows up to this many nodes as columns; for more nodes it lists each value with its nodes."""
_CONFIGS = click.argument("configs", nargs=-1, type=console.FilePath(), metavar="[CONFIG]...")


@click.group()
def command() -> None:
    """Read, compare and change the nodes' own config files; show and change the nodes' states at the balancers.

    Secrets are printed only as fingerprints of 12 hex digits: SHA-256 for keys, an HMAC for passwords.
    """


for _command in running.COMMANDS:
    command.add_command(_command)


@command.command("keys", short_help="List the keys as fingerprints, or generate a machineKey.")
@console.ONE_SPEC
@console.STYLE
@click.option(
    "--generate",
    is_flag=True,
    help=(
        "Write a new machineKey into CONFIG, if CONFIG has no usable one (missing, AutoGenerate, too short). Without "
        "CONFIG, the file is that of keys.from; if the spec has no keys.from, it is the first node's file."
    ),
)
@click.option("-y", "--yes", is_flag=True, help="With --generate: do not ask for confirmation.")
@_CONFIGS
def _keys(file: Path, style: str, generate: bool, yes: bool, configs: tuple[Path, ...]) -> None:
    """List the keys of the spec's nodes, or of the CONFIG files, with fingerprint and location but without value.

    With --generate, write a new machineKey into CONFIG, unless CONFIG has a usable one. Without CONFIG, the file is
    that of keys.from; if the spec has no keys.from, it is the first node's file.
    """
    if generate:
        _generate(file, configs, style, agreed=yes)
        return
    if yes:
        raise UsageError("--yes needs --generate", "remove --yes: without --generate, the command changes nothing")
    from ..nodes import key_list, service_values
    from ..nodes.fingerprints import Fingerprints
    from ..nodes.keys import inventory

    console.on_refusal("no keys were listed")
    prints = Fingerprints()
    found = {
        name: [*inventory(config, prints), *service_values.inventory(config, prints)]
        for name, config in _loaded(file, configs)[1].items()
    }
    console.show(key_list.data(found) if style == "json" else key_list.text(found), lambda: _side_by_side(found))


def _generate(file: Path, configs: tuple[Path, ...], style: str, *, agreed: bool) -> None:
    from datetime import datetime

    from ..nodes import generating
    from ..nodes.apply import change
    from ..spec.load import load

    console.on_refusal("no key was generated")
    if len(configs) > 1:
        raise UsageError(
            "--generate takes one CONFIG",
            "give the first node's file; `nodes apply` copies its keys to the other nodes",
        )
    planned = generating.of_file(configs[0]) if configs else generating.of_spec(load(file))
    console.show_proposal(planned.plan, question=bool(planned.files) and not agreed)
    if planned.files:
        console.confirm(agreed, "Change this file?", "review the change above", "--yes")
    written = change(planned.files, planned.config.documents, datetime.now().astimezone())
    _report(written, planned.plan, style)
    if not written:
        console.info(f"{planned.config.path}: its machineKey already has fixed keys; nothing was generated")
    else:
        console.info(
            "next: copy the file to its node and restart the site there (users sign in once more); "
            "`nlbgen nodes apply` gives the keys to the other nodes"
        )


def _side_by_side(found: "Inventory") -> "Iterator[Block]":
    """Yield a table: one row per key, one column per node; a key that all nodes share is green, others yellow."""
    from .tables import Cell, Style, Table

    files = {node: keys[0].location.file if keys else "" for node, keys in found.items()}
    keys_by_node: dict[tuple[str, str], dict[str, Key]] = {}
    for node, keys in found.items():
        for key in keys:
            keys_by_node.setdefault((key.name, key.section), {})[node] = key
    rows = []
    for (name, section), by_node in keys_by_node.items():
        # A value without a fingerprint, for example AutoGenerate, does not count as shared.
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


@command.command("plan", short_help="Show the planned changes to the nodes' configs.")
@console.ONE_SPEC
@console.STYLE
def _plan(file: Path, style: str) -> None:
    """Show the planned changes to each node's config; write nothing.

    A secret that is not set is shown as a placeholder; `apply` needs it.
    """
    console.on_refusal("nothing was planned")
    planned = _planned(file, for_review=True)
    if planned.missing is not None:
        console.info(
            f"{planned.missing.message}\n    the plan shows a placeholder in place of the secret, lists each "
            "setting with the secret as a change, and has no digest; `nlbgen nodes apply` needs the secret"
        )
    if style == "json":
        console.show(planned.plan.data())
    else:
        console.show_plan(planned.plan)


@command.command("apply", short_help="Apply the planned changes in place.")
@console.ONE_SPEC
@console.STYLE
@click.option("--expect", metavar="DIGEST", help="Apply only the plan with this digest.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def _apply(file: Path, style: str, expect: str | None, yes: bool) -> None:
    """Change the nodes' config files in place, all or none of them; keep a dated backup of each."""
    from datetime import datetime

    from ..nodes.apply import apply

    planned = _planned(file)
    if expect is not None:
        planned.plan.expect(expect)
    agreed = yes or expect is not None
    console.show_proposal(planned.plan, question=bool(planned.plan.changes) and not agreed)
    if planned.plan.changes:
        console.confirm(agreed, "Change these files?", "review with `nlbgen nodes plan`")
    _report(apply(planned, datetime.now().astimezone()), planned.plan, style)


def _report(written: "list[WrittenFile]", plan: "Plan", style: str) -> None:
    """Print the changed files and their backups, and warn of files that every user can read."""
    for one in written:
        if one.open_to_others:
            console.info(
                f"{one.path}: every user of this machine can read the file and its backup (mode {one.mode:04o}), "
                f"which contain keys and passwords\n    chmod o-rwx {shlex.join([str(one.path), str(one.backup)])}"
            )
    if style == "json":
        files = [{"file": str(one.path), "backup": str(one.backup)} for one in written]
        console.show({"digest": None if plan.incomplete else plan.digest, "written": files})
        return
    for one in written:
        click.echo(f"changed {one.path}; the old file is {one.backup}")


@command.command("audit", short_help="Compare the settings that the nodes must share.")
@console.ONE_SPEC
@console.STYLE
@_CONFIGS
def _audit(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """Compare the settings that the spec's nodes, or the CONFIG files, must share; exit with 1 if they differ."""
    from ..nodes.audit import audit

    console.on_refusal("nothing was compared")
    spec, loaded, unreadable = _readable(file, configs)
    result = audit(loaded, spec, unreadable)
    for note in dict.fromkeys((*(note for config in loaded.values() for note in config.notes), *result.notes)):
        console.info(note)
    console.show(result.data() if style == "json" else result.text(), lambda: _compared(result))
    if result.incomplete:
        raise console.Exit(NodeError.exit_code)
    if result.drift:
        raise console.Exit(DifferenceError.exit_code)


@command.command("collect", short_help="Write a script that collects nodes without their secrets.")
@console.ONE_SPEC
@console.OUTPUT
@click.option(
    "--new-key",
    type=console.FilePath(dir_okay=False),
    metavar="KEY",
    help="Create a new random key and write it into this file.",
)
def _collect(file: Path, output: Path, new_key: Path | None) -> None:
    """Write collect-node.ps1: on each node it collects for `audit` what the nodes must share, without a secret.

    With --new-key, also write the key for one run, which all nodes need.
    """
    from ..core import artifacts
    from ..nodes.collect import script
    from ..spec.load import load

    console.on_refusal("nothing was written")
    made = script.render(load(file)).below("nodes")
    if new_key is not None:
        script.write_key(new_key)
        console.info(f"wrote {new_key} (the key of one run: delete it after the audit)")
    for path, new in artifacts.write([made], output):
        console.info(f"{'wrote' if new else 'unchanged'} {path}")
    console.info(
        "next: run the script on every node, with one key for all of them (--new-key makes one); copy the JSON file of "
        "each node to this computer, then run `nlbgen nodes audit FILE.json...`"
    )


def _compared(result: "Audit") -> "Iterator[Block]":
    """Yield the settings as a table (for many nodes only those that differ), the problems, and the summary."""
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


def _planned(file: Path, *, for_review: bool = False) -> "FarmPlan":
    from ..nodes.planning import plan_farm
    from ..spec.load import load

    spec = load(file)
    console.show_warnings(spec)
    planned = plan_farm(spec, for_review=for_review)
    for note in planned.notes:
        console.info(note)
    for name in planned.without_config:
        console.info(f"{name}: skipped, because the spec has no config for this node; run its prepare-node.ps1 instead")
    return planned


def _readable(file: Path, configs: tuple[Path, ...]) -> "tuple[Spec | None, dict[str, Config], list[Unreadable]]":
    """Return the spec, the configs that can be read, and the others with the reason; raises if none can."""
    from ..nodes import reading
    from ..nodes.audit import Unreadable

    spec = None
    if configs:
        found, failed = reading.read_files(configs)
    else:
        from ..spec.load import load

        spec = load(file)
        found, failed = reading.read_configs(spec)
    if not found and failed:
        reading.raise_all([one.error for one in failed])
    if not found:
        raise NodeError(
            f"{file}: no node has a config",
            "write `config: PATH` for each node in the spec, or give the files as arguments",
        )
    return spec, found, [Unreadable(one.name, one.error, one.location) for one in failed]


def _loaded(file: Path, configs: tuple[Path, ...]) -> "tuple[Spec | None, dict[str, Config]]":
    """Return the spec (None if files are named) and the configs by node or file name."""
    from ..nodes import reading

    if configs:
        return None, reading.load_files(configs)
    from ..spec.load import load

    spec = load(file)
    loaded = {node.name: config for node, config in reading.load_configs(spec).items()}
    if not loaded:
        raise NodeError(
            f"{file}: no node has a config",
            "write `config: PATH` for each node in the spec, or give the files as arguments",
        )
    return spec, loaded
