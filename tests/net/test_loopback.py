"""Ports of this machine in place of those of a name."""

from nlbgen.net import loopback


def test_published_port_is_that_of_the_name_until_the_end() -> None:
    with loopback.published("App.corp.example", {443: 20443}):
        assert loopback.local_port("app.corp.example", 443) == 20443
        assert loopback.local_port("app.corp.example", 80) == 80
        assert loopback.local_port("other.corp.example", 443) == 443
    assert loopback.local_port("app.corp.example", 443) == 443
