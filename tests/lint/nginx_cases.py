"""Configurations of NGINX: a good one, and for each rule the change that breaks it."""

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
