"""The rules of the spec that only the nodes' files can answer, as problems with their places.

`autogenerate-keys` and `encrypted-section` stop; what the stores and the scheduler need (`quartz`) is always set by a
plan, so it is no rule of the spec.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..core.errors import NodeError, Problem
from ..spec.load import Spec, dotted
from ..spec.schema import Path as SpecPath
from . import keys
from .config import effective as configs
from .config.effective import APP, MACHINE_KEY, SECURE, Config
from .config.webconfig import ConfigError

NODE_CONFIG: Final = "node-config"
"""The id of problems that have none of their own."""


def named(spec: Spec) -> Iterator[tuple[SpecPath, Path]]:
    """Every config file that a spec names: the key that names it, and where it is on this machine."""
    folder, source = Path(spec.name).parent, spec.farm.keys.source
    for index, node in enumerate(spec.farm.nodes):
        if node.config is not None:
            yield ("nodes", index, "config"), configs.local(folder, node.config)
    if source != "primary":
        yield ("keys", "from"), configs.local(folder, source)


def absences(spec: Spec) -> dict[SpecPath, str]:
    """The keys of a spec that name a file which is not here: what to say of each, without its place.

    That is no mistake where a spec is only checked: the nodes' files hold keys, and do not go everywhere.
    """
    return {path: f"{dotted(path)}: {file} is not there" for path, file in named(spec) if not configs.is_there(file)}


def unseen(spec: Spec) -> list[str]:
    """What to note of config files that are not here; of several, one line where not one is."""
    found = absences(spec)
    if len(found) > 1 and len(found) == len(list(named(spec))):
        place = spec.document.location(next(iter(found)))
        return [f"{place}: note: not one of the {len(found)} config files named is here, so none was looked into"]
    return [f"{spec.document.location(path)}: note: {what}, so it was not looked into" for path, what in found.items()]


def problems(spec: Spec) -> list[Problem]:
    """What is wrong with the nodes' files, as far as they are there."""
    found = []
    folder, source = Path(spec.name).parent, spec.farm.keys.source
    for index, node in enumerate(spec.farm.nodes):
        if node.config is None or not (path := configs.local(folder, node.config)).exists():
            continue
        keys_here = source == "primary" and node is spec.farm.primary
        error = _checked(path, spec.farm.orchestrator.site, cloned=keys_here)
        if error is not None:
            found.append(_problem(error, spec, ("nodes", index, "config")))
    if source != "primary" and (path := configs.local(folder, source)).exists():
        error = _checked(path, spec.farm.orchestrator.site, cloned=True)
        if error is not None:
            found.append(_problem(error, spec, ("keys", "from")))
    return found


def _checked(path: Path, site: str, *, cloned: bool) -> NodeError | None:
    try:
        config = configs.load(path, site)
        _require(config, cloned=cloned)
    except NodeError as error:
        return error
    return None


def _require(config: Config, *, cloned: bool) -> None:
    for section in (MACHINE_KEY, SECURE, APP):
        config.require_open(section)
    if cloned:
        keys.keys_to_clone(config)


def _problem(error: NodeError, spec: Spec, path: tuple[str | int, ...]) -> Problem:
    if isinstance(error, ConfigError):
        return Problem(error.location, "", error.description, error.hint or "", error.rule or NODE_CONFIG)
    return Problem(spec.document.location(path), "", error.message, error.hint or "", NODE_CONFIG)
