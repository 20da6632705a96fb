"""The runbook's steps that a farm of 2020.10 or later has in place of the classic ones.

Sources: UiPath's documentation of these versions: "The Windows Installer" (a node is added by `SECONDARY_NODE=1` and
the first node's parameters file; the High Availability Add-on is the only supported store, on port 10000), "Changing
the Orchestrator / Identity Server URL", "Identity Server AppSettings.json".
"""

from ...spec.model import Farm
from ..powershell import literal
from .blocks import Step, code, step

_PARAMETERS = "install.json"


def _identity(farm: Farm) -> str:
    return f"{farm.orchestrator.directory}\\Identity\\appsettings.Production.json"


def add_on(farm: Farm) -> Step:
    """UiPath's High Availability Add-on: Redis for Windows is for the classic versions."""
    redis = farm.stores.redis
    if redis is None or redis.host is None:
        raise ValueError("a spec without Redis passed the checks")
    return step(
        "Install the High Availability Add-on",
        [
            (
                f"On {code(redis.host)}, as UiPath's documentation of it says. From 2020.10 on UiPath supports farms "
                "with this store alone, and not with the Redis for Windows of earlier versions. "
                f"Its database answers on port {redis.port}"
                + (" here; 10000 is its own." if redis.port != 10000 else ".")
            ),
            "On a single machine it is a single point of failure: without it the nodes do not pass messages on.",
            (
                "Identity Server uses it too. UiPath's installer writes it into Identity Server's settings "
                f"({code(_identity(farm))}); a first node that was installed without a store lacks it there: add it as "
                "UiPath's page about that file says for your version."
            ),
        ],
        "every node reaches it.",
        "uninstall it; nothing uses it before the nodes are prepared.",
        ("powershell", [f"Test-NetConnection {redis.host} -Port {redis.port}   # on every node"]),
    )


def public_url(farm: Farm, url: str) -> Step:
    """The farm's name instead of the first node's, wherever sign-in looks at it."""
    first = farm.primary.name
    return step(
        "Give the first node the farm's URL",
        [
            (
                f"Nothing is to be done if people reach {first} by {code(url)} already. Otherwise let that name lead "
                f"to {first} in DNS, give the site a certificate that carries it, and change the URL as UiPath's page "
                '"Changing the Orchestrator / Identity Server URL" for your version says, or nobody can sign in '
                "through the balancer. It stands in three places."
            ),
            (
                f"In the config file of {first}: `IdentityServer.Integration.Authority`, "
                "`ExternalAuth.System.OpenIdConnect.Authority`, `ExternalAuth.System.OpenIdConnect.RedirectUri`, "
                "`ExternalAuth.System.OpenIdConnect.PostLogoutRedirectUri` and, where it is there, "
                "`ResourceCatalogService.ServiceURL`."
            ),
            (
                f"In Identity Server's {code(_identity(farm))}: `AppSettings.IdentityServerAddress` and "
                "`AppSettings.OrchestratorUrl`."
            ),
            (
                "In Identity Server's database: the tables `[identity].[ClientRedirectUris]` and "
                "`[identity].[ClientPostLogoutRedirectUris]`."
            ),
        ],
        f"people sign in at {code(url)}, and none of these places holds the machine's own name any more.",
        "write the old URL into the same places, from the copies of the first step.",
    )


def install(farm: Farm) -> Step:
    """The product on the other nodes, with the first one's keys from its parameters file."""
    others = ", ".join(node.name for node in farm.nodes if node is not farm.primary) or "(no other node)"
    version = f" {farm.orchestrator.version}" if farm.orchestrator.version else ""
    return step(
        "Install the Orchestrator on the other nodes as secondary nodes",
        [
            (
                f"On {farm.primary.name}, prepared by now, have `Generate-ParametersFile.ps1` (it is in UiPath's "
                f"`Tools` folder) write the parameters file, here {code(_PARAMETERS)}; for a first node that was "
                "installed with `OUTPUT_PARAMETERS_FILE`, look whether the old file still says what the node does. See "
                f"that it holds the URL, the certificate and the store of this farm. Copy it to {others}: it holds "
                "keys and passwords."
            ),
            (
                f"On {others}, in an elevated prompt: the same version{version}. The node gets the keys of "
                f"{farm.primary.name}, Identity Server's as well, and does not initialise the database. **Never "
                "install it without these parameters:** it would make up keys of its own on the same database."
            ),
            (
                "The certificate must be there first, with the farm's name: the same subject on all nodes, and the "
                "certificate that Identity Server signs with on each of them, its private key readable for the app "
                "pools."
            ),
            (
                "Then compare Identity Server's keys: run the second block on every node. It shows fingerprints, made "
                "like those of `nlbgen nodes keys`: `EncryptionKey` is the one in the config file, and, from 2021 on, "
                "`EncryptionKey2021` is `IdentityServer.EncryptionKey` there."
            ),
        ],
        "the second block says the same on every node, and the site starts.",
        "uninstall it there; the first node knows nothing of it.",
        ("bat", [f"UiPathOrchestrator.msi SECONDARY_NODE=1 PARAMETERS_FILE={_PARAMETERS} /passive"]),
        (
            "powershell",
            [
                f"$text = Get-Content -Raw -LiteralPath {literal(_identity(farm))}",
                r"""foreach ($match in [regex]::Matches($text, '"(EncryptionKey\w*)"\s*:\s*"([^"]+)"')) {""",
                "    $key = [Text.Encoding]::UTF8.GetBytes([regex]::Unescape($match.Groups[2].Value))",
                "    $hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($key))",
                "    $match.Groups[1].Value + ' sha256:' + $hash.Replace('-', '').Substring(0, 12).ToLower()",
                "}",
            ],
        ),
    )
