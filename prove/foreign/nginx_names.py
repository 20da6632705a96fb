"""The server block of an nginx.conf that gets a request, by listener and host name.

Source: NGINX's documentation "Server names" and `ngx_http_find_virtual_server`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ...readers.nginx.model import Model
from ...readers.nginx.scopes import Scope
from .nginx_words import listeners
from .patterns import compiled
from .plan import HOST

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_DEFAULT: Final = frozenset(("default_server", "default"))


def selected(found: Model, address: str, host: str) -> Scope | None:
    """The server of `http` that gets the requests of a host name on a listener; None without such a listener.

    The order: the exact name, the longest wildcard at the begin, the longest one at the end, the first expression,
    the default server.
    """
    known = _names(found.servers, address)
    if exact := known.exact.get(host):
        return exact
    ranked = [(_rank(name, host, number), server) for name, number, server in known.others]
    matching = [(rank, server) for rank, server in ranked if rank is not None]
    return max(matching, key=lambda pair: pair[0])[1] if matching else known.default


class _Names(NamedTuple):
    """The servers of one listener by their names: exact ones, and patterns with their order."""

    exact: dict[str, Scope]
    others: list[tuple[str, int, Scope]]
    default: Scope | None


@lru_cache(maxsize=64)
def _names(of_http: tuple[Scope, ...], address: str) -> _Names:
    servers = [server for server in of_http if any(one == address for _, one in listeners(server))]
    exact: dict[str, Scope] = {}
    others = []
    for number, server in enumerate(servers):
        for name in server_names(server):
            if name.startswith(("*", "~")) or name.endswith("*"):
                others.append((name, number, server))
            else:
                exact.setdefault(name.removeprefix("."), server)
            if name.startswith("."):
                others.append((name, number, server))
    default = next((server for server in servers if _is_default(server, address)), next(iter(servers), None))
    return _Names(exact, others, default)


def is_named(server: Scope, host: str) -> bool:
    """Whether a name of the server fits the host name."""
    return any(_rank(name, host, 0) is not None for name in server_names(server))


def _is_default(server: Scope, address: str) -> bool:
    return any(
        one.arguments[:1] == (address,) and not _DEFAULT.isdisjoint(one.arguments) for one in server.own("listen")
    )


def _rank(name: str, host: str, number: int) -> tuple[int, int, int] | None:
    """How well a name of a server fits a host name: the kind, the length, the order; None if it does not fit."""
    if name.startswith("~"):
        pattern = compiled(name[1:], ignore_case=True)
        return (1, 0, -number) if pattern is not None and pattern.search(host) else None
    if name == host or (name.startswith(".") and name[1:] == host):
        return 4, 0, -number
    if name.startswith(("*.", ".")) and host.endswith(tail := name.removeprefix("*")):
        return 3, len(tail), -number
    if name.endswith(".*") and host.startswith(name[:-1]):
        return 2, len(name), -number
    return None


def server_names(server: Scope) -> Iterator[str]:
    """The names of `server_name`, in small letters; expressions as they are written."""
    for one in server.own("server_name"):
        yield from (name if name.startswith("~") else name.lower() for name in one.arguments)


def hosts(server: Scope) -> Iterator[str]:
    """Host names that clients of a server may request, the most likely one first."""
    plain = [name for name in map(_plain, server_names(server)) if _NAME.fullmatch(name)]
    yield from (name for name in plain if "." in name)
    yield HOST
    yield from (name for name in plain if "." not in name)


def _plain(name: str) -> str:
    """A host name that a wildcard matches."""
    if name.startswith("*."):
        return f"www{name[1:]}"
    return f"{name[:-2]}.example" if name.endswith(".*") else name.removeprefix(".")


def host_for(found: Model, server: Scope, address: str, names: Iterable[str]) -> str | None:
    """The first of these names for which NGINX selects the server on the listener; None for none of them."""
    return next((name for name in names if selected(found, address, name) is server), None)
