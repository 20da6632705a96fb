"""iControl REST: one session with a BIG-IP, its token, its two families of errors, and what may be asked again.

Sources: recorded answers of devices from 11.5 to 17.1, and how f5-bigip-rest-go, f5_modules and go-bigip tell errors
apart. A 404 that speaks of a path that is "not registered" means that the REST daemon restarts, not that an object is
absent; an answer may be HTML instead of JSON.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote

from ....core import activity
from ....core.errors import DeviceError
from ....spec.references import SecretValue

if TYPE_CHECKING:
    import requests

WORKERS: Final = 4
"""How many reads are under way at once."""
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt: a REST daemon that restarts is back within them as a rule."""
CONNECT_SECONDS: Final = 10.0
LONGEST_TEXT: Final = 400

_RESTARTING: Final = ("not registered", "no registered", "Configuration Utility restarting")
_MCPD_LOST: Final = 32768001
_TOKEN_ERRORS: Final = ("X-F5-Auth-Token", "no user authentication header")


class Login(NamedTuple):
    """Where the device is and who pushes; the password shows itself to the login request alone."""

    host: str
    port: int
    user: str
    password: SecretValue
    provider: str
    ca: str | None
    read_seconds: float

    @property
    def name(self) -> str:
        """The device as messages name it."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """The URL that paths are added to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class RefusedError(DeviceError):
    """The device answered, and the answer is no; `text` is what it said."""

    def __init__(self, device: str, what: str, status: int, text: str, hint: str | None = None) -> None:
        super().__init__(f"{device}: {what}: {text} (HTTP {status})", hint)
        self.status = status
        self.text = text


class UnreachableError(DeviceError):
    """The request did not get to the device, or the device does not work on requests now: nothing was changed by it."""


class LostError(DeviceError):
    """No answer that can be read came back: the device may have done what was asked, or not."""


class Answer(NamedTuple):
    """One answer: its status, its JSON (None where it is none), and its text."""

    status: int
    data: Any
    text: str

    @property
    def message(self) -> str:
        """What the device says about an error, on one line."""
        found = self.data.get("message") if isinstance(self.data, dict) else None
        errors = self.data.get("errors") if isinstance(self.data, dict) else None
        listed = f": {'; '.join(map(str, errors))}" if isinstance(errors, list) else ""
        return one_line(f"{found}{listed}" if found else self.text) or "no text"

    @property
    def restarting(self) -> bool:
        """Whether the device was not able to work on the request, whatever it was."""
        if self.status in {502, 503}:
            return True
        return self.status == 404 and any(sign in self.text for sign in _RESTARTING)

    @property
    def undecided(self) -> bool:
        """Whether the request may have been worked on although the answer is an error."""
        if self.status == 504 or (self.status == 500 and self.data is None):
            return True
        code = self.data.get("apiError") if isinstance(self.data, dict) else None
        return self.status == 500 and (code == _MCPD_LOST or "mcpd" in self.text)

    @property
    def token_refused(self) -> bool:
        """Whether the token is the problem: it ran out, or the device forgot it."""
        return self.status == 401 and any(sign in self.text for sign in _TOKEN_ERRORS)


def one_line(text: str) -> str:
    """A device's text as a message may show it: printable, on one line, not endless."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}..."


def path_of(kind: str, full_path: str = "") -> str:
    """The path of a collection, or of the object in it: `/` becomes `~`, and `%` of a route domain is escaped."""
    collection = f"/mgmt/tm/{kind.replace(' ', '/')}"
    return f"{collection}/{segment(full_path)}" if full_path else collection


def segment(full_path: str) -> str:
    """An object's full path as one segment of a URL."""
    return quote(full_path.replace("/", "~"), safe="~:._-")


class Device:
    """A session: enter it to log in; whatever happens, leaving it deletes the token."""

    def __init__(
        self,
        login: Login,
        say: Callable[[str], None] = lambda _text: None,
        pauses: Sequence[float] = PAUSES,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self.login: Final = login
        self.requests_sent = 0
        self._say = say
        self._pauses: Final = tuple(pauses)
        self._timeout: Final = (connect_seconds, login.read_seconds)
        self._token = ""
        self._lock = Lock()
        self._session: requests.Session | None = None

    # The session and its token.

    def __enter__(self) -> Self:
        self._session = session(self.login)
        try:
            self._log_in("")
        except BaseException:
            self._session.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._log_out()
        finally:
            if self._session is not None:
                self._session.close()

    def _log_in(self, refused: str) -> None:
        """Get a token, unless another thread has replaced the refused one already."""
        with self._lock:
            if self._token != refused:
                return
            body = {
                "username": self.login.user,
                "password": self.login.password.reveal(),
                "loginProviderName": self.login.provider,
            }
            self._token = ""
            answer = self._answer("POST", "/mgmt/shared/authn/login", "the login", lambda: {"json": body})
            token = answer.data.get("token") if isinstance(answer.data, dict) else None
            if answer.status != 200 or not isinstance(token, dict) or not isinstance(token.get("token"), str):
                raise self._login_error(answer)
            self._token = token["token"]

    def _login_error(self, answer: Answer) -> DeviceError:
        hint = f"check the user {self.login.user}, the password that f5.password refers to, and f5.provider"
        if "maximum active login tokens" in answer.text:
            hint = "100 tokens of this user are in use: delete some, or wait 20 minutes (F5's article K44237337)"
        if answer.status == 200:
            return LostError(f"{self.login.name}: the answer to the login holds no token", "is this a BIG-IP?")
        return RefusedError(self.login.name, "the login was refused", answer.status, answer.message, hint)

    def _log_out(self) -> None:
        token, attempts = self._token, 2
        while token and attempts:
            attempts -= 1
            with contextlib.suppress(DeviceError):
                answer = self._once("DELETE", f"/mgmt/shared/authz/tokens/{quote(token)}", "the logout", {})
                if answer.status in {200, 401, 404} and not answer.restarting:
                    token = ""
        if token:
            self._say(f"{self.login.name}: the login token could not be deleted; it ends by itself within 20 minutes")
        self._token = ""

    # Requests.

    def get(self, path: str, what: str, params: str = "") -> Any:
        """What is there as JSON; asked again while the device is not able to answer."""
        answer = self.look(path, what, params)
        if answer.status != 200:
            raise self._refused(answer, what)
        return answer.data

    def look(self, path: str, what: str, params: str = "") -> Answer:
        """The answer to a GET, whatever its status: for what may be absent."""
        url = f"{path}?{params}" if params else path
        return self._answer("GET", url, what, dict, again=True)

    def get_all(self, asked: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        """Several reads at once: a name each, with the path and its query; the first failure ends them all."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(WORKERS) as pool:
            futures = {name: pool.submit(self.get, path, name, query) for name, (path, query) in asked.items()}
            try:
                return {name: future.result() for name, future in futures.items()}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        what: str,
        *,
        transaction: str = "",
        again: bool = False,
        once: bool = False,
    ) -> Answer:
        """A write: asked again only where the device did not work on it, or with `again` where twice is as once.

        With `once` it is never asked again, a token that ran out apart. Raises RefusedError, UnreachableError or
        LostError.
        """
        headers = {"X-F5-REST-Coordination-Id": transaction} if transaction else {}
        given: dict[str, Any] = {"headers": headers}
        if body is not None:
            given["json"] = body
        answer = self._answer(method, path, what, lambda: given, again=again, once=once)
        if answer.status not in {200, 201, 202, 204, 207}:
            raise self._refused(answer, what)
        return answer

    def upload(self, name: str, content: bytes) -> None:
        """Put a small file into the device's folder of uploads; a second time replaces it."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"0-{len(content) - 1}/{len(content)}",
        }
        path, what = f"/mgmt/shared/file-transfer/uploads/{quote(name)}", f"the upload of {name}"
        answer = self._answer("POST", path, what, lambda: {"data": content, "headers": headers}, again=True)
        if answer.status != 200:
            raise self._refused(answer, what)

    def _refused(self, answer: Answer, what: str) -> DeviceError:
        hint = None
        if answer.status in {401, 403}:
            hint = f"the user {self.login.user} may not do this: give it the role of a manager or administrator"
        return RefusedError(self.login.name, what, answer.status, answer.message, hint)

    def _answer(
        self,
        method: str,
        path: str,
        what: str,
        given: Callable[[], dict[str, Any]],
        *,
        again: bool = False,
        once: bool = False,
    ) -> Answer:
        """The first answer that decides something, with as many attempts as there are pauses and one more."""
        pauses = [] if once else list(self._pauses)
        while True:
            try:
                return self._decided(method, path, what, given)
            except (UnreachableError, LostError) as error:
                if not pauses or (isinstance(error, LostError) and not again):
                    raise
                time.sleep(pauses.pop(0))

    def _decided(self, method: str, path: str, what: str, given: Callable[[], dict[str, Any]]) -> Answer:
        """One answer, after a new login where the token is refused: then the device did not work on the request."""
        token = self._token
        answer = self._once(method, path, what, given())
        if answer.token_refused and token:
            self._log_in(token)
            answer = self._once(method, path, what, given())
        if (trouble := self._trouble(answer, what)) is not None:
            raise trouble
        return answer

    def _trouble(self, answer: Answer, what: str) -> DeviceError | None:
        if answer.restarting:
            return UnreachableError(
                f"{self.login.name}: {what}: the device is not able to answer: {answer.message} (HTTP {answer.status})",
                "it restarts, or works on something else: try again in some minutes",
            )
        if answer.undecided or (answer.status == 200 and answer.data is None and answer.text):
            return LostError(
                f"{self.login.name}: {what}: no answer that can be read (HTTP {answer.status}): {answer.message}",
                "try again; what was done is found by reading",
            )
        return None

    def _once(self, method: str, path: str, what: str, given: Mapping[str, Any]) -> Answer:
        """One request, with every exception of the library translated."""
        import requests

        assert self._session is not None  # noqa: S101  # the session was entered
        options = dict(given)
        headers = dict(options.pop("headers", {}))
        if self._token:
            headers["X-F5-Auth-Token"] = self._token
        self.requests_sent += 1
        activity.note(f"device asked: {self.login.name}: {method}: {what}")
        try:
            response = self._session.request(
                method,
                f"{self.login.base}{path}",
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                **options,
            )
            return _read(response)
        except requests.RequestException as error:
            raise translated(error, self.login, what) from None


def translated(error: "requests.RequestException", login: Login, what: str) -> DeviceError:
    """What became of a request that got no answer, in words: unreachable, lost, or not to be trusted."""
    import requests

    device = login.name
    if isinstance(error, requests.exceptions.SSLError):
        return DeviceError(
            f"{device}: {what}: the device's certificate is not trusted: {_cause(error)}",
            "name the CA that it chains to in f5.ca, and the host as the certificate does",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error):
        return UnreachableError(
            f"{device}: {what}: cannot be reached: {_cause(error)}", "check f5.host, f5.port and the network"
        )
    if isinstance(error, requests.exceptions.Timeout):
        seconds = f"{login.read_seconds:g}s"
        return LostError(f"{device}: {what}: no answer within {seconds}", "try again, or give it a longer f5.timeout")
    return LostError(f"{device}: {what}: the connection broke: {_cause(error)}", "try again")


def session(login: Login) -> "requests.Session":
    """Kept connections, without anything from the environment: no proxy, no netrc, no cookie."""
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from requests.adapters import HTTPAdapter

    made = requests.Session()
    made.trust_env = False
    made.verify = login.ca or True
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=WORKERS, max_retries=0))
    return made


def _read(response: "requests.Response") -> Answer:
    text = response.content.decode("utf-8", "replace")
    try:
        data = json.loads(text) if text else None
    except ValueError:
        data = None
    return Answer(response.status_code, data, text)


def _never_connected(error: Exception) -> bool:
    """Whether the connection was refused or could not be made: then nothing was sent."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _cause(error: Exception) -> str:
    """The innermost reason, in words; never the request itself."""
    cause: Any = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    inner = cause.args[-1] if isinstance(cause, Exception) and cause.args else cause
    text = getattr(inner, "strerror", None) or getattr(inner, "verify_message", None) or str(inner)
    words = str(text).rpartition(": ")[2].rpartition("] ")[2]
    return one_line(words or type(error).__name__)
