"""Generate a machineKey for a file in which ASP.NET would generate one, a different one on each machine.

Sources: Microsoft's page of the machineKey element and ASP.NET's `MachineKeySection` for algorithms and lengths;
UiPath's Publish-Orchestrator.ps1 (2020.10) for the algorithms of a new machineKey.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..core.plan import Plan
from ..spec.load import Spec
from ..spec.orchestrator import protection_tool
from . import keys, planning, reading
from .collected_facts import require_secrets
from .config import effective as configs
from .config.effective import MACHINE_KEY, Config
from .config.settings import ConfigSection
from .config.webconfig import Document
from .fingerprints import Fingerprints
from .values import DesiredSetting, Value, key, plain

NEW: Final = {"decryption": "AES", "validation": "HMACSHA256"}
"""The algorithms of a machineKey that does not exist yet."""

_DECRYPTION_BYTES: Final = {"Auto": 32, "AES": 32, "3DES": 24, "DES": 8}
"""The longest key of each algorithm; `Auto` is AES with a key of this length."""
_VALIDATION_BYTES: Final = dict.fromkeys(("SHA1", "MD5", "3DES", "AES", "HMACSHA256", "HMACSHA384", "HMACSHA512"), 64)
"""64 bytes are the longest key that ASP.NET's documentation allows, for every algorithm."""
_DEFAULTS: Final = {"decryption": "Auto", "validation": "HMACSHA256"}
_BYTES: Final = {"decryption": _DECRYPTION_BYTES, "validation": _VALIDATION_BYTES}

Random = Callable[[int], str]
"""Returns so many random bytes as hex digits."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The planned change of one file; without a change, the file has fixed keys already."""

    config: Config
    plan: Plan
    files: tuple[tuple[Document, bytes], ...] = field(repr=False)


def of_spec(spec: Spec, random: Random = secrets.token_hex) -> Generated:
    """Plan a machineKey in the file that the spec takes the keys from; raises NodeError."""
    primary, installed = spec.farm.primary, spec.farm.orchestrator
    if spec.farm.keys.source != "primary" or primary.config is None:
        source, name = reading.keys_source(spec, {}), "keys.from"
    else:
        path = configs.local(Path(spec.name).parent, primary.config)
        source, name = configs.load(path, installed.site, protection_tool(installed.version)), primary.name
    return _planned(f"{name} ({source.path.as_posix()})", source, random)


def of_file(path: Path, random: Random = secrets.token_hex) -> Generated:
    """Plan a machineKey in a config file; raises NodeError."""
    return _planned(path.as_posix(), configs.load(path), random)


def _planned(target: str, config: Config, random: Random) -> Generated:
    require_secrets(config)
    config.require_open(MACHINE_KEY)
    section = config.section(MACHINE_KEY)
    fingerprints = Fingerprints(keys.pepper_of(config))
    edit = planning.edited(target, config, list(_desired(section, random)), fingerprints)
    base = {document.path.as_posix(): document.digest for document in config.documents}
    incomplete = "the keys are new in each run" if edit.changes else ""
    return Generated(config, Plan(edit.changes, base, [target], incomplete), edit.files)


def _desired(section: ConfigSection | None, random: Random) -> Iterator[DesiredSetting]:
    for name, algorithm in zip(keys.MACHINE_KEYS, keys.MACHINE_ALGORITHMS, strict=False):
        if section is None:
            yield DesiredSetting(MACHINE_KEY, algorithm, plain(NEW[algorithm]))
            yield _new(name, _BYTES[algorithm][NEW[algorithm]], random)
        elif keys.is_generated(section.element.get(name)) or keys.refused_machine_key(section, name):
            yield _new(name, _length(section, algorithm), random)


def _new(name: str, length: int, random: Random) -> DesiredSetting:
    value: Value = key(random(length).upper(), keys.MACHINE_KEYS[name])
    return DesiredSetting(MACHINE_KEY, name, value, "key")


def _length(section: ConfigSection, algorithm: str) -> int:
    """The number of bytes for the algorithm of the section; raises NodeError for one that nlbgen does not know."""
    written = section.element.get(algorithm) or _DEFAULTS[algorithm]
    known = _BYTES[algorithm]
    if written not in known:
        raise section.document.error(
            section.element.attributes[algorithm].name_start,
            f"{algorithm} is {written!r}: nlbgen does not know how long its keys must be",
            f"write one of {', '.join(known)} (upper and lower case matter), or write the keys yourself",
        )
    return known[written]
