"""The HTTP responses of a simulated node: health, echo, POSTs, uploads, redirects."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ...spec.orchestrator import CORE_SINCE, HEALTH_PATHS, IDENTITY_HEALTH_PATH
from .event_log import EventLog, decoded
from .options import NodeOptions

MAX_DELAY = 600.0
COOKIE_CHUNK, MOST_CHUNKS, MOST_BYTES = ".AspNetCore.CookiesC", 20, 4000
"""ASP.NET Core splits a large sign-in cookie: `?cookie_chunks=5&bytes=3500` adds such parts to an answer."""

# /api/Status/Get still answers on 2024.10; /api/health on 2020.4 is a 404.
CLASSIC_HEALTH = frozenset(path.lower() for since, path in HEALTH_PATHS if since <= CORE_SINCE)
CORE_HEALTH = frozenset(path.lower() for _, path in HEALTH_PATHS) | {"/api/health/startup", IDENTITY_HEALTH_PATH}
IDENTITY = "/identity/"

# The response of http.sys while the application pool is stopped.
STOPPED_BODY = (
    b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n'
    b"<HTML><HEAD><TITLE>Service Unavailable</TITLE>\r\n"
    b'<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>\r\n'
    b"<BODY><h2>Service Unavailable</h2>\r\n"
    b"<hr><p>HTTP Error 503. The service is unavailable.</p>\r\n"
    b"</BODY></HTML>\r\n"
)


@dataclass
class NodeState:
    """The switches of the control port."""

    pool_stopped: bool = False
    """Answer every request with 503 at once, as http.sys does for a stopped app pool; end open streams."""
    drain: bool = False
    """Answer health checks with 503, serve everything else."""
    degraded: bool = False
    """Answer health checks with 200 and the body `Degraded`: a load balancer must not mark the node down."""
    delay: float = 0.0
    """Seconds added to each request except health checks."""
    health_delay: float = 0.0
    """Seconds added to each health check."""
    identity_stopped: bool = False
    """Answer requests below /identity with 503, as http.sys does if only Identity's app pool is stopped."""
    identity_refuses: bool = False
    """Close the connections of requests below /identity without a response."""
    identity_hangs: bool = False
    """Never answer requests below /identity."""

    def change(self, values: Mapping[str, Any]) -> None:
        """Set the named switches; KeyError for an unknown name, ValueError for an invalid value."""
        for name, value in values.items():
            if name not in self.__dataclass_fields__:
                raise KeyError(name)
            if isinstance(getattr(self, name), bool) != isinstance(value, bool):
                raise ValueError(f"{name}: {value!r}")
            setattr(self, name, value if isinstance(value, bool) else bounded_delay(value))

    def reset(self) -> None:
        """Switch everything off."""
        vars(self).update(vars(NodeState()))


def bounded_delay(value: float | str) -> float:
    """Return seconds as a float between 0 and MAX_DELAY."""
    return min(max(float(value), 0.0), MAX_DELAY)


def json_answer(value: object, status: int = 200) -> web.Response:
    """Return a JSON response."""
    return web.Response(body=json.dumps(value).encode(), status=status, content_type="application/json")


def stopped_pool_answer() -> web.Response:
    """Return the response of http.sys for a stopped application pool, which closes the connection."""
    response = web.Response(body=STOPPED_BODY, status=503, headers={"Content-Type": "text/html; charset=us-ascii"})
    response.force_close()
    return response


class Pages:
    """Health and general requests of one node."""

    def __init__(self, options: NodeOptions, state: NodeState, event_log: EventLog) -> None:
        self._options = options
        self._state = state
        self._event_log = event_log
        self._health = CORE_HEALTH if options.core else CLASSIC_HEALTH
        self._own_health = {path.partition("?")[0].lower() for path in options.health_paths}

    def is_health(self, path: str) -> bool:
        """Return whether the lower-cased path is a health endpoint of this kind of node."""
        return path in self._health or path in self._own_health

    async def health(self, path: str) -> web.Response:
        """Answer a health check of this lower-cased path."""
        if self._state.health_delay:
            await asyncio.sleep(self._state.health_delay)
        if self._state.drain:
            return web.Response(status=503, text="Unhealthy")
        if path in self._own_health and self._options.health_status != 200:
            return web.Response(status=self._options.health_status)
        return web.Response(text="Degraded" if self._state.degraded else "Healthy")

    async def identity_failure(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """Answer a request for Identity as a failed Identity does; None if it works, or for other services."""
        state = self._state
        if not path.startswith(IDENTITY):
            return None
        if state.identity_hangs:
            await asyncio.sleep(MAX_DELAY)
        if state.identity_refuses and request.transport is not None:
            request.transport.abort()
        return stopped_pool_answer() if state.identity_stopped or state.identity_refuses else None

    async def general(self, request: web.BaseRequest, path: str, sni: str | None) -> web.Response:
        """Answer any other request: read the body, execute a POST, return what the node received."""
        if path in CORE_HEALTH:
            return web.Response(status=404, text="Not Found")
        query = request.rel_url.query
        size = await _drain_body(request) if request.body_exists else 0
        post_id = query.get("id") or request.headers.get("X-Prove-Id")
        if request.method == "POST" and post_id:
            self._event_log.executed(post_id)
        if "delay" in query:
            await asyncio.sleep(bounded_delay(float(query["delay"]) / 1000))
        if path == "/redirect":
            return web.Response(status=302, headers={"Location": query.get("to", "/")})
        if request.method == "POST" and post_id:
            return json_answer({"node": self._options.name, "id": post_id, "bytes": size})
        return self._mirror(request, sni, size)

    def _mirror(self, request: web.BaseRequest, sni: str | None, size: int) -> web.Response:
        query = request.rel_url.query
        response = json_answer(
            {
                "node": self._options.name,
                "method": request.method,
                "path": request.raw_path,
                "scheme": request.scheme,
                "sni": sni,
                "peer": request.remote,
                "version": f"{request.version.major}.{request.version.minor}",
                "bytes": size,
                "headers": decoded(request.raw_headers),
            },
            status=_status(query.get("status")),
        )
        if "cookie" in query:
            response.headers.add("Set-Cookie", f"{query['cookie']}=1; path=/; HttpOnly")
        value = "x" * min(int(query.get("bytes", 0)), MOST_BYTES)
        for number in range(min(int(query.get("cookie_chunks", 0)), MOST_CHUNKS)):
            response.headers.add("Set-Cookie", f"{COOKIE_CHUNK}{number}={value}; path=/; HttpOnly")
        return response


def _status(text: str | None) -> int:
    return int(text) if text and text.isdigit() and 200 <= int(text) <= 599 else 200


async def _drain_body(request: web.BaseRequest) -> int:
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
    return size
