"""`nlbgen serve`: only the page's files, only for this machine, with a strict policy."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import FileError, UsageError
from nlbgen.page import serving
from nlbgen.page.serving import Server

if TYPE_CHECKING:
    from tests.conftest import RunCommand


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the built page, with a secret beside it."""
    app = tmp_path / "site" / "app"
    (app / "pyodide").mkdir(parents=True)
    for name in ("index.html", "start.json", "app.js", "pyodide/a.wasm", "odd"):
        (app / name).write_text(f"content of {name}")
    (tmp_path / "site" / "secret").write_text("hunter2")
    return app


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, 0) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def response(server: Server, method: str, path: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(serving.LOOPBACK, server.server_port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"{serving.LOOPBACK}:{server.server_port}")
    connection.endheaders()
    found = connection.getresponse()
    answer = (found.status, dict(found.getheaders()), found.read())
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"content of index.html"),
        ("/index.html#spec=x", "text/html; charset=utf-8", b"content of index.html"),
        ("/app.js?v=1", "text/javascript; charset=utf-8", b"content of app.js"),
        ("/pyodide/a.wasm", "application/wasm", b"content of pyodide/a.wasm"),
        ("/odd", "application/octet-stream", b"content of odd"),
    ],
)
def test_file_of_the_page_is_sent_with_its_type_and_the_policy(
    server: Server, path: str, kind: str, content: bytes
) -> None:
    status, headers, body = response(server, "GET", path)
    assert (status, headers["Content-Type"], body) == (200, kind, content)
    assert headers["Content-Security-Policy"] == serving.POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Length"] == str(len(content))
    assert response(server, "HEAD", path)[2] == b""


@pytest.mark.parametrize(
    "path", ["/secret", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "//secret", "/pyodide", "/pyodide/", "/no"]
)
def test_anything_else_is_not_found(server: Server, path: str) -> None:
    status, headers, body = response(server, "GET", path)
    assert status == 404
    assert headers["Content-Security-Policy"] == serving.POLICY
    assert b"hunter2" not in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:8470", "localhost.evil.example:1"])
def test_other_host_is_refused(server: Server, host: str) -> None:
    assert response(server, "GET", "/", host)[0] == 421


def test_localhost_is_this_server(server: Server) -> None:
    assert response(server, "GET", "/", f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_not_implemented(server: Server, method: str) -> None:
    assert response(server, method, "/")[0] == 501


def test_file_that_was_removed_is_not_found(server: Server, folder: Path) -> None:
    (folder / "odd").unlink()
    assert response(server, "GET", "/odd")[0] == 404


def test_policy_has_no_unsafe_source_but_webassembly() -> None:
    assert re.findall(r"'(unsafe-[a-z-]+|wasm-unsafe-eval)'", serving.POLICY) == ["wasm-unsafe-eval"]
    page = (Path(serving.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy == [serving.POLICY.removesuffix("; frame-ancestors 'none'")], "a browser ignores this in an element"


def test_page_is_found_in_the_folder_or_in_its_app(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serving.page_in(folder) == folder
    assert serving.page_in(folder.parent) == folder
    with pytest.raises(UsageError, match="the page is not in this folder"):
        serving.page_in(tmp_path)
    monkeypatch.setattr(serving, "BUILT", tmp_path)
    with pytest.raises(UsageError, match="this installation does not contain the page"):
        serving.page_in(None)
    monkeypatch.setattr(serving, "BUILT", folder)
    assert serving.page_in(None) == folder


def test_port_in_use_is_an_error_with_a_hint(server: Server, folder: Path) -> None:
    with pytest.raises(FileError, match=f"port {server.server_port}: cannot be used") as error:
        Server(folder, server.server_port)
    assert error.value.hint == "choose another --port"


def test_command_without_the_page_says_what_to_do(cli: "RunCommand", tmp_path: Path) -> None:
    ran = cli("serve", str(tmp_path))
    assert ran.code == 2
    assert "make site" in ran.err


def test_command_opens_the_browser_and_serves_until_it_is_stopped(
    folder: Path, cli: "RunCommand", monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setattr(Server, "serve_forever", lambda _self: None)
    ran = cli("serve", str(folder), "--port", "0", "--open")
    assert (ran.code, ran.out) == (0, opened[0] + "\n")


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl+C to all processes of a console")
def test_command_prints_the_address_and_ends_with_ctrl_c(folder: Path) -> None:
    command = [sys.executable, "-m", "nlbgen", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url, timeout=30) as found:
            assert found.read() == b"content of index.html"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
