"""How messages write values, numbers and lists, and the check that a value of a spec is a string."""

from collections.abc import Sequence


class NotTextError(ValueError):
    """A value that must be a string was written as a number, without quotes.

    With `needs_source`, the message must begin with the text in the file, because the number has lost digits.
    """

    def __init__(self, message: str, *, needs_source: bool = False) -> None:
        super().__init__(message)
        self.needs_source = needs_source


def shown(value: object) -> str:
    """A value as an error may show it: on one line, printable, and cut after 60 characters."""
    text = value if isinstance(value, str) else _syntax(value)
    text = shortened(legible(text), 60)
    return f'"{text}"' if isinstance(value, str) else text


def _syntax(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return str(value)


def shortened(text: str, length: int) -> str:
    """The text itself up to `length` characters; a longer one is cut there, and `...` follows."""
    return text if len(text) <= length else f"{text[:length]}..."


def legible(text: str, kept: str = "") -> str:
    """The text with escapes for characters that move the cursor, change colours or change the direction of text.

    Those in `kept` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in kept else ascii(char)[1:-1] for char in text)


def legible_lines(text: str) -> str:
    """A text of several lines, each made legible; tabs stay."""
    return "\n".join(legible(line, "\t") for line in text.split("\n"))


def json_text(data: object) -> str:
    """The data as indented JSON in ASCII, all other characters escaped: the same JSON in any encoding of the output.

    A console of Windows has another encoding than UTF-8, and PowerShell decodes what a program prints with it.
    """
    import json

    return json.dumps(data, indent=2).replace("\x7f", "\\u007f")


def plural(count: int, noun: str, many: str = "") -> str:
    """The count with its noun: `1 node`, `2 nodes`, `0 entries`; `many` is the plural where it is irregular."""
    return f"{count} {noun if count == 1 else many or _plural_of(noun)}"


def _plural_of(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in {*"aeiou"}:
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def one_of(names: Sequence[str]) -> str:
    """The names as a choice between them: `a, b or c`."""
    return _joined(names, "or")


def all_of(names: Sequence[str]) -> str:
    """All names: `a, b and c`."""
    return _joined(names, "and")


def _joined(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def text_of(value: object, what: str) -> str:
    """The text; raises NotTextError for a number (quotes are missing), ValueError for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise NotTextError(f"{shown(value)} is a number, not {what}")
    raise ValueError(f"{shown(value)} is not {what}")


def words_of(value: object, what: str) -> str:
    """Return the text like `text_of`, for values that cannot be a number in quotes either."""
    if isinstance(value, str):
        return value
    raise ValueError(f"{shown(value)} is not {what}")
