"""Directives of HAProxy that no key of the spec has, as they are in force in each role; and HAProxy's own defaults."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ..core.errors import Location
from ..readers.haproxy.model import Bind, Model, Proxy, model
from ..readers.tree import Configuration
from ..spec.units import Duration
from ..takeover.haproxy.source import Roles, header_of, roles_of
from .values import ABSENT, DEFAULT, Difference, is_same


class _Fact(NamedTuple):
    text: str
    location: Location | None = None


_CLIENTS: Final = {
    "client": "a client that must send or receive data, but does not, is disconnected after this time",
    "http-request": "the time in which a client must send all headers of a request",
    "http-keep-alive": "a client's connection without a request is closed after this time",
    "client-fin": "the limit of a connection that the client has closed on its side",
}
_SERVERS: Final = {
    "server": "a request on SignalR's pool, such as a long poll of up to 110 s, fails after this time",
    "server-fin": "the limit of a connection that the node has closed on its side",
}
_MEANINGS: Final = {
    **{f"timeout {name}": text for name, text in _CLIENTS.items()},
    **{f"timeout {name} of SignalR's pool": text for name, text in _SERVERS.items()},
    "lowest TLS version": "clients with older versions cannot connect; `not set`: HAProxy's own default",
    "checks": "how the nodes are checked: a TCP check does not detect a node with a stopped app pool",
    "retries": "how often a failed connection to a node is tried again",
    "option redispatch": "whether a retry may use another node",
    "retry-on": "the failures after which a request is sent again; `not set`: only if the connection failed",
    "on-marked-down": "whether open connections to a node that is marked down are closed",
}


_SETTINGS: Final = {
    "balancer.health.interval": ("inter", f"2s{DEFAULT}"),
    "balancer.health.rise": ("rise", f"2{DEFAULT}"),
    "balancer.health.fall": ("fall", f"3{DEFAULT}"),
    "balancer.slow_start": ("slowstart", f"0s{DEFAULT}"),
    "balancer.limits.requests_per_node": ("maxconn", f"no limit{DEFAULT}"),
}
"""Keys of the spec with the setting of a `server` line, and HAProxy's default (manual 2.6, section 5.2)."""


def in_force(configuration: Configuration) -> dict[str, str]:
    """What is in force for keys that an import leaves out: HAProxy's defaults, and what differs between servers."""
    roles = _roles(configuration, model(configuration))
    if roles is None:
        return {}
    web = roles.web
    expected = [" ".join(one.arguments[1:]) for one in web.all("http-check", "expect")]
    checks = "; ".join(expected) or f"2xx or 3xx{DEFAULT}"
    return {
        **{path: _setting(web, name, default).text for path, (name, default) in _SETTINGS.items()},
        "balancer.health.expect": checks if web.option("httpchk") else ABSENT,
        "balancer.algorithm": _words(web, "balance").text,
    }


def _roles(configuration: Configuration, found: Model) -> Roles | None:
    header = header_of(configuration)
    return roles_of(found, header[1] if header else "")


def differences(today: Configuration, then: Configuration) -> Iterator[Difference]:
    """Yield the directives that differ. Both configurations must have a frontend with servers."""
    before, after = _facts(today), _facts(then)
    for name, meaning in _MEANINGS.items():
        old, new = before[name], after[name]
        if not is_same(old.text, new.text):
            yield Difference(name, old.text, new.text, meaning, (old.location,) if old.location else ())


def _facts(configuration: Configuration) -> dict[str, _Fact]:
    found = model(configuration)
    roles = _roles(configuration, found)
    if roles is None:
        return dict.fromkeys(_MEANINGS, _Fact(ABSENT))
    live = roles.live or roles.web
    return {
        **{f"timeout {name}": _timeout(roles.main, name) for name in _CLIENTS},
        **{f"timeout {name} of SignalR's pool": _timeout(live, name) for name in _SERVERS},
        "lowest TLS version": _lowest_version(found, roles),
        "checks": _checks(roles.web),
        "retries": _words(roles.web, "retries", f"3{DEFAULT}"),
        "option redispatch": _option(roles.web, "redispatch"),
        "retry-on": _words(roles.web, "retry-on"),
        "on-marked-down": _setting(roles.web, "on-marked-down"),
    }


def _timeout(proxy: Proxy, name: str) -> _Fact:
    found = proxy.timeout(name)
    if found is None:
        return _Fact(ABSENT)
    whole = found.milliseconds == int(found.milliseconds)
    text = str(Duration(int(found.milliseconds))) if whole else found.word.text
    return _Fact(text, found.word.location)


def _words(proxy: Proxy, name: str, otherwise: str = ABSENT) -> _Fact:
    found = proxy.last(name)
    return _Fact(" ".join(found.arguments), found.location) if found else _Fact(otherwise)


def _option(proxy: Proxy, name: str) -> _Fact:
    found = proxy.option(name)
    return _Fact("on", found.location) if found else _Fact(ABSENT)


def _setting(proxy: Proxy, name: str, otherwise: str = ABSENT) -> _Fact:
    found = [one.settings[name] for one in proxy.servers if one.has(name)]
    if not found:
        return _Fact(otherwise)
    texts = dict.fromkeys(one.text for one in found)
    some = "" if len(found) == len(proxy.servers) else " (not on every server)"
    return _Fact(", ".join(texts) + some, found[0].word.location)


def _checks(pool: Proxy) -> _Fact:
    checked = [one for one in pool.servers if one.has("check")]
    if not checked:
        return _Fact("none")
    kind = "HTTP" if pool.option("httpchk") else "TCP"
    some = "" if len(checked) == len(pool.servers) else " (not on every server)"
    return _Fact(kind + some, checked[0].statement.location)


_OLD: Final = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_OFF: Final = {"no-sslv3": "SSLv3", "no-tlsv10": "TLSv1.0", "no-tlsv11": "TLSv1.1", "no-tlsv12": "TLSv1.2"}


def _lowest_version(found: Model, roles: Roles) -> _Fact:
    """The lowest version that the first TLS listener of the farm accepts, as far as the file says."""
    bind = next((one for one in roles.main.binds if one.get("ssl")), None)
    if bind is None:
        return _Fact("no TLS")
    options = found.last_global("ssl-default-bind-options")
    own = {setting.word.text: setting.text for setting in bind.settings}
    words = options.arguments if options else ()
    for name in ("ssl-min-ver", *(f"force-{one.lower().replace('.', '')}" for one in _OLD)):
        if name in own:
            return _Fact(own[name] or _forced(name), bind.statement.location)
        if options and name in words:
            following = words[words.index(name) + 1 : words.index(name) + 2]
            return _Fact("".join(following) if name == "ssl-min-ver" else _forced(name), options.location)
    return _switched_off(bind, own, words)


def _forced(name: str) -> str:
    return next(one for one in _OLD if one.lower().replace(".", "") == name.removeprefix("force-"))


def _switched_off(bind: Bind, own: dict[str, str], words: tuple[str, ...]) -> _Fact:
    """The version after those that `no-tlsv10` and the like switch off one after the other."""
    off = {version for name, version in _OFF.items() if name in own or name in words}
    lowest = next(one for one in _OLD if one not in off)
    return _Fact(f"{lowest} or HAProxy's default", bind.statement.location) if off else _Fact(ABSENT)
