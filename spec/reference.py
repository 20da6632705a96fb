"""The reference of the spec in Markdown, made from the model: keys, syntax, defaults, and the rules.

docs/spec.md and docs/rules.md hold this text between two markers, and a test compares it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, get_args, get_origin

from . import types
from .checks import RULES
from .model import Farm, Secret
from .rules.base import Rule
from .rules.files import FILE_RULES
from .schema import Entry, Model, WordOr, marker_of, reads_of, section_of, without_none
from .units import Version

_WORDS: Final = {
    "AgeRecipient": "public key of age (`age1...`) or SSH (`ssh-ed25519`, `ssh-rsa`)",
    "BodySize": "[size](#sizes)",
    "CaPath": "absolute path on the balancer, or `false`",
    "DeviceUrl": "https URL of a device",
    "EnvName": "name of an environment variable",
    "FarmName": "letter, then up to 39 letters, digits, `-`, `_`",
    "FilePath": "path, from the spec's folder",
    "HealthPath": "`auto`, or a path of the site",
    "HostName": "host name",
    "InterfaceAddress": "address with prefix length",
    "InterfaceName": "network interface",
    "ListenAddress": "IPv4 or IPv6 address, or `*` for all of both",
    "LongTime": "[duration](#durations)",
    "NodeAddress": "IPv4, IPv6 or host name",
    "NodeName": "up to 40 letters, digits, `.`, `-`, `_`",
    "OptionalTime": "[duration](#durations)",
    "PathPrefix": "path prefix",
    "PartitionName": "letter, then up to 63 letters, digits, `.`, `-`, `_`",
    "PosixPath": "absolute path on the balancer",
    "ProblemId": "[id](rules.md)",
    "ProgramVersion": "[version](#versions)",
    "RedisEndpoint": "`HOST:PORT`; an IPv6 address in brackets",
    "ServicePath": "path of the site",
    "SecretFile": "path, from the spec's folder",
    "ShortTime": "[duration](#durations)",
    "StringOptions": "mapping of keywords to values",
    "Text": "printable text",
    "UserName": "user of the system",
    "WindowsPath": "absolute Windows path",
}
"""The syntax of a type in words, for types whose schema is not readable enough."""

_SECRETS: Final = "secrets"


class _Section(NamedTuple):
    """One mapping of the spec: the path of its key, its meaning, and its model."""

    path: str
    meaning: str
    model: type[Model]
    many: bool


class Key(NamedTuple):
    """What the reference has about one key: the syntax of its value and the default in Markdown, and its meaning."""

    value: str
    default: str
    meaning: str


def key(path: str) -> Key | None:
    """The key with this path, as in `balancer.signalr.idle_timeout`; None if there is none."""
    found = _entries().get(path)
    return found and Key(_value(found, path), "" if found.required else _default(found), found.description)


def key_paths() -> list[str]:
    """The paths of all keys."""
    return list(_entries())


def _entries() -> dict[str, Entry]:
    sections = _sections(_Section("", "", Farm, many=False))
    return {
        f"{section.path}.{declared.name}".lstrip("."): declared
        for section in sections
        for declared in section.model.entries.values()
    }


def keys() -> str:
    """Every key of the spec: one table for each mapping."""
    lines: list[str] = []
    for section in _sections(_Section("", "", Farm, many=False)):
        lines += _table(section)
    return "\n".join(lines)


def rules() -> str:
    """The table of the rules."""
    lines = ["| Id | Kind | Rule |", "|---|---|---|"]
    lines += [f"| [`{rule.id}`](#{rule.id}) | {_kind(rule)} | {rule.summary} |" for rule in RULES]
    return "\n".join(lines) + "\n"


def file_rules() -> str:
    """The table of the findings about the nodes' files."""
    own = {rule.id for rule in RULES}
    lines = ["| Id | In `nlbgen check` | Rule |", "|---|---|---|"]
    for rule in FILE_RULES:
        kind = rule.severity + (", can be accepted" if rule.severity == "warning" and rule.id not in own else "")
        lines.append(f"| [`{rule.id}`](#{rule.id}) | {kind} | {rule.summary} |")
    return "\n".join(lines) + "\n"


def _sections(section: _Section) -> Iterator[_Section]:
    yield section
    for declared in section.model.entries.values():
        inner, many = section_of(declared.kind)
        if inner is not None and inner is not Secret:
            path = f"{section.path}.{declared.name}" if section.path else declared.name
            yield from _sections(_Section(path, declared.description, inner, many))


def _table(section: _Section) -> list[str]:
    title = f"`{section.path}`" if section.path else "The whole file"
    each = " A list; each entry:" if section.many else ""
    meaning = [f"{section.meaning}{each}", ""] if section.meaning else []
    rows = [_row(section.path, declared) for declared in section.model.entries.values()]
    return [f"### {title}", "", *meaning, "| Key | Value | Default | Meaning |", "|---|---|---|---|", *rows, ""]


def _row(path: str, declared: Entry) -> str:
    value = _value(declared, f"{path}.{declared.name}" if path else declared.name)
    meaning = declared.description.replace("|", "\\|")
    return f"| `{declared.name}` | {value} | {_default(declared)} | {meaning} |"


def _default(declared: Entry) -> str:
    default = declared.default
    if declared.required:
        return "**required**"
    if default is None or isinstance(default, type):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return f'`"{default}"`' if isinstance(default, Version) else f"`{default}`"


def _value(declared: Entry, path: str) -> str:
    kind, _ = without_none(declared.kind)
    marker, (inner, many) = marker_of(kind), section_of(kind)
    if inner is not None:
        anchor = _SECRETS if inner is Secret else path.replace(".", "").lower()
        mapping = f"[{'secret' if inner is Secret else 'list of mappings' if many else 'mapping'}](#{anchor})"
        return f"`{marker.word}`, or a {mapping}" if isinstance(marker, WordOr) else mapping
    if get_origin(kind) is tuple:
        return f"list: {_syntax(get_args(kind)[0])}"
    return _syntax(kind)


def _syntax(kind: object) -> str:
    how = reads_of(kind)
    if words := how.schema.get("enum"):
        return ", ".join(f"`{word}`" for word in words)
    match how.schema:
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"`{low}`" if low == high else f"number, {how.bounds}"
    name = next((name for name, value in vars(types).items() if value is kind), "")
    example = "".join(f", for example `{text}`" for text in how.schema.get("examples", ())[:1])
    return _WORDS.get(name, f"text{example}") + (how.bounds and f", {how.bounds}")


def _kind(rule: Rule) -> str:
    return f"{rule.severity}, can be accepted" if rule.acceptable else rule.severity
