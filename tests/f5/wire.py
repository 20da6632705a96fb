"""The simulated BIG-IP without a network: an adapter of requests that hands each request to the device.

For tests that fail every call of a push in every way. What a broken connection looks like is as recorded from the real
one; test_f5_faults.py holds the two against each other.
"""

import json
import sys
from http.client import RemoteDisconnected
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp


class Near:
    """A device that is reached without a network; like `Running` in everything that tests use."""

    port = 443
    ca: Path

    def __init__(self, device: "BigIp") -> None:
        self.device = device
        self.listening = True
        self.reset()

    def reset(self, **own: object) -> None:
        """Make the device new."""
        self.device.renew(**own)
        self.device.stop_listening, self.device.resume = self.stop, self.listen
        self.listen()

    def listen(self) -> None:
        self.listening = True

    def stop(self) -> None:
        self.listening = False


class Wire(BaseAdapter):
    """Every request is sent to the device in the same thread."""

    def __init__(self, near: Near) -> None:
        super().__init__()
        self.near = near
        self.pool = HTTPSConnectionPool("127.0.0.1", near.port)

    def send(self, request: requests.PreparedRequest, *_args: object, **_options: object) -> requests.Response:
        url = str(request.path_url)
        if not self.near.listening:
            refused = NewConnectionError(HTTPSConnection("127.0.0.1"), "[Errno 111] Connection refused")
            raise Broken(MaxRetryError(self.pool, url, refused), request=request)
        body = request.body or b""
        given = body.encode() if isinstance(body, str) else bytes(body)
        cut, status, data = self.near.device.exchange(str(request.method), url, request.headers, given)
        if cut == "hang":
            raise ReadTimeout(ReadTimeoutError(self.pool, url, "Read timed out."), request=request)
        if cut:
            if cut == "gone":
                self.near.stop()
            gone = RemoteDisconnected("Remote end closed connection without response")
            raise Broken(ProtocolError("Connection aborted.", gone), request=request)
        return answered(request, status, data)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def answered(request: requests.PreparedRequest, status: int, data: object) -> requests.Response:
    """An answer as requests gives it."""
    made = requests.Response()
    raw = b"" if data is None else data.encode() if isinstance(data, str) else json.dumps(data).encode()
    made.raw = HTTPResponse(BytesIO(raw), preload_content=False)
    made.status_code = status
    made.headers = CaseInsensitiveDict({"Content-Type": "application/json; charset=UTF-8"})
    made.request = request
    return made


def near(monkeypatch: pytest.MonkeyPatch) -> Near:
    """Return a device, and direct every session of a push to it."""
    from nlbgen.push import http

    found = Near(sys.modules["f5_bigip"].BigIp())
    real = http.session

    def directed(endpoint: http.Endpoint) -> requests.Session:
        made = real(endpoint)
        made.mount("https://", Wire(found))
        return made

    monkeypatch.setattr(http, "session", directed)
    return found
