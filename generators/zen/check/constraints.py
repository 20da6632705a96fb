"""The check of one farm file: its engine's complaints, and constraints that no engine checks.

The engines start with port 70000, without a backend, and with priorities that make every answer a 503. Sources: trials
on the engines and on the appliances' own editing code.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from ....spec.orchestrator import LONG_POLL_SECONDS
from .blocks import Found, listeners, missing, services, walk
from .dialect import NG, POUND, PROXIES, ZEN3, grammar
from .formats import ERROR_STATUSES, FORGED_HEADERS, NAME_END, TLS_HEADER, Dialect
from .markers import markers
from .reader import Block, Complaint, Reader, Statement, holds_key, is_address, is_ipv4
from .sessions import sessions

SERVICE_NAME: Final = re.compile(r"[a-zA-Z0-9-]+")
LONGEST_PORT: Final = 65535
LONGEST_SECONDS: Final = 315_360_000
"""Ten years: more is a slip, and near what the engines' numbers can hold."""
_SECONDS: Final = ("Timeout", "ConnTO", "Alive", "Client", "WSTimeOut", "TimeOut", "TTL", "StrictTransportSecurity")
_OLD_PROTOCOLS: Final = ("SSLv3", "TLSv1", "TLSv1_1")
_PLAIN_TEXT: Final = re.compile(r"Host: \S+")

Constraint = Callable[[Reader], Found]


def check_farm_file(text: str, dialect: Dialect, files: Mapping[str, bytes]) -> list[Complaint]:
    """Return every complaint about a farm file, in the order of its lines; empty where it is valid.

    `files` holds what the engine would open (error pages, certificates, DH parameters), by path.
    """
    reader = Reader(text, dialect, files)
    complaints = list(reader.complaints)
    complaints += _text(text)
    for constraint in _CONSTRAINTS:
        complaints += constraint(reader)
    return sorted(complaints)


def _text(text: str) -> Found:
    if "\r" in text:
        yield Complaint(1, "the line ends are CRLF, and the appliance's code expects LF")
    if not text.endswith("\n"):
        yield Complaint(text.count("\n") + 1, "the last line has no line end")
    for number, line in enumerate(text.split("\n"), start=1):
        if any(ord(char) < 32 and char not in "\t\r" for char in line):
            yield Complaint(number, "the line contains a control character")


def _complete(reader: Reader) -> Found:
    """Require what a farm for Orchestrator needs and an engine starts without."""
    zen3, ng = reader.dialect in ZEN3, reader.dialect in NG
    required = ["LogLevel"]
    required += [] if zen3 else ["ThreadModel"]
    required += ["WSTimeOut", "Ignore100Continue"] if reader.dialect in POUND else []
    yield from missing(reader.root, required)
    for listener in listeners(reader):
        yield from missing(listener, ["xHTTP", "RewriteLocation"])
        if (verbs := listener.value("xHTTP")) is not None and verbs != ("4" if zen3 else "5"):
            yield Complaint(listener.opened.line, f"xHTTP {verbs} leaves out methods that Orchestrator uses")
        if listener.opened.name == "ListenHTTPS":
            yield from _secure(listener, zen3=zen3)
    for service in services(reader):
        for one in service.inner("BackEnd", "Emergency"):
            yield from missing(one, ["TimeOut", *(["Weight"] if ng else [])])
            if one.opened.name == "BackEnd":
                yield from missing(one, ["Priority"])


def _request_headers(reader: Reader) -> Found:
    """Require that clients cannot forge headers of the farm, and that they use its complete name."""
    for listener in listeners(reader):
        removed = {statement.text for statement in listener.all("HeadRemove")}
        for service in listener.inner("Service"):
            if service.inner("BackEnd") and FORGED_HEADERS not in removed:
                yield Complaint(listener.opened.line, f"the listener does not remove the headers {FORGED_HEADERS}")
            for statement in service.all("HeadRequire"):
                if not _PLAIN_TEXT.fullmatch(statement.text):
                    yield Complaint(statement.line, "HeadRequire names another header than Host")
                elif not statement.text.endswith(NAME_END):
                    yield Complaint(statement.line, f"HeadRequire accepts longer names: it must end with {NAME_END}")


def _secure(listener: Block, *, zen3: bool) -> Found:
    """Require of a listener with TLS: the server's choice of ciphers, no old protocols, the header for the nodes."""
    yield from missing(listener, ["Ciphers", "SSLHonorCipherOrder"])
    if listener.value("SSLHonorCipherOrder") == "0":
        yield Complaint(listener.opened.line, "SSLHonorCipherOrder 0 lets the client choose the cipher")
    off = {statement.values for statement in listener.all("Disable")}
    for protocol in () if zen3 else _OLD_PROTOCOLS:
        if protocol not in off:
            yield Complaint(listener.opened.line, f"{protocol} is not disabled")
    if zen3 and listener.first("DisableSSLv3") is None:
        yield Complaint(listener.opened.line, "SSLv3 is not disabled")
    if TLS_HEADER not in {statement.text for statement in listener.all("AddHeader")}:
        yield Complaint(listener.opened.line, f"the listener does not add the header {TLS_HEADER}")


def _repeated(reader: Reader) -> Found:
    known = grammar(reader.dialect)
    for _depth, block in walk(reader.root):
        seen: set[str] = set()
        for statement in block.statements:
            directive = known[block.context, statement.name.lower()]
            what = f"{statement.name} {statement.values}" if directive.repeats else statement.name
            if what in seen and (directive.opens is None or not directive.repeats):
                yield Complaint(statement.line, f"{what} is duplicated")
            seen.add(what)


def _spelled(reader: Reader) -> Found:
    """Require the documented spelling: the appliance's code finds directives by it, and no engine minds."""
    for _depth, block in walk(reader.root):
        for statement in (*block.statements, *([block.closed] if block.closed else [])):
            if statement.written != statement.name:
                yield Complaint(statement.line, f"{statement.written} must be written as {statement.name}")


def _indented(reader: Reader) -> Found:
    for depth, block in walk(reader.root):
        for statement in block.statements:
            if statement.depth != depth:
                yield Complaint(statement.line, f"{statement.name} must be indented by {depth} tabs")
        if block.closed is not None and block.closed.depth != depth - 1:
            yield Complaint(block.closed.line, f"End must be indented by {depth - 1} tabs")


def _one_listener(reader: Reader) -> Found:
    found = listeners(reader)
    if len(found) != 1:
        yield Complaint(1, f"a farm has one listener, this file has {len(found)}")
    for name in ("Timeout", "ConnTO", "Alive", "Client"):
        if reader.root.first(name) is None:
            yield Complaint(1, f"{name} is missing, and the appliance reads it")


def _globals(reader: Reader) -> Found:
    ng = reader.dialect in NG
    names = ("User", "Group", "Name", "Control")
    for name in names:
        statement = reader.root.first(name)
        if ng and statement is not None:
            yield Complaint(statement.line, f"this dialect has no global {name}")
        elif not ng and statement is None and (name != "Name" or reader.dialect not in ZEN3):
            yield Complaint(1, f"{name} is missing, and the appliance controls the farm by it")
    for listener in listeners(reader):
        if ng and (not listener.statements or listener.statements[0].name != "Name"):
            yield Complaint(listener.opened.line, "Name must be the first directive of the listener")


def _times(reader: Reader) -> Found:
    alive, connect = reader.root.first("Alive"), reader.root.first("ConnTO")
    if alive and connect and reader.dialect not in NG and int(alive.text) <= int(connect.text):
        yield Complaint(alive.line, "Alive must be greater than ConnTO: the API refuses anything else")
    for _depth, block in walk(reader.root):
        for name in _SECONDS:
            for statement in block.all(name):
                if not 1 <= int(statement.text) <= LONGEST_SECONDS:
                    yield Complaint(statement.line, f"{name} must be 1 to {LONGEST_SECONDS} seconds")
    yield from _polled(reader)


def _polled(reader: Reader) -> Found:
    """Require timeouts longer than a long poll."""
    limits: list[tuple[Statement | None, str]] = [
        (reader.root.first("Timeout"), "Timeout limits an answer"),
        (reader.root.first("WSTimeOut"), "WSTimeOut limits the silence of a WebSocket"),
    ]
    if reader.dialect in NG:
        limits.append(
            (reader.root.first("Client"), "zproxy closes connections whose client is silent for Client seconds")
        )
    for service in services(reader):
        limits += [(one.first("TimeOut"), "TimeOut limits an answer") for one in service.blocks]
    for limit, why in limits:
        if limit is not None and int(limit.text) <= LONG_POLL_SECONDS:
            yield Complaint(limit.line, f"{why}, and a long poll takes {LONG_POLL_SECONDS} seconds")


def _ports(reader: Reader) -> Found:
    for _depth, block in walk(reader.root):
        for statement in block.all("Port"):
            if not 1 <= int(statement.text) <= LONGEST_PORT:
                yield Complaint(statement.line, f"{statement.text} is not a TCP port (1 to {LONGEST_PORT})")


def _addresses(reader: Reader) -> Found:
    for _depth, block in walk(reader.root):
        for statement in block.all("Address"):
            if not is_address(statement.text):
                yield Complaint(statement.line, f"{statement.text} is not an IP address")
            elif reader.dialect in NG and not is_ipv4(statement.text):
                yield Complaint(statement.line, f"{statement.text} is not IPv4, and zproxy reaches IPv4 addresses only")


def _keys(reader: Reader) -> Found:
    """Require private keys: zproxy starts without one, and serves no TLS."""
    for listener in listeners(reader):
        for statement in listener.all("Cert"):
            if reader.dialect in NG and not holds_key(reader.files.get(statement.text, b"")):
                yield Complaint(statement.line, f"{statement.text} contains no private key")


def _error_pages(reader: Reader) -> Found:
    for listener in listeners(reader):
        for status in ERROR_STATUSES:
            if listener.first(f"Err{status}") is None:
                yield Complaint(listener.opened.line, f"Err{status} is missing, and the appliance edits it")


def _services_serve(reader: Reader) -> Found:
    for listener in listeners(reader):
        if not listener.inner("Service"):
            yield Complaint(listener.opened.line, "the listener has no service: every request gets a 503")
    for service in services(reader):
        if not SERVICE_NAME.fullmatch(service.opened.text):
            yield Complaint(service.opened.line, "a service's name consists of letters, digits and hyphens")
        redirects = service.all("Redirect") + service.all("RedirectAppend")
        if not service.inner("BackEnd") and not redirects:
            yield Complaint(service.opened.line, "the service has neither a backend nor a redirect: it answers 503")


def _backends(reader: Reader) -> Found:
    for service in services(reader):
        backends = service.inner("BackEnd", "Emergency")
        seen: set[tuple[str | None, str | None]] = set()
        for backend in backends:
            endpoint = (backend.value("Address"), backend.value("Port"))
            if endpoint in seen and reader.dialect not in NG:
                yield Complaint(backend.opened.line, "two backends have the same address and port")
            seen.add(endpoint)
            yield from _backend_order(backend)


def _backend_order(backend: Block) -> Found:
    secure = backend.first("HTTPS")
    if secure is not None and backend.statements[0] is not secure:
        yield Complaint(secure.line, "HTTPS must be the first directive of its backend")


def _priorities(reader: Reader) -> Found:
    """Check priorities: in zproxy Priority is the order of failover and in pound the weight."""
    for service in services(reader):
        emergencies = service.inner("Emergency")
        if len(emergencies) > 1:
            yield Complaint(emergencies[1].opened.line, "a service has at most one Emergency backend")
        for emergency in emergencies:
            if (statement := emergency.first("Priority")) is not None:
                yield Complaint(statement.line, "an Emergency backend has no Priority")
        if reader.dialect in PROXIES:
            yield from _failover(service)


def _failover(service: Block) -> Found:
    backends = service.inner("BackEnd")
    order = sorted({int(backend.value("Priority") or 1) for backend in backends})
    if order and order != list(range(1, len(order) + 1)):
        message = f"Priority is the order of failover: {order} must be 1, 2, ... without a gap, or it answers 503"
        yield Complaint(service.opened.line, message)


_CONSTRAINTS: Final[tuple[Constraint, ...]] = (
    _repeated,
    _spelled,
    _indented,
    _one_listener,
    _globals,
    _times,
    _ports,
    _addresses,
    _keys,
    _error_pages,
    _services_serve,
    _backends,
    _priorities,
    sessions,
    _complete,
    _request_headers,
    markers,
)
