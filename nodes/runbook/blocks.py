"""The parts of the runbook's steps: the step itself, blocks of code, and the prompt for a secret."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ...spec.model import Farm
from ..powershell import literal

FOLDER: Final = "C:\\nlbgen"
"""The folder of the scripts on each machine."""


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: its language, its lines, and where to run it."""

    language: str
    lines: list[str]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the template shows it."""

    title: str
    actions: list[str]
    """What to do, a paragraph each."""
    check: str
    """The condition that shows that the step worked."""
    rollback: str
    code: list[CodeBlock] = field(default_factory=list)
    undo: list[CodeBlock] = field(default_factory=list)
    """The commands of the rollback."""
    stops_site: bool = False
    """Whether the site of a node is stopped in this step."""


def blocks(*code_blocks: tuple[str, list[str]] | tuple[str, list[str], str]) -> list[CodeBlock]:
    """The blocks of a step from language, lines and place; a block without lines is left out."""
    return [CodeBlock(*block) for block in code_blocks if block[1]]


def prompts(variables: Iterable[str]) -> list[str]:
    """PowerShell that reads secrets into environment variables without showing what is typed."""
    return [
        f"$env:{name} = [Net.NetworkCredential]::new('', (Read-Host {literal(name)} -AsSecureString)).Password"
        for name in variables
    ]


def share(address: str, folder: str) -> str:
    """A folder of a machine as a UNC path; a path that is a UNC path already stays.

    Source: Microsoft's "IPv6 literal names": a UNC path cannot contain colons.
    """
    if folder.startswith("\\\\"):
        return folder
    return f"\\\\{_unc_host(address)}\\{folder[0]}${folder[2:]}"


def _unc_host(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    text = str(parsed)
    text = f"0{text}" if text.startswith(":") else text
    text = f"{text}0" if text.endswith(":") else text
    return text.replace(":", "-") + ".ipv6-literal.net"


def site_lines(farm: Farm) -> list[str]:
    """PowerShell that finds the site and its app pool."""
    return [
        "Import-Module WebAdministration",
        f"$site = Get-Website | Where-Object {{ $_.Name -eq {literal(farm.orchestrator.site)} }}",
    ]


SITE_PATH: Final = r'$sitePath = "IIS:\Sites\$($site.name)"'
POOL_PATH: Final = r'$poolPath = "IIS:\AppPools\$($site.applicationPool)"'
STOP: Final = ["Stop-Website -Name $site.name", "Stop-WebAppPool -Name $site.applicationPool"]
START: Final = ["Start-WebAppPool -Name $site.applicationPool", "Start-Website -Name $site.name"]
STATE: Final = "(Get-WebsiteState -Name $site.name).Value, (Get-WebAppPoolState -Name $site.applicationPool).Value"
