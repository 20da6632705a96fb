"""The runbook's steps for a classic farm: session tables, Redis for Windows, new nodes that stay stopped.

Source: the guide's nine steps.
"""

from ...spec.model import Database, Farm, Redis, SqlLogin
from ..powershell import literal
from .blocks import Step, blocks, code, prompts


def sessions(database: Database, variables: dict[str, str]) -> Step:
    """The step that creates the session tables in the main database."""
    login = database.auth
    who = (
        f"with the password of the login {code(str(login.user))} in the environment"
        if isinstance(login, SqlLogin)
        else "as the service account that has access to SQL Server"
    )
    return Step(
        "Create the session tables",
        [
            (
                f"Run the script once for the farm, on one node, {who}. It creates the tables in "
                f"{code(database.name)} on {code(database.server)}."
            )
        ],
        "`verify.sql` shows `present` for `[dbo].[ASPStateTempApplications]` and `[dbo].[ASPStateTempSessions]`.",
        "none is needed: unused tables do no harm. `aspnet_regsql` removes them with `-ssremove` instead of `-ssadd`.",
        blocks(
            ("powershell", prompts(name for what, name in variables.items() if what == "sql")),
            ("powershell", [r".\sessionstate.ps1 -WhatIf", r".\sessionstate.ps1"]),
        ),
    )


def redis(store: Redis, variables: dict[str, str]) -> Step:
    """The step that installs Redis for Windows, which comes with the classic versions."""
    where = f"the node {store.install_on}" if store.install_on else code(str(store.host))
    on_node = f", also whenever {store.install_on} is down" if store.install_on else ""
    return Step(
        "Install Redis",
        [
            f"Run the script on {where}. Redis listens on port {store.port}.",
            f"One Redis is a single point of failure: while it is down{on_node}, the nodes do not pass messages on.",
        ],
        "every node reaches it.",
        "`msiexec /x Redis-x64-3.0.504.msi /q`. Nothing uses Redis before the nodes are prepared.",
        blocks(
            ("powershell", prompts(name for what, name in variables.items() if what == "redis")),
            ("powershell", [r".\redis.ps1 -WhatIf", r".\redis.ps1"]),
            ("powershell", [f"Test-NetConnection {store.host} -Port {store.port}   # on every node"]),
        ),
    )


def install(farm: Farm) -> Step:
    """The step that installs the other nodes, which stay stopped until they have the keys.

    `serverAutoStart` of a site and `autoStart` of an app pool decide whether IIS starts them with Windows.
    """
    others = ", ".join(node.name for node in farm.nodes if node is not farm.primary) or "(no other node)"
    version = f" {farm.orchestrator.version}" if farm.orchestrator.version else ""
    return Step(
        "Install the Orchestrator on the other nodes, and stop it there",
        [
            (
                f"On {others}, install the same version{version} into {code(farm.orchestrator.directory)}, with the "
                f"site name {code(farm.orchestrator.site)} and the same database."
            ),
            (
                "The installer generates new keys and starts the site. The node must not run before it is prepared: "
                "no other node can read what it encrypts, and its scheduler does not know the scheduler of the first "
                "node, so that jobs start twice. Choose a time at which no job is scheduled. As soon as the installer "
                "ends, stop the site and the app pool in an elevated PowerShell, and keep Windows from starting them. "
                "`prepare-node.ps1` writes the keys, then starts both and lets them start with Windows again."
            ),
        ],
        "the last line shows `Stopped` twice on each of them (`Stopping` is temporary), also after a restart of the "
        "machine.",
        "uninstall the Orchestrator there. The first node does not depend on it.",
        blocks(
            (
                "powershell",
                [
                    "Import-Module WebAdministration",
                    f"$site = Get-Website | Where-Object Name -eq {literal(farm.orchestrator.site)}",
                    r'Set-ItemProperty "IIS:\Sites\$($site.name)" -Name serverAutoStart -Value $false',
                    r'Set-ItemProperty "IIS:\AppPools\$($site.applicationPool)" -Name autoStart -Value $false',
                    "Stop-Website -Name $site.name",
                    "Stop-WebAppPool -Name $site.applicationPool",
                    (
                        "(Get-WebsiteState -Name $site.name).Value, "
                        "(Get-WebAppPoolState -Name $site.applicationPool).Value"
                    ),
                ],
            )
        ),
    )


def site_ids(farm: Farm) -> Step:
    """The step that gives the site the same IIS id on every node."""
    return Step(
        "Give the sites the same id",
        [
            (
                "ASP.NET stores sessions under the IIS id of the site. If the ids differ, users lose their sessions "
                "although all other settings agree. Change the id in IIS Manager: the site, Advanced Settings, ID."
            )
        ],
        "the number is the same on every node.",
        "set the old id again.",
        blocks(
            (
                "powershell",
                [
                    "Import-Module WebAdministration",
                    f"(Get-Website | Where-Object Name -eq {literal(farm.orchestrator.site)}).id",
                ],
            )
        ),
    )
