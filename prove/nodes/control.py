"""The control port of a simulated node, which the load balancer does not use: server and client."""

import http.client
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from .event_log import EventLog
from .pages import NodeState, json_answer

Json = Any
"""A response of the control port: JSON of any shape."""


class ControlServer:
    """Answers the control port: /state, /reset, /clear, /push, /summary, /posts, /requests, /upgrades."""

    def __init__(
        self,
        state: NodeState,
        event_log: EventLog,
        changed: Callable[[], None],
        push: Callable[[str], Awaitable[None]],
    ) -> None:
        self._state = state
        self._event_log = event_log
        self._changed = changed
        self._push = push

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one control request."""
        if request.method == "POST":
            return await self._post(request)
        event_log = self._event_log
        limit = int(request.rel_url.query.get("limit", "1000"))
        prefix = request.rel_url.query.get("prefix", "")
        match request.path:
            case "/state":
                return json_answer(asdict(self._state))
            case "/summary":
                return json_answer(event_log.summary())
            case "/posts":
                return json_answer(event_log.posts)
            case "/requests":
                found = [seen.as_dict() for seen in event_log.requests if seen.target.startswith(prefix)]
                return json_answer(found[-limit:])
            case "/upgrades":
                return json_answer([seen.as_dict() for seen in event_log.with_upgrade])
        return json_answer({"error": "unknown"}, 404)

    async def _post(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        match request.path:
            case "/state":
                try:
                    self._state.change(json.loads(body))
                except (KeyError, ValueError, TypeError) as fault:
                    return json_answer({"error": repr(fault)}, 400)
                self._changed()
            case "/reset":
                self._state.reset()
            case "/clear":
                self._event_log.clear()
            case "/push":
                await self._push(body.decode())
            case _:
                return json_answer({"error": "unknown"}, 404)
        return json_answer(asdict(self._state))


class ControlError(RuntimeError):
    """The control port refused a request."""


class ControlClient:
    """The blocking client for tests and scenarios. Each call takes at most `timeout` seconds."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 5.0) -> None:
        self._address = (host, port)
        self._timeout = timeout

    def call(self, method: str, path: str, body: bytes | None = None) -> Json:
        """Send one request and return the decoded JSON."""
        host, port = self._address
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ControlError(f"{method} {path}: {response.status} {answer}")
        return answer

    def set(self, **switches: bool | float) -> None:
        """Set switches of the node: `set(drain=True)`, `set(delay=0.3)` (see NodeState)."""
        self.call("POST", "/state", json.dumps(switches).encode())

    def reset(self) -> None:
        """Switch everything off."""
        self.call("POST", "/reset")

    def clear(self) -> None:
        """Clear the node's requests and POSTs (not the POST log on disk)."""
        self.call("POST", "/clear")

    def push(self, message: str) -> None:
        """Send `message` to every SignalR client (client method `message`), over the backplane if there is one."""
        self.call("POST", "/push", message.encode())

    def summary(self) -> dict[str, Any]:
        """Return the counts: total, posts, duplicates, open (by kind), upgrades (by token)."""
        answer: dict[str, Any] = self.call("GET", "/summary")
        return answer

    def open(self, kind: str) -> int:
        """Return the number of open streams of a kind: websocket, sse, poll."""
        return int(self.summary()["open"].get(kind, 0))

    def requests(self, prefix: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """Return the last requests whose target starts with `prefix`, oldest first."""
        answer: list[dict[str, Any]] = self.call("GET", f"/requests?prefix={prefix}&limit={limit}")
        return answer

    def upgrades(self) -> list[dict[str, Any]]:
        """Return the requests that carried an `Upgrade` header."""
        answer: list[dict[str, Any]] = self.call("GET", "/upgrades")
        return answer
