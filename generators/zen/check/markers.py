"""The comments of a farm file by which the appliance's web pages and API find the lines to edit.

A marker that is missing, duplicated or in another block makes them edit the wrong line, and no engine notices.
Source: the appliances' own code (Zen 3.10, Zevenet 5, Relianoid 7).
"""

import re
from collections.abc import Iterator
from typing import Final

from .dialect import NG, POUND, ZEN3
from .formats import Dialect
from .reader import Block, Comment, Complaint, Reader

LISTENERS: Final = "#HTTP(S) LISTENERS"
FIRST: Final = "#ZWACL-INI"
LAST: Final = "#ZWACL-END"
HTTPS_MARKER: Final = re.compile(r"##(True|False)##HTTPS-backend##")
_SESSION: Final = ("#Session", "#Type", "#TTL", "#ID")
NO_SESSION: Final = (*_SESSION, "#End")
"""The lines of a session that is switched off."""
NO_SESSION_NG: Final = (*_SESSION, "#Path", "#Domain", "#End")

Found = Iterator[Complaint]


def markers(reader: Reader) -> Found:
    """Every marker that is missing, duplicated or misplaced."""
    yield from _top(reader)
    for listener in reader.root.inner("ListenHTTP", "ListenHTTPS"):
        yield from _listener(reader.dialect, listener)
        for service in listener.inner("Service"):
            yield from _service(reader.dialect, service)


def _complaint(line: int, message: str) -> Complaint:
    return Complaint(max(line, 1), message)


def _top(reader: Reader) -> Found:
    root = reader.root
    marks = [comment.line for comment in root.comments if comment.text == LISTENERS]
    first = min((block.opened.line for block in root.blocks), default=0)
    if len(marks) != 1 or marks[0] > first:
        yield _complaint(first, f"the marker {LISTENERS} must occur once, before the listener")
    if reader.dialect not in ZEN3:
        yield from _once(root, "DHParams", "#DHParams")
        yield from _once(root, "ECDHCurve", "##ECDHCurve")


def _once(block: Block, name: str, placeholder: str) -> Found:
    """Require a directive or the comment in its place, and not both."""
    active = len(block.all(name)) + len(block.all(f"{name}Append"))
    commented = sum(_is(comment, placeholder) for comment in block.comments)
    if active + commented != 1:
        message = f"{name} must occur once, as a directive or as the comment {placeholder}"
        yield _complaint(block.opened.line, message)


def _is(comment: Comment, placeholder: str) -> bool:
    return comment.text == placeholder or comment.text.startswith((f"{placeholder} ", f"{placeholder}\t"))


def _listener(dialect: Dialect, listener: Block) -> Found:
    line = listener.opened.line
    begins = [comment.line for comment in listener.comments if comment.text == FIRST]
    ends = [comment.line for comment in listener.comments if comment.text == LAST]
    services = listener.inner("Service")
    inside = [statement.line for statement in listener.statements if statement.name != "Service"]
    if len(begins) != 1 or begins[0] < max(inside, default=0):
        yield _complaint(line, f"the marker {FIRST} must occur once in the listener, after its settings")
    elif services and begins[0] > services[0].opened.line:
        yield _complaint(line, f"the marker {FIRST} must precede the first service")
    closed = [service.closed.line for service in services if service.closed is not None]
    if len(ends) != 1 or ends[0] < max(closed, default=0) or ends[0] < max(begins, default=0):
        yield _complaint(line, f"the marker {LAST} must occur once in the listener, after the last service")
    if listener.opened.name == "ListenHTTP":
        old = "#DisableSSLv3" if dialect in ZEN3 else "#Disable SSLv3"
        for name, placeholder in (
            ("Cert", "#Cert"),
            ("Ciphers", "#Ciphers"),
            ("Disable", old),
            ("SSLHonorCipherOrder", "#SSLHonorCipherOrder"),
        ):
            yield from _once(listener, name, placeholder)


def _service(dialect: Dialect, service: Block) -> Found:
    names = ["DynScale", "HeadRequire", "Url", "Redirect", "Session"]
    names += ["BackendCookie"] if dialect in POUND else []
    names += [] if dialect in ZEN3 else ["StrictTransportSecurity"]
    for name in names:
        yield from _once(service, name, f"#{name}")
    yield from _around_backends(service)
    yield from _session(service, NO_SESSION_NG if dialect in NG else NO_SESSION)
    line = service.opened.line
    flags = [match[1] for comment in service.comments if (match := HTTPS_MARKER.fullmatch(comment.text))]
    secure = {backend.first("HTTPS") is not None for backend in service.inner("BackEnd", "Emergency")}
    if len(flags) != 1:
        yield _complaint(line, "the marker ##True##HTTPS-backend## or ##False##HTTPS-backend## must occur once")
    elif secure - {flags[0] == "True"}:
        yield _complaint(line, f"the marker has {flags[0]} for HTTPS, and a backend differs")


def _around_backends(service: Block) -> Found:
    begins = [comment.line for comment in service.comments if comment.text == "#BackEnd"]
    ends = [comment.line for comment in service.comments if comment.text == "#End"]
    backends = service.inner("BackEnd", "Emergency")
    first = min((one.opened.line for one in backends), default=max([*begins, 0]) + 1)
    last = max((one.closed.line for one in backends if one.closed is not None), default=first)
    others = [statement for statement in service.statements if statement.name not in {"BackEnd", "Emergency"}]
    before = max((statement.line for statement in others), default=0)
    if len(begins) != 1 or not before < begins[0] < first:
        yield _complaint(service.opened.line, "the marker #BackEnd must occur once, before the backends")
    if sum(line > max([*begins, 0]) for line in ends) != 1 or max([*ends, 0]) < last:
        yield _complaint(service.opened.line, "the marker #End must occur once, after the backends")


def _session(service: Block, off: tuple[str, ...]) -> Found:
    sessions = service.inner("Session")
    starts = [at for at, comment in enumerate(service.comments) if _is(comment, "#Session")]
    for at in starts:
        found = service.comments[at : at + len(off)]
        lines = [comment.line for comment in found]
        complete = len(found) == len(off) and lines == list(range(lines[0], lines[0] + len(off)))
        if not complete or not all(_is(comment, name) for comment, name in zip(found, off, strict=True)):
            yield _complaint(lines[0], f"a session that is off consists of the consecutive lines {' '.join(off)}")
    if len([comment for comment in service.comments if comment.text == "#End"]) != 1 + len(starts):
        yield _complaint(service.opened.line, "#End must occur once for the backends and for each session that is off")
    for session in sessions:
        for placeholder in off[3:-1]:
            yield from _once(session, placeholder.removeprefix("#"), placeholder)
