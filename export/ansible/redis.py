"""The hosts of Redis under Sentinel in the inventory."""

from collections.abc import Iterator
from typing import Final

from ...generators.redis_hosts import redis_secret_lines, sentinel_secret_lines, user_lines
from ...spec.model import Redis, RedisHost, Sentinel
from .model import Rollout

LOOKUP: Final = "{{ nlbgen_secret_redis }}"
EVALUATED: Final = frozenset(
    {
        "ansible_host",
        "redis_source",
        "redis_password",
        "redis_secret_lines",
        "redis_user_lines",
        "redis_sentinel_lines",
    }
)
"""The variables without free text of the spec, in which Ansible evaluates expressions."""
Values = dict[str, str | bool | int | list[str]]


def hosts(rollout: Rollout) -> Iterator[tuple[str, Values]]:
    """Yield the name of each host in the inventory, and its variables."""
    sentinel = rollout.sentinel
    for host in sentinel.nodes if sentinel is not None else ():
        yield f"{rollout.spec.farm.farm}.redis.{host.name}", _host(host)


def _host(host: RedisHost) -> Values:
    return {
        "ansible_host": host.address,
        "redis_folder": host.name,
        "redis_has_server": host.redis,
        "redis_address": host.address,
        "redis_port": host.port,
        "redis_sentinel_port": host.sentinel_port,
    }


def variables(redis: Redis, sentinel: Sentinel, source: str, *, health_user: bool) -> Values:
    """Return the variables that all hosts share; `source` is the folder of the rendered files.

    `health_user`: whether Redis has the user of health checks.
    """
    return {
        "redis_source": source,
        "redis_master_name": sentinel.name,
        "redis_password": LOOKUP,
        "redis_secret_lines": _with_password(redis_secret_lines(redis)),
        "redis_user_lines": _with_password(user_lines(redis, sentinel, health_user=health_user)),
        "redis_sentinel_lines": _with_password(sentinel_secret_lines(redis, sentinel)),
        "redis_cli": ["redis-cli", *(["--tls", "--cacert", sentinel.ca] if redis.tls else [])],
        "redis_login": ["--user", redis.user] if redis.user else [],
    }


def _with_password(lines: list[str]) -> list[str]:
    return [line.replace("%s", LOOKUP) for line in lines]
