"""Rules about the frontend: TLS, the redirect, the virtual address."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from ..model import Farm
from ..schema import Path
from .base import Finding, Rule


def _tls_terminate_redirect(farm: Farm) -> Iterator[Finding]:
    if farm.frontend.tls.mode == "terminate":
        yield Finding(
            ("frontend", "tls", "mode"),
            'TLS is terminated at the balancer: the IIS rewrite rule "Redirect HTTP to HTTPS" causes a redirect loop',
            "disable that rule on every node and add an http binding to the site, or write `mode: bridge`",
        )


def _tls_none(farm: Farm) -> Iterator[Finding]:
    if farm.frontend.tls.mode == "none":
        yield Finding(
            ("frontend", "tls", "mode"),
            "without TLS, passwords and tokens of users and robots cross the network in the clear",
            "write `mode: bridge`; robots need https",
        )


_NEED_HTTP: Final[tuple[Path, ...]] = (
    ("balancer", "max_body"),
    ("balancer", "signalr", "paths"),
    ("balancer", "limits", "requests_per_node"),
    ("frontend", "aliases"),
    ("frontend", "http2"),
    ("frontend", "windows_sign_in"),
    ("frontend", "tls", "hsts"),
    ("frontend", "tls", "profile"),
)


def _passthrough_http(farm: Farm) -> Iterator[Finding]:
    if farm.frontend.tls.mode != "passthrough":
        return
    for path in _NEED_HTTP:
        mapping: Any = farm
        for step in path[:-1]:
            mapping = getattr(mapping, str(step))
        if path[-1] in mapping.written:
            yield Finding(
                path,
                "has no effect: with passthrough the balancer does not decrypt TLS",
                "remove this key, or write `mode: bridge` under frontend.tls",
            )


def _windows_sign_in(farm: Farm) -> Iterator[Finding]:
    frontend = farm.frontend
    if frontend.windows_sign_in and "http2" in frontend.written and frontend.http2:
        yield Finding(
            ("frontend", "http2"),
            "Windows sign-in fails over HTTP/2: NTLM and Negotiate authenticate one connection to a node, but the "
            "requests of one HTTP/2 client use several connections",
            "remove this line; if users do not sign in by NTLM or Negotiate, write `windows_sign_in: false` instead",
        )


def _node_ca(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    # No product of the Zen family verifies certificates.
    only_zen = "zen" in farm.written and not farm.written & {"haproxy", "nginx", "f5"}
    on_device = farm.f5.node_ca is not None and not farm.written & {"haproxy", "nginx"}
    if tls.mode == "bridge" and "verify_nodes" not in tls.written and not only_zen and not on_device:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            f"is not set: a node gets no requests if its certificate was not issued by a CA in {tls.verify_nodes}",
            "write the path of the CA that the nodes' certificates chain to",
        )


def _unverified_nodes(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    if tls.mode == "bridge" and tls.verify_nodes is False:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            "the nodes' certificates are not verified: a machine that takes over a node's address can read passwords",
            "write the path of the CA that the nodes' certificates chain to",
        )


def _redirect(farm: Farm) -> Iterator[Finding]:
    frontend = farm.frontend
    if not frontend.redirect_http:
        return
    if frontend.tls.mode == "none":
        yield Finding(
            ("frontend", "redirect_http"),
            "the redirect to https needs https, but tls.mode is none",
            "remove `redirect_http`, or write a TLS mode",
        )
    elif frontend.port == 80:
        yield Finding(
            ("frontend", "port"),
            "port 80 is already used for the redirect to https",
            "write another port, for example 443, or write `redirect_http: false`",
        )


def _everywhere(version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address("0.0.0.0" if version == 4 else "::")  # noqa: S104  # compared, not listened on


def _vip_address(farm: Farm) -> Iterator[Finding]:
    vip, listen = farm.frontend.vip, farm.frontend.address
    if vip is None:
        return
    shared = ipaddress.ip_interface(vip.address).ip
    if listen != "*" and ipaddress.ip_address(listen) not in {shared, _everywhere(shared.version)}:
        yield Finding(
            ("frontend", "address"),
            f"the balancer listens only on {listen}, but clients connect to the shared address {shared}",
            f"write `address: {shared}`, or remove `address` to listen on every address",
        )
    network = ipaddress.ip_interface(vip.address).network
    if network.num_addresses > 2 and shared in {network.network_address, network.broadcast_address}:
        kind = "network" if shared == network.network_address else "broadcast"
        message = f"{shared} is the {kind} address of {network}, not the address of a machine"
        yield Finding(("frontend", "vip", "address"), message, "write an address in that network")
    for index, node in enumerate(farm.nodes):
        if node.address == str(shared):
            message = f"{node.address} is the shared address of the balancers"
            yield Finding(("nodes", index, "address"), message, "write the node's own address")


def _vip_balancers(farm: Farm) -> Iterator[Finding]:
    vip = farm.frontend.vip
    if vip is None:
        return
    shared = str(ipaddress.ip_interface(vip.address).ip)
    nodes = {node.address: node.name for node in farm.nodes}
    for index, balancer in enumerate(vip.balancers):
        path: Path = ("frontend", "vip", "balancers", index)
        if balancer in vip.balancers[:index]:
            yield Finding(path, f"{balancer} is listed twice", "list each balancer once")
        if balancer == shared:
            yield Finding(
                path, f"{balancer} is the shared address of the balancers", "write the balancer's own address or name"
            )
        if balancer in nodes:
            yield Finding(path, f"{balancer} is the node {nodes[balancer]}", "write the address of a separate machine")


RULES: Final = (
    Rule(
        "tls-terminate-redirect",
        "warning",
        "if TLS is terminated at the balancer, IIS's redirect rule causes a loop",
        _tls_terminate_redirect,
    ),
    Rule("tls-none", "warning", "without TLS, credentials cross the network in the clear", _tls_none),
    Rule(
        "passthrough-http",
        "warning",
        "with passthrough, keys about HTTP have no effect",
        _passthrough_http,
    ),
    Rule("windows-sign-in-http2", "error", "Windows sign-in does not work over HTTP/2", _windows_sign_in),
    Rule("node-ca", "warning", "the nodes' certificates usually need the company's own CA", _node_ca),
    Rule("unverified-nodes", "warning", "without a CA any machine can impersonate a node", _unverified_nodes),
    Rule("redirect-port", "error", "the redirect to https needs https and port 80", _redirect),
    Rule("vip-address", "error", "the balancer must listen on the shared address", _vip_address),
    Rule("vip-balancers", "error", "each balancer is a separate machine with its own address", _vip_balancers),
)
