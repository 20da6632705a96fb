"""The requests that a foreign configuration sends to its nodes, as HAProxy and NGINX themselves select."""

import http.client
from collections.abc import Iterable
from pathlib import Path

import pytest

from nlbgen.net.loopback import free_port, release_port
from nlbgen.prove.foreign.haproxy_paths import Asked, arrival
from nlbgen.prove.foreign.nginx_names import selected
from nlbgen.prove.foreign.nginx_paths import Paths
from nlbgen.prove.foreign.requests import Request
from nlbgen.prove.lab.processes import BalancerProcess
from nlbgen.readers.haproxy import model as haproxy_model
from nlbgen.readers.haproxy.reader import read_text
from nlbgen.readers.nginx import model as nginx_model
from nlbgen.readers.nginx.reader import read as read_nginx

NGINX = """\
daemon off; pid FOLDER/nginx.pid; error_log FOLDER/error.log;
events {}
http {
    access_log off; root /no/such/folder;
    client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d;
    scgi_temp_path FOLDER/e;
    server { listen PORT; server_name first.example .dot.example; return 200 first; }
    server { listen PORT default_server; server_name _; return 200 default; }
    server { listen PORT; server_name *.wild.example; return 200 wild; }
    server { listen PORT; server_name *.deep.wild.example; return 200 deep; }
    server { listen PORT; server_name www.*; return 200 tail; }
    server { listen PORT; server_name ~^app\\d+\\.; return 200 expression; }
    server { listen PORT; server_name ~^app1\\.; return 200 never; }
    server { listen PORT; server_name www.exact.wild.example; return 200 exact; }
    server {
        listen PORT; server_name paths.example;
        location / { return 200 general; }
        location = / { return 200 root; }
        location /odata {
            return 200 odata;
            location /odata/deep { return 200 deep; }
            location ~ Jobs$ { return 200 jobs; }
        }
        location = /odata/Jobs/exact { return 200 exact; }
        location ^~ /static { return 200 static; }
        location ~ \\.js$ { return 200 script; }
        location ~* \\.CSS$ { return 200 style; }
        location ~ ^/(?<name>user)s { return 200 group; location ~ deep { return 200 nested; } }
        location /tried { try_files $uri @named; }
        location @named { return 200 named; }
        location /file { try_files $uri /odata; }
        location /status { try_files $uri =418; error_page 418 = @named; }
        location /missing { error_page 404 = @named; }
        location /error { error_page 500 = @named; error_page 404 = /odata; }
        location /kept { rewrite ^/kept(.*)$ /odata$1 break; return 200 kept; }
        location /last { rewrite ^/last(.*)$ /odata$1 last; return 200 never; }
        location /unlike { rewrite ^/other /odata last; return 200 unlike; }
        location /plain { if ($scheme = https) { return 200 never; } return 200 plain; }
        location /name { if ($host = paths.example) { return 200 host; } return 200 never; }
        location /notname { if ($host !~ ^paths) { return 200 never; } return 200 notname; }
    }
    server {
        listen PORT; server_name moved.example;
        rewrite ^/old /new last;
        location /old { return 200 old; }
        location /new { return 200 new; }
    }
}
"""
HOSTS = (
    *("first.example", "dot.example", "a.dot.example", "other.example", "a.wild.example", "a.deep.wild.example"),
    *("www.exact.wild.example", "www.other.example", "app1.example", "app.example", "moved.example"),
)
PATHS = (
    *("/", "/x", "/odata", "/odata/Jobs", "/odata/deep", "/odata/deep/Jobs", "/odata/Jobs/exact", "/odata/a.js"),
    *("/static/a.js", "/a.js", "/a.css", "/users", "/users/deep", "/tried", "/file", "/status", "/missing", "/error"),
    *("/kept/Jobs", "/last/Jobs", "/last/x", "/unlike", "/plain", "/name", "/notname"),
)
HAPROXY = """\
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend web
    bind 127.0.0.1:PORT
    acl api path_beg -i /API /rest
    acl own hdr(host) -i App.example
    acl own hdr_end(host) .own.example
    acl live hdr(upgrade) -i websocket
    acl part path_dir folder
    use_backend live if live
    use_backend api if api !own
    use_backend own if own { path_end .js } or own { path_reg ^/odata/[a-z]+$ }
    use_backend part if part
    use_backend posts if METH_POST
    use_backend domain if { hdr_dom(host) -m dom middle }
    use_backend lower if { path,lower -m sub lower }
    use_backend never if FALSE or { always_false }
    use_backend port if { hdr(host),field(1,:) port.example } { ssl_fc }
    use_backend unless unless { path -m beg / }
    use_backend equal if { path /equal } { method GET } { hdr(host) -m found }
    default_backend rest
"""
BACKENDS = (*("live", "api", "own", "part", "posts", "domain", "lower", "never", "port", "unless", "equal", "rest"),)
ASKED = (
    *(Request(path) for path in ("/", "/api/x", "/rest", "/API", "/a/folder/b", "/folder", "/folders", "/equal")),
    *(Request(path) for path in ("/a.js", "/odata/jobs", "/odata/Jobs", "/a/LOWER/b", "/equal/x")),
    *(Request("/x", "POST"), Request("/api", "POST"), Request("/ws", upgrades=True)),
)
HAPROXY_HOSTS = ("app.example", "a.own.example", "x.middle.example", "middles.example", "port.example")


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def answers(port: int, requests: Iterable[tuple[str, Request]]) -> dict[tuple[str, Request], str]:
    """The bodies of the answers."""
    found = {}
    for host, request in requests:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        upgrade = UPGRADE if request.upgrades else {}
        connection.request(request.method, request.path, headers={"Host": host, **upgrade})
        found[host, request] = connection.getresponse().read().decode()
        connection.close()
    return found


@pytest.mark.nginx
def test_server_and_location_are_those_that_nginx_selects(tmp_path: Path) -> None:
    port = free_port()
    tmp_path.chmod(0o755)
    text = NGINX.replace("PORT", f"127.0.0.1:{port}").replace("FOLDER", str(tmp_path))
    file = tmp_path / "nginx.conf"
    file.write_text(text, encoding="utf-8")
    asked = [*((host, Request("/")) for host in HOSTS), *(("paths.example", Request(path)) for path in PATHS)]
    asked.append(("moved.example", Request("/old")))
    with BalancerProcess(["nginx", "-c", str(file)], [port]):
        answered = answers(port, asked)
    release_port(port)
    found = nginx_model.model(read_nginx(file, text.encode()))
    for host, request in asked:
        server = selected(found, f"127.0.0.1:{port}", host)
        assert server is not None
        ended = Paths(server, (), host, secure=False).arrival(request)
        name = ended.end.own("return")[-1].arguments[1] if ended.why == "return" else "files"
        text = answered[host, request]
        assert name == (text if text.isalpha() else "files"), (host, request)


@pytest.mark.haproxy
def test_backend_is_the_one_that_haproxy_selects(tmp_path: Path) -> None:
    port = free_port()
    backends = "".join(
        f"backend {name}\n    server a 127.0.0.1:9\n    http-request return status 200 content-type text/plain "
        f"string {name}\n"
        for name in BACKENDS
    )
    text = HAPROXY.replace("PORT", str(port)) + backends
    file = tmp_path / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    asked = [(host, request) for host in HAPROXY_HOSTS for request in ASKED]
    with BalancerProcess(["haproxy", "-db", "-f", str(file)], [port]):
        answered = answers(port, asked)
    release_port(port)
    found = haproxy_model.model(read_text(text, "haproxy.cfg"))
    frontend = next(found.frontends)
    for host, request in asked:
        end = arrival(found, frontend, Asked(request, host, secure=False, passed=False)).end
        assert end is not None
        assert end.arguments[-1] == answered[host, request], (host, request)
