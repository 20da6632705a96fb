"""The check of a rendered configuration by the installed program.

The farm is rendered again with certificates, addresses and folders in a scratch folder on this machine, because the
real ones exist only on the balancer; nothing else differs. The installed program then checks that file.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..core import activity
from ..core.errors import NlbgenError, ValidationError
from ..core.files import scratch_folder
from ..net.loopback import free_ports
from ..spec.load import Spec
from ..spec.model import Farm
from ..spec.units import Version
from .base import Generator, Site, render
from .relocation import CertificateFiles, Ports, relocated

TIMEOUT_SECONDS = 60


class Verdict(NamedTuple):
    """The result: `checked` is false where no program is installed, or only one of another version refused."""

    checked: bool
    text: str


class Program(NamedTuple):
    """An installed program."""

    path: str
    version: Version
    openssl: Version | None = None
    """The library that it runs with, where it prints one."""


def validate(generator: Generator, spec: Spec) -> Verdict:
    """Have the installed program check the farm's configuration.

    Raises ValidationError if a program of the spec's version refuses it or warns.
    """
    if not generator.program:
        return Verdict(True, generator.check(spec, render(generator, spec)))
    program = installed(generator)
    if program is None:
        return Verdict(False, f"not checked: {generator.program} is not installed here")
    with scratch_folder() as folder:
        said = _run(generator, program, spec, folder)
    wanted = generator.version(spec.farm)
    same = program.version.parts[:2] == wanted.parts[:2]
    if said is None:
        note = "" if same else f"; the spec says {wanted}"
        return Verdict(True, f"checked by {generator.title} {program.version}{note}")
    if (missing := generator.missing_module(said)) is not None:
        return Verdict(False, f"not checked: {missing}")
    if same and (older := _older_openssl(generator, program, spec)) is not None:
        return Verdict(False, f"not checked: {older}")
    if same:
        message = f"{generator.title} {program.version} refuses the configuration of the farm {spec.farm.farm}:\n{said}"
        raise ValidationError(message, "this is an internal error (a bug in nlbgen): please report it with the spec")
    return Verdict(False, f"not checked: {generator.title} {program.version} is installed, the spec says {wanted}")


def _older_openssl(generator: Generator, program: Program, spec: Spec) -> str | None:
    """Return a message where the program's OpenSSL is older than the spec's and refuses newer settings."""
    wanted = generator.openssl(spec.farm)
    if program.openssl is None or wanted is None or program.openssl >= wanted:
        return None
    return f"{generator.title} {program.version} is installed with OpenSSL {program.openssl}, the spec says {wanted}"


@cache
def installed(generator: Generator) -> Program | None:
    """Return the vendor's program on this machine; None without one."""
    path = shutil.which(generator.program, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if path is None:
        return None
    said = _output([path, *generator.version_command()])[1]
    found = re.search(generator.version_pattern, said)
    if found is None:
        raise NlbgenError(f"{path} does not print its version", f"check the installation of {generator.title}")
    library = re.search(r"[Rr]unning (?:on|with) (?:OpenSSL version : )?OpenSSL ([0-9.]+)", said)
    library = library or re.search(r"[Bb]uilt with OpenSSL (?:version : OpenSSL )?([0-9.]+)", said)
    return Program(path, Version(found[1]), Version(library[1]) if library else None)


def _run(generator: Generator, program: Program, spec: Spec, folder: Path) -> str | None:
    """Return the program's complaint, or None."""
    with relocation(spec.farm, folder) as (farm, site):
        main = next(file for file in render(generator, spec._replace(farm=farm), site) if file.main)
        path = folder / main.path
        path.write_bytes(main.content)
        status, said = _output([program.path, *generator.check_command(path, program.version)])
    # HAProxy ends with 0 after some of its alerts.
    if status == 0 and not re.search(r"\[(?:warning|alert|warn|emerg)\s*\]", said, re.IGNORECASE):
        return None
    return said.replace(str(folder), "...").strip() or f"it ended with status {status}"


def _output(command: list[str]) -> tuple[int, str]:
    activity.note(f"program run: {' '.join(command)}")
    try:
        done = subprocess.run(  # noqa: S603  # the program was found by name, and no argument comes from the spec
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NlbgenError(f"{command[0]} cannot be run: {error}", "or skip the check with --no-validate") from None
    return done.returncode, done.stdout + done.stderr


@contextmanager
def relocation(farm: Farm, folder: Path) -> Iterator[tuple[Farm, Site]]:
    """Yield the farm with its certificates in `folder` and its listeners on free ports, which no one else gets now.

    Host names of nodes become `localhost`, so that no DNS server is needed.
    """
    pem = folder / "site.pem"
    if farm.frontend.tls.mode != "none":
        _write_certificate(pem, farm.frontend.host)
    nodes = [
        node if re.fullmatch(r"[0-9.]+|.*:.*", node.address) else node.replace(address="localhost")
        for node in farm.nodes
    ]
    with free_ports(len(Ports._fields)) as found:
        ports = Ports(*found)
        moved = relocated(farm, ports, CertificateFiles(str(pem), ca=str(pem)), nodes)
        yield moved, Site(str(folder), http_port=ports.http)


def _write_certificate(path: Path, host: str) -> None:
    certificate, key = _certificate(host)
    path.write_bytes(certificate)
    descriptor = os.open(f"{path}.key", os.O_WRONLY | os.O_CREAT, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
        file.write(key)


@cache
def _certificate(host: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM, only for this process."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nlbgen check")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
