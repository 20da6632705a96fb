"""Virtual servers: timeouts, WebSockets, headers, persistence and TLS."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.f5.builtin import KINDS
from ...readers.f5.model import Model, Profile, Virtual
from ..rule import Found, Rule
from .base import F5, TMSH, code, each_virtual, named, number, profile_place, short, unknown_rules

LONG_POLL: Final = 110
"""SignalR answers a long poll after at most 110 s."""
_DEFAULT_IDLE: Final = 300
_FORWARDED_FOR: Final = "x-forwarded-for"
_CLEANED: Final = re.compile(r"http::header\s+(?:remove|replace)|x-forwarded\*")
_CLASSIC: Final = "/signalr"
_OLD: Final = {"no-tlsv1": "TLS 1.0", "no-tlsv1.1": "TLS 1.1"}


def _idle(found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile in (*virtual.of_kind("tcp"), *virtual.of_kind("fastl4")):
        limit = number(found.value(profile, "idle-timeout"))
        if limit is not None and limit <= LONG_POLL:
            where = profile_place(profile, "idle-timeout")
            yield Found(where, f"{named(virtual)} closes a connection without traffic after {limit} s")


def _websocket(_found: Model, virtual: Virtual) -> Iterator[Found]:
    if virtual.of_kind("http") and not virtual.of_kind("websocket"):
        yield Found(virtual.item.location, f"{named(virtual)} has an http profile and no websocket profile")


def _oneconnect(_found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile in virtual.of_kind("one-connect"):
        if not virtual.of_kind("ntlm"):
            what = "requests of different users share a connection to a node"
            yield Found(profile.statement.location, f"{named(virtual)}: {what}")


def _no_snat(_found: Model, virtual: Virtual) -> Iterator[Found]:
    if virtual.snat in {"", "none"}:
        where = virtual.item.location
        yield Found(
            where, f"{named(virtual)} has no SNAT: the nodes send their answers directly to the clients' addresses"
        )


def _addresses(found: Model, virtual: Virtual) -> tuple[Profile | None, bool, bool]:
    """The http profile, whether X-Forwarded-For is set, and whether a client's own is removed first."""
    profile = next(iter(virtual.of_kind("http")), None)
    text = code(found, virtual)
    inserted = profile is not None and found.value(profile, "insert-xforwarded-for") == "enabled"
    written = profile is not None and _FORWARDED_FOR in (found.value(profile, "header-insert") or "").lower()
    by_rule = _FORWARDED_FOR in text or unknown_rules(found, virtual)
    cleaned = unknown_rules(found, virtual) or (by_rule and _CLEANED.search(text) is not None)
    erased = profile is not None and _FORWARDED_FOR in (found.value(profile, "header-erase") or "").lower()
    return profile, inserted or written or by_rule, cleaned or erased


def _no_address(found: Model, virtual: Virtual) -> Iterator[Found]:
    profile, is_set, _ = _addresses(found, virtual)
    if profile is not None and not is_set and virtual.snat not in {"", "none"}:
        where = profile_place(profile, "insert-xforwarded-for")
        yield Found(where, f"{named(virtual)}: the nodes see the BIG-IP's address for every client")


def _forged(found: Model, virtual: Virtual) -> Iterator[Found]:
    profile, is_set, cleaned = _addresses(found, virtual)
    if profile is not None and is_set and not cleaned:
        where = profile_place(profile, "insert-xforwarded-for")
        yield Found(where, f"{named(virtual)}: the header X-Forwarded-For of the client also reaches the nodes")


def _no_scheme(found: Model, virtual: Virtual) -> Iterator[Found]:
    encrypted = virtual.of_kind("client-ssl") and not virtual.of_kind("server-ssl")
    written = [found.value(profile, "header-insert") or "" for profile in virtual.of_kind("http")]
    known = "x-forwarded-proto" in " ".join((code(found, virtual), *written)).lower()
    if encrypted and virtual.of_kind("http") and not known and not unknown_rules(found, virtual):
        where = virtual.of_kind("client-ssl")[0].statement.location
        yield Found(where, f"{named(virtual)}: the BIG-IP does not tell the nodes that the client used https")


def _cookies(found: Model, virtual: Virtual) -> Iterator[tuple[Profile, str]]:
    """The cookie persistence of a virtual server, as a profile whose values are inherited like others'."""
    for path in virtual.persistence:
        item = found.items.get(("ltm persistence cookie", path))
        if item is not None or KINDS.get(path) == "ltm persistence cookie":
            yield Profile(path, "ltm persistence cookie", "all", virtual.item.statement, item), path


def _cookie_attributes(found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile, path in _cookies(found, virtual):
        for name in ("secure", "httponly"):
            if found.value(profile, name) == "disabled":
                yield Found(profile_place(profile, name), f"the cookie of profile `{short(path)}` is not `{name}`")


def _cookie_address(found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile, path in _cookies(found, virtual):
        inserts = found.value(profile, "method") == "insert"
        plain = found.value(profile, "cookie-encryption") == "disabled"
        if inserts and plain and found.value(profile, "cookie-name") == "none":
            what = "contains the name of the pool and the address of the node"
            yield Found(profile_place(profile, "cookie-encryption"), f"the cookie of profile `{short(path)}` {what}")


def _no_affinity(found: Model, virtual: Virtual) -> Iterator[Found]:
    pools = [found.pools[path] for path in virtual.pools if path in found.pools]
    largest = max(pools, key=lambda pool: len(pool.members), default=None)
    classic = _CLASSIC in code(found, virtual) or any(_CLASSIC in text for text in _paths(found, virtual))
    chosen = "persist" in code(found, virtual) or unknown_rules(found, virtual)
    if largest is None or len(largest.members) < 2 or virtual.persistence or classic or chosen:
        return
    name, members = f"pool `{short(largest.item.path)}`", len(largest.members)
    yield Found(virtual.item.location, f"{named(virtual)} has no persistence, and {name} has {members} members")


def _paths(found: Model, virtual: Virtual) -> Iterator[str]:
    """All words of the policies of a virtual server, in lower case."""
    for used in virtual.item.entries("policies"):
        policy = found.named("ltm policy", used.name if used.name.startswith("/") else f"/Common/{used.name}")
        for one in policy.statement.walk() if policy else ():
            yield from (word.text.lower() for word in one.words)


def _old_versions(found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile in virtual.of_kind("client-ssl"):
        options = _options(found, profile)
        ciphers = (found.value(profile, "ciphers") or "").lower()
        old = [name for option, name in _OLD.items() if options is not None and option not in options]
        if old and "!tlsv1" not in ciphers and not ciphers.startswith("tlsv1_"):
            yield Found(
                profile_place(profile, "options"),
                f"profile `{short(profile.path)}`: clients can use {' and '.join(old)}",
            )


def _options(found: Model, profile: Profile) -> set[str] | None:
    """The options of a client-ssl profile, its own or inherited; None if a parent is not known."""
    item = profile.item
    for _ in range(len(found.items)):
        if item is None:
            break
        if written := item.listed("options"):
            return {word.text for word in written}
        parent = item.text("defaults-from")
        path = parent if parent.startswith("/") else f"/Common/{parent}"
        above = found.items.get((item.kind, path))
        if above is None and parent and path not in KINDS:
            return None
        item = above
    return set()


def _unverified(found: Model, virtual: Virtual) -> Iterator[Found]:
    for profile in virtual.of_kind("server-ssl"):
        mode = found.value(profile, "peer-cert-mode") or "ignore"
        known = profile.item is None or found.effective(profile.item, "peer-cert-mode") is not None
        if mode == "ignore" and known:
            where = profile_place(profile, "peer-cert-mode")
            yield Found(where, f"profile `{short(profile.path)}`: the certificates of the nodes are not verified")


RULES: Final = (
    Rule(
        id="f5-idle-timeout",
        vendors=F5,
        severity="warning",
        title="connections without traffic stay open for longer than a long poll",
        why="SignalR answers a long poll after up to 110 s, and a WebSocket without pings is silent for longer. A "
        "BIG-IP closes a connection without traffic after the idle timeout of the TCP profile; TCP "
        "keep-alive packets start only after 1800 s",
        instead="write `idle-timeout 3600` in the TCP profiles of both sides",
        source=f"{TMSH}/ltm_profile_tcp.html",
        check=each_virtual(_idle),
        scenario="idle-websocket",
    ),
    Rule(
        id="f5-websocket-profile",
        vendors=F5,
        severity="note",
        title="a virtual server with an http profile has a websocket profile (BIG-IP 12.1 or later)",
        why="without a websocket profile, the BIG-IP forwards the upgrade, but does not treat the connection as a "
        "WebSocket. Other profiles on the virtual server can then change or delay its frames",
        instead="add `/Common/websocket`, or a profile with `masking preserve`, to the virtual server",
        source=f"{TMSH}/ltm_profile_websocket.html",
        check=each_virtual(_websocket),
    ),
    Rule(
        id="f5-oneconnect-sign-in",
        vendors=F5,
        severity="warning",
        title="OneConnect is off for Windows sign-ins",
        why="NTLM and Negotiate authenticate a connection, not a request. OneConnect reuses a connection for "
        "requests of other users, so the node treats them as requests of the first user",
        instead="remove the OneConnect profile, or add an NTLM profile to the virtual server",
        source=f"{TMSH}/ltm_profile_one-connect.html",
        check=each_virtual(_oneconnect),
        scenario="windows-sign-in",
    ),
    Rule(
        id="f5-snat",
        vendors=F5,
        severity="note",
        title="answers go back through the BIG-IP",
        why="without SNAT, a node sends its answer to the client's address. Unless the BIG-IP is the node's gateway, "
        "the answer does not pass the BIG-IP, and the client drops it",
        instead="write `source-address-translation { type automap }`, if the BIG-IP is not the gateway of the nodes",
        source=f"{TMSH}/ltm_virtual.html",
        check=each_virtual(_no_snat),
    ),
    Rule(
        id="f5-forwarded-for",
        vendors=F5,
        severity="warning",
        title="the nodes get the clients' addresses",
        why="with SNAT, the address of every connection is that of the BIG-IP. Audit logs and limits by address "
        "need X-Forwarded-For",
        instead="set X-Forwarded-For in an iRule that removes the client's own first, as `nlbgen render f5` does",
        source=f"{TMSH}/ltm_profile_http.html",
        check=each_virtual(_no_address),
        scenario="forged-headers",
    ),
    Rule(
        id="f5-forged-address",
        vendors=F5,
        severity="warning",
        title="a client cannot set X-Forwarded-For",
        why="`insert-xforwarded-for` adds a header, and keeps the header that the client sent. Programs that read "
        "the first header get an address that the client chose",
        instead="add an iRule: `when HTTP_REQUEST { HTTP::header replace X-Forwarded-For [IP::client_addr] }`, and "
        "disable `insert-xforwarded-for`",
        source=f"{TMSH}/ltm_profile_http.html",
        check=each_virtual(_forged),
        scenario="forged-headers",
    ),
    Rule(
        id="f5-forwarded-proto",
        vendors=F5,
        severity="warning",
        title="the nodes know that the client used https",
        why="the BIG-IP terminates TLS. The node then builds links and redirects with http, and cookies without Secure",
        instead='write `header-insert "X-Forwarded-Proto: https"` in the http profile',
        source="https://learn.microsoft.com/aspnet/core/host-and-deploy/proxy-load-balancer",
        check=each_virtual(_no_scheme),
    ),
    Rule(
        id="f5-cookie-attributes",
        vendors=F5,
        severity="warning",
        title="the persistence cookie is `secure` and `httponly`",
        why="without `secure`, browsers also send the cookie without TLS; without `httponly`, scripts of a page can "
        "read it",
        instead="write `secure enabled` and `httponly enabled`",
        source=f"{TMSH}/ltm_persistence_cookie.html",
        check=each_virtual(_cookie_attributes),
    ),
    Rule(
        id="f5-cookie-address",
        vendors=F5,
        severity="note",
        title="the persistence cookie does not show the node's address",
        why="the default name of the cookie is BIGipServer followed by the name of the pool, and its value is the "
        "node's address and port, which anyone can decode",
        instead="write `cookie-encryption required` with a passphrase, and a `cookie-name`",
        source="https://my.f5.com/manage/s/article/K6917",
        check=each_virtual(_cookie_address),
    ),
    Rule(
        id="f5-signalr-core-affinity",
        vendors=F5,
        severity="note",
        title="ASP.NET Core SignalR needs affinity",
        why="only the node that negotiated a connection of SignalR Core knows it. Another node answers 404, unless "
        "clients use WebSockets only and skip the negotiation. Classic SignalR (path /signalr) needs no affinity",
        instead="write `persist { /Common/cookie { default yes } }`",
        source="https://learn.microsoft.com/aspnet/core/signalr/scale",
        check=each_virtual(_no_affinity),
        scenario="signalr-core",
    ),
    Rule(
        id="f5-tls-version",
        vendors=F5,
        severity="error",
        title="clients need TLS 1.2 or later",
        why="TLS 1.0 and 1.1 are insecure and deprecated (RFC 8996). Security audits reject them. The built-in "
        "profiles of a BIG-IP allow them",
        instead="write `options { dont-insert-empty-fragments no-sslv3 no-tlsv1 no-tlsv1.1 }` in the client-ssl "
        "profile",
        source=f"{TMSH}/ltm_profile_client-ssl.html",
        check=each_virtual(_old_versions),
        scenario="tls-profile",
    ),
    Rule(
        id="f5-nodes-unverified",
        vendors=F5,
        severity="warning",
        title="the nodes' certificates are verified",
        why="with `peer-cert-mode ignore`, the default, a machine that takes over a node's address gets the users' "
        "passwords and tokens",
        instead="write `peer-cert-mode require`, `ca-file` and `authenticate-name` in the server-ssl profile",
        source=f"{TMSH}/ltm_profile_server-ssl.html",
        check=each_virtual(_unverified),
    ),
)
