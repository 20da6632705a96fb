"""A simulated BIG-IP on loopback for each test, and pushes to it."""

import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pytest

from nlbgen.core.plan import Plan
from nlbgen.push.backends.connect import push
from nlbgen.push.contract import Options, Report
from nlbgen.spec.load import Spec, loads

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp

HERE = Path(__file__).parent
SpecValue: TypeAlias = Any
"""A value of a spec, or of an option, that a test changes."""
Make: TypeAlias = Callable[..., Spec]
Pushed: TypeAlias = Callable[..., Report]
Renewals: TypeAlias = list[dict[str, SpecValue]]


class Reached(Protocol):
    """A device and how a push reaches it: over loopback, or without a network."""

    device: "BigIp"
    port: int
    ca: Path

    def reset(self, **own: object) -> None:
        """Make the device new."""

    def listen(self) -> None:
        """Accept connections."""

    def stop(self) -> None:
        """Refuse connections."""


def loaded(name: str) -> ModuleType:
    """Load a module or a package of this folder, which is not a package itself."""
    if f"f5_{name}" not in sys.modules:
        package = HERE / name / "__init__.py"
        path = package if package.exists() else HERE / f"{name}.py"
        found = importlib.util.spec_from_file_location(f"f5_{name}", path)
        assert found and found.loader
        module = importlib.util.module_from_spec(found)
        sys.modules[f"f5_{name}"] = module
        found.loader.exec_module(module)
    return sys.modules[f"f5_{name}"]


@pytest.fixture(scope="session")
def bigip() -> ModuleType:
    """The simulator."""
    return loaded("bigip")


@pytest.fixture(scope="session")
def wire_module(bigip: ModuleType) -> ModuleType:
    """The adapter that reaches the simulator without a network."""
    return loaded("wire")


@pytest.fixture(scope="session")
def as3_module(bigip: ModuleType) -> ModuleType:
    """AS3 for the simulator."""
    return loaded("as3")


@pytest.fixture(scope="session")
def soap_module(bigip: ModuleType) -> ModuleType:
    """SOAP for the simulator."""
    loaded("wsdl")
    return loaded("soap")


@pytest.fixture
def kept_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse each WSDL once for all pushes: parsing takes most of the time of a push by SOAP."""
    from suds.reader import DefinitionsReader
    from suds.transport import Request

    whole = DefinitionsReader.open

    def opened(reader: DefinitionsReader, url: str) -> object:
        content = reader.options.transport.open(Request(url)).read()
        key = content, threading.get_ident()
        if key not in _DESCRIPTIONS:
            made = whole(reader, url)
            _DESCRIPTIONS[key] = made, dict(made.root.nsprefixes)
        found, prefixes = _DESCRIPTIONS[key]
        found.options = reader.options
        # Every client adds its own prefixes, and there are only about a thousand.
        found.root.nsprefixes = dict(prefixes)
        return found

    monkeypatch.setattr(DefinitionsReader, "open", opened)


_DESCRIPTIONS: dict[tuple[bytes, int], tuple[Any, dict[str, str]]] = {}


@pytest.fixture(scope="session")
def site(bigip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three certificates of the farm (a leaf with its CA as chain), their keys, and the nodes' CA."""
    folder = tmp_path_factory.mktemp("site")
    ca = bigip.pair("corporate CA", ca=True)
    for name in ("site", "renewed", "third"):
        certificate, key = bigip.pair("orchestrator.corp.example", ca, names=("orchestrator.corp.example",))
        (folder / f"{name}.pem").write_bytes(bigip.pem(certificate) + bigip.pem(ca[0]))
        (folder / f"{name}.key").write_bytes(bigip.key_pem(key))
    (folder / "ca.pem").write_bytes(bigip.pem(ca[0]))
    return folder


@pytest.fixture(scope="session")
def renewals(site: Path) -> Renewals:
    """The changes of a spec for the farm's second and third certificate."""
    names = ("renewed", "third")
    pairs = [{"certificate": str(site / f"{name}.pem"), "key": str(site / f"{name}.key")} for name in names]
    return [{"frontend": {"tls": pair}} for pair in pairs]


@pytest.fixture(scope="session")
def device_certificates(bigip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The certificate with its key of a device that listens, and its CA."""
    found: tuple[Path, Path] = bigip.certificates(tmp_path_factory.mktemp("device"))
    return found


@pytest.fixture
def listening(bigip: ModuleType, device_certificates: tuple[Path, Path]) -> Iterator[Reached]:
    """A device that listens on loopback with TLS."""
    with bigip.Running(bigip.BigIp(), *device_certificates) as one:
        yield one


@pytest.fixture
def near(wire_module: ModuleType, device_certificates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Reached:
    """A device that is reached without a network."""
    found: Reached = wire_module.near(monkeypatch)
    found.ca = device_certificates[1]
    return found


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Reached:
    """The device of a test: one that listens, unless the test asks for one that is `near`."""
    found: Reached = request.getfixturevalue("near" if "near" in request.fixturenames else "listening")
    return found


@pytest.fixture
def device(running: Reached) -> "BigIp":
    """The state of the device of a test."""
    return running.device


class Console:
    """A console that keeps all texts and confirms each question unless `agrees` returns False."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.insisted: list[str] = []
        self.plans: list[Plan] = []
        self.agrees: Callable[[], bool] = lambda: True

    def say(self, text: str) -> None:
        self.said.append(text)

    def insist(self, text: str) -> None:
        self.insisted.append(text)

    def show(self, plan: Plan) -> None:
        self.plans.append(plan)

    def agree(self, question: str) -> bool:
        self.said.append(question)
        return self.agrees()


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def make(
    running: Reached,
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    farm_data: Callable[..., dict[str, Any]],
) -> Make:
    """Return a function that makes the spec of a farm for the device, with changes."""
    monkeypatch.setenv("NLBGEN_F5_TEST", running.device.password)

    def made(**changes: SpecValue) -> Spec:
        base = farm_data(
            frontend={
                "address": "10.20.0.10",
                "tls": {
                    "certificate": str(site / "site.pem"),
                    "key": str(site / "site.key"),
                    "verify_nodes": str(site / "ca.pem"),
                },
            },
            f5={
                "host": "127.0.0.1",
                "port": running.port,
                "ca": str(running.ca),
                "password": {"env": "NLBGEN_F5_TEST"},
                "timeout": "5s",
            },
        )
        if "stores" in changes:
            base["stores"] = {}  # one Redis and several exclude each other
        return loads(json.dumps(merged(base, changes)), str(tmp_path / "farm.yaml"))

    return made


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


@pytest.fixture
def pushed(tmp_path: Path, console: Console) -> Pushed:
    """Return a function that pushes a spec without a pause between attempts."""

    def run(spec: Spec, pauses: tuple[float, ...] = (0.0, 0.0), **options: SpecValue) -> Report:
        return push("f5", spec, Options(snapshots=tmp_path / "snapshots", **options), console, pauses)

    return run
