"""The secrets and files of a spec, found by the model's declarations."""

from typing import get_args, get_origin

import pytest

from nlbgen.spec import types as t
from nlbgen.spec.load import dotted, loads
from nlbgen.spec.model import Farm, Secret
from nlbgen.spec.schema import Model, Path, WordOr, marker_of, without_none
from nlbgen.spec.walk import files, secrets, values

FULL = """
farm: shop
frontend:
  host: shop.corp.example
  tls: {verify_nodes: /etc/ssl/ca.pem}
  vip:
    address: 10.0.0.10/24
    interface: eth0
    balancers: [10.0.0.8, 10.0.0.9]
    secret: {env: VRRP}
nodes:
  - {name: a, address: 10.0.0.1, config: a/web.config}
  - {name: b, address: 10.0.0.2}
  - {name: c, address: 10.0.0.3, config: c/web.config}
stores:
  database: {server: SQL01, auth: {user: u, password: {file: sql.secret}}}
  signalr: redis
  redis: {host: redis-1.corp.example, port: 6379, password: {env: REDIS}}
balancer: {health: {path: /api/health, details_key: {env: DETAILS}}}
keys: {from: keys/web.config}
zen: {key: {env: ZEN}, ca: zen-ca.pem, certificate: zen.pem}
f5: {host: 10.0.0.20, ca: f5-ca.pem, password: {file: f5.secret}}
"""


@pytest.fixture(scope="module")
def farm() -> Farm:
    return loads(FULL).farm


def declared_paths(model: type[Model], path: Path = ()) -> list[tuple[str, object]]:
    """Every key path of a model with its annotation, found without an instance; `[]` stands for an index."""
    found: list[tuple[str, object]] = []
    for declared in model.entries.values():
        kind, _ = without_none(declared.kind)
        at: Path = (*path, declared.name)
        if get_origin(kind) is tuple:
            kind, at = get_args(kind)[0], (*path, f"{declared.name}[]")
        if isinstance(marker_of(kind), WordOr):
            kind = next(part for part in get_args(get_args(kind)[0]) if isinstance(part, type))
        found.append((".".join(map(str, at)), kind))
        if isinstance(kind, type) and issubclass(kind, Model):
            found += declared_paths(kind, at)
    return found


def pattern(path: Path) -> str:
    return dotted(tuple(0 if isinstance(step, int) else step for step in path)).replace("[0]", "[]")


def test_secrets_of_a_full_spec_are_all_that_the_model_declares(farm: Farm) -> None:
    found = {pattern(path) for path, _ in secrets(farm)}
    assert found == {path for path, kind in declared_paths(Farm) if kind is Secret}
    assert len(found) == 6


def test_files_of_a_full_spec_are_all_that_the_model_declares(farm: Farm) -> None:
    found = {pattern(path) for path, _ in files(farm)}
    assert found == {path for path, kind in declared_paths(Farm) if kind is t.FilePath}


def test_secrets_come_with_key_path_and_reference(farm: Farm) -> None:
    assert dict(secrets(farm))[("stores", "database", "auth", "password")] == Secret(env=None, file="sql.secret")
    assert dict(secrets(farm))[("frontend", "vip", "secret")] == Secret(env="VRRP", file=None)


def test_files_come_with_key_path_in_declaration_order(farm: Farm) -> None:
    assert list(files(farm)) == [
        (("nodes", 0, "config"), "a/web.config"),
        (("nodes", 2, "config"), "c/web.config"),
        (("keys", "from"), "keys/web.config"),
        (("zen", "ca"), "zen-ca.pem"),
        (("zen", "certificate"), "zen.pem"),
        (("f5", "ca"), "f5-ca.pem"),
    ]


def test_minimal_spec_has_no_secrets_and_no_files() -> None:
    farm = loads("farm: shop\nfrontend: {host: s.example}\n" + NODES).farm
    assert list(secrets(farm)) == []
    assert list(files(farm)) == []


def test_keys_from_primary_is_no_file() -> None:
    farm = loads("farm: shop\nfrontend: {host: s.example}\nkeys: {from: primary}\n" + NODES).farm
    assert list(files(farm)) == []


def test_values_have_the_path_under_which_the_file_wrote_them() -> None:
    spec = loads(FULL)
    for value in values(spec.farm):
        if isinstance(value.value, str) and (written := spec.document.text(value.path)) is not None:
            assert value.value == written, dotted(value.path)


NODES = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]\n"
