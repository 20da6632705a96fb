"""What differs between Orchestrator versions, as data.

Sources: UiPath/orchestrator-powershell, the Swagger file of each version (2018.1 to 2020.10); UiPath's documentation
of the health check endpoints (2020.10, 2021.10 and later); the load balancer templates in UiPath/Infrastructure.
"""

from typing import Final

from .units import Version

HEALTH_PATHS: Final = (
    (Version("2021.10"), "/api/health"),
    (Version("2020.10"), "/api/status"),
    (Version("2018.3"), "/api/Status/Get"),
    (Version("2018.1"), "/api/Status"),
)
"""From this version on, the path that answers 200 without a login while the node should be serving."""

IDENTITY_HEALTH_PATH: Final = "/identity/.well-known/openid-configuration"
"""The document by which clients of Identity find its endpoints (OpenID Connect Discovery 1.0); every version has it.
UiPath names it as Identity's health endpoint (2020.10, 2022.10), and `/identity/health` only for 2021.10."""

UNKNOWN_VERSION_HEALTH_PATH: Final = "/api/status"
"""The health path in UiPath's own load balancer templates; it works from 2018.1 on (IIS ignores case)."""

CORE_SINCE: Final = Version("2020.10")
"""From here on Orchestrator is ASP.NET Core: another config file, no SessionState, SignalR Core."""

NEWEST: Final = Version("2026.10")
"""The newest version that nlbgen knows; it came out on 2026-11-12."""

OLDEST_YEAR: Final = 2015

LONG_POLL_SECONDS: Final = 110
"""How long SignalR 2 holds a long poll (`ConnectionTimeout` in SignalR's DefaultConfigurationManager.cs)."""


def normalized(version: Version) -> Version:
    """The version with the century: product files write 19.10.19 for 2019.10.19."""
    if version.parts and 15 <= version.parts[0] <= 99:
        return Version(f"20{version.text}")
    return version


def health_path(version: Version | None) -> str | None:
    """The path of the health endpoint; None for versions before the first known endpoint."""
    if version is None:
        return UNKNOWN_VERSION_HEALTH_PATH
    return next((path for since, path in HEALTH_PATHS if normalized(version) >= since), None)


def health_paths(version: Version | None) -> tuple[str, ...]:
    """The paths of the health endpoints of a node's services; empty for versions before the first known endpoint."""
    own = health_path(version)
    return tuple(path for path in (own, IDENTITY_HEALTH_PATH if is_core(version) else None) if path is not None)


def takes_details_key(path: str) -> bool:
    """Whether Orchestrator's endpoint at a path shows details to a request with the value of HealthCheck.DetailsKey."""
    plain = path.partition("?")[0].lower().rstrip("/")
    return plain == "/api/health" or plain.startswith("/api/health/")


def protection_tool(version: Version | None) -> str:
    """UiPath's program that encrypts and decrypts sections from 2020.10 on; an unknown version is a later one.

    Source: UiPath's "Encrypting UiPath.Orchestrator.dll.config Sections" of 2020.10 and of later versions.
    """
    if version is not None and normalized(version).parts[:2] == CORE_SINCE.parts[:2]:
        return "UiPath.Orchestrator.Setup.ProtectedConfiguration.Console.exe"
    return "UiPath.Orchestrator.Cli.exe protected-configuration"


def is_core(version: Version | None) -> bool:
    """Whether this version runs on ASP.NET Core; an unknown one counts as classic, as in the guide."""
    return version is not None and normalized(version) >= CORE_SINCE


def exists(version: Version) -> bool:
    """Whether a version can be one of Orchestrator's: a year and a month, and a number of the patch."""
    parts = normalized(version).parts
    return len(parts) > 1 and OLDEST_YEAR <= parts[0] <= 9999 and 1 <= parts[1] <= 12


def is_newer(version: Version) -> bool:
    """Whether it is newer than the newest version that nlbgen knows."""
    return normalized(version).parts[:2] > NEWEST.parts[:2]


def uses_newest_redis_client(version: Version | None) -> bool:
    """Whether it may use the newest line of StackExchange.Redis."""
    return version is not None and normalized(version) >= NEWEST
