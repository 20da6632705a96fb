"""Compare a device with the spec: the changes, and the steps for them.

With this order, a serving farm continues to serve: first the certificate and the check, then settings, then new nodes
before old nodes are removed, and a restart after all changes. The last step is one that cannot be undone: the removal
of a farm that is no longer in the spec.
"""

from collections.abc import Mapping
from typing import Any, Final

from ...core.errors import DeviceError
from ...generators.zen.calls import (
    Call,
    create,
    guardian_settings,
    http_settings,
    l4_settings,
    location,
    old_guardian_settings,
    service_settings,
)
from ...generators.zen.objects import (
    HEADER,
    REMOVED,
    Guardian,
    HttpFarm,
    L4Farm,
    Objects,
    guardian_name,
    redis_name,
)
from ...generators.zen.products import Generation
from ..contract import Options
from .draft import Certificate, Draft
from .plan_nodes import NodePlanner
from .state import PENDING, FarmState, State, kind, typed
from .steps import CreateFarm, GiveCertificate, Restart, Send, Upload


class Planner:
    """Compares one state with the objects of one spec."""

    def __init__(
        self,
        target: str,
        objects: Objects,
        state: State,
        generation: Generation,
        certificate: Certificate,
        options: Options,
    ) -> None:
        self.work: Final = Draft(target)
        self.objects: Final = objects
        self.state: Final = state
        self.generation: Final = generation
        self.certificate: Final = certificate
        self.options: Final = options
        self._old_api: Final = generation.api_version == "v3.1"

    def run(self) -> Draft:
        """Return the complete plan; raises DeviceError if a safety rule forbids it."""
        self._upload()
        for farm in self.objects.farms:
            if farm.guardian is not None and not self._old_api:
                self._guardian(farm.guardian, farm.name)
        for farm in self.objects.farms:
            self._farm(farm)
        self._unwanted()
        return self.work

    def _upload(self) -> None:
        """Add the upload as the first step.

        The rollback removes it last, because a certificate in use cannot be removed.
        """
        farm, (name, pem) = self.objects.main, self.certificate
        found = self.state.farms.get(farm.name)
        if pem is None or not isinstance(farm, HttpFarm) or not farm.tls:
            return
        if found is None or name not in found.certificates:
            self.work.steps.append(Upload(f"upload {name}", name, pem))

    # The check of the nodes.

    def _guardian(self, guardian: Guardian, farm: str) -> None:
        found = self.state.guardians.get(guardian.name)
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
        changed = self.work.differences(label, found, wanted)
        if changed:
            # An empty check is from a push that was interrupted before it could write the mark.
            blank = not found.get("command") and not found.get("description")
            self._own(f"the check {guardian.name}", blank or self.state.marked(farm))
            # Without `force`, a device refuses a new command for a check that runs.
            forced = {"force": "true"} if "command" in changed else {}
            self.work.put(f"change the check {guardian.name}", at, {**changed, **forced}, {**found, **forced}, wanted)

    # Farms.

    def _farm(self, farm: HttpFarm | L4Farm) -> None:
        found = self.state.farms.get(farm.name)
        before = len(self.work.changes)
        new = found is None
        if found is None:
            found = self._create(farm)
        elif found.layer4 != isinstance(farm, L4Farm):
            raise DeviceError(
                f"{self.work.target}: the farm {farm.name} exists, but is not {kind(farm)}",
                "remove or rename it in the device's web interface; its kind cannot be changed",
            )
        else:
            self._address(farm, found)
        if isinstance(farm, HttpFarm):
            self._http(farm, found)
        else:
            self._settings(farm.name, found, l4_settings(farm, self.generation))
        nodes = NodePlanner(self.work, self.options, farm)
        written = nodes.run(found, new=new)
        written |= self._link(farm, found)
        written |= len(self.work.changes) > before
        self._restart(farm, found, written=written, new=new)
        nodes.states(found)
        if not new and len(self.work.changes) > before:
            ours = self._is_ours(farm, found)
            if not ours and self.state.marked(farm.name) and not self.options.adopt and _is_half_built(farm, found):
                # Another push may be creating this farm at the same time. That farm must not be adopted.
                raise DeviceError(
                    f"{self.work.target}: the farm {farm.name} exists, but does not have nlbgen's mark; it looks "
                    "like the farm of an interrupted push",
                    "if no other push is running, push again with --adopt: this completes the farm",
                )
            self._own(f"the farm {farm.name}", ours)

    def _create(self, farm: HttpFarm | L4Farm) -> FarmState:
        other = self.state.taken.get((farm.vip, str(farm.port)))
        if other is not None:
            raise DeviceError(
                f"{self.work.target}: the farm {other} already has the address {farm.vip}:{farm.port}",
                f"remove that farm, or rename it to {farm.name} and push with --adopt",
            )
        self.work.change(f"farms/{farm.name}", None, f"{kind(farm)} at {farm.vip}:{farm.port}")
        self.work.steps.append(CreateFarm(f"create the farm {farm.name}", create(farm), (), farm.name))
        return FarmState(farm.name, isinstance(farm, L4Farm), "", {}, (), (), (), {}, "", {}, ())

    def _address(self, farm: HttpFarm | L4Farm, found: FarmState) -> None:
        self._settings(farm.name, found, {"vip": farm.vip, "vport": farm.port})

    def _is_ours(self, farm: HttpFarm | L4Farm, found: FarmState) -> bool:
        if isinstance(farm, HttpFarm) and farm.redirect:
            service = found.services.get(farm.service, {})
            if service.get("redirect") == farm.redirect:
                return True
        # A redirect has no check: it belongs to the farm of the site.
        own = farm if farm.guardian is not None else self.objects.main
        guardian = own.guardian
        linked = self.state.farms.get(own.name)
        return bool(guardian and linked and linked.guardian == guardian.name and self.state.marked(own.name))

    def _own(self, what: str, ours: bool) -> None:
        if not ours and not self.options.adopt:
            raise DeviceError(
                f"{self.work.target}: {what} exists, but does not have nlbgen's mark",
                "compare it with `--dry-run --adopt`, then push with --adopt to take it over; or rename the farm",
            )

    def _http(self, farm: HttpFarm, found: FarmState) -> None:
        self._settings(farm.name, found, {"listener": "https" if farm.tls else "http"}, default="http")
        if farm.tls:
            self._certificate(farm, found)
        self._settings(farm.name, found, http_settings(farm))
        at = f"/farms/{farm.name}"
        if not farm.redirect and REMOVED not in found.removed:
            self.work.change(f"farms/{farm.name}/headremove", None, REMOVED)
            back = (Call("DELETE", f"{at}/headremove/{len(found.removed)}", {}),) if found.settings else ()
            removal = Call("POST", f"{at}/headremove", {"pattern": REMOVED})
            self.work.steps.append(Send(f"remove the request headers {REMOVED}", removal, back))
        if farm.tls and HEADER not in found.headers:
            self.work.change(f"farms/{farm.name}/addheader", None, HEADER)
            back = (Call("DELETE", f"{at}/addheader/{len(found.headers)}", {}),) if found.settings else ()
            self.work.steps.append(Send(f"add {HEADER}", Call("POST", f"{at}/addheader", {"header": HEADER}), back))
        self._service(farm, found)

    def _certificate(self, farm: HttpFarm, found: FarmState) -> None:
        name = self.certificate.name
        if name in found.certificates:
            return
        old = found.certificates[0] if found.certificates else None
        if self.certificate.pem is None:
            self.work.notes.append(
                f"the device must already have {name}; to upload a certificate, write zen.certificate"
            )
        self.work.change(f"farms/{farm.name}/certificate", old, name)
        at = f"/farms/{farm.name}/certificates"
        back = (Call("POST", at, {"file": old}),) if old else ()
        what = f"assign the certificate {name} to the farm {farm.name}"
        self.work.steps.append(GiveCertificate(what, Call("POST", at, {"file": name}), back))
        if old:
            self.work.notes.append(f"the certificate {old} stays on the device")

    def _service(self, farm: HttpFarm, found: FarmState) -> None:
        at = f"/farms/{farm.name}/services"
        label = f"farms/{farm.name}/services/{farm.service}"
        service = found.services.get(farm.service)
        if service is None:
            self.work.change(label, None, "a service")
            back = (Call("DELETE", f"{at}/{farm.service}", {}),) if found.settings else ()
            what = f"create the service {farm.service}"
            self.work.steps.append(Send(what, Call("POST", at, {"id": farm.service}), back))
        wanted = service_settings(farm)
        changed = self.work.differences(label, service or {}, wanted)
        if changed:
            self.work.put(f"set the service {farm.service}", f"{at}/{farm.service}", changed, service or {}, wanted)
        for other in found.services.keys() - {farm.service}:
            self.work.notes.append(f"the farm {farm.name} has another service, which nlbgen does not change: {other}")

    def _settings(self, name: str, found: FarmState, wanted: Mapping[str, Any], default: str = "") -> None:
        old = dict(found.settings)
        if not old and default:
            old = dict.fromkeys(wanted, default)
        changed = self.work.differences(f"farms/{name}", old, wanted)
        if changed:
            what = f"set {', '.join(sorted(changed))} of the farm {name}"
            self.work.put(what, f"/farms/{name}", changed, found.settings, wanted)

    # Checks, restarts, and farms that are not in the spec.

    def _link(self, farm: HttpFarm | L4Farm, found: FarmState) -> bool:
        guardian = farm.guardian
        if guardian is None:
            return False
        if self._old_api:
            return self._old_guardian(farm, found, guardian)
        if found.guardian == guardian.name:
            return False
        at = f"{location(farm)}/fg"
        self.work.change(f"farms/{farm.name}/guardian", found.guardian or None, guardian.name)
        if found.guardian:
            again = Call("POST", at, {"name": found.guardian})
            what = f"detach the check {found.guardian} from {farm.name}"
            self.work.steps.append(Send(what, Call("DELETE", f"{at}/{found.guardian}", {}), (again,)))
        what = f"attach the check {guardian.name} to {farm.name}"
        back = (Call("DELETE", f"{at}/{guardian.name}", {}),) if found.settings else ()
        self.work.steps.append(Send(what, Call("POST", at, {"name": guardian.name}), back))
        return True

    def _old_guardian(self, farm: HttpFarm | L4Farm, found: FarmState, guardian: Guardian) -> bool:
        service = farm.service if isinstance(farm, HttpFarm) else ""
        wanted = old_guardian_settings(guardian, service)
        compared = {name: value for name, value in wanted.items() if name != "service"}
        changed = self.work.differences(f"farms/{farm.name}/guardian", found.old_guardian, compared)
        if not changed:
            return False
        old = {**({"service": service} if service else {}), **found.old_guardian}
        if not old.get("fgscript"):  # the API refuses an empty command
            old.pop("fgscript", None)
        undo = Call("PUT", f"/farms/{farm.name}/fg", typed(old, wanted))
        back = (undo,) if found.old_guardian else ()
        self.work.steps.append(
            Send(f"set the check of {farm.name}", Call("PUT", f"/farms/{farm.name}/fg", wanted), back)
        )
        return True

    def _restart(self, farm: HttpFarm | L4Farm, found: FarmState, *, written: bool, new: bool) -> None:
        pending = found.status in {PENDING, "down"}
        if pending and not written:
            self.work.change(f"farms/{farm.name}/status", found.status, "restarted")
        # A farm of nftlb applies its settings at once; a restart would only close its connections.
        needed = new or pending or (written and isinstance(farm, HttpFarm))
        if needed:
            ran = found.status != "down"
            self.work.restarts.append(Restart(f"restart the farm {farm.name}", farm.name, existed=not new, ran=ran))

    def _unwanted(self) -> None:
        """Plan the removal of the farms of an earlier spec: its redirect, and its front of Redis."""
        main = self.objects.main.name
        wanted = {farm.name for farm in self.objects.farms}
        for name in (f"{main}-http", redis_name(main)):
            if name in self.state.farms and name not in wanted:
                self._remove(name)

    def _remove(self, name: str) -> None:
        if not self.options.prune or not self.state.marked(self.objects.main.name):
            self.work.notes.append(f"the farm {name} is not in the spec: --prune removes it if nlbgen created it")
            return
        self.work.change(f"farms/{name}", "a farm", None)
        self.work.last.append(Send(f"remove the farm {name}", Call("DELETE", f"/farms/{name}", {})))
        check = guardian_name(name)
        if check in self.state.guardians:
            self.work.change(f"guardians/{check}", "a check", None)
            self.work.last.append(Send(f"remove the check {check}", Call("DELETE", f"/monitoring/fg/{check}", {})))


def _is_half_built(farm: HttpFarm | L4Farm, found: FarmState) -> bool:
    """Whether a farm may be from a push that was interrupted before it could attach the check."""
    settings = {"vip": farm.vip, "vport": str(farm.port)}
    wanted = {f"{one.ip}:{one.port}" for one in farm.backends}
    service = {farm.service} if isinstance(farm, HttpFarm) else set()
    return (
        not found.guardian
        and all(found.settings.get(name) == value for name, value in settings.items())
        and found.services.keys() <= service
        and {node.endpoint for node in found.nodes} <= wanted
    )
