"""`nlbgen explain`: the documentation of an id, an exit code, a key, or a line of a rendered file."""

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..explain.ids import Explanation
    from .tables import Block


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from ..explain.ids import ids

    return [CompletionItem(name) for name in ids() if name.startswith(begun)]


@click.command()
@click.argument("what", metavar="WHAT", shell_complete=_complete)
def command(what: str) -> None:
    """Print the documentation of WHAT.

    WHAT is an id of a message (one-node, nginx-queue, haproxy-tcp-check), an exit code (3), a key of the spec
    (balancer.signalr.idle_timeout), or a line of a file that nlbgen rendered (haproxy.cfg:87).
    """
    from ..explain import ids, lines

    found = lines.explained(what) if lines.is_line(what) else ids.explained(what)
    console.show(found.text, lambda: _view(found))


def _view(found: "Explanation") -> "Iterator[Block]":
    from .tables import Line

    yield Line(found.title, "bold")
    for paragraph in found.paragraphs:
        yield Line("")
        for line in paragraph.split("\n"):
            yield Line(line)
