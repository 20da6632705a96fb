"""The Ansible rollout: a tree of files with an inventory, playbooks, roles and the rendered configurations.

The roles do the steps of each vendor's INSTALL.md and of the nodes' RUNBOOK.md, in the same order. The inventory and
`files/FARM/` depend on the farm; the roles are the same for every farm. No file contains a secret: the inventory reads
secrets from the environment, and a vault can override them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, get_args

from ... import __version__
from ...core import templating
from ...core.artifacts import Artifact
from ...core.errors import Problem, SpecError, UsageError
from ...core.plan import DIGEST_SHOWN
from ...core.wording import all_of, one_of
from ...generators.base import VENDORS, generator, render
from ...spec.load import Spec
from ...spec.schema import Path as SpecPath
from ...spec.schema import Reads
from ...spec.types import NodeAddress
from ..window import WINDOW, in_state
from . import inventory as ansible_inventory
from . import specs as ansible_specs
from .model import Rollout
from .roles import choices, roles

_REDIS_PLAYBOOKS: Final[tuple[tuple[str, str, Mapping[str, object]], ...]] = (
    ("redis.yml", "ansible/redis.yml.j2", {}),
    (
        "redis-change.yml",
        "ansible/redis-rolling.yml.j2",
        {"changes": True, "verb": "Change", "does": "change", "tasks": "change.yml"},
    ),
    (
        "redis-restart.yml",
        "ansible/redis-rolling.yml.j2",
        {"changes": False, "verb": "Restart", "does": "restart", "tasks": "restart.yml"},
    ),
)
_ADDRESS: Final = next(how for how in get_args(NodeAddress) if isinstance(how, Reads))


def files(
    specs: Spec | Sequence[Spec],
    *,
    vendor: str = "",
    balancers: Sequence[str] = (),
    homes: Sequence[str] = (),
) -> list[Artifact]:
    """Return the tree for one farm or several, in the order of the paths; the same specs give the same bytes.

    `vendor` is the balancer of every farm, `balancers` are its hosts (for a single farm without `frontend.vip`).
    `homes` has for each spec its folder as seen from the tree's root (default: one folder up, as in a bundle). Raises
    UsageError where vendor or balancers are unknown, SpecError where the spec does not name a device's address or where
    farms would overwrite each other on a host, UnsupportedError where the vendor lacks what the farm requests.
    """
    farms = (specs,) if isinstance(specs, Spec) else tuple(specs)
    _distinct(farms)
    places = tuple(homes) or ("..",) * len(farms)
    rollouts = [
        Rollout(spec, chosen, balancer_hosts(spec, chosen, balancers, single=len(farms) == 1), home)
        for spec, home in zip(farms, places, strict=True)
        for chosen in [vendor_of(spec, vendor)]
    ]
    _own_hosts(rollouts)
    made = [*_roles(rollouts), *_shared(rollouts)]
    for rollout in rollouts:
        made += _farm_files(rollout)
    return sorted(made, key=lambda file: file.path)


def vendor_of(spec: Spec, asked: str = "") -> str:
    """Return the farm's balancer: the requested one, or the only one that the spec names; raises UsageError."""
    if asked and asked not in VENDORS:
        raise UsageError(f"{asked} is not a vendor", f"write {one_of(VENDORS)}")
    named = [name for name in VENDORS if name in spec.farm.written]
    chosen = asked or (named[0] if len(named) == 1 else "")
    if not chosen:
        fact = f"the spec names {all_of(named)}" if named else "the spec names no vendor"
        raise UsageError(
            f"{spec.name}: {fact}, but a rollout is for one vendor",
            f"choose one: --vendor {one_of(named or VENDORS)}"
            + ("" if named else ', or add its section to the spec, as in `haproxy: {version: "2.6"}`'),
        )
    api = generator(chosen).api
    if api is not None and getattr(getattr(spec.farm, chosen), api.address) is None:
        raise SpecError([spec.problem((chosen,), f"does not name the device ({api.address})", api.hint)])
    return chosen


def balancer_hosts(spec: Spec, vendor: str, asked: Sequence[str], *, single: bool = True) -> tuple[str, ...]:
    """Return the balancers' hosts: as requested, of `frontend.vip`, or `frontend.address`; raises UsageError."""
    vip, listen = spec.farm.frontend.vip, spec.farm.frontend.address
    if generator(vendor).hosting is None:
        if asked:
            raise UsageError(f"--balancer: {vendor} is a device, so its address comes from the spec", "omit --balancer")
        return ()
    if asked and not single:
        raise UsageError("--balancer is for one farm", "write `frontend.vip` or `frontend.address` into each spec")
    if asked and vip is not None:
        raise UsageError(
            f"--balancer: {spec.name} names the balancers itself (frontend.vip.balancers)", "omit --balancer"
        )
    if asked:
        return tuple(dict.fromkeys(_address(name) for name in asked))
    if vip is not None:
        return vip.balancers
    if listen == "*":
        raise UsageError(
            f"{spec.name}: the farm listens on every address (frontend.address), so the balancer's host is not known",
            "give the host with --balancer HOST",
        )
    return (listen,)


def _address(text: str) -> str:
    try:
        return str(_ADDRESS.parse(text))
    except ValueError as error:
        raise UsageError(f"--balancer: {error}", "give its host name or address") from None


def _distinct(farms: Sequence[Spec]) -> None:
    """Refuse farms whose groups of hosts or whose folders would be the same."""
    seen: dict[str, Spec] = {}
    for spec in farms:
        first = seen.setdefault(ansible_inventory.group(spec.farm.farm), spec)
        if first is not spec:
            raise UsageError(
                f"{spec.name}: the farm {spec.farm.farm} and the farm {first.farm.farm} of {first.name} would get the "
                "same name in Ansible, which allows no hyphens and, on some systems, ignores case",
                "give each farm another name",
            )


def _own_hosts(rollouts: Sequence[Rollout]) -> None:
    """Refuse farms that would overwrite each other's configuration on a balancer; raises SpecError."""
    seen: dict[tuple[str, str], Rollout] = {}
    problems: dict[tuple[str, str], Problem] = {}
    for rollout in rollouts:
        for host in rollout.balancers:
            for file in _whole_files(rollout):
                first = seen.setdefault((host, file), rollout)
                if first is not rollout:
                    pair = rollout.spec.farm.farm, first.spec.farm.farm
                    problems.setdefault(pair, _overwritten(rollout, first, host, file))
    if problems:
        raise SpecError([*problems.values()])


def _whole_files(rollout: Rollout) -> Iterator[str]:
    """The files of a balancer that belong to one farm as a whole."""
    if rollout.generator.hosting is not None:
        yield rollout.generator.hosting.main
    if rollout.spec.farm.frontend.vip is not None:
        yield "keepalived.conf"


def _overwritten(rollout: Rollout, first: Rollout, host: str, file: str) -> Problem:
    place = first.spec.document.location(_balancers_path(first))
    return rollout.spec.problem(
        _balancers_path(rollout),
        f"{host} is a balancer of the farm {first.spec.farm.farm} as well ({place}); both farms would write {file}",
        "use different balancers for each farm, or omit one of the specs",
    )


def _balancers_path(rollout: Rollout) -> SpecPath:
    """Return the key that names the balancers."""
    return ("frontend", "address") if rollout.spec.farm.frontend.vip is None else ("frontend", "vip", "balancers")


def _made_by() -> str:
    return f"Made by nlbgen {__version__}: do not edit, change the spec and run `nlbgen export ansible` again."


def _roles(rollouts: Sequence[Rollout]) -> Iterator[Artifact]:
    for path, template in roles(redis=any(rollout.sentinel for rollout in rollouts)).items():
        yield Artifact(PurePosixPath(path), templating.render(template, {"header": _made_by(), **choices()}))


def _shared(rollouts: Sequence[Rollout]) -> Iterator[Artifact]:
    """Yield the files of the whole tree: inventory, playbooks, settings, README."""
    digests = [f"{rollout.spec.farm.farm}: the spec's digest is {_digest(rollout.spec)}." for rollout in rollouts]
    view = {"header": [_made_by(), *digests], **ansible_inventory.view(rollouts)}
    for path, template in (
        (".ansible-lint", "ansible/lint.yml.j2"),
        ("README.md", "ansible/README.md.j2"),
        ("ansible.cfg", "ansible/ansible.cfg.j2"),
        ("inventory.yml", "ansible/inventory.yml.j2"),
        ("nodes.yml", "ansible/nodes.yml.j2"),
        ("upgrade.yml", "ansible/upgrade.yml.j2"),
        ("requirements.yml", "ansible/requirements.yml.j2"),
        ("site.yml", "ansible/site.yml.j2"),
        ("balancers.yml", "ansible/balancers.yml.j2"),
    ):
        yield Artifact(PurePosixPath(path), templating.render(template, view))
    for path, template, more in _REDIS_PLAYBOOKS if any(rollout.installs_redis for rollout in rollouts) else ():
        yield Artifact(PurePosixPath(path), templating.render(template, {**view, **more}))


def _digest(spec: Spec) -> str:
    return spec.digest[:DIGEST_SHOWN]


def _farm_files(rollout: Rollout) -> Iterator[Artifact]:
    """Yield the files for this farm's hosts, and the variants of its spec for the control host."""
    folder = PurePosixPath("files") / rollout.spec.farm.farm
    for file in _rendered(rollout, rollout.spec) if rollout.hosted or rollout.asks_role else ():
        # A device gets its files by a push; only those of other hosts are copied.
        if file.path.name != "INSTALL.md" and (rollout.hosted or file.path.parts[0] == "redis"):
            yield file.below(folder / rollout.vendor)
    for path, content in ansible_specs.variants(rollout, folder):
        yield Artifact(path, content)
    if rollout.drains_by_files:
        yield from _host_variants(rollout, folder)
    if rollout.hosted:
        yield from _window(rollout, folder)


def _window(rollout: Rollout, folder: PurePosixPath) -> Iterator[Artifact]:
    """The balancer's files while the farm is closed for an upgrade, and while it is released."""
    for state in WINDOW:
        changed = rollout.spec._replace(farm=in_state(rollout.spec.farm, state))
        for file in _rendered(rollout, changed):
            if file.path.name != "INSTALL.md":
                yield file.below(folder / "upgrade" / state)


def _host_variants(rollout: Rollout, folder: PurePosixPath) -> Iterator[Artifact]:
    """For each node the configuration that sends it no new clients, and the one that sends it nothing."""
    for node in rollout.spec.farm.nodes:
        if not ansible_specs.can_leave(rollout.spec.farm, node):
            continue
        for state in ansible_specs.OUT:
            changed = rollout.spec._replace(farm=ansible_specs.with_state(rollout.spec.farm, node, state))
            main = next(file for file in _rendered(rollout, changed) if file.main)
            yield main.below(folder / "variants" / node.name / state)


def _rendered(rollout: Rollout, spec: Spec) -> list[Artifact]:
    return render(rollout.generator, spec)
