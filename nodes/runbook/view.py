"""The numbered steps of the change with the farm's real names: what to do, how to check it, and the rollback.

Source: the guide's nine steps, in an order in which every step has a rollback. From 2020.10 on `core.py` replaces the
steps of `classic.py`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ...spec.model import Farm, Node
from .. import stores
from ..config.effective import CLASSIC_FILE, CORE_FILE
from ..planning import FarmPlan
from ..powershell import literal
from . import classic
from . import core as core_steps
from .blocks import Step, blocks, code, prompts

_SECRETS: Final = {"sql": "of the SQL Server login", "redis": "of Redis"}


def view(farm_plan: FarmPlan, farm: Farm, variables: dict[str, str], *, core: bool, encrypt: str) -> dict[str, object]:
    """What the template of the runbook shows.

    `variables` are the environment variables of the secrets `sql` and `redis`, if the farm has them; `encrypt` is the
    command that encrypts a section again.
    """
    steps = list(_steps(farm, variables, core=core))
    local = {name for node in farm_plan.nodes for name, _entry in stores.local_storage(node.config)}
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
        "prepare_step": [one.stops_site for one in steps].index(True) + 1,
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
    """All nodes are prepared at the end, one at a time; new nodes do not run before."""
    if farm.stores.session == "sqlserver" and farm.stores.database is not None:
        yield classic.sessions(farm.stores.database, variables)
    if farm.stores.signalr == "redis" and farm.stores.redis is not None:
        yield classic.redis(farm.stores.redis, variables)
    yield classic.install(farm)
    yield classic.site_ids(farm)
    nodes = [farm.primary, *(node for node in farm.nodes if node is not farm.primary)]
    yield _prepare(farm, "Prepare the nodes, one at a time", nodes, variables, core=False)


def _core_steps(farm: Farm, variables: dict[str, str]) -> Iterator[Step]:
    """The first node is prepared first: the others are installed with its parameters."""
    if farm.stores.signalr == "redis" and farm.stores.redis is not None:
        yield core_steps.add_on(farm, farm.stores.redis)
    yield core_steps.public_url(farm, _url(farm))
    yield _prepare(farm, f"Prepare {farm.primary.name}", [farm.primary], variables, core=True)
    yield core_steps.install(farm)
    others = [node for node in farm.nodes if node is not farm.primary]
    if others:
        yield _prepare(farm, "Prepare the other nodes, one at a time", others, variables, core=True)


def _backup(farm: Farm, *, core: bool) -> Step:
    database = farm.stores.database
    what = f"the database {code(database.name)} on {code(database.server)}" if database else "the Orchestrator database"
    what += ", and Identity Server's if it has its own" if core else ""
    return Step(
        "Back up the first node",
        [f"Back up {what}. Copy the folder {code(farm.orchestrator.directory)} of {farm.primary.name}."],
        "you can read both copies where they are stored.",
        "none is needed: nothing was changed.",
    )


def _keys(farm: Farm) -> Step:
    return Step(
        "Keep the keys",
        [
            (
                f"Do not uninstall or reinstall the Orchestrator on {farm.primary.name}: a new EncryptionKey cannot "
                "decrypt the stored passwords."
            )
        ],
        "every key has a fingerprint, and none is AutoGenerate.",
        "none is needed: nothing was changed.",
        blocks(("sh", ["nlbgen nodes keys"])),
    )


def _prepare(farm: Farm, title: str, nodes: Sequence[Node], variables: dict[str, str], *, core: bool) -> Step:
    lines = ["Run each line in an elevated PowerShell on its node, first with `-WhatIf`."]
    if variables:
        lines.append(
            "First enter each secret in the same window; what you type is not shown. Close the window afterwards."
        )
    if core and farm.primary not in nodes:
        lines.append("After an installation with parameters most settings are correct already: the script keeps them.")
    status = f"{farm.health_path or '/'} answers {farm.balancer.health.expect}"
    rollback = f"restore the dated copy `{_config_name(core=core)}.<date>.bak`, and start the app pool again"
    if not core:
        first = farm.primary.name
        rollback = (
            f"on {first}, {rollback}. Stop the site and the app pool of a new node: it must not run with its own keys"
        )
    return Step(
        title,
        lines,
        f"the script reports that {status} on that node. Only then continue with the next node.",
        f"{rollback}.",
        blocks(
            ("powershell", prompts(variables.values())),
            ("powershell", [_prepare_line(node, farm, core=core) for node in nodes]),
        ),
        stops_site=True,
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
    return Step(
        "Check that the nodes agree",
        [f"Copy each node's config file to its path in the spec ({named or 'name one at each node'}), then run:"],
        "it reports that all settings agree, and its exit code is 0.",
        "none is needed: nothing was changed.",
        blocks(("sh", ["nlbgen nodes audit"])),
    )


def _balancer(farm: Farm) -> Step:
    host = code(farm.frontend.host)
    lines = [
        f"Render the configuration for your balancer and follow its INSTALL.md. Its certificate must contain {host}."
    ]
    if farm.frontend.tls.mode == "terminate":
        lines.append(
            "TLS is terminated at the balancer. On every node, disable the IIS rewrite rule `Redirect HTTP to HTTPS` "
            "and bind the site to http. Otherwise node and balancer redirect to each other without end."
        )
    return Step(
        "Start the balancer",
        lines,
        f"the balancer answers for {host} while DNS still resolves the name to {farm.primary.name}.",
        "stop the balancer: no client uses it yet.",
        blocks(("sh", ["nlbgen render all", *_curl(farm)])),
    )


def _curl(farm: Farm) -> list[str]:
    front = farm.frontend
    scheme = "http" if front.tls.mode == "none" else "https"
    address = "BALANCER" if front.address == "*" else front.address
    shown = f"[{address}]" if ":" in address else address
    path = farm.health_path or "/"
    return [f"curl --resolve {front.host}:{front.port}:{shown} {scheme}://{front.host}:{front.port}{path}"]


def _switch(farm: Farm) -> Step:
    host = code(farm.frontend.host)
    where = "the balancer's address" if farm.frontend.address == "*" else farm.frontend.address
    tables = " `verify.sql` shows `present` for the three SignalR tables." if farm.stores.signalr == "sqlserver" else ""
    return Step(
        "Point DNS at the balancer",
        [f"In DNS, point {host} at {where}."],
        "users stay signed in over several pages, robots show as connected, a scheduled job runs once, and all of "
        f"this stays true while you stop and start one node after the other.{tables}",
        f"in DNS, point {host} at {farm.primary.name} ({farm.primary.address}) again. It serves all requests.",
    )
