"""Scenarios of what must be right to the letter: they pass on the example farm, and each fault misses its bar."""

import pytest

pytestmark = pytest.mark.slow

STICKY = {"balancer": {"affinity": "signalr", "max_body": "1MB"}}
"""A cookie on the live connections, and a limit that is quick to play."""


def lines_without(text, *words):
    """The configuration without the lines in which one of the words stands."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


@pytest.mark.parametrize("name", ["posts", "body", "browsers"])
def test_the_example_farm_holds_the_bars(theatre, vendor, name):
    assert [each for each in theatre(vendor).play(name).values() if each.verdict == "missed"] == []


@pytest.mark.parametrize("name", ["body", "browsers"])
def test_a_farm_with_a_cookie_holds_the_bars(theatre, vendor, name):
    assert [each for each in theatre(vendor, STICKY).play(name).values() if each.verdict == "missed"] == []


def test_a_limit_that_nobody_uploads_in_a_minute_is_played_smaller(theatre):
    seen = theatre("nginx", {"balancer": {"max_body": "100GB"}}).play("body")
    assert [each for each in seen.values() if each.verdict == "missed"] == []
    assert "64MB instead of 100GB" in seen["refused"].figure.note


FAULTS = [
    ("haproxy", "posts", "doubled", lambda text: lines_without(text, "disable-l7-retry")),
    (
        "nginx",
        "posts",
        "doubled",
        lambda text: text.replace("next_upstream error", "next_upstream non_idempotent error"),
    ),
    ("haproxy", "body", "refused", lambda text: text.replace("gt 1048576", "gt 1048575")),
    ("nginx", "body", "refused", lambda text: text.replace("client_max_body_size 1024k", "client_max_body_size 1023k")),
    ("haproxy", "body", "arrived_over", lambda text: lines_without(text, "deny_status 413")),
    ("nginx", "body", "accepted_over", lambda text: text.replace("body_size 1024k", "body_size 0")),
    ("haproxy", "browsers", "bad_redirects", lambda text: text.replace("prefix https://", "location https://")),
    ("nginx", "browsers", "bad_redirects", lambda text: text.replace("return 301 https://", "return 301 http://")),
    ("haproxy", "browsers", "wrong_hsts", lambda text: lines_without(text, "Strict-Transport-Security")),
    ("nginx", "browsers", "wrong_hsts", lambda text: text.replace("max-age=63072000", "max-age=300")),
    ("haproxy", "browsers", "weak_cookies", lambda text: text.replace("httponly secure", "httponly")),
    ("nginx", "browsers", "weak_cookies", lambda text: text.replace("HttpOnly; Secure;", "Secure;")),
    (
        "haproxy",
        "browsers",
        "changed_cookies",
        lambda text: text.replace(
            "    default_backend", "    http-response replace-header Set-Cookie ;.* x\n    default_backend"
        ),
    ),
    ("nginx", "browsers", "changed_cookies", lambda text: text.replace("redirect off;", "cookie_path / /x;")),
    (
        "haproxy",
        "browsers",
        "changed_locations",
        lambda text: text.replace("    default_backend", "    http-response del-header Location\n    default_backend"),
    ),
    ("nginx", "browsers", "changed_locations", lambda text: text.replace("redirect off;", "hide_header Location;")),
]


@pytest.mark.parametrize(("program", "name", "figure", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_a_fault_misses_its_bar(theatre, program, name, figure, fault):
    seen = theatre(program, STICKY).play(name, fault, until=figure)
    assert seen[figure].verdict == "missed", seen
