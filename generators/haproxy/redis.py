"""HAProxy's front of a Redis under Sentinel: the view of the template.

The check of a server has two connections. The first one asks this HAProxy's own statistics port whether most Sentinels
announce another server as the master; the second one asks the server for its role. One backend for each server has all
Sentinels as its members, and a member is up while it announces that server. Sentinels that do not answer announce
nothing: they close no connection to a master that works. All directives are accepted from HAProxy 2.2 on (tested with
2.2, 2.6, 3.0, 3.2 and 3.4).
"""

from typing import Any, Final

from .. import redis
from ..base import Job
from ..redis import RedisFront, RedisServer

PLACES: Final = 256
"""Connections of the front. Each process of a node holds a few; `spec.rules.balancer` counts their open files."""
ENVIRONMENT: Final = "/etc/haproxy/nlbgen-redis.env"
"""The file of the balancer with the password of Redis."""
PATH: Final = "/redis/"
"""Below this path, the statistics port answers whether a server may get connections."""


def view(job: Job, front: RedisFront, binds: list[str], ca: str) -> dict[str, Any]:
    """Return the view of the front, which listens on `binds`; `ca` is the quoted path of the servers' CA."""
    return {
        "frontend": f"{front.prefix}_front",
        "backend": front.prefix,
        "binds": binds,
        "places": PLACES,
        "variable": redis.VARIABLE,
        "environment": ENVIRONMENT,
        "idle": redis.IDLE,
        "path": PATH,
        "metrics_port": job.design.balancer.metrics_port,
        "votes": front.votes,
        "count": len(front.sentinels),
        "login": _login(front.user),
        "sentinel_login": _login(None) if front.sentinel_login else "",
        "ask": f'"SENTINEL get-master-addr-by-name {front.master_name}\\r\\n"',
        "check": redis.CHECK,
        "timing": (
            f"inter {redis.CHECK} fastinter {redis.CHECK_FAST} downinter {redis.CHECK_DOWN} rise 1 fall {redis.FALL}"
        ),
        "sentinel_timing": f"inter {redis.VOTE} rise 1 fall 1",
        "tls": f"check-ssl verify required ca-file {ca}" if front.tls else "",
        "servers": [
            {**_line(server), "votes": f"{front.prefix}_votes_{server.name}", "announced": _announced(server)}
            for server in front.servers
        ],
        "sentinels": [_line(sentinel) for sentinel in front.sentinels],
    }


def _line(server: RedisServer) -> dict[str, str]:
    return {"name": server.name, "line": f"server {server.name} {server.endpoint} check"}


def _login(user: str | None) -> str:
    """The command AUTH as an array of RESP: it has the lengths of its words, so that any password passes."""
    words = [_bulk("AUTH"), *([_bulk(user)] if user else [])]
    password = f"env({redis.VARIABLE})"
    return f'"*{len(words) + 1}\\r\\n{"".join(words)}\\${_LENGTH.format(password)}\\r\\n%[{password}]\\r\\n"'


_LENGTH: Final = "%[{},length]"


def _bulk(text: str) -> str:
    """A bulk string of RESP, as HAProxy writes it in double quotes."""
    return f"\\${len(text)}\\r\\n{text}\\r\\n"


def _announced(server: RedisServer) -> str:
    """How a Sentinel announces this server as the master: its address and its port, each with its length."""
    return f'"{_bulk(server.address)}{_bulk(str(server.port))}"'
