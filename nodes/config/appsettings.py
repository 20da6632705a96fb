"""The settings of the services beside Orchestrator, from 2020.4 on: Identity, Webhooks, Resource Catalog.

Each service reads `appsettings.json`, over it `appsettings.Production.json` in its folder below Orchestrator's, and
over both the environment variables of its `web.config`.
Sources: UiPath's "Identity Server AppSettings.json" for the files and their order; "Encrypting
AppSettings.Production.json" for the names of the services and for the tool that encrypts the files; the check of the
signing certificate in UiPath's Platform.Configuration.Tool for the section that tells an encrypted file.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from ...core.errors import Location
from . import environment
from .environment import Environment, Variable
from .json_lexer import JsonProblemError, decode, parse
from .json_settings import Leaf, changed, fold, leaves
from .lexer import Element
from .sources import DISK, Source
from .webconfig import ConfigError, Document, place

FOLDERS: Final = ("Identity", "Webhooks", "ResourceCatalog")
PRODUCTION: Final = "appsettings.Production.json"
DEFAULTS: Final = "appsettings.json"

SERVICE_ID: Final = "service-settings"
"""The id of a file with which its service does not start."""
ENCRYPTED_ID: Final = "encrypted-section"
_ENCRYPTION: Final = fold("ConfigEncryptionSettings")
INSTALLED: Final = "C:\\Program Files (x86)\\UiPath\\Orchestrator"
"""The folder that UiPath's pages name."""


class JsonDocument:
    """One file of a service's settings."""

    def __init__(self, path: Path, raw: bytes) -> None:
        """Read the bytes; raises ConfigError if the service would not start with them."""
        self.path = path
        self.raw = raw
        self.text = ""
        try:
            self._encoded = decode(raw)
            self.text = self._encoded.text
            self.leaves: Final = leaves(parse(self.text))
        except JsonProblemError as error:
            description = f"{error.cause}: the service does not start with this file"
            raise self.error(error.offset, description, error.hint, SERVICE_ID) from None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def location(self, offset: int) -> Location:
        """The line and column of the character at `offset`."""
        return place(self.path, self.text, offset)

    def error(self, offset: int, description: str, hint: str, rule: str) -> ConfigError:
        """The error at the character `offset` of this file."""
        return ConfigError(self.location(offset), description, hint, rule)

    def edited(self, values: Mapping[str, str], removed: Collection[str] = ()) -> bytes:
        """The bytes with these values of settings and without the removed ones; all others stay. Raises ConfigError."""
        try:
            return self._encoded.bytes_of(changed(self.text, values, removed))
        except JsonProblemError as error:
            raise self.error(error.offset, error.cause, error.hint, SERVICE_ID) from None


@dataclass(frozen=True, slots=True)
class ServiceSetting:
    """One setting that a service reads: its name, its text, and its file."""

    name: str
    text: str | None
    document: JsonDocument | Document
    start: int
    variable: Element | None = None
    """The element of the environment variable that sets it, in the service's web.config."""

    @property
    def location(self) -> Location:
        """The position of its name."""
        return self.document.location(self.start)


class Service:
    """One service: its own file, the file with the defaults below it, and the environment variables over both."""

    def __init__(
        self,
        name: str,
        own: JsonDocument,
        defaults: JsonDocument | None,
        over: Environment | None = None,
        installed: str = INSTALLED,
    ) -> None:
        """`installed` is Orchestrator's folder on the node."""
        self._installed: Final = installed
        self.name: Final = name
        self.own: Final = own
        self.defaults: Final = defaults
        self._over: Final = over
        self._found: Final = (
            {} if over is None else {folded: _of_variable(over.document, one) for folded, one in over.variables.items()}
        )
        for folded, setting in merged((own,) if defaults is None else (own, defaults)).items():
            self._found.setdefault(folded, setting)

    @property
    def documents(self) -> tuple[JsonDocument | Document, ...]:
        """All files that were read."""
        files = (self.own, self.defaults, None if self._over is None else self._over.document)
        return tuple(one for one in files if one is not None)

    def get(self, name: str) -> ServiceSetting | None:
        """The setting with this name, in any case, or None."""
        return self._found.get(fold(name))

    def text(self, name: str) -> str | None:
        """The text of a setting; None if it does not exist or is null."""
        found = self.get(name)
        return None if found is None else found.text

    def settings(self) -> Iterator[ServiceSetting]:
        """All settings: the environment variables first, then those of the own file."""
        yield from self._found.values()

    @property
    def is_encrypted(self) -> bool:
        """Whether UiPath.ConfigProtector has encrypted values of the own file."""
        return self._mark() is not None

    def _mark(self) -> Leaf | None:
        """The first setting of the section that the tool adds, or None."""
        marks = (leaf for name, leaf in self.own.leaves.items() if name.partition(":")[0] == _ENCRYPTION)
        return next((leaf for leaf in marks if leaf.value.kind != "null"), None)

    def encrypted(self) -> ConfigError:
        """The error for an encrypted file, with the command that decrypts it on its node."""
        mark, command = self._mark(), self.protection_command("--de")
        return self.own.error(
            0 if mark is None else mark.start,
            f"the settings of {self.name} are encrypted with a key of the node: no other machine can read them",
            "decrypt the settings on that node, then copy the file again. The command for an elevated prompt: "
            f"{command}",
            ENCRYPTED_ID,
        )

    def protection_command(self, option: str) -> str:
        """The command that decrypts (`--de`) or encrypts (`--pe`) the file on its node."""
        tool = f"{self._installed}\\Tools\\ConfigProtector\\UiPath.ConfigProtector.exe"
        return f'"{tool}" {option} -f "{self._installed}\\{self.name}\\{PRODUCTION}"'


def merged(documents: "tuple[JsonDocument, ...]") -> dict[str, ServiceSetting]:
    """The settings of several files by folded name; those of the first win, also where it sets null."""
    found: dict[str, ServiceSetting] = {}
    for document in documents:
        for folded, leaf in document.leaves.items():
            found.setdefault(folded, _setting(document, leaf))
    return found


def _setting(document: JsonDocument, leaf: Leaf) -> ServiceSetting:
    return ServiceSetting(leaf.name, leaf.text, document, leaf.start)


def _of_variable(document: Document, one: Variable) -> ServiceSetting:
    return ServiceSetting(one.name, one.text, document, one.element.start, one.element)


def services_of(
    folder: Path, source: Source = DISK, installed: str = INSTALLED
) -> tuple[list[Service], list[ConfigError]]:
    """The services below a copy of an Orchestrator's folder, and the problems of those that cannot be read.

    `installed` is that folder on the node. A folder without `appsettings.Production.json` counts as no service. Raises
    NodeError if a file cannot be read.
    """
    found: list[Service] = []
    problems: list[ConfigError] = []
    for name in FOLDERS:
        path = source.find(source.find(folder, name), PRODUCTION)
        if not source.has(path):
            continue
        below = source.find(path.parent, DEFAULTS)
        over = source.find(path.parent, environment.FILE)
        try:
            own = JsonDocument(path, source.raw(path))
            defaults = JsonDocument(below, source.raw(below)) if source.has(below) else None
            variables = Environment(source.document(over), SERVICE_ID) if source.has(over) else None
            found.append(Service(name, own, defaults, variables, installed))
        except ConfigError as error:
            problems.append(environment.problem(error, SERVICE_ID))
    return found, problems
