"""RESP, the protocol of Redis: replies, errors and commands."""

import asyncio

import pytest

from nlbgen.net.loops import run
from nlbgen.net.resp import RespError, encode, read_reply


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (b"+OK\r\n", b"OK"),
        (b":42\r\n", 42),
        (b"$-1\r\n", None),
        (b"$3\r\nabc\r\n", b"abc"),
        (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
    ],
)
def test_reply_of_each_type_is_read(raw: bytes, reply: object) -> None:
    async def read() -> object:
        reader = asyncio.StreamReader()
        reader.feed_data(raw)
        reader.feed_eof()
        return await read_reply(reader)

    assert run(read()) == reply


@pytest.mark.parametrize("raw", [b"-ERR no\r\n", b"$99999999\r\n", b"?\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"])
def test_invalid_reply_is_an_error(raw: bytes) -> None:
    async def read() -> object:
        reader = asyncio.StreamReader()
        reader.feed_data(raw)
        reader.feed_eof()
        return await read_reply(reader)

    with pytest.raises(RespError):
        run(read())


def test_command_is_encoded_with_lengths() -> None:
    assert encode("GET", b"\xff") == b"*2\r\n$3\r\nGET\r\n$1\r\n\xff\r\n"
