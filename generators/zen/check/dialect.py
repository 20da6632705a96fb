"""The directives of farm files as data: which ones each dialect accepts, in which block, and with which values.

Sources: the engines' own verdicts on small configurations, and for some directives the published code of pound's fork
and of zproxy. A directive that no engine is known to accept is not listed. The engines compare all directives and most
values without regard to case.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, Literal, NamedTuple

from .formats import ERROR_STATUSES, Dialect

Context = Literal["file", "listener", "service", "session", "backend"]

ZEN3: Final = frozenset({"zen3"})
POUND: Final = frozenset({"pound"})
OLD_PROXY: Final = frozenset({"zproxy"})
NG: Final = frozenset({"zproxy-ng"})
POUNDS: Final = ZEN3 | POUND
PROXIES: Final = OLD_PROXY | NG
EVERY: Final = POUNDS | PROXIES
NEWER: Final = EVERY - ZEN3
"""All but the oldest."""

_NUMBER: Final = r"[0-9]+"
_TEXT: Final = r'"([^"]*)"'
_SOME: Final = r'"([^"]+)"'
_POSITIVE: Final = r"[1-9][0-9]*"
_BIT: Final = r"[01]"
_WORD: Final = r"[^\s\"]+"
_NAME: Final = r'"?[a-z0-9_-]+"?'


class Directive(NamedTuple):
    """One directive in one context: the pattern of its values, and the dialects that accept it."""

    context: Context
    name: str
    values: str
    dialects: frozenset[str] = EVERY
    opens: Context | None = None
    """The block that it begins."""
    https: bool = False
    """Whether only a listener with TLS may have it."""
    repeats: bool = False
    """Whether it may stand more than once."""

    def matches(self, values: str) -> bool:
        """Whether an engine accepts these values."""
        return _compiled(self.values).fullmatch(values) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _file() -> Iterator[Directive]:
    yield from (Directive("file", name, _SOME) for name in ("User", "Group", "Control"))
    yield from (Directive("file", name, _NUMBER) for name in ("Timeout", "ConnTO", "Alive", "Client"))
    yield from (Directive("file", name, _POSITIVE, POUND) for name in ("ConnTO", "Client"))
    yield Directive("file", "Daemon", _BIT)
    yield Directive("file", "LogLevel", r"[0-5]", POUNDS)
    yield Directive("file", "LogLevel", r"[0-9]", PROXIES)
    yield Directive("file", "Name", _NAME, PROXIES)
    yield Directive("file", "Name", r".+", POUND)
    yield Directive("file", "ThreadModel", r"dynamic|pool", NEWER)
    yield Directive("file", "WSTimeOut", _NUMBER, POUND)
    yield Directive("file", "Ignore100Continue", _BIT, NEWER)
    yield Directive("file", "DHParams", _SOME, NEWER)
    yield Directive("file", "ECDHCurve", _SOME, NEWER)
    yield Directive("file", "ListenHTTP", "", opens="listener", repeats=True)
    yield Directive("file", "ListenHTTPS", "", opens="listener", repeats=True)


def _listener() -> Iterator[Directive]:
    yield Directive("listener", "Name", _NAME, PROXIES)
    yield from (Directive("listener", f"Err{status}", _SOME) for status in ERROR_STATUSES)
    yield Directive("listener", "ErrNoSsl", _SOME, NG)
    yield Directive("listener", "ErrNoSsl", _SOME, OLD_PROXY, https=True)
    yield Directive("listener", "Address", _WORD)
    yield Directive("listener", "Port", _NUMBER)
    yield Directive("listener", "Port", _POSITIVE, POUND)
    yield Directive("listener", "xHTTP", r"[0-4]", ZEN3)
    yield Directive("listener", "xHTTP", r"[0-5]", NEWER)
    yield Directive("listener", "RewriteLocation", _BIT, POUNDS)
    yield Directive("listener", "RewriteLocation", r"[01](?:\s+path)?", OLD_PROXY)
    yield Directive("listener", "RewriteLocation", r"[01](?:\s+[01])?", NG)
    yield Directive("listener", "MaxRequest", _NUMBER)
    yield Directive("listener", "AddHeader", r'"[^":]+:[^"]*"', repeats=True)
    yield Directive("listener", "HeadRemove", _SOME, repeats=True)
    for name in ("AddResponseHeader", "RemoveResponseHead"):
        yield Directive("listener", name, _SOME, NEWER, repeats=True)
    for name in ("AddRequestHeader", "AddResponseHead", "RemoveRequestHeader", "RemoveResponseHeader"):
        yield Directive("listener", name, _SOME, PROXIES, repeats=True)
    yield Directive("listener", "Cert", _SOME, https=True, repeats=True)
    yield Directive("listener", "Ciphers", _SOME, https=True)
    versions = "SSLv2|SSLv3|TLSv1|TLSv1_1|TLSv1_2|TLSv1_3"
    yield Directive("listener", "Disable", versions, NEWER, https=True, repeats=True)
    yield Directive("listener", "ForwardSNI", _BIT, POUND | OLD_PROXY, https=True)
    yield Directive("listener", "ForwardSNI", _BIT, NG)
    yield Directive("listener", "DisableSSLv3", "", ZEN3, https=True)
    yield Directive("listener", "SSLHonorCipherOrder", _BIT, https=True)
    yield Directive("listener", "NoSslRedirect", _SOME, NEWER, https=True)
    yield Directive("listener", "Service", _SOME, opens="service", repeats=True)


def _service() -> Iterator[Directive]:
    yield Directive("service", "HeadRequire", _SOME, repeats=True)
    yield Directive("service", "Url", _SOME, repeats=True)
    yield Directive("service", "Redirect", r'(?:30[127]\s+)?"https?://[^"]+"')
    yield Directive("service", "RedirectAppend", r'(?:30[127]\s+)?"https?://[^"]+"', NEWER)
    yield Directive("service", "DynScale", _BIT)
    yield Directive("service", "BackendCookie", rf"{_SOME}\s+{_TEXT}\s+{_TEXT}\s+(?:[0-9]+|Session)", POUND | OLD_PROXY)
    yield Directive("service", "StrictTransportSecurity", _NUMBER, NEWER)
    policies = "(?-i:ROUND_ROBIN|LEAST_CONNECTIONS|RESPONSE_TIME|PENDING_CONNECTIONS)"
    yield Directive("service", "RoutingPolicy", policies, NG)
    yield Directive("service", "Session", "", opens="session")
    yield Directive("service", "BackEnd", "", opens="backend", repeats=True)
    yield Directive("service", "Emergency", "", EVERY - NG, opens="backend", repeats=True)


def _session() -> Iterator[Directive]:
    types = "IP|BASIC|URL|PARM|COOKIE|HEADER"
    yield Directive("session", "Type", types, EVERY - NG)
    yield Directive("session", "Type", f"{types}|BACKENDCOOKIE|COOKIEINSERT", NG)
    yield Directive("session", "TTL", _POSITIVE)
    yield Directive("session", "TTL", f"-?{_POSITIVE}", POUND)
    yield Directive("session", "ID", _SOME)
    yield Directive("session", "Path", _TEXT, NG)
    yield Directive("session", "Domain", _TEXT, NG)


def _backend() -> Iterator[Directive]:
    yield Directive("backend", "HTTPS", "")
    yield Directive("backend", "Address", _WORD)
    yield from (Directive("backend", name, _POSITIVE) for name in ("Port", "TimeOut"))
    yield Directive("backend", "WSTimeOut", _POSITIVE, POUND)
    yield Directive("backend", "Priority", r"[1-9]")
    yield Directive("backend", "Weight", r"[1-9]", PROXIES)
    yield Directive("backend", "ConnLimit", _POSITIVE, OLD_PROXY)
    yield Directive("backend", "ConnLimit", _NUMBER, NG)
    yield Directive("backend", "NfMark", _POSITIVE, OLD_PROXY)
    yield Directive("backend", "NfMark", f"{_POSITIVE}|0x[0-9a-f]+", NG)


DIRECTIVES: Final = (*_file(), *_listener(), *_service(), *_session(), *_backend())
"""Every directive, by context."""

SESSIONS_WITH_ID: Final = frozenset({"URL", "COOKIE", "HEADER", "BACKENDCOOKIE", "COOKIEINSERT"})
"""The session types that need an ID: the name of the cookie, header or parameter."""
COOKIE_WRITERS: Final = frozenset({"BACKENDCOOKIE", "COOKIEINSERT"})


@cache
def grammar(dialect: Dialect) -> dict[tuple[Context, str], Directive]:
    """The directives of one dialect by context and name in lower case."""
    return {(one.context, one.name.lower()): one for one in DIRECTIVES if dialect in one.dialects}
