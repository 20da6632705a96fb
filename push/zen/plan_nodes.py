"""The nodes of one farm on a Zen device: which are added, changed, removed, drained."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from ...core.errors import DeviceError
from ...generators.zen.calls import backend_settings, maintenance
from ...generators.zen.objects import Backend, HttpFarm, L4Farm
from ..contract import Options
from .draft import Draft
from .state import BackendState, FarmState, typed
from .steps import AddNode, ChangeNode, Maintain, RemoveNode


class NodePlanner:
    """Compares the nodes that a device has in one farm with those of the spec."""

    def __init__(self, work: Draft, options: Options, farm: HttpFarm | L4Farm) -> None:
        self.work: Final = work
        self.options: Final = options
        self.farm: Final = farm
        self.service: Final = farm.service if isinstance(farm, HttpFarm) else ""

    def run(self, found: FarmState, *, new: bool) -> bool:
        """Plan the nodes; return whether the farm changes.

        Raises DeviceError if most of the serving nodes would be removed.
        """
        have: dict[str, list[BackendState]] = {}
        for node in found.nodes:
            have.setdefault(node.endpoint, []).append(node)
        wanted = {f"{one.ip}:{one.port}": one for one in self.farm.backends}
        before = len(self.work.steps)
        for endpoint, one in wanted.items():
            if endpoint in have and self._is_other_kind(one, have[endpoint][0]):
                self._replace(one, have.pop(endpoint))
            elif endpoint in have:
                self._node(one, have[endpoint][0])
            else:
                self.work.change(f"farms/{self.farm.name}/nodes/{endpoint}", None, f"{one.name}, weight {one.weight}")
                body = backend_settings(self.farm, one)
                self.work.steps.append(
                    AddNode(f"add {endpoint} to {self.farm.name}", self.farm.name, self.service, endpoint, body)
                )
        removed = self._extra(have, Counter(wanted.keys()))
        if not new:
            self._keep_half(found, removed)
        return len(self.work.steps) > before

    def _is_other_kind(self, one: Backend, node: BackendState) -> bool:
        """Whether one of the two is a backup node: in an HTTP farm it is another kind of block in the farm's file."""
        return isinstance(self.farm, HttpFarm) and (node.settings.get("priority") == "2") != one.backup

    def _replace(self, one: Backend, nodes: list[BackendState]) -> None:
        """Remove a node, with its duplicates, and add it as the other kind; duplicates are removed only by --prune."""
        endpoint, number = nodes[0].endpoint, len(nodes)
        if number > 1 and not self.options.prune:
            self.work.notes.append(self._duplicated(endpoint))
            return
        label = f"farms/{self.farm.name}/nodes/{endpoint}"
        old, new = nodes[0].settings.get("priority") or "1", "2" if one.backup else "1"
        self.work.change(f"{label}/priority", old, new)
        where = (self.farm.name, self.service, endpoint)
        for before, node in sorted(enumerate(nodes, 1), reverse=True, key=lambda item: item[0]):
            if before > 1:
                self.work.change(label, f"id {node.id}", None)
            removal = RemoveNode(f"remove {endpoint} from {self.farm.name}", *where, node.body(), before)
            self.work.steps.append(removal)
        body = backend_settings(self.farm, one)
        self.work.steps.append(AddNode(f"add {endpoint} to {self.farm.name}", *where, body))

    def _duplicated(self, endpoint: str) -> str:
        return f"{endpoint} of the farm {self.farm.name} is duplicated on the device: --prune removes it"

    def _node(self, one: Backend, node: BackendState) -> None:
        wanted = backend_settings(self.farm, one)
        label = f"farms/{self.farm.name}/nodes/{node.endpoint}"
        compared = {name: value for name, value in wanted.items() if name in {"weight", "timeout", "priority"}}
        if one.backup:
            compared.pop("weight")  # a backup node of Relianoid has no weight
        changed = self.work.differences(label, node.settings, compared)
        if changed:
            old = typed({name: node.settings[name] for name in changed if name in node.settings}, changed)
            self.work.steps.append(
                ChangeNode(
                    f"change {node.endpoint} of {self.farm.name}",
                    self.farm.name,
                    self.service,
                    node.endpoint,
                    changed,
                    old,
                )
            )

    def _extra(self, have: Mapping[str, list[BackendState]], wanted: Mapping[str, int]) -> list[BackendState]:
        removed = []
        for endpoint, nodes in have.items():
            for number, node in enumerate(nodes[wanted.get(endpoint, 0) :]):
                if not self.options.prune:
                    absent = f"{endpoint} of the farm {self.farm.name} is not in the spec: --prune removes it"
                    self.work.notes.append(self._duplicated(endpoint) if endpoint in wanted else absent)
                    continue
                removed.append(node)
                self.work.change(f"farms/{self.farm.name}/nodes/{endpoint}", f"id {node.id}", None)
                self.work.steps.append(
                    RemoveNode(
                        f"remove {endpoint} from {self.farm.name}",
                        self.farm.name,
                        self.service,
                        endpoint,
                        node.body(),
                        len(nodes) - number,
                    )
                )
        return removed

    def _keep_half(self, found: FarmState, removed: list[BackendState]) -> None:
        """Raise DeviceError if more than half of the serving nodes would be removed in one push."""
        serving = [node for node in found.nodes if not node.maintenance]
        out = {f"{one.ip}:{one.port}" for one in self.farm.backends if one.state != "up"}
        gone = [node for node in serving if node in removed or node.endpoint in out]
        if 2 * len(gone) > len(serving) and not self.options.force:
            raise DeviceError(
                f"{self.work.target}: {len(gone)} of {len(serving)} nodes that serve in {self.farm.name} would stop "
                "serving at the same time",
                "stop fewer nodes in one push; if you want to stop all of them at once, use --force",
            )

    def states(self, found: FarmState) -> None:
        """Plan the maintenance states: which nodes are drained, disabled, or enabled."""
        have = {node.endpoint: node.maintenance for node in found.nodes}
        for one in self.farm.backends:
            endpoint = f"{one.ip}:{one.port}"
            out = have.get(endpoint, False)
            if out == (one.state != "up"):
                continue
            self.work.change(
                f"farms/{self.farm.name}/nodes/{endpoint}/state", "maintenance" if out else "up", one.state
            )
            what = f"{one.state}: {endpoint} of {self.farm.name}"
            self.work.last.append(Maintain(what, self.farm.name, self.service, endpoint, maintenance(one)))
