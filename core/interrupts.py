"""Interrupts: SIGINT (Ctrl-C), SIGTERM, and SIGHUP of a closed terminal, in the same way for every command.

Only the main thread can handle signals: in any other thread, these functions change nothing. A signal that is ignored
stays ignored: `nohup` ignores SIGHUP, and a shell makes its background jobs ignore SIGINT.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_Handler = Callable[[int, FrameType | None], object] | signal.Handlers

_ENDING: Final = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals that end a process like Ctrl-C; Windows has no SIGHUP."""
_ALL: Final = [signal.SIGINT, *_ENDING]


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """In the block, SIGTERM and SIGHUP raise KeyboardInterrupt like Ctrl-C, so that the code cleans up."""

    def end(_number: int, frame: FrameType | None) -> None:
        interrupted = signal.getsignal(signal.SIGINT)
        if not callable(interrupted):
            # SIGINT is ignored in a background job; SIGTERM must end it anyway.
            raise KeyboardInterrupt
        interrupted(signal.SIGINT, frame)

    with _handled(end, _ENDING):
        yield


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore all interrupts in the block, so that a second Ctrl-C does not interrupt the cleanup.

    After a KeyboardInterrupt they stay ignored: the program is about to exit with the status of the signal.
    """
    with _handled(signal.SIG_IGN, _ALL, restore=not isinstance(sys.exception(), KeyboardInterrupt)):
        yield


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Defer all interrupts in the block; the yielded function raises KeyboardInterrupt if one has arrived.

    An interrupt after the last call of that function has no effect: the work of the block is done.
    """
    arrived: list[int] = []

    def check() -> None:
        if arrived:
            raise KeyboardInterrupt

    with _handled(lambda number, _frame: arrived.append(number), _ALL):
        yield check


@contextmanager
def _handled(handler: _Handler, numbers: list[signal.Signals], *, restore: bool = True) -> Iterator[None]:
    """Set the handler of these signals in the block, except for ignored ones."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, old in before.items():
        if old is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        if restore:
            for number, old in before.items():
                signal.signal(number, old)
