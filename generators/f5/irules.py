"""The texts of a farm's iRules: Tcl, one line each, without the mark that stands above them."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...spec.model import Farm
from ..design import COOKIE, FORGEABLE_HEADERS, Design
from ..tls import HSTS_SECONDS

REDIRECT_PORT: Final = 80
"""Where clients come without TLS."""
_SET_HERE: Final = ("X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")
"""What the nodes hear of the request as the client made it; beside X-Forwarded-For, which is among the forgeable."""


def request_rule(farm: Farm, design: Design, *, redirects: bool) -> Iterator[str]:
    """Answers the farm's own names alone, sets the headers that clients may not set, refuses bodies that are too large,
    and adds HSTS to answers; with `redirects` it serves port 80 too, and sends from there to the farm's own name.

    X-Forwarded-For is set here and not by the http profile: nothing that F5 publishes says whether the profile inserts
    its header before this event, which would remove it, or after. An address has no route domain (`%2`) there.
    """
    yield "when HTTP_REQUEST {"
    if redirects:
        yield f"    if {{ [TCP::local_port] == {REDIRECT_PORT} }} {{"
        yield f"        {_redirect(design)}"
        yield "        return"
        yield "    }"
    yield '    switch -- [string tolower [getfield [HTTP::host] ":" 1]] {'
    yield from (f'        "{host.lower()}" -' for host in design.hosts[:-1])
    yield f'        "{design.hosts[-1].lower()}" {{ }}'
    yield "        default {"
    yield '            HTTP::respond 421 content "This is not the farm of that name." "Content-Type" "text/plain"'
    yield "            return"
    yield "        }"
    yield "    }"
    yield f"    foreach name {{{' '.join((*FORGEABLE_HEADERS, *_SET_HERE, 'HTTP2-Settings'))}}} {{"
    yield "        HTTP::header remove $name"
    yield "    }"
    yield '    HTTP::header insert "X-Forwarded-For" [getfield [IP::client_addr] "%" 1]'
    yield f'    HTTP::header insert "X-Forwarded-Proto" "{design.scheme}"'
    yield '    HTTP::header insert "X-Forwarded-Host" [HTTP::host]'
    yield f'    HTTP::header insert "X-Forwarded-Port" "{design.frontend.port}"'
    # A connection may become a WebSocket and nothing else; several values make a list that is not this word.
    yield '    if { [string tolower [HTTP::header values "Upgrade"]] ne "websocket" } {'
    yield '        HTTP::header remove "Upgrade"'
    yield "    }"
    limit = int(farm.balancer.max_body)
    yield f'    if {{ [HTTP::header exists "Content-Length"] && [HTTP::header "Content-Length"] > {limit} }} {{'
    yield '        HTTP::respond 413 content "Too large" "Connection" "close"'
    yield "    }"
    yield "}"
    if design.frontend.tls.hsts and farm.balancer_tls:
        yield "when HTTP_RESPONSE {"
        yield f'    HTTP::header replace "Strict-Transport-Security" "max-age={HSTS_SECONDS}"'
        yield "}"


def redirect_rule(design: Design) -> Iterator[str]:
    """Sends plain HTTP to the farm's own name, and does nothing else: for farms whose requests nobody reads."""
    yield "when HTTP_REQUEST {"
    yield f"    {_redirect(design)}"
    yield "}"


def _redirect(design: Design) -> str:
    """To the farm's own name, where F5's rule would send to whatever name the client came with."""
    return f'HTTP::respond 301 Location "{design.public_url}[HTTP::uri]"'


def signalr_rule(paths: Sequence[str], signalr: str, web: str, *, sticky: bool, held: bool) -> Iterator[str]:
    """What the traffic policy says, for ways onto a device that know none; `sticky` by a cookie on these paths alone.

    `pool` and `persist` hold for the rest of a connection, so that every request says both; with `held` the address
    holds clients on all other paths.
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
