"""`nlbgen nodes`: the nodes' own config files."""

from pathlib import Path
from typing import Any

import click

from ..errors import DifferenceError, NodeError
from . import talk

_CONFIGS = click.argument("configs", nargs=-1, type=click.Path(path_type=Path), metavar="[CONFIG]...")


@click.group()
def command() -> None:
    """Look at the nodes' own config files, and change them.

    Secrets are shown as fingerprints alone: 12 hex digits of SHA-256 for keys, of an HMAC for passwords.
    """


@command.command("keys")
@talk.ONE_SPEC
@talk.STYLE
@_CONFIGS
def _keys(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """List the keys of the spec's nodes, or of these CONFIG files: what, where, which; never a value."""
    from ..nodes import tables
    from ..nodes.fingerprints import Fingerprints
    from ..nodes.keys import inventory

    talk.on_refusal("nothing was listed")
    found = {name: inventory(config, Fingerprints()) for name, config in _node_configs(file, configs).items()}
    talk.show(tables.data(found) if style == "json" else tables.text(found))


@command.command("plan")
@talk.ONE_SPEC
@talk.STYLE
def _plan(file: Path, style: str) -> None:
    """Show what would change in each node's config; nothing is written."""
    talk.on_refusal("nothing was planned")
    planned = _planned(file)
    talk.show(planned.plan.data() if style == "json" else planned.plan.text())


@command.command("apply")
@talk.ONE_SPEC
@talk.STYLE
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def _apply(file: Path, style: str, expect: str | None, yes: bool) -> None:
    """Change the nodes' configs in place: all of them or none, each with a dated backup."""
    from datetime import datetime

    from ..nodes.apply import apply

    planned = _planned(file)
    if expect is not None:
        planned.plan.expect(expect)
    agreed = yes or expect is not None
    talk.propose(planned.plan.text(), question=bool(planned.plan.changes) and not agreed)
    if planned.plan.changes:
        talk.confirmed(agreed, "Change these files?", "review with `nlbgen nodes plan`")
    written = apply(planned, datetime.now().astimezone())
    if style == "json":
        files = [{"file": str(one.path), "backup": str(one.backup)} for one in written]
        talk.show({"digest": planned.plan.digest, "written": files})
        return
    for one in written:
        click.echo(f"changed {one.path}; the old file is {one.backup}")


@command.command("audit")
@talk.ONE_SPEC
@talk.STYLE
@_CONFIGS
def _audit(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """Compare what the spec's nodes, or these CONFIG files, must share; exit 1 where they differ."""
    from ..nodes.audit import audit

    talk.on_refusal("nothing was compared")
    loaded = _node_configs(file, configs)
    result = audit(loaded)
    for note in dict.fromkeys(note for config in loaded.values() for note in config.notes):
        talk.say(note)
    talk.show(result.data() if style == "json" else result.text())
    if result.drift:
        raise talk.Exit(DifferenceError.exit_code)


def _planned(file: Path) -> Any:
    from ..nodes.planning import plan_farm
    from ..spec.load import load

    spec = load(file)
    talk.warn(spec)
    planned = plan_farm(spec)
    for note in planned.notes:
        talk.say(note)
    for name in planned.without_config:
        talk.say(f"{name}: the spec names no config, so it is left out; its own prepare-node.ps1 prepares it")
    return planned


def _node_configs(file: Path, configs: tuple[Path, ...]) -> dict[str, Any]:
    """The configs given, or those of the spec's nodes, by the names to call them by."""
    from ..nodes import planning

    if configs:
        return planning.load_files(configs)
    from ..spec.load import load

    spec = load(file)
    loaded = {node.name: config for node, config in planning.load_configs(spec).items()}
    if not loaded:
        raise NodeError(f"{file}: no node names its config", "write `config: PATH` at the nodes, or name files")
    return loaded
