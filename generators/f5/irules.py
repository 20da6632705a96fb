"""The texts of a farm's iRules: lines of Tcl, without the mark in their first line."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...spec.model import Farm
from ..design import ANY_PORT, COOKIE, Design
from ..headers import FORGED_NAMES, FORGED_PREFIXES
from ..tls import HSTS_SECONDS

_MOVED: Final = '[expr { [HTTP::method] eq "GET" || [HTTP::method] eq "HEAD" ? 301 : 308 }]'
"""The status of the redirect: a client repeats a POST after 308; after 301 it sends a GET."""
REDIRECT_PORT: Final = 80
"""The port for clients without TLS."""
_REMOVED: Final = (*FORGED_NAMES, *(f"{prefix}*" for prefix in FORGED_PREFIXES), "*_*", "HTTP2-Settings")
"""The patterns of the headers that a client must not set. IIS reads an underscore in a name as a hyphen."""


def request_irule(farm: Farm, design: Design, *, redirects: bool) -> Iterator[str]:
    """Answer the farm's own names only, set headers that clients must not set, refuse bodies that are too large, and
    add HSTS to answers. With `redirects` the iRule handles port 80 as well, and redirects to the farm's own name.

    The iRule sets X-Forwarded-For, not the http profile: F5 does not document whether the profile inserts its header
    before this event, which would remove it, or after. The address in it has no route domain (`%2`).
    """
    yield "when HTTP_REQUEST {"
    if redirects:
        yield f"    if {{ [TCP::local_port] == {REDIRECT_PORT} }} {{"
        yield from (f"        {line}" for line in _redirect(design))
        yield "        return"
        yield "    }"
    # Several Host headers make a list, which differs from every name.
    yield f'    switch -- [regsub {{{ANY_PORT}$}} [string tolower [HTTP::header values "Host"]] ""] {{'
    yield from (f'        "{host.lower()}" -' for host in design.hosts[:-1])
    yield f'        "{design.hosts[-1].lower()}" {{ }}'
    yield "        default {"
    refusal = "This farm does not have the requested host name."
    yield f'            HTTP::respond 421 content "{refusal}" "Content-Type" "text/plain"'
    yield "            return"
    yield "        }"
    yield "    }"
    if design.closed:
        headers = f'"Content-Type" "text/html; charset=utf-8" "Retry-After" "{_retry_after(design)}"'
        page = f"{{{design.maintenance_page}}}"
        yield f'    HTTP::respond 503 content {page} {headers} "Cache-Control" "no-store" "Connection" "close"'
        yield "    return"
        yield "}"
        return
    yield "    foreach name [HTTP::header names] {"
    yield "        switch -glob -- [string tolower $name] {"
    yield from (f'            "{pattern.lower()}" -' for pattern in _REMOVED[:-1])
    yield f'            "{_REMOVED[-1].lower()}" {{ HTTP::header remove $name }}'
    yield "        }"
    yield "    }"
    yield '    HTTP::header insert "X-Forwarded-For" [getfield [IP::client_addr] "%" 1]'
    yield f'    HTTP::header insert "X-Forwarded-Proto" "{design.scheme}"'
    yield '    HTTP::header insert "X-Forwarded-Host" [HTTP::host]'
    yield f'    HTTP::header insert "X-Forwarded-Port" "{design.frontend.port}"'
    # A connection may be upgraded to a WebSocket only; several values make a list, which differs.
    yield '    if { [string tolower [HTTP::header values "Upgrade"]] ne "websocket" } {'
    yield '        HTTP::header remove "Upgrade"'
    yield "    }"
    yield from _body_limit(int(farm.balancer.max_body))
    yield "}"
    if design.frontend.tls.hsts and farm.balancer_tls:
        yield "when HTTP_RESPONSE {"
        yield f'    HTTP::header replace "Strict-Transport-Security" "max-age={HSTS_SECONDS}"'
        yield "}"


def _retry_after(design: Design) -> int:
    return design.balancer.maintenance.retry_after.seconds


def _body_limit(limit: int) -> Iterator[str]:
    """Refuse a body that is larger than the limit.

    Tcl reads a number with a leading zero as octal, and compares a text that is not a number as a text. Therefore, the
    iRule removes the zeros and accepts only digits, and no more digits than the limit has.
    """
    yield '    foreach length [HTTP::header values "Content-Length"] {'
    yield '        set length [string trimleft [string trim $length] "0"]'
    yield "        if { ![regexp {^[0-9]*$} $length] } {"
    yield '            HTTP::respond 400 content "Invalid Content-Length" "Connection" "close"'
    yield "            return"
    yield "        }"
    yield f"        if {{ [string length $length] > {len(str(limit))} || $length > {limit} }} {{"
    yield '            HTTP::respond 413 content "Too large" "Connection" "close"'
    yield "            return"
    yield "        }"
    yield "    }"


def redirect_irule(design: Design) -> Iterator[str]:
    """Redirect plain HTTP to the farm's own name, for farms with passthrough."""
    yield "when HTTP_REQUEST {"
    yield from (f"    {line}" for line in _redirect(design))
    yield "}"


def _redirect(design: Design) -> Iterator[str]:
    """A redirect to the farm's own name; F5's own iRule redirects to any name that the client sends.

    A target that does not begin with a slash (`http://...`, `@evil.example/`) would change the name in Location.
    """
    yield 'if { [string index [HTTP::uri] 0] ne "/" } {'
    yield '    HTTP::respond 400 content "The request target must be a path." "Connection" "close"'
    yield "    return"
    yield "}"
    yield f'HTTP::respond {_MOVED} Location "{design.public_url}[HTTP::uri]"'


def signalr_irule(paths: Sequence[str], signalr: str, web: str, *, sticky: bool, held: bool) -> Iterator[str]:
    """Do what the traffic policy does, for APIs that have none; `sticky` sets a cookie on these paths only.

    `pool` and `persist` apply to the rest of a connection, so every request sets both. With `held` clients stay on a
    node by their address on all other paths.
    """
    patterns = [f'"{path.lower()}*"' for path in paths]
    yield "when HTTP_REQUEST {"
    yield "    switch -glob [string tolower [HTTP::path]] {"
    yield from (f"        {pattern} -" for pattern in patterns[:-1])
    yield f"        {patterns[-1]} {{"
    yield f"            pool {signalr}"
    if sticky:
        yield f"            persist cookie insert {COOKIE}"
    yield "        }"
    yield "        default {"
    yield f"            pool {web}"
    if sticky:
        yield f"            persist {'source_addr' if held else 'none'}"
    yield "        }"
    yield "    }"
    yield "}"


def unchecked_irule(web: str, unchecked: str, *, http: bool, returns: bool) -> Iterator[str]:
    """Select the pool without a monitor while the monitors of all nodes fail.

    A device evaluates policies before iRules (F5's article K16590), and iRules in the order of the virtual server, so
    this choice is the last one. `pool` applies to the rest of a connection: with `returns`, nothing else selects a pool
    for the next request, and this iRule selects the checked pool again.
    """
    yield f"when {'HTTP_REQUEST' if http else 'CLIENT_ACCEPTED'} {{"
    yield f"    if {{ [active_members {web}] == 0 }} {{"
    yield f"        pool {unchecked}"
    if returns:
        yield "    } else {"
        yield f"        pool {web}"
    yield "    }"
    yield "}"
