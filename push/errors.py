"""The outcome of a request to a device: not sent, outcome unknown, or refused; the same for every transport.

Code that decides what to do after a failure catches only these three errors:

| Error | The device | A repeated request |
|---|---|---|
| `NotSentError` | changed nothing | is safe |
| `OutcomeUnknownError` | executed the request, or not | is safe only if it has no further effect |
| `RefusedError` | refused the request, and changed nothing | is refused again |
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import DeviceError


class NotSentError(DeviceError):
    """The device has changed nothing: the request did not reach it, or the device does not process requests now."""


class UntrustedError(NotSentError):
    """The device's certificate is not trusted: nothing was sent, and another attempt would have the same result."""


class ClosedPortError(NotSentError):
    """No program listens at the device's port, and none has answered before: another attempt would be refused too."""


class OutcomeUnknownError(DeviceError):
    """The outcome is unknown: the device may have executed the request, or not.

    `status` is the HTTP status of an answer that does not show the outcome; 0 if there was no answer.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class RefusedError(DeviceError):
    """The device refused the request, and has changed nothing.

    `status` is the HTTP status, `said` is the device's own text.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int, said: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.said = said


@contextmanager
def unchanged() -> Iterator[None]:
    """Say in the hint of a device's error that this push has changed nothing: it was still connecting or reading."""
    try:
        yield
    except DeviceError as error:
        error.hint = f"{error.hint}; this push has changed nothing" if error.hint else "this push has changed nothing"
        raise
