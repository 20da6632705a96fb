"""The iRule of requests, run by Tcl with the device's commands replaced by a record of what they do."""

import subprocess
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from nlbgen.generators.design import Design
from nlbgen.generators.f5.irules import redirect_irule, request_irule, signalr_irule, unchecked_irule
from nlbgen.generators.headers import FORGED_NAMES, KNOWN_FORGED, SET_BY_BALANCER
from nlbgen.spec.load import loads

pytestmark = pytest.mark.tclsh
TCL = """
proc when {event body} { if {$event eq "HTTP_REQUEST"} { apply [list {} $body] } }
namespace eval TCP { proc local_port {} { return $::port } }
namespace eval IP { proc client_addr {} { return 10.1.2.3%7 } }
namespace eval HTTP {
    proc host {} { return [lindex [header values Host] end] }
    proc uri {} { return $::uri }
    proc path {} { return [lindex [split $::uri ?] 0] }
    proc method {} { return $::method }
    proc respond {status args} { lappend ::answers $status; lappend ::answers {*}$args }
    proc header {action args} {
        set name [string tolower [lindex $args 0]]
        switch -- $action {
            values { set found {}
                foreach {key value} $::headers { if {[string tolower $key] eq $name} { lappend found $value } }
                return $found }
            names { set found {}
                foreach {key value} $::headers { lappend found $key }
                return $found }
            exists { return [expr {[llength [header values $name]] > 0}] }
            insert { lappend ::headers [lindex $args 0] [lindex $args 1] }
            remove { set kept {}
                foreach {key value} $::headers { if {[string tolower $key] ne $name} { lappend kept $key $value } }
                set ::headers $kept }
            default { return [lindex [header values $action] end] }
        }
    }
}
proc pool {name} { set ::pool $name }
proc persist {args} { set ::persist $args }
proc getfield {text separator number} { return [lindex [split $text $separator] [expr {$number - 1}]] }
"""
SPEC = """
farm: farm
orchestrator: {version: "2019.4"}
frontend: {host: farm.example, aliases: [farm-2.example], address: 10.20.0.10}
nodes: [{name: orch-1, address: 10.20.0.11}, {name: orch-2, address: 10.20.0.12}]
"""


class Outcome(NamedTuple):
    """What the iRule did with a request: the words of its own answers, and the headers for the node."""

    answers: list[str]
    headers: list[tuple[str, str]]
    pool: str
    persist: str

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def _word(text: str) -> str:
    return "[binary decode hex " + text.encode().hex() + "]" if text else "{}"


def irule(
    *headers: tuple[str, str], host: str | None = "farm.example", uri: str = "/x", port: int = 443, method: str = "GET"
) -> Outcome:
    """Run the request iRule."""
    farm = loads(SPEC).farm
    return run(
        request_irule(farm, Design(farm), redirects=True), *headers, host=host, uri=uri, port=port, method=method
    )


def run(
    lines_of_irule: Iterable[str],
    *headers: tuple[str, str],
    host: str | None = "farm.example",
    uri: str = "/x",
    port: int = 443,
    method: str = "GET",
) -> Outcome:
    """Run an iRule."""
    sent = [*([("Host", host)] if host is not None else []), *headers]
    lines = [TCL, f"set port {port}", f"set uri {_word(uri)}", f"set method {method}", "set answers {}"]
    lines += ["set pool {}", "set persist {}"]
    lines += ["set headers {}", *(f"lappend headers {_word(key)} {_word(value)}" for key, value in sent)]
    lines += lines_of_irule
    lines += ['foreach one $answers { puts "a [binary encode hex $one]" }']
    lines += ['foreach one $headers { puts "h [binary encode hex $one]" }']
    lines += ['puts "p [binary encode hex $pool]"', 'puts "k [binary encode hex $persist]"']
    done = subprocess.run(["tclsh"], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""
    found: dict[str, list[str]] = {"a": [], "h": [], "p": [], "k": []}
    for line in done.stdout.splitlines():
        kind, _space, word = line.partition(" ")
        found[kind].append(bytes.fromhex(word).decode())
    names, values = found["h"][::2], found["h"][1::2]
    return Outcome(found["a"], list(zip(names, values, strict=True)), *found["p"], *found["k"])


@pytest.mark.parametrize("host", ["farm.example", "FARM.example:443", "farm.example:8443", "farm-2.example:1"])
def test_irule_name_of_the_farm_with_any_port_passes(host: str) -> None:
    outcome = irule(host=host)
    assert outcome.answers == []
    assert outcome.values("X-Forwarded-Host") == [host]


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "", "farm.example.", "farm.example.:443", "farm.example:", "farm.example:443@evil.example"),
        *("farm.example:1,evil.example", "farm.example,evil.example", "farm.example:443:444", "farm.example:port"),
        *("farm.example evil.example", "farm.example:443 {", "farm.example:443]", "farm.example:443/evil"),
        None,
    ],
)
def test_irule_other_host_gets_421(host: str | None) -> None:
    assert irule(host=host).answers[0] == "421"


def test_irule_second_host_header_gets_421() -> None:
    assert irule(("Host", "evil.example")).answers[0] == "421"
    assert irule(("Host", "farm.example"), host="evil.example").answers[0] == "421"


def test_irule_headers_that_a_client_must_not_set_are_removed() -> None:
    forged = [(name, "6.6.6.6") for name in (*FORGED_NAMES, *KNOWN_FORGED, *SET_BY_BALANCER, "X-Forwarded-New", "X_Y")]
    twins = [(name.replace("-", "_").lower(), value) for name, value in forged if "-" in name]
    outcome = irule(*forged, *forged, *twins, ("HTTP2-Settings", "x"), ("Cookie", "a=b"), ("X-UIPATH-TenantName", "t"))
    assert outcome.answers == []
    assert outcome.headers == [
        ("Host", "farm.example"),
        ("Cookie", "a=b"),
        ("X-UIPATH-TenantName", "t"),
        ("X-Forwarded-For", "10.1.2.3"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "farm.example"),
        ("X-Forwarded-Port", "443"),
    ]


@pytest.mark.parametrize("method, status", [("GET", "301"), ("HEAD", "301"), ("POST", "308"), ("DELETE", "308")])
def test_irule_redirect_keeps_the_method(method: str, status: str) -> None:
    outcome = irule(host="evil.example", uri="/x?y=1", port=80, method=method)
    assert outcome.answers == [status, "Location", "https://farm.example/x?y=1"]


LIMIT = 314_572_800
"""`balancer.max_body` of the farm."""


@pytest.mark.parametrize("length", ["0", "00", "1", str(LIMIT), f"000{LIMIT}", f" {LIMIT} ", "0777"])
def test_irule_body_within_the_limit_passes(length: str) -> None:
    assert irule(("Content-Length", length)).answers == []


@pytest.mark.parametrize(
    "length",
    [
        *(str(LIMIT + 1), "9999999999999999999999", "18446744073709551616", f"0{LIMIT + 1}"),
        *("02000000000", "0314572801", "0000000000999999999999"),
    ],
)
def test_irule_body_above_the_limit_gets_413(length: str) -> None:
    """As octal, 02000000000 is below the limit; 0314572801 is not octal, and as a text it is below the limit."""
    assert irule(("Content-Length", length)).answers[0] == "413"
    assert irule(("Content-Length", "1"), ("Content-Length", length)).answers[0] == "413"


@pytest.mark.parametrize("length", ["-1", "+1", "0x10", "1e3", "1,1", "5 5", "five", "1.0", "\u0665", "[exit]"])
def test_irule_length_that_is_not_a_number_gets_400(length: str) -> None:
    assert irule(("Content-Length", length)).answers[0] == "400"


@pytest.mark.parametrize("target", ["http://evil.example/x", "@evil.example/", ".evil.example/", "*", "", "x"])
def test_irule_target_without_a_slash_is_not_redirected(target: str) -> None:
    assert irule(uri=target, port=80).answers[0] == "400"
    assert run(redirect_irule(Design(loads(SPEC).farm)), uri=target, port=80).answers[0] == "400"


def test_irule_of_passthrough_redirects_to_the_name_of_the_farm() -> None:
    outcome = run(redirect_irule(Design(loads(SPEC).farm)), host="evil.example", uri="//x?y=1", port=80)
    assert outcome.answers == ["301", "Location", "https://farm.example//x?y=1"]


@pytest.mark.parametrize(
    "uri, pool, persist",
    [
        ("/SignalR/negotiate?x=/other", "/Common/signalr", "cookie insert NLBID"),
        ("/signalr", "/Common/signalr", "cookie insert NLBID"),
        ("/x?/signalr", "/Common/web", "source_addr"),
    ],
)
def test_irule_of_signalr_selects_pool_and_persistence(uri: str, pool: str, persist: str) -> None:
    lines = signalr_irule(["/signalr"], "/Common/signalr", "/Common/web", sticky=True, held=True)
    outcome = run(lines, uri=uri)
    assert (outcome.pool, outcome.persist) == (pool, persist)


@pytest.mark.parametrize(
    "active, returns, pool",
    [(0, True, "/P/unchecked"), (0, False, "/P/unchecked"), (2, True, "/P/web"), (2, False, "/P/signalr")],
)
@pytest.mark.parametrize("http", [True, False])
def test_unchecked_irule_selects_the_pool_without_a_monitor_only_if_no_member_is_up(
    active: int, returns: bool, pool: str, http: bool
) -> None:
    lines = unchecked_irule("/P/web", "/P/unchecked", http=http, returns=returns)
    event = "HTTP_REQUEST" if http else "CLIENT_ACCEPTED"
    before = [f"proc when {{event body}} {{ if {{$event eq {event!r}}} {{ eval $body }} }}".replace("'", '"')]
    before += [f'proc active_members {{name}} {{ if {{$name eq "/P/web"}} {{ return {active} }} }}', "pool /P/signalr"]
    assert run([*before, *lines]).pool == pool
