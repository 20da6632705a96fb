"""What a farm file must keep to beyond what its engine catches, and the check of a whole file.

The engines start with a port of 70000, with no backend at all, and with priorities that answer 503 to everything;
and the appliance's own code edits the file by comments that an engine never reads. Sources: trials on the engines and
on the appliances' own editing code.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from .zen_dialect import COOKIE_WRITERS, ERROR_STATUSES, NG, POUND, PROXIES, SESSIONS_WITH_ID, ZEN3, Dialect, grammar
from .zen_reader import Block, Complaint, Reader, is_address, is_ipv4

SERVICE_NAME: Final = re.compile(r"[a-zA-Z0-9-]+")
LONGEST_PORT: Final = 65535
QUIET_CLIENT: Final = 110
"""Seconds: zproxy cuts what is silent for `Client`, and SignalR holds a long poll this long."""
HTTPS_MARKER: Final = re.compile(r"##(True|False)##HTTPS-backend##")

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


def _repeated(reader: Reader) -> Found:
    known = grammar(reader.dialect)
    for _depth, block in _walk(reader.root):
        seen: set[str] = set()
        for entry in block.entries:
            if entry.name in seen and not known[block.context, entry.name].repeats:
                yield _complaint(entry.line, f"{entry.name} stands twice")
            seen.add(entry.name)


def _indented(reader: Reader) -> Found:
    for depth, block in _walk(reader.root):
        for entry in block.entries:
            if entry.depth != depth:
                yield _complaint(entry.line, f"{entry.name} must be indented by {depth} tabs")


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
    alive, connect, client = (reader.root.first(name) for name in ("Alive", "ConnTO", "Client"))
    if alive and connect and reader.dialect not in NG and int(alive.text) <= int(connect.text):
        yield _complaint(alive.line, "Alive must be greater than ConnTO: the API refuses anything else")
    if client and reader.dialect in NG and int(client.text) <= QUIET_CLIENT:
        message = f"zproxy ends connections whose client is silent for Client seconds: more than {QUIET_CLIENT}"
        yield _complaint(client.line, message)


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
            identity = session.first("ID")
            if identity is not None and kind not in {*SESSIONS_WITH_ID, "PARM"}:
                yield _complaint(identity.line, f"a Session of Type {kind} has no ID")
            first = next((block for block in service.blocks if block.opened.name == "BackEnd"), None)
            if first is not None and first.opened.line < session.opened.line:
                writes = " (the proxy sends an empty cookie)" if kind in COOKIE_WRITERS else ""
                yield _complaint(session.opened.line, f"Session must stand before the backends{writes}")


def _markers(reader: Reader) -> Found:
    """The comments that the appliance's own code finds its way by."""
    if "#HTTP(S) LISTENERS" not in reader.root.comments:
        yield _complaint(1, "the marker #HTTP(S) LISTENERS is missing")
    for listener in _listeners(reader):
        for marker in ("#ZWACL-INI", "#ZWACL-END"):
            if marker not in listener.comments:
                yield _complaint(listener.opened.line, f"the marker {marker} is missing in the listener")
        yield from _placeholders(listener, _listener_placeholders(reader.dialect, listener))
    for service in _services(reader):
        yield from _placeholders(service, _service_placeholders(reader.dialect))
        yield from _service_markers(service)


def _listener_placeholders(dialect: Dialect, listener: Block) -> tuple[str, ...]:
    if listener.opened.name == "ListenHTTPS":
        return ()
    return ("Cert", "Ciphers", "DisableSSLv3" if dialect in ZEN3 else "Disable SSLv3", "SSLHonorCipherOrder")


def _service_placeholders(dialect: Dialect) -> tuple[str, ...]:
    cookie = ("BackendCookie",) if dialect in POUND else ()
    security = () if dialect in ZEN3 else ("StrictTransportSecurity",)
    return ("DynScale", *cookie, "HeadRequire", "Url", "Redirect", *security, "Session")


def _placeholders(block: Block, names: tuple[str, ...]) -> Found:
    for name in names:
        active = any(entry.name in {name, f"{name}Append"} for entry in block.entries)
        if not active and not any(
            comment == f"#{name}" or comment.startswith(f"#{name} ") for comment in block.comments
        ):
            yield _complaint(block.opened.line, f"{name} is missing, as a directive or as a comment to edit by")


def _service_markers(service: Block) -> Found:
    line = service.opened.line
    for marker in ("#BackEnd", "#End"):
        if marker not in service.comments:
            yield _complaint(line, f"the marker {marker} is missing in the service")
    flags = [match[1] for comment in service.comments if (match := HTTPS_MARKER.fullmatch(comment))]
    secure = {backend.first("HTTPS") is not None for backend in service.inner("BackEnd", "Emergency")}
    if len(flags) != 1:
        yield _complaint(line, "the marker ##True##HTTPS-backend## or ##False##HTTPS-backend## must stand once")
    elif secure - {flags[0] == "True"}:
        yield _complaint(line, f"the marker says {flags[0]} for HTTPS, and a backend says otherwise")


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
    _markers,
)
