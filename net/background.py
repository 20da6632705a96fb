"""An event loop in a thread, so that plain blocking code can hold WebSockets open while it does something else."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Self, TypeVar

from .loops import loop_factory, settle

_T = TypeVar("_T")

CALL_SECONDS = 60.0


class LoopThread:
    """`with LoopThread() as loop: loop.call(coroutine)`; at the end every task is cancelled and waited for."""

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
        with asyncio.Runner(loop_factory=loop_factory()) as runner:  # cancels what is left when it closes
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await settle()

    def call(self, coroutine: Coroutine[Any, Any, _T], seconds: float = CALL_SECONDS) -> _T:
        """Run a coroutine on the loop and return its result; TimeoutError after `seconds`."""
        assert self._loop is not None, "the thread does not run"  # noqa: S101 - a fault of the caller
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            future.cancel()
            raise
