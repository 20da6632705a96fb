"""A client of HTTP/2, spoken by the library h2."""

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Self

import h2.config
import h2.connection
import h2.events

from .conftest import FarmLab


def chosen_protocol(lab: FarmLab) -> str | None:
    """The protocol that the balancer chooses for a client that offers HTTP/2 and HTTP/1.1."""
    context = ssl.create_default_context(cafile=str(lab.certificates.ca))
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
    with context.wrap_socket(plain, server_hostname=lab.host) as secure:
        return secure.selected_alpn_protocol()


class Http2Client:
    """One HTTP/2 connection to a farm."""

    def __init__(self, lab: FarmLab, port: int = 0) -> None:
        context = ssl.create_default_context(cafile=str(lab.certificates.ca))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port or lab.port), timeout=10)
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
                    self.cookies = sum(str(name) == "set-cookie" for name, _ in event.headers)
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

    def upload(self, path: str, size: int) -> None:
        """POST a body of that size as fast as the balancer permits, and read the response."""
        length = ("content-length", str(size))
        stream, left = self.request((":method", "POST"), (":path", path), length, end=False), size
        while not self.ended:
            while (part := min(left, self._allowed(stream), self.h2.max_outbound_frame_size)) > 0:
                left -= part
                self.h2.send_data(stream, bytes(part), end_stream=not left)
                self.send()
            self.receive(partial(self._goes_on, stream, left))

    def _goes_on(self, stream: int, left: int) -> bool:
        """Whether the balancer answered, or takes more of what is left."""
        return self.ended or (left > 0 and self._allowed(stream) > 0)

    def _allowed(self, stream: int) -> int:
        """How many bytes the balancer takes now."""
        return 0 if self.ended else self.h2.local_flow_control_window(stream)
