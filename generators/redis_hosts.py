"""The hosts of Redis under Sentinel: redis.conf and sentinel.conf for each, beside the files of the balancer.

The balancer that renders the front gets these files, as it gets keepalived's. Without a front, each balancer on hosts
gets them. Redis and Sentinel change their own files: a failover writes the new master into both (CONFIG REWRITE), so
the files are for the installation, not for each change.

Sources: the redis.conf and sentinel.conf that Redis 7.0 comes with, the units of Debian's packages, and trials with
7.0.15 (tests/behaviour/test_redis.py). For Redis for Windows: config.c and sentinel.c of Redis 3.0.5, on which 3.0.504
is based, its own Win32_CommandLine.cpp, which refuses directives that it does not know, and trials with 3.0.5.
"""

import shlex
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from ..core.markdown import code
from ..spec.model import Redis, RedisHost, Secret, Sentinel
from ..spec.units import Duration, Version
from .base import Draft, Job
from .redis import HEALTH_USER, VARIABLE

FOLDER: Final = "/etc/redis"
WINDOWS_FOLDER: Final = r"C:\Program Files\Redis"
"""Where the kit installs Redis. A service of Redis for Windows runs in the folder of its program."""
REDIS_FILE: Final = "nlbgen-redis.secret"
USERS: Final = "nlbgen-users.acl"
SENTINEL_FILE: Final = "nlbgen-sentinel.secret"
FAILOVER_TIMEOUT: Final = Duration.of("30s")
"""After a failover that does not succeed, Sentinel tries again after twice this time. Its default is 3 minutes."""
CHANNEL_RULES: Final = Version("6.2")
"""`&*`: a user needs a permission for channels. Redis 7.0 allows none by default, and 6.0 refuses the rule."""
HEALTH_RULES: Final = f"user {HEALTH_USER} on nopass +role"
"""A new user has no permissions for commands, keys and channels but those that are written."""
SERVERS_FOR_MIN_REPLICAS: Final = 3
"""With two servers, a master has no replica after a failover: `min-replicas-to-write 1` would refuse all writes."""


class FileNames(NamedTuple):
    """The names of a host's configuration files, which are also those of their templates, and the manual's template."""

    redis: str
    sentinel: str
    manual: str


LINUX: Final = FileNames("redis.conf", "sentinel.conf", "INSTALL.md")
WINDOWS: Final = FileNames("redis.windows-service.conf", "sentinel.windows-service.conf", "INSTALL.windows.md")
"""The service that the kit installs reads a file of the first name."""


def file_names(sentinel: Sentinel) -> FileNames:
    """Return the names of the files for the hosts' version of Redis."""
    return WINDOWS if sentinel.on_windows else LINUX


def files(job: Job, *, health_user: bool = False) -> list[Draft]:
    """Return the files of the hosts; none without `stores.redis.sentinel`.

    With `health_user`, Redis has a user without a password that may only ask for the role.
    """
    redis = job.farm.stores.backplane
    if redis is None or redis.sentinel is None:
        return []
    folder, sentinel = PurePosixPath("redis"), redis.sentinel
    names = file_names(sentinel)
    drafts: list[Draft] = []
    for host in sentinel.nodes:
        view = _view(job, redis, sentinel, host, health_user=health_user)
        if host.redis:
            drafts.append(Draft(folder / host.name / names.redis, f"redis/{names.redis}.j2", view))
        drafts.append(Draft(folder / host.name / names.sentinel, f"redis/{names.sentinel}.j2", view))
    install = _install(redis, sentinel, health_user=health_user)
    return [*drafts, Draft(folder / "INSTALL.md", f"redis/{names.manual}.j2", install)]


def quoted(text: str) -> str:
    """The text as one word of redis.conf, which Redis reads as sdssplitargs does: in double quotes if necessary.

    >>> print(quoted('a "b"'))
    "a \\"b\\""
    """
    if text and all(char.isalnum() or char in "/._-:" for char in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _view(job: Job, redis: Redis, sentinel: Sentinel, host: RedisHost, *, health_user: bool) -> dict[str, Any]:
    first = sentinel.servers[0]
    folder = job.site.directory
    etc, data = ("", "./") if sentinel.on_windows else (f"{FOLDER}/", "/var/lib/redis")
    etc = f"{folder}/" if folder else etc
    return {
        "host": host.name,
        # Before 6.2, Redis and Sentinel connect to other hosts from the first address, which must not be loopback.
        "bind": " ".join(dict.fromkeys((host.address, "127.0.0.1"))),
        "address": host.address,
        "port": host.port,
        "sentinel_port": host.sentinel_port,
        "tls": {name: quoted(getattr(sentinel, name)) for name in ("certificate", "key", "ca")} if redis.tls else None,
        "directory": quoted(f"{folder}/redis/{host.name}") if folder else data,
        "replica_of": None if host == first else f"{first.address} {first.port}",
        "min_replicas": len(sentinel.servers) >= SERVERS_FOR_MIN_REPLICAS,
        "redis_secret": quoted(f"{etc}{REDIS_FILE}"),
        "sentinel_secret": quoted(f"{etc}{SENTINEL_FILE}"),
        "users": quoted(f"{etc}{USERS}") if redis.user else None,
        # A file of users is the only place for users, if there is one.
        "health_user": HEALTH_RULES if health_user and not redis.user else "",
        "master": sentinel.name,
        "master_endpoint": f"{first.address} {first.port}",
        "quorum": sentinel.quorum,
        "down_after": int(sentinel.down_after),
        "down_after_shown": sentinel.down_after,
        "failover_timeout": int(FAILOVER_TIMEOUT),
    }


def _install(redis: Redis, sentinel: Sentinel, *, health_user: bool) -> dict[str, Any]:
    return {
        "hosts": sentinel.nodes,
        "first": sentinel.servers[0],
        "servers": len(sentinel.servers),
        "quorum": sentinel.quorum,
        "majority": sentinel.majority,
        "master": sentinel.name,
        "tls": redis.tls,
        "certificate": code(sentinel.certificate),
        "key": code(sentinel.key),
        "ca": code(sentinel.ca),
        "port": redis.front_port,
        "front": redis.front,
        "asks_role": HEALTH_USER if health_user else "",
        "password_word": _secret_word(redis.password),
        "redis_lines": _in_shell(sentinel, redis_secret_lines(redis)),
        "user_lines": _in_shell(sentinel, user_lines(redis, sentinel, health_user=health_user)),
        "users": USERS,
        "sentinel_lines": _in_shell(sentinel, sentinel_secret_lines(redis, sentinel)),
        "folder": WINDOWS_FOLDER if sentinel.on_windows else FOLDER,
        "redis_secret": REDIS_FILE,
        "sentinel_secret": SENTINEL_FILE,
        "variable": VARIABLE,
        "cli": f"redis-cli --tls --cacert {shlex.quote(sentinel.ca)}" if redis.tls else "redis-cli",
        "user_option": f" --user {redis.user}" if redis.user else "",
        **(_on_windows(sentinel) if sentinel.on_windows else {}),
    }


def _on_windows(sentinel: Sentinel) -> dict[str, Any]:
    """What only the installation on Windows names: the files, and the ports of the firewall rule."""
    ports = {host.port for host in sentinel.servers} | {host.sentinel_port for host in sentinel.nodes}
    return {"names": file_names(sentinel), "ports": sorted(ports)}


def _in_shell(sentinel: Sentinel, lines: list[str]) -> str:
    """Lines as the shell of the hosts writes them: a format of `printf`, or a text of PowerShell in double quotes."""
    return "`n".join(lines).replace("%s", "$password") if sentinel.on_windows else "\\n".join(lines)


def redis_secret_lines(redis: Redis) -> list[str]:
    """The lines of the password file of Redis, with `%s` for the password."""
    if redis.user is None:
        return ["requirepass %s", "masterauth %s"]
    return [f"masteruser {redis.user}", "masterauth %s"]


def user_lines(redis: Redis, sentinel: Sentinel, *, health_user: bool = False) -> list[str]:
    """The lines of the file of users, with `%s` for the password; none without a user.

    Users need a file of their own: CONFIG REWRITE writes them into redis.conf, and Redis 7.0.15 does not start if an
    included file has them too.
    """
    if redis.user is None:
        return []
    rules = "~* +@all" if sentinel.version < CHANNEL_RULES else "~* &* +@all"
    return ["user default off", f"user {redis.user} on >%s {rules}", *([HEALTH_RULES] if health_user else [])]


def sentinel_secret_lines(redis: Redis, sentinel: Sentinel) -> list[str]:
    """The lines of the password file of Sentinel, with `%s` for the password."""
    if sentinel.on_windows:
        # Its Sentinel would ask for a password, but knows no command to send it.
        return [f"sentinel auth-pass {sentinel.name} %s"]
    user = [f"sentinel auth-user {sentinel.name} {redis.user}"] if redis.user else []
    return [*user, f"sentinel auth-pass {sentinel.name} %s", "requirepass %s"]


def _secret_word(secret: Secret | None) -> str:
    """The secret as a word for a POSIX shell; the shell stops if an environment variable is not set."""
    if secret is not None and secret.env is not None:
        return f'"${{{secret.env}:?is not set}}"'
    return f'"$(cat {shlex.quote(str(secret.file if secret is not None else ""))})"'
