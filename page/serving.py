"""The web server of `nlbgen serve`: the files of the built page, on loopback only.

It answers GET and HEAD for the files that were there when it started, and nothing else: no listing of a folder, no
other file, no other Host than its own, so that no site can reach it by a name that resolves to loopback.
"""

import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ..core import activity
from ..core.errors import FileError, UsageError

LOOPBACK: Final = "127.0.0.1"
BUILT: Final = Path(__file__).parent / "site"
"""The page in the wheel of a release; other installations do not have it."""

_MARK: Final = "start.json"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".zip": "application/zip",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
    "worker-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""WebAssembly needs `wasm-unsafe-eval`; everything else comes from this server, or is refused."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_SILENCE_SECONDS: Final = 30
"""A connection without a request for so long is closed."""


def page_in(folder: Path | None) -> Path:
    """Return the folder of the built page: in `folder`, in its `app/`, or that of this installation.

    Raises UsageError if there is none.
    """
    if folder is None:
        if (BUILT / _MARK).is_file():
            return BUILT
        raise UsageError(
            "this installation does not contain the page",
            "give its folder (`make site` builds site/app), or install the wheel of a release",
        )
    for found in (folder, folder / "app"):
        if (found / _MARK).is_file():
            return found
    raise UsageError(f"{folder}: the page is not in this folder", "give the folder that `make site` builds: site/app")


class Server(ThreadingHTTPServer):
    """A server of one folder; it listens when it is made, on port `port` of loopback (0: any free port)."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        """Raise FileError if the port is in use."""
        self.files = {
            path.relative_to(folder).as_posix(): path.resolve() for path in folder.rglob("*") if path.is_file()
        }
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise FileError(f"port {port}: cannot be used: {error.strerror}", "choose another --port") from None
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without a look-up of this machine's name, which HTTPServer does; on Windows, take no port in use."""
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            self.allow_reuse_address = False
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        super(ThreadingHTTPServer, self).server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that closes its connection is no error."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    server_version = "nlbgen"
    sys_version = ""
    timeout = _SILENCE_SECONDS

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "Wrong Host", f"Open {self.server.url}")
            return
        path = self.server.files.get(unquote(urlsplit(self.path).path).removeprefix("/") or "index.html")
        if path is None or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = path.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Add the headers that every response has, errors too."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *words: object, **_named: object) -> None:
        """Report a request to `--verbose`; the words are a format and its values."""
        activity.note(f"served {self.client_address[0]}: {str(words[0]) % words[1:]}")
