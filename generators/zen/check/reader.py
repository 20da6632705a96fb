"""A farm file as blocks, with every complaint that its engine would have.

What an engine accepts and the farm must not have is found later, on the finished blocks (`constraints`, `markers`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Final, NamedTuple

from .dialect import NG, POUNDS, SESSIONS_WITH_ID, Context, grammar
from .formats import ERROR_STATUSES, Dialect

_LINE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<name>[A-Za-z0-9]+)(?:[ \t]+(?P<values>.*?))?[ \t]*")
_HOST_NAME: Final = re.compile(r"(?:[a-z0-9_-]+\.)*(?!invalid\.?$)[a-z0-9-]*[a-z][a-z0-9-]*\.?", re.IGNORECASE)
"""A name that can have an address: the last label is not a number, and not `invalid` (RFC 6761)."""
_POSIX_ONLY: Final = re.compile(r"\(\?|\\[A-Za-z]")
"""The syntax of Python's regular expressions that POSIX does not have."""
_AFTER_CERT: Final = frozenset({"Ciphers", "Disable", "DisableSSLv3", "SSLHonorCipherOrder"})
_ERROR_FILES: Final = frozenset({"ErrNoSsl", *(f"Err{status}" for status in ERROR_STATUSES)})


class Complaint(NamedTuple):
    """What is invalid on a line."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class Statement(NamedTuple):
    """One directive as it is written in the file."""

    line: int
    name: str
    """Its name as the engines' documentation writes it."""
    values: str
    depth: int
    """The number of tabs before it; -1 where it is indented by other characters."""
    written: str
    """Its name as the file writes it: the engines accept any case."""

    @property
    def text(self) -> str:
        """The value without its quotes."""
        return self.values.strip('"')


class Comment(NamedTuple):
    """One comment, without indentation; the appliance edits the file by some of them."""

    line: int
    text: str


@dataclass
class Block:
    """A block and its content, in order."""

    context: Context
    opened: Statement
    statements: list[Statement] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    closed: Statement | None = None
    """Its `End`."""

    def all(self, name: str) -> list[Statement]:
        """Every directive of that name."""
        return [statement for statement in self.statements if statement.name == name]

    def first(self, name: str) -> Statement | None:
        """The first directive of that name."""
        return next(iter(self.all(name)), None)

    def value(self, name: str) -> str | None:
        """The first value of that name, without quotes."""
        statement = self.first(name)
        return None if statement is None else statement.text

    def inner(self, *names: str) -> list["Block"]:
        """The inner blocks that begin with one of these directives."""
        return [block for block in self.blocks if block.opened.name in names]


class Reader:
    """One farm file: `root` holds its blocks, `complaints` what its engine refuses."""

    def __init__(self, text: str, dialect: Dialect, files: Mapping[str, bytes]) -> None:
        """Read a file; `files` holds the content of the files that the engine would open, by path."""
        self.dialect: Final = dialect
        self.files: Final = files
        self.complaints: list[Complaint] = []
        self.root: Final = Block("file", Statement(0, "", "", -1, ""))
        self._open: list[Block] = [self.root]
        self._grammar: Final = grammar(dialect)
        number = 0
        for number, line in enumerate(text.split("\n"), start=1):
            self._line(number, line.removesuffix("\r"))
        for block in reversed(self._open[1:]):
            self._refuse(number, f"{block.opened.name} of line {block.opened.line} has no End")
        self._alive()

    def _refuse(self, line: int, message: str) -> None:
        self.complaints.append(Complaint(line, message))

    def _line(self, number: int, line: str) -> None:
        block = self._open[-1]
        stripped = line.strip()
        if not stripped:
            return
        if stripped.startswith("#"):
            block.comments.append(Comment(number, stripped))
            return
        match = _LINE.fullmatch(line)
        if match is None:
            self._refuse(number, "this is not a directive")
            return
        indent = match["indent"]
        depth = len(indent) if set(indent) <= {"\t"} else -1
        statement = Statement(number, match["name"], match["values"] or "", depth, match["name"])
        if statement.name.lower() == "end" and not statement.values and block is not self.root:
            block.closed = statement._replace(name="End")
            self._end(block, number)
        else:
            self._directive(block, statement)

    def _directive(self, block: Block, statement: Statement) -> None:
        known = self._grammar.get((block.context, statement.name.lower()))
        if known is None or not known.matches(statement.values):
            what = "unknown directive" if known is None else f"{statement.name} does not accept these values"
            self._refuse(statement.line, f"{what} in the {block.context} block: {statement.name} {statement.values}")
            return
        statement = statement._replace(name=known.name)
        if known.https and block.opened.name != "ListenHTTPS":
            self._refuse(statement.line, f"{statement.name} needs an HTTPS listener")
        block.statements.append(statement)
        self._check(block, statement)
        if known.opens is not None:
            self._enter(block, statement, known.opens)

    def _enter(self, block: Block, statement: Statement, context: Context) -> None:
        inner = Block(context, statement)
        block.blocks.append(inner)
        self._open.append(inner)

    def _check(self, block: Block, statement: Statement) -> None:
        """Check what an engine checks as soon as it reads the directive."""
        if statement.name == "Port":
            self._port(block, statement)
        elif statement.name in {"HeadRequire", "Url", "HeadRemove"}:
            self._pattern(statement)
        elif statement.name in _ERROR_FILES or statement.name == "DHParams":
            if statement.text not in self.files:
                self._refuse(statement.line, f"{statement.text} does not exist")
        elif statement.name == "Cert":
            self._certificate(statement)
        elif statement.name in _AFTER_CERT and self.dialect not in NG and block.first("Cert") is None:
            self._refuse(statement.line, f"{statement.name} must follow Cert")

    def _port(self, block: Block, statement: Statement) -> None:
        if self.dialect not in POUNDS:
            return
        address = block.value("Address")
        # pound resolves the name of a backend when it starts.
        named = block.context == "backend"
        known = address is not None and (is_address(address) or (named and _HOST_NAME.fullmatch(address) is not None))
        if not known:
            self._refuse(statement.line, "Port must follow an Address that is an IP address")

    def _pattern(self, statement: Statement) -> None:
        try:
            re.compile(statement.text.replace("[:space:]", r"\s"))
        except re.error as error:
            self._refuse(statement.line, f"{statement.name}: the pattern is invalid: {error}")
            return
        if found := _POSIX_ONLY.search(statement.text):
            self._refuse(statement.line, f"{statement.name}: POSIX regular expressions do not have {found[0]}")

    def _certificate(self, statement: Statement) -> None:
        pem = self.files.get(statement.text)
        if pem is None or b"-----BEGIN CERTIFICATE-----" not in pem:
            self._refuse(statement.line, f"{statement.text} contains no certificate")
        elif not holds_key(pem) and self.dialect not in NG:
            self._refuse(statement.line, f"{statement.text} contains no private key")

    def _end(self, block: Block, number: int) -> None:
        self._open.pop()
        if block.context == "session":
            self._session_end(block, number)
        elif block.context in {"listener", "backend"}:
            self._endpoint_end(block, number)

    def _endpoint_end(self, block: Block, number: int) -> None:
        for name in ("Address", "Port"):
            if block.first(name) is None:
                self._refuse(number, f"{block.opened.name} of line {block.opened.line} has no {name}")
        if block.opened.name == "ListenHTTPS" and block.first("Cert") is None:
            self._refuse(number, f"ListenHTTPS of line {block.opened.line} has no Cert")
        self._twins(block, number)

    def _twins(self, block: Block, number: int) -> None:
        if block.context != "backend" or self.dialect not in NG:
            return
        service = self._open[-1]
        mine = (block.value("Address"), block.value("Port"))
        if any((other.value("Address"), other.value("Port")) == mine for other in service.blocks if other is not block):
            self._refuse(number, "two backends have the same address and port")

    def _session_end(self, block: Block, number: int) -> None:
        kind = (block.value("Type") or "").upper()
        if not kind:
            self._refuse(number, "the Session has no Type")
        elif kind in SESSIONS_WITH_ID and block.first("ID") is None:
            self._refuse(number, f"a Session of Type {kind} has no ID")
        if block.first("TTL") is None:
            self._refuse(number, "the Session has no TTL")

    def _alive(self) -> None:
        alive, connect = self.root.first("Alive"), self.root.first("ConnTO")
        if self.dialect in NG and alive and connect and int(alive.text) <= int(connect.text):
            self._refuse(max(alive.line, connect.line), "Alive must be greater than ConnTO")


def holds_key(pem: bytes) -> bool:
    """Whether a PEM file holds a private key."""
    return b"PRIVATE KEY-----" in pem


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_ipv4(text: str) -> bool:
    """Whether the text is an IPv4 address."""
    return is_address(text) and isinstance(ip_address(text), IPv4Address)
