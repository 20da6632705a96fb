"""`nlbgen init --from` with the configuration of a load balancer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlbgen.spec.load import load

if TYPE_CHECKING:
    from tests.conftest import RunCommand

CONFIG = """\
defaults
    mode http
frontend https
    bind 10.20.0.10:443 ssl crt /etc/haproxy/site.pem
    acl farm hdr(host) -i orchestrator.corp.example
    mystery\x07 on
    default_backend nodes
backend nodes
    option httpchk GET /api/status
    server orch-1 10.20.0.11:80 check
    server orch-2 10.20.0.12:80 check
"""
REDIS = ("--redis", "redis.corp.example")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "haproxy.cfg"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_init_from_haproxy_writes_the_spec_and_lists_every_line(
    cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    ran = cli("init", "--from", config.name, *REDIS, "--orchestrator", "2019.4")
    assert ran.code == 0, ran.err
    farm = load(tmp_path / "farm.yaml").farm
    assert (farm.farm, farm.frontend.host, farm.frontend.address) == (
        "orchestrator",
        "orchestrator.corp.example",
        "10.20.0.10",
    )
    assert (farm.stores.redis and farm.stores.redis.host, str(farm.orchestrator.version)) == (REDIS[1], "2019.4")
    shown = [line for line in ran.out.splitlines() if line.startswith("haproxy.cfg:")]
    assert len(shown) == CONFIG.count("\n")
    assert "haproxy.cfg:6:5: not understood: mystery\\x07 on" in shown
    assert "11 statements: 8 taken, 2 implied, 0 given up, 1 not understood" in ran.err
    assert "the stores" in ran.err
    assert (tmp_path / "nlbgen.schema.json").exists()


def test_init_from_haproxy_comments_fit_an_80_column_terminal(cli: "RunCommand", config: Path, tmp_path: Path) -> None:
    assert cli("init", "--from", config, *REDIS).code == 0
    lines = (tmp_path / "farm.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "# " in line and len(line) > 80 and "values of" not in line] == []


def test_init_from_haproxy_to_standard_output_keeps_the_list_apart(cli: "RunCommand", config: Path) -> None:
    ran = cli("init", "--from", config.name, *REDIS, "-o", "-")
    assert ran.out.startswith("# yaml-language-server")
    assert "haproxy.cfg:1:1:" not in ran.out
    assert "haproxy.cfg:1:1:" in ran.err


def test_init_from_haproxy_as_json_has_every_line_with_its_fate(
    cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    config.write_text(CONFIG + "    mystery password wonderful\n", encoding="utf-8")
    ran = cli("init", "--from", config.name, *REDIS, "--format", "json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert [*data] == ["source", "vendor", "counts", "lines", "notes", "missing"]
    assert (data["source"], data["vendor"], len(data["lines"])) == ("haproxy.cfg", "haproxy", 12)
    assert data["counts"] == {"taken": 8, "implied": 2, "given up": 0, "not understood": 2}
    assert data["lines"][4] == {
        "file": "haproxy.cfg",
        "line": 5,
        "column": 5,
        "fate": "taken",
        "text": "acl farm hdr(host) -i orchestrator.corp.example",
        "details": ["frontend.host"],
    }
    assert "wonderful" not in ran.out
    assert "verify haproxy.version" in data["notes"][0]
    assert data["missing"] == ["the stores", "the nodes' config files and keys", "the version of Orchestrator"]
    assert (tmp_path / "farm.yaml").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--from", "haproxy.cfg", *REDIS, "-o", "-"), "-o FILE"),
        (("--host", "o.example"), "no load balancer's configuration"),
    ],
)
def test_init_as_json_without_a_list_to_print_is_an_error(
    args: tuple[str, ...], message: str, cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    ran = cli("init", *args, "--format", "json")
    assert (ran.code, ran.out, message in ran.err) == (2, "", True), ran.err
    assert not (tmp_path / "farm.yaml").exists()


def test_init_from_haproxy_options_replace_values(cli: "RunCommand", config: Path, tmp_path: Path) -> None:
    given = ("--host", "o.example", "--farm", "f", "--address", "*", "--node", "a=10.0.0.1", "--node", "b=10.0.0.2")
    ran = cli("init", "--from", config.name, *given, "--store", "sqlserver", "--orchestrator", "2019.4")
    assert ran.code == 0, ran.err
    farm = load(tmp_path / "farm.yaml").farm
    assert (farm.farm, farm.frontend.host, farm.frontend.address) == ("f", "o.example", "*")
    assert [node.address for node in farm.nodes] == ["10.0.0.1", "10.0.0.2"]
    assert farm.stores.signalr == "sqlserver"
    assert "given up: server orch-1" in ran.out


@pytest.mark.parametrize(
    ("servers", "expected"),
    [("r1.example,r2.example:6380", 2), ("r1.example:7000", 1)],
)
def test_init_from_haproxy_takes_each_redis(
    servers: str, expected: int, cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    assert cli("init", "--from", config, "--redis", servers).code == 0
    redis = load(tmp_path / "farm.yaml").farm.stores.redis
    assert redis is not None
    assert len(redis.named) == expected


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        (CONFIG, (), "--redis is missing"),
        (CONFIG, (*REDIS, "--tls", "none"), "--tls: haproxy.cfg has the TLS mode terminate"),
        (CONFIG.replace("hdr(host)", "src"), REDIS, "haproxy.cfg names no host: add --host NAME"),
        (CONFIG.replace("10.20.0.1", "$IP"), REDIS, "no server line has the address of a node"),
        (CONFIG, (*REDIS, "--host", "bad_host!"), "option --host"),
        ("#TMSH-VERSION: 17.1\nltm pool /Common/p {\n}\n", REDIS, "no virtual server has a pool with members"),
        (CONFIG, (*REDIS, "--frontend", "mystery"), "no frontend mystery has servers"),
        (CONFIG.replace("10.20.0.1", "$IP"), REDIS, "haproxy.cfg:10:5: $IP1:80: "),
        ("global\nmystery\n", REDIS, "no frontend has servers"),
    ],
)
def test_init_from_a_configuration_that_it_cannot_take_over(
    text: str, args: tuple[str, ...], message: str, cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    config.write_text(text, encoding="utf-8")
    ran = cli("init", "--from", config.name, *args)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "farm.yaml").exists()


BIGIP = """\
#TMSH-VERSION: 16.1.4
ltm pool /Common/{0}_pool {{
    members {{
        /Common/10.20.0.11:443 {{
            address 10.20.0.11
        }}
    }}
}}
ltm virtual /Common/{0} {{
    destination /Common/10.20.0.10:443
    pool /Common/{0}_pool
    profiles {{
        /Common/http {{ }}
        /Common/orch_ssl {{ }}
    }}
}}
"""
SSL = "ltm profile client-ssl /Common/orch_ssl {\n}\n"


def test_init_from_bigip_conf_writes_the_spec_and_names_the_next_command(
    cli: "RunCommand", config: Path, tmp_path: Path
) -> None:
    config.write_text(BIGIP.format("orchestrator") + SSL, encoding="utf-8")
    ran = cli("init", "--from", config.name, *REDIS, "--host", "orchestrator.corp.example")
    assert ran.code == 0, ran.err
    farm = load(tmp_path / "farm.yaml").farm
    assert (farm.frontend.tls.mode, farm.frontend.address, farm.nodes[0].address) == (
        "terminate",
        "10.20.0.10",
        "10.20.0.11",
    )
    assert "haproxy.cfg:10:5: taken: destination /Common/10.20.0.10:443" in ran.out
    assert "balancer.timeouts" in ran.err
    assert "nlbgen render f5" in ran.err


def test_init_from_bigip_conf_takes_the_given_virtual_server(cli: "RunCommand", config: Path, tmp_path: Path) -> None:
    two = BIGIP.format("one") + BIGIP.format("two").replace("0.10:", "0.20:") + SSL
    config.write_text(two, encoding="utf-8")
    args = ("init", "--from", config.name, *REDIS, "--host", "orchestrator.corp.example")
    ran = cli(*args)
    assert (ran.code, "choose one with --frontend NAME" in ran.err, "/Common/two" in ran.err) == (2, True, True)
    assert cli(*args, "--frontend", "two").code == 0
    assert load(tmp_path / "farm.yaml").farm.frontend.address == "10.20.0.20"


def test_init_from_a_declaration_of_as3_without_a_service_says_what_to_give(cli: "RunCommand", config: Path) -> None:
    config.write_text('{"class": "ADC", "schemaVersion": "3.45.0"}', encoding="utf-8")
    ran = cli("init", "--from", config.name, *REDIS)
    assert ran.code == 2
    assert "no virtual server has a pool with members" in ran.err
    assert "a declaration of AS3" in ran.err


def test_init_frontend_without_a_configuration_is_an_error(cli: "RunCommand") -> None:
    ran = cli("init", "--frontend", "x", "--host", "a.example", "--node", "a=10.0.0.1", *REDIS)
    assert (ran.code, "--frontend: there is no load balancer" in ran.err) == (2, True)


def test_init_frontend_of_haproxy_is_taken(cli: "RunCommand", config: Path, tmp_path: Path) -> None:
    more = "frontend other\n    bind 10.20.0.30:80\n    default_backend few\nbackend few\n    server x 10.9.9.9:80\n"
    config.write_text(CONFIG + more, encoding="utf-8")
    assert cli("init", "--from", config.name, *REDIS, "--host", "a.example", "--frontend", "other").code == 0
    assert load(tmp_path / "farm.yaml").farm.nodes[0].address == "10.9.9.9"


def test_init_from_an_encrypted_archive_says_how_to_save_it(cli: "RunCommand", config: Path) -> None:
    config.write_bytes(b"Salted__\x01\x02\xff")
    ran = cli("init", "--from", config.name, *REDIS)
    assert (ran.code, "tmsh save sys ucs NAME" in ran.err) == (1, True)
