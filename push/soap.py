"""iControl SOAP through bigsuds, with its traps closed.

bigsuds 1.0.6 checks no certificate by default and forgets the check, the time-out and the port in `with_session_id`;
it sends every call twice (a 401 first); it takes proxies from the environment; it raises whatever the library below
raises; and a session that it does not name is shared by every client of that user. Here a session of our own is made
with a transport of our own, and every exception is translated where the call is made. bigsuds is imported when a push
needs it: its import alone replaces a class of suds for the whole process.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from .. import activity
from ..errors import DeviceError, NlbgenError
from .icontrol import Login, RefusedError, one_line

INSTALL: Final = 'pip install "suds>=1.2,<2" six && pip install --no-deps bigsuds==1.0.6'
_PORTAL: Final = "/iControl/iControlPortal.cgi"
_QUERIES: Final = ("get_", "query_", "set_active_folder", "set_recursive_query_state")
"""What may be asked twice: queries, and what tells a session of its own where to look."""


class SoapError(RefusedError):
    """The device answered with a fault, or its answer was lost; `lost` tells which."""

    def __init__(self, device: str, what: str, text: str, *, lost: bool) -> None:
        super().__init__(device, what, 500, text)
        self.message = f"{device}: {what}: {text}"
        self.args = (self.message,)
        self.lost = lost


class Portal:
    """A session of iControl SOAP: entering it gets a session of its own, leaving it ends what is open."""

    def __init__(self, login: Login, pauses: Sequence[float] = ()) -> None:
        self.login: Final = login
        self.requests_sent = 0
        self._pauses: Final = tuple(pauses)
        self._open = False
        self._folder = ""
        self._bigip = _client(login, None, self._count)

    def _count(self) -> None:
        self.requests_sent += 1

    def __enter__(self) -> Self:
        number = self.call("System.Session", "get_session_identifier")
        self._bigip = _client(self.login, int(number), self._count)
        # Otherwise a query would find what is in one folder alone.
        self.call("System.Session", "set_recursive_query_state", "STATE_ENABLED")
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._open:
            self.roll_back()

    def call(self, interface: str, method: str, *args: Any) -> Any:
        """One call; a query is asked again while its answer is lost, anything else is not.

        Raises SoapError, or DeviceError where the device cannot be reached.
        """
        what = f"{interface}.{method}"
        namespace, _, name = interface.partition(".")
        # The first call to an interface gets its description, which harms nobody however often it is asked for.
        client = self._patient(lambda: getattr(getattr(self._bigip, namespace), name), what, again=True)
        activity.note(f"device asked: {self.login.name}: {what}")
        return self._patient(lambda: getattr(client, method)(*args), what, again=method.startswith(_QUERIES))

    def _patient(self, ask: Callable[[], Any], what: str, *, again: bool) -> Any:
        pauses = list(self._pauses) if again else []
        while True:
            try:
                return self._once(ask, what)
            except SoapError as error:
                if not pauses or not error.lost:
                    raise
                time.sleep(pauses.pop(0))

    def _once(self, ask: Callable[[], Any], what: str) -> Any:
        import bigsuds

        try:
            return ask()
        except bigsuds.ServerError as error:
            raise SoapError(self.login.name, what, _fault(error), lost=False) from None
        except bigsuds.MethodNotFound:
            raise SoapError(self.login.name, what, "this TMOS does not have it", lost=False) from None
        except Exception as error:  # bigsuds lets every exception of suds, urllib and ssl through
            raise self._translated(error, what) from None

    def _translated(self, error: Exception, what: str) -> DeviceError:
        reason = getattr(error, "reason", None) or (error.args[0] if error.args else error)
        status = reason[0] if isinstance(reason, tuple) and reason else getattr(error, "httpcode", None)
        text = (
            one_line(str(reason[1] if isinstance(reason, tuple) and len(reason) > 1 else reason))
            or type(error).__name__
        )
        device = self.login.name
        if status in {401, 403} or "Authorization Required" in text:
            hint = f"check the user {self.login.user} and the password that f5.password refers to"
            return DeviceError(f"{device}: {what}: the login was refused", hint)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "name the CA that it chains to in f5.ca, and the host as the certificate does"
            return DeviceError(f"{device}: {what}: the device's certificate is not trusted", hint)
        return SoapError(device, what, text, lost=True)

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


def _fault(error: Any) -> str:
    text = str((getattr(error, "fault", None) and getattr(error.fault, "faultstring", "")) or error)
    lines = [line.strip() for line in text.splitlines() if "error_string" in line]
    return one_line(lines[0].partition(":")[2] if lines else text)


def _client(login: Login, session: int | None, count: Callable[[], None]) -> Any:
    """A client whose certificates are checked, with one request for each call, and without anybody's proxy."""
    try:
        import bigsuds
    except ImportError:
        message = "f5.api is soap, and bigsuds is not installed"
        raise NlbgenError(message, f"{INSTALL} (plain `pip install bigsuds` fails)") from None
    from urllib.request import HTTPSHandler, ProxyHandler

    from suds.client import Client
    from suds.transport.http import HttpTransport
    from suds.xsd.doctor import Import, ImportDoctor

    context = ssl.create_default_context(cafile=login.ca)

    class Transport(HttpTransport):
        """Signs every request, the first one too: otherwise each call would be two."""

        def u2handlers(self) -> list[Any]:
            return [ProxyHandler({}), HTTPSHandler(context=context)]

        def open(self, request: Any) -> Any:
            request.headers.update(_headers(login, session))
            count()
            return super().open(request)

        def send(self, request: Any) -> Any:
            count()
            return super().send(request)

    class Session(bigsuds.BIGIP):
        """Makes its clients here, where check, time-out, port and session cannot get lost."""

        def _create_client(self, wsdl_name: str) -> Any:
            imported = Import("http://schemas.xmlsoap.org/soap/encoding/")
            imported.filter.add("urn:iControl")
            url = f"{login.base}{_PORTAL}"
            client = Client(
                f"{url}?WSDL={wsdl_name}",
                doctor=ImportDoctor(imported),
                cache=None,
                transport=Transport(timeout=login.read_seconds),
            )
            client.set_options(location=url, headers=_headers(login, session))
            client.factory.separator("_")
            return self._create_client_wrapper(client, wsdl_name)

    return Session(login.host, login.user, "", port=login.port, verify=True, timeout=login.read_seconds)


def _headers(login: Login, session: int | None) -> dict[str, str]:
    from base64 import b64encode

    signed = b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    own = {} if session is None else {"X-iControl-Session": str(session)}
    return {"Authorization": f"Basic {signed}", **own}
