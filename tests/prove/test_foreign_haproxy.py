"""A foreign haproxy.cfg for the lab: its plan, the words that are mapped, and what is refused."""

import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from nlbgen.prove.foreign.haproxy import HaproxyFile
from nlbgen.prove.foreign.plan import Places, UnmappableError, farm_of
from nlbgen.prove.lab.certificates import TestCertificates, make_certificates
from nlbgen.spec.load import loads

FARM = Path(__file__).parents[2] / "examples" / "farm.yaml"

DEFAULTS = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
"""
LISTEN = f"""\
global
    user no-such-user
    group no-such-group
    chroot /no/such/folder
    pidfile /no/such/folder/haproxy.pid
    stats socket /no/such/folder/admin.sock mode 600 user no-such-user level admin
    log 192.0.2.53:514 local0 notice
    daemon
{DEFAULTS}
    log global
    errorfile 503 /no/such/folder/503.http
listen app
    bind 192.0.2.1:80
    balance source
    server a 10.1.0.1:8080 check weight 3
    server b 10.1.0.2:8080 check backup
    server c 10.1.0.3:8080 disabled
    server d 10.1.0.4:8080 weight 0
"""
COOKIE = f"""\
{DEFAULTS}
frontend plain
    bind *:80
    http-request redirect scheme https unless {{ ssl_fc }}
frontend web
    bind 192.0.2.1:443,[2001:db8::1]:443 ssl crt '/no/such folder/site.pem' alpn h2,http/1.1 accept-proxy
    default_backend iis
backend iis
    option httpchk GET /ready?deep=1
    http-check send hdr Host app.corp.example
    http-check expect status 204
    cookie NODE insert indirect
    default-server ssl verify required ca-file /no/such/ca.pem sni str(node.corp.example) check
    server a node-a.corp.example:443 cookie a send-proxy
    server b node-b.corp.example:443 cookie b source 192.0.2.9
"""
PASSTHROUGH = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend tls
    bind :443
    tcp-request inspect-delay 5s
    tcp-request content accept if { req_ssl_hello_type 1 }
    use_backend app if { req_ssl_sni -i app.corp.example }
    use_backend other if { req_ssl_sni -i other.corp.example }
backend app
    stick-table type ip size 1m
    stick on src
    server a 10.1.0.1:443 check
    server b 10.1.0.2:443 check
backend other
    server a 10.1.0.3:443 check
"""
SEVERAL = """\
defaults base
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
defaults web from base
    option httpchk GET /health
frontend first from web
    bind *:443 ssl crt-list /no/such/list.txt
    acl app hdr(host) -i -m str App.corp.example
    acl api path_beg /api
    use_backend api if api
    use_backend app if app
backend api from base
    server a 10.1.0.1:9000
backend app from web
    server a 10.1.0.1:8080 check port 8081 addr 10.1.0.1
    server b 10.1.0.2:8080 check agent-check agent-port 5000 agent-addr 10.1.0.2
"""
LOOP = f"""\
peers cluster
    peer one 192.0.2.1:10000
    peer two 192.0.2.2:10000
resolvers dns
    nameserver one 192.0.2.53:53
    parse-resolv-conf
mailers alerts
    mailer one 192.0.2.25:25
{DEFAULTS}
frontend outer
    mode tcp
    bind *:443
    bind *:8443 ssl crt /a.pem
    default_backend inner
backend inner
    mode tcp
    server unix unix@/run/inner.sock send-proxy-v2
    server tcp 127.0.0.1:9443 send-proxy-v2
frontend web
    bind unix@/run/inner.sock accept-proxy user no-such-user
    bind 127.0.0.1:9443 accept-proxy
    bind *:444 ssl crt /a.pem crt /b.pem ca-file /ca.pem verify optional
    use_backend app if {{ hdr(host) -f names.txt }}
    default_backend app
backend app
    source 192.0.2.1
    server a 127.0.0.1:8081 check
    server b 127.0.0.1:8082 check
"""


TEMPLATE = f"""\
resolvers docker
    nameserver dns 127.0.0.11:53
{DEFAULTS}
frontend web
    bind 192.0.2.1:80
    default_backend app
backend app
    default-server check port 8081 resolvers docker init-addr libc,none ca-file '/no/such/ca.pem'
    server-template web 2-3 _http._tcp.app.corp.example:8080 weight 5 source 192.0.2.9 send-proxy  # one per task
    server fixed app.corp.example:8080 port 8082
backend same
    server-template other 3 _http._tcp.app.corp.example:8080 disabled
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ["balancer.example", "127.0.0.1"])


def read(text: str, folder: Path, host: str | None = None) -> HaproxyFile:
    return HaproxyFile([(folder / "haproxy.cfg", text.encode())], host)


def places(found: HaproxyFile, folder: Path, certificates: TestCertificates) -> Places:
    nodes = {node.key: 30000 + number for number, node in enumerate(found.plan.nodes)}
    return Places(folder, certificates, 31000, 31001, nodes, range(31010, 31010 + found.spare_ports))


def nodes_of(found: HaproxyFile) -> list[tuple[str, str, int]]:
    return [(str(node.key), node.state, node.weight) for node in found.plan.nodes]


@pytest.mark.haproxy
@pytest.mark.parametrize("text", [LISTEN, COOKIE, PASSTHROUGH, SEVERAL, LOOP])
def test_mapped_file_is_valid_and_has_no_live_address(
    text: str, tmp_path: Path, certificates: TestCertificates
) -> None:
    (tmp_path / "names.txt").write_text("app.corp.example\n", encoding="utf-8")
    found = read(text, tmp_path)
    (mapped,), rows = found.mapped(places(found, tmp_path, certificates))
    path = tmp_path / "mapped.cfg"
    path.write_text(mapped, encoding="utf-8")
    run = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr
    active = [line.partition("# ")[0] for line in mapped.splitlines()]
    assert not [line for line in active if any(part in line for part in ("192.0.2.", "10.1.0.", "/no/such", "2001:"))]
    assert len(mapped.splitlines()) == len(text.splitlines())
    changed = {
        number
        for number, pair in enumerate(zip(text.splitlines(), mapped.splitlines(), strict=True), 1)
        if pair[0] != pair[1]
    }
    assert changed == {int(row.what.split(":")[0].removeprefix("line ")) for row in rows}


def test_plan_of_a_listen_section_has_states_and_weights(tmp_path: Path) -> None:
    found = read(LISTEN, tmp_path)
    assert (found.plan.tls, found.plan.source, found.plan.listener) == ("none", True, "192.0.2.1:80")
    assert nodes_of(found) == [
        ("10.1.0.1", "up", 3),
        ("10.1.0.2", "backup", 100),
        ("10.1.0.3", "down", 100),
        ("10.1.0.4", "drain", 1),
    ]


def test_plan_with_cookie_and_tls_to_nodes(tmp_path: Path) -> None:
    plan = read(COOKIE, tmp_path).plan
    assert (plan.tls, plan.affinity, plan.redirects) == ("bridge", "cookie", True)
    assert (plan.health_paths, plan.health_status, plan.names) == (("/ready",), 204, ("node.corp.example",) * 2)
    assert all(node.key.tls for node in plan.nodes)


def test_plan_of_tls_passthrough_takes_the_name_of_its_backend(tmp_path: Path) -> None:
    found = read(PASSTHROUGH, tmp_path)
    assert (found.plan.tls, found.plan.host, found.plan.affinity) == ("passthrough", "app.corp.example", "source")
    assert nodes_of(found) == [("10.1.0.1", "up", 100), ("10.1.0.2", "up", 100), ("10.1.0.3", "down", 100)]
    assert all(node.key.tls for node in found.plan.nodes)


def test_plan_of_several_backends_joins_servers_by_address(tmp_path: Path, certificates: TestCertificates) -> None:
    found = read(SEVERAL, tmp_path)
    assert (found.plan.host, found.plan.tls) == ("app.corp.example", "terminate")
    assert nodes_of(found) == [("10.1.0.1", "up", 100), ("10.1.0.2", "up", 100)]
    (mapped,), _ = found.mapped(places(found, tmp_path, certificates))
    assert "server a 127.0.0.1:30000\n" in mapped
    assert "server a 127.0.0.1:30000 check port 30000 addr 127.0.0.1\n" in mapped
    assert list(tmp_path.glob("0-*.crt-list"))


@pytest.mark.haproxy
def test_template_becomes_a_server_line_for_each_node(tmp_path: Path, certificates: TestCertificates) -> None:
    found = read(TEMPLATE, tmp_path)
    assert nodes_of(found) == [
        ("_http._tcp.app.corp.example#2", "up", 5),
        ("_http._tcp.app.corp.example#3", "up", 5),
        ("app.corp.example", "up", 100),
        ("_http._tcp.app.corp.example#1", "down", 100),
    ]
    (mapped,), rows = found.mapped(places(found, tmp_path, certificates))
    path = tmp_path / "mapped.cfg"
    path.write_text(mapped, encoding="utf-8")
    run = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr
    servers = [line.strip() for line in mapped.splitlines() if line.strip().startswith("server ")]
    assert servers == [
        "server web2 127.0.0.1:30000 weight 5 source 127.0.0.1",
        "server web3 127.0.0.1:30001 weight 5 source 127.0.0.1  # one per task",
        "server fixed 127.0.0.1:30002 port 30002",
        "server other1 127.0.0.1:30003 disabled",
        "server other2 127.0.0.1:30000 disabled",
        "server other3 127.0.0.1:30001 disabled",
    ]
    what = {row.what: row.live for row in rows}
    assert what["line 14: server-template web, as if DNS had 2 addresses"].startswith("server-template web 2-3 ")


def test_check_port_of_a_default_server_line_is_that_of_each_node(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    found = read(TEMPLATE, tmp_path)
    (mapped,), _ = found.mapped(places(found, tmp_path, certificates))
    line = next(line for line in mapped.splitlines() if "default-server" in line)
    assert "port" not in line
    assert f"ca-file {certificates.ca}" in line


@pytest.mark.parametrize(("name", "host"), [("affinity-cookie", "orchestrator"), ("aliases", "robots")])
def test_host_of_a_file_by_nlbgen_is_found(name: str, host: str) -> None:
    file = Path(__file__).parents[1] / "golden" / name / "haproxy" / "haproxy.cfg"
    assert HaproxyFile([(file, file.read_bytes())]).plan.host == f"{host}.corp.example"


def test_plan_with_a_given_host_uses_it(tmp_path: Path) -> None:
    assert read(COOKIE, tmp_path, "chosen.corp.example").plan.host == "chosen.corp.example"
    with pytest.raises(UnmappableError, match=r"13:5: use_backend: .* for the host chosen\.corp\.example"):
        read(SEVERAL, tmp_path, "chosen.corp.example")


def test_servers_that_are_listeners_of_the_file_reach_them(tmp_path: Path, certificates: TestCertificates) -> None:
    (tmp_path / "names.txt").write_text("app.corp.example\n", encoding="utf-8")
    found = read(LOOP, tmp_path)
    (mapped,), _ = found.mapped(places(found, tmp_path, certificates))
    lines = [line.strip().split() for line in mapped.splitlines()]
    servers = {line[1]: line[2] for line in lines if line[:1] == ["server"]}
    binds = [line[1] for line in lines if line[:1] == ["bind"]]
    assert servers["unix"] in binds
    assert servers["tcp"] in binds
    assert nodes_of(found) == [("127.0.0.1:8081", "up", 100), ("127.0.0.1:8082", "up", 100)]


def test_farm_of_a_plan_is_a_valid_spec(tmp_path: Path) -> None:
    found = read(COOKIE, tmp_path)
    spec = farm_of(found, None)
    assert [node.name for node in spec.farm.nodes] == ["node-1", "node-2"]
    assert spec.farm.frontend.tls.mode == "bridge"


def test_farm_of_a_given_spec_keeps_its_host_and_takes_the_nodes(tmp_path: Path) -> None:
    found = read(LISTEN, tmp_path)
    given = loads(FARM.read_text(encoding="utf-8"))
    farm = farm_of(found, given).farm
    assert farm.frontend.host == given.farm.frontend.host
    assert (len(farm.nodes), farm.frontend.tls.mode, farm.balancer.algorithm) == (4, "none", "source")


REFUSED = (
    ("global\n    lua-load /x.lua", "lua-load"),
    ("global\n    external-check", "external-check"),
    ("program other\n    command sleep 1", "program"),
    ("frontend f2\n    bind fd@3\n    default_backend b", "fd@3"),
    ("frontend f2\n    bind :81-90\n    default_backend b", ":81-90"),
    ("frontend f2\n    bind ${ADDRESS}:81\n    default_backend b", "${ADDRESS}:81"),
    ("frontend f2\n    bind :81 transparent\n    default_backend b", "transparent"),
    ("frontend f2\n    bind :81 ssl crt a.pem ca-file b.pem verify required\n    default_backend b", "verify required"),
    ("frontend f2\n    bind :81\n    http-request set-dst var(txn.node)\n    default_backend b", "set-dst"),
    ("frontend f2\n    bind :81\n    http-request lua.check\n    default_backend b", "lua.check"),
    ("frontend f2\n    bind :81\n    filter spoe engine x config y\n    default_backend b", "filter spoe"),
    ("frontend f2\n    bind :81\n    use_backend b if { hdr(host) -f no.txt }\n    default_backend b", "no.txt"),
    ("frontend f2\n    bind :81\n    http-request set-header x %[path,map(no.map)]\n    default_backend b", "no.map"),
    ("backend c\n    server-template s three app.example:80", "three"),
    ("backend c\n    server-template s 3 ${NODE}:80", "${NODE}:80"),
    ("backend c\n    server s ${NODE}:80", "${NODE}:80"),
    ("backend c\n    server s 0.0.0.0:80", "0.0.0.0:80"),
    ("backend c\n    server s 10.0.0.1:80 socks4 10.0.0.2:1080", "socks4"),
    ("backend c\n    server s 10.0.0.1:80 proto h2", "proto h2"),
    ("backend c\n    server s 10.0.0.1:443 ssl verify none check port 80", "check"),
    ("backend c\n    option external-check", "option external-check"),
    ("backend c\n    source 0.0.0.0 usesrc clientip", "usesrc"),
)


@pytest.mark.parametrize(("part", "what"), REFUSED)
def test_what_cannot_run_is_refused_with_its_location(part: str, what: str, tmp_path: Path) -> None:
    text = f"{DEFAULTS}frontend f\n    bind :80\n    default_backend b\nbackend b\n    server a 10.1.0.1:80\n"
    with pytest.raises(UnmappableError) as caught:
        read(text + part + "\n", tmp_path)
    problems = [problem for problem in caught.value.problems if problem.path.startswith(what)]
    assert problems, caught.value.message
    assert problems[0].location.line > text.count("\n")
    assert problems[0].hint


CHECKS = (
    "option mysql-check",
    "option tcp-check\n    tcp-check send PING",
    "option httpchk\n    http-check expect string OK",
)


@pytest.mark.parametrize("check", CHECKS)
def test_checks_that_a_simulated_node_cannot_answer_are_refused_where_clients_go(check: str, tmp_path: Path) -> None:
    text = dedent(f"""\
        {DEFAULTS}
        frontend f
            bind :80
            default_backend b
        backend b
            server a 10.1.0.1:80
        backend other
            server x 10.1.0.9:3306 check
    """)
    used = text.replace("backend b\n", f"backend b\n    {check}\n")
    with pytest.raises(UnmappableError):
        read(used, tmp_path)
    assert nodes_of(read(text + f"    {check}\n", tmp_path)) == [("10.1.0.1", "up", 100), ("10.1.0.9", "down", 100)]


def test_file_without_a_usable_listener_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnmappableError, match="no frontend"):
        read(f"{DEFAULTS}backend b\n    server a 10.1.0.1:80\n", tmp_path)


def test_file_whose_servers_are_all_disabled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnmappableError, match="no server of this backend"):
        read(f"{DEFAULTS}listen l\n    bind :80\n    server a 10.1.0.1:80 disabled\n", tmp_path)


def test_file_with_too_many_nodes_is_refused(tmp_path: Path) -> None:
    servers = "".join(f"    server s{number} 10.1.1.{number}:80\n" for number in range(65))
    with pytest.raises(UnmappableError, match="65 nodes"):
        read(f"{DEFAULTS}listen l\n    bind :80\n{servers}", tmp_path)


OLD = f"""\
global
    nbproc 2
{DEFAULTS}
listen app
    bind :80
    log-format "${{LOG_AS_JSON}}"
    log-tag app
    server a 10.1.0.1:8080"""


def test_old_file_without_a_last_line_end_is_mapped(tmp_path: Path, certificates: TestCertificates) -> None:
    found = read(OLD, tmp_path)
    (text,), rows = found.mapped(places(found, tmp_path, certificates))
    shown = {row.what: (row.live, row.here) for row in rows}
    assert shown["line 2: nbproc"] == ("nbproc 2", "a comment")
    assert shown["line 11: log-format"][1] == "a comment"
    assert shown["line 13: end of the last line"] == ("none", "a line end")
    assert "\n    log-tag app\n" in text
    assert text.endswith("\n")


def test_file_with_a_last_line_end_keeps_it(tmp_path: Path, certificates: TestCertificates) -> None:
    found = read(f"{OLD}\n", tmp_path)
    (text,), rows = found.mapped(places(found, tmp_path, certificates))
    assert not [row for row in rows if "end of the last line" in row.what]
    assert not text.endswith("\n\n")


TWO_BACKENDS = """\
backend app
    server a 10.1.0.1:80
    server b 10.1.0.2:80
backend other
    server c 10.1.0.3:80
backend empty
"""
RETURN_421 = "\n    http-request return status 421 unless own\n    default_backend app"
REACHED = (
    (r"acl own req.fhdr(Host) -m reg -i ^app\.example(:[0-9]+)?$" + RETURN_421, "app", "app.example"),
    ("use_backend app if { hdr_reg(host) -i ^(?:one|two)\\.x ^(a\\.example|b\\.example)$ }", "app", "a.example"),
    ("use_backend app if { hdr_end(host) -i .corp.example }", "app", "www.corp.example"),
    ("use_backend app if { hdr(host) -i app.example:80 app.example }", "app", "app.example"),
    ("http-request deny if !{ src 127.0.0.1 }\n    default_backend app", "app", "balancer.example"),
    ("http-request deny if { src corp.example }\n    default_backend app", "app", "balancer.example"),
    ("http-request deny if { src 10.0.0.0/8 }\n    default_backend app", "app", "balancer.example"),
    ("use_backend app if { path_beg /odata }", "app", "balancer.example"),
    ("use_backend other if { path_beg /api }\n    default_backend app", "app", "balancer.example"),
    (
        "acl own hdr(host) -i other.example\n    use_backend other if own\n    default_backend app",
        "app",
        "balancer.example",
    ),
    ("acl own hdr(host) -i app.example\n    http-request deny if !own\n    default_backend app", "app", "app.example"),
    ("use_backend %[path] if { rand(2) eq 1 }\n    default_backend app", "app", "balancer.example"),
    ("use_backend other if { src -f FILE }\n    default_backend empty", "other", "balancer.example"),
    ("http-request set-path /x\n    use_backend app if { path /x }", "app", "balancer.example"),
    ("http-request set-header Host x\n    use_backend app if { hdr(host) x }", "app", "balancer.example"),
    (
        "http-request allow if { rand(2) eq 1 }\n    http-request deny\n    default_backend app",
        "app",
        "balancer.example",
    ),
    ("http-request deny if { path_reg (?P<a }\n    default_backend app", "app", "balancer.example"),
    ("http-request deny if { path -f FILE }\n    default_backend app", "app", "balancer.example"),
    ("redirect scheme https if { ssl_fc }\n    default_backend app", "app", "balancer.example"),
    (
        "http-request deny if { req.hdr(connection) -i upgrade } || { ssl_fc_sni x }\n    default_backend app",
        "app",
        "balancer.example",
    ),
)


@pytest.mark.parametrize(("rules", "backend", "host"), REACHED)
def test_listener_whose_requests_reach_a_backend_runs(rules: str, backend: str, host: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("/x\n", encoding="utf-8")
    text = f"{DEFAULTS}frontend f\n    bind :80\n    {rules.replace('FILE', 'list')}\n{TWO_BACKENDS}"
    plan = read(text, tmp_path).plan
    up = [str(node.key) for node in plan.nodes if node.state == "up"]
    assert (plan.host, up) == (host, ["10.1.0.3"] if backend == "other" else ["10.1.0.1", "10.1.0.2"])


UNREACHED = (
    ("http-request deny if !{ src 10.0.0.0/8 fd00::/8 }\n    default_backend app", "8:5: ", "clients of 127.0.0.0/8"),
    ("http-request deny unless { src 10.0.0.0/8 }\n    default_backend app", "8:5: http-request deny: ", "answers"),
    ("http-request deny if { src 0.0.0.0/0 }\n    default_backend app", "8:5: http-request deny: ", "answers"),
    ("use_backend app if { path_beg /api }", "8:5: use_backend: ", "no use_backend applies"),
    (
        "use_backend app if { path_beg /api }\n    default_backend empty",
        "9:5: default_backend: ",
        "empty has no server",
    ),
    ("http-request auth realm x unless FALSE\n    default_backend app", "8:5: http-request auth: ", "answers"),
    ("redirect scheme https if !{ ssl_fc }\n    default_backend app", "8:5: redirect scheme: ", "answers /odata/Jobs"),
    ("http-request return status 200 if METH_GET\n    default_backend app", "8:5: http-request return: ", "answers"),
    (
        "use_backend app if { hdr(host) -m beg x } { path -m dir odata }\n    default_backend empty",
        "9:5: ",
        "no server",
    ),
)


@pytest.mark.parametrize(("rules", "where", "reason"), UNREACHED)
def test_listener_whose_requests_reach_no_backend_is_refused(
    rules: str, where: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnmappableError) as caught:
        read(f"{DEFAULTS}frontend f\n    bind :80\n    {rules}\n{TWO_BACKENDS}", tmp_path)
    assert f"haproxy.cfg:{where}" in str(caught.value)
    assert reason in str(caught.value)


def test_rule_of_the_backend_that_answers_is_refused(tmp_path: Path) -> None:
    text = f"{DEFAULTS}listen f\n    bind :80\n    default_backend b\nbackend b\n    http-request deny\n"
    with pytest.raises(UnmappableError, match=r"10:5: http-request deny: it answers /odata/Jobs"):
        read(f"{text}    server a 10.1.0.1:80\n", tmp_path)


def test_listener_without_tls_does_not_replace_one_with_tls_that_has_only_some_paths(tmp_path: Path) -> None:
    plain = "frontend plain\n    bind :80\n    default_backend app\n"
    secure = "frontend secure\n    bind :443 ssl crt x.pem\n    use_backend app if { path_beg /api }\n"
    with pytest.raises(UnmappableError, match="in frontend secure: no use_backend applies"):
        read(f"{DEFAULTS}{plain}{secure}{TWO_BACKENDS}", tmp_path)


def test_posts_of_the_lab_request_a_path_of_the_same_nodes(tmp_path: Path) -> None:
    rules = "use_backend other if { path_beg /api }\n    http-request deny if { path /ws }\n    default_backend app"
    plan = read(f"{DEFAULTS}frontend f\n    bind :80\n    {rules}\n{TWO_BACKENDS}", tmp_path).plan
    assert plan.post_path == "/odata/Jobs"
    assert plan.notes == (
        (
            "POST /api/jobs: backend other (line 14) sends it to other nodes than GET /odata/Jobs; the POSTs of the "
            "lab request /odata/Jobs"
        ),
        "GET /ws: no node gets it (http-request deny in line 9); the results of scenarios with it are about this",
    )


def test_several_files_are_one_configuration_with_the_file_in_each_row(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    app = "backend app\n    server a 10.1.0.1:80\n"
    web = "frontend web\n    bind 192.0.2.1:443 ssl crt-list /no/such/list\n    default_backend app"
    names = ("haproxy.cfg", "10-app.cfg", "20-web.cfg")
    files = [(tmp_path / name, text.encode()) for name, text in zip(names, (DEFAULTS, app, web), strict=True)]
    found = HaproxyFile(files)
    texts, rows = found.mapped(places(found, tmp_path, certificates))
    assert nodes_of(found) == [("10.1.0.1", "up", 100)]
    assert texts[0] == DEFAULTS
    assert texts[1] == "backend app\n    server a 127.0.0.1:30000\n"
    assert texts[2].startswith(f"frontend web\n    bind 127.0.0.1:31000 ssl crt-list {tmp_path}/2-2.crt-list\n")
    assert texts[2].endswith("\n")
    assert [row.what for row in rows] == [
        f"{tmp_path}/10-app.cfg, line 2: server a",
        f"{tmp_path}/20-web.cfg, line 2: bind",
        f"{tmp_path}/20-web.cfg, line 2: list of certificates",
        f"{tmp_path}/20-web.cfg, line 3: end of the last line",
    ]


def test_problems_of_several_files_have_their_file(tmp_path: Path) -> None:
    text = (
        "frontend web\n    bind :80\n    use_backend app if { path_beg /api }\nbackend app\n    server a 10.1.0.1:80\n"
    )
    with pytest.raises(UnmappableError, match=r"web\.cfg:3:5: use_backend: "):
        HaproxyFile([(tmp_path / "haproxy.cfg", DEFAULTS.encode()), (tmp_path / "web.cfg", text.encode())])


SNI = f"""\
{DEFAULTS}
frontend tls
    mode tcp
    bind 192.0.2.1:443
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend vpn if {{ req.ssl_sni -i vpn.example }}
    default_backend inside
backend vpn
    mode tcp
    server vpn 10.1.0.9:443
backend inside
    mode tcp
    server local 127.0.0.1:8443 send-proxy-v2
frontend web
    bind 127.0.0.1:8443 ssl crt /no/such/x.pem accept-proxy
    default_backend app
backend app
    server a 10.1.0.1:80
"""


@pytest.mark.haproxy
def test_listener_behind_one_that_selects_by_sni_ends_the_tls_of_the_clients(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    found = read(SNI, tmp_path)
    assert (found.plan.host, found.plan.tls, found.plan.listener) == ("balancer.example", "terminate", "192.0.2.1:443")
    assert nodes_of(found) == [("10.1.0.1", "up", 100), ("10.1.0.9", "down", 100)]
    (text,), _ = found.mapped(places(found, tmp_path, certificates))
    assert "bind 127.0.0.1:31000\n" in text
    path = tmp_path / "mapped.cfg"
    path.write_text(text, encoding="utf-8")
    run = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_host_selects_the_backend_before_a_listener_of_the_same_file(tmp_path: Path) -> None:
    plan = read(SNI, tmp_path, "vpn.example").plan
    assert (plan.host, plan.tls, str(plan.nodes[0].key)) == ("vpn.example", "passthrough", "10.1.0.9")
    text = SNI.replace("default_backend inside", "use_backend inside if { req.ssl_sni -i app.example }")
    plan = read(text, tmp_path, "app.example").plan
    assert (plan.host, plan.tls, str(plan.nodes[0].key)) == ("app.example", "terminate", "10.1.0.1")


def test_connections_for_which_the_machine_has_too_few_open_files_are_less_in_the_lab(
    tmp_path: Path, certificates: TestCertificates
) -> None:
    listen = "listen app\n    bind :80\n    maxconn 80000\n    server a 10.1.0.1:80\n"
    for written, here in (("100000", "4000"), ("4000", "4000"), ("", "")):
        found = read(f"global\n    maxconn {written}\n{DEFAULTS}{listen}", tmp_path)
        (text,), rows = found.mapped(places(found, tmp_path, certificates))
        assert f"global\n    maxconn {here}\n" in text
        assert "    maxconn 80000\n" in text
        assert (rows[0].what == "line 2: maxconn") == (written != here)


def test_clients_have_their_own_addresses_where_requests_are_counted_by_address(tmp_path: Path) -> None:
    listen = f"{DEFAULTS}listen app\n    bind :80\n    server a 10.1.0.1:80\n"
    assert not read(listen, tmp_path).plan.own_addresses
    assert read(f"{listen}    http-request track-sc0 src\n", tmp_path).plan.own_addresses
    assert not read(f"{listen}    http-request track-sc0 hdr(host)\n", tmp_path).plan.own_addresses
