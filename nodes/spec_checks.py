"""The checks of a spec that read the nodes' config files; each result is a problem with its location.

Everything that `audit` and `plan` know from the files is here: what no plan can change is an error, what
`nlbgen nodes apply` or a step of the runbook changes is a warning.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from ..core.errors import NodeError, Problem
from ..spec.checks import ACCEPTABLE
from ..spec.load import Spec
from ..spec.model import Node
from ..spec.orchestrator import protection_tool
from ..spec.rules.files import SEVERITIES
from ..spec.schema import Path as SpecPath
from . import file_checks, keys, planning, public_url, service_checks, spec_compare, stores
from .audit import NODE_CONFIG, audit
from .config import effective as configs
from .config.effective import APP, MACHINE_KEY, SECURE, SESSION_STATE, Config
from .config.webconfig import ConfigError
from .file_checks import FileFinding
from .spec_files import KEYS_FROM, absences, named
from .values import ANOTHER

UNUSABLE: Final = "secret-characters"
"""The id of a secret that a program of the farm cannot hold."""

IIS_WEB_CONFIG: Final = "iis-web-config"
"""The id of a spec that names the web.config of IIS."""

_NAMES: Final = 6
"""How many differing settings one message names."""
_NEEDED: Final = (MACHINE_KEY, SECURE, APP, SESSION_STATE)
"""The sections that a plan reads; the connection strings can stay encrypted."""
_KEYS: Final = frozenset({keys.AUTOGENERATE_ID, keys.MACHINE_KEY_ID})
"""Checked only for the file that the keys are copied from: the keys of the other nodes are replaced."""


def missing_notes(spec: Spec) -> list[str]:
    """The notes on config files that do not exist; one line if several are named and none exists."""
    found = absences(spec)
    if len(found) > 1 and len(found) == len(list(named(spec))):
        place = spec.document.location(next(iter(found)))
        return [f"{place}: note: none of the {len(found)} config files exists, so they were not checked"]
    return [f"{spec.document.location(path)}: note: {what}, so it was not checked" for path, what in found.items()]


def problems(spec: Spec) -> list[Problem]:
    """The problems of the config files that exist, the one to clone keys from included.

    A file that cannot be read is a problem, and the others are still checked and compared.
    """
    primary: SpecPath = ("nodes", spec.farm.nodes.index(spec.farm.primary), "config")
    cloned = primary if spec.farm.keys.source == "primary" else KEYS_FROM
    found: list[Problem] = []
    loaded: dict[Node, Config] = {}
    orchestrator = spec.farm.orchestrator
    for path, file in named(spec):
        if not configs.is_there(file):
            continue
        try:
            tool = protection_tool(orchestrator.version)
            config = configs.load(file, orchestrator.site, tool, orchestrator.directory)
        except NodeError as error:
            found.append(_problem(error, spec, path))
            continue
        found += _keys(config, spec, path) if path == cloned else []
        found += _web_config_of_iis(config, spec, path)
        if isinstance(path[1], int):
            loaded[spec.farm.nodes[path[1]]] = config
    told = {(one.location, one.id) for one in found}
    findings = dict.fromkeys(_findings(spec, loaded))
    found += [_of_finding(one) for one in findings if (one.location, one.id) not in told]
    accepted = spec.farm.accepted & ACCEPTABLE
    return [one for one in found if one.severity == "error" or one.id not in accepted]


def secret_problems(spec: Spec) -> list[Problem]:
    """The secrets of the nodes' stores that are set on this machine, and that a consumer cannot hold.

    A secret that is not set here is no problem: `check` also runs on machines without secrets.
    """
    secrets = {
        ("stores", "database", "auth", "password"): stores.sql_password(spec),
        ("stores", "redis", "password"): stores.redis_password(spec),
    }
    return [
        spec.problem(path, f"cannot be used: {part.refusal}", ANOTHER, id=UNUSABLE)
        for path, part in secrets.items()
        if part is not None and part.refusal
    ]


def _keys(config: Config, spec: Spec, path: SpecPath) -> list[Problem]:
    """The reason why no keys can be copied from this file."""
    try:
        keys.keys_to_clone(config)
    except NodeError as error:
        return [_problem(error, spec, path)]
    return []


def _web_config_of_iis(config: Config, spec: Spec, path: SpecPath) -> list[Problem]:
    """The warning that the spec names the web.config of IIS, and the file beside it has the settings."""
    if config.web_config_of_iis is None:
        return []
    message = f"{config.web_config_of_iis.name} is the file of IIS; nlbgen read the settings from {config.path.name}"
    hint = (
        f"write the path of {config.path.name} in the spec: from 2020.10 on, Orchestrator reads its settings only "
        "from this file"
    )
    return [spec.problem(path, message, hint, id=IIS_WEB_CONFIG)._replace(severity="warning")]


def _findings(spec: Spec, loaded: Mapping[Node, Config]) -> Iterator[FileFinding]:
    several = len(spec.farm.nodes) > 1
    primary = loaded.get(spec.farm.primary)
    for config in loaded.values():
        try:
            planning.check_version(spec, config)
        except ConfigError as error:
            yield FileFinding(error.rule, error.description, error.hint or "", error.location)
            continue
        checked = file_checks.findings(config, spec, several=several, sections=_NEEDED)
        yield from (one for one in checked if one.id not in _KEYS)
        yield from service_checks.findings(config, several=several)
        yield from spec_compare.database(spec, config)
        yield from public_url.findings(spec, config)
        yield from spec_compare.impossible(spec, config, primary or config)
    if len(loaded) > 1:
        yield from _differences({node.name: config for node, config in loaded.items()})


def _differences(loaded: Mapping[str, Config]) -> Iterator[FileFinding]:
    """One finding for all settings that differ between the nodes."""
    rows = [row for row in audit(loaded).rows if not row.same]
    if not rows:
        return
    names = ", ".join(row.title for row in rows[:_NAMES])
    more = f" and {len(rows) - _NAMES} more" if len(rows) > _NAMES else ""
    config = next(iter(loaded.values()))
    yield FileFinding(
        "nodes-differ",
        f"the nodes have different values of {names}{more}",
        "`nlbgen nodes audit` shows the values, and `nlbgen nodes plan` shows what it changes",
        config.main.location(config.main.root.start),
    )


def _of_finding(finding: FileFinding) -> Problem:
    severity = SEVERITIES.get(finding.id, "error")
    return Problem(finding.location, "", finding.message, finding.hint, finding.id, severity)


def _problem(error: NodeError, spec: Spec, path: SpecPath) -> Problem:
    if isinstance(error, ConfigError):
        return Problem(error.location, "", error.description, error.hint or "", error.rule or NODE_CONFIG)
    return spec.problem(path, error.message, error.hint or "", id=NODE_CONFIG)._replace(path="")
