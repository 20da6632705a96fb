"""A configuration as it is accounted for: the farm's objects by property, its iRules by line, other objects by name."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from ...core.errors import Location
from ...readers.f5.as3 import is_from_declaration
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
    lines = _lines_of_json if is_from_declaration(configuration) else _lines
    statements = (
        _detailed(one, lines) if one.location in of_farm else Statement(one.words) for one in configuration.statements
    )
    return Configuration(configuration.vendor, tuple(statements), configuration.comments, configuration.unread)


def without_defaults(configuration: Configuration) -> Configuration:
    """The configuration without the statements that a declaration of AS3 does not write.

    They have the location of the object around them, or of another statement. What is in their blocks stays.
    """
    seen: set[Location] = set()
    return replace(configuration, statements=tuple(_once(configuration.statements, seen)))


def _once(statements: Iterable[Statement], seen: set[Location]) -> Iterator[Statement]:
    for one in sorted(statements, key=lambda one: one.location):
        if one.location in seen:
            yield from _once(one.inside, seen)
            continue
        seen.add(one.location)
        yield Statement(one.words, None if one.block is None else tuple(_once(one.block, seen)))


def _detailed(one: Statement, lines: Callable[[Word], Iterator[Statement]]) -> Statement:
    if tuple(word.text for word in one.words[:2]) != _RULE or not one.inside:
        return one
    return Statement(one.words, (*lines(one.inside[0].words[0]), *one.inside[1:]))


def _lines_of_json(program: Word) -> Iterator[Statement]:
    """The lines of an iRule in a text of JSON, which is one line: the columns are those of the escaped text."""
    column = program.location.column + 1
    for line in program.text.split("\n"):
        for start, end in _commands(line) if not _NO_COMMAND.fullmatch(line) else ():
            found = _WORD.finditer(line, start, end)
            places = ((one[0], column + _length(line[: one.start()])) for one in found)
            yield Statement(tuple(Word(text, program.location._replace(column=at)) for text, at in places))
        column += _length(f"{line}\n")


def _length(text: str) -> int:
    """The characters of a text in JSON."""
    return len(json.dumps(text, ensure_ascii=False)) - 2


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
