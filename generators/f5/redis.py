"""The front of a Redis under Sentinel on a BIG-IP: a pool whose monitor asks each server for its role.

The monitor logs in as a user without a password that may only ask for the role, because a BIG-IP keeps the text of a
monitor in its configuration. It cannot use TLS: a tcp monitor has none.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from .. import redis
from ..redis import RedisFront, RedisServer
from .view import View
from .vocabulary import Object

INTERVAL: Final = redis.CHECK.seconds
TIMEOUT: Final = redis.FALL * INTERVAL + 1
"""A server is marked down if it does not answer for this time, in seconds."""


def redis_nodes(view: View) -> Iterator[Object]:
    """The nodes of the servers of Redis that are no nodes of the farm: a device has one node for each address."""
    for server in view.redis.servers if view.redis is not None else ():
        if _shared(view, server) is None:
            properties = {"description": view.mark, "address": server.address}
            yield Object("ltm node", _node_path(view, server), properties)


def redis_objects(view: View, front: RedisFront) -> Iterator[Object]:
    """The monitor, the pool and the TCP profile of the front."""
    yield view.object(
        "ltm monitor tcp",
        "health_redis",
        defaults_from="/Common/tcp",
        interval=INTERVAL,
        recv=redis.ROLE_ANSWER,
        send=redis.ROLE_QUESTION,
        time_until_up=0,
        timeout=TIMEOUT,
    )
    yield view.object(
        "ltm pool",
        "redis",
        load_balancing_mode="round-robin",
        members={
            _member_name(view, server): {
                "address": server.address,
                "priority-group": 0,
                "ratio": 1,
                "session": "user-enabled",
                "state": "user-up",
            }
            for server in front.servers
        },
        min_active_members=0,
        monitor=view.path("health_redis"),
        # A client of Redis does not notice a master that hangs: its connection must be closed.
        service_down_action="reset",
        slow_ramp_time=0,
    )
    yield view.object("ltm profile tcp", "redis_tcp", defaults_from="/Common/tcp", idle_timeout=str(redis.IDLE.seconds))


def _shared(view: View, server: RedisServer) -> str | None:
    """The path of the farm's node with this address; None without one."""
    for member in view.design.members:
        if not member.is_name and ipaddress.ip_address(member.host.strip("[]")).compressed == server.address:
            return view.node_path(member)
    return None


def _node_path(view: View, server: RedisServer) -> str:
    shared = _shared(view, server)
    if shared is not None:
        return shared
    name = server.address if view.names.nodes_by_address else f"{view.farm.farm}_redis_{server.name}"
    return f"{view.names.node_folder}/{name}"


def _member_name(view: View, server: RedisServer) -> str:
    path = _node_path(view, server)
    # After an address with colons the port follows a dot.
    return f"{path}{'.' if ':' in path else ':'}{server.port}"
