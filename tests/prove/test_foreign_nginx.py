"""A foreign nginx.conf for the lab: its plan, the words that are mapped, and what is refused."""

import subprocess
from pathlib import Path

import pytest

from nlbgen.core.errors import UsageError
from nlbgen.prove.foreign.load import foreign
from nlbgen.prove.foreign.nginx import NginxFile
from nlbgen.prove.foreign.plan import Places, UnmappableError, farm_of
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.prove.lab.time_scale import scale_timeouts

COMPLETE = """\
user no-such-user no-such-group;
worker_processes auto; pid /no/such/nginx.pid;
error_log /no/such/error.log warn;
worker_rlimit_nofile 100000;
events { worker_connections 1024; }
http {
    include mime.types;
    access_log syslog:server=192.0.2.53 combined;
    ssl_dhparam /no/such/dh.pem;
    proxy_cache_path /no/such/cache keys_zone=one:1m;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    upstream iis {
        ip_hash;
        server 10.1.0.1:8080 weight=3 max_fails=2;
        server 10.1.0.2:8080 down;
        server 10.1.0.3:8080;
    }
    upstream api { server 10.1.0.1:9000 backup; server 10.1.0.4; }
    server {
        listen 192.0.2.1:80; listen [::]:80 ipv6only=on;
        server_name app.corp.example;
        return 301 https://$host$request_uri;
    }
    server {
        listen 192.0.2.1:443 ssl http2 proxy_protocol;
        server_name _ *.corp.example app.corp.example;
        ssl_certificate "/no/such dir/site.pem";
        ssl_certificate_key /no/such/site.key;
        ssl_trusted_certificate /no/such/ca.pem;
        ssl_stapling on;
        location /api { proxy_pass http://api; }
        location /direct { proxy_pass http://10.1.0.9:81/path; }
        location / { proxy_pass http://iis; proxy_read_timeout 1h; }
    }
}
"""
SMALL = """\
events {}
http {
    upstream iis { server iis-1.corp.example:443; server iis-2.corp.example:443; }
    include conf.d/*.conf;
    server {
        listen 8080;
        location / { proxy_pass https://iis; include proxy.inc; }
    }
    server {
        listen 8081;
        location / { proxy_pass https://iis; include proxy.inc; }
    }
}
"""


STREAM = """\
load_module /usr/lib64/nginx/modules/ngx_stream_module.so;
include /usr/share/nginx/modules/*.conf;
events {}
stream {
    map $ssl_preread_server_name $farm {
        app.corp.example iis;
        ~^web web;
        default web;
    }
    upstream iis { hash $remote_addr; server 10.1.0.1:443 weight=3; server 10.1.0.2:443; server 10.1.0.4:443 down; }
    upstream web { server 127.0.0.1:8443; }
    proxy_timeout 1h;
    server { listen 192.0.2.1:443; ssl_preread on; proxy_pass $farm; proxy_protocol on; }
    server { listen 53 udp; proxy_pass 10.1.0.53:53; }
    server { listen 6379; proxy_pass 10.1.0.5:6379; }
    server { listen 9443; proxy_pass [2001:db8::1]:9443; }
}
http {
    server {
        listen 8443 ssl proxy_protocol;
        server_name web.corp.example;
        ssl_certificate /no/such/site.pem;
        ssl_certificate_key /no/such/site.key;
        location / { proxy_pass http://10.1.0.6:8080; }
    }
}
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ["balancer.example", "127.0.0.1"])


def read(text: str, folder: Path, host: str | None = None) -> NginxFile:
    return NginxFile(folder / "nginx.conf", text.encode(), host)


def mapped(found: NginxFile, folder: Path, certificates: TestCertificates) -> str:
    nodes = {node.key: 30000 + number for number, node in enumerate(found.plan.nodes)}
    places = Places(folder, certificates, 31000, 31001, nodes, range(31010, 31010 + found.spare_ports))
    return found.mapped(places)[0][0]


def with_includes(folder: Path) -> None:
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "log.conf").write_text("access_log /no/such/other.log;", encoding="utf-8")
    (folder / "proxy.inc").write_text("proxy_ssl_trusted_certificate /no/such/ca.pem;", encoding="utf-8")


@pytest.mark.nginx
@pytest.mark.parametrize("text", [COMPLETE, SMALL, STREAM])
def test_mapped_file_is_valid_and_has_no_live_address(
    text: str, tmp_path: Path, certificates: TestCertificates
) -> None:
    with_includes(tmp_path)
    result = mapped(read(text, tmp_path), tmp_path, certificates)
    path = tmp_path / "mapped.conf"
    path.write_text(result, encoding="utf-8")
    run = subprocess.run(["nginx", "-t", "-c", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr
    result = result.replace("include /etc/nginx/modules-enabled/*.conf;", "", 1)  # the lab's
    assert not [
        part for part in ("192.0.2.", "10.1.0.", "/no/such", "corp.example:", "[::]", "include") if part in result
    ]


@pytest.mark.nginx
@pytest.mark.parametrize("text", [COMPLETE, SMALL])
def test_mapped_file_with_scaled_timeouts_is_valid(text: str, tmp_path: Path, certificates: TestCertificates) -> None:
    with_includes(tmp_path)
    result = scale_timeouts("nginx", mapped(read(text, tmp_path), tmp_path, certificates), 20.0, complete=True)
    assert "proxy_send_timeout 3000ms;" in result
    assert ("proxy_read_timeout 180000ms;" in result) == (text is COMPLETE)
    path = tmp_path / "mapped.conf"
    path.write_text(result, encoding="utf-8")
    run = subprocess.run(["nginx", "-t", "-c", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr


def test_plan_has_host_tls_affinity_and_nodes_of_the_general_location(tmp_path: Path) -> None:
    plan = read(COMPLETE, tmp_path).plan
    assert (plan.host, plan.tls, plan.affinity, plan.source) == ("www.corp.example", "terminate", "source", True)
    assert (plan.listener, plan.redirects) == ("192.0.2.1:443", True)
    assert [(str(node.key), node.state, node.weight) for node in plan.nodes] == [
        ("10.1.0.1", "up", 3),
        ("10.1.0.2", "down", 100),
        ("10.1.0.3", "up", 100),
        ("10.1.0.4", "down", 100),
        ("10.1.0.9:81", "down", 100),
    ]


def test_mapping_keeps_paths_and_joins_members_by_host(tmp_path: Path, certificates: TestCertificates) -> None:
    result = mapped(read(COMPLETE, tmp_path), tmp_path, certificates)
    assert "server 127.0.0.1:30000 weight=3 max_fails=2;" in result
    assert "upstream api { server 127.0.0.1:30000 backup; server 127.0.0.1:30003; }" in result
    assert "proxy_pass http://127.0.0.1:30004/path;" in result
    assert "listen 127.0.0.1:31000 ssl http2 ;" in result
    assert "listen 127.0.0.1:31001;" in result


def test_plan_of_https_to_nodes_trusts_the_name_of_the_upstream(tmp_path: Path) -> None:
    with_includes(tmp_path)
    found = read(SMALL, tmp_path, "chosen.corp.example")
    assert (found.plan.host, found.plan.tls, found.plan.names) == ("chosen.corp.example", "none", ("iis",))
    assert all(node.key.tls for node in found.plan.nodes)
    assert len(farm_of(found, None).farm.nodes) == 2


REFUSED = (
    ("location /x { fastcgi_pass 127.0.0.1:9000; }", "fastcgi_pass"),
    ("location /x { proxy_pass http://$arg_node; }", "proxy_pass"),
    ("location /x { proxy_pass http://a; proxy_bind $remote_addr transparent; }", "proxy_bind transparent"),
    ("location /x { content_by_lua_block { ngx.say(1) } }", "content_by_lua_block"),
    ("ssl_verify_client on;", "ssl_verify_client"),
    ("listen 81-90;", "listen"),
    ("listen unix:/run/x.sock;", "listen"),
    ("include /etc/other/x.conf;", ""),
    ("include /etc/nginx/sites-enabled/*;", ""),
)


@pytest.mark.parametrize(("part", "what"), REFUSED)
def test_what_cannot_run_is_refused_with_its_location(part: str, what: str, tmp_path: Path) -> None:
    server = f"listen 80;\nlocation / {{ proxy_pass http://a; }}\n{part}\n"
    text = f"events {{}}\nhttp {{\nupstream a {{ server 10.1.0.1; }}\nserver {{\n{server}}}\n}}\n"
    with pytest.raises(UnmappableError) as caught:
        read(text, tmp_path)
    assert {(one.location.line, one.path) for one in caught.value.problems} == {(7, what)}


UPSTREAMS = (
    ("server unix:/run/a.sock;", "", "TCP ports"),
    ("server a.corp.example resolve; zone a 64k;", "", "resolved while NGINX runs"),
    ("server 10.1.0.1;", "location /x { proxy_pass https://a; }", "either HTTP or HTTPS"),
    ("server 10.1.0.1 down;", "", "no member gets requests"),
    ("".join(f"server 10.1.1.{number};" for number in range(65)), "", "65 nodes"),
)


@pytest.mark.parametrize(("members", "more", "reason"), UPSTREAMS)
def test_upstreams_that_cannot_run_are_refused(members: str, more: str, reason: str, tmp_path: Path) -> None:
    text = f"http {{ upstream a {{ {members} }} server {{ listen 80; location / {{ proxy_pass http://a; }} {more} }} }}"
    with pytest.raises(UnmappableError, match=reason):
        read(text, tmp_path)


@pytest.mark.parametrize(
    "text", ["http { server { listen 80; return 404; } }", "# configuration file /etc/nginx/nginx.conf:\nhttp {}\n"]
)
def test_files_without_a_proxy_and_dumps_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UnmappableError):
        read(text, tmp_path)


def test_stream_that_passes_tls_through_has_the_name_of_its_map(tmp_path: Path, certificates: TestCertificates) -> None:
    found = read(STREAM, tmp_path)
    plan = found.plan
    assert (plan.host, plan.tls, plan.affinity, plan.listener) == (
        "app.corp.example",
        "passthrough",
        "source",
        "192.0.2.1:443",
    )
    assert [(str(node.key), node.key.tls, node.state, node.weight) for node in plan.nodes] == [
        ("10.1.0.1", True, "up", 3),
        ("10.1.0.2", True, "up", 100),
        ("10.1.0.4", True, "down", 100),
        ("10.1.0.6:8080", False, "down", 100),
        ("10.1.0.53", False, "down", 100),
        ("10.1.0.5", False, "down", 100),
        ("2001:db8::1", False, "down", 100),
    ]
    result = mapped(found, tmp_path, certificates)
    assert "upstream web { server 127.0.0.1:31010; }" in result, "a listener of the same file"
    assert "listen 127.0.0.1:31010 ssl ;" in result
    assert "ssl_preread on; proxy_pass $farm;  }" in result
    assert "proxy_pass 127.0.0.1:30004; }" in result
    assert "; include /etc/nginx/modules-enabled/*.conf; \n" in result.partition("events")[0]
    assert "ngx_stream_module" not in result
    assert "stream { proxy_connect_timeout 60s;" in result


PLAIN_STREAM = (
    ("listen 8080; proxy_pass 10.1.0.1:80;", "none", False),
    ("listen 8080; proxy_pass 10.1.0.1:80; proxy_ssl on;", "none", True),
    ("listen 8443; proxy_pass 10.1.0.1:80;", "passthrough", True),
    ("listen 443 ssl; proxy_pass 10.1.0.1:80;", "terminate", False),
    ("listen 443 ssl; proxy_pass 10.1.0.1:443; proxy_ssl on;", "bridge", True),
)


@pytest.mark.parametrize(("server", "tls", "to_nodes"), PLAIN_STREAM)
def test_tls_of_a_stream_server(server: str, tls: str, to_nodes: bool, tmp_path: Path) -> None:
    plan = read(f"stream {{ server {{ {server} }} }}", tmp_path).plan
    assert (plan.tls, plan.nodes[0].key.tls, plan.host) == (tls, to_nodes, "balancer.example")


STREAMS = (
    ("server { listen 443; proxy_pass $unknown; }", "a variable has the address"),
    ("server { listen 443; proxy_pass unix:/run/a.sock; }", "TCP ports"),
    ("upstream a { server unix:/run/a.sock; } server { listen 443; proxy_pass a; }", "TCP ports"),
    (
        "upstream a { zone a 64k; server a:1 resolve; } server { listen 443; proxy_pass a; }",
        "resolved while NGINX runs",
    ),
    ("map $remote_addr $n { default 10.1.0.1:443; } server { listen 443; proxy_pass $n; }", "make it an upstream"),
    ("server { listen 53 udp; proxy_pass 10.1.0.53:53; }", "no server with a listen directive"),
    ("server { listen 443; proxy_pass 127.0.0.1:8443; } server { listen 8443; return ok; }", "no server with a listen"),
)


@pytest.mark.parametrize(("inside", "reason"), STREAMS)
def test_streams_that_cannot_run_are_refused(inside: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnmappableError, match=reason):
        read(f"stream {{ {inside} }}", tmp_path)


@pytest.mark.nginx
def test_file_of_a_site_is_put_into_an_http_block(tmp_path: Path, certificates: TestCertificates) -> None:
    text = "upstream a { server 10.1.0.1; }\nserver { location / { proxy_pass http://a; proxy_bind 10.0.0.1; } }\n"
    result = mapped(read(text, tmp_path), tmp_path, certificates)
    assert result.startswith("pid ")
    assert " events {} http { " in result.splitlines()[0]
    assert result.endswith("}\n\n}\n")
    assert "server { listen 127.0.0.1:31000; location / { proxy_pass http://a; proxy_bind 127.0.0.1; } }" in result
    path = tmp_path / "mapped.conf"
    path.write_text(result, encoding="utf-8")
    run = subprocess.run(["nginx", "-t", "-c", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr


def test_site_file_has_the_log_format_and_the_certificate_of_the_file_around_it(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    server = "listen 443 ssl; access_log /no/such main; location / { proxy_pass http://10.1.0.1; }"
    first = mapped(read(f"server {{ {server} }}", tmp_path), tmp_path, certificates).splitlines()[0]
    assert "log_format main '" in first
    assert f"ssl_certificate {certificates.certificate}; ssl_certificate_key {certificates.key};" in first


OWN = (
    "server { listen 443 ssl; ssl_certificate a; ssl_certificate_key a; access_log /a combined; LOCATION }",
    "ssl_certificate a; ssl_certificate_key a; server { listen 443 ssl; access_log /a buffer=1k; LOCATION }",
    "server { listen 80; LOCATION } server { listen 443 ssl; ssl_certificate a; ssl_certificate_key a; LOCATION }",
    "log_format main '$status'; server { listen 80; access_log /a main; LOCATION }",
)


@pytest.mark.parametrize("text", OWN)
def test_site_file_keeps_its_own_log_format_and_certificate(
    text: str, tmp_path: Path, certificates: TestCertificates
) -> None:
    text = text.replace("LOCATION", "location / { proxy_pass http://10.1.0.1; }")
    result = mapped(read(text, tmp_path), tmp_path, certificates)
    assert result.count("log_format") == text.count("log_format")
    assert result.count("ssl_certificate ") == text.count("ssl_certificate ")


def test_node_of_two_servers_is_up_if_the_chosen_one_names_it(tmp_path: Path) -> None:
    location = "location / { proxy_pass http://10.1.0.1:80; }"
    secure = "listen 443 ssl; ssl_certificate a; ssl_certificate_key a;"
    plan = read(f"server {{ listen 80; {location} }} server {{ {secure} {location} }}", tmp_path).plan
    assert [(str(node.key), node.state) for node in plan.nodes] == [("10.1.0.1:80", "up")]


LIMITS = (
    ("rate=10r/s", "zone=a burst=19 nodelay", 2.0),
    ("rate=120r/m", "zone=a", 0.5),
    ("rate=6r/m", "zone=a burst=20", 5.0),
    ("rate=10r/s", "zone=other burst=20", 0.0),
    ("rate=0r/s", "zone=a burst=20", 0.0),
)


@pytest.mark.parametrize(("rate", "limit", "seconds"), LIMITS)
def test_clients_rest_until_a_limit_of_requests_is_empty(rate: str, limit: str, seconds: float, tmp_path: Path) -> None:
    zone = f"limit_req_zone $binary_remote_addr zone=a:10m {rate};"
    text = f"{zone} server {{ listen 80; location / {{ limit_req {limit}; proxy_pass http://10.1.0.1; }} }}"
    assert read(text, tmp_path).plan.rest_seconds == seconds


PATHS = (
    ("location ~ ^/odata { proxy_pass http://a; }", True),
    ("location @named { proxy_pass http://a; } location / { try_files $uri @named; }", True),
    ("location /odata { proxy_pass http://a; }", True),
    ("if ($arg_a) { proxy_pass http://a; }", True),
    ("error_page 404 = @named; location @named { proxy_pass http://a; } location / { root /no/such; }", True),
    ("location @named { proxy_pass http://a; } location /api { try_files $uri @named; }", False),
    ("location @a { proxy_pass http://a; error_page 502 @b; } location @b { error_page 502 @a; }", False),
    ("location = / { proxy_pass http://a; }", False),
    ("location /api { proxy_pass http://a; }", False),
)


@pytest.mark.parametrize(("inside", "runs"), PATHS)
def test_location_of_orchestrators_paths_is_required(inside: str, runs: bool, tmp_path: Path) -> None:
    text = f"http {{ upstream a {{ server 10.1.0.1; }} server {{ listen 80; {inside} }} }}"
    if runs:
        assert [str(node.key) for node in read(text, tmp_path).plan.nodes] == ["10.1.0.1"]
        return
    with pytest.raises(UnmappableError, match="no location with a proxy_pass has the paths of Orchestrator"):
        read(text, tmp_path)


SITE = """\
upstream api { server 10.1.0.1; server 10.1.0.2; }
upstream pages { server 10.1.0.3; }
"""
SERVERS = (
    ("server { listen 80; location / { proxy_pass http://api; } }", "", "80"),
    ("server { listen 80; listen 443 ssl; location / { proxy_pass http://api; } }", "", "443"),
    ("server { listen 80; server_name app; location / { proxy_pass http://api; } }", "", "80"),
    (
        (
            "server { listen 80; return 444; } "
            "server { listen 80; server_name app; location / { proxy_pass http://api; } }"
        ),
        "",
        "80",
    ),
    ("server { listen 80; if ($scheme = https) { return 301 /; } location / { proxy_pass http://api; } }", "", "80"),
    (
        "server { listen 80; location / { rewrite ^ /index.html last; } location /odata { proxy_pass http://api; } }",
        "",
        "80",
    ),
    ("server { listen 80; location / { rewrite (?P<a /x; } location ~ (?P<a { proxy_pass http://api; } }", "", "80"),
    ("server { listen 80; location / { rewrite ^/(.*)$ $x/$1; } location /x { proxy_pass http://api; } }", "", "80"),
    ("server { listen 80; location / { try_files $uri $x; } location /x { proxy_pass http://api; } }", "", "80"),
    ("server { listen 80; location / { if ($arg_a) { proxy_pass http://api; } return 404; } }", "", "80"),
    ("server { listen 80; location / { limit_except GET { proxy_pass http://api; } } }", "", "80"),
    ("server { listen 80; location / { try_files $uri =404; } }", "1:108: location /: ", "try_files"),
    ("server { listen 80; location / { root /srv; } location /x { proxy_pass http://api; } }", "location /: ", "root"),
    ("server { listen 80; location /x { proxy_pass http://api; } }", "server: ", "files"),
    (
        "server { listen 80; rewrite ^ https://x.example$uri; location / { proxy_pass http://api; } }",
        "server: ",
        "rewrite",
    ),
    (
        "server { listen 80; if ($host = balancer.example) { return 403; } location / { proxy_pass http://api; } }",
        "if ($host = balancer.example)",
        "return",
    ),
    ("server { listen 80; location / { rewrite ^ /x/ last; } location /x { return 404; } }", "location /x: ", "return"),
    (
        "server { listen 80; location / { try_files $uri /a; } location /b { proxy_pass http://api; } }",
        "location /: ",
        "try_files",
    ),
)


@pytest.mark.parametrize(("server", "refused", "what"), SERVERS)
def test_server_gets_the_requests_to_nodes_or_is_refused(server: str, refused: str, what: str, tmp_path: Path) -> None:
    server = server if "proxy_pass" in server else f"{server[:-1]} location /none {{ proxy_pass http://api; }} }}"
    if not refused:
        plan = read(SITE + server, tmp_path).plan
        assert (plan.listener, str(plan.nodes[0].key)) == (what, "10.1.0.1")
        return
    with pytest.raises(UnmappableError) as caught:
        read(server.join((SITE.replace("\n", " "), "")), tmp_path)
    message = str(caught.value)
    assert refused in message
    assert f"({what})" in message
    assert "--host NAME" in message


TWO = """\
server { listen 443 ssl; server_name app.example; location /api { proxy_pass http://api; } }
server { listen 80; server_name app.example; location / { proxy_pass http://pages; } }
server { listen 80; server_name other.example *.any.example; location / { proxy_pass http://pages; } }
"""


def test_listener_without_tls_does_not_replace_one_with_tls_that_has_only_some_paths(tmp_path: Path) -> None:
    with pytest.raises(UnmappableError, match=r"nginx\.conf:3:1: server: .* such as /odata/Jobs: server answers it"):
        read(SITE + TWO, tmp_path)


@pytest.mark.parametrize("host", ["other.example", "x.any.example"])
def test_host_selects_the_server(host: str, tmp_path: Path) -> None:
    plan = read(SITE + TWO, tmp_path, host).plan
    assert (plan.host, plan.tls, plan.listener) == (host, "none", "80")


def test_host_that_no_server_with_a_proxy_has_is_refused(tmp_path: Path) -> None:
    server = "server { listen 80; server_name a.example; location / { proxy_pass http://api; } }"
    with pytest.raises(UnmappableError, match=r"no server with a proxy_pass for the host name other\.example"):
        read(f"{SITE}server {{ listen 80; return 404; }} {server}", tmp_path, "other.example")


def test_server_whose_names_are_not_known_needs_a_host(tmp_path: Path) -> None:
    servers = (
        "server { listen 80; return 404; } server { listen 80; server_name ~^a; location / { proxy_pass http://api; } }"
    )
    with pytest.raises(UnmappableError, match="give such a name: --host NAME"):
        read(SITE + servers, tmp_path)
    assert read(SITE + servers, tmp_path, "app.example").plan.host == "app.example"


def test_posts_of_the_lab_request_a_path_of_the_same_nodes(tmp_path: Path) -> None:
    inside = (
        "location / { proxy_pass http://pages; } location /api { proxy_pass http://api; } location /ws { return 404; }"
    )
    plan = read(
        f"{SITE}server {{ listen 80; {inside} location /signalr {{ proxy_pass http://10.1.0.3; }} }}", tmp_path
    ).plan
    assert plan.post_path == "/odata/Jobs"
    assert plan.notes == (
        (
            "POST /api/jobs: proxy_pass http://api (line 3) sends it to other nodes than GET /odata/Jobs; the POSTs of "
            "the lab request /odata/Jobs"
        ),
        "GET /ws: no node gets it (location /ws in line 3); the results of scenarios with it are about this",
    )


def test_posts_of_the_lab_keep_their_path_if_no_other_reaches_the_nodes(tmp_path: Path) -> None:
    inside = "location / { proxy_pass http://pages; } location ^~ /api { return 404; }"
    plan = read(f"{SITE}server {{ listen 80; {inside} }}", tmp_path).plan
    assert plan.post_path == "/odata/Jobs"
    inside = "location / { return 404; } location /odata { proxy_pass http://pages; }"
    plan = read(f"{SITE}server {{ listen 80; {inside} }}", tmp_path).plan
    assert plan.post_path == "/odata/Jobs"
    assert [note.partition(":")[0] for note in plan.notes] == [
        "POST /api/jobs",
        "GET /signalr/negotiate",
        "GET /signalr/connect",
        "GET /ws",
    ]


def test_clients_of_the_lab_are_allowed_where_live_addresses_are(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    location = "location / { proxy_pass http://api; }"
    text = f"{SITE}server {{ listen 80; allow 10.0.0.0/8; deny all; {location} location /x {{ deny all; }} }}"
    result = mapped(read(text, tmp_path), tmp_path, certificates)
    assert "allow 10.0.0.0/8; allow 127.0.0.0/8; deny all; location /" in result
    assert "location /x { deny all; }" in result


PASSWORDS = (
    ('auth_basic "Farm"; auth_basic_user_file x; location / { proxy_pass http://api; }', False),
    ('auth_basic "Farm"; location / { auth_basic off; proxy_pass http://api; }', True),
    ('auth_basic "Farm"; satisfy any; allow 10.0.0.0/8; deny all; location / { proxy_pass http://api; }', True),
)


@pytest.mark.parametrize(("inside", "runs"), PASSWORDS)
def test_server_that_needs_a_password_is_refused(inside: str, runs: bool, tmp_path: Path) -> None:
    text = f"{SITE}server {{ listen 80; {inside} }}"
    if runs:
        assert read(text, tmp_path).plan.listener == "80"
        return
    with pytest.raises(UnmappableError, match=r"location / answers it \(auth_basic\)"):
        read(text, tmp_path)


def test_vendors_without_a_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="f5"):
        foreign("f5", [tmp_path / "bigip.conf"])
