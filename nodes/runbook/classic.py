"""The runbook's steps that only a classic farm has: session tables, Redis for Windows, an installation to hold back.

Source: the guide's nine steps.
"""

from ...spec.model import Database, Farm, SqlLogin
from ..powershell import literal
from .blocks import Step, asked, code, step


def sessions(farm: Farm, variables: dict[str, str]) -> Step:
    """The session tables in the main database."""
    database = farm.stores.database or Database(server="SQL Server")
    login = database.auth
    who = (
        "as the service account that SQL Server lets in"
        if not isinstance(login, SqlLogin)
        else f"with the password of the login {code(str(login.user))} in the environment"
    )
    return step(
        "Create the session tables",
        [f"Once for the farm, on one node, {who}; they go into {code(database.name)} on {code(database.server)}."],
        "`verify.sql` says `present` for `[dbo].[ASPStateTempApplications]` and `[dbo].[ASPStateTempSessions]`.",
        "tables that nothing uses do no harm; `aspnet_regsql` removes them with `-ssremove` in place of `-ssadd`.",
        ("powershell", asked(name for what, name in variables.items() if what == "sql")),
        ("powershell", [r".\sessionstate.ps1 -WhatIf", r".\sessionstate.ps1"]),
    )


def redis(farm: Farm, variables: dict[str, str]) -> Step:
    """Redis for Windows, which comes with the classic versions."""
    store = farm.stores.redis
    if store is None or store.host is None:
        raise ValueError("a spec without Redis passed the checks")
    where = f"on the node {store.install_on}" if store.install_on else f"on {code(store.host)}"
    lines = [f"{where[0].upper()}{where[1:]}; it listens on port {store.port}."]
    lines.append(
        "One Redis is a single point of failure: without it the nodes do not pass messages on"
        + (f", and it is gone whenever {store.install_on} is." if store.install_on else ".")
    )
    return step(
        "Install Redis",
        lines,
        "every node reaches it.",
        "`msiexec /x Redis-x64-3.0.504.msi /q`; nothing uses it before the nodes are prepared.",
        ("powershell", asked(name for what, name in variables.items() if what == "redis")),
        ("powershell", [r".\redis.ps1 -WhatIf", r".\redis.ps1"]),
        ("powershell", [f"Test-NetConnection {store.host} -Port {store.port}   # on every node"]),
    )


def install(farm: Farm) -> Step:
    """The product on the other nodes, held back until their keys are in.

    `serverAutoStart` of a site and `autoStart` of an app pool are what IIS looks at when Windows starts.
    """
    others = ", ".join(node.name for node in farm.nodes if node is not farm.primary) or "(no other node)"
    version = f" {farm.orchestrator.version}" if farm.orchestrator.version else ""
    return step(
        "Install the Orchestrator on the other nodes, and stop it there",
        [
            (
                f"On {others}: the same version{version}, into {code(farm.orchestrator.directory)}, with the site "
                f"named {code(farm.orchestrator.site)} and the same database."
            ),
            (
                "The installer makes up keys of its own and starts the site. Until the node is prepared it must not "
                "run: what it encrypts no other node can read, and its scheduler knows nothing of the first one's, so "
                "that jobs start twice. Choose a time at which nothing is scheduled; as soon as the installer ends, "
                "stop site and app pool in an elevated PowerShell, and keep Windows from starting them. "
                "`prepare-node.ps1` starts them, and lets them start by themselves again, when the keys are in."
            ),
        ],
        "the last line says `Stopped` twice on each of them (`Stopping` passes), also after a restart of the machine.",
        "uninstall it there; the first node knows nothing of it.",
        (
            "powershell",
            [
                "Import-Module WebAdministration",
                f"$site = Get-Website | Where-Object Name -eq {literal(farm.orchestrator.site)}",
                r'Set-ItemProperty "IIS:\Sites\$($site.name)" -Name serverAutoStart -Value $false',
                r'Set-ItemProperty "IIS:\AppPools\$($site.applicationPool)" -Name autoStart -Value $false',
                "Stop-Website -Name $site.name",
                "Stop-WebAppPool -Name $site.applicationPool",
                "(Get-WebsiteState -Name $site.name).Value, (Get-WebAppPoolState -Name $site.applicationPool).Value",
            ],
        ),
    )


def site_ids(farm: Farm) -> Step:
    """The same IIS id for the site on every node."""
    return step(
        "Give the sites the same id",
        [
            (
                "ASP.NET files sessions under the IIS id of the site. Where ids differ, sessions are lost although "
                "everything else agrees. Change it in IIS Manager: the site, Advanced Settings, ID."
            )
        ],
        "the number is the same on every node.",
        "set the old number again.",
        (
            "powershell",
            [
                "Import-Module WebAdministration",
                f"(Get-Website | Where-Object Name -eq {literal(farm.orchestrator.site)}).id",
            ],
        ),
    )
