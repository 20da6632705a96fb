"""Paths and names of objects, as requests and messages write them, and the types of values."""

from urllib.parse import unquote

from .answers import Json, JsonValue, Refusal
from .kinds import ENUMS, KINDS, OPTIONS


def split_path(path: str) -> tuple[str | None, str, list[str]]:
    """A URL's kind, the object's path, and what follows."""
    words = [unquote(part) for part in path.removeprefix("/mgmt/tm/").split("/")]
    for length in (3, 2):
        kind = " ".join(words[:length])
        if kind in KINDS:
            name = words[length].replace("~", "/") if len(words) > length else ""
            return kind, name, words[length + 1 :]
    return None, "", []


def full_path(kind: str, data: Json) -> str:
    name = str(data["name"])
    if kind == "auth partition" or name.startswith("/"):
        return name
    sub = f"{data['subPath']}/" if data.get("subPath") else ""
    return f"/{data.get('partition', 'Common')}/{sub}{name}"


def node_of(member: str) -> str:
    return member.rpartition("." if member.count(":") > 1 else ":")[0]


def spaced(member: str) -> str:
    """A member as messages name it."""
    node = node_of(member)
    return f"{node} {member[len(node) + 1 :]}"


def not_found(kind: str, path: str) -> str:
    return f"01020036:3: The requested {KINDS[kind].label} ({path}) was not found."


def typed(name: str, value: JsonValue, wanted: type) -> None:
    if wanted is int and isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)
    if name in ENUMS and value not in ENUMS[name]:
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)
    if name == "tmOptions" and isinstance(value, list) and set(value) - OPTIONS:
        raise Refusal(400, f'invalid property value "{name}":"{value}"', 26214401)
