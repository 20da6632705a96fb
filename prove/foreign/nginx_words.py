"""The words of an nginx.conf that differ in the lab."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...generators.nginx.generator import DEFAULT_TIMEOUTS
from ...readers.nginx.model import Model, Proxied
from ...readers.nginx.scopes import Scope
from ...readers.nginx.upstreams import Member
from ...readers.tree import Configuration, Statement
from ..lab.mapping import Mapped
from .edits import Edits
from .hosts import is_this_machine
from .maps import IncludedFiles
from .nginx_refused import is_site
from .nginx_stream import DEFAULT_TIMEOUTS as DEFAULT_TIMEOUTS_OF_STREAM
from .plan import Key, Places

if TYPE_CHECKING:
    from ...core.errors import Location

_WORD: Final = re.compile(r"""\"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\\.|\$\{|[^\s;{\\])+""", re.DOTALL)
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^/:$]+)(?::(?P<port>\d+))?(?P<rest>/.*|$)")
_REMOVED: Final = frozenset(
    (
        *("user", "daemon", "lock_file", "worker_rlimit_nofile", "worker_priority", "working_directory", "ssl_dhparam"),
        *("ssl_session_ticket_key", "ssl_password_file", "ssl_stapling", "ssl_stapling_verify", "ssl_stapling_file"),
        *("proxy_ssl_password_file", "ssl_early_data"),
    )
)
"""Directives about the live machine."""
_TEMPORARY: Final = tuple(f"{name}_temp_path" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
_CACHES: Final = frozenset(("proxy_cache_path", "fastcgi_cache_path", "uwsgi_cache_path", "scgi_cache_path"))
CLIENTS_ALLOWED: Final = "allow 127.0.0.0/8; deny all;"
"""For the lab's clients, in place of a `deny all` after the addresses of live ones."""
DEFAULT_PORT: Final = "80"
_MODULES: Final = "/etc/nginx/modules-enabled/*.conf"
"""Debian's package of the stream module is loaded from here; other builds have it inside, and no such folder."""
_PARAMETERS: Final = ("ipv6only=", "proxy_protocol")
"""Parameters of `listen` that do not fit the lab's listeners."""


@dataclass(frozen=True)
class Direct:
    """A `proxy_pass` that names its node itself."""

    proxied: Proxied
    key: Key


def direct(proxied: Proxied, found: Model) -> Direct | None:
    """The node that a `proxy_pass` names; None for an upstream and for a variable."""
    words = proxied.target.statement.arguments
    url = _URL.fullmatch(words[0]) if words else None
    if url is None or url["host"] in found.upstreams:
        return None
    default = "443" if url["scheme"] == "https" else "80"
    return Direct(proxied, Key(url["host"].strip("[]"), url["port"] or default, url["scheme"] == "https"))


def listeners(server: Scope) -> list[tuple[Statement | None, str]]:
    """The `listen` directives with an address of TCP; those of QUIC are not among them.

    A server of `http` without any listens on port 80 (None).
    """
    found = [one for one in server.own("listen") if one.arguments]
    if not found and server.enclosing("stream") is None:
        return [(None, DEFAULT_PORT)]
    return [(one, one.arguments[0]) for one in found if "quic" not in one.arguments]


def is_tls(server: Scope) -> bool:
    """Whether a server ends TLS on any of its listeners."""
    return any("ssl" in one.arguments for one in server.own("listen")) or server.value("ssl") == "on"


def entry(server: Scope) -> str:
    """The listener of the lab's clients: the first one, with TLS if the server has any."""
    found = listeners(server)
    secure = (address for one, address in found if one is not None and "ssl" in one.arguments)
    return next(secure, found[0][1])


def redirecting(found: Model) -> Scope | None:
    """The server of HTTP that redirects to https."""
    for server in found.servers:
        plain = listeners(server) and not any("ssl" in one.arguments for one in server.own("listen"))
        returns = [one for scope in server.walk() for one in (*scope.own("return"), *scope.own("rewrite"))]
        if plain and any("https://" in word for one in returns for word in one.arguments):
            return server
    return None


def reached_as(listen: str) -> tuple[str, ...]:
    """The texts with which `stream` of the same file reaches a listener: `8443` is 127.0.0.1:8443."""
    host, _, port = listen.rpartition(":")
    if not port.isdecimal():
        return ()
    return (f"127.0.0.1:{port}", f"localhost:{port}") if is_this_machine(host) else (listen,)


def _lacks_certificate(inside: Sequence[Statement]) -> bool:
    """Whether a server of a site file has TLS without a certificate of its own, and the file has none around it."""
    around = any(one.name == "ssl_certificate" for one in inside)
    servers = [one.inside for one in inside if one.name == "server"]
    secure = [own for own in servers if any(one.name == "listen" and "ssl" in one.arguments for one in own)]
    return not around and any(all(one.name != "ssl_certificate" for one in own) for own in secure)


def _closed_to_others(inside: Sequence[Statement]) -> Iterator[Statement]:
    """Each `deny all` in a block that allows some addresses of the live network."""
    if any(one.name == "allow" for one in inside):
        yield from (one for one in inside if one.name == "deny" and one.arguments == ("all",))
    for one in inside:
        yield from _closed_to_others(one.inside)


def _loads_stream(statement: Statement) -> bool:
    return statement.name == "load_module" and "ngx_stream_module" in "".join(statement.arguments)


class Mapping:
    """The edits of a configuration and of the files that it includes, for one lab."""

    def __init__(
        self, file: Path, content: str, configuration: Configuration, places: Places, files: IncludedFiles
    ) -> None:
        self._file = str(file)
        self._places = places
        self._edits = {self._file: Edits(content.removeprefix("\ufeff"), _WORD)}
        self._here: dict[str, str] = {}
        self._includes: dict[str, dict[Location, tuple[Statement, list[str]]]] = {}
        for one in configuration.walk():
            if one.name == "include" and one.arguments:
                self._open(one, files)
        self._rendered: dict[str, str] = {}

    def _open(self, include: Statement, files: IncludedFiles) -> None:
        sources = files.matching(include.arguments[0]).sources
        for source in sources:
            if source.name not in self._edits:
                self._edits[source.name] = Edits(source.text, _WORD, source.name)
        of_file = self._includes.setdefault(include.location.file, {})
        of_file[include.location] = include, [source.name for source in sources]

    def rows(self) -> list[Mapped]:
        """Everything that differs from the live configuration; complete after `text`."""
        return [row for edits in self._edits.values() for row in edits.rows]

    def text(self) -> str:
        """The text for the lab, with that of each included file in place of its `include`."""
        return self._text_of(self._file)

    def _text_of(self, name: str) -> str:
        if name not in self._rendered:
            for include, names in self._includes.get(name, {}).values():
                inside = "".join(f"\n{self._text_of(one)}\n" for one in names)
                here = f"the text of {', '.join(names)}" if names else "no file"
                self._edits[name].replace_directive(include.words, inside, "include", here)
            self._rendered[name] = self._edits[name].text()
        return self._rendered[name]

    def _of(self, statement: Statement) -> Edits:
        return self._edits[statement.location.file]

    def listeners(self, found: Model, chosen: Scope, *, redirects: bool) -> None:
        """Map every `listen`, of `http` and `stream`: the same address has the same port in all servers."""
        redirect = redirecting(found) if redirects else None
        first = entry(chosen)
        self._here[first] = f"127.0.0.1:{self._places.frontend}"
        if redirect is not None:
            self._here.setdefault(listeners(redirect)[0][1], f"127.0.0.1:{self._places.http}")
        spare = iter(self._places.spare)
        for server in (*found.servers, *found.stream_servers):
            for statement, address in listeners(server):
                here = self._here.get(address) or f"127.0.0.1:{next(spare)}"
                self._here[address] = here
                if statement is None:
                    if server.statement is not None:
                        name = server.statement.words[-1]
                        self._of(server.statement).begin_block(name, f" listen {here};", "listen")
                    continue
                edits = self._of(statement)
                edits.replace(statement.words[1], here, "listen")
                for word in statement.words[2:]:
                    if word.text.startswith(_PARAMETERS):
                        edits.replace(word, "", "listen")
            for statement in server.own("listen"):
                if "quic" in statement.arguments:
                    self._of(statement).replace_directive(statement.words, "", "listen")

    def member(self, member: Member, key: Key) -> None:
        """Map a member of an upstream to its simulated node."""
        statement = member.statement
        self._of(statement).replace(statement.words[1], f"127.0.0.1:{self._places.nodes[key]}", "server")

    def direct(self, one: Direct) -> None:
        """Map a `proxy_pass` that names its node."""
        statement = one.proxied.target.statement
        url = _URL.fullmatch(statement.arguments[0])
        if url is not None:
            new = f"{url['scheme']}://127.0.0.1:{self._places.nodes[one.key]}{url['rest']}"
            self._of(statement).replace(statement.words[1], new, "proxy_pass")

    def passed(self, statement: Statement, key: Key | None) -> None:
        """Map the address in a statement of `stream`: to a simulated node, or to a listener of the same file."""
        word = statement.words[1]
        here = self._inside(word.text) if key is None else f"127.0.0.1:{self._places.nodes[key]}"
        self._of(statement).replace(word, here, statement.name)

    def _inside(self, address: str) -> str:
        return next(here for live, here in self._here.items() if address in reached_as(live))

    def directives(self, configuration: Configuration) -> None:
        """Map the files, the user and the logs of the live machine, and write what NGINX's defaults are."""
        for statement in configuration.walk():
            if statement.name in _REMOVED and statement.block is None:
                self._of(statement).replace_directive(statement.words, "", statement.name)
            elif (new := self._new(statement)) is not None:
                self._of(statement).replace(statement.words[1], new, statement.name)
            elif statement.name == "proxy_protocol" or _loads_stream(statement):
                self._of(statement).replace_directive(statement.words, "", statement.name)
        for statement in _closed_to_others(configuration.statements):
            self._of(statement).replace_directive(statement.words, CLIENTS_ALLOWED, "deny", CLIENTS_ALLOWED)
        self._defaults(configuration)

    def _new(self, statement: Statement) -> str | None:
        """The first argument in the lab; None if it stays."""
        if not statement.arguments:
            return None
        made, folder = self._places.certificates, self._places.folder
        name, first = statement.name, statement.arguments[0]
        if name in {"access_log", "error_log"}:
            return None if first in {"off", "/dev/null"} else str(folder / f"{name.removesuffix('_log')}.log")
        if name == "proxy_bind":
            return None if first == "off" else "127.0.0.1"
        if name in _CACHES:
            return str(folder / f"cache-{statement.location.line}")
        new = {
            "ssl_certificate": made.certificate,
            "ssl_certificate_key": made.key,
            "proxy_ssl_certificate": made.certificate,
            "proxy_ssl_certificate_key": made.key,
            "ssl_client_certificate": made.ca,
            "ssl_trusted_certificate": made.ca,
            "proxy_ssl_trusted_certificate": made.ca,
            "pid": folder / "nginx.pid",
            **{one: folder / one for one in _TEMPORARY},
        }.get(name)
        return None if new is None else str(new)

    def _defaults(self, configuration: Configuration) -> None:
        """Write defaults whose files the lab cannot use, and the timeouts, so that the lab can scale them."""
        folder = self._places.folder
        main = {one.name for one in configuration.statements}
        if is_site(configuration):
            lines = [*self._of_http(configuration.statements), *self._of_site(configuration)]
            inside = " ".join(lines)
            self._edits[self._file].surround(f"events {{}} http {{ {inside} ", "\n}\n", "an http block around the file")
            main = set()
        files = {"pid": "nginx.pid", "error_log": "error.log"}
        if "stream" in main:
            self._edits[self._file].begin(f"include {_MODULES}; ", "the modules of the installed NGINX")
        if missing := [f"{name} {folder / file};" for name, file in files.items() if name not in main]:
            self._edits[self._file].begin(" ".join(missing) + " ", "pid, error_log")
        for stream in (one for one in configuration.statements if one.name == "stream"):
            own = {one.name for one in stream.inside}
            lines = [f"{name} {value};" for name, value in DEFAULT_TIMEOUTS_OF_STREAM.items() if name not in own]
            self._of(stream).begin_block(stream.words[-1], " " + " ".join(lines), "stream")
        for http in (one for one in configuration.statements if one.name == "http"):
            self._of(http).begin_block(http.words[-1], " " + " ".join(self._of_http(http.inside)), "http")

    def _of_site(self, configuration: Configuration) -> Iterator[str]:
        """What the `http` block around a site file has on the live machine: log formats, and a certificate."""
        directives = [*configuration.walk()]
        known = {"".join(one.arguments[:1]) for one in directives if one.name == "log_format"} | {"combined"}
        used = [one.arguments[1] for one in directives if one.name == "access_log" and len(one.arguments) > 1]
        for name in dict.fromkeys(used):
            if name not in known and "=" not in name:
                yield f"log_format {name} '$remote_addr [$time_local] \"$request\" $status';"
        if _lacks_certificate(configuration.statements):
            made = self._places.certificates
            yield f"ssl_certificate {made.certificate}; ssl_certificate_key {made.key};"

    def _of_http(self, inside: Sequence[Statement]) -> list[str]:
        """The defaults of an `http` block with these directives."""
        folder, own = self._places.folder, {one.name for one in inside}
        lines = [f"{name} {folder / name};" for name in _TEMPORARY if name not in own]
        lines += [f"{name} {value:g}s;" for name, value in DEFAULT_TIMEOUTS.items() if name not in own]
        return lines if "access_log" in own else [*lines, f"access_log {folder / 'access.log'};"]
