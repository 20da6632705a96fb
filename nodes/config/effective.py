"""A node's settings as ASP.NET reads them from all files of its configuration.

Sources: System.Configuration in .NET's reference source (`BaseConfigurationRecord`, `AppSettingsSection`,
`ConfigurationElementCollection`): names of elements and attributes are case-sensitive, keys of settings are not;
the last of equal keys wins; `<clear/>` and `<remove>` drop settings before them; a section exists once, in the file
itself or in the one that `configSource` names; the file of `appSettings file=` comes after the section.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from ...core.errors import NodeError
from ...core.wording import legible
from ...spec.model import Orchestrator
from ...spec.orchestrator import CORE_SINCE, protection_tool
from . import collected, webconfig
from .appsettings import INSTALLED, JsonDocument, Service, services_of
from .lexer import Element
from .settings import ConfigSection, Settings
from .sources import DISK, Collected, Source, file_in
from .webconfig import ConfigError, Document

Kind = Literal["classic", "core"]

APP: Final = "appSettings"
SECURE: Final = "secureAppSettings"
CONNECTIONS: Final = "connectionStrings"
MACHINE_KEY: Final = "system.web/machineKey"
SESSION_STATE: Final = "system.web/sessionState"

CORE_FILE: Final = "UiPath.Orchestrator.dll.config"
CLASSIC_FILE: Final = "web.config"


def main_file(orchestrator: Orchestrator) -> str:
    """Return the name of the file with a node's settings in this version of Orchestrator."""
    return CORE_FILE if orchestrator.is_core else CLASSIC_FILE


DEFAULT_SITE: Final = "UiPath Orchestrator"

DECRYPT: Final = "-pd"
ENCRYPT: Final = "-pe"
"""The options of the tool that encrypts and decrypts sections."""

_APP_WIDE: Final = frozenset({MACHINE_KEY, SESSION_STATE})
"""Sections that ASP.NET allows only for a whole application (`allowDefinition=MachineToApplication`)."""


class Config:
    """The configuration of one node."""

    def __init__(
        self, main: Document, site: str = DEFAULT_SITE, core_tool: str | None = None, source: Source = DISK
    ) -> None:
        """`core_tool` encrypts and decrypts sections from 2020.10 on; None if the version is not known."""
        self.main: Final = main
        self._source: Final = source
        self.collected: collected.Node | None = None
        """The file of `nlbgen nodes collect` that this comes from; its secrets are pseudonyms."""
        self._core_tool: Final = core_tool
        self.documents: Final = [main]
        self.notes: Final[list[str]] = []
        self.site: Final = site
        self.web_config_of_iis: Path | None = None
        """The web.config of IIS, if the spec names it and the settings were read from the file beside it."""
        self.services: tuple[Service, ...] = ()
        """The services beside Orchestrator whose files were read."""
        self.service_problems: tuple[ConfigError, ...] = ()
        """The files with which a service does not start."""
        if main.root.name != "configuration":
            hint = f"give the path of the node's {CLASSIC_FILE} or {CORE_FILE}"
            raise main.error(main.root.start, f"the root element is <{main.root.name}>, not <configuration>", hint)
        self.kind: Final[Kind] = self._kind()
        self._holders = tuple(self._own_holders())
        self._sections = {name: self._find(name) for name in (MACHINE_KEY, SESSION_STATE, APP, SECURE, CONNECTIONS)}
        self.app = self._entries(APP)
        self.secure = self._entries(SECURE)
        self.connections = self._entries(CONNECTIONS, "name", "connectionString")

    @property
    def path(self) -> Path:
        """The main file."""
        return self.main.path

    @property
    def files(self) -> tuple[Document | JsonDocument, ...]:
        """All files that were read, those of the services included."""
        return (*self.documents, *(document for service in self.services for document in service.documents))

    def section(self, name: str) -> ConfigSection | None:
        """The section with this name, or None."""
        return self._sections[name]

    def entries(self, section: str) -> Settings:
        """The settings of a section."""
        return {APP: self.app, SECURE: self.secure, CONNECTIONS: self.connections}[section]

    def web(self) -> tuple[Document, Element] | None:
        """The document and the `<system.web>` element for new sections, or None."""
        groups = [group for holder in self._holders for group in holder.named("system.web")]
        return (self.main, groups[0]) if groups else None

    def require_open(self, name: str) -> None:
        """Raise ConfigError if the section is encrypted."""
        section = self._sections[name]
        if section is not None and section.protected:
            raise self.encrypted(section)

    def encrypted(self, section: ConfigSection) -> ConfigError:
        """The error for an encrypted section, with the command that decrypts it on its node."""
        command = self.protection_command(DECRYPT, section.name)
        return section.document.error(
            section.element.start,
            f"<{section.name}> is encrypted with a key of the node: no other machine can read it",
            "decrypt the section on that node, then copy the file again. The command for an elevated prompt: "
            f"{command}{self._other_tool}",
            "encrypted-section",
        )

    @property
    def protection_tool(self) -> str:
        """The command line tool that encrypts and decrypts sections.

        Sources: Microsoft's aspnet_regiis; UiPath's "Encrypting UiPath.Orchestrator.dll.config Sections", whose tools
        take the same arguments.
        """
        return "aspnet_regiis" if self.kind == "classic" else self._core_tool or protection_tool(None)

    @property
    def _other_tool(self) -> str:
        """The tool of 2020.10, if the file can be of it; empty if the version is known."""
        if self.kind == "classic" or self._core_tool is not None:
            return ""
        return f" (in 2020.10 the tool is {protection_tool(CORE_SINCE)})"

    def protection_command(self, option: Literal["-pd", "-pe"], section: str) -> str:
        """The command that decrypts (`-pd`) or encrypts (`-pe`) a section."""
        return f'{self.protection_tool} {option} "{section}" -site "{self.site}" -app "/"'

    def _own_holders(self) -> Iterator[Element]:
        """The elements whose children are this application's own sections."""
        yield self.main.root
        for location in self.main.root.named("location"):
            if location.get("path") in {None, "", "."}:
                yield location
            else:
                self._refuse_elsewhere(location)

    def _refuse_elsewhere(self, location: Element) -> None:
        for group in location.named("system.web"):
            for child in group.children:
                if f"system.web/{child.name}" in _APP_WIDE:
                    raise self.main.error(
                        child.start,
                        f"<{child.name}> applies to the whole application: ASP.NET refuses it for a single path",
                        f'move it out of <location path="{location.get("path")}">',
                    )

    def _find(self, name: str) -> ConfigSection | None:
        found: list[Element] = []
        for holder in self._holders:
            parents = [holder]
            for part in name.split("/"):
                parents = [child for parent in parents for child in self._named(parent, part)]
            found += parents
        if len(found) > 1:
            where = self.main.location(found[0].start)
            raise self.main.error(
                found[1].start,
                f"<{found[1].name}> is a duplicate: ASP.NET allows a section once (the other one is at {where})",
                "remove one of the two",
            )
        return self._followed(name, found[0]) if found else None

    def _named(self, parent: Element, name: str) -> Iterator[Element]:
        folded = name.lower()
        for child in parent.children:
            if child.name == name:
                yield child
            elif child.name.lower() == folded:
                raise self.main.error(
                    child.start,
                    f"<{child.name}> is unknown to ASP.NET: names are case-sensitive",
                    f"write <{name}>",
                )

    def _followed(self, name: str, element: Element) -> ConfigSection:
        source = element.get("configSource")
        if source is None:
            return ConfigSection(name, self.main, element, _is_protected(element))
        if element.children:
            raise self.main.error(
                element.start, f"<{element.name}> has both a configSource and content", "keep one of the two"
            )
        document = self._other(element, "configSource", source)
        if document is None:
            raise self.main.error(
                element.attributes["configSource"].name_start,
                f"configSource names {source}, which does not exist",
                f"copy it from the node into the folder of {self.path.name}",
            )
        return self._outside(name, element, document)

    def _outside(self, name: str, element: Element, document: Document) -> ConfigSection:
        if document.root.name != element.name:
            raise document.error(
                document.root.start,
                f"the root is <{document.root.name}>, but {self.path.name} requires <{element.name}>",
                f"copy the file with <{element.name}> from the node, or correct its name in {self.path.name}",
            )
        self.documents.append(document)
        return ConfigSection(name, document, document.root, _is_protected(element) or _is_protected(document.root))

    def _other(self, element: Element, attribute: str, source: str) -> Document | None:
        """The file that an attribute names, in the folder of the main one; None if it does not exist."""
        parts = [part for part in re.split(r"[\\/]", source) if part not in {"", "."}]
        if not parts or ".." in parts or ":" in source or source[0] in "\\/":
            raise self.main.error(
                element.attributes[attribute].name_start,
                f"{attribute} points outside the folder of {self.path.name}",
                "use a file in this folder or in a folder below it",
            )
        path = self.path.parent
        for part in parts:
            path = self._source.find(path, part)
        folder = self.path.parent
        if not self._source.has(path):
            return None
        if self._source.escapes(path, folder):
            raise NodeError(f"{path}: points outside {folder.resolve()}", "copy the file itself, not a link to it")
        return self._source.document(path)

    def _entries(self, name: str, key: str = "key", value: str = "value") -> Settings:
        section = self._sections[name]
        entries = Settings(section, key, value)
        if section is None or section.protected:
            return entries
        self._collect(entries, section)
        source = section.element.get("file") if name == APP else None
        if source:
            self._overlay(entries, section, source)
        return entries

    def _overlay(self, entries: Settings, section: ConfigSection, source: str) -> None:
        """Add the settings of the file that `<appSettings file=...>` names; like ASP.NET, ignore a missing one."""
        document = self._other(section.element, "file", source)
        if document is None:
            self.notes.append(
                f"{section.document.location(section.element.start)}: <{section.name}> names the file "
                f"{legible(source)}, which does not exist here. nlbgen assumes that the node does not have this "
                "file either; if the node has it, copy it here"
            )
            return
        overlay = self._outside(APP, section.element, document)
        if overlay.protected:
            raise self.encrypted(overlay)
        entries.overlay = overlay
        entries.dropped_later = self._collect(entries, overlay)

    def _collect(self, entries: Settings, section: ConfigSection) -> set[str]:
        """Add the settings of a section in order; returns the keys that it drops (`*` for all)."""
        found, document, dropped = entries.found, section.document, set[str]()
        key_name = entries.key_name
        for child in section.element.children:
            name = child.name
            if name != "add" and name != "remove":
                if name == "clear":
                    found.clear()
                    dropped.add("*")
                else:
                    self._check_case(document, child)
                continue
            key = child.get(key_name)
            folded = (self._without_key(document, child, key_name) if key is None else key).lower()
            if name == "remove":
                found.pop(folded, None)
                dropped.add(folded)
                continue
            if folded in found:
                entries.repeated[folded] = entries.repeated.get(folded, 1) + 1
            found[folded] = child
        return dropped

    def _check_case(self, document: Document, child: Element) -> None:
        known = child.name.lower()
        if known in {"add", "remove", "clear"}:
            raise document.error(
                child.start, f"<{child.name}> is unknown to ASP.NET: names are case-sensitive", f"write <{known}>"
            )

    def _without_key(self, document: Document, child: Element, name: str) -> str:
        for written in child.attributes:
            if written.lower() == name:
                raise document.error(
                    child.start,
                    f"the attribute {written} is unknown to ASP.NET: names are case-sensitive",
                    f"write `{name}`",
                )
        return ""

    def _kind(self) -> Kind:
        """The kind: core if `system.web` is declared as ignored, or without a section for IIS if named dll.config."""
        for declared in self.main.root.named("configSections"):
            for child in declared.children:
                if child.get("name") == "system.web" and "IgnoreSection" in (child.get("type") or ""):
                    return "core"
        if self.main.root.named("system.webServer"):
            return "classic"
        return "core" if self.path.name.lower().endswith("dll.config") else "classic"

    @property
    def starts_core(self) -> bool:
        """Whether the file tells IIS how to start an application of ASP.NET Core, as from 2020.10 on."""
        servers = [server for holder in self._holders for server in holder.named("system.webServer")]
        return any(server.named("aspNetCore") for server in servers)

    @property
    def is_orchestrator(self) -> bool:
        """Whether the file has any setting of an Orchestrator. IIS Manager writes a machineKey into IIS's own file."""
        known = [self.app.get(key) for key in ("EncryptionKey", "apiKey", "LoadBalancer.UseRedis", "Storage.Type")]
        return any(
            (
                self._sections[MACHINE_KEY] and not self.starts_core,
                self._sections[SECURE],
                *known,
                self.app.home is not None and self.app.home.protected,
                any(key.startswith(("nuget.", "loadbalancer.", "quartz.")) for key in self.app.found),
            )
        )


def _is_protected(element: Element) -> bool:
    return element.get("configProtectionProvider") is not None or bool(element.named("EncryptedData"))


def local(folder: Path, text: str) -> Path:
    """A path of the spec on this machine; backslashes also work as separators on other systems than Windows."""
    path = folder / text
    if "\\" in text and not path.exists():
        other = folder / text.replace("\\", "/")
        return other if other.exists() else path
    return path


def is_there(path: Path) -> bool:
    """Whether a file or folder exists; true also without permission, so that reading it reports the reason."""
    try:
        return path.exists()
    except OSError:
        return True


def load(path: Path, site: str = DEFAULT_SITE, core_tool: str | None = None, installed: str = INSTALLED) -> Config:
    """The configuration of a node, from its config file or from the folder that holds it; raises NodeError.

    `installed` is Orchestrator's folder on the node, for the commands in messages.
    From 2020.10 on, the web.config belongs to IIS and the settings are in the dll.config of the same folder. For either
    name, the file with the settings is read. A JSON file is one of `nlbgen nodes collect`.
    """
    if collected.is_collected(path):
        return _of_collected(path, site, core_tool, installed)
    try:
        config = _load(path, site, core_tool)
        services, problems = services_of(config.path.parent, installed=installed)
    except OSError as error:  # no permission for the folder
        raise NodeError(f"{path}: cannot be read: {error.strerror}", "check the permissions of the folder") from None
    config.services, config.service_problems = tuple(services), tuple(problems)
    return config


def _of_collected(path: Path, site: str, core_tool: str | None, installed: str) -> Config:
    node = collected.read(path)
    source = Collected(path, node.texts)
    main = source.find(path, node.main)
    if not source.has(main):
        raise NodeError(
            f"{path}: does not contain {node.main}: {'; '.join(node.unreadable) or 'the script did not find it'}"
        )
    config = Config(source.document(main), site, core_tool, source)
    config.collected = node
    services, problems = services_of(path, source, installed)
    config.services, config.service_problems = tuple(services), tuple(problems)
    config.notes.extend(f"{path}: was not compared: {reason}" for reason in node.unreadable)
    return config


def _load(path: Path, site: str, core_tool: str | None) -> Config:
    if path.is_dir():
        return _in_folder(path, site, core_tool)
    config = Config(webconfig.read(path), site, core_tool)
    if config.is_orchestrator:
        return config
    beside = file_in(path.parent, CORE_FILE)
    if beside != path and beside.exists():
        other = Config(webconfig.read(beside), site, core_tool)
        if other.is_orchestrator:
            other.web_config_of_iis = path
            other.notes.append(
                f"{path}: is the web.config of IIS; the settings were read from {beside.name} in the same folder"
            )
            return other
    missing = "the file has no machineKey, no EncryptionKey and no setting of an Orchestrator"
    if config.starts_core:
        missing = "this is the web.config of IIS: it only starts Orchestrator, and has no setting of Orchestrator"
    hint = f"give the path of {CORE_FILE}: from 2020.10 on, the settings are in that file"
    raise config.main.error(config.main.root.start, missing, hint)


def _in_folder(folder: Path, site: str, core_tool: str | None) -> Config:
    for name in (CORE_FILE, CLASSIC_FILE):
        path = file_in(folder, name)
        if path.exists():
            return _load(path, site, core_tool)
    raise NodeError(
        f"{folder}: contains neither {CORE_FILE} nor {CLASSIC_FILE}", "give the path of the node's config file"
    )
