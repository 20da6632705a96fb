"""The files that a configuration of NGINX includes: those of its folder, or those of a dump by `nginx -T`."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol

from ...core import files
from ..text import Source

LIMIT: Final = 64 * 1024 * 1024
"""The most bytes of all included files of one configuration."""
_DUMPED: Final = re.compile(rb"^# configuration file ([^\r\n]+):\r?$", re.MULTILINE)


class Included(NamedTuple):
    """What an `include` names: the files in NGINX's order, and why others are not read."""

    sources: tuple[Source, ...]
    reasons: tuple[str, ...] = ()


class Files(Protocol):
    """Where included files come from."""

    def matching(self, pattern: str) -> Included:
        """Return the files of an `include`, sorted by name as glob(3) sorts them."""


class Folder:
    """The folder of the main file. No file outside of it is opened; a symbolic link may not lead outside either."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inside = folder.resolve()
        self.left = LIMIT
        self.known: dict[Path, Source] = {}

    def matching(self, pattern: str) -> Included:
        """Return the files of an `include`; a relative name starts at the folder, in whichever file it stands."""
        if "\0" in pattern:
            return Included((), ("the name has a NUL character",))
        if not has_magic(pattern):
            return self._read([self.folder / pattern])
        relative = self._relative(pattern)
        if relative is None:
            return Included((), (f"{pattern} is outside of the folder {self.folder}",))
        wanted = relative.parts
        names = (path.relative_to(self.folder) for path in self.folder.glob(str(relative).replace("**", "*")))
        return self._read([self.folder / name for name in sorted(names) if not _is_hidden(name.parts, wanted)])

    def _relative(self, pattern: str) -> Path | None:
        """The pattern as seen from the folder; None if it leads outside."""
        path = Path(pattern)
        for folder in (self.folder, self.folder.absolute(), self.inside):
            if path.is_absolute() and path.is_relative_to(folder):
                path = path.relative_to(folder)
        return None if path.is_absolute() or ".." in path.parts else path

    def _read(self, paths: list[Path]) -> Included:
        sources: list[Source] = []
        reasons: list[str] = []
        for path in paths:
            found = self._source(path)
            if isinstance(found, Source):
                sources.append(found)
            else:
                reasons.append(found)
        return Included(tuple(sources), tuple(reasons))

    def _source(self, path: Path) -> Source | str:
        """The file, or the reason why it is not read."""
        if path in self.known:
            return self.known[path]
        if not self._is_inside(path):
            return f"{path} is outside of the folder {self.folder}"
        try:
            content = files.content(path, self.left)
        except OSError as error:
            return f"{path}: {error.strerror}"
        if len(content) > self.left:
            return f"{path}: the included files have more than {LIMIT // 1024**2} MB"
        self.left -= len(content)
        self.known[path] = Source(str(path), content)
        return self.known[path]

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.inside)
        except (OSError, RuntimeError):
            return False


def _is_hidden(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a `*` matched a name that begins with a dot: in glob(3), it does not."""
    return any(name[0] == "." != part[0] for name, part in zip(names, pattern, strict=True))


class Dump:
    """The files in the output of `nginx -T`, by the paths that it printed."""

    def __init__(self, parts: Mapping[str, Source], folder: PurePosixPath) -> None:
        self.parts = parts
        self.folder = folder

    def matching(self, pattern: str) -> Included:
        """Return the files of an `include` that the dump has."""
        path = str(self.folder / pattern)
        if path in self.parts:
            return Included((self.parts[path],))
        if not has_magic(path):
            return Included((), (f"{path} is not in the output of nginx -T",))
        wanted = re.compile("/".join(translate(part).removesuffix("\\Z") for part in path.split("/")) + r"\Z")
        names = sorted(name for name in self.parts if wanted.match(name) and name.count("/") == path.count("/"))
        return Included(tuple(self.parts[name] for name in names))


def dumped(name: str, content: bytes) -> Iterator[tuple[str, Source]]:
    """Yield the files in an output of `nginx -T`, with their paths; none if the content is no such output.

    Each `Source` has the name of the output, and the numbers of its lines.
    """
    heads = list(_DUMPED.finditer(content))
    ends = [*(head.start() for head in heads[1:]), len(content)]
    for head, end in zip(heads, ends, strict=False):
        first = content.count(b"\n", 0, head.end()) + 2
        part = content[head.end() + 1 : end]
        yield head[1].decode("utf-8", "replace"), Source(name, part, first)
