"""Scenarios of correctness: they pass on the example farm, and fail with each fault."""

import pytest

from .conftest import Changes, Fault, StartBench, failed_in, lines_without

pytestmark = pytest.mark.slow

STICKY = {"balancer": {"affinity": "signalr", "max_body": "1MB"}}
"""A cookie on the live connections, and a limit that is quick to upload."""


@pytest.mark.parametrize("name", ["body", "browsers"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_correctness_on_the_example_farm_passes(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor).failed(name) == []


@pytest.mark.parametrize("name", ["body", "browsers"])
def test_correctness_on_a_farm_with_a_cookie_passes(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor, STICKY).failed(name) == []


def test_posts_on_the_example_farm_pass_and_few_fail(shared_bench: StartBench, vendor: str) -> None:
    """Each POST in flight on the killed node is executed once or fails: at most 60 of them."""
    seen = shared_bench(vendor).run("posts")
    assert failed_in(seen) == []
    assert seen["in_hand"].metric is not None
    assert seen["in_hand"].metric.value <= 60


def test_body_with_a_very_large_limit_uploads_a_smaller_body(shared_bench: StartBench) -> None:
    seen = shared_bench("nginx", {"balancer": {"max_body": "100GB"}}).run("body")
    assert failed_in(seen) == []
    assert seen["refused"].metric is not None
    assert "64MB instead of 100GB" in seen["refused"].metric.note


FAULTS: list[tuple[str, str, str, Fault]] = [
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


@pytest.mark.parametrize(("program", "name", "metric", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_correctness_with_a_fault_fails(
    shared_bench: StartBench, program: str, name: str, metric: str, fault: Fault
) -> None:
    seen = shared_bench(program, STICKY).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen


SIGN_IN: Changes = {"frontend": {"windows_sign_in": True}}


def test_windows_sign_in_passes(shared_bench: StartBench) -> None:
    assert shared_bench("haproxy", SIGN_IN).failed("windows-sign-in") == []


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        (
            "refused",
            lambda text: text.replace("option redispatch 1", "option redispatch 1\n    option http-server-close"),
        ),
        ("offers_http2", lambda text: text.replace("alpn http/1.1", "alpn h2,http/1.1")),
    ],
    ids=["refused", "offers_http2"],
)
def test_windows_sign_in_with_a_fault_fails(shared_bench: StartBench, metric: str, fault: Fault) -> None:
    seen = shared_bench("haproxy", SIGN_IN).run("windows-sign-in", fault)
    assert seen[metric].verdict == "failed", seen
