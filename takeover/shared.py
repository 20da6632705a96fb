"""What the importers of several vendors do in the same way."""

import re
from collections.abc import Iterable, Sequence
from html import unescape
from typing import Final

from ..readers.tree import Statement
from .account import Account
from .values import Values, problem_of

POST_QUANTUM: Final = "MLKEM"
"""A curve with this name needs OpenSSL 3.5."""
_PAGE: Final = re.compile(r"<h1>Maintenance</h1><p>(.*)</p>")
_MOST_NAMES: Final = 100_000


def take_redirect(account: Account, values: Values, statements: Sequence[Statement], mode: str) -> None:
    """Take whether port 80 redirects to https, from the statements that redirect; with TLS this is the default."""
    if bool(statements) == (mode != "none"):
        for statement in statements:
            account.taken(statement, "frontend.redirect_http")
    else:
        values.take("frontend.redirect_http", bool(statements), *statements)


def take_page(values: Values, text: str, statement: Statement) -> bool:
    """Take the message of a closed farm if the text is the page that nlbgen writes for it; whether it is."""
    page = _PAGE.search(text)
    if page is None:
        return False
    values.take("balancer.maintenance.state", "closed", statement)
    values.take("balancer.maintenance.message", unescape(page[1]), statement)
    return True


def node_name(account: Account, statement: Statement, name: str, index: int, used: Iterable[str]) -> str:
    """The name of a node, or a number in its place if no spec can have the name, or a node before has it."""
    problem = problem_of("nodes[0].name", name) or ("the name is used twice" if name.lower() in used else "")
    if not problem:
        return name
    account.given_up(statement, f"name: {problem}")
    return numbered_name(index, used)


def numbered_name(index: int, used: Iterable[str]) -> str:
    """The first name `node-NUMBER` that no node has, for the node at this index."""
    return next(text for at in range(index + 1, index + _MOST_NAMES) if (text := f"node-{at}") not in used)
