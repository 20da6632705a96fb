"""`nlbgen push f5` with `api: soap`, for devices that have nothing else.

SOAP stopped getting features after 13.x: it has no websocket profile, no SNI for monitors, and this push no interface
for policies. It brings nodes, monitors, pools with their members, and virtual servers; the profiles, rules and
persistence that these name must be on the device already, under the names of `bigip.conf`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..errors import DeviceError, DifferenceError, Problem, UnsupportedError, UsageError
from ..generators.f5_objects import Names, Object, Value, mark, objects
from ..spec.load import Spec
from ..spec.types import Version
from . import f5_plan, f5_snapshot
from .f5_plan import State, Work
from .f5_session import Options, Report, Talk, Unit, counts, login, on_version, ready, together
from .f5_soap_objects import OWNED, apply, read
from .soap import Portal, SoapError

_ACTIVE: Final = "FAILOVER_STATE_ACTIVE"
_LIMITS: Final = {
    "f5-soap-websocket": ("a websocket profile", "accept it, and the http profile lets WebSockets pass as it can"),
    "f5-soap-monitor-sni": ("SNI in health checks", "accept it, if the nodes' bindings do without SNI"),
    "f5-soap-policy": ("traffic policies, which SignalR's own pool needs", ""),
    "f5-soap-fqdn": ("nodes by name", "write the nodes' addresses"),
}


def push(spec: Spec, options: Options, talk: Talk) -> Report:
    """Bring what SOAP can onto the device; see [`push`][nlbgen.push.f5.push]."""
    for flag, given in (("--validate", options.validate), ("--sync", options.sync), ("--restore", options.restore)):
        if given:
            raise UsageError(f"{flag} needs f5.api: rest", "SOAP has nothing that answers to it here")
    with Portal(login(spec)) as portal:
        return _Soap(spec, options, talk, portal).run()


class _Soap:
    def __init__(self, spec: Spec, options: Options, talk: Talk, portal: Portal) -> None:
        self.options, self.talk, self.portal = options, talk, portal
        self.name = portal.login.name
        said = str(portal.call("System.SystemInfo", "get_version"))
        version = Version(".".join(said.rpartition("v")[2].split(".")[:4]))
        state = str(portal.call("System.Failover", "get_failover_state"))
        self.unit = Unit(version, "active" if state == _ACTIVE else "standby")
        self.spec = on_version(spec, version, talk.say)
        self.farm = self.spec.farm
        made = objects(self.farm, version, Names.of(self.farm))
        refused = list(_limits(self.spec, made))
        if refused:
            raise UnsupportedError(refused)
        self.wanted = tuple(_owned(one, made) for one in made if one.kind in OWNED)

    def _state(self) -> State:
        return read(self.portal, self.farm.f5.partition)

    def _work(self, state: State) -> Work:
        options = self.options
        return f5_plan.work(self.name, self.wanted, state, mark(self.farm), adopt=options.adopt, prune=options.prune)

    def run(self) -> Report:
        state = self._state()
        todo = self._work(state)
        for kind, path in todo.leftovers:
            self.talk.say(f"{self.name}: {kind} {path} is not in the farm any more; --prune removes it")
        self.talk.show(todo.plan)
        if todo.refusals:
            raise together(todo.refusals)
        if self.options.expect:
            todo.plan.expect(self.options.expect)
        if not len(todo.plan) or self.options.dry_run:
            return self._report("planned" if len(todo.plan) else "unchanged", todo)
        return self._apply(todo, state)

    def _apply(self, todo: Work, state: State) -> Report:
        ready(self.name, self.unit, todo, state, force=self.options.force)
        if not self.talk.agree(f"Apply {len(todo.plan)} changes to {self.name}?"):
            return self._report("declined", todo)
        if (todo.updates or todo.removes) and self._work(self._state()).plan.digest != todo.plan.digest:
            raise DifferenceError(
                f"{self.name}: somebody else changed the device after the plan was made",
                "nothing was changed by this push: read the new plan, then apply it",
            )
        taken = f5_snapshot.of(todo, state, self.name, self.farm.farm, self.farm.f5.partition)
        path = f5_snapshot.save(self.options.snapshots, taken, todo.plan.digest)
        self._transaction(todo, state, path)
        self._verify()
        self.portal.call("System.ConfigSync", "save_configuration", "", "SAVE_HIGH_LEVEL_CONFIG")
        f5_snapshot.settle(path)
        self.talk.say(f"{self.name}: the configuration is saved")
        return self._report("applied", todo, path)

    def _transaction(self, todo: Work, state: State, path: Path) -> None:
        """Queue and submit; a lost answer to the submission is left to the reading that follows."""
        submitting = False
        try:
            self.portal.start()
            apply(self.portal, todo, state)
            submitting = True
            self.portal.submit()
        except SoapError as error:
            if submitting and error.lost:
                return
            path.unlink(missing_ok=True)
            raise DeviceError(
                f"{error.message}; nothing was changed",
                "a profile or rule that is not there comes with bigip.conf: `tmsh load sys config merge`",
            ) from None

    def _verify(self) -> None:
        again = self._work(self._state())
        if len(again.plan):
            raise DeviceError(
                f"{self.name}: the transaction was submitted, and the device is not as planned:\n{again.plan.text()}",
                "push again; if that does not help, somebody else changes the device as well",
            )

    def _report(self, outcome: str, todo: Work, path: Path | None = None) -> Report:
        return Report(self.name, outcome, todo.plan, counts(todo), path, self.portal.calls)


def _limits(spec: Spec, made: tuple[Object, ...]) -> Iterator[Problem]:
    kinds = {one.kind for one in made}
    needed = {
        "f5-soap-websocket": "ltm profile websocket" in kinds,
        "f5-soap-monitor-sni": any("ssl-profile" in one.properties for one in made),
        "f5-soap-policy": "ltm policy" in kinds,
        "f5-soap-fqdn": any("fqdn" in one.properties for one in made if one.kind == "ltm node"),
    }
    for problem_id, (what, way_out) in _LIMITS.items():
        if needed[problem_id] and not (way_out.startswith("accept") and problem_id in spec.farm.accepted):
            accept = f" (`accept: [{problem_id}]`)" if way_out.startswith("accept") else ""
            hint = "; or ".join(filter(None, (way_out + accept, "take f5.api: rest")))
            yield spec.problem(("f5", "api"), f"iControl SOAP lacks {what}", hint, id=problem_id)


def _owned(one: Object, made: tuple[Object, ...]) -> Object:
    """An object with what SOAP can say of it."""
    websockets = {other.path for other in made if other.kind == "ltm profile websocket"}
    properties: dict[str, Value] = {key: value for key, value in one.properties.items() if key in OWNED[one.kind]}
    profiles = properties.get("profiles")
    if isinstance(profiles, Mapping):
        properties["profiles"] = {path: side for path, side in profiles.items() if path not in websockets}
    members = properties.get("members")
    if isinstance(members, Mapping):
        # The address of a member is that of its node.
        properties["members"] = {
            name: {key: value for key, value in each.items() if key != "address"}
            for name, each in members.items()
            if isinstance(each, Mapping)
        }
    return Object(one.kind, one.path, properties)
