"""The requests of the lab's clients: each must reach the nodes through the listener that the lab uses."""

from collections.abc import Iterable
from typing import Final, NamedTuple


class Request(NamedTuple):
    """One request of the lab's clients, as far as a configuration can select by it."""

    path: str
    method: str = "GET"
    upgrades: bool = False
    """Whether it asks for a WebSocket."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


FIRST: Final = Request("/odata/Jobs")
"""The request of every load: the nodes of its pool are those that the scenarios make fail."""
POST: Final = Request("/api/jobs", "POST")
"""The POSTs of the loads, unless they reach other nodes than FIRST."""
POST_LIKE_FIRST: Final = Request(FIRST.path, "POST")
OTHERS: Final = (
    POST,
    POST_LIKE_FIRST,
    Request("/signalr/negotiate"),
    Request("/signalr/connect", upgrades=True),
    Request("/ws", upgrades=True),
)
"""The POSTs, SignalR, and the WebSockets of the reload scenarios."""


class Elsewhere(NamedTuple):
    """A request that other nodes get than FIRST, or none."""

    request: Request
    other: str
    """What sends it to other nodes; empty if no node gets it."""
    end: str
    """What answers it instead of a node; empty if a node gets it."""


class Requests(NamedTuple):
    """The path of the lab's POSTs, and what a user must know about requests that do not reach the nodes of FIRST."""

    post_path: str
    notes: tuple[str, ...]


def requests_of(elsewhere: Iterable[Elsewhere]) -> Requests:
    """Choose the path of the POSTs, and describe the other requests."""
    found = {one.request: one for one in elsewhere}
    moved = POST in found and POST_LIKE_FIRST not in found
    left_out = {POST_LIKE_FIRST} if moved or POST not in found else set()
    notes = [_note(one, moved=moved and one.request is POST) for one in found.values() if one.request not in left_out]
    return Requests(FIRST.path if moved else POST.path, tuple(notes))


def _note(one: Elsewhere, *, moved: bool) -> str:
    what = f"{one.other} sends it to other nodes than {FIRST}" if one.other else f"no node gets it ({one.end})"
    then = f"the POSTs of the lab request {FIRST.path}" if moved else "the results of scenarios with it are about this"
    return f"{one.request}: {what}; {then}"
