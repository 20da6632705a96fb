"""Event loops: uvloop where it is installed, else asyncio's own; in this thread or in a thread of their own."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import Self, TypeVar

_T = TypeVar("_T")

FILES_WANTED = 16384
SETTLE_ROUNDS = 5
CALL_SECONDS = 60.0
YOUNG, NEVER = 2000, 1_000_000_000
"""Thresholds of the collector: new objects until it searches them, and searches until a full one."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop factory, or None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[object, None, _T]) -> _T:
    """Run `main` on a new loop and return its result."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_settled(main))
    finally:
        # Interrupted before its first step, it would warn at the end that it was never awaited.
        main.close()


async def _settled(main: Coroutine[object, None, _T]) -> _T:
    try:
        return await main
    finally:
        await settle()


async def settle() -> None:
    """Let aborted connections finish their callbacks; a loop that closes earlier warns of unclosed transports."""
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)


@contextmanager
def without_full_collections() -> Iterator[None]:
    """Search only young objects for reference cycles during the context.

    A full collection stops the loop: 0.1 s of processor time for each 140,000 objects, which 1,000 WebSockets have with
    their clients. On a busy machine, that is longer than a health check may take. WebSockets leave no cycles.
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, before[1], NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def raise_file_limit(wanted: int = FILES_WANTED) -> int:
    """Raise the soft limit of open files up to `wanted` (POSIX only) and return the limit in force.

    A node that hangs keeps rate x timeout connections open at a time (200/s x 5 s = 1000). With the other open files
    that exceeds the usual soft limit of 1024.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if target > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return max(target, soft)


class LoopThread:
    """An event loop in a thread, for blocking code that keeps connections open between its steps.

    `with LoopThread() as loop: loop.call(coroutine)`. At the end all tasks are cancelled and awaited.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nlbgen-prove", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(CALL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CALL_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:  # closing it cancels the remaining tasks
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await settle()

    def call(self, coroutine: Coroutine[object, None, _T], seconds: float = CALL_SECONDS) -> _T:
        """Run a coroutine on the loop and return its result; TimeoutError after `seconds`."""
        assert self._loop is not None, "the thread does not run"  # noqa: S101 - a bug in the caller
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            future.cancel()
            raise
