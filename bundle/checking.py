"""The check that a bundle is intact: archive, manifest, and every file against the manifest. It unpacks nothing."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import DifferenceError, SpecError, UsageError
from ..core.plan import DIGEST_SHOWN
from ..core.wording import legible, plural
from ..spec import document
from ..spec.load import digest
from . import archive, manifest, names, sealing
from .manifest import MANIFEST, SPEC, Manifest, ManifestEntry
from .members import REPACKED, BundleError, Member, named


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that has passed every check; `repr` does not show its contents, which may be secrets."""

    name: str
    manifest: Manifest
    digest: str
    """SHA-256 of the archive, in hex."""
    contents: Mapping[str, bytes] = field(repr=False)
    """Every file but the manifest, by its name."""
    signer: str = ""
    """The id of the key whose signature was verified; empty if none was requested."""

    def text(self) -> str:
        """Return the text for people: what the bundle is, its digest, then the parts that are missing."""
        listed = self.manifest
        secrets = {
            "none": "without secrets",
            "encrypted": f"secrets encrypted for {plural(len(listed.recipients), 'recipient')}",
            "plain": "SECRETS NOT ENCRYPTED",
        }[listed.secrets]
        lines = [
            f"{self.name}: intact",
            f"  farm {listed.farm}, made by nlbgen {listed.nlbgen} from the spec with digest {listed.spec.digest[:16]}",
            f"  {len(listed.files)} files, {secrets}",
            f"  sha256 {self.digest}",
            *[f"  signed with the key {self.signer}"] * bool(self.signer),
        ]
        lines += [
            f"  missing: {left.part}: {left.what}: {left.reasons[0].message}{_more(len(left.reasons))}"
            for left in listed.left_out
        ]
        return "".join(legible(line, "\t") + "\n" for line in lines)

    def data(self) -> dict[str, object]:
        """Return the data for programs: the archive's digest and the manifest."""
        return {
            "bundle": self.name,
            "sha256": self.digest,
            "signer": self.signer or None,
            "manifest": manifest.data(self.manifest),
        }

    def expect(self, wanted: str) -> None:
        """Raise DifferenceError unless the bundle has this digest, UsageError for a malformed digest."""
        given = wanted.strip().lower()
        if not DIGEST_SHOWN <= len(given) <= len(self.digest) or not set(given) <= set("0123456789abcdef"):
            raise UsageError(
                f"{wanted} is not a digest",
                f"`bundle export` prints it: {DIGEST_SHOWN} hex digits or more",
            )
        if not self.digest.startswith(given):
            raise DifferenceError(
                f"{self.name} has the SHA-256 {self.digest}, not {given}",
                "the bundle is intact, but it is not the expected one: get the right bundle, or check the digest",
            )


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


Vouch = Callable[[bytes], str]
"""Returns the id of the key that has signed these bytes; raises NlbgenError if none has."""


def opened(path: Path, vouch: Vouch | None = None) -> Bundle:
    """Read the file of a bundle once, and check all of it; first its signature, if `vouch` is given.

    Raises BundleError with every problem, FileError if the file cannot be read, UsageError if its name has no known
    ending, and what `vouch` raises.
    """
    chosen = archive.format_of(path)
    data = archive.read(path)
    signer = "" if vouch is None else vouch(data)
    try:
        return replace(checked(str(path), data, archive.unpacked(data, chosen)), signer=signer)
    except BundleError as error:
        raise BundleError(f"{path}: {error.message}", error.hint) from None


def checked(name: str, data: bytes, members: Sequence[Member]) -> Bundle:
    """Return the bundle of an archive's bytes and files; raises BundleError with every problem."""
    found = {member.path: member for member in members}
    if MANIFEST not in found:
        raise BundleError(f"it has no {MANIFEST}", REPACKED)
    found_manifest = manifest.understood(found.pop(MANIFEST).content)
    if problems := [*_differences(found_manifest, found), *_contradictions(found_manifest, found)]:
        raise BundleError("\n    ".join(["its files differ from its manifest:", *problems]), REPACKED)
    contents = {path: member.content for path, member in found.items()}
    return Bundle(name, found_manifest, hashlib.sha256(data).hexdigest(), contents)


def _differences(listed: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    """Yield a message for each difference between the files and the manifest's list."""
    by_path = {entry.path: entry for entry in listed.files}
    if list(by_path) != [entry.path for entry in sorted(listed.files, key=lambda entry: entry.path.encode("utf-8"))]:
        yield "its list of files is not sorted by name, or lists a file twice"
    for path in sorted(found.keys() - by_path.keys()):
        yield f"{named(path)} is not in the manifest"
    for path, entry in by_path.items():
        member = found.get(path)
        if member is None:
            yield f"{named(path)} is missing from the archive"
        elif len(member.content) != entry.size:
            yield f"{named(path)} has {len(member.content)} bytes, not {entry.size}"
        elif hashlib.sha256(member.content).hexdigest() != entry.sha256:
            yield f"{named(path)} has a different content"
        elif f"{member.mode:04o}" != entry.mode:
            yield f"{named(path)} has the mode {member.mode:04o}, not {entry.mode}"


def _contradictions(listed: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    """Yield a message for each contradiction in the manifest itself."""
    yield from _spec_contradictions(listed, found)
    if any(entry.secret for entry in listed.files) != (listed.secrets != "none"):
        yield "the manifest's `secrets` contradicts the list of files"
    if bool(listed.recipients) != (listed.secrets == "encrypted"):
        yield "the manifest lists recipients without encrypted secrets, or encrypted secrets without recipients"
    for entry in listed.files:
        if entry.mode != f"{SECRET_MODE if entry.secret else PLAIN_MODE:04o}":
            yield f"{named(entry.path)} has the mode {entry.mode}, which is wrong for a file of this kind"
        if entry.secret and listed.secrets == "encrypted" and not _is_sealed(entry.path, found):
            yield f"{named(entry.path)} is not encrypted, although the manifest says so"
    opened_names = [MANIFEST, *(_opened_name(listed, entry) for entry in listed.files)]
    yield from filter(
        None, (names.objection(name) and f"{named(name)} is not a valid file name" for name in opened_names)
    )
    yield from names.collisions(opened_names)


def _opened_name(listed: Manifest, entry: ManifestEntry) -> str:
    """Return the name that a file has after decryption."""
    return entry.path.removesuffix(sealing.ENDING) if listed.secrets == "encrypted" and entry.secret else entry.path


def _is_sealed(path: str, found: Mapping[str, Member]) -> bool:
    return path.endswith(sealing.ENDING) and (path not in found or found[path].content.startswith(sealing.HEAD))


def _spec_contradictions(listed: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    if listed.spec.path != SPEC or SPEC not in found:
        yield f"the manifest does not name {SPEC} as the spec"
        return
    try:
        source = document.parse(SPEC, document.decode(SPEC, found[SPEC].content))
    except SpecError:
        yield f"{SPEC} cannot be read"
        return
    if source.problems or digest(source) != listed.spec.digest:
        yield f"{SPEC} does not have the digest that the manifest names"
    elif not isinstance(source.data, dict) or source.data.get("farm") != listed.farm:
        yield f"{SPEC} describes another farm than {named(listed.farm)}"
