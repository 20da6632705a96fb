"""The API of the Zen family over HTTPS: one session, one key; each answer is typed, or an error of `push.errors`.

Source: recorded sessions with Relianoid 7.9 and Zevenet 5.13. Success is 2xx; an error is JSON with a `message`.
"""

import re
from pathlib import Path
from typing import Any, Final

from ...core import activity
from ...core.errors import DeviceError
from ...spec.references import SecretValue
from ..answers import parsed
from ..errors import OutcomeUnknownError, RefusedError
from ..http import Client, Endpoint, Reply

ANSWER_SECONDS: Final = 60
"""The timeout of an answer: a restart of a farm answers only when the farm is up again."""
_LARGEST_ANSWER: Final = 4_000_000
_LONGEST_SHOWN: Final = 300
_KEY: Final = re.compile(r"[!-~]{1,512}")


class Zapi:
    """A session with one device; `name` is its name in messages."""

    def __init__(self, url: str, path: str, header: str, key: SecretValue, ca: Path | None) -> None:
        """`url` and `path` are the base of every call; `header` is the name of the header with the key."""
        if not _KEY.fullmatch(key.reveal()):
            raise DeviceError(
                "the API key has characters that are not allowed in a header",
                "copy the key again from the device's web interface",
            )
        self.name: Final = url.removeprefix("https://")
        self._base: Final = url + path
        self._key: Final = key
        self._headers: Final = {header: key.reveal(), "Accept": "application/json"}
        ca_file = None if ca is None else str(ca)
        self._client: Final = Client(
            Endpoint(self.name, ca_file, ANSWER_SECONDS, "zen.ca", "zen.api", largest=_LARGEST_ANSWER)
        )

    @property
    def requests_sent(self) -> int:
        """How many requests were sent."""
        return self._client.requests_sent

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the object at this path, or None if it does not exist."""
        try:
            return self.call("GET", path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to one call with a JSON body.

        Raises RefusedError if the device refused the call and changed nothing; otherwise NotSentError or
        OutcomeUnknownError.
        """
        return self._answer(method, path, self._send(method, path, json=body))

    def upload(self, name: str, pem: bytes) -> None:
        """Upload a PEM file to the device's certificates."""
        path = f"/certificates/{name}"
        reply = self._send("POST", path, data=pem, headers={"Content-Type": "application/x-pem-file"})
        self._answer("POST", path, reply)

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        activity.note(f"request to the device: {self.name}: {method} {path}")
        own = {**self._headers, **(headers or {})}
        return self._client.request(method, self._base + path, f"{method} {path}", own, json=json, data=data)

    def _answer(self, method: str, path: str, reply: Reply) -> dict[str, Any]:
        status = reply.status
        found = _data(reply.content)
        if 200 <= status < 300 and found is not None and found.get("error") != "true":
            return found
        said = self._shown(str(found.get("message", ""))) if found is not None else ""
        what = f"{self.name}: {method} {path}: {status}" + (f": {said}" if said else "")
        if found is None:
            hint = "check zen.api: another program than the device's API may answer at this address"
            raise OutcomeUnknownError(f"{what}: the response is not JSON", hint, status=status)
        if status >= 500:
            raise OutcomeUnknownError(what, status=status)
        raise RefusedError(what, _HINTS.get(status), status=status, said=said)

    def _shown(self, text: str) -> str:
        """Return the device's text: printable, shortened, and without the key."""
        text = text.replace(self._key.reveal(), "***")
        text = "".join(char if char.isprintable() else " " for char in text)
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _data(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an answer; None if it is not a JSON object."""
    try:
        found = parsed(content.decode("utf-8", "replace"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


_HINTS: Final = {
    401: "check the key (zen.key), and that the device's API user is enabled (System > Users)",
    403: "check the permissions of the device's API user",
    415: "this is a bug in nlbgen: please report it",
}
