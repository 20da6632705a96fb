"""The `Data Source` of SQL Server: whether two texts name the same server, and whether each machine means itself."""

from typing import Final

from .endpoints import Endpoint

_PREFIXES: Final = ("tcp:", "np:", "lpc:", "admin:")
_LOCAL: Final = frozenset({"", ".", "(local)", "(localdb)", "localhost"})


def same(one: str, other: str) -> bool:
    """Whether two texts name the same SQL Server; case, the default port and the domain do not count.

    DNS is not queried: an alias and its server are different.
    """
    (host, rest), (other_host, other_rest) = split(one), split(other)
    short, long = sorted((host, other_host), key=len)
    return rest == other_rest and (short == long or long.partition(".")[0] == short)


def is_local(text: str) -> bool:
    """Whether the server is on the machine that reads the text: `.`, `(local)`, `.\\SQLEXPRESS`, localhost."""
    folded = text.strip().lower()
    prefix = next((one for one in _PREFIXES if folded.startswith(one)), "")
    host = folded.removeprefix(prefix).lstrip("\\").strip()
    host = host[: min((host.index(mark) for mark in "\\," if mark in host), default=len(host))].strip()
    return prefix == "lpc:" or host in _LOCAL or Endpoint(host.strip("[]")).is_loopback


def split(text: str) -> tuple[str, str]:
    """The host, and the instance or the port, as they are compared; the default port is left out."""
    text = text.strip().lower().removeprefix("tcp:")
    end = min((text.index(mark) for mark in "\\," if mark in text), default=len(text))
    rest = text[end:].replace(" ", "")
    return text[:end].strip(), "" if rest == ",1433" else rest
