"""HTTPS to the API of a device, as every push uses it: one request, one complete answer, or an error of `push.errors`.

Certificates are always verified. Proxies, `.netrc` files and CA bundles of the environment are not used, redirects are
not followed, cookies are not kept. An answer has a limit for its size and for the time until it is complete.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ..core import activity
from ..core.errors import DeviceError
from ..core.files import NotRegularError, require_regular
from . import answers
from .errors import ClosedPortError, NotSentError, OutcomeUnknownError, UntrustedError

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS: Final = 10.0
CONNECTIONS: Final = 4
"""The number of parallel connections that a session keeps."""
LARGEST_ANSWER: Final = 32_000_000
"""In bytes, decoded. The largest lists of a device with ten thousand nodes are about 10 MB."""
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt. A device whose API restarts usually responds again within this time."""
_LONGEST_TEXT: Final = 400

T = TypeVar("T")


class Endpoint(NamedTuple):
    """The API of one device, and the keys of the spec that messages about it name."""

    name: str
    """The name of the device in messages."""
    ca: str | None
    """The CA file that its certificate chains to; None for the system's CAs."""
    read_seconds: float
    """The timeout for the complete head of an answer, and then for its complete body."""
    ca_key: str
    address_keys: str
    timeout_key: str = ""
    largest: int = LARGEST_ANSWER


class Reply(NamedTuple):
    """A complete answer."""

    status: int
    content: bytes


def session(endpoint: Endpoint) -> "requests.Session":
    """Return a session with persistent connections that ignores the environment: no proxy, no netrc, no cookie."""
    from http.cookiejar import DefaultCookiePolicy

    import requests

    if endpoint.ca is not None:
        _require_file(endpoint, Path(endpoint.ca))
    made = requests.Session()
    made.trust_env = False
    made.verify = endpoint.ca or True
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.headers["Accept-Encoding"] = "gzip"
    for scheme in ("https://", "http://"):
        made.mount(scheme, answers.adapter(CONNECTIONS))
    return made


def _require_file(endpoint: Endpoint, ca: Path) -> None:
    """Raise UntrustedError if the CA file is a named pipe or a device; the first request reports a missing file."""
    try:
        require_regular(ca)
    except NotRegularError as error:
        raise UntrustedError(
            f"{endpoint.name}: {ca}: cannot be read: {error.strerror}",
            f"write the path of a PEM file as {endpoint.ca_key}",
        ) from None
    except OSError:
        return


class Client:
    """Persistent connections to one device; `requests_sent` counts the requests."""

    def __init__(self, endpoint: Endpoint, connect_seconds: float = CONNECT_SECONDS) -> None:
        self.endpoint: Final = endpoint
        self.requests_sent = 0
        self._answered = False
        self._connect_seconds: Final = connect_seconds
        self._session: Final = session(endpoint)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def request(
        self,
        method: str,
        url: str,
        what: str,
        headers: Mapping[str, str],
        *,
        json: object = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request and read the complete answer, with any status. `what` is its name in messages.

        Raises NotSentError or OutcomeUnknownError.
        """
        import requests
        from urllib3.exceptions import HTTPError

        self.requests_sent += 1
        try:
            with self._session.request(
                method,
                url,
                headers=dict(headers),
                json=json,
                data=data,
                timeout=(self._connect_seconds, self.endpoint.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                self._answered = True
                return Reply(response.status_code, self._content(response, what))
        except requests.RequestException as error:
            raise self._translated(error, what) from None
        except HTTPError as error:  # while the body is read
            raise self._translated(requests.ConnectionError(error), what) from None
        except OSError as error:  # a CA file that cannot be read
            raise UntrustedError(
                f"{self.endpoint.name}: {what}: the request cannot be made: {one_line(str(error))}",
                f"check {self.endpoint.ca_key}",
            ) from None

    def _content(self, response: "requests.Response", what: str) -> bytes:
        """The decoded body, within the limits of size and time."""
        endpoint = self.endpoint
        try:
            return answers.body(response.raw, endpoint.read_seconds, endpoint.largest)
        except answers.TooLateError:
            raise self._too_late(what) from None
        except answers.TooLargeError:
            found = f"the response has more than {endpoint.largest:,} bytes"
        except answers.UndecodableError as error:
            found = f"the response cannot be decoded: {error}"
        raise OutcomeUnknownError(
            f"{endpoint.name}: {what}: {found}",
            f"check {endpoint.address_keys}: another program than the device's API may answer at this address",
            status=response.status_code,
        )

    def _too_late(self, what: str) -> OutcomeUnknownError:
        key = self.endpoint.timeout_key
        hint = f"try again, or increase {key}" if key else "try again"
        return OutcomeUnknownError(
            f"{self.endpoint.name}: {what}: no response within {self.endpoint.read_seconds:g}s", hint
        )

    def _translated(self, error: "requests.RequestException", what: str) -> DeviceError:
        """Return the error of `push.errors` for a request without an answer."""
        import requests

        device = self.endpoint.name
        if _untrusted(error):
            return UntrustedError(
                f"{device}: {what}: the device's certificate is not trusted: {_cause(error)}",
                f"write the path of a PEM file with the CA that issued this certificate as {self.endpoint.ca_key}; "
                "the certificate must contain the host name with which nlbgen reaches the device",
            )
        if isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error):
            # A device that has answered before restarts its API; at the first request the address is wrong.
            kind = ClosedPortError if _port_closed(error) and not self._answered else NotSentError
            return kind(
                f"{device}: {what}: cannot be reached: {_cause(error)}",
                f"check {self.endpoint.address_keys} and the network",
            )
        if isinstance(error, requests.exceptions.Timeout) or _stopped_midway(error):
            return self._too_late(what)
        return OutcomeUnknownError(f"{device}: {what}: the connection was lost: {_cause(error)}", "try again")


def retried(
    attempt: Callable[[], T], pauses: Sequence[float], *, repeatable: bool, say: Callable[[str], None] = activity.note
) -> T:
    """Return the result of `attempt`, with one more attempt after each pause; `say` reports each.

    A request that was not sent is sent again. A request with an unknown outcome is sent again only if it is
    `repeatable`: if a second execution has no further effect.
    """
    left = list(pauses)
    while True:
        try:
            return attempt()
        except (NotSentError, OutcomeUnknownError) as error:
            final = isinstance(error, UntrustedError | ClosedPortError)
            final = final or (isinstance(error, OutcomeUnknownError) and not repeatable)
            if final or not left:
                raise
            pause = left.pop(0)
            say(f"{error.message}; attempt {len(pauses) - len(left) + 1} of {len(pauses) + 1} in {pause:g} s")
            time.sleep(pause)


def one_line(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a device's text for a message: printable, on one line, at most `longest` characters."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def _untrusted(error: Exception) -> bool:
    """Whether the device's certificate was refused; a TLS connection that breaks is an SSLError as well."""
    import ssl

    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, Exception) and any(isinstance(one, ssl.SSLCertVerificationError) for one in reason.args)


def _never_connected(error: Exception) -> bool:
    """Whether no connection was made, so that nothing was sent."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _port_closed(error: Exception) -> bool:
    """Whether the connection was refused: no program listens at the port."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(getattr(reason, "__cause__", None), ConnectionRefusedError)


def _stopped_midway(error: Exception) -> bool:
    """Whether an answer was truncated: requests reports this as a broken connection."""
    from urllib3.exceptions import ReadTimeoutError

    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def _cause(error: Exception) -> str:
    """Return the innermost reason as text, without the request."""
    cause: Any = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    inner = cause.args[-1] if isinstance(cause, Exception) and cause.args else cause
    text = getattr(inner, "strerror", None) or getattr(inner, "verify_message", None) or str(inner)
    words = str(text).rpartition(": ")[2].rpartition("] ")[2]
    if "(" not in words:  # the reason stood in brackets
        words = words.removesuffix(")")
    return one_line(words or type(error).__name__)
