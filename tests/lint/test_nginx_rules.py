"""Each rule about NGINX finds its bad configuration, and nothing in the good one; the real NGINX accepts both.

A bad configuration is the good one with one change.
"""

import subprocess
from pathlib import Path

import pytest

from nlbgen.lint.findings import Report, examine
from nlbgen.lint.registry import rules
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.prove.scenarios.registry import scenarios
from nlbgen.readers.load import read
from nlbgen.spec.load import load

ROOT = Path(__file__).resolve().parents[2]
RULES = {rule.id: rule for rule in rules("nginx")}
PEERS = ROOT / "benchmarks" / "peers" / "configurations"

GOOD = """worker_processes 2;
worker_rlimit_nofile 20000;
worker_shutdown_timeout 1h;
pid @folder@/nginx.pid;
error_log stderr;
events {
    worker_connections 4096;
}
http {
    map $http_upgrade $upgrade {
        default "";
        "~*^websocket$" websocket;
    }
    map $upgrade $node_connection {
        default "";
        websocket upgrade;
    }
    map $request_uri $shown {
        default $request_uri;
        "~^(?<start>.*[?&]access_token=)" "$start***";
    }
    log_format farm '$remote_addr "$request_method $shown" $status';
    access_log @folder@/access.log farm;
    upstream web {
        zone web 64k;
        least_conn;
        server 127.0.0.1:8081 max_fails=2;
        server 127.0.0.1:8082 max_fails=2;
        server 127.0.0.1:8081 backup max_fails=0;
        keepalive 16;
        keepalive_timeout 60s;
    }
    upstream websocket {
        zone websocket 64k;
        least_conn;
        server 127.0.0.1:8081;
        server 127.0.0.1:8082;
    }
    server {
        listen 127.0.0.1:18443 ssl;
        server_name orchestrator.corp.example;
        ssl_certificate @certificate@;
        ssl_certificate_key @certificate@;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;
        add_header Strict-Transport-Security "max-age=63072000" always;
        client_max_body_size 300m;
        large_client_header_buffers 2 80k;
        proxy_buffer_size 32k;
        proxy_buffers 8 16k;
        proxy_busy_buffers_size 32k;
        proxy_connect_timeout 2s;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $upgrade;
        proxy_set_header Connection $node_connection;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_next_upstream error timeout http_502 http_503 http_504;
        proxy_next_upstream_tries 2;
        location / {
            proxy_pass http://web;
            # pages
        }
        location /signalr {
            proxy_pass http://websocket;
            # signalr
            auth_request /check;
            proxy_read_timeout 1h;
            proxy_buffering off;
            proxy_next_upstream error timeout http_503;
            error_page 502 = @last;
        }
        location @last {
            proxy_pass http://web;
            proxy_read_timeout 1h;
            proxy_buffering off;
        }
        location = /check {
            internal;
            proxy_pass http://web/api/Status/Get;
            proxy_set_header Host orchestrator.corp.example;
            proxy_read_timeout 2s;
        }
        location = /robots.txt {
            return 204;
        }
    }
}
"""
CORE = ("location /signalr {", "location /hubs {")
"""A farm of SignalR Core: its hubs have other paths."""
METHOD = "zone web 64k;\n        least_conn;"
BACKUP = (" server 127.0.0.1:8081 backup max_fails=0;", "")
POLL = "auth_request /check;\n            proxy_read_timeout 1h;"
PAGES = "proxy_pass http://web;\n            # pages"
SOCKETS = "location @ws {\n auth_request /check; proxy_pass http://websocket; proxy_read_timeout 1h; }\n"

BAD: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "nginx-websocket-timeout": (
        (
            (
                POLL,
                "auth_request /check;\n            proxy_read_timeout 90s;",
            ),
        ),
        "proxy_read_timeout 90s;",
    ),
    "nginx-long-poll": (
        (
            (
                POLL,
                "if ($upgrade) { return 418; }\n proxy_read_timeout 90s;",
            ),
        ),
        "proxy_read_timeout 90s;",
    ),
    "nginx-connect-timeout": ((("proxy_connect_timeout 2s;", ""),), "server {"),
    "nginx-reload-cuts": ((("worker_shutdown_timeout 1h;", "worker_shutdown_timeout 30s;"),), "30s"),
    "nginx-reload-no-end": ((("worker_shutdown_timeout 1h;", ""),), "events {"),
    "nginx-keepalive-timeout": ((("keepalive_timeout 60s;", "keepalive_timeout 2m;"),), "keepalive_timeout 2m;"),
    "nginx-no-upgrade": ((("proxy_set_header Upgrade $upgrade;", ""),), "proxy_pass http://websocket;"),
    "nginx-http-version": ((("proxy_http_version 1.1;", ""),), "proxy_set_header Upgrade"),
    "nginx-h2c-upgrade": ((("header Upgrade $upgrade", "header Upgrade $http_upgrade"),), "Upgrade $http_upgrade"),
    "nginx-keepalive-unused": (
        (('node_connection {\n        default "";', "node_connection {\n        default close;"),),
        "Connection $node_connection",
    ),
    "nginx-websocket-no-proxy": (
        (("location = /robots.txt {\n            return 204;", "location /ws {\n            gzip off;"),),
        "location /ws",
    ),
    "nginx-event-stream": (
        (("1h;\n            proxy_buffering off;\n            proxy_next", "1h;\n            proxy_next"),),
        "proxy_pass http://websocket",
    ),
    "nginx-headers-lost": ((("# pages", "proxy_set_header Host $host;"),), "proxy_set_header Host $host;"),
    "nginx-answer-headers-lost": ((("# pages", "add_header X-Page 1;"),), "add_header X-Page"),
    "nginx-host": ((("proxy_set_header Host $host;", ""),), "proxy_pass http://web;"),
    "nginx-forged-address": (
        (("X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for"),),
        "$proxy_add_x_forwarded_for",
    ),
    "nginx-forwarded-proto": ((("proxy_set_header X-Forwarded-Proto https;", ""),), "proxy_pass http://web;"),
    "nginx-header-underscores": (
        (("client_max", "underscores_in_headers on; client_max"),),
        "underscores_in_headers on",
    ),
    "nginx-request-buffers": ((("large_client_header_buffers 2 80k;", ""),), "server {"),
    "nginx-answer-buffers": (
        (("proxy_buffer_size 32k;", "proxy_buffer_size 8k;"),),
        "proxy_buffer_size 8k;",
    ),
    "nginx-body-size": ((("client_max_body_size 300m;", ""),), "server {"),
    "nginx-retried-post": (
        (("error timeout http_502", "error timeout non_idempotent http_502"),),
        "non_idempotent",
    ),
    "nginx-broken-url": ((("error timeout http_502", "error timeout http_500 http_502"),), "http_500"),
    "nginx-stopped-pool": (
        (("error timeout http_502 http_503 http_504", "error timeout http_502"), ("least_conn;", "")),
        "proxy_next_upstream error timeout http_502;",
    ),
    "nginx-least-conn-broken-node": (
        (("error timeout http_502 http_503 http_504", "error timeout http_502"),),
        "least_conn;",
    ),
    "nginx-passive-checks": ((("auth_request /check;", ""),), "upstream websocket {"),
    "nginx-max-fails": (
        (("8081 max_fails=2", "8081 max_fails=0"), ("8082 max_fails=2", "8082 max_fails=0")),
        "8081 max_fails=0",
    ),
    "nginx-all-down": ((("server 127.0.0.1:8081 backup max_fails=0;", ""),), "upstream web {"),
    "nginx-zone": ((("zone web 64k;", ""),), "upstream web {"),
    "nginx-retry-limit": (
        (
            ("proxy_next_upstream_tries 2;", ""),
            ("8082 max_fails=2;", "8082; server 127.0.0.1:8083;"),
        ),
        "server {",
    ),
    "nginx-hash-same-for-all": (
        (
            (METHOD, "zone web 64k; hash $host;"),
            BACKUP,
        ),
        "hash $host;",
    ),
    "nginx-hash-absent": (
        (
            (METHOD, "zone web 64k; hash $cookie_node;"),
            BACKUP,
        ),
        "hash $cookie_node;",
    ),
    "nginx-hash-address": (
        (
            (METHOD, "zone web 64k; ip_hash;"),
            BACKUP,
        ),
        "ip_hash;",
    ),
    "nginx-signalr-core-affinity": (
        (CORE, (PAGES, "proxy_pass http://websocket;")),
        "upstream websocket {",
    ),
    "nginx-websocket-pool-affinity": (
        (
            CORE,
            ("auth_request /check;", "error_page 418 = @ws; if ($upgrade) { return 418; }"),
            ("proxy_pass http://websocket;", "proxy_pass http://web;"),
            (
                "location @last {",
                SOCKETS + " location @last {",
            ),
        ),
        "auth_request /check; proxy_pass http://websocket;",
    ),
    "nginx-few-connections": ((("worker_connections 4096;", "worker_connections 768;"),), "768"),
    "nginx-open-files": ((("worker_rlimit_nofile 20000;", "worker_rlimit_nofile 2000;"),), "2000"),
    "nginx-secrets-in-log": ((("'$remote_addr ", "'$remote_addr $http_authorization "),), "$http_authorization"),
    "nginx-tokens-in-log": ((("access.log farm;", "access.log combined;"),), "access.log combined"),
    "nginx-tls-version": ((("ssl_protocols TLSv1.2", "ssl_protocols TLSv1.1 TLSv1.2"),), "TLSv1.1"),
    "nginx-tls-ciphers": ((("ssl_ciphers ECDHE-ECDSA", "ssl_ciphers HIGH:ECDHE-ECDSA"),), "HIGH"),
    "nginx-nodes-unverified": (
        ((PAGES, "proxy_pass https://web;"),),
        "https://web",
    ),
    "nginx-sign-in-http2": (
        (
            ("listen 127.0.0.1:18443 ssl;", "listen 127.0.0.1:18443 ssl http2;"),
            ("add_header S", "add_header WWW-Authenticate NTLM; add_header S"),
        ),
        "http2",
    ),
}
"""For each rule, the changes that break it, and a text of the line with the finding."""
ALSO = {
    "nginx-websocket-timeout": {"nginx-long-poll"},
    "nginx-headers-lost": {"nginx-forged-address", "nginx-forwarded-proto"},
    "nginx-stopped-pool": {"nginx-all-down"},
    "nginx-least-conn-broken-node": {"nginx-stopped-pool"},
    "nginx-hash-same-for-all": {"nginx-all-down"},
    "nginx-hash-absent": {"nginx-all-down"},
    "nginx-hash-address": {"nginx-all-down"},
    "nginx-signalr-core-affinity": {"nginx-websocket-pool-affinity", "nginx-all-down"},
    "nginx-websocket-pool-affinity": {"nginx-signalr-core-affinity", "nginx-all-down"},
}
"""What else is true of a bad configuration."""


def changed(changes: tuple[tuple[str, str], ...]) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def examined(text: str, path: Path) -> Report:
    path.write_text(text, encoding="utf-8")
    return examine(str(path), read(path, "nginx"))


def shown(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule.id, report.source_line(finding)) for finding in report.findings]


def ids(report: Report) -> set[str]:
    return {finding.rule.id for finding in report.findings}


def test_every_rule_has_a_bad_configuration() -> None:
    assert set(BAD) == set(RULES)


def test_good_configuration_has_no_findings(tmp_path: Path) -> None:
    report = examined(GOOD, tmp_path / "nginx.conf")
    assert shown(report) == []
    assert report.unread == ()


@pytest.mark.parametrize("rule", RULES)
def test_rule_finds_the_line_of_its_bad_configuration(rule: str, tmp_path: Path) -> None:
    changes, text = BAD[rule]
    report = examined(changed(changes), tmp_path / "nginx.conf")
    assert ids(report) - ALSO.get(rule, set()) == {rule}
    assert text in next(line for name, line in shown(report) if name == rule)


HEAD = "proxy_set_header Upgrade $upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h;"
TWO = "server 10.0.0.1; server 10.0.0.2;"
NOT_FOUND = {
    "a program chooses the member": (
        "upstream u { server 0.0.0.1; balancer_by_lua_block { b() } } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-all-down", "nginx-signalr-core-affinity", "nginx-passive-checks"},
    ),
    "members in a file that is not read": (
        "upstream u { include u.conf; } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-all-down", "nginx-signalr-core-affinity"},
    ),
    "the node is in a variable": (
        (
            f"map $cookie_x $node {{ default a; b b; }} upstream a {{ {TWO} }} upstream b {{ {TWO} }}"
            " server { location / { proxy_pass http://$node; } }"
        ),
        {"nginx-signalr-core-affinity", "nginx-websocket-no-proxy"},
    ),
    "files of one type and single paths": (
        "server { location ~* \\.(css|js)$ { proxy_pass http://a; } location = /icon { proxy_pass http://a; } }",
        {"nginx-no-upgrade", "nginx-long-poll", "nginx-event-stream"},
    ),
    "pages beside a location of SignalR": (
        f"server {{ location / {{ proxy_pass http://a; }} location /signalr {{ proxy_pass http://a; {HEAD} }} }}",
        {"nginx-no-upgrade", "nginx-long-poll", "nginx-websocket-timeout"},
    ),
    "a proxy in an inner location": (
        "server { location / { proxy_pass http://a; } location /ws { location /ws/a { proxy_pass http://a; } } }",
        {"nginx-websocket-no-proxy"},
    ),
    "a site without a proxy": ("server { listen 80; location /ws { gzip off; } }", set(RULES)),
    "a trusted proxy in front": (
        (
            "server { set_real_ip_from 10.0.0.0/8; location / { proxy_pass http://a;"
            " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }"
        ),
        {"nginx-forged-address"},
    ),
    "a cookie that the file sets": (
        (
            f"upstream u {{ hash $cookie_n; {TWO} }} server {{ add_header Set-Cookie n=$upstream_addr;"
            " location / { proxy_pass http://u; } }"
        ),
        {"nginx-hash-absent"},
    ),
    "one node": (
        "upstream u { server 10.0.0.1; } server { location / { proxy_pass http://u; } }",
        {"nginx-stopped-pool", "nginx-zone", "nginx-all-down", "nginx-signalr-core-affinity", "nginx-passive-checks"},
    ),
    "TLS 1.3 only": (
        "server { listen 443 ssl; ssl_protocols TLSv1.3; location / { proxy_pass http://u; } }",
        {"nginx-tls-ciphers", "nginx-tls-version"},
    ),
    "no log": ("access_log off; server { location / { proxy_pass http://u; } }", {"nginx-tokens-in-log"}),
    "the two upstreams choose alike": (
        (
            f"upstream u {{ hash $arg_id; {TWO} }} upstream w {{ hash $arg_id; {TWO} }}"
            " server { error_page 418 = @w; location / { if ($http_upgrade) { return 418; } proxy_pass http://u; }"
            f" location @w {{ proxy_pass http://w; {HEAD} }} }}"
        ),
        {"nginx-websocket-pool-affinity", "nginx-signalr-core-affinity", "nginx-no-upgrade", "nginx-websocket-timeout"},
    ),
}
"""Configurations about which these rules say nothing."""


@pytest.mark.parametrize("name", NOT_FOUND)
def test_rule_does_not_report_what_it_cannot_know_or_what_is_right(name: str, tmp_path: Path) -> None:
    text, not_found = NOT_FOUND[name]
    assert (
        ids(examined(f"worker_processes 4; events {{}} http {{ {text} }}", tmp_path / "nginx.conf")) & not_found
        == set()
    )


def test_file_of_a_site_is_checked_without_its_http_block(tmp_path: Path) -> None:
    location = "location / { try_files $uri @app; } location @app { proxy_pass http://u; }"
    text = f"upstream u {{ {TWO} }} server {{ {location} }}"
    found = ids(examined(text, tmp_path / "site.conf"))
    assert {"nginx-long-poll", "nginx-no-upgrade", "nginx-host", "nginx-stopped-pool"} <= found
    assert not found & {"nginx-reload-no-end", "nginx-zone", "nginx-few-connections"}


def test_every_scenario_exists() -> None:
    assert {rule.scenario for rule in RULES.values()} - {None} <= set(scenarios())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificate"), ["orchestrator.corp.example"]).bundle


@pytest.mark.nginx
def test_nginx_accepts_all_configurations(certificate: Path, tmp_path: Path) -> None:
    """What a rule finds is more than NGINX reports."""
    for name, (changes, _) in {"good": ((), ""), **BAD}.items():
        text = changed(changes).replace("@certificate@", str(certificate)).replace("@folder@", str(tmp_path))
        path = tmp_path / f"{name}.conf"
        path.write_text(text, encoding="utf-8")
        command = ["nginx", "-t", "-q", "-e", "stderr", "-c", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, "[emerg]" in done.stderr) == (0, False), (name, done.stderr)


CHOSEN = {
    ("affinity-source", "nginx-hash-address"): "balancer.affinity: source",
    ("algorithm-source", "nginx-hash-address"): "balancer.algorithm: source",
    ("limits-least", "nginx-reload-cuts"): "balancer.timeouts.reload: 1s",
    ("limits-least", "nginx-body-size"): "balancer.limits.body: 1kB",
}
"""What a golden farm requests itself, with the key that does."""
ACCEPTED = {"nginx-nodes-unverified": "unverified-nodes", "nginx-signalr-core-affinity": "core-affinity"}
"""The id in `accept` for a finding."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/golden").glob("*/nginx/nginx.conf")), ids=lambda path: path.parts[-3]
)
def test_findings_about_rendered_configurations_are_those_that_the_spec_accepts(path: Path) -> None:
    folder = path.parents[1]
    accepted = load(folder / "farm.yaml").farm.accept
    found = {rule for rule in ids(examine(str(path), read(path))) if ACCEPTED.get(rule) not in accepted}
    assert [rule for rule in found if (folder.name, rule) not in CHOSEN] == []


def test_example_has_no_findings_and_is_understood() -> None:
    path = ROOT / "outputs" / "example" / "nginx" / "nginx.conf"
    report = examine(str(path), read(path))
    assert (report.findings, report.unread) == ((), ())


FAILURES = {
    "an app pool answers 503": "nginx-stopped-pool",
    "a node hangs": "nginx-connect-timeout",
    "an idle WebSocket is closed": "nginx-websocket-timeout",
    "a long poll gets 502 or 504, and arrives twice": "nginx-long-poll",
    "Upgrade: h2c arrives": "nginx-h2c-upgrade",
    "a forged address arrives": "nginx-forged-address",
}
"""What docs/performance.md shows for configurations of others, and the rule about it."""


@pytest.mark.parametrize("name", ["nginx-manual.conf", "nginx-nginxconfig.conf"])
def test_each_failure_of_the_comparison_has_a_finding(name: str) -> None:
    found = ids(examine(name, read(PEERS / name)))
    assert [failure for failure, rule in FAILURES.items() if rule not in found] == []
    assert ("nginx-host" in found) == (name == "nginx-manual.conf")
