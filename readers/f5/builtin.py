"""The profiles and monitors that every BIG-IP has, which no configuration file lists: their kinds and values.

Source: the defaults in tmsh's reference (16.1) of `ltm profile tcp`, `http`, `client-ssl`, `fastl4`,
`ltm persistence cookie` and `ltm monitor`; recorded answers of devices with 16.0 have the same values.
"""

from collections.abc import Mapping
from typing import Final

_TCP: Final = (
    *("tcp", "f5-tcp-lan", "f5-tcp-wan", "f5-tcp-mobile", "f5-tcp-progressive", "tcp-legacy", "tcp-lan-optimized"),
    *("tcp-wan-optimized", "tcp-mobile-optimized", "mptcp-mobile-optimized", "splitsession-default-tcp"),
)
KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys((f"/Common/{name}" for name in _TCP), "ltm profile tcp"),
    "/Common/fastL4": "ltm profile fastl4",
    "/Common/http": "ltm profile http",
    "/Common/http-explicit": "ltm profile http",
    "/Common/http-transparent": "ltm profile http",
    "/Common/http2": "ltm profile http2",
    "/Common/websocket": "ltm profile websocket",
    "/Common/oneconnect": "ltm profile one-connect",
    "/Common/ntlm": "ltm profile ntlm",
    "/Common/clientssl": "ltm profile client-ssl",
    "/Common/clientssl-insecure-compatible": "ltm profile client-ssl",
    "/Common/clientssl-secure": "ltm profile client-ssl",
    "/Common/serverssl": "ltm profile server-ssl",
    "/Common/serverssl-insecure-compatible": "ltm profile server-ssl",
    "/Common/cookie": "ltm persistence cookie",
    "/Common/source_addr": "ltm persistence source-addr",
    "/Common/dest_addr": "ltm persistence dest-addr",
    "/Common/ssl": "ltm persistence ssl",
    "/Common/universal": "ltm persistence universal",
    "/Common/hash": "ltm persistence hash",
}
"""The kind of each built-in profile and persistence."""
MONITORS: Final[Mapping[str, str]] = {
    **{f"/Common/{name}": f"ltm monitor {name}" for name in ("http", "https", "tcp", "udp", "tcp-echo", "inband")},
    "/Common/gateway_icmp": "ltm monitor gateway-icmp",
    "/Common/icmp": "ltm monitor icmp",
    "/Common/tcp_half_open": "ltm monitor tcp-half-open",
    "/Common/http_head_f5": "ltm monitor http",
    "/Common/https_head_f5": "ltm monitor https",
    "/Common/https_443": "ltm monitor https",
    "/Common/http2": "ltm monitor http2",
    "/Common/http2_head_f5": "ltm monitor http2",
}
"""The kind of each built-in monitor."""
VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "ltm profile tcp": {"idle-timeout": "300", "keep-alive-interval": "1800"},
    "ltm profile fastl4": {"idle-timeout": "300"},
    "ltm profile http": {"insert-xforwarded-for": "disabled", "header-insert": "none"},
    "ltm profile client-ssl": {"ciphers": "DEFAULT", "cipher-group": "none"},
    "ltm profile server-ssl": {"peer-cert-mode": "ignore"},
    "ltm persistence cookie": {
        "method": "insert",
        "secure": "enabled",
        "httponly": "enabled",
        "cookie-encryption": "disabled",
        "cookie-name": "none",
        "expiration": "0",
    },
    **{f"ltm monitor {name}": {"interval": "5", "timeout": "16"} for name in ("http", "https", "tcp", "icmp")},
    "ltm monitor gateway-icmp": {"interval": "5", "timeout": "16"},
    "ltm monitor tcp-half-open": {"interval": "5", "timeout": "16"},
}
"""The values of the built-in objects, by kind."""
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "/Common/clientssl-secure": {"ciphers": "ecdhe:rsa:!sslv3:!rc4:!exp:!des"},
}
"""Values of single built-in objects that differ."""
