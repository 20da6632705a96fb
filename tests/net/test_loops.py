"""Event loops: what an interrupt leaves."""

import gc
import inspect

import pytest

from nlbgen.net import loops


async def answer() -> int:
    return 42


def test_run_returns_the_result() -> None:
    assert loops.run(answer()) == 42


def test_run_interrupted_before_the_first_step_closes_the_coroutine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would print a warning that it was never awaited, after the message of the interrupt."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loops, "loop_factory", interrupt)
    never = answer()
    with pytest.raises(KeyboardInterrupt):
        loops.run(never)
    assert inspect.getcoroutinestate(never) == inspect.CORO_CLOSED


def test_full_collections_are_off_only_within_the_context() -> None:
    before = gc.get_threshold()
    with loops.without_full_collections():
        assert gc.isenabled()
        assert gc.get_threshold()[2] == loops.NEVER
    assert gc.get_threshold() == before
