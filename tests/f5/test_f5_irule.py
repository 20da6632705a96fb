"""The iRule of requests, run by Tcl with the device's commands replaced by a record of what they do."""

import shutil
import subprocess
from typing import NamedTuple

import pytest

from nlbgen.generators.design import Design
from nlbgen.generators.f5.irules import request_irule
from nlbgen.generators.headers import FORGED_NAMES, KNOWN_FORGED, SET_BY_BALANCER
from nlbgen.spec.load import loads

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

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def _word(text: str) -> str:
    return "[binary decode hex " + text.encode().hex() + "]" if text else "{}"


def irule(
    *headers: tuple[str, str], host: str | None = "farm.example", uri: str = "/x", port: int = 443, method: str = "GET"
) -> Outcome:
    """Run the request iRule."""
    if (tclsh := shutil.which("tclsh")) is None:
        pytest.skip("tclsh is not installed")
    farm = loads(SPEC).farm
    sent = [*([("Host", host)] if host is not None else []), *headers]
    lines = [TCL, f"set port {port}", f"set uri {_word(uri)}", f"set method {method}", "set answers {}"]
    lines += ["set headers {}", *(f"lappend headers {_word(key)} {_word(value)}" for key, value in sent)]
    lines += request_irule(farm, Design(farm), redirects=True)
    lines += ['foreach one $answers { puts "a [binary encode hex $one]" }']
    lines += ['foreach one $headers { puts "h [binary encode hex $one]" }']
    done = subprocess.run([tclsh], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""
    found: dict[str, list[str]] = {"a": [], "h": []}
    for line in done.stdout.splitlines():
        kind, _space, word = line.partition(" ")
        found[kind].append(bytes.fromhex(word).decode())
    names, values = found["h"][::2], found["h"][1::2]
    return Outcome(found["a"], list(zip(names, values, strict=True)))


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
