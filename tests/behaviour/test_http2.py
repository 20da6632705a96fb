"""HTTP/2 between client and balancer, spoken by the library h2: requests, and WebSockets over it (RFC 8441)."""

import json
import os
import socket
import ssl
from collections.abc import Callable
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from nlbgen.prove.scenarios.hostile import PLANTED

from .conftest import FarmLab, StartFarm


class Http2Client:
    """One HTTP/2 connection to a farm."""

    def __init__(self, lab: FarmLab) -> None:
        context = ssl.create_default_context(cafile=str(lab.certificates.ca))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
        self.socket = context.wrap_socket(plain, server_hostname=lab.host)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.authority = f"{lab.host}:{lab.port}"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.headers: dict[str, str] = {}
        self.cookies = 0
        """How many cookies an answer set."""
        self.data, self.ended = b"", False
        self.send()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def receive(self, until: Callable[[], object]) -> None:
        """Read events until `until()` holds."""
        while not until():
            received = self.socket.recv(65536)
            assert received, "the balancer closed the connection"
            for event in self.h2.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    self.headers = {str(name): str(value) for name, value in event.headers}
                    self.cookies = sum(name == "set-cookie" for name, _ in event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    self.data += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    self.ended = True
            self.send()

    def request(self, *headers: tuple[str, str], end: bool = True) -> int:
        stream = self.h2.get_next_available_stream_id()
        common = [(":scheme", "https"), (":authority", self.authority)]
        self.h2.send_headers(stream, [headers[0], *common, *headers[1:]], end_stream=end)
        self.send()
        return stream


def test_http2_request_reaches_a_node(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/echo-headers"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert f'"{lab.host}:{lab.port}"' in client.data.decode(), "the node sees the farm's name as Host"


def test_http2_websocket_carries_frames_on_haproxy(farm: StartFarm) -> None:
    lab = farm("haproxy")
    with Http2Client(lab) as client:
        client.receive(lambda: client.h2.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL))
        stream = client.request(
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":path", "/ws"),
            ("sec-websocket-version", "13"),
            ("origin", lab.url),
            end=False,
        )
        client.receive(lambda: client.headers or client.ended)
        assert client.headers[":status"] == "200"
        mask, text = os.urandom(4), b"hello over h2"
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        client.h2.send_data(stream, bytes([0x81, 0x80 | len(text)]) + mask + masked)
        client.send()
        client.receive(lambda: text in client.data or client.ended)
        assert text in client.data


def test_http2_websocket_is_not_offered_by_nginx(farm: StartFarm) -> None:
    """Browsers then open an HTTP/1.1 connection, which works; a broken offer would fail."""
    lab = farm("nginx")
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/"))
        client.receive(lambda: client.ended)
        assert not client.h2.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL)


def test_http2_request_for_an_unknown_name_is_refused(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.authority = "evil.example"
        client.request((":method", "GET"), (":path", "/"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "421"


@pytest.mark.parametrize("form", [form for form in PLANTED if " " not in form])
def test_http2_name_that_resembles_the_farms_never_arrives(farm: StartFarm, vendor: str, form: str) -> None:
    """HAProxy removes an empty port, and 2.6 takes a path in the authority for the request's path."""
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.authority = form.format(lab.host)
        client.request((":method", "GET"), (":path", "/echo-headers"))
        client.receive(lambda: client.ended)
    if client.headers.get(":status") == "200":
        headers = json.loads(client.data)["headers"]
        names = [value for name, value in headers if name.lower() in {"host", "x-forwarded-host"}]
        assert names == [lab.host, lab.host]
        assert vendor == "haproxy"
        assert form in {"{}:", "{}:443/evil"}
    else:
        assert client.headers.get(":status", "reset") in {"400", "421", "reset"}


@pytest.mark.parametrize("size", [16_000, 64_000])
def test_http2_kerberos_ticket_reaches_a_node(farm: StartFarm, vendor: str, size: int) -> None:
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/echo-headers"), ("authorization", f"Negotiate {'x' * size}"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert f"Negotiate {'x' * size}" in client.data.decode()


def test_http2_answer_with_five_large_cookies_arrives(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/x?cookie_chunks=5"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert client.cookies == 5
