"""The numbered steps of the change with the farm's real names: what to do, how to check it, and the rollback.

Source: the guide's nine steps, in an order in which every step has a rollback. From 2020.10 on `core.py` replaces the
steps of `classic.py`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ...core.markdown import cell, code
from ...spec.model import Farm, Node
from ...spec.orchestrator import normalized
from .. import storage
from ..config.effective import CORE_FILE
from ..planning import FarmPlan
from ..powershell import literal
from . import classic, prepare
from . import core as core_steps
from .blocks import FOLDER, Step, blocks, share
from .redis import named_sentinels, sentinel

_SECRETS: Final = {"sql": "of the SQL Server login", "redis": "of Redis"}


def view(
    farm_plan: FarmPlan,
    farm: Farm,
    variables: dict[str, str],
    *,
    core: bool,
    encrypt: str,
    sentinels: bool = False,
    services: Sequence[tuple[str, str]] = (),
) -> dict[str, object]:
    """What the template of the runbook shows.

    `variables` are the environment variables of the secrets `sql` and `redis`, if the farm has them; `encrypt` is the
    command that encrypts a section again; with `sentinels` the servers of Redis in the nodes' strings are sentinels.
    `services` are the prepared files of the nodes' services: the node, and the path below its folder.
    """
    with_services = frozenset(plan.node.name for plan in farm_plan.nodes if plan.config.services)
    steps = list(_steps(farm, variables, with_services, core=core, sentinels=sentinels))
    first = [node.config for node in farm_plan.nodes if node.node is farm.primary]
    local = {name for config in first for name, _entry in storage.local(config)}
    return {
        "farm": farm.farm,
        "core": core,
        "nodes": [
            {
                "name": node.name,
                "address": node.address,
                "primary": node is farm.primary,
                "config": cell(code(prepare.config_file(farm, core=core))),
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
        "today": "the existing Orchestrator: its keys are cloned"
        if farm.keys.source == "primary"
        else "the first node",
        "keys_file": "" if farm.keys.source == "primary" else code(prepare.KEYS_FILE),
        "redis_backups": "redis" in variables and not core,
        "services": list(_services(farm, services)),
        "cleanup": prepare.cleanup(farm, services=bool(services)),
        "steps": steps,
    }


def _services(farm: Farm, services: Sequence[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Each prepared file of a service, and the command that copies it to its node."""
    addresses = {node.name: node.address for node in farm.nodes}
    for node, path in services:
        folder, _, name = f"{node}/{path}".replace("/", "\\").rpartition("\\")
        target = share(addresses[node], f"{FOLDER}\\{folder}")
        command = f"robocopy.exe {literal(folder)} {literal(target)} {name}"
        yield {"path": code(f"{node}/{path}"), "node": node, "command": code(command)}


def _url(farm: Farm) -> str:
    return f"{'http' if farm.frontend.tls.mode == 'none' else 'https'}://{farm.frontend.host}"


def _steps(
    farm: Farm, variables: dict[str, str], with_services: frozenset[str], *, core: bool, sentinels: bool
) -> Iterator[Step]:
    yield prepare.copied(farm)
    yield _backup(farm, core=core)
    yield _keys(farm, core=core)
    yield from (_core_steps(farm, variables, sentinels=sentinels) if core else _classic_steps(farm, variables))
    yield _audit(farm, with_services, core=core)
    yield _balancer(farm)
    yield _switch(farm)


def _classic_steps(farm: Farm, variables: dict[str, str]) -> Iterator[Step]:
    """All nodes are prepared at the end, one at a time; new nodes do not run before."""
    if farm.stores.session == "sqlserver" and farm.stores.database is not None:
        yield classic.sessions(farm.stores.database, variables)
    if farm.redis_front:
        yield sentinel(farm, variables)
    elif farm.stores.backplane is not None:
        yield classic.redis(farm.stores.backplane, variables)
    yield classic.install(farm)
    yield classic.site_ids(farm)
    if _has_identity(farm):
        yield core_steps.identity(farm)
    if not farm.node_tls:
        yield prepare.plain_http(farm)
    nodes = [farm.primary, *(node for node in farm.nodes if node is not farm.primary)]
    yield prepare.prepare(farm, "Prepare the nodes, one at a time", nodes, variables, core=False)


def _has_identity(farm: Farm) -> bool:
    """Whether a classic version has an Identity Server: UiPath's documentation describes it from 2020.4 on."""
    version = farm.orchestrator.version
    return version is not None and normalized(version).parts[:2] >= (2020, 4)


def _core_steps(farm: Farm, variables: dict[str, str], *, sentinels: bool) -> Iterator[Step]:
    """The first node is prepared first: the others are installed with its parameters."""
    if farm.redis_front:
        yield sentinel(farm, variables)
    elif sentinels and farm.stores.redis is not None:
        yield named_sentinels(farm.stores.redis, variables)
    elif farm.stores.backplane is not None:
        yield core_steps.add_on(farm, farm.stores.backplane, variables)
    yield core_steps.public_url(farm, _url(farm))
    if not farm.node_tls:
        yield prepare.plain_http(farm)
    yield prepare.prepare(farm, f"Prepare {farm.primary.name}", [farm.primary], variables, core=True)
    yield core_steps.install(farm)
    others = [node for node in farm.nodes if node is not farm.primary]
    if others:
        yield prepare.prepare(farm, "Prepare the other nodes, one at a time", others, variables, core=True)


def _backup(farm: Farm, *, core: bool) -> Step:
    database, directory = farm.stores.database, farm.orchestrator.directory
    what = f"the database {code(database.name)} on {code(database.server)}" if database else "the Orchestrator database"
    what += ", and Identity Server's if it has its own" if core else ""
    name = "" if database is None else "[" + database.name.replace("]", "]]") + "]"
    return Step(
        "Back up the first node",
        [f"Back up {what}. Copy the folder {code(directory)} of {farm.primary.name}. The copies contain the keys."],
        "you can read both copies where they are stored.",
        "none is needed: nothing was changed.",
        blocks(
            (
                "sql",
                [f"BACKUP DATABASE {name} TO DISK = N'before-nlbgen.bak' WITH COPY_ONLY, CHECKSUM;"] if name else [],
            ),
            (
                "powershell",
                [f"Copy-Item -LiteralPath {literal(directory)} -Destination 'C:\\before-nlbgen' -Recurse"],
                f"On {farm.primary.name}",
            ),
        ),
    )


def _keys(farm: Farm, *, core: bool) -> Step:
    lines = [
        (
            f"Do not uninstall or reinstall the Orchestrator on {farm.primary.name}: a new EncryptionKey cannot "
            "decrypt "
            "the "
            "stored passwords."
        ),
    ]
    if farm.keys.source != "primary":
        lines = [
            (
                f"Every node, also {farm.primary.name}, gets the keys of {code(farm.keys.source)}. They must be the "
                "keys "
                "with "
                "which the passwords in the database were stored: no other EncryptionKey can decrypt them."
            ),
        ]
    lines.append(
        "If a key is AutoGenerate, each machine has another one, and other nodes cannot get it. `nlbgen nodes keys "
        "--generate` writes a fixed machineKey into the file that the keys come from: copy this file to "
        f"{farm.primary.name}, restart its site (users sign in once more), and run `nlbgen render nodes` again."
    )
    if core:
        lines.append(
            "Do not use IIS Manager for that: it writes keys into the file of IIS, which Orchestrator does not read "
            f"from 2020.10 on. The keys must be in {code(CORE_FILE)}."
        )
    return Step(
        "Keep the keys",
        lines,
        "every key has a fingerprint, and none is AutoGenerate.",
        "none is needed: nothing was changed.",
        blocks(("sh", ["nlbgen nodes keys"])),
    )


def _copy(farm: Farm, node: Node, with_services: frozenset[str], *, core: bool) -> str:
    """The command that copies a node's settings to their path in the spec, those of its services included."""
    path = str(node.config)
    if node.name not in with_services:
        source = share(node.address, prepare.config_file(farm, core=core))
        return f"Copy-Item -LiteralPath {literal(source)} -Destination {literal(path)}"
    folder = path if not path.lower().endswith(".config") else re.sub(r"[^/\\\\]*$", "", path).rstrip("/\\") or "."
    source = share(node.address, farm.orchestrator.directory)
    return f"robocopy.exe {literal(source)} {literal(folder)} *.config appsettings*.json /S"


def _audit(farm: Farm, with_services: frozenset[str], *, core: bool) -> Step:
    named = [node for node in farm.nodes if node.config]
    copies = [_copy(farm, node, with_services, core=core) for node in named]
    paths = ", ".join(code(str(node.config)) for node in named)
    return Step(
        "Check that the nodes agree",
        [
            (
                f"Copy each node's config file to its path in the spec ({paths or 'write a `config` for each node'}), "
                "then run the audit."
            ),
            (
                "If the keys must not leave the nodes: `nlbgen nodes collect` writes a script that collects a node "
                "without its secrets. The audit reads its files, and finds more: certificates, clocks, site ids."
            ),
        ],
        "it reports that all settings agree, and its exit code is 0.",
        "none is needed: nothing was changed.",
        blocks(("powershell", copies, "In the folder of the spec"), ("sh", ["nlbgen nodes audit"])),
    )


def _balancer(farm: Farm) -> Step:
    host = code(farm.frontend.host)
    lines = [
        f"Render the configuration for your balancer and follow its INSTALL.md. Its certificate must contain {host}."
    ]
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
    curl = f"curl --resolve {front.host}:{front.port}:{shown} {scheme}://{front.host}:{front.port}"
    return [f"{curl}{path}" for path in farm.health_paths or ("/",)]


def _switch(farm: Farm) -> Step:
    host = code(farm.frontend.host)
    where = "the balancer's address" if farm.frontend.address == "*" else farm.frontend.address
    return Step(
        "Point DNS at the balancer",
        [f"In DNS, point {host} at {where}."],
        "users stay signed in over several pages, robots show as connected, a scheduled job runs once, and all of "
        "this stays true while you stop and start one node after the other.",
        f"in DNS, point {host} at {farm.primary.name} ({farm.primary.address}) again. It serves all requests.",
    )
