"""The inventory: the hosts, their groups, and the variables of the roles.

Free text of the spec is written as `!unsafe`: otherwise Ansible evaluates expressions in double braces.
"""

import ipaddress
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from ...core.wording import all_of
from ...generators.base import generator, hosted_generators
from ...generators.design import Design
from ...generators.keepalived import folder_of
from ...nodes import service_settings
from ...nodes.config.effective import main_file
from ...spec.model import Farm, Node, Secret
from . import redis as ansible_redis
from . import specs as ansible_specs
from .model import Rollout

WINRM_PORT: Final = 5986
_FILES: Final = "{{ playbook_dir }}/files"
_LOG: Final = "outputs/events.jsonl"
"""The event log of `nlbgen nodes`, below the spec's folder."""
_WORK: Final = "{{ playbook_dir }}/" + ansible_specs.WORK


class Variable(NamedTuple):
    """One variable: its value as YAML, or each entry of a list of values."""

    name: str
    value: str = ""
    entries: tuple[str, ...] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of YAML that set the variable."""
        if self.entries is None:
            return (f"{self.name}: {self.value}",)
        if not self.entries:
            return (f"{self.name}: []",)
        return (f"{self.name}:", *(f"  - {entry}" for entry in self.entries))


class Host(NamedTuple):
    """One host and its variables."""

    name: str
    variables: tuple[Variable, ...]


class Group(NamedTuple):
    """The hosts of one farm with the same role: balancers or nodes."""

    name: str
    hosts: tuple[Host, ...]
    variables: tuple[Variable, ...]

    @property
    def listed(self) -> str:
        """The names of its hosts as text."""
        return ", ".join(host.name for host in self.hosts)


class FarmGroup(NamedTuple):
    """One farm: its group, and the groups in it."""

    farm: str
    name: str
    vendor: str
    groups: tuple[Group, ...]
    variables: tuple[Variable, ...]
    shared: str
    """The address that its balancers share; empty without one."""
    secrets: tuple[dict[str, str], ...]
    device: str
    """The name of the host that represents its device; empty for balancers on hosts."""


def group(farm: str) -> str:
    """Return a farm's name for a group's name: Ansible allows letters, digits and underscores."""
    return farm.replace("-", "_").lower()


def view(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """Return the data of the templates of inventory, playbooks and README."""
    farms = [_farm(rollout) for rollout in rollouts]
    vendors = {farm.vendor for farm in farms}
    hosted = [vendor for vendor in hosted_generators() if vendor.name in vendors]
    return {
        "farms": farms,
        "hosted": [(vendor.name, _first_groups(farms, vendor.name)) for vendor in hosted],
        "devices": [farm.groups[0].name for farm in farms if farm.device],
        "shared": [farm.groups[0].name for farm in farms if farm.shared],
        "redis": [farm.groups[2].name for farm in farms if len(farm.groups) > 2],
        "redis_front": any(rollout.sentinel for rollout in rollouts),
        "redis_by_hand": [
            (rollout.spec.farm.farm, rollout.vendor)
            for rollout in rollouts
            if rollout.sentinel is not None and not rollout.installs_redis
        ],
        "pattern": ":".join(vendor.name for vendor in hosted),
        "titles": {vendor.name: vendor.title for vendor in hosted},
        "first_rollouts": [
            one.hosting.first_rollout for one in hosted if one.hosting is not None and one.hosting.first_rollout
        ],
        "enabled_by_hand": list(_enabled_by_hand(vendors)),
        "by_files": _by_files(rollouts),
        "packages": [f"{name}_packages" for name in (*(vendor.name for vendor in hosted_generators()), "keepalived")],
        "role_settings": [
            setting
            for vendor in hosted_generators()
            if vendor.hosting is not None
            for setting in vendor.hosting.role_settings
        ],
        "winrm_port": WINRM_PORT,
    }


def _first_groups(farms: Sequence[FarmGroup], vendor: str) -> list[str]:
    """Return the groups of balancers of this vendor."""
    return [farm.groups[0].name for farm in farms if farm.vendor == vendor]


def _by_files(rollouts: Sequence[Rollout]) -> str:
    """Return the vendors on which a node is drained by a new configuration file."""
    titles = dict.fromkeys(rollout.generator.title for rollout in rollouts if rollout.drains_by_files)
    return all_of([*titles]) if titles else ""


def _enabled_by_hand(vendors: Collection[str]) -> Iterator[str]:
    """Yield how to enable a drained node by hand: a command for vendors that have one, the playbook for others."""
    others = []
    for vendor in (generator(name) for name in sorted(vendors)):
        if vendor.hosting is not None and vendor.hosting.enable_command:
            yield f" on {vendor.title}: `{vendor.hosting.enable_command}` on each balancer"
        elif vendor.hosting is None:
            yield f" on {vendor.title}: `nlbgen nodes up NODE --vendor {vendor.name}` in the folder of the spec"
        else:
            others.append(vendor.title)
    if others:
        yield (f" on {all_of(others)}" if len(others) < len(vendors) else "") + " run `balancers.yml`"


def quoted(text: str) -> str:
    """Return a text of nlbgen as a YAML scalar in double quotes, in which Ansible evaluates expressions."""
    return json.dumps(text, ensure_ascii=False)


def unsafe(text: str) -> str:
    """Return a text of the spec as a YAML scalar in which Ansible evaluates nothing."""
    return f"!unsafe {quoted(text)}"


def _farm(rollout: Rollout) -> FarmGroup:
    farm, name = rollout.spec.farm, group(rollout.spec.farm.farm)
    if rollout.hosted:
        groups = [Group(f"balancers_of_{name}", tuple(_balancers(rollout)), tuple(_balancer_variables(rollout)))]
    else:
        groups = [
            Group(f"device_of_{name}", (Host(f"{farm.farm}.device", ()),), (Variable("ansible_connection", "local"),))
        ]
    groups.append(Group(f"nodes_of_{name}", tuple(_nodes(rollout)), tuple(_node_variables(rollout))))
    groups += _redis(rollout)
    needed = {name: secret for name, secret in ansible_specs.secrets_of(farm).items() if _is_needed(rollout, name)}
    vip = farm.frontend.vip
    return FarmGroup(
        farm=farm.farm,
        name=f"farm_{name}",
        vendor=rollout.vendor,
        groups=tuple(groups),
        variables=tuple(_farm_variables(rollout, needed)),
        shared=vip.address.partition("/")[0] if vip is not None and rollout.hosted else "",
        secrets=tuple({"name": name, "source": _source(secret)} for name, secret in needed.items()),
        device="" if rollout.hosted else f"{farm.farm}.device",
    )


def _redis(rollout: Rollout) -> Iterator[Group]:
    """Yield the group of the hosts of Redis, if the balancer has their files."""
    store, sentinel, farm = rollout.spec.farm.stores.redis, rollout.sentinel, rollout.spec.farm.farm
    if store is None or sentinel is None or not rollout.installs_redis:
        return
    hosts = (Host(name, tuple(_variables(values))) for name, values in ansible_redis.hosts(rollout))
    source = f"{_FILES}/{farm}/{rollout.vendor}/redis"
    shared = _variables(ansible_redis.variables(store, sentinel, source, health_user=rollout.asks_role))
    yield Group(f"redis_of_{group(farm)}", tuple(hosts), tuple(shared))


def _variables(values: ansible_redis.Values) -> Iterator[Variable]:
    for name, value in values.items():
        show = quoted if name in ansible_redis.EVALUATED else unsafe
        if isinstance(value, list):
            yield Variable(name, entries=tuple(map(show, value)))
        else:
            yield Variable(name, show(value) if isinstance(value, str) else str(value).lower())


def _is_needed(rollout: Rollout, name: str) -> bool:
    """Whether the playbooks use a secret of the spec."""
    if name == "vrrp":
        return rollout.hosted and _has_password(rollout.spec.farm)
    if name == "health":
        return rollout.generator.lacks("health-details-key", rollout.generator.version(rollout.spec.farm)) is None
    return name in {rollout.vendor, "sql"} or (name == "redis" and rollout.spec.farm.stores.signalr == "redis")


def _has_password(farm: Farm) -> bool:
    """Whether VRRP has a password for the shared address: it has none for IPv6."""
    vip = farm.frontend.vip
    return vip is not None and ipaddress.ip_interface(vip.address).version == 4


def _source(secret: Secret) -> str:
    return f"the environment variable {secret.env}" if secret.env else "the file that the spec names"


def _farm_variables(rollout: Rollout, needed: dict[str, Secret]) -> Iterator[Variable]:
    farm = rollout.spec.farm
    yield Variable("nlbgen_farm", quoted(farm.farm))
    for name, secret in needed.items():
        yield Variable(f"nlbgen_secret_{name}", _lookup(rollout, name, secret))
        if secret.file is not None:
            path = ansible_specs.rebased(secret.file, rollout.home)
            yield Variable(f"nlbgen_secret_{name}_file", unsafe(path))
    if not rollout.hosted:
        yield Variable("device_vendor", rollout.vendor)
        yield Variable("device_spec", quoted(f"{_FILES}/{farm.farm}/device/farm.yaml"))
        yield Variable("upgrade_device_spec", quoted(f"{_FILES}/{farm.farm}/device/closed.yaml"))
        yield Variable("device_work", quoted(f"{_WORK}/{farm.farm}/device"))
        yield Variable("device_secrets", entries=tuple(_needed_entries(needed, (rollout.vendor,))))
        yield Variable("device_log", unsafe(f"{rollout.home}/{_LOG}"))


def _lookup(rollout: Rollout, name: str, secret: Secret) -> str:
    """Return the expression that reads a secret, unless a vault overrides it."""
    if secret.env is not None:
        return quoted("{{ lookup('ansible.builtin.env', '" + secret.env + "') }}")
    file = f"nlbgen_secret_{name}_file"
    place = file if _is_absolute(rollout, secret) else f"playbook_dir ~ '/' ~ {file}"
    return quoted("{{ lookup('ansible.builtin.file', " + place + ", rstrip=false).splitlines() | first }}")


def _is_absolute(rollout: Rollout, secret: Secret) -> bool:
    return PurePosixPath(ansible_specs.rebased(str(secret.file), rollout.home)).is_absolute()


def _needed_entries(needed: dict[str, Secret], names: Sequence[str]) -> Iterator[str]:
    """Yield the secrets of these names, as mappings on one line."""
    for name in names:
        if name in needed:
            yield f"{{name: {name}, from: {quoted(_source(needed[name]))}}}"


def _balancers(rollout: Rollout) -> Iterator[Host]:
    vip = rollout.spec.farm.frontend.vip
    for number, address in enumerate(rollout.balancers, 1):
        variables = [Variable("ansible_host", quoted(address))]
        if vip is not None:
            variables.append(Variable("keepalived_folder", quoted(folder_of(address))))
        yield Host(f"{rollout.spec.farm.farm}.balancer.{number}", tuple(variables))


def _balancer_variables(rollout: Rollout) -> Iterator[Variable]:
    farm, vendor = rollout.spec.farm, rollout.vendor
    tls = farm.frontend.tls
    yield Variable(f"{vendor}_source", quoted(f"{_FILES}/{farm.farm}/{vendor}"))
    robots, rate = farm.orchestrator.robots, farm.balancer.maintenance.robots_per_second
    yield Variable("upgrade_configurations", quoted(f"{_FILES}/{farm.farm}/upgrade"))
    yield Variable("upgrade_release_seconds", str(max(60, -(-robots // rate)) if robots else 60))
    files = [tls.certificate, tls.key] if farm.balancer_tls else []
    if farm.node_tls and isinstance(tls.verify_nodes, str) and _reads_ca(rollout):
        files.append(tls.verify_nodes)
    yield Variable(f"{vendor}_certificates", entries=tuple(unsafe(path) for path in dict.fromkeys(files)))
    yield Variable(f"{vendor}_key", unsafe(tls.key) if farm.balancer_tls else '""')
    for own in rollout.generator.role_variables(farm):
        show = unsafe if own.from_spec else quoted
        name = f"{vendor}_{own.name}"
        yield Variable(name, show(own.value)) if isinstance(own.value, str) else Variable(name, entries=own.value)
    if "health" in {*ansible_specs.secrets_of(farm)} and _is_needed(rollout, "health"):
        yield Variable(f"{vendor}_details_key", quoted("{{ nlbgen_secret_health }}"))
    if rollout.sentinel is not None and farm.redis_front:
        yield Variable("redis_password", quoted(ansible_redis.LOOKUP))
    vip = farm.frontend.vip
    if vip is not None:
        has_password = _has_password(farm)
        yield Variable("keepalived_source", quoted(f"{_FILES}/{farm.farm}/{vendor}/keepalived"))
        yield Variable("keepalived_balancers", quoted(f"balancers_of_{group(farm.farm)}"))
        yield Variable("keepalived_address", quoted(str(ipaddress.ip_interface(vip.address).ip)))
        yield Variable("keepalived_interface", quoted(vip.interface))
        yield Variable("keepalived_has_password", "true" if has_password else "false")
        if has_password:
            yield Variable("keepalived_password", quoted("{{ nlbgen_secret_vrrp }}"))


def _reads_ca(rollout: Rollout) -> bool:
    """Whether the balancer's configuration names the CA of the nodes."""
    farm = rollout.spec.farm
    if not Design(farm).passthrough:
        return True
    vendor = rollout.generator
    checked = vendor.lacks("passthrough-health", vendor.version(farm)) is None
    return checked and "verify_nodes" in farm.frontend.tls.written


def _nodes(rollout: Rollout) -> Iterator[Host]:
    """Yield the nodes, first the one whose keys are copied to the others."""
    farm = rollout.spec.farm
    for node in (farm.primary, *(node for node in farm.nodes if node is not farm.primary)):
        yield Host(_node_host(farm, node), tuple(_one_node(rollout, node)))


def _node_host(farm: Farm, node: Node) -> str:
    return f"{farm.farm}.node.{node.name}"


def _one_node(rollout: Rollout, node: Node) -> Iterator[Variable]:
    farm = rollout.spec.farm
    member = next(member for member in Design(farm).members if member.name == node.name)
    scheme = "https" if farm.node_tls else "http"
    leaves = ansible_specs.can_leave(farm, node)
    folder = f"{_FILES}/{farm.farm}"
    others = (_node_host(farm, other) for other in ansible_specs.others_that_serve(farm, node))
    clones = farm.keys.source == "primary" and node is not farm.primary
    yield Variable("ansible_host", quoted(node.address))
    yield Variable("node_name", quoted(node.name))
    yield Variable("node_spec", quoted(f"{folder}/nodes/{node.name}.yaml"))
    yield Variable("upgrade_spec", quoted(f"{folder}/after/{node.name}.yaml"))
    yield Variable("node_keys_from", quoted(_node_host(farm, farm.primary) if clones else ""))
    local = f"{scheme}://localhost:{farm.port_of(node)}"
    yield Variable("node_health_urls", entries=tuple(unsafe(f"{local}{path}") for path in farm.health_paths or ("/",)))
    if not farm.node_tls:
        yield Variable("node_http_port", str(farm.port_of(node)))
    yield Variable("node_drained_by", quoted(rollout.vendor if leaves else ""))
    yield Variable("drain_node", quoted(node.name))
    yield Variable("drain_state", node.state)
    yield Variable("drain_others", entries=tuple(map(quoted, others)))
    if rollout.drains_by_files:
        yield Variable("drain_health_url", unsafe(f"{scheme}://{member.endpoint}{farm.health_path or '/'}"))
        yield Variable("drain_endpoint", quoted(member.endpoint))
        yield Variable("drain_variants", quoted(f"{folder}/variants/{node.name}"))


def _host_files(rollout: Rollout) -> Iterator[str]:
    """Return every configuration of the export that a balancer of this farm may have."""
    farm, hosting = rollout.spec.farm, rollout.generator.hosting
    main = hosting.main if hosting is not None else ""
    yield f"{_FILES}/{farm.farm}/{rollout.vendor}/{main}"
    for node in farm.nodes:
        for state in ansible_specs.OUT if ansible_specs.can_leave(farm, node) else ():
            yield f"{_FILES}/{farm.farm}/variants/{node.name}/{state}/{main}"


def _node_variables(rollout: Rollout) -> Iterator[Variable]:
    farm = rollout.spec.farm
    classic = not farm.orchestrator.is_core
    secrets = {name: secret for name, secret in ansible_specs.secrets_of(farm).items() if _is_needed(rollout, name)}
    yield Variable("node_directory", unsafe(farm.orchestrator.directory))
    yield Variable("node_config_files", entries=(main_file(farm.orchestrator),))
    yield Variable("upgrade_files", entries=tuple(unsafe(name) for name in ansible_specs.settings_files(farm)))
    yield Variable("upgrade_snapshot", quoted(f"{_WORK}/{farm.farm}/{ansible_specs.SNAPSHOT}"))
    if services := service_settings.files_of(farm.orchestrator):
        yield Variable("node_service_files", entries=services)
    yield Variable("node_site", unsafe(farm.orchestrator.site))
    yield Variable(
        "node_same_site_id",
        "true" if classic and farm.stores.session == "sqlserver" and len(farm.nodes) > 1 else "false",
    )
    yield Variable("node_plain_http", "false" if farm.node_tls else "true")
    yield Variable("node_health_host", quoted(farm.frontend.host))
    yield Variable("node_health_status", str(farm.balancer.health.expect))
    yield Variable("node_work", quoted(f"{_WORK}/{farm.farm}/node"))
    yield Variable("drain_minimum", str(farm.least_nodes))
    yield Variable("node_secrets", entries=tuple(_needed_entries(secrets, ("sql", "redis"))))
    if rollout.drains_at_runtime:
        yield Variable("drain_backend", quoted(Design(farm).web.name))
    if rollout.drains_by_files:
        yield Variable("drain_normal", quoted(f"{_FILES}/{farm.farm}/{rollout.vendor}"))
        yield Variable("drain_known", entries=tuple(map(quoted, _host_files(rollout))))
    if rollout.hosted:
        hosts = (f"{farm.farm}.balancer.{number}" for number in range(1, len(rollout.balancers) + 1))
        yield Variable("drain_balancers", entries=tuple(quoted(host) for host in hosts))
        yield Variable("drain_asked_from", quoted("{{ drain_balancers }}"))
