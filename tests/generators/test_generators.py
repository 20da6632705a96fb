"""The generator core: the catalogue of features, quoting, TLS profiles, the design that vendors share."""

import errno
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nlbgen import __version__
from nlbgen.core.errors import FileError, UnsupportedError, UsageError
from nlbgen.generators import base, matrix
from nlbgen.generators.base import (
    Generator,
    Site,
    UnquotableError,
    all_generators,
    audit,
    generator,
    known_ids,
    prepare,
    render,
)
from nlbgen.generators.design import Design
from nlbgen.generators.features import FEATURES, No, Since
from nlbgen.generators.haproxy import generator as haproxy
from nlbgen.generators.output import chosen, spec_files
from nlbgen.generators.tls import profile
from nlbgen.spec.capacity import FD_RESERVE
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Duration, Version

MakeSpec = Callable[..., Spec]
IDS = [feature.id for feature in FEATURES]
VENDOR = pytest.mark.parametrize("vendor", all_generators(), ids=lambda vendor: vendor.name)
FOR_ALL: dict[str, Any] = {"frontend": {"address": "10.20.0.10"}, "accept": sorted(known_ids())}
"""The changes with which every vendor renders the farm."""


# The catalogue


def test_feature_ids_and_titles_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)
    assert len({feature.title for feature in FEATURES}) == len(FEATURES)


@VENDOR
def test_support_of_every_vendor_covers_every_feature(vendor: Generator) -> None:
    assert vendor.support.keys() == set(IDS)
    for answer in vendor.support.values():
        why = answer.before if isinstance(answer, Since) else answer
        if isinstance(why, No):
            assert why.reason
            assert not why.reason.endswith(".")
            assert not why.fallback.endswith(".")
        if isinstance(answer, Since):
            assert vendor.oldest < answer.version <= vendor.newest


@pytest.mark.parametrize("name", sorted({vendor.name for vendor in all_generators()} - {"zen"}))
def test_lacks_depends_on_the_version(name: str) -> None:
    """And in the Zen family on the product as well: tests/generators/test_zen_render.py."""
    vendor = generator(name)
    for feature, answer in vendor.support.items():
        if isinstance(answer, Since):
            assert vendor.lacks(feature, answer.version) is None
            assert vendor.lacks(feature, vendor.oldest) is answer.before
        elif isinstance(answer, No):
            assert vendor.lacks(feature, vendor.newest) is answer
        else:
            assert vendor.lacks(feature, vendor.oldest) is None


ASKING: dict[str, dict[str, Any]] = {
    "tls-terminate": {"frontend": {"tls": {"mode": "terminate"}}},
    "tls-passthrough": {"frontend": {"tls": {"mode": "passthrough"}}},
    "passthrough-health": {"frontend": {"tls": {"mode": "passthrough"}}},
    "tls-modern": {"frontend": {"tls": {"profile": "modern"}}},
    "http2": {"frontend": {"http2": True}},
    "ntlm": {"frontend": {"windows_sign_in": True}},
    "websocket": {"balancer": {"signalr": {}}},
    "active-health": {"balancer": {"health": {}}},
    "health-paths": {"balancer": {"health": {"paths": ["/a", "/b"]}}},
    "health-details-key": {"balancer": {"health": {"path": "/api/health", "details_key": {"env": "X"}}}},
    "serve-all-failed": {"balancer": {"health": {"all_failed": "serve"}}},
    "refuse-all-failed": {"balancer": {"health": {"all_failed": "refuse"}}},
    "maintenance": {"balancer": {"maintenance": {"state": "closed"}}},
    "gradual-release": {"balancer": {"maintenance": {"state": "releasing"}}},
    "address-limit": {"balancer": {"limits": {"connections_per_address": 50}}},
    "round-robin": {"balancer": {"algorithm": "round-robin"}},
    "source-hash": {"balancer": {"algorithm": "source"}},
    "affinity-cookie": {"balancer": {"affinity": "cookie"}},
    "affinity-source": {"balancer": {"affinity": "source"}},
    "affinity-signalr": {"balancer": {"affinity": "signalr"}},
    "slow-start": {"balancer": {"slow_start": "1ms"}},
    "queue": {"balancer": {"timeouts": {"queue": "30s"}}},
    "max-body": {"balancer": {"max_body": "300MB"}},
    "weights": {"nodes": [{"name": "a", "address": "10.0.0.1", "weight": 1}, {"name": "b", "address": "10.0.0.2"}]},
    "vip": {
        "frontend": {
            "vip": {"address": "10.20.0.10/24", "interface": "eth0", "balancers": ["a", "b"], "secret": {"env": "X"}}
        }
    },
    **{
        state: {"nodes": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2", "state": state}]}
        for state in ("drain", "down", "backup")
    },
}
ASKING["backup-source"] = {**ASKING["backup"], **ASKING["source-hash"]}
OWN_FILES = 150
"""Open files of HAProxy itself: listeners, pipes, and the checks of 64 nodes."""
ALWAYS_ASKED = {"tls-bridge", "verify-nodes", "least-connections"}
"""The features that a minimal farm requests."""


def asked(spec: Spec) -> set[str]:
    return {feature.id for feature in FEATURES if feature.asked(spec.farm) is not None}


def test_requested_features_of_a_minimal_farm_are_the_defaults(make_spec: MakeSpec) -> None:
    assert asked(make_spec()) == ALWAYS_ASKED


@pytest.mark.parametrize("feature", ASKING)
def test_requested_feature_has_the_path_of_its_key(feature: str, make_spec: MakeSpec) -> None:
    spec = make_spec(**ASKING[feature])
    assert feature in asked(spec)
    (found,) = (entry for entry in FEATURES if entry.id == feature)
    path = found.asked(spec.farm)
    assert path is not None
    assert spec.document.location(path).line == 1


def test_specs_of_the_tests_request_every_feature() -> None:
    never = {feature.id for feature in FEATURES if feature.asked.__name__ == "_never"}
    in_test_redis = {"redis-front"}
    assert {*ASKING, *ALWAYS_ASKED, *never, *in_test_redis} == set(IDS)


def test_summary_has_a_row_for_each_feature_and_an_answer_of_each_vendor() -> None:
    rows = [line.strip("| ").split(" | ") for line in matrix.summary().splitlines()[2:]]
    assert [row[0] for row in rows] == [feature.title for feature in FEATURES]
    answers = [[matrix.cell(vendor, feature).answer for vendor in all_generators()] for feature in FEATURES]
    assert [row[1:] for row in rows] == answers


@VENDOR
def test_render_without_a_feature_is_refused_with_the_id_to_accept(vendor: Generator, make_spec: MakeSpec) -> None:
    for feature in IDS:
        version = vendor.version(make_spec().farm)
        why = vendor.lacks(feature, version)
        if feature not in ASKING or why is None:
            continue
        with pytest.raises(UnsupportedError) as refused:
            render(vendor, make_spec(**ASKING[feature]))
        ids = {problem.id for problem in refused.value.problems}
        assert vendor.problem_id(feature) in ids
        (problem,) = (problem for problem in refused.value.problems if problem.id == vendor.problem_id(feature))
        assert (f"accept: [{problem.id}]" in problem.hint) == bool(why.fallback)
        frontend = FOR_ALL["frontend"] | ASKING[feature].get("frontend", {})
        accepted = make_spec(**{**FOR_ALL, **ASKING[feature], "frontend": frontend})
        if why.fallback:
            job = prepare(vendor, accepted, Site())
            assert not job.has(feature)
            (limitation,) = (found for found in job.limitations if found.reason == why.reason)
            assert limitation.fallback == why.fallback
        else:
            assert problem.id not in known_ids()
            with pytest.raises(UnsupportedError):
                prepare(vendor, accepted, Site())


@VENDOR
def test_render_writes_the_reason_of_each_accepted_limitation(vendor: Generator, make_spec: MakeSpec) -> None:
    spec = make_spec(**FOR_ALL)
    job = prepare(vendor, spec, Site())
    text = b"".join(file.content for file in render(vendor, spec)).decode()
    for limitation in job.limitations:
        assert limitation.reason in " ".join(text.replace("\n#", "").split())


@VENDOR
def test_render_writes_version_and_digest_into_every_file(vendor: Generator, make_spec: MakeSpec) -> None:
    """But for the small ones that an appliance keeps beside a farm, and JSON, where no comment can stand."""
    spec = make_spec(**FOR_ALL)
    files = render(vendor, spec)
    assert any(file.main for file in files)
    for file in files:
        if not vendor.program and not file.main and file.path.suffix != ".md":
            continue
        text = file.content.decode()
        assert text.endswith("\n")
        assert f"nlbgen {__version__}" in text
        assert spec.digest[:16] in text
        assert "do not edit" in text.lower()


@VENDOR
def test_render_returns_unique_relative_paths_in_order(vendor: Generator, make_spec: MakeSpec) -> None:
    paths = [str(file.path) for file in render(vendor, make_spec(**FOR_ALL))]
    assert paths == sorted(paths)
    assert len(set(paths)) == len(paths)
    assert not any(path.startswith("/") or ".." in path for path in paths)


def test_audit_reports_only_vendors_in_the_spec(make_spec: MakeSpec) -> None:
    asking = {"balancer": {"slow_start": "1s"}}
    assert audit(make_spec(**asking)) == []
    assert [problem.id for problem in audit(make_spec(**asking, nginx={}))] == ["nginx-slow-start"]
    assert audit(make_spec(**asking, nginx={}, accept=["nginx-slow-start"])) == []


def test_hint_for_a_feature_that_no_vendor_offers_is_to_remove_it() -> None:
    (queue,) = (feature for feature in FEATURES if feature.id == "queue")
    haproxy = generator("haproxy")
    assert all(vendor.lacks("queue", vendor.newest) for vendor in all_generators() if vendor is not haproxy)
    hint = base._hint(haproxy, queue, haproxy.oldest, No("no release has it"))
    assert hint == "remove it from the spec"


def test_audit_of_an_unknown_version_reports_its_id(make_spec: MakeSpec) -> None:
    for name, old, new in [("haproxy", "2.3.9", "3.5"), ("nginx", "1.17.9", "1.32")]:
        vendor = generator(name)
        for version in (old, new):
            (problem,) = audit(make_spec(**{name: {"version": version}}))
            assert (problem.id, problem.path) == (f"{name}-version", f"{name}.version")
        accepted = make_spec(**{name: {"version": new}}, accept=[f"{name}-version"])
        assert audit(accepted) == []
        assert render(vendor, accepted)
        with pytest.raises(UnsupportedError, match="too old"):
            render(vendor, make_spec(**{name: {"version": old}}, accept=[f"{name}-version"]))
        for version in (str(vendor.oldest), str(vendor.newest), f"{vendor.newest}.99"):
            assert audit(make_spec(**{name: {"version": version}})) == []


# Quoting


@pytest.mark.parametrize(
    "vendor, text, quoted",
    [
        ("haproxy", "/etc/ssl/a.pem", "/etc/ssl/a.pem"),
        ("haproxy", "a b", "'a b'"),
        ("haproxy", "it's", "'it'\\''s'"),
        ("haproxy", '"$HOME" #\\', "'\"$HOME\" #\\'"),
        ("haproxy", "/a?b&c", "'/a?b&c'"),
        ("haproxy", "ü", "'ü'"),
        ("nginx", "/etc/ssl/a.pem", "/etc/ssl/a.pem"),
        ("nginx", "a b;{}#'", '"a b;{}#\'"'),
        ("nginx", 'a"b\\', '"a\\"b\\\\"'),
        ("nginx", "ü", '"ü"'),
        ("nginx", "", '""'),
        ("zen", "/a b;$c", "/a b;$c"),
    ],
)
def test_quoted_returns_one_word(vendor: str, text: str, quoted: str) -> None:
    assert generator(vendor).quoted(text) == quoted


@pytest.mark.parametrize("vendor, text", [("nginx", "/a$b"), ("nginx", "$")])
def test_quoted_of_unquotable_text_raises(vendor: str, text: str) -> None:
    with pytest.raises(UnquotableError):
        generator(vendor).quoted(text)


# TLS


@pytest.mark.parametrize(
    "openssl, post_quantum", [("1.1.1", False), ("3.0", False), ("3.4.9", False), ("3.5", True), ("4", True)]
)
def test_profile_has_post_quantum_groups_from_openssl_3_5_on(openssl: str, post_quantum: bool) -> None:
    for name in ("modern", "intermediate"):
        groups = profile(name, Version(openssl)).groups
        assert ("X25519MLKEM768" in groups) is post_quantum
        assert groups[-3:] == ("X25519", "prime256v1", "secp384r1")


def test_profile_equals_mozilla_guideline_6() -> None:
    """Guideline 6.0: modern is TLS 1.3 alone; intermediate adds TLS 1.2 with forward secrecy and AEAD alone."""
    modern, intermediate = (profile(name, Version("3.0")) for name in ("modern", "intermediate"))
    assert (modern.versions, modern.ciphers) == (("TLSv1.3",), ())
    assert intermediate.versions == ("TLSv1.2", "TLSv1.3")
    assert modern.suites == intermediate.suites
    assert len(modern.suites) == 3
    assert len(intermediate.ciphers) == 6
    assert all(cipher.startswith("ECDHE-") for cipher in intermediate.ciphers)
    assert all("GCM" in cipher or "CHACHA20" in cipher for cipher in intermediate.ciphers)


# The design


def test_member_tag_discloses_neither_name_nor_address(make_spec: MakeSpec) -> None:
    members = Design(make_spec().farm).members
    assert len({member.tag for member in members}) == 2
    for member in members:
        assert len(member.tag) == 8
        assert member.name not in member.tag
        assert member.host not in member.tag
    renamed = make_spec(nodes=[{"name": "orch-1", "address": "10.9.9.9"}, {"name": "x", "address": "10.9.9.8"}])
    assert Design(renamed.farm).members[0].tag == members[0].tag


@pytest.mark.parametrize(
    "address, endpoint, is_name",
    [("10.0.0.1", "10.0.0.1:443", False), ("2001:db8::1", "[2001:db8::1]:443", False), ("orch-1", "orch-1:443", True)],
)
def test_member_endpoint_joins_host_and_port(address: str, endpoint: str, is_name: bool, make_spec: MakeSpec) -> None:
    spec = make_spec(nodes=[{"name": "a", "address": address}, {"name": "b", "address": "10.9.9.9"}])
    member = Design(spec.farm).members[0]
    assert (member.endpoint, member.is_name) == (endpoint, is_name)


def test_members_of_backups_only_are_up(make_spec: MakeSpec) -> None:
    nodes = [{"name": name, "address": name, "state": "backup"} for name in ("a", "b")]
    assert [member.state for member in Design(make_spec(nodes=nodes).farm).members] == ["up", "up"]
    nodes[0]["state"] = "down"
    assert [member.state for member in Design(make_spec(nodes=nodes).farm).members] == ["down", "backup"]


@pytest.mark.parametrize("interval", ["200ms", "5s", "1m"])
@pytest.mark.parametrize("timeout", ["200ms", "3s"])
@pytest.mark.parametrize("fall", [1, 5])
def test_design_longest_detection_covers_every_check_timeout(
    interval: str, timeout: str, fall: int, make_spec: MakeSpec
) -> None:
    """At least an interval and the timeouts of all checks, and at most what the slowest checks take."""
    spec = make_spec(balancer={"health": {"interval": interval, "timeout": timeout, "fall": fall}})
    health = spec.farm.balancer.health
    told = Design(spec.farm).longest_detection
    assert health.interval + fall * health.timeout <= told
    slowest = max(health.timeout, spec.farm.balancer.timeouts.connect)
    assert told <= health.interval + fall * (slowest + Design(spec.farm).fast_check)


CHECKS = {"paths": ["/api/health", "/identity/health", "/webhooks/api/status"]}


def test_design_longest_detection_of_a_service_grows_with_the_services_before_it(make_spec: MakeSpec) -> None:
    one, three = (Design(make_spec(balancer={"health": health}).farm) for health in ({"path": "/a"}, CHECKS))
    assert one.longest_detection == one.longest_service_detection == three.longest_detection == Duration.of("4900ms")
    assert three.longest_service_detection == Duration.of("12500ms")


def text_of_haproxy(spec: Spec, name: str = "haproxy.cfg") -> str:
    return next(file.content.decode() for file in render(generator("haproxy"), spec) if file.path.name == name)


def test_haproxy_checks_each_service_on_a_connection_of_its_own(make_spec: MakeSpec) -> None:
    text = text_of_haproxy(make_spec(balancer={"health": CHECKS}))
    words = [line.split()[:5] for line in text.splitlines() if "http-check" in line]
    assert [line[1] for line in words] == ["connect", "send", "expect"] * 3
    assert [line[4] for line in words if line[1] == "send"] == ["uri"] * 3
    assert "down after at most 12.5s" in " ".join(text.split())
    single = text_of_haproxy(make_spec(balancer={"health": {"path": "/api/health"}}))
    assert "http-check connect" not in single


def test_haproxy_reads_the_details_key_from_its_environment(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETAILS", "hunter2")
    health = {"paths": ["/api/health", "/api/health/startup?a=%20", "/b"], "details_key": {"env": "DETAILS"}}
    spec = make_spec(balancer={"health": health})
    sends = [line for line in text_of_haproxy(spec).splitlines() if "http-check send" in line]
    variable = "detailsKey=%[env(NLBGEN_HEALTH_DETAILS_KEY),url_enc]"
    assert f' uri-lf "/api/health?{variable}" ' in sends[0]
    assert f' uri-lf "/api/health/startup?a=%%20&{variable}" ' in sends[1]
    assert " uri /b " in sends[2]
    assert "EnvironmentFile=-/etc/haproxy/nlbgen-health.env" in text_of_haproxy(spec, "nlbgen.conf")
    assert "NLBGEN_HEALTH_DETAILS_KEY" in text_of_haproxy(spec, "INSTALL.md")
    assert not any(b"hunter2" in file.content for file in render(generator("haproxy"), spec))


@pytest.mark.parametrize("name", ["nginx", "zen", "f5"])
def test_details_key_is_refused_by_id_where_the_vendor_would_write_it(name: str, make_spec: MakeSpec) -> None:
    health = {"path": "/api/health", "details_key": {"env": "DETAILS"}}
    with pytest.raises(UnsupportedError, match=f"{name}-health-details-key"):
        render(generator(name), make_spec(balancer={"health": health}))


def test_nginx_refuses_several_services_by_id(make_spec: MakeSpec) -> None:
    with pytest.raises(UnsupportedError, match="nginx-health-paths"):
        render(generator("nginx"), make_spec(balancer={"health": CHECKS}))


def test_nginx_checks_the_first_service_before_a_websocket(make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"health": CHECKS}, accept=["nginx-health-paths", "nginx-active-health"])
    text = next(file.content.decode() for file in render(generator("nginx"), spec) if file.main)
    assert "_websocket/api/health" in text
    assert "/identity" not in text


@pytest.mark.parametrize(
    "size, nginx", [("1KB", "1k"), ("300MB", "307200k"), ("1025B", "1025"), ("100GB", "104857600k")]
)
def test_render_writes_max_body_exactly(size: str, nginx: str, make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"max_body": size})
    texts = [b"".join(file.content for file in render(generator(name), spec)).decode() for name in ("nginx", "haproxy")]
    assert f"client_max_body_size {nginx};" in texts[0]
    assert f"req.hdr_val(Content-Length) gt {int(spec.farm.balancer.max_body)} }}" in texts[1]


# The command line's words


def test_chosen_returns_vendors_once_in_documented_order() -> None:
    assert chosen(["nginx", "haproxy", "nginx"]) == ("haproxy", "nginx")
    assert set(chosen(["all"])) == {vendor.name for vendor in all_generators()}


@pytest.mark.parametrize(
    "others, name, message, hint",
    [
        ([], "haproxi", "haproxi is not a vendor (did you mean haproxy?)", "write haproxy, nginx, zen, f5 or all"),
        (["nodes"], "xyz", "xyz is not a vendor", "write haproxy, nginx, zen, f5, nodes or all"),
    ],
)
def test_chosen_of_an_unknown_vendor_raises_with_the_known_ones(
    others: list[str], name: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        chosen(["nginx", name], others)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_spec_files_of_a_folder_without_a_spec_raises(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no \*\.yaml"):
        spec_files([tmp_path])


def test_spec_files_of_a_folder_that_cannot_be_read_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match="cannot be read: Permission denied") as refused:
        spec_files([tmp_path])
    assert refused.value.hint == "check the folder's permissions"


def test_spec_files_of_a_folder_are_unique_and_sorted(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.txt", ".hidden.yaml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    found = [path.name for path in spec_files([tmp_path / "b.yaml", tmp_path, tmp_path / "absent.yaml"])]
    assert found[0] == "b.yaml"
    assert found[-1] == "absent.yaml"
    assert sorted(found) == sorted(set(found))
    assert {"a.yml", "b.yaml"} <= set(found)
    assert "c.txt" not in found


@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_render_size_grows_linearly_with_nodes(vendor: str, make_spec: MakeSpec) -> None:
    """Ten times the nodes make about ten times the text, not a hundred times."""
    sizes = []
    for count in (100, 1000):
        nodes = [{"name": f"n{n}", "address": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(count)]
        spec = make_spec(nodes=nodes)
        sizes.append(sum(len(file.content) for file in render(generator(vendor), spec)))
    assert sizes[1] < 12 * sizes[0]


@pytest.mark.parametrize("affinity", ["cookie", "signalr"])
@pytest.mark.no_cover  # other tests reach the same lines
def test_nginx_affinity_without_sticky_grows_linearly_with_nodes(affinity: str, make_spec: MakeSpec) -> None:
    lines = []
    for count in (60, 600):
        nodes = [{"name": f"n{n}", "address": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(count)]
        spec = make_spec(
            nodes=nodes, nginx={"version": "1.22"}, balancer={"affinity": affinity}, accept=FOR_ALL["accept"]
        )
        lines.append(sum(file.content.count(b"\n") for file in render(generator("nginx"), spec)))
    assert lines[0] < 1200
    assert lines[1] < 10 * lines[0]


def test_render_ignores_the_order_of_keys(farm_data: Callable[..., dict[str, Any]]) -> None:
    data = farm_data(**FOR_ALL)
    backwards = {key: data[key] for key in reversed(data)}
    for vendor in all_generators():
        assert render(vendor, loads(json.dumps(data))) == render(vendor, loads(json.dumps(backwards, indent=3)))


@pytest.mark.parametrize(
    ("version", "directive", "written"),
    [
        ("1.19.3", "ssl_reject_handshake on;", False),
        ("1.19.4", "ssl_reject_handshake on;", True),
        ("1.25.0", "http2 on;", False),
        ("1.25.1", "http2 on;", True),
        ("1.27.3", "keepalive_min_timeout", False),
        ("1.27.4", "keepalive_min_timeout", True),
    ],
)
def test_nginx_directive_is_written_from_its_first_version_on(
    make_spec: MakeSpec, version: str, directive: str, written: bool
) -> None:
    spec = make_spec(nginx={"version": version}, accept=["nginx-active-health", "nginx-queue"])
    text = next(file.content.decode() for file in render(generator("nginx"), spec) if file.main)
    assert (directive in text) is written
    assert (" ssl http2" in text) is (Version(version) < Version("1.25.1"))


@pytest.mark.parametrize(
    "states, weights, shares",
    [
        (("up", "up"), (3, 1), {0: "75.00%", 1: "*"}),
        (("up", "drain", "up"), (1, 1, 1), {0: "50.00%", 2: "*"}),
        (("drain", "backup", "backup"), (1, 1, 1), {1: "50.00%", 2: "*"}),
        (("down", "backup"), (1, 1), {1: "*"}),
        (("up",) * 50, (1, *(256,) * 49), {0: "0.01%", **dict.fromkeys(range(1, 49), "2.04%"), 49: "*"}),
    ],
    ids=["weights", "drain", "only-backups", "one-backup", "smallest-share"],
)
def test_nginx_before_sticky_assigns_new_clients_by_weight_to_serving_nodes(
    states: tuple[str, ...], weights: tuple[int, ...], shares: dict[int, str], make_spec: MakeSpec
) -> None:
    nodes = [
        {"name": f"n{n}", "address": f"10.0.0.{n + 1}", "state": state, "weight": weight}
        for n, (state, weight) in enumerate(zip(states, weights, strict=True))
    ]
    spec = make_spec(nodes=nodes, nginx={"version": "1.22"}, balancer={"affinity": "cookie"}, accept=FOR_ALL["accept"])
    text = next(file.content.decode() for file in render(generator("nginx"), spec) if file.main)
    tags = [member.tag for member in Design(spec.farm).members]
    found = re.findall(r"(\S+%|\*) (\w+)\.[0-9]+;", text.partition("split_clients")[2].partition("}")[0])
    assert {tags.index(tag): share for share, tag in found} == shares


@pytest.mark.parametrize(
    ("states", "keys"), [(("up", "up"), 1), (("up", "up", "drain"), 1), (("up", "up", "up"), 2), (("up",) * 9, 4)]
)
def test_nginx_before_sticky_distributes_the_clients_of_a_node_that_is_down(
    states: tuple[str, ...], keys: int, make_spec: MakeSpec
) -> None:
    nodes = [{"name": f"n{n}", "address": f"10.0.0.{n + 1}", "state": state} for n, state in enumerate(states)]
    spec = make_spec(nodes=nodes, nginx={"version": "1.22"}, balancer={"affinity": "cookie"}, accept=FOR_ALL["accept"])
    text = next(file.content.decode() for file in render(generator("nginx"), spec) if file.main)
    assert ("split_clients $remote_addr $nlb_part {" in text) is (keys > 1)
    for member in Design(spec.farm).members:
        found = re.findall(rf'^        "?{member.tag}[ 0-9]*"? {member.tag}[.]', text, re.MULTILINE)
        assert len(found) == keys


@pytest.mark.parametrize("mode, packages", [("passthrough", ("nginx", "libnginx-mod-stream")), ("bridge", None)])
def test_nginx_role_installs_the_stream_module_under_passthrough(
    make_spec: MakeSpec, mode: str, packages: tuple[str, ...] | None
) -> None:
    farm = make_spec(frontend={"tls": {"mode": mode}}, balancer={"metrics_port": 8405}).farm
    variables = {variable.name: variable.value for variable in generator("nginx").role_variables(farm)}
    assert variables["status_url"] == "http://127.0.0.1:8405/status"
    assert variables.get("packages") == packages


def test_haproxy_passthrough_health_check_verifies_with_the_ca_that_is_written(make_spec: MakeSpec) -> None:
    tls = {"mode": "passthrough", "verify_nodes": "/etc/ssl/orchestrator/ca.pem"}
    text = next(
        file.content.decode() for file in render(generator("haproxy"), make_spec(frontend={"tls": tls})) if file.main
    )
    assert "verify required ca-file /etc/ssl/orchestrator/ca.pem verifyhost orchestrator.corp.example" in text


def test_places_beyond_the_farms_limit_fit_the_open_files_that_the_rule_counts() -> None:
    places = haproxy.SILENT_PLACES + haproxy.REDIRECT_PLACES + haproxy.STATISTICS_PLACES
    assert 2 * places + OWN_FILES <= FD_RESERVE


@pytest.mark.parametrize(
    ("vendor", "changes", "refused"),
    [
        ("nginx", {"windows_sign_in": True}, ["nginx-ntlm"]),
        ("haproxy", {"windows_sign_in": True}, []),
        ("f5", {"windows_sign_in": True}, []),
        ("zen", {"windows_sign_in": True}, ["zen-ntlm"]),
        ("nginx", {"windows_sign_in": True, "tls": {"mode": "passthrough"}}, []),
        ("f5", {"http2": True}, ["f5-http2"]),
        ("f5", {"http2": False}, []),
        ("haproxy", {"http2": True}, []),
    ],
)
def test_windows_sign_in_and_http2_are_refused_by_id(
    make_spec: MakeSpec, vendor: str, changes: dict[str, Any], refused: list[str]
) -> None:
    frontend = {"address": "10.20.0.10", **changes}
    accept = ["nginx-passthrough-health", "zen-verify-nodes", "zen-least-connections"]
    spec = make_spec(frontend=frontend, accept=accept)
    try:
        render(generator(vendor), spec)
        found = []
    except UnsupportedError as error:
        found = [problem.id for problem in error.problems]
    assert found == refused


SITE, KEY = "/etc/ssl/site.pem", "/etc/ssl/site.key"


@pytest.mark.parametrize(
    "version, certificate, key, name",
    [
        ("2.9", SITE, KEY, SITE),
        ("3.0", SITE, KEY, "@/site"),
        ("3.0", SITE, SITE, SITE),
        ("2.9", "/etc/ssl/my site.pem", KEY, "'/etc/ssl/my\\ site.pem'"),
    ],
)
def test_haproxy_certificate_is_renewed_by_the_name_that_haproxy_has_for_it(
    version: str, certificate: str, key: str, name: str, make_spec: MakeSpec
) -> None:
    tls = {"certificate": certificate, "key": key}
    spec = make_spec(haproxy={"version": version}, frontend={"tls": tls})
    files = {file.path.name: file.content.decode() for file in render(generator("haproxy"), spec)}
    assert f"\ncertificate={name}\n" in files["nlbgen-haproxy"]
    crt = name if name in {SITE, "@/site"} else "'/etc/ssl/my site.pem'"
    assert f" crt {crt} " in files["haproxy.cfg"]
