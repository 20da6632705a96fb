"""Read the config files of a farm's nodes: all at once, or those that can be read and the reasons for the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.errors import FileError, NlbgenError, NodeError
from ..spec.load import Spec, dotted
from ..spec.model import Node
from ..spec.orchestrator import protection_tool
from ..spec.schema import Path as SpecPath
from . import spec_files
from .collected_facts import require_secrets
from .config import effective as configs
from .config.effective import Config
from .config.webconfig import ConfigError


class Failed(NamedTuple):
    """A file that cannot be read: the node or the file, the reason, and the location."""

    name: str
    error: NodeError | FileError
    location: str


def load_configs(spec: Spec) -> dict[Node, Config]:
    """The config of every node that names one; raises NodeError with everything that cannot be read."""
    found, failed = read_configs(spec)
    raise_all([one.error for one in failed])
    for config in found.values():
        require_secrets(config)
    nodes = {node.name: node for node in spec.farm.nodes}
    return {nodes[name]: config for name, config in found.items()}


def read_configs(spec: Spec) -> tuple[dict[str, Config], list[Failed]]:
    """The configs that can be read, by the names of their nodes, and those that cannot."""
    folder, orchestrator = Path(spec.name).parent, spec.farm.orchestrator
    site, tool = orchestrator.site, protection_tool(orchestrator.version)
    found: dict[str, Config] = {}
    failed: list[Failed] = []
    seen: dict[Path, str] = {}
    absences = spec_files.absences(spec)
    for index, node in enumerate(spec.farm.nodes):
        if node.config is None:
            continue
        path: SpecPath = ("nodes", index, "config")
        try:
            _require_there(spec, path, absences)
            loaded = configs.load(configs.local(folder, node.config), site, tool, orchestrator.directory)
            for document in loaded.files:
                other = seen.setdefault(document.path.resolve(), node.name)
                if other != node.name:  # through a link, or a folder and the file in it: the spec's rule sees paths
                    where = f"{spec.document.location(path)}: {dotted(path)}: {document.path}"
                    raise NodeError(
                        f"{where} is also the config of {other}", "give the path of a copy of this node's own file"
                    )
        except (NodeError, FileError) as error:
            failed.append(Failed(node.name, error, _location_of(error, str(spec.document.location(path)))))
        else:
            found[node.name] = loaded
    return found, failed


def _location_of(error: NodeError | FileError, otherwise: str) -> str:
    return str(error.location) if isinstance(error, ConfigError) else otherwise


def load_files(paths: Sequence[Path]) -> dict[str, Config]:
    """The configs of these files, by their paths; raises NodeError with everything that cannot be read."""
    found, failed = read_files(paths)
    raise_all([one.error for one in failed])
    for config in found.values():
        require_secrets(config)
    return found


def read_files(paths: Sequence[Path]) -> tuple[dict[str, Config], list[Failed]]:
    """The configs of the files that can be read, by their paths, and the files that cannot."""
    found: dict[str, Config] = {}
    failed: list[Failed] = []
    for path in dict.fromkeys(paths):
        try:
            found[str(path)] = configs.load(path)
        except (NodeError, FileError) as error:
            failed.append(Failed(str(path), error, _location_of(error, str(path))))
    return found, failed


def _require_there(spec: Spec, path: SpecPath, absences: Mapping[SpecPath, str]) -> None:
    """Raise NodeError, with the place in the spec, where the file that this key names is not here."""
    if path in absences:
        hint = "copy the node's config file to this path, or correct the path"
        raise NodeError(f"{spec.document.location(path)}: {absences[path]}", hint)


def keys_source(spec: Spec, loaded: Mapping[Node, Config]) -> Config:
    """The config that the keys are cloned from; raises NodeError."""
    source = spec.farm.keys.source
    if source != "primary":
        _require_there(spec, ("keys", "from"), spec_files.absences(spec))
        orchestrator = spec.farm.orchestrator
        tool = protection_tool(orchestrator.version)
        path = configs.local(Path(spec.name).parent, source)
        loaded_source = configs.load(path, orchestrator.site, tool, orchestrator.directory)
        require_secrets(loaded_source)
        return loaded_source
    primary = spec.farm.primary
    if primary not in loaded:
        raise NodeError(
            f"{spec.name}: the keys come from {primary.name}, but the spec has no `config` for this node",
            f"write `config: PATH` at {primary.name}, or `keys: {{from: PATH}}`",
        )
    return loaded[primary]


def raise_all(errors: Sequence[NlbgenError]) -> None:
    """Raise one NodeError with all these errors, if there are any."""
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    texts = [error.message + (f"\n    {error.hint}" if error.hint else "") for error in errors]
    raise NodeError("\n".join(texts), f"{len(errors)} problems: correct each of them, then run the command again")
