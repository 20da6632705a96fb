"""The words of a haproxy.cfg that differ in the lab."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ...core.files import write_atomically
from ...readers.haproxy.model import Bind, Model, Proxy, Server
from ...readers.tree import Statement, Word
from .edits import Edits
from .plan import Key, Places

_WORD: Final = re.compile(r"""(?:[^\s"'\\#]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
_PREFIX: Final = re.compile(r"(?:ipv4@|ipv6@|tcp4@|tcp6@|tcp@|udp4@|udp6@)")
_ANY: Final = frozenset({"", "*", "localhost"})
_IN_COMMENT: Final = frozenset(
    (
        *("chroot", "user", "uid", "group", "gid", "daemon", "pidfile", "quiet", "ulimit-n", "ssl-dh-param-file"),
        *("server-state-base", "server-state-file", "setcap", "unix-bind", "node"),
    )
)
"""Statements of `global` that are about the live machine."""
_CLOSED: Final = "127.0.0.1:9"
"""The discard port, on which nothing listens: for programs that are not in the lab."""
_LOGS_HERE: Final = ("global", "stdout", "stderr", "ring@", "fd@", "127.0.0.1:9")


class Mapping:
    """The edits of one file for one lab."""

    def __init__(self, text: str, places: Places) -> None:
        self.edits = Edits(text, _WORD)
        self._places = places
        self._spare = iter(places.spare)
        self._here: dict[str, str] = {}
        """The address in the lab of each listener, by the addresses that servers of the same file use."""

    def globals(self, found: Model) -> None:
        """Map what `global` says about the live machine, and the logs of all sections."""
        for statement in found.globals:
            if statement.name in _IN_COMMENT:
                self.edits.comment_out(statement.words, statement.name)
            elif statement.name == "stats" and statement.arguments[:1] == ("socket",) and len(statement.words) > 2:
                self.edits.replace(statement.words[2], str(self._places.folder / "stats.sock"), "stats socket")
                self._owners(statement)
        for statement in found.configuration.walk():
            if statement.name == "log" and len(statement.words) > 2 and not _is_here(statement.words[1].text):
                self.edits.replace(statement.words[1], "stdout", "log")

    def _owners(self, statement: Statement) -> None:
        """Remove the owner of a socket: the lab's user cannot give it away."""
        for word, value in zip(statement.words, statement.words[1:], strict=False):
            if word.text in {"user", "uid", "group", "gid"}:
                self.edits.replace(word, "", f"{statement.name} {word.text}")
                self.edits.replace(value, "", f"{statement.name} {word.text}")

    def listener(self, bind: Bind, first: int | None, *, inside: bool) -> None:
        """Map a listener; `first` is the port of its first address, if the lab's clients connect there.

        One that servers of the same file reach (`inside`) keeps the PROXY protocol, which those send.
        """
        if bind.address.text.startswith("quic"):
            self.edits.comment_out(bind.statement.words, "bind")
            return
        addresses = []
        for number, part in enumerate(bind.address.text.split(",")):
            port = first if number == 0 and first is not None else None
            addresses.append(self._address(part, port))
        self.edits.replace(bind.address, ",".join(addresses), "bind")
        self._owners(bind.statement)
        for setting in bind.settings:
            if not (inside and setting.word.text == "accept-proxy"):
                self._bind_setting(setting.word, setting.value)

    def _address(self, part: str, port: int | None) -> str:
        if part.startswith(("/", "unix@", "abns@")):
            path = str(self._places.folder / f"listener-{len(self._here) + 1}.sock")
            here = path if part.startswith("/") else f"unix@{path}"
            self._here[part.removeprefix("unix@")] = here
            return here
        here = f"127.0.0.1:{next(self._spare) if port is None else port}"
        for name in own_addresses(part):
            self._here.setdefault(name, here)
        return here

    def _bind_setting(self, word: Word, value: Word | None) -> None:
        made = self._places.certificates
        if word.text == "accept-proxy":
            self.edits.replace(word, "", "bind accept-proxy")
        elif value is None:
            return
        elif word.text in {"crt", "default-crt"}:
            self.edits.replace(value, str(made.bundle), "certificate")
        elif word.text == "crt-list":
            path = self._places.folder / f"{value.location.line}.crt-list"
            write_atomically(path, f"{made.bundle}\n".encode())
            self.edits.replace(value, str(path), "list of certificates")
        elif word.text in {"ca-file", "ca-verify-file"}:
            self.edits.replace(value, str(made.ca), "CA")

    def server(self, server: Server, key: Key | None) -> None:
        """Map a server: to its simulated node, or to a listener of the same file."""
        word = server.statement.words[2]
        address = word.text.removeprefix("unix@")
        if key is None:
            self.edits.replace(word, self._here[address], f"server {server.name}")
            return
        port = self._places.nodes[key]
        self.edits.replace(word, f"127.0.0.1:{port}", f"server {server.name}")
        for name, setting in server.settings.items():
            self._server_setting(name, setting.word, setting.value, port)

    def _server_setting(self, name: str, word: Word, value: Word | None, port: int) -> None:
        made = self._places.certificates
        if name in {"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "check-send-proxy"}:
            self.edits.replace(word, "", f"server {name}")
            return
        new = {
            "port": str(port),
            "addr": "127.0.0.1",
            "source": "127.0.0.1",
            "agent-addr": "127.0.0.1",
            "agent-port": "9",
            "ca-file": str(made.ca),
            "crt": str(made.bundle),
        }.get(name)
        if value is not None and new is not None:
            self.edits.replace(value, new, f"server {name}")

    def others(self, found: Model, folder: Path) -> None:
        """Map the addresses and files of all other statements."""
        for section in found.configuration.statements:
            for statement in section.inside:
                self._other(section, statement, folder)

    def _other(self, section: Statement, statement: Statement, folder: Path) -> None:
        words = statement.words
        if statement.name == "errorfile" and len(words) > 2 and not (folder / words[2].text).is_file():
            self.edits.comment_out(words, "errorfile")
        elif statement.name == "source" and len(words) > 1:
            self.edits.replace(words[1], "127.0.0.1", "source")
        elif section.name == "peers" and statement.name in {"peer", "server"} and len(words) > 2:
            self.edits.replace(words[2], f"127.0.0.1:{next(self._spare)}", f"peer {words[1].text}")
        elif section.name == "peers" and statement.name == "bind" and len(words) > 1:
            self.edits.replace(words[1], f"127.0.0.1:{next(self._spare)}", "peers bind")
        elif section.name == "resolvers" and statement.name == "nameserver" and len(words) > 2:
            self.edits.replace(words[2], _CLOSED, f"nameserver {words[1].text}")
        elif section.name == "resolvers" and statement.name == "parse-resolv-conf":
            self.edits.comment_out(words, "parse-resolv-conf")
        elif section.name in {"mailers", "ring"} and statement.name in {"mailer", "server"} and len(words) > 2:
            self.edits.replace(words[2], _CLOSED, f"{statement.name} {words[1].text}")
        elif statement.name in {"crt-base", "ca-base", "key-base"}:
            self.edits.comment_out(words, statement.name)
        self._lists(statement, folder)

    def _lists(self, statement: Statement, folder: Path) -> None:
        """Give a list in a file its absolute path: HAProxy starts in another folder."""
        for option, word in zip(statement.words, statement.words[1:], strict=False):
            if option.text == "-f" and not Path(word.text).is_absolute():
                self.edits.replace(word, str((folder / word.text).resolve()), "list")


def _is_here(target: str) -> bool:
    return target.startswith(_LOGS_HERE)


def own_addresses(part: str) -> Iterator[str]:
    """The texts with which a server of the same file reaches a listener."""
    text = _PREFIX.sub("", part)
    host, _, port = text.rpartition(":")
    if port.isdecimal() and is_this_machine(host):
        yield from (f"127.0.0.1:{port}", f"localhost:{port}")
    else:
        yield text.removeprefix("unix@")


def is_this_machine(host: str) -> bool:
    """Whether a listener of this host is reached by 127.0.0.1."""
    return host in _ANY or is_unspecified(host) or host == "127.0.0.1"


def is_unspecified(host: str) -> bool:
    """Whether the host is the address that stands for all, of IPv4 or IPv6."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def names_of(bind: Bind) -> set[str]:
    """The texts with which a server of the same file reaches any address of a listener."""
    return {name for part in bind.address.text.split(",") for name in own_addresses(part)}


def internal(found: Model, bind: Bind) -> bool:
    """Whether a server of the same file reaches this listener."""
    names = names_of(bind)
    return any(server.address.removeprefix("unix@") in names for one in found.backends for server in one.servers)


def peer_lines(found: Model) -> list[Statement]:
    """The lines of `peers` sections that have an address."""
    sections = [section for section in found.configuration.statements if section.name == "peers"]
    return [one for section in sections for one in section.inside if one.name in {"peer", "server", "bind"}]


def plain_redirect(found: Model) -> tuple[Proxy, Bind] | None:
    """The listener of HTTP that redirects to https."""
    for proxy in found.frontends:
        old, new = proxy.all("redirect", "scheme", "https"), proxy.all("http-request", "redirect", "scheme", "https")
        for bind in proxy.binds if [*old, *new] else ():
            if not bind.get("ssl"):
                return proxy, bind
    return None
