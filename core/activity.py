"""What nlbgen does outside of itself: each file read or written, each program run, each device asked.

Only the command line prints. So whoever does such a thing says it here, and `--verbose` listens.
"""

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None] | None) -> None:
    """Have `listener` called with each thing done from here on, instead of the one before; None for nobody."""
    _listeners[:] = [] if listener is None else [listener]


def note(text: str) -> None:
    """Say what was done, as in `read farm.yaml`: names and paths, never a secret."""
    for listener in _listeners:
        listener(text)
