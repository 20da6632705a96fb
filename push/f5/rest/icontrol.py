"""iControl REST: one session with a BIG-IP, its token, its errors, and the requests that are safe to repeat.

Sources: recorded answers of devices from 11.5 to 17.1, and the error handling of f5-bigip-rest-go, f5_modules and
go-bigip. A 404 with a path that is "not registered" means that the REST daemon restarts, not that an object is absent.
An answer may be HTML instead of JSON.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from ....core import activity
from ....core.errors import DeviceError
from ....core.wording import legible
from ...answers import parsed
from ...errors import NotSentError, OutcomeUnknownError, RefusedError
from ...http import CONNECT_SECONDS, CONNECTIONS, PAUSES, Client, one_line, retried
from ..login import Login

UPLOAD_PART: Final = 512 * 1024
"""In bytes, as in F5's own SDK (f5-common-python)."""
_UPLOAD_HINT: Final = "only an administrator may upload files: see docs/commands/push.md for a push without uploads"
_RESTARTING: Final = ("not registered", "no registered", "Configuration Utility restarting")
_MCPD_LOST: Final = 32768001
_TOKEN: Final = re.compile(r"[!-~]{1,4000}")
_EXPIRED: Final = re.compile(r"remoteSender:\S*, method:")
"""The text of an operation that took longer than restjavad waits, with any status: the device goes on with it."""
_TOKEN_ERRORS: Final = ("X-F5-Auth-Token", "no user authentication header")


class Answer(NamedTuple):
    """One answer: its status, its JSON (None if the answer is not JSON), and its text."""

    status: int
    data: Any
    text: str

    @property
    def message(self) -> str:
        """The device's error text, on one line."""
        found = self.data.get("message") if isinstance(self.data, dict) else None
        errors = self.data.get("errors") if isinstance(self.data, dict) else None
        listed = f": {'; '.join(map(str, errors))}" if isinstance(errors, list) else ""
        return one_line(f"{found}{listed}" if found else self.text) or "no text"

    @property
    def restarting(self) -> bool:
        """Whether the device restarts or is busy: it did not process the request."""
        if self.status in {502, 503}:
            return True
        return self.status == 404 and any(sign in self.text for sign in _RESTARTING)

    @property
    def undecided(self) -> bool:
        """Whether the outcome is unknown: the device may have processed the request although the answer is an error."""
        if self.status == 504 or (self.status == 500 and self.data is None):
            return True
        if self.status >= 400 and _EXPIRED.search(self.message):
            return True
        code = self.data.get("apiError") if isinstance(self.data, dict) else None
        return self.status == 500 and (code == _MCPD_LOST or "mcpd" in self.text)

    @property
    def token_refused(self) -> bool:
        """Whether the device refused the token, because it expired or is unknown."""
        return self.status == 401 and any(sign in self.text for sign in _TOKEN_ERRORS)


def refusal(device: str, what: str, answer: Answer, hint: str | None = None) -> RefusedError:
    """Return the error for an answer that refuses `what`."""
    text = answer.message
    return RefusedError(
        f"{device}: {legible(what)}: {text} (HTTP {answer.status})", hint, status=answer.status, said=text
    )


def path_of(kind: str, full_path: str = "") -> str:
    """The path of a collection, or of the object in it: `/` becomes `~`, and `%` of a route domain is escaped."""
    collection = f"/mgmt/tm/{kind.replace(' ', '/')}"
    return f"{collection}/{segment(full_path)}" if full_path else collection


def segment(full_path: str) -> str:
    """Return an object's full path as one segment of a URL."""
    return quote(full_path.replace("/", "~"), safe="~:._-")


class RestSession:
    """A session: entering it logs in, and leaving it always deletes the token."""

    def __init__(
        self,
        login: Login,
        say: Callable[[str], None] = lambda _text: None,
        pauses: Sequence[float] = PAUSES,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self.login: Final = login
        self._say = say
        self._pauses: Final = tuple(pauses)
        self._token = ""
        self._lock = Lock()
        self._client: Final = Client(login.endpoint, connect_seconds)

    @property
    def requests_sent(self) -> int:
        """How many requests were sent."""
        return self._client.requests_sent

    def __enter__(self) -> Self:
        try:
            self._log_in("")
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._log_out()
        finally:
            self._client.close()

    def _log_in(self, refused: str) -> None:
        """Get a token, unless another thread has already replaced the refused one."""
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
            text = token.get("token") if isinstance(token, dict) else None
            if answer.status != 200 or not isinstance(text, str) or not _TOKEN.fullmatch(text):
                raise self._login_error(answer)
            self._token = text

    def _login_error(self, answer: Answer) -> DeviceError:
        hint = f"check the user {self.login.user}, the password that f5.password refers to, and f5.provider"
        if "maximum active login tokens" in answer.text:
            hint = "100 tokens of this user are in use: delete some, or wait 20 minutes (F5's article K44237337)"
        if answer.status == 200:
            return OutcomeUnknownError(
                f"{self.login.name}: the response to the login has no token", "check that f5.host is a BIG-IP"
            )
        return refusal(self.login.name, "the login was refused", answer, hint)

    def _log_out(self) -> None:
        token, attempts = self._token, 2
        while token and attempts:
            attempts -= 1
            with contextlib.suppress(DeviceError):
                answer = self._once("DELETE", f"/mgmt/shared/authz/tokens/{quote(token)}", "the logout", {})
                if answer.status in {200, 401, 404} and not answer.restarting:
                    token = ""
        if token:
            self._say(f"{self.login.name}: the login token could not be deleted; it expires within 20 minutes")
        self._token = ""

    # Requests.

    def get(self, path: str, what: str, params: str = "") -> object:
        """Return the JSON of a GET; repeat the request while the device restarts or is busy."""
        answer = self.look(path, what, params)
        if answer.status != 200:
            raise self._refused(answer, what)
        return answer.data

    def look(self, path: str, what: str, params: str = "") -> Answer:
        """Return the answer to a GET with any status, for objects that may be absent."""
        url = f"{path}?{params}" if params else path
        return self._answer("GET", url, what, dict, again=True)

    def get_all(self, asked: Mapping[str, tuple[str, str]]) -> dict[str, object]:
        """Send several GETs in parallel: for each name, its path and query. The first failure ends all."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(CONNECTIONS) as pool:
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
        """Send a write. It is repeated if the device did not process it; with `again` also if the outcome is unknown.

        `again` is only for requests that are safe to repeat. With `once`, the request is never repeated, except with a
        new token. Raises RefusedError, NotSentError or OutcomeUnknownError.
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
        """Upload a file in parts, as the device refuses parts over 1 MiB; a second upload replaces it."""
        path, what = f"/mgmt/shared/file-transfer/uploads/{quote(name)}", f"the upload of {name}"
        for start in range(0, len(content), UPLOAD_PART):
            part = content[start : start + UPLOAD_PART]
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{start}-{start + len(part) - 1}/{len(content)}",
            }
            answer = self._answer("POST", path, what, partial(dict, data=part, headers=headers), again=True)
            if answer.status != 200:
                raise self._refused(answer, what, _UPLOAD_HINT)

    def _refused(self, answer: Answer, what: str, hint: str | None = None) -> DeviceError:
        if answer.status not in {401, 403}:
            hint = None
        elif hint is None:
            hint = f"the user {self.login.user} may not do this: give it the role Manager or Administrator"
        return refusal(self.login.name, what, answer, hint)

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
        """Return the first answer with a known outcome. There is one attempt more than there are pauses."""
        pauses = () if once else self._pauses
        return retried(lambda: self._decided(method, path, what, given), pauses, repeatable=again, say=self._say)

    def _decided(self, method: str, path: str, what: str, given: Callable[[], dict[str, Any]]) -> Answer:
        """Return one answer.

        If the device refused the token, log in again and repeat the request, which was not processed.
        """
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
            return NotSentError(
                f"{self.login.name}: {what}: the device cannot respond: {answer.message} (HTTP {answer.status})",
                "it may be restarting or busy: try again in some minutes",
            )
        if answer.undecided or (answer.status == 200 and answer.data is None and answer.text):
            return OutcomeUnknownError(
                f"{self.login.name}: {what}: the response cannot be read (HTTP {answer.status}): {answer.message}",
                "try again; the next push reads the state of the device",
                status=answer.status,
            )
        return None

    def _once(self, method: str, path: str, what: str, given: Mapping[str, Any]) -> Answer:
        """Send one request; raises NotSentError or OutcomeUnknownError if there is no answer."""
        headers = dict(given.get("headers", {}))
        if self._token:
            headers["X-F5-Auth-Token"] = self._token
        activity.note(f"request to the device: {self.login.name}: {method}: {what}")
        reply = self._client.request(
            method, f"{self.login.base}{path}", what, headers, json=given.get("json"), data=given.get("data")
        )
        return _answer(reply.status, reply.content)


def _answer(status: int, content: bytes) -> Answer:
    text = content.decode("utf-8", "replace")
    try:
        data = parsed(text) if text else None
    except ValueError:
        data = None
    return Answer(status, data, text)
