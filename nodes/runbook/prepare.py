"""The runbook's steps that prepare the nodes: copy the scripts, accept http, run the scripts, clean up."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...core.markdown import code
from ...spec.model import Farm, Node, SqlLogin
from .. import plain_http as plain_http_lines
from ..config.effective import CLASSIC_FILE, CORE_FILE
from ..powershell import literal
from .blocks import FOLDER, START, STOP, CodeBlock, Step, blocks, prompts, share, site_lines

KEYS_FILE: Final = f"{FOLDER}\\keys.config"
"""Where the file of `keys.from` is on each node."""


def config_file(farm: Farm, *, core: bool) -> str:
    """The path of the config file on a node."""
    return f"{farm.orchestrator.directory}\\{CORE_FILE if core else CLASSIC_FILE}"


def copied(farm: Farm) -> Step:
    """The step that brings the scripts to the machines."""
    lines = [
        (
            f"Copy the scripts to {code(FOLDER)} on every node, from the folder of this file. The commands need the "
            "administrative share of the node; any other way to copy the folder is as good. `robocopy` ends with 1 if "
            "it copied files."
        ),
        (
            "On every node, open an elevated **Windows PowerShell** (5.1, not PowerShell 7) and run the block for the "
            "nodes in it. It permits scripts in this window only, and removes the mark of files that came from another "
            "machine. If the policy of your domain forbids scripts, ask its administrator."
        ),
    ]
    copies = [rf"robocopy.exe . {literal(share(node.address, FOLDER))} *.ps1 verify.sql /S" for node in farm.nodes]
    keys = []
    if farm.keys.source != "primary":
        lines.append(
            f"The keys come from {code(farm.keys.source)}. Copy this file to {code(KEYS_FILE)} on every node. It "
            "contains the keys: the last section of this runbook deletes it."
        )
        keys = [
            f"Copy-Item -LiteralPath {literal(farm.keys.source)} -Destination {literal(share(node.address, KEYS_FILE))}"
            for node in farm.nodes
        ]
    here = [
        f"Set-Location -LiteralPath {literal(FOLDER)}",
        "Set-ExecutionPolicy -ExecutionPolicy RemoteSigned -Scope Process -Force",
        (
            "Get-ChildItem -LiteralPath . -Recurse -Filter *.ps1 | ForEach-Object { Unblock-File -LiteralPath "
            "$_.FullName }"
        ),
        "$PSVersionTable.PSEdition",
    ]
    return Step(
        "Copy the scripts to the nodes",
        lines,
        "the last line shows `Desktop` on every node.",
        "delete the folder on every node.",
        blocks(
            ("powershell", copies, "On the machine with this file, in its folder"),
            ("powershell", keys, "There too, in the folder of the spec"),
            ("powershell", here, "On every node"),
        ),
        blocks(("powershell", [f"Remove-Item -LiteralPath {literal(FOLDER)} -Recurse"], "On every node")),
    )


def plain_http(farm: Farm) -> Step:
    """The step after which IIS answers the balancer's requests, which are plain HTTP."""
    port = next(iter({farm.port_of(node) for node in farm.nodes}))
    return Step(
        "Let IIS accept HTTP from the balancer",
        [
            (
                "The balancer ends TLS and sends plain HTTP to the nodes. Orchestrator's site redirects HTTP to HTTPS: "
                "node and balancer would redirect to each other without end, and `prepare-node.ps1` would wait for an "
                "answer in vain. On each node that is installed, bind the site to HTTP and disable the rewrite rule "
                "`Redirect HTTP to HTTPS`. Repeat this on the other nodes after their installation."
            ),
            "The rule is in the config file of the site: copy the file to its path in the spec again afterwards.",
        ],
        "the first line shows an HTTP binding, and the last one shows `False`.",
        "enable the rule again. The binding does no harm.",
        blocks(
            (
                "powershell",
                [
                    *site_lines(farm),
                    plain_http_lines.bind(str(port)),
                    f"({plain_http_lines.BINDING}).bindingInformation",
                    *plain_http_lines.NAMES,
                    plain_http_lines.DISABLE,
                    plain_http_lines.STATE,
                ],
                "On each node",
            )
        ),
        blocks(
            (
                "powershell",
                [
                    *site_lines(farm),
                    *plain_http_lines.NAMES,
                    plain_http_lines.ENABLE,
                ],
                "On each node",
            )
        ),
    )


def prepare(farm: Farm, title: str, nodes: Sequence[Node], variables: dict[str, str], *, core: bool) -> Step:
    """The step that runs `prepare-node.ps1` on these nodes."""
    lines = ["Run one block after the other, each on its own node: `prepare-node.ps1` refuses another node's machine."]
    if variables:
        lines.append("What you type at a prompt for a secret is not shown. Close the window afterwards.")
    lines += _account(farm, nodes)
    if core and farm.primary not in nodes:
        lines.append("After an installation with parameters most settings are correct already: the script keeps them.")
    paths = farm.health_paths or ("/",)
    status = f"{' and '.join(paths)} answer{'s' if len(paths) == 1 else ''} {farm.balancer.health.expect}"
    check = f"the script reports that the node answers ({status}). Only then continue with the next node."
    if farm.stores.signalr == "sqlserver":
        check += (
            " After the first start of the first node `verify.sql` shows `present` for the three SignalR tables: if "
            "not, the database user may not create them."
        )
    rollback = (
        "if a site that ran with the farm's keys before does not answer, the script restores the old file itself. "
        "For a later rollback, copy the dated backup over the config file; the script shows the name of the "
        "backup."
    )
    undo = blocks(("powershell", _restore(farm, core=core), "On a node that served the farm before"))
    if not core:
        rollback += " On a new node, do not restore the old file: the node must not run with its own keys."
        undo += blocks(("powershell", [*site_lines(farm), *STOP], "On a new node"))
    return Step(
        title,
        lines,
        check,
        rollback,
        [CodeBlock("powershell", list(_lines(node, farm, variables, core=core)), f"On {node.name}") for node in nodes],
        undo,
        stops_site=True,
    )


def _account(farm: Farm, nodes: Sequence[Node]) -> list[str]:
    database = farm.stores.database
    if database is None or isinstance(database.auth, SqlLogin):
        return []
    first = farm.primary.name
    line = (
        "The nodes sign in to SQL Server as the account of their app pool. On every node it must be the account that "
        f"has access to {code(database.name)} on {code(database.server)}"
    )
    if any(node is not farm.primary for node in nodes):
        return [
            (
                f"{line}: the one of {first} (IIS Manager, Application Pools, Identity). The command prompts for it. "
                f"If {first} uses a built-in account such as ApplicationPoolIdentity, leave out `-AppPoolCredential "
                "$account`: such an account signs in as the machine, and each machine needs a login of its own."
            )
        ]
    return [f"{line}. The script does not change it on {first}."]


def _lines(node: Node, farm: Farm, variables: dict[str, str], *, core: bool) -> Iterator[str]:
    """The commands for one node, each script first with -WhatIf."""
    first = farm.primary
    yield f"Set-Location -LiteralPath {literal(FOLDER)}"
    yield from prompts(variables.values())
    options = ""
    if farm.keys.source != "primary":
        options += f" -KeysFrom {literal(KEYS_FILE)}"
    elif node is not first:
        options += f" -KeysFrom {literal(share(first.address, config_file(farm, core=core)))}"
    if node is not first and not core:
        yield f"$id = Read-Host {literal(f'Id of the site on {first.name}')}"
        options += " -SiteId $id"
    database = farm.stores.database
    if node is not first and database is not None and not isinstance(database.auth, SqlLogin):
        yield f"$account = Get-Credential -Message {literal(f'The account of the app pool, as on {first.name}')}"
        options += " -AppPoolCredential $account"
    script = rf".\{node.name}\prepare-node.ps1{options}"
    yield f"{script} -WhatIf"
    yield script


def _restore(farm: Farm, *, core: bool) -> list[str]:
    config = config_file(farm, core=core)
    return [
        *site_lines(farm),
        f"Get-ChildItem -LiteralPath {literal(farm.orchestrator.directory)} -Filter *.bak",
        "$backup = Read-Host 'Full path of the backup'",
        *STOP,
        f"Copy-Item -LiteralPath $backup -Destination {literal(config)}",
        *START,
    ]


def cleanup(farm: Farm, *, services: bool) -> list[CodeBlock]:
    """The commands that delete what contains keys and passwords on the nodes, after the change.

    With `services`, there are also backups in the folders below Orchestrator's.
    """
    directory = literal(farm.orchestrator.directory) + (" -Recurse" if services else "")
    return blocks(
        (
            "powershell",
            [
                f"Get-ChildItem -LiteralPath {directory} -Filter *.bak",
                (
                    f"Get-ChildItem -LiteralPath {directory} -Filter *.bak | "
                    "ForEach-Object { Remove-Item -LiteralPath $_.FullName -Confirm }"
                ),
                f"Remove-Item -LiteralPath {literal(FOLDER)} -Recurse",
            ],
            "On every node",
        )
    )
