"""The forms of a device's answers, and the types of requests and answers."""

from collections.abc import Mapping
from email.message import Message
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Key = tuple[str, str]
JsonValue: TypeAlias = Any
"""A JSON value of a request or of an answer: the model checks its type."""
Headers: TypeAlias = Mapping[str, str] | Message


class Refusal(Exception):  # noqa: N818  # an answer, not a fault
    """An answer whose status is not 200."""

    def __init__(self, status: int, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def icrd(status: int, message: str, code: int) -> Json:
    return {"code": status, "message": message, "errorStack": [], "apiError": code}


def framework(status: int, message: str) -> Json:
    return {
        "code": status,
        "message": message,
        "referer": "127.0.0.1",
        "restOperationId": 7,
        "kind": ":resterrorresponse",
    }
