"""Plan the changes of the services' files: the shared settings of the first node, for the others."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..core.plan import Change
from .config.appsettings import JsonDocument, Service, ServiceSetting
from .config.effective import Config
from .config.webconfig import ConfigError, TextPosition
from .fingerprints import Fingerprints, Secrecy
from .reading import raise_all
from .service_settings import CERTIFICATE, IDENTITY, MIRRORS, mirrored, service, shared_settings


@dataclass(frozen=True, slots=True)
class ServicesEdited:
    """What a node's service files become: the changes to show, each new file with its bytes, and notes."""

    changes: tuple[Change, ...]
    files: tuple[tuple[JsonDocument, bytes], ...] = field(repr=False)
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedSetting:
    """A setting that a service must have: its name and its text."""

    name: str
    text: str = field(repr=False)
    secrecy: Secrecy


def planned(target: str, config: Config, source: Config, fingerprints: Fingerprints) -> ServicesEdited:
    """What the service files of a node need to agree with those of `source`; `target` names the node in the changes.

    Raises NodeError for a file that its service cannot read, or that is encrypted.
    """
    raise_all((*config.service_problems, *(source.service_problems if config is not source else ())))
    changes: list[Change] = []
    files: list[tuple[JsonDocument, bytes]] = []
    notes: list[str] = []
    for one in config.services if config is not source else ():
        _require_open(one, service(source, one.name))
        values: dict[str, str] = {}
        for wanted, current in differing(one, source):
            old = None if current is None else current.text
            values[wanted.name] = wanted.text
            where = TextPosition(one.own, 0) if current is None else TextPosition(current.document, current.start)
            changes.append(
                Change(
                    target,
                    f"{one.name}/{wanted.name}",
                    None if old is None else fingerprints.shown(old, wanted.secrecy),
                    fingerprints.shown(wanted.text, wanted.secrecy),
                    where,
                )
            )
            if wanted.name.lower() == CERTIFICATE.lower():
                notes.append(_certificate(one, wanted.text))
        if values:
            files.append((one.own, one.own.edited(values)))
    return ServicesEdited(tuple(changes), tuple(files), tuple(notes))


def _require_open(one: Service, origin: Service | None) -> None:
    for read in (one, origin):
        if read is not None and read.is_encrypted:
            raise read.encrypted()


def differing(one: Service, source: Config) -> Iterator[tuple[WantedSetting, ServiceSetting | None]]:
    """The settings in which a service differs from `source`, each with the one that it has."""
    for wanted in _wanted(one, source):
        current = one.get(wanted.name)
        if current is None or current.text != wanted.text:
            yield wanted, current


def _wanted(one: Service, source: Config) -> Iterator[WantedSetting]:
    """The settings that a service must share with the same one of `source`, or else with Orchestrator's file there."""
    origin = service(source, one.name)
    if origin is not None:
        for setting, shared in shared_settings(origin):
            if shared.copied and setting.text is not None:
                yield WantedSetting(setting.name, setting.text, shared.secrecy)
    elif one.name == IDENTITY:
        for name in MIRRORS:
            value = mirrored(source, name)
            if value is not None and one.get(name) is not None:
                yield WantedSetting(name, value, "key")


def _certificate(one: Service, name: str) -> str:
    return (
        f"{one.own.path}: {one.name} signs with the certificate {name} then: before the change, install it on this "
        "node with its private key (2048 to 4096 bits), and let the app pool of Identity read the key"
    )


def problems(config: Config) -> Iterator[ConfigError]:
    """The reasons why settings of a node's services cannot be read."""
    yield from config.service_problems
    yield from (one.encrypted() for one in config.services if one.is_encrypted)
