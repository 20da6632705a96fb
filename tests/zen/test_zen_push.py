"""`nlbgen push zen` against a simulated device: every call, every failure of a call, and the rollback."""

import concurrent.futures
import copy
import datetime as dt
import importlib.util
import ipaddress
import itertools
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from unittest import mock

import pytest
import requests
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nlbgen.core.errors import CapacityError, DeviceError, DifferenceError, NlbgenError, SpecError, UnsupportedError
from nlbgen.core.plan import Plan
from nlbgen.export.ansible import rollout
from nlbgen.operate import zen as operate_zen
from nlbgen.operate.changing import Limits, Operator
from nlbgen.operate.events import EventLog
from nlbgen.operate.pace import Pace
from nlbgen.push import contract
from nlbgen.push.contract import Options
from nlbgen.push.errors import NotSentError, OutcomeUnknownError, RefusedError
from nlbgen.push.zen import zapi as transport
from nlbgen.push.zen.push import Planned, Zen, connect
from nlbgen.spec.load import Spec, loads
from nlbgen.spec.references import SecretValue

if TYPE_CHECKING:
    from tests.conftest import Ran, RunCommand
    from tests.zen.zapi_simulator import Device, Farm, JsonValue, Server

Serve: TypeAlias = "Callable[[str], Server]"
HERE = Path(__file__).parents[1]
RECORDED = Path(os.environ.get("NLBGEN_RECORDED", HERE.parents[1] / "shared" / "recorded"))
SESSIONS = {
    "zapi-relianoid-7.9": "relianoid",
    "zapi-relianoid-7.9-l4": "relianoid",
    "zapi-zevenet-5.13": "zevenet-ng",
}
"""The recorded sessions, and the product that each is of."""


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zapi_simulator", HERE / "zen" / "zapi_simulator.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["zapi_simulator"] = module
    spec.loader.exec_module(module)
    return module


simulator = _load()
PRODUCTS = {
    "relianoid": (simulator.RELIANOID, "7.9"),
    "skudonet": (simulator.SKUDONET, "7.0"),
    "zevenet-ng": (simulator.ZEVENET, "5.13"),
    "zevenet-old": (simulator.OLD_ZEVENET, "5.9"),
}


# The simulator itself.


def without_order(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with its list of parameters sorted: their order varies."""
    if "not correct for this call" in answer.get("message", ""):
        return {**answer, "message": sorted(re.findall(r"'(\w+)'", answer["message"]))}
    return answer


# The device in tests.


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and a certificate of it for the loopback address."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("authority")
    now = dt.datetime.now(dt.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zen tests")])

    def certificate(
        name: x509.Name, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType, critical: bool
    ) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(root_name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=2))
        builder = builder.add_extension(extension, critical=critical)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        builder = builder.add_extension(identifier, critical=False)
        if isinstance(extension, x509.BasicConstraints):
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (folder / "ca.pem").write_bytes(certificate(root_name, root_key.public_key(), x509.BasicConstraints(True, 0), True))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own = certificate(name, key.public_key(), alternative, False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "device.pem").write_bytes(own)
    (folder / "device.key").write_bytes(private)
    (folder / "site.pem").write_bytes(private + own)
    return folder


@pytest.fixture
def serve(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a device of a product."""
    monkeypatch.setenv("NLBGEN_TEST_ZEN_KEY", simulator.KEY)
    servers: list[Server] = []

    def start(product: str) -> "Server":
        server: Server = simulator.Server(
            PRODUCTS[product][0], simulator.context(str(authority / "device.pem"), str(authority / "device.key"))
        )
        servers.append(server)
        server.__enter__()
        server.product = product
        server.folder = authority
        return server

    yield start
    for server in servers:
        server.__exit__()


SPEC = """
version: 1
farm: {farm}
orchestrator: {{version: "2019.4"}}
frontend: {{host: orchestrator.corp.example, address: 10.20.0.10, tls: {{mode: {mode}}}{frontend}}}
nodes:
{nodes}
balancer: {{algorithm: {algorithm}, affinity: {affinity}}}
stores: {{signalr: redis, redis: {redis}}}
zen:
  product: {product}
  version: "{version}"
  api: {url}
  key: {{env: NLBGEN_TEST_ZEN_KEY}}
  ca: ca.pem
  {certificate}
accept: [zen-verify-nodes, zen-tls-bridge, zen-least-connections, zen-source-hash, {accept}one-node]
"""


SENTINEL = (
    "{password: {env: R}, sentinel: {nodes: [{name: redis-1, address: 10.20.2.1}, {name: redis-2, address: 10.20.2.2}, "
    "{name: witness, address: 10.20.2.3, redis: false}]}}"
)


def spec_for(server: "Server", *nodes: str, **values: str) -> Spec:
    listed = nodes or ("", "", "")
    version = PRODUCTS[server.product][1]
    defaults = {
        "farm": "orch",
        "mode": "bridge",
        "frontend": "",
        "algorithm": "round-robin",
        "affinity": "none",
        "certificate": "certificate: site.pem",
        "redis": "{host: redis-1.corp.example, port: 6379}",
        "accept": "zen-node-tls13, zen-classic-websocket, ",
        "product": PRODUCTS[server.product][0].name,
        "version": version,
        "url": server.url,
        "nodes": "\n".join(
            f"  - {{name: orch-{at}, address: 10.20.1.{at}{more}}}" for at, more in enumerate(listed, start=1)
        ),
    }
    return loads(SPEC.format(**{**defaults, **values}), str(server.folder / "farm.yaml"))


class Console:
    """Records the printed lines. `on_line` is called with each line, `agrees` with the question."""

    def __init__(
        self, on_line: Callable[[str], None] = lambda _text: None, agrees: Callable[[str], bool] = bool
    ) -> None:
        self.said: list[str] = []
        self.on_line, self.agrees = on_line, agrees

    def say(self, text: str) -> None:
        self.said.append(text)
        self.on_line(text)

    def insist(self, text: str) -> None:
        self.said.append(text)

    def show(self, plan: Plan) -> None:
        """Show nothing."""

    def agree(self, question: str) -> bool:
        return self.agrees(question)


def connected(
    spec: Spec, options: Options | None = None, console: Console | None = None
) -> AbstractContextManager[Zen]:
    return connect(spec, options or Options(), console or Console())


def push(spec: Spec, options: Options | None = None) -> Planned:
    """Push; return the plan."""
    with connected(spec, options) as backend:
        plans: list[Planned] = []
        real = backend.plan

        def planned() -> Planned:
            plans.append(real())
            return plans[-1]

        with mock.patch.object(backend, "plan", planned):
            contract.push(backend)
        return plans[0]


def plan(spec: Spec, options: Options | None = None) -> Planned:
    with connected(spec, options) as backend:
        return backend.plan()


def snapshot(device: "Device") -> str:
    """All configuration of the device, and the state of each backend."""
    farms = {
        name: {
            **farm.configuration(),
            "guardian": farm.guardian,
            "old": farm.old_guardian,
            "states": [one["status"] for one in backends_of(farm)],
        }
        for name, farm in device.farms.items()
    }
    return json.dumps([farms, device.guardians, sorted(device.certificates)], sort_keys=True, default=str)


def running(device: "Device") -> dict[str, Any]:
    return {name: farm.running for name, farm in device.farms.items()}


def guardians_of(farm: "Farm") -> list[str]:
    linked = [farm.guardian, *(service["farmguardian"] for service in farm.services.values())]
    return [name for name in linked if name]


def backends_of(farm: "Farm") -> list[dict[str, Any]]:
    return farm.backends + [one for service in farm.services.values() for one in service["backends"]]


@pytest.mark.parametrize("session", SESSIONS)
def test_simulator_answers_a_recorded_session_as_recorded(serve: Serve, authority: Path, session: str) -> None:
    """The same method, path and body give the same status and answer, over HTTPS, in the order of the session."""
    path = RECORDED / f"{session}.json"
    if not path.exists():
        pytest.skip("the recorded sessions are not at hand")
    server = serve(SESSIONS[session])
    server.device.nftlb = session.endswith("l4")  # in the other sessions no L4xNAT farm could be made
    product = server.device.product
    client = requests.Session()
    client.trust_env = False
    for call in json.loads(path.read_text(encoding="utf-8")):
        expected = call["response"]
        pem = re.fullmatch(r"<(\S+), \d+ bytes>", str(call["request"]))
        headers: dict[str, str] = {} if call["status"].startswith("401") else {product.headers[0]: simulator.KEY}
        content: dict[str, Any] = {"json": call["request"]}
        if pem:
            content = {"data": b"pem"}
            headers["Content-Type"] = pem[1]
        url = f"{server.url}{product.paths[0]}{call['path']}"
        said = client.request(
            call["method"], url, headers=headers, **content, verify=str(authority / "ca.pem"), timeout=10
        )
        answer = said.json()
        assert f"{said.status_code} {said.reason}" == call["status"], call
        if call["path"] == "/system/version":  # all but this is about the machine
            assert answer["params"]["appliance_version"] == expected["params"]["appliance_version"]
            continue
        assert without_order(answer) == without_order(expected), call


# What a push does.

MODES = ("bridge", "terminate", "passthrough", "none")
STATES = ("up", "drain", "down", "backup")
SPREADS = (("none", "round-robin"), ("source", "least-connections"), ("none", "source"))
"""Affinity and algorithm."""
EVERY = [
    pytest.param(
        *(product, MODES[mode], STATES[state], *SPREADS[spread]),
        # `make test` has each mode with each state, and both with each spread.
        marks=[] if spread == (mode + state) % len(SPREADS) else [pytest.mark.long],
    )
    for product in PRODUCTS
    for mode, state, spread in itertools.product(range(len(MODES)), range(len(STATES)), range(len(SPREADS)))
    if not (product == "zevenet-old" and (MODES[mode] == "terminate" or STATES[state] == "backup"))
    if not (product == "skudonet" and STATES[state] == "backup" and MODES[mode] != "passthrough")
]


@pytest.mark.parametrize("product, mode, state, affinity, algorithm", EVERY)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_to_an_empty_device_creates_the_farm_and_a_second_one_changes_nothing(
    serve: Serve, product: str, mode: str, state: str, affinity: str, algorithm: str
) -> None:
    server = serve(product)
    spec = spec_for(server, "", ", weight: 50", f", state: {state}", mode=mode, affinity=affinity, algorithm=algorithm)
    planned = push(spec)
    assert planned.plan.changes
    device = server.device
    assert set(device.farms) == ({"orch"} if mode == "none" else {"orch", "orch-http"})
    restarts = [body for method, path, body in device.requests if path.endswith("/actions")]
    assert restarts == [{"action": "restart"}] * len(device.farms)
    for farm in device.farms.values():
        assert farm.running == farm.configuration()
        assert not farm.pending
    states = {one["ip"]: one["status"] for one in backends_of(device.farms["orch"])}
    expected = "maintenance" if state in {"drain", "down"} else "up"
    assert states == {"10.20.1.1": "up", "10.20.1.2": "up", "10.20.1.3": expected}
    device.requests.clear()
    assert not push(spec).plan.changes
    assert device.writes() == []


PUSHED = {
    ("relianoid", "7.9"): "relianoid",
    ("skudonet", "7"): "skudonet",
    ("zevenet", "5.13"): "zevenet-ng",
    ("zevenet", "5.9"): "zevenet-old",
    ("zevenet", "5.0"): "zevenet-old",
}
farms = runpy.run_path(str(HERE / "zen" / "specs.py"))["farms"]


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(two=st.sampled_from([*PUSHED]).flatmap(lambda one: st.tuples(*[farms(st.just(one), pushed=True)] * 2)))
def test_push_of_any_accepted_farm_is_applied_once(authority: Path, two: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """To an empty device, and then another one of the same name over it; each time a second push has nothing to do."""
    product = PRODUCTS[PUSHED[two[0]["zen"]["product"], two[0]["zen"]["version"]]][0]
    (authority / "key").write_text(simulator.KEY)
    context = simulator.context(str(authority / "device.pem"), str(authority / "device.key"))
    with simulator.Server(product, context) as server:
        for farm in two:
            farm["farm"] = two[0]["farm"]
            farm["zen"] |= {"api": server.url, "key": {"file": "key"}, "ca": "ca.pem", "certificate": "site.pem"}
            try:
                spec = loads(json.dumps(farm), str(authority / "farm.yaml"))
                push(spec, Options(adopt=True, prune=True, force=True))
            except (SpecError, UnsupportedError):
                continue
            except DeviceError as error:
                assert "its kind cannot be changed" in str(error.hint)
                continue
            made = server.device.farms
            assert all(one.running == one.configuration() for one in made.values())
            states = {one["ip"]: one["status"] for one in backends_of(made[spec.farm.farm.replace("_", "-")])}
            backups_alone = all(node.state == "backup" for node in spec.farm.nodes)
            assert states == {
                node.address: "maintenance" if node.state in {"drain", "down"} and not backups_alone else "up"
                for node in spec.farm.nodes
            }
            server.device.requests.clear()
            assert not push(spec).plan.changes
            event(f"{product.name} {product.version}, pushed")
            assert server.device.writes() == []


def test_push_leaves_other_objects_of_the_device_unchanged(serve: Serve) -> None:
    server = serve("relianoid")
    other = spec_for(server, farm="other", frontend=", port: 8443, redirect_http: false")
    push(other)
    before = json.loads(snapshot(server.device))[0]["other"]
    push(spec_for(server))
    assert json.loads(snapshot(server.device))[0]["other"] == before


def test_push_of_a_farm_named_like_its_service_uses_another_service_name(serve: Serve) -> None:
    """The appliance keeps a commented service of the farm's name in the file, and would edit that one."""
    for name in ("orch", "orchestrator", "Orchestrator"):
        server = serve("relianoid")
        push(spec_for(server, farm=name, frontend=", redirect_http: false"))
        (service,) = server.device.farms[name].services
        assert service.lower() != name.lower()


def test_push_of_a_certificate_names_it_by_its_content(serve: Serve, authority: Path) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    (name,) = server.device.farms["orch"].certificates
    assert re.fullmatch(r"orch-[0-9a-f]{12}\.pem", name)
    assert server.device.certificates[name] == (authority / "site.pem").read_bytes()


def test_push_of_a_certificate_with_another_chain_uploads_it(serve: Serve, authority: Path) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    (old,) = server.device.farms["orch"].certificates
    (authority / "chain.pem").write_bytes((authority / "site.pem").read_bytes() + (authority / "ca.pem").read_bytes())
    spec = spec_for(server, certificate="certificate: chain.pem")
    planned = push(spec)
    assert [change.path for change in planned.plan.changes] == ["farms/orch/certificate"]
    (new,) = server.device.farms["orch"].certificates
    assert new != old
    assert {old, new} <= server.device.certificates.keys()
    assert any(old in note and "stays" in note for note in planned.notes)
    assert not plan(spec).plan.changes


def test_push_without_a_pem_file_needs_a_certificate_of_the_device(serve: Serve) -> None:
    server = serve("relianoid")
    with pytest.raises(DeviceError, match="certificate does not exist") as caught:
        push(spec_for(server, certificate=""))
    assert "at: assign the certificate orch.pem to the farm orch" in str(caught.value)
    assert "as zen.certificate" in str(caught.value.hint)
    assert "upload the file as orch.pem" in str(caught.value.hint)
    assert any("zen.certificate" in note for note in plan(spec_for(server, certificate="")).notes)
    assert not server.device.farms
    server.device.certificates["orch.pem"] = b"there"
    push(spec_for(server, certificate=""))
    assert server.device.farms["orch"].certificates == ["orch.pem"]


@pytest.mark.parametrize("product", ["relianoid", "skudonet", "zevenet-ng"])
def test_push_of_the_modern_profile_disables_tls_12_and_the_next_one_enables_it(serve: Serve, product: str) -> None:
    server = serve(product)
    push(spec_for(server, mode="bridge, profile: modern"))
    farm = server.device.farms["orch"]
    assert farm.running["params"]["disable_tlsv1_2"] == "true"
    push(spec_for(server))
    assert farm.running["params"]["disable_tlsv1_2"] == "false"


@pytest.mark.parametrize("product", ["relianoid", "skudonet", "zevenet-ng"])
def test_push_removes_forged_headers_on_new_and_on_existing_farms(serve: Serve, product: str) -> None:
    server = serve(product)
    pattern = "^X[-_]Forwarded[-_](Proto|Host|Port):"
    push(spec_for(server))
    farms = server.device.farms
    assert {name: farm.running["removed"] for name, farm in farms.items()} == {"orch": [pattern], "orch-http": []}
    farms["orch"].removed[:] = ["^X-Own:"]
    planned = push(spec_for(server))
    assert [str(change) for change in planned.plan.changes] == [f"+ farms/orch/headremove: {pattern}"]
    assert farms["orch"].running["removed"] == ["^X-Own:", pattern]


@pytest.mark.parametrize("product", ["relianoid", "skudonet", "zevenet-ng"])
def test_push_sets_the_complete_name_of_the_farm(serve: Serve, product: str) -> None:
    server = serve(product)
    push(spec_for(server))
    service = server.device.farms["orch"].services["orchestrator"]
    assert service["vhost"] == r"orchestrator\.corp\.example(:[0-9]+)?[[:space:]]*$"


@pytest.mark.parametrize(
    "product, appliance, certificate, missing",
    [("skudonet", "SKD 7", "skdcert.pem", 400), ("relianoid", "RCE 7", "", 404)],
)
def test_simulated_skudonet_answers_as_skudonet_7_does(
    serve: Serve, product: str, appliance: str, certificate: str, missing: int
) -> None:
    device = serve(product).device
    assert device.answer("GET", "/system/version", None)[1]["params"]["appliance_version"] == appliance
    device.answer("POST", "/farms", {"farmname": "f", "profile": "http", "vip": "10.20.0.10", "vport": 8443})
    device.answer("PUT", "/farms/f", {"listener": "https"})
    assert (device.farms["f"].certificates == [certificate]) is bool(certificate)
    device.answer("POST", "/farms/f/services", {"id": "s"})
    backends = "/farms/f/services/s/backends"
    with_priority = {"ip": "10.20.1.1", "port": 443, "priority": 2}
    assert device.answer("POST", backends, with_priority)[0] == (400 if product == "skudonet" else 201)
    assert device.answer("DELETE", f"{backends}/7", None)[0] == missing


@pytest.mark.parametrize("product, told", [("zevenet-ng", True), ("relianoid", False)])
def test_push_to_a_product_with_a_shorter_websocket_timeout_reports_it(serve: Serve, product: str, told: bool) -> None:
    server = serve(product)
    assert any("silent WebSocket after 130 seconds" in note for note in plan(spec_for(server)).notes) is told


def test_push_to_a_device_with_drift_names_and_corrects_it(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    push(spec)
    farm = server.device.farms["orch"]
    farm.params["restimeout"] = 45
    farm.services["orchestrator"]["backends"][1]["weight"] = 9
    farm.services["orchestrator"]["farmguardian"] = None
    farm.headers.clear()
    server.device.guardians["orch-fg"]["interval"] = 99
    paths = {change.path for change in plan(spec, Options(adopt=True)).plan.changes}
    node = "farms/orch/nodes/10.20.1.2:443"
    assert paths == {
        "farms/orch/restimeout",
        f"{node}/weight",
        "farms/orch/addheader",
        "farms/orch/guardian",
        "guardians/orch-fg/interval",
    }
    with pytest.raises(DeviceError, match="mark"):  # the check is not linked: the farm could be anybody's
        push(spec)
    push(spec, Options(adopt=True))
    assert not plan(spec).plan.changes


@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_to_a_device_with_drift_of_any_setting_names_and_corrects_it(
    serve: Serve, product: str, mode: str
) -> None:
    """Each setting is changed on the device: the plan has one line for it, and the push corrects it."""
    server = serve(product)
    spec = spec_for(server, mode=mode, affinity="source")
    push(spec)
    origin = server.device
    farm = origin.farms["orch"]
    places = [("params", key) for key in farm.params if key not in {"vip", "listener"}]
    places += [("old_guardian", key) for key in farm.old_guardian]
    places += [("guardian", key) for key in ("command", "cut_conns", "interval", "log", "timeout") if origin.guardians]
    service = next(iter(farm.services), "")
    places += [("service", key) for key in ("httpsb", "persistence", "ttl", "vhost") if service]
    places += [("backend", key) for key in ("weight", "timeout") if key in backends_of(farm)[0]]
    found = set()
    for place, key in places:
        device = server.device = copy.deepcopy(origin)
        now = device.farms["orch"]
        holders: dict[str, dict[str, Any]] = {
            "params": now.params,
            "old_guardian": now.old_guardian,
            "guardian": device.guardians.get("orch-fg", {}),
            "service": now.services.get(service, {}),
            "backend": backends_of(now)[1],
        }
        value = holders[place][key]
        flipped = {"true": "false", "false": "true", "IP": "", "srcip": "", "ip": ""}.get(str(value))
        number = int(value) + 1 if str(value).isdecimal() else "drifted"
        holders[place][key] = number if flipped is None else flipped
        changes = [change.path for change in plan(spec, Options(adopt=True)).plan.changes]
        if place == "params" and not changes:
            continue  # the farm's own, which nlbgen leaves alone
        named = [change for change in changes if not (key == "fgenabled" and change.endswith("fgscript"))]
        assert len(named) == 1, (place, key, changes)
        assert named[0].endswith(key), (place, key, changes)
        found.add((place, key))
        push(spec, Options(adopt=True))
        assert not plan(spec).plan.changes
        assert str(holders[place][key]) == str(value)
    assert len(found) >= (8 if mode == "passthrough" or product == "zevenet-old" else 15), found


def test_push_adds_and_removes_nodes(serve: Serve) -> None:
    for product in ("relianoid", "zevenet-ng"):
        server = serve(product)
        push(spec_for(server))
        fewer = spec_for(server, "", "")
        planned = push(fewer)
        assert [change.path for change in planned.plan.changes] == ["guardians/orch-fg/interval"]
        assert len(backends_of(server.device.farms["orch"])) == 3
        assert any("--prune" in note for note in planned.notes)
        push(fewer, Options(prune=True))
        push(spec_for(server, "", "", "", ""))
        addresses = [one["ip"] for one in backends_of(server.device.farms["orch"])]
        assert addresses == [f"10.20.1.{at}" for at in (1, 2, 3, 4)]
        assert server.device.farms["orch"].running == server.device.farms["orch"].configuration()


def test_push_of_a_node_that_becomes_a_backup_and_back_is_applied(serve: Serve) -> None:
    for product in ("relianoid", "zevenet-ng"):
        server = serve(product)
        push(spec_for(server))
        push(spec_for(server, "", "", ", state: backup"))
        assert [one["priority"] for one in backends_of(server.device.farms["orch"])] == [None, None, 2]
        push(spec_for(server))
        assert [one["priority"] for one in backends_of(server.device.farms["orch"])] == [None, None, None]


def test_push_that_changes_only_maintenance_sends_no_restart(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    server.device.requests.clear()
    push(spec_for(server, "", "", ", state: down"))
    assert server.device.writes() == [("PUT", "/farms/orch/services/orchestrator/backends/2/maintenance")]
    assert server.device.requests[-2][2] is None
    bodies = [body for method, _path, body in server.device.requests if method == "PUT"]
    assert bodies == [{"action": "maintenance", "mode": "cut"}]
    server.device.requests.clear()
    push(spec_for(server))
    assert [body for method, _path, body in server.device.requests if method == "PUT"] == [{"action": "up"}]


def test_push_reports_a_duplicate_backend_and_prune_removes_it(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    push(spec)
    backends = server.device.farms["orch"].services["orchestrator"]["backends"]
    backends.append({**backends[0], "id": 3})
    assert any("duplicated" in note for note in plan(spec).notes)
    push(spec, Options(prune=True))
    assert len(backends_of(server.device.farms["orch"])) == 3


def test_push_with_prune_removes_a_redirect_that_is_not_in_the_spec(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    spec = spec_for(server, frontend=", redirect_http: false")
    assert any("orch-http" in note for note in plan(spec).notes)
    push(spec, Options(prune=True))
    assert set(server.device.farms) == {"orch"}


# The front of Redis.


@pytest.mark.parametrize("mode", ["bridge", "passthrough"])
@pytest.mark.parametrize("product", ["relianoid", "skudonet", "zevenet-ng"])
def test_push_with_a_front_of_redis_creates_its_farm_and_check_once_and_prune_removes_both(
    serve: Serve, product: str, mode: str
) -> None:
    server = serve(product)
    accept = "zen-node-tls13, zen-classic-websocket, zen-redis-votes, "
    spec = spec_for(server, mode=mode, redis=SENTINEL, accept=accept)
    push(spec)
    device = server.device
    farm = device.farms["orch-redis"]
    assert [(one["ip"], str(one["port"])) for one in farm.backends] == [("10.20.2.1", "6379"), ("10.20.2.2", "6379")]
    assert farm.guardian == "orch-redis-fg"
    assert r"-s 'AUTH nlbgen-health x\r\nROLE\r\nQUIT\r\n' -e master" in device.guardians["orch-redis-fg"]["command"]
    assert farm.running == farm.configuration()
    assert not push(spec).plan.changes

    without = spec_for(server, mode=mode, accept=accept)
    assert any("orch-redis" in note for note in plan(without).notes)
    push(without, Options(prune=True))
    assert set(device.farms) == {"orch", "orch-http"}
    assert "orch-redis-fg" not in device.guardians
    assert not push(without, Options(prune=True)).plan.changes


def test_push_over_a_front_of_redis_with_another_check_needs_adopt(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server, redis=SENTINEL, accept="zen-redis-votes, ")
    push(spec)
    server.device.guardians["orch-redis-fg"] |= {"command": "check_tcp -H HOST -p PORT", "description": "mine"}
    with pytest.raises(DeviceError, match="the check orch-redis-fg exists, but does not have nlbgen's mark"):
        push(spec)
    push(spec, Options(adopt=True))
    assert not plan(spec).plan.changes


def test_push_that_fails_at_the_front_of_redis_rolls_back(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    before = snapshot(server.device)
    spec = spec_for(server, redis=SENTINEL, accept="zen-redis-votes, ")
    writes = [number for number, method in enumerate(calls_of(server, spec, Options())[1]) if method != "GET"]
    for number in (writes[0], writes[len(writes) // 2], writes[-1]):
        server.count = 0
        server.faults = [simulator.Fault(number, "400")]
        assert "all changes were rolled back" in attempt(spec, Options())
        assert snapshot(server.device) == before


# Guards.


def test_push_over_a_farm_without_the_mark_needs_adopt(serve: Serve) -> None:
    server = serve("relianoid")
    device = server.device
    device.answer("POST", "/farms", {"farmname": "orch", "profile": "http", "vip": "10.20.0.10", "vport": 443})
    before = snapshot(device)
    with pytest.raises(DeviceError, match="mark") as caught:
        push(spec_for(server))
    assert "--adopt" in str(caught.value.hint)
    assert snapshot(device) == before
    push(spec_for(server), Options(adopt=True))
    assert not plan(spec_for(server)).plan.changes


def test_push_to_an_address_of_another_farm_is_refused(serve: Serve) -> None:
    server = serve("relianoid")
    device = server.device
    device.answer("POST", "/farms", {"farmname": "theirs", "profile": "http", "vip": "10.20.0.10", "vport": 443})
    with pytest.raises(DeviceError, match="theirs already has the address"):
        push(spec_for(server), Options(adopt=True))


def test_push_to_an_address_that_the_device_does_not_have_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("relianoid")
    monkeypatch.setattr(simulator, "VIPS", {"192.0.2.7"})
    with pytest.raises(DeviceError, match=r"400: The virtual IP 10\.20\.0\.10 must exist") as caught:
        push(spec_for(server))
    assert "add the address 10.20.0.10 (up) in the network section" in str(caught.value.hint)
    assert not server.device.farms


def test_push_refused_without_its_own_hint_refers_to_the_message_of_the_device(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    planning, methods = calls_of(server, spec, Options())
    first = next(number for number, method in enumerate(methods) if method != "GET" and number >= planning)
    for fault, says in (
        ("400", "correct this in the spec or in the device's web interface"),
        ("403", "check the permissions"),
        ("500", ""),
    ):
        server.count, server.faults = 0, [simulator.Fault(first, fault)]
        with pytest.raises(DeviceError) as caught:
            push(spec)
        assert str(caught.value.hint).startswith(says or "push again")


def test_push_over_a_farm_of_another_profile_is_refused(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server, mode="passthrough"))
    with pytest.raises(DeviceError, match="is not an HTTP farm"):
        push(spec_for(server), Options(adopt=True))


def test_push_that_removes_more_than_half_of_the_nodes_needs_force(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    less = spec_for(server, "", ", state: down", ", state: drain")
    with pytest.raises(DeviceError, match="2 of 3 nodes"):
        push(less)
    push(less, Options(force=True))
    with pytest.raises(DeviceError, match="would stop serving at the same time"):
        push(spec_for(server, farm="orch", nodes="  - {name: x, address: 10.20.1.9}"), Options(prune=True))


def test_push_to_another_product_is_refused(serve: Serve) -> None:
    server = serve("zevenet-ng")
    with pytest.raises(DeviceError, match="has no API of Relianoid 7"):
        push(spec_for(server, product="relianoid", version="7"))
    with pytest.raises(DeviceError, match="reports ZCE 5, but the spec has Skudonet 7") as caught:
        push(spec_for(server, product="skudonet", version="7"))
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("product, other, version", [("relianoid", "skudonet", "7"), ("skudonet", "zevenet", "5.13")])
def test_push_to_a_product_with_the_same_api_path_is_refused(
    serve: Serve, product: str, other: str, version: str
) -> None:
    server = serve(product)
    with pytest.raises(DeviceError, match="the device reports"):
        push(spec_for(server, product=other, version=version))
    assert server.device.writes() == []
    assert push(spec_for(server)).plan.changes


def test_push_to_a_device_that_changes_before_the_confirmation_is_refused(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    before = ""

    def meanwhile(_question: str) -> bool:
        nonlocal before
        server.device.answer("POST", "/monitoring/fg", {"name": "orch-fg"})
        before = snapshot(server.device)
        return True

    console = Console(agrees=meanwhile)
    with connected(spec, console=console) as backend, pytest.raises(NlbgenError) as caught:
        contract.push(backend)
    assert isinstance(caught.value, DifferenceError | DeviceError)
    assert before and snapshot(server.device) == before


def test_push_to_a_farm_with_pending_changes_plans_a_restart(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    server.device.farms["orch"].pending = True
    planned = push(spec_for(server))
    assert [str(change) for change in planned.plan.changes] == ["~ farms/orch/status: needed restart -> restarted"]
    assert not server.device.farms["orch"].pending


@pytest.mark.parametrize(
    "values, error, says",
    [
        ({"affinity": "cookie"}, UnsupportedError, "refuses affinity by cookie"),
        ({"product": "zen", "version": "3.10.1"}, UnsupportedError, "has no API"),
        ({"product": "zevenet", "version": "5.12"}, UnsupportedError, "is not usable"),
        ({"certificate": "certificate: none.pem"}, SpecError, "none.pem does not exist"),
        ({"certificate": "certificate: ca.pem"}, SpecError, "private key"),
    ],
)
def test_push_of_an_unsupported_spec_is_refused_before_a_call(
    serve: Serve, values: dict[str, str], error: type[NlbgenError], says: str
) -> None:
    server = serve("relianoid")
    with pytest.raises(error, match=says):
        push(spec_for(server, **values))
    assert not server.device.requests


def test_push_without_api_and_key_is_refused(serve: Serve) -> None:
    server = serve("relianoid")
    text = re.sub(r"(?m)^  (?:api|key|ca|certificate): .*$", "", SPEC)
    values = {"farm": "f", "mode": "none", "frontend": "", "algorithm": "round-robin", "affinity": "none"}
    values |= {"product": "relianoid", "version": "7", "accept": "", "nodes": "  - {name: a, address: 10.20.1.1}"}
    values["redis"] = "{host: redis-1.corp.example, port: 6379}"
    with pytest.raises(SpecError) as caught:
        push(loads(text.format(**values, url="", certificate="")))
    assert [problem.path for problem in caught.value.problems] == ["zen.api", "zen.key"]
    assert not server.device.requests


# The transport.


def test_push_with_a_wrong_key_fails_without_printing_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve("relianoid")
    for wrong, says in (
        ("wrong-key", "401"),
        ("with blank", "not allowed in a header"),
        ("schlüssel", "not allowed in a header"),
    ):
        monkeypatch.setenv("NLBGEN_TEST_ZEN_KEY", wrong)
        with caplog.at_level(0), pytest.raises(DeviceError, match=says) as caught:
            push(spec_for(server))
        shown = f"{caught.value} {caught.value.hint} {caught.value!r} {caplog.text}"
        assert wrong not in shown
    monkeypatch.setenv("NLBGEN_TEST_ZEN_KEY", simulator.KEY)
    monkeypatch.setattr(
        server.device, "error", lambda _, message: {"error": "true", "message": f"{message} {simulator.KEY}"}
    )
    server.device.refuse_restart.add("orch")
    with pytest.raises(DeviceError) as caught:
        push(spec_for(server))
    assert simulator.KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_push_to_a_device_with_an_untrusted_certificate_sends_nothing(serve: Serve, authority: Path) -> None:
    server = serve("relianoid")
    (authority / "other.pem").write_bytes((authority / "site.pem").read_bytes())
    text = spec_for(server).document.data
    text["zen"]["ca"] = "farm-ca.pem"
    (authority / "farm-ca.pem").write_text("nothing")
    with pytest.raises(DeviceError):
        push(loads(json.dumps(text), str(authority / "farm.yaml")))
    del text["zen"]["ca"]
    with pytest.raises(DeviceError, match="is not trusted") as caught:
        push(loads(json.dumps(text), str(authority / "farm.yaml")))
    assert "zen.ca" in str(caught.value.hint)
    assert not server.device.requests


def test_push_ignores_proxy_netrc_and_ca_of_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve("relianoid")
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    push(spec_for(server))
    assert server.device.farms


def test_push_to_a_closed_port_is_not_sent(serve: Serve) -> None:
    server = serve("relianoid")
    with pytest.raises(DeviceError, match=r"cannot be reached: Connection refused"):
        push(spec_for(server, url="https://127.0.0.1:9"))


@pytest.mark.parametrize(
    "fault, error",
    [
        ("before", OutcomeUnknownError),
        ("after", OutcomeUnknownError),
        ("500", OutcomeUnknownError),
        ("html", OutcomeUnknownError),
        ("400", RefusedError),
    ],
)
def test_zapi_failed_call_has_an_unknown_outcome_or_is_a_refusal(
    serve: Serve, fault: str, error: type[DeviceError]
) -> None:
    server = serve("relianoid")
    with connected(spec_for(server)) as backend:
        server.count, server.faults = 0, [simulator.Fault(0, fault)]
        with pytest.raises(error):
            backend.zapi.call("POST", "/monitoring/fg", {"name": "orch-fg"})
        made = server.device.guardians
    assert bool(made) == (fault == "after")


def test_zapi_call_to_a_closed_port_is_not_sent() -> None:
    zapi = transport.Zapi("https://127.0.0.1:9", "/zapi", "ZAPI_KEY", SecretValue("key"), None)
    with pytest.raises(NotSentError):
        zapi.call("GET", "/farms")
    zapi.close()


# Every call failed in turn.


def prepared(serve: Serve, product: str, mode: str, kind: str) -> "tuple[Server, Spec, Options]":
    """A device, the spec to push to it, and what is allowed; `kind` says whether the farm exists."""
    server = serve(product)
    allowed = Options(prune=True, adopt=product == "zevenet-old")
    if kind == "new":
        return server, spec_for(server, "", "", ", state: drain", mode=mode), allowed
    push(spec_for(server, "", "", "", mode=mode, affinity="source"))
    backup = ", state: backup" if product in {"relianoid", "zevenet-ng"} else ""
    nodes = ("", ", weight: 50", backup, "", ", state: down")
    return server, spec_for(server, *nodes, mode=mode, frontend=", port: 8443", algorithm="source"), allowed


def calls_of(server: "Server", spec: Spec, allowed: Options) -> tuple[int, list[str]]:
    """How many requests a plan takes, and the methods of all requests of a push, on a copy of the device."""
    origin, server.device = server.device, copy.deepcopy(server.device)
    server.device.requests.clear()
    planning = 0

    def agree(_question: str) -> bool:
        nonlocal planning
        planning = len(server.device.requests)
        return True

    with connected(spec, allowed, Console(agrees=agree)) as backend:
        contract.push(backend)
    methods = [method for method, _path, _body in server.device.requests]
    server.device = origin
    return planning, methods


SCENES = [
    ("relianoid", "bridge", "new"),
    ("relianoid", "bridge", "old"),
    ("relianoid", "passthrough", "new"),
    ("relianoid", "passthrough", "old"),
    ("zevenet-ng", "terminate", "old"),
    ("zevenet-old", "bridge", "new"),
    ("zevenet-old", "bridge", "old"),
    ("skudonet", "none", "old"),
]
FAULTS = ["before", "after", "400", "404", "500", "html", "page after"]
"""One fault of each class that the push distinguishes; in one scene also MORE_FAULTS."""
MORE_FAULTS = ["401", "403", "409", "415", "429", "502", "503", "504", "garbage", "list", "empty", "error"]
READ_FAULTS = {"before", "404", "500", "html", "garbage", "list"}
"""A read does nothing on the device: what happens after it makes no difference."""


def parts(count: int) -> list[Any]:
    """The numbers of the parts of a long test, of which `make test` runs the first."""
    return [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, count))]


def attempt(spec: Spec, allowed: Options) -> str:
    """Push; return the text of the error, or ""."""
    try:
        push(spec, allowed)
    except NlbgenError as error:
        return str(error)
    return ""


def judge(server: "Server", spec: Spec, allowed: Options, origin: "Device", told: str) -> None:
    """Check the device after a push with a fault: it has the old farm or the new one, and the message says which."""
    device = server.device
    where = (server.faults, device.requests[-3:], told)
    server.faults = []
    before, after = snapshot(origin), snapshot(device)
    assert all(farm.running is not None for farm in device.farms.values()), where
    if not told:
        assert all(farm.running == farm.configuration() for farm in device.farms.values()), where
    elif after == before:
        assert "still differ from before" not in told, where
        assert running(device) == running(origin), where
    else:
        assert (
            "the new farm serves; not done" in told or "still differs" in told or not plan(spec, allowed).plan.changes
        ), where
    if after != before:  # otherwise this is the device on which a push was proven to work
        push(spec, allowed)
        assert not plan(spec, allowed).plan.changes, where
        endpoints = [(one["ip"], one["port"]) for one in backends_of(device.farms["orch"])]
        assert len(set(endpoints)) == len(endpoints), where


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(9))
@pytest.mark.parametrize("product, mode, kind", SCENES)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_with_a_fault_at_any_call_leaves_the_old_or_the_new_farm(
    serve: Serve, product: str, mode: str, kind: str, part: int
) -> None:
    """A part holds every ninth call, and from scene to scene another one."""
    server, spec, allowed = prepared(serve, product, mode, kind)
    origin = server.device
    _planning, methods = calls_of(server, spec, allowed)
    faults = FAULTS + (MORE_FAULTS if (product, mode, kind) == SCENES[1] else [])
    first = (part + SCENES.index((product, mode, kind))) % 9
    for number, method in list(enumerate(methods))[first::9]:
        for fault in [fault for fault in faults if method != "GET" or fault in READ_FAULTS]:
            server.device = copy.deepcopy(origin)
            server.count = 0
            server.faults = [simulator.Fault(number, fault)]
            judge(server, spec, allowed, origin, attempt(spec, allowed))


def left_over(origin: "Device", device: "Device") -> set[str]:
    """The objects that a push added, in the words of its messages."""
    found = set()
    for name, farm in device.farms.items():
        had = origin.farms.get(name)
        if had is None:
            found.add(f"create the farm {name}")
        old = [] if had is None else [(one["ip"], one["port"]) for one in backends_of(had)]
        new = [(one["ip"], one["port"]) for one in backends_of(farm)]
        found |= {f"add {ip}:{port} to {name}" for ip, port in new if (ip, port) not in old}
    return found


@pytest.mark.slow
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_with_a_late_answer_to_any_write_leaves_the_old_or_the_new_farm(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "old")
    origin = server.device
    _planning, methods = calls_of(server, spec, allowed)
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.7)
    server.patience = 1.4
    for number in [number for number, method in enumerate(methods) if method != "GET"]:
        server.device = copy.deepcopy(origin)
        server.count = 0
        server.faults = [simulator.Fault(number, "slow")]
        judge(server, spec, allowed, origin, attempt(spec, allowed))


@pytest.mark.slow
@pytest.mark.parametrize("part", parts(3))
@pytest.mark.parametrize("product, mode, kind", SCENES)
def test_push_to_a_device_that_becomes_unreachable_lists_every_remaining_step(
    serve: Serve, product: str, mode: str, kind: str, part: int
) -> None:
    """No rollback is possible: the message names every step that remains, and the next push completes the farm.

    A part holds a third of the calls, and from scene to scene another third.
    """
    server, spec, allowed = prepared(serve, product, mode, kind)
    origin = server.device
    _planning, methods = calls_of(server, spec, allowed)
    for number in range((part + SCENES.index((product, mode, kind))) % 3, len(methods), 3):
        server.device = copy.deepcopy(origin)
        server.count = 0
        server.faults = [simulator.Fault(number, "before", on=True)]
        told = attempt(spec, allowed)
        server.faults = []
        assert told
        stands = left_over(origin, server.device)
        if "the new farm serves; not done" not in told and "all calls were made" not in told:
            named = told.partition("not rolled back: ")[2].split("; ")
            assert {what for what in stands if what in named} == stands, (number, told)
        push(spec, allowed._replace(adopt=True))
        assert not plan(spec, allowed._replace(adopt=True)).plan.changes
        endpoints = [(one["ip"], one["port"]) for one in backends_of(server.device.farms["orch"])]
        assert len(set(endpoints)) == len(endpoints)


def test_push_that_meets_a_new_farm_of_another_user_does_not_remove_it(serve: Serve) -> None:
    server = serve("relianoid")
    device, spec = server.device, spec_for(server)
    answer = device.answer

    def meanwhile(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
        if (method, path) == ("POST", "/farms"):
            answer("POST", "/farms", {"farmname": "orch", "profile": "http", "vip": "10.20.0.10", "vport": 443})
        return answer(method, path, body)

    device.answer = meanwhile
    with pytest.raises(DeviceError, match="already exists") as caught:
        push(spec)
    assert set(device.farms) == {"orch"}
    assert not device.guardians
    assert "still differ from before:" in str(caught.value)
    assert "farms/orch: (none) -> an HTTP farm" in str(caught.value)


def test_pushes_at_the_same_time_add_no_duplicate_backend(serve: Serve) -> None:
    """Two pushes run in parallel: no backend is duplicate, or a message names it; one more push completes the farm."""
    for product, kind in (("relianoid", "new"), ("relianoid", "old"), ("zevenet-ng", "new"), ("zevenet-old", "new")):
        server, spec, allowed = prepared(serve, product, "bridge", kind)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            told = [result.result() for result in [pool.submit(attempt, spec, allowed) for _ in range(2)]]
        farm = server.device.farms.get("orch")
        endpoints = [] if farm is None else [(one["ip"], one["port"]) for one in backends_of(farm)]
        assert len(set(endpoints)) == len(endpoints) or re.search("listed twice|still differ", "".join(told)), told
        mended = allowed._replace(adopt=True, prune=True)
        push(spec, mended)
        assert not plan(spec, mended).plan.changes


@pytest.mark.parametrize("first", ["", ", state: backup"])
@pytest.mark.parametrize("second", ["", ", state: backup"])
@pytest.mark.parametrize("wanted", ["", ", state: backup"])
def test_node_that_the_device_lists_twice_is_completed_by_one_push(
    serve: Serve, first: str, second: str, wanted: str
) -> None:
    """As two pushes at the same time leave it: once as a usual node and once as a backup node, or twice alike."""
    server = serve("relianoid")
    push(spec_for(server, "", "", first))
    other = copy.deepcopy(server.device)
    server.device.farms.clear()
    push(spec_for(server, "", "", second))
    (twice,) = [one for one in backends_of(server.device.farms["orch"]) if one["ip"] == "10.20.1.3"]
    server.device.farms = other.farms
    service = server.device.farms["orch"].services["orchestrator"]
    service["backends"].append({**twice, "id": len(service["backends"])})
    spec = spec_for(server, "", "", wanted)
    assert "10.20.1.3:443 of the farm orch is duplicated on the device: --prune removes it" in plan(spec).notes
    push(spec, Options(prune=True))
    assert not plan(spec, Options(prune=True)).plan.changes
    assert [one["ip"] for one in backends_of(server.device.farms["orch"])].count("10.20.1.3") == 1


@pytest.mark.no_cover  # other tests reach the same lines
def test_pushes_in_every_order_leave_a_complete_farm(serve: Serve) -> None:
    """A second push runs between any two calls of a first one, as a whole."""
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "new")
    origin = server.device
    _planning, methods = calls_of(server, spec, allowed)
    for number in range(len(methods)):
        device = server.device = copy.deepcopy(origin)
        device.requests.clear()
        inner: list[str] = []
        answer = device.answer

        def meanwhile(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
            if len(device.requests) == number and not inner:  # noqa: B023  # called within this turn of the loop
                inner.append("")  # noqa: B023
                device.answer = answer  # noqa: B023
                server.lock.release()
                inner[0] = attempt(spec, allowed)  # noqa: B023
                server.lock.acquire()
            return answer(method, path, body)  # noqa: B023

        device.answer = meanwhile
        outer = attempt(spec, allowed)
        mended = allowed._replace(adopt=True, prune=True)
        endpoints = [(one["ip"], one["port"]) for one in backends_of(device.farms["orch"])]
        assert len(set(endpoints)) == len(endpoints), (number, outer, inner)
        assert not outer or not inner[0], (number, outer, inner)
        assert all(farm.running == farm.configuration() for farm in device.farms.values()), (number, outer, inner)
        push(spec, mended)
        assert not plan(spec, mended).plan.changes


def test_push_that_meets_a_duplicate_backend_reports_it(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    device, spec = server.device, spec_for(server, "", "", "", "")
    answer = device.answer

    def meanwhile(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
        if method == "POST" and path.endswith("/backends"):
            answer(method, path, dict(body))
        return answer(method, path, body)

    device.answer = meanwhile
    with pytest.raises(
        DeviceError, match=r"nodes are listed twice in their farms after this push: orch: 10\.20\.1\.4:443"
    ) as caught:
        push(spec)
    assert "--prune" in str(caught.value.hint)
    device.answer = answer
    push(spec, Options(prune=True))
    assert len(backends_of(device.farms["orch"])) == 4


def test_push_that_rolls_back_the_removal_of_a_node_in_maintenance_reports_its_state(serve: Serve) -> None:
    """The API has no maintenance before a restart: the message reports the backend's state."""
    server = serve("relianoid")
    push(spec_for(server, "", ", state: down", "", ""))
    device = server.device
    device.refuse_restart = set()
    server.count = 0
    less = spec_for(server, nodes="\n".join(f"  - {{name: n{at}, address: 10.20.1.{at}}}" for at in (1, 3, 4)))
    planning, methods = calls_of(server, less, Options(prune=True))
    at = next(number for number, method in enumerate(methods) if method == "DELETE")
    server.count = 0
    server.faults = [simulator.Fault(at + 1, "500")]
    with pytest.raises(DeviceError) as caught:
        push(less, Options(prune=True))
    assert re.search(
        r"still differ from before:\n +farms/orch/nodes/10\.20\.1\.2:443: .*maintenance -> .*up", str(caught.value)
    )
    assert planning


def test_push_that_rolls_back_on_a_stopped_farm_stops_it_again(serve: Serve) -> None:
    server = serve("relianoid")
    push(spec_for(server))
    server.device.answer("PUT", "/farms/orch/actions", {"action": "stop"})
    before = snapshot(server.device)
    spec = spec_for(server, frontend=", redirect_http: false", affinity="source")
    _planning, methods = calls_of(server, spec, Options())
    restart = max(number for number, method in enumerate(methods) if method == "PUT")
    server.count = 0
    server.faults = [simulator.Fault(restart, "500")]
    with pytest.raises(DeviceError, match="all changes were rolled back"):
        push(spec)
    assert server.device.farms["orch"].running is None
    assert snapshot(server.device) == before
    push(spec)
    assert server.device.farms["orch"].running


def test_push_with_another_health_check_changes_its_command(serve: Serve) -> None:
    for product in PRODUCTS:
        server = serve(product)
        allowed = Options(adopt=product == "zevenet-old")
        push(spec_for(server))
        other = spec_for(server, algorithm="round-robin, health: {path: /other}")
        planned = push(other, allowed)
        assert any("/other" in str(change) for change in planned.plan.changes)
        assert not plan(other, allowed).plan.changes


def test_push_of_weights_above_nine_scales_them(serve: Serve) -> None:
    for product in PRODUCTS:
        for mode in ("bridge", "passthrough"):
            server = serve(product)
            push(spec_for(server, ", weight: 200", ", weight: 100", ", weight: 1", mode=mode))
            assert [one["weight"] for one in backends_of(server.device.farms["orch"])] == [9, 4, 1]


def test_push_to_api_v3_1_sends_its_values_for_persistence_and_check(serve: Serve) -> None:
    server = serve("zevenet-old")
    push(spec_for(server, affinity="source"))
    farm = server.device.farms["orch"]
    assert farm.params["persistence"] == "ip"
    assert farm.old_guardian["fgenabled"] == "true"
    assert {path for _method, path, _body in server.device.requests if path.startswith("/monitoring")} == set()
    push(spec_for(server), Options(adopt=True))
    assert farm.params["persistence"] == ""
    farm.params["persistence"] = "none"  # the text of an older 5.x
    assert not plan(spec_for(server)).plan.changes


def test_push_to_api_v3_1_that_rolls_back_disables_a_check_that_was_absent_before(serve: Serve) -> None:
    server = serve("zevenet-old")
    push(spec_for(server))
    farm = server.device.farms["orch"]
    farm.old_guardian.clear()
    spec = spec_for(server, affinity="source")
    _planning, methods = calls_of(server, spec, Options(adopt=True))
    at = max(number for number, method in enumerate(methods) if method == "PUT")
    server.count = 0
    server.faults = [simulator.Fault(at, "after")]
    with pytest.raises(DeviceError, match="all changes were rolled back: the device is in its previous state"):
        push(spec, Options(adopt=True))
    assert farm.old_guardian["fgenabled"] == "false"


def test_push_whose_restart_is_refused_rolls_back(serve: Serve) -> None:
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "old")
    before, engine = snapshot(server.device), running(server.device)
    refusals = iter([True])
    device = server.device
    answer = device.answer

    def once(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
        device.refuse_restart = {"orch"} if path == "/farms/orch/actions" and next(refusals, False) else set()
        return answer(method, path, body)

    device.answer = once
    with pytest.raises(DeviceError, match="all changes were rolled back"):
        push(spec, allowed)
    assert snapshot(device) == before
    assert running(device) == engine


def test_push_that_cannot_roll_back_names_the_remaining_changes(serve: Serve) -> None:
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "new")
    planning, _total = calls_of(server, spec, allowed)
    server.count = 0
    server.faults = [simulator.Fault(2 * planning + 10, "before", on=True)]
    with pytest.raises(DeviceError) as caught:
        push(spec, allowed)
    assert "not rolled back: " in str(caught.value)
    assert "create the farm orch" in str(caught.value)


def test_push_without_an_answer_in_time_fails_and_rolls_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 1)
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "new")
    before = snapshot(server.device)
    server.count = 0
    server.faults = [simulator.Fault(12, "slow")]
    with pytest.raises(DeviceError, match="no response within"):
        push(spec, allowed)
    assert snapshot(server.device) == before


@pytest.mark.parametrize(
    "product, mode", [("relianoid", "bridge"), ("relianoid", "passthrough"), ("zevenet-ng", "terminate")]
)
@pytest.mark.no_cover  # other tests reach the same lines
def test_push_after_an_interrupted_push_completes(serve: Serve, product: str, mode: str) -> None:
    server = serve(product)
    spec = spec_for(server, mode=mode)
    _planning, methods = calls_of(server, spec, Options())
    origin = server.device
    for number in [number for number, method in enumerate(methods) if method != "GET"]:
        server.device, server.count = copy.deepcopy(origin), 0
        server.faults = [simulator.Fault(number, "before", on=True)]
        assert attempt(spec, Options())
        server.faults = []
        farm = server.device.farms.get("orch")
        if farm is not None and not guardians_of(farm):
            with pytest.raises(DeviceError, match="an interrupted push") as caught:
                push(spec)
            remedy = "if no other push is running, push again with --adopt: this completes the farm"
            assert caught.value.hint == f"{remedy}; this push has changed nothing"
        push(spec, Options(adopt=farm is not None))
        assert not plan(spec).plan.changes, methods[number]


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/farms/orch/services", {"id": "theirs"}),
        ("POST", "/farms/orch/services/orchestrator/backends", {"ip": "10.20.1.77", "port": 443, "weight": 1}),
    ],
)
def test_push_over_a_farm_without_the_mark_that_contains_other_objects_is_refused(
    serve: Serve, method: str, path: str, body: dict[str, object]
) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    push(spec)
    device = server.device
    assert device.answer("DELETE", "/farms/orch/services/orchestrator/fg/orch-fg", None)[0] == 200
    assert plan(spec, Options(adopt=True)).plan.changes
    assert device.answer(method, path, body)[0] in {200, 201}
    with pytest.raises(DeviceError, match="does not have nlbgen's mark") as caught:
        plan(spec)
    assert "interrupted" not in caught.value.message


def test_push_that_is_interrupted_rolls_back(serve: Serve) -> None:
    server, spec, allowed = prepared(serve, "relianoid", "bridge", "old")
    before = snapshot(server.device)

    def stop(text: str) -> None:
        if text.startswith("restart"):
            raise KeyboardInterrupt

    console = Console(stop)
    with connected(spec, allowed, console) as backend, pytest.raises(KeyboardInterrupt):
        contract.push(backend)
    assert snapshot(server.device) == before
    assert console.said[-1].startswith("all changes were rolled back")


# The command.


class Command(NamedTuple):
    """`nlbgen push zen` with a spec file, in this process: (exit code, standard output, standard error)."""

    server: "Server"
    run: Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, and the device that its spec names."""
    from nlbgen import cli

    server = serve("relianoid")
    file = server.folder / "pushed.yaml"
    file.write_text(json.dumps(spec_for(server).document.data), encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        import contextlib
        import io

        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["nlbgen", "push", "zen", "-s", str(file), *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as done:
                code = int(done.code or 0)
        return code, out.getvalue(), err.getvalue()

    return Command(server, run)


def test_cli_dry_run_then_expect_applies_the_plan_once(command: Command) -> None:
    device = command.server.device
    code, shown, said = command.run("--dry-run")
    assert code == 1
    assert "+ farms/orch: an HTTP farm at 10.20.0.10:443" in shown
    assert "WSTimeOut" in said
    assert device.writes() == []
    digest = re.search(r"digest ([0-9a-f]{16})", shown)
    assert digest
    code, shown, said = command.run("--expect", digest[1], "--format", "json")
    assert code == 0, said
    assert json.loads(shown)["applied"] is True
    assert "restart the farm orch" in said
    code, shown, _said = command.run("--dry-run")
    assert (code, "nothing to change" in shown) == (0, True)
    code, _shown, said = command.run("--expect", digest[1])
    assert code == 1
    assert "the plan now has the digest" in said
    assert simulator.KEY not in shown + said


def test_cli_push_without_terminal_and_yes_is_refused(command: Command) -> None:
    code, _shown, said = command.run()
    assert code == 2
    assert "--dry-run" in said
    assert command.server.device.writes() == []
    code, _shown, _said = command.run("--yes")
    assert code == 0


@pytest.mark.parametrize("agreed", ["--yes", "--expect"])
def test_cli_push_shows_the_plan_before_it_is_applied(command: Command, agreed: str) -> None:
    _code, shown, _said = command.run("--dry-run")
    digest = re.search(r"digest ([0-9a-f]{16})", shown)
    assert digest
    code, _shown, said = command.run(agreed, *([digest[1]] if agreed == "--expect" else []))
    assert code == 0
    assert "+ farms/orch: an HTTP farm" in said
    assert said.index("+ farms/orch: an HTTP farm") < said.index("restart the farm orch")


def test_cli_sigterm_rolls_back(command: Command) -> None:
    """A cancelled pipeline sends SIGTERM."""
    device = command.server.device
    answer, unexpected = device.answer, []

    def ended(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
        if path == "/farms/orch/actions":
            device.answer = answer
            main = threading.main_thread().ident
            assert main
            signal.pthread_kill(main, signal.SIGTERM)
            time.sleep(0.2)
        return answer(method, path, body)

    device.answer = ended
    before = signal.signal(signal.SIGTERM, lambda *_: unexpected.append("not handled"))
    try:
        code, _shown, said = command.run("--yes")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert unexpected == []
    assert code == 130, said
    assert "all changes were rolled back" in said
    assert not device.farms


def test_cli_push_that_the_device_refuses_exits_with_6(command: Command) -> None:
    command.server.device.refuse_restart.add("orch")
    code, _shown, said = command.run("--yes")
    assert code == 6
    assert "could not be restarted" in said
    assert "all changes were rolled back" in said
    assert not command.server.device.farms


# The running farm.


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("mode", ["none", "passthrough"])
def test_node_is_drained_disabled_and_enabled_in_the_running_farm(
    serve: Serve, product: str, mode: str, tmp_path: Path
) -> None:
    server = serve(product)
    spec = spec_for(server, mode=mode, accept="zen-passthrough-health, zen-classic-websocket, ")
    push(spec)
    with operate_zen.connected(spec) as zen:
        todo = Operator(spec, (zen,), EventLog(tmp_path / "events.jsonl", "orch"))
        assert [(node.name, node.state, node.serves) for node in zen.read()] == [
            (f"orch-{number}", "up", True) for number in (1, 2, 3)
        ]
        server.device.requests.clear()
        todo.drain("orch-2", Limits())
        todo.down("orch-2", Limits())
        modes = [body["mode"] for method, _, body in server.device.requests if method == "PUT"]
        assert modes == ["drain", "cut"]
        assert [node.state for node in zen.read()] == ["up", "out", "up"]
        with pytest.raises(CapacityError, match="1 node would serve"):
            todo.drain("orch-1", Limits())
        todo.up("orch-2", Limits(wait=0))
        assert [node.state for node in zen.read()] == ["up", "up", "up"]
        with pytest.raises(UnsupportedError, match="zapi cannot close single connections"):
            todo.drain("orch-1", Limits(spread=5))


@pytest.mark.parametrize("mode", ["none", "passthrough"])
def test_connections_of_a_node_are_counted_and_drain_waits_for_them(serve: Serve, mode: str, tmp_path: Path) -> None:
    server = serve("relianoid")
    spec = spec_for(server, mode=mode, accept="zen-passthrough-health, zen-classic-websocket, ")
    push(spec)
    ports = {one["ip"]: one["port"] for one in backends_of(server.device.farms["orch"])}
    server.device.connections = {f"10.20.1.2:{ports['10.20.1.2']}": 7}
    with operate_zen.connected(spec) as zen:
        clock = iter(range(1000))
        pace = Pace(now=clock.__next__, sleep=lambda _seconds: None)
        todo = Operator(spec, (zen,), EventLog(tmp_path / "events.jsonl", "orch"), pace=pace)
        assert [node.sessions.total for node in zen.read()] == [0, 7, 0]
        with pytest.raises(DifferenceError, match="it has 7 open sessions after 3 s; it stays drained"):
            todo.drain("orch-2", Limits(wait=3))
        server.device.connections = {}
        begun = next(clock)
        todo.drain("orch-2", Limits(wait=500))
        assert next(clock) - begun < 10, "it does not wait longer than necessary"


@pytest.mark.parametrize(
    "answer",
    [
        (404, {"description": "Request not found", "error": "true", "message": "Request not found"}),
        (500, {"description": "Get farm stats", "error": "true", "message": "internal error"}),
        (
            200,
            {
                "description": "Get farm stats",
                "backends": [],
                "warning": "It was not possible to extract the sessions.",
            },
        ),
        (200, {"description": "Get farm stats", "backends": [{"ip": "10.20.1.1", "port": 80, "established": None}]}),
    ],
)
def test_connections_that_the_device_does_not_show_are_unknown(
    serve: Serve, answer: tuple[int, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlbgen.push.http.time.sleep", lambda _seconds: None)
    server = serve("relianoid")
    spec = spec_for(server, mode="none", accept="zen-classic-websocket, ")
    push(spec)
    device = server.device
    device.answer = lambda method, path, body: (
        answer if path.startswith("/stats/") else device.respond(method, path, body)
    )
    with operate_zen.connected(spec) as zen:
        assert [node.sessions.text for node in zen.read()] == ["unknown"] * 3


def test_node_that_farmguardian_marks_down_does_not_serve(serve: Serve) -> None:
    server = serve("relianoid")
    spec = spec_for(server)
    push(spec)
    backends_of(server.device.farms["orch"])[0]["status"] = "down"
    with operate_zen.connected(spec) as zen:
        assert [(node.health, node.serves) for node in zen.read()] == [
            ("failing", False),
            ("passing", True),
            ("passing", True),
        ]


@pytest.mark.parametrize("product", ["relianoid", "zevenet-ng"])
def test_maintenance_that_the_device_confirms_but_does_not_begin_is_an_error(serve: Serve, product: str) -> None:
    server = serve(product)
    spec = spec_for(server)
    push(spec)
    device = server.device

    def confirms(method: str, path: str, body: "JsonValue") -> tuple[int, dict[str, Any]]:
        if path.endswith("/maintenance"):
            return 200, {"description": "Set service backend status", "params": body}
        return device.respond(method, path, body)

    device.answer = confirms
    with (
        operate_zen.connected(spec) as zen,
        pytest.raises(DeviceError, match="orch-2 is up after the change to drain"),
    ):
        zen.change("orch-2", "drain")


# Drift.


class Compared(NamedTuple):
    """A device with the farm, and `nlbgen drift zen` with a spec of it."""

    server: "Server"
    drift: Callable[..., "Ran"]


@pytest.fixture
def compared(serve: Serve, cli: "RunCommand", tmp_path: Path) -> Compared:
    """A device that has the farm; `drift` takes the options, and the changes of the spec."""
    server = serve("relianoid")
    push(spec_for(server))

    def drift(*options: str, nodes: tuple[str, ...] = (), **changes: str) -> "Ran":
        file = server.folder / "compared.yaml"
        file.write_text(json.dumps(spec_for(server, *nodes, **changes).document.data), encoding="utf-8")
        return cli("drift", "zen", "-s", file, *options)

    server.device.requests.clear()
    return Compared(server, drift)


def test_drift_of_a_device_that_has_the_farm_is_none_and_writes_nothing(compared: Compared) -> None:
    ran = compared.drift()
    assert (ran.code, ran.out) == (0, "zen: no difference\n")
    assert compared.server.device.requests
    assert compared.server.device.writes() == []


def test_drift_of_a_device_lists_what_a_push_would_change(compared: Compared, tmp_path: Path) -> None:
    ran = compared.drift("--format", "json", "--textfile", str(tmp_path / "n.prom"), nodes=("", ", weight: 50", ""))
    assert ran.code == 1
    data = json.loads(ran.out)
    assert (data["drift"], data["old_workers"]) == (True, None)
    weight = {"what": "farms/orch/nodes/10.20.1.1:443/weight", "expected": "2", "found": "1"}
    assert weight in data["subjects"][0]["differences"], data
    assert re.search(
        r'(?m)^nlbgen_drift_differences\{subject="zen"\} [1-9]', (tmp_path / "n.prom").read_text(encoding="utf-8")
    )
    assert compared.server.device.writes() == []


def test_drift_of_a_setting_that_was_edited_on_the_device_shows_both_values(compared: Compared) -> None:
    compared.server.device.farms["orch"].params["contimeout"] = 3
    ran = compared.drift()
    assert ran.code == 1
    assert re.search(r"(?m)^zen: .*contimeout.*: expected \d+, found 3$", ran.out), ran.out


def test_drift_of_a_backend_that_someone_put_into_maintenance_is_a_difference(compared: Compared) -> None:
    backends_of(compared.server.device.farms["orch"])[0]["status"] = "maintenance"
    ran = compared.drift()
    assert ran.code == 1
    assert "maintenance" in ran.out


def test_drift_of_a_farm_that_the_device_does_not_have_is_a_difference(compared: Compared) -> None:
    compared.server.device.farms.clear()
    ran = compared.drift()
    assert ran.code == 1
    assert "zen: farms/orch: expected an HTTP farm at 10.20.0.10:443, found nothing" in ran.out


def test_drift_of_a_device_that_does_not_answer_is_unknown(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlbgen.push.http.time.sleep", lambda _seconds: None)
    ran = compared.drift(url="https://127.0.0.1:1")
    assert ran.code == 6
    assert ran.out.startswith("zen: not compared: ")


def test_drift_of_a_device_that_refuses_the_key_is_unknown_and_does_not_print_it(
    compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLBGEN_TEST_ZEN_KEY", "an-old-key")
    ran = compared.drift()
    assert ran.code == 6
    assert ran.out.startswith("zen: not compared: ")
    assert "an-old-key" not in ran.out + ran.err


# The exported playbooks.


@pytest.mark.slow
@pytest.mark.long
def test_rollout_drains_and_enables_a_node_by_maintenance_and_leaves_the_others(serve: Serve, tmp_path: Path) -> None:
    """The real ansible-playbook runs the tasks of the role; a disabled node stays disabled."""
    server = serve("relianoid")
    spec = spec_for(server)
    push(spec)
    backends_of(server.device.farms["orch"])[2]["status"] = "maintenance"
    for made in rollout.files(spec, homes=[str(server.folder)]):
        path = tmp_path / made.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.content)
    server.device.requests.clear()

    def play(task: str, *options: str) -> tuple[int, str]:
        role = {"name": "drain", "tasks_from": f"zen_{task}.yml"}
        tasks = [{"ansible.builtin.include_role": role}]
        book = [{"hosts": "orch.node.orch-2", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "play.yml").write_text(json.dumps(book), encoding="utf-8")
        scripts = Path(sys.executable).parent
        done = subprocess.run(
            [str(scripts / "ansible-playbook"), "-e", "drain_seconds=0", "play.yml", *options],
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
                "ANSIBLE_HOME": str(tmp_path / "h"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert simulator.KEY not in done.stdout
        return done.returncode, done.stdout

    def states() -> list[str]:
        return [one["status"] for one in backends_of(server.device.farms["orch"])]

    code, said = play("out")
    assert code != 0 and "without orch-2, 1 node would serve" in " ".join(said.split()), said
    assert states() == ["up", "up", "maintenance"] and not server.device.writes()
    code, said = play("out", "-e", "drain_force=true")
    assert (code, states()) == (0, ["up", "maintenance", "maintenance"]), said
    assert [body["mode"] for method, _, body in server.device.requests if method == "PUT"] == ["drain", "cut"]
    code, said = play("back")
    assert (code, states()) == (0, ["up", "up", "maintenance"]), said
    assert not list((tmp_path / "work").rglob("zen")), "the secret is removed"
