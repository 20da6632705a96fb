"""Answers at a socket: complete within a time and a size, whatever the peer sends."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nlbgen.net.answers import TooLongError, received

MOST = 100_000
"""So many bytes are sent at most: a reader without a limit ends too, and its test fails."""


@contextmanager
def sending(*parts: bytes) -> Iterator[socket.socket]:
    """A connection on which a peer sends these parts, each after the other, and then closes it."""
    peer, client = socket.socketpair()

    def send() -> None:
        with peer:
            try:
                for part in parts:
                    peer.sendall(part)
            except OSError:  # the reader has enough
                return

    thread = threading.Thread(target=send)
    thread.start()
    with client:
        yield client
    thread.join()


def test_answer_is_complete_when_the_peer_closes() -> None:
    with sending(b"one ", b"two") as client:
        assert received(client, 5, 7) == b"one two"


def test_answer_that_drips_ends_after_the_time_for_all_of_it() -> None:
    """A second passes before each part: the pauses are short, but the answer is late."""
    clock = itertools.count()
    with sending(*[b"x"] * MOST) as client, pytest.raises(TimeoutError):
        received(client, 3, 10 * MOST, lambda: float(next(clock)))
    assert next(clock) == 4


def test_answer_that_is_too_long_is_an_error() -> None:
    with sending(b"x" * 8, b"y" * MOST) as client, pytest.raises(TooLongError):
        received(client, 60, 7)


def test_peer_that_sends_nothing_is_an_error_after_the_time() -> None:
    peer, client = socket.socketpair()
    with peer, client, pytest.raises(TimeoutError):
        received(client, 0.01, 7)
