"""Whether a bundle is whole: its archive, its manifest, and every file against it. Nothing is unpacked to find out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.artifacts import PLAIN_MODE, SECRET_MODE
from ..core.errors import DifferenceError, SpecError, UsageError
from ..core.plan import DIGEST_SHOWN
from ..spec import document
from ..spec.load import digest
from . import archive, manifest, names, sealing
from .manifest import MANIFEST, SPEC, Entry, Manifest
from .members import REPACKED, BundleError, Member, legible, named


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that has passed every check; its contents are not shown, for they may be secrets."""

    name: str
    manifest: Manifest
    digest: str
    """SHA-256 of the archive, in hex."""
    contents: Mapping[str, bytes] = field(repr=False)
    """Every file but the manifest, by its name."""

    def text(self) -> str:
        """For people: one line on what it is, one on its digest, then what is not in it."""
        whole = self.manifest
        secrets = {
            "none": "without secrets",
            "encrypted": f"secrets encrypted for {len(whole.recipients)}",
            "plain": "SECRETS IN THE CLEAR",
        }[whole.secrets]
        lines = [
            f"{self.name}: whole",
            f"  farm {whole.farm}, made by nlbgen {whole.nlbgen} from the spec with digest {whole.spec.digest[:16]}",
            f"  {len(whole.files)} files, {secrets}",
            f"  sha256 {self.digest}",
        ]
        lines += [
            f"  not in it: {left.part}: {left.what}: {left.reasons[0].message}{_more(len(left.reasons))}"
            for left in whole.left_out
        ]
        return "".join(f"{legible(line)}\n" for line in lines)

    def data(self) -> dict[str, object]:
        """For programs: the archive's digest and the whole manifest."""
        return {"bundle": self.name, "sha256": self.digest, "manifest": manifest.data(self.manifest)}

    def expect(self, wanted: str) -> None:
        """Raise DifferenceError where this is not the bundle that the digest names."""
        given = wanted.strip().lower()
        if not DIGEST_SHOWN <= len(given) <= len(self.digest) or not set(given) <= set("0123456789abcdef"):
            raise UsageError(f"{wanted} is not a digest", f"`bundle export` says it: {DIGEST_SHOWN} hex digits or more")
        if not self.digest.startswith(given):
            raise DifferenceError(
                f"{self.name} has the SHA-256 {self.digest}, not {given}",
                "it is whole, but another bundle than the one that was meant",
            )


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


def opened(path: Path) -> Bundle:
    """The bundle in a file, read once and checked as a whole.

    Raises BundleError with everything that is wrong, FileError where it cannot be read, UsageError for a name that
    says no format.
    """
    chosen = archive.format_of(path)
    data = archive.read(path)
    try:
        return checked(str(path), data, archive.unpacked(data, chosen))
    except BundleError as error:
        raise BundleError(f"{path}: {error.message}", error.hint) from None


def checked(name: str, data: bytes, members: Sequence[Member]) -> Bundle:
    """The bundle that an archive's bytes and files are; raises BundleError with everything that is wrong."""
    found = {member.path: member for member in members}
    if MANIFEST not in found:
        raise BundleError(f"there is no {MANIFEST} in it", REPACKED)
    whole = manifest.understood(found.pop(MANIFEST).content)
    if problems := [*_differences(whole, found), *_contradictions(whole, found)]:
        raise BundleError("\n    ".join(["it does not hold what its manifest says:", *problems]), REPACKED)
    contents = {path: member.content for path, member in found.items()}
    return Bundle(name, whole, hashlib.sha256(data).hexdigest(), contents)


def _differences(whole: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    """Where the files and the manifest's list differ."""
    listed = {entry.path: entry for entry in whole.files}
    if list(listed) != [entry.path for entry in sorted(whole.files, key=lambda entry: entry.path.encode("utf-8"))]:
        yield "its list of files is not in the order of their names, or names one twice"
    for path in sorted(found.keys() - listed.keys()):
        yield f"{named(path)} is extra"
    for path, entry in listed.items():
        member = found.get(path)
        if member is None:
            yield f"{named(path)} is missing"
        elif len(member.content) != entry.size:
            yield f"{named(path)} has {len(member.content)} bytes, not {entry.size}"
        elif hashlib.sha256(member.content).hexdigest() != entry.sha256:
            yield f"{named(path)} has another content"
        elif f"{member.mode:04o}" != entry.mode:
            yield f"{named(path)} has the mode {member.mode:04o}, not {entry.mode}"


def _contradictions(whole: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    """Where the manifest cannot be true, whatever its checksums say."""
    yield from _spec_contradictions(whole, found)
    if any(entry.secret for entry in whole.files) != (whole.secrets != "none"):
        yield "it says of its secrets what its files do not bear out"
    if bool(whole.recipients) != (whole.secrets == "encrypted"):
        yield "it names readers of secrets that are not encrypted, or none of those that are"
    for entry in whole.files:
        if entry.mode != f"{SECRET_MODE if entry.secret else PLAIN_MODE:04o}":
            yield f"{named(entry.path)} has the mode {entry.mode}, which does not fit what it holds"
        if entry.secret and whole.secrets == "encrypted" and not _is_sealed(entry.path, found):
            yield f"{named(entry.path)} should be encrypted and is not"
    opened_names = [MANIFEST, *(_opened_name(whole, entry) for entry in whole.files)]
    yield from filter(
        None, (names.objection(name) and f"{named(name)} cannot be a file's name" for name in opened_names)
    )
    yield from names.collisions(opened_names)


def _opened_name(whole: Manifest, entry: Entry) -> str:
    """The name that a file has once it is decrypted."""
    return entry.path.removesuffix(sealing.ENDING) if whole.secrets == "encrypted" and entry.secret else entry.path


def _is_sealed(path: str, found: Mapping[str, Member]) -> bool:
    return path.endswith(sealing.ENDING) and (path not in found or found[path].content.startswith(sealing.HEAD))


def _spec_contradictions(whole: Manifest, found: Mapping[str, Member]) -> Iterator[str]:
    if whole.spec.path != SPEC or SPEC not in found:
        yield f"{SPEC} is not its spec"
        return
    try:
        source = document.parse(SPEC, document.decode(SPEC, found[SPEC].content))
    except SpecError:
        yield f"{SPEC} cannot be read"
        return
    if source.problems or digest(source) != whole.spec.digest:
        yield f"{SPEC} does not have the digest that the manifest names"
    elif not isinstance(source.data, dict) or source.data.get("farm") != whole.farm:
        yield f"{SPEC} describes another farm than {named(whole.farm)}"
