"""Run an asyncio program on uvloop where it is installed, and on plain asyncio where it is not."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

FILES_WANTED = 16384
SETTLE_ROUNDS = 5


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop maker, or None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` to its end on a fresh loop and return what it returns."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_settled(main))


async def _settled(main: Coroutine[Any, Any, _T]) -> _T:
    try:
        return await main
    finally:
        await settle()


async def settle() -> None:
    """Let connections that were just dropped see their end; a loop that closes before that warns of leaks."""
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)


def raise_file_limit(wanted: int = FILES_WANTED) -> int:
    """Raise the soft limit of open files towards `wanted` (POSIX) and return the limit in force.

    A frozen node holds rate x time-out connections at once (200/s x 5 s = 1000): more than the usual soft
    limit of 1024 leaves room for.
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
