"""Scenarios of clients that mean harm: they pass on the example farm, and each fault misses its bar."""

import re

import pytest

from nlbgen.prove.clients.smuggling import probes
from nlbgen.prove.scenarios.registry import scenarios

pytestmark = pytest.mark.slow

NAMES = ("forged-headers", "h2c", "smuggling", "oversized-headers", "slowloris")


def lines_without(text, *words):
    """The configuration without the lines in which one of the words stands."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


@pytest.mark.parametrize("name", NAMES)
def test_the_example_farm_holds_the_bars(theatre, vendor, name):
    assert [each for each in theatre(vendor).play(name).values() if each.verdict == "missed"] == []


def test_a_farm_that_passes_tls_through_is_not_asked(theatre):
    farm = theatre("haproxy").lab.live
    farm = farm.replace(frontend=farm.frontend.replace(tls=farm.frontend.tls.replace(mode="passthrough")))
    assert all("sees no HTTP" in scenarios()[name].unasked(farm, "haproxy") for name in NAMES)


def haproxy_that_reads_no_http(text):
    """TLS is ended and begun again, and what is inside goes through as it is."""
    bind = re.search(r"bind (127\.0\.0\.1:\d+ ssl crt \S+)", text)[1]
    servers = re.findall(r"server (\S+ 127\.0\.0\.1:\d+) ", text)[:2]
    lines = [f"    server {server} ssl verify none" for server in servers]
    times = "timeout connect 5s\n    timeout client 30s\n    timeout server 30s"
    return f"defaults\n    mode tcp\n    {times}\nlisten all\n    bind {bind}\n" + "\n".join(lines) + "\n"


def nginx_that_reads_no_http(text):
    """The same in NGINX's words."""
    port = re.findall(r"listen (127\.0\.0\.1:\d+) ssl", text)[0]
    certificate = "".join(dict.fromkeys(re.findall(r"    ssl_certificate(?:_key)? \S+;\n", text)))
    servers = "".join(f"server {server};" for server in dict.fromkeys(re.findall(r"server (127\.0\.0\.1:\d+) ", text)))
    head = text.partition("http {")[0]
    stream = (
        f"upstream nodes {{ {servers} }}\nserver {{ listen {port} ssl; {certificate} proxy_ssl on; proxy_pass nodes; }}"
    )
    return f"include /etc/nginx/modules-enabled/*.conf;\n{head}stream {{\n{stream}\n}}\n"


FAULTS = [
    ("haproxy", "forged-headers", "arrived", lambda text: lines_without(text, "del-header X-Real-IP")),
    ("nginx", "forged-headers", "arrived", lambda text: lines_without(text, "proxy_set_header X-Real-IP")),
    ("haproxy", "forged-headers", "untrue", lambda text: lines_without(text, "del-header X-Forwarded-For")),
    (
        "nginx",
        "forged-headers",
        "untrue",
        lambda text: text.replace("For $remote_addr", "For $proxy_add_x_forwarded_for"),
    ),
    ("haproxy", "h2c", "arrived", lambda text: lines_without(text, "del-header Upgrade")),
    ("nginx", "h2c", "arrived", lambda text: text.replace("Upgrade $nlb_upgrade", "Upgrade $http_upgrade")),
    ("haproxy", "smuggling", "dubious", haproxy_that_reads_no_http),
    ("nginx", "smuggling", "dubious", nginx_that_reads_no_http),
    ("nginx", "smuggling", "hidden", lambda text: text.replace('Proxy "";', 'Content-Length "";')),
    ("haproxy", "smuggling", "refused_clear", lambda text: text.replace(" unless farm_host", " if METH_POST")),
    (
        "haproxy",
        "oversized-headers",
        "passed_on",
        lambda text: text.replace("global\n", "global\n    tune.bufsize 262144\n    tune.http.maxhdr 20000\n", 1),
    ),
    ("nginx", "oversized-headers", "passed_on", lambda text: text.replace("buffers 4 16k;", "buffers 4 256k;", 1)),
    (
        "haproxy",
        "oversized-headers",
        "honest_refused",
        lambda text: text.replace("global\n", "global\n    tune.bufsize 8192\n", 1),
    ),
    ("nginx", "oversized-headers", "honest_refused", lambda text: text.replace("buffers 4 16k;", "buffers 4 8k;", 1)),
    ("haproxy", "slowloris", "held", lambda text: lines_without(text, "timeout http-request")),
    ("haproxy", "slowloris", "others_slow", lambda text: text.replace("maxconn 8000", "maxconn 100")),
]


@pytest.mark.parametrize(("program", "name", "figure", "fault"), FAULTS, ids=["-".join(each[:3]) for each in FAULTS])
def test_a_fault_misses_its_bar(theatre, program, name, figure, fault):
    seen = theatre(program).play(name, fault, until=figure)
    assert seen[figure].verdict == "missed", seen


def test_the_time_for_headers_counts_before_the_name_is_known(theatre):
    """In NGINX's own `server` it is too late: until then the time of the default server holds."""

    def fault(text):
        line = "    client_header_timeout 10s;\n"
        return text.replace(line, "", 1).replace("        large_client", f"    {line}        large_client", 1)

    assert theatre("nginx").play("slowloris", fault)["held"].verdict == "missed"


def test_a_huge_head_without_an_answer_is_noticed(theatre, monkeypatch):
    """A balancer that dies of it, or only drops the connection: here its front is gone."""
    stage = theatre("haproxy").stage

    def gone(stage):
        from nlbgen.net.loopback import free_port, release_port
        from nlbgen.prove.lab.raw import target

        release_port(port := free_port())
        return target(stage).__class__.of(f"http://127.0.0.1:{port}")

    assert stage is theatre("haproxy").stage
    monkeypatch.setattr("nlbgen.prove.scenarios.hostile.target", gone)
    assert theatre("haproxy").play("oversized-headers")["unrefused"].figure.value == 4


def test_every_probe_has_a_mark_of_its_own():
    every = list(probes("orchestrator.corp.example", "mark"))
    assert len({probe.mark for probe in every}) == len(every) == len({probe.name for probe in every})
    assert all(probe.data.count(probe.mark) in {1, 2} for probe in every)
