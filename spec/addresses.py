"""Host names and IP addresses as a spec writes them, and the errors for invalid ones."""

import ipaddress
import re
from typing import Final

from ..core.wording import shown, text_of, words_of

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def host_name(value: object) -> str:
    """A host name for certificates and redirects, in lower case; raises ValueError."""
    text = words_of(value, "a host name")
    if _is_ip(text) or re.fullmatch(r"[0-9.]+", text):
        raise ValueError(
            f"{shown(text)} is an address, but a host name is required: certificates and redirects need a name"
        )
    if len(text) > 253 or not _HOST.fullmatch(text):
        rule = "use letters, digits and hyphens, with dots between them"
        raise ValueError(
            f"{shown(text)} is not a host name: {rule}, for example orchestrator.corp.example{_idna(text)}"
        )
    return text.lower()


def _idna(text: str) -> str:
    if len(text) > 253 or text.isascii() or any(char.isspace() for char in text):
        return ""
    try:
        return f" (for DNS this name is written {text.encode('idna').decode()})"
    except UnicodeError:
        return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _ip(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f"{shown(text)} has a zone (%): write an address that is valid on every balancer")
    return str(address)


def node_address(value: object) -> str:
    """The address or name of one machine, IPv6 in its short form; raises ValueError."""
    text = words_of(value, "an address")
    if (address := _ip(text)) is not None:
        if ipaddress.ip_address(address).is_unspecified or ipaddress.ip_address(address).is_multicast:
            raise ValueError(
                f"{shown(text)} is not the address of one machine: write the address or name of the machine"
            )
        return address
    if re.fullmatch(r"[0-9.:/]+", text) or not _HOST.fullmatch(text) or len(text) > 253:
        hint = _address_hint(text) or _idna(text)
        raise ValueError(f"{shown(text)} is not an IPv4 or IPv6 address or a host name{hint}")
    return text.lower()


def listen_address(value: object) -> str:
    """An address to listen on, or `*`; raises ValueError."""
    text = words_of(value, "an address")
    if text == "*":
        return text
    if (address := _ip(text)) is not None:
        return address
    raise ValueError(f"{shown(text)} is not an IPv4 or IPv6 address, or * for every address{_address_hint(text)}")


def _address_hint(text: str) -> str:
    if re.fullmatch(r"\[.*\](?::[0-9]+)?", text):
        return ": remove the brackets"
    if re.fullmatch(r"[^:]+:[0-9]{1,5}", text):
        return ": the port goes into `port`"
    if re.fullmatch(r"[^/]+/[0-9]+", text):
        return ": remove the prefix length"
    if re.fullmatch(r"[0-9.]+%[0-9]+", text):
        return ": remove the route domain; nlbgen uses the default route domain of f5.partition"
    if "/" in text:
        return ": write only the name or address, no URL"
    return ""


def interface_address(value: object) -> str:
    """An address with its prefix length; raises ValueError."""
    text = text_of(value, "an address with its prefix length")
    try:
        if "/" in text:
            return str(ipaddress.ip_interface(text))
    except ValueError:
        pass
    raise ValueError(f"{shown(text)} is not an address with its prefix length, for example 10.20.0.10/24")
