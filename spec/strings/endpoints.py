"""The endpoints of Redis: as the spec writes them, and as StackExchange.Redis reads them.

Source: `Format.TryParseEndPoint` of StackExchange.Redis 1.2.6 and of 2.x.
"""

import ipaddress
import re
from typing import Final, NamedTuple

_HOST: Final = re.compile(r"(?=[^:]{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,10}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_AZURE: Final = re.compile(
    r"[^.]*\.(?:redis\.cache\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net|cloudapi\.de)"
    r"|[^.]+\.redisenterprise\.cache\.azure\.net|[^.]+\.redis\.azure\.net)"
)


class Endpoint(NamedTuple):
    """A server: its host or address, and its port; 0 where the string names none."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and self.is_address else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address."""
        return _address(self.host) is not None

    @property
    def is_plain(self) -> bool:
        """Whether it is a host name or an address, so that it can be shown; a URL or a path can hold a secret."""
        return self.is_address or _HOST.fullmatch(self.host) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether each machine means itself by it."""
        address = _address(self.host)
        return self.host.lower() in {"localhost", "localhost.", "."} if address is None else address.is_loopback

    @property
    def is_azure(self) -> bool:
        """Whether it is a cache of Azure, for which StackExchange.Redis has other defaults."""
        return _AZURE.fullmatch(self.host.lower()) is not None


class PortError(ValueError):
    """The port is out of range, which StackExchange.Redis refuses."""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def first(token: str) -> Endpoint | None:
    """The endpoint that 1.2.6 reads; None for a token that it drops without an error (IPv6, URLs); raises PortError."""
    host, colon, port = token.partition(":")
    number = _number(port) if colon else 0
    return None if number is None or not host.strip() else _endpoint(host, number)


def second(token: str) -> Endpoint | None:
    """The endpoint that 2.x and later read; None for a token that they drop without an error; raises PortError."""
    if token.startswith("!"):
        return Endpoint(token[1:]) if token[1:] else None
    last = token.rfind(":")
    if last <= 0:
        return _endpoint(token, 0)
    closing = token.rfind("]")
    if closing > 0:
        host, port = token[1:closing], token[last + 1 :] if closing < last else None
    elif token.find(":") != last:
        host, port = token, None
    else:
        host, port = token[:last], token[last + 1 :]
    number = 0 if port is None else _number(port)
    return None if number is None else _endpoint(host, number)


def _number(text: str) -> int | None:
    """A .NET Int32, or None."""
    digits = text.strip()
    plain = digits[1:] if digits[:1] in {"+", "-"} else digits
    if not plain.isascii() or not plain.isdecimal() or len(plain) > 11:
        return None
    return number if -(2**31) <= (number := int(digits)) < 2**31 else None


def _endpoint(host: str, port: int) -> Endpoint:
    if not 0 <= port <= 65535:
        raise PortError("the port is not from 0 to 65535")
    address = _address(host) or _legacy(host)
    return Endpoint(host if address is None else str(address), port)


def _legacy(text: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address in the old forms that .NET's `IPAddress.TryParse` takes: `1234` is 0.0.4.210."""
    parts = text.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    numbers = [int(part, 16 if part[1:2] in {"x", "X"} else 8 if part[0] == "0" else 10) for part in parts]
    *heads, tail = numbers
    if any(number > 255 for number in heads) or tail >= 256 ** (4 - len(heads)):
        return None
    value = tail
    for place, number in enumerate(heads):
        value += number << (24 - 8 * place)
    return ipaddress.IPv4Address(value)
