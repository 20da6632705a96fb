"""Make a bundle from a spec: render every part, encrypt or omit secrets, write the manifest.

The bytes depend only on the spec's file, the files that it names and the version of nlbgen; with validation also on the
verdicts of the programs of this machine. With secrets, encryption adds random numbers.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .. import __version__
from ..core.artifacts import PLAIN_MODE, SECRET_MODE, Artifact
from ..core.errors import UnsupportedError, UsageError
from ..core.wording import all_of
from ..generators.base import VENDORS
from ..spec import document
from ..spec.load import Spec, check
from . import archive, manifest, sealing
from .checking import checked
from .manifest import MANIFEST, SPEC, LeftOut, Manifest, ManifestEntry, Source
from .members import Member
from .parts import PartResult, Request, parts
from .sealing import Sealer

DEFAULT_FOLDER: Final = Path("outputs")


class Options(NamedTuple):
    """The options of `nlbgen bundle export`."""

    with_secrets: bool = False
    plaintext: bool = False
    recipients: tuple[str, ...] = ()
    """Public keys that replace those of the spec."""
    validate: bool = True
    vendor: str = ""
    """The balancer for the Ansible rollout, if the spec names several."""
    balancers: tuple[str, ...] = ()
    """The balancers' hosts for the rollout, if the spec does not name them."""


class Exported(NamedTuple):
    """A bundle that was made, and the notes for the user."""

    data: bytes
    manifest: Manifest
    mode: int
    """The permission bits that its file gets."""
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the archive, in hex, as `sha256sum` prints it."""
        return hashlib.sha256(self.data).hexdigest()


def read(path: Path) -> tuple[Spec, bytes]:
    """Return the checked spec in a file, and the bytes that it was read from; raises SpecError."""
    raw = document.read_raw(path)
    return check(document.parse(str(path), document.decode(str(path), raw))), raw


def default_path(spec: Spec) -> Path:
    """Return the default path of a farm's bundle."""
    return DEFAULT_FOLDER / f"{spec.farm.farm}.tar.gz"


def export(spec: Spec, raw: bytes, chosen: archive.Format, options: Options) -> Exported:
    """Make the bundle of a farm.

    Raises UnsupportedError where a vendor that the spec names cannot do what it requests, or no vendor can,
    ValidationError where a real program refuses, UsageError where secrets are requested without a recipient.
    """
    readers = _readers(spec, options)
    sealer = Sealer(readers) if readers else None
    request = Request(spec, raw, options.validate, options.with_secrets, options.vendor, options.balancers)
    made: dict[str, PartResult] = {}
    for part in parts():
        if made.keys() >= {*VENDORS}:
            _refuse(made, spec)
        made[part.name] = part.make(request)
    members: list[Member] = []
    entries: list[ManifestEntry] = []
    for name, given in made.items():
        for artifact in given.artifacts:
            member = _member(artifact, sealer)
            members.append(member)
            verdict = given.validation if artifact.main else None
            entries.append(manifest.entry_of(member, name, verdict, secret=artifact.secret))
    made_manifest = _manifest(
        spec, readers, entries, [left for given in made.values() for left in given.left_out], validated=options.validate
    )
    data = archive.packed([*members, Member(MANIFEST, manifest.written(made_manifest))], chosen)
    checked("the bundle", data, archive.unpacked(data, chosen))  # what `verify` would refuse is not written
    notes = (*_not_named(made), *(note for given in made.values() for note in given.notes))
    return Exported(data, made_manifest, SECRET_MODE if options.plaintext else PLAIN_MODE, notes)


def _readers(spec: Spec, options: Options) -> tuple[str, ...]:
    """Return the public keys to encrypt secrets for; empty without secrets, and with unencrypted secrets."""
    if not options.with_secrets:
        if options.plaintext or options.recipients:
            option = "--plaintext" if options.plaintext else "--recipient"
            raise UsageError(f"{option} needs --with-secrets: this bundle contains no secrets", "add --with-secrets")
        return ()
    if options.plaintext:
        if options.recipients:
            raise UsageError("--plaintext and --recipient cannot be combined", "use only one of them")
        return ()
    readers = sealing.recipients(options.recipients or spec.farm.bundle.recipients)
    if not readers:
        raise UsageError(
            "there is no recipient to encrypt the secrets for",
            "write `bundle: {recipients: [age1...]}` into the spec or give --recipient; `age-keygen` makes a key pair",
        )
    return readers


def _not_named(made: dict[str, PartResult]) -> Iterator[str]:
    """Yield one line for all vendors without files that did not refuse the farm: the spec does not name them."""
    others = [name for name in VENDORS if not made[name].artifacts and not made[name].problems]
    if others:
        yield f"not in the bundle: {all_of(others)}: the spec does not name {'it' if len(others) == 1 else 'them'}"


def _refuse(made: dict[str, PartResult], spec: Spec) -> None:
    """Raise UnsupportedError where a vendor that the spec names refuses it, or all vendors do."""
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
    spec: Spec, readers: Sequence[str], entries: list[ManifestEntry], left_out: list[LeftOut], *, validated: bool
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
