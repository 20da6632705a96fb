"""The API of the Zen family over HTTPS: one session, one key, every answer typed or a DeviceError.

Source: recorded sessions with Relianoid 7.9 and Zevenet 5.13. Success is 2xx; an error is JSON with a `message`. The
certificate of the API is always verified; proxies and netrc files of the environment are not used.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...core import activity
from ...core.errors import DeviceError
from ...spec.references import SecretValue

if TYPE_CHECKING:
    from requests import Response

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 60
"""A restart of a farm answers when the farm is up again."""
_LONGEST_ANSWER: Final = 4_000_000
_LONGEST_SHOWN: Final = 300
_KEY: Final = re.compile(r"[!-~]{1,512}")


class RefusedError(DeviceError):
    """The device answered, and its answer is no success."""

    def __init__(self, message: str, hint: str | None, status: int, said: str, *, certain: bool) -> None:
        super().__init__(message, hint)
        self.status = status
        self.said = said
        """The device's own words."""
        self.certain = certain
        """Whether the device says that it did nothing; after a fault of its own, or another page, nobody knows."""


class UnreachableError(DeviceError):
    """No answer came: whether the device did what it was asked is not known."""


class Zapi:
    """A session with one device; `name` is what messages call it."""

    def __init__(self, url: str, path: str, header: str, key: SecretValue, ca: Path | None) -> None:
        """`url` and `path` make the base of every call; `header` carries the key."""
        import requests

        if not _KEY.fullmatch(key.reveal()):
            raise DeviceError("the API key holds what no header can carry", "take the key from the device's own page")
        self.name: Final = url.removeprefix("https://")
        self._base: Final = url + path
        self._key: Final = key
        self._session: Final = requests.Session()
        self._session.trust_env = False
        self._session.verify = True if ca is None else str(ca)
        self._session.headers[header] = key.reveal()
        self._session.headers["Accept"] = "application/json"

    def close(self) -> None:
        """Forget the connection and the key."""
        self._session.close()

    def find(self, path: str) -> dict[str, Any] | None:
        """The object at this path, or None where there is none."""
        try:
            return self.call("GET", path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to one call with a JSON body; raises RefusedError and UnreachableError."""
        return self._answer(method, path, self._send(method, path, json=body))

    def upload(self, name: str, pem: bytes) -> None:
        """Put a PEM file among the device's certificates."""
        path = f"/certificates/{name}"
        headers = {"Content-Type": "application/x-pem-file"}
        self._answer("POST", path, self._send("POST", path, data=pem, headers=headers))

    def _send(self, method: str, path: str, **content: Any) -> "Response":
        from requests import exceptions

        activity.note(f"device asked: {self.name}: {method} {path}")
        try:
            return self._session.request(
                method,
                self._base + path,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
                **content,
            )
        except exceptions.SSLError:
            message = f"{self.name}: the certificate of its API is not trusted"
            hint = (
                "save that certificate, or its CA's, as a PEM file, compare it with the device, and name it as zen.ca"
            )
            raise UnreachableError(message, hint) from None
        except exceptions.ConnectTimeout:
            raise self._unreachable(method, path, f"no connection within {CONNECT_SECONDS}s") from None
        except exceptions.Timeout:
            raise self._unreachable(method, path, f"no answer within {ANSWER_SECONDS}s") from None
        except exceptions.ConnectionError:
            raise self._unreachable(method, path, "the connection was refused, or broke") from None
        except OSError:  # requests' own errors are all of this kind, and so is a CA file that cannot be read
            raise self._unreachable(method, path, "the request could not be made") from None

    def _unreachable(self, method: str, path: str, why: str) -> UnreachableError:
        return UnreachableError(
            f"{self.name}: {method} {path}: {why}", "check zen.api, zen.ca and the network, and push again"
        )

    def _answer(self, method: str, path: str, response: "Response") -> dict[str, Any]:
        status = response.status_code
        found = _data(response)
        if 200 <= status < 300 and found is not None and found.get("error") != "true":
            return found
        said = self._shown(str(found.get("message", ""))) if found is not None else ""
        what = f"{self.name}: {method} {path}: {status}" + (f": {said}" if said else "")
        if found is None:
            hint = "check zen.api: it may be another page"
            raise RefusedError(f"{what}: the answer is no JSON", hint, status, said, certain=False)
        raise RefusedError(what, _HINTS.get(status), status, said, certain=status < 500)

    def _shown(self, text: str) -> str:
        """The device's words, printable, not too many, and without the key."""
        text = text.replace(self._key.reveal(), "***")
        text = "".join(char if char.isprintable() else " " for char in text)
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _data(response: "Response") -> dict[str, Any] | None:
    if len(response.content) > _LONGEST_ANSWER:
        return None
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


_HINTS: Final = {
    401: "check the key (zen.key), and that the device's API user is enabled (System > Users)",
    403: "check the rights of the device's API user",
    415: "this is a fault of nlbgen: please report it",
}
