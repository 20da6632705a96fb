"""The kinds of values in connection strings: how a library reads the text, and what it accepts."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters that .NET's `Char.IsWhiteSpace` takes for white space; Python's `str.isspace` knows four more."""

Meaning = str | int | bool
"""What a library holds for a value."""


class UnsupportedValueError(ValueError):
    """A connection string cannot contain this text; the message gives the reason without the text."""


class Kind(NamedTuple):
    """A kind of values: what it is called in a message, and the function that reads one (ValueError if invalid)."""

    name: str
    read: Callable[[str], Meaning]


class Refusal(NamedTuple):
    """Why a library refuses a connection string; no text of the string but a known keyword is in it."""

    library: str
    what: str
    """The keyword in quotes, or the position of what cannot be shown."""
    reason: str
    hint: str

    @property
    def message(self) -> str:
        """The refusal as a sentence."""
        return f"{self.library} does not accept {self.what}: {self.reason}"


def choice(name: str, words: Mapping[str, Meaning]) -> Kind:
    """A kind with a closed list of words, which are compared without case."""

    def read(text: str) -> Meaning:
        folded = text.strip(SPACE).lower()
        if folded not in words:
            raise ValueError(name)
        return words[folded]

    return Kind(name, read)


def names(name: str, words: Iterable[str]) -> Kind:
    """A choice of words that mean themselves."""
    return choice(name, {word.lower(): word for word in words})


def integer(low: int = -(2**31), high: int = 2**31 - 1) -> Kind:
    """A whole number; the default bounds are those of .NET's Int32."""
    name = "a whole number"
    if low > -(2**31):
        name += f" of at least {low}" if high == 2**31 - 1 else f" from {low} to {high}"

    def read(text: str) -> int:
        digits = text.strip(SPACE)
        number = digits[1:] if digits[:1] in {"+", "-"} else digits
        if not number.isascii() or not number.isdecimal() or len(number) > 400:
            raise ValueError(name)
        value = int(digits)
        if not low <= value <= high:
            raise ValueError(name)
        return value

    return Kind(name, read)


def text(longest: int) -> Kind:
    """Any text up to a length."""

    def read(value: str) -> str:
        if len(value) > longest:
            raise ValueError(f"at most {longest} characters")
        return value

    return Kind(f"at most {longest} characters", read)


ANY: Final = Kind("a text", str)
"""Any text."""
IGNORED: Final = Kind("a text", lambda _text: "")
"""A value that the library does not read."""


class Keyword(NamedTuple):
    """One keyword: how a library writes it, its other spellings in lower case, its kind and its default."""

    name: str
    synonyms: tuple[str, ...]
    kind: Kind
    default: Meaning = ""
    exact: bool = False
    """Whether the library compares the case of the keyword."""


class Client(NamedTuple):
    """One version of a library: its name for messages, and its keywords by every spelling in lower case."""

    name: str
    keywords: Mapping[str, Keyword]

    def find(self, written: str) -> Keyword | None:
        """The keyword that the library reads in this spelling, or None."""
        found = self.keywords.get(written.lower())
        return None if found is None or (found.exact and found.name != written) else found


def client(name: str, keywords: Iterable[Keyword]) -> Client:
    """A library with these keywords."""
    return Client(name, {spelled.lower(): one for one in keywords for spelled in (one.name, *one.synonyms)})
