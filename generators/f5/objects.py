"""The objects of a farm on a BIG-IP, from which bigip.conf, as3.json and a push are made.

Sources: F5's tmsh reference; the defaults and traps of AS3's own mapping (f5-appsvcs-extension, `map_mcp.js` and
`properties.json`); recorded answers of devices.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from ...spec.model import Farm
from ...spec.units import Version
from ..design import COOKIE
from .irules import REDIRECT_PORT, redirect_irule, request_irule, signalr_irule, unchecked_irule
from .pools import UNCHECKED, health, nodes, pools
from .profiles import persistence, profiles
from .redis import redis_nodes, redis_objects
from .view import Names, View
from .vocabulary import KINDS, Object, Value


def objects(farm: Farm, version: Version, names: Names | None = None, *, policies: bool = True) -> tuple[Object, ...]:
    """All objects of a farm for a TMOS version, in the order of creation.

    Without `policies` an iRule chooses SignalR's pool, for APIs that have no traffic policies.
    """
    view = View(farm, version, names or Names.of(farm), policies=policies)
    made = [*nodes(view), *health(view), *pools(view), *profiles(view), *persistence(view)]
    made += [*_irules(view), *_policies(view), *_virtuals(view), *redis_nodes(view), *_redis(view)]
    return tuple(sorted(made, key=lambda one: (KINDS.index(one.kind), one.path)))


# iRules and policies.


def _irules(view: View) -> Iterator[Object]:
    if not view.design.passthrough:
        yield _irule(view, "request_rule", request_irule(view.farm, view.design, redirects=_redirects(view)))
    elif _redirects(view):
        yield _irule(view, "redirect_rule", redirect_irule(view.design))
    if view.own_signalr_pool and not view.policies:
        both = view.path("signalr"), view.path("web")
        sticky, held = view.signalr_is_sticky, view.persistence == "source"
        lines = signalr_irule(view.farm.balancer.signalr.paths, *both, sticky=sticky, held=held)
        yield _irule(view, "signalr_rule", lines)
    if view.serves_all_failed:
        returns = not view.design.passthrough and not view.own_signalr_pool
        both = view.path("web"), view.path(UNCHECKED)
        yield _irule(view, "unchecked_rule", unchecked_irule(*both, http=not view.design.passthrough, returns=returns))


def _irule(view: View, name: str, lines: Iterable[str]) -> Object:
    # An iRule has no description: the mark is its first line.
    return Object("ltm rule", view.path(name), {"definition": "\n".join((f"# {view.mark}", *lines))})


def _policies(view: View) -> Iterator[Object]:
    if not (view.own_signalr_pool and view.policies):
        return
    properties: dict[str, Value] = {
        "controls": ("forwarding", "persistence") if view.signalr_is_sticky else ("forwarding",),
        "requires": ("http",),
        "rules": {"signalr": _signalr_policy_rule(view), "web": _web_policy_rule(view)},
        "strategy": "/Common/first-match",
    }
    if view.has("legacy-policy"):
        # Without `legacy` a policy must be drafted and published, which one transaction cannot do.
        properties["status"] = "legacy"
    yield view.object("ltm policy", "signalr_paths", **properties)


def _signalr_policy_rule(view: View) -> dict[str, Value]:
    condition: dict[str, Value] = {"http-uri": True, "path": True, "request": True, "starts-with": True}
    condition |= {"case-insensitive": True, "values": tuple(view.farm.balancer.signalr.paths)}
    actions: dict[str, Value] = {"0": _forward(view.path("signalr"))}
    if view.signalr_is_sticky:
        actions["1"] = {"cookie-insert": True, "expiry": "0", "name": COOKIE, "persist": True, "request": True}
    return {"actions": actions, "conditions": {"0": condition}, "ordinal": 0}


def _web_policy_rule(view: View) -> dict[str, Value]:
    """The rule for all other paths: without it a connection that was used for SignalR could stay on SignalR's pool."""
    actions: dict[str, Value] = {"0": _forward(view.path("web"))}
    # A policy cannot refer to the virtual server's own persistence: where there is one, it is not changed.
    if view.signalr_is_sticky and view.persistence == "none":
        actions["1"] = {"disable": True, "persist": True, "request": True}
    return {"actions": actions, "conditions": {}, "ordinal": 1}


def _forward(pool: str) -> dict[str, Value]:
    return {"forward": True, "pool": pool, "request": True, "select": True}


# Virtual servers.


def _redirects(view: View) -> bool:
    return view.design.frontend.redirect_http and view.design.frontend.port != REDIRECT_PORT


def _virtuals(view: View) -> Iterator[Object]:
    for suffix, address in _listens(view):
        yield _virtual(view, f"main{suffix}", address, view.design.frontend.port, **_main(view))
        if _redirects(view):
            rule = view.path("redirect_rule" if view.design.passthrough else "request_rule")
            shared = {"/Common/http": _context("all"), "/Common/tcp": _context("all")}
            yield _virtual(view, f"redirect{suffix}", address, REDIRECT_PORT, profiles=shared, rules=(rule,))


def _redis(view: View) -> Iterator[Object]:
    """The front of Redis: one more virtual server at each address of the farm."""
    if view.redis is None:
        return
    yield from redis_objects(view, view.redis)
    used = {view.path("redis_tcp"): _context("all")}
    for suffix, address in _listens(view):
        pool = view.path("redis")
        yield _virtual(view, f"redis_front{suffix}", address, view.redis.port, pool=pool, profiles=used, rules=())


def _listens(view: View) -> Iterator[tuple[str, str]]:
    for listen in view.design.listens:
        address = "0.0.0.0" if listen == "*" else listen.strip("[]")  # noqa: S104  # an address of the device
        yield ("_v6" if listen == "[::]" else ""), address


def _main(view: View) -> dict[str, Value]:
    persistence = "cookie" if view.policy_needs_profile else view.persistence
    persist: dict[str, Value] = {} if persistence == "none" else {view.path(persistence): {"default": "yes"}}
    return {
        "persist": persist,
        "policies": {view.path("signalr_paths"): {}} if view.own_signalr_pool and view.policies else {},
        "pool": view.path("web"),
        "profiles": _attached(view),
        "rules": tuple(_main_irules(view)),
    }


def _attached(view: View) -> dict[str, Value]:
    """The profiles of the main virtual server, with the side of each."""
    found: dict[str, Value] = {view.path("tcp"): _context("all")}
    if not view.design.passthrough:
        found[view.path("http")] = _context("all")
        if view.has("websocket-profile"):
            found[view.path("websocket")] = _context("all")
    if view.farm.balancer_tls:
        found[view.path("clients")] = _context("clientside")
    if view.design.tls_mode == "bridge":
        found[view.path("nodes")] = _context("serverside")
    return found


def _main_irules(view: View) -> Iterator[str]:
    if not view.design.passthrough:
        yield view.path("request_rule")
    if view.own_signalr_pool and not view.policies:
        yield view.path("signalr_rule")
    if view.serves_all_failed:
        yield view.path("unchecked_rule")


def _virtual(view: View, name: str, address: str, port: int, **properties: Value) -> Object:
    ip = ipaddress.ip_address(address)
    separator = "." if ip.version == 6 else ":"
    # tmsh writes the mask of a wildcard as a word.
    mask = "any" if ip.is_unspecified else str(ipaddress.ip_network(f"{ip}/{ip.max_prefixlen}").netmask)
    source = "0.0.0.0/0" if ip.version == 4 else "::/0"
    if ip.is_unspecified and ip.version == 6:
        mask = "any6"
    return view.object(
        "ltm virtual",
        name,
        destination=f"{view.names.node_folder}/{address}{separator}{port}",
        ip_protocol="tcp",
        mask=mask,
        source=source,
        source_address_translation={"type": "automap"},
        **properties,
    )


def _context(side: str) -> Mapping[str, Value]:
    return {"context": side}
