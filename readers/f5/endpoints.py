"""Addresses and ports as a BIG-IP writes them: `/Common/10.0.0.1%2:https`, `2001:db8::1.443`, `any:0`."""

import ipaddress
from typing import Final, NamedTuple

PORTS: Final = {
    "any": 0,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "hosts2-ns": 81,
    "kerberos": 88,
    "pop3": 110,
    "ntp": 123,
    "imap": 143,
    "snmp": 161,
    "ldap": 389,
    "https": 443,
    "snpp": 444,
    "microsoft-ds": 445,
    "ldaps": 636,
    "ms-sql-s": 1433,
    "ms-sql-m": 1434,
    "commplex-main": 5000,
    "commplex-link": 5001,
    "wsman": 5985,
    "wsmans": 5986,
    "irdmi": 8000,
    "http-alt": 8008,
    "webcache": 8080,
    "sunproxyadmin": 8081,
    "pcsync-https": 8443,
    "ddi-tcp-1": 8888,
    "cslistener": 9000,
    "tungsten-https": 9443,
}
"""Services by their names in the BIG-IP's /etc/services, as tmsh lists ports."""


class Endpoint(NamedTuple):
    """The end of a name: host without folder and route domain, route domain (empty: the default one), port.

    `port` is None if its name is unknown; 0 is every port.
    """

    host: str
    route_domain: str
    port: int | None

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address."""
        return _address(self.host)


def endpoint(text: str) -> Endpoint:
    """Split the name of a member, or a destination. IPv6 has a dot before the port, all others a colon."""
    name = text.rpartition("/")[2]
    mark = "." if name.count(":") > 1 else ":"
    host, _, port = name.rpartition(mark)
    if not host:
        host, port = port, ""
    elif mark == "." and _address(name.partition("%")[0]) and "." not in name.partition("%")[2]:
        host, port = name, ""
    host, _, domain = host.partition("%")
    return Endpoint(host, domain, _port(port))


def _port(text: str) -> int | None:
    if text in {"", "*"}:
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    return PORTS.get(text)


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
