"""Configurations that nlbgen did not write: the values of the spec, and the fate of every line."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import UsageError
from nlbgen.generators import validate
from nlbgen.generators.base import generator
from nlbgen.prove.lab.certificates import make_certificates
from nlbgen.readers.haproxy.reader import read_text
from nlbgen.spec.model import Farm
from nlbgen.takeover.account import Line, counts
from nlbgen.takeover.draft import Result
from nlbgen.takeover.haproxy import importer

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

STORES: "dict[str, Plain]" = {
    "stores.signalr": "redis",
    "stores.redis.host": "redis.corp.example",
    "stores.redis.port": 6379,
}

SEVERAL = """\
global
    log /dev/log local0
    maxconn 12000
    ssl-default-bind-options ssl-min-ver TLSv1.1
    crt-base /etc/haproxy/certs
    mystery 1

defaults
    mode http
    option httplog
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    timeout queue 20s

frontend https-in
    bind *:80
    bind 10.1.2.3:443 ssl crt site.pem alpn h2,http/1.1
    bind 10.1.2.4:443 ssl crt site.pem alpn h2,http/1.1
    bind 10.1.2.3:8443 ssl crt site.pem
    redirect scheme https code 301 if !{ ssl_fc }
    acl is_orch hdr(host) -i orchestrator.corp.example robots.corp.example
    acl is_wiki hdr(host) -i wiki.corp.example
    acl is_signalr path_beg /signalr /hubs
    acl is_websocket hdr(Upgrade) -i websocket
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Custom secret-value
    http-request deny if { src 10.9.0.0/16 }
    http-response set-header Strict-Transport-Security max-age=31536000
    use_backend live if is_orch is_signalr or is_websocket
    use_backend wiki if is_wiki
    default_backend orch

backend orch
    balance first
    cookie SRV insert indirect nocache
    option httpchk HEAD /api/status HTTP/1.1\\r\\nHost:\\ orchestrator.corp.example
    http-check expect status 200-399
    default-server inter 3s fall 5
    server web1 10.0.0.11:443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie a weight 10 maxconn 100
    server web2 10.0.0.12:443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie b maxconn 200 send-proxy
    server web3 node-3.corp.example:8443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie c backup
    server web4 10.0.0.14:443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie d disabled
    server web5 10.0.0.15:443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie e weight 0
    server web6 10.0.0.11:443 ssl verify required ca-file /etc/ssl/nodes.pem check cookie f
    server web7 unix@/run/web.sock

backend live
    balance source
    timeout tunnel 2h
    server web1 10.0.0.11:443 ssl verify none check
    server web2 10.0.0.12:443 ssl verify none check

backend wiki
    server wiki 10.0.0.50:80

frontend stats
    bind *:9000
    stats enable
    stats uri /
    stats auth admin:wonderful

userlist people
    user bob insecure-password wonderful
"""
LISTEN = """\
global
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 200000000ms
listen orchestrator
    bind :8080
    balance source
    stick-table type ip size 100k expire 1m store conn_cur
    tcp-request connection track-sc0 src
    tcp-request connection reject if { src_conn_cur ge 11 }
    http-request deny if { req.body_size gt 1048576 }
    acl host hdr(host) -i orchestrator.corp.example
    server one:a 10.0.0.1:8080 check
    server two 10.0.0.2
    server-template t 2 nodes.corp.example:80 check
"""
PASSTHROUGH = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 2h
frontend tls
    bind [::]:443 v4v6
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend nodes if { req.ssl_sni -i orchestrator.corp.example }
    default_backend nodes
backend nodes
    option ssl-hello-chk
    stick-table type ip size 100k expire 1h
    stick on src
    server a 10.0.0.1:443 check
    server b 10.0.0.2:443 check
"""


def taken(text: str, **given: str) -> Result:
    draft = importer.take(read_text(text, "haproxy.cfg"), "haproxy.cfg")
    values: dict[str, Plain] = {"farm": "farm", **STORES, **given}
    return draft.finish(values, "haproxy.cfg", "farm.yaml")


def farm_of(text: str) -> Farm:
    return taken(text).spec.farm


def line(result: Result, beginning: str) -> Line:
    return next(one for one in result.lines if one.text.startswith(beginning))


def test_several_frontends_and_pools() -> None:
    farm = farm_of(SEVERAL)
    assert (farm.frontend.host, farm.frontend.aliases) == ("orchestrator.corp.example", ("robots.corp.example",))
    assert (farm.frontend.address, farm.frontend.port, farm.frontend.redirect_http) == ("10.1.2.3", 443, True)
    tls = farm.frontend.tls
    assert (tls.mode, tls.profile, tls.hsts) == ("bridge", "intermediate", True)
    assert (tls.certificate, tls.key, tls.verify_nodes) == (*["/etc/haproxy/certs/site.pem"] * 2, "/etc/ssl/nodes.pem")
    assert [(one.name, one.address, farm.port_of(one), one.weight, one.state) for one in farm.nodes] == [
        ("web1", "10.0.0.11", 443, 10, "up"),
        ("web2", "10.0.0.12", 443, 1, "up"),
        ("web3", "node-3.corp.example", 8443, 1, "backup"),
        ("web4", "10.0.0.14", 443, 1, "down"),
        ("web5", "10.0.0.15", 443, 100, "drain"),
    ]
    health = farm.balancer.health
    assert (health.path, health.interval, health.fall, health.expect) == ("/api/status", 3000, 5, 200)
    assert farm.affinity == "cookie"
    assert farm.balancer.signalr.paths == ("/signalr", "/hubs")
    assert (farm.balancer.signalr.idle_timeout, farm.balancer.timeouts.request) == (7_200_000, 50_000)
    assert (farm.balancer.limits.connections, farm.balancer.limits.open_files) == (12_000, 25_024)
    assert farm.balancer.metrics_port == 9000


@pytest.mark.parametrize(
    ("beginning", "fate", "detail"),
    [
        ("mystery 1", "not understood", ""),
        ("bind 10.1.2.4:443", "given up", "a farm listens on one address"),
        ("bind 10.1.2.3:8443", "given up", "port 8443: a farm has one port"),
        ("bind *:80", "taken", "frontend.redirect_http"),
        ("ssl-default-bind-options", "given up", "TLSv1.1 is insecure"),
        ("acl is_wiki", "given up", "only pools outside the farm"),
        ("acl is_websocket", "implied", "WebSockets on any path"),
        ("acl is_signalr", "taken", "balancer.signalr.paths"),
        ("http-request set-header X-Forwarded-Proto", "implied", "X-Forwarded-For"),
        ("http-request set-header X-Custom", "given up", "X-Custom"),
        ("http-request deny", "not understood", ""),
        ("http-response", "taken", "frontend.tls.hsts"),
        ("use_backend wiki", "given up", "backend wiki: not part of the farm"),
        ("default_backend", "taken", "nodes"),
        ("balance first", "given up", "balancer.algorithm"),
        ("option httpchk", "given up", "HEAD: the checks are GET requests"),
        ("http-check expect", "given up", "one status"),
        ("server web1", "given up", "maxconn: it is the same for all nodes"),
        ("server web2", "given up", "send-proxy"),
        ("server web6", "given up", "already a node"),
        ("server web7", "given up", "a host name or an IP address"),
        ("server wiki", "given up", "not part of the farm"),
        ("bind *:9000", "given up", "loopback"),
        ("stats auth", "given up", "without a password"),
        ("user bob", "given up", "userlist"),
        ("timeout client", "implied", "limits for clients"),
    ],
)
def test_a_line_has_one_fate_with_its_reason(beginning: str, fate: str, detail: str) -> None:
    found = line(taken(SEVERAL), beginning)
    assert (found.fate, detail in found.detail) == (fate, True), found


def test_every_statement_is_listed_once_at_its_location() -> None:
    lines = taken(SEVERAL).lines
    assert [one.location for one in lines] == [one.location for one in read_text(SEVERAL, "haproxy.cfg").walk()]
    assert sum(counts(lines).values()) == len(lines)


def test_secrets_are_masked() -> None:
    shown = "".join(f"{one.text}{one.detail}" for one in taken(SEVERAL).lines)
    assert "wonderful" not in shown
    assert "stats auth ***" in shown


def test_the_choice_of_the_frontend_is_a_note() -> None:
    two = f"{LISTEN}listen other\n    bind :81\n    server x 10.0.0.9:80\n"
    notes = importer.take(read_text(two, "haproxy.cfg"), "haproxy.cfg").notes
    assert any("other (haproxy.cfg:18:1)" in note for note in notes)


def test_a_listen_section_without_tls() -> None:
    result = taken(LISTEN)
    farm = result.spec.farm
    assert (farm.frontend.tls.mode, farm.frontend.address, farm.frontend.port) == ("none", "0.0.0.0", 8080)
    assert [(one.name, one.address, farm.port_of(one)) for one in farm.nodes] == [
        ("node-1", "10.0.0.1", 8080),
        ("two", "10.0.0.2", 8080),
    ]
    assert farm.affinity == "source"
    assert farm.balancer.max_body == 1048576
    assert farm.balancer.limits.connections_per_address == 10
    assert "no port" in line(result, "server two").detail
    assert "out of range" not in line(result, "server two").detail
    assert "a template names no node" in line(result, "server-template").detail


@pytest.mark.parametrize("process, own, connections", [(4000, 8000, 4000), (8000, 4000, 4000), (4000, "many", 4000)])
def test_the_lower_limit_of_connections_is_taken(process: int, own: int | str, connections: int) -> None:
    """HAProxy stops accepting at the limit of the process, whatever a frontend allows."""
    text = LISTEN.replace("listen orchestrator\n", f"listen orchestrator\n    maxconn {own}\n")
    result = taken(f"global\n    maxconn {process}\n{text}")
    assert result.spec.farm.balancer.limits.connections == connections
    if own == 8000:
        assert (line(result, "maxconn 8000").fate, line(result, "maxconn 4000").fate) == ("given up", "taken")
        assert "4000" in line(result, "maxconn 8000").detail


def test_a_value_that_no_spec_can_have_is_given_up() -> None:
    result = taken(LISTEN.replace("200000000ms", "9999999999ms"))
    found = line(result, "timeout server")
    assert found.fate == "given up"
    assert "balancer.timeouts.request" in found.detail
    assert result.spec.farm.balancer.timeouts.request == 120_000


def test_a_value_that_breaks_a_rule_is_given_up() -> None:
    """A tunnel timeout that closes robots between two keep-alives is no idle timeout of a spec."""
    result = taken(SEVERAL.replace("timeout tunnel 2h", "timeout tunnel 90s"))
    found = line(result, "timeout tunnel")
    assert (found.fate, "110s" in found.detail) == ("given up", True)
    assert result.spec.farm.balancer.signalr.idle_timeout == 3_600_000


def test_tcp_is_passthrough() -> None:
    result = taken(PASSTHROUGH)
    farm = result.spec.farm
    assert (farm.frontend.tls.mode, farm.frontend.address, farm.affinity) == ("passthrough", "*", "source")
    assert farm.balancer.signalr.idle_timeout == 7_200_000
    assert farm.frontend.host == "orchestrator.corp.example"
    assert not farm.frontend.redirect_http
    assert "TCP checks pass while the app pool" in line(result, "option ssl-hello-chk").detail


@pytest.mark.parametrize("word", ["acl", "use_backend", "http-check", "balance", "redirect"])
def test_a_directive_without_its_arguments_is_listed(word: str) -> None:
    result = taken(LISTEN.replace("    balance source\n", f"    {word}\n"))
    assert line(result, word).fate in {"given up", "not understood"}


def test_a_file_without_servers_is_an_error() -> None:
    with pytest.raises(UsageError, match="no frontend has servers"):
        taken("frontend a\n    bind :80\n")


def test_a_missing_name_is_an_error_with_its_option() -> None:
    with pytest.raises(UsageError, match="--host"):
        taken(PASSTHROUGH.replace("{ req.ssl_sni -i orchestrator.corp.example }", "{ always_true }"))


@pytest.mark.haproxy
@pytest.mark.parametrize("text", [SEVERAL, LISTEN, PASSTHROUGH], ids=["several", "listen", "passthrough"])
def test_haproxy_accepts_the_source_and_what_is_rendered(text: str, tmp_path: Path) -> None:
    bundle = make_certificates(tmp_path, ["orchestrator.corp.example"]).bundle
    own = text.replace("crt site.pem", f"crt {bundle}").replace("/etc/ssl/nodes.pem", str(bundle))
    own = (
        own.replace("    mystery 1\n", "")
        .replace("nodes.corp.example", "localhost")
        .replace("node-3.corp.example", "localhost")
    )
    file = tmp_path / "haproxy.cfg"
    file.write_text(own, encoding="utf-8")
    done = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert validate.validate(generator("haproxy"), taken(text).spec).checked


HOST = {"frontend.host": "orchestrator.corp.example"}
ODD = """\
global
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 2m
    option httpclose
    option http-server-close
frontend f
    bind 10.1.0.1:443 ssl crt "/certs/${NAME}.pem"
    bind 10.1.0.1:80 accept-proxy interface eth1 name plain strange
    redirect scheme https if !{ ssl_fc }
    acl live path_beg /signalr
.if defined(CLOSED)
    http-request deny
.endif
    reqadd X-Forwarded-Proto:\\ https
    reqadd X-Team:\\ a
    use_backend %[req.hdr(host),lower,map(/etc/hosts.map)]
    use_backend ws if live
    default_backend web
backend web
    option httpchk GET /api/status
    http-check expect ! status 500
    server a 10.0.0.1:80 check
    server b 10.0.0.2:80 check
backend ws
    stick-table type ip size 1m
    stick on src
    server a 10.0.0.1:80 check
    server b 10.0.0.2:80 check
listen stats
    bind 10.1.0.1:9000 interface eth2
    stats enable
"""


def test_each_word_of_a_bind_line_has_a_result() -> None:
    result = taken(ODD, **HOST)
    found = line(result, "bind 10.1.0.1:80")
    assert found.fate == "not understood"
    for word in ("strange", "given up: accept-proxy: ", "given up: interface: ", "implied: name: "):
        assert word in found.detail
    assert "interface: " in line(result, "bind 10.1.0.1:9000").detail


def test_a_certificate_path_with_an_environment_variable_is_given_up() -> None:
    result = taken(ODD, **HOST)
    assert "environment variable" in line(result, "bind 10.1.0.1:443").detail
    assert "$" not in result.spec.farm.frontend.tls.certificate


def test_affinity_only_in_the_signalr_pool_is_taken() -> None:
    result = taken(ODD, **HOST)
    assert result.spec.farm.balancer.affinity == "source"
    assert line(result, "stick on").fate == "taken"


def test_a_check_that_expects_another_status_is_not_taken() -> None:
    result = taken(ODD, **HOST)
    assert (line(result, "http-check expect").fate, result.spec.farm.balancer.health.expect) == ("given up", 200)


@pytest.mark.parametrize(
    ("beginning", "fate", "detail"),
    [
        ("use_backend %", "given up", "an expression selects the backend"),
        (".endif", "not understood", ""),
        ("option httpclose", "given up", "are kept"),
        ("option http-server-close", "given up", "are kept"),
        ('reqadd "X-Forwarded', "implied", "X-Forwarded-For"),
        ('reqadd "X-Team', "given up", "X-Team"),
    ],
)
def test_an_odd_statement_has_its_own_reason(beginning: str, fate: str, detail: str) -> None:
    found = [one for one in taken(ODD, **HOST).lines if one.text.startswith(beginning)]
    assert found
    assert all(one.fate == fate and detail in one.detail for one in found)


def test_the_name_and_the_lifetime_of_another_cookie_are_given_up() -> None:
    text = ODD.replace("    option httpchk", "    cookie SRV insert indirect maxidle 30m\n    option httpchk")
    result = taken(text.replace("10.0.0.1:80 check", "10.0.0.1:80 check cookie a"), **HOST)
    found = line(result, "cookie SRV")
    assert found.fate == "given up"
    assert "NLBID" in found.detail
    assert "maxidle" in found.detail
    assert result.spec.farm.balancer.affinity == "cookie"


def test_options_that_replace_nodes_are_named() -> None:
    draft = importer.take(read_text(ODD, "haproxy.cfg"), "haproxy.cfg")
    draft.values.clear("nodes[")
    assert "nodes: options replace it" in next(one.detail for one in draft.account.lines() if "10.0.0.2:80" in one.text)


def test_a_dynamic_cookie_is_affinity_and_its_key_is_masked() -> None:
    text = ODD.replace(
        "    option httpchk", "    cookie SRV insert dynamic\n    dynamic-cookie-key hunter2\n    option httpchk"
    )
    result = taken(text, **HOST)
    assert result.spec.farm.balancer.affinity == "cookie"
    assert all("hunter2" not in one.text for one in result.lines)


def test_a_cookie_without_values_is_no_affinity() -> None:
    text = ODD.replace("    stick on src\n", "").replace(
        "    option httpchk", "    cookie SRV insert\n    option httpchk"
    )
    result = taken(text, **HOST)
    assert result.spec.farm.balancer.affinity == "none"
    assert "sets no cookie" in line(result, "cookie SRV").detail


def test_the_path_that_other_balancers_check_is_given_up() -> None:
    result = taken(ODD.replace("    acl live", "    monitor-uri /up\n    acl live"), **HOST)
    assert line(result, "monitor-uri").fate == "given up"
