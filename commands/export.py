"""`nlbgen export`: the rollout as files for an automation tool."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import console

if TYPE_CHECKING:
    from ..spec.load import Spec

FOLDER = "ansible"
SHOWN = ("README.md", "inventory.yml", "balancers.yml", "nodes.yml", "site.yml")
"""The files that the command lists: the user reads these first."""


@click.group()
def command() -> None:
    """Write the rollout of the farm for an automation tool."""


@command.command("ansible", short_help="Write an Ansible inventory, playbooks and roles.")
@console.SPEC
@console.OUTPUT
@click.option(
    "--vendor",
    type=console.VendorName(),
    help="The farm's balancer [default: the balancer in the spec]",
)
@click.option(
    "--balancer",
    "balancers",
    multiple=True,
    metavar="HOST",
    help="The balancer's host, if the spec does not name it. Repeatable.",
)
def _ansible(specs: tuple[Path, ...], output: Path, vendor: str | None, balancers: tuple[str, ...]) -> None:
    """Write an Ansible inventory, playbooks and roles for the rollout to DIR/ansible/, for one or several specs."""
    from ..core import artifacts
    from ..core.files import relative
    from ..export.ansible import rollout as ansible
    from ..generators.output import spec_files
    from ..spec.load import load

    loaded = [load(file) for file in spec_files(specs or console.default_specs())]
    for spec in loaded:
        console.show_warnings(spec)
    folder = output / FOLDER
    homes = [relative(Path(spec.name).parent.resolve(), folder.resolve()) for spec in loaded]
    made = ansible.files(loaded, vendor=vendor or "", balancers=balancers, homes=homes)
    for line in _verdicts(loaded, vendor or ""):
        console.info(line)
    written = artifacts.write(made, folder)
    shown = {folder / name for name in SHOWN}
    for path, new in written:
        if path in shown:
            console.info(f"{'wrote' if new else 'unchanged'} {path}")
    changed = sum(new for _path, new in written)
    console.info(f"{changed} of {len(made)} files written below {folder}; start with {folder / 'README.md'}")
    for left in artifacts.leftovers(made, folder, "files"):
        console.info(f"{left}: an earlier export wrote this file, but it is no longer used: remove it")


def _verdicts(specs: Sequence["Spec"], vendor: str) -> list[str]:
    """Return the verdict of the real program on each farm's configuration; raises ValidationError if one
    refuses."""
    from ..export.ansible import rollout as ansible
    from ..generators import output as out

    lines = []
    for spec in specs:
        chosen = ansible.vendor_of(spec, vendor)
        lines.append(f"{spec.farm.farm}: {chosen}: {out.verdicts(spec, [chosen])[chosen]}")
    return lines
