"""The calls of the API that make a farm on an empty appliance, in the order in which they pass.

Source: recorded sessions with Relianoid 7.9 and Zevenet 5.13. The push makes them one by one against what it finds;
for L4xNAT farms of newer products they are also what `render` writes, since the file belongs to nftlb.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .objects import HEADER, REMOVED, Backend, Guardian, HttpFarm, L4Farm, Objects
from .products import Generation


class Call(NamedTuple):
    """One request: the path below the API's own, and the JSON body."""

    method: str
    path: str
    body: dict[str, Any]


def http_settings(farm: HttpFarm) -> dict[str, Any]:
    """What PUT /farms/F sets of an HTTP farm; a redirect serves with the appliance's own settings."""
    if farm.redirect:
        return {}
    times = farm.times
    settings: dict[str, Any] = {
        "contimeout": times.connect,
        "httpverb": "optionsHTTP",
        "reqtimeout": times.client,
        "restimeout": times.answer,
        "resurrectime": times.alive,
        "rewritelocation": "enabled",
    }
    if farm.tls:
        off = {f"disable_{protocol}": "true" for protocol in ("sslv3", "tlsv1", "tlsv1_1")}
        off["disable_tlsv1_2"] = "true" if farm.modern else "false"
        settings |= {"cipherc": farm.ciphers, "ciphers": "customsecurity", **off}
    return settings


def service_settings(farm: HttpFarm) -> dict[str, Any]:
    """What PUT /farms/F/services/S sets."""
    if farm.redirect:
        return {"redirect": farm.redirect, "redirecttype": "append"}
    settings: dict[str, Any] = {
        "httpsb": "true" if farm.node_tls else "false",
        "persistence": "IP" if farm.affinity.kind == "source" else "",
        "vhost": farm.host,
    }
    if farm.affinity.kind == "source":
        settings["ttl"] = farm.affinity.ttl
    if farm.policy:
        settings["routingpolicy"] = farm.policy
    return settings


def l4_settings(farm: L4Farm, generation: Generation) -> dict[str, Any]:
    """What PUT /farms/F sets of an L4xNAT farm."""
    held = farm.affinity.kind == "source"
    by_address = "ip" if generation.api_version == "v3.1" else "srcip"  # the older API refuses the newer name
    settings: dict[str, Any] = {
        "algorithm": farm.algorithm,
        "nattype": "nat",
        "persistence": by_address if held else "",
        "protocol": "tcp",
    }
    return {**settings, "ttl": farm.affinity.ttl} if held else settings


def backend_settings(farm: HttpFarm | L4Farm, backend: Backend) -> dict[str, Any]:
    """What POST of a backend carries; weight and priority exclude each other in HTTP farms."""
    settings: dict[str, Any] = {"ip": backend.ip, "port": backend.port, "weight": backend.weight}
    if isinstance(farm, HttpFarm):
        settings["timeout"] = farm.times.answer
        return {**settings, "priority": 2} if backend.backup else settings
    return {**settings, "priority": 2 if backend.backup else 1}


def guardian_settings(guardian: Guardian) -> dict[str, Any]:
    """What PUT /monitoring/fg/G sets."""
    return {
        "command": guardian.command,
        "cut_conns": "true",
        "description": guardian.description,
        "interval": guardian.interval,
        "log": "true",
        "timeout": guardian.timeout,
    }


def old_guardian_settings(guardian: Guardian, service: str) -> dict[str, Any]:
    """What PUT /farms/F/fg sets in the API v3.1, where a check belongs to its farm."""
    settings: dict[str, Any] = {
        "fgenabled": "true",
        "fglog": "true",
        "fgscript": guardian.command,
        "fgtimecheck": guardian.interval,
    }
    return {"service": service, **settings} if service else settings


def maintenance(backend: Backend) -> dict[str, Any]:
    """The action that brings a backend into its state."""
    if backend.state == "up":
        return {"action": "up"}
    return {"action": "maintenance", "mode": "drain" if backend.state == "drain" else "cut"}


def create(farm: HttpFarm | L4Farm) -> Call:
    """The call that makes the farm itself."""
    profile = "http" if isinstance(farm, HttpFarm) else "l4xnat"
    return Call("POST", "/farms", {"farmname": farm.name, "profile": profile, "vip": farm.vip, "vport": farm.port})


def location(farm: HttpFarm | L4Farm) -> str:
    """Where a farm's backends and its check hang."""
    return f"/farms/{farm.name}" + (f"/services/{farm.service}" if isinstance(farm, HttpFarm) else "")


def plan(objects: Objects, generation: Generation) -> list[Call]:
    """Every call for an empty appliance; certificates are uploaded before."""
    return [call for farm in objects.farms for call in farm_plan(farm, generation)]


def farm_plan(farm: HttpFarm | L4Farm, generation: Generation) -> list[Call]:
    """The calls that make one farm."""
    at = location(farm)
    return [
        create(farm),
        *(_http(farm) if isinstance(farm, HttpFarm) else [_set(f"/farms/{farm.name}", l4_settings(farm, generation))]),
        *(Call("POST", f"{at}/backends", backend_settings(farm, one)) for one in farm.backends),
        *_guard(farm, generation),
        Call("PUT", f"/farms/{farm.name}/actions", {"action": "restart"}),
        *(
            Call("PUT", f"{at}/backends/{number}/maintenance", maintenance(one))
            for number, one in enumerate(farm.backends)
            if one.state != "up"
        ),
    ]


def _http(farm: HttpFarm) -> list[Call]:
    at = f"/farms/{farm.name}"
    calls = []
    if farm.tls:
        calls.append(Call("PUT", at, {"listener": "https"}))
        calls.append(Call("POST", f"{at}/certificates", {"file": farm.certificate}))
    if settings := http_settings(farm):
        calls.append(_set(at, settings))
    if not farm.redirect:
        calls.append(Call("POST", f"{at}/headremove", {"pattern": REMOVED}))
    if farm.tls:
        calls.append(Call("POST", f"{at}/addheader", {"header": HEADER}))
    calls.append(Call("POST", f"{at}/services", {"id": farm.service}))
    calls.append(_set(f"{at}/services/{farm.service}", service_settings(farm)))
    return calls


def _set(path: str, settings: dict[str, Any]) -> Call:
    """A change of what is new: empty is what it has already."""
    return Call("PUT", path, {name: value for name, value in settings.items() if value != ""})


def _guard(farm: HttpFarm | L4Farm, generation: Generation) -> list[Call]:
    guardian = farm.guardian
    if guardian is None:
        return []
    if generation.api_version == "v3.1":
        service = farm.service if isinstance(farm, HttpFarm) else ""
        return [Call("PUT", f"/farms/{farm.name}/fg", old_guardian_settings(guardian, service))]
    return [
        Call("POST", "/monitoring/fg", {"name": guardian.name}),
        Call("PUT", f"/monitoring/fg/{guardian.name}", guardian_settings(guardian)),
        Call("POST", f"{location(farm)}/fg", {"name": guardian.name}),
    ]


_CREATES: Final = {"/farms": "farmname", "services": "id", "/monitoring/fg": "name"}
"""The kinds of objects that a POST creates, and the key of their name in the body."""


def early(calls: Sequence[Call]) -> Iterator[str]:
    """Yield the calls that use a farm, service or check that no earlier call creates."""
    made: set[str] = set()
    for call in calls:
        used = re.findall(r"/(?:farms|services|monitoring/fg)/[^/]+", call.path)
        yield from (f"{call.method} {call.path}" for one in used if one not in made)
        for path, key in _CREATES.items():
            if call.method == "POST" and call.path.endswith(path) and key in call.body:
                made.add(f"/{path.lstrip('/')}/{call.body[key]}")
