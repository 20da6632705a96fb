"""F5 BIG-IP LTM, TMOS 11.6 and later: a mergeable configuration file and an AS3 declaration.

Both are written from the same objects ([`nlbgen.generators.f5.objects`][]), which `nlbgen push f5` creates on a device.
No program that reads them can be installed here. Instead, nlbgen reads the rendered file back with its own strict
reader and checks every reference in it.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final

from ...core.artifacts import Artifact
from ...core.errors import Problem, ValidationError
from ...spec.load import Spec
from ...spec.model import Farm
from ...spec.units import Version
from .. import redis_hosts
from ..base import Draft, Generator, Job
from ..features import ELSEWHERE, FEATURES, No, Since, Support, Yes, verifies_nodes
from ..hosting import Api, Steps, Syntax
from ..redis import WITHOUT_VOTES, role_front_of, role_refusals
from . import as3 as f5_as3
from . import scf as f5_scf
from .objects import objects
from .pools import clamps
from .profiles import LONGEST_IDLE
from .soap_limits import ACCEPTABLE_IDS
from .vocabulary import GATES, Object, Value, monitors_of

AS3_TMOS: Final = Version("13.1")
"""The first TMOS version that AS3 supports."""
_BUILT_IN: Final = "/Common/"


class F5(Generator):
    """F5 BIG-IP."""

    name = "f5"
    title = "F5 BIG-IP"
    oldest = Version("11.6")
    newest = Version("17.5")
    program = ""
    own_ids = ACCEPTABLE_IDS | {"f5-redis-front", "f5-redis-votes"}
    api = Api("host", "write the device's management address, for example `f5: {host: bigip.corp.example}`", "password")
    syntaxes = (Syntax(r"bigip\.conf", "scf", "objects"),)
    support: ClassVar[Mapping[str, Support]] = {
        **{feature.id: Yes() for feature in FEATURES},
        "verify-nodes": Yes(
            "a server-ssl profile verifies the certificates, with SNI. With passthrough, the monitor uses this profile "
            "from 13.1 on. Before 13.1, health checks send no SNI"
        ),
        "tls-modern": Since(
            GATES["tls-1.3"],
            No("TLS 1.3 came with 14.0"),
            "nlbgen renders a cipher group",
        ),
        "http2": No("with an HTTP/2 profile, WebSockets need further profiles, which nlbgen does not render"),
        "websocket": Yes(
            "from 12.1 on, the virtual server has a websocket profile. Before 12.1, the http profile passes WebSockets"
        ),
        "signalr-pool": Yes(
            "SignalR has its own pool, but the idle timeout is the same for all paths of the virtual server"
        ),
        "address-limit": No(
            "the limit needs the AFM module, or an iRule with a table; nlbgen renders neither",
            "one client address can use all connections",
        ),
        "health-paths": Yes("each service has its own monitor, and all monitors must be up"),
        "health-details-key": No(
            "a monitor contains its request in the clear, and nlbgen writes no secrets into its files",
            "the checks are sent without the key; the key does not change the status",
        ),
        "serve-all-failed": Yes("while the monitors of all nodes fail, an iRule selects a pool without a monitor"),
        "maintenance": Yes("an iRule sends the page. With passthrough, the device resets connections instead"),
        "gradual-release": No(
            "an iRule that counts robots on all cores needs a table, which nlbgen does not render",
            "all robots connect as soon as the farm serves",
        ),
        "app-pool-stop": Yes("only the monitor detects the stopped app pool"),
        "free-hung-websockets": Yes("`service-down-action reset` closes the WebSockets"),
        "source-hash": Yes("the virtual server uses persistence by client address, with the hash CARP"),
        "drain": Yes("the node is `user-disabled`: clients with persistence stay on the node"),
        "slow-start": Yes("the time is in whole seconds, and at most 15 minutes"),
        "redis-front": Yes(
            "a tcp monitor asks each server for its role. The monitor uses a Redis user who may do nothing else. The "
            "Sentinels have no vote, so the spec must accept `f5-redis-votes`. Not available with `tls`"
        ),
        "queue": No(
            "the connection limit of a pool member would also count idle connections",
            "requests wait in IIS's own queue",
        ),
        "max-body": Yes("an iRule compares the Content-Length with the limit; only IIS limits chunked uploads"),
        "state-over-reload": Yes("there is no reload: a push changes only the settings that differ"),
        "vip": No(
            "a device group has its own floating addresses",
            "frontend.address is the virtual servers' address, and the device group moves it",
        ),
        "metrics": No("the device has its own statistics"),
        "ntlm": Yes("without a OneConnect profile, a connection to a node belongs to one client"),
    }

    def version(self, farm: Farm) -> Version:
        """The version in the spec's `f5` section."""
        return farm.f5.version

    def refusals(self, spec: Spec, version: Version) -> Iterable[Problem]:
        """Settings of the `f5` section that contradict each other or this TMOS version."""
        yield from _setting_refusals(spec, version)
        yield from role_refusals(spec, self.name, self.called(version))
        yield from _redis_refusals(spec)

    def quoted(self, text: str) -> str:
        """A path as one word of the commands in INSTALL.md, the only free text that needs quoting."""
        return shlex.quote(text)

    def files(self, job: Job) -> list[Draft]:
        """The configuration to merge, the AS3 declaration, and INSTALL.md."""
        made = objects(job.farm, job.version)
        declared = objects(job.farm, job.version, f5_as3.names(job.farm))
        declaration = f5_as3.declaration(job.farm, declared, job.version)
        return [
            Draft(
                PurePosixPath("bigip.conf"),
                "f5/bigip.conf.j2",
                {"limitations": job.limitations, "notes": list(_notes(job)), "objects": f5_scf.blocks(made)},
            ),
            Draft(
                PurePosixPath("as3.json"), "f5/as3.json.j2", {"lines": json.dumps(declaration, indent=2).split("\n")}
            ),
            Draft(PurePosixPath("INSTALL.md"), "f5/INSTALL.md.j2", self._install(job, made)),
            *_redis_files(job),
        ]

    def check(self, spec: Spec, files: Sequence[Artifact]) -> str:
        """Read the files back; raises ValidationError with every complaint."""
        problems = self.complaints(files)
        if problems:
            message = f"the configuration of the farm {spec.farm.farm} for {self.title} is invalid:\n" + "\n".join(
                problems
            )
            raise ValidationError(message, "this is a bug in nlbgen: please report it with the spec")
        return "checked by nlbgen's parser; only a device can load it"

    def steps(self, farm: Farm) -> Steps:
        """The objects in the order of their creation."""
        made = objects(farm, farm.f5.version)
        ours = {one.path for one in made}
        early: list[str] = []
        before: set[str] = set()
        for one in made:
            named = {path for _, path in references(one.properties)} & ours
            early += [f"{one.path} names {path}" for path in sorted(named - before)]
            before.add(one.path)
        return Steps([f"{one.kind} {one.path}" for one in made], early)

    def complaints(self, files: Sequence[Artifact]) -> list[str]:
        """The complaints of the strict reader: syntax errors, and references to objects that do not exist."""
        content = next(file.content for file in files if file.main)
        try:
            found = f5_scf.parse(content.decode("utf-8"))
        except f5_scf.ScfError as error:
            return [f"bigip.conf: {error}"]
        declared = json.loads(next(file.content for file in files if file.path.name == "as3.json"))
        problems = [f"bigip.conf: {problem}" for problem in dangling(found)]
        if declared.get("class") != "ADC":
            problems.append("as3.json: not a declaration")
        return problems

    def _install(self, job: Job, made: tuple[Object, ...]) -> dict[str, Any]:
        tls = job.design.frontend.tls
        uploads = job.farm.balancer_tls and job.farm.f5.certificate is None
        checked = verifies_nodes(job.farm) and "verify_nodes" in tls.written and job.farm.f5.node_ca is None
        return {
            "partition": "" if job.farm.f5.partition == "Common" else job.farm.f5.partition,
            "folder": f"/{job.farm.f5.partition}",
            "farm": job.farm.farm,
            "certificate": self.quoted(tls.certificate) if uploads else "",
            "key": self.quoted(tls.key) if uploads else "",
            "ca": self.quoted(str(tls.verify_nodes)) if checked else "",
            "sni": any("ssl-profile" in one.properties for one in made),
            "tenant": f5_as3.tenant(job.farm),
            "as3": f5_as3.OLDEST if job.version >= AS3_TMOS else "",
            "as3_tmos": AS3_TMOS,
            "removal": [f"{one.kind} {one.path}" for one in reversed(made)],
        }


def _redis_files(job: Job) -> list[Draft]:
    """The files of the hosts of Redis, if this device has the front."""
    return redis_hosts.files(job, health_user=True) if role_front_of(job.farm, F5.name) is not None else []


def _redis_refusals(spec: Spec) -> Iterator[Problem]:
    front = role_front_of(spec.farm, F5.name)
    if front is not None and front.tls:
        message = "the tcp monitors of a BIG-IP cannot use TLS, but with `tls` the servers of Redis accept only TLS"
        hint = (
            "use HAProxy for the Redis frontend (write its section into the spec); or remove `tls` (password and "
            "messages then cross the network unencrypted)"
        )
        yield spec.problem(("stores", "redis", "tls"), message, hint, id="f5-redis-tls")


def _setting_refusals(spec: Spec, version: Version) -> Iterator[Problem]:
    f5 = spec.farm.f5
    if f5.cipher_group is not None and version < GATES["tls-1.3"]:
        message = f"TMOS {version} has no cipher groups for TLS 1.3, which come with {GATES['tls-1.3']}"
        yield spec.problem(("f5", "cipher_group"), message, "remove it", id="f5-cipher-group")
    if (f5.certificate is None) != (f5.key is None):
        missing = "key" if f5.key is None else "certificate"
        message = "certificate and key belong together: one of them is missing"
        yield spec.problem(("f5", missing), message, "write both keys, or none", id="f5-certificate-key")
    if f5.node_ca is not None and not verifies_nodes(spec.farm):
        message = "the nodes' certificates are not verified, so the CA has no effect"
        hint = (
            "remove it; or verify the certificates: write `tls.mode: bridge`, or keep `passthrough` and write "
            "`tls.verify_nodes`"
        )
        yield spec.problem(("f5", "node_ca"), message, hint, id="f5-node-ca")
    if f5.api == "as3" and version < AS3_TMOS:
        message = f"AS3 needs TMOS {AS3_TMOS} or later, but f5.version is {version}"
        yield spec.problem(("f5", "api"), message, "write `f5.api: rest`, or update the device", id="f5-as3-version")
    if f5.partition != "Common" and f5.partition in f5_as3.RESERVED | _TMSH_WORDS:
        message = f"{f5.partition} is a reserved word of AS3 or tmsh, and cannot name a partition"
        yield spec.problem(
            ("f5", "partition"), message, "choose another name: UiPath, for example", id="f5-partition-name"
        )
    checks = version >= GATES["monitor-ssl-profile"]
    if spec.farm.frontend.tls.mode == "passthrough" and verifies_nodes(spec.farm) and not checks:
        message = f"the monitors of TMOS {version} have no profile that can check a certificate"
        hint = (
            f"remove it (the monitors then check no certificate), or use TMOS {GATES['monitor-ssl-profile']} or later"
        )
        yield spec.problem(("frontend", "tls", "verify_nodes"), message, hint, id="f5-verify-nodes")
    yield from _reserved_host_names(spec)


_TMSH_WORDS: Final = frozenset({"all", "any", "default", "none"})
"""Words that tmsh and REST do not take for names: `none` removes a value."""


def _reserved_host_names(spec: Spec) -> Iterator[Problem]:
    """Host names that are a reserved word of the device."""
    hosts: list[tuple[tuple[str | int, ...], str]] = [(("frontend", "host"), spec.farm.frontend.host)]
    hosts += [(("nodes", number, "address"), node.address) for number, node in enumerate(spec.farm.nodes)]
    for path, host in hosts:
        if host in _TMSH_WORDS:
            message = f"{host} is a reserved word of the device and cannot be a host name there"
            yield spec.problem(path, message, "write the full name, with its domain", id="f5-host-name")


def _notes(job: Job) -> Iterator[str]:
    """Notes at the top of the file that are no limitation."""
    if job.farm.frontend.address == "*":
        yield "frontend.address is `*`: the virtual servers take every address that is routed to this device."
    yield from clamps(job.farm)
    if role_front_of(job.farm, F5.name) is not None:
        yield f"The health check of the Redis frontend only asks each server for its role: {WITHOUT_VOTES}."
    elif job.farm.redis_front:
        yield f"There is no Redis frontend: {ELSEWHERE}."
    if job.farm.balancer.signalr.idle_timeout.seconds > LONGEST_IDLE:
        yield "The idle timeout is one day, which is the maximum."
    made = objects(job.farm, job.version)
    if any("ciphers" in one.properties and one.properties["ciphers"] != "none" for one in made):
        yield "Clients use TLS 1.2: TLS 1.3 needs TMOS 14.0 or later, and `f5.api: rest` or `as3`."
    if job.design.passthrough and "max_body" in job.farm.balancer.written:
        yield "With passthrough the device does not see requests: only the limit of IIS for uploads applies."
    if job.design.tls_mode == "bridge" and not verifies_nodes(job.farm):
        yield "The nodes' certificates are not checked (peer-cert-mode ignore)."
    if job.design.tls_mode == "none" and job.farm.affinity == "signalr":
        yield (
            "On a farm without TLS, verify the affinity on SignalR's paths: a policy can only set a Secure cookie, and "
            "clients do not send it over HTTP. From TMOS 13.0 on, `affinity: cookie` sets a cookie without Secure."
        )
    if job.design.passthrough and not verifies_nodes(job.farm):
        yield "The health checks accept any certificate of the nodes; set frontend.tls.verify_nodes to check it."


# References.

_FILES: Final = frozenset({"cert", "key", "chain", "ca-file"})
_REFERENCES: Final = frozenset({"ssl-profile", "monitor", "pool", "strategy", "cipher-group", *_FILES})
_LISTING: Final = frozenset({"profiles", "policies", "persist", "rules", "allow"})
_ON_DEVICE: Final = frozenset({"cipher-group", *_FILES})
"""The properties that may name an object of the device itself."""


def dangling(found: tuple[Object, ...]) -> list[str]:
    """The references to objects that are neither in the file nor built into the device."""
    paths = {one.path for one in found}
    problems: list[str] = []
    for one in found:
        for key, path in references(one.properties):
            if path in paths or key in _ON_DEVICE or path == "none":
                continue
            if not path.startswith(_BUILT_IN) or path.removeprefix(_BUILT_IN) not in _BUILT_IN_NAMES:
                problems.append(f"{one.kind} {one.path}: {key} {path} does not exist")
    return problems


_BUILT_IN_NAMES: Final = frozenset({"first-match", "http", "tcp"})


def references(properties: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Each property that refers to another object, with that object's path."""
    for key, value in properties.items():
        if key in _LISTING and isinstance(value, Mapping | tuple):
            yield from ((key, path) for path in value if path.startswith("/"))
            yield from (found for inner in _inner(value) for found in references(inner))
        elif key == "members" and isinstance(value, Mapping):
            yield from ((key, member_node(path)) for path in value)
        elif isinstance(value, Mapping):
            yield from references(value)
        elif key in _REFERENCES and isinstance(value, str):
            yield from ((key, path) for path in monitors_of(value))


def _inner(value: "Mapping[str, Value] | tuple[str, ...]") -> Iterator[Mapping[str, Value]]:
    if isinstance(value, Mapping):
        yield from (inner for inner in value.values() if isinstance(inner, Mapping))


def member_node(path: str) -> str:
    """The path of a member's node, from the member's name."""
    return path.rpartition("." if path.count(":") > 1 else ":")[0]


GENERATOR: Final = F5()
