"""Command lines as people write them: `check farm.yaml`, `check -v`, `help check`.

[`understood`][nlbgen.commands.lenient.understood] rewrites such a command line into the documented form before click
reads it. What it does not know stays as it is, so that click reports it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import click

_Kind = Literal["option", "value", "argument"]
"""A value belongs to the option before it."""

_ENDINGS = (".yaml", ".yml")
_GLOBAL = {"-v", "--verbose", "-q", "--quiet"}


def understood(words: Sequence[str], root: click.Group) -> list[str]:
    """Return the command line in the documented form.

    `help COMMAND` becomes `COMMAND --help`; `--verbose` and `--quiet` move before the command; a spec that is given
    without `-s` gets it.
    """
    if words[:1] == ["help"]:
        return [*words[1:], "--help"]
    start = next((place for place, word in enumerate(words) if not word.startswith("-")), len(words))
    command, place = _command(root, words, start)
    if isinstance(command, click.Group):
        return list(words)
    options = _options(command)
    before, after = list(words[:start]), []
    for word, kind in _sorted(words[place:], options):
        if kind == "option" and word in _GLOBAL and word not in options:
            before.append(word)
        elif kind == "argument" and "-s" in options and word.lower().endswith(_ENDINGS):
            after += ["-s", word]
        else:
            after.append(word)
    return [*before, *words[start:place], *after]


def _command(root: click.Group, words: Sequence[str], place: int) -> tuple[click.Command, int]:
    """Return the command that the words name, and the place of the first word after its name."""
    command: click.Command = root
    while isinstance(command, click.Group) and place < len(words) and words[place] in command.commands:
        command = command.commands[words[place]]
        place += 1
    return command, place


def _options(command: click.Command) -> dict[str, bool]:
    """Return each name of an option, and whether a value follows it."""
    found = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {name: not (one.is_flag or one.count) for one in found for name in (*one.opts, *one.secondary_opts)}


def _sorted(words: Sequence[str], options: Mapping[str, bool]) -> Iterator[tuple[str, _Kind]]:
    """Yield each word and its kind; what follows `--` is no argument to be changed."""
    left = iter(words)
    for word in left:
        if word == "--":
            yield word, "value"
            yield from ((other, "value") for other in left)
        elif word.startswith("-") and word != "-":
            yield word, "option"
            if _takes_next(word, options) and (value := next(left, None)) is not None:
                yield value, "value"
        else:
            yield word, "argument"


def _takes_next(word: str, options: Mapping[str, bool]) -> bool:
    if word.startswith("--"):
        return options.get(word, False)
    # In `-qs FILE`, the first letter with a value takes what follows it in the word, or the next word.
    return next((place == len(word) - 1 for place in range(1, len(word)) if options.get(f"-{word[place]}")), False)
