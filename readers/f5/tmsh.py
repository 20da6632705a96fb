"""The syntax of tmsh, as in bigip.conf and in a single configuration file (SCF): words, lines and braces.

A line is a statement. A brace opens the block of the words before it; on one line, a block ends a statement too. What
surprises:

- A block on one line can be a list (`{ a b }`) or pairs (`{ context clientside }`). The syntax does not show which, so
  it is one statement with all its words. A block after them has the last word as its name (`{ a 1 members { } }`).
- In quotes, a backslash only protects a quotation mark; `\\r` in a monitor stays two characters. Texts have line ends.
- An iRule is Tcl, not tmsh: it ends at the brace that matches, and quotes in it may be alone.
- A comment begins a line. In the middle of a line, `#` is a character of a word.

tmconfpy, which turns bigip.conf into JSON, keeps neither lines nor columns; so this module has its own expressions.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ..errors import UnreadableError
from ..text import Source
from ..tree import Comment, Statement, Unread, Word

_TOKEN: Final = re.compile(
    r"""[ \t\r]*+(?:
    ( (?: \\. | [^ \t\r\n{}"\\] ) (?: [^ \t\r\n{}\\]++ | \\. )*+ )
    | (\n)
    | ([{}])
    | "( (?: [^"\\]++ | \\. )*+ )"
    )""",
    re.DOTALL | re.VERBOSE,
)
_BARE, _END, _BRACE, _QUOTED = range(1, 5)
_MODULES: Final = "analytics|apm|asm|auth|cli|cm|gtm|ilx|ltm|net|pem|security|sys|vcmp|wam|wom"
_TCL: Final = (
    *(("ltm", "rule"), ("gtm", "rule"), ("pem", "irule"), ("cli", "script")),
    *(("sys", "icall", "script"), ("sys", "application", "template")),
)
"""Objects whose body is a program."""
_BRACES: Final = re.compile(r"\\.|([{}])", re.DOTALL)
_LAST_BRACE: Final = re.compile(rf"^\}}[ \t]*\r?$(?=\s*(?:\Z|#TMSH|(?:{_MODULES})[ \t]))", re.MULTILINE)
_AT_LEAST: Final = ("monitor", "min", "1", "of")
"""The only property with several words before its block."""
DEEPEST: Final = 64


class Read(NamedTuple):
    """The objects of a file, its comments, and what was not understood."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
    unread: tuple[Unread, ...]


def parse(source: Source) -> Read:
    """Read the objects of a file; raises UnreadableError."""
    reader = _Reader(source)
    return Read(tuple(reader.objects()), tuple(reader.comments), (*source.unread, *reader.unread))


class _Reader:
    """One pass over a file. `blocks` has the heads of the open blocks, and what stands before them."""

    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.comments: list[Comment] = []
        self.unread: list[Unread] = []
        self.blocks: list[tuple[tuple[Word, ...], list[Statement]]] = []
        self.current: list[Statement] = []
        self.words: list[Word] = []

    def objects(self) -> list[Statement]:
        """All objects of the file."""
        match, position = _TOKEN.match, 0
        while found := match(self.text, position):
            kind, position = found.lastindex, found.end()
            if kind == _BARE:
                start = found.start(_BARE)
                if not self.words and found[_BARE][0] == "#":
                    position = self.comment(start)
                else:
                    self.words.append(Word(found[_BARE], self.source.at(start)))
            elif kind == _END:
                self.ended()
            elif kind == _QUOTED:
                text = found[_QUOTED].replace('\\"', '"')
                self.words.append(Word(text, self.source.at(found.start(_QUOTED) - 1), quoted=True))
            elif found[_BRACE] == "{":
                position = self.opened(found.start(_BRACE))
            else:
                self.closed(found.start(_BRACE))
        self.finish(position)
        return self.current

    def comment(self, start: int) -> int:
        """Keep a comment; returns the position of the line's end."""
        end = self.text.find("\n", start)
        end = len(self.text) if end < 0 else end
        self.comments.append(Comment(self.text[start + 1 : end].strip(), self.source.at(start), alone=True))
        return end

    def ended(self) -> None:
        """A statement without a block ends; at the top of a file there is none."""
        if self.words:
            if not self.blocks:
                self.unread.append(Unread(self.words[0].location, "a line outside of all objects"))
            self.current.append(Statement(tuple(self.words)))
            self.words = []

    def opened(self, start: int) -> int:
        """A block begins; returns the position after the brace, or after a program."""
        head = tuple(self.words)
        if not head and not self.blocks:
            raise UnreadableError.at(
                self.source.at(start), 'unexpected "{"', "write the kind and the name of the object"
            )
        if len(self.blocks) == DEEPEST:
            raise UnreadableError.at(self.source.at(start), f"more than {DEEPEST} blocks are nested here")
        self.words = []
        if self.blocks and head and head[0].location.line == self.blocks[-1][0][-1].location.line:
            head = self.divided(head)
        if not self.blocks and any(tuple(word.text for word in head[: len(kind)]) == kind for kind in _TCL):
            return self.program(head, start)
        # A list of blocks without names, as in `subjects { { ... } }`.
        self.blocks.append((head or (Word("", self.source.at(start)),), self.current))
        self.current = []
        return start + 1

    def divided(self, head: tuple[Word, ...]) -> tuple[Word, ...]:
        """The name of a block after other properties on the line of the block around it; these are a statement."""
        size = len(_AT_LEAST) if tuple(word.text for word in head[-4::3]) == _AT_LEAST[::3] else 1
        if len(head) > size:
            self.current.append(Statement(head[:-size]))
        return head[-size:]

    def closed(self, start: int) -> None:
        """A block ends, and the statement to which it belongs."""
        self.ended()
        if not self.blocks:
            raise UnreadableError.at(self.source.at(start), 'unexpected "}"', "it closes no object: remove it")
        head, outer = self.blocks.pop()
        outer.append(Statement(head, tuple(self.current)))
        self.current = outer

    def program(self, head: tuple[Word, ...], start: int) -> int:
        """An object with a program, which is kept as one quoted word; returns the position after it."""
        counted = _matching(self.text, start + 1)
        last = _LAST_BRACE.search(self.text, start)
        end = counted
        if last is not None and (counted is None or last.start() < counted):
            end = last.start()
            self.unread.append(Unread(head[0].location, "the braces of this program do not match"))
        if end is None:
            raise UnreadableError.at(self.source.at(start), "this block has no end", 'add the missing "}"')
        body = Word(self.text[start + 1 : end], self.source.at(start + 1), quoted=True)
        self.current.append(Statement(head, (Statement((body,)),)))
        return end + 1

    def finish(self, position: int) -> None:
        """The file ends here; nothing may be open."""
        rest = self.text[position:].lstrip(" \t\r")
        if rest:
            where = self.source.at(len(self.text) - len(rest))
            raise UnreadableError.at(where, "the text that begins here has no end", "add the missing quotation mark")
        self.ended()
        if self.blocks:
            raise UnreadableError.at(self.blocks[-1][0][0].location, "this block has no end", 'add the missing "}"')


def _matching(text: str, start: int) -> int | None:
    """The position of the brace that closes the block which begins before `start`, as Tcl counts braces."""
    depth = 1
    for found in _braces(text, start):
        depth += 1 if found[1] == "{" else -1
        if depth == 0:
            return found.start()
    return None


def _braces(text: str, start: int) -> Iterator[re.Match[str]]:
    """Each brace that has no backslash before it."""
    return (found for found in _BRACES.finditer(text, start) if found[1])
