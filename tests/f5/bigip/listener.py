"""The device on loopback, over TLS."""

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from .answers import JsonValue
from .device import BigIp


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    device: BigIp

    def log_message(self, *_args: object) -> None:
        pass

    def handle_one(self) -> None:
        device = self.device
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cut, status, data = device.exchange(self.command, self.path, self.headers, body)
        if cut:
            self.cut_off(cut)
            return
        if device.latency:
            time.sleep(device.latency)
        device.spans.append((began, time.perf_counter()))
        self.reply(status, data)

    def cut_off(self, action: str) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        if action == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        elif action == "hang":
            time.sleep(1.0)
        else:
            # Later connections are refused until the listener starts again.
            self.device.stop_listening()

    def reply(self, status: int, data: JsonValue) -> None:
        raw = b"" if data is None else data.encode() if isinstance(data, str) else json.dumps(data).encode()
        html = isinstance(data, str)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if html else "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Set-Cookie", "BIGIPAuthCookie=0123456789ABCDEF; path=/; Secure; HttpOnly")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # the base class names them  # noqa: N815  # the base class names them


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing about a client that closes its connection."""


class Running:
    """A device that listens on loopback with this certificate; its CA is in a file."""

    def __init__(self, device: BigIp, certificate: Path, ca: Path) -> None:
        self.device, self.ca = device, ca
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.port = 0
        self.server: _Server | None = None

    def listen(self) -> None:
        """Listen, on the former port if there was one. Does nothing while it listens."""
        if self.server is not None:
            return
        handler = type("BoundHandler", (Handler,), {"device": self.device})
        server = self.server = _Server(("127.0.0.1", self.port), handler)
        server.socket = self.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        self.device.stop_listening, self.device.resume = self.stop, self.listen
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections; open ones stay."""
        if self.server is not None:
            server, self.server = self.server, None
            server.shutdown()
            server.server_close()

    def reset(self, **own: JsonValue) -> None:
        """Make the device new; it keeps its port."""
        self.device.renew(**own)
        self.device.stop_listening, self.device.resume = self.stop, self.listen
        self.listen()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
