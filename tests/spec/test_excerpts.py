"""The lines of a spec that problems show: the place, and never what may be a secret."""

from typing import Final

import pytest
import yaml

from nlbgen.core.errors import Problem, SpecError
from nlbgen.spec import document
from nlbgen.spec.load import loads

SECRET: Final = "hunter2"


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        loads(text)
    return caught.value.problems


def drawn(text: str, message: str) -> tuple[str, str] | None:
    """The line of the one problem whose message has these words."""
    (found,) = (problem for problem in problems(text) if message in problem.message)
    return None if found.excerpt is None else found.excerpt.drawn()


SHOWN: Final = {
    "a value": (
        "frontend:   # the clients' side\n  tls: {mode: briged}   # see the manual\n",
        "did you mean bridge",
        (" 2 |   tls: {mode: briged}", "   |               ^^^^^^"),
    ),
    "an unknown key": (
        "nodes:\n- {name: a, wieght: 50, address: 10.0.0.1}\n",
        "did you mean weight",
        (" 2 | - {name: a, wieght: ...", "   |             ^^^^^^"),
    ),
    "a text in quotes": (
        "frontend:\n\n  # the name\n  host: 'a, b c'\n",
        "is not a host name",
        (" 4 |   host: 'a, b c'", "   |         ^^^^^^^^"),
    ),
    "a quote that is open to the end": (
        'version: 1\nfarm: "abc\nnodes: []\n',
        'no closing " on its line',
        (' 2 | farm: "abc', "   |       ^^^^"),
    ),
    "a quote that is open to the next quote": (
        "nodes:\n  - {name: 'a, address: 10.0.0.1}\n  - {name: 'b', address: 10.0.0.2}\n",
        "no closing ' on its line",
        (" 2 |   - {name: 'a, address: 10.0.0.1}", "   |            ^^"),
    ),
    "a reference with a mistake behind it": (
        "stores:\n  redis: {password: {env: PW}, host: a b}\n",
        "host name",
        (" 2 |   redis: {password: {env: PW}, host: a b}", "   |                                      ^^^"),
    ),
    "the file of a key": (
        "frontend:\n  tls:\n    key: /etc/ssl/key.pem\n    mode: x\n",
        "is not terminate",
        (" 4 |     mode: x", "   |           ^"),
    ),
    "a file that ends too early": (
        "version: 1\nnodes: [\n\n",
        "invalid YAML",
        (" 4 |", "   | ^"),
    ),
}


@pytest.mark.parametrize("case", SHOWN)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, document._Loader], ids=["python", "libyaml"])
def test_excerpt_shows_the_line_and_marks_the_place(case: str, loader: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_Loader", loader)
    text, message, expected = SHOWN[case]
    assert drawn(text, message) == expected


def test_open_quote_names_the_line_to_which_the_text_continues() -> None:
    (found,) = problems('farm: "abc\nfrontend:\n  host: "x"\n')
    assert (found.location.line, found.location.column) == (1, 7)
    assert found.hint == 'write the closing ": without it, the text continues to line 3'


HIDDEN: Final = {
    "in a mapping": "stores: {redis: {password: hunter2, host: a b, prt: 1}}",
    "below a key": "stores:\n  redis:\n    password: hunter2\n    prt: 4\n",
    "below a misspelt key": "stores:\n  redis:\n    pasword: hunter2\n    host: a b\n",
    "before a mistake in the line": "stores: {redis: {pasword: hunter2, host: a b}}",
    "in a list": "stores: {redis: {password: [hunter2, {hosts: 1}]}}",
    "in lines of their own": "stores:\n  redis:\n    pasword:\n      hunter2: 012\n    host: a b\n",
    "in a block": "stores:\n  redis:\n    password: |\n      hunter2: 1\n      host: hunter2\n  prt: 1\n",
    "in a text of several lines": 'stores:\n  redis:\n    pasword: "a\n\n      host: hunter2"\n    port: a\n',
    "in a quote that stays open": 'stores:\n  redis:\n    password: "hunter2\n    port: 1\n',
    "in a connection string": "stores:\n  database: {server: 'tcp:a;Password=hunter2', name: '', prt: 1}\n",
    "in a comment": "nodes: [a, {nam: 1}] # the password is hunter2\n",
    "in the environment's name": "stores: {redis: {password: {env: hunter2 }, prt: 1, host: a b}}",
    "in a file that is no spec": "TOKEN=hunter2",
    "in an INI file": "[a]\npassword: hunter2",
    "in a PEM file": "-----BEGIN hunter2-----\nhunter2\n-----END-----\n",
    "in a list without a key": "- hunter2\n- hunter2\n",
    "below a key of another file": "env:\n  - hunter2: [\n",
    "in a line that is very long": f"farm: [{'a, ' * 1000} hunter2]\nnodez: hunter2\n",
}


@pytest.mark.parametrize("case", HIDDEN)
def test_excerpt_never_shows_what_may_be_a_secret(case: str) -> None:
    shown = [problem.excerpt for problem in problems(HIDDEN[case]) if problem.excerpt is not None]
    assert SECRET not in "".join(excerpt.text for excerpt in shown)


def test_problems_of_other_files_have_no_excerpt() -> None:
    spec = document.parse("farm.yaml", "version: 1\n")
    other = document.parse("other.yaml", "a: 1\n")
    foreign = Problem(other.location(()), "", "is wrong")
    assert spec.with_excerpts([foreign]) == (foreign,)


def test_end_of_a_document_is_behind_its_last_text() -> None:
    assert document.parse("f", "version: 1\nfarm: a   \n\n\n").end == ("f", 2, 8)
