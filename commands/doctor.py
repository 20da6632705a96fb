"""`nlbgen doctor`: which programs, packages, secrets and devices that nlbgen needs are missing."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..core.errors import DifferenceError, NlbgenError
from . import console

if TYPE_CHECKING:
    from ..spec.model import Farm
    from .tables import Block

EXTRAS = {
    "prove": (("aiohttp", "sslyze"), "`nlbgen prove` does not run"),
    "secrets": (("pyrage",), "bundles cannot have encrypted secrets"),
}
"""The modules of each extra, and the consequence if they are missing."""
SECONDS = 3.0
"""How long a device may take to accept a connection."""


class Check(NamedTuple):
    """One thing that nlbgen can use; `lacks` is the consequence if it is missing, `fix` the remedy."""

    what: str
    lacks: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"missing: {self.what}: {self.lacks}\n    {self.fix}" if self.lacks else f"ok: {self.what}"


@click.command(short_help="Show which programs, packages and secrets are missing.")
@console.ONE_SPEC
def command(file: Path) -> None:
    """Show the missing programs and Python packages, and how to install them.

    With a spec, also check its secrets and its devices. Exits with 1 if anything is missing. Nothing is changed.
    """
    from ..core.wording import plural
    from ..spec.load import load

    checks = [Check(f"Python {sys.version.split()[0]}: {sys.executable}"), *_programs(), *_extras()]
    if file.exists():
        farm = load(file).farm
        checks += [*_secrets(farm, file.parent), *_devices(farm)]
    else:
        console.info(f"{file}: does not exist, so the secrets and the devices of the spec were not checked")
    console.show("".join(f"{check}\n" for check in checks), lambda: _view(checks))
    missing = sum(bool(check.lacks) for check in checks)
    if missing:
        raise DifferenceError(f"{plural(missing, 'item')} missing", "install what the farm needs; the rest is optional")


def _view(checks: list[Check]) -> "Iterator[Block]":
    from .tables import Line

    for check in checks:
        first, *others = str(check).splitlines()
        yield Line(first, "yellow" if check.lacks else "green")
        yield from (Line(other, "dim", 0) for other in others)


def _programs() -> Iterator[Check]:
    """Yield the balancers' programs, with which the rendered files are checked."""
    from ..generators.base import hosted_generators
    from ..generators.validate import installed

    for vendor in hosted_generators():
        lacks = f"`nlbgen render {vendor.name}` does not check its files, and `nlbgen prove {vendor.name}` does not run"
        try:
            program = installed(vendor)
        except NlbgenError as error:
            yield Check(error.message, lacks, error.hint or "")
            continue
        if program is None:
            yield Check(vendor.title, lacks, f"on Debian and Ubuntu: apt-get install {vendor.program}")
        else:
            yield Check(f"{vendor.title} {program.version}: {program.path}")


def _extras() -> Iterator[Check]:
    from importlib.util import find_spec

    for extra, (modules, lacks) in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        fix = f"{shlex.quote(sys.executable)} -m pip install 'nlbgen[{extra}]'"
        yield Check(f"the Python packages of the extra `{extra}`", lacks if missing else "", fix)


def _secrets(farm: "Farm", folder: Path) -> Iterator[Check]:
    """Yield the secrets that the spec names; never their values."""
    from ..spec.load import dotted
    from ..spec.references import resolve
    from ..spec.walk import secrets

    for path, secret in secrets(farm):
        what = f"the secret {secret.env or secret.file} ({dotted(path)})"
        try:
            resolve(secret, folder)
        except NlbgenError as error:
            yield Check(what, error.message, error.hint or "")
        else:
            yield Check(what)


def _devices(farm: "Farm") -> Iterator[Check]:
    """Yield the devices that the spec names; a connection is opened and closed, and nothing is sent."""
    import socket
    from urllib.parse import urlsplit

    addresses = [("f5.host", farm.f5.host, farm.f5.port)] if farm.f5.host else []
    if farm.zen.api:
        url = urlsplit(str(farm.zen.api))
        addresses.append(("zen.api", url.hostname or "", url.port or 443))
    for key, host, port in addresses:
        what = f"the device {host}:{port} ({key})"
        try:
            socket.create_connection((host, port), SECONDS).close()
        except OSError as error:
            reason = error.strerror or str(error)
            yield Check(what, f"cannot be reached: {reason}", "check the address, the network and the firewall")
        else:
            yield Check(what)
