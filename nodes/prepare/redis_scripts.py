"""The PowerShell of Redis: its installation, and the check of each server by its own answers."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ...core import templating
from ...core.artifacts import Artifact
from ...spec.load import Spec
from ...spec.model import Redis
from ...spec.strings import redis as strings
from ...spec.strings.endpoints import Endpoint
from ...spec.strings.redis_clients import V1
from .. import powershell, stores
from ..config.effective import Config
from ..store_strings import redis_clients_of
from ..values import DesiredSetting, SecretPart
from . import texts

PARAMETER: Final = "RedisPassword"
"""The parameter of the scripts for the password."""


class Login(NamedTuple):
    """How a node connects to Redis with the settings that it gets."""

    servers: tuple[Endpoint, ...]
    password: SecretPart | None
    user: str = ""
    tls: bool = False
    tls_name: str = ""
    """The name in the certificates, if it is not the servers' own."""
    service: str = ""
    """The name of the master, if the servers are sentinels; StackExchange.Redis 1.2.6 does not ask them for it."""


def login(spec: Spec, desired: Iterable[DesiredSetting], config: Config) -> Login | None:
    """How the node with this config connects to Redis; None if Redis does not carry SignalR's messages.

    A connection string is the node's own, merged with the spec: it can have options that the spec does not name.
    """
    redis = spec.farm.stores.backplane
    if redis is None:
        return None
    value = next((one.value for one in desired if one.secrecy == "redis" and one.value is not None), None)
    if value is None:
        return Login(redis.servers, stores.redis_password(spec))
    text = "".join(part if isinstance(part, str) else "x" for part in value.parts)
    client = redis_clients_of(spec, config)[0]
    found = strings.read(text, client)
    secrets = (part for part in value.parts if isinstance(part, SecretPart))
    return Login(
        found.servers,
        next((part for part in secrets if part.parameter == PARAMETER), None),
        user=str(found.value("user")),
        tls=found.value("ssl") is True,
        tls_name=str(found.value("sslHost")),
        service="" if client is V1 else str(found.value("serviceName")),
    )


def functions(login: Login) -> list[str]:
    """The lines of PowerShell that check each server by its own answers."""
    view = {
        "servers": [
            {
                "host": powershell.literal(server.host),
                "port": server.port,
                "shown": powershell.literal(str(server)),
                "tls_name": powershell.literal(login.tls_name or server.host),
            }
            for server in login.servers
        ],
        "user": powershell.literal(login.user),
        "tls": login.tls,
        "master_tls_name": _master_tls_name(login),
        "service": powershell.literal(login.service) if login.service else "",
        "password": login.password is not None,
    }
    return templating.render("nodes/redis-functions.ps1.j2", view).decode("utf-8").splitlines()


def _master_tls_name(login: Login) -> str:
    """The PowerShell of the name in the certificate of the master that the sentinels name."""
    if not login.tls:
        return "''"
    return powershell.literal(login.tls_name) if login.tls_name else "$parts[1]"


def server(spec: Spec, login: Login, *, with_secrets: bool) -> Artifact:
    """The script that installs Redis for Windows."""
    redis = _redis(spec)
    machines = redis.install_on or ", ".join(dict.fromkeys(one.host for one in login.servers))
    on_node = f", also whenever the node {redis.install_on} is down" if redis.install_on else ""
    warning = f"One Redis is a single point of failure: while it is down{on_node}, the nodes do not pass messages on."
    view = {
        **_view(spec, login, "Redis", with_secrets=with_secrets),
        "machine": machines,
        "warning": "" if len(login.servers) > 1 else powershell.literal(warning),
        "port": login.servers[0].port,
    }
    return _script("redis.ps1", view, login, with_secrets=with_secrets)


def check(spec: Spec, login: Login, *, with_secrets: bool) -> Artifact:
    """The script that checks from a node that every server of Redis serves the farm."""
    view = _view(spec, login, "Check of Redis", with_secrets=with_secrets)
    return _script("test-redis.ps1", view, login, with_secrets=with_secrets)


def _redis(spec: Spec) -> Redis:
    redis = spec.farm.stores.redis
    if redis is None:
        raise ValueError("a spec without Redis passed the checks")
    return redis


def _view(spec: Spec, login: Login, what: str, *, with_secrets: bool) -> dict[str, object]:
    part = login.password
    return {
        "header": texts.header(spec, what),
        "farm": spec.farm.farm,
        "several": len(login.servers) > 1,
        "password": texts.default(part, with_secrets=with_secrets) if part else "",
        "missing": powershell.literal(texts.missing(part)),
        "functions": functions(login),
    }


def _script(name: str, view: dict[str, object], login: Login, *, with_secrets: bool) -> Artifact:
    return texts.script(name, view, secret=with_secrets and login.password is not None)
