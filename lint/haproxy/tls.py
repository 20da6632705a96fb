"""TLS to the clients and to the nodes."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from ...core.errors import Location
from ...readers.haproxy.model import Bind, Model, Proxy
from ...readers.tree import Word
from ..rule import Found, Rule
from .base import HAPROXY, MANUAL, by_model, each_backend, web_backends

_OLD: Final = frozenset({"SSLv3", "TLSv1.0", "TLSv1.1"})
_OLD_FLAGS: Final = frozenset({"force-sslv3", "force-tlsv10", "force-tlsv11"})
_WEAK: Final = re.compile(
    r"(?:^|:)(?!-|!)[^:]*(?:RC4|3DES|DES-CBC|MD5|NULL|EXP|CBC|CAMELLIA|SEED|IDEA|AES\d+-SHA(?:256|384)?(?=$|:)|(?<!H)ADH)"
)
"""Suites outside of Mozilla's intermediate profile, by OpenSSL's names."""
_GROUPS: Final = re.compile(r"(?:^|:)(?:ALL|DEFAULT|HIGH|MEDIUM|LOW|COMPLEMENTOFALL|kRSA|RSA|SSLv3|TLSv1)(?:[:+]|$)")
_MOZILLA: Final = "https://wiki.mozilla.org/Security/Server_Side_TLS"


def _encrypted(configuration: Model) -> Iterator[Bind]:
    for frontend in configuration.frontends:
        yield from (bind for bind in frontend.binds if bind.get("ssl"))


def _old_versions(configuration: Model) -> Iterator[Found]:
    for words in _option_words(configuration):
        for before, word in zip(("", *(one.text for one in words)), words, strict=False):
            if word.text in _OLD_FLAGS or (before in {"ssl-min-ver", "ssl-max-ver"} and word.text in _OLD):
                yield Found(word.location, f"`{word.text}` allows versions of TLS before 1.2")


def _option_words(configuration: Model) -> Iterator[tuple[Word, ...]]:
    if any(_encrypted(configuration)):
        yield from (one.words for one in configuration.all_global("ssl-default-bind-options"))
    yield from (bind.statement.words for bind in _encrypted(configuration))


def _weak_ciphers(configuration: Model) -> Iterator[Found]:
    default = configuration.last_global("ssl-default-bind-ciphers")
    if default and len(default.words) > 1 and any(_encrypted(configuration)):
        yield from _weak(default.words[1])
    for bind in _encrypted(configuration):
        own = bind.get("ciphers")
        if own and own.value:
            yield from _weak(own.value)
        elif default is None and not _only_newest(configuration, bind):
            yield Found(
                _place(bind),
                "there is no list of ciphers: OpenSSL's default includes CBC, and RSA without forward secrecy",
            )
            return


def _place(bind: Bind) -> Location:
    found = bind.get("ssl")
    return found.word.location if found else bind.location


def _only_newest(configuration: Model, bind: Bind) -> bool:
    """Whether only TLS 1.3 is allowed, which has no weak suites."""
    options = [word for one in configuration.all_global("ssl-default-bind-options") for word in one.arguments]
    words = [*options, *(word.text for word in bind.statement.words)]
    return "force-tlsv13" in words or ("ssl-min-ver", "TLSv1.3") in pairwise(words)


def _weak(word: Word) -> Iterator[Found]:
    found = _WEAK.search(word.text) or _GROUPS.search(word.text)
    if found:
        yield Found(
            word.location,
            f"the list of ciphers contains `{found[0].strip(':')}`, which is not in Mozilla's intermediate profile",
        )


def _unverified(_configuration: Model, backend: Proxy) -> Iterator[Found]:
    for server in backend.servers:
        setting = server.settings.get("verify")
        if server.has("ssl") and setting and setting.text == "none":
            yield Found(setting.word.location, f"server `{server.name}`: the certificate of the node is not verified")
            return


RULES: Final = (
    Rule(
        id="haproxy-tls-version",
        vendors=HAPROXY,
        severity="error",
        title="clients need TLS 1.2 or later",
        why="TLS 1.0 and 1.1 are insecure and deprecated (RFC 8996). Security audits reject them",
        instead="write `ssl-default-bind-options ssl-min-ver TLSv1.2`",
        source=_MOZILLA,
        check=by_model(_old_versions),
        scenario="tls-profile",
    ),
    Rule(
        id="haproxy-tls-ciphers",
        vendors=HAPROXY,
        severity="warning",
        title="the ciphers are those of Mozilla's intermediate profile",
        why="cipher suites outside Mozilla's list have no forward secrecy, or use CBC, which has known attacks",
        instead="write `ssl-default-bind-ciphers` with Mozilla's list, for example from `nlbgen render haproxy`",
        source=_MOZILLA,
        check=by_model(_weak_ciphers),
        scenario="tls-profile",
    ),
    Rule(
        id="haproxy-nodes-unverified",
        vendors=HAPROXY,
        severity="warning",
        title="the nodes' certificates are verified",
        why="with `verify none`, a machine that takes over a node's address gets the users' passwords and tokens",
        instead="write `verify required ca-file FILE verifyhost NAME` on the servers",
        source=f"{MANUAL}#5.2-verify",
        check=each_backend(web_backends, _unverified),
    ),
)
