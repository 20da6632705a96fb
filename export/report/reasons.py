"""Why a line of a configuration is there.

HAProxy and NGINX: the comment above a group of directives says so, and holds for what it stands over. F5 and the Zen
family keep no such comments (the one drops them, the other takes its comments for marks of its own), so the reason
comes with the kind of object or the directive, from the tables here; docs/vendors/ tells the same at length.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

F5_OBJECTS: Final[Mapping[str, str]] = {
    "ltm node": "One node for each address: a device has one for an address, over all partitions.",
    "ltm monitor": "Asks each node's health endpoint whether it should be serving.",
    "ltm pool": "The nodes for one kind of request; connections to one that is out end at once.",
    "ltm profile client-ssl": "TLS to the clients.",
    "ltm profile server-ssl": "TLS to the nodes: the farm's name by SNI, and the check of their certificates.",
    "ltm profile http": "Tells the nodes which client asks, and that it asked by https.",
    "ltm profile websocket": "WebSocket frames pass as they are.",
    "ltm profile tcp": "Idle robots stay connected: F5's own 300 seconds cut silent WebSockets.",
    "ltm persistence": "Keeps a client on its node.",
    "ltm policy": "Sends SignalR's paths to a pool of their own.",
    "ltm rule": "Removes headers that clients may not set, and refuses bodies that are too large.",
    "ltm virtual": "Where robots and people arrive.",
}
"""What each kind of F5's objects is for, by how its first line begins."""

POUND_DIRECTIVES: Final[Mapping[str, str]] = {
    "Timeout": "An answer of a node: never shorter than a long poll.",
    "TimeOut": "An answer of this node: never shorter than a long poll.",
    "ConnTO": "For a node to accept a connection.",
    "Alive": "When a node that is out is asked again; greater than ConnTO, or zproxy and the API refuse it.",
    "WSTimeOut": "How long a WebSocket may be silent.",
    "Client": "How long a client may be silent; zproxy ends WebSockets by it too.",
    "xHTTP": "Which methods may be used: PATCH is among them.",
    "AddHeader": "Orchestrator makes its links by it.",
    "Address": "Where this listener or this node is.",
    "Cert": "Key, certificate and chain, before Ciphers and Disable: the order counts.",
    "Ciphers": "Mozilla's intermediate profile for TLS 1.2.",
    "Disable": "Protocols that are broken.",
    "HeadRequire": "Only the farm's own names are answered.",
    "Priority": "Pound's weight, 1 to 9; in zproxy the order in which nodes are taken.",
    "Weight": "The node's share of new requests.",
    "Emergency": "The node that serves when no other can.",
    "Session": "Keeps a client on its node.",
    "BackendCookie": "Keeps a client on its node by a cookie.",
    "StrictTransportSecurity": "Browsers come back by https alone.",
    "Redirect": "Whoever comes by http is sent to https.",
    "RedirectAppend": "Whoever comes by http is sent to https, path and all.",
    "Err414": "A page that the engine will not start without.",
    "Err500": "A page that the engine will not start without.",
    "Err501": "A page that the engine will not start without.",
    "Err503": "A page that the engine will not start without.",
    "HTTPS": "TLS to this node; no engine of the family checks its certificate.",
}
"""What each directive of a farm file is for."""

HEADER_END: Final = "Do not edit: "
"""How the last line of a file's header begins; no header is the reason of a line."""
_COMMENT: Final = re.compile(r"\s*# \S")
_OBJECT: Final = re.compile(r"ltm \S+(?: \S+)?")


def commented(lines: Sequence[str]) -> list[str]:
    """For each line the comment that it stands under; empty for comments themselves and where there is none.

    A comment holds for the lines below it that are indented as far or further, up to a blank line before something at
    its own depth, or to the next comment there.
    """
    comments = _Comments()
    return [comments.reason(line, _next_depth(lines, number)) for number, line in enumerate(lines)]


class _Comments:
    """The comments that hold at a line, the outermost first, each with its depth."""

    def __init__(self) -> None:
        self._held: list[tuple[int, str]] = []
        self._goes_on = False
        """Whether the line before was a comment too."""

    def reason(self, line: str, next_depth: int) -> str:
        """Read one line; the comment that it stands under."""
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
    """How deep the next line stands that is not blank; 0 at the end."""
    return next((_depth(line) for line in lines[number:] if line.strip()), 0)


def by_object(lines: Sequence[str]) -> list[str]:
    """For each line of an SCF what its object is for."""
    reasons, reason = [], ""
    for line in lines:
        if line.startswith("#") and not reason:
            reasons.append("")
            continue
        if begin := _OBJECT.match(line):
            reason = next((text for kind, text in F5_OBJECTS.items() if begin[0].startswith(kind)), "")
        reasons.append(reason)
        if line == "}" and not _goes_on(lines, len(reasons)):
            reason = ""
    return reasons


def _goes_on(lines: Sequence[str], number: int) -> bool:
    """Whether an object is not over yet: an iRule holds blocks that end at the edge."""
    following = lines[number] if number < len(lines) else ""
    return following.startswith(("when ", "}"))


def by_directive(lines: Sequence[str]) -> list[str]:
    """For each line of a farm file of the Zen family what its directive is for."""
    return [POUND_DIRECTIVES.get(line.split(None, 1)[0] if line.strip() else "", "") for line in lines]


def none(lines: Sequence[str]) -> list[str]:
    """No reasons: the file says nothing but data."""
    return [""] * len(lines)
