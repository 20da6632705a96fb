"""Variants of a farm's spec for the control host: for one node's config, or for the farm's device.

A variant differs from the spec in three things: secrets are files that the playbook writes while they are needed,
relative paths are relative to the variant's folder, and only one node has a config, or none. It is written as JSON,
which is YAML without quoting rules of its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from ... import __version__
from ...generators.base import VENDORS, all_generators
from ...nodes import service_settings
from ...nodes.config.effective import main_file
from ...spec import walk
from ...spec.model import Farm, Node, Secret
from ...spec.schema import Path
from ..window import WINDOW, data_in_state
from .model import Rollout

OUT: Final = ("drain", "down")
"""The states that remove a node from rotation, in order: no new clients, then no requests."""
SNAPSHOT: Final = "snapshot"
"""The folder below WORK/FARM for the nodes' settings before an upgrade."""
WORK: Final = "work"
"""The folder below the tree's root for secrets and the nodes' files on the control host, while they are needed."""

_NAMES: Final[Mapping[Path, str]] = {
    ("frontend", "vip", "secret"): "vrrp",
    ("balancer", "health", "details_key"): "health",
    ("stores", "database", "auth", "password"): "sql",
    ("stores", "redis", "password"): "redis",
}
"""The names of secrets in the inventory, in its order; a device's secret has the name of its vendor."""
_OF_NODES: Final = ("nodes", "keys")
"""The sections whose file paths change in a variant, because the playbook copies the files."""


def _secret_keys(farm: Farm) -> dict[str, tuple[Path, Secret]]:
    """Return the key and the reference of each secret of this farm, by its name in the inventory.

    A secret without a name there is named by its key.
    """
    devices: dict[Path, str] = {(one.name, one.api.secret): one.name for one in all_generators() if one.api is not None}
    names = {**_NAMES, **devices}
    order = [*names]
    found = sorted(walk.secrets(farm), key=lambda item: order.index(item[0]) if item[0] in names else len(order))
    return {names.get(path, "_".join(map(str, path))): (path, secret) for path, secret in found}


def secrets_of(farm: Farm) -> dict[str, Secret]:
    """Return the references to secrets of this farm, by their names in the inventory."""
    return {name: secret for name, (_path, secret) in _secret_keys(farm).items()}


def files_of(farm: Farm, vendor: str) -> Iterator[tuple[str, str]]:
    """Yield the key and path of each file in the spec's folder that the rollout reads, without the nodes' own files."""
    paths = [
        *walk.files(farm),
        *((path, secret.file) for path, secret in walk.secrets(farm) if secret.file is not None),
    ]
    others = {"nodes", *VENDORS} - {vendor}
    for path, text in sorted(paths):
        if path[0] not in others and not _is_absolute(text):
            yield ".".join(map(str, path)), text


def with_state(farm: Farm, node: Node, state: str) -> Farm:
    """Return the farm with one node in another state."""
    return farm.replace(nodes=tuple(one.replace(state=state) if one is node else one for one in farm.nodes))


def can_leave(farm: Farm, node: Node) -> bool:
    """Whether a node can be removed from rotation: it is in rotation, and another node serves meanwhile."""
    return node.state != "down" and bool(others_that_serve(farm, node))


def others_that_serve(farm: Farm, node: Node) -> tuple[Node, ...]:
    """Return the nodes that serve, by their states in the spec, while this one is out of rotation."""
    return tuple(other for other in farm.nodes if other is not node and other.state in {"up", "backup"})


def rebased(text: str, home: str) -> str:
    """Return a path of the spec, relative to the folder from which `home` leads to the spec's folder."""
    return text if _is_absolute(text) else f"{home}/{text}"


def _is_absolute(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or bool(PureWindowsPath(text).anchor)


def variants(rollout: Rollout, folder: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield each variant's path below the tree's root, and its bytes."""
    farm = rollout.spec.farm
    for index, node in enumerate(farm.nodes):
        data = _variant(rollout, folder, "node")
        _for_config(data, rollout, index, node)
        yield folder / "nodes" / f"{node.name}.yaml", _written(data, f"The farm with only the config of {node.name}")
        snapshot = f"../../../{WORK}/{farm.farm}/{SNAPSHOT}/{farm.primary.name}/{main_file(farm.orchestrator)}"
        data["keys"] = {"from": snapshot}
        what = f"The farm with the config of {node.name} after an upgrade, and the keys of the snapshot"
        yield folder / "after" / f"{node.name}.yaml", _written(data, what)
    if rollout.hosted:
        return
    data = _variant(rollout, folder, "device")
    yield folder / "device" / "farm.yaml", _written(data, "The farm for its device")
    closed = data_in_state(data, WINDOW[0])
    yield folder / "device" / "closed.yaml", _written(closed, "The farm for its device, closed for an upgrade")


def settings_files(farm: Farm) -> tuple[str, ...]:
    """Return the files with a node's settings: Orchestrator's own, and those of the services, which may be missing."""
    return (main_file(farm.orchestrator), *service_settings.files_of(farm.orchestrator))


def _up(folder: PurePosixPath) -> str:
    """Return the path from a variant's folder to the tree's root."""
    return "/".join([".."] * (len(folder.parts) + 1))


def _variant(rollout: Rollout, folder: PurePosixPath, work: str) -> dict[str, Any]:
    """Return the spec's data with secrets as files of `work`, and without the keys that name the nodes' files."""
    # Copy through text: otherwise a change of a value would also change its YAML aliases.
    data: dict[str, Any] = json.loads(json.dumps(rollout.spec.document.data))
    up = _up(folder)
    home = rollout.home_from(up)
    farm = rollout.spec.farm
    for name, ((*path, last), _secret) in _secret_keys(farm).items():
        mapping = _at(data, path)
        if mapping is not None and last in mapping:
            mapping[str(last)] = {"file": f"{up}/{WORK}/{farm.farm}/{work}/secrets/{name}"}
    for (*path, last), text in walk.files(farm):
        mapping = None if path[0] in _OF_NODES else _at(data, path)
        if mapping is not None:
            mapping[str(last)] = rebased(text, home)
    for node in data["nodes"]:
        node.pop("config", None)
    data.pop("keys", None)
    return data


def _for_config(data: dict[str, Any], rollout: Rollout, index: int, node: Node) -> None:
    """Set the paths to which the playbook copies this node's file, and the file with the keys."""
    farm, up = rollout.spec.farm, "../../.."
    name, work = main_file(farm.orchestrator), f"{up}/{WORK}/{farm.farm}/node"
    data["nodes"][index]["config"] = f"{work}/{node.name}/{name}"
    source = farm.keys.source
    if source != "primary":
        data["keys"] = {"from": rebased(source, rollout.home_from(up))}
    elif node is not farm.primary:
        data["keys"] = {"from": f"{work}/keys/{name}"}


def _at(data: object, path: Sequence[str | int]) -> dict[str, Any] | None:
    """Return the mapping at a path, or None."""
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else None


def _written(data: dict[str, Any], what: str) -> bytes:
    head = f"# {what}. Made by nlbgen {__version__} from the spec: do not edit.\n"
    return (head + json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
