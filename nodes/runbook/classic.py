"""The runbook's steps for a classic farm: session tables, Redis for Windows, new nodes that stay stopped.

Source: the guide's nine steps.
"""

from typing import Final

from ...core.markdown import code
from ...core.wording import all_of
from ...spec.model import Database, Farm, Redis, SqlLogin
from ..powershell import literal
from .blocks import POOL_PATH, SITE_PATH, STATE, STOP, Step, blocks, prompts, site_lines

KIT: Final = "Redis-x64-3.0.504.msi"
"""The installer of Redis for Windows, as in redis.ps1."""


def sessions(database: Database, variables: dict[str, str]) -> Step:
    """The step that creates the session tables in the main database."""
    login = database.auth
    who = (
        f"with the password of the login {code(str(login.user))} in the environment"
        if isinstance(login, SqlLogin)
        else "as the service account that has access to SQL Server"
    )
    tool = r"%windir%\Microsoft.NET\Framework64\v4.0.30319\aspnet_regsql.exe"
    user = f"-U {login.user} -P ********" if isinstance(login, SqlLogin) else "-E"
    return Step(
        "Create the session tables",
        [
            (
                f"Run the script once for the farm, on one node, {who}. It creates the tables in "
                f"{code(database.name)} on {code(database.server)}."
            ),
            (
                f"`aspnet_regsql` also creates {code(f'{database.name}_Job_DeleteExpiredSessions')}, a job of SQL "
                "Server "
                "Agent that deletes expired sessions. The user needs rights in `msdb` for it. SQL Server Express has "
                "no "
                "Agent, and in an availability group the job must be on each replica: the script checks both, and "
                "names "
                "what to run instead."
            ),
        ],
        "`verify.sql` shows `present` for `[dbo].[ASPStateTempApplications]`, for `[dbo].[ASPStateTempSessions]` and "
        "for "
        "the job.",
        "none is needed: unused tables do no harm. To remove them, and every session in them, run this block.",
        blocks(
            ("powershell", prompts(name for what, name in variables.items() if what == "sql")),
            ("powershell", [r".\sessionstate.ps1 -WhatIf", r".\sessionstate.ps1"]),
            ("bat", [f"sqlcmd -S {database.server} -f 65001 -i verify.sql"], "To check"),
        ),
        blocks(("bat", [f'"{tool}" -S {database.server} -d {database.name} -ssremove -sstype c {user}'])),
    )


def redis(store: Redis, variables: dict[str, str]) -> Step:
    """The step that installs Redis for Windows, which comes with the classic versions."""
    secret = prompts(name for what, name in variables.items() if what == "redis")
    servers = store.servers
    ports = len({server.port for server in servers}) > 1
    runs = [(server.host, f" -Port {server.port}" if ports else "") for server in servers]
    check, machine = "Redis", "the machine of Redis"
    if len(servers) > 1:
        check, machine = "each server of Redis", "each machine of Redis"
    return Step(
        "Install Redis",
        _redis_lines(store),
        f"`test-redis.ps1` reports on every node that {check} answers.",
        "nothing uses Redis before the nodes are prepared. To remove it, run this block.",
        blocks(
            *(
                (
                    "powershell",
                    [*secret, rf".\redis.ps1{port} -WhatIf", rf".\redis.ps1{port}"],
                    f"On {machine}" if len(servers) == 1 else f"On {code(host)}",
                )
                for host, port in runs
            ),
            ("powershell", [*secret, r".\test-redis.ps1"], "On every node"),
        ),
        blocks(("bat", [f"msiexec /x {KIT} /q"], f"On the {'machines' if runs[1:] else 'machine'} of Redis")),
    )


def _redis_lines(store: Redis) -> list[str]:
    servers = store.servers
    if len(servers) > 1:
        lines = [
            (
                f"First copy `redis.ps1` and the kit (`{KIT}`) into one folder on each machine of Redis: "
                f"{all_of([code(str(server)) for server in servers])}. Then run the script on each of these machines. "
                "Redis listens on all addresses of the machine. The script reports the servers that do not answer yet."
            ),
            (
                "The script sets up no replication. Make each server except the first one a replica of the first "
                "server, as the documentation of Redis describes for your version (`slaveof`, and `masterauth` if "
                "Redis has a password)."
            ),
        ]
    else:
        where = f"the node {store.install_on}" if store.install_on else code(str(store.host))
        on_node = f", also whenever {store.install_on} is down" if store.install_on else ""
        lines = [
            (
                f"First copy `redis.ps1` and the kit (`{KIT}`) into one folder on {where}. Then run the script there. "
                f"Redis listens on port {store.port}, on all addresses of the machine."
            ),
            f"One Redis is a single point of failure: while it is down{on_node}, the nodes do not pass messages on.",
        ]
    if store.password is None:
        lines.append(
            "The spec sets no password: every machine that reaches the port can read and change what the nodes "
            "exchange. Set `stores.redis.password`, or let the firewall admit only the nodes."
        )
    return lines


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
                "Choose a time at which no job is scheduled: the installer starts the site of a new node. On "
                f"{others}, install the same version{version} into {code(farm.orchestrator.directory)}, with the "
                f"site name {code(farm.orchestrator.site)} and the same database."
            ),
            (
                "The installer generates new keys and starts the site. The node must not run before it is prepared: "
                "no other node can read what it encrypts, and its scheduler does not know the scheduler of the first "
                "node, so that jobs start twice. As soon as the installer ends, stop the site and the app pool in an "
                "elevated PowerShell, and keep Windows from starting them. `prepare-node.ps1` writes the keys, then "
                "starts both and lets them start with Windows again."
            ),
        ],
        "the last line shows `Stopped` twice on each of them (`Stopping` is temporary), also after a restart of the "
        "machine.",
        "uninstall the Orchestrator there, with the same installer. The first node does not depend on it.",
        blocks(
            (
                "powershell",
                [
                    *site_lines(farm),
                    SITE_PATH,
                    POOL_PATH,
                    "Set-ItemProperty -LiteralPath $sitePath -Name serverAutoStart -Value $false",
                    "Set-ItemProperty -LiteralPath $poolPath -Name autoStart -Value $false",
                    *(f"{command} -ErrorAction SilentlyContinue" for command in STOP),
                    STATE,
                ],
                "On each new node",
            )
        ),
        blocks(("bat", ["msiexec /x UiPathOrchestrator.msi /passive"], "On the new node")),
    )


def site_ids(farm: Farm) -> Step:
    """The step that gives the site the same IIS id on every node."""
    first = farm.primary.name
    change = [
        *site_lines(farm),
        SITE_PATH,
        '"The id is $($site.id) now."',
        f"$id = [int] (Read-Host {literal(f'Id of the site on {first}')})",
        "Set-ItemProperty -LiteralPath $sitePath -Name id -Value $id",
    ]
    return Step(
        "Give the sites the same id",
        [
            (
                "ASP.NET stores sessions under the IIS id of the site. If the ids differ, users lose their sessions "
                f"although all other settings agree. Read the id on {first}. On each node with another id: if a "
                f"different site has the id of {first} there, first give that site a free id; then set the id of "
                f"{first}."
            )
        ],
        "the number is the same on every node.",
        "set the old id again, with the same commands.",
        blocks(
            ("powershell", [*site_lines(farm), "$site.id"], f"On {first}, and on every node to check"),
            ("powershell", change, "On a node with another id"),
        ),
        blocks(("powershell", change, "On that node, with the id that was shown before")),
    )
