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
            'with TLS ended at the balancer, the IIS rewrite rule "Redirect HTTP to HTTPS" loops',
            "switch that rule off on every node and bind the site to http, or write `mode: bridge`",
        )


_NEED_HTTP: Final[tuple[Path, ...]] = (
    ("balancer", "max_body"),
    ("balancer", "signalr", "paths"),
    ("balancer", "limits", "requests_per_node"),
    ("frontend", "aliases"),
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
                "has no effect: with passthrough the balancer sees no HTTP",
                "leave it out, or write `mode: bridge` under frontend.tls",
            )


def _node_ca(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    if tls.mode == "bridge" and "verify_nodes" not in tls.written:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            f"is not given: a node whose certificate no CA in {tls.verify_nodes} has signed gets no requests",
            "write the path of the CA that the nodes' certificates chain to",
        )


def _unverified_nodes(farm: Farm) -> Iterator[Finding]:
    tls = farm.frontend.tls
    if tls.mode == "bridge" and tls.verify_nodes is False:
        yield Finding(
            ("frontend", "tls", "verify_nodes"),
            "no node's certificate is verified: any machine that answers at a node's address reads the passwords",
            "write the path of the CA that the nodes' certificates chain to",
        )


def _redirect(farm: Farm) -> Iterator[Finding]:
    frontend = farm.frontend
    if not frontend.redirect_http:
        return
    if frontend.tls.mode == "none":
        yield Finding(
            ("frontend", "redirect_http"),
            "there is no https to redirect to: tls.mode is none",
            "leave redirect_http out, or write a TLS mode",
        )
    elif frontend.port == 80:
        yield Finding(
            ("frontend", "port"),
            "port 80 is taken by the redirect to https",
            "write another port (443), or `redirect_http: false`",
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
            f"the balancer listens only on {listen}, and clients connect to the shared address {shared}",
            f"write `address: {shared}`, or leave it out to listen on every address",
        )
    network = ipaddress.ip_interface(vip.address).network
    if network.num_addresses > 2 and shared in {network.network_address, network.broadcast_address}:
        message = f"{shared} is no machine's address but stands for the network {network}"
        yield Finding(("frontend", "vip", "address"), message, "write an address in that network")
    for index, node in enumerate(farm.nodes):
        if node.address == str(shared):
            message = f"{node.address} is the address that the balancers share"
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
                path, f"{balancer} is the address that they share", "write the balancer's own address or name"
            )
        if balancer in nodes:
            yield Finding(path, f"{balancer} is the node {nodes[balancer]}", "a balancer is a machine of its own")


RULES: Final = (
    Rule(
        "tls-terminate-redirect",
        "warning",
        "IIS's redirect rule loops behind a balancer that ends TLS",
        _tls_terminate_redirect,
    ),
    Rule(
        "passthrough-http",
        "warning",
        "keys that need a balancer that sees HTTP have no effect under passthrough",
        _passthrough_http,
    ),
    Rule("node-ca", "warning", "the CA of the nodes' certificates is usually the company's own", _node_ca),
    Rule("unverified-nodes", "warning", "without a CA any machine can impersonate a node", _unverified_nodes),
    Rule("redirect-port", "error", "the redirect to https needs https and port 80", _redirect),
    Rule("vip-address", "error", "clients connect to the shared address, so the balancer listens on it", _vip_address),
    Rule("vip-balancers", "error", "each balancer is a machine of its own, with its own address", _vip_balancers),
)
