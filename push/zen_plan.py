"""From what a device has to the changes and the steps towards what the spec wants.

The order keeps a serving farm serving: certificate and check first, then settings, new nodes before old ones go, and
a restart when everything is written. What cannot be undone (a farm that is not wanted any more) comes last.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..errors import DeviceError
from ..generators.zen_calls import (
    Call,
    backend_settings,
    create,
    guardian_settings,
    http_settings,
    l4_settings,
    maintenance,
    old_guardian_settings,
    place,
    service_settings,
)
from ..generators.zen_objects import HEADER, Backend, Guardian, HttpFarm, L4Farm, Objects
from ..generators.zen_products import Generation
from ..plan import Change, Plan, Shown
from .zen_state import PENDING, Device, Node, State, kind, partners, same, text, typed
from .zen_steps import (
    AddNode,
    ChangeNode,
    CreateFarm,
    GiveCertificate,
    Maintain,
    RemoveNode,
    Restart,
    Send,
    Step,
    Upload,
)


class Certificate(NamedTuple):
    """The certificate that the farm should have: its name on the device, and its PEM where it is to be uploaded."""

    name: str
    pem: bytes | None

    def __repr__(self) -> str:
        return f"Certificate({self.name})"


class Wishes(NamedTuple):
    """What the command line allows."""

    adopt: bool = False
    prune: bool = False
    force: bool = False


@dataclass
class Work:
    """A plan in the making: what changes, in which steps, and what a reader should know besides."""

    target: str
    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    restarts: list[Step] = field(default_factory=list)
    last: list[Step] = field(default_factory=list)
    """What comes after the new farm serves: it is not undone."""
    notes: list[str] = field(default_factory=list)

    def change(self, path: str, old: str | None, new: str | None) -> None:
        """One more line of the plan."""
        self.changes.append(
            Change(self.target, path, None if old is None else Shown(old), None if new is None else Shown(new))
        )

    def plan(self, state: State) -> Plan:
        """The plan, and the state that it was made on."""
        return Plan(self.changes, {self.target: state.digest}, [self.target])


class Planner:
    """Compares one state with the objects of one spec."""

    def __init__(
        self,
        target: str,
        objects: Objects,
        state: State,
        generation: Generation,
        certificate: Certificate,
        wishes: Wishes,
    ) -> None:
        self.work: Final = Work(target)
        self.objects: Final = objects
        self.state: Final = state
        self.generation: Final = generation
        self.certificate: Final = certificate
        self.wishes: Final = wishes
        self._old_api: Final = generation.api_version == "v3.1"

    def run(self) -> Work:
        """Everything planned; raises DeviceError where a guard holds it back."""
        self._upload()
        guardian = self.objects.main.guardian
        if guardian is not None and not self._old_api:
            self._guardian(guardian)
        for farm in self.objects.farms:
            self._farm(farm)
        self._unwanted_redirect()
        return self.work

    def _upload(self) -> None:
        """Before everything else, so that it is the last to be taken back: a certificate in use cannot be removed."""
        farm, (name, pem) = self.objects.main, self.certificate
        found = self.state.farms.get(farm.name)
        if pem is None or not isinstance(farm, HttpFarm) or not farm.tls:
            return
        if found is None or name not in found.certificates:
            self.work.steps.append(Upload(f"upload {name}", name, pem))

    # The check of the nodes.

    def _guardian(self, guardian: Guardian) -> None:
        found = self.state.guardian
        wanted = guardian_settings(guardian)
        at = f"/monitoring/fg/{guardian.name}"
        label = f"guardians/{guardian.name}"
        if found is None:
            self.work.change(label, None, guardian.command)
            back = Call("DELETE", at, {})
            self.work.steps.append(
                Send(
                    f"create the check {guardian.name}",
                    Call("POST", "/monitoring/fg", {"name": guardian.name}),
                    (back,),
                )
            )
            self.work.steps.append(Send(f"set the check {guardian.name}", Call("PUT", at, wanted)))
            return
        changed = self._differences(label, found, wanted)
        if changed:
            # A check that holds nothing yet was made by a push that was cut off before it could mark it.
            blank = not found.get("command") and not found.get("description")
            self._own(f"the check {guardian.name}", blank or self.state.marked(self.objects.main.name))
            # A device refuses another command for a check that runs, unless it is told that this is meant.
            forced = {"force": "true"} if "command" in changed else {}
            self._put(f"change the check {guardian.name}", at, {**changed, **forced}, {**found, **forced}, wanted)

    # Farms.

    def _farm(self, farm: HttpFarm | L4Farm) -> None:
        found = self.state.farms.get(farm.name)
        before = len(self.work.changes)
        new = found is None
        if found is None:
            found = self._create(farm)
        elif found.layer4 != isinstance(farm, L4Farm):
            raise DeviceError(
                f"{self.work.target}: the farm {farm.name} is there and is not {kind(farm)}",
                "remove it, or rename it, in the device's own pages; its kind cannot be changed",
            )
        else:
            self._address(farm, found)
        if isinstance(farm, HttpFarm):
            self._http(farm, found)
        else:
            self._settings(farm.name, found, l4_settings(farm, self.generation))
        written = self._nodes(farm, found, new=new)
        written |= self._link(farm, found)
        written |= len(self.work.changes) > before
        self._restart(farm, found, written=written, new=new)
        self._states(farm, found)
        if not new and len(self.work.changes) > before:
            ours = self._is_ours(farm, found)
            if not ours and self.state.marked(farm.name) and not self.wishes.adopt and _is_half_built(farm, found):
                # Nobody can tell it from one that another push is making right now, which must not be taken from it.
                raise DeviceError(
                    f"{self.work.target}: the farm {farm.name} is there and does not carry nlbgen's mark; it holds "
                    "nothing but what the spec wants, as after a push that was cut off",
                    "if no other push is running, complete it with --adopt",
                )
            self._own(f"the farm {farm.name}", ours)

    def _create(self, farm: HttpFarm | L4Farm) -> Device:
        other = self.state.taken.get((farm.vip, str(farm.port)))
        if other is not None:
            raise DeviceError(
                f"{self.work.target}: the farm {other} has the address {farm.vip}:{farm.port} already",
                f"remove it, or give it the name {farm.name} and push with --adopt",
            )
        self.work.change(f"farms/{farm.name}", None, f"{kind(farm)} at {farm.vip}:{farm.port}")
        self.work.steps.append(CreateFarm(f"create the farm {farm.name}", create(farm), (), farm.name))
        return Device(farm.name, isinstance(farm, L4Farm), "", {}, (), (), {}, "", {}, ())

    def _address(self, farm: HttpFarm | L4Farm, found: Device) -> None:
        self._settings(farm.name, found, {"vip": farm.vip, "vport": farm.port})

    def _is_ours(self, farm: HttpFarm | L4Farm, found: Device) -> bool:
        main = self.objects.main
        if isinstance(farm, HttpFarm) and farm.redirect:
            service = found.services.get(farm.service, {})
            if service.get("redirect") == farm.redirect:
                return True
        guardian = main.guardian
        linked = self.state.farms.get(main.name)
        return bool(guardian and linked and linked.guardian == guardian.name and self.state.marked(main.name))

    def _own(self, what: str, ours: bool) -> None:
        if not ours and not self.wishes.adopt:
            raise DeviceError(
                f"{self.work.target}: {what} is there and does not carry nlbgen's mark",
                "compare it with `--dry-run --adopt`, then push with --adopt to take it over; or rename the farm",
            )

    def _http(self, farm: HttpFarm, found: Device) -> None:
        self._settings(farm.name, found, {"listener": "https" if farm.tls else "http"}, default="http")
        if farm.tls:
            self._certificate(farm, found)
        self._settings(farm.name, found, http_settings(farm))
        at = f"/farms/{farm.name}"
        if farm.tls and HEADER not in found.headers:
            self.work.change(f"farms/{farm.name}/addheader", None, HEADER)
            back = (Call("DELETE", f"{at}/addheader/{len(found.headers)}", {}),) if found.settings else ()
            self.work.steps.append(Send(f"add {HEADER}", Call("POST", f"{at}/addheader", {"header": HEADER}), back))
        self._service(farm, found)

    def _certificate(self, farm: HttpFarm, found: Device) -> None:
        name = self.certificate.name
        if name in found.certificates:
            return
        old = found.certificates[0] if found.certificates else None
        if self.certificate.pem is None:
            self.work.notes.append(f"the device must have {name} already; to upload one, name it as zen.certificate")
        self.work.change(f"farms/{farm.name}/certificate", old, name)
        at = f"/farms/{farm.name}/certificates"
        back = (Call("POST", at, {"file": old}),) if old else ()
        what = f"give {name} to the farm {farm.name}"
        self.work.steps.append(GiveCertificate(what, Call("POST", at, {"file": name}), back))
        if old:
            self.work.notes.append(f"the certificate {old} stays on the device")

    def _service(self, farm: HttpFarm, found: Device) -> None:
        at = f"/farms/{farm.name}/services"
        label = f"farms/{farm.name}/services/{farm.service}"
        service = found.services.get(farm.service)
        if service is None:
            self.work.change(label, None, "a service")
            back = (Call("DELETE", f"{at}/{farm.service}", {}),) if found.settings else ()
            what = f"create the service {farm.service}"
            self.work.steps.append(Send(what, Call("POST", at, {"id": farm.service}), back))
        wanted = service_settings(farm)
        changed = self._differences(label, service or {}, wanted)
        if changed:
            self._put(f"set the service {farm.service}", f"{at}/{farm.service}", changed, service or {}, wanted)
        for other in found.services.keys() - {farm.service}:
            self.work.notes.append(f"the farm {farm.name} has a service besides, which nlbgen leaves alone: {other}")

    def _settings(self, name: str, found: Device, wanted: Mapping[str, Any], default: str = "") -> None:
        old = dict(found.settings)
        if not old and default:
            old = dict.fromkeys(wanted, default)
        changed = self._differences(f"farms/{name}", old, wanted)
        if changed:
            what = f"set {', '.join(sorted(changed))} of the farm {name}"
            self._put(what, f"/farms/{name}", changed, found.settings, wanted)

    def _differences(self, label: str, found: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that are not as wanted; each becomes a line of the plan."""
        changed = {}
        for name, value in wanted.items():
            old = found.get(name, "")
            if same(name, old, text(value)):
                continue
            changed[name] = value
            self.work.change(f"{label}/{name}", old or None, text(value) or "(none)")
        return changed

    def _put(
        self, what: str, at: str, changed: Mapping[str, Any], found: Mapping[str, str], wanted: Mapping[str, Any]
    ) -> None:
        changed = {**changed, **partners(changed, wanted)}
        old = {name: found[name] for name in changed if name in found}
        if old.get("ciphers", "customsecurity") != "customsecurity":
            old.pop("cipherc", None)  # the other choices have ciphers of their own
        back = (Call("PUT", at, typed(old, changed)),) if old else ()
        self.work.steps.append(Send(what, Call("PUT", at, dict(changed)), back))

    # Nodes.

    def _nodes(self, farm: HttpFarm | L4Farm, found: Device, *, new: bool) -> bool:
        service = farm.service if isinstance(farm, HttpFarm) else ""
        have: dict[str, list[Node]] = {}
        for node in found.nodes:
            have.setdefault(node.endpoint, []).append(node)
        wanted = {f"{one.ip}:{one.port}": one for one in farm.backends}
        before = len(self.work.steps)
        for endpoint, one in wanted.items():
            if endpoint in have:
                self._node(farm, service, one, have[endpoint][0])
            else:
                self.work.change(f"farms/{farm.name}/nodes/{endpoint}", None, f"{one.name}, weight {one.weight}")
                body = backend_settings(farm, one)
                self.work.steps.append(AddNode(f"add {endpoint} to {farm.name}", farm.name, service, endpoint, body))
        removed = self._extra(farm, service, have, Counter(wanted.keys()))
        if not new:
            self._keep_half(farm, found, removed)
        return len(self.work.steps) > before

    def _node(self, farm: HttpFarm | L4Farm, service: str, one: Backend, node: Node) -> None:
        wanted = backend_settings(farm, one)
        label = f"farms/{farm.name}/nodes/{node.endpoint}"
        if isinstance(farm, HttpFarm) and (node.settings.get("priority") == "2") != one.backup:
            # A backup is another kind of block in the farm's file: it is written anew.
            self.work.change(f"{label}/priority", node.settings.get("priority") or "1", "2" if one.backup else "1")
            old = node.body()
            where = (farm.name, service, node.endpoint)
            self.work.steps.append(RemoveNode(f"remove {node.endpoint} from {farm.name}", *where, old))
            self.work.steps.append(AddNode(f"add {node.endpoint} to {farm.name}", *where, wanted))
            return
        compared = {name: value for name, value in wanted.items() if name in {"weight", "timeout", "priority"}}
        if one.backup:
            compared.pop("weight")  # a backup of Relianoid has none
        changed = self._differences(label, node.settings, compared)
        if changed:
            old = typed({name: node.settings[name] for name in changed if name in node.settings}, changed)
            self.work.steps.append(
                ChangeNode(f"change {node.endpoint} of {farm.name}", farm.name, service, node.endpoint, changed, old)
            )

    def _extra(
        self, farm: HttpFarm | L4Farm, service: str, have: Mapping[str, list[Node]], wanted: Mapping[str, int]
    ) -> list[Node]:
        removed = []
        for endpoint, nodes in have.items():
            for number, node in enumerate(nodes[wanted.get(endpoint, 0) :]):
                what = "twice in the device" if endpoint in wanted else "not in the spec"
                if not self.wishes.prune:
                    self.work.notes.append(f"{endpoint} of the farm {farm.name} is {what}: --prune removes it")
                    continue
                removed.append(node)
                self.work.change(f"farms/{farm.name}/nodes/{endpoint}", f"id {node.id}", None)
                self.work.steps.append(
                    RemoveNode(
                        f"remove {endpoint} from {farm.name}",
                        farm.name,
                        service,
                        endpoint,
                        node.body(),
                        len(nodes) - number,
                    )
                )
        return removed

    def _keep_half(self, farm: HttpFarm | L4Farm, found: Device, removed: list[Node]) -> None:
        """More than half of the nodes that serve may not go in one push."""
        serving = [node for node in found.nodes if not node.maintenance]
        out = {f"{one.ip}:{one.port}" for one in farm.backends if one.state != "up"}
        gone = [node for node in serving if node in removed or node.endpoint in out]
        if 2 * len(gone) > len(serving) and not self.wishes.force:
            raise DeviceError(
                f"{self.work.target}: {len(gone)} of {len(serving)} nodes that serve in {farm.name} would go at once",
                "push in two goes, or with --force",
            )

    def _states(self, farm: HttpFarm | L4Farm, found: Device) -> None:
        have = {node.endpoint: node.maintenance for node in found.nodes}
        service = farm.service if isinstance(farm, HttpFarm) else ""
        for one in farm.backends:
            endpoint = f"{one.ip}:{one.port}"
            out = have.get(endpoint, False)
            if out == (one.state != "up"):
                continue
            self.work.change(f"farms/{farm.name}/nodes/{endpoint}/state", "maintenance" if out else "up", one.state)
            what = f"{one.state}: {endpoint} of {farm.name}"
            self.work.last.append(Maintain(what, farm.name, service, endpoint, maintenance(one)))

    # The rest.

    def _link(self, farm: HttpFarm | L4Farm, found: Device) -> bool:
        guardian = farm.guardian
        if guardian is None:
            return False
        if self._old_api:
            return self._old_guardian(farm, found, guardian)
        if found.guardian == guardian.name:
            return False
        at = f"{place(farm)}/fg"
        self.work.change(f"farms/{farm.name}/guardian", found.guardian or None, guardian.name)
        if found.guardian:
            again = Call("POST", at, {"name": found.guardian})
            what = f"detach the check {found.guardian} from {farm.name}"
            self.work.steps.append(Send(what, Call("DELETE", f"{at}/{found.guardian}", {}), (again,)))
        what = f"attach the check {guardian.name} to {farm.name}"
        back = (Call("DELETE", f"{at}/{guardian.name}", {}),) if found.settings else ()
        self.work.steps.append(Send(what, Call("POST", at, {"name": guardian.name}), back))
        return True

    def _old_guardian(self, farm: HttpFarm | L4Farm, found: Device, guardian: Guardian) -> bool:
        service = farm.service if isinstance(farm, HttpFarm) else ""
        wanted = old_guardian_settings(guardian, service)
        compared = {name: value for name, value in wanted.items() if name != "service"}
        changed = self._differences(f"farms/{farm.name}/guardian", found.old_guardian, compared)
        if not changed:
            return False
        old = {**({"service": service} if service else {}), **found.old_guardian}
        if not old.get("fgscript"):  # there was none, and the API takes no empty command: it is switched off
            old.pop("fgscript", None)
        undo = Call("PUT", f"/farms/{farm.name}/fg", typed(old, wanted))
        back = (undo,) if found.old_guardian else ()
        self.work.steps.append(
            Send(f"set the check of {farm.name}", Call("PUT", f"/farms/{farm.name}/fg", wanted), back)
        )
        return True

    def _restart(self, farm: HttpFarm | L4Farm, found: Device, *, written: bool, new: bool) -> None:
        pending = found.status in {PENDING, "down"}
        if pending and not written:
            self.work.change(f"farms/{farm.name}/status", found.status, "restarted")
        # A farm of nftlb takes its settings at once; a restart would only cut its connections.
        needed = new or pending or (written and isinstance(farm, HttpFarm))
        if needed:
            ran = found.status != "down"
            self.work.restarts.append(Restart(f"restart the farm {farm.name}", farm.name, existed=not new, ran=ran))

    def _unwanted_redirect(self) -> None:
        name = f"{self.objects.main.name}-http"
        if self.objects.redirect is not None or name not in self.state.farms:
            return
        if not self.wishes.prune or not self.state.marked(self.objects.main.name):
            self.work.notes.append(f"the farm {name} is not in the spec: --prune removes it, if it is nlbgen's")
            return
        self.work.change(f"farms/{name}", "a farm", None)
        self.work.last.append(Send(f"remove the farm {name}", Call("DELETE", f"/farms/{name}", {})))


def _is_half_built(farm: HttpFarm | L4Farm, found: Device) -> bool:
    """Whether a farm may be what a push left that was cut off before it could attach the check."""
    settings = {"vip": farm.vip, "vport": str(farm.port)}
    wanted = {f"{one.ip}:{one.port}" for one in farm.backends}
    service = {farm.service} if isinstance(farm, HttpFarm) else set()
    return (
        not found.guardian
        and all(found.settings.get(name) == value for name, value in settings.items())
        and found.services.keys() <= service
        and {node.endpoint for node in found.nodes} <= wanted
    )
