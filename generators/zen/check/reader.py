"""From the text of a farm file to its blocks, with every complaint that its engine would have.

A complaint says whether the engine itself refuses; what an engine takes and the farm suffers from is found on the
finished blocks (`zen_rules`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Final, NamedTuple

from .dialect import NG, POUNDS, SESSIONS_WITH_ID, Context, Dialect, Directive, grammar

_LINE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<name>[A-Za-z0-9]+)(?:[ \t]+(?P<values>.*?))?[ \t]*")
_POSIX_ONLY: Final = re.compile(r"\(\?|\\[A-Za-z]")
"""What Python's regular expressions know and POSIX ones do not."""
_AFTER_CERT: Final = frozenset({"Ciphers", "Disable", "DisableSSLv3", "SSLHonorCipherOrder"})
_ERROR_FILE: Final = re.compile(r"Err(?:414|500|501|503|NoSsl)")


class Complaint(NamedTuple):
    """What is wrong on a line; `engine` is true where the engine itself refuses to start."""

    line: int
    message: str
    engine: bool

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class Entry(NamedTuple):
    """One directive as it stands in the file."""

    line: int
    name: str
    values: str
    depth: int
    """How many tabs stand before it; -1 where it is indented by anything else."""

    @property
    def text(self) -> str:
        """The value without its quotes."""
        return self.values.strip('"')


class Comment(NamedTuple):
    """One comment, without indentation: the appliance edits the file by some of them."""

    line: int
    text: str


@dataclass
class Block:
    """A block and what stands in it, in order."""

    context: Context
    opened: Entry
    entries: list[Entry] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    closed: Entry | None = None
    """Its `End`."""

    def all(self, name: str) -> list[Entry]:
        """Every directive of that name."""
        return [entry for entry in self.entries if entry.name == name]

    def first(self, name: str) -> Entry | None:
        """The first directive of that name."""
        return next(iter(self.all(name)), None)

    def value(self, name: str) -> str | None:
        """The first value of that name, without quotes."""
        entry = self.first(name)
        return None if entry is None else entry.text

    def inner(self, *names: str) -> list["Block"]:
        """The blocks in it that begin with one of these directives."""
        return [block for block in self.blocks if block.opened.name in names]


class Reader:
    """Reads one farm file; `root` holds its blocks and `complaints` what the engine refuses."""

    def __init__(self, text: str, dialect: Dialect, files: Mapping[str, bytes]) -> None:
        """`files` holds the content of the files that the engine would open, by their paths."""
        self.dialect: Final = dialect
        self.files: Final = files
        self.complaints: list[Complaint] = []
        self.root: Final = Block("file", Entry(0, "", "", -1))
        self._open: list[Block] = [self.root]
        self._grammar: Final = grammar(dialect)
        number = 0
        for number, line in enumerate(text.split("\n"), start=1):
            self._line(number, line.removesuffix("\r"))
        for block in reversed(self._open[1:]):
            self._refuse(number, f"{block.opened.name} of line {block.opened.line} has no End")
        self._alive()

    def _refuse(self, line: int, message: str) -> None:
        self.complaints.append(Complaint(line, message, engine=True))

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
            self._refuse(number, "no directive begins like that")
            return
        indent = match["indent"]
        depth = len(indent) if set(indent) <= {"\t"} else -1
        entry = Entry(number, match["name"], match["values"] or "", depth)
        if entry.name == "End" and not entry.values and block is not self.root:
            block.closed = entry
            self._end(block, number)
        else:
            self._directive(block, entry)

    def _directive(self, block: Block, entry: Entry) -> None:
        known = self._grammar.get((block.context, entry.name))
        if known is None or not known.matches(entry.values):
            what = "unknown directive" if known is None else f"{entry.name} does not take these values"
            self._refuse(entry.line, f"{what} in the context of the {block.context}: {entry.name} {entry.values}")
            return
        if known.https and block.opened.name != "ListenHTTPS":
            self._refuse(entry.line, f"{entry.name} is for an HTTPS listener")
        block.entries.append(entry)
        self._check(block, entry)
        if known.opens is not None:
            self._enter(block, entry, known)

    def _enter(self, block: Block, entry: Entry, known: Directive) -> None:
        if known.opens is None:
            return
        inner = Block(known.opens, entry)
        block.blocks.append(inner)
        self._open.append(inner)

    def _check(self, block: Block, entry: Entry) -> None:
        """What an engine looks at as soon as it reads the directive."""
        if entry.name == "Port":
            self._port(block, entry)
        elif entry.name in {"HeadRequire", "Url", "HeadRemove"}:
            self._pattern(entry)
        elif _ERROR_FILE.fullmatch(entry.name) or entry.name == "DHParams":
            if entry.text not in self.files:
                self._refuse(entry.line, f"{entry.text} does not exist")
        elif entry.name == "Cert":
            self._certificate(entry)
        elif entry.name in _AFTER_CERT and self.dialect not in NG and block.first("Cert") is None:
            self._refuse(entry.line, f"{entry.name} may only stand after Cert")

    def _port(self, block: Block, entry: Entry) -> None:
        if self.dialect not in POUNDS:
            return
        address = block.value("Address")
        if address is None or not is_address(address):
            self._refuse(entry.line, "Port must stand after an Address that is an IP address")

    def _pattern(self, entry: Entry) -> None:
        try:
            re.compile(entry.text)
        except re.error as error:
            self._refuse(entry.line, f"{entry.name}: the pattern is wrong: {error}")
            return
        if found := _POSIX_ONLY.search(entry.text):
            self._refuse(entry.line, f"{entry.name}: {found[0]} is not in POSIX regular expressions")

    def _certificate(self, entry: Entry) -> None:
        pem = self.files.get(entry.text)
        if pem is None or b"-----BEGIN CERTIFICATE-----" not in pem:
            self._refuse(entry.line, f"{entry.text} holds no certificate")
        elif b"PRIVATE KEY-----" not in pem:
            message = f"{entry.text} holds no private key"
            self.complaints.append(Complaint(entry.line, message, engine=self.dialect not in NG))

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
        kind = block.value("Type")
        if kind is None:
            self._refuse(number, "the Session has no Type")
        elif kind in SESSIONS_WITH_ID and block.first("ID") is None:
            self._refuse(number, f"a Session of Type {kind} has no ID")
        if block.first("TTL") is None:
            self._refuse(number, "the Session has no TTL")

    def _alive(self) -> None:
        alive, connect = self.root.first("Alive"), self.root.first("ConnTO")
        if self.dialect in NG and alive and connect and int(alive.text) <= int(connect.text):
            self._refuse(max(alive.line, connect.line), "Alive must be greater than ConnTO")


def is_address(text: str) -> bool:
    """Whether it is an IP address and no name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_ipv4(text: str) -> bool:
    """Whether it is an IPv4 address."""
    return is_address(text) and isinstance(ip_address(text), IPv4Address)
