"""The reason of each line of a configuration.

For HAProxy and NGINX the reason is the comment above the group of directives. F5 drops comments and the Zen family uses
them as its own marks, so there the reason comes from the tables here, by kind of object or by directive; docs/vendors/
has the details.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

F5_OBJECTS: Final[Mapping[str, str]] = {
    "ltm node": "One node for each address: a BIG-IP allows only one in all partitions.",
    "ltm monitor": "Checks the health endpoint of each node.",
    "ltm pool": "The nodes for one kind of request; connections to a node that is marked down are closed.",
    "ltm cipher rule": "The TLS suites of Mozilla's profile.",
    "ltm cipher group": "Allows the rule: F5 requires a group for TLS 1.3.",
    "ltm profile client-ssl": "TLS to the clients.",
    "ltm profile server-ssl": "TLS to the nodes: the farm's name by SNI, and the check of their certificates.",
    "ltm profile http": "Sends the client's address and the scheme https to the nodes.",
    "ltm profile websocket": "WebSocket frames are not changed.",
    "ltm profile tcp": "Keeps idle robots connected: F5's default of 300 seconds closes silent WebSockets.",
    "ltm persistence": "Keeps a client on its node.",
    "ltm policy": "Sends SignalR's paths to a pool of their own.",
    "ltm rule": "Removes headers that clients may not set, and refuses bodies that are too large.",
    "ltm virtual": "The frontend: robots and browsers connect here.",
}
"""The purpose of each kind of F5 object, by the beginning of its first line."""

F5_NAMES: Final[Mapping[str, str]] = {
    "_unchecked": "All nodes without a monitor: this pool serves while the monitors of all nodes fail.",
    "_unchecked_rule": "Selects the pool without a monitor while the monitors of all nodes fail.",
    "_redirect_rule": "Redirects http to https.",
    "_signalr_rule": "Sends SignalR's paths to a pool of their own.",
    "_health_redis": "Asks each Redis server for its role, as a user who may do nothing else.",
    "_redis": "The Redis servers: the master gets the connections; those to any other server are closed.",
    "_redis_tcp": "A connection to Redis can be idle.",
    "_redis_front": "The Redis frontend: the nodes connect here.",
    "_redis_front_v6": "The Redis frontend: the nodes connect here.",
}
"""The purpose of an F5 object that differs from that of its kind, by the end of its name."""

POUND_DIRECTIVES: Final[Mapping[str, str]] = {
    "Timeout": "The timeout for a response of a node: longer than a long poll.",
    "TimeOut": "The timeout for a response of this node: longer than a long poll.",
    "ConnTO": "The timeout for a connection to a node.",
    "Alive": "The interval of checks of a node that is down; greater than ConnTO, or zproxy and the API refuse it.",
    "WSTimeOut": "The idle timeout of a WebSocket.",
    "Client": "The idle timeout of a client; zproxy applies it to WebSockets too.",
    "xHTTP": "The allowed methods, PATCH included.",
    "AddHeader": "Orchestrator builds its links from it.",
    "Address": "The address of this listener or node.",
    "Cert": "Key, certificate and chain, before Ciphers and Disable: the order matters.",
    "Ciphers": "Mozilla's intermediate profile for TLS 1.2.",
    "Disable": "Disables insecure protocols.",
    "HeadRequire": "Accepts only the farm's own names.",
    "Priority": "The weight in Pound, 1 to 9; in zproxy the order in which nodes are used.",
    "Weight": "The node's share of new requests.",
    "Emergency": "The backup node: serves when no other node can.",
    "Session": "Keeps a client on its node.",
    "BackendCookie": "Keeps a client on its node by a cookie.",
    "StrictTransportSecurity": "Makes browsers use only https.",
    "Redirect": "Redirects http to https.",
    "RedirectAppend": "Redirects http to https, with the path.",
    "Err414": "A required error page: the engine does not start without it.",
    "Err500": "A required error page: the engine does not start without it.",
    "Err501": "A required error page: the engine does not start without it.",
    "Err503": "A required error page: the engine does not start without it.",
    "HTTPS": "TLS to this node; no product of the Zen family checks its certificate.",
}
"""The purpose of each directive of a farm file."""

HEADER_END: Final = "Do not edit: "
"""The beginning of the last line of a file's header; a header is not the reason of any line."""
_COMMENT: Final = re.compile(r"\s*# \S")
_OBJECT: Final = re.compile(r"(?P<kind>ltm \S+(?: [^\s/]\S*)?) (?P<path>/\S+) ")


def commented(lines: Sequence[str]) -> list[str]:
    """Return for each line the comment that applies to it; empty for comments and where there is none.

    A comment applies to the lines below it that are indented as far or further, up to a blank line before something at
    its own depth, or to the next comment there.
    """
    comments = _Comments()
    return [comments.reason(line, _next_depth(lines, number)) for number, line in enumerate(lines)]


class _Comments:
    """The comments that apply to a line, the outermost first, each with its depth."""

    def __init__(self) -> None:
        self._held: list[tuple[int, str]] = []
        self._goes_on = False
        """Whether the line before was a comment too."""

    def reason(self, line: str, next_depth: int) -> str:
        """Read one line; return the comment that applies to it."""
        depth = _depth(line)
        if not line.strip():
            self._held = [held for held in self._held if held[0] < next_depth]
            self._goes_on = False
            return ""
        if _COMMENT.match(line):
            self._read(depth, line.strip().removeprefix("# "))
            return ""
        self._held = [held for held in self._held if held[0] <= depth]
        self._goes_on = False
        return self._held[-1][1] if self._held else ""

    def _read(self, depth: int, words: str) -> None:
        if words.startswith(HEADER_END):
            self._held, self._goes_on = [], False
            return
        if self._goes_on and self._held[-1][0] == depth:
            words = f"{self._held[-1][1]} {words}"
        self._held = [*(held for held in self._held if held[0] < depth), (depth, words)]
        self._goes_on = True


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _next_depth(lines: Sequence[str], number: int) -> int:
    """Return the depth of the next line that is not blank; 0 at the end."""
    return next((_depth(line) for line in lines[number:] if line.strip()), 0)


def by_object(lines: Sequence[str]) -> list[str]:
    """Return for each line of an SCF the purpose of its object."""
    reasons, reason = [], ""
    for line in lines:
        if line.startswith("#") and not reason:
            reasons.append("")
            continue
        if begin := _OBJECT.match(line):
            kinds = (text for kind, text in F5_OBJECTS.items() if begin["kind"].startswith(kind))
            names = (text for end, text in F5_NAMES.items() if begin["path"].endswith(end))
            reason = next(names, next(kinds, ""))
        reasons.append(reason)
        if line == "}" and not _goes_on(lines, len(reasons)):
            reason = ""
    return reasons


def _goes_on(lines: Sequence[str], number: int) -> bool:
    """Whether the object continues: an iRule has blocks that end in the first column."""
    following = lines[number] if number < len(lines) else ""
    return following.startswith(("when ", "}"))


def by_directive(lines: Sequence[str]) -> list[str]:
    """Return for each line of a Zen farm file the purpose of its directive."""
    return [POUND_DIRECTIVES.get(line.split(None, 1)[0] if line.strip() else "", "") for line in lines]


def none(lines: Sequence[str]) -> list[str]:
    """Return no reasons: the file holds only data."""
    return [""] * len(lines)
