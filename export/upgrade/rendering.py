"""Render the files of an upgrade window.

The configurations are those of the vendors' own generators, for the farm in another state of maintenance. The specs are
variants of the farm's own spec, for commands that read a spec: a push, and the comparison with the snapshot.
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from ...core import templating
from ...core.artifacts import Artifact, made_by
from ...core.errors import UnsupportedError
from ...generators.base import VENDORS, Generator, generator, render
from ...nodes import powershell, service_settings
from ...nodes.config.effective import main_file
from ...spec.load import Spec
from ..window import WINDOW, data_in_state, in_state
from . import steps

SCRIPT: Final = "upgrade-node.ps1"
SMOKE: Final = "smoke.sh"


class Variant(NamedTuple):
    """The farm of a vendor in one state of maintenance."""

    vendor: Generator
    state: str
    spec: Spec
    files: tuple[Artifact, ...]
    """The files that a program on hosts loads; empty for a device, which gets the spec by a push."""


def render_upgrade(spec: Spec) -> list[Artifact]:
    """Return the files in the order of their paths, below the folder `upgrade`.

    Raises UnsupportedError if a vendor that the spec names does not support the farm.
    """
    found = variants(spec)
    made = [
        _runbook(spec, found),
        _text(spec, SCRIPT, "upgrade/upgrade-node.ps1.j2", _script_view(spec)),
        _text(spec, SMOKE, "upgrade/smoke.sh.j2", _smoke_view(spec)),
        *_compared(spec),
    ]
    for variant in found:
        if variant.files:
            made += [file.below(PurePosixPath(variant.vendor.name) / variant.state) for file in variant.files]
        else:
            # Its paths are relative to the spec's own folder.
            data = data_in_state(_data(spec), variant.state)
            made.append(Artifact(PurePosixPath("specs") / _spec_name(spec, variant.state), _spec_file(spec, data)))
    unique = {file.path: file for file in made}
    return [unique[path] for path in sorted(unique)]


def variants(spec: Spec) -> list[Variant]:
    """Return the farm of each vendor in each state that the vendor supports.

    The vendors are those that the spec names, or all that support the farm.
    """
    named = [name for name in VENDORS if name in spec.farm.written]
    found: list[Variant] = []
    for vendor in map(generator, named or VENDORS):
        for state in WINDOW:
            changed = spec._replace(farm=in_state(spec.farm, state))
            if state == "releasing" and vendor.lacks("gradual-release", vendor.version(spec.farm)) is not None:
                continue
            try:
                files = render(vendor, changed)
            except UnsupportedError:
                if named:
                    raise
                break
            main = tuple(file for file in files if file.main) if vendor.hosting is not None else ()
            found.append(Variant(vendor, state, changed, main))
    return found


def _spec_name(spec: Spec, state: str) -> str:
    return f"{spec.farm.farm}-{state}.yaml"


def _data(spec: Spec) -> dict[str, Any]:
    # Copy through text: otherwise a change of a value would also change its YAML aliases.
    data: dict[str, Any] = json.loads(json.dumps(spec.document.data))
    return data


def _compared(spec: Spec) -> Iterator[Artifact]:
    """Yield the specs with the nodes' files after the upgrade and the keys of the snapshot.

    One has only the first node's files: the others are upgraded later.
    """
    farm = spec.farm
    for name, nodes in (("compare", farm.nodes), ("compare-first", (farm.primary,))):
        data = _data(spec)
        chosen = {node.name for node in nodes}
        for node in data["nodes"]:
            node.pop("config", None)
            if node["name"] in chosen:
                node["config"] = f"upgrade/after/{node['name']}"
        data["keys"] = {"from": f"upgrade/before/{farm.primary.name}/{main_file(farm.orchestrator)}"}
        yield Artifact(PurePosixPath("specs") / _spec_name(spec, name), _spec_file(spec, data))


def _spec_file(spec: Spec, data: dict[str, Any]) -> bytes:
    lines = (f"The farm {spec.farm.farm} during its upgrade", *made_by("render upgrade", spec.digest))
    head = "".join(f"# {line}\n" for line in lines)
    return (head + json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _text(spec: Spec, name: str, template: str, view: dict[str, Any]) -> Artifact:
    what = f"Upgrade of the farm {spec.farm.farm}"
    content = templating.render(template, {"header": [what, *made_by("render upgrade", spec.digest)], **view})
    return Artifact(PurePosixPath(name), powershell.script(content) if name.endswith(".ps1") else content)


def _runbook(spec: Spec, found: list[Variant]) -> Artifact:
    farm = spec.farm
    states = {(variant.vendor.name, variant.state) for variant in found}
    names = list(dict.fromkeys(variant.vendor.name for variant in found))
    view = {
        "farm": farm.farm,
        "nodes": [{"name": node.name, "address": node.address} for node in farm.nodes],
        "url": steps.url(farm),
        "steps": list(steps.steps(farm, names, states)),
        "secrets": f"upgrade/before, upgrade/after and {steps.FOLDER}",
    }
    return _text(spec, "UPGRADE.md", "upgrade/UPGRADE.md.j2", view)


def _script_view(spec: Spec) -> dict[str, Any]:
    farm = spec.farm
    files = [main_file(farm.orchestrator)]
    files += [name.replace("/", "\\") for name in service_settings.files_of(farm.orchestrator)]
    return {
        "directory": powershell.literal(farm.orchestrator.directory),
        "site": powershell.literal(farm.orchestrator.site),
        "folder": powershell.literal(steps.FOLDER),
        "files": ", ".join(map(powershell.literal, files)),
    }


def _smoke_view(spec: Spec) -> dict[str, Any]:
    farm = spec.farm
    return {
        "scheme": "https" if farm.node_tls else "http",
        "front_scheme": "http" if farm.frontend.tls.mode == "none" else "https",
        "host": shlex.quote(farm.frontend.host),
        "port": farm.frontend.port,
        "expect": farm.balancer.health.expect,
        "paths": " ".join(farm.health_paths or ("/",)),
        "nodes": list(_endpoints(spec)),
        "shows_page": farm.frontend.tls.mode != "passthrough",
    }


def _endpoints(spec: Spec) -> Iterator[dict[str, str]]:
    for node in spec.farm.nodes:
        address = f"[{node.address}]" if ":" in node.address else node.address
        yield {"name": shlex.quote(node.name), "endpoint": shlex.quote(f"{address}:{spec.farm.port_of(node)}")}
