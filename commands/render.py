"""`nlbgen render`: write the vendors' configurations, and the files that prepare the nodes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..core.errors import DifferenceError, UsageError
from . import console, fleets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..core.artifacts import Artifact
    from ..generators.output import Fleet, Output
    from ..nodes.prepare.rendering import Prepared
    from ..spec.load import Spec

NODES = "nodes"
UPGRADE = "upgrade"
MONITORING = "monitoring"
OTHERS = (NODES, UPGRADE, MONITORING)
"""What is rendered besides the vendors' configurations."""


def _vendors(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the completions of VENDOR, without the names that are already given."""
    from ..generators.base import VENDORS
    from ..generators.output import ALL

    given = context.params.get("vendors") or ()
    return [name for name in (*VENDORS, *OTHERS, ALL) if name.startswith(incomplete) and name not in given]


@click.command()
@click.argument("vendors", nargs=-1, required=True, metavar="VENDOR...", shell_complete=_vendors)
@console.SPEC
@console.OUTPUT
@click.option("--stdout", is_flag=True, help="Print the configuration instead of writing files.")
@click.option("--no-validate", is_flag=True, help="Do not check the result with the installed program.")
@click.option("--diff", is_flag=True, help="Show the changes, write nothing, exit with 1 if there are any.")
@click.option("--with-secrets", is_flag=True, help="For nodes: write the secrets into the scripts.")
@click.option(
    "--against",
    type=console.FilePath(dir_okay=False),
    metavar="FILE",
    help="Show how the behaviour changes if nlbgen's configuration replaces FILE, which runs today. Write nothing.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="With --against: the output format.",
)
def command(
    vendors: tuple[str, ...],
    specs: tuple[Path, ...],
    output: Path,
    stdout: bool,
    no_validate: bool,
    diff: bool,
    with_secrets: bool,
    against: Path | None,
    style: str,
) -> None:
    """Write the configuration for VENDOR: haproxy, nginx, zen or f5.

    `nodes` writes the files that prepare the nodes, `all` writes everything for normal operation.

    `upgrade` writes the runbook, scripts and configurations for an upgrade of Orchestrator.

    `monitoring` writes files for Prometheus and Grafana, and the timer of `nlbgen drift`.

    The files go to DIR/VENDOR/, for a fleet to DIR/FARM/VENDOR/.
    """
    from ..generators import output as out

    _check_combination({"--stdout": stdout, "--diff": diff, "--against": against is not None})
    if style != "text" and against is None:
        raise UsageError(f"--format {style} needs --against", "add --against FILE, or remove --format")
    names = _names(vendors)
    files = out.spec_files(specs or console.default_specs())
    if against is not None:
        from .against import show_against

        show_against(names, files, against, style)
        return
    fleet = out.Fleet(output, single=len(files) == 1 and (not specs or files[0] in specs))
    failures = fleets.Failures(single=len(files) == 1)
    changed = False
    request = _Request(names, frozenset(vendors), with_secrets=with_secrets, validate=not no_validate)
    for file in fleets.progress(files):
        with failures:
            changed |= _render_one(file, request, fleet, stdout=stdout, diff=diff)
    if len(files) > 1 and not (stdout or diff):
        console.info(f"{len(files) - failures.count} of {len(files)} farms written below {output}")
    failures.finish()
    if changed:
        raise DifferenceError("the files differ from the spec", "to write them, run the command without --diff")


def _check_combination(options: dict[str, bool]) -> None:
    """Raise UsageError for options of which only one can be used."""
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given[:2])} cannot be combined", "use only one of them")


def _names(vendors: tuple[str, ...]) -> tuple[str, ...]:
    """Return the outputs that the command line names; `all` is without the files of an upgrade and for monitoring."""
    from ..generators import output as out

    by_name = {UPGRADE, MONITORING} - set(vendors)
    return tuple(name for name in out.chosen(vendors, OTHERS) if name not in by_name)


class _Request(NamedTuple):
    """The outputs that the command line requests; `named` has those that it names, without `all`."""

    names: tuple[str, ...]
    named: frozenset[str]
    with_secrets: bool
    validate: bool

    @property
    def vendors(self) -> tuple[str, ...]:
        """The names of vendors."""
        return tuple(name for name in self.names if name not in OTHERS)

    def outputs(self, spec: "Spec") -> "list[Output]":
        """Return the files of the vendors that the command line or the spec names; print which are skipped."""
        from ..core.wording import all_of
        from ..generators.base import named_vendors
        from ..generators.output import render_all

        offered = named_vendors(spec)
        vendors = [name for name in self.vendors if name in self.named or name in offered]
        if others := [name for name in self.vendors if name not in vendors]:
            console.info(
                f"skipped: {all_of(others)}: not in the spec; "
                f"to render one of them, run for example `nlbgen render {others[0]}`"
            )
        outputs, refusals = render_all(spec, vendors, self.named)
        if refused := [refusal.vendor for refusal in refusals]:
            shown = f"`nlbgen render {refused[0]}` lists what it does not support"
            console.info(f"skipped: {all_of(refused)}: not in the spec, and not supported for this farm; {shown}")
        return outputs

    def prepared(self, spec: "Spec") -> "Prepared | None":
        """Return the nodes' files; None if not requested, or with `all` if the nodes' config files do not exist."""
        if NODES not in self.names:
            return None
        from ..nodes.prepare import rendering

        absent = "" if NODES in self.named else rendering.absent(spec)
        if absent:
            console.info(f"nodes: skipped: {absent}")
            return None
        prepared = rendering.render(spec, with_secrets=self.with_secrets)
        for note in prepared.notes:
            console.info(f"nodes: {note}")
        return prepared

    def upgrade(self, spec: "Spec") -> "list[Artifact]":
        """Return the files of an upgrade, checked by the installed programs; none if not requested."""
        if UPGRADE not in self.names:
            return []
        from ..export.upgrade import rendering
        from ..generators.validate import validate

        files = rendering.render_upgrade(spec)
        for variant in rendering.variants(spec) if self.validate else ():
            verdict = validate(variant.vendor, variant.spec).text
            console.info(f"upgrade: {variant.vendor.name}, {variant.state}: {verdict}")
        return [file.below(UPGRADE) for file in files]

    def monitoring(self, spec: "Spec") -> "list[Artifact]":
        """Return the files for monitoring; none if not requested."""
        if MONITORING not in self.names:
            return []
        from ..export.monitoring.rendering import render_monitoring

        return [file.below(MONITORING) for file in render_monitoring(spec)]

    def verdicts(self, spec: "Spec", outputs: "Iterable[Output]") -> dict[str, str]:
        """Return the verdict on each vendor's files."""
        from ..generators import output as out

        vendors = [made.vendor for made in outputs]
        return out.verdicts(spec, vendors) if self.validate else dict.fromkeys(vendors, "not checked: --no-validate")


def _render_one(file: Path, request: _Request, fleet: "Fleet", *, stdout: bool, diff: bool) -> bool:
    """Render one farm; return whether `diff` found a difference."""
    from ..core import artifacts
    from ..spec.load import load

    spec = load(file)
    console.show_warnings(spec)
    outputs = request.outputs(spec)
    prepared = request.prepared(spec)
    others = [*request.upgrade(spec), *request.monitoring(spec)]
    if diff:
        lines = artifacts.diff([*_artifacts(outputs), *_node_artifacts(prepared), *others], fleet.folder(spec))
        for line in lines:
            click.echo(line)
        return bool(lines)
    verdicts = request.verdicts(spec, outputs)
    if stdout:
        _print_main(outputs)
        _print_runbook([] if prepared is None else prepared.files)
        _print_runbook(others)
        return False
    _write(outputs, verdicts, folder := fleet.folder(spec), listed=fleet.single)
    _write_nodes([*_node_artifacts(prepared), *others], folder, listed=fleet.single)
    return False


def _artifacts(outputs: "Iterable[Output]") -> "list[Artifact]":
    return [artifact for made in outputs for artifact in made.artifacts]


def _node_artifacts(prepared: "Prepared | None") -> "list[Artifact]":
    return [] if prepared is None else [artifact.below(NODES) for artifact in prepared.files]


def _write(outputs: "Iterable[Output]", verdicts: dict[str, str], folder: Path, *, listed: bool) -> None:
    """Write the vendors' files and list each with its verdict; list the files that an earlier run left."""
    from ..core import artifacts

    for made in outputs:
        written = artifacts.write(made.artifacts, folder)
        for (path, new), artifact in zip(written, made.artifacts, strict=True) if listed else ():
            verdict = f" ({verdicts[made.vendor]})" if artifact.main else ""
            console.info(f"{'wrote' if new else 'unchanged'} {path}{verdict}")
    for made in outputs if listed else ():
        for path in artifacts.leftovers(made.artifacts, folder, made.vendor):
            console.info(f"not used {path} (an earlier run wrote it; remove it, or someone may install it by mistake)")


def _print_runbook(files: "Iterable[Artifact]") -> None:
    """Print the runbook, the only one of the files for nodes and upgrades that is meant for reading."""
    for file in files:
        if file.path.name in {"RUNBOOK.md", "UPGRADE.md"}:
            sys.stdout.buffer.write(file.content)


def _write_nodes(made: "list[Artifact]", folder: Path, *, listed: bool) -> None:
    from ..core import artifacts

    written = artifacts.write(made, folder)
    for (path, new), artifact in zip(written, made, strict=True) if listed else ():
        console.info(f"{'wrote' if new else 'unchanged'} {path}" + (" (contains secrets)" if artifact.secret else ""))


def _print_main(outputs: "Iterable[Output]") -> None:
    """Print the configurations, without INSTALL.md and other files."""
    for made in outputs:
        for artifact in made.artifacts:
            if artifact.main:
                sys.stdout.buffer.write(artifact.content)
