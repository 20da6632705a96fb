"""The objects of a farm on a BIG-IP, bigip.conf (read back), as3.json (valid), and refusals.

The golden files are in `golden_f5/CASE/`; `pytest --update-golden` writes them from each case's `farm.yaml`.
"""

import importlib
import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from nlbgen import __version__
from nlbgen.core.errors import SpecError, UnsupportedError, ValidationError
from nlbgen.generators import tls, validate
from nlbgen.generators.base import generator, render
from nlbgen.generators.f5 import as3 as f5_as3
from nlbgen.generators.f5 import scf as f5_scf
from nlbgen.generators.f5.generator import dangling
from nlbgen.generators.f5.objects import objects
from nlbgen.generators.f5.soap_limits import SOAP_LIMITS
from nlbgen.generators.f5.vocabulary import GATES, KINDS, Object, mapping
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.units import Version

if TYPE_CHECKING:
    from nlbgen.core.artifacts import Artifact

HERE = Path(__file__).parents[1]
GOLDEN = HERE / "golden_f5"
CASES = sorted(folder.parent.name for folder in GOLDEN.glob("*/farm.yaml"))
OTHER_FARMS = sorted((HERE / "golden").glob("*/farm.yaml"))
SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "as3-schema.json"
F5 = generator("f5")
MakeSpec = Callable[..., Spec]
Changes = dict[str, Any]


class SchemaError(Protocol):
    """What the tests read of an error of `jsonschema`, which ships no types."""

    message: str


class SchemaValidator(Protocol):
    """What the tests call of a validator of `jsonschema`."""

    def iter_errors(self, instance: object) -> Iterable[SchemaError]: ...


@cache
def schema() -> SchemaValidator:
    """The validator of AS3's own schema, restricted to declarations, whose errors are then clearer."""
    jsonschema: Any = importlib.import_module("jsonschema")
    whole = json.loads(SCHEMA.read_text(encoding="utf-8"))
    del whole["oneOf"]
    validator: SchemaValidator = jsonschema.Draft7Validator({**whole, "allOf": [{"$ref": "#/definitions/ADC"}]})
    return validator


def assert_right(spec: Spec) -> dict[str, bytes]:
    """Render a farm, assert what every farm must satisfy, and return the files by name."""
    files = render(F5, spec)
    # The files of Redis's hosts are the same for every vendor.
    content = {file.path.name: file.content for file in files if len(file.path.parts) == 1}
    version = F5.version(spec.farm)
    assert f5_scf.parse(content["bigip.conf"].decode()) == objects(spec.farm, version)
    assert dangling(objects(spec.farm, version)) == []
    assert F5.check(spec, files) == "checked by nlbgen's parser; only a device can load it"
    if SCHEMA.exists():
        errors = [error.message[:300] for error in schema().iter_errors(json.loads(content["as3.json"]))]
        assert errors == []
    return content


def one(spec: Spec, kind: str, name: str = "") -> Object:
    found = [o for o in objects(spec.farm, F5.version(spec.farm)) if o.kind == kind and o.name.endswith(name)]
    assert len(found) == 1, found
    return found[0]


def kinds(spec: Spec) -> set[str]:
    return {o.kind for o in objects(spec.farm, F5.version(spec.farm))}


@pytest.mark.parametrize("case", CASES)
def test_render_of_a_golden_farm_equals_its_files(case: str, update_golden: bool) -> None:
    spec = loads((GOLDEN / case / "farm.yaml").read_text(encoding="utf-8"))
    header = f"Made by nlbgen {__version__} ".encode()
    files = {name: content.replace(header, b"Made by nlbgen VERSION ") for name, content in assert_right(spec).items()}
    if update_golden:
        for old in [path for path in (GOLDEN / case).iterdir() if path.name != "farm.yaml"]:
            old.unlink()
        for name, content in files.items():
            (GOLDEN / case / name).write_bytes(content)
    stored = {path.name: path.read_bytes() for path in (GOLDEN / case).iterdir() if path.name != "farm.yaml"}
    assert stored == files


def test_golden_cases_exist() -> None:
    assert len(CASES) >= 4


@pytest.mark.parametrize("path", OTHER_FARMS, ids=lambda path: path.parent.name)
@pytest.mark.no_cover  # other tests reach the same lines
def test_render_of_other_vendors_farms_is_valid_or_refused(path: Path) -> None:
    spec = loads(path.read_text(encoding="utf-8"))
    spec = spec._replace(farm=spec.farm.replace(accept=(*spec.farm.accept, "f5-queue")))
    try:
        assert_right(spec)
    except UnsupportedError as refused:
        assert all(problem.id.startswith("f5-") or "f5" in problem.path for problem in refused.problems), refused


@cache
def farms() -> st.SearchStrategy[Spec]:
    """The farms that test_properties.py makes."""
    made = importlib.util.spec_from_file_location("properties_of_all", HERE / "generators/test_properties.py")
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    sys.modules["properties_of_all"] = module
    made.loader.exec_module(module)
    strategy: st.SearchStrategy[Spec] = module.farms()
    return strategy


@pytest.mark.slow
@settings(max_examples=60)
@given(farms())
def test_render_of_any_farm_is_valid_or_refused(spec: Spec) -> None:
    spec = spec._replace(farm=spec.farm.replace(accept=(*spec.farm.accept, "f5-queue")))
    try:
        assert_right(spec)
    except UnsupportedError as refused:
        event("refused")
        assert all(problem.id or "cannot quote" in problem.message for problem in refused.problems)


# Texts.

_NASTY = "\"'\\\\ ?#;{}[]$`%&|<>^~.:,=+@*()!/-_aZ09\\n\\r\\t\\0äß漢\\u2028\\U0001f600"
_PLAIN = "abZ019._~%/?&=+:@,-"
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,42}", fullmatch=True)
TEXTS = st.one_of(
    NAMES, st.text(_PLAIN, max_size=30), st.text(_NASTY, max_size=30), st.sampled_from(["none", "any", "all"])
)
KEYS = {
    "farm": TEXTS,
    "frontend.host": TEXTS,
    "frontend.aliases": TEXTS.map(lambda text: [text]),
    "frontend.address": TEXTS,
    "frontend.tls.certificate": TEXTS.map("/".__add__),
    "frontend.tls.key": TEXTS.map("/".__add__),
    "frontend.tls.verify_nodes": TEXTS.map("/".__add__),
    "balancer.health.path": TEXTS.map("/".__add__),
    "balancer.signalr.paths": TEXTS.map(lambda text: [f"/{text}"]),
    "f5.partition": TEXTS,
    "f5.cipher_group": TEXTS.map("/Common/".__add__),
    "nodes": TEXTS.map(lambda text: [{"name": text, "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]),
}


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("key", KEYS)
@given(data=st.data())
def test_render_of_any_text_keeps_it_or_refuses_it_with_its_location(
    make_spec: MakeSpec, key: str, data: st.DataObject
) -> None:
    value = data.draw(KEYS[key])
    *outer, last = key.split(".")
    changes: Any = {last: value}
    for part in reversed(outer):
        changes = {part: changes}
    try:
        spec = make_spec(**changes)
        files = assert_right(spec)
    except (SpecError, UnsupportedError) as refused:
        event("refused")
        assert all(problem.path.startswith(key) or problem.id == "node-is-balancer" for problem in refused.problems)
        return
    event("accepted")
    farm = spec.farm
    send = one(spec, "ltm monitor https").properties["send"]
    asked = f"GET {farm.health_path} HTTP/1.1|Host: {farm.frontend.host}|Connection: Close||".replace("|", "\\r\\n")
    declared: Any = next(part for part in json.loads(files["as3.json"]).values() if isinstance(part, dict))["nlbgen"]
    assert send == asked == declared[f"{farm.farm}_health_https"]["send"]
    lines = files["bigip.conf"].decode().splitlines()
    assert f'    send "{asked}"' in lines  # as a device stores it: backslash and r are two characters
    copied = [shlex.split(line)[2] for line in files["INSTALL.md"].decode().splitlines() if line.startswith("   cp -p")]
    assert copied == [farm.frontend.tls.key]


@pytest.mark.parametrize(
    "name, tenant", [("id", "id_farm"), ("class", "class_farm"), ("Common", "Common_farm"), ("a-b", "a_b")]
)
def test_tenant_is_not_a_reserved_word_of_as3(make_spec: MakeSpec, name: str, tenant: str) -> None:
    assert json.loads(assert_right(make_spec(farm=name))["as3.json"])[tenant]["class"] == "Tenant"


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"f5": {"partition": "id"}}, "f5.partition: id is a reserved word"),
        ({"f5": {"partition": "all"}}, "f5.partition: all is a reserved word"),
        ({"frontend": {"host": "none"}}, "frontend.host: none is a reserved word"),
        (
            {"nodes": [{"name": "a", "address": "any"}, {"name": "b", "address": "b"}]},
            r"nodes\[0\].address: any is a reserved word",
        ),
    ],
)
def test_render_with_a_reserved_word_as_name_is_refused(make_spec: MakeSpec, changes: Changes, place: str) -> None:
    with pytest.raises(UnsupportedError, match=place):
        render(F5, make_spec(**changes))


# Decisions.


def test_pool_members_have_states_and_weights(make_spec: MakeSpec) -> None:
    nodes = [
        {"name": "a", "address": "10.0.0.1", "weight": 100},
        {"name": "b", "address": "10.0.0.2", "weight": 50, "state": "drain"},
        {"name": "c", "address": "10.0.0.3", "weight": 100, "state": "down"},
        {"name": "d", "address": "2001:db8::4", "state": "backup"},
    ]
    pool = one(make_spec(nodes=nodes), "ltm pool", "_web").properties
    members: Any = pool["members"]
    assert list(members) == ["/Common/a:443", "/Common/b:443", "/Common/c:443", "/Common/d:443"]
    shown = [(m["ratio"], m["priority-group"], m["session"], m["state"]) for m in members.values()]
    assert shown == [
        (2, 10, "user-enabled", "user-up"),
        (1, 10, "user-disabled", "user-up"),
        (2, 10, "user-disabled", "user-down"),
        (2, 0, "user-enabled", "user-up"),
    ]
    assert pool["min-active-members"] == 1
    assert pool["load-balancing-mode"] == "ratio-least-connections-member"


@pytest.mark.parametrize(
    "algorithm, weight, expected",
    [
        ("round-robin", 100, "round-robin"),
        ("round-robin", 50, "ratio-member"),
        ("least-connections", 100, "least-connections-member"),
        ("least-connections", 50, "ratio-least-connections-member"),
    ],
)
def test_pool_mode_follows_algorithm_and_weights(
    make_spec: MakeSpec, algorithm: str, weight: int, expected: str
) -> None:
    nodes = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2", "weight": weight}]
    spec = make_spec(nodes=nodes, balancer={"algorithm": algorithm})
    assert one(spec, "ltm pool", "_web").properties["load-balancing-mode"] == expected


def test_tenant_of_a_farm_with_a_partition_is_that_partition(make_spec: MakeSpec) -> None:
    assert f5_as3.tenant(make_spec(f5={"partition": "UiPath"}).farm) == "UiPath"


def test_irule_of_signalr_paths_without_affinity_sets_only_pools(make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"signalr": {"paths": ["/signalr", "/hub"]}})
    made = objects(spec.farm, Version("16.1"), policies=False)
    lines = next(str(o.properties["definition"]) for o in made if o.name.endswith("_signalr_rule")).splitlines()
    assert [line.strip() for line in lines if "pool" in line or "persist" in line] == [
        "pool /Common/orchestrator-test_signalr",
        "pool /Common/orchestrator-test_web",
    ]


def test_passthrough_with_max_body_notes_that_only_iis_limits_uploads(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"tls": {"mode": "passthrough"}}, balancer={"max_body": "1MB"})
    assert b"\n# With passthrough the device does not see requests" in assert_right(spec)["bigip.conf"]


def test_objects_of_two_nodes_on_one_address_have_one_node(make_spec: MakeSpec) -> None:
    nodes = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.1", "port": 8443}]
    spec = make_spec(nodes=nodes)
    assert one(spec, "ltm node").path == "/Common/a"
    members: Any = one(spec, "ltm pool", "_web").properties["members"]
    assert list(members) == ["/Common/a:443", "/Common/a:8443"]


def test_ipv6_members_have_a_dot_before_the_port_and_as3_nodes_are_named_by_address(make_spec: MakeSpec) -> None:
    spec = make_spec(
        frontend={"address": "2001:db8::10"}, nodes=[{"name": "a", "address": "2001:db8::11"}], accept=["one-node"]
    )
    assert one(spec, "ltm virtual", "_main").properties["destination"] == "/Common/2001:db8::10.443"
    declared = objects(spec.farm, Version("16.1"), f5_as3.names(spec.farm))
    pool: Any = next(o for o in declared if o.kind == "ltm pool").properties["members"]
    assert list(pool) == ["/orchestrator_test/2001:db8::11.443"]
    assert_right(spec)


def test_signalr_affinity_makes_a_policy_with_its_own_pool(make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"affinity": "signalr", "signalr": {"paths": ["/signalr", "/notifications"]}})
    rules: Any = one(spec, "ltm policy").properties["rules"]
    assert rules["signalr"]["conditions"]["0"]["values"] == ("/signalr", "/notifications")
    assert rules["signalr"]["actions"]["1"]["cookie-insert"] is True
    assert one(spec, "ltm virtual", "_main").properties["persist"] == {
        "/Common/orchestrator-test_cookie": {"default": "yes"}
    }
    assert_right(spec)


@pytest.mark.parametrize(
    "balancer, persist",
    [
        ({"affinity": "signalr"}, {"disable": True, "persist": True, "request": True}),
        ({"affinity": "signalr", "algorithm": "source"}, None),
        ({"affinity": "cookie", "signalr": {"idle_timeout": "2h"}}, None),
    ],
)
def test_policy_returns_other_paths_to_the_web_pool(
    make_spec: MakeSpec, balancer: Changes, persist: Changes | None
) -> None:
    spec = make_spec(balancer=balancer)
    rules: Any = one(spec, "ltm policy").properties["rules"]
    assert [(name, rule["ordinal"], bool(rule["conditions"])) for name, rule in rules.items()] == [
        ("signalr", 0, True),
        ("web", 1, False),
    ]
    assert rules["web"]["actions"]["0"]["pool"] == one(spec, "ltm pool", "_web").path
    assert rules["web"]["actions"].get("1") == persist
    files = assert_right(spec)
    web = files["bigip.conf"].decode().partition("        web {\n")[2].partition("    strategy")[0]
    assert "conditions" not in web
    policy = json.loads(files["as3.json"])["orchestrator_test"]["nlbgen"]["orchestrator-test_signalr_paths"]
    assert [rule["name"] for rule in policy["rules"]] == ["signalr", "web"]
    assert policy["rules"][1]["actions"][1:] == ([] if persist is None else [DISABLED])


DISABLED = {"type": "persist", "event": "request", "disable": {}}


@pytest.mark.parametrize("algorithm, held", [("round-robin", "none"), ("source", "source_addr")])
def test_irule_without_policies_sets_persistence_of_other_paths(make_spec: MakeSpec, algorithm: str, held: str) -> None:
    spec = make_spec(balancer={"affinity": "signalr", "algorithm": algorithm})
    made = objects(spec.farm, Version("16.1"), policies=False)
    rule = next(str(o.properties["definition"]) for o in made if o.name.endswith("_signalr_rule"))
    assert f"default {{\n            pool /Common/orchestrator-test_web\n            persist {held}\n" in rule


@pytest.mark.parametrize(
    "balancer, kind",
    [
        ({"affinity": "cookie"}, "ltm persistence cookie"),
        ({"affinity": "source"}, "ltm persistence source-addr"),
        ({"algorithm": "source"}, "ltm persistence source-addr"),
    ],
)
def test_persistence_profile_matches_affinity(make_spec: MakeSpec, balancer: Changes, kind: str) -> None:
    spec = make_spec(balancer=balancer)
    persist: Any = one(spec, "ltm virtual", "_main").properties["persist"]
    assert list(persist) == [one(spec, kind).path]
    assert_right(spec)


@pytest.mark.parametrize("version", ["11.6", "12.1", "13.0", "13.1", "14.0", "16.1", "17.5"])
def test_objects_for_a_version_have_only_its_features(make_spec: MakeSpec, version: str) -> None:
    spec = make_spec(f5={"version": version}, balancer={"affinity": "signalr"})
    assert_right(spec)
    now = Version(version)
    assert ("ltm profile websocket" in kinds(spec)) == (now >= GATES["websocket-profile"])
    assert ("ssl-profile" in one(spec, "ltm monitor https").properties) == (now >= GATES["monitor-ssl-profile"])
    assert ("status" in one(spec, "ltm policy").properties) == (now >= GATES["legacy-policy"])
    options: Any = one(spec, "ltm profile client-ssl").properties["options"]
    assert ("no-tlsv1.3" in options) is False
    assert ({"ltm cipher rule", "ltm cipher group"} <= kinds(spec)) == (now >= GATES["tls-1.3"])


def test_objects_refer_only_to_earlier_objects(make_spec: MakeSpec) -> None:
    made = objects(make_spec(balancer={"affinity": "signalr"}).farm, Version("16.1"))
    assert [KINDS.index(o.kind) for o in made] == sorted(KINDS.index(o.kind) for o in made)
    for number, o in enumerate(made):
        assert not [text for text in dangling(made[: number + 1]) if o.path in text.split(":")[0]], o.path


def test_object_names_are_unique_over_all_kinds(make_spec: MakeSpec) -> None:
    made = objects(make_spec(balancer={"affinity": "signalr"}, frontend={"port": 8443}).farm, Version("16.1"))
    names = [o.name for o in made]
    assert len(set(names)) == len(names)


def test_passthrough_has_no_http_profiles(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"tls": {"mode": "passthrough"}})
    assert not {"ltm profile http", "ltm profile client-ssl", "ltm profile websocket"} & kinds(spec)
    names = [o.name for o in objects(spec.farm, F5.version(spec.farm)) if o.kind == "ltm rule"]
    assert names == ["orchestrator-test_redirect_rule", "orchestrator-test_unchecked_rule"]
    assert one(spec, "ltm virtual", "_main").properties["rules"] == ("/Common/orchestrator-test_unchecked_rule",)
    assert_right(spec)


@pytest.mark.parametrize("port, shown", [(443, ""), (8443, ":8443")])
def test_redirect_location_is_the_farms_own_name(make_spec: MakeSpec, port: int, shown: str) -> None:
    spec = make_spec(frontend={"port": port})
    assert f'? 301 : 308 }}] Location "https://orchestrator.corp.example{shown}[HTTP::uri]"' in str(
        one(spec, "ltm rule", "_request_rule").properties["definition"]
    )
    assert one(spec, "ltm virtual", "_redirect").properties["rules"] == ("/Common/orchestrator-test_request_rule",)
    assert_right(spec)


def test_irule_answers_421_for_other_names(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"aliases": ["old.corp.example"]})
    lines = str(one(spec, "ltm rule", "_request_rule").properties["definition"]).split("\n")
    at = lines.index('    switch -- [regsub {:[0-9]{1,5}$} [string tolower [HTTP::header values "Host"]] ""] {')
    assert lines[at + 1 : at + 3] == ['        "orchestrator.corp.example" -', '        "old.corp.example" { }']
    assert lines[at + 4].strip().startswith("HTTP::respond 421")
    assert_right(spec)


def test_irule_removes_forgeable_headers_before_it_sets_them(make_spec: MakeSpec) -> None:
    spec = make_spec()
    rule = str(one(spec, "ltm rule", "_request_rule").properties["definition"])
    stripped = [line.strip() for line in rule.split("\n")]
    first = stripped.index('HTTP::header insert "X-Forwarded-For" [getfield [IP::client_addr] "%" 1]')
    removed = stripped.index('"http2-settings" { HTTP::header remove $name }')
    assert removed < first
    assert {'"forwarded" -', '"x-forwarded*" -', '"*_*" -'} <= set(stripped[:removed])
    assert stripped[first + 1] == 'HTTP::header insert "X-Forwarded-Proto" "https"'
    # The profile, which may act before the rule or after it, adds no second value; in AS3 it would by default.
    profile = one(spec, "ltm profile http").properties
    assert (profile["insert-xforwarded-for"], profile["header-insert"]) == ("disabled", "none")
    application = json.loads(assert_right(spec)["as3.json"])["orchestrator_test"]["nlbgen"]
    assert application["orchestrator-test_http"]["xForwardedFor"] is False


def test_tcp_profile_of_both_sides_has_signalrs_idle_timeout(make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"signalr": {"idle_timeout": "2h"}})
    assert one(spec, "ltm profile tcp").properties["idle-timeout"] == "7200"
    profiles: Any = one(spec, "ltm virtual", "_main").properties["profiles"]
    assert profiles[one(spec, "ltm profile tcp").path] == {"context": "all"}


def test_declaration_overrides_as3s_insecure_defaults(make_spec: MakeSpec) -> None:
    application = json.loads(assert_right(make_spec())["as3.json"])["orchestrator_test"]["nlbgen"]
    clients, nodes = application["orchestrator-test_clients"], application["orchestrator-test_nodes"]
    for made in (clients, nodes):
        assert not (made["ssl3Enabled"] or made["tls1_0Enabled"] or made["tls1_1Enabled"])
    assert nodes["validateCertificate"] is True
    services = [part for part in application.values() if isinstance(part, dict) and "virtualPort" in part]
    assert all(service["persistenceMethods"] == [] for service in services)
    assert all(service["snat"] == "auto" for service in services)


@pytest.mark.parametrize("profile", ["modern", "intermediate"])
def test_tls_1_3_has_only_the_suites_of_mozillas_profile(make_spec: MakeSpec, profile: str) -> None:
    spec = make_spec(frontend={"tls": {"profile": profile}}, f5={"version": "16.1"})
    clients = one(spec, "ltm profile client-ssl").properties
    rule, group = one(spec, "ltm cipher rule"), one(spec, "ltm cipher group")
    assert (clients["cipher-group"], clients["ciphers"]) == (group.path, "none")
    assert group.properties["allow"] == {rule.path: {}}
    suites = str(rule.properties["cipher"]).split(":")
    mozilla = tls.profile(profile, Version("3.0"))
    ours = [suite.replace("TLS13-", "TLS_").replace("-", "_") if "TLS13" in suite else suite for suite in suites]
    known = [
        suite.replace("TLS_AES_128", "TLS_AES128").replace("TLS_AES_256", "TLS_AES256") for suite in mozilla.suites
    ]
    assert ours == [suite for suite in (*known, *mozilla.ciphers) if "CHACHA20" not in suite]
    application = json.loads(assert_right(spec)["as3.json"])["orchestrator_test"]["nlbgen"]
    assert application["orchestrator-test_clients"]["cipherGroup"] == {"use": group.name}
    assert application["orchestrator-test_clients"]["tls1_3Enabled"] is True
    assert application[group.name]["allowCipherRules"] == [{"use": rule.name}]
    assert application[rule.name]["cipherSuites"] == suites


@pytest.mark.parametrize(
    "f5, group",
    [
        ({"version": "13.1"}, None),
        ({"api": "soap"}, None),
        ({"cipher_group": "/Common/own"}, "/Common/own"),
        ({"api": "soap", "cipher_group": "/Common/own"}, "/Common/own"),
    ],
)
def test_farm_without_its_own_cipher_group_has_that_of_the_spec_or_tls_1_2(
    make_spec: MakeSpec, f5: Changes, group: str | None
) -> None:
    spec = make_spec(f5={"version": "16.1", **f5})
    assert not kinds(spec) & {"ltm cipher rule", "ltm cipher group"}
    assert one(spec, "ltm profile client-ssl").properties.get("cipher-group") == group
    note = b"\n# Clients use TLS 1.2: TLS 1.3 needs TMOS 14.0 or later"
    assert (note in assert_right(spec)["bigip.conf"]) is (group is None)


def test_modern_tls_profile_uses_a_cipher_group(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"tls": {"profile": "modern"}})
    profile = one(spec, "ltm profile client-ssl").properties
    assert "no-tlsv1.2" in profile["options"] and "no-tlsv1.3" not in profile["options"]  # type: ignore[operator]
    assert_right(spec)
    with pytest.raises(UnsupportedError, match="f5-tls-modern"):
        render(F5, make_spec(frontend={"tls": {"profile": "modern"}}, f5={"version": "13.1"}))


@pytest.mark.parametrize(
    "f5, message",
    [
        ({"version": "13.1", "cipher_group": "/Common/x"}, r"f5\.cipher_group: .*has no cipher groups"),
        ({"certificate": "/Common/x.crt"}, r"f5\.key: .*belong together"),
        ({"key": "/Common/x.key"}, r"f5\.certificate: .*belong together"),
        ({"version": "11.5"}, r"f5\.version: .*is too old"),
    ],
)
def test_render_with_invalid_f5_settings_is_refused(make_spec: MakeSpec, f5: Changes, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        render(F5, make_spec(f5=f5))


@pytest.mark.parametrize("tls", [{"mode": "terminate"}, {"verify_nodes": False}])
def test_ca_of_the_device_without_verified_nodes_is_refused(make_spec: MakeSpec, tls: Changes) -> None:
    with pytest.raises(UnsupportedError, match=r"f5\.node_ca: .*no effect \[f5-node-ca\]"):
        render(F5, make_spec(frontend={"tls": tls}, f5={"node_ca": "/Common/ca.crt"}))


@pytest.mark.parametrize("tls", [{}, {"verify_nodes": "/etc/ca.pem"}])
def test_ca_of_the_device_verifies_the_nodes(make_spec: MakeSpec, tls: Changes) -> None:
    spec = make_spec(frontend={"tls": tls}, f5={"node_ca": "/Common/ca.crt"})
    assert one(spec, "ltm profile server-ssl").properties["ca-file"] == "/Common/ca.crt"
    files = assert_right(spec)
    assert json.loads(files["as3.json"])["orchestrator_test"]["nlbgen"]["nodes_ca"]["bundle"] == {
        "bigip": "/Common/ca.crt"
    }
    assert b"The nodes need no CA on the device." in files["INSTALL.md"]


def test_render_with_a_queue_needs_accept(make_spec: MakeSpec) -> None:
    with pytest.raises(UnsupportedError, match="f5-queue"):
        render(F5, make_spec(balancer={"timeouts": {"queue": "30s"}}))
    files = render(F5, make_spec(balancer={"timeouts": {"queue": "30s"}}, accept=["f5-queue"]))
    (main,) = (file.content for file in files if file.main)
    assert b"# Not supported: Request queue at the nodes' connection limit" in main


# The checker.


def test_validate_without_a_program_reads_back(make_spec: MakeSpec) -> None:
    verdict = validate.validate(F5, make_spec())
    assert verdict.checked and verdict.text.startswith("checked by nlbgen")


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("    interval 2\n", "    interval 2\n    interval 2\n", "is duplicated"),
        ("interval 2", "interval two", "is not allowed here"),
        ("peer-cert-mode", "peer-cert-mod", "is not allowed here"),
        ("ltm node /Common/orch-2 {", "ltm nod /Common/orch-2 {", "is not an object"),
        ("ltm node /Common/orch-2 {", "ltm node /Common/orch-3 {", "does not exist"),
        ("ltm node /Common/orch-2 {", "ltm node /Common/orch-1 {", "is duplicated"),
        ("    rules { /Common/orchestrator-test_request_rule }", "    rules { /Common/elsewhere }", "does not exist"),
        ("members {", "members", "must open a block"),
        ('recv "', "recv ", "unexpected text|is not allowed"),
        ("HTTP::header remove $name }", "HTTP::header remove $name", "inside a block|unexpected text|object"),
        ("    monitor /Common/", "    monitor /Elsewhere/", "does not exist"),
        ("ltm node /Common/orch-2 {", "ltm node {", "an object begins with"),
        ("ltm node /Common/orch-2 {", "\n\nltm node orch-2 {", "is not an object"),
        ("when HTTP_REQUEST {", "}}", "a closing brace has no opening brace"),
        ("    interval 2\n", '    interval "2\n', "unexpected text"),
        ("    interval 2\n", '    interval "{"\n', "a brace in quotes"),
        ("    interval 2\n", "    interval 2\n\n", "an empty line inside a block"),
        ("    members {\n", "    members {\n        /Common/x:1\n", "an entry must have a unique name"),
        ("    members {\n", "    members {\n        /Common/x:1 { } }\n", "an entry must have a unique name"),
        ("    options { ", "    options ", "is not allowed here"),
    ],
)
def test_check_of_a_changed_file_raises(make_spec: MakeSpec, old: str, new: str, complaint: str) -> None:
    spec = make_spec()
    files = render(F5, spec)
    changed: list[Artifact] = []
    for file in files:
        text = file.content.decode()
        assert not file.main or old in text
        changed.append(replace(file, content=text.replace(old, new, 1).encode()) if file.main else file)
    with pytest.raises(ValidationError, match=complaint):
        F5.check(spec, changed)


def test_check_of_as3_json_of_another_class_raises(make_spec: MakeSpec) -> None:
    spec = make_spec()
    files = [
        replace(file, content=file.content.replace(b'"ADC"', b'"AS3"')) if file.path.name == "as3.json" else file
        for file in render(F5, spec)
    ]
    with pytest.raises(ValidationError, match=r"as3\.json: not a declaration"):
        F5.check(spec, files)


def test_mapping_of_another_value_raises() -> None:
    with pytest.raises(TypeError, match="'word' is not a mapping"):
        mapping("word")


NEEDS_OF_SOAP: dict[str, Changes] = {
    "f5-soap-websocket": {},
    "f5-soap-monitor-sni": {},
    "f5-soap-policy": {"balancer": {"affinity": "signalr"}},
    "f5-soap-carp": {"balancer": {"affinity": "source"}},
    "f5-soap-cipher-group": {"frontend": {"tls": {"profile": "modern"}}},
    "f5-soap-cookie": {"frontend": {"tls": {"mode": "none"}}, "balancer": {"affinity": "cookie"}},
    "f5-soap-fqdn": {"nodes": [{"name": "a", "address": "a.corp.example"}, {"name": "b", "address": "10.0.0.2"}]},
}


@pytest.mark.parametrize("problem_id", SOAP_LIMITS)
def test_soap_limit_concerns_only_farms_that_need_the_feature(make_spec: MakeSpec, problem_id: str) -> None:
    limit = SOAP_LIMITS[problem_id]
    farm = make_spec(**NEEDS_OF_SOAP[problem_id]).farm
    assert any(limit.concerns(made) for made in objects(farm, Version("16.1")))
    plain = make_spec(frontend={"tls": {"mode": "none"}}, f5={"version": "11.6"}).farm
    assert not any(limit.concerns(made) for made in objects(plain, Version("11.6")))
    assert (problem_id in F5.own_ids) is limit.acceptable


def test_render_imports_no_device_library(shell: object, tmp_path: Path) -> None:
    """Start-up must not import requests or bigsuds."""
    code = (
        "import sys, nlbgen.generators.f5.generator, nlbgen.cli; "
        "sys.exit('requests' in sys.modules or 'bigsuds' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0


def test_passthrough_with_verify_nodes_monitor_checks_certificates(make_spec: MakeSpec) -> None:
    spec = make_spec(frontend={"tls": {"mode": "passthrough"}})
    profile = one(spec, "ltm profile server-ssl")
    assert one(spec, "ltm monitor https").properties["ssl-profile"] == profile.path
    ca = "/Common/orchestrator-test_ca.crt"
    checks = ("peer-cert-mode", "ca-file", "authenticate-name")
    assert [profile.properties[key] for key in checks] == ["require", ca, "orchestrator.corp.example"]
    files = assert_right(spec)
    assert "   cp /etc/ssl/orchestrator/ca.pem /var/tmp/ca.pem" in files["INSTALL.md"].decode().splitlines()
    declared = json.loads(files["as3.json"])["orchestrator_test"]["nlbgen"]
    assert declared["orchestrator-test_nodes"]["trustCA"] == {"use": "nodes_ca"}
    assert "any certificate" not in files["bigip.conf"].decode()


@pytest.mark.parametrize("tls", [{"mode": "passthrough", "verify_nodes": False}, {"mode": "passthrough"}])
def test_passthrough_without_verify_nodes_checks_no_certificate_and_notes_it(tls: Changes) -> None:
    farm = (GOLDEN / "passthrough" / "farm.yaml").read_text(encoding="utf-8")
    spec = loads(farm.replace("{mode: passthrough}", json.dumps(tls)))
    assert one(spec, "ltm profile server-ssl").properties["peer-cert-mode"] == "ignore"
    assert b"\n# The health checks accept any certificate of the nodes" in assert_right(spec)["bigip.conf"]


def test_passthrough_with_verify_nodes_before_13_1_is_refused(make_spec: MakeSpec) -> None:
    asked: Changes = {"frontend": {"tls": {"mode": "passthrough"}}, "f5": {"version": "13.0"}}
    with pytest.raises(UnsupportedError, match=r"verify_nodes.*no profile.*\[f5-verify-nodes\]"):
        render(F5, make_spec(**asked))
    asked["frontend"]["tls"]["verify_nodes"] = False
    assert_right(make_spec(**asked))


@pytest.mark.parametrize(
    "mode, version, secure",
    [("none", "16.1", "disabled"), ("none", "12.1", None), ("bridge", "16.1", None), ("terminate", "16.1", None)],
)
def test_cookie_without_tls_is_not_secure(make_spec: MakeSpec, mode: str, version: str, secure: str | None) -> None:
    spec = make_spec(frontend={"tls": {"mode": mode}}, balancer={"affinity": "cookie"}, f5={"version": version})
    assert one(spec, "ltm persistence cookie").properties.get("secure") == secure
    declared = json.loads(assert_right(spec)["as3.json"])["orchestrator_test"]["nlbgen"]
    assert declared["orchestrator-test_cookie"].get("secure") == (None if secure is None else False)


@pytest.mark.parametrize("mode, noted", [("none", True), ("bridge", False)])
def test_signalr_cookie_without_tls_has_a_note(make_spec: MakeSpec, mode: str, noted: bool) -> None:
    spec = make_spec(frontend={"tls": {"mode": mode}}, balancer={"affinity": "signalr"})
    assert (b"\n# On a farm without TLS, verify the affinity" in assert_right(spec)["bigip.conf"]) is noted


@pytest.mark.parametrize(
    "health, interval, timeout",
    [
        ({}, 2, 5),
        ({"interval": "100ms", "timeout": "5s", "fall": 1}, 5, 6),
        ({"interval": "5s", "timeout": "2s", "fall": 3}, 5, 16),
        ({"interval": "5s", "timeout": "500ms", "fall": 1}, 5, 6),
        ({"interval": "299s", "timeout": "5s", "fall": 100}, 299, 900),
    ],
)
def test_monitor_timeout_is_fall_intervals_and_one_second(
    make_spec: MakeSpec, health: Changes, interval: int, timeout: int
) -> None:
    spec = make_spec(balancer={"health": health})
    monitor = one(spec, "ltm monitor https").properties
    assert (monitor["interval"], monitor["timeout"]) == (interval, timeout)
    assert_right(spec)


@pytest.mark.parametrize("phase", [0.1, 0.5, 1.0, 1.9])
@pytest.mark.parametrize("gives_up", [False, True])
def test_monitor_keeps_a_node_that_answers_3_seconds_late(make_spec: MakeSpec, phase: float, gives_up: bool) -> None:
    """The device marks a node down when `timeout` has passed since the last good answer.

    F5 does not document whether a monitor still waits for an answer after the next check; both must hold.
    """
    monitor = one(make_spec(), "ltm monitor https").properties
    interval, timeout = int(str(monitor["interval"])), int(str(monitor["timeout"]))
    begin, end = interval + phase, interval + phase + 3
    answers = [(at, end if begin <= at < end else at) for at in map(float, range(0, 10 * interval, interval))]
    good = sorted(answer for at, answer in answers if not gives_up or answer < at + interval)
    assert max(later - earlier for earlier, later in pairwise(good)) < timeout


def test_monitor_waits_for_a_slow_answer_before_the_next_check(make_spec: MakeSpec) -> None:
    spec = make_spec()
    assert int(str(one(spec, "ltm monitor https").properties["interval"])) * 1000 >= spec.farm.balancer.health.timeout


@pytest.mark.parametrize("choice, serves", [(None, True), ("serve", True), ("refuse", False)])
@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
def test_pool_without_a_monitor_serves_while_all_checks_fail(
    make_spec: MakeSpec, choice: str | None, serves: bool, mode: str
) -> None:
    health = {} if choice is None else {"all_failed": choice}
    spec = make_spec(balancer={"health": health}, frontend={"tls": {"mode": mode}})
    assert_right(spec)
    rules = one(spec, "ltm virtual", "_main").properties["rules"]
    assert isinstance(rules, tuple)
    assert (rules[-1:] == ("/Common/orchestrator-test_unchecked_rule",)) is serves
    pools = {o.name: o for o in objects(spec.farm, F5.version(spec.farm)) if o.kind == "ltm pool"}
    assert ("orchestrator-test_unchecked" in pools) is serves
    if serves:
        checked, unchecked = (pools[f"orchestrator-test_{name}"].properties for name in ("web", "unchecked"))
        assert "monitor" not in unchecked
        assert unchecked["members"] == checked["members"]


def test_render_notes_each_value_that_a_big_ip_cannot_have(farm_data: Callable[..., dict[str, Any]]) -> None:
    health = {"interval": "100ms", "timeout": "10m", "fall": 100, "rise": 100}
    spec = loads(json.dumps(farm_data(balancer={"health": {**health, "interval": "10m"}, "slow_start": "20m"})))
    content = next(file.content.decode() for file in render(generator("f5"), spec) if file.path.name == "bigip.conf")
    for line in (
        "# balancer.health.interval is 10m, but the device gets 299s: a BIG-IP accepts only whole seconds, at most ",
        "# balancer.health.timeout is 10m: a BIG-IP does not use this value for single checks, because it has no ",
        "# balancer.slow_start is 20m, but the device gets 900s: a BIG-IP accepts only whole seconds, at most 900.",
        "# A node is marked down after 900s, not after ",
        "# A node is marked up after 1800s, not after ",
    ):
        assert line in content


@pytest.mark.parametrize("version, usable", [("12.1", False), ("13.1", True)])
def test_install_on_tmos_without_as3_names_no_declaration(
    farm_data: Callable[..., dict[str, Any]], version: str, usable: bool
) -> None:
    spec = loads(json.dumps(farm_data(f5={"version": version})))
    content = next(file.content.decode() for file in render(generator("f5"), spec) if file.path.name == "INSTALL.md")
    assert ("appsvcs/declare" in content) is usable
    assert ("as3.json cannot be used" in content) is not usable


def test_install_renews_certificate_and_key_in_one_transaction(farm_data: Callable[..., dict[str, Any]]) -> None:
    content = next(
        file.content.decode()
        for file in render(generator("f5"), loads(json.dumps(farm_data())))
        if file.path.name == "INSTALL.md"
    )
    steps = content[content.index("create cli transaction") : content.index("submit cli transaction")].splitlines()
    assert [line.split()[:4] for line in steps[1:-1]] == [
        *([["modify", "sys", "file", "ssl-cert"]] * 2),
        ["modify", "sys", "file", "ssl-key"],
    ]


@pytest.mark.parametrize("mode, told", [("bridge", True), ("terminate", False)])
def test_install_names_the_setting_that_sni_of_monitors_needs(
    farm_data: Callable[..., dict[str, Any]], mode: str, told: bool
) -> None:
    spec = loads(json.dumps(farm_data(frontend={"tls": {"mode": mode}})))
    content = next(file.content.decode() for file in render(generator("f5"), spec) if file.path.name == "INSTALL.md")
    assert ("bigd.tmm" in content) is told


@pytest.mark.parametrize("version, options", [("13.1", []), ("14.0", ["no-tlsv1.3"])])
def test_tls_to_the_nodes_has_no_old_versions(
    farm_data: Callable[..., dict[str, Any]], version: str, options: list[str]
) -> None:
    """As in the declaration for AS3."""
    spec = loads(json.dumps(farm_data(f5={"version": version})))
    (profile,) = [one for one in objects(spec.farm, Version(version)) if one.kind == "ltm profile server-ssl"]
    assert profile.properties["options"] == (
        *("dont-insert-empty-fragments", "no-sslv3", "no-tlsv1", "no-tlsv1.1"),
        *options,
    )
    declared = f5_as3.declaration(spec.farm, objects(spec.farm, Version(version)), Version(version))
    (client,) = [
        one
        for one in declared["orchestrator_test"][f5_as3.APPLICATION].values()
        if isinstance(one, dict) and one["class"] == "TLS_Client"
    ]
    assert not client["tls1_0Enabled"] and not client["tls1_1Enabled"]


@pytest.mark.parametrize("version, needed", [("16.1", True), ("17.1", False)])
def test_policy_with_a_cookie_has_a_cookie_profile_before_17_1(
    farm_data: Callable[..., dict[str, Any]], version: str, needed: bool
) -> None:
    farm = loads(json.dumps(farm_data(balancer={"affinity": "signalr"}))).farm
    made = {one.path: one for one in objects(farm, Version(version))}
    cookie = "/Common/orchestrator-test_cookie"
    assert (cookie in made) is needed
    assert made["/Common/orchestrator-test_main"].properties["persist"] == (
        {cookie: {"default": "yes"}} if needed else {}
    )
    web = mapping(made["/Common/orchestrator-test_signalr_paths"].properties["rules"])["web"]
    assert {"disable": True, "persist": True, "request": True} in web["actions"].values()
    assert cookie not in {one.path for one in objects(farm, Version(version), policies=False)}


def test_farm_with_several_services_has_a_monitor_for_each_and_needs_all(make_spec: MakeSpec) -> None:
    spec = make_spec(balancer={"health": {"paths": ["/api/health", "/identity/health", "/webhooks/api/status"]}})
    files = assert_right(spec)
    names = ["health_https", "health_https_2", "health_https_3"]
    sends = [one(spec, "ltm monitor https", f"_{name}").properties["send"] for name in names]
    assert [str(send).split()[1] for send in sends] == ["/api/health", "/identity/health", "/webhooks/api/status"]
    farm = f"/Common/{spec.farm.farm}"
    rule = " and ".join(f"{farm}_{name}" for name in names)
    assert f"    monitor {rule}" in files["bigip.conf"].decode().splitlines()
    declared: Any = next(part for part in json.loads(files["as3.json"]).values() if isinstance(part, dict))["nlbgen"]
    pools = [part for part in declared.values() if isinstance(part, dict) and "monitors" in part]
    assert pools
    assert {pool["minimumMonitors"] for pool in pools} == {"all"}
    assert {len(pool["monitors"]) for pool in pools} == {3}


@pytest.mark.parametrize("line", ["monitor /Common/a and", "monitor /Common/a or /Common/b", "monitor and /Common/a"])
def test_reader_refuses_another_rule_of_monitors(make_spec: MakeSpec, line: str) -> None:
    text = assert_right(make_spec())["bigip.conf"].decode()
    old = next(each for each in text.splitlines() if each.startswith("    monitor "))
    with pytest.raises(f5_scf.ScfError, match="is not allowed here"):
        f5_scf.parse(text.replace(old, f"    {line}"))


def test_details_key_is_refused_and_never_written(make_spec: MakeSpec) -> None:
    health = {"path": "/api/health", "details_key": {"env": "HOME"}}
    with pytest.raises(UnsupportedError, match="f5-health-details-key"):
        render(F5, make_spec(balancer={"health": health}))
    accepted = make_spec(balancer={"health": health}, accept=["f5-health-details-key"])
    assert not any(b"detailsKey" in file.content for file in render(F5, accepted))
