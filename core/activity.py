"""Activity outside of nlbgen: each file read or written, each program run, each request to a device.

Only the command line prints. Other code calls [`note`][nlbgen.core.activity.note], and `--verbose` prints the notes.
"""

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None] | None) -> None:
    """Call `listener` with each note from now on, in place of the previous listener; None removes it."""
    _listeners[:] = [] if listener is None else [listener]


def note(text: str) -> None:
    """Pass an activity to the listener, as in `file read: farm.yaml`; never with a secret."""
    for listener in _listeners:
        listener(text)
