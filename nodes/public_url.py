"""The public address of the farm in the nodes' settings: `frontend.host` in each setting that contains the address.

Source: UiPath's "Changing the Orchestrator / Identity Server URL" of 2020.10 to 2023.10 for the settings and for the
tables of Identity Server; DovUI/Azure-Webapp-Deploy for the values that they have.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..core.errors import Location
from ..spec.load import Spec
from ..spec.model import Farm
from .config.appsettings import Service, ServiceSetting
from .config.effective import APP, Config
from .config.settings import Setting
from .file_checks import FileFinding
from .service_settings import IDENTITY, service
from .values import DesiredSetting, plain

PUBLIC_URL_ID: Final = "public-url"
"""The id of a setting with another address than the farm's."""

SETTINGS: Final = (
    "IdentityServer.Integration.Authority",
    "ExternalAuth.System.OpenIdConnect.Authority",
    "ExternalAuth.System.OpenIdConnect.RedirectUri",
    "ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri",
    "ResourceCatalogService.ServiceURL",
)
"""The settings of Orchestrator that begin with the address."""
SERVICE_SETTINGS: Final = ("AppSettings:IdentityServerAddress", "AppSettings:OrchestratorUrl")
"""The settings of Identity that begin with the address."""
ROOT_URLS: Final = "AcceptedRootUrls"
"""A setting with addresses whose meaning UiPath does not document: it is shown, and not changed."""

URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.%]+\]|[^\s/?#:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>/[^\s?#@]*)?",
    re.IGNORECASE,
)
"""An address without a user, a query and a fragment, which could contain secrets."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The public address of a farm."""

    scheme: str
    host: str
    port: int
    any_scheme: bool
    """Without TLS on the balancer, a device before it can provide TLS: then only the host is compared."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def corrected(self, text: str) -> str | None:
        """A setting's value with this address; the value itself if it has it, None if it is not an address."""
        found = URL.fullmatch(text)
        if found is None:
            return None
        scheme, rest = found["scheme"].lower(), found["rest"] or ""
        same_host = found["host"].strip("[]").lower() == self.host.lower()
        if self.any_scheme:
            port = f":{found['port']}" if found["port"] else ""
            host = f"[{self.host}]" if ":" in self.host else self.host
            return text if same_host else f"{found['scheme']}://{host}{port}{rest}"
        # The balancer can listen on another port than the one of the address: a device before it translates.
        ports = {self.port, _PORTS[scheme]}
        if same_host and scheme == self.scheme and int(found["port"] or _PORTS[scheme]) in ports:
            return text
        return f"{self}{rest}"


def of(farm: Farm) -> PublicUrl:
    """The public address of a farm."""
    front = farm.frontend
    without_tls = front.tls.mode == "none"
    return PublicUrl("http" if without_tls else "https", front.host, front.port, without_tls)


def origin(text: str) -> str:
    """The scheme, the host and the port of an address; empty for a text that is none."""
    found = URL.fullmatch(text)
    return "" if found is None else text[: len(text) - len(found["rest"] or "")]


def addressed(config: Config) -> Iterator[Setting]:
    """The settings of Orchestrator that contain an address."""
    if config.app.home is None or not config.app.home.protected:
        entries = map(config.app.get, SETTINGS)
        yield from (entry for entry in entries if entry is not None and entry.value)


def addressed_of(one: Service) -> Iterator[ServiceSetting]:
    """The settings of a service that contain an address."""
    if one.name == IDENTITY and not one.is_encrypted:
        found = map(one.get, SERVICE_SETTINGS)
        yield from (setting for setting in found if setting is not None and setting.text)


def desired_settings(spec: Spec, config: Config) -> Iterator[DesiredSetting]:
    """The settings of Orchestrator that must get the address of the farm."""
    url = of(spec.farm)
    for entry in addressed(config):
        wanted = url.corrected(entry.value)
        if wanted is not None and wanted != entry.value:
            yield DesiredSetting(APP, entry.key, plain(wanted), "url")


def findings(spec: Spec, config: Config) -> Iterator[FileFinding]:
    """The settings of a node with another address than the farm's."""
    url = of(spec.farm)
    for entry in addressed(config):
        yield from _finding(url, f"appSettings/{entry.key}", entry.value, entry.location)
    for one in config.services:
        for setting in addressed_of(one):
            yield from _finding(url, f"{one.name}/{setting.name}", setting.text or "", setting.location)


def _finding(url: PublicUrl, name: str, text: str, place: Location) -> Iterator[FileFinding]:
    wanted = url.corrected(text)
    if wanted is None:
        message = f"{name} is not an address such as {url}: the sign-in through the balancer can fail"
        yield FileFinding(
            PUBLIC_URL_ID, message, f"write the address with {url}; `nodes apply` does not change it", place
        )
    elif wanted != text:
        message = f"{name} is {origin(text)}, but users reach the farm at {url}: the sign-in through the balancer fails"
        hint = "`nlbgen nodes apply` changes the files; public-url.sql (`nlbgen render nodes`) changes the database"
        yield FileFinding(PUBLIC_URL_ID, message, hint, place)


def change_notes(spec: Spec, config: Config) -> Iterator[str]:
    """The note on what a plan that changes the address leaves: the database, and Identity's file if it is missing."""
    old = old_origins(spec, [config])
    if old:
        left = "run public-url.sql of `nlbgen render nodes` in the database of Identity in the same maintenance window"
        if service(config, IDENTITY) is None:
            left += f"; {IDENTITY}'s file is not here: change {' and '.join(SERVICE_SETTINGS)} in that file too"
        yield f"{config.path}: the address {', '.join(old)} becomes {of(spec.farm)}: {left}"


def notes(config: Config) -> Iterator[str]:
    """The note on the setting with addresses that is not changed."""
    entry = None if config.app.home is not None and config.app.home.protected else config.app.get(ROOT_URLS)
    if entry is not None and entry.value:
        parts = [part.strip() for part in re.split("[,;]", entry.value)]
        shown = ", ".join(origin(part) or "(not an address)" for part in parts)
        reason = "nlbgen does not change it, because UiPath does not document its meaning"
        yield f"{entry.location}: {entry.key} is {shown}: {reason}"


def old_origins(spec: Spec, configs: Sequence[Config]) -> list[str]:
    """The addresses in these nodes' settings that are not the farm's, in the order of the settings."""
    url = of(spec.farm)
    texts = [
        *(entry.value for config in configs for entry in addressed(config)),
        *(found.text or "" for config in configs for one in config.services for found in addressed_of(one)),
    ]
    found = [origin(text) for text in texts if url.corrected(text) not in {None, text}]
    return list(dict.fromkeys(found))
