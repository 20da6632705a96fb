"""The runbook's steps for a farm of 2020.10 or later.

Sources: UiPath's documentation of these versions: "The Windows Installer" (a node is added by `SECONDARY_NODE=1` and
the first node's parameters file; the High Availability Add-on is the only supported store, on port 10000), "Changing
the Orchestrator / Identity Server URL", "Identity Server AppSettings.json".
"""

from ...core.markdown import code
from ...core.wording import all_of
from ...spec.model import Farm, Redis
from ..powershell import literal
from .blocks import Step, blocks, prompts

_PARAMETERS = "install.json"


def _identity(farm: Farm) -> str:
    return f"{farm.orchestrator.directory}\\Identity\\appsettings.Production.json"


def _fingerprints(farm: Farm) -> list[str]:
    """PowerShell that shows the keys of Identity Server as `nlbgen nodes keys` shows those of the config file."""
    return [
        f"$text = Get-Content -Raw -LiteralPath {literal(_identity(farm))}",
        r"""foreach ($match in [regex]::Matches($text, '"(EncryptionKey\w*)"\s*:\s*"([^"]+)"')) {""",
        "    $key = [Text.Encoding]::UTF8.GetBytes([regex]::Unescape($match.Groups[2].Value))",
        "    $hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($key))",
        "    $match.Groups[1].Value + ' sha256:' + $hash.Replace('-', '').Substring(0, 12).ToLower()",
        "}",
    ]


def identity(farm: Farm) -> Step:
    """The step for 2020.4, a classic version with an Identity Server: no script changes its settings."""
    settings = code(_identity(farm))
    return Step(
        "Give the nodes the same settings of Identity Server",
        [
            (
                f"From 2020.4 on, Orchestrator has an Identity Server with settings of its own, in {settings}. "
                "The scripts do not change these settings. If the `config` of each node is a copy of its install "
                "folder, `nlbgen nodes audit` compares them. Otherwise compare these values on all nodes, and "
                "write the values of the first node where they differ:"
            ),
            (
                "`ConnectionStrings.DefaultConnection` (the same database); `EncryptionSettings.EncryptionKey` (the "
                "block "
                "shows the same fingerprint on every node); `AppSettings.IdentityServerAddress` and "
                "`AppSettings.OrchestratorUrl` (the farm's URL); the signing certificate in "
                "`AppSettings.SigningCredentialSettings`, which must be installed on every node, with a private key "
                "that "
                "the app pools can read."
            ),
            (
                'UiPath\'s page "Changing the Orchestrator / Identity Server URL" of your version describes what else '
                "contains the URL, also in the database. Without it no user can sign in through the balancer."
            ),
        ],
        "the block shows the same on every node.",
        f"restore {settings} from its copy.",
        blocks(
            (
                "powershell",
                [f"Copy-Item -LiteralPath {literal(_identity(farm))} -Destination {literal(_identity(farm) + '.bak')}"],
                "On each node, before the change",
            ),
            ("powershell", _fingerprints(farm), "On every node"),
        ),
        blocks(
            (
                "powershell",
                [f"Copy-Item -LiteralPath {literal(_identity(farm) + '.bak')} -Destination {literal(_identity(farm))}"],
            ),
        ),
    )


def add_on(farm: Farm, store: Redis, variables: dict[str, str]) -> Step:
    """The step that installs UiPath's High Availability Add-on: Redis for Windows is for the classic versions."""
    ports = {server.port for server in store.servers}
    port = "Its database listens on the port of the spec" + ("." if ports == {10000} else " (the default is 10000).")
    machines = all_of([code(str(server)) for server in store.servers])
    single = "On a single machine it is a single point of failure: while it is down, the nodes do not pass messages on."
    several = "All of these must answer on every node, as the last block shows."
    return Step(
        "Install the High Availability Add-on",
        [
            (
                f"Install it on {machines} as UiPath's documentation describes. From 2020.10 on UiPath "
                "supports farms only with this store, and not with the Redis for Windows of earlier versions. " + port
            ),
            single if len(store.servers) == 1 else several,
            (
                "Identity Server uses it too. UiPath's installer writes it into Identity Server's settings "
                f"({code(_identity(farm))}). If the first node was installed without a store, these settings lack it: "
                "add it as UiPath's page about that file describes for your version."
            ),
        ],
        "`test-redis.ps1` reports on every node that the add-on answers.",
        "uninstall it. Nothing uses it before the nodes are prepared.",
        blocks(
            (
                "powershell",
                [*prompts(name for what, name in variables.items() if what == "redis"), r".\test-redis.ps1"],
                "On every node",
            )
        ),
    )


def public_url(farm: Farm, url: str) -> Step:
    """The step that replaces the first node's name by the farm's in everything that sign-in uses."""
    first = farm.primary.name
    return Step(
        "Give the first node the farm's URL",
        [
            (
                f"If users reach {first} by {code(url)} already, there is nothing to do. Otherwise point the DNS name "
                f"at {first}, and give the site a certificate with this name. The URL is in three places: change all "
                "of them in one maintenance window. Without this change no user can sign in through the balancer."
            ),
            (
                f"In the config file of {first}: `IdentityServer.Integration.Authority`, "
                "`ExternalAuth.System.OpenIdConnect.Authority`, `ExternalAuth.System.OpenIdConnect.RedirectUri`, "
                "`ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri` and, if it is present, "
                "`ResourceCatalogService.ServiceURL`. `nlbgen nodes plan` shows the change, and `prepare-node.ps1` "
                "makes it."
            ),
            (
                f"In Identity Server's {code(_identity(farm))}: `AppSettings.IdentityServerAddress` and "
                "`AppSettings.OrchestratorUrl`. If the `config` of the node is a copy of its install folder, the same "
                "plan and script change them; otherwise change them by hand."
            ),
            (
                "In Identity Server's database: the tables `[identity].[ClientRedirectUris]` and "
                "`[identity].[ClientPostLogoutRedirectUris]`. If these tables contain an old address that is not in "
                "`public-url.sql`, first add it to the script. Run the script as it is: it changes nothing, and shows "
                "the rows and the statements that undo the change. Save this result. After `prepare-node.ps1` has run "
                f"on {first}, write `@apply bit = 1` in the script, and run it again."
            ),
        ],
        f"users can sign in at {code(url)}, and none of these places contains the machine's own name any more.",
        "restore the files from their dated backups, and run the statements of the column `rollback`.",
    )


def install(farm: Farm) -> Step:
    """The step that installs the other nodes with the keys of the first one, from its parameters file."""
    others = ", ".join(node.name for node in farm.nodes if node is not farm.primary) or "(no other node)"
    version = f" {farm.orchestrator.version}" if farm.orchestrator.version else ""
    first = farm.primary.name
    return Step(
        "Install the Orchestrator on the other nodes as secondary nodes",
        [
            (
                f"On {first}, which is prepared now, run `Generate-ParametersFile.ps1` (in UiPath's `Tools` folder). "
                f"It writes the parameters file, here {code(_PARAMETERS)}. If the first node was installed with "
                "`OUTPUT_PARAMETERS_FILE`, check that the old file still matches the node. Check that the file "
                "contains the URL, the certificate and the store of this farm. Copy it to "
                f"{others}: it contains keys and passwords."
            ),
            (
                f"On {others}, first install two certificates: the one with the farm's name (the same subject on all "
                "nodes), and Identity Server's signing certificate. The app pools must be able to read the private key "
                "of the signing certificate."
            ),
            (
                "Then, in an elevated prompt on the same nodes, install the Orchestrator in the same version"
                f"{version}. The node gets the keys of {first}, Identity Server's as well, and does not initialise the "
                "database. **Never install it without these parameters:** it would generate new keys on the same "
                "database."
            ),
            (
                "Then compare Identity Server's keys: run the second block on every node. It shows the same "
                "fingerprints as `nlbgen nodes keys`: `EncryptionKey` is the one in the config file. From 2021 on, "
                "`EncryptionKey2021` is `IdentityServer.EncryptionKey` in the config file."
            ),
        ],
        "the second block shows the same on every node, and the site starts.",
        "uninstall the Orchestrator there, with the same installer. The first node does not depend on it.",
        blocks(
            ("bat", [f"UiPathOrchestrator.msi SECONDARY_NODE=1 PARAMETERS_FILE={_PARAMETERS} /passive"]),
            ("powershell", _fingerprints(farm), "On every node"),
        ),
        blocks(("bat", ["msiexec /x UiPathOrchestrator.msi /passive"], "On the new node")),
    )
