"""From a spec to a bundle's bytes: every part made, secrets sealed or left out, the manifest over all of it.

The bytes depend on the spec's file, the files that it names and the version of nlbgen alone, and with validation also
on what the programs of this machine say; with secrets, encryption adds random numbers.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .. import __version__
from ..core.artifacts import PLAIN_MODE, SECRET_MODE, Artifact
from ..core.errors import UnsupportedError, UsageError
from ..core.files import write_atomically
from ..generators.base import VENDORS
from ..spec import document
from ..spec.load import Spec, check
from . import archive, manifest, sealing
from .checking import checked
from .manifest import MANIFEST, SPEC, Entry, LeftOut, Manifest, Source
from .members import Member
from .parts import Made, Request, parts
from .sealing import Sealer

DEFAULT_FOLDER: Final = Path("outputs")


class Wishes(NamedTuple):
    """What the command line asks for."""

    with_secrets: bool = False
    plaintext: bool = False
    recipients: tuple[str, ...] = ()
    """Public keys that take the place of the spec's."""
    validate: bool = True
    vendor: str = ""
    """The balancer for the rollout by Ansible, where the spec names several."""
    balancers: tuple[str, ...] = ()
    """Where the balancers are, for the rollout; where the spec does not say so."""


class Exported(NamedTuple):
    """A bundle that was made, and what to tell about it."""

    data: bytes
    manifest: Manifest
    mode: int
    """The permission bits that its file gets."""
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the archive, in hex: what `sha256sum` says."""
        return hashlib.sha256(self.data).hexdigest()


def read(path: Path) -> tuple[Spec, bytes]:
    """The checked spec in a file, and the very bytes that it was read from; raises SpecError."""
    raw = document.read_raw(path)
    return check(document.parse(str(path), document.decode(str(path), raw))), raw


def default_path(spec: Spec) -> Path:
    """Where the bundle of a farm goes when nothing else is said."""
    return DEFAULT_FOLDER / f"{spec.farm.farm}.tar.gz"


def export(spec: Spec, raw: bytes, chosen: archive.Format, wishes: Wishes) -> Exported:
    """The bundle of a farm.

    Raises UnsupportedError where a vendor that the spec names cannot do what it asks, or none can, ValidationError
    where a real program refuses, UsageError where secrets are wanted and nobody is named who may read them.
    """
    readers = _readers(spec, wishes)
    sealer = Sealer(readers) if readers else None
    request = Request(spec, raw, wishes.validate, wishes.with_secrets, wishes.vendor, wishes.balancers)
    made: dict[str, Made] = {}
    for part in parts():
        if made.keys() >= {*VENDORS}:
            _refuse(made, spec)
        made[part.name] = part.make(request)
    members: list[Member] = []
    entries: list[Entry] = []
    for name, given in made.items():
        for artifact in given.artifacts:
            member = _member(artifact, sealer)
            members.append(member)
            verdict = given.validation if artifact.main else None
            entries.append(manifest.entry_of(member, name, verdict, secret=artifact.secret))
    whole = _manifest(
        spec, readers, entries, [left for given in made.values() for left in given.left_out], validated=wishes.validate
    )
    data = archive.packed([*members, Member(MANIFEST, manifest.written(whole))], chosen)
    checked("the bundle", data, archive.unpacked(data, chosen))  # what `verify` would refuse is not written
    notes = tuple(note for given in made.values() for note in given.notes)
    return Exported(data, whole, SECRET_MODE if wishes.plaintext else PLAIN_MODE, notes)


def write(exported: Exported, path: Path) -> None:
    """Put the bundle at `path`, whole or not at all; raises FileError."""
    write_atomically(path, exported.data, mode=exported.mode)


def _readers(spec: Spec, wishes: Wishes) -> tuple[str, ...]:
    """The public keys that secrets are encrypted for; none where none are wanted, or in the clear."""
    if not wishes.with_secrets:
        if wishes.plaintext or wishes.recipients:
            option = "--plaintext" if wishes.plaintext else "--recipient"
            raise UsageError(f"{option} is about secrets, and none go into this bundle", "add --with-secrets")
        return ()
    if wishes.plaintext:
        if wishes.recipients:
            raise UsageError("--plaintext and --recipient exclude each other", "leave one of them out")
        return ()
    readers = sealing.recipients(wishes.recipients or spec.farm.bundle.recipients)
    if not readers:
        raise UsageError(
            "nobody is named who may read the secrets",
            "write `bundle: {recipients: [age1...]}` into the spec or give --recipient; `age-keygen` makes a key pair",
        )
    return readers


def _refuse(made: dict[str, Made], spec: Spec) -> None:
    """A bundle without a balancer that the spec names would not be the farm's; one for none at all would be none."""
    named = [name for name in VENDORS if name in spec.farm.written]
    problems = [problem for name in named for problem in made[name].problems]
    if not any(made[name].artifacts for name in VENDORS):
        problems = [problem for part in made.values() for problem in part.problems]
    if problems:
        raise UnsupportedError(problems)


def _member(artifact: Artifact, sealer: Sealer | None) -> Member:
    path = artifact.path.as_posix()
    if artifact.secret and sealer is not None:
        return Member(path + sealing.ENDING, sealer.seal(artifact.content), SECRET_MODE)
    return Member(path, artifact.content, artifact.mode)


def _manifest(
    spec: Spec, readers: Sequence[str], entries: list[Entry], left_out: list[LeftOut], *, validated: bool
) -> Manifest:
    secret = any(entry.secret for entry in entries)
    return Manifest(
        schema=manifest.SCHEMA,
        nlbgen=__version__,
        farm=spec.farm.farm,
        spec=Source(path=SPEC, digest=spec.digest),
        validated=validated,
        secrets="none" if not secret else "encrypted" if readers else "plain",
        recipients=tuple(readers) if secret else (),
        files=tuple(sorted(entries, key=lambda entry: entry.path.encode("utf-8"))),
        left_out=tuple(left_out),
    )
