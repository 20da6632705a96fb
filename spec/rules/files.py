"""The findings about the nodes' own files and secrets, as data: their ids, their severity in `check`, a summary.

`nlbgen.nodes` finds them; here they are known to `accept` and to the documentation.
"""

from typing import Final, NamedTuple

from ...core.errors import Severity


class FileRule(NamedTuple):
    """One kind of finding: its id, its severity in `nlbgen check`, and a summary.

    A warning is about something that `nlbgen nodes apply` or a step of the runbook changes, and can be accepted.
    """

    id: str
    severity: Severity
    summary: str


FILE_RULES: Final = (
    FileRule("node-config", "error", "the file can be read"),
    FileRule("secret-characters", "error", "every program of the farm can hold the secrets"),
    FileRule("iis-web-config", "warning", "the spec names the file with the settings, not IIS's own file"),
    FileRule("node-version", "error", "the file is of the version that the spec names"),
    FileRule("encrypted-section", "error", "no section is encrypted with the machine's own key"),
    FileRule("service-settings", "error", "Identity, Webhooks and Resource Catalog start with their settings"),
    FileRule("service-keys", "warning", "Identity has the keys of Orchestrator's file"),
    FileRule("autogenerate-keys", "error", "ASP.NET does not generate the machineKey"),
    FileRule("machine-key", "error", "the machineKey has keys that ASP.NET accepts"),
    FileRule("connection-string", "error", "the node's library accepts its connection strings"),
    FileRule("session-custom", "error", "the sessions are kept as `session: custom` says"),
    FileRule("session-inproc", "warning", "sessions are not in the memory of one node"),
    FileRule("session-stateserver", "warning", "sessions are not in the state service of one node"),
    FileRule("session-database", "warning", "sessions are in an SQL Server that ASP.NET accepts and all nodes reach"),
    FileRule("signalr-inproc", "warning", "SignalR's messages do not stay in the memory of one node"),
    FileRule("redis-loopback", "warning", "every node reaches the same Redis"),
    FileRule("redis-abort-connect", "warning", "a node must connect when Redis is back"),
    FileRule("quartz", "warning", "the scheduler is clustered"),
    FileRule("package-storage", "warning", "packages are not on the disk of one node"),
    FileRule("database-local", "warning", "every node reaches the same SQL Server"),
    FileRule("database-differs", "warning", "the file names the database of the spec"),
    FileRule("public-url", "warning", "the settings that contain the farm's address have `frontend.host`"),
    FileRule("signing-certificate", "warning", "the node has the certificate with which Identity signs"),
    FileRule("clock-offset", "warning", "the node's clock is that of its time source"),
    FileRule("iis-websockets", "warning", "the node can open WebSockets"),
    FileRule("config-builders", "warning", "no configBuilders fill in the settings"),
    FileRule("nodes-differ", "warning", "the nodes share the settings that a farm needs"),
    FileRule("keys-differ", "warning", "the nodes have the keys of `keys.from`"),
    FileRule("spec-differs", "warning", "the nodes have the settings of the spec"),
)
SEVERITIES: Final = {rule.id: rule.severity for rule in FILE_RULES}
