"""Faults that a test sets for requests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .answers import framework, icrd


@dataclass
class Fault:
    """What goes wrong with the n-th request (counted from 1), or with those that `matches` names.

    `reset` and `hang` may happen before or after the request is processed (`after`); so may `garbage`, which answers
    with bytes that are not JSON. `gone` closes the connection, and refuses others until the listener starts again. A
    status is answered instead of processing, as recorded. With `late`, the request is processed after that many further
    requests: the device goes on with a commit whose answer was an error.
    """

    action: str
    number: int = 0
    matches: Callable[[str, str], bool] | None = None
    after: bool = False
    times: int = 1
    late: int = 0

    def hits(self, number: int, method: str, path: str) -> bool:
        if self.times == 0 or (self.number and number != self.number):
            return False
        if self.matches and not self.matches(method, path):
            return False
        self.times -= 1
        return True


CUTS = {"gone", "hang", "reset"}
STATUSES: dict[str, tuple[int, Any]] = {
    "busy": (503, icrd(503, "There is an active asynchronous task executing.", 32964609)),
    "restarting": (503, "<html>...Configuration Utility restarting...</html>"),
    "mcpd": (500, icrd(500, "The connection to mcpd has been lost, try again.", 32768001)),
    "not-registered": (
        404,
        framework(
            404,
            "URI path /mgmt/tm/ltm/pool not registered.  Please verify URI is supported and wait for /available suffix to be responsive.",  # noqa: E501  # as recorded
        ),
    ),
    "public-uri": (404, framework(404, "Public URI path not registered: /tm/ltm/pool")),
    "async": (500, "<html>... HTTP ERROR 500 AsyncContext timeout ... Powered by Jetty:// 9.4.49.v20220914</html>"),
    "expired": (401, framework(401, "X-F5-Auth-Token has expired.")),
    "forbidden": (
        403,
        framework(
            403,
            "Authorization failed: user=https://localhost/mgmt/shared/authz/users/guest resource=/mgmt/tm/ltm verb=POST",  # noqa: E501  # as recorded
        ),
    ),
    "gone-transaction": (404, icrd(404, "Transaction 1526674837169915 is not found.", 1)),
    "outlasted": (
        400,
        # As recorded in F5's trackers: the text of java.util.concurrent.TimeoutException.
        framework(400, "remoteSender:127.0.0.1, method:PATCH "),
    ),
    "outlasted-500": (
        500,
        framework(500, "java.util.concurrent.TimeoutException: remoteSender:127.0.0.1, method:POST "),
    ),
    "outlasted-404": (404, framework(404, "remoteSender:127.0.0.1, method:PATCH ")),
    "bad-request": (400, icrd(400, "Found invalid JSON body in the request.", 1)),
}
