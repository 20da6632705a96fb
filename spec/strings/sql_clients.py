"""The keywords of the SqlClients that Orchestrators use, with their synonyms, kinds and defaults.

Sources: `SqlConnectionString` and `DbConnectionStringCommon` in .NET's reference source (.NET Framework 4.7.2), in
dotnet/corefx (System.Data.SqlClient 4.9 for .NET Core), and in dotnet/SqlClient (Microsoft.Data.SqlClient 6.1).
tests/spec/strings holds what the last two said to real strings.
"""

from typing import Final

from .kinds import ANY, Client, Keyword, choice, client, integer, names, text

_FLAG: Final = choice("true, false, yes or no", {"true": True, "yes": True, "false": False, "no": False})
_INTEGRATED: Final = choice(
    "true, false, yes, no or SSPI", {"sspi": True, "true": True, "yes": True, "false": False, "no": False}
)
_ENCRYPT: Final = choice(
    "true, false, mandatory, optional or strict",
    {
        **dict.fromkeys(("true", "yes", "mandatory"), True),
        **dict.fromkeys(("false", "no", "optional"), False),
        "strict": "Strict",
    },
)
_INTENT: Final = names("ReadWrite or ReadOnly", ("ReadWrite", "ReadOnly"))
_BLOCKING: Final = names("Auto, AlwaysBlock or NeverBlock", ("Auto", "AlwaysBlock", "NeverBlock"))
_SWITCH: Final = names("Enabled or Disabled", ("Enabled", "Disabled"))
_TYPES: Final = names(
    "Latest or SQL Server 2000 to 2012", ("Latest", *(f"SQL Server {year}" for year in (2000, 2005, 2008, 2012)))
)
_BINDING: Final = names("Implicit Unbind or Explicit Unbind", ("Implicit Unbind", "Explicit Unbind"))
_LIBRARIES: Final = names(
    "a network library, for example dbmssocn",
    ("dbmssocn", "dbnmpntw", "dbmslpcn", "dbmsgnet", "dbmsrpcn", "dbmsspxn", "dbmsvinn", "dbmsadsn"),
)
_OFF: Final = choice("false outside of SQL Server", {"false": False, "no": False})
_OLD_METHODS: Final = ("Sql Password", "Active Directory Password", "Active Directory Integrated")
_OLD_METHODS_ALL: Final = (*_OLD_METHODS, "Active Directory Interactive")
_METHODS: Final = (
    *_OLD_METHODS_ALL,
    "Active Directory Service Principal",
    "Active Directory Device Code Flow",
    "Active Directory Managed Identity",
    "Active Directory MSI",
    "Active Directory Default",
    "Active Directory Workload Identity",
)
_AUTHENTICATION: Final = choice(
    "an authentication method of this version",
    {spelled.lower(): name.replace(" ", "") for name in _METHODS for spelled in (name, name.replace(" ", ""))},
)
_OLD_AUTHENTICATION: Final = choice(
    "an authentication method of this version", {name.lower(): name.replace(" ", "") for name in _OLD_METHODS_ALL}
)
_FAMILY: Final = names("IPv4First, IPv6First or UsePlatformDefault", ("IPv4First", "IPv6First", "UsePlatformDefault"))
_SIZE: Final = integer(512, 32768)
_NAME: Final = text(128)


_COMMON: Final = (
    Keyword("Application Name", ("app",), _NAME),
    Keyword("AttachDbFilename", ("extended properties", "initial file name"), text(260)),
    Keyword("Connect Timeout", ("connection timeout", "timeout"), integer(0), 15),
    Keyword("Current Language", ("language",), _NAME),
    Keyword("Data Source", ("server", "address", "addr", "network address"), _NAME),
    Keyword("Enlist", (), _FLAG, True),
    Keyword("Failover Partner", (), _NAME),
    Keyword("Initial Catalog", ("database",), _NAME),
    Keyword("Integrated Security", ("trusted_connection",), _INTEGRATED, False),
    Keyword("Load Balance Timeout", ("connection lifetime",), integer(0), 0),
    Keyword("Max Pool Size", (), integer(1), 100),
    Keyword("Min Pool Size", (), integer(0), 0),
    Keyword("Packet Size", (), _SIZE, 8000),
    Keyword("Password", ("pwd",), _NAME),
    Keyword("Persist Security Info", ("persistsecurityinfo",), _FLAG, False),
    Keyword("Pooling", (), _FLAG, True),
    Keyword("Replication", (), _FLAG, False),
    Keyword("Transaction Binding", (), _BINDING, "Implicit Unbind"),
    Keyword("Type System Version", (), _TYPES, "Latest"),
    Keyword("User ID", ("uid", "user"), _NAME),
    Keyword("User Instance", (), _FLAG, False),
    Keyword("Workstation ID", ("wsid",), _NAME),
)

_CLASSIC: Final = (
    Keyword("ApplicationIntent", (), _INTENT, "ReadWrite"),
    Keyword("ConnectRetryCount", (), integer(0, 255), 1),
    Keyword("ConnectRetryInterval", (), integer(1, 60), 10),
    Keyword("Encrypt", (), _FLAG, False),
    Keyword("MultipleActiveResultSets", (), _FLAG, False),
    Keyword("MultiSubnetFailover", (), _FLAG, False),
    Keyword("PoolBlockingPeriod", (), _BLOCKING, "Auto"),
    Keyword("TrustServerCertificate", (), _FLAG, False),
)
_WINDOWS_ONLY: Final = (
    Keyword("Asynchronous Processing", ("async",), _FLAG, False),
    Keyword("Connection Reset", (), _FLAG, True),
    Keyword("Context Connection", (), _OFF, False),
    Keyword("Network Library", ("net", "network"), _LIBRARIES),
)
FRAMEWORK: Final = client(
    "System.Data.SqlClient (.NET Framework)",
    (
        *_COMMON,
        *_CLASSIC,
        *_WINDOWS_ONLY,
        Keyword("Authentication", (), _OLD_AUTHENTICATION),
        Keyword("Column Encryption Setting", (), _SWITCH, "Disabled"),
        Keyword("Enclave Attestation Url", (), ANY),
        Keyword("TransparentNetworkIPResolution", (), _FLAG, True),
    ),
)
"""Of the Orchestrators before 2020.10."""
CORE: Final = client("System.Data.SqlClient (.NET Core)", (*_COMMON, *_CLASSIC))
"""The port of the older SqlClient; it refuses the keywords of Windows."""
MICROSOFT: Final = client(
    "Microsoft.Data.SqlClient",
    (
        *_COMMON,
        Keyword("Application Intent", ("applicationintent",), _INTENT, "ReadWrite"),
        Keyword("Attestation Protocol", (), names("AAS, HGS or None", ("NotSpecified", "AAS", "HGS", "None"))),
        Keyword("Authentication", (), _AUTHENTICATION),
        Keyword("Column Encryption Setting", (), _SWITCH, "Disabled"),
        Keyword("Command Timeout", (), integer(0), 30),
        Keyword("Connect Retry Count", ("connectretrycount",), integer(0, 255), 1),
        Keyword("Connect Retry Interval", ("connectretryinterval",), integer(1, 60), 10),
        Keyword("Context Connection", (), _OFF, False),
        Keyword("Enclave Attestation Url", (), ANY),
        Keyword("Encrypt", (), _ENCRYPT, True),
        Keyword("Failover Partner SPN", ("failoverpartnerspn",), ANY),
        Keyword("Host Name In Certificate", ("hostnameincertificate",), ANY),
        Keyword("IP Address Preference", ("ipaddresspreference",), _FAMILY, "IPv4First"),
        Keyword("Multi Subnet Failover", ("multisubnetfailover",), _FLAG, False),
        Keyword("Multiple Active Result Sets", ("multipleactiveresultsets",), _FLAG, False),
        Keyword("Pool Blocking Period", ("poolblockingperiod",), _BLOCKING, "Auto"),
        Keyword("Server Certificate", ("servercertificate",), ANY),
        Keyword("Server SPN", ("serverspn",), ANY),
        Keyword("Trust Server Certificate", ("trustservercertificate",), _FLAG, False),
    ),
)
CLIENTS: Final = (FRAMEWORK, CORE, MICROSOFT)
PROVIDERS: Final = {"system.data.sqlclient": CORE, "microsoft.data.sqlclient": MICROSOFT}
"""The library of a connection string's `providerName` from 2020.10 on."""


def candidates(*, core: bool, provider: str = "") -> tuple[Client, ...]:
    """The SqlClients that can read a string of an Orchestrator: one before 2020.10, or the one that it names.

    2020.10 ships System.Data.SqlClient, 2023.4 Microsoft.Data.SqlClient (the `providerName` of their files); for the
    versions between them UiPath documents none.
    """
    if not core:
        return (FRAMEWORK,)
    named = PROVIDERS.get(provider.strip().lower())
    return (CORE, MICROSOFT) if named is None else (named,)
