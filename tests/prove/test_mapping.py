"""What runs in the lab is what goes live, but for addresses, ports, host names and files."""

import re
from collections.abc import Iterator

import pytest

from nlbgen.generators.base import render
from nlbgen.prove.lab.lab import Lab
from nlbgen.prove.lab.mapping import difference, mapping

FARMS = {
    "bridge": {},
    "terminate": {"frontend": {"tls": {"mode": "terminate"}}},
    "passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "http": {"frontend": {"tls": {"mode": "none"}}},
    "every state": {
        "nodes": [
            {"name": "one", "address": "10.0.0.1", "weight": 50},
            {"name": "two", "address": "orch-2.corp.example", "port": 8443},
            {"name": "three", "address": "fd00::3", "state": "backup"},
            {"name": "four", "address": "10.0.0.4", "state": "drain"},
            {"name": "five", "address": "10.0.0.5", "state": "down"},
        ],
        "frontend": {"address": "*", "port": 8444, "redirect_http": True, "aliases": ["robots.corp.example"]},
        "balancer": {"affinity": "cookie", "metrics_port": 9404},
    },
    "verified by nobody": {"frontend": {"tls": {"verify_nodes": False}}, "accept": ["nodes-unverified"]},
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
    r"|\s*# The package's user and chroot;.*"
    r"|\s*# (?:Nodes with )?[Hh]ost names.*|\s*(?:resolvers|parse-resolv-conf|hold)\b.*|"
)
"""Lines about the balancer's own files, user and log, about looking up host names, and empty ones."""
PLACES = (
    (re.compile(r"^(\s*(?:bind|listen) )\S+"), r"\1HERE"),
    (re.compile(r"^(\s*server (?:[\w-]+ (?=\S+:))?)\S+:[0-9]+"), r"\1NODE"),
    (re.compile(r"(X-Forwarded-Port) [0-9]+"), r"\1 PORT"),
    (re.compile(r"(https://[\w.-]+):[0-9]+"), r"\1"),
    (re.compile(r"(\$host):[0-9]+"), r"\1"),
    (re.compile(r" (?:resolvers|init-addr) \S+"), ""),
    (re.compile(r"/(?:etc|tmp)/[^\s;]+"), "FILE"),
)
"""Where the mapping may reach: listeners, nodes, the port that is told to others, and the certificates' files."""


@pytest.fixture(params=FARMS)
def spec(request, make_spec, farm_data):
    changes = dict(FARMS[request.param])
    changes["accept"] = [*farm_data().get("accept", []), *ACCEPTED, *changes.get("accept", [])]
    return make_spec(**changes)


@pytest.fixture(params=["haproxy", "nginx"])
def lab(request, spec) -> Iterator[Lab]:
    lab = Lab(spec, request.param, program="is not run here")
    try:
        lab.prepare()
        yield lab
    finally:
        lab.close()


def live_text(lab: Lab) -> str:
    return next(file.content for file in render(lab.generator, lab.written) if file.main).decode("utf-8")


def without_places(text: str) -> list[str]:
    """The lines of a configuration without what the mapping changes; a second listener of a pair (IPv6) is left out."""
    lines: list[str] = []
    for line in text.splitlines():
        if OWN.fullmatch(line):
            continue
        for pattern, word in PLACES:
            line = pattern.sub(word, line)  # noqa: PLW2901
        if not (lines and "HERE" in line and lines[-1] == line.replace(" v6only", "")):
            lines.append(line)
    return lines


def test_the_mapping_is_the_only_difference(lab) -> None:
    here = lab.configuration.read_text(encoding="utf-8")
    assert live_text(lab) != here
    assert without_places(here) == without_places(live_text(lab))
    assert len(without_places(here)) > 30


def test_each_place_is_the_one_that_the_mapping_says(lab) -> None:
    here = lab.configuration.read_text(encoding="utf-8")
    for row in mapping(lab):
        # HAProxy before 3.0 finds the key beside the certificate by itself.
        assert row.here in here or (row.what == "key" and lab.generator.name == "haproxy"), row


def test_nothing_that_runs_here_knows_a_live_address(lab) -> None:
    text = lab.configuration.read_text(encoding="utf-8")
    for node in lab.live.nodes:
        assert not re.search(rf"(?<![\w.]){re.escape(node.address)}(?![\w.])", text), node.address
    assert "/etc/ssl" not in text
    assert "/var/" not in text
    for address in re.findall(r"(?:server|bind|listen)\s+(?:[\w-]+\s+)?(\S+):[0-9]+", text):
        assert address == "127.0.0.1"


def test_the_difference_is_a_patch_from_one_to_the_other(lab) -> None:
    """Applied to what goes live it makes what runs here: it hides nothing."""
    said = difference(lab)
    assert said.startswith(f"--- live/{lab.generator.name}/")
    assert patched(live_text(lab), said) == lab.configuration.read_text(encoding="utf-8")


def patched(text: str, patch: str) -> str:
    lines, made, at = text.splitlines(keepends=True), [], 0
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


def test_the_mapping_names_every_node_and_listener(lab) -> None:
    rows = mapping(lab)
    assert [row.what for row in rows if row.what.startswith("node ")] == [f"node {n.name}" for n in lab.live.nodes]
    assert all(row.here.startswith(("127.0.0.1:", str(lab.folder))) for row in rows)
    assert len({row.here for row in rows}) == len(rows)


def test_a_prepared_laboratory_leaves_nothing(spec) -> None:
    lab = Lab(spec, "haproxy", program="is not run here")
    lab.prepare()
    folder = lab.folder
    assert folder.is_dir()
    lab.close()
    assert not folder.exists()
