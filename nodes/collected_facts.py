"""What `nlbgen nodes collect` found on a node beside its files: values to compare, and problems.

Sources: UiPath's "Prerequisites for Installation" for the signing certificate (2048 to 4096 bits) and for the same
version of Windows on all nodes; Microsoft's IIS support blog for the site id, which is part of the key of a session;
Quartz's reference for clocks that differ by less than a second; UiPath's installation scripts for WebSockets.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from ..core.errors import Location, NodeError
from .config.appsettings import Service
from .config.collected import Certificate, Facts
from .config.effective import Config
from .file_checks import FileFinding
from .observed import ABSENT, ObservedValue
from .service_settings import CERTIFICATE, CERTIFICATE_STORE, IDENTITY, service

CERTIFICATE_ID: Final = "signing-certificate"
CLOCK_ID: Final = "clock-offset"
WEBSOCKETS_ID: Final = "iis-websockets"
_WEBSOCKETS: Final = "IIS-WebSockets"
_OFFSET: Final = 1.0
"""Seconds by which a clock can differ from its time source."""
_BITS: Final = range(2048, 4097)
_SOON: Final = timedelta(days=30)
_VERSIONS: Final = {"orchestrator": "UiPath.Orchestrator.dll", "identity": "Identity's files", "windows": "Windows"}


def require_same_key(configs: Mapping[str, Config]) -> None:
    """Raise NodeError if the nodes' secrets cannot be compared: not all were collected, or with another key."""
    found = {name: config.collected for name, config in configs.items()}
    nodes = {name: node for name, node in found.items() if node is not None}
    if nodes and len(nodes) < len(found):
        raw = ", ".join(name for name, node in found.items() if node is None)
        raise NodeError(
            f"{raw}: is a node's own file with secrets, but the files of other nodes come from `nlbgen nodes "
            "collect` and have pseudonyms",
            "run collect-node.ps1 on all nodes with the same key (`-KeyFile`), or copy the own files of all nodes",
        )
    if len({node.check for node in nodes.values()}) > 1:
        shown = ", ".join(f"{name} ({node.check})" for name, node in nodes.items())
        raise NodeError(
            f"the nodes were collected with different keys: {shown}",
            "run collect-node.ps1 on all nodes with the same key (`-KeyFile`)",
        )


def require_secrets(config: Config) -> None:
    """Raise NodeError for a collected node, whose secrets are pseudonyms."""
    if config.collected is not None:
        raise NodeError(
            f"{config.collected.path}: comes from `nlbgen nodes collect`: it has pseudonyms in place of secrets",
            "copy the node's own file for this command: only `nlbgen nodes audit` and `nlbgen check` read "
            "collected files",
        )


def notes(configs: Mapping[str, Config]) -> Iterator[str]:
    """Notes on what the collected files show in another way than files with secrets, or do not show."""
    if any(config.collected is not None for config in configs.values()):
        yield (
            "the fingerprints of collected nodes are fingerprints of pseudonyms. Equal fingerprints mean equal "
            "secrets, but `nlbgen nodes keys` shows other fingerprints for the same secrets"
        )
    for name, config in configs.items():
        if config.collected is not None:
            yield from _notes(name, config, config.collected.facts)


def _notes(name: str, config: Config, facts: Facts) -> Iterator[str]:
    if facts.clock_offset is None:
        yield (
            f"{name}: the script could not read the offset of the clock: check it on the node with `w32tm /query "
            "/status`"
        )
    if facts.features.get(_WEBSOCKETS) is None:
        yield (
            f"{name}: the script could not read the features of Windows: check on the node that WebSockets are "
            "installed"
        )
    one, found = _signing(config)
    if one is None or found is None:
        return
    if facts.collected <= found.ends < facts.collected + _SOON:
        yield f"{name}: Identity's signing certificate {found.thumbprint} expires at {found.ends:%Y-%m-%d}"
    if found.has_key and found.readable.get(_identity_pool(facts)) is None:
        yield (
            f"{name}: the script could not find out whether the app pool of Identity can read the private key of "
            f"the certificate {found.thumbprint}: check it on the node"
        )


def compared(configs: Mapping[str, Config]) -> dict[str, dict[str, ObservedValue]]:
    """The facts that all nodes must share, by title; none unless the nodes were collected."""
    facts = {name: node.facts for name, config in configs.items() if (node := config.collected) is not None}
    rows: dict[str, dict[str, object]] = {
        "site id": {name: one.site_id for name, one in facts.items()},
        "app pool": {name: _pool(one) for name, one in facts.items()},
        **{title: {name: one.versions.get(key) for name, one in facts.items()} for key, title in _VERSIONS.items()},
    }
    return {
        title: {name: ObservedValue(ABSENT if value is None else str(value), value) for name, value in row.items()}
        for title, row in rows.items()
        if any(value is not None for value in row.values())
    }


def _pool(facts: Facts) -> str | None:
    """The account and the state of the site's app pool; a local account without the name of its machine."""
    found = next((one for one in facts.pools if one.name == facts.site_pool), None)
    if found is None:
        return None
    domain, backslash, user = found.identity.partition("\\")
    local = backslash and domain.lower() == facts.computer.lower()
    return f"{'.' + backslash + user if local else found.identity}, {found.state}"


def findings(config: Config) -> Iterator[FileFinding]:
    """The problems of a collected node that its files do not show."""
    if config.collected is None:
        return
    facts, place = config.collected.facts, Location(str(config.collected.path), 1, 1)
    if facts.clock_offset is not None and abs(facts.clock_offset) > _OFFSET:
        message = (
            f"the node's clock differs from its time source by {facts.clock_offset:.1f} s: a clustered scheduler fails"
        )
        yield FileFinding(CLOCK_ID, message, "correct the time service on the node: `w32tm /resync`", place)
    state = facts.features.get(_WEBSOCKETS)
    if state is not None and state.lower() != "enabled":
        message = f"the feature {_WEBSOCKETS} of Windows is {state}: robots cannot open a WebSocket"
        hint = f"run on the node: Enable-WindowsOptionalFeature -Online -FeatureName {_WEBSOCKETS}"
        yield FileFinding(WEBSOCKETS_ID, message, hint, place)
    one, found = _signing(config)
    if one is not None:
        setting = one.get(CERTIFICATE)
        where = place if setting is None else setting.location
        for message, hint in _problems(one.text(CERTIFICATE) or "", found, facts):
            yield FileFinding(CERTIFICATE_ID, f"Identity's signing certificate {message}", hint, where)


def _problems(name: str, found: Certificate | None, facts: Facts) -> Iterator[tuple[str, str]]:
    if found is None:
        yield (
            f"{name} is not in the store My of the machine",
            "install the certificate with its private key, as on the other nodes",
        )
        return
    if found.ends < facts.collected:
        yield (
            f"{found.thumbprint} expired at {found.ends:%Y-%m-%d}",
            "install a new certificate on every node, and write its thumbprint into Identity's settings",
        )
    if found.begins > facts.collected:
        yield (
            f"{found.thumbprint} is not valid before {found.begins:%Y-%m-%d}",
            "install a certificate that is valid today",
        )
    if found.bits is not None and found.bits not in _BITS:
        yield f"{found.thumbprint} has {found.bits} bits", "install a certificate with 2048 to 4096 bits"
    if not found.has_key:
        yield (
            f"{found.thumbprint} has no private key on this node",
            "import the certificate with its private key (.pfx)",
        )
    elif found.readable.get(_identity_pool(facts)) is False:
        yield (
            f"{found.thumbprint} has a private key that the app pool {_identity_pool(facts)} cannot read",
            "in certlm.msc, open Manage Private Keys, and give the account of the app pool the permission to read",
        )


def _identity_pool(facts: Facts) -> str:
    return next((pool for name, pool in facts.applications.items() if name.lower() == "identity"), facts.site_pool)


def _signing(config: Config) -> tuple[Service | None, Certificate | None]:
    """Identity with a certificate in the machine's store, and that certificate if the machine has it."""
    one = service(config, IDENTITY)
    if config.collected is None or one is None or one.is_encrypted or not one.text(CERTIFICATE):
        return None, None
    if "localmachine" not in (one.text(CERTIFICATE_STORE) or "LocalMachine").lower():
        return None, None
    name = (one.text(CERTIFICATE) or "").strip().upper()
    for certificate in config.collected.facts.certificates:
        subject = certificate.subject.upper()
        if name.replace(" ", "") == certificate.thumbprint or name in {subject, *_common_name(subject)}:
            return one, certificate
    return one, None


def _common_name(subject: str) -> Iterator[str]:
    return (part.strip()[3:] for part in subject.split(",") if part.strip().startswith("CN="))
