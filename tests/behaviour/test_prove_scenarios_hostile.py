"""Scenarios of hostile clients: they pass on the example farm, and fail with each fault."""

import re

import pytest

from nlbgen.generators.haproxy import generator as haproxy
from nlbgen.net.client import Target
from nlbgen.net.loopback import free_port, release_port
from nlbgen.prove.lab.bench import TestBench
from nlbgen.prove.scenarios.registry import scenarios

from .conftest import Changes, Fault, StartBench, lines_without

pytestmark = pytest.mark.slow

NAMES = ("forged-headers", "h2c", "smuggling", "oversized-headers", "slowloris")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.alone if name == "slowloris" else ()) for name in NAMES]
)
def test_hostile_clients_on_the_example_farm_pass(shared_bench: StartBench, vendor: str, name: str) -> None:
    assert shared_bench(vendor).failed(name) == []


def test_hostile_clients_with_tls_passthrough_are_skipped(shared_bench: StartBench) -> None:
    farm = shared_bench("haproxy").lab.live
    farm = farm.replace(frontend=farm.frontend.replace(tls=farm.frontend.tls.replace(mode="passthrough")))
    assert all("sees no HTTP" in scenarios()[name].skip_reason(farm, "haproxy") for name in NAMES)


def haproxy_without_http(text: str) -> str:
    """TLS to both sides, and TCP mode between: the content passes unchanged."""
    bind = re.findall(r"bind (127\.0\.0\.1:\d+ ssl crt \S+)", text)[0]
    servers = re.findall(r"server (\S+ 127\.0\.0\.1:\d+) ", text)[:2]
    lines = [f"    server {server} ssl verify none" for server in servers]
    times = "timeout connect 5s\n    timeout client 30s\n    timeout server 30s"
    return f"defaults\n    mode tcp\n    {times}\nlisten all\n    bind {bind}\n" + "\n".join(lines) + "\n"


def nginx_without_http(text: str) -> str:
    """The same for NGINX."""
    port = re.findall(r"listen (127\.0\.0\.1:\d+) ssl", text)[0]
    certificate = "".join(dict.fromkeys(re.findall(r"    ssl_certificate(?:_key)? \S+;\n", text)))
    servers = "".join(f"server {server};" for server in dict.fromkeys(re.findall(r"server (127\.0\.0\.1:\d+) ", text)))
    head = text.partition("http {")[0]
    stream = (
        f"upstream nodes {{ {servers} }}\nserver {{ listen {port} ssl; {certificate} proxy_ssl on; proxy_pass nodes; }}"
    )
    return f"include /etc/nginx/modules-enabled/*.conf;\n{head}stream {{\n{stream}\n}}\n"


FAULTS: list[tuple[str, str, str, Fault]] = [
    ("haproxy", "forged-headers", "arrived", lambda text: text.replace("|x-real-ip", "")),
    ("nginx", "forged-headers", "arrived", lambda text: lines_without(text, "proxy_set_header X-Real-IP")),
    ("haproxy", "forged-headers", "arrived", lambda text: text.replace(")$)|_ -m reg", ")$) -m reg")),
    (
        "nginx",
        "forged-headers",
        "arrived",
        lambda text: text.replace("in_headers off", "in_headers on"),
    ),
    ("haproxy", "forged-headers", "untrue", lambda text: text.replace("|x-forwarded|", "|x-forwarded-s|")),
    (
        "nginx",
        "forged-headers",
        "untrue",
        lambda text: text.replace("For $remote_addr", "For $proxy_add_x_forwarded_for"),
    ),
    ("haproxy", "forged-headers", "planted", lambda text: text.replace("(:[0-9]{1,5})?$'", "'")),
    ("nginx", "forged-headers", "planted", lambda text: text.replace('(:[0-9]{1,5})?$"', '"')),
    ("haproxy", "h2c", "arrived", lambda text: lines_without(text, "del-header Upgrade")),
    ("nginx", "h2c", "arrived", lambda text: text.replace("Upgrade $nlb_upgrade", "Upgrade $http_upgrade")),
    ("haproxy", "smuggling", "dubious", haproxy_without_http),
    ("nginx", "smuggling", "dubious", nginx_without_http),
    ("nginx", "smuggling", "hidden", lambda text: text.replace('Proxy "";', 'Content-Length "";')),
    ("haproxy", "smuggling", "refused_clear", lambda text: text.replace(" unless farm_host", " if METH_POST")),
    (
        "haproxy",
        "oversized-headers",
        "passed_on",
        lambda text: text.replace("tune.bufsize 24576", "tune.bufsize 262144\n    tune.http.maxhdr 20000"),
    ),
    ("nginx", "oversized-headers", "passed_on", lambda text: text.replace("buffers 2 80k;", "buffers 4 256k;")),
    (
        "haproxy",
        "oversized-headers",
        "honest_refused",
        lambda text: lines_without(text, "tune.bufsize"),
    ),
    ("nginx", "oversized-headers", "honest_refused", lambda text: text.replace("buffers 2 80k;", "buffers 4 8k;")),
    ("haproxy", "oversized-headers", "cookies_lost", lambda text: lines_without(text, "tune.bufsize")),
    ("nginx", "oversized-headers", "cookies_lost", lambda text: text.replace("buffer_size 32k;", "buffer_size 16k;")),
    ("haproxy", "logged-tokens", "shown", lambda text: lines_without(text, "if { query -m found }")),
    ("haproxy", "logged-tokens", "shown", lambda text: text.replace("access_token", "other_token")),
    ("nginx", "logged-tokens", "shown", lambda text: text.replace("$nlb_shown***", "$request_uri")),
    ("haproxy", "logged-tokens", "shown", lambda text: text.replace("[?&]id=", "[?&]other=")),
    ("nginx", "logged-tokens", "shown", lambda text: text.replace("|id=(?=", "|other=(?=")),
    ("haproxy", "slowloris", "held", lambda text: lines_without(text, "timeout http-request")),
    ("haproxy", "slowloris", "others_slow", lambda text: text.replace("maxconn 8320", "maxconn 100")),
]


@pytest.mark.parametrize(("program", "name", "metric", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_hostile_clients_with_a_fault_fail(
    shared_bench: StartBench, program: str, name: str, metric: str, fault: Fault
) -> None:
    seen = shared_bench(program).run(name, fault, until=metric)
    assert seen[metric].verdict == "failed", seen


SIGN_IN: Changes = {"frontend": {"windows_sign_in": True}}


def test_oversized_headers_with_windows_sign_in_pass(shared_bench: StartBench) -> None:
    assert shared_bench("haproxy", SIGN_IN).failed("oversized-headers") == []


def test_oversized_headers_with_windows_sign_in_and_small_buffers_fail(shared_bench: StartBench) -> None:
    def fault(text: str) -> str:
        return text.replace("tune.bufsize 81920", "tune.bufsize 24576")

    seen = shared_bench("haproxy", SIGN_IN).run("oversized-headers", fault, until="honest_refused")
    metric = seen["honest_refused"].metric
    assert metric is not None
    assert "64000 characters" in metric.note
    assert metric.value == 1


def test_slowloris_with_the_header_timeout_in_the_farms_server_fails(shared_bench: StartBench) -> None:
    """NGINX knows the name only after the headers: until then the timeout of the default server applies."""

    def fault(text: str) -> str:
        line = "    client_header_timeout 10s;\n"
        return text.replace(line, "", 1).replace("        large_client", f"    {line}        large_client", 1)

    assert shared_bench("nginx").run("slowloris", fault)["held"].verdict == "failed"


def test_oversized_headers_without_a_response_are_counted(
    shared_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer that crashes or only closes the connection: here nothing listens on the frontend."""

    def gone(_: TestBench) -> Target:
        release_port(port := free_port())
        return Target.of(f"http://127.0.0.1:{port}")

    monkeypatch.setattr(TestBench, "target", gone)
    unrefused = shared_bench("haproxy").run("oversized-headers")["unrefused"].metric
    assert unrefused is not None
    assert unrefused.value == 4


def test_logged_tokens_in_the_error_log_are_counted(shared_bench: StartBench) -> None:
    def fault(text: str) -> str:
        return text.replace("error.log crit", "error.log warn")

    assert shared_bench("nginx").run("logged-tokens", fault)["shown"].verdict == "failed"


@pytest.mark.no_cover  # other tests reach the same lines
def test_logged_tokens_of_a_correct_farm_are_masked(shared_bench: StartBench, vendor: str) -> None:
    assert shared_bench(vendor).failed("logged-tokens") == []


@pytest.mark.no_cover  # other tests reach the same lines
def test_silent_clients_stop_neither_clients_nor_statistics(shared_bench: StartBench, vendor: str) -> None:
    assert shared_bench(vendor).failed("silent-clients") == []


def test_silent_clients_on_a_balancer_with_one_common_limit_fail(
    shared_bench: StartBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the global limit, equal to the spec's: the statistics that keepalived asks for have no place either."""
    for places in ("SILENT_PLACES", "REDIRECT_PLACES", "STATISTICS_PLACES"):
        monkeypatch.setattr(haproxy, places, 0)
    seen = shared_bench("haproxy").run("silent-clients")
    assert [name for name in ("others_failed", "statistics_failed") if seen[name].verdict != "failed"] == [], seen
