"""The findings of a probe: the catalogue of ids, one finding, and the report of a run as text and as data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from ..core.wording import legible

Level = Literal["finding", "unchecked", "note"]
"""A difference from the spec; a check that was not possible; information that is no difference."""


class Kind(NamedTuple):
    """The meaning of an id."""

    means: str
    advice: str
    level: Level = "finding"


KINDS: Final[Mapping[str, Kind]] = {
    "unreachable": Kind(
        "no TCP connection",
        "check that the machine and its service run, and that firewalls allow connections from this computer",
    ),
    "name-unknown": Kind("a host name does not resolve", "add the name to DNS, or correct it in the spec"),
    "name-elsewhere": Kind(
        "the farm's name resolves to other addresses than the spec's",
        "this is normal before you point DNS at the balancer, and with address translation; otherwise correct the DNS "
        "record",
        "note",
    ),
    "timed-out": Kind("the time limit of the run expired before this check finished", "raise --timeout"),
    "tls-handshake": Kind(
        "no TLS connection of version 1.2 or later",
        "check that this port serves TLS, and that TLS 1.2 and its ECDHE ciphers are enabled",
    ),
    "tls-old": Kind(
        "the server accepts a TLS version that the profile excludes",
        "disable that version: load the rendered configuration on the balancer, or set Schannel's registry keys on the "
        "node",
    ),
    "tls-new": Kind(
        "TLS 1.3 is not offered",
        "TLS 1.2 is safe with the profile's ciphers; a newer version of the program or of TMOS offers TLS 1.3",
        "note",
    ),
    "certificate-chain": Kind(
        "the certificate does not chain to the trusted CA",
        "install the certificate together with its intermediate certificates; if the server sends them already, give "
        "the CA that issued the certificate (--ca-file, or --nodes-ca for a node)",
    ),
    "certificate-name": Kind(
        "the certificate does not contain a name of the farm",
        "get a certificate whose subject alternative names include the farm's names",
    ),
    "certificate-expired": Kind(
        "the certificate is not valid today",
        "check the clock of this computer; if it is right, install a valid certificate",
    ),
    "certificate-expires": Kind("the certificate expires soon", "renew the certificate before it expires"),
    "chain-unchecked": Kind(
        "the chain of the certificate to the nodes' CA was not checked",
        "give the CA with --nodes-ca, or run the probe on the balancer",
        "unchecked",
    ),
    "health": Kind(
        "the response of the health endpoint differs from the spec",
        "check the node's event log and the state of its application pool",
    ),
    "health-slow": Kind(
        "the health endpoint takes longer than health.timeout",
        "find the cause, or raise health.timeout: a balancer that measures the same time marks the node down",
        "note",
    ),
    "health-degraded": Kind(
        "the node reports that it is degraded",
        "check the node's event log; the balancer still sends requests to the node",
        "note",
    ),
    "node-answers": Kind(
        "a node that is down in the spec is healthy", "if the node should serve, change its state in the spec", "note"
    ),
    "redirect": Kind(
        "port 80 does not redirect to the farm's https address, or redirects although the spec disables it",
        "load the rendered configuration on the balancer, and check whether another site uses port 80",
    ),
    "hsts": Kind("Strict-Transport-Security differs from the spec", "load the rendered configuration"),
    "affinity-cookie": Kind(
        "the affinity cookie is missing, or is set although the spec has no affinity by cookie",
        "load the rendered configuration",
    ),
    "cookie-attributes": Kind("the affinity cookie lacks a security attribute", "load the rendered configuration"),
    "cookie-samesite": Kind(
        "the affinity cookie has no SameSite attribute",
        "browsers use their own default, usually Lax; some devices cannot set SameSite",
        "note",
    ),
    "signalr-negotiate": Kind(
        "SignalR's negotiation fails", "check the node's event log, and the balancer's rules for the SignalR paths"
    ),
    "signalr-connect": Kind(
        "a SignalR connection does not start",
        "check the node's event log; check that no proxy buffers or filters the responses",
    ),
    "signalr-affinity": Kind(
        "a SignalR connection reaches another node than its negotiation",
        "ASP.NET Core SignalR needs balancer.affinity signalr, cookie or source",
    ),
    "signalr-token": Kind(
        "a node does not accept another node's SignalR connection token",
        "the machineKey differs: compare the nodes with `nlbgen nodes audit`",
    ),
    "websocket": Kind(
        "no WebSocket connection",
        "install the IIS feature WebSocket Protocol on the node; check that no proxy removes the Upgrade header",
    ),
    "signalr-hub": Kind(
        "there is no hub on the spec's SignalR paths, so SignalR and WebSockets are not checked",
        "give the hub's path with --hub",
        "unchecked",
    ),
    "signalr-login": Kind(
        "SignalR requires a login, so the probe does not check SignalR further",
        "no action is needed if robots connect",
        "unchecked",
    ),
    "clock-nodes": Kind(
        "the clocks of two nodes differ by more than a second",
        "synchronize the nodes' clocks: Quartz's cluster requires them within a second",
    ),
    "clock-here": Kind(
        "a clock of the farm differs from this computer's", "check both against the same time server", "note"
    ),
    "versions": Kind(
        "the nodes' responses have different versions in their headers",
        "bring all nodes to one version of Orchestrator and of Windows: mixed versions on one database are unsupported",
    ),
    "version-unknown": Kind(
        "Orchestrator's own version is not known: no documented endpoint returns it without a login",
        "compare the versions in Apps & Features, or each node's UiPath.Orchestrator.dll",
        "unchecked",
    ),
    "redis-password": Kind("Redis rejects the configured password", "compare the secret with Redis's requirepass"),
    "redis-open": Kind(
        "Redis requires no password, but the spec has one", "set requirepass in redis.conf and restart Redis"
    ),
    "redis-replica": Kind(
        "Redis is a replica, which accepts no writes", "set stores.redis.host to the master, or promote this server"
    ),
    "redis-masters": Kind(
        "servers and Sentinels do not agree about the master",
        "wait some seconds if a failover is running; otherwise compare the hosts' redis.conf and sentinel.conf",
    ),
    "redis-failover": Kind(
        "the master of Redis has no replica: if the master fails now, no server replaces it",
        "start Redis on the other hosts, and check the log of Redis there",
    ),
    "redis-host": Kind(
        "if the host of the master fails now, too few Sentinels remain for a failover",
        "start Sentinel on the other hosts, and check the log of Sentinel there",
    ),
    "redis-writes": Kind(
        "if the master of Redis fails now, the new master refuses messages: it has no replica (min-replicas-to-write)",
        "start Redis on the other host, and check the log of Redis there",
    ),
    "redis-lag": Kind(
        "a replica of Redis is behind: if the master fails now, the messages that the replica lacks are lost",
        "check the replica's host and its network, and Redis's log there",
    ),
    "redis-version": Kind(
        "Redis is older than the version in the spec, and nlbgen rendered the files for the version in the spec",
        "update Redis, or write the version of Redis as `sentinel.version` and compare the rendered files",
    ),
    "redis-link": Kind(
        "a replica of Redis is not connected to the master",
        "check Redis's log on the replica's host, and the setting `masterauth` there",
    ),
    "redis-quorum": Kind(
        "this Sentinel reaches too few Sentinels for a failover",
        "start Sentinel on the other hosts, and check the log of Sentinel there",
    ),
    "redis-listeners": Kind(
        "fewer nodes listen for SignalR's messages than the farm has",
        "recycle the application pool of each node that does not listen, one node at a time, and run the probe again",
    ),
    "redis-answer": Kind("the response is not a valid response of Redis", "check Redis's log"),
    "redis-unchecked": Kind(
        "Redis accepts connections; the probe did not check Redis further",
        "make the secret available on this computer and run the probe again",
        "unchecked",
    ),
    "sql-port-unknown": Kind(
        "SQL Server's port is not known",
        "write the port, as in `SQL01,1433`, or allow UDP port 1434 from this computer",
        "unchecked",
    ),
}
"""All ids, with their meaning, advice and usual level."""


class Finding(NamedTuple):
    """One finding: the object and its machine, what was expected, what was found, what to do."""

    id: str
    level: Level
    device: str
    object: str
    expected: str
    found: str
    advice: str


class MachineSummary(NamedTuple):
    """One machine in the report. `facts` are short texts by topic."""

    device: str
    address: str
    state: str
    """A node's state in the spec; empty for anything else."""
    reached: bool
    facts: Mapping[str, str]


class Report(NamedTuple):
    """The result of a run; machines and findings in the order of the spec."""

    farm: str
    through: str
    devices: Sequence[MachineSummary]
    findings: Sequence[Finding]

    def count(self, level: Level) -> int:
        """How many findings have this level."""
        return sum(finding.level == level for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no difference from the spec."""
        return not self.count("finding")

    @property
    def reached(self) -> bool:
        """Whether any machine was reached that is not down in the spec."""
        wanted = [device for device in self.devices if device.state != "down"]
        return any(device.reached for device in wanted) or not wanted

    def ignoring(self, ids: Iterable[str]) -> "Report":
        """Return the report with the findings of these ids as notes."""
        ignored = frozenset(ids)
        findings = [f._replace(level="note") if f.id in ignored else f for f in self.findings]
        return self._replace(findings=findings)

    def data(self) -> dict[str, object]:
        """Return the report as JSON data; docs/commands/probe.md documents it."""
        return {
            "farm": self.farm,
            "through": self.through,
            "ok": self.ok,
            "summary": {
                "findings": self.count("finding"),
                "unchecked": self.count("unchecked"),
                "notes": self.count("note"),
            },
            "devices": [{**device._asdict(), "facts": dict(device.facts)} for device in self.devices],
            "findings": [finding._asdict() for finding in self.findings],
        }

    def text(self) -> str:
        """Return the report as text: a line for each machine, then the findings."""
        lines = [*_table(self.devices)]
        for finding in sorted(self.findings, key=lambda finding: _ORDER[finding.level]):
            lines += ["", f"{finding.level}: {finding.device}: {KINDS[finding.id].means} [{finding.id}]"]
            lines += [f"    object    {finding.object}"]
            lines += [f"    expected  {finding.expected}"] * bool(finding.expected)
            lines += [f"    found     {finding.found}", f"    to do     {finding.advice}"]
        return "".join(legible(line) + "\n" for line in lines)

    def summary(self) -> str:
        """Return the result in one line."""
        parts = [
            _counted(self.count("finding"), "finding", "findings"),
            *[_counted(self.count("note"), "note", "notes")] * bool(self.count("note")),
            *[f"{self.count('unchecked')} not checked"] * bool(self.count("unchecked")),
        ]
        verdict = "as in the spec" if self.ok else "differs from the spec"
        return f"{self.farm}: {verdict}: {', '.join(parts)}"


_ORDER: Final[Mapping[Level, int]] = {"finding": 0, "unchecked": 1, "note": 2}


def _counted(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number == 1 else many}"


def _table(devices: Sequence[MachineSummary]) -> list[str]:
    rows = [
        (
            device.device,
            device.address,
            device.state or "-",
            ", ".join(device.facts.values()) or ("reached" if device.reached else "not reached"),
        )
        for device in devices
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
