"""iControl SOAP with the library bigsuds, without its defects.

bigsuds 1.0.6 does not verify certificates by default. In `with_session_id`, it loses the verification, the timeout and
the port. It sends every call twice (first without credentials), uses proxies of the environment, and raises the
exceptions of the library suds. All clients of a user share a session without an id. Therefore, this module creates its
own session with its own transport, and translates every exception. It imports bigsuds only when a push needs it,
because the import replaces a class of suds in the whole process.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, Final, Self, TypeAlias, TypeVar

from ....core import activity
from ....core.errors import DeviceError, NlbgenError
from ...errors import NotSentError, OutcomeUnknownError, RefusedError
from ...http import Client, one_line, retried
from ..login import Login

INSTALL: Final = 'pip install "suds>=1.2,<2" six && pip install --no-deps bigsuds==1.0.6'
_PORTAL: Final = "/iControl/iControlPortal.cgi"
_QUERIES: Final = ("get_", "query_", "set_active_folder", "set_recursive_query_state")
"""The prefixes of methods that are safe to repeat: queries, and settings of the session."""

T = TypeVar("T")
SoapValue: TypeAlias = Any
"""A value of an answer, as suds returns it: text, a list, or an object, depending on the method."""


class Portal:
    """A session of iControl SOAP: entering it creates the session, and leaving it rolls back an open transaction."""

    def __init__(self, login: Login, pauses: Sequence[float] = (), say: Callable[[str], None] = activity.note) -> None:
        self.login: Final = login
        self._say: Final = say
        self.pauses: Final = tuple(pauses)
        self._open = False
        self._folder = ""
        self._what = ""
        self._http: Final = Client(login.endpoint)
        self._bigip: object = None

    def __enter__(self) -> Self:
        try:
            self._bigip = _client(self, None)
            number = self.call("System.Session", "get_session_identifier")
            with understood(self.login.name, "the session"):
                self._bigip = _client(self, int(number))
            # By default, a query finds only the objects of one folder.
            self.call("System.Session", "set_recursive_query_state", "STATE_ENABLED")
        except BaseException:
            self._http.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            if self._open:
                self.roll_back()
        finally:
            self._http.close()

    @property
    def requests_sent(self) -> int:
        """How many requests were sent."""
        return self._http.requests_sent

    def call(self, interface: str, method: str, *args: object) -> SoapValue:
        """Make one call. Only a query is repeated if there is no answer.

        Raises RefusedError, NotSentError or OutcomeUnknownError, or DeviceError if further attempts cannot succeed.
        """
        what = f"{interface}.{method}"
        namespace, _, name = interface.partition(".")
        # The first call to an interface reads its description, which is safe to repeat.
        client = self._patient(lambda: getattr(getattr(self._bigip, namespace), name), what, again=True)
        activity.note(f"request to the device: {self.login.name}: {what}")
        return self._patient(lambda: getattr(client, method)(*args), what, again=method.startswith(_QUERIES))

    def _patient(self, ask: Callable[[], T], what: str, *, again: bool) -> T:
        pauses = self.pauses if again else ()
        return retried(lambda: self._once(ask, what), pauses, repeatable=again, say=self._say)

    def _once(self, ask: Callable[[], T], what: str) -> T:
        import bigsuds

        device = self.login.name
        self._what = what
        try:
            return ask()
        except DeviceError:
            raise
        except bigsuds.ServerError as error:
            raise _refusal(device, what, _fault(error)) from None
        except bigsuds.MethodNotFound:
            raise _refusal(device, what, "this TMOS version does not support it") from None
        except Exception as error:  # bigsuds passes on every exception of suds and of its parsers
            said = one_line(str(error)) or type(error).__name__
            raise OutcomeUnknownError(f"{device}: {what}: the response cannot be read: {said}", "try again") from None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Send one request of a call, with credentials; return its status and content.

        Raises DeviceError for an answer that is not from SOAP.
        """
        reply = self._http.request(method, url, self._what, headers, data=body)
        device, status = self.login.name, reply.status
        if status in {401, 403}:
            hint = f"check the user {self.login.user} and the password that f5.password refers to"
            raise DeviceError(f"{device}: the login was refused (HTTP {status})", hint)
        if status in {404, 502, 503}:
            raise NotSentError(
                f"{device}: the device cannot respond (HTTP {status})",
                "it may be restarting or busy: try again in some minutes",
            )
        return status, reply.content

    # Folders: queries find the objects in the active folder and below it. Names without a folder belong to it.

    def look_everywhere(self) -> None:
        """Let queries find the objects of all partitions."""
        self.enter("/")

    def enter(self, folder: str) -> None:
        """Set the active folder, to which names without a folder belong. New objects are not possible in the root."""
        if self._folder != folder:
            self.call("System.Session", "set_active_folder", folder)
            self._folder = folder

    # Transactions.

    def start(self) -> None:
        """Begin a transaction in this session. Queries are not part of it, and do not see its changes."""
        self._open = True  # also if the answer is lost
        self.call("System.Session", "start_transaction")

    def submit(self) -> None:
        """Apply all queued changes, or none."""
        self.call("System.Session", "submit_transaction")
        self._open = False

    def roll_back(self) -> bool:
        """Discard the queued changes; return whether the device confirmed this.

        An error is ignored, because the caller already reports the cause.
        """
        self._open = False
        try:
            self.call("System.Session", "rollback_transaction")
        except DeviceError:
            return False
        return True


@contextlib.contextmanager
def understood(device: str, what: str) -> Iterator[None]:
    """Turn an answer of another form than in F5's descriptions into the error of a device."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DeviceError(
            f"{device}: {what}: the response cannot be read: {one_line(str(error)) or type(error).__name__}",
            "check that the address in the spec is that of the device: nlbgen does not know this form of response",
        ) from None


def _refusal(device: str, what: str, said: str) -> RefusedError:
    return RefusedError(f"{device}: {what}: {said} (HTTP 500)", status=500, said=said)


def _fault(error: Exception) -> str:
    text = str((getattr(getattr(error, "fault", None), "faultstring", "")) or error)
    lines = [line.strip() for line in text.splitlines() if "error_string" in line]
    return one_line(lines[0].partition(":")[2] if lines else text)


def _client(portal: Portal, number: int | None) -> object:
    """Return a client for the session `number` that verifies certificates and sends one request for each call."""
    try:
        import bigsuds
    except ImportError:
        message = "f5.api is soap, but the library bigsuds is not installed"
        raise NlbgenError(message, f"{INSTALL} (plain `pip install bigsuds` fails)") from None
    from suds.client import Client
    from suds.transport import Reply, Request, Transport, TransportError
    from suds.xsd.doctor import Import, ImportDoctor

    login = portal.login
    headers = _headers(portal.login, number)

    class OwnTransport(Transport):
        """Sends the credentials with every request (otherwise each call needs two requests), over persistent
        connections.
        """

        def open(self, request: Request) -> BytesIO:
            return BytesIO(self._answered("GET", request, None))

        def send(self, request: Request) -> Reply:
            return Reply(200, {}, self._answered("POST", request, request.message))

        def _answered(self, method: str, request: Request, body: bytes | None) -> bytes:
            status, content = portal.send(method, request.url, {**request.headers, **headers}, body)
            if status != 200:
                raise TransportError(f"HTTP {status}", status, BytesIO(content))
            return content

    class Session(bigsuds.BIGIP):
        """Creates its clients with the verification, timeout, port and session of this module."""

        def _create_client(self, wsdl_name: str) -> object:
            imported = Import("http://schemas.xmlsoap.org/soap/encoding/")
            imported.filter.add("urn:iControl")
            url = f"{login.base}{_PORTAL}"
            client = Client(
                f"{url}?WSDL={wsdl_name}",
                doctor=ImportDoctor(imported),
                cache=None,
                transport=OwnTransport(),
            )
            client.set_options(location=url)
            client.factory.separator("_")
            return self._create_client_wrapper(client, wsdl_name)

    return Session(login.host, login.user, "", port=login.port, verify=True, timeout=login.read_seconds)


def _headers(login: Login, number: int | None) -> dict[str, str]:
    from base64 import b64encode

    signed = b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    own = {} if number is None else {"X-iControl-Session": str(number)}
    return {"Authorization": f"Basic {signed}", **own}
