"""iControl SOAP through bigsuds, with its traps closed.

bigsuds 1.0.6 checks no certificate by default and forgets the check, the timeout and the port in `with_session_id`;
it sends every call twice (a 401 first); it takes proxies from the environment; it raises whatever the library below
raises; and a session that it does not name is shared by every client of that user. Here a session of our own is made
with a transport of our own, and every exception is translated where the call is made. bigsuds is imported when a push
needs it: its import alone replaces a class of suds for the whole process.
"""

from collections.abc import Callable, Mapping, Sequence
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
"""The prefixes of methods that are safe to repeat: queries, and the settings of our own session."""

T = TypeVar("T")
SoapValue: TypeAlias = Any
"""A value of an answer, as suds makes it: text, a list, or an object. Its shape depends on the method."""


class Portal:
    """A session of iControl SOAP: entering it gets a session of its own, leaving it ends what is open."""

    def __init__(self, login: Login, pauses: Sequence[float] = ()) -> None:
        self.login: Final = login
        self._pauses: Final = tuple(pauses)
        self._open = False
        self._folder = ""
        self._what = ""
        self._http: Final = Client(login.endpoint)
        self._bigip: object = None

    def __enter__(self) -> Self:
        try:
            self._bigip = _client(self, None)
            number = self.call("System.Session", "get_session_identifier")
            self._bigip = _client(self, int(number))
            # Otherwise a query would find what is in one folder alone.
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
        """One call; a query is asked again while no answer comes, anything else is not.

        Raises RefusedError, NotSentError or OutcomeUnknownError, or DeviceError where no further attempt would help.
        """
        what = f"{interface}.{method}"
        namespace, _, name = interface.partition(".")
        # The first call to an interface reads its description, which is safe to repeat.
        client = self._patient(lambda: getattr(getattr(self._bigip, namespace), name), what, again=True)
        activity.note(f"device asked: {self.login.name}: {what}")
        return self._patient(lambda: getattr(client, method)(*args), what, again=method.startswith(_QUERIES))

    def _patient(self, ask: Callable[[], T], what: str, *, again: bool) -> T:
        return retried(lambda: self._once(ask, what), self._pauses if again else (), repeatable=again)

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
        except Exception as error:  # bigsuds lets every exception of suds and of the parsers below through
            said = one_line(str(error)) or type(error).__name__
            raise OutcomeUnknownError(f"{device}: {what}: the response cannot be read: {said}", "try again") from None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """One request of a call, signed; its status and content. Raises DeviceError for what is no answer of SOAP's."""
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

    # Folders: queries look into the active one and those below, and names without a folder are of that one.

    def look_everywhere(self) -> None:
        """Have queries find the objects of all partitions."""
        self.enter("/")

    def enter(self, folder: str) -> None:
        """Make this the folder of names without one; nothing can be made in the root."""
        if self._folder != folder:
            self.call("System.Session", "set_active_folder", folder)
            self._folder = folder

    # Transactions.

    def start(self) -> None:
        """Begin a transaction of this session; queries run at once and do not see what is queued."""
        self._open = True  # even where the answer is lost
        self.call("System.Session", "start_transaction")

    def submit(self) -> None:
        """Apply all that was queued, or nothing."""
        self.call("System.Session", "submit_transaction")
        self._open = False

    def roll_back(self) -> None:
        """Forget what was queued; an error says nothing new, whatever led here is told already."""
        self._open = False
        try:
            self.call("System.Session", "rollback_transaction")
        except DeviceError:
            return


def _refusal(device: str, what: str, said: str) -> RefusedError:
    return RefusedError(f"{device}: {what}: {said} (HTTP 500)", status=500, said=said)


def _fault(error: Exception) -> str:
    text = str((getattr(getattr(error, "fault", None), "faultstring", "")) or error)
    lines = [line.strip() for line in text.splitlines() if "error_string" in line]
    return one_line(lines[0].partition(":")[2] if lines else text)


def _client(portal: Portal, number: int | None) -> object:
    """A client whose certificates are checked, with one request for each call, in the session of this number."""
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
        """Signs every request, the first one too (otherwise each call would be two), over kept connections."""

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
        """Makes its clients here, so that check, timeout, port and session are kept."""

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
