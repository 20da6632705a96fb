"""Configurations of NGINX that nlbgen did not write: the values of the spec, and the fate of every line."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import SpecError, UsageError
from nlbgen.generators import validate
from nlbgen.generators.base import audit, generator
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.readers.nginx.reader import read
from nlbgen.spec.load import load
from nlbgen.takeover.account import Line, counts
from nlbgen.takeover.draft import Draft, Result
from nlbgen.takeover.importers import take
from nlbgen.takeover.nginx.prefixes import of_location

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain
    from tests.conftest import RunCommand

FOREIGN = Path(__file__).parent / "foreign"
NAMES = sorted(path.name for path in FOREIGN.iterdir())
NODES = {"dynamic": ("--node", "a=10.80.0.1", "--node", "b=10.80.0.2")}
"""The options for a file that has no addresses of nodes."""
STORES: "dict[str, Plain]" = {
    "stores.signalr": "redis",
    "stores.redis.host": "redis.corp.example",
    "stores.redis.port": 6379,
}
HEADER = "# NGINX 1.26 for the farm prod\n"
SITE = """\
http {
    upstream web {
        server 10.0.0.1;
        server 10.0.0.2;
    }
    server {
        listen 80;
        server_name o.example;
        location / {
            proxy_pass http://web;
        }
    }
}
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_file_gives_the_known_spec_and_account(
    name: str, cli: "RunCommand", tmp_path: Path, update_golden: bool
) -> None:
    shutil.copytree(FOREIGN / name, tmp_path / "etc")
    given = ("--redis", "redis.corp.example", "--orchestrator", "2019.4", *NODES.get(name, ()))
    ran = cli("init", "--from", "etc/nginx.conf", *given)
    assert ran.code == 0, ran.err
    account = f"{ran.out}\n{ran.err}"
    spec = (tmp_path / "farm.yaml").read_text(encoding="utf-8")
    kept = {"farm.yaml": spec, "account.txt": account}
    if update_golden:
        for file, text in kept.items():
            (FOREIGN / name / file).write_text(text, encoding="utf-8")
    assert {file: (FOREIGN / name / file).read_text(encoding="utf-8") for file in kept} == kept
    assert [one.message for one in audit(load(tmp_path / "farm.yaml"))] == []


def drafted(text: str) -> Draft:
    return take(read(Path("nginx.conf"), text.encode()), "nginx.conf")


def taken(text: str, **given: str) -> Result:
    draft = drafted(text)
    values: dict[str, Plain] = {"farm": "farm", **STORES, **given}
    return draft.finish(values, "nginx.conf", "farm.yaml")


def line(result: Result, beginning: str) -> Line:
    return next(one for one in result.lines if one.text.startswith(beginning))


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_listed_once_at_its_location(name: str) -> None:
    path = FOREIGN / name / "nginx.conf"
    configuration = read(path, path.read_bytes())
    lines = take(configuration, str(path)).account.lines()
    assert [one.location for one in lines] == [one.location for one in configuration.walk()]
    assert sum(counts(lines).values()) == len(lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_directive_without_its_last_argument_is_no_internal_error(name: str) -> None:
    """Each directive of a file in turn loses its last word, or all but its name."""
    path = FOREIGN / name / "nginx.conf"
    text = path.read_text(encoding="utf-8")
    for at, shown in enumerate(text.split("\n")):
        words = shown.split()
        if len(words) < 2 or not shown.rstrip().endswith((";", "{")):
            continue
        end = shown.rstrip()[-1]
        for kept in {words[0], " ".join(words[:-1]).rstrip(";")}:
            if kept.count('"') % 2 or kept.count("'") % 2:
                continue
            lines = text.split("\n")
            lines[at] = f"{kept}{end}" if end == ";" else f"{kept} {{"
            configuration = read(path, "\n".join(lines).encode())
            try:
                draft = take(configuration, str(path))
                draft.finish({"farm": "farm", "frontend.host": "o.example", **STORES}, "f", "farm.yaml")
            except (UsageError, SpecError):
                continue
            assert len(draft.account.lines()) == sum(1 for _ in configuration.walk())


def test_secrets_are_masked() -> None:
    header = 'proxy_set_header Authorization "Basic wonderful";'
    site = SITE.replace("proxy_pass http://web;", f"proxy_pass http://web/app?token=wonderful; {header}")
    other = "location /token-wonderful { return 204; auth_basic_user_file /etc/wonderful; } location / {"
    result = taken(site.replace("location / {", other))
    assert "wonderful" not in "".join(f"{one.text}{one.detail}" for one in result.lines)
    assert line(result, "auth_basic_user_file ***").fate == "given up"


def test_a_commented_member_is_no_node() -> None:
    farm = taken(SITE.replace("server 10.0.0.2;", "#server 10.0.0.2;")).spec.farm
    assert [node.address for node in farm.nodes] == ["10.0.0.1"]


def test_a_file_without_proxy_pass_is_an_error() -> None:
    with pytest.raises(UsageError, match="no server has a proxy_pass"):
        drafted("http {\n    server {\n        return 404;\n    }\n}\n")


def test_a_file_without_a_name_asks_for_the_host() -> None:
    with pytest.raises(UsageError, match="--host"):
        taken(SITE.replace("server_name o.example;", "server_name _ *.example;"))


def test_a_site_without_its_http_block_has_a_note() -> None:
    site = "\n".join(SITE.split("\n")[1:-2])
    assert any("the file has no http block" in note for note in drafted(site).notes)


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ("listen 80;", "listen 8080;", "frontend.port", 8080),
        ("listen 80;", "", "frontend.address", "0.0.0.0"),
        ("listen 80;", "listen [::1]:80;", "frontend.address", "::1"),
        ("listen 80;", "listen 10.0.0.9;", "frontend.address", "10.0.0.9"),
        ("listen 80;", "listen *:80; listen [::]:80;", "frontend.address", "*"),
        ("listen 80;", "listen 443; ssl on;", "frontend.tls.mode", "terminate"),
        ("listen 80;", "listen 443 ssl; ssl_ecdh_curve X25519MLKEM768;", "nginx.openssl", "3.5"),
        ("server_name o.example;", "", "frontend.host", None),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; proxy_set_header Host x.example;",
            "frontend.host",
            "o.example",
        ),
        ("server_name o.example;", "proxy_set_header Host x.example;", "frontend.host", "x.example"),
        ("server 10.0.0.1;", "hash $remote_addr; server 10.0.0.1;", "balancer.affinity", "source"),
        ("server 10.0.0.1;", "hash $request_uri; server 10.0.0.1;", "balancer.affinity", "none"),
        ("server 10.0.0.1;", "sticky; server 10.0.0.1;", "balancer.affinity", "cookie"),
        ("server 10.0.0.1;", "random; server 10.0.0.1;", "balancer.algorithm", "round-robin"),
        ("server 10.0.0.1;", "server 10.0.0.1 weight=0x;", "nodes[0].weight", None),
        ("server 10.0.0.1;", "server o-1.example:8000;", "nodes[0].name", "o-1"),
        ("server 10.0.0.1;", "server o-1.example:8000;", "nodes[0].port", 8000),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; proxy_read_timeout soon;",
            "balancer.timeouts.request",
            None,
        ),
        ("proxy_pass http://web;", "proxy_pass http://web; client_max_body_size big;", "balancer.max_body", None),
        ("proxy_pass http://web;", "proxy_pass http://web; client_max_body_size 2g;", "balancer.max_body", "2GB"),
    ],
)
def test_a_value_is_taken_from_its_directive(old: str, new: str, path: str, expected: object) -> None:
    assert old in SITE
    assert drafted(SITE.replace(old, new)).values.get(path) == expected


@pytest.mark.parametrize(
    ("old", "new", "beginning", "fate", "detail"),
    [
        ("listen 80;", "listen unix:/run/n.sock;", "listen", "given up", "not an address with a port"),
        ("listen 80;", "listen 80 reuseport;", "listen", "given up", "NGINX's own default"),
        ("listen 80;", "listen 80 mystery=1;", "listen", "not understood", "mystery=1"),
        ("listen 80;", "listen 80; listen 81;", "listen 80", "given up", "a farm has one port"),
        (
            "listen 80;",
            "listen 443 ssl; ssl_certificate $name.pem;",
            "ssl_certificate",
            "given up",
            "without variables",
        ),
        (
            "listen 80;",
            "listen 443 ssl; ssl_certificate /a; ssl_certificate /b;",
            "ssl_certificate /b",
            "given up",
            "one",
        ),
        ("server_name o.example;", "server_name o.example ~^o[0-9]$;", "server_name", "given up", "a pattern"),
        ("server 10.0.0.2;", "server 10.0.0.1:80;", "server 10.0.0.1:80", "given up", "already a node"),
        ("server 10.0.0.2;", "server 10.0.0.2 mystery=1;", "server 10.0.0.2", "not understood", "mystery"),
        ("server 10.0.0.2;", "server 10.0.0.2 max_fails=0;", "server 10.0.0.2", "given up", "differs here"),
        ("server 10.0.0.2;", "server 10.0.0.2; check_http_send x;", "check_http_send", "given up", "no HTTP request"),
        ("server 10.0.0.2;", "server 10.0.0.2; check type=tcp mystery=1;", "check", "not understood", "mystery"),
        ("proxy_pass http://web;", "proxy_pass https://web;", "proxy_pass", "given up", "only if clients use TLS"),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; health_check;",
            "health_check",
            "given up",
            "stopped service",
        ),
        ("proxy_pass http://web;", "proxy_pass http://web; health_check x=1;", "health_check", "not understood", "x"),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; limit_conn z 5;",
            "limit_conn",
            "given up",
            "client address",
        ),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; proxy_ssl_verify on;",
            "proxy_ssl_verify",
            "given up",
            "no TLS",
        ),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; proxy_set_header X-A '';",
            "proxy_set_header",
            "given up",
            "X-A",
        ),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; if ($request_method = PUT) { return 405; }",
            "if",
            "given up",
            "every method",
        ),
        ("http {", "http { map $a $b { x y; }", "map", "given up", "nothing uses it"),
        ("http {", "http { map $a $b { x y; } log_format f '$b';", "x y", "implied", "logs have the status"),
        ("http {", "http { map $a $b { x y; } add_header X-A $b;", "map", "given up", "used only by add_header"),
        (
            "http {",
            "http { map $http_upgrade $u { x y; } map $u $b { x z; }",
            "x z",
            "implied",
            "WebSocket is the only",
        ),
        ("http {", "http { map $a $b { x y; } server { set $c $b; }", "map", "not understood", "map $a $b"),
        (
            "server 10.0.0.2;",
            "server 10.0.0.1 backup;",
            "server 10.0.0.1 backup",
            "implied",
            "used when all others are marked down",
        ),
        (
            "proxy_pass http://web;",
            "proxy_pass http://web; error_page 502 = @last; } location @last { proxy_pass http://web;",
            "location @last",
            "given up",
            "what follows a failed request",
        ),
        (
            "proxy_pass http://web;",
            "location /a { return 204; } proxy_pass http://web;",
            "return 204",
            "given up",
            "none is answered here",
        ),
        ("http {", "http { proxy_next_upstream off;", "proxy_next_upstream", "given up", "on another node"),
        ("http {", "http { underscores_in_headers on;", "underscores", "given up", "are dropped"),
        ("http {", "http { proxy_buffering off;", "proxy_buffering", "given up", "except on SignalR's paths"),
        ("http {", "http { proxy_ssl_name x.example;", "proxy_ssl_name", "given up", "o.example as SNI"),
        ("http {", "http { proxy_set_header Host o.example;", "proxy_set_header", "implied", "the farm's name"),
        ("http {", "http { root /srv;", "root", "given up", "no files are served"),
        ("http {", "http { types { a b; }", "a b", "implied", "the nodes send the types"),
        ("http {", "http { proxy_next_upstream error;", "proxy_next_upstream", "implied", "a POST is not repeated"),
    ],
)
def test_a_line_has_one_fate_with_its_reason(old: str, new: str, beginning: str, fate: str, detail: str) -> None:
    assert old in SITE
    found = line(taken(SITE.replace(old, new), **{"frontend.address": "*"}), beginning)
    assert (found.fate, detail in found.detail) == (fate, True), found


def test_the_verification_of_nodes_is_off_unless_it_is_switched_on() -> None:
    site = SITE.replace("listen 80;", "listen 443 ssl;").replace("http://", "https://")
    ca = "proxy_ssl_trusted_certificate nodes.pem;"
    off = taken(site.replace("listen 443", f"{ca} listen 443"))
    assert off.spec.farm.frontend.tls.verify_nodes is False
    assert "does not use it" in line(off, "proxy_ssl_trusted").detail
    on = taken(site.replace("listen 443", f"{ca} proxy_ssl_verify on; listen 443"))
    assert on.spec.farm.frontend.tls.verify_nodes == "/etc/nginx/nodes.pem"
    default = taken(site.replace("listen 443", "proxy_ssl_verify on; listen 443"))
    assert default.spec.farm.frontend.tls.verify_nodes == "/etc/ssl/certs/ca-certificates.crt"


def test_a_map_of_a_cookie_is_affinity_by_cookie() -> None:
    text = SITE.replace("http {", "http {\n    map $cookie_srv $key {\n        default a;\n    }")
    result = taken(text.replace("server 10.0.0.1;", "hash $key; server 10.0.0.1;"))
    assert result.spec.farm.affinity == "cookie"
    assert line(result, "map").fate == "taken"


def test_a_newer_file_of_nlbgen_needs_its_acceptance() -> None:
    draft = drafted(HEADER.replace("1.26", "9.9") + SITE.replace("web", "prod_web"))
    assert (draft.values.get("farm"), draft.values.get("nginx.version")) == ("prod", "9.9")
    assert draft.values.get("accept") == ["nginx-version"]


def test_an_edited_file_of_nlbgen_is_no_internal_error() -> None:
    page = "return 503 '<h1>Maintenance</h1><p>&#9999999;</p>'; add_header Retry-After soon;"
    text = HEADER + SITE.replace("web", "prod_web").replace("proxy_pass http://prod_web;", page)
    draft = drafted(text)
    assert draft.values.get("balancer.maintenance.state") == "closed"
    assert "balancer.maintenance.retry_after" not in draft.values


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/signalr",), ["/signalr"]),
        (("^~", "/hubs/"), ["/hubs/"]),
        (("=", "/ws"), ["/ws"]),
        (("~*", r"^/(?:signalr|hubs/(a|b))(/|$)"), ["/signalr", "/hubs/a", "/hubs/b"]),
        (("~", r"^/a\.b|/c$"), ["/a.b", "/c"]),
        (("~", r"^/x(1|2).*"), ["/x1", "/x2"]),
        (("~", r"\.ws$"), []),
        (("~", "^/[a-z]+"), []),
        (("~", "^/a(b"), []),
        (("~", "^/a)b("), []),
        (("~", "^/a([0-9])b"), []),
        (("~", "^/a(b)[c]"), []),
        (("~", "^(/a|[b])"), []),
        (("~", "^/" + "(a|b)" * 6), []),
        (("~", "^/" + "(a)" * 1000), []),
        (("/",), []),
        ((), []),
    ],
)
def test_the_prefixes_of_a_location(words: tuple[str, ...], expected: list[str]) -> None:
    assert of_location(words) == expected


@pytest.mark.nginx
@pytest.mark.parametrize("name", ["one-location", "direct"])
def test_nginx_accepts_the_source_and_what_is_rendered(name: str, tmp_path: Path) -> None:
    made = make_certificates(tmp_path, ["orchestrator.corp.example"])
    text = (FOREIGN / name / "nginx.conf").read_text(encoding="utf-8")
    own = text.replace("user  nginx;", "").replace("/var/log/nginx", str(tmp_path)).replace("/var/run", str(tmp_path))
    own = re.sub(r"/etc/nginx/tls/\w+\.pem", str(made.certificate), own)
    own = re.sub(r"/etc/nginx/tls/\w+\.key", str(made.key), own)
    own = re.sub(r"listen (?:\[::\]:)?([0-9]+)", r"listen 127.0.0.1:2\1", own).replace(" ipv6only=off", "")
    (tmp_path / "nginx.conf").write_text(own, encoding="utf-8")
    command = ["nginx", "-t", "-q", "-e", str(tmp_path / "e.log"), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert validate.validate(generator("nginx"), taken(text).spec).checked


def test_a_server_is_chosen_by_its_name() -> None:
    path = FOREIGN / "two-sites" / "nginx.conf"
    configuration = read(path, path.read_bytes())
    draft = take(configuration, "nginx.conf", "wiki.corp.example")
    assert (draft.values.get("frontend.host"), draft.values.get("nodes[0].port")) == ("wiki.corp.example", 8080)
    with pytest.raises(UsageError, match="no server other has a proxy_pass"):
        take(configuration, "nginx.conf", "other")


def test_stream_can_end_tls() -> None:
    text = """stream {
    upstream web {
        server 10.0.0.1:443 fail_timeout=9s route=a max_fails=0;
        server 10.0.0.2:443 fail_timeout=9s route=b max_fails=0;
    }
    server {
        listen 443 ssl;
        ssl_certificate /a.pem;
        ssl_certificate_key /a.key;
        proxy_ssl on;
        proxy_pass web;
    }
}
"""
    result = taken(text, **{"frontend.host": "o.example"})
    assert result.spec.farm.frontend.tls.mode == "bridge"
    assert "max_fails=0: nlbgen marks a node down" in line(result, "server 10.0.0.1").detail
    assert taken(
        text.replace("proxy_ssl on", "proxy_ssl off"), **{"frontend.host": "o"}
    ).spec.farm.frontend.tls.mode == ("terminate")


def test_a_redirecting_server_needs_port_80() -> None:
    redirect = "server {\n listen 81;\n return 301 https://$host$request_uri;\n }"
    result = taken(SITE.replace("http {", f"http {{ {redirect}"))
    assert line(result, "return 301").fate == "given up"
    without = taken(
        SITE.replace("listen 80;", "listen 443 ssl;").replace("http {", f"http {{ {redirect}").replace("listen 81;", "")
    )
    assert without.spec.farm.frontend.redirect_http


def test_the_statistics_have_one_port() -> None:
    status = "server { listen 127.0.0.1:9000; listen 127.0.0.1:9001; location / { stub_status; } }"
    result = taken(SITE.replace("http {", f"http {{ {status}"))
    assert result.spec.farm.balancer.metrics_port == 9000
    assert line(result, "listen 127.0.0.1:9001").fate == "given up"


def test_the_output_of_nginx_t_is_read() -> None:
    files = {"nginx.conf": "include sites/a;\n", "sites/a": SITE}
    result = taken("".join(f"# configuration file /etc/nginx/{name}:\n{text}" for name, text in files.items()))
    assert [node.address for node in result.spec.farm.nodes] == ["10.0.0.1", "10.0.0.2"]
    assert line(result, "include").fate == "implied"


def test_backup_nodes_with_affinity_by_address_are_a_note() -> None:
    live = "location /signalr { proxy_pass http://live; } location / {"
    text = SITE.replace("location / {", live).replace("10.0.0.2;", "10.0.0.2 backup;")
    text = text.replace("http {", "http { upstream live { ip_hash; server 10.0.0.1; }")
    draft = drafted(text)
    assert (draft.values.get("balancer.affinity"), draft.values.get("nodes[1].state")) == ("source", "backup")
    assert any("no backup nodes with affinity by address" in note for note in draft.notes)


def test_a_directive_whose_name_only_looks_like_a_secret_is_shown() -> None:
    result = taken(SITE.replace("listen 80;", "listen 80; server_tokens off; gzip_proxied no-store private auth;"))
    texts = [one.text for one in result.lines]
    assert "server_tokens off" in texts
    assert "gzip_proxied no-store private auth" in texts


def test_the_name_and_the_lifetime_of_another_cookie_are_given_up() -> None:
    text = SITE.replace("server 10.0.0.2;", "server 10.0.0.2; sticky cookie srv expires=1h path=/;")
    found = next(one for one in taken(text).lines if one.text.startswith("sticky"))
    assert found.fate == "given up"
    assert "NLBID" in found.detail
    assert "expires=1h" in found.detail
    assert "taken: balancer.affinity" in found.detail


def test_ignoring_a_client_that_disconnects_is_given_up() -> None:
    text = SITE.replace("listen 80;", "listen 80; proxy_ignore_client_abort on;")
    assert next(one for one in taken(text).lines if "abort" in one.text).fate == "given up"
