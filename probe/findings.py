"""What a probe can say: the catalogue of ids, one finding, and the report of a run as text and as data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

Level = Literal["finding", "unchecked", "note"]
"""A difference from the spec; what could not be known from here; what is worth knowing and no difference."""


class Kind(NamedTuple):
    """What one id stands for."""

    means: str
    advice: str
    level: Level = "finding"


KINDS: Final[Mapping[str, Kind]] = {
    "unreachable": Kind(
        "no TCP connection",
        "check that the machine and its service run, and that firewalls let this machine through",
    ),
    "name-unknown": Kind("a host name does not resolve", "make the name known to DNS, or correct it in the spec"),
    "name-elsewhere": Kind(
        "the farm's name leads to other addresses than the spec's",
        "expected before the switch and behind address translation; otherwise correct the DNS record",
        "note",
    ),
    "timed-out": Kind("the run's time was over before this was done", "give more time with --timeout"),
    "tls-handshake": Kind(
        "no TLS connection of version 1.2 or later",
        "check that TLS is spoken on this port, and that TLS 1.2 and its ECDHE ciphers are switched on",
    ),
    "tls-old": Kind(
        "a TLS version is accepted that the profile excludes",
        "switch it off where TLS ends: load the rendered configuration, or Schannel's registry keys on a node",
    ),
    "tls-new": Kind(
        "TLS 1.3 is not offered",
        "a newer program or TMOS offers it; TLS 1.2 is safe with the profile's ciphers",
        "note",
    ),
    "certificate-chain": Kind(
        "the certificate does not chain to the CA that is trusted",
        "install the chain with its intermediate certificates, or name the right CA",
    ),
    "certificate-name": Kind(
        "the certificate does not carry a name of the farm",
        "get a certificate whose subject alternative names hold the farm's names",
    ),
    "certificate-expired": Kind("the certificate is not valid today", "install a valid certificate; check the clock"),
    "certificate-expires": Kind("the certificate ends soon", "renew it before that day"),
    "chain-unchecked": Kind(
        "whether the certificate chains to the nodes' CA is not known",
        "give the CA with --nodes-ca, or run the probe on the balancer",
        "unchecked",
    ),
    "health": Kind(
        "the health endpoint does not answer as the spec expects",
        "look into the node's event log and the state of its application pool",
    ),
    "health-slow": Kind(
        "the health endpoint answers later than the balancer waits",
        "if the balancer sees it as late as this, it takes the node out: look for the cause, or raise health.timeout",
        "note",
    ),
    "health-degraded": Kind(
        "the node says of itself that it is degraded", "look into its event log; the balancer keeps using it", "note"
    ),
    "node-answers": Kind(
        "a node that is down in the spec is healthy", "change its state in the spec if it should serve", "note"
    ),
    "redirect": Kind(
        "port 80 does not lead to the farm's https address, or does so against the spec",
        "load the rendered configuration; another site may hold port 80",
    ),
    "hsts": Kind("Strict-Transport-Security is not as in the spec", "load the rendered configuration"),
    "affinity-cookie": Kind(
        "the affinity cookie is missing, or set against the spec", "load the rendered configuration"
    ),
    "cookie-attributes": Kind(
        "the affinity cookie lacks an attribute that protects it", "load the rendered configuration"
    ),
    "cookie-samesite": Kind(
        "the affinity cookie says nothing of SameSite",
        "browsers then decide themselves, most as Lax; not every device can write it",
        "note",
    ),
    "signalr-negotiate": Kind(
        "SignalR's negotiation fails", "look into the node's event log; check the rules for the SignalR paths"
    ),
    "signalr-connect": Kind(
        "a SignalR connection does not begin", "look into the node's event log; check that nothing buffers or filters"
    ),
    "signalr-affinity": Kind(
        "a SignalR connection does not come back to the node that negotiated it",
        "ASP.NET Core SignalR needs balancer.affinity signalr, cookie or source",
    ),
    "signalr-token": Kind(
        "a node does not accept another node's SignalR connection token",
        "the machineKey differs: compare the nodes with `nlbgen nodes audit`",
    ),
    "websocket": Kind(
        "WebSockets do not get through",
        "install the IIS feature WebSocket Protocol on the node; let nothing on the way drop the Upgrade header",
    ),
    "signalr-hub": Kind(
        "no hub answers at the spec's SignalR paths, so SignalR and WebSockets are not checked",
        "name the hub's path with --hub",
        "unchecked",
    ),
    "signalr-login": Kind(
        "SignalR asks for a login here, so it is not checked further", "nothing, if robots connect", "unchecked"
    ),
    "clock-nodes": Kind(
        "the clocks of two nodes differ by more than a second",
        "synchronise the nodes' clocks: Quartz's cluster needs them within a second",
    ),
    "clock-here": Kind(
        "a clock of the farm differs from this machine's", "check both against the same time server", "note"
    ),
    "versions": Kind(
        "the nodes' answers name different versions",
        "bring all nodes to one version of Orchestrator and of Windows: mixed versions on one database are unsupported",
    ),
    "version-unknown": Kind(
        "Orchestrator's own version is not known: no documented endpoint tells it without a login",
        "compare the versions in Apps & Features, or each node's UiPath.Orchestrator.dll",
        "unchecked",
    ),
    "redis-password": Kind(
        "Redis does not take the configured password", "compare the secret with Redis's requirepass"
    ),
    "redis-open": Kind(
        "Redis asks for no password though the spec has one", "set requirepass in redis.conf and restart Redis"
    ),
    "redis-replica": Kind(
        "Redis is a replica, which takes no writes", "name the master in stores.redis.host, or promote this one"
    ),
    "redis-answer": Kind("Redis does not answer as Redis should", "look into Redis's log"),
    "redis-unchecked": Kind(
        "Redis accepts connections, and could not be asked more",
        "make the secret available here and run the probe again",
        "unchecked",
    ),
    "sql-port-unknown": Kind(
        "SQL Server's port is not known", "write it as `SQL01,1433`, or let UDP 1434 through from here", "unchecked"
    ),
}
"""Every id that a probe can report."""


class Finding(NamedTuple):
    """One thing to say: about which object of which device, what was expected, what was found, what to do."""

    id: str
    level: Level
    device: str
    object: str
    expected: str
    found: str
    advice: str


class Seen(NamedTuple):
    """One device as it was met: where, in which state it should be, whether it was reached, what it told."""

    device: str
    address: str
    state: str
    """A node's state in the spec; empty for anything else."""
    reached: bool
    facts: Mapping[str, str]


class Report(NamedTuple):
    """What a run found; devices and findings in the order of the spec."""

    farm: str
    through: str
    devices: Sequence[Seen]
    findings: Sequence[Finding]

    def count(self, level: Level) -> int:
        """How many findings have this level."""
        return sum(finding.level == level for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing differs from the spec."""
        return not self.count("finding")

    @property
    def reached(self) -> bool:
        """Whether any device was reached that should be there."""
        wanted = [device for device in self.devices if device.state != "down"]
        return any(device.reached for device in wanted) or not wanted

    def ignoring(self, ids: Iterable[str]) -> "Report":
        """The same report, with the findings of these ids as notes."""
        ignored = frozenset(ids)
        findings = [f._replace(level="note") if f.id in ignored else f for f in self.findings]
        return self._replace(findings=findings)

    def data(self) -> dict[str, Any]:
        """The report for programs; docs/commands/probe.md promises this shape."""
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
        """The report for people: a line for each device, then what there is to say."""
        lines = [*_table(self.devices)]
        for finding in sorted(self.findings, key=lambda finding: _ORDER[finding.level]):
            lines += ["", f"{finding.level}: {finding.device}: {KINDS[finding.id].means} [{finding.id}]"]
            lines += [f"    object    {finding.object}"]
            lines += [f"    expected  {finding.expected}"] * bool(finding.expected)
            lines += [f"    found     {finding.found}", f"    to do     {finding.advice}"]
        return "\n".join(lines) + "\n"

    def summary(self) -> str:
        """One line that says how it went."""
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


def _table(devices: Sequence[Seen]) -> list[str]:
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
