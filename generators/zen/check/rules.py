"""What a farm file must keep to beyond what its engine catches, and the check of a whole file.

The engines start with a port of 70000, with no backend at all, and with priorities that answer 503 to everything;
and the appliance's own code edits the file by comments that an engine never reads. Sources: trials on the engines and
on the appliances' own editing code.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from ....spec.orchestrator import LONG_POLL_SECONDS
from ..objects import HEADER
from .dialect import COOKIE_WRITERS, ERROR_STATUSES, NG, POUND, PROXIES, SESSIONS_WITH_ID, ZEN3, Dialect, grammar
from .markers import markers
from .reader import Block, Complaint, Entry, Reader, is_address, is_ipv4

SERVICE_NAME: Final = re.compile(r"[a-zA-Z0-9-]+")
LONGEST_PORT: Final = 65535
LONGEST_SECONDS: Final = 315_360_000
"""Ten years: more is a slip, and near what the engines' numbers can hold."""
_SECONDS: Final = ("Timeout", "ConnTO", "Alive", "Client", "WSTimeOut", "TimeOut", "TTL", "StrictTransportSecurity")
_OLD_PROTOCOLS: Final = ("SSLv3", "TLSv1", "TLSv1_1")
_PLAIN_TEXT: Final = re.compile(r"Host: \S+")

Found = Iterator[Complaint]
Rule = Callable[[Reader], Found]


def check(text: str, dialect: Dialect, files: Mapping[str, bytes]) -> list[Complaint]:
    """Everything wrong with a farm file, in the order of its lines; empty where it can be put in place.

    `files` holds what the engine would open (error pages, certificates, DH parameters), by path.
    """
    reader = Reader(text, dialect, files)
    complaints = list(reader.complaints)
    complaints += (_complaint(number, message) for number, message in _text(text))
    for rule in _RULES:
        complaints += rule(reader)
    return sorted(complaints, key=lambda complaint: (complaint.line, not complaint.engine, complaint.message))


def accepted_by_engine(text: str, dialect: Dialect, files: Mapping[str, bytes]) -> bool:
    """Whether the engine alone would start with it."""
    return not any(complaint.engine for complaint in Reader(text, dialect, files).complaints)


def _complaint(line: int, message: str) -> Complaint:
    return Complaint(line, message, engine=False)


def _text(text: str) -> Iterator[tuple[int, str]]:
    if "\r" in text:
        yield 1, "its lines end as on Windows, and the appliance's code looks for plain line ends"
    if not text.endswith("\n"):
        yield text.count("\n") + 1, "its last line does not end"
    for number, line in enumerate(text.split("\n"), start=1):
        if any(ord(char) < 32 and char not in "\t\r" for char in line):
            yield number, "it holds a control character"


def _walk(block: Block) -> Iterator[tuple[int, Block]]:
    todo = [(0, block)]
    while todo:
        depth, found = todo.pop()
        yield depth, found
        todo += ((depth + 1, inner) for inner in found.blocks)


def _listeners(reader: Reader) -> list[Block]:
    return reader.root.inner("ListenHTTP", "ListenHTTPS")


def _services(reader: Reader) -> Iterator[Block]:
    for listener in _listeners(reader):
        yield from listener.inner("Service")


def _complete(reader: Reader) -> Found:
    """What a farm for Orchestrator has, and an engine starts without: a lost line is not noticed otherwise."""
    zen3, ng = reader.dialect in ZEN3, reader.dialect in NG
    wanted = ["LogLevel"]
    wanted += [] if zen3 else ["ThreadModel"]
    wanted += ["WSTimeOut", "Ignore100Continue"] if reader.dialect in POUND else []
    yield from _missing(reader.root, wanted)
    for listener in _listeners(reader):
        yield from _missing(listener, ["xHTTP", "RewriteLocation"])
        if (verbs := listener.value("xHTTP")) is not None and verbs != ("4" if zen3 else "5"):
            yield _complaint(listener.opened.line, f"xHTTP {verbs} leaves out methods that Orchestrator uses")
        if listener.opened.name == "ListenHTTPS":
            yield from _secure(listener, zen3=zen3)
    for service in _services(reader):
        for one in service.inner("BackEnd", "Emergency"):
            yield from _missing(one, ["TimeOut", *(["Weight"] if ng else [])])
            if one.opened.name == "BackEnd":
                yield from _missing(one, ["Priority"])
        for entry in service.all("HeadRequire"):
            if not _PLAIN_TEXT.fullmatch(entry.text):
                yield _complaint(entry.line, "HeadRequire asks for another header than Host")


def _missing(block: Block, names: Iterable[str]) -> Found:
    for name in names:
        if block.first(name) is None:
            yield _complaint(block.opened.line or 1, f"{name} is missing")


def _secure(listener: Block, *, zen3: bool) -> Found:
    """A listener with TLS: ciphers of the server's choice, no old protocols, and the nodes told of it."""
    yield from _missing(listener, ["Ciphers", "SSLHonorCipherOrder"])
    if listener.value("SSLHonorCipherOrder") == "0":
        yield _complaint(listener.opened.line, "SSLHonorCipherOrder 0 leaves the choice to the client")
    off = {entry.values for entry in listener.all("Disable")}
    for protocol in () if zen3 else _OLD_PROTOCOLS:
        if protocol not in off:
            yield _complaint(listener.opened.line, f"{protocol} is not disabled")
    if zen3 and listener.first("DisableSSLv3") is None:
        yield _complaint(listener.opened.line, "SSLv3 is not disabled")
    if HEADER not in {entry.text for entry in listener.all("AddHeader")}:
        yield _complaint(listener.opened.line, f"the nodes are not told of TLS: {HEADER}")


def _repeated(reader: Reader) -> Found:
    known = grammar(reader.dialect)
    for _depth, block in _walk(reader.root):
        seen: set[str] = set()
        for entry in block.entries:
            directive = known[block.context, entry.name]
            what = f"{entry.name} {entry.values}" if directive.repeats else entry.name
            if what in seen and (directive.opens is None or not directive.repeats):
                yield _complaint(entry.line, f"{what} stands twice")
            seen.add(what)


def _indented(reader: Reader) -> Found:
    for depth, block in _walk(reader.root):
        for entry in block.entries:
            if entry.depth != depth:
                yield _complaint(entry.line, f"{entry.name} must be indented by {depth} tabs")
        if block.closed is not None and block.closed.depth != depth - 1:
            yield _complaint(block.closed.line, f"End must be indented by {depth - 1} tabs")


def _one_listener(reader: Reader) -> Found:
    listeners = _listeners(reader)
    if len(listeners) != 1:
        yield _complaint(1, f"a farm has one listener, and here are {len(listeners)}")
    for name in ("Timeout", "ConnTO", "Alive", "Client"):
        if reader.root.first(name) is None:
            yield _complaint(1, f"{name} is missing, and the appliance reads it")


def _globals(reader: Reader) -> Found:
    ng = reader.dialect in NG
    names = ("User", "Group", "Name", "Control")
    for name in names:
        entry = reader.root.first(name)
        if ng and entry is not None:
            yield _complaint(entry.line, f"{name} does not stand at the top in this dialect")
        elif not ng and entry is None and (name != "Name" or reader.dialect not in ZEN3):
            yield _complaint(1, f"{name} is missing, and the appliance controls the farm by it")
    for listener in _listeners(reader):
        if ng and (not listener.entries or listener.entries[0].name != "Name"):
            yield _complaint(listener.opened.line, "Name must stand first in the listener")


def _times(reader: Reader) -> Found:
    alive, connect = reader.root.first("Alive"), reader.root.first("ConnTO")
    if alive and connect and reader.dialect not in NG and int(alive.text) <= int(connect.text):
        yield _complaint(alive.line, "Alive must be greater than ConnTO: the API refuses anything else")
    for _depth, block in _walk(reader.root):
        for name in _SECONDS:
            for entry in block.all(name):
                if not 1 <= int(entry.text) <= LONGEST_SECONDS:
                    yield _complaint(entry.line, f"{name} must be 1 to {LONGEST_SECONDS} seconds")
    yield from _polled(reader)


def _polled(reader: Reader) -> Found:
    """What ends a long poll must be longer than one."""
    limits: list[tuple[Entry | None, str]] = [
        (reader.root.first("Timeout"), "an answer may take Timeout seconds"),
        (reader.root.first("WSTimeOut"), "a WebSocket may be silent for WSTimeOut seconds"),
    ]
    if reader.dialect in NG:
        limits.append(
            (reader.root.first("Client"), "zproxy ends connections whose client is silent for Client seconds")
        )
    for service in _services(reader):
        limits += [(one.first("TimeOut"), "an answer may take TimeOut seconds") for one in service.blocks]
    for limit, why in limits:
        if limit is not None and int(limit.text) <= LONG_POLL_SECONDS:
            yield _complaint(limit.line, f"{why}, and a long poll takes {LONG_POLL_SECONDS}")


def _ports(reader: Reader) -> Found:
    for _depth, block in _walk(reader.root):
        for entry in block.all("Port"):
            if not 1 <= int(entry.text) <= LONGEST_PORT:
                yield _complaint(entry.line, f"{entry.text} is not a TCP port (1 to {LONGEST_PORT})")


def _addresses(reader: Reader) -> Found:
    for _depth, block in _walk(reader.root):
        for entry in block.all("Address"):
            if not is_address(entry.text):
                yield _complaint(entry.line, f"{entry.text} is not an IP address")
            elif reader.dialect in NG and not is_ipv4(entry.text):
                yield _complaint(entry.line, f"{entry.text} is not IPv4, and zproxy reaches nothing else")


def _error_pages(reader: Reader) -> Found:
    for listener in _listeners(reader):
        for status in ERROR_STATUSES:
            if listener.first(f"Err{status}") is None:
                yield _complaint(listener.opened.line, f"Err{status} is missing, and the appliance edits it")


def _services_serve(reader: Reader) -> Found:
    for listener in _listeners(reader):
        if not listener.inner("Service"):
            yield _complaint(listener.opened.line, "the listener has no service: every request gets a 503")
    for service in _services(reader):
        if not SERVICE_NAME.fullmatch(service.opened.text):
            yield _complaint(service.opened.line, "a service's name holds letters, digits and hyphens alone")
        redirects = service.all("Redirect") + service.all("RedirectAppend")
        if not service.inner("BackEnd") and not redirects:
            yield _complaint(service.opened.line, "the service has no backend and no redirect: it answers 503")


def _backends(reader: Reader) -> Found:
    for service in _services(reader):
        backends = service.inner("BackEnd", "Emergency")
        seen: set[tuple[str | None, str | None]] = set()
        for backend in backends:
            endpoint = (backend.value("Address"), backend.value("Port"))
            if endpoint in seen and reader.dialect not in NG:
                yield _complaint(backend.opened.line, "two backends have the same address and port")
            seen.add(endpoint)
            yield from _backend_order(backend)


def _backend_order(backend: Block) -> Found:
    secure = backend.first("HTTPS")
    if secure is not None and backend.entries[0] is not secure:
        yield _complaint(secure.line, "HTTPS must stand first in its backend")


def _priorities(reader: Reader) -> Found:
    """In zproxy Priority is the order of failover, in pound the weight: weights would take every node out."""
    for service in _services(reader):
        emergencies = service.inner("Emergency")
        if len(emergencies) > 1:
            yield _complaint(emergencies[1].opened.line, "a service has one Emergency backend at the most")
        for emergency in emergencies:
            if (entry := emergency.first("Priority")) is not None:
                yield _complaint(entry.line, "an Emergency backend has no Priority")
        if reader.dialect in PROXIES:
            yield from _failover(service)


def _failover(service: Block) -> Found:
    backends = service.inner("BackEnd")
    order = sorted({int(backend.value("Priority") or 1) for backend in backends})
    if order and order != list(range(1, len(order) + 1)):
        message = f"Priority is the order of failover here: {order} without a gap from 1 on, or every request gets 503"
        yield _complaint(service.opened.line, message)


def _sessions(reader: Reader) -> Found:
    for service in _services(reader):
        for session in service.inner("Session"):
            kind = session.value("Type") or ""
            if kind in COOKIE_WRITERS:
                yield from _missing(session, ["Path", "Domain"])
            identity = session.first("ID")
            if identity is not None and kind not in {*SESSIONS_WITH_ID, "PARM"}:
                yield _complaint(identity.line, f"a Session of Type {kind} has no ID")
            first = next((block for block in service.blocks if block.opened.name == "BackEnd"), None)
            if first is not None and first.opened.line < session.opened.line:
                writes = " (the proxy sends an empty cookie)" if kind in COOKIE_WRITERS else ""
                yield _complaint(session.opened.line, f"Session must stand before the backends{writes}")


_RULES: Final[tuple[Rule, ...]] = (
    _repeated,
    _indented,
    _one_listener,
    _globals,
    _times,
    _ports,
    _addresses,
    _error_pages,
    _services_serve,
    _backends,
    _priorities,
    _sessions,
    _complete,
    markers,
)
