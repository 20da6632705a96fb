"""Polling with a timeout."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Poll `condition` until it is true, up to `seconds`; return whether it became true.

    >>> wait_until(lambda: True)
    True
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
