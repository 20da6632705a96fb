"""The stores' connection strings of one node: the node's own string, merged with what the spec names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..core.errors import Location, NodeError, SpecError
from ..spec import orchestrator as facts
from ..spec.load import Spec
from ..spec.model import Database, Redis, SqlLogin
from ..spec.references import SecretValue
from ..spec.strings import redis as redis_strings
from ..spec.strings import redis_clients, sql_clients, sql_syntax
from ..spec.strings import sql as sql_strings
from ..spec.strings.kinds import Client, Refusal
from ..spec.strings.merging import Piece, Slot
from .config.effective import Config
from .config.webconfig import ConfigError
from .consumers import Quoting
from .values import SecretPart, Value

STRING_ID: Final = "connection-string"
"""The id of a string with which a node's library does not start."""
_LOGIN: Final = frozenset({"User ID", "Password", "Integrated Security"})
_PARAMETERS: Final = {"password": "Password", "sentinelpassword": "SentinelPassword"}


def redis_clients_of(spec: Spec | None, config: Config) -> tuple[Client, ...]:
    """The versions of StackExchange.Redis that can read a node's string."""
    version = None if spec is None else spec.farm.orchestrator.version
    newest = spec is None or facts.uses_newest_redis_client(version)
    return redis_clients.candidates(core=config.kind == "core", newest=newest)


def redis_value(
    spec: Spec, redis: Redis, password: SecretPart | None, config: Config, text: str, location: Location
) -> Value:
    """The Redis string for a node whose file has `text` at `location`; raises NodeError or SpecError.

    `password` is the one that the spec names. Without it, one in the node's string stays.
    """
    clients = redis_clients_of(spec, config)
    options: dict[str, str | None] = {"ssl": str(redis.tls)} if "tls" in redis.written else {}
    if redis.user is not None:
        options["user"] = redis.user
    if redis.sentinel is not None and redis.front:
        # A string that asked the Sentinels would take the front for one of them.
        options["serviceName"] = None
    options |= redis.settings
    secrets = () if password is None else ("password",)
    require_known_addresses(spec, redis, clients)
    pieces = redis_strings.merged(text, clients[0], redis.named, options, secrets)
    _require_starts(pieces, clients, redis_strings.refusal, location)
    return _value(pieces, "Redis", {"password": password}, "redis")


def require_known_addresses(spec: Spec, redis: Redis, clients: Sequence[Client]) -> None:
    """Raise SpecError for an address that the node's library drops without an error."""
    for index, server in enumerate(redis.named):
        if all(redis_strings.read(str(server), client).endpoints != (server,) for client in clients):
            path = ("endpoints", index) if redis.endpoints else ("host",)
            message = f"{clients[0].name} cannot read {server}: it ignores an IPv6 address without an error"
            problem = spec.problem(("stores", "redis", *path), message, "write a host name or an IPv4 address")
            raise SpecError([problem])


def session_value(database: Database, password: SecretPart | None, text: str, location: Location) -> Value:
    """The sessions' string for a node whose file has `text` at `location`; raises NodeError."""
    clients = sql_clients.candidates(core=False)
    try:
        found = [clients[0].find(pair.key) for pair in sql_syntax.pairs(text)]
    except sql_syntax.SyntaxProblemError as error:
        raise _refused(sql_strings.syntax_refusal(error, clients[0]), location) from None
    named = {keyword.name for keyword in found if keyword is not None}
    settings: dict[str, str | None] = {"Server": database.server, "Database": database.name}
    secrets: tuple[str, ...] = ()
    if "auth" in database.written or not named & _LOGIN:
        settings |= _login(database, password)
        secrets = () if password is None else ("password",)
    settings |= database.settings
    pieces = sql_strings.merged(text, clients[0], settings, secrets)
    if not text.strip():
        pieces.append(";")
    _require_starts(pieces, clients, sql_strings.refusal, location)
    return _value(pieces, "Sql", {"password": password}, "sql")


def _login(database: Database, password: SecretPart | None) -> dict[str, str | None]:
    if isinstance(database.auth, SqlLogin):
        if database.auth.user is None or password is None:
            raise ValueError("a login without user or password passed the checks of the spec")
        return {"Trusted_Connection": None, "user id": database.auth.user}
    return {"Trusted_Connection": "true", "user id": None, "password": None}


def _require_starts(
    pieces: Iterable[Piece],
    clients: Sequence[Client],
    check: Callable[[str, Sequence[Client]], Refusal | None],
    location: Location,
) -> None:
    """Raise NodeError if the library refuses the merged string, which holds what the node's file had."""
    text = "".join(piece if isinstance(piece, str) else "x" for piece in pieces)
    refusal = check(text, clients)
    if refusal is not None:
        raise _refused(refusal, location)


def _refused(refusal: Refusal, location: Location) -> NodeError:
    return ConfigError(location, refusal.message, refusal.hint, STRING_ID)


def _value(pieces: Iterable[Piece], store: str, named: Mapping[str, SecretPart | None], quoting: Quoting) -> Value:
    parts = [piece if isinstance(piece, str) else _secret(piece, store, named, quoting) for piece in pieces]
    return Value(tuple(_joined(parts)), "redis" if quoting == "redis" else "pairs")


def _joined(parts: Iterable[str | SecretPart]) -> list[str | SecretPart]:
    """The parts with texts side by side in one."""
    found: list[str | SecretPart] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, str) and isinstance(last, str):
            found[-1] = last + part
        else:
            found.append(part)
    return found


def _secret(slot: Slot, store: str, named: Mapping[str, SecretPart | None], quoting: Quoting) -> SecretPart:
    """The secret of a slot: the spec's, or the one that the node's string has and the spec does not name."""
    part = named.get(slot.keyword)
    if part is None:
        parameter = f"{store}{_PARAMETERS.get(slot.keyword, 'Secret')}"
        return SecretPart(parameter, quoting, SecretValue(slot.value or ""), written=slot.written)
    known = None if part.secret is None else part.secret.reveal()
    return replace(part, written=slot.written) if known is not None and known == slot.value else part
