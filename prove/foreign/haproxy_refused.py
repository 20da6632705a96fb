"""The parts of a haproxy.cfg that cannot run in the lab, with the reason for each."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ...core.errors import Problem
from ...readers.haproxy.model import Model, Proxy
from ...readers.tree import Statement, Word
from .haproxy_words import address_word, map_files, template_numbers
from .hosts import is_unspecified
from .plan import unmappable

_SECTIONS: Final[Mapping[str, str]] = {
    "program": "HAProxy starts other programs for it",
    "crt-store": "its certificates have names that the lab does not know",
    "log-forward": "it listens for logs of other programs",
    "fcgi-app": "the simulated nodes do not use FastCGI",
    "acme": "it requests certificates from an authority",
}
_STATEMENTS: Final[Mapping[str, str]] = {
    "lua-load": "nlbgen does not run Lua programs",
    "lua-load-per-thread": "nlbgen does not run Lua programs",
    "lua-prepend-path": "nlbgen does not run Lua programs",
    "external-check": "HAProxy starts another program for it",
    "dispatch": "the address of the node is not on a server line",
    "use-fcgi-app": "the simulated nodes do not use FastCGI",
    "httpclient.resolvers.id": "it resolves names by DNS",
}
_OPTIONS: Final[Mapping[str, str]] = {
    "external-check": "HAProxy starts another program for it",
    "transparent": "it sends traffic to the address that the client requested",
    "http_proxy": "it sends traffic to the address that the client requested",
}
_ACTIONS: Final[Mapping[str, str]] = {
    "set-dst": "the address of the node is known only at run time",
    "set-dst-port": "the port of the node is known only at run time",
    "do-resolve": "the address of the node is known only at run time",
    "send-spoe-group": "it needs another program",
}
_BIND: Final[Mapping[str, str]] = {
    "transparent": "it needs rights that the lab does not have",
    "interface": "the lab has only the loopback interface",
    "namespace": "the lab has no network namespaces",
    "crl-file": "the lab has no revocation list",
    "tls-ticket-keys": "the lab has no keys of TLS tickets",
}
_SERVER: Final[Mapping[str, str]] = {
    "socks4": "the lab has no SOCKS proxy",
    "usesrc": "it needs rights that the lab does not have",
    "interface": "the lab has only the loopback interface",
    "namespace": "the lab has no network namespaces",
    "crl-file": "the lab has no revocation list",
    "rhttp": "the simulated nodes do not connect to the balancer",
}
_CHECKS: Final = frozenset({"mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "spop-check"})
_DYNAMIC: Final = ("*", "rhttp@", "fd@", "sockpair@")
_LUA: Final = re.compile(r"lua\.|\blua\.")


def refused(found: Model, targets: tuple[Proxy, ...], here: Callable[[str], Path]) -> Iterator[Problem]:
    """Yield what cannot run; `targets` are the backends that the lab's clients reach.

    `here` returns the path on this machine of a file that the configuration names.
    """
    for section in found.configuration.statements:
        if reason := _SECTIONS.get(section.name):
            yield unmappable(section.location, section.name, reason)
        for statement in section.inside:
            yield from _statement(statement, here)
    for proxy in found.proxies:
        yield from _listeners(proxy)
        yield from _servers(proxy)
    for proxy in targets:
        yield from _checks(proxy)


def _statement(statement: Statement, here: Callable[[str], Path]) -> Iterator[Problem]:
    first = statement.arguments[:1]
    if reason := _STATEMENTS.get(statement.name):
        yield unmappable(statement.location, statement.name, reason)
    elif statement.name == "option" and first and (reason := _OPTIONS.get(first[0])):
        yield unmappable(statement.location, f"option {first[0]}", reason)
    elif statement.name == "filter" and first == ("spoe",):
        yield unmappable(statement.location, "filter spoe", "it needs another program")
    elif statement.name == "source" and "usesrc" in statement.arguments:
        yield unmappable(statement.location, "usesrc", _SERVER["usesrc"])
    for word in statement.words[1:]:
        if statement.name.startswith(("http-", "tcp-")) and (reason := _ACTIONS.get(word.text.partition("(")[0])):
            yield unmappable(word.location, word.text, reason)
        if _LUA.match(word.text):
            yield unmappable(word.location, word.text, "nlbgen does not run Lua programs")
        yield from _files(statement, word, here)


def _files(statement: Statement, word: Word, here: Callable[[str], Path]) -> Iterator[Problem]:
    """Refuse lists and maps in files that this machine does not have."""
    names = map_files(word.text)
    before = statement.words[statement.words.index(word) - 1].text
    if before == "-f":
        names.append(word.text)
    for name in names:
        if not here(name).is_file():
            hint = "copy it to this path, or give its folder: --map LIVE=FOLDER"
            yield unmappable(word.location, name, "the file is not on this machine", hint)


def _listeners(proxy: Proxy) -> Iterator[Problem]:
    for bind in proxy.binds:
        for setting in bind.settings:
            if reason := _BIND.get(setting.word.text):
                yield unmappable(setting.word.location, setting.word.text, reason)
            if setting.word.text == "verify" and setting.text == "required":
                yield unmappable(setting.word.location, "verify required", "the lab's clients have no certificates")
        address = bind.address.text
        if "$" in address:
            yield unmappable(bind.address.location, address, "the address is known only in HAProxy's environment")
        elif address.startswith(("fd@", "sockpair@", "rhttp@")) or re.search(r":\d+-\d+$", address):
            yield unmappable(bind.address.location, address, "the lab maps single ports of TCP and paths of sockets")


def _servers(proxy: Proxy) -> Iterator[Problem]:
    for server in proxy.servers:
        if server.template and not template_numbers(server):
            word = server.statement.words[2]
            yield unmappable(word.location, word.text, "HAProxy reads a number or a range of servers here")
        for name, setting in server.settings.items():
            if reason := _SERVER.get(name):
                yield unmappable(setting.word.location, name, reason)
        location = address_word(server).location
        if "$" in server.address:
            yield unmappable(location, server.address, "the address is known only in HAProxy's environment")
        elif server.address.startswith(_DYNAMIC) or is_unspecified(server.address.rpartition(":")[0]):
            yield unmappable(location, server.address, "the address of the node is known only at run time")
        if server.value("proto") == "h2":
            yield unmappable(server.location, "proto h2", "the simulated nodes have only HTTP/1.1")
        elsewhere = server.has("check") and not {"port", "addr"}.isdisjoint(server.settings)
        if elsewhere and server.has("ssl") != server.has("check-ssl"):
            reason = "a simulated node has TLS for its checks exactly if it has TLS for requests"
            yield unmappable(server.location, "check", reason)


def _checks(proxy: Proxy) -> Iterator[Problem]:
    """Refuse checks that a simulated node cannot answer."""
    for name in sorted(_CHECKS):
        if found := proxy.option(name):
            yield unmappable(found.location, f"option {name}", "the simulated nodes have only HTTP")
    for statement in proxy.all("tcp-check"):
        if statement.arguments[:1] not in (("connect",), ("comment",)):
            what = "tcp-check " + "".join(statement.arguments[:1])
            yield unmappable(statement.location, what, "the simulated nodes have only HTTP")
    for statement in proxy.all("http-check", "expect"):
        words = [word for word in statement.arguments[1:] if word != "!"]
        kind = words[0] if words else ""
        if kind in {"string", "rstring"} and "!" not in statement.arguments and "Healthy" not in words[1:]:
            reason = "a simulated node answers a check with the text Healthy"
            yield unmappable(statement.location, f"http-check expect {kind}", reason)
