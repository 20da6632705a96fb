"""Configurations of a BIG-IP that nlbgen did not write: the values of the spec, and the fate of every statement.

`golden_takeover_f5/NAME.conf` are the configurations; NAME.yaml is the spec, and NAME.txt has every statement with its
fate. `pytest --update-golden` writes them.
"""

import gzip
import io
import tarfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from nlbgen.core.errors import NlbgenError, UsageError
from nlbgen.generators.base import generator, render
from nlbgen.readers.f5 import reader
from nlbgen.spec.model import Farm
from nlbgen.takeover.account import Line
from nlbgen.takeover.draft import Draft, Result
from nlbgen.takeover.f5 import importer
from nlbgen.takeover.f5.header import header_of

if TYPE_CHECKING:
    from nlbgen.takeover.values import Plain

HERE = Path(__file__).parents[1] / "golden_takeover_f5"
NAMES = sorted(path.stem for path in HERE.glob("*.conf"))


def draft_of(text: str, frontend: str = "") -> Draft:
    return importer.take(reader.read(Path("bigip.conf"), text.encode()), "bigip.conf", frontend)


def finished(draft: Draft, **given: str) -> Result:
    values: dict[str, Plain] = {"farm": "farm", "stores.signalr": "redis", "stores.redis.host": "redis.corp.example"}
    values |= {"stores.redis.port": 6379, **given}
    if "frontend.host" not in draft.values:
        values.setdefault("frontend.host", "orchestrator.corp.example")
    return draft.finish(values, "bigip.conf", "farm.yaml")


def taken(text: str, **given: str) -> Result:
    return finished(draft_of(text), **given)


def farm_of(text: str) -> Farm:
    return taken(text).spec.farm


def line(result: Result, beginning: str) -> Line:
    return next(one for one in result.lines if one.text.startswith(beginning))


def listed(draft: Draft, result: Result) -> str:
    shown = [f"{one.location.line}:{one.location.column}: {one.fate}: {one.text}\n" for one in result.lines]
    details = [f"    {one.detail}\n" if one.details else "" for one in result.lines]
    notes = [f"note: {note}\n" for note in draft.notes]
    return "".join((*(text for pair in zip(shown, details, strict=True) for text in pair), *notes))


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_configuration_has_its_spec_and_its_list(name: str, update_golden: bool) -> None:
    draft = draft_of((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    result = finished(draft)
    for suffix, content in ((".yaml", result.content), (".txt", listed(draft, result).encode())):
        path = HERE / f"{name}{suffix}"
        if update_golden:
            path.write_bytes(content)
        assert path.read_bytes() == content


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_of_a_foreign_configuration_renders(name: str) -> None:
    result = taken((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    assert any(file.main for file in render(generator("f5"), result.spec))


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_listed(name: str) -> None:
    draft = draft_of((HERE / f"{name}.conf").read_text(encoding="utf-8"))
    text = listed(draft, finished(draft))
    for secret in ("cIdy72xi7Xbk3kazSrpdfscd8oD1sdFHNGD7b0tbh8k", "bm90YXNlY3JldA", "topsecretvalue", "hunter2"):
        assert secret not in text
    assert "aGlkZGVu" not in text
    assert "notarealhash" not in text


def test_a_file_of_the_device_and_an_archive_have_the_same_spec() -> None:
    text = (HERE / "classic.conf").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("config/bigip.conf")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    found = reader.read(Path("a.ucs"), gzip.compress(packed.getvalue()))
    result = finished(importer.take(found, "a.ucs"))
    assert result.spec.farm == farm_of(text.decode())
    assert result.lines[0].location.file == "a.ucs/config/bigip.conf"


# The choice of the virtual server.

POOL = "ltm pool {0} {{ members {{ {1}:443 {{ address {1} }} }} }}\n"
VIRTUAL = """\
ltm virtual {0} {{
    destination {1}
    ip-protocol tcp
    pool {2}
    profiles {{ http {{ }} clientssl {{ context clientside }} }}
}}
"""
TWO = (
    POOL.format("a", "10.0.0.1")
    + POOL.format("b", "10.0.0.2")
    + VIRTUAL.format("one", "10.1.0.1:443", "a")
    + VIRTUAL.format("two", "10.1.0.2:443", "b")
)


def test_several_virtual_servers_are_an_error_that_lists_them() -> None:
    with pytest.raises(UsageError, match="2 virtual servers could be the farm's") as error:
        draft_of(TWO)
    hint = error.value.hint or ""
    assert hint.startswith("choose one with --frontend NAME\n")
    assert "bigip.conf:3:1: /Common/one 10.1.0.1:443, pool /Common/a, members: 1" in hint
    assert "/Common/two" in hint


@pytest.mark.parametrize("name", ["two", "/Common/two"])
def test_the_given_virtual_server_is_taken(name: str) -> None:
    draft = draft_of(TWO, name)
    assert draft.values.get("frontend.address") == "10.1.0.2"
    assert any("not taken over: /Common/one" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (TWO, "three", "no virtual server three has a pool with members"),
        (TWO + VIRTUAL.format("/P/two", "10.1.0.3:443", "a"), "two", "several virtual servers are named two"),
        ("ltm pool a { }\nltm virtual v { pool a\n}\n", "", "no virtual server has a pool with members"),
        (POOL.format("a", "10.0.0.1"), "", "no virtual server has a pool with members"),
    ],
)
def test_a_choice_that_is_not_possible_is_an_error(text: str, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draft_of(text, name)


@pytest.mark.parametrize(
    "text",
    [
        TWO.replace("ltm pool b {", "ltm pool b { description UiPath\n"),
        TWO.replace("ltm virtual one {\n", "ltm virtual one {\n    disabled\n"),
        TWO.replace("10.1.0.1:443", "10.1.0.1:636").replace(
            "{ http { } clientssl { context clientside } }", "{ tcp { } }", 1
        ),
        TWO.replace("ltm virtual two", "ltm virtual orchestrator_two"),
        TWO.replace("ip-protocol tcp", "ip-protocol udp", 1),
        TWO.replace("    pool a\n", "    pool a\n    rules { _sys_https_redirect }\n"),
    ],
    ids=["description", "disabled", "no web", "name", "udp", "redirect"],
)
def test_the_virtual_server_that_looks_like_the_farm_is_taken(text: str) -> None:
    assert draft_of(text).values.get("frontend.address") == "10.1.0.2"


def test_of_two_ports_at_one_address_that_with_tls_is_taken() -> None:
    text = TWO.replace("10.1.0.2:443", "10.1.0.1:80").replace("pool b", "pool a")
    assert draft_of(text.replace(" clientssl { context clientside }", "", 1)).values.get("frontend.port") == 80
    plain = text[: text.rindex("clientssl")] + text[text.rindex("clientssl") :].replace(
        "clientssl { context clientside }", ""
    )
    draft = draft_of(plain)
    assert (draft.values.get("frontend.tls.mode"), "frontend.port" in draft.values) == ("terminate", False)


def test_a_long_list_of_virtual_servers_is_cut() -> None:
    text = POOL.format("a", "10.0.0.1") + "".join(VIRTUAL.format(f"v{i}", f"10.1.0.{i}:443", "a") for i in range(1, 31))
    with pytest.raises(UsageError) as error:
        draft_of(text)
    assert (error.value.hint or "").endswith("and 10 more")
    assert draft_of(text, "v3").notes[0].endswith("and 19 more")


# Fates of single properties.

BASE = """\
ltm node n1 { address 10.0.0.1
}
ltm node n2 { address 10.0.0.2
}
ltm monitor https mon { defaults-from https
    interval 5
    timeout 16
    send "GET /api/status HTTP/1.1\\r\\nHost: orch.corp.example\\r\\n"
}
ltm pool web {
    members {
        n1:443 {
            address 10.0.0.1
        }
        n2:443 {
            address 10.0.0.2
        }
    }
    monitor mon
}
ltm profile client-ssl clients { cert site.crt
    key site.key
}
ltm profile server-ssl servers { defaults-from serverssl
}
ltm profile tcp slow { defaults-from tcp
    idle-timeout 900
}
ltm persistence cookie stick { defaults-from cookie
}
ltm rule rules_of_farm {
when HTTP_REQUEST {
    log local0. "hello"
}
}
ltm virtual orchestrator {
    destination 10.1.0.1:443
    persist {
        stick { default yes }
    }
    pool web
    profiles {
        clients { context clientside }
        http { }
        servers { context serverside }
        slow { }
    }
    rules { rules_of_farm }
}
"""


@pytest.mark.parametrize(
    ("old", "new", "beginning", "fate", "detail"),
    [
        ("monitor mon", "monitor icmp", "monitor icmp", "given up", "TCP checks pass"),
        ("monitor mon", "monitor https", "monitor https", "given up", "a check of /"),
        ("monitor mon", "monitor gone", "monitor gone", "given up", "/Common/gone: the monitor is not in the file"),
        ("monitor mon", "monitor mon and gone", "monitor mon and gone", "given up", "taken: balancer.health"),
        ("interval 5", "interval 0", "timeout 16", "given up", "another object"),
        ("interval 5", "interval 1", "interval 1", "taken", "balancer.health.interval"),
        ("timeout 16", "timeout 18", "timeout 18", "given up", "18 s become 21 s"),
        ("timeout 16", "timeout 16\n    recv none", "recv none", "implied", "no value"),
        ("timeout 16", "timeout 16\n    recv OK", "recv OK", "given up", "one status"),
        ("/api/status", "/", "send", "given up", "a check of /"),
        ("GET /api/status", "POST /api/status", "send", "given up", "POST: the checks are GET"),
        ("/api/status", "/api/st\u00e4tus", "send", "given up", "balancer.health.path"),
        ("key site.key", "key site.key\n    options { no-tlsv1 }", "no-tlsv1", "given up", "SSL 3.0 is insecure"),
        ("cert site.crt", "cert default.crt", "cert default.crt", "given up", "the device's own certificate"),
        ("cert site.crt", "cert none", "key site.key", "given up", "another object"),
        ("cert site.crt", "cert none", "ltm profile client-ssl", "given up", "the device's own certificate"),
        ("key site.key", "key site.key\n    chain ca.crt", "chain ca.crt", "given up", "must hold the chain"),
        ("key site.key", "key site.key\n    authenticate once", "authenticate once", "given up", "of clients"),
        (
            "defaults-from serverssl",
            "server-name other.example",
            "server-name",
            "given up",
            "other.example: the BIG-IP",
        ),
        ("defaults-from serverssl", "cert me.crt", "cert me.crt", "given up", "a certificate of the balancer"),
        ("idle-timeout 900", "idle-timeout 90", "idle-timeout 90", "given up", "110s"),
        ("idle-timeout 900", "idle-timeout indefinite", "idle-timeout", "given up", "indefinite"),
        ("        slow { }", "        slow { }\n        tcp { }", "idle-timeout 900", "given up", "after 300 s"),
        ("        slow { }", "        slow { }\n        udp_x { }", "udp_x", "not understood", ""),
        ("        slow { }", "        slow { }\n        clientssl { }", "clientssl", "given up", "one certificate"),
        ("        clients {", "        clientssl {", "clientssl", "given up", "the device's own certificate"),
        ("        servers {", "        serverssl {", "serverssl", "taken", "frontend.tls.verify_nodes"),
        ("        clients { context clientside }\n", "", "servers", "given up", "only if clients use TLS"),
        ("destination 10.1.0.1:443", "destination 10.1.0.1:any", "destination", "given up", "no single port"),
        ("destination 10.1.0.1:443", "destination 10.1.0.1:rpa", "destination", "given up", "does not know the number"),
        (
            "n2:443 {",
            "n2:rpa {",
            "n2:rpa",
            "given up",
            "does not know the number of this port: nlbgen sends the node's requests to port 443",
        ),
        ("destination 10.1.0.1:443", "destination gone:443", "destination", "given up", "frontend.address"),
        ("destination 10.1.0.1:443", "destination 10.1.0.1%4:443", "destination", "given up", "route domain 4"),
        ("    pool web", "    pool web\n    mask 255.255.255.0", "mask", "given up", "one address"),
        ("    pool web", "    pool web\n    mask strange", "mask", "given up", "one address"),
        ("    pool web", "    pool web\n    snatpool s", "snatpool s", "given up", "SNAT pool /Common/s"),
        ("    pool web", "    pool web\n    connection-limit 0", "connection-limit 0", "implied", "no limit"),
        (
            "    pool web",
            "    pool web\n    connection-limit 50",
            "connection-limit 50",
            "given up",
            "limits.connections",
        ),
        (
            "    pool web",
            "    pool web\n    connection-limit 500",
            "connection-limit",
            "given up",
            "renders no connection",
        ),
        ("    pool web", "    pool web\n    nonsense 1", "nonsense 1", "not understood", ""),
        (
            "rules { rules_of_farm }",
            "rules { gone }",
            "gone",
            "not understood",
            "iRule /Common/gone is not in the file",
        ),
        ("rules { rules_of_farm }", "rules { gone _sys_https_redirect }", "gone _sys", "not understood", "gone"),
        ("defaults-from cookie\n", "method hash\n", "method hash", "given up", "its own cookie"),
        ("defaults-from cookie\n", "expiration 3600\n", "expiration", "given up", "no timeout"),
        ("stick { default yes }", "ssl { default yes }", "ssl", "given up", "by cookie or source address"),
        (
            "address 10.0.0.2\n        }",
            "address 10.0.0.2\n connection-limit 0\n        }",
            "connection-limit 0",
            "implied",
            "no limit",
        ),
        ("n2:443 {\n            address 10.0.0.2", "n2:443 {\n            address bad!", "n2:443", "given up", "bad!"),
        ("n2:443 {", "n1:443 {", "n1:443", "taken", "nodes[0].name"),
        ("n2:443 {", "/Other/n1:443 {", "/Other/n1:443", "given up", "the name is used twice"),
        (
            "monitor mon\n",
            "monitor mon\n    slow-ramp-time soon\n",
            "slow-ramp-time",
            "given up",
            "whole number of seconds",
        ),
        ("log local0.", "call lib;", "call lib;", "not understood", ""),
        ("log local0.", "HTTP::redirect https://[HTTP::host]/ ;#", "HTTP::redirect", "given up", "only from port 80"),
    ],
)
def test_a_property_has_its_fate_with_the_reason(old: str, new: str, beginning: str, fate: str, detail: str) -> None:
    assert old in BASE
    found = line(taken(BASE.replace(old, new, 1)), beginning)
    assert (found.fate, detail in found.detail) == (fate, True), found


def test_the_base_has_no_statement_that_is_not_understood() -> None:
    result = taken(BASE)
    assert [one for one in result.lines if one.fate == "not understood"] == []
    assert result.spec.farm.balancer.signalr.idle_timeout == 900_000


def test_every_statement_of_the_farm_and_every_other_object_is_listed_once() -> None:
    lines = taken(BASE + "ltm pool other { members { 10.9.0.1:80 { } } }\n").lines
    assert len({one.location for one in lines}) == len(lines)
    assert [one.text for one in lines if one.location.line == BASE.count("\n") + 1] == ["ltm pool other"]


@pytest.mark.parametrize(
    ("interval", "timeout", "health"),
    [(5, 16, (5_000, 3, 1_900)), (1, 4, (1_000, 3, 1_000)), (10, 31, (10_000, 3, 1_900)), (2, 1, (2_000, 1, 1_900))],
)
def test_times_of_a_monitor_are_those_that_nlbgen_renders(
    interval: int, timeout: int, health: tuple[int, int, int]
) -> None:
    text = BASE.replace("interval 5", f"interval {interval}").replace("timeout 16", f"timeout {timeout}")
    result = taken(text)
    found = result.spec.farm.balancer.health
    assert (found.interval, found.fall, found.timeout) == health
    rendered = next(file for file in render(generator("f5"), result.spec) if file.main).content.decode()
    assert f"    interval {interval}\n" in rendered
    assert (f"    timeout {timeout}\n" in rendered) == (timeout > interval)


def test_ratios_of_node_objects_are_weights() -> None:
    text = BASE.replace("monitor mon\n}", "monitor mon\n    load-balancing-mode ratio-node\n}")
    text = text.replace("n2 { address 10.0.0.2\n", "n2 { address 10.0.0.2\n    ratio 4\n")
    assert [one.weight for one in farm_of(text).nodes] == [1, 4]


@pytest.mark.parametrize(
    ("least", "groups", "states"),
    [
        (1, (10, 5), ["up", "backup"]),
        (0, (10, 5), ["up", "up"]),
        (1, (5, 5), ["up", "up"]),
        (2, (5, 10), ["backup", "up"]),
    ],
)
def test_priority_groups_are_backup_nodes_if_there_is_a_threshold(
    least: int, groups: tuple[int, int], states: list[str]
) -> None:
    text = BASE.replace("monitor mon\n}", f"monitor mon\n    min-active-members {least}\n}}")
    for address, group in zip(("1", "2"), groups, strict=True):
        text = text.replace(
            f"            address 10.0.0.{address}\n",
            f"            address 10.0.0.{address}\n            priority-group {group}\n",
        )
    assert [one.state for one in farm_of(text).nodes] == states


@pytest.mark.parametrize(
    ("text", "peer", "node_ca", "verified"),
    [
        (BASE, "ignore", None, False),
        (BASE, "require\n    ca-file ca-bundle.crt", None, "/etc/ssl/certs/ca-certificates.crt"),
        (BASE, "require\n    ca-file corp.crt", "/Common/corp.crt", "/etc/ssl/certs/ca-certificates.crt"),
        (BASE, "require", None, False),
    ],
)
def test_nodes_are_verified_as_the_profile_does(
    text: str, peer: str, node_ca: str | None, verified: str | bool
) -> None:
    farm = farm_of(text.replace("defaults-from serverssl\n", f"defaults-from serverssl\n    peer-cert-mode {peer}\n"))
    assert (farm.f5.node_ca, farm.frontend.tls.verify_nodes) == (node_ca, verified)


def test_under_passthrough_the_profile_of_the_monitor_verifies_nodes() -> None:
    text = BASE.replace("timeout 16", "timeout 16\n    ssl-profile servers")
    for name in (
        "        clients { context clientside }\n",
        "        http { }\n",
        "        servers { context serverside }\n",
    ):
        text = text.replace(name, "")
    ignored = taken(text)
    assert "verify_nodes" not in ignored.spec.farm.frontend.tls.written
    checked = text.replace(
        "defaults-from serverssl\n", "defaults-from serverssl\n    peer-cert-mode require\n    ca-file c\n"
    )
    farm = farm_of(checked)
    assert ("verify_nodes" in farm.frontend.tls.written, farm.f5.node_ca) == (True, "/Common/c")


def without_comments(text: str) -> str:
    return "\n".join(one for one in text.split("\n") if not one.startswith("# "))


@pytest.mark.parametrize("name", ["bridge", "passthrough", "signalr", "states", "legacy"])
def test_objects_that_a_device_saved_give_the_spec_of_their_farm(name: str) -> None:
    """A saved configuration has the marks of nlbgen's objects, but not the comments of the rendered file."""
    original = (HERE.parent / "golden_f5" / name / "bigip.conf").read_text(encoding="utf-8")
    version = "11.6" if name == "legacy" else "16.1"
    draft = draft_of(f"#TMSH-VERSION: {version}.0\n{without_comments(original)}" + TWO)
    farm = draft.values.get("farm")
    result = finished(draft, farm=str(farm), **{"frontend.host": "orchestrator.corp.example"})
    rendered = next(file for file in render(generator("f5"), result.spec) if file.main).content.decode()
    assert without_comments(rendered).strip() == without_comments(original).strip()
    assert draft.notes == ()


CLOSED = """\
when HTTP_REQUEST {
    HTTP::respond 503 content {<h1>Maintenance</h1><p>Back at 5 &#58; or later</p>} "Retry-After" "300"
}
"""


def test_a_closed_farm_of_nlbgen_is_closed() -> None:
    text = BASE.replace('when HTTP_REQUEST {\n    log local0. "hello"\n}\n', CLOSED)
    text = text.replace("ltm virtual orchestrator {", "ltm virtual orchestrator {\n    description nlbgen:orchestrator")
    maintenance = farm_of(text).balancer.maintenance
    assert (maintenance.state, maintenance.message, maintenance.retry_after) == (
        "closed",
        "Back at 5 : or later",
        300_000,
    )
    assert farm_of(BASE.replace('log local0. "hello"', "return")).balancer.maintenance.state == "serving"


def test_an_edited_page_of_a_closed_farm_is_no_internal_error() -> None:
    text = BASE.replace('when HTTP_REQUEST {\n    log local0. "hello"\n}\n', CLOSED.replace("&#58;", "&#9999999;"))
    text = text.replace("ltm virtual orchestrator {", "ltm virtual orchestrator {\n    description nlbgen:orchestrator")
    assert farm_of(text).balancer.maintenance.state == "closed"


def test_a_closed_farm_under_passthrough_has_no_node_that_is_up() -> None:
    text = BASE.replace("destination", "description nlbgen:orchestrator\n    destination")
    for address in ("1", "2"):
        text = text.replace(
            f"            address 10.0.0.{address}\n",
            f"            address 10.0.0.{address}\n            state user-down\n",
        )
    farm = farm_of(text)
    assert (farm.balancer.maintenance.state, {one.state for one in farm.nodes}) == ("closed", {"up"})
    assert line(taken(text), "state user-down").details == ("balancer.maintenance.state",)


def test_ratios_that_nlbgen_made_smaller_render_again() -> None:
    """nlbgen divides weights whose shares are above F5's limit of 100: the weights 200 and 101 become 100 and 50."""
    text = BASE.replace("monitor mon\n}", "monitor mon\n    load-balancing-mode ratio-member\n}")
    text = text.replace("            address 10.0.0.1\n", "            address 10.0.0.1\n            ratio 100\n")
    text = text.replace("            address 10.0.0.2\n", "            address 10.0.0.2\n            ratio 50\n")
    result = taken(text)
    rendered = next(file for file in render(generator("f5"), result.spec) if file.main).content.decode()
    assert "            ratio 100\n" in rendered
    assert "            ratio 50\n" in rendered


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        ('    if { [HTTP::path] starts_with "/signalr" } {\n        pool live\n    }\n', ("/signalr",)),
        (
            '    switch -glob [HTTP::uri] {\n "/signalr*" -\n "/hubs*" {\n pool live }\n default { pool web }\n }\n',
            ("/signalr", "/hubs"),
        ),
        ('    if { [HTTP::uri] contains "/signalr" } { pool live } else { pool web }\n', ("/signalr",)),
        ("    if { [HTTP::path] eq $x } { pool live }\n", ("/signalr",)),
    ],
)
def test_paths_of_signalr_in_an_irule(rule: str, paths: tuple[str, ...]) -> None:
    text = BASE.replace('    log local0. "hello"\n', rule)
    text += "ltm pool live {\n    members {\n        n1:443 { address 10.0.0.1 }\n    }\n}\n"
    result = taken(text)
    assert result.spec.farm.balancer.signalr.paths == paths
    assert line(result, "ltm pool live").fate == "taken"


@pytest.mark.parametrize(
    ("kinds", "destination", "mode"),
    [
        ("https", "10.1.0.1:443", "passthrough"),
        ("http", "10.1.0.1:8080", "none"),
        ("tcp", "10.1.0.1:636", "passthrough"),
    ],
)
def test_without_profiles_the_monitor_shows_whether_the_nodes_use_tls(kinds: str, destination: str, mode: str) -> None:
    text = BASE.replace(
        "ltm monitor https mon { defaults-from https", f"ltm monitor {kinds} mon {{ defaults-from {kinds}"
    )
    text = text.replace("10.1.0.1:443", destination)
    for name in (
        "        clients { context clientside }\n",
        "        http { }\n",
        "        servers { context serverside }\n",
    ):
        text = text.replace(name, "")
    assert draft_of(text).values.get("frontend.tls.mode") == mode


ODD = (
    "none",
    "0",
    "%",
    "/",
    "pool",
    "/Common/x",
    "10.0.0.1%5:443",
    "*:*",
    "any",
    "defaults-from",
    "https://",
    "-",
    "..",
)


def changed(text: str, number: int) -> str:
    """The text with a few lines or words that are missing, doubled or replaced."""
    random = Random(number)
    lines = text.split("\n")
    for _ in range(random.randint(1, 5)):
        at = random.randrange(len(lines))
        words = lines[at].split(" ")
        if number % 3 == 0:
            words[random.randrange(len(words))] = random.choice(ODD)
        elif number % 3 == 1:
            words = words[: random.randint(1, len(words))] + words[-1:] * ("{" in words)
        elif "{" not in words and "}" not in words:
            lines.insert(at, random.choice([lines[at], ""]))
        lines[at] = " ".join(words)
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_configuration_is_taken_over_or_refused(name: str) -> None:
    original = (HERE / f"{name}.conf").read_text(encoding="utf-8")
    taken_over = 0
    for number in range(30):
        try:
            result = taken(changed(original, number))
        except NlbgenError:
            continue
        taken_over += 1
        assert len({one.location for one in result.lines}) == len(result.lines)
    assert taken_over > 5


@pytest.mark.parametrize(
    ("condition", "host", "detail"),
    [
        ('[HTTP::host] equals "a.example"', "a.example", "frontend.host"),
        ('[string tolower [HTTP::host]] eq "a.example:443"', "a.example", "frontend.host"),
        ('!([HTTP::header Host] eq "a.example")', "a.example", "frontend.host"),
        ('[HTTP::host] contains "orch"', "orch.corp.example", "orch: matches part of a name"),
        ('[HTTP::host] starts_with "orch."', "orch.corp.example", "orch.: matches part of a name"),
        ('[HTTP::host] ends_with ".example"', "orch.corp.example", ".example: matches part of a name"),
        ('[HTTP::uri] eq "/help"', "orch.corp.example", "own results"),
    ],
)
def test_names_in_an_irule(condition: str, host: str, detail: str) -> None:
    result = taken(BASE.replace('log local0. "hello"', f"if {{ {condition} }} {{ log local0. x }}"))
    assert result.spec.farm.frontend.host == host
    assert detail in line(result, "if").detail


def test_a_redirect_to_another_site_is_not_the_name_of_the_farm() -> None:
    result = taken(BASE.replace('log local0. "hello"', 'HTTP::redirect "https://docs.example.com/"'))
    assert result.spec.farm.frontend.host == "orch.corp.example"
    assert line(result, "HTTP::redirect").fate == "given up"


POLICY = """\
ltm policy by_name {
    rules {
        one {
            actions { 0 { forward
                    pool web
                } }
            conditions { 0 { %s
                    values { sni.example }
                } }
        }
    }
}
"""


@pytest.mark.parametrize(
    ("operand", "host"),
    [
        ("http-host", "sni.example"),
        ("ssl-extension\n server-name", "sni.example"),
        ("http-host\n contains", "orch.corp.example"),
        ("http-host\n not", "orch.corp.example"),
        ("http-method", "orch.corp.example"),
    ],
)
def test_names_in_a_policy(operand: str, host: str) -> None:
    text = BASE.replace("    pool web\n    prof", "    policies { by_name { } }\n    pool web\n    prof")
    assert farm_of(text + POLICY % operand).frontend.host == host


ALL_PROPERTIES = """\
ltm node n1 {
    address 10.0.0.1
    connection-limit 0
    description none
    dynamic-ratio 1
    ephemeral false
    fqdn {
        address-family ipv4
        autopopulate disabled
        down-interval 5
        interval 3600
        name none
    }
    logging disabled
    metadata none
    monitor default
    partition Common
    rate-limit disabled
    ratio 1
    session user-enabled
    state up
}
ltm pool web {
    allow-nat yes
    allow-snat yes
    app-service none
    ignore-persisted-weight disabled
    ip-tos-to-client pass-through
    link-qos-to-client pass-through
    load-balancing-mode round-robin
    members {
        n1:https {
            address 10.0.0.1
            app-service none
            connection-limit 0
            dynamic-ratio 1
            ephemeral false
            fqdn {
                autopopulate disabled
                name none
            }
            inherit-profile enabled
            logging disabled
            metadata none
            monitor default
            priority-group 0
            profiles none
            rate-limit disabled
            ratio 1
            session user-enabled
            state up
        }
    }
    min-active-members 0
    min-up-members 0
    min-up-members-action failover
    min-up-members-checking disabled
    monitor none
    queue-depth-limit 0
    reselect-tries 0
    service-down-action none
    slow-ramp-time 10
}
ltm virtual orchestrator {
    address-status yes
    auth none
    auto-lasthop default
    bwc-policy none
    clone-pools none
    cmp-enabled yes
    connection-limit 0
    destination 10.1.0.1:https
    enabled
    fallback-persistence none
    gtm-score 0
    mirror disabled
    mobile-app-tunnel disabled
    nat64 disabled
    persist none
    policies none
    pool web
    profiles {
        http {
            context all
        }
    }
    rate-limit disabled
    rules none
    source 0.0.0.0/0
    source-address-translation {
        pool none
        type automap
    }
    source-port preserve
    syn-cookie-status not-activated
    traffic-classes none
    translate-address enabled
    vlans none
    vlans-disabled
    vs-index 3
}
"""


def test_a_list_of_all_properties_is_understood() -> None:
    result = taken(ALL_PROPERTIES)
    assert [one for one in result.lines if one.fate == "not understood"] == []
    assert [(one.name, one.address) for one in result.spec.farm.nodes] == [("n1", "10.0.0.1")]
    assert line(result, "source-address-translation").fate == "implied"
    assert line(result, "name none").fate == "implied"
    assert result.spec.farm.affinity == "none"


def test_a_name_with_several_addresses_needs_its_nodes() -> None:
    text = BASE.replace(
        "ltm node n2 { address 10.0.0.2\n",
        "ltm node n2 {\n    fqdn {\n        autopopulate enabled\n        name n2.example\n    }\n",
    )
    result = taken(text.replace("            address 10.0.0.2\n", "            session user-enabled\n"))
    assert result.spec.farm.nodes[1].address == "n2.example"
    assert "add --node" in line(result, "autopopulate").detail


@pytest.mark.parametrize(("number", "notes"), [(1, 1), (12, 11)])
def test_what_the_reader_does_not_understand_is_a_note(number: int, notes: int) -> None:
    broken = "".join(f'ltm rule r{index} {{\nwhen X {{\n    log "{{"\n}}\n}}\n' for index in range(number))
    found = draft_of(broken + BASE).notes
    assert found[0] == "bigip.conf:1:1: the braces of this program do not match"
    assert len([one for one in found if "do not match" in one or "2 more parts" in one]) == notes


def test_tls_only_to_the_nodes_is_no_passthrough() -> None:
    farm = farm_of(
        "ltm pool p { members { 10.0.0.5:443 10.0.0.6:443 } }\n"
        "ltm virtual v { destination 10.1.1.1:80 pool p profiles { serverssl { context serverside } tcp { } } }\n"
    )
    assert farm.frontend.tls.mode == "none"
    assert [one.address for one in farm.nodes] == ["10.0.0.5", "10.0.0.6"]


@pytest.mark.parametrize("words", ["but the device gets 900s", "and becomes 900s"])
def test_header_names_a_value_that_the_device_cannot_have_in_words_of_any_version(words: str) -> None:
    text = f"# F5 BIG-IP 16.1 for the farm farm\n# balancer.slow_start is 20m, {words}: a BIG-IP has whole seconds.\n"
    assert header_of(reader.read(Path("bigip.conf"), text.encode())).changed == {"balancer.slow_start": "20m"}
