"""The lab's configuration equals the rendered one, except for addresses, ports, host names and files."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nlbgen.generators.base import render
from nlbgen.prove.lab.lab import Lab
from nlbgen.prove.lab.mapping import difference, mapping
from nlbgen.spec.load import Spec

FARMS: dict[str, dict[str, Any]] = {
    "bridge": {},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "every state": {
        "nodes": [
            {"name": "one", "address": "10.0.0.1", "weight": 50},
            {"name": "two", "address": "10.0.0.2", "port": 8443},
            {"name": "three", "address": "fd00::3", "state": "backup"},
            {"name": "four", "address": "10.0.0.4", "state": "drain"},
            {"name": "five", "address": "10.0.0.5", "state": "down"},
        ],
        "frontend": {"address": "*", "port": 8444, "redirect_http": True, "aliases": ["robots.corp.example"]},
        "balancer": {"affinity": "cookie", "metrics_port": 9404},
    },
    "host name": {"nodes": [{"name": "one", "address": "10.0.0.1"}, {"name": "two", "address": "orch-2.corp.example"}]},
    "unverified nodes": {"frontend": {"tls": {"verify_nodes": False}}, "accept": ["nodes-unverified"]},
}
ACCEPTED = [
    "nginx-active-health",
    "nginx-affinity-cookie",
    "nginx-passthrough-health",
    "nginx-slow-start",
    "nginx-queue",
]

OWN = re.compile(
    r"\s*(?:user|group|chroot|log|stats socket|server-state-file|pid|error_log|access_log|\w+_temp_path)\b.*"
    r"|\s*# (?:User and chroot of Debian's|The user of NGINX's) package.*"
    r"|\s*# (?:HAProxy|NGINX) resolves the nodes' host names.*"
    r"|\s*(?:resolvers|parse-resolv-conf|hold)\b.*|"
)
"""Lines about the balancer's own files, user and log, about looking up host names, and empty ones."""
PLACES = (
    (re.compile(r"^(\s*(?:bind|listen) )\S+"), r"\1HERE"),
    (re.compile(r"^(\s*server (?:[\w-]+ (?=\S+:))?)\S+:[0-9]+"), r"\1NODE"),
    (re.compile(r"^(\s*)\S+:[0-9]+ (?=[0-9a-f]{8};)"), r"\1NODE "),
    (re.compile(r"(X-Forwarded-Port) [0-9]+"), r"\1 PORT"),
    (re.compile(r"(https://[\w.-]+):[0-9]+"), r"\1"),
    (re.compile(r"(\$host):[0-9]+"), r"\1"),
    (re.compile(r" (?:resolvers|init-addr) \S+"), ""),
    (re.compile(r"/(?:etc|tmp)/[^\s;]+"), "FILE"),
    (re.compile(r"nlbgen-digest-[0-9a-f]{16}"), "DIGEST"),
)
"""What the lab may change: listeners, nodes, the forwarded port, the certificates' files, and so the file's digest."""


@pytest.fixture(params=FARMS)
def spec(
    request: pytest.FixtureRequest, make_spec: Callable[..., Spec], farm_data: Callable[..., dict[str, Any]]
) -> Spec:
    changes = dict(FARMS[request.param])
    changes["accept"] = [*farm_data().get("accept", []), *ACCEPTED, *changes.get("accept", [])]
    return make_spec(**changes)


@pytest.fixture(params=["haproxy", "nginx"])
def lab(request: pytest.FixtureRequest, spec: Spec) -> Iterator[Lab]:
    lab = Lab(spec, request.param, program="does not run")
    try:
        lab.prepare()
        yield lab
    finally:
        lab.close()


def live_text(lab: Lab) -> str:
    return next(file.content for file in render(lab.generator, lab.written) if file.main).decode("utf-8")


def without_places(text: str) -> list[str]:
    """The lines of a configuration without what the lab changes; the IPv6 listener of a pair is left out."""
    lines: list[str] = []
    for line in text.splitlines():
        if OWN.fullmatch(line):
            continue
        for pattern, word in PLACES:
            line = pattern.sub(word, line)  # noqa: PLW2901
        if not (lines and "HERE" in line and lines[-1] == line.replace(" v6only", "")):
            lines.append(line)
    return lines


def test_mapping_is_the_only_difference(lab: Lab) -> None:
    here = lab.configuration.read_text(encoding="utf-8")
    assert live_text(lab) != here
    assert without_places(here) == without_places(live_text(lab))
    assert len(without_places(here)) > 30


def test_mapping_rows_are_in_the_lab_configuration(lab: Lab) -> None:
    here = lab.configuration.read_text(encoding="utf-8")
    for row in mapping(lab):
        # HAProxy before 3.0 loads the key beside the certificate.
        assert row.here in here or (row.what == "key" and lab.generator.name == "haproxy"), row


def test_lab_configuration_has_no_live_address(lab: Lab) -> None:
    text = lab.configuration.read_text(encoding="utf-8")
    for node in lab.live.nodes:
        assert not re.search(rf"(?<![\w.]){re.escape(node.address)}(?![\w.])", text), node.address
    assert "/etc/ssl" not in text
    assert "/var/" not in text
    for address in re.findall(r"(?:server|bind|listen)\s+(?:[\w-]+\s+)?(\S+):[0-9]+", text):
        assert address == "127.0.0.1"


def test_difference_applied_to_the_live_file_gives_the_lab_file(lab: Lab) -> None:
    """The diff is complete: it is a valid patch."""
    patch = difference(lab)
    assert patch.startswith(f"--- rendered/{lab.generator.name}/")
    assert patched(live_text(lab), patch) == lab.configuration.read_text(encoding="utf-8")


def patched(text: str, patch: str) -> str:
    lines, at = text.splitlines(keepends=True), 0
    made: list[str] = []
    for line in patch.splitlines(keepends=True)[2:]:
        if found := re.match(r"@@ -([0-9]+)(?:,[0-9]+)? ", line):
            start = int(found[1]) - 1
            made += lines[at:start]
            at = start
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            assert lines[at] == line[1:]
            at += 1
            made += [line[1:]] if line.startswith(" ") else []
    return "".join([*made, *lines[at:]])


def test_mapping_names_every_node_and_listener(lab: Lab) -> None:
    rows = mapping(lab)
    assert [row.what for row in rows if row.what.startswith("node ")] == [f"node {n.name}" for n in lab.live.nodes]
    assert all(row.here.startswith(("127.0.0.1:", str(lab.folder))) for row in rows)
    assert len({row.here for row in rows}) == len(rows)


def test_closed_lab_leaves_no_folder(spec: Spec) -> None:
    lab = Lab(spec, "haproxy", program="does not run")
    lab.prepare()
    folder = lab.folder
    assert folder.is_dir()
    lab.close()
    assert not folder.exists()
