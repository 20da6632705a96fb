"""A spread drain: the long-lived sessions of a drained node are closed in portions, and reconnect gradually.

Only sessions that were open at the begin are closed, each once. A client with an affinity cookie may return to the
drained node; it is not closed again.
"""

import math
from typing import Final

from .contract import Balancer
from .pace import Pace


class Spread:
    """The sessions of one node at one balancer, closed evenly over a time."""

    def __init__(self, balancer: Balancer, node: str, seconds: float, pace: Pace) -> None:
        self._balancer: Final = balancer
        self._node: Final = node
        self._pace: Final = pace
        self._begun: Final = pace.now()
        self._seconds: Final = seconds
        self._first: Final = frozenset(balancer.closable(node))

    def step(self) -> None:
        """Close as many sessions as the time that has passed requires."""
        left = [one for one in self._balancer.closable(self._node) if one in self._first]
        passed = (self._pace.now() - self._begun + self._pace.every) / self._seconds if self._seconds else 1.0
        stay = math.floor(len(self._first) * max(0.0, 1 - passed))
        if len(left) > stay:
            self._balancer.close(sorted(left)[: len(left) - stay])
