"""Time: waiting until something is true, with a clock that tests replace."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Pace(NamedTuple):
    """The clock of an operation, and how long it sleeps between two looks."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    every: float = 1.0
    """Seconds between two looks at a balancer."""

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Look until `done` is true, at most for `seconds`; it is called at least once. Return its last answer."""
        ends = self.now() + seconds
        while not done():
            left = ends - self.now()
            if left <= 0:
                return False
            self.sleep(min(self.every, left))
        return True
