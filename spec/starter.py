"""A commented farm.yaml to start from."""

from collections.abc import Sequence
from typing import NamedTuple

from .. import templating
from ..errors import UsageError
from .load import Spec, loads
from .schema import nearest


class Answers(NamedTuple):
    """What `nlbgen init` asks; each text as the user gave it."""

    farm: str
    host: str
    nodes: tuple[tuple[str, str], ...]
    """Name and address of each node, the first one being the node that exists already."""
    orchestrator: str = ""
    tls: str = "bridge"
    store: str = "redis"
    redis: str = ""
    certificate: str = "/etc/ssl/orchestrator/fullchain.pem"
    key: str = "/etc/ssl/orchestrator/privkey.pem"
    ca: str = "/etc/ssl/certs/ca-certificates.crt"
    config: str = ""
    """The existing node's config file, as seen from the spec's folder."""
    server: str = ""
    database: str = ""
    user: str = ""
    """The SQL Server login; none with Windows authentication."""
    redis_port: int = 6379
    redis_password: bool = False


def nodes(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Nodes as `NAME=ADDRESS`; raises UsageError."""
    pairs = []
    for text in texts:
        name, equals, address = text.partition("=")
        if not equals or not name.strip() or not address.strip():
            raise UsageError(f"{text} is not a node", "write NAME=ADDRESS, as in orch-1=10.20.0.11")
        pairs.append((name.strip(), address.strip()))
    return tuple(pairs)


def starter(answers: Answers, name: str = "farm.yaml") -> tuple[bytes, Spec]:
    """The text of the spec file `name` and what it makes; raises SpecError where an answer is no value of its key."""
    if answers.tls not in (modes := ("bridge", "terminate", "passthrough", "none")):
        near = nearest(answers.tls, modes)
        raise UsageError(f"{answers.tls} is not a TLS mode" + (f" (did you mean {near}?)" if near else ""))
    view = {
        "farm": _scalar(answers.farm),
        "host": _scalar(answers.host),
        "orchestrator": _quoted(answers.orchestrator) if answers.orchestrator else "",
        "tls": answers.tls,
        "certificate": _scalar(answers.certificate),
        "key": _scalar(answers.key),
        "ca": _scalar(answers.ca),
        "nodes": [{"name": _scalar(name), "address": _scalar(address)} for name, address in answers.nodes],
        "affinity": _affinity(answers),
        "redis_store": answers.store == "redis",
        "store": _scalar(answers.store),
        "redis": _scalar(answers.redis or "redis-1.corp.example"),
        "redis_port": answers.redis_port,
        "redis_password": answers.redis_password,
        "config": _scalar(answers.config) if answers.config else "",
        "server": _scalar(answers.server) if answers.server else "",
        "database": _scalar(answers.database or "UiPath"),
        "user": _scalar(answers.user) if answers.user else "",
    }
    content = templating.render("spec/farm.yaml.j2", view)
    return content, loads(content.decode("utf-8"), name)


def _scalar(text: str) -> str:
    """A text as a YAML scalar: bare where YAML reads nothing else into it, else in double quotes."""
    from .document import parse

    bare = text.replace("-", "").replace(".", "").isalnum() and text.isascii() and text[0] != "-"
    if bare or (text.startswith("/") and all(char.isalnum() or char in "/._-" for char in text)):
        document = parse("", f"key: {text}")
        if document.data == {"key": text} and not document.problems:
            return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """A text in double quotes, with escapes for what may not stand between them as it is."""
    escapes = {'"': '\\"', "\\": "\\\\"}
    parts = (escapes.get(char, char if char.isprintable() else f"\\U{ord(char):08X}") for char in text)
    return f'"{"".join(parts)}"'


def _affinity(answers: Answers) -> str:
    if not _is_core(answers.orchestrator):
        return "none"
    return "source" if answers.tls == "passthrough" else "signalr"


def _is_core(version: str) -> bool:
    from .orchestrator import is_core
    from .types import Version

    try:
        return is_core(Version(version)) if version else False
    except ValueError:
        return False  # the check of the whole text names the place
