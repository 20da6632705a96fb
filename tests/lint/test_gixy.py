"""The findings of gixy beside those of nlbgen."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.lint import gixy
from nlbgen.readers.load import read

if TYPE_CHECKING:
    from tests.conftest import RunCommand

TEXT = """events {}
http {
    include site.conf;
}
"""
SITE = """server {
    listen 127.0.0.1:8080;
    server_tokens on;
    location /i { alias /data/; }
}
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "site.conf").write_text(SITE, encoding="utf-8")
    path = tmp_path / "nginx.conf"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_findings_have_the_line_of_the_included_file(main: Path) -> None:
    found = gixy.findings(str(main), read(main))
    by_id = {one.rule.id: one for one in found}
    version = by_id["gixy-version-disclosure"]
    assert version.location == (str(main.parent / "site.conf"), 3, 5)
    assert version.rule.severity == "warning"
    assert all(one.rule.source.startswith("https://") for one in found)
    assert all(text and not text.endswith(".") for one in found for text in (one.rule.why, one.rule.instead))
    assert "gixy-alias-traversal" in by_id
    assert list(version.rule.check(read(main))) == []


def test_command_reports_and_ignores_them(main: Path, cli: "RunCommand") -> None:
    site = main.parent / "site.conf"
    site.write_text(SITE.replace("on;", "on; # nlbgen: ignore[gixy-version-disclosure] inside"), encoding="utf-8")
    found = json.loads(cli("lint", "--format", "json", str(main)).out)[0]["findings"]
    assert {"gixy-alias-traversal"} <= {one["id"] for one in found}
    assert "gixy-version-disclosure" not in {one["id"] for one in found}
    sarif = json.loads(cli("lint", "--format", "sarif", str(main)).out)["runs"][0]
    assert "gixy-alias-traversal" in {rule["id"] for rule in sarif["tool"]["driver"]["rules"]}


def test_rules_that_nlbgen_has_too_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("http { server { listen 443 ssl; } }", encoding="utf-8")
    assert "gixy-weak-ssl-tls" not in {one.rule.id for one in gixy.findings(str(path), read(path, "nginx"))}


def test_without_gixy_there_are_no_findings(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gixy, "find_spec", lambda _name: None)
    assert gixy.findings(str(main), read(main)) == ()


def test_other_vendors_are_not_given_to_gixy(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text("global\n    daemon\n", encoding="utf-8")
    assert gixy.findings(str(path), read(path)) == ()


def test_gixy_that_fails_is_a_note(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(main))
    (found,) = gixy.findings(str(main), read(main))
    assert (found.rule.id, found.rule.severity, found.message) == ("gixy-no-result", "note", "gixy gave no result")


def test_gixy_that_takes_too_long_is_a_note(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gixy, "_SECONDS", 0)
    (found,) = gixy.findings(str(main), read(main))
    assert found.message == "gixy gave no result within 0 s"


@pytest.mark.parametrize(("value", "is_found"), [("other", False), ("host.example:80", True)])
def test_a_map_of_upstreams_needs_no_resolver(value: str, is_found: bool, tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(
        "events {}\nhttp {\n    upstream web { server 10.0.0.1; }\n    upstream other { server 10.0.0.2; }\n"
        f"    map $host $pool {{ default web; a.example {value}; }}\n"
        "    server {\n        listen 80;\n        location / {\n            proxy_pass http://$pool;\n"
        "        }\n    }\n}\n",
        encoding="utf-8",
    )
    ids = {one.rule.id for one in gixy.findings(str(path), read(path))}
    assert ("gixy-missing-resolver" in ids) is is_found
