"""The report without a browser: what it holds, what it never holds, and the small readers behind it."""

import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.core.errors import ValidationError
from nlbgen.export.markup import digest_source
from nlbgen.export.report import code as report_code
from nlbgen.export.report import markdown as report_markdown
from nlbgen.export.report import page as report
from nlbgen.export.report import reasons as report_reasons
from nlbgen.generators import base
from nlbgen.spec.load import load, loads

if TYPE_CHECKING:
    from tests.conftest import RunCommand

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "farm.yaml"
SECRET = "the-Redis-password-of-this-test"
CONFIGURATIONS = sorted(
    path
    for folder in ("outputs/example", "tests/golden", "tests/golden_f5", "tests/zen/golden")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".cfg", ".conf", ".json"} and "nodes" not in path.parts
)


class Reader(HTMLParser):
    """The elements of a page, and whether they are closed as they were opened."""

    VOID = ("meta", "link", "input", "br", "hr", "img")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "script"}:
            self.raw.append((self.open[-1], data))


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", SECRET)


@pytest.fixture(scope="module")
def page() -> str:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NLBGEN_REDIS_PASSWORD", SECRET)
        return report.render(load(EXAMPLE)).decode()


def of(**changes: object) -> str:
    data = {
        "farm": "orchestrator-test",
        "orchestrator": {"version": "2019.4"},
        "frontend": {"host": "orchestrator.corp.example", "tls": {"verify_nodes": "/etc/ssl/orchestrator/ca.pem"}},
        "nodes": [{"name": "orch-1", "address": "10.20.0.11"}, {"name": "orch-2", "address": "10.20.0.12"}],
        "stores": {"signalr": "redis", "redis": {"host": "redis.corp.example", "port": 6379}},
    }
    return report.render(loads(json.dumps({**data, **changes}))).decode()


# What it holds


def test_page_is_well_formed_and_ids_are_unique(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    ids = [attributes["id"] for _tag, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _tag, attributes in reader.elements:
        for name in ("aria-labelledby", "aria-controls", "data-tab"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
        link = attributes.get("href") or "#"
        assert link == "data:," or link == "#" or link[1:] in ids, link


def test_page_loads_nothing(page: str) -> None:
    reader = Reader(page)
    for tag, attributes in reader.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form", "audio", "video", "source"}
        assert not {"src", "srcset", "action", "style", "onclick", "onload"} & attributes.keys()
        assert tag != "link" or attributes["href"] == "data:,"
    assert not re.search(r"@import|url\(", "".join(text for _tag, text in reader.raw))


def words_of_a_rule(rule: str) -> tuple[str, str]:
    name, sources = rule.strip().split(" ", 1)
    return name, sources


def test_security_policy_allows_only_its_own_styles_and_scripts(page: str) -> None:
    reader = Reader(page)
    policy = next(a["content"] for t, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules: dict[str, str] = dict(map(words_of_a_rule, policy.split(";")))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for kind in ("style", "script"):
        assert rules[f"{kind}-src"].split() == [digest_source(text) for tag, text in reader.raw if tag == kind]


def test_page_is_reproducible(page: str) -> None:
    assert report.render(load(EXAMPLE)).decode() == page


@pytest.mark.parametrize("vendor", base.VENDORS)
def test_page_lists_every_file_with_its_checksum(page: str, vendor: str) -> None:
    for file in base.render(base.generator(vendor), load(EXAMPLE)):
        assert f'id="file-{vendor}-{str(file.path).replace("/", "-")}"' in page
        sums = page.partition('id="checksums"')[2]
        assert f">{vendor}/{file.path}</a></th>" in sums
        assert hashlib.sha256(file.content).hexdigest() in sums


def test_page_contains_digest_plan_and_runbook(page: str) -> None:
    assert page.count(load(EXAMPLE).digest) >= 2
    assert "appSettings/LoadBalancer.UseRedis" in page
    assert "plan digest <code>" in page
    assert '<label><input type="checkbox"> <span>You have a maintenance window' in page
    assert "<h4>1. Copy the scripts to the nodes</h4>" in page


def test_findings_list_accepted_limitations(page: str) -> None:
    """A reader who signs the change off sees that a feature is replaced."""
    findings = page.partition('<section id="findings"')[2].partition("</section>")[0]
    assert "Accepted in the spec</h3>" in findings
    spec = load(EXAMPLE)
    jobs = [base.prepare(base.generator(name), spec, base.Site()) for name in base.VENDORS]
    limits = [limit for job in jobs for limit in job.limitations]
    accepted = [limit for limit in limits if limit.accepted]
    assert 0 < len(accepted) < len(limits)
    assert findings.count("<li>") == len(accepted)
    assert all(f"{limit.title}: {limit.fallback}" in unescape(findings) for limit in accepted)


def test_findings_of_a_spec_that_accepts_nothing_do_not_speak_of_acceptance() -> None:
    assert "Accepted in the spec" not in of(accept=[])


def test_page_contains_no_secret(page: str) -> None:
    values = {SECRET}
    for node in ("orch-1", "orch-2"):
        text = (EXAMPLE.parent / "inputs" / node / "web.config").read_text(encoding="utf-8")
        values |= set(re.findall(r'(?:EncryptionKey|ApiKey)" value="([^"]{8,})"', text))
        values |= set(re.findall(r'(?:validation|decryption)Key="([^"]{8,})"', text))
    assert len(values) > 6
    for value in values:
        assert value not in page
    secret = re.findall(r"<tr><th scope=\"row\">(nodes/[^<]+)</th><td></td><td>contains secrets</td></tr>", page)
    assert "nodes/orch-1/web.config" in secret
    for path in secret:
        assert page.count(path) == 1


def test_page_without_a_secret_shows_the_plan_with_a_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLBGEN_REDIS_PASSWORD")
    page = report.render(load(EXAMPLE)).decode()
    assert "&lt;from NLBGEN_REDIS_PASSWORD, not set&gt;" in page
    assert "the environment variable NLBGEN_REDIS_PASSWORD is not set" in page
    assert "plan digest" not in page
    assert "<h4>1. Copy the scripts to the nodes</h4>" in page


def test_page_without_a_plan_does_not_depend_on_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    page = report.render(load(EXAMPLE), planned=False)
    monkeypatch.delenv("NLBGEN_REDIS_PASSWORD")
    assert report.render(load(EXAMPLE), planned=False) == page
    assert b"There is no plan: it needs the farm" in page
    assert b"<h4>1. Copy the scripts to the nodes</h4>" in page


def test_page_without_node_files_explains_the_missing_plan() -> None:
    page = of()
    assert "There is no plan: the spec has no `config` for orch-1" in page
    assert "There is no runbook: the spec has no `config` for orch-1" in page


def test_page_names_each_of_several_servers_of_redis() -> None:
    servers = ["redis-1.corp.example:6379", "redis-2.corp.example:6380", "redis-3.corp.example"]
    page = of(stores={"signalr": "redis", "redis": {"endpoints": servers}})
    for server in (*servers[:2], "redis-3.corp.example:6379"):
        assert server in page
    assert "redis-replicas" in page


# Findings


def test_findings_show_warnings_and_errors_with_hints() -> None:
    page = of(
        balancer={"slow_start": "30s", "timeouts": {"queue": "10s"}},
        nginx={"version": "1.22"},
        stores={"signalr": "sqlserver"},
    )
    findings = page.partition('id="findings"')[2].partition("</section>")[0]
    assert '<li class="warning">' in findings
    assert "What to do:</span> write <code>signalr: redis</code>" in findings
    assert "<code>nginx-slow-start</code>" in findings
    assert findings.index('class="error"') < findings.index('class="warning"')
    panel = page.partition('id="panel-nginx"')[2].partition('id="panel-')[0]
    assert "No configuration: the farm requests features that this vendor does not support." in panel
    assert "nginx.conf" not in panel.partition("</ul>")[0]


def test_page_is_only_about_the_vendors_that_the_spec_names() -> None:
    page = of(balancer={"slow_start": "30s"}, accept=[], haproxy={"version": "2.6"})
    assert 'class="error"' not in page
    assert "The spec does not name NGINX, Zen Load Balancer and F5 BIG-IP." in page
    assert 'id="panel-nginx"' not in page and "nginx-slow-start" not in page
    assert page.partition('id="vendors"')[2].partition("</section>")[0].count('<th scope="col">') == 2


def test_page_of_a_spec_without_vendors_is_about_those_that_accept_the_farm() -> None:
    page = of(balancer={"slow_start": "30s"}, accept=[])
    assert 'id="panel-haproxy"' in page and 'id="panel-nginx"' not in page
    assert 'class="error"' not in page


def test_findings_come_first_and_those_of_the_nodes_files_before_the_others(page: str) -> None:
    assert page.index('id="findings"') < page.index('id="topology"')
    findings = page.partition('<section id="findings"')[2].partition("</section>")[0]
    assert findings.index("session-inproc") < findings.index("Accepted in the spec")


def test_node_without_a_change_has_no_empty_table(tmp_path: Path) -> None:
    page = report.render(load(EXAMPLE)).decode()
    assert "<tbody>\n</tbody>" not in page


def test_panel_of_a_vendor_lists_accepted_limitations(page: str) -> None:
    panel = page.partition('id="panel-nginx"')[2].partition('id="panel-zen"')[0]
    assert "<h4>Fallbacks</h4>" in panel
    assert "a node that recovers gets its full share at once" in panel


def test_page_shows_the_verdict_of_each_program_on_request() -> None:
    asked: list[str] = []

    def accept(vendor: str) -> str:
        asked.append(vendor)
        return f"{vendor}: <fine>"

    page = report.render(load(EXAMPLE), verdict=accept).decode()
    assert asked == list(base.VENDORS)
    assert '<p class="verdict">nginx: &lt;fine&gt;</p>' in page

    def refuse(vendor: str) -> str:
        raise ValidationError(f"{vendor} refuses")

    with pytest.raises(ValidationError):
        report.render(load(EXAMPLE), verdict=refuse)


# Code and its reasons


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.relative_to(ROOT).as_posix())
@pytest.mark.no_cover  # other tests reach the same lines
def test_highlighting_keeps_every_character(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    place = path.relative_to(ROOT).as_posix()
    name = f"haproxy.service.d/{path.name}" if "service.d" in place else path.name
    lines = report_code.highlighted(name, text)
    assert "".join(f"{line}\n" for line in report_code.words_of(lines)) == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=200))
@pytest.mark.parametrize("name", ["haproxy.cfg", "farm_proxy.cfg", "bigip.conf"])
def test_lexers_keep_every_line(name: str, text: str) -> None:
    shown = list(report_code.words_of(report_code.highlighted(name, text)))
    assert len(shown) == (len(text.removesuffix("\n").split("\n")) if text else 0)


def reasons(name: str, vendor: str) -> dict[str, str]:
    text = (ROOT / "outputs" / "example" / vendor / name).read_text(encoding="utf-8")
    lines = report_code.highlighted(name, text)
    return dict(
        zip((word.strip() for word in report_code.words_of(lines)), (line.reason for line in lines), strict=True)
    )


def test_reason_of_a_line_is_the_comment_above_it() -> None:
    found = reasons("haproxy.cfg", "haproxy")
    assert found["timeout tunnel 1h"].startswith("Idle timeout of WebSockets")
    assert found["timeout server-fin 30s"].startswith("A half-closed connection is closed")
    (line,) = (line for line in found if line.startswith("http-request del-header ^(ms-aspnetcore-"))
    assert found[line].startswith("ASP.NET and IIS modules trust these headers.")
    assert found["server-state-file /var/lib/haproxy/server-state"].endswith("A node that is down then gets requests.")
    assert found["defaults"] == "", "a comment does not reach over a blank line"
    assert found["global"] == "", "the header is no reason"
    nginx = reasons("nginx.conf", "nginx")
    assert nginx["keepalive_requests 1000;"].startswith("NGINX closes an idle connection before IIS does")
    assert nginx["ssl_session_tickets off;"].startswith("TLS to clients")


def test_reasons_of_f5_and_zen_come_from_a_table() -> None:
    found = reasons("bigip.conf", "f5")
    assert found["idle-timeout 3600"].startswith("Keeps idle robots connected")
    assert found['HTTP::header remove "Upgrade"'].startswith("Removes headers")
    assert found["pool /Common/orchestrator-prod_unchecked"].startswith("Selects the pool without a monitor")
    assert found["ltm pool /Common/orchestrator-prod_unchecked {"].startswith("All nodes without a monitor")
    assert found["ltm pool /Common/orchestrator-prod_web {"].startswith("The nodes for one kind of request")
    (golden,) = (path for path in CONFIGURATIONS if path.parts[-3:] == ("golden_f5", "redis", "bigip.conf"))
    lines = golden.read_text(encoding="utf-8").splitlines()
    front = dict(zip(lines, report_reasons.by_object(lines), strict=True))
    assert front["ltm monitor tcp /UiPath/orchestrator-prod_health_redis {"].startswith("Asks each Redis server")
    assert front["ltm virtual /UiPath/orchestrator-prod_redis_front {"].startswith("The Redis frontend")
    zen = reasons("orchestrator-prod_proxy.cfg", "zen")
    assert zen["WSTimeOut	3600"] == "The idle timeout of a WebSocket."


@pytest.mark.parametrize("vendor", ["f5", "zen"])
def test_every_rendered_object_type_has_a_reason(vendor: str) -> None:
    """What docs/vendors/ explains at length has its short reason; what only opens a block needs none."""
    if vendor == "f5":
        kinds = {
            line
            for path in CONFIGURATIONS
            if path.name == "bigip.conf"
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("ltm ")
        }
        assert all(any(kind.startswith(known) for known in report_reasons.F5_OBJECTS) for kind in kinds)
        return
    words = {
        line.split()[0]
        for path in CONFIGURATIONS
        if path.name.endswith(("_proxy.cfg", "_pound.cfg"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.strip().startswith("#")
    }
    assert set(report_reasons.POUND_DIRECTIVES) - {"Weight", "Emergency"} <= words | {"Redirect", "RedirectAppend"}


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("# why\na\nb\n", ["", "why", "why"]),
        ("# why\n# and how\na\n", ["", "", "why and how"]),
        ("# one\na\n# two\nb\n", ["", "one", "", "two"]),
        ("# outer\n{\n    a\n    # inner\n    b\n}\nc\n", ["", "outer", "outer", "", "inner", "outer", "outer"]),
        ("# outer\n{\n    # inner\n    a\n\n    b\n}\n", ["", "outer", "", "inner", "", "outer", "outer"]),
        ("# why\n\na\n", ["", "", ""]),
        ("# made by\n# Do not edit: x\n# why\na\n", ["", "", "", "why"]),
        ("# made by\n# Do not edit: x\na\n", ["", "", ""]),
        ("a\n#no reason\nb\n", ["", "", ""]),
    ],
)
def test_comment_applies_to_the_lines_of_its_block(text: str, wanted: list[str]) -> None:
    assert report_reasons.commented(text.splitlines()) == wanted


# Markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "![x](https://nlbgen.invalid/x.png)",
        "[x](https://nlbgen.invalid/)",
        "[x](javascript:alert(1))",
        "<https://nlbgen.invalid/>",
        "[x]: https://nlbgen.invalid\n\n[x]",
        "<!-- a -->\n<b>x</b>",
    ],
)
def test_markdown_escapes_foreign_elements(text: str) -> None:
    elements = {tag for tag, _attributes in Reader(report_markdown.rendered(text, level=3)).elements}
    assert elements <= {"p"}


def test_markdown_renders_headings_checkboxes_tables_and_code() -> None:
    text = "<!--\nmade by\n-->\n# A\n\n## B\n\n- [ ] do `this`\n- not\n\n| a |\n|---|\n| b |\n\n```sh\nx <y>\n```\n"
    made = report_markdown.rendered(text, level=3)
    assert "made by" not in made
    assert "<h3>A</h3>" in made
    assert "<h4>B</h4>" in made
    assert '<label><input type="checkbox"> <span>do <code>this</code></span></label>' in made
    assert "<td>b</td>" in made
    assert "x &lt;y&gt;" in made


# The command


def test_command_writes_the_page(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_bytes(EXAMPLE.read_bytes())
    ran = cli("report")
    assert (ran.code, ran.out, ran.err.split()) == (0, "", ["wrote", str(Path("outputs/report.html"))])
    assert (tmp_path / "outputs" / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert cli("report", "-o", "page.html").code == 0
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "outputs" / "report.html").read_bytes()
    assert cli("report", "-o", "outputs").err.split() == ["wrote", str(Path("outputs/report.html"))]


@pytest.mark.haproxy
@pytest.mark.nginx
def test_command_with_validate_runs_the_installed_programs(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_bytes(EXAMPLE.read_bytes())
    assert cli("report", "--validate", "-o", "page.html").code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.search(r'class="verdict">(?:not )?checked(?: by|:) .*HAProxy', page)


def test_command_on_a_fleet_writes_a_page_per_valid_farm(cli: "RunCommand", tmp_path: Path) -> None:
    (tmp_path / "farms").mkdir()
    for name in ("one", "two"):
        text = EXAMPLE.read_text(encoding="utf-8").replace("orchestrator-prod", f"farm-{name}")
        (tmp_path / "farms" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "farms" / "bad.yaml").write_text("farm: 7\n", encoding="utf-8")
    ran = cli("report", "-s", "farms", "-o", "out")
    assert ran.code == 3
    assert sorted(path.as_posix() for path in (tmp_path / "out").rglob("*.html")) == [
        (tmp_path / "out" / f"farm-{name}" / "report.html").as_posix() for name in ("one", "two")
    ]


# Robots


def robot_farm(robots: int | None, *nodes: tuple[str, int, str]) -> str:
    """The report of a farm with these nodes: name, weight, state."""
    data = {
        "farm": "farm-1",
        "orchestrator": {"version": "2019.4", **({"robots": robots} if robots else {})},
        "frontend": {"host": "orchestrator.corp.example", "tls": {"mode": "none"}},
        "nodes": [
            {"name": name, "address": f"10.20.0.{number}", "weight": weight, "state": state}
            for number, (name, weight, state) in enumerate(nodes, 11)
        ],
        "stores": {"signalr": "redis", "redis": {"host": "redis-1.corp.example", "port": 6379}},
    }
    return report.render(loads(json.dumps(data)), planned=False).decode()


def test_report_shows_the_robots_of_each_node_around_a_failure() -> None:
    text = robot_farm(1000, ("orch-1", 1, "up"), ("orch-2", 2, "up"), ("orch-3", 1, "up"), ("orch-4", 9, "drain"))
    section = text.partition('aria-label="Robots of the nodes"')[2].partition("</table>")[0]
    rows = [re.findall(r">([^<>]+)</t[hd]>", row) for row in section.split("<tr>")[2:]]
    assert rows == [["orch-1", "250", "500", "500"], ["orch-2", "500", "0", "0"], ["orch-3", "250", "500", "500"]]
    assert "If orch-2 fails" in text


def test_report_has_no_table_of_robots_without_their_number_or_a_second_node() -> None:
    two = (("orch-1", 1, "up"), ("orch-2", 1, "up"))
    assert "Robots of the nodes" not in robot_farm(None, *two)
    assert "Robots of the nodes" not in robot_farm(500, ("orch-1", 1, "up"), ("orch-2", 1, "down"))
