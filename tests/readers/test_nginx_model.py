"""What NGINX makes of a configuration: inheritance, members and targets."""

from pathlib import Path

from nlbgen.readers.nginx.model import Model, model
from nlbgen.readers.nginx.reader import read
from nlbgen.readers.nginx.scopes import Scope


def of(text: str) -> Model:
    return model(read(Path("nginx.conf"), text.encode()))


def location(found: Model, path: str) -> Scope:
    return next(scope for scope in found.locations if scope.path == path)


INHERITED = """
proxy_x main;
http {
    proxy_set_header Host $host;
    proxy_set_header upgrade $http_upgrade;
    add_header X-A 1;
    proxy_read_timeout 5s;
    server {
        proxy_read_timeout 1h;
        add_header X-B 2;
        location / {
            proxy_pass http://a;
            if ($x) { add_header X-C 3; }
            limit_except GET { deny all; }
            location /inner { proxy_set_header Y 1; bare; }
        }
        location = /none { }
    }
}
"""


def test_block_takes_all_directives_of_a_name_or_none() -> None:
    found = of(INHERITED)
    outer, inner, bare = (location(found, path) for path in ("/", "/inner", "/none"))
    assert [one.arguments[0] for one in outer.effective("proxy_set_header")] == ["Host", "upgrade"]
    assert [one.arguments[0] for one in inner.effective("proxy_set_header")] == ["Y"]
    assert outer.header("UPGRADE") is not None
    assert inner.header("Host") is None
    assert outer.response_header("x-a") is None
    assert outer.response_header("X-B") is not None
    assert outer.value("proxy_read_timeout") == "1h"
    assert bare.value("proxy_pass") is None
    assert inner.value("bare") is None
    assert inner.value("proxy_pass") is None
    assert bare.value("proxy_x") == "main"


def test_if_and_limit_except_use_the_proxy_pass_around_them() -> None:
    outer = location(of(INHERITED), "/")
    assert [(scope.kind, scope.value("proxy_pass")) for scope in outer.inner] == [
        ("if", "http://a"),
        ("limit_except", "http://a"),
        ("location", None),
    ]
    inside = outer.inner[0]
    assert inside.enclosing("server") is not None
    assert inside.enclosing("upstream") is None
    assert inside.location is not None
    assert inside.location.line == 13
    assert list(inside.around())[-1].location is None
    assert list(inside.around())[-1].path == ""


def test_members_have_hosts_ports_and_parameters() -> None:
    found = of(
        "http { upstream u { zone u 64k; ip_hash; server A; server 10.0.0.1:8080 weight=3 down; server [::1]:81 backup;"
        " server unix:/run/x; server; } }"
    )
    upstream = found.upstreams["u"]
    assert [(one.host, one.port, one.backup, one.down) for one in upstream.members] == [
        ("A", "", False, False),
        ("10.0.0.1", "8080", False, True),
        ("[::1]", "81", True, False),
        ("unix:/run/x", "", False, False),
    ]
    assert upstream.members[0].key == ("a", "80")
    assert upstream.members[1].parameters["weight"] == "3"
    assert [one.host for one in upstream.active] == ["A", "unix:/run/x"]
    assert upstream.method is not None
    assert upstream.method.name == "ip_hash"
    assert len(upstream.own("zone")) == 1
    assert upstream.open_reason == ""


def test_upstream_says_why_it_can_have_other_members() -> None:
    found = of(
        "upstream a { server 0.0.0.1; balancer_by_lua_block { x() } }\nupstream b { include x.conf; }\n"
        "upstream c { state /s; }\nupstream d { server a.example resolve; }\nupstream e { }"
    )
    assert {name: one.open_reason for name, one in found.upstreams.items()} == {
        "a": "a program chooses the member",
        "b": "an included file was not read",
        "c": "the members are in a state file",
        "d": "names are resolved while NGINX runs",
        "e": "",
    }
    assert found.upstreams["e"].method is None


TARGETS = """
map $uri $pool { default one; ~x two; }
map $uri $maybe { a one; }
map $uri $unread { include x.map; default one; }
split_clients $uri $part { 50% one; * two; }
map $uri $loop { default $loop; }
upstream one { server 10.0.0.1; }
upstream two { server 10.0.0.2; }
server {
    set $direct one;
    set $broken;
    location /1 { proxy_pass http://$pool; }
    location /2 { proxy_pass https://${direct}/x; }
    location /3 { proxy_pass http://$host; }
    location /4 { proxy_pass http://unix:/run/a:/; }
    location /5 { proxy_pass http://10.0.0.9:81/; }
    location /6 { proxy_pass http://$maybe; }
    location /7 { proxy_pass http://$unread; }
    location /8 { proxy_pass http://$part; }
    location /9 { proxy_pass http://$loop; }
    location /a { proxy_pass $pool; }
    location /b { proxy_pass; }
    location /c { proxy_pass http://$pool$host; }
}
"""


def test_targets_follow_variables_as_far_as_the_file_defines_them() -> None:
    targets = [one.target for one in of(TARGETS).proxied]
    assert [([u.name for u in one.upstreams], list(one.names), one.open) for one in targets] == [
        (["one", "two"], [], False),
        (["one"], [], False),
        ([], [], True),
        ([], ["unix:/run/a:/"], False),
        ([], ["10.0.0.9:81"], False),
        (["one"], [], False),
        ([], [], True),
        (["one", "two"], [], False),
        ([], [], True),
        ([], [], False),
        ([], [], False),
        ([], [], True),
    ]
    assert [one.scheme for one in targets][:2] == ["http", "https"]


def test_too_many_values_of_a_variable_are_open() -> None:
    lines = "".join(f"k{number} v{number};" for number in range(20))
    found = of(f"map $a $b {{ {lines} }} map $a $c {{ {lines} }}")
    assert found.variables.values("$b$c") is None
    assert len(found.variables.values("$b") or ()) == 21
    assert found.variables.block("$b") is not None
    assert found.variables.block("x$b") is None


def test_stream_servers_are_separate() -> None:
    found = of("stream { server { proxy_pass x; } upstream x { server 10.0.0.1:1; } } http { server { } }")
    assert len(found.stream_servers) == 1
    assert len(found.servers) == 1
    assert found.proxied == ()
    assert [scope.kind for scope in found.main.walk()] == ["main", "stream", "server", "upstream", "http", "server"]
