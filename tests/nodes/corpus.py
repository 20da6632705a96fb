"""Made-up, complete install folders of Orchestrator 2019.10 to 2025.10, and faults to seed into one node of a farm.

The structure follows UiPath's published templates and pages (names of files, sections and settings); no text is theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

MAIN: Final = "MAIN"
"""In place of the name of the file with the settings, which differs between versions."""
IDENTITY: Final = "Identity/appsettings.Production.json"
WEBHOOKS: Final = "Webhooks/appsettings.Production.json"
CATALOG: Final = "ResourceCatalog/appsettings.Production.json"
IDENTITY_WEB: Final = "Identity/web.config"
HOST: Final = "orch.corp.example"
FIRST: Final = "https://orch-1.corp.example"
REDIS: Final = "haa-1.corp.example:10000,password=R3dis-Pass-w0rd,ssl=True,abortConnect=True"
CLASSIC_REDIS: Final = "redis-1.corp.example:6379,password=R3dis-Pass-w0rd"
SQL: Final = "Server=SQL01\\PROD;Database={};User ID=uipath;Password=Sql-Pass-w0rd"

DECRYPTION, VALIDATION = "0A1B2C3D4E5F6071" * 4, "F0E1D2C3B4A59687" * 8
KEY, KEY_2021 = "U2VlZGVkLWtleS1vZi10aGUtY29ycHVzLS0tMDAwMSE=", "U2VlZGVkLWtleS1vZi10aGUtY29ycHVzLS0tMjAyMSE="
OTHER_KEY: Final = "QW5vdGhlci1rZXktb2YtdGhlLWNvcnB1cy0tMDAwMiE="
API, OTHER_API = "6d5f0a52-8a3e-4c0b-9d7a-1f2e3d4c5b6a", "00000000-1111-4222-8333-444444444444"
CLIENT, ROPC, OPENID, HOOK = "Integr4tion-cl1ent", "R0pc-cl1ent-secret", "Open1d-cl1ent-secret", "H00k-cl1ent-secret"
THUMBPRINT: Final = "0A" * 20
SECRETS: Final = (
    *(DECRYPTION, VALIDATION, KEY, KEY_2021, OTHER_KEY, API, OTHER_API, CLIENT, ROPC, OPENID, HOOK),
    *("R3dis-Pass-w0rd", "Sql-Pass-w0rd", "s33ded-secret"),
)
"""What no output may contain; each fault that seeds a secret seeds one of these."""


@dataclass(frozen=True)
class Version:
    """What one version of Orchestrator has."""

    name: str
    core: bool = True
    identity: bool = True
    key_2021: bool = True
    catalog: bool = True
    provider: str = "Microsoft.Data.SqlClient"

    @property
    def main(self) -> str:
        """The file with the settings."""
        return "UiPath.Orchestrator.dll.config" if self.core else "web.config"


VERSIONS: Final = {
    one.name: one
    for one in (
        Version("2019.10", core=False, identity=False, key_2021=False, catalog=False),
        Version("2020.4", core=False, key_2021=False, catalog=False),
        Version("2020.10", key_2021=False, catalog=False, provider="System.Data.SqlClient"),
        Version("2021.10", provider="System.Data.SqlClient"),
        Version("2022.10"),
        Version("2023.10"),
        Version("2024.10"),
        Version("2025.10"),
    )
}


def _add(settings: dict[str, str]) -> str:
    pairs = [f'<add key="{key}" value="{value}" />' for key, value in settings.items()]
    return "\n    ".join("".join(pairs[at : at + 2]) for at in range(0, len(pairs), 2))


def _settings(version: Version) -> dict[str, str]:
    settings = {
        "NuGet.Packages.ApiKey": API,
        "NuGet.Activities.ApiKey": API,
        "NuGet.Repository.Type": "Composite",
        "Storage.Type": "FileSystem",
        "Storage.Location": "RootPath=\\\\files.corp.example\\Orchestrator",
        "LoadBalancer.Enabled": "true",
        "LoadBalancer.UseRedis": "true",
        "LoadBalancer.Redis.ConnectionString": REDIS if version.core else CLASSIC_REDIS,
        "quartz.jobStore.clustered": "true",
        "quartz.jobStore.clusterCheckinInterval": "15000",
        "EncryptionKeyPerTenant.Enabled": "false",
        "AcceptedRootUrls": "http://localhost:6234",
        "Scalability.Heartbeat.PeriodSeconds": "30",
        "Template": "a &gt; b",
    }
    if version.identity:
        settings |= {
            "IdentityServer.Integration.Authority": f"https://{HOST}/identity",
            "IdentityServer.Integration.ClientId": "Orchestrator.Integration",
            "IdentityServer.Integration.ClientSecret": CLIENT,
            "Auth.Ropc.ClientSecret": ROPC,
            "ExternalAuth.System.OpenIdConnect.Authority": f"https://{HOST}/identity",
            "ExternalAuth.System.OpenIdConnect.RedirectUri": f"https://{HOST}/signinsystemopenidconnect",
            "ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri": f"https://{HOST}/",
            "ExternalAuth.System.OpenIdConnect.ClientId": "1119a927-10ab-4543-bd1a-ad6bfbbc27f4",
            "ExternalAuth.System.OpenIdConnect.ClientSecret": OPENID,
        }
    if version.key_2021:
        settings["IdentityServer.EncryptionKey"] = KEY_2021
    if version.catalog:
        settings["ResourceCatalogService.ServiceURL"] = f"https://{HOST}/resourcecatalog"
    return settings


def _main(version: Version) -> str:
    names = ("Default", "TestAutomation", "UpdateServer") if version.core else ("Default",)
    provider = version.provider if version.core else "System.Data.SqlClient"
    strings = "\n    ".join(
        f'<add name="{name}" providerName="{provider}" connectionString="{SQL.format("UiPath")}" />' for name in names
    )
    ignored = '<section name="system.web" type="System.Configuration.IgnoreSection" />' if version.core else ""
    keys = (
        f'<machineKey decryptionKey="{DECRYPTION}" validationKey="{VALIDATION}" decryption="AES" validation="SHA1" />'
    )
    session = "" if version.core else (
        f'\n    <sessionState mode="SQLServer" sqlConnectionString="{SQL.format("UiPath")}" '
        'allowCustomSqlDatabase="true" />'
    )  # fmt: skip
    server = "" if version.core else "\n  <system.webServer><handlers /></system.webServer>"
    return f"""<configuration>
  <configSections>
    <section name="nlog" type="NLog.Config.ConfigSectionHandler, NLog" /><section name="secureAppSettings"
      type="System.Configuration.AppSettingsSection, System.Configuration" />{ignored}
  </configSections>
  <!-- installed by hand; the old password was s33ded-secret -->
  <connectionStrings>
    {strings}
  </connectionStrings>
  <appSettings>
    {_add(_settings(version))}
  </appSettings>
  <secureAppSettings>
    <add key="EncryptionKey" value="{KEY}" />
  </secureAppSettings>
  <nlog xmlns="http://www.nlog-project.org/schemas/NLog.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <targets><target xsi:type="File" name="file" fileName="${{basedir}}/logs" /></targets>
  </nlog>{server}
  <system.web>
    {keys}{session}
  </system.web>
</configuration>
""".replace("\n", "\r\n")


def _identity(version: Version) -> str:
    year = f',\n    "DatabaseProtectionSettings": {{ "EncryptionKey2021": "{KEY_2021}" }}' if version.key_2021 else ""
    redis = f',\n  "LoadBalancerSettings": {{ "RedisConnectionString": "{REDIS}", "SlidingExpiration": 86400 }}'
    string = SQL.format("UiPath").replace("\\", "\\\\")
    return f"""{{
  "ConnectionStrings": {{
    "DefaultConnection": "{string}" // the same database
  }},
  "EncryptionSettings": {{ "EncryptionKey": "{KEY}", "MultiTenantEncryptionKeyProvider": "" }},
  "AppSettings": {{
    "IdentityServerAddress": "https://{HOST}/identity",
    "OrchestratorUrl": "https://{HOST}",
    "CookieExpireMinutes": 30,
    "SigningCredentialSettings": {{
      "StoreLocation": {{ "Location": "LocalMachine", "Name": "{THUMBPRINT}", "NameType": "Thumbprint" }}
    }}{year}
  }}{redis if version.core else ""},
}}
"""


def _webhooks() -> str:
    string = SQL.format("UiPath").replace("\\", "\\\\")
    return (
        f'\ufeff{{"ConnectionStrings:Default": "{string}",\n'
        f' "Auth": {{"ClientId": "Webhooks.Service", "ClientSecret": "{HOOK}"}}, "Urls": ["a", "b"]}}'
    )


def _catalog() -> str:
    string = SQL.format("UiPath").replace("\\", "\\\\")
    strings = f'"ConnectionStrings": {{ "ResourceCatalog": "{string}" }}'
    return f'{{\r\n\t{strings},\r\n\t"Logging": {{ "Level": "Warning" }}\r\n}}'


def _iis(program: str, variables: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n'
        '<configuration><location path="." inheritInChildApplications="false">'
        f'<system.webServer><aspNetCore processPath="{program}"><environmentVariables>\r\n  {variables}\r\n'
        "</environmentVariables></aspNetCore></system.webServer></location></configuration>"
    )


def healthy(version: Version) -> dict[str, str]:
    """The files of a node without a fault."""
    files = {version.main: _main(version)}
    if version.core:
        files["web.config"] = _iis("UiPath.Orchestrator.exe")
    if version.identity:
        files[IDENTITY] = _identity(version)
        files["Identity/appsettings.json"] = '{"AppSettings": {"OrchestratorUrl": "https://localhost", "Cache": 5}}'
        files[IDENTITY_WEB] = _iis(
            "Identity.exe", '<environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Production" />'
        )
        files[WEBHOOKS] = _webhooks()
    if version.catalog:
        files[CATALOG] = _catalog()
    return files


def spec(version: Version, count: int, suffix: str = "") -> str:
    """The farm of these nodes; `suffix` ends each node's config."""
    nodes = "\n".join(
        f"  - {{name: orch-{number}, address: 10.0.0.1{number}, config: orch-{number}{suffix}"
        f"{', primary: true' if number == 1 else ''}}}"
        for number in range(1, count + 1)
    )
    redis = (
        "{host: haa-1.corp.example, port: 10000, tls: true, password: {env: NLBGEN_CORPUS_REDIS}}"
        if version.core
        else "{host: redis-1.corp.example, port: 6379, password: {env: NLBGEN_CORPUS_REDIS}}"
    )
    session = "" if version.core else "  session: sqlserver\n"
    return f"""version: 1
farm: corpus
orchestrator: {{version: "{version.name}"}}
frontend: {{host: {HOST}, tls: {{mode: passthrough}}}}
nodes:
{nodes}
stores:
{session}  signalr: redis
  redis: {redis}
  database:
    server: SQL01\\PROD
    name: UiPath
    auth: {{user: uipath, password: {{env: NLBGEN_CORPUS_SQL}}}}
"""


Change = Callable[[dict[str, str], Version], None]


class Fault(NamedTuple):
    """One fault: its name, the versions that can have it, the change, and what an audit must report.

    That is the title of each setting that differs (`Identity *` for all of a service) and the `[id]` of each problem.
    """

    name: str
    versions: tuple[str, ...]
    change: Change
    found: frozenset[str]


def _file(files: dict[str, str], version: Version, name: str) -> str:
    return version.main if name == MAIN else name


def swap(name: str, old: str, new: str) -> Change:
    """Replace a text, which the file contains, by another one."""

    def change(files: dict[str, str], version: Version) -> None:
        path = _file(files, version, name)
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new, 1)

    return change


def setting(key: str, new: str) -> Change:
    """Give a setting of Orchestrator's file another value."""

    def change(files: dict[str, str], version: Version) -> None:
        begin = f'<add key="{key}" value="'
        text = files[version.main]
        start = text.index(begin) + len(begin)
        files[version.main] = text[:start] + new + text[text.index('"', start) :]

    return change


def variable(name: str, value: str) -> Change:
    """Set an environment variable of Identity."""
    mark = "<environmentVariables>"
    return swap(IDENTITY_WEB, mark, f'{mark}<environmentVariable name="{name}" value="{value}"/>')


CLASSIC, CORE = ("2019.10", "2020.4"), ("2020.10", "2021.10", "2022.10", "2023.10", "2024.10", "2025.10")
ALL = CLASSIC + CORE
SERVED = ALL[1:]
SINCE_2021 = CORE[1:]
_STRING = SQL.format("UiPath")
_JSON_STRING = _STRING.replace("\\", "\\\\")


def fault(name: str, versions: tuple[str, ...], change: Change, *found: str) -> Fault:
    """A fault with what an audit must report."""
    return Fault(name, versions, change, frozenset(found))


_URLS: Final = "ExternalAuth.System.OpenIdConnect"
_SIGNING: Final = "Identity AppSettings:SigningCredentialSettings"

FAULTS: Final = (
    # The keys in Orchestrator's own file
    fault("decryptionKey", ALL, swap(MAIN, DECRYPTION, "1" * 64), "machineKey decryptionKey"),
    fault("validationKey", ALL, swap(MAIN, VALIDATION, "2" * 128), "machineKey validationKey"),
    fault("validation", ALL, swap(MAIN, 'validation="SHA1"', 'validation="HMACSHA256"'), "machineKey validation"),
    fault("decryption", ALL, swap(MAIN, 'decryption="AES"', 'decryption="3DES"'), "machineKey decryption"),
    fault(
        "compatibility mode",
        ALL,
        swap(MAIN, 'decryption="AES"', 'decryption="AES" compatibilityMode="Framework45"'),
        "machineKey compatibilityMode",
    ),
    fault(
        "generated key",
        ALL,
        swap(MAIN, VALIDATION, "AutoGenerate,IsolateApps"),
        "machineKey validationKey",
        "[autogenerate-keys]",
    ),
    fault(
        "placeholder for a key", ALL, swap(MAIN, DECRYPTION, "[your key]"), "machineKey decryptionKey", "[machine-key]"
    ),
    fault("odd digits", ALL, swap(MAIN, VALIDATION, VALIDATION[1:]), "machineKey validationKey", "[machine-key]"),
    fault(
        "short key", ALL, swap(MAIN, DECRYPTION, "0123456789ABCDEF" + "01"), "machineKey decryptionKey", "[machine-key]"
    ),
    fault("EncryptionKey", ("2019.10",), swap(MAIN, KEY, OTHER_KEY), "EncryptionKey"),
    fault("EncryptionKey not in Identity", SERVED, swap(MAIN, KEY, OTHER_KEY), "EncryptionKey", "[service-keys]"),
    fault(
        "EncryptionKey in two sections",
        ("2019.10",),
        swap(MAIN, "<appSettings>", f'<appSettings><add key="EncryptionKey" value="{OTHER_KEY}"/>'),
        "EncryptionKey",
    ),
    fault("no EncryptionKey", ALL, swap(MAIN, f'<add key="EncryptionKey" value="{KEY}" />', ""), "EncryptionKey"),
    fault("NuGet packages key", ALL, setting("NuGet.Packages.ApiKey", OTHER_API), "NuGet.Packages.ApiKey"),
    fault("NuGet activities key", ALL, setting("NuGet.Activities.ApiKey", OTHER_API), "NuGet.Activities.ApiKey"),
    fault("keys per tenant", ALL, setting("EncryptionKeyPerTenant.Enabled", "true"), "EncryptionKeyPerTenant.Enabled"),
    fault(
        "key of Identity",
        SINCE_2021,
        setting("IdentityServer.EncryptionKey", OTHER_KEY),
        "IdentityServer.EncryptionKey",
        "[service-keys]",
    ),
    fault(
        "client secret",
        SERVED,
        setting("IdentityServer.Integration.ClientSecret", "s33ded-secret"),
        "IdentityServer.Integration.ClientSecret",
    ),
    fault(
        "client id",
        SERVED,
        setting("IdentityServer.Integration.ClientId", "Another"),
        "IdentityServer.Integration.ClientId",
    ),
    fault("ROPC secret", SERVED, setting("Auth.Ropc.ClientSecret", "s33ded-secret"), "Auth.Ropc.ClientSecret"),
    fault("OpenID secret", SERVED, setting(f"{_URLS}.ClientSecret", "s33ded-secret"), f"{_URLS}.ClientSecret"),
    fault("OpenID client", SERVED, setting(f"{_URLS}.ClientId", OTHER_API), f"{_URLS}.ClientId"),
    # SignalR and Redis
    fault(
        "no Redis",
        ALL,
        setting("LoadBalancer.UseRedis", "false"),
        "LoadBalancer.UseRedis",
        "[signalr-inproc]",
        "[spec-differs]",
    ),
    fault("not enabled", CORE, setting("LoadBalancer.Enabled", "false"), "LoadBalancer.Enabled"),
    fault(
        "not enabled as the spec says",
        CLASSIC,
        setting("LoadBalancer.Enabled", "false"),
        "LoadBalancer.Enabled",
        "[spec-differs]",
    ),
    fault(
        "other Redis",
        ALL,
        swap(MAIN, ".corp.example:", ".other.example:"),
        "LoadBalancer.Redis.ConnectionString",
        "[spec-differs]",
    ),
    fault(
        "local Redis",
        CORE,
        swap(MAIN, "haa-1.corp.example:10000", "localhost:10000"),
        "LoadBalancer.Redis.ConnectionString",
        "[redis-loopback]",
        "[spec-differs]",
    ),
    fault(
        "password of Redis",
        ALL,
        swap(MAIN, "R3dis-Pass-w0rd", "s33ded-secret"),
        "LoadBalancer.Redis.ConnectionString",
        "[spec-differs]",
    ),
    fault(
        "unknown option of Redis",
        ALL,
        swap(MAIN, ",password=R3", ",pasword=R3"),
        "LoadBalancer.Redis.ConnectionString",
        "[connection-string]",
    ),
    fault(
        "no abort of connections",
        CORE,
        swap(MAIN, "abortConnect=True", "abortConnect=False"),
        "LoadBalancer.Redis.ConnectionString",
        "[redis-abort-connect]",
    ),
    fault(
        "Redis without TLS",
        CORE,
        swap(MAIN, "ssl=True", "ssl=False"),
        "LoadBalancer.Redis.ConnectionString",
        "[spec-differs]",
    ),
    fault(
        "settings of two kinds",
        ALL,
        setting("Template", 'x"/><add key="LoadBalancer.Redis.Server" value="r'),
        "LoadBalancer.Redis.Server",
        "SignalR settings",
        "[node-config]",
    ),
    fault(
        "duplicate setting",
        ALL,
        setting("Template", 'x"/><add key="loadbalancer.useredis" value="false'),
        "LoadBalancer.UseRedis",
        "[signalr-inproc]",
        "[spec-differs]",
    ),
    fault(
        "removed setting",
        ALL,
        setting("Template", 'x"/><remove key="LoadBalancer.UseRedis"/><add key="y" value="z'),
        "LoadBalancer.UseRedis",
        "[signalr-inproc]",
        "[spec-differs]",
    ),
    # The scheduler, the packages, the database
    fault(
        "scheduler",
        ALL,
        setting("quartz.jobStore.clustered", "false"),
        "quartz.jobStore.clustered",
        "[quartz]",
        "[spec-differs]",
    ),
    fault(
        "packages on a disk",
        ALL,
        setting("Storage.Location", "RootPath=C:\\Orchestrator\\Storage"),
        "Storage.Location",
        "[package-storage]",
        "[spec-differs]",
    ),
    fault(
        "other share",
        ALL,
        setting("Storage.Location", "RootPath=\\\\files-2\\Orchestrator"),
        "Storage.Location",
        "[spec-differs]",
    ),
    fault("other storage", ALL, setting("Storage.Type", "Azure"), "Storage.Type", "[spec-differs]"),
    fault(
        "other repository", ALL, setting("NuGet.Repository.Type", "Legacy"), "NuGet.Repository.Type", "[spec-differs]"
    ),
    fault("other server", ALL, swap(MAIN, "Server=SQL01", "Server=SQL02"), "connection Default", "[database-differs]"),
    fault(
        "other database",
        ALL,
        swap(MAIN, "Database=UiPath", "Database=Test"),
        "connection Default",
        "[database-differs]",
    ),
    fault(
        "local server",
        ALL,
        swap(MAIN, "Server=SQL01\\PROD", "Server=."),
        "connection Default",
        "[database-differs]",
        "[database-local]",
    ),
    fault("other login", ALL, swap(MAIN, "User ID=uipath", "User ID=sa"), "connection Default"),
    fault(
        "password of SQL Server",
        ALL,
        swap(MAIN, "Password=Sql-Pass-w0rd", "Password=s33ded-secret"),
        "connection Default",
    ),
    fault("unencrypted", CORE[2:], swap(MAIN, "Password=Sql", "Encrypt=false;Password=Sql"), "connection Default"),
    fault(
        "unknown keyword",
        ALL,
        swap(MAIN, "Database=UiPath", "Databse=UiPath"),
        "connection Default",
        "[connection-string]",
    ),
    # Sessions of the classic versions
    fault(
        "sessions in memory",
        CLASSIC,
        swap(MAIN, 'mode="SQLServer"', 'mode="InProc"'),
        "sessionState mode",
        "[session-inproc]",
        "[spec-differs]",
    ),
    fault(
        "state service of the node",
        CLASSIC,
        swap(MAIN, 'mode="SQLServer"', 'mode="StateServer"'),
        "sessionState mode",
        "[session-stateserver]",
        "[spec-differs]",
    ),
    fault(
        "database not allowed",
        CLASSIC,
        swap(MAIN, ' allowCustomSqlDatabase="true"', ""),
        "sessionState allowCustomSqlDatabase",
        "[session-database]",
        "[spec-differs]",
    ),
    fault(
        "other cookie",
        CLASSIC,
        swap(MAIN, 'mode="SQLServer"', 'mode="SQLServer" cookieName="x"'),
        "sessionState cookieName",
    ),
    fault(
        "no sessionState",
        CLASSIC,
        swap(MAIN, "<sessionState", "<other"),
        "sessionState *",
        "[session-inproc]",
        "[spec-differs]",
    ),
    # Files
    fault("not XML", ALL, swap(MAIN, "</appSettings>", ""), "[node-config]"),
    fault("unclosed comment", ALL, swap(MAIN, "<machineKey", "<!-- <machineKey"), "[node-config]"),
    fault("DOCTYPE", ALL, swap(MAIN, "<configuration>", "<!DOCTYPE x><configuration>"), "[node-config]"),
    fault("duplicate section", ALL, swap(MAIN, "<appSettings>", "<appSettings/><appSettings>"), "[node-config]"),
    fault("wrong case", ALL, swap(MAIN, "<machineKey", "<machinekey"), "[node-config]"),
    fault("builders", ALL, swap(MAIN, "<appSettings>", '<appSettings configBuilders="Env">'), "[config-builders]"),
    fault(
        "encrypted section",
        ALL,
        swap(MAIN, "<secureAppSettings>", '<secureAppSettings configProtectionProvider="Rsa">'),
        "EncryptionKey",
        "[encrypted-section]",
    ),
    # The public address
    fault(
        "authority",
        SERVED,
        setting("IdentityServer.Integration.Authority", f"{FIRST}/identity"),
        "IdentityServer.Integration.Authority",
        "[public-url]",
    ),
    fault(
        "OpenID authority",
        SERVED,
        setting(f"{_URLS}.Authority", f"{FIRST}/identity"),
        f"{_URLS}.Authority",
        "[public-url]",
    ),
    fault(
        "redirection",
        SERVED,
        setting(f"{_URLS}.RedirectUri", f"{FIRST}/signinsystemopenidconnect"),
        f"{_URLS}.RedirectUri",
        "[public-url]",
    ),
    fault(
        "after sign-out",
        SERVED,
        setting(f"{_URLS}.PostLogoutRedirectUri", "http://orch.corp.example/"),
        f"{_URLS}.PostLogoutRedirectUri",
        "[public-url]",
    ),
    fault(
        "resource catalog",
        SINCE_2021,
        setting("ResourceCatalogService.ServiceURL", f"{FIRST}/resourcecatalog"),
        "ResourceCatalogService.ServiceURL",
        "[public-url]",
    ),
    fault(
        "address of Identity",
        SERVED,
        swap(IDENTITY, f"https://{HOST}/identity", f"{FIRST}/identity"),
        "Identity AppSettings:IdentityServerAddress",
        "[public-url]",
    ),
    fault(
        "address of Orchestrator",
        SERVED,
        swap(IDENTITY, f'"https://{HOST}"', f'"{FIRST}"'),
        "Identity AppSettings:OrchestratorUrl",
        "[public-url]",
    ),
    # The services
    fault(
        "key in Identity",
        SERVED,
        swap(IDENTITY, KEY, OTHER_KEY),
        "Identity EncryptionSettings:EncryptionKey",
        "[service-keys]",
    ),
    fault(
        "EncryptionKey2021",
        SINCE_2021,
        swap(IDENTITY, KEY_2021, OTHER_KEY),
        "Identity AppSettings:DatabaseProtectionSettings:EncryptionKey2021",
        "[service-keys]",
    ),
    fault(
        "key provider",
        SERVED,
        swap(IDENTITY, 'Provider": ""', 'Provider": "AzureKeyVault"'),
        "Identity EncryptionSettings:MultiTenantEncryptionKeyProvider",
    ),
    fault(
        "database of Identity", SERVED, swap(IDENTITY, "SQL01", "SQL02"), "Identity ConnectionStrings:DefaultConnection"
    ),
    fault(
        "local database of Identity",
        SERVED,
        swap(IDENTITY, "SQL01\\\\PROD", "localhost"),
        "Identity ConnectionStrings:DefaultConnection",
        "[database-local]",
    ),
    fault(
        "string of Identity",
        SERVED,
        swap(IDENTITY, "Database=", "Databse="),
        "Identity ConnectionStrings:DefaultConnection",
        "[connection-string]",
    ),
    fault(
        "Redis of Identity",
        CORE,
        swap(IDENTITY, "haa-1", "haa-2"),
        "Identity LoadBalancerSettings:RedisConnectionString",
    ),
    fault("signing certificate", SERVED, swap(IDENTITY, THUMBPRINT, "0B" * 20), f"{_SIGNING}:StoreLocation:Name"),
    fault(
        "store of the certificate",
        SERVED,
        swap(IDENTITY, '"LocalMachine"', '"CurrentUser"'),
        f"{_SIGNING}:StoreLocation:Location",
    ),
    fault(
        "old validation key",
        SERVED,
        swap(IDENTITY, '"StoreLocation"', '"ValidationKeys": [{"Name": "0C"}], "StoreLocation"'),
        f"{_SIGNING}:ValidationKeys:0:Name",
    ),
    fault(
        "duplicate name",
        SERVED,
        swap(IDENTITY, '"AppSettings"', '"encryptionsettings:encryptionkey": "x", "AppSettings"'),
        "[service-settings]",
    ),
    fault("not JSON", SERVED, swap(IDENTITY, '"AppSettings": {', '"AppSettings" {'), "[service-settings]"),
    fault(
        "encrypted file",
        SERVED,
        swap(IDENTITY, '"AppSettings"', '"ConfigEncryptionSettings": {"Version": "1"}, "AppSettings"'),
        "Identity *",
        "[encrypted-section]",
    ),
    fault("no Identity", SERVED, lambda files, _version: files.__delitem__(IDENTITY), "Identity *"),
    fault(
        "variable over a key",
        SERVED,
        variable("EncryptionSettings__EncryptionKey", OTHER_KEY),
        "Identity EncryptionSettings:EncryptionKey",
        "[service-keys]",
    ),
    fault(
        "variable over a string",
        SERVED,
        variable("SQLCONNSTR_DefaultConnection", "Server=SQL09;Database=x"),
        "Identity ConnectionStrings:DefaultConnection",
    ),
    fault(
        "other environment", SERVED, swap(IDENTITY_WEB, 'value="Production"', 'value="Staging"'), "[service-settings]"
    ),
    fault("web.config of Identity", SERVED, swap(IDENTITY_WEB, "</location>", ""), "[service-settings]"),
    fault("client of Webhooks", SERVED, swap(WEBHOOKS, HOOK, "s33ded-secret"), "Webhooks Auth:ClientSecret"),
    fault(
        "database of Webhooks",
        SERVED,
        swap(WEBHOOKS, "Database=UiPath", "Database=Test"),
        "Webhooks ConnectionStrings:Default",
    ),
    fault("no Webhooks", SERVED, lambda files, _version: files.__delitem__(WEBHOOKS), "Webhooks *"),
    fault(
        "database of the catalog",
        SINCE_2021,
        swap(CATALOG, "SQL01", "SQL02"),
        "ResourceCatalog ConnectionStrings:ResourceCatalog",
    ),
)
