"""What ASP.NET's readers accept in a request of SignalR 2: names without case, bodies without a label.

Sources: Microsoft.Owin ReadableStringCollection.cs and OwinHelpers.cs (query and form: names without case, the body is
read as a form whatever its Content-Type), Newtonsoft.Json JsonPropertyCollection.cs (GetClosestMatchProperty: the exact
name, then the name without case). SignalR 2's .NET client needs both: it labels no form (DefaultHttpClient.cs,
aspnet/SignalR-Server#210), and it writes `Name` (HubRegistrationData.cs) where the JavaScript client writes `name`.

SignalR Core is different: JsonHubProtocol.cs compares names exactly.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

Json = Any
"""JSON of any shape."""


class Parameters:
    """The parameters of a query or a form: names without case; of several values the first one."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), value)

    def get(self, name: str) -> str | None:
        """Return the value of a parameter; None without one."""
        return self._values.get(name.lower())


async def read_form(request: web.BaseRequest) -> Parameters:
    """Return the body as a form, whatever its Content-Type says; empty without a body."""
    body = await request.read() if request.body_exists else b""
    return Parameters(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def field(value: Mapping[str, Json], name: str) -> Json:
    """Return a field of a JSON object by its exact name, else by its name without case; None without one.

    >>> field({"name": 1, "Name": 2}, "Name"), field({"NAME": 3}, "Name"), field({}, "Name")
    (2, 3, None)
    """
    if name in value:
        return value[name]
    return next((found for key, found in value.items() if key.lower() == name.lower()), None)


class ProtectedData:
    """Texts that only nodes with the same machine key can read back, as ASP.NET's IProtectedData."""

    def __init__(self, machine_key: str, purpose: str) -> None:
        """A text that was protected for one `purpose` is invalid for another one (Purposes.cs)."""
        self._key = hashlib.sha256(f"{purpose}\0{machine_key}".encode()).digest()

    def protect(self, text: str) -> str:
        """Return a token: base64 with `+`, `/` and `=`, which URLs must quote, like real tokens."""
        payload = text.encode()
        return base64.b64encode(hmac.digest(self._key, payload, "sha256") + payload).decode()

    def unprotect(self, token: str) -> str | None:
        """Return the text; None for a token of another key."""
        try:
            raw = base64.b64decode(token, validate=True)
        except ValueError:
            return None
        mark, payload = raw[:32], raw[32:]
        if not hmac.compare_digest(mark, hmac.digest(self._key, payload, "sha256")):
            return None
        return payload.decode()
