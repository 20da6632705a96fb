"""A commented farm.yaml to start from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ..core import templating
from ..core.errors import SpecError, UsageError
from . import types as t
from .load import Spec, loads
from .schema import reads_of
from .units import Version

TLS_MODES: Final = {
    "bridge": "TLS ends at the balancer, which opens new TLS connections to the nodes",
    "terminate": "TLS ends at the balancer; requests to the nodes are not encrypted",
    "passthrough": "TLS ends at the nodes; the balancer forwards encrypted bytes",
    "none": "no TLS: everything is readable on the network",
}
"""Each TLS mode in words."""
_CHECKS: Final = {
    "host": t.HostName,
    "address": t.ListenAddress,
    "node": t.NodeAddress,
    "orchestrator": t.ProgramVersion,
}
"""The type of each answer that can be checked by itself."""
STORES: Final = ("redis", "sqlserver")
REDIS_PORT: Final = 6379
REDIS_TLS_PORT: Final = 6380
HAA_PORT: Final = 10000
"""Of the High Availability Add-on (UiPath's documentation of the Windows installer)."""

_FROM_FILES: Final = frozenset({"redis-loopback", "database-local"})
"""What a node's file can say that no farm can keep: `init` writes it as it is, and shows the finding."""

_OPTIONS: Final = (
    ("farm", "--farm"),
    ("orchestrator", "--orchestrator"),
    ("frontend.host", "--host"),
    ("frontend.address", "--address"),
    ("frontend.tls", "--tls"),
    ("nodes", "--node"),
    ("stores.redis", "--redis"),
    ("stores.signalr", "--store"),
    ("stores.database", "--from"),
)
"""The beginning of a key's path, and the option that the key is written from."""


def problem_of(name: str, text: str) -> str:
    """Why a text is not the answer to a prompt; empty if it is.

    `name` is the name of an option, or `node` for the address of a node.
    """
    if name != "redis":
        return _problem_of(_CHECKS[name], text) or _problem_of_version(name, text)
    servers = [server.strip() for server in text.split(",")]
    problems = [_problem_of(t.RedisEndpoint if ":" in server else t.NodeAddress, server) for server in servers]
    return next(filter(None, problems), "")


def _problem_of(kind: object, text: str) -> str:
    try:
        reads_of(kind).parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _problem_of_version(name: str, text: str) -> str:
    """Why a version is not one of Orchestrator."""
    from .orchestrator import exists

    if name != "orchestrator" or exists(Version(text)):
        return ""
    return f'{text} is not a version of Orchestrator: write a year and a month, as in "2019.4" or "2023.10.3"'


class Answers(NamedTuple):
    """The answers for `nlbgen init`, as the user gave them."""

    farm: str
    host: str
    nodes: tuple[tuple[str, str], ...]
    """Name and address of each node, the existing node first."""
    address: str = "*"
    """The address on which the balancer listens."""
    orchestrator: str = ""
    tls: str = "bridge"
    store: str = "redis"
    redis: str = ""
    """The servers of Redis, as HOST or HOST:PORT, with commas between."""
    certificate: str = "/etc/ssl/orchestrator/fullchain.pem"
    key: str = "/etc/ssl/orchestrator/privkey.pem"
    ca: str = "/etc/ssl/certs/ca-certificates.crt"
    config: str = ""
    """The existing node's config file, as seen from the spec's folder."""
    server: str = ""
    database: str = ""
    user: str = ""
    """The SQL Server login; none with Windows authentication."""
    database_options: tuple[tuple[str, str], ...] = ()
    session: str = ""
    redis_tls: bool = False
    redis_user: str = ""
    redis_options: tuple[tuple[str, str], ...] = ()
    redis_password: bool = False


def nodes(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Nodes as `NAME=ADDRESS`; raises UsageError."""
    pairs = []
    for text in texts:
        name, equals, address = text.partition("=")
        if not equals or not name.strip() or not address.strip():
            raise UsageError(f"{text} is not a node", "write NAME=ADDRESS, for example orch-1=10.20.0.11")
        pairs.append((name.strip(), address.strip()))
    return tuple(pairs)


def starter(answers: Answers, name: str = "farm.yaml") -> tuple[bytes, Spec]:
    """The content of the spec file `name`, and the spec in it.

    Raises UsageError for invalid answers. It names the options of `nlbgen init` instead of locations, because the file
    is not written.
    """
    core = is_core_version(answers.orchestrator)
    view = {
        "core": core,
        "farm": scalar(answers.farm),
        "host": scalar(answers.host),
        "address": scalar(answers.address),
        "orchestrator": quoted(answers.orchestrator) if answers.orchestrator else "",
        "tls": answers.tls,
        "certificate": scalar(answers.certificate),
        "key": scalar(answers.key),
        "ca": scalar(answers.ca),
        "nodes": [{"name": scalar(name), "address": scalar(address)} for name, address in answers.nodes],
        "affinity": _affinity(answers),
        "redis_store": answers.store == "redis",
        "store": scalar(answers.store),
        "session": answers.session or "sqlserver",
        "redis": _redis(answers, core=core),
        "redis_password": answers.redis_password,
        "config": scalar(answers.config) if answers.config else "",
        "server": scalar(answers.server) if answers.server else "",
        "database": scalar(answers.database or "UiPath"),
        "user": scalar(answers.user) if answers.user else "",
        "database_options": _mapping(answers.database_options),
    }
    content = templating.render("spec/farm.yaml.j2", view)
    try:
        return content, loads(content.decode("utf-8"), name, tolerated=_FROM_FILES if answers.config else frozenset())
    except SpecError as error:
        raise _usage_error(error, answers) from None


def _redis(answers: Answers, *, core: bool) -> str:
    """The mapping of Redis in one line, without its braces."""
    servers = [server.strip() for server in answers.redis.split(",")]
    host, colon, port = servers[0].rpartition(":")
    single = len(servers) == 1 and (not colon or ":" not in host)
    default = REDIS_TLS_PORT if answers.redis_tls else HAA_PORT if core else REDIS_PORT
    parts = [f"host: {scalar(host if colon else port)}", f"port: {port if colon else default}"]
    if not single:
        parts = [f"endpoints: [{', '.join(map(scalar, servers))}]"]
    parts += [f"user: {scalar(answers.redis_user)}"] if answers.redis_user else []
    parts += ["password: {env: NLBGEN_REDIS_PASSWORD}"] if answers.redis_password else []
    parts += ["tls: true"] if answers.redis_tls else []
    parts += [f"options: {_mapping(answers.redis_options)}"] if answers.redis_options else []
    return ", ".join(parts)


def _mapping(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs as a YAML mapping in one line; the last of equal keys counts."""
    written = ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in dict(pairs).items())
    return f"{{{written}}}" if pairs else ""


def _usage_error(error: SpecError, answers: Answers) -> UsageError:
    """The problems of a spec as problems of the options that it was made from."""
    errors = [problem for problem in error.problems if problem.severity == "error"]
    if answers.farm == answers.host.partition(".")[0] and any(one.path == "frontend.host" for one in errors):
        errors = [problem for problem in errors if problem.path != "farm"]  # the name came from the host
    lines = []
    for problem in errors:
        what = next((option for start, option in _OPTIONS if problem.path.startswith(start)), problem.path)
        lines.append(f"{what}: {problem.message}" + (f"\n    {problem.hint}" if problem.hint else ""))
    options = "option" if len(lines) == 1 else "options"
    return UsageError("\n".join(lines), f"nothing was written: correct the {options}, then run the command again")


def scalar(text: str) -> str:
    """A text as a YAML scalar: plain if YAML reads the same text, else in double quotes."""
    from .document import parse

    bare = text.replace("-", "").replace(".", "").isalnum() and text.isascii() and text[:1] != "-"
    if bare or (text.startswith("/") and all(char.isalnum() or char in "/._-" for char in text)):
        document = parse("", f"key: {text}")
        if document.data == {"key": text} and not document.problems:
            return text
    return quoted(text)


def quoted(text: str) -> str:
    """A text in double quotes, with escapes for the characters that need one."""
    escapes = {'"': '\\"', "\\": "\\\\"}
    parts = (escapes.get(char, char if char.isprintable() else f"\\U{ord(char):08X}") for char in text)
    return f'"{"".join(parts)}"'


def _affinity(answers: Answers) -> str:
    if not is_core_version(answers.orchestrator):
        return "none"
    return "source" if answers.tls == "passthrough" else "signalr"


def is_core_version(version: str) -> bool:
    """Whether an answer is a version from 2020.10 on."""
    from .orchestrator import is_core

    try:
        return is_core(Version(version)) if version else False
    except ValueError:
        return False  # the check of the whole text reports it
