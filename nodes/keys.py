"""The keys that all nodes must share: list them by fingerprint, and clone them.

Sources: the guide, steps 1 and 2; UiPath's Install-UiPathOrchestrator.ps1 for names and lengths; ASP.NET's
`MachineKeySection` for the attributes that decide what a machineKey reads and writes.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..core.errors import Location
from ..core.plan import Shown
from .config.effective import APP, MACHINE_KEY, SECURE, Config
from .config.settings import ConfigSection, Setting
from .fingerprints import Fingerprints
from .values import DesiredSetting, Value, key, plain

ENCRYPTION_KEY: Final = "EncryptionKey"
MACHINE_KEYS: Final = {"decryptionKey": "DecryptionKey", "validationKey": "ValidationKey"}
"""The secret attributes of machineKey, with the scripts' parameters for them."""
MACHINE_ALGORITHMS: Final = ("decryption", "validation", "compatibilityMode")
"""The attributes that are not secret. `compatibilityMode` changes how the keys are used, so nodes must share it."""
API_KEYS: Final = {
    "apiKey": "ApiKey",
    "NuGet.Packages.ApiKey": "PackagesApiKey",
    "NuGet.Activities.ApiKey": "ActivitiesApiKey",
}
OTHER_KEYS: Final = {
    "IdentityServer.EncryptionKey": "IdentityServerEncryptionKey",
    "IdentityServer.Integration.ClientId": "IntegrationClientId",
    "IdentityServer.Integration.ClientSecret": "IntegrationClientSecret",
    "Auth.Ropc.ClientSecret": "RopcClientSecret",
    "ExternalAuth.System.OpenIdConnect.ClientId": "OpenIdClientId",
    "ExternalAuth.System.OpenIdConnect.ClientSecret": "OpenIdClientSecret",
}
"""From 2020.10 on: the ids and secrets of Orchestrator's OAuth clients; from 2021 on also the key of Identity."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_GUID: Final = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")

MACHINE_KEY_ID: Final = "machine-key"
_SHORTEST: Final = {"decryptionKey": 32, "validationKey": 40}
"""Hex digits of the shortest key: AES with 128 bits, and what ASP.NET documents for the validation."""
_SHORTEST_DES: Final = 16

AUTOGENERATE_ID: Final = "autogenerate-keys"
AUTOGENERATE_HINT: Final = (
    "`nlbgen nodes keys --generate` writes a fixed machineKey into the first node's file: run it, copy the file to "
    "that node, and restart its site (users sign in once more); `nlbgen nodes apply` copies the keys to the other "
    "nodes. From 2020.10 on, do not use IIS Manager: it writes into web.config, not into UiPath.Orchestrator.dll.config"
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one node, without its value."""

    name: str
    section: str
    shown: Shown
    length: int
    kind: str
    """The form of the key: algorithm, number of bits, encoding."""
    location: Location
    note: str = ""


def inventory(config: Config, fingerprints: Fingerprints) -> list[Key]:
    """All keys of a node, in the order of the guide; raises NodeError if a section is encrypted."""
    for section in (MACHINE_KEY, SECURE, APP):
        config.require_open(section)
    return [*_machine_keys(config, fingerprints), *_setting_keys(config, fingerprints)]


def _machine_keys(config: Config, fingerprints: Fingerprints) -> Iterator[Key]:
    section = config.section(MACHINE_KEY)
    if section is None:
        return
    for name, algorithm in zip(MACHINE_KEYS, MACHINE_ALGORITHMS, strict=False):
        value = section.element.get(name)
        if value is not None:
            kind = describe_machine_key(value, section.element.get(algorithm) or "default algorithm")
            place = section.document.location(section.element.attributes[name].name_start)
            shown = fingerprints.shown(value if is_generated(value) else value.upper(), "key")
            note = "AutoGenerate cannot be copied" if is_generated(value) else ""
            yield Key(name, MACHINE_KEY, shown, len(value), kind, place, note)


def _setting_keys(config: Config, fingerprints: Fingerprints) -> Iterator[Key]:
    for name in (ENCRYPTION_KEY, *API_KEYS, *OTHER_KEYS):
        for section, entry in occurrences(config, name):
            shown = fingerprints.shown(entry.value, "key")
            note = f"occurs {entry.copies} times: ASP.NET uses the last one" if entry.copies > 1 else ""
            place = entry.document.location(entry.element.start)
            yield Key(entry.key, section, shown, len(entry.value), describe(entry.value), place, note)


def occurrences(config: Config, name: str) -> Iterator[tuple[str, Setting]]:
    """The occurrences of a key: in secureAppSettings, in appSettings, or in both."""
    for section in (SECURE, APP):
        entry = config.entries(section).get(name)
        if entry is not None:
            yield section, entry


def is_generated(value: str | None) -> bool:
    """Whether ASP.NET generates the key, a different one on each machine."""
    return value is None or not value.strip() or value.strip().lower().startswith("autogenerate")


def same_machine_key(one: str | None, other: str | None) -> bool:
    """Whether two keys of machineKey are the same; hex digits can have either case."""
    return one is not None and other is not None and one.upper() == other.upper()


def refused_machine_key(section: ConfigSection, name: str) -> str:
    """Why ASP.NET cannot use a key of machineKey, without the key; empty if it can.

    Source: Microsoft's page of the machineKey element: hex digits, at least 40 for the validation.
    """
    value = section.element.get(name) or ""
    least = _SHORTEST[name]
    if name == "decryptionKey" and (section.element.get("decryption") or "").upper() == "DES":
        least = _SHORTEST_DES
    if not _HEX.fullmatch(value):
        return f"{name} is not a key of hex digits: it looks like a placeholder"
    if len(value) % 2:
        return f"{name} has an odd number of hex digits ({len(value)})"
    return f"{name} has {len(value)} hex digits, and ASP.NET needs at least {least}" if len(value) < least else ""


def describe_machine_key(value: str, algorithm: str) -> str:
    """Describe the form of a key of machineKey."""
    if is_generated(value):
        return algorithm
    if _HEX.fullmatch(value):
        return f"{algorithm}, {len(value) * 4} bits"
    return f"{algorithm}, not hexadecimal" + (", IsolateApps" if "isolate" in value.lower() else "")


def describe(value: str) -> str:
    """Describe the form of any other key."""
    if not value:
        return "empty"
    if _GUID.fullmatch(value):
        return "GUID"
    try:
        return f"base64, {len(base64.b64decode(value, validate=True)) * 8} bits"
    except (binascii.Error, ValueError):
        return "text"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys to clone, from one node's file."""

    source: Config
    machine: tuple[tuple[str, Value | None], ...]
    encryption: Value
    encryption_section: str
    others: tuple[tuple[str, Value], ...]
    pepper: str
    """The key of the passwords' fingerprints; never shown."""

    def __repr__(self) -> str:
        return f"Keys(from {self.source.path})"


def keys_to_clone(config: Config) -> Keys:
    """The keys of the node that the others get them from; raises NodeError if there is nothing to clone."""
    for section in (MACHINE_KEY, SECURE, APP):
        config.require_open(section)
    encryption = list(occurrences(config, ENCRYPTION_KEY))
    if not encryption or not encryption[0][1].value:
        raise config.main.error(
            config.main.root.start,
            f"there is no {ENCRYPTION_KEY} in <{SECURE}> or <{APP}>",
            "give the file of the node that was installed first: without this key no node can read the stored "
            "passwords",
        )
    section, entry = encryption[0]
    for other_section, other in encryption[1:]:
        if other.value != entry.value:
            raise other.document.error(
                other.element.start,
                f"{ENCRYPTION_KEY} is in <{section}> and in <{other_section}>, and they differ",
                "find out which one encrypted the stored passwords, and remove the other",
            )
    others = tuple(
        (name, key(value, parameter))
        for name, parameter in (API_KEYS | OTHER_KEYS).items()
        if (value := config.app.value(name))
    )
    machine = tuple(_machine_values(config))
    return Keys(config, machine, key(entry.value, ENCRYPTION_KEY), section, others, entry.value)


def _machine_values(config: Config) -> Iterator[tuple[str, Value | None]]:
    section = config.section(MACHINE_KEY)
    if section is None:
        raise config.main.error(
            config.main.root.start,
            "there is no <machineKey>: ASP.NET generates a different key on each machine, so there is no key to copy",
            AUTOGENERATE_HINT,
            AUTOGENERATE_ID,
        )
    for name, parameter in MACHINE_KEYS.items():
        value = section.element.get(name)
        if is_generated(value) or (value is not None and "isolateapps" in value.lower()):
            attribute = section.element.attributes.get(name)
            raise section.document.error(
                section.element.start if attribute is None else attribute.name_start,
                f"ASP.NET generates a different {name} on each machine (AutoGenerate, IsolateApps): there is no "
                "key to copy",
                AUTOGENERATE_HINT,
                AUTOGENERATE_ID,
            )
        reason = refused_machine_key(section, name)
        if reason:
            place = section.element.attributes[name].name_start
            raise section.document.error(place, f"{reason}: nlbgen does not copy it", AUTOGENERATE_HINT, MACHINE_KEY_ID)
        yield name, key(str(value), parameter)
    for name in MACHINE_ALGORITHMS:
        algorithm = section.element.get(name)
        yield name, None if algorithm is None else plain(algorithm)


def desired_settings(keys: Keys, target: Config) -> Iterator[DesiredSetting]:
    """The settings that give a node these keys."""
    for name, value in keys.machine:
        yield DesiredSetting(MACHINE_KEY, name, value, "key" if name in MACHINE_KEYS else "open")
    sections = [section for section, _entry in occurrences(target, ENCRYPTION_KEY)] or [keys.encryption_section]
    for section in sections:
        yield DesiredSetting(section, ENCRYPTION_KEY, keys.encryption, "key")
    for name, other in keys.others:
        yield DesiredSetting(APP, name, other, "key")


def notes(keys: Keys, target: Config) -> Iterator[str]:
    """Notes on what cloning the keys does not solve."""
    if (target.app.value("EncryptionKeyPerTenant.Enabled") or "").lower() == "true":
        yield (
            f"{target.path}: EncryptionKeyPerTenant is on: the tenants' keys are in the key vault. Check that "
            "every node reaches the key vault"
        )
    sections = {section for section, _entry in occurrences(target, ENCRYPTION_KEY)}
    if sections and keys.encryption_section not in sections:
        yield (
            f"{target.path}: {ENCRYPTION_KEY} is in <{sections.pop()}> here, but in <{keys.encryption_section}> "
            f"in {keys.source.path}: check that both nodes run the same version"
        )


def pepper_of(config: Config) -> str:
    """A secret of the farm to key the passwords' fingerprints with; empty if none can be read."""
    for _section, entry in occurrences(config, ENCRYPTION_KEY):
        if entry.value:
            return entry.value
    section = config.section(MACHINE_KEY)
    value = section.element.get("validationKey") if section is not None and not section.protected else None
    return "" if value is None or is_generated(value) else value
