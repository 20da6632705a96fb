"""Wait for something to become true, bounded."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(holds: Callable[[], object], seconds: float = 5.0) -> bool:
    """Ask again and again until `holds()` is true, at most `seconds`; return whether it became true.

    >>> wait_until(lambda: True)
    True
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
