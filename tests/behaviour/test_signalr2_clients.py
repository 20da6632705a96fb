"""What Microsoft's two clients of SignalR 2 send, byte for byte, through the balancer to the simulated nodes.

No .NET runs here. `signalr2/dotnet-2.4.2.json` has its requests with the sources of each detail, and
`signalr2/javascript-2.4.3.json` those that were recorded from the npm package, which other tests also run.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote, quote_plus

import h11
import pytest
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, TextMessage

from .conftest import Changes, FarmLab, StartFarm

RECORDED = Path(__file__).parent / "signalr2"
CLIENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDED.glob("*.json"))}
CASES = [
    (client, name.removesuffix(" connect"))
    for client, recorded in CLIENTS.items()
    for name in recorded
    if name.endswith(" connect")
]
SECONDS = 10.0
FARM: Changes = {"balancer": {"algorithm": "round-robin"}}
"""Consecutive requests go to different nodes; the classic generation needs no affinity."""
Json = Any
UPGRADE = [("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]


class Wire:
    """One request on one connection: the recorded bytes, and the response read strictly."""

    def __init__(self, lab: FarmLab, request: bytes) -> None:
        context = ssl.create_default_context(cafile=str(lab.certificates.ca))
        plain = socket.create_connection(("127.0.0.1", lab.port), SECONDS)
        self._socket = context.wrap_socket(plain, server_hostname=lab.host)
        self._parser = h11.Connection(h11.CLIENT)
        upgrade = b"websocket" in request
        self._parser.send(h11.Request(method="GET", target="/", headers=UPGRADE if upgrade else UPGRADE[:1]))
        self._parser.send(h11.EndOfMessage())
        self._frames = Frames(ConnectionType.CLIENT)
        self._socket.sendall(request)
        self.status = 0
        self.body = b""
        self.messages: list[dict[str, Any]] = []
        """The JSON messages of the stream so far."""
        self.keep_alives = 0
        self.ended = False

    def close(self) -> None:
        self._socket.close()

    def finish(self) -> "Wire":
        """Read until the response is complete or the stream ends."""
        while not self.ended:
            self._read()
        self.close()
        return self

    def wait_for(self, name: str) -> dict[str, Any]:
        """The first message with that field that was not returned yet."""
        while True:
            for at, message in enumerate(self.messages):
                if message.get(name):
                    return self.messages.pop(at)
            assert not self.ended, (self.status, self.body)
            self._read()

    def wait_keep_alive(self) -> None:
        seen = self.keep_alives
        while self.keep_alives == seen:
            self._read()

    def call(self, text: str) -> dict[str, Any]:
        """Call a hub method over the WebSocket."""
        self._socket.sendall(self._frames.send(TextMessage(data=text)))
        return self.wait_for("I")

    def _read(self) -> None:
        data = self._socket.recv(65536)
        if self.status == 101:
            self._receive_frames(data)
            return
        self._parser.receive_data(data)
        while True:
            event = self._parser.next_event()
            match event:
                case h11.InformationalResponse(status_code=101):
                    self.status = 101
                    if early := self._parser.trailing_data[0]:
                        self._receive_frames(early)
                    return
                case h11.Response():
                    self.status = event.status_code
                case h11.Data():
                    self.body += event.data
                    self._scan()
                case h11.EndOfMessage() | h11.ConnectionClosed():
                    self.ended = True
                    self._scan()
                    return
                case h11.NEED_DATA | h11.PAUSED:
                    return

    def _receive_frames(self, data: bytes) -> None:
        self._frames.receive_data(data or None)
        for event in self._frames.events():
            if isinstance(event, TextMessage):
                self._message(event.data)
            elif isinstance(event, CloseConnection):
                self.ended = True

    def _scan(self) -> None:
        """Take the complete messages out of a stream: events, scripts of a forever frame, or the JSON of a poll."""
        text = self.body.decode()
        for pattern in (r"data: (.*)\n\n", r"<script>r\(c, (.*)\);</script>\r\n"):
            found = re.findall(pattern, text)
            if found:
                self.body = re.sub(pattern, "", text).encode()
                for message in found:
                    self._message(message)
                return
        if text.startswith(" "):
            self.keep_alives += 1
            self.body = self.body.lstrip(b" ")
        if self.ended and self.body.startswith(b"{"):
            self._message(self.body.decode())

    def _message(self, text: str) -> None:
        if text == "{}":
            self.keep_alives += 1
        elif text.startswith("{"):
            self.messages.append(json.loads(text))


class Client:
    """One of Microsoft's clients: its recorded requests with the tokens of this connection."""

    def __init__(self, lab: FarmLab, name: str, transport: str, stack: ExitStack) -> None:
        self.lab = lab
        self.recorded = CLIENTS[name]
        self.transport = transport
        self.values = {"token": "", "cursor": "", "groups": ""}
        self.stream: Wire | None = None
        self._stack = stack
        self._number = 0

    def request(self, name: str, data: str = "") -> Wire:
        lines = self.recorded[name]
        end = lines.index("")
        values = {name: quote(value, safe="") for name, value in self.values.items()}
        values |= {"transport": self.transport, "host": f"{self.lab.host}:{self.lab.port}", "data": self._escaped(data)}
        body = "".join(lines[end + 1 :])
        body = Template(body).substitute(values) if body else ""
        head = "\r\n".join([*lines[:end], "", ""])
        wire = Wire(self.lab, (Template(head).substitute(values, length=len(body)) + body).encode())
        self._stack.callback(wire.close)
        return wire

    def _escaped(self, data: str) -> str:
        text = quote_plus(data, safe=self.recorded["safe"])
        if self.recorded["escapes"] == "upper case":
            return text
        return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)

    def negotiate(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.request("negotiate").finish().body)
        self.values["token"] = answer["ConnectionToken"]
        return answer

    def open(self, verb: str = "connect") -> None:
        """Open the stream; long polling opens the next poll with the answer of this one."""
        self.stream = self.request(f"{self.transport} {verb}")
        if self.transport != "longPolling":
            self.values["cursor"] = self.stream.wait_for("C")["C"]
        elif verb == "connect":
            answer = self.stream.wait_for("S")
            self.values["cursor"] = answer["C"]
            self.stream = self.request("longPolling poll")

    def start(self) -> None:
        assert self.request("start").finish().body == b'{"Response":"started"}'

    def call(self, method: str, *arguments: object) -> dict[str, Any]:
        words = json.dumps(list(arguments), separators=(",", ":"), ensure_ascii=False)
        text = Template(self.recorded["call"]).substitute(method=method, arguments=words, number=self._number)
        self._number += 1
        if self.transport == "webSockets":
            assert self.stream is not None
            return self.stream.call(text)
        answer = self.request("send", text).finish()
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.messages[0]
        return found

    def received(self, name: str = "M") -> Json:
        """The next push (`M`) or groups token (`G`); a long poll is repeated after each answer."""
        assert self.stream is not None
        message = self.stream.wait_for(name)
        self.values["cursor"] = message["C"]
        if name == "G":
            self.values["groups"] = message["G"]
        if self.transport == "longPolling":
            body = f"{self.transport} poll body"
            self.stream = self.request(body if body in self.recorded else f"{self.transport} poll")
        return message[name]

    def pushed(self) -> list[Any]:
        return [push["A"] for push in self.received()]


@contextmanager
def connected(lab: FarmLab, name: str, transport: str) -> Iterator[Client]:
    with ExitStack() as stack:
        client = Client(lab, name, transport, stack)
        client.negotiate()
        client.open()
        client.start()
        yield client


@pytest.fixture
def lab(farm: StartFarm, vendor: str, backplane: str) -> FarmLab:
    return farm(vendor, FARM, backplane=backplane, keep_alive=0.5, poll_seconds=5.0)


@pytest.mark.parametrize(("client", "transport"), CASES)
@pytest.mark.no_cover  # other tests reach the same lines
def test_recorded_session_calls_receives_pushes_and_continues_on_any_node(
    lab: FarmLab, client: str, transport: str
) -> None:
    with connected(lab, client, transport) as one:
        one.stream.wait_keep_alive() if one.stream else None
        assert one.call("Echo", "hello ☃")["R"] == "hello ☃"
        assert "method could not be resolved" in one.call("NoSuchMethod")["E"]
        assert "R" not in one.call("Broadcast", "to all")
        assert one.pushed() == [["to all"]]
        one.call("Join", "robots")
        one.received("G")
        one.call("Tell", "robots", "to the group")
        assert one.pushed() == [["to the group"]]

        assert one.stream is not None
        one.stream.close()
        lab.nodes[0].control.push("while away")
        one.open("reconnect")
        assert one.pushed() == [["while away"]]
        one.call("Tell", "robots", "still a member")
        assert one.pushed() == [["still a member"]]

        assert one.request("abort").finish().status == 200
        one.stream.finish()


@pytest.mark.parametrize(("client", "transport"), CASES)
def test_recorded_request_with_the_token_of_a_foreign_node_is_refused(
    lab: FarmLab, client: str, transport: str
) -> None:
    """A node with another machine key: PersistentConnection.cs, TryGetConnectionId."""
    with ExitStack() as stack:
        one = Client(lab, client, transport, stack)
        one.negotiate()
        one.values["token"] = "bm90IG9mIHRoaXMgZmFybQ=="
        names = [f"{transport} connect", f"{transport} reconnect", "start", "send", "abort"]
        for name in names:
            answer = one.request(name, '{"M":"Echo"}').finish()
            assert (answer.status, answer.body) == (400, b"The ConnectionId is in the incorrect format."), name


@pytest.mark.parametrize("client", CLIENTS)
def test_groups_token_of_a_foreign_node_leaves_the_group_without_an_error(lab: FarmLab, client: str) -> None:
    """PersistentConnection.cs, VerifyGroups: the client misses the group's messages, and nothing tells it."""
    with connected(lab, client, "serverSentEvents") as one:
        one.call("Join", "robots")
        one.received("G")
        one.values["groups"] = "bm90IG9mIHRoaXMgZmFybQ=="
        assert one.stream is not None
        one.stream.close()
        one.open("reconnect")
        assert one.stream.status == 200
        one.call("Tell", "robots", "missed")
        time.sleep(0.2)
        one.call("Broadcast", "to all")
        assert one.pushed() == [["to all"]]
