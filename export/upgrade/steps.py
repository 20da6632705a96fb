"""The numbered steps of the upgrade window, with the farm's names: what to do, the check, and the rollback.

Source: UiPath's "About Updating" (2021.10 to 2024.10): an upgrade needs the application stopped; the first node is
upgraded before the others, and all in one window.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ...core.markdown import code
from ...generators.base import generator
from ...nodes.powershell import literal
from ...nodes.runbook.blocks import FOLDER as SCRIPTS
from ...nodes.runbook.blocks import CodeBlock, Step, blocks, share
from ...spec.model import Farm, Node

FOLDER: Final = "C:\\nlbgen\\upgrade"
"""The folder of the copies on each node."""
_BEFORE: Final = f"{FOLDER}\\before"
_CORRECTED: Final = f"{FOLDER}\\corrected"
_RUN: Final = "powershell -ExecutionPolicy Bypass -File C:\\nlbgen\\upgrade-node.ps1 -Action"


def url(farm: Farm) -> str:
    """Return the farm's public address."""
    return f"{'http' if farm.frontend.tls.mode == 'none' else 'https'}://{farm.frontend.host}"


def steps(farm: Farm, vendors: Sequence[str], states: Collection[tuple[str, str]]) -> Iterator[Step]:
    """Yield the steps; `states` has each vendor with the states of maintenance that it supports."""
    others = [node for node in farm.nodes if node is not farm.primary]
    yield _before(farm)
    yield _snapshot(farm)
    yield _close(farm, vendors)
    yield _stop(farm, vendors)
    yield _database(farm)
    yield _install(farm, [farm.primary], "the first node")
    yield _settings(farm, [farm.primary])
    yield _start([farm.primary])
    if others:
        yield _install(farm, others, "the other nodes")
        yield _settings(farm, others)
        yield _start(others)
    yield _audit(farm)
    yield _release(farm, vendors, states)


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(node.name for node in nodes)


def _on(nodes: Sequence[Node], *actions: str) -> list[CodeBlock]:
    return blocks(("powershell", [f"{_RUN} {action}" for action in actions], f"On {_names(nodes)}"))


def _before(farm: Farm) -> Step:
    spec = f"{farm.farm}-compare.yaml"
    return Step(
        "Before the window",
        [
            (
                "Read the release notes of the new version, and copy its installer to each node. "
                f"Copy `upgrade-node.ps1` to {code(SCRIPTS)} of each node."
            ),
            (
                f"Copy the files of `specs/` into the folder of the spec: their paths are relative to it. {code(spec)} "
                "is the farm with the settings after the upgrade, and with the keys of the snapshot."
            ),
            "Announce the window. Stop the schedules and wait until running jobs end: robots lose their connection.",
        ],
        "`nlbgen nodes audit` reports no difference between the nodes, and `sh smoke.sh nodes` reports no failure.",
        "none is needed: nothing was changed.",
        blocks(("sh", ["nlbgen nodes audit", "sh smoke.sh nodes", "sh smoke.sh open"])),
    )


def _snapshot(farm: Farm) -> Step:
    return Step(
        "Take a snapshot of the settings",
        [
            (
                f"The script copies the settings of each node to {code(_BEFORE)} and prints their digests. "
                "Then copy these folders into the folder of the spec. They contain keys: keep them where only "
                "administrators can read them."
            ),
        ],
        "`upgrade/before` has a folder for each node, and the digests of the copies are those that the script printed.",
        "delete the copies. Nothing was changed.",
        [*_on(farm.nodes, "Snapshot"), *blocks(_copies(farm.nodes, "before"))],
    )


def _copies(nodes: Sequence[Node], name: str) -> tuple[str, list[str], str]:
    """Return the block that copies a folder of each node into the folder of the spec."""
    lines = [f"New-Item -ItemType Directory -Force 'upgrade\\{name}'"]
    for node in nodes:
        source = literal(share(node.address, f"{FOLDER}\\{name}"))
        lines.append(f"Copy-Item -Recurse -LiteralPath {source} 'upgrade\\{name}\\{node.name}'")
    return "powershell", lines, "In the folder of the spec"


def _close(farm: Farm, vendors: Sequence[str]) -> Step:
    code_blocks = [block for vendor in vendors for block in _load(farm, vendor, "closed")]
    undo = [block for vendor in vendors for block in _load(farm, vendor, "")]
    http = farm.frontend.tls.mode != "passthrough"
    answer = "answers 503 with Retry-After and a page" if http else "closes connections"
    return Step(
        "Close the farm at the balancer",
        [f"From here on, the balancer {answer}, and sends no request to a node. Open WebSockets are closed."],
        "`sh smoke.sh closed` reports no failure.",
        "load the configuration of normal operation again.",
        [*code_blocks, *blocks(("sh", ["sh smoke.sh closed"]))],
        undo,
    )


def _load(farm: Farm, vendor: str, state: str) -> list[CodeBlock]:
    """Return the commands that load a vendor's configuration in a state; an empty state is normal operation."""
    made = generator(vendor)
    spec = f"{farm.farm}-{state}.yaml" if state else "farm.yaml"
    if made.hosting is None:
        return blocks(("sh", [f"nlbgen push {vendor} -s {spec}"], f"{made.title}: in the folder of the spec"))
    folder = f"upgrade/{vendor}/{state}" if state else f"outputs/{vendor}"
    commands = [line.replace("FILE", f"{folder}/{made.hosting.main}") for line in made.hosting.load_commands]
    return blocks(("sh", commands, f"{made.title}: on each balancer, with the file copied there"))


def _stop(farm: Farm, vendors: Sequence[str]) -> Step:
    lines = ["Stop all nodes. They also stay stopped if the installer restarts Windows."]
    hosted = [made.hosting for made in map(generator, vendors) if made.hosting is not None]
    lines += [hosting.stop_note for hosting in hosted if hosting.stop_note]
    return Step(
        "Stop all nodes",
        lines,
        "the script reports on each node that the site and its pools are stopped.",
        "start the nodes again, then open the farm as in the rollback of step 3.",
        _on(farm.nodes, "Stop"),
        _on(farm.nodes, "Start"),
    )


def _database(farm: Farm) -> Step:
    database = farm.stores.database
    where = f"{code(database.name)} on {code(database.server)}" if database else "of Orchestrator"
    name = "" if database is None else "[" + database.name.replace("]", "]]") + "]"
    backup = [f"BACKUP DATABASE {name} TO DISK = N'before-upgrade.bak' WITH COPY_ONLY, CHECKSUM;"] if name else []
    return Step(
        "Back up the database",
        [
            (
                f"Back up the database {where}, and those of Identity, Webhooks and Insights if they have their own. "
                "No node writes to them now. The installer changes their tables, so this backup is the only rollback."
            ),
        ],
        "`RESTORE VERIFYONLY` accepts the backup.",
        "none is needed: nothing was changed. Start the nodes and open the farm.",
        blocks(("sql", backup)),
    )


def _install(farm: Farm, nodes: Sequence[Node], which: str) -> Step:
    secondary = farm.primary not in nodes
    lines = [
        f"Run the installer of the new version on {_names(nodes)}, one node after the other."
        if secondary
        else f"Run the installer of the new version on {_names(nodes)}. It upgrades the database as well.",
        "If the installer starts the site, stop it again: no request may reach a node before its settings are right.",
    ]
    return Step(
        f"Upgrade {which}",
        lines,
        "the installer reports no error, and Apps & Features shows the new version.",
        "restore the database from step 5, install the old version, and put the snapshot back: copy "
        f"{code(_BEFORE)} to {code(_CORRECTED)} and run the action PutBack.",
        _on(nodes, "Stop"),
        _on(nodes, "PutBack", "Start"),
    )


def _settings(farm: Farm, nodes: Sequence[Node]) -> Step:
    spec = f"{farm.farm}-compare-first.yaml" if farm.primary in nodes else f"{farm.farm}-compare.yaml"
    back = [
        f"Copy-Item -Recurse -LiteralPath 'upgrade\\after\\{node.name}' "
        + literal(share(node.address, f"{FOLDER}\\corrected"))
        for node in nodes
    ]
    return Step(
        f"Compare the settings of {_names(nodes)} and put them back",
        [
            (
                "The script copies the settings that the installer wrote. `nlbgen nodes plan` compares them with the "
                "spec and with the keys of the snapshot, and `nlbgen nodes apply` corrects the copies. It changes only "
                "these values: new settings of the new version stay."
            ),
        ],
        "`nlbgen nodes audit` reports no difference for these nodes, and the script prints the digests of the files.",
        "the dated backups beside the corrected copies are the files that the installer wrote.",
        [
            *_on(nodes, "Collect"),
            *blocks(_copies(nodes, "after")),
            *blocks(("sh", [f"nlbgen nodes plan -s {spec}", f"nlbgen nodes apply -s {spec}"])),
            *blocks(("powershell", back, "In the folder of the spec")),
            *_on(nodes, "PutBack"),
        ],
    )


def _start(nodes: Sequence[Node]) -> Step:
    return Step(
        f"Start {_names(nodes)} and test",
        ["The farm stays closed: the test sends its requests to the nodes themselves."],
        "the smoke test reports no failure. Also sign in on the node itself, and read an asset: this needs the keys.",
        "stop the nodes. Correct the settings, or go back as in the step of the installation.",
        [*_on(nodes, "Start"), *blocks(("sh", [f"sh smoke.sh {node.name}" for node in nodes]))],
        _on(nodes, "Stop"),
    )


def _audit(farm: Farm) -> Step:
    return Step(
        "Compare all nodes with the snapshot",
        ["Before the release, all nodes have the same settings, and the keys of the snapshot."],
        "`nlbgen nodes audit` exits with 0, and the smoke test reports no failure.",
        "correct the settings of the node that differs, as in the step of its settings.",
        blocks(("sh", [f"nlbgen nodes audit -s {farm.farm}-compare.yaml", "sh smoke.sh nodes"])),
    )


def _release(farm: Farm, vendors: Sequence[str], states: Collection[tuple[str, str]]) -> Step:
    gradual = [vendor for vendor in vendors if (vendor, "releasing") in states]
    rate = farm.balancer.maintenance.robots_per_second
    lines = ["Open the farm."]
    if gradual:
        robots = farm.orchestrator.robots
        time = f": {-(-robots // rate)} s for {robots} robots" if robots else ""
        lines.append(
            f"First load the configuration that lets {rate} robots connect in each second{time}. When the number "
            "of connections no longer increases, load the configuration of normal operation; it closes no "
            "connection."
        )
    if missing := [vendor for vendor in vendors if vendor not in gradual]:
        titles = " and ".join(generator(vendor).title for vendor in missing)
        lines.append(f"{titles} cannot limit new connections: all robots connect at once.")
    first = [block for vendor in gradual for block in _load(farm, vendor, "releasing")]
    normal = [block for vendor in vendors for block in _load(farm, vendor, "")]
    return Step(
        "Release the farm",
        lines,
        "`sh smoke.sh open` reports no failure, and the robots show as connected.",
        "close the farm again, as in step 3.",
        [*first, *normal, *blocks(("sh", ["sh smoke.sh open", "nlbgen probe"]))],
        [block for vendor in vendors for block in _load(farm, vendor, "closed")],
    )
