"""What became of a request to a device: not sent, outcome unknown, refused. One meaning each, for every transport.

Code that decides what to do after a failure catches these three and nothing else:

| Error | The device | To repeat the request |
|---|---|---|
| `NotSentError` | has done nothing | is safe |
| `OutcomeUnknownError` | may have done it, or not | is safe only where twice is as once; otherwise read the device |
| `RefusedError` | answered no, and has done nothing | is of no use |
"""

from ..core.errors import DeviceError


class NotSentError(DeviceError):
    """The request did not reach the device, or the device does not work on requests now: it has changed nothing."""


class UntrustedError(NotSentError):
    """The device's certificate is not trusted: nothing was sent, and another attempt would end the same way."""


class OutcomeUnknownError(DeviceError):
    """No answer that decides came back: the device may have done what was requested, or not.

    `status` is the HTTP status of an answer that does not decide; 0 where there was no answer.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class RefusedError(DeviceError):
    """The device answered no: it has done nothing. `status` is the HTTP status, `said` the device's own text."""

    def __init__(self, message: str, hint: str | None = None, *, status: int, said: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.said = said
