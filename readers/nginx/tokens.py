"""The words of an nginx.conf, split as `ngx_conf_read_token` of NGINX's src/core/ngx_conf_file.c splits them.

crossplane and its successors (ngxparse, crossplane-ng) give the line of a word, but not its column, and read one
character at a time; so this module has its own expressions. What surprises:

- `#`, `}` and quotes in the middle of a word are part of the word; `;` and `{` end it.
- `{` directly after `$` is part of the word (`${name}`).
- Outside and inside of quotes, a backslash keeps the next character from its meaning. It is removed only before quotes
  and another backslash; `\\t`, `\\r` and `\\n` are control characters; before other characters it stays.
- After a quoted word, only a space, `;`, `{` or `)` may follow.
- White space is a space, a tab, CR or LF, and nothing else.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from ...core.errors import Location
from ..errors import UnreadableError
from ..text import Source
from ..tree import Comment, Word
from . import lua

Mark = Literal[";", "{", "}"]

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*+(?:
    ( (?: \\. | \$\{*+ | [^ \t\r\n;{}\#"'\\$] ) (?: [^ \t\r\n;{\\$]++ | \\. | \$\{*+ )*+ )
    | ([;{}])
    | "( (?: [^"\\]++ | \\. )*+ )"
    | '( (?: [^'\\]++ | \\. )*+ )'
    | \#([^\n]*+)
    )""",
    re.DOTALL | re.VERBOSE,
)
_BARE, _MARK, _DOUBLE, _SINGLE, _COMMENT = range(1, 6)
_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_AFTER_QUOTES: Final = frozenset(" \t\r\n;{)")
_ESCAPE: Final = re.compile(r"""\\(["'\\trn])""")
_CONTROLS: Final = {"t": "\t", "r": "\r", "n": "\n"}
_new: Final = tuple.__new__
"""Makes a named tuple in half the time."""
LONGEST_WORD: Final = 4096
"""NGX_CONF_BUFFER: NGINX refuses a word or a comment of this many bytes."""
_LONG: Final = LONGEST_WORD // 4
"""So many characters always fit."""


class Line(NamedTuple):
    """The words up to a mark, and the mark: `;` ends a directive, `{` begins its block, `}` ends a block."""

    words: tuple[Word, ...]
    mark: Mark
    location: Location


def lines(source: Source, comment: Callable[[Comment], None]) -> Iterator[Line]:
    """Yield what stands before each mark of a file; comments go to `comment`. Raises UnreadableError."""
    return _Lines(source, comment).read()


def unescaped(text: str) -> str:
    """The word as NGINX keeps it, without the backslashes that it removes."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _CONTROLS.get(found[1], found[1]), text)


class _Lines:
    """One pass over a file. `line` and `start` follow the position, which never goes back."""

    def __init__(self, source: Source, comment: Callable[[Comment], None]) -> None:
        self.source, self.text, self.name = source, source.text, source.name
        self.comment = comment
        self.starts = [*source.starts, len(source.text) + 1]
        self.line = next(number for number, start in enumerate(self.starts) if start == 0)

    def at(self, position: int) -> Location:
        """The location of a position that is not before the last one."""
        line, starts = self.line, self.starts
        while starts[line + 1] <= position:
            line += 1
        self.line = line
        return Location(self.name, line, position - starts[line] + 1)

    def read(self) -> Iterator[Line]:
        """Yield the lines until the end of the file."""
        match, text, position = _TOKEN.match, self.text, 0
        words: list[Word] = []
        while found := match(text, position):
            kind = found.lastindex
            position = found.end()
            if kind == _BARE:
                words.append(self.bare(found[_BARE], found.start(_BARE)))
            elif kind == _MARK:
                yield self.ended(words, found[_MARK], self.at(found.start(_MARK)))
                words = []
                continue
            elif kind == _COMMENT:
                self.commented(found[_COMMENT], found.start(_COMMENT))
                continue
            elif kind is not None:
                words.append(self.quoted(found[kind], found.start(kind), position))
            if len(words) <= _MOST_BEFORE_LUA and words[0].text.endswith(lua.ENDING):
                code, position = self.lua(words, position)
                if code is not None:
                    yield Line((*words, code), ";", code.location)
                    words = []
        self.end(words, position)

    def bare(self, text: str, start: int) -> Word:
        """A word that was not in quotes. Most words are such words, so that this is written for speed."""
        if "\\" in text or len(text) > _LONG:
            text = self.checked(text, start)
        line, starts = self.line, self.starts
        while starts[line + 1] <= start:
            line += 1
        self.line = line
        return _new(Word, (text, _new(Location, (self.name, line, start - starts[line] + 1)), False))

    def ended(self, words: list[Word], mark: str, location: Location) -> Line:
        """The words before a mark; a mark without a directive is an error, `}` after words as well."""
        if mark == "}" and words:
            first = words[0]
            hint = f"a semicolon is missing after {first.text} in line {first.location.line}"
            raise UnreadableError.at(location, 'unexpected "}"', hint)
        if mark == "}":
            return Line((), "}", location)
        if not words:
            hint = "remove it, or write the directive before it"
            raise UnreadableError.at(location, f'unexpected "{mark}"', hint)
        return Line(tuple(words), ";" if mark == ";" else "{", location)

    def quoted(self, text: str, start: int, end: int) -> Word:
        """A word that was in quotes, with the location of the first quotation mark."""
        location = self.at(start - 1)
        after = self.text[end : end + 1]
        if after and after not in _AFTER_QUOTES:
            raise UnreadableError.at(
                self.at(end),
                f'unexpected "{after}" after a quoted word',
                "write a space between the words",
            )
        return Word(self.checked(text, start), location, quoted=True)

    def checked(self, text: str, start: int) -> str:
        """The word without its escapes; NGINX refuses long ones."""
        if len(text) > _LONG and len(text.encode()) >= LONGEST_WORD:
            raise UnreadableError.at(
                self.at(start),
                f"a word of {LONGEST_WORD} bytes or more",
                "NGINX refuses it: look for a missing quotation mark",
            )
        return unescaped(text) if "\\" in text else text

    def commented(self, text: str, start: int) -> None:
        """Report a comment; like a word, it has a limit."""
        self.checked(f"#{text}", start - 1)
        location = self.at(start - 1)
        before = self.text[self.starts[location.line] : start - 1]
        self.comment(Comment(text.strip(), location, alone=not before.strip()))

    def lua(self, words: list[Word], position: int) -> tuple[Word | None, int]:
        """The code of a Lua block, if it begins here, and the position after it."""
        opened = _SPACE.match(self.text, position)
        start = opened.end() if opened else position
        if self.text[start : start + 1] != "{":
            return None, position
        location = self.at(start)
        end = lua.end(self.text, start + 1)
        if end is None:
            raise UnreadableError.at(
                location, f"the Lua code of {words[0].text} has no end", "a closing brace is missing"
            )
        return Word(self.text[start + 1 : end], location, quoted=True), end + 1

    def end(self, words: list[Word], position: int) -> None:
        """Raise an error unless only white space is left."""
        space = _SPACE.match(self.text, position)
        rest = space.end() if space else position
        if rest < len(self.text):
            what = "the quotation mark" if self.text[rest] in "\"'" else "the word"
            raise UnreadableError.at(
                self.at(rest), f"{what} that begins here has no end", "add the missing quotation mark"
            )
        if words:
            raise UnreadableError.at(
                words[0].location, f"{words[0].text} has no end", "add the missing semicolon or brace"
            )


_MOST_BEFORE_LUA: Final = 2
"""`set_by_lua_block $name {...}` has a word before its code."""
