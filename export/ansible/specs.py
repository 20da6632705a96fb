"""Variants of a farm's spec that the control host works with: for one node's config, or with one node taken out.

A variant says what the spec says, but for three things: secrets are files that the playbook writes while they are
needed, relative paths lead from the variant's place to where they led from the spec's, and one node's state or config
is another one. It is written as JSON, which is YAML that needs no quoting rules of its own.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from ... import __version__
from ...generators.base import VENDORS
from ...spec.model import Farm, Node, Secret, SqlLogin
from .model import Rollout

OUT: Final = ("drain", "down")
"""The states through which a node leaves: no new clients, then nothing."""
WORK: Final = "work"
"""Where secrets and the nodes' files lie on the control host while they are needed, below the tree's root."""

SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "vrrp": ("frontend", "vip", "secret"),
    "sql": ("stores", "database", "auth", "password"),
    "redis": ("stores", "redis", "password"),
    "zen": ("zen", "key"),
    "f5": ("f5", "password"),
}
"""Every place of a spec where a secret may be referred to, by the name that the inventory has for it."""
_PATHS: Final = (("f5", "ca"), ("zen", "ca"), ("zen", "certificate"))


def secrets_of(farm: Farm) -> dict[str, Secret]:
    """The references to secrets that this farm has, by their names."""
    database, redis, vip = farm.stores.database, farm.stores.redis, farm.frontend.vip
    login = database.auth if database is not None and isinstance(database.auth, SqlLogin) else None
    found = {
        "vrrp": vip.secret if vip is not None else None,
        "sql": login.password if login is not None else None,
        "redis": redis.password if redis is not None else None,
        "zen": farm.zen.key,
        "f5": farm.f5.password,
    }
    return {name: secret for name, secret in found.items() if secret is not None}


def files_of(farm: Farm, vendor: str) -> Iterator[tuple[str, str]]:
    """Every file of the spec's folder that the rollout behind `vendor` reads besides the nodes': its key, its path."""
    devices = (".".join(path) for path in _PATHS if path[0] == vendor)
    paths = {key: getattr(getattr(farm, vendor), key.partition(".")[2]) for key in devices}
    if farm.keys.source != "primary":
        paths["keys.from"] = farm.keys.source
    for name, secret in secrets_of(farm).items():
        if secret.file is not None and (name not in VENDORS or name == vendor):
            paths[".".join(SECRETS[name])] = str(secret.file)
    for key, path in sorted(paths.items()):
        if path is not None and not _is_absolute(path):
            yield key, path


def with_state(farm: Farm, node: Node, state: str) -> Farm:
    """The farm with one node in another state."""
    return farm.replace(nodes=tuple(one.replace(state=state) if one is node else one for one in farm.nodes))


def can_leave(farm: Farm, node: Node) -> bool:
    """Whether a node can be taken out of the balancer: it is in, and another one serves meanwhile."""
    return node.state != "down" and bool(others_that_serve(farm, node))


def others_that_serve(farm: Farm, node: Node) -> tuple[Node, ...]:
    """The nodes that serve while this one is out, as far as the spec can tell."""
    return tuple(other for other in farm.nodes if other is not node and other.state in {"up", "backup"})


def rebased(text: str, home: str) -> str:
    """A path as seen from the spec's folder, as seen from where `home` leads to that folder."""
    return text if _is_absolute(text) else f"{home}/{text}"


def _is_absolute(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or bool(PureWindowsPath(text).anchor)


def variants(rollout: Rollout, folder: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Each variant's path below the tree's root, and its bytes."""
    farm = rollout.spec.farm
    for index, node in enumerate(farm.nodes):
        data = _variant(rollout, folder, "node")
        _for_config(data, rollout, index, node)
        yield folder / "nodes" / f"{node.name}.yaml", _written(data, f"The farm for the config of {node.name} alone")
    if rollout.hosted:
        return
    data = _variant(rollout, folder, "device")
    yield folder / "device" / "farm.yaml", _written(data, "The farm for its device")
    for index, node in enumerate(farm.nodes):
        for state in OUT if can_leave(farm, node) else ():
            changed = deepcopy(data)
            changed["nodes"][index]["state"] = state
            path = folder / "device" / f"{node.name}.{state}.yaml"
            yield path, _written(changed, f"The farm for its device, with {node.name} {state}")


def config_name(farm: Farm) -> str:
    """The file that holds a node's settings, as the Orchestrator's version has it."""
    return "UiPath.Orchestrator.dll.config" if farm.orchestrator.is_core else "web.config"


def _up(folder: PurePosixPath) -> str:
    """From a variant's folder to the tree's root."""
    return "/".join([".."] * (len(folder.parts) + 1))


def _variant(rollout: Rollout, folder: PurePosixPath, work: str) -> dict[str, Any]:
    """The spec's data with secrets as files of `work`, and without what names the nodes' files."""
    # Through text and back: what YAML's aliases share must not change in two places.
    data: dict[str, Any] = json.loads(json.dumps(rollout.spec.document.data))
    up = _up(folder)
    home = rollout.home_from(up)
    for name in secrets_of(rollout.spec.farm):
        *path, last = SECRETS[name]
        mapping = _at(data, path)
        if mapping is not None and last in mapping:
            mapping[last] = {"file": f"{up}/{WORK}/{rollout.spec.farm.farm}/{work}/secrets/{name}"}
    for *path, last in _PATHS:
        mapping = _at(data, path)
        if mapping is not None and isinstance(mapping.get(last), str):
            mapping[last] = rebased(mapping[last], home)
    for node in data["nodes"]:
        node.pop("config", None)
    data.pop("keys", None)
    return data


def _for_config(data: dict[str, Any], rollout: Rollout, index: int, node: Node) -> None:
    """Say where the playbook lays this node's file, and the file with the keys."""
    farm, up = rollout.spec.farm, "../../.."
    name, work = config_name(farm), f"{up}/{WORK}/{farm.farm}/node"
    data["nodes"][index]["config"] = f"{work}/{node.name}/{name}"
    source = farm.keys.source
    if source != "primary":
        data["keys"] = {"from": rebased(source, rollout.home_from(up))}
    elif node is not farm.primary:
        data["keys"] = {"from": f"{work}/keys/{name}"}


def _at(data: Any, path: list[str]) -> dict[str, Any] | None:
    """The mapping at a path, or None where there is none."""
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else None


def _written(data: dict[str, Any], what: str) -> bytes:
    head = f"# {what}. Made by nlbgen {__version__} from the spec: do not edit.\n"
    return (head + json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
