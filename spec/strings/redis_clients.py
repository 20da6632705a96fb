"""The keywords of StackExchange.Redis, by the versions that Orchestrators use.

Sources: `ConfigurationOptions.OptionKeys` and `DoParse` of 1.2.6, 2.8 and 3.0 in StackExchange/StackExchange.Redis.
tests/spec/strings holds what 1.2.6, 2.8.16 and 3.4.35 said to real strings. SignalR 2's Redis package, which the
Orchestrators before 2020.10 use, brought 1.2.6.
"""

from typing import Final

from .kinds import ANY, IGNORED, SPACE, Client, Keyword, Kind, Meaning, choice, client, integer

_FLAG: Final = choice(
    "true, false, yes, no, on, off, 1 or 0",
    {**dict.fromkeys(("true", "yes", "on", "1"), True), **dict.fromkeys(("false", "no", "off", "0"), False)},
)
_PROTOCOLS: Final = {
    "none": 0,
    "ssl2": 12,
    "ssl3": 48,
    "tls": 192,
    "default": 240,
    "tls11": 768,
    "tls12": 3072,
    "tls13": 12288,
}
"""`System.Security.Authentication.SslProtocols`."""
_INT: Final = integer()


def _enumeration(name: str, words: dict[str, int]) -> Kind:
    """The names of a .NET enumeration, or the number of one."""

    def read(text: str) -> Meaning:
        folded = text.strip(SPACE).lower()
        return words[folded] if folded in words else int(_INT.read(folded))

    return Kind(name, read)


_PROXY: Final = {"none": 0, "twemproxy": 1}


def _ssl_protocols(text: str) -> Meaning:
    """The protocols of `tls12|tls13` as flags."""
    flags = 0
    for part in text.replace("|", ",").split(","):
        flags |= int(_PROTOCOL.read(part))
    return flags


def _version(least: int) -> Kind:
    name = "a version, as in 6.0"

    def read(text: str) -> Meaning:
        parts = text.strip(SPACE).split(".")
        numbers = [int(integer(0).read(part)) for part in parts]
        if not least <= len(numbers) <= 4:
            raise ValueError(name)
        return ".".join(map(str, numbers if len(numbers) > 1 else [*numbers, 0]))

    return Kind(name, read)


def _tunnel(text: str) -> Meaning:
    host, _colon, port = text.removeprefix("http:").removeprefix("//").rpartition(":")
    if not text:
        return ""
    if not text.lower().startswith("http:") or not host:
        raise ValueError("an http proxy")
    integer(0, 65535).read(port.rstrip("/"))
    return f"{host.lower()}:{port}"


_PROTOCOL: Final = _enumeration("TLS versions joined with |, as in tls12|tls13", _PROTOCOLS)
_RESP: Final = choice("2, 3, resp2 or resp3", {"2": 2, "resp2": 2, "3": 3, "resp3": 3})

_COMMON: Final = (
    Keyword("abortConnect", (), _FLAG, True),
    Keyword("allowAdmin", (), _FLAG, False),
    Keyword("channelPrefix", (), ANY),
    Keyword("configChannel", (), ANY, "__Booksleeve_MasterChanged"),
    Keyword("configCheckSeconds", (), _INT, 60),
    Keyword("connectRetry", (), _INT, 3),
    Keyword("connectTimeout", (), _INT, 5000),
    Keyword("defaultDatabase", (), _INT, 0),
    Keyword("name", (), ANY),
    Keyword("password", (), ANY),
    Keyword("resolveDns", (), _FLAG, False),
    Keyword("serviceName", (), ANY),
    Keyword("ssl", (), _FLAG, False),
    Keyword("sslHost", (), ANY),
    Keyword("tiebreaker", (), ANY, "__Booksleeve_TieBreak"),
)
_SECOND: Final = (
    *_COMMON,
    Keyword("asyncTimeout", (), integer(1), 5000),
    Keyword("checkCertificateRevocation", (), _FLAG, True),
    Keyword("highIntegrity", (), _FLAG, False),
    Keyword("highPriorityThreads", (), IGNORED),
    Keyword("keepAlive", (), _INT, 60),
    Keyword("preserveAsyncOrder", (), IGNORED),
    Keyword("protocol", (), _RESP),
    Keyword("proxy", (), _enumeration("None, Twemproxy or Envoyproxy", {**_PROXY, "envoyproxy": 2}), 0),
    Keyword("sslProtocols", (), Kind(_PROTOCOL.name, _ssl_protocols)),
    Keyword("syncTimeout", (), integer(1), 5000),
    Keyword("user", (), ANY),
    Keyword("version", (), _version(1)),
    Keyword("writeBuffer", (), IGNORED),
)
V1: Final = client(
    "StackExchange.Redis 1.2.6",
    (
        *_COMMON,
        Keyword("highPriorityThreads", (), _FLAG, True),
        Keyword("keepAlive", (), _INT, -1),
        Keyword("proxy", (), _enumeration("None or Twemproxy", _PROXY), 0),
        Keyword("responseTimeout", (), integer(1), 1000, exact=True),
        Keyword("syncTimeout", (), integer(1), 1000),
        Keyword("version", (), _version(2)),
        Keyword("writeBuffer", (), _INT, 4096),
    ),
)
V2: Final = client(
    "StackExchange.Redis 2.8.16",
    (
        *_SECOND,
        Keyword("responseTimeout", (), IGNORED, exact=True),
        Keyword("setlib", (), _FLAG, True, exact=True),
        Keyword("tunnel", (), Kind("an http proxy", _tunnel), exact=True),
    ),
)
V3: Final = client(
    "StackExchange.Redis 3.4.35",
    (
        *_SECOND,
        Keyword("maintenanceNotifications", (), ANY),
        Keyword("responseTimeout", (), IGNORED),
        Keyword("sentinelPassword", (), ANY),
        Keyword("sentinelUser", (), ANY),
        Keyword("setlib", (), _FLAG, True),
        Keyword("tcpKeepAlive", (), _FLAG, True),
        Keyword("tunnel", (), Kind("an http proxy", _tunnel)),
    ),
)
CLIENTS: Final = (V1, V2, V3)


def candidates(*, core: bool, newest: bool = False) -> tuple[Client, ...]:
    """The versions that can read a string of an Orchestrator.

    Before 2020.10 it is 1.2.6. Later versions of the Orchestrator use 2.8 or earlier; the newest ones (`newest`) can
    use either of the two newer lines.
    """
    if not core:
        return (V1,)
    return (V2, V3) if newest else (V2,)
