"""Compare the objects of a device with the objects of a farm, in the same form.

A GET returns about twenty defaults for every object, and writes many values in its own form. Only the properties of the
farm are compared, after both sides are converted to one form. Sources: AS3's `map_mcp.js`, f5-cccl, f5_modules, and
recorded answers: session and state of members show the monitor's view; up to 13.x a monitor's name ends with a blank;
options are a list or a text in braces; an absent value may be `none`; ports may be names; an IPv6 address has several
forms.
"""

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ...generators.f5.scf import SHAPES, Shape
from ...generators.f5.vocabulary import NAMED, Object, Value
from .. import answers

_NESTED: Final = {"name": "tmName", "default": "tmDefault"}
_TOP: Final = {"options": "tmOptions", "definition": "apiAnonymous"}
_PORTS: Final = {"http": "80", "https": "443", "any": "0"}
_ORDERED: Final = frozenset({"rules"})
_LONGEST_NUMBER: Final = 20


class Difference(NamedTuple):
    """One property that differs; None means absent. `key` is the property to send."""

    key: str
    path: str
    old: str | None
    new: str | None


def camel(key: str, *, nested: bool = False) -> str:
    """A property's name as REST writes it."""
    if nested and key in _NESTED:
        return _NESTED[key]
    if not nested and key in _TOP:
        return _TOP[key]
    head, *rest = key.split("-")
    return head + "".join(part.capitalize() for part in rest)


# To the device.


def body(one: Object) -> dict[str, Any]:
    """The body that creates an object."""
    folder, _, name = one.path.rpartition("/")
    location: dict[str, Any] = {"name": name, "partition": folder.split("/")[1]}
    if folder.count("/") > 1:
        location["subPath"] = folder.split("/", 2)[2]
    return {**location, **properties(one, list(one.properties))}


def properties(one: Object, keys: list[str]) -> dict[str, Any]:
    """Return the given properties of an object in the form of a request body; a list is always complete."""
    sent = {camel(key): _sent(key, one.properties[key]) for key in keys}
    if sent.get("status") == "legacy":
        # The device returns the flag with this status.
        sent = {key: value for key, value in sent.items() if key != "status"} | {"legacy": True}
    return sent


def member_body(name: str, member: Mapping[str, Value]) -> dict[str, Any]:
    """The body that adds a member to a pool."""
    return {"name": name, **{camel(key, nested=True): _sent(key, value) for key, value in member.items()}}


def _sent(key: str, value: Value) -> object:
    if isinstance(value, Mapping):
        if key not in NAMED:
            return {camel(inner, nested=True): _sent(inner, part) for inner, part in value.items()}
        return [member_body(name, inner) for name, inner in sorted(value.items()) if isinstance(inner, Mapping)]
    return list(value) if isinstance(value, tuple) else value


# From the device.


def seen(kind: str, item: Mapping[str, Any]) -> dict[str, Value]:
    """Return an object of a device's answer in tmsh's words, with only the properties that farms may set.

    Raises MalformedError for a property of another type.
    """
    if kind == "ltm rule":
        return {"definition": _rule(item)}
    return dict(_seen(SHAPES[kind], item, "", nested=False))


def _rule(item: Mapping[str, Any]) -> str:
    raw = item.get("apiAnonymous")
    written = "" if raw is None else answers.word(raw, "apiAnonymous")
    return "\n".join(line.rstrip() for line in written.replace("\r\n", "\n").strip("\n").split("\n"))


def _seen(shape: Shape, item: Mapping[str, Any], path: str, *, nested: bool) -> Iterator[tuple[str, Value]]:
    def entry(key: str) -> tuple[object, str]:
        name = camel(key, nested=nested)
        return item.get(name), f"{path}.{name}" if path else name

    for key in sorted(shape.words):
        raw, where = entry(key)
        yield key, _word(key, None if raw is None else answers.word(raw, where))
    for key in sorted(shape.numbers):
        raw, where = entry(key)
        if raw is not None:
            yield key, _number(answers.word(raw, where))
    for key in sorted(shape.lists):
        yield key, _words(*entry(key))
    for key in sorted(shape.flags):
        if entry(key)[0] is True:
            yield key, True
    for key, inner in sorted(shape.blocks.items()):
        yield key, _block(key, inner, item, path)


def _block(key: str, shape: Shape, item: Mapping[str, Any], path: str) -> Value:
    name = camel(key)
    where, raw = f"{path}.{name}" if path else name, item.get(name)
    if key not in NAMED:
        found = {} if raw is None else answers.mapping(raw, where)
        return dict(_seen(shape, found, where, nested=True))
    if raw is None:
        where += "Reference"
        raw = answers.mapping(item.get(f"{name}Reference", {}), where).get("items", [])
    made: dict[str, Value] = {}
    for number, each in enumerate(_listed(raw, where)):
        place = f"{where}[{number}]"
        entry = {"name": each} if isinstance(each, str) else answers.mapping(each, place)
        if entry.get("ephemeral") != "true":
            made[_name(entry, place)] = dict(_seen(shape, entry, place, nested=True))
    return made


def _listed(raw: object, path: str) -> list[Any]:
    if isinstance(raw, str):
        return [] if raw in {"", "none"} else [raw]
    return answers.listed(raw, path)


def _name(entry: Mapping[str, Any], path: str) -> str:
    name = answers.text(entry.get("fullPath") or entry.get("name"), f"{path}.name")
    partition = entry.get("partition")
    if not name.startswith("/") and partition:
        sub = f"{answers.text(entry['subPath'], f'{path}.subPath')}/" if entry.get("subPath") else ""
        name = f"/{answers.text(partition, f'{path}.partition')}/{sub}{name}"
    # Only the port is converted. A name is not an address, even if it is `any` or 10.0.0.1%2.
    return "".join(_parted(name)) if name.startswith("/") else name


def _number(word: str) -> Value:
    plain = word.strip()
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < _LONGEST_NUMBER else plain


def _words(raw: object, path: str) -> tuple[str, ...]:
    if raw is None:
        return ()
    found = raw.strip().strip("{}").split() if isinstance(raw, str) else answers.listed(raw, path)
    words = [answers.word(word, f"{path}[{number}]") for number, word in enumerate(found)]
    return tuple(word for word in words if word != "none")


def _word(key: str, raw: str | None) -> str:
    text = "none" if raw is None else raw.strip() or "none"
    return _NORMAL[key](text) if key in _NORMAL else text


def _session(text: str) -> str:
    return "user-disabled" if text == "user-disabled" else "user-enabled"


def _state(text: str) -> str:
    return "user-down" if text == "user-down" else "user-up"


def _monitor(text: str) -> str:
    return " and ".join(sorted(part.strip() for part in text.split(" and ")))


def _status(text: str) -> str:
    return "legacy" if text == "published" else text


def _address(text: str) -> str:
    """Return an address in Python's form, with its route domain if it has one."""
    plain, percent, domain = text.partition("%")
    plain = {"any": "0.0.0.0", "any6": "::"}.get(plain, plain)  # noqa: S104  # an address to compare
    with contextlib.suppress(ValueError):
        plain = str(ipaddress.ip_address(plain))
    return f"{plain}{percent}{domain}"


def endpoint(text: str) -> str:
    """Return folder, address and port; after an IPv6 address, the port follows a dot."""
    host, separator, port = _parted(text)
    folder, _, last = host.rpartition("/")
    return f"{folder}/{_address(last)}{separator}{port}"


def virtual_address(text: str) -> str:
    """Return the address of a destination, without folder and port."""
    return _parted(endpoint(text))[0].rpartition("/")[2]


def _parted(text: str) -> tuple[str, str, str]:
    """Return the text before the port, the separator, and the port as a number."""
    last = text.rpartition("/")[2]
    separator = "." if last.count(":") > 1 or re.fullmatch(r"any6(%\d+)?\.[a-z0-9]+", last) else ":"
    host, found, port = text.rpartition(separator)
    return (host, separator, _PORTS.get(port, port)) if found else (text, "", "")


def _mask(text: str) -> str:
    return {"0.0.0.0": "any", "::": "any6"}.get(text, text)  # noqa: S104  # a mask to compare


_NORMAL: Final = {
    "address": _address,
    "destination": endpoint,
    "mask": _mask,
    "monitor": _monitor,
    "session": _session,
    "state": _state,
    "status": _status,
}


# Both.


def differences(wanted: Object, found: Mapping[str, Value]) -> list[Difference]:
    """Return the differences between `found` and the wanted object, one for each property."""
    return [
        Difference(key, path, old, new)
        for key, value in sorted(wanted.properties.items())
        for path, old, new in _differ(key, key, value, found.get(key))
    ]


def _differ(
    key: str, path: str, new: "Value | None", old: "Value | None"
) -> Iterator[tuple[str, str | None, str | None]]:
    if isinstance(new, Mapping):
        have = old if isinstance(old, Mapping) else {}
        for name in sorted(new):
            if key in NAMED and name not in have:
                yield f"{path} {name}", None, text(new[name])
            else:
                yield from _differ(name, f"{path} {name}", new[name], have.get(name))
        for name in sorted(have.keys() - new.keys()) if key in NAMED or key in {"actions", "conditions"} else ():
            yield f"{path} {name}", text(have[name]), None
        return
    if _comparable(key, new) != _comparable(key, old):
        yield path, None if old is None else text(old), text(new)


def _comparable(key: str, value: "Value | None") -> object:
    if isinstance(value, tuple):
        return value if key in _ORDERED else tuple(sorted(value))
    if value is None:
        return None
    return _word(key, value) if isinstance(value, str) and key != "definition" else str(value)


def text(value: "Value | None") -> str:
    """A value as a plan shows it."""
    if isinstance(value, Mapping):
        return (
            " ".join(f"{key} {text(part)}" if part is not True else key for key, part in sorted(value.items())) or "{ }"
        )
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return str(value)
