"""The words of a haproxy.cfg that differ in the lab."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from ...core.files import write_atomically
from ...readers.haproxy.model import Bind, Model, Proxy, Server, Setting
from ...readers.tree import Statement, Word
from .edits import EditsOfFiles
from .hosts import is_this_machine
from .plan import Key, Places

_WORD: Final = re.compile(r"""(?:[^\s"'\\#]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
_PREFIX: Final = re.compile(r"(?:ipv4@|ipv6@|tcp4@|tcp6@|tcp@|udp4@|udp6@)")
_IN_COMMENT: Final = frozenset(
    (
        *("chroot", "user", "uid", "group", "gid", "daemon", "pidfile", "quiet", "ulimit-n", "ssl-dh-param-file"),
        *("server-state-base", "server-state-file", "setcap", "unix-bind", "node", "nbproc"),
    )
)
"""Statements of `global` that are about the live machine; HAProxy 2.5 removed `nbproc`, its number of processes."""
MOST_CONNECTIONS: Final = 4000
"""HAProxy does not start if `maxconn` needs more open files than the machine allows; the lab has few clients."""
_LOG_FORMATS: Final = frozenset(("log-format", "log-format-sd", "error-log-format", "log-tag"))
_CLOSED: Final = "127.0.0.1:9"
"""The discard port, on which nothing listens: for programs that are not in the lab."""
_LOGS_HERE: Final = ("global", "stdout", "stderr", "ring@", "fd@", "127.0.0.1:9")


_PROXY_PROTOCOL: Final = frozenset(
    ("send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "check-send-proxy")
)
_TEMPLATE_WORDS: Final = 4
"""The words of a `server-template` before its settings."""
_MAP: Final = re.compile(r"\bmap(?:_[a-z]+)*\(([^,)]+)")
_RANGE: Final = re.compile(r"(?:([0-9]{1,5})-)?([0-9]{1,5})")


class _Setting(NamedTuple):
    """A word of a server line, and what it is in the lab."""

    word: Word
    new: str
    what: str


class Words:
    """The edits of the files of one configuration for one lab."""

    def __init__(self, texts: Mapping[str, str], places: Places) -> None:
        """`texts` are by the names in the locations."""
        self.edits = EditsOfFiles(texts, _WORD)
        self._places = places
        self._spare = iter(places.spare)
        self._here: dict[str, str] = {}
        """The address in the lab of each listener, by the addresses that servers of the same file use."""

    def globals(self, found: Model) -> None:
        """Map what `global` says about the live machine, and the logs of all sections."""
        for statement in found.globals:
            if statement.name in _IN_COMMENT or _is_of_red_hat(statement):
                self.edits.comment_out(statement.words, statement.name)
            elif statement.name == "stats" and statement.arguments[:1] == ("socket",) and len(statement.words) > 2:
                self.edits.replace(statement.words[2], str(self._places.folder / "stats.sock"), "stats socket")
                self._owners(statement)
            elif statement.name == "maxconn" and _is_above(statement.arguments[:1], MOST_CONNECTIONS):
                self.edits.replace(statement.words[1], str(MOST_CONNECTIONS), "maxconn")
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
            path = self._places.folder / f"{self.edits.number(value)}-{value.location.line}.crt-list"
            write_atomically(path, f"{made.bundle}\n".encode())
            self.edits.replace(value, str(path), "list of certificates")
        elif word.text in {"ca-file", "ca-verify-file"}:
            self.edits.replace(value, str(made.ca), "CA")

    def server(self, server: Server, keys: Sequence[Key | None]) -> None:
        """Map a server to its simulated node, or to a listener of the same file (None); a template has several keys."""
        here = [None if key is None else self._places.nodes[key] for key in keys]
        if server.template:
            self._template(server, [port for port in here if port is not None])
            return
        word, port = address_word(server), here[0]
        if port is None:
            self.edits.replace(word, self._here[word.text.removeprefix("unix@")], f"server {server.name}")
            return
        self.edits.replace(word, f"127.0.0.1:{port}", f"server {server.name}")
        for one in self._settings(server, port):
            self.edits.replace(*one)

    def _template(self, server: Server, ports: Sequence[int]) -> None:
        """Write a line for each server of a template, under the names that HAProxy gives them."""
        words = server.statement.words
        lines = []
        for number, port in zip(template_numbers(server), ports, strict=True):
            new = {}
            for one in self._settings(server, port):
                if one.word in words:
                    new[one.word] = one.new
                else:
                    self.edits.replace(*one)
            rest = (new.get(word, self.edits.written(word)) for word in words[_TEMPLATE_WORDS:])
            lines.append(" ".join(filter(None, (f"server {server.name}{number} 127.0.0.1:{port}", *rest))))
        what = f"server-template {server.name}, as if DNS had {len(lines)} addresses"
        self.edits.replace_line(words, "\n    ".join(lines), what)

    def _settings(self, server: Server, port: int) -> Iterator[_Setting]:
        """The words of a server's settings that differ, with what they are in the lab."""
        for name, setting in server.settings.items():
            if name == "port" and setting.word not in server.statement.words:
                # Of a default-server line, for all servers: without it, each check is to the port of its server.
                yield _Setting(setting.word, "", "default-server port")
                if setting.value is not None:
                    yield _Setting(setting.value, "", "default-server port")
            else:
                yield from self._setting(name, setting, port)

    def _setting(self, name: str, setting: Setting, port: int) -> Iterator[_Setting]:
        made = self._places.certificates
        if name in _PROXY_PROTOCOL:
            yield _Setting(setting.word, "", f"server {name}")
        new = {
            "port": str(port),
            "addr": "127.0.0.1",
            "source": "127.0.0.1",
            "agent-addr": "127.0.0.1",
            "agent-port": "9",
            "ca-file": str(made.ca),
            "crt": str(made.bundle),
        }.get(name)
        if setting.value is not None and new is not None:
            yield _Setting(setting.value, new, f"server {name}")

    def others(self, found: Model, here: Callable[[str], Path]) -> None:
        """Map the addresses and files of all other statements; `here` returns the path of a file on this machine."""
        for section in found.configuration.statements:
            for statement in section.inside:
                self._other(section, statement)
                self._files(statement, here)

    def _other(self, section: Statement, statement: Statement) -> None:
        words = statement.words
        if statement.name == "source" and len(words) > 1:
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
        elif statement.name in {"crt-base", "ca-base", "key-base"} or _is_log_of_environment(statement):
            self.edits.comment_out(words, statement.name)

    def _files(self, statement: Statement, here: Callable[[str], Path]) -> None:
        """Give each file its absolute path on this machine: HAProxy starts in another folder."""
        words = statement.words
        if statement.name == "errorfile" and len(words) > 2:
            path = here(words[2].text)
            if path.is_file():
                self._path(words[2], {words[2].text: path}, "errorfile")
            else:
                self.edits.comment_out(words, "errorfile")
        for option, word in pairwise(words):
            if option.text == "-f":
                self._path(word, {word.text: here(word.text)}, "list")
            else:
                self._path(word, {name: here(name) for name in map_files(word.text)}, "map")

    def _path(self, word: Word, paths: Mapping[str, Path], what: str) -> None:
        """Write the paths here in place of the names in a word."""
        live = text = self.edits.written(word)
        for name, path in paths.items():
            text = text.replace(name, str(path.resolve()))
        if text != live:
            self.edits.replace(word, text, what)


def map_files(text: str) -> list[str]:
    """The files of the converters `map`, `map_beg` and similar in a word."""
    return [name.strip() for name in _MAP.findall(text)]


def template_numbers(server: Server) -> range:
    """The numbers of a template's servers, from `3` or `1-3`; empty for another text."""
    found = _RANGE.fullmatch(server.statement.arguments[1])
    return range(int(found[1] or 1), int(found[2]) + 1) if found else range(0)


def address_word(server: Server) -> Word:
    """The word that has the address of a server, or the name that a template resolves."""
    return server.statement.words[_TEMPLATE_WORDS - 1 if server.template else 2]


def _is_above(arguments: Sequence[str], most: int) -> bool:
    """Whether the first argument is a number above a maximum."""
    return any(text.isdecimal() and int(text) > most for text in arguments)


def _is_of_red_hat(statement: Statement) -> bool:
    """Whether this names the machine's own policy, which only the OpenSSL of Red Hat and Fedora has."""
    return statement.name.startswith("ssl-default-") and "".join(statement.arguments).startswith("PROFILE=")


def _is_log_of_environment(statement: Statement) -> bool:
    """Whether this says what a line of the log has, by a variable of the live machine's environment."""
    return statement.name in _LOG_FORMATS and any("${" in argument for argument in statement.arguments)


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
