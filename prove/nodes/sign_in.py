"""Windows sign-in as IIS does it: NTLM authenticates a connection, not a request."""

from aiohttp import web

PATH = "/windows-sign-in"


class WindowsSignIn:
    """The users that signed in, by connection.

    A client sends `NTLM negotiate`, then `NTLM NAME`; its later requests on that connection need no header.
    """

    def __init__(self) -> None:
        self._users: dict[object, str] = {}

    def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer 200 with the user of this connection, or 401 with the next step of the sign-in."""
        step = request.headers.get("Authorization", "").removeprefix("NTLM ")
        known = self._users.get(request.protocol)
        if step == "negotiate":
            self._users[request.protocol] = ""
            return _challenge("NTLM challenge")
        if step and known == "":
            self._users[request.protocol] = known = step
        if not known:
            return _challenge("NTLM")
        return web.Response(text=known)


def _challenge(value: str) -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": value})
