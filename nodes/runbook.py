"""The numbered steps of the change, with the farm's real names: what to do, how to check it, and the way back.

Source: the guide's nine steps, in the order in which nothing is ever without a way back.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..spec.model import Database, Farm, Node, SqlLogin
from . import stores
from .config import CLASSIC_FILE, CORE_FILE
from .planning import FarmPlan
from .powershell import literal

PREPARE_TITLE: Final = "Prepare the nodes, one at a time"


def code(text: str) -> str:
    """A text as a Markdown code span, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def view(farm_plan: FarmPlan, farm: Farm, secrets: list[dict[str, str]]) -> dict[str, Any]:
    """What the runbook shows."""
    core = any(node.config.kind == "core" for node in farm_plan.nodes) or farm.orchestrator.is_core
    steps = list(_steps(farm, core=core))
    scheme = "http" if farm.frontend.tls.mode == "none" else "https"
    folder = farm.orchestrator.directory
    local = {name for node in farm_plan.nodes for name in stores.local_storage(node.config)}
    name = CORE_FILE if core else CLASSIC_FILE
    return {
        "farm": farm.farm,
        "nodes": [
            {
                "name": node.name,
                "address": node.address,
                "primary": node is farm.primary,
                "config": code(f"{folder}\\{name}"),
            }
            for node in farm.nodes
        ],
        "primary": farm.primary.name,
        "url": f"{scheme}://{farm.frontend.host}",
        "listen": f"{farm.frontend.address}, port {farm.frontend.port}",
        "version": str(farm.orchestrator.version or ""),
        "prepare_step": 1 + [step["title"] for step in steps].index(PREPARE_TITLE),
        "local": sorted(local),
        "secrets": secrets,
        "steps": steps,
    }


def _step(title: str, do: list[str], check: str, back: str, *code_blocks: tuple[str, list[str]]) -> dict[str, Any]:
    blocks = [{"language": language, "lines": lines} for language, lines in code_blocks]
    return {"title": title, "do": do, "code": blocks, "check": check, "back": back}


def _steps(farm: Farm, *, core: bool) -> Iterator[Mapping[str, Any]]:
    yield _backup(farm)
    yield _keys(farm)
    if not core and farm.stores.session == "sqlserver":
        yield _sessions(farm)
    if farm.stores.signalr == "redis":
        yield _redis(farm)
    yield _install(farm)
    if not core:
        yield _site_ids(farm)
    yield _prepare(farm)
    yield _audit(farm)
    yield _balancer(farm)
    yield _switch(farm)


def _backup(farm: Farm) -> Mapping[str, Any]:
    database = farm.stores.database
    what = f"the database {code(database.name)} on {code(database.server)}" if database else "the Orchestrator database"
    return _step(
        "Keep what is there",
        [f"Back up {what}, and copy the folder {code(farm.orchestrator.directory)} of {farm.primary.name} aside."],
        "both copies can be read where they are.",
        "nothing was changed.",
    )


def _keys(farm: Farm) -> Mapping[str, Any]:
    return _step(
        "Keep the keys",
        [
            (
                f"Do not uninstall and do not install again on {farm.primary.name}: another EncryptionKey could not "
                "read the stored passwords."
            )
        ],
        "every key has a fingerprint, and none says AutoGenerate.",
        "nothing was changed.",
        ("sh", ["nlbgen nodes keys"]),
    )


def _sessions(farm: Farm) -> Mapping[str, Any]:
    database = farm.stores.database or Database(server="SQL Server")
    login = database.auth
    who = (
        "as the service account that SQL Server lets in"
        if not isinstance(login, SqlLogin)
        else f"with the password of the login {code(str(login.user))} in the environment"
    )
    return _step(
        "Create the session tables",
        [f"Once for the farm, on one node, {who}; they go into {code(database.name)} on {code(database.server)}."],
        "`verify.sql` says `present` for `[dbo].[ASPStateTempApplications]` and `[dbo].[ASPStateTempSessions]`.",
        "tables that nothing uses do no harm; `aspnet_regsql` removes them with `-ssremove` in place of `-ssadd`.",
        ("powershell", [r".\sessionstate.ps1 -WhatIf", r".\sessionstate.ps1"]),
    )


def _redis(farm: Farm) -> Mapping[str, Any]:
    redis = farm.stores.redis
    if redis is None or redis.host is None:
        raise ValueError("a spec without Redis passed the checks")
    where = f"on the node {redis.install_on}" if redis.install_on else f"on {code(redis.host)}"
    lines = [f"{where[0].upper()}{where[1:]}; it listens on port {redis.port}."]
    lines.append(
        "One Redis is a single point of failure: without it the nodes do not pass messages on"
        + (f", and it is gone whenever {redis.install_on} is." if redis.install_on else ".")
    )
    return _step(
        "Install Redis",
        lines,
        "every node reaches it.",
        "`msiexec /x Redis-x64-3.0.504.msi /q`; nothing uses it before the nodes are prepared.",
        ("powershell", [r".\redis.ps1 -WhatIf", r".\redis.ps1"]),
        ("powershell", [f"Test-NetConnection {redis.host} -Port {redis.port}   # on every node"]),
    )


def _install(farm: Farm) -> Mapping[str, Any]:
    others = ", ".join(node.name for node in farm.nodes if node is not farm.primary) or "(no other node)"
    version = f" {farm.orchestrator.version}" if farm.orchestrator.version else ""
    return _step(
        "Install the Orchestrator on the other nodes",
        [
            (
                f"On {others}: the same version{version}, into {code(farm.orchestrator.directory)}, with the site "
                f"named {code(farm.orchestrator.site)} and the same database. It makes up keys of its own, which are "
                "replaced below. Nobody uses these nodes yet."
            )
        ],
        "the site starts on each of them.",
        "uninstall it there; the first node knows nothing of it.",
    )


def _site_ids(farm: Farm) -> Mapping[str, Any]:
    site = farm.orchestrator.site.replace("'", "''")
    return _step(
        "Give the sites the same id",
        [
            (
                "ASP.NET files sessions under the IIS id of the site. Where ids differ, sessions are lost although "
                "everything else agrees. Change it in IIS Manager: the site, Advanced Settings, ID."
            )
        ],
        "the number is the same on every node.",
        "set the old number again.",
        ("powershell", ["Import-Module WebAdministration", f"(Get-Website | Where-Object Name -eq '{site}').id"]),
    )


def _prepare(farm: Farm) -> Mapping[str, Any]:
    ordered = [farm.primary, *(node for node in farm.nodes if node is not farm.primary)]
    lines = [
        (
            "Each line in an elevated PowerShell on its node, first with `-WhatIf`. Where a secret is asked for, set "
            "its environment variable there first (`$env:NAME = Read-Host`)."
        )
    ]
    commands = [_prepare_line(node, farm) for node in ordered]
    status = f"{farm.health_path or '/'} answers {farm.balancer.health.expect}"
    return _step(
        PREPARE_TITLE,
        lines,
        f"the script says that {status} on that node; only then go on to the next one.",
        f"put the dated copy `{_config_name(farm)}.<date>.bak` beside the file back in its place, and start its "
        "app pool again.",
        ("powershell", commands),
    )


def _prepare_line(node: Node, farm: Farm) -> str:
    first = farm.primary
    if node is first and farm.keys.source == "primary":
        return rf".\{node.name}\prepare-node.ps1   # on {node.name}"
    share = f"{farm.orchestrator.directory}\\{_config_name(farm)}"
    if share[1] == ":":
        share = f"\\\\{first.address}\\{share[0]}${share[2:]}"
    return rf".\{node.name}\prepare-node.ps1 -KeysFrom {literal(share)}   # on {node.name}"


def _config_name(farm: Farm) -> str:
    return CORE_FILE if farm.orchestrator.is_core else CLASSIC_FILE


def _audit(farm: Farm) -> Mapping[str, Any]:
    named = ", ".join(code(node.config) for node in farm.nodes if node.config)
    return _step(
        "See that the nodes agree",
        [f"Copy each node's config file to where the spec names it ({named or 'name one at each node'}), then:"],
        "it says that all settings agree, and exits with 0.",
        "nothing was changed.",
        ("sh", ["nlbgen nodes audit"]),
    )


def _balancer(farm: Farm) -> Mapping[str, Any]:
    mode = farm.frontend.tls.mode
    lines = [
        (
            "Render the configuration for your balancer and follow its INSTALL.md. The certificate carries "
            f"{code(farm.frontend.host)}."
        )
    ]
    if mode == "terminate":
        lines.append(
            "TLS ends at the balancer: on every node disable the IIS rewrite rule `Redirect HTTP to HTTPS` and bind "
            "the site to http, or requests go round in circles."
        )
    return _step(
        "Bring the balancer up",
        lines,
        f"the balancer answers for {code(farm.frontend.host)} while the name still leads to {farm.primary.name}.",
        "stop it: nobody is sent there yet.",
        ("sh", ["nlbgen render all", *_curl(farm)]),
    )


def _curl(farm: Farm) -> list[str]:
    front = farm.frontend
    scheme = "http" if front.tls.mode == "none" else "https"
    address = "BALANCER" if front.address == "*" else front.address
    shown = f"[{address}]" if ":" in address else address
    path = farm.health_path or "/"
    return [f"curl --resolve {front.host}:{front.port}:{shown} {scheme}://{front.host}:{front.port}{path}"]


def _switch(farm: Farm) -> Mapping[str, Any]:
    host = farm.frontend.host
    where = "the balancer's address" if farm.frontend.address == "*" else farm.frontend.address
    tables = " `verify.sql` says `present` for the three SignalR tables." if farm.stores.signalr == "sqlserver" else ""
    return _step(
        "Send everybody through the balancer",
        [f"Let the name {code(host)} lead to {where} in DNS."],
        "people stay signed in over several pages, robots show as connected, a scheduled job runs once, and all of "
        f"it stays so while one node after the other is stopped and started.{tables}",
        f"let the name lead to {farm.primary.name} ({farm.primary.address}) again: it serves alone as before.",
    )
