"""How a value of a spec is shown in an error, and the first question to each: is it a text at all?"""

from collections.abc import Sequence


class NotTextError(ValueError):
    """A value that must be a text was written as a number; quotes are missing around it."""


def shown(value: object) -> str:
    """A value as an error may show it: on one line, printable, and cut after 60 characters."""
    text = value if isinstance(value, str) else _notation(value)
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    text = text if len(text) <= 60 else f"{text[:60]}..."
    return f'"{text}"' if isinstance(value, str) else text


def _notation(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return str(value)


def one_of(names: Sequence[str]) -> str:
    """The names as a choice between them: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def text_of(value: object, what: str) -> str:
    """The text; raises NotTextError for a number that quotes would mend, ValueError for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise NotTextError(f"{shown(value)} is a number, not {what}")
    raise ValueError(f"{shown(value)} is not {what}")


def words_of(value: object, what: str) -> str:
    """As `text_of`, for what would be wrong in quotes too if it was a number."""
    if isinstance(value, str):
        return value
    raise ValueError(f"{shown(value)} is not {what}")
