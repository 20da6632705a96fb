"""The event log of a simulated node: requests, executed POSTs, open streams. Its size is bounded."""

import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_REQUESTS = 20_000
MAX_HEADERS = 1_000
MAX_POSTS = 1_000_000

RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Seen:
    """One request as received; `status` is 0 until the node answers."""

    time: float
    method: str
    target: str
    headers: RawHeaders
    peer: str
    status: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the data for JSON, headers in the order of arrival, duplicates kept."""
        return {
            "time": self.time,
            "method": self.method,
            "target": self.target,
            "status": self.status,
            "peer": self.peer,
            "headers": decoded(self.headers),
        }


def decoded(headers: RawHeaders) -> list[list[str]]:
    """Return raw headers as text pairs; latin-1 because HTTP headers are bytes."""
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


@dataclass
class EventLog:
    """The event log of one node."""

    post_log: Path | None = None
    requests: deque[Seen] = field(default_factory=lambda: deque(maxlen=MAX_REQUESTS))
    with_upgrade: deque[Seen] = field(default_factory=lambda: deque(maxlen=MAX_HEADERS))
    posts: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    total: int = 0
    upgrades: Counter[str] = field(default_factory=Counter)
    _file: int | None = None

    def arrived(self, method: str, target: str, headers: RawHeaders, peer: str) -> Seen:
        """Record a request at its arrival."""
        seen = Seen(time.time(), method, target, headers, peer)
        self.total += 1
        self.requests.append(seen)
        for name, value in headers:
            if len(name) == 7 and name.lower() == b"upgrade":
                self.upgrades[value.decode("latin-1").lower()] += 1
                self.with_upgrade.append(seen)
        return seen

    def executed(self, post_id: str) -> None:
        """Record the execution of a POST, also on disk, where it survives a kill."""
        if len(self.posts) < MAX_POSTS:
            self.posts[post_id] += 1
        if self.post_log is None:
            return
        if self._file is None:
            self._file = os.open(self.post_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._file, post_id.encode("utf-8", "replace").replace(b"\n", b"?") + b"\n")

    def clear(self) -> None:
        """Remove the requests and POSTs; the counts of open streams stay."""
        self.requests.clear()
        self.with_upgrade.clear()
        self.posts.clear()
        self.upgrades.clear()
        self.total = 0

    def summary(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "total": self.total,
            "posts": sum(self.posts.values()),
            "duplicates": sum(1 for count in self.posts.values() if count > 1),
            "open": {kind: count for kind, count in self.open.items() if count},
            "upgrades": dict(self.upgrades),
        }

    def close(self) -> None:
        """Close the POST log."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_post_log(path: Path) -> list[str]:
    """Return the ids of the POSTs a node executed, in order; empty when it never executed one."""
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").splitlines()
