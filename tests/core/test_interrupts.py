"""Interrupts: SIGTERM and SIGHUP like Ctrl-C; deferred and ignored signals; other threads."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from nlbgen.core import interrupts

ALL = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def unhandled() -> Iterator[list[int]]:
    """Record the signals that no code under test handles, and restore the handlers."""
    found: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: found.append(number)) for number in ALL}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in ALL}


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("sigint", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_as_ctrl_c_raises_keyboard_interrupt(
    number: signal.Signals, sigint: Callable[..., object] | signal.Handlers, unhandled: list[int]
) -> None:
    signal.signal(signal.SIGINT, sigint)
    before = handlers()
    if number == signal.SIGINT and sigint is signal.SIG_IGN:
        with interrupts.as_ctrl_c():
            signal.raise_signal(number)
    else:
        with pytest.raises(KeyboardInterrupt), interrupts.as_ctrl_c():
            signal.raise_signal(number)
    assert handlers() == before
    assert unhandled == []


@pytest.mark.parametrize("context", [interrupts.as_ctrl_c, interrupts.deferred, interrupts.ignored])
def test_ignored_signal_stays_ignored(context: Callable[[], AbstractContextManager[object]]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with context():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@pytest.mark.parametrize("number", ALL)
def test_deferred_signal_is_raised_at_the_next_check(number: signal.Signals, unhandled: list[int]) -> None:
    before, done = handlers(), []
    with pytest.raises(KeyboardInterrupt), interrupts.deferred() as check:
        check()
        signal.raise_signal(number)
        done.append("the step")
        check()
        done.append("the next step")
    assert done == ["the step"]
    assert handlers() == before
    assert unhandled == []


def test_deferred_signal_after_the_last_check_has_no_effect(unhandled: list[int]) -> None:
    with interrupts.deferred():
        signal.raise_signal(signal.SIGTERM)
    assert unhandled == []


@pytest.mark.parametrize("number", ALL)
def test_ignored_signal_does_not_interrupt_a_cleanup(number: signal.Signals, unhandled: list[int]) -> None:
    before = handlers()
    with interrupts.ignored():
        signal.raise_signal(number)
    assert handlers() == before
    assert unhandled == []


def test_signals_stay_ignored_after_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        try:
            raise KeyboardInterrupt
        finally:
            with interrupts.ignored():
                pass
    assert set(handlers().values()) == {signal.SIG_IGN}


def test_other_thread_handles_no_signal() -> None:
    before, found = handlers(), []

    def work() -> None:
        with interrupts.as_ctrl_c(), interrupts.ignored(), interrupts.deferred() as check:
            check()
            found.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
