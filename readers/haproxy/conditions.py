"""ACLs and the conditions that use them.

Several `acl` lines of one name are one ACL that matches if any of them does. In a condition, names side by side must
all match, `or` and `||` separate alternatives, and `!` negates (configuration manual, section 7.2).
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from ..tree import Statement, Word
from .model import Proxy

_FLAGS_WITH_VALUE: Final = frozenset({"-f", "-m", "-M", "-u"})
_FLAG: Final = re.compile(r"-[fimMnu]\Z|--\Z")
_OR: Final = frozenset({"or", "||", "OR"})


class Comparison(NamedTuple):
    """One comparison: what is fetched (`req.hdr(Upgrade),lower`), the flags, and the values to compare with."""

    fetch: str
    flags: tuple[str, ...]
    files: tuple[str, ...]
    method: str
    values: tuple[str, ...]

    @property
    def ignores_case(self) -> bool:
        """Whether `-i` is set."""
        return "-i" in self.flags


class Term(NamedTuple):
    """One term of a condition: the tests of which one must match; negated with `!`.

    `name` is that of the ACL; empty for an anonymous one. A predefined or unknown name has no tests.
    """

    name: str
    negated: bool
    tests: tuple[Comparison, ...]


class Condition(NamedTuple):
    """Alternatives of terms: all terms of one alternative must match. `unless` negates the whole condition."""

    alternatives: tuple[tuple[Term, ...], ...]
    unless: bool

    @property
    def tests(self) -> Iterator[Comparison]:
        """All tests of all terms."""
        for terms in self.alternatives:
            for term in terms:
                yield from term.tests


@lru_cache(maxsize=256)
def acls(proxy: Proxy) -> dict[str, tuple[Comparison, ...]]:
    """The ACLs of a proxy by name."""
    found: dict[str, list[Comparison]] = {}
    for statement in proxy.all("acl"):
        if len(statement.words) > 2:
            found.setdefault(statement.words[1].text, []).append(read_comparison(statement.words[2:]))
    return {name: tuple(comparisons) for name, comparisons in found.items()}


def read_comparison(words: Sequence[Word]) -> Comparison:
    """A test without its name: the fetch, then flags, then values."""
    flags: list[str] = []
    options: dict[str, list[str]] = {"-f": [], "-m": [], "-M": [], "-u": []}
    at = 1
    while at < len(words) and _FLAG.match(words[at].text) and not words[at].quoted:
        flag = words[at].text
        flags.append(flag)
        at += 1
        if flag == "--":
            break
        if flag in _FLAGS_WITH_VALUE and flag != "-M" and at < len(words):
            options[flag].append(words[at].text)
            at += 1
    values = tuple(word.text for word in words[at:])
    return Comparison(words[0].text, tuple(flags), tuple(options["-f"]), "".join(options["-m"][-1:]), values)


def condition(statement: Statement, known: dict[str, tuple[Comparison, ...]]) -> Condition | None:
    """The condition at the end of a statement; None if it has none."""
    words = statement.words
    begin = next(
        (at for at, word in enumerate(words) if word.text in {"if", "unless"} and at and not word.quoted), None
    )
    if begin is None:
        return None
    alternatives: list[tuple[Term, ...]] = []
    terms: list[Term] = []
    rest = deque(words[begin + 1 :])
    while rest:
        word = rest.popleft()
        if word.text in _OR:
            alternatives.append(tuple(terms))
            terms = []
        else:
            terms.append(_term(word, rest, known))
    return Condition((*alternatives, tuple(terms)), words[begin].text == "unless")


def _term(word: Word, rest: deque[Word], known: dict[str, tuple[Comparison, ...]]) -> Term:
    """One term; an anonymous one takes its words up to the closing brace."""
    text = word.text
    marks = len(text) - len(text.lstrip("!"))
    while marks == len(text) and rest:
        following = rest.popleft().text
        text += following
        marks += len(following) - len(following.lstrip("!"))
    text, negated = text[marks:], marks % 2 == 1
    if text != "{":
        return Term(text, negated, known.get(text, ()))
    inner: list[Word] = []
    while rest and (one := rest.popleft()).text != "}":
        inner.append(one)
    return Term("", negated, (read_comparison(inner),) if inner else ())
