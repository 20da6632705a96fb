"""A configuration as it is accounted for: the farm's objects by property, its iRules by line, other objects by name."""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from ...core.errors import Location
from ...readers.tree import Configuration, Statement, Word

_RULE = ("ltm", "rule")
_WORD = re.compile(r"\S+")
_NO_COMMAND = re.compile(r"\s*(?:#.*|[{}\s]*(?:else)?[{}\s]*)")
"""A comment, or a line of braces only."""
_NEXT = re.compile(
    r'"(?:[^"\\]|\\.)*"|[;{}]\s*(?P<command>'
    r"(?:(?:pool|persist|reject|drop|discard|log|set|unset|call|return|if|elseif|else|switch|foreach|node|snat|virtual|"
    r"event|table|after|catch|eval)\b|(?:HTTP|TCP|SSL|LB|IP|ASM|ACCESS|COMPRESS|STREAM|CACHE|HSL)::))"
)
"""A text in quotes, or a command after another one."""


def outline(configuration: Configuration, of_farm: Collection[Location]) -> Configuration:
    """The configuration in which all objects but those at the given locations have no block."""
    statements = (
        _detailed(one) if one.location in of_farm else Statement(one.words) for one in configuration.statements
    )
    return Configuration(configuration.vendor, tuple(statements), configuration.comments, configuration.unread)


def _detailed(one: Statement) -> Statement:
    if tuple(word.text for word in one.words[:2]) != _RULE or not one.inside:
        return one
    return Statement(one.words, tuple(_lines(one.inside[0].words[0])))


def _lines(program: Word) -> Iterator[Statement]:
    """The lines of an iRule that have a command, each as a statement."""
    file, first, column = program.location
    for number, line in enumerate(program.text.split("\n")):
        if _NO_COMMAND.fullmatch(line):
            continue
        left = 0 if number else column - 1
        for start, end in _commands(line):
            words = _WORD.finditer(line, start, end)
            yield Statement(
                tuple(Word(one[0], Location(file, first + number, left + one.start() + 1)) for one in words)
            )


def _commands(line: str) -> Iterator[tuple[int, int]]:
    """Where the commands of a line begin and end. Texts in quotes, and pages in braces, are parts of a command."""
    found = _NEXT.finditer(line) if "content {" not in line else ()
    starts = [one.start("command") for one in found if one["command"]]
    for start, end in pairwise((0, *starts, len(line))):
        if not _NO_COMMAND.fullmatch(line, start, end):
            yield start, end


def text_of(line: Statement) -> str:
    """The text of a line of an iRule, with one space between its words."""
    return " ".join(word.text for word in line.words)
