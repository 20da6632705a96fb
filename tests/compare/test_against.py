"""`nlbgen render VENDOR --against FILE`: rules, nodes, values and statements, by what they do."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.compare import comparison, haproxy, nodes, values
from nlbgen.compare.comparison import Comparison, compare
from nlbgen.compare.report import data, pieces, summary, text
from nlbgen.compare.rules import rule_changes
from nlbgen.core.errors import UnsupportedError, UsageError
from nlbgen.generators.base import generator, render
from nlbgen.readers.haproxy.reader import read_text
from nlbgen.spec.load import Spec, load, loads
from nlbgen.takeover.haproxy import importer
from nlbgen.takeover.importers import IMPORTERS

if TYPE_CHECKING:
    from nlbgen.takeover.values import Values
    from tests.conftest import RunCommand

EXAMPLE = Path(__file__).parents[2] / "examples" / "farm.yaml"
FOREIGN = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    option redispatch
    errorfile 503 /etc/haproxy/errors/503.http
frontend orchestrator
    bind :443 ssl crt /etc/ssl/orchestrator.pem ssl-min-ver TLSv1.0
    default_backend nodes
backend nodes
    balance hdr(X-Client)
    option httpchk GET /
    server web-1 10.20.0.11:80 check inter 5s weight 2
    server web-2 10.20.0.12:80 check weight 1
    server web-3 10.20.0.13:80 check backup weight 1
"""


@pytest.fixture
def spec() -> Spec:
    return load(EXAMPLE)


def compared(spec: Spec, tmp_path: Path, content: str = FOREIGN, vendor: str = "haproxy") -> Comparison:
    file = tmp_path / "old.cfg"
    file.write_text(content, encoding="utf-8")
    return compare(spec, vendor, file)


def by_name(found: Comparison) -> dict[str, tuple[str, str]]:
    return {one.name: (one.today, one.then) for one in found.differences}


def taken(content: str) -> "Values":
    return importer.take(read_text(content, "x.cfg"), "x.cfg").values


def farm(servers: str, frontend: str = "bind :80") -> str:
    return f"defaults\n mode http\nfrontend f\n {frontend}\n default_backend b\nbackend b\n {servers}\n"


# Rules


def test_a_rule_that_only_todays_file_breaks_is_cured(spec: Spec, tmp_path: Path) -> None:
    found = {one.rule.id: one for one in compared(spec, tmp_path).rules}
    change = found["haproxy-tls-version"]
    assert (change.kind, change.then) == ("cured", ())
    assert [(one.location.line, one.location.column) for one in change.today] == [(9, 61)]


def test_rules_that_stay_or_are_new_are_named() -> None:
    with_check = farm("server a 10.0.0.1:80 check inter 60s\n server b 10.0.0.2:80 check inter 60s")
    without = farm("server a 10.0.0.1:80\n server b 10.0.0.2:80")
    kinds = {one.rule.id: one.kind for one in rule_changes(read_text(with_check, "a"), read_text(without, "b"))}
    assert kinds["haproxy-no-check"] == "new"
    assert kinds["haproxy-slow-detection"] == "cured"
    assert kinds["haproxy-small-buffers"] == "stays"


def test_rules_are_sorted_new_first_then_by_severity() -> None:
    today = farm("server a 10.0.0.1:80 check inter 60s\n server b 10.0.0.2:80 check inter 60s")
    then = farm("server a 10.0.0.1:80\n server b 10.0.0.2:80")
    changes = rule_changes(read_text(today, "a"), read_text(then, "b"))
    keys = [
        (("new", "stays", "cured").index(one.kind), ("error", "warning", "note").index(one.rule.severity))
        for one in changes
    ]
    assert keys == sorted(keys)
    assert {one.kind for one in changes} == {"new", "stays", "cured"}


def test_an_ignored_finding_counts_because_the_comment_changes_no_behaviour() -> None:
    ignored = farm("server b 10.0.0.2:80 check\n # nlbgen: ignore[haproxy-no-check] known\n server a 10.0.0.1:80")
    changes = {one.rule.id: one for one in rule_changes(read_text(ignored, "a"), read_text(farm(""), "b"))}
    assert changes["haproxy-no-check"].kind == "cured"
    assert "ignore-no-effect" not in changes


def test_a_comment_without_effect_is_no_behaviour() -> None:
    today = farm("# nlbgen: ignore[haproxy-no-check] none\n server b 10.0.0.2:80 check")
    ids = {one.rule.id for one in rule_changes(read_text(today, "a"), read_text(farm(""), "b"))}
    assert "ignore-no-effect" not in ids


# Values


def test_a_configuration_that_nlbgen_rendered_does_not_differ(spec: Spec, tmp_path: Path) -> None:
    file = next(file for file in render(generator("haproxy"), spec) if file.main)
    found = compared(spec, tmp_path, file.content.decode("utf-8"))
    assert (found.rules, found.differences, found.lines) == ((), (), ())
    assert text(found) == ""


def test_values_that_differ_have_todays_location_and_the_meaning(spec: Spec, tmp_path: Path) -> None:
    found = compared(spec, tmp_path)
    one = next(one for one in found.differences if one.name == "balancer.timeouts.request")
    assert (one.today, one.then) == ("50s", "2m")
    assert [place.line for place in one.locations] == [5]
    assert "in which a node must respond" in one.meaning


def test_equal_times_in_different_units_do_not_differ() -> None:
    found = values.differences(
        taken(farm("timeout server 60s\n server a 10.0.0.1:80")),
        taken(farm("timeout server 1m\n server a 10.0.0.1:80")),
        {},
    )
    assert list(found) == []


def test_a_value_has_the_text_of_the_spec() -> None:
    assert values.written("balancer.timeouts.request", "60s") == "1m"
    assert values.written("frontend.http2", plain=True) == "true"
    assert values.written("balancer.signalr.paths", ["/a", "/b"]) == "/a, /b"


def test_haproxys_defaults_are_not_differences(spec: Spec, tmp_path: Path) -> None:
    named = by_name(compared(spec, tmp_path))
    assert "balancer.health.rise" not in named, "2 is HAProxy's default, and that of the spec"
    assert named["balancer.health.fall"] == ("3 (default)", "2")
    assert "retries" not in named


def test_values_that_differ_between_servers_are_not_called_absent(spec: Spec, tmp_path: Path) -> None:
    named = by_name(compared(spec, tmp_path))
    assert named["balancer.health.interval"] == ("5s (not on every server)", "1s")
    assert named["balancer.algorithm"] == ("hdr(X-Client)", "least-connections")


def test_the_port_and_the_redirect_have_their_defaults_by_the_tls_mode() -> None:
    tls = farm("server a 10.0.0.1:80", "bind :443 ssl crt /a.pem\n bind :80\n redirect scheme https if !{ ssl_fc }")
    clear = farm("server a 10.0.0.1:80", "bind :8080")
    found = {one.name: (one.today, one.then) for one in values.differences(taken(tls), taken(clear), {})}
    assert found["frontend.tls.mode"] == ("terminate", "none")
    assert found["frontend.port"] == ("443", "8080")
    assert found["frontend.redirect_http"] == ("true", "false")


def test_the_limit_of_open_files_counts_only_if_the_file_has_it() -> None:
    calculated = farm("server a 10.0.0.1:80", "bind :80\n maxconn 20000")
    other = farm("server a 10.0.0.1:80", "bind :80\n maxconn 30000")
    names = [one.name for one in values.differences(taken(calculated), taken(other), {})]
    assert names == ["balancer.limits.connections"]
    names = [one.name for one in values.differences(taken(f"global\n ulimit-n 90000\n{calculated}"), taken(other), {})]
    assert names == ["balancer.limits.connections", "balancer.limits.open_files"]


# Nodes


def node_differences(today: str, then: str) -> dict[str, tuple[str, str]]:
    return {one.name: (one.today, one.then) for one in nodes.differences(taken(farm(today)), taken(farm(then)))}


def test_nodes_that_are_added_and_removed() -> None:
    found = node_differences("server a 10.0.0.1:80 backup", "server a [::1]:80")
    assert found == {"node 10.0.0.1:80": ("a (backup)", "not set"), "node [::1]:80": ("not set", "a")}


def test_weights_are_compared_as_shares() -> None:
    ten, hundred = "server a 10.0.0.1:80 weight {}\n server b 10.0.0.2:80 weight {}", ""
    assert node_differences(ten.format(1, 1), ten.format(100, 100)) == {}
    found = node_differences(ten.format(2, 1), ten.format(100, 100) + hundred)
    assert found["node 10.0.0.1:80 weight"] == ("2 of 3", "100 of 200")


def test_a_node_on_another_port_with_another_name_or_state() -> None:
    found = node_differences("server a 10.0.0.1:80 disabled", "server b 10.0.0.1:8080")
    assert found == {
        "node 10.0.0.1:80 port": ("80", "8080"),
        "node 10.0.0.1:80 state": ("down", "up"),
        "node 10.0.0.1:80 name": ("a", "b"),
    }


def test_two_nodes_of_one_address_are_matched_by_their_ports() -> None:
    both = "server a 10.0.0.1:80\n server b 10.0.0.1:81"
    assert node_differences(both, "server b 10.0.0.1:81\n server a 10.0.0.1:80") == {}
    found = node_differences(both, "server c 10.0.0.1:82")
    assert found == {
        "node 10.0.0.1:80": ("a", "not set"),
        "node 10.0.0.1:81": ("b", "not set"),
        "node 10.0.0.1:82": ("not set", "c"),
    }


# Directives of HAProxy


def directive(today: str, then: str) -> dict[str, tuple[str, str]]:
    return {one.name: (one.today, one.then) for one in haproxy.differences(read_text(today, "a"), read_text(then, "b"))}


@pytest.mark.parametrize(
    ("options", "bind", "version"),
    [
        ("ssl-min-ver TLSv1.1", "", "TLSv1.1"),
        ("ssl-min-ver TLSv1.1", "ssl-min-ver TLSv1.3", "TLSv1.3"),
        ("", "force-tlsv12", "TLSv1.2"),
        ("force-tlsv13", "", "TLSv1.3"),
        ("no-sslv3 no-tlsv10", "", "TLSv1.1 or HAProxy's default"),
        ("", "", "not set"),
    ],
)
def test_the_lowest_tls_version_comes_from_the_bind_line_or_the_global_options(
    options: str, bind: str, version: str
) -> None:
    begin = f"global\n ssl-default-bind-options {options}\n" if options else ""
    today = begin + farm("server a 10.0.0.1:80", f"bind :443 ssl crt /a.pem {bind}")
    found = directive(today, farm("server a 10.0.0.1:80"))
    assert found["lowest TLS version"] == (version, "no TLS")


@pytest.mark.parametrize(
    ("servers", "kind"),
    [
        ("server a 10.0.0.1:80 check", "TCP"),
        ("option httpchk\n server a 10.0.0.1:80 check\n server b 10.0.0.2:80", "HTTP (not on every server)"),
    ],
)
def test_how_nodes_are_checked(servers: str, kind: str) -> None:
    assert directive(farm(servers), farm("server a 10.0.0.1:80"))["checks"] == (kind, "none")


def test_timeouts_without_whole_milliseconds_keep_their_text() -> None:
    found = directive(farm("server a 10.0.0.1:80", "bind :80\n timeout client 1500us"), farm("server a 10.0.0.1:80"))
    assert found["timeout client"] == ("1500us", "not set")


def test_configurations_without_a_farm_have_no_directives() -> None:
    assert directive("global\n", "global\n") == {}
    assert haproxy.in_force(read_text("global\n", "a")) == {}


def test_checks_that_are_not_http_expect_no_status() -> None:
    found = haproxy.in_force(read_text(farm("server a 10.0.0.1:80 check"), "a"))
    assert found["balancer.health.expect"] == "not set"
    written = farm("option httpchk\n http-check expect string OK\n server a 10.0.0.1:80 check")
    assert haproxy.in_force(read_text(written, "a"))["balancer.health.expect"] == "string OK"


# NGINX


NGINX = """events {{ }}
http {{
    upstream web {{ server 10.20.0.11:443; server 10.20.0.12:443; }}
    server {{
        listen 443 ssl;
        server_name orchestrator.corp.example;
        ssl_certificate /a.pem;
        ssl_certificate_key /a.key;
        location / {{ proxy_pass https://web; {more} }}
    }}
}}
"""


def test_nginxs_defaults_are_shown_unless_the_directive_is_written(spec: Spec, tmp_path: Path) -> None:
    named = by_name(compared(spec, tmp_path, NGINX.format(more=""), "nginx"))
    assert named["balancer.timeouts.request"] == ("1m (default)", "2m")
    assert named["balancer.signalr.idle_timeout"] == ("1m (default)", "1h")
    assert named["balancer.max_body"] == ("1MB (default)", "300MB")
    named = by_name(compared(spec, tmp_path, NGINX.format(more="proxy_read_timeout 90s;"), "nginx"))
    assert named["balancer.timeouts.request"] == ("90s", "2m")


# Statements, and configurations that cannot be compared


def test_statements_without_a_counterpart_are_listed(spec: Spec, tmp_path: Path) -> None:
    found = compared(spec, tmp_path, FOREIGN.replace("    option redispatch\n", "    http-request unknown x\n"))
    fates = {(line.location.line, line.fate) for line in found.lines}
    assert {(7, "given up"), (6, "not understood"), (12, "given up")} <= fates


def test_parts_that_the_reader_does_not_understand_are_listed(spec: Spec, tmp_path: Path) -> None:
    shown = text(compared(spec, tmp_path, FOREIGN.replace("    option redispatch\n", "    nosuch x\n")))
    assert ":6:5: not understood: HAProxy 2.0 to 3.4 have no directive nosuch in defaults\n" in shown


def test_a_file_without_a_farm_is_compared_by_rules_only(spec: Spec, tmp_path: Path) -> None:
    found = compared(spec, tmp_path, "frontend f\n bind :443 ssl crt /a ssl-min-ver TLSv1.0\n")
    assert "no frontend has servers" in found.not_compared
    assert "haproxy-tls-version" in {one.rule.id for one in found.rules}
    assert "differ" not in summary(found)


def test_a_vendor_without_an_importer_is_compared_by_rules_only(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "IMPORTERS", {})
    found = compared(spec, tmp_path)
    assert found.not_compared == "nlbgen does not take over configurations of haproxy"
    assert "only the rules are compared: nlbgen does not take over" in text(found)
    assert found.rules


@pytest.mark.parametrize("vendor", sorted(IMPORTERS))
def test_nlbgens_own_configuration_does_not_differ(spec: Spec, tmp_path: Path, vendor: str) -> None:
    file = next(file for file in render(generator(vendor), spec) if file.main)
    found = compared(spec, tmp_path, file.content.decode("utf-8"), vendor)
    assert (found.not_compared, text(found)) == ("", "")


@pytest.mark.parametrize(
    ("vendor", "message"),
    [
        ("zen", "nlbgen does not read its configurations"),
        ("nodes", "it is not a load balancer"),
        ("nginx", "it is a configuration of haproxy, not of nginx"),
    ],
)
def test_other_vendors_are_usage_errors(spec: Spec, tmp_path: Path, vendor: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compared(spec, tmp_path, vendor=vendor)


def test_a_farm_that_the_vendor_does_not_support_is_refused(tmp_path: Path) -> None:
    unsupported = EXAMPLE.read_text(encoding="utf-8").replace("affinity: none", "affinity: cookie")
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { listen 80; } }\n", encoding="utf-8")
    with pytest.raises(UnsupportedError):
        compare(loads(unsupported), "nginx", tmp_path / "nginx.conf")


# The report


def test_data_has_the_same_parts_as_the_text(spec: Spec, tmp_path: Path) -> None:
    found = compared(spec, tmp_path)
    shown: Any = json.loads(json.dumps(data(found)))
    assert [one["id"] for one in shown["rules"]] == [one.rule.id for one in found.rules]
    assert shown["values"][0]["locations"][0]["line"] == 14
    assert {one["fate"] for one in shown["statements"]} == {"given up"}
    assert (shown["vendor"], shown["rendered"]) == ("haproxy", "haproxy/haproxy.cfg")
    kinds = {piece.kind for piece in pieces(found)}
    assert kinds == {"cured", "value", "statement", "detail"}


def test_a_new_rule_is_shown_with_its_location_in_the_rendered_file() -> None:
    servers = "server b 10.0.0.2:80 check\n server a 10.0.0.1:80"
    today, then = (read_text(farm(servers + end), name) for end, name in ((" check", "a"), ("", "b")))
    shown = text(Comparison("haproxy", "a", "b", rule_changes(today, then)))
    assert "new: haproxy-no-check (error)" in shown
    assert "    today: no finding\n    then: b:8:2: " in shown


def test_one_difference_is_singular() -> None:
    one = values.Difference("x", "1", "2", "m")
    assert summary(Comparison("haproxy", "a", "b", (), (one,))).endswith(
        "1 value differs, 0 statements without a counterpart"
    )


# The command


def test_the_command_prints_and_writes_nothing(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "old.cfg").write_text(FOREIGN, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    done = cli("render", "haproxy", "-s", EXAMPLE, "--against", "old.cfg")
    assert done.code == 0
    assert "cured: haproxy-tls-version (error)" in done.out
    assert "old.cfg against haproxy/haproxy.cfg: rules: 0 new, 0 stays and " in done.err
    assert "verify haproxy.version" in done.err
    assert sorted(tmp_path.iterdir()) == before
    as_json = cli("render", "haproxy", "-s", EXAMPLE, "--against", "old.cfg", "--format", "json")
    assert json.loads(as_json.out)["file"] == "old.cfg"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("haproxy", "nginx", "--against", "old.cfg"), 2, "--against compares one vendor"),
        (("haproxy", "-s", EXAMPLE, "--against", "old.cfg"), 2, "--against compares one spec"),
        (("haproxy", "--against", "old.cfg", "--diff"), 2, "--diff and --against cannot be combined"),
        (("haproxy", "--format", "json"), 2, "--format json needs --against"),
        (("haproxy", "--against", "absent.cfg"), 1, "absent.cfg"),
    ],
)
def test_the_command_refuses(
    cli: "RunCommand", tmp_path: Path, arguments: tuple[str | Path, ...], code: int, message: str
) -> None:
    (tmp_path / "old.cfg").write_text(FOREIGN, encoding="utf-8")
    done = cli("render", "-s", EXAMPLE if EXAMPLE not in arguments else EXAMPLE.parents[1] / "x.yaml", *arguments)
    assert done.code == code, done.err
    assert message in done.err


def test_a_terminal_gets_colours(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "old.cfg").write_text(FOREIGN, encoding="utf-8")
    done = cli("render", "haproxy", "-s", EXAMPLE, "--against", "old.cfg", env={"FORCE_COLOR": "1"})
    assert "\x1b[32mcured: haproxy-tls-version (error)" in done.out
