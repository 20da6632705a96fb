"""The numbered steps of the change, with the farm's real names: what to do, how to check it, and the way back.

Source: the guide's nine steps, in the order in which nothing is ever without a way back. From 2020.10 on other steps
lead there (`core_steps.py`).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ...spec.model import Farm, Node
from .. import stores
from ..config.effective import CLASSIC_FILE, CORE_FILE
from ..planning import FarmPlan
from ..powershell import literal
from . import classic
from . import core as core_steps
from .blocks import Step, asked, code, step

PREPARE: Final = "Prepare"
"""How the titles of the steps begin in which a node's site is stopped."""
_SECRETS: Final = {"sql": "of the SQL Server login", "redis": "of Redis"}


def view(farm_plan: FarmPlan, farm: Farm, variables: dict[str, str], *, core: bool, encrypt: str) -> dict[str, Any]:
    """What the runbook shows.

    `variables` are the environment variables of the secrets `sql` and `redis`, as far as the farm has them; `encrypt`
    is the command that encrypts a section again.
    """
    steps = list(_steps(farm, variables, core=core))
    local = {name for node in farm_plan.nodes for name in stores.local_storage(node.config)}
    return {
        "farm": farm.farm,
        "core": core,
        "nodes": [
            {
                "name": node.name,
                "address": node.address,
                "primary": node is farm.primary,
                "config": code(f"{farm.orchestrator.directory}\\{_config_name(core=core)}"),
            }
            for node in farm.nodes
        ],
        "primary": farm.primary.name,
        "url": _url(farm),
        "listen": f"{farm.frontend.address}, port {farm.frontend.port}",
        "version": str(farm.orchestrator.version or ""),
        "prepare_step": next(index for index, one in enumerate(steps, 1) if one["title"].startswith(PREPARE)),
        "local": sorted(local),
        "secrets": [{"what": _SECRETS[what], "variable": code(name)} for what, name in variables.items()],
        "encrypt": code(encrypt),
        "steps": steps,
    }


def _url(farm: Farm) -> str:
    return f"{'http' if farm.frontend.tls.mode == 'none' else 'https'}://{farm.frontend.host}"


def _steps(farm: Farm, variables: dict[str, str], *, core: bool) -> Iterator[Step]:
    yield _backup(farm, core=core)
    yield _keys(farm)
    yield from _core_steps(farm, variables) if core else _classic_steps(farm, variables)
    yield _audit(farm)
    yield _balancer(farm)
    yield _switch(farm)


def _classic_steps(farm: Farm, variables: dict[str, str]) -> Iterator[Step]:
    """Every node is made the same at the end: they are stopped one by one, new ones do not run before."""
    if farm.stores.session == "sqlserver":
        yield classic.sessions(farm, variables)
    if farm.stores.signalr == "redis":
        yield classic.redis(farm, variables)
    yield classic.install(farm)
    yield classic.site_ids(farm)
    nodes = [farm.primary, *(node for node in farm.nodes if node is not farm.primary)]
    yield _prepare(farm, f"{PREPARE} the nodes, one at a time", nodes, variables, core=False)


def _core_steps(farm: Farm, variables: dict[str, str]) -> Iterator[Step]:
    """The first node is made ready first, for the others are installed with its parameters."""
    if farm.stores.signalr == "redis":
        yield core_steps.add_on(farm)
    yield core_steps.public_url(farm, _url(farm))
    yield _prepare(farm, f"{PREPARE} {farm.primary.name}", [farm.primary], variables, core=True)
    yield core_steps.install(farm)
    others = [node for node in farm.nodes if node is not farm.primary]
    if others:
        yield _prepare(farm, f"{PREPARE} the other nodes, one at a time", others, variables, core=True)


def _backup(farm: Farm, *, core: bool) -> Step:
    database = farm.stores.database
    what = f"the database {code(database.name)} on {code(database.server)}" if database else "the Orchestrator database"
    what += ", and Identity Server's where it is another" if core else ""
    return step(
        "Keep what is there",
        [f"Back up {what}, and copy the folder {code(farm.orchestrator.directory)} of {farm.primary.name} aside."],
        "both copies can be read where they are.",
        "nothing was changed.",
    )


def _keys(farm: Farm) -> Step:
    return step(
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


def _prepare(farm: Farm, title: str, nodes: Sequence[Node], variables: dict[str, str], *, core: bool) -> Step:
    lines = ["Each line in an elevated PowerShell on its node, first with `-WhatIf`."]
    if variables:
        lines.append(
            "In the same window each secret is asked for first; nothing of it is shown. Close the window afterwards."
        )
    if core and farm.primary not in nodes:
        lines.append("What is right already, as it should be after an installation with parameters, is left alone.")
    status = f"{farm.health_path or '/'} answers {farm.balancer.health.expect}"
    back = f"put the dated copy `{_config_name(core=core)}.<date>.bak` back in its place, and start the app pool again"
    if not core:
        first = farm.primary.name
        back = f"on {first} {back}; stop site and app pool of a new node: with its own keys it must not run"
    return step(
        title,
        lines,
        f"the script says that {status} on that node; only then go on to the next one.",
        f"{back}.",
        ("powershell", asked(variables.values())),
        ("powershell", [_prepare_line(node, farm, core=core) for node in nodes]),
    )


def _prepare_line(node: Node, farm: Farm, *, core: bool) -> str:
    first = farm.primary
    if node is first and farm.keys.source == "primary":
        return rf".\{node.name}\prepare-node.ps1   # on {node.name}"
    share = f"{farm.orchestrator.directory}\\{_config_name(core=core)}"
    if share[1] == ":":
        share = f"\\\\{first.address}\\{share[0]}${share[2:]}"
    return rf".\{node.name}\prepare-node.ps1 -KeysFrom {literal(share)}   # on {node.name}"


def _config_name(*, core: bool) -> str:
    return CORE_FILE if core else CLASSIC_FILE


def _audit(farm: Farm) -> Step:
    named = ", ".join(code(node.config) for node in farm.nodes if node.config)
    return step(
        "See that the nodes agree",
        [f"Copy each node's config file to where the spec names it ({named or 'name one at each node'}), then:"],
        "it says that all settings agree, and exits with 0.",
        "nothing was changed.",
        ("sh", ["nlbgen nodes audit"]),
    )


def _balancer(farm: Farm) -> Step:
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
    return step(
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


def _switch(farm: Farm) -> Step:
    host = farm.frontend.host
    where = "the balancer's address" if farm.frontend.address == "*" else farm.frontend.address
    tables = " `verify.sql` says `present` for the three SignalR tables." if farm.stores.signalr == "sqlserver" else ""
    return step(
        "Send everybody through the balancer",
        [f"Let the name {code(host)} lead to {where} in DNS."],
        "people stay signed in over several pages, robots show as connected, a scheduled job runs once, and all of "
        f"it stays so while one node after the other is stopped and started.{tables}",
        f"let the name lead to {farm.primary.name} ({farm.primary.address}) again: it serves alone as before.",
    )
