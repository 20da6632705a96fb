"""Profiles of virtual servers, and persistence."""

from collections.abc import Iterator
from typing import Final

from ...spec.units import Version
from ..design import COOKIE
from ..tls import profile
from .view import View
from .vocabulary import Object, Value

LONGEST_IDLE: Final = 86_400
"""The longest idle timeout of AS3 in seconds; SignalR's pings come every few seconds."""
CIPHERS_12: Final = tuple(name for name in profile("intermediate", Version("3.0")).ciphers if "CHACHA20" not in name)
"""Mozilla's TLS 1.2 suites that every TMOS version from 11.6 on supports."""
CIPHERS_13: Final = ("TLS13-AES128-GCM-SHA256", "TLS13-AES256-GCM-SHA384")
"""Mozilla's TLS 1.3 suites that every TMOS version from 14.0 on supports, with F5's names."""
DEVICE_GROUP: Final = "/Common/f5-default"
"""The device's own group, with which iControl SOAP refuses Mozilla's modern profile."""


def profiles(view: View) -> Iterator[Object]:
    """The profiles that the farm's TLS mode needs: TLS to nodes and clients, HTTP, WebSockets, TCP."""
    if view.farm.node_tls and (not view.design.passthrough or view.has("monitor-ssl-profile")):
        yield _server_ssl(view)
    if view.farm.balancer_tls:
        if view.own_ciphers:
            yield from _ciphers(view)
        yield _client_ssl(view)
    if not view.design.passthrough:
        # The iRule sets X-Forwarded-For and -Proto: nodes would read a second value from here first.
        yield view.object(
            "ltm profile http",
            "http",
            defaults_from="/Common/http",
            header_insert="none",
            insert_xforwarded_for="disabled",
        )
        if view.has("websocket-profile"):
            yield view.object(
                "ltm profile websocket", "websocket", defaults_from="/Common/websocket", masking="preserve"
            )
    parent = "f5-tcp-progressive" if view.has("tcp-progressive") else "tcp"
    idle = min(view.farm.balancer.signalr.idle_timeout.seconds, LONGEST_IDLE)
    yield view.object("ltm profile tcp", "tcp", defaults_from=f"/Common/{parent}", idle_timeout=str(idle))


def _server_ssl(view: View) -> Object:
    verify, host = view.names.ca != "none", view.design.frontend.host
    return view.object(
        "ltm profile server-ssl",
        "nodes",
        authenticate_name=host if verify else "none",
        ca_file=view.names.ca,
        defaults_from="/Common/serverssl",
        options=_options(view, modern=False, group=None),
        peer_cert_mode="require" if verify else "ignore",
        server_name=host,
    )


def _options(view: View, *, modern: bool, group: str | None) -> tuple[str, ...]:
    """The versions of TLS that are off, to clients and to nodes: the parents' defaults have TLS 1.0 and 1.1."""
    options = ["dont-insert-empty-fragments", "no-sslv3", "no-tlsv1", "no-tlsv1.1"]
    options += ["no-tlsv1.2"] * modern
    # TLS 1.3 needs a cipher group; with a cipher string it is off.
    options += ["no-tlsv1.3"] * (group is None and view.has("tls-1.3"))
    return tuple(options)


def _ciphers(view: View) -> Iterator[Object]:
    """The suites of Mozilla's profile as a rule, and the group that allows it: a profile cannot name a rule."""
    suites = CIPHERS_13 if view.design.frontend.tls.profile == "modern" else (*CIPHERS_13, *CIPHERS_12)
    rule = view.object("ltm cipher rule", "cipher_rule", cipher=":".join(suites))
    yield rule
    yield view.object("ltm cipher group", "cipher_group", allow={rule.path: {}})


def _client_ssl(view: View) -> Object:
    tls, names = view.design.frontend.tls, view.names
    modern = tls.profile == "modern"
    own = view.path("cipher_group") if view.own_ciphers else None
    group = view.farm.f5.cipher_group or own or (DEVICE_GROUP if modern else None)
    ciphers: dict[str, Value] = {"ciphers": ":".join(CIPHERS_12)}
    if group is not None:
        ciphers = {"cipher_group": group, "ciphers": "none"}
    chain: dict[str, Value] = {} if names.chain == "none" else {"chain": names.chain}
    return view.object(
        "ltm profile client-ssl",
        "clients",
        cert_key_chain={"site": {"cert": names.certificate, **chain, "key": names.key}},
        **ciphers,
        defaults_from="/Common/clientssl",
        options=_options(view, modern=modern, group=group),
    )


def persistence(view: View) -> Iterator[Object]:
    """Persistence on all paths; the policy or iRule of SignalR's paths sets SignalR's cookie."""
    if view.persistence == "cookie" or view.policy_needs_profile:
        # The parent's cookie is Secure: no client sends it over plain HTTP.
        plain = view.persistence == "cookie" and not view.farm.balancer_tls and view.has("cookie-secure")
        secure: dict[str, Value] = {"secure": "disabled"} if plain else {}
        yield view.object(
            "ltm persistence cookie",
            "cookie",
            cookie_name=COOKIE,
            defaults_from="/Common/cookie",
            method="insert",
            **secure,
        )
    elif view.persistence == "source":
        # CARP picks the node by a hash of the address, without a table, which a failover would lose.
        yield view.object(
            "ltm persistence source-addr", "source", defaults_from="/Common/source_addr", hash_algorithm="carp"
        )
