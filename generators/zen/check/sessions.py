"""The constraints on affinity: sessions, and the cookies that the engines set."""

from .blocks import Found, missing, services
from .dialect import COOKIE_WRITERS, SESSIONS_WITH_ID
from .reader import Complaint, Reader


def sessions(reader: Reader) -> Found:
    """Every complaint about a session or a cookie that its engine accepts and that does not hold clients."""
    for service in services(reader):
        cookie = service.first("BackendCookie")
        if cookie is not None and cookie.values.lower().endswith("session") and not service.inner("Session"):
            yield Complaint(cookie.line, "without a Session block the cookie expires at once: its TTL must be a number")
        for session in service.inner("Session"):
            kind = (session.value("Type") or "").upper()
            if kind in COOKIE_WRITERS:
                yield from missing(session, ["Path", "Domain"])
            identity = session.first("ID")
            if identity is not None and kind not in {*SESSIONS_WITH_ID, "PARM"}:
                yield Complaint(identity.line, f"a Session of Type {kind} has no ID")
            first = next((block for block in service.blocks if block.opened.name == "BackEnd"), None)
            if first is not None and first.opened.line < session.opened.line:
                writes = " (the proxy sends an empty cookie)" if kind in COOKIE_WRITERS else ""
                yield Complaint(session.opened.line, f"Session must precede the backends{writes}")
