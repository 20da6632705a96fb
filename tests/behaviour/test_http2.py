"""HTTP/2 between client and balancer, spoken by the library h2: requests, and WebSockets over it (RFC 8441)."""

import json
import os

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from nlbgen.prove.scenarios.hostile import PLANTED

from .conftest import StartFarm
from .http2_client import Http2Client, chosen_protocol


def test_http2_request_reaches_a_node(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    assert chosen_protocol(lab) == "h2"
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/echo-headers"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert f'"{lab.host}:{lab.port}"' in client.data.decode(), "the node sees the farm's name as Host"


@pytest.mark.parametrize("changes", [{"http2": False}, {"windows_sign_in": True}], ids=["http2", "windows_sign_in"])
def test_http2_is_not_offered_if_the_spec_turns_it_off(farm: StartFarm, changes: dict[str, bool]) -> None:
    lab = farm("haproxy", {"frontend": changes})
    assert chosen_protocol(lab) == "http/1.1"
    assert lab.get().status == 200


def test_http2_is_not_offered_by_nginx_if_the_spec_turns_it_off(farm: StartFarm) -> None:
    lab = farm("nginx", {"frontend": {"http2": False}})
    assert chosen_protocol(lab) == "http/1.1"
    assert lab.get().status == 200


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


@pytest.mark.parametrize(("program", "size"), [("haproxy", 16_000), ("nginx", 16_000), ("nginx", 64_000)])
def test_http2_kerberos_ticket_reaches_a_node(farm: StartFarm, program: str, size: int) -> None:
    """HAProxy accepts larger ones with `windows_sign_in`, which turns HTTP/2 off."""
    lab = farm(program)
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/echo-headers"), ("authorization", f"Negotiate {'x' * size}"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert f"Negotiate {'x' * size}" in client.data.decode()


def test_http2_upload_above_the_limit_gets_413(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor, {"balancer": {"max_body": "1MB"}})
    for size in (1024**2 + 1, 8 * 1024**2):
        with Http2Client(lab) as client:
            client.upload("/over", size)
            assert client.headers[":status"] == "413"
    assert not any(node.control.requests("/over") for node in lab.nodes)


def test_http2_answer_with_five_large_cookies_arrives(farm: StartFarm, vendor: str) -> None:
    lab = farm(vendor)
    with Http2Client(lab) as client:
        client.request((":method", "GET"), (":path", "/x?cookie_chunks=5&bytes=3500"))
        client.receive(lambda: client.ended)
    assert client.headers[":status"] == "200"
    assert client.cookies == 5
