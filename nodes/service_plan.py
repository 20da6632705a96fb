"""Plan the changes of the services' files: the shared settings of the first node, and the public address."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..core.errors import NodeError
from ..core.plan import Change
from .config.appsettings import PRODUCTION, JsonDocument, Service, ServiceSetting
from .config.edits import SetAttribute, text_edits
from .config.effective import Config
from .config.json_settings import fold
from .config.webconfig import ConfigError, Document, TextPosition
from .fingerprints import Fingerprints, Secrecy
from .public_url import PublicUrl, addressed_of
from .reading import raise_all
from .service_settings import CERTIFICATE, IDENTITY, MIRRORS, mirrored, service, shared_settings

ServiceFile = JsonDocument | Document


@dataclass(frozen=True, slots=True)
class ServicesEdited:
    """What a node's service files become: the changes to show, each new file with its bytes, and notes."""

    changes: tuple[Change, ...]
    files: tuple[tuple[ServiceFile, bytes], ...] = field(repr=False)
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedSetting:
    """A setting that a service must have: its name and its text; None if it must not have it."""

    name: str
    text: str | None = field(repr=False)
    secrecy: Secrecy


Step = tuple[WantedSetting, ServiceSetting | None]


def planned(target: str, config: Config, source: Config, fingerprints: Fingerprints, url: PublicUrl) -> ServicesEdited:
    """What the service files of a node need to agree with those of `source`, and with the public address `url`.

    `target` names the node in the changes. Raises NodeError for a file that its service cannot read, or that is
    encrypted.
    """
    raise_all((*config.service_problems, *(source.service_problems if config is not source else ())))
    changes: list[Change] = []
    files: list[tuple[ServiceFile, bytes]] = []
    notes: list[str] = []
    for one in config.services:
        steps: list[Step] = []
        if config is not source:
            _require_open(one, service(source, one.name))
            copied = list(differing(one, source))
            steps = [step for step in copied if _is_possible(one, step)]
            notes += [_left(one, step) for step in copied if step not in steps]
        if one.name == IDENTITY:
            _require_open(one)
        steps += _addresses(one, url)
        changes += [_change(target, one, step, fingerprints) for step in steps]
        notes += [_certificate(one, wanted.text) for wanted, _current in steps if wanted.text and _is_name(wanted)]
        files += _files(one, steps)
    return ServicesEdited(tuple(changes), tuple(files), tuple(notes))


def _require_open(*services: Service | None) -> None:
    for read in services:
        if read is not None and read.is_encrypted:
            raise read.encrypted()


def _change(target: str, one: Service, step: Step, fingerprints: Fingerprints) -> Change:
    wanted, current = step
    old = None if current is None else current.text
    where = TextPosition(one.own, 0) if current is None else TextPosition(current.document, current.start)
    return Change(
        target,
        f"{one.name}/{wanted.name}",
        None if old is None else fingerprints.shown(old, wanted.secrecy),
        None if wanted.text is None else fingerprints.shown(wanted.text, wanted.secrecy),
        where,
    )


def _is_name(wanted: WantedSetting) -> bool:
    return wanted.name.lower() == CERTIFICATE.lower()


def _files(one: Service, steps: Sequence[Step]) -> Iterator[tuple[ServiceFile, bytes]]:
    """The new bytes of the files that change: a setting changes in the file that sets it today."""
    values = {wanted.name: wanted.text for wanted, current in steps if wanted.text is not None and not _by_iis(current)}
    removed = [wanted.name for wanted, _current in steps if wanted.text is None]
    if values or removed:
        yield one.own, one.own.edited(values, removed)
    variables = [
        SetAttribute(current.document, current.variable, "value", wanted.text)
        for wanted, current in steps
        if current is not None
        and current.variable is not None
        and isinstance(current.document, Document)
        and wanted.text is not None
    ]
    for document in dict.fromkeys(one.document for one in variables):
        try:
            edits = text_edits(document, variables)
        except ValueError as error:
            raise NodeError(f"{document.path}: a value cannot be written: {error}", "choose another value") from None
        yield document, document.edited(edits)[1]


def _by_iis(current: ServiceSetting | None) -> bool:
    """Whether an environment variable in the service's web.config sets a setting."""
    return current is not None and current.variable is not None


def _is_possible(one: Service, step: Step) -> bool:
    """Whether an edit makes the service read what is wanted: a removal has no effect on what other files set."""
    wanted, current = step
    if wanted.text is not None:
        return True
    below = None if one.defaults is None else one.defaults.leaves.get(fold(wanted.name))
    return current is not None and current.document is one.own and (below is None or below.text is None)


def _left(one: Service, step: Step) -> str:
    wanted, current = step
    where = one.own.location(0) if current is None else current.location
    return (
        f"{where}: {one.name} has {wanted.name}, but the first node does not. nlbgen removes settings only from "
        f"{PRODUCTION}: compare the versions of the nodes, and remove this setting by hand"
    )


def differing(one: Service, source: Config) -> Iterator[Step]:
    """The settings in which a service differs from `source`, each with the one that it has."""
    for wanted in _wanted(one, source):
        current = one.get(wanted.name)
        if current is None or current.text != wanted.text:
            yield wanted, current
    origin = service(source, one.name)
    if origin is not None and origin.text(CERTIFICATE):
        for setting, shared in shared_settings(one):
            if shared.complete and origin.text(setting.name) is None:
                yield WantedSetting(setting.name, None, shared.secrecy), setting


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


def _addresses(one: Service, url: PublicUrl) -> Iterator[Step]:
    """The settings of a service that must get the public address."""
    for setting in addressed_of(one):
        text = url.corrected(setting.text or "")
        if text is not None and text != setting.text:
            yield WantedSetting(setting.name, text, "url"), setting


def _certificate(one: Service, name: str) -> str:
    return (
        f"{one.own.path}: after this change {one.name} signs with the certificate {name}. Before the change, "
        "install the certificate on this node with its private key (2048 to 4096 bits), and let the app pool of "
        "Identity read the private key"
    )


def problems(config: Config) -> Iterator[ConfigError]:
    """The reasons why settings of a node's services cannot be read."""
    yield from config.service_problems
    yield from (one.encrypted() for one in config.services if one.is_encrypted)
