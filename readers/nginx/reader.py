"""Read an nginx.conf with the files that it includes, or the output of `nginx -T`."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from ...core.errors import Location
from ..errors import UnreadableError
from ..text import Source, without_collection
from ..tree import Comment, Configuration, Statement, Unread, Word
from . import tokens
from .files import Dump, Files, Folder, dumped

DEEPEST: Final = 64
"""Blocks in blocks, and includes in includes; NGINX itself stops at its stack."""
_MOST_INCLUDES: Final = 10_000
_PROGRAM: Final = re.compile(r"\w+_by_lua(?:_block|_file)?|perl(?:_set)?|js_(?:content|set|access|\w+_filter)")
"""Directives whose value is a program, which may choose nodes, set headers and answer requests."""


def read(path: Path, content: bytes, included: Files | None = None) -> Configuration:
    """Return the statements of the file and of those that it includes; each `include` is followed by their statements.

    `included` finds the files that it includes; the default is the folder of the file. A file that is missing or
    outside of this folder is in `unread`, with the location of its `include`; so are programs in the configuration.
    Raises UnreadableError where NGINX refuses the syntax.
    """
    parts = dict(dumped(str(path), content))
    if parts:
        main = next(iter(parts))
        reader = _Reader(Dump(parts, PurePosixPath(main).parent))
        found = reader.configuration(parts[main])
        whole = Source(str(path), content)
        return Configuration("nginx", found, tuple(reader.comments), tuple(reader.unread), {str(path): whole.lines})
    reader = _Reader(included or Folder(path.parent))
    found = reader.configuration(Source(str(path), content))
    reader.unread += _part(found)
    return Configuration("nginx", found, tuple(reader.comments), tuple(reader.unread), reader.lines)


def _part(statements: tuple[Statement, ...]) -> list[Unread]:
    """What is not known of a file that an `http` block includes, such as the file of one site."""
    first = next((one for one in statements if one.name in {"server", "upstream"}), None)
    if first is None:
        return []
    reason = "the file has no http block, which could contain more settings; give nginx.conf, or the output of nginx -T"
    return [Unread(first.location, reason)]


class _Reader:
    """Follows the includes of one configuration."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.comments: list[Comment] = []
        self.unread: list[Unread] = []
        self.lines: dict[str, tuple[str, ...]] = {}
        self.known: set[Source] = set()
        self.includes = 0

    def configuration(self, source: Source) -> tuple[Statement, ...]:
        """The statements of the main file, with those that it includes."""
        with without_collection():
            return tuple(self.file(source, ()))

    def file(self, source: Source, including: tuple[Source, ...]) -> list[Statement]:
        """The statements of a file; each file has its own blocks."""
        comment = _ignored if source in self.known else self.comments.append
        if source not in self.known:
            self.known.add(source)
            self.lines[source.name] = source.lines
            self.unread += source.unread
        path = (*including, source)
        blocks: list[tuple[tuple[Word, ...], list[Statement]]] = []
        current: list[Statement] = []
        for words, mark, location in tokens.lines(source, comment):
            if mark == ";":
                current.append(Statement(words))
                if words[0].text == "include" and len(words) == _WITH_NAME:
                    current += self.included(words, path)
                elif _PROGRAM.fullmatch(words[0].text):
                    self.unread.append(Unread(words[0].location, f"{words[0].text}: nlbgen does not run programs"))
            elif mark == "{":
                if len(blocks) + len(including) == DEEPEST:
                    raise UnreadableError.at(location, f"more than {DEEPEST} blocks are nested here")
                blocks.append((words, current))
                current = []
            elif blocks:
                head, outer = blocks.pop()
                outer.append(Statement(head, tuple(current)))
                current = outer
            else:
                raise UnreadableError.at(location, 'unexpected "}"', "it closes no block: remove it")
        if blocks:
            raise _unclosed(blocks[-1][0])
        return current

    def included(self, words: tuple[Word, ...], including: tuple[Source, ...]) -> Sequence[Statement]:
        """The statements of the files that an `include` names."""
        location, pattern = words[0].location, words[1].text
        found = self.files.matching(pattern)
        self.unread += [Unread(location, f"include: {reason}") for reason in found.reasons]
        statements: list[Statement] = []
        for source in found.sources:
            self.includes += 1
            _require_bounds(source, including, self.includes, location)
            statements += self.file(source, including)
        return statements


def _require_bounds(source: Source, including: tuple[Source, ...], includes: int, location: Location) -> None:
    """Refuse a file that includes itself, and a number of includes that no real configuration has."""
    if source in including:
        raise UnreadableError.at(location, f"the file includes itself: {source.name}", "remove this include")
    if includes > _MOST_INCLUDES or len(including) > DEEPEST:
        what = f"more than {_MOST_INCLUDES} includes, or more than {DEEPEST} nested includes"
        raise UnreadableError.at(location, what)


def _unclosed(words: tuple[Word, ...]) -> UnreadableError:
    return UnreadableError.at(words[0].location, f"the block of {words[0].text} has no end", 'add the missing "}"')


def _ignored(comment: Comment) -> None:
    """A file that is included again has the same comments."""


_WITH_NAME: Final = 2
