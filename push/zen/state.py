"""The state of a device of the Zen family for one spec, in a form that can be compared.

The API returns numbers as numbers or as text, and an empty value as null or as empty text. Here, everything is text.
Source: recorded sessions with Relianoid 7.9 and Zevenet 5.13.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from ...core.errors import DeviceError
from ...generators.zen.objects import MARK, HttpFarm, L4Farm, Objects, guardian_name, redis_name
from ...generators.zen.products import Edition, Generation
from .zapi import Zapi

_OLD_GUARDIAN: Final = ("fgenabled", "fglog", "fgscript", "fgtimecheck")
_VOLATILE: Final = frozenset({"status", "sessions", "backends", "services", "farmguardian", *_OLD_GUARDIAN})
"""Keys that are read separately from the settings, or that change without a push."""
MAINTENANCE: Final = "maintenance"
PENDING: Final = "needed restart"


def text(value: object) -> str:
    """Return a value of the API as text; null is empty text."""
    return "" if value is None else str(value)


class BackendState(NamedTuple):
    """One backend as the device has it."""

    id: int
    ip: str
    port: str
    settings: Mapping[str, str]
    """Weight, priority and timeout."""
    maintenance: bool

    @property
    def endpoint(self) -> str:
        """Address and port."""
        return f"{self.ip}:{self.port}"

    def body(self) -> dict[str, Any]:
        """The request body that adds this backend again."""
        settings = {name: int(value) for name, value in self.settings.items() if value.isdecimal()}
        if settings.get("priority") == 1:
            del settings["priority"]  # the default of every backend; some products refuse a request that sets it
        return {"ip": self.ip, "port": int(self.port), **settings}


class FarmState(NamedTuple):
    """One farm as the device has it."""

    name: str
    layer4: bool
    status: str
    settings: Mapping[str, str]
    certificates: tuple[str, ...]
    headers: tuple[str, ...]
    removed: tuple[str, ...]
    """The patterns of the request headers that the farm removes."""
    services: Mapping[str, Mapping[str, str]]
    """The settings of its services by their names; an L4xNAT farm has none."""
    guardian: str
    """The FarmGuardian check of our service, or of the L4xNAT farm."""
    old_guardian: Mapping[str, str]
    """The check with the keys of the API v3.1; empty in a newer API."""
    nodes: tuple[BackendState, ...]


class State:
    """The state of a device, and its digest."""

    def __init__(
        self,
        farms: Mapping[str, FarmState],
        guardians: Mapping[str, Mapping[str, str]],
        taken: Mapping[tuple[str, str], str],
    ) -> None:
        self.farms: Final = farms
        """Those of the spec's farms that exist, by their names."""
        self.guardians: Final = guardians
        """Those of the spec's FarmGuardian checks that exist, by their names."""
        self.taken: Final = taken
        """The names of all farms of the device by their address and port."""

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of everything that a plan depends on, in hex.

        It does not include the health of a farm, which changes without a push.
        """
        seen = {
            "farms": {name: farm._replace(status="")._asdict() for name, farm in sorted(self.farms.items())},
            "guardians": {name: dict(guardian) for name, guardian in sorted(self.guardians.items())},
            "taken": sorted([*where, name] for where, name in self.taken.items()),
        }
        canonical = json.dumps(seen, sort_keys=True, default=_plain)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def differences(self, before: "State") -> list[str]:
        """Return the differences as text. The order of nodes and the health of a farm are not compared."""
        old, new = _facts(before), _facts(self)
        changed = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        # For a new or removed farm, there is only this line, without its settings.
        whole = tuple(f"{path}/" for path in changed if path not in old or path not in new)
        return [
            f"{path}: {old.get(path, '(none)')} -> {new.get(path, '(none)')}"
            for path in changed
            if not path.startswith(whole)
        ]

    def doubled(self) -> set[str]:
        """Return the farms and endpoints of backends that are more than once in their farm."""
        counted = Counter(f"{name}: {node.endpoint}" for name, farm in self.farms.items() for node in farm.nodes)
        return {where for where, count in counted.items() if count > 1}

    def marked(self, name: str) -> bool:
        """Whether a FarmGuardian check of the spec has nlbgen's mark for the farm of that name.

        The API has no other field for a mark.
        """
        return any(guardian.get("description", "") == f"{MARK} {name}" for guardian in self.guardians.values())


def _facts(state: State) -> dict[str, str]:
    """Return a state as paths and values."""
    found = {f"addresses/{vip}:{port}": name for (vip, port), name in state.taken.items()}
    for name, guardian in state.guardians.items():
        at = f"guardians/{name}"
        found |= {at: "a check", **{f"{at}/{key}": value for key, value in guardian.items()}}
    for name, farm in state.farms.items():
        at = f"farms/{name}"
        found[at] = "an L4xNAT farm" if farm.layer4 else "an HTTP farm"
        found |= {f"{at}/{key}": value for key, value in farm.settings.items()}
        found |= {f"{at}/guardian/{key}": value for key, value in farm.old_guardian.items()}
        found |= {f"{at}/{key}": ", ".join(getattr(farm, key)) for key in ("certificates", "headers", "removed")}
        found[f"{at}/guardian"] = farm.guardian
        for service, settings in farm.services.items():
            found |= {f"{at}/services/{service}/{key}": value for key, value in settings.items()}
        for node in farm.nodes:
            words = ", ".join(f"{key} {value}" for key, value in node.settings.items())
            kept = f"{words}, {MAINTENANCE if node.maintenance else 'up'}"
            where = f"{at}/nodes/{node.endpoint}"
            found[where] = f"{found[where]} and {kept}" if where in found else kept
    return {path: value for path, value in found.items() if value}


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def check_product(zapi: Zapi, edition: Edition) -> None:
    """Raise DeviceError if the device is another product than the one in the spec."""
    found = zapi.find("/system/version")
    if found is None:
        raise DeviceError(
            f"{zapi.name}: the device has no API of {edition}",
            "check zen.product and zen.version: they determine the API's path; check zen.api too, for example https://zen:444",
        )
    said = text(_mapping(found.get("params")).get("appliance_version"))
    letter, _, major = said.partition(" ")
    initials = {"zevenet": "Z", "relianoid": "R", "skudonet": "S"}
    wrong = letter[:1] in initials.values() and letter[:1] != initials.get(edition.product)
    if wrong or (major.isdecimal() and int(major) != edition.parts[0]):
        raise DeviceError(
            f"{zapi.name}: the device reports {said}, but the spec has {edition}",
            "write the device's product and version into the zen section",
        )


def read(zapi: Zapi, objects: Objects, generation: Generation, names: Iterable[str]) -> State:
    """Read these farms and their check from the device."""
    listing = _items(zapi.call("GET", "/farms").get("params"))
    taken = {(text(one.get("vip")), text(one.get("vport"))): text(one.get("farmname")) for one in listing}
    existing = {text(one.get("farmname")) for one in listing}
    farms = {}
    for name in names:
        if name in existing:
            found = zapi.call("GET", f"/farms/{name}")
            service = next((one.service for one in objects.farms if isinstance(one, HttpFarm) and one.name == name), "")
            farms[name] = _device(name, found, service)
    guardians = {}
    for check in _checks(objects, farms) if generation.api_version != "v3.1" else ():
        answer = zapi.find(f"/monitoring/fg/{check}")
        if answer is not None:
            guardians[check] = _texts(_mapping(answer.get("params")))
    return State(farms, guardians, taken)


def _checks(objects: Objects, farms: Mapping[str, FarmState]) -> Iterable[str]:
    """The names of the spec's checks, and of that of a front of Redis that the spec does not have any more."""
    former = redis_name(objects.main.name)
    names = [check.name for check in objects.guardians] + [guardian_name(former)] * (former in farms)
    return dict.fromkeys(names)


def _device(name: str, found: Mapping[str, Any], service: str) -> FarmState:
    params = _mapping(found.get("params"))
    layer4 = params.get("listener") == "l4xnat" or "nattype" in params
    services = {text(one.get("id")): one for one in _items(found.get("services"))}
    holder: Mapping[str, Any] = params if layer4 else services.get(service, {})
    nodes = found.get("backends", params.get("backends")) if layer4 else holder.get("backends")
    return FarmState(
        name=name,
        layer4=layer4,
        status=text(params.get("status")),
        settings=_texts(params),
        certificates=tuple(text(one.get("file")) for one in _items(params.get("certlist"))),
        headers=tuple(text(one.get("header")) for one in _items(params.get("addheader"))),
        removed=tuple(text(one.get("pattern")) for one in _items(params.get("headremove"))),
        services={name: _texts(one) for name, one in services.items()},
        guardian=text(holder.get("farmguardian")),
        old_guardian=_old_guardian(holder),
        nodes=tuple(_node(one) for one in _items(nodes)),
    )


def _old_guardian(holder: Mapping[str, Any]) -> dict[str, str]:
    """Return the check with the keys of v3.1; the command of a disabled check is ignored."""
    found = {key: text(holder[key]) for key in _OLD_GUARDIAN if key in holder}
    if found and found.get("fgenabled") != "true":
        found["fgscript"] = ""
    return found


def _node(one: Mapping[str, Any]) -> BackendState:
    settings = {key: text(one.get(key)) for key in ("weight", "priority", "timeout") if key in one}
    return BackendState(
        int(text(one.get("id")) or 0),
        text(one.get("ip")),
        text(one.get("port")),
        settings,
        text(one.get("status")) == MAINTENANCE,
    )


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: text(value) for key, value in params.items() if key not in _VOLATILE and not isinstance(value, list | dict)
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def same(name: str, old: str, wanted: str) -> bool:
    """Whether two values of a setting mean the same to the device."""
    if old == wanted:
        return True
    if name == "persistence":  # in L4xNAT farms, these names mean the same
        return {old, wanted} in ({"ip", "srcip"}, {"none", ""})
    if name == "priority":
        return {old, wanted} == {"", "1"}
    return False


def kind(farm: HttpFarm | L4Farm) -> str:
    """The farm's kind in words."""
    return "an L4xNAT farm" if isinstance(farm, L4Farm) else "an HTTP farm"


_TOGETHER: Final = (
    {"cipherc", "ciphers"},
    {"contimeout", "resurrectime"},
    {"interval", "timeout"},
    {"persistence", "ttl"},
    {"redirect", "redirecttype"},
)
"""Groups of settings that the API validates or resets together, so a request contains the whole group."""


def partners(changed: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that must be sent together with the changed settings."""
    groups = [group for group in _TOGETHER if group & changed.keys()]
    return {name: value for name, value in wanted.items() if any(name in group for group in groups)}


def typed(old: Mapping[str, str], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old values, converted to numbers if the new values are numbers."""
    return {
        name: int(value) if isinstance(like.get(name), int) and value.isdecimal() else value
        for name, value in old.items()
    }
