"""The checks of a spec that read the nodes' config files; each result is a problem with its location.

`autogenerate-keys` and `encrypted-section` are errors. Settings of the stores and the scheduler (`quartz`) are not
checked here: a plan always sets them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..core.errors import NodeError, Problem
from ..spec import walk
from ..spec.load import Spec, dotted
from ..spec.model import Orchestrator
from ..spec.orchestrator import protection_tool
from ..spec.schema import Path as SpecPath
from . import keys, stores
from .config import effective as configs
from .config.effective import APP, MACHINE_KEY, SECURE, Config
from .config.webconfig import ConfigError
from .values import ANOTHER

NODE_CONFIG: Final = "node-config"
"""The id of problems without a rule."""

UNUSABLE: Final = "secret-characters"
"""The id of a secret that a program of the farm cannot hold."""


_KEYS_FROM: Final[SpecPath] = ("keys", "from")


def named(spec: Spec) -> Iterator[tuple[SpecPath, Path]]:
    """Every config file that a spec names: the path of its key, and its path on this machine."""
    folder = Path(spec.name).parent
    for path, text in walk.files(spec.farm):
        if path[0] == "nodes" or path == _KEYS_FROM:
            yield path, configs.local(folder, text)


def absences(spec: Spec) -> dict[SpecPath, str]:
    """The keys of a spec that name a missing file, each with a message without its location.

    For `check` a missing file is not an error: the nodes' files contain keys and are not copied to every machine.
    """
    return {path: f"{dotted(path)}: {file} does not exist" for path, file in named(spec) if not configs.is_there(file)}


def missing_notes(spec: Spec) -> list[str]:
    """The notes on config files that do not exist; one line if several are named and none exists."""
    found = absences(spec)
    if len(found) > 1 and len(found) == len(list(named(spec))):
        place = spec.document.location(next(iter(found)))
        return [f"{place}: note: none of the {len(found)} config files exists, so they were not checked"]
    return [f"{spec.document.location(path)}: note: {what}, so it was not checked" for path, what in found.items()]


def problems(spec: Spec) -> list[Problem]:
    """The problems of the config files that exist, the one to clone keys from included."""
    primary: SpecPath = ("nodes", spec.farm.nodes.index(spec.farm.primary), "config")
    cloned = primary if spec.farm.keys.source == "primary" else _KEYS_FROM
    found = []
    for path, file in named(spec):
        if configs.is_there(file):
            error = _checked(file, spec.farm.orchestrator, cloned=path == cloned)
            if error is not None:
                found.append(_problem(error, spec, path))
    return found


def secret_problems(spec: Spec) -> list[Problem]:
    """The secrets of the nodes' stores that are set on this machine, and that a consumer cannot hold.

    A secret that is not set here is no problem: `check` also runs on machines without secrets.
    """
    secrets = {
        ("stores", "database", "auth", "password"): stores.sql_password(spec),
        ("stores", "redis", "password"): stores.redis_password(spec),
    }
    return [
        Problem(spec.document.location(path), dotted(path), f"cannot be used: {part.refusal}", ANOTHER, UNUSABLE)
        for path, part in secrets.items()
        if part is not None and part.refusal
    ]


def _checked(path: Path, orchestrator: Orchestrator, *, cloned: bool) -> NodeError | None:
    try:
        config = configs.load(path, orchestrator.site, protection_tool(orchestrator.version))
        _require(config, cloned=cloned)
    except NodeError as error:
        return error
    return None


def _require(config: Config, *, cloned: bool) -> None:
    for section in (MACHINE_KEY, SECURE, APP):
        config.require_open(section)
    if cloned:
        keys.keys_to_clone(config)


def _problem(error: NodeError, spec: Spec, path: SpecPath) -> Problem:
    if isinstance(error, ConfigError):
        return Problem(error.location, "", error.description, error.hint or "", error.rule or NODE_CONFIG)
    return Problem(spec.document.location(path), "", error.message, error.hint or "", NODE_CONFIG)
