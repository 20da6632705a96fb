"""`nlbgen prove --config`: a configuration that nlbgen did not write shows its known failures."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nlbgen.cli import main
from nlbgen.prove.lab import bench

pytestmark = [pytest.mark.slow, pytest.mark.haproxy, pytest.mark.nginx]

CONFIGURATION = """\
global
    user no-such-user
    chroot /no/such/folder
    daemon
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind 192.0.2.1:443 ssl crt /no/such/site.pem
    use_backend iis if { hdr(host) -i app.corp.example }
backend iis
    balance leastconn
    option httpchk GET /health
    server a 10.1.0.1:8080 check
    server b 10.1.0.2:8080 check
"""
"""Three failed checks mark a node down; until then requests fail, because they are not tried again elsewhere."""


def prove(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run `nlbgen prove haproxy --config haproxy.cfg` in this process and return the exit code."""
    monkeypatch.setattr(sys, "argv", ["nlbgen", "prove", "haproxy", "--config", "haproxy.cfg", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def assert_exceeded(scenario: dict[str, Any], name: str, *, note: str) -> None:
    """Assert a value beyond its limit; on a machine at its limit, the verdict is inconclusive."""
    assert scenario["state"] in {"missed", "inconclusive"}, scenario["reason"]
    figure = next(one for one in scenario["figures"] if one["name"] == name)
    assert figure["value"] > figure["limit"]
    assert note in figure["note"]


@pytest.mark.no_cover  # other tests reach the same lines
def test_prove_config_runs_scenarios_and_skips_those_of_changed_farms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text(CONFIGURATION, encoding="utf-8")
    scenarios = [word for name in ("kill", "reload-states") for word in ("--scenario", name)]
    assert prove(*scenarios, "--format", "json", monkeypatch=monkeypatch) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["farm"], data["nodes"]) == ("haproxy.cfg", 2)
    kill, states = data["scenarios"]
    assert_exceeded(kill, "failed_gets", note="http 503")
    assert states["state"] == "not played"
    assert states["reason"] == "it sets a node to `down` in the spec, and nlbgen did not write this configuration"
    assert {"live": "192.0.2.1:443"}.items() <= next(one for one in data["mapping"] if "bind" in one["what"]).items()


def test_prove_config_runs_signalr_with_the_affinity_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_cookie = CONFIGURATION.replace("8080 check", "8080 check inter 1s cookie one", 1).replace(
        "b 10.1.0.2:8080 check", "b 10.1.0.2:8080 check inter 1s cookie two"
    )
    with_cookie = with_cookie.replace("balance leastconn", "balance leastconn\n    cookie NODE insert indirect")
    Path("haproxy.cfg").write_text(with_cookie, encoding="utf-8")
    arguments = ["prove", "haproxy", "--config", "haproxy.cfg", "--scenario", "signalr-2", "--format", "json"]
    monkeypatch.setattr(sys, "argv", ["nlbgen", *arguments])
    main()
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    figures = {one["name"]: one for one in scenario["figures"]}
    assert scenario["state"] == "passed"
    assert (figures["failed_with_affinity"]["value"], figures["failed_with_affinity"]["of"]) == (0, 12)
    assert "affinity cookie" in figures["failed_with_affinity"]["note"]
    other = figures["failed_without_affinity"]
    assert (other["value"], other["verdict"]) == (None, "shown")
    assert other["note"] == "the configuration has affinity cookie"


def test_prove_config_with_a_file_that_the_program_refuses_shows_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text(CONFIGURATION.replace("balance leastconn", "balance nonsense"), encoding="utf-8")
    assert prove("--scenario", "kill", monkeypatch=monkeypatch) == 1
    shown = capsys.readouterr().err
    assert "balance only supports" in shown
    assert "the mapped text, which --diff shows" in shown


ANSWERED = (
    ("redirect location https://other.example/", '302, Location: "https://other.example/"'),
    ("deny deny_status 403", "403"),
)


@pytest.mark.parametrize(("rule", "answer"), ANSWERED)
def test_prove_config_that_answers_by_itself_ends_with_the_listener_and_the_answer(
    rule: str, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "ANSWER_SECONDS", 0.0)
    rule = f"    http-request {rule} if {{ rand(1) eq 0 }}\n"
    text = CONFIGURATION.replace("    use_backend iis", f"{rule}    use_backend iis")
    Path("haproxy.cfg").write_text(text, encoding="utf-8")
    assert prove("--scenario", "kill", monkeypatch=monkeypatch) == 1
    shown = capsys.readouterr().err
    assert "node-1, node-2: no request arrives there within 0 s" in shown
    what = "haproxy.cfg: the listener 192.0.2.1:443: GET https://app.corp.example/odata/Jobs"
    assert f"{what} is answered by the balancer itself with status {answer}\n" in shown


def test_prove_config_without_one_of_its_nodes_ends_with_those_that_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(bench, "ANSWER_SECONDS", 9.0)
    text = CONFIGURATION.replace("balance leastconn", "balance leastconn\n    use-server a if { src 127.0.0.0/8 }")
    Path("haproxy.cfg").write_text(text, encoding="utf-8")
    assert prove("--scenario", "kill", monkeypatch=monkeypatch) == 1
    shown = capsys.readouterr().err
    assert "node-2: no request arrives there within 0 s" in shown
    assert "is answered by node-1 with status 200; node-1 answered " in shown


def test_prove_config_whose_listener_closes_connections_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "SETTLE_SECONDS", 0.0)
    rule = "    tcp-request connection reject if { src 127.0.0.0/8 }\n"
    text = CONFIGURATION.replace("    use_backend iis", f"{rule}    use_backend iis")
    Path("haproxy.cfg").write_text(text, encoding="utf-8")
    assert prove("--scenario", "kill", monkeypatch=monkeypatch) == 1
    assert "GET https://app.corp.example/odata/Jobs is not answered (" in capsys.readouterr().err


def test_prove_config_diff_shows_every_mapped_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["nlbgen", "prove", "haproxy", "--config", "haproxy.cfg", "--diff"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["--- haproxy.cfg", "+++ lab/haproxy.cfg"]
    assert "-    bind 192.0.2.1:443 ssl crt /no/such/site.pem" in lines
    assert "+    # chroot /no/such/folder" in lines
    assert sum(line.startswith("-") for line in lines) == sum(line.startswith("+") for line in lines) == 7


NGINX = """\
user no-such-user;
pid /no/such/nginx.pid;
events {}
http {
    upstream iis { server 10.1.0.1:8080 max_fails=0; server 10.1.0.2:8080 max_fails=0; }
    server {
        listen 192.0.2.1:443 ssl;
        server_name app.corp.example;
        ssl_certificate /no/such/site.pem;
        ssl_certificate_key /no/such/site.key;
        location / { proxy_pass http://iis; proxy_next_upstream off; }
    }
}
"""
"""While a node is down, its requests are not tried elsewhere; no WebSocket is opened without an Upgrade header."""


def test_prove_config_runs_an_nginx_conf_with_scaled_timeouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nginx.conf").write_text(NGINX, encoding="utf-8")
    scenarios = ["--scenario", "kill", "--scenario", "idle-websocket"]
    monkeypatch.setattr(
        sys, "argv", ["nlbgen", "prove", "nginx", "--config", "nginx.conf", *scenarios, "--format", "json"]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    data = json.loads(capsys.readouterr().out)
    assert stop.value.code == 1
    kill, idle = data["scenarios"]
    assert_exceeded(kill, "failed_gets", note="http 502")
    assert_exceeded(idle, "cut", note="every timeout divided by")


def test_prove_beside_runs_the_file_and_what_nlbgen_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    denying = CONFIGURATION.replace("balance leastconn", "http-request deny if { path_beg /signalr }")
    Path("haproxy.cfg").write_text(denying, encoding="utf-8")
    scenarios = ("--scenario", "event-stream", "--scenario", "body")
    assert prove("--beside", *scenarios, "--format", "json", monkeypatch=monkeypatch) == 1
    shown = capsys.readouterr()
    data = json.loads(shown.out)
    states = [[one["state"] for one in card["scenarios"]] for card in (data, data["beside"])]
    assert states == [["missed", "not played"], ["passed", "not played"]]
    assert data["beside"]["farm"] == "app"
    assert "failed: haproxy.cfg: event-stream.lost" in shown.err
