"""Files that nlbgen generates: their header, how they are written and compared, and files of earlier runs."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from .. import __version__
from .files import read_bytes, write_atomically
from .plan import DIGEST_SHOWN

PLAIN_MODE: Final = 0o644
SECRET_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Artifact:
    """One generated file: its path below an output folder, and its content, which `repr` hides."""

    path: PurePosixPath
    content: bytes = field(repr=False)
    secret: bool = False
    """Whether the content contains secrets: only the owner may read the file, and no diff shows it."""
    main: bool = False
    """Whether a vendor's program loads this file; the other files are for its installation."""

    @property
    def mode(self) -> int:
        """The permission bits of the written file."""
        return SECRET_MODE if self.secret else PLAIN_MODE

    def below(self, folder: str | PurePosixPath) -> "Artifact":
        """The same file with its path below `folder`."""
        return Artifact(PurePosixPath(folder) / self.path, self.content, self.secret, self.main)


def made_by(command: str, digest: str) -> list[str]:
    """The header lines that name the version and the spec's digest, and the nlbgen command that renders the file."""
    return [
        f"Made by nlbgen {__version__} from the spec with digest {digest[:DIGEST_SHOWN]}.",
        f"Do not edit: change the spec and run `nlbgen {command}` again.",
    ]


def write(artifacts: Iterable[Artifact], folder: Path) -> list[tuple[Path, bool]]:
    """Write the files whose content changes, each atomically; return every path and whether its content is new.

    A file with secrets is always written, so that its permission bits are right. Raises FileError.
    """
    written = []
    for artifact in artifacts:
        path = folder / artifact.path
        new = read_bytes(path) != artifact.content
        if new or artifact.secret:
            write_atomically(path, artifact.content, mode=artifact.mode)
        written.append((path, new))
    return written


def diff(artifacts: Iterable[Artifact], folder: Path) -> list[str]:
    """The lines of a unified diff from the files on disk to the artifacts; the content of secret files is hidden."""
    lines: list[str] = []
    for artifact in artifacts:
        path = folder / artifact.path
        old = read_bytes(path)
        if old != artifact.content:
            lines += _changes(artifact, path.as_posix(), old)
    return lines


def _changes(artifact: Artifact, path: str, old: bytes | None) -> Iterator[str]:
    source = "/dev/null" if old is None else path
    if artifact.secret:
        yield from (f"--- {source}", f"+++ {path}", "(contains secrets: not shown)")
        return
    before = [] if old is None else old.decode("utf-8", "replace").splitlines()
    after = artifact.content.decode("utf-8").splitlines()
    yield from difflib.unified_diff(before, after, source, path, lineterm="")


def leftovers(artifacts: Iterable[Artifact], folder: Path, below: str = "") -> list[Path]:
    """The files below `folder / below`, sorted, that are not among the artifacts: an earlier run wrote them."""
    made = {folder / artifact.path for artifact in artifacts}
    return sorted(path for path in (folder / below).rglob("*") if path.is_file() and path not in made)
