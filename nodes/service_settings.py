"""The settings of the services beside Orchestrator that all nodes must share, as data.

Sources: UiPath's "Identity Server AppSettings.json" for the encryption key, which the installer copies from
Orchestrator's file, and for the connection string; its "Prerequisites for Installation" for the signing certificate
(`StoreLocation` and `ValidationKeys`, each with `Location`, `Name` and `NameType`; 2048 to 4096 bits); its support
article on the signing certificate: all nodes have the same one; DovUI/Azure-Webapp-Deploy for `EncryptionKey2021` and
for the ids and secrets of the OAuth clients. No page shows the names of the settings of Redis and of the storage: any
name with these words is compared.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ..spec.model import Orchestrator
from ..spec.orchestrator import normalized
from . import keys
from .config import environment
from .config.appsettings import DEFAULTS, FOLDERS, PRODUCTION, Service, ServiceSetting
from .config.effective import Config
from .config.json_settings import fold
from .fingerprints import Secrecy

FILES: Final = tuple(f"{folder}/{name}" for folder in FOLDERS for name in (DEFAULTS, PRODUCTION, environment.FILE))
"""The files with settings of the services, below Orchestrator's folder."""


def files_of(orchestrator: Orchestrator) -> tuple[str, ...]:
    """Return the files with settings of the services that this version may have: from 2020.4 on."""
    version = orchestrator.version
    if not orchestrator.is_core and (version is None or normalized(version).parts[:2] < (2020, 4)):
        return ()
    return FILES


IDENTITY: Final = "Identity"
ENCRYPTION_KEY: Final = "EncryptionSettings:EncryptionKey"
DATABASE_KEY: Final = "AppSettings:DatabaseProtectionSettings:EncryptionKey2021"
CERTIFICATE: Final = "AppSettings:SigningCredentialSettings:StoreLocation:Name"
CERTIFICATE_STORE: Final = "AppSettings:SigningCredentialSettings:StoreLocation:Location"

MIRRORS: Final[Mapping[str, str]] = {
    ENCRYPTION_KEY: keys.ENCRYPTION_KEY,
    DATABASE_KEY: "IdentityServer.EncryptionKey",
}
"""Settings of Identity with the key in Orchestrator's file that must have the same value."""


class SharedSetting(NamedTuple):
    """Settings that all nodes must share: a pattern of their names, how they are shown, and whether `plan` copies them.

    What is not copied can have a reason to differ, or is set by UiPath's installer alone: it is compared. What is
    `complete` is also removed where the first node does not have it: a part that is left changes the meaning of others.
    """

    pattern: re.Pattern[str]
    secrecy: Secrecy
    copied: bool = False
    complete: bool = False


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CERTIFICATES: Final = r"AppSettings:SigningCredentialSettings"
SHARED: Final = (
    SharedSetting(_names(ENCRYPTION_KEY), "key", copied=True),
    SharedSetting(_names(DATABASE_KEY), "key", copied=True),
    SharedSetting(_names("EncryptionSettings:MultiTenantEncryptionKeyProvider"), "open"),
    SharedSetting(
        _names(
            rf"{_CERTIFICATES}:(?:StoreLocation|ValidationKeys)(?::\d+)?(?::StoreLocation)?:(?:Location|Name|NameType)"
        ),
        "open",
        copied=True,
        complete=True,
    ),
    SharedSetting(_names(rf"{_CERTIFICATES}:.+"), "password"),
    SharedSetting(_names("AppSettings:(?:IdentityServerAddress|OrchestratorUrl)"), "url"),
    SharedSetting(_names(r"(?:.+:)?[^:]*Client(?:Id|Secret)"), "key", copied=True),
    SharedSetting(_names(r".*Redis[^:]*ConnectionString|ConnectionStrings:[^:]*Redis[^:]*"), "redis"),
    SharedSetting(_names(r"ConnectionStrings:[^:]+"), "pairs"),
    SharedSetting(_names(r"(?:.+:)?Storage[^:]*:(?:.+:)?(?:Type|Location)"), "storage"),
)
"""The first pattern that matches a name decides."""


def shared(name: str) -> SharedSetting | None:
    """What nodes must share about a setting; None for one that can differ."""
    return next((one for one in SHARED if one.pattern.fullmatch(name)), None)


def shared_settings(service: Service) -> Iterator[tuple[ServiceSetting, SharedSetting]]:
    """The settings of a service that all nodes must share; one that is null counts as missing."""
    for setting in service.settings():
        found = shared(setting.name)
        if found is not None and setting.text is not None:
            yield setting, found


def service(config: Config, name: str) -> Service | None:
    """The service of a node with this name, or None."""
    return next((one for one in config.services if one.name == name), None)


def mirrored(config: Config, name: str) -> str | None:
    """The value in Orchestrator's own file of a setting of Identity; None without one or if it is encrypted."""
    key = {fold(one): other for one, other in MIRRORS.items()}.get(fold(name))
    found = () if key is None else keys.occurrences(config, key)
    return next((entry.value for _section, entry in found if entry.value), None)
