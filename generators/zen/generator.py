"""The Zen Load Balancer and its descendants: Zevenet, Skudonet, Relianoid.

Sources: trials on the products' own engines (pound 2.6, their fork of it, zproxy 0.9.5), on the appliances' code that
edits these files, and recorded sessions of their API. No engine can be installed here: `check.files` checks instead.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final

from ...core.artifacts import Artifact
from ...core.errors import Problem
from ...spec.load import Spec
from ...spec.model import Farm
from ...spec.units import Version
from .. import redis_hosts
from ..base import Draft, Generator, Job
from ..features import No, Support
from ..hosting import Api, Steps, Syntax
from .calls import Call, early, farm_plan, plan
from .check.files import Appliance, check
from .check.formats import ERROR_STATUSES, GUARDIAN_FILE, MARKS_FILE, Dialect
from .install import install
from .objects import HEADER, REMOVED, HttpFarm, L4Farm, Objects, farm_name, objects
from .products import GENERATIONS, NEWEST, Edition, Generation, edition
from .refusals import OWN_IDS, refusals
from .support import POUND, SUPPORT, table, upgrade

ERROR_PAGES: Final = {
    414: "Request URI is too long.",
    500: "An internal server error occurred. Please try again later.",
    501: "This method may not be used.",
    503: "The service is not available. Please try again later.",
}
"""The pages that the appliance itself would write; its API shows them as the farm's own settings."""
VERBS: Final[Mapping[Dialect, int]] = {"zen3": 4, "pound": 5, "zproxy-ng": 5}
"""The set of methods with PATCH, which pound 2.6 does not have."""
SAMPLE_PEM: Final = b"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
"""Replaces the certificate when a farm file is checked, because only the appliance has it."""


class Zen(Generator):
    """The Zen family."""

    name = "zen"
    title = "Zen Load Balancer"
    oldest = Version("3")
    newest = Version("7.9")
    api = Api("api", 'write the URL of its API, for example `zen: {api: "https://zen.corp.example:444"}`', "key")
    syntaxes = (Syntax(r".*_(?:proxy|pound)\.cfg", "pound", "directives"),)
    support: ClassVar[Mapping[str, Support]] = SUPPORT
    own_ids = OWN_IDS

    def version(self, farm: Farm) -> Version:
        """The product and version in the spec's `zen` section."""
        return edition(farm)

    def called(self, version: Version) -> str:
        """The product by its own name, as in `Relianoid 7`."""
        return str(version) if isinstance(version, Edition) else super().called(version)

    def known(self, version: Version) -> tuple[Version, Version]:
        """The versions of the product: the numbers of two products say nothing about each other."""
        if not isinstance(version, Edition):
            return super().known(version)
        if version.generation is None:
            return version, version  # `refusals` says which there are
        return GENERATIONS[version.product][0].oldest, NEWEST[version.product]

    def upgrade(self, feature: str, version: Version) -> str | None:
        """The products that have it, each with its own version."""
        return upgrade(feature, version) if isinstance(version, Edition) else super().upgrade(feature, version)

    def lacks(self, feature: str, version: Version) -> No | None:
        """Why this product does not have the feature in the kind of farm that it gets."""
        if not isinstance(version, Edition):
            answer = POUND[feature]
        elif version.generation is None or version.generation.refusal:
            return None  # there is nothing that could lack it: `refusals` says so
        else:
            answer = table(version)[feature]
        return answer if isinstance(answer, No) else None

    def refusals(self, spec: Spec, version: Version) -> Iterable[Problem]:
        """Products that do not exist or are no use, addresses that are not IPv4, and the like."""
        return refusals(spec, version if isinstance(version, Edition) else edition(spec.farm))

    def quoted(self, text: str) -> str:
        """The text itself: what stands in these files was restricted before it came here."""
        return text

    def files(self, job: Job) -> list[Draft]:
        """The farm's file first, then the redirect's, what belongs to them, and how to install it all."""
        found = edition(job.farm)
        generation = _known(found)
        made = objects(job.farm, found)
        pages = {**ERROR_PAGES, 503: job.design.maintenance_page} if job.design.closed else ERROR_PAGES
        if found.way == "l4-api":
            files = [_calls(made.main.name, plan(made, generation))]
        else:
            files = [file for farm in made.site_farms for file in _farm_files(farm, generation, pages)]
            files += _guardian_files(made, generation)
            # The file of an L4xNAT farm belongs to nftlb.
            files += [_calls(made.redis.name, farm_plan(made.redis, generation))] if made.redis is not None else []
        view = install(job.farm, found, generation, made, job.limitations, [str(file.path) for file in files])
        hosts = redis_hosts.files(job, health_user=True) if made.redis is not None else []
        return [*files, Draft(PurePosixPath("INSTALL.md"), "zen/INSTALL.md.j2", view), *hosts]

    def check(self, spec: Spec, files: list[Artifact]) -> str:
        """Check the files by nlbgen's own strict reader; raises ValidationError where it refuses."""
        found = edition(spec.farm)
        generation = _known(found)
        name = farm_name(spec.farm)
        on_appliance = {f"{generation.certificates}/{name}.pem": SAMPLE_PEM, generation.dh_parameters: b"DH"}
        appliance = Appliance(
            str(found), generation.dialect, generation.config, f"_{generation.suffix}.cfg", on_appliance
        )
        of_appliance = (file for file in files if file.path.parts[0] != "redis")
        check({str(file.path): file.content for file in of_appliance}, appliance)
        what = "the API's calls" if found.way == "l4-api" else f"the dialect {generation.dialect}"
        return f"checked by nlbgen's parser for {what}; the engine runs only on the appliance"

    def steps(self, farm: Farm) -> Steps:
        """The calls of the API."""
        found = edition(farm)
        calls = plan(objects(farm, found), found.generation) if found.generation else []
        return Steps([f"{call.method} {call.path}" for call in calls], list(early(calls)))


def _known(found: Edition) -> Generation:
    generation = found.generation
    if generation is None or generation.refusal:
        raise ValueError(f"{found} was not refused")
    return generation


def _farm_files(farm: HttpFarm | L4Farm, generation: Generation, pages: Mapping[int, str]) -> list[Draft]:
    if isinstance(farm, L4Farm):
        registered = [f"{mark} // FARM_{farm.name}_" for mark in farm.marks]
        return [
            Draft(PurePosixPath(f"{farm.name}_l4xnat.cfg"), "zen/lines.j2", {"lines": _l4_lines(farm)}),
            Draft(PurePosixPath(MARKS_FILE), "zen/lines.j2", {"lines": registered}),
        ]
    name = farm.name
    main = Draft(PurePosixPath(f"{name}_{generation.suffix}.cfg"), "zen/farm.cfg.j2", _http_view(farm, generation))
    states = [f"-b 0 0 {number} maintenance" for number, one in enumerate(farm.backends) if one.state != "up"]
    return [
        main,
        Draft(PurePosixPath(f"{name}_status.cfg"), "zen/lines.j2", {"lines": states}),
        Draft(PurePosixPath(f"{name}_sessions.cfg"), "zen/lines.j2", {"lines": []}),
        *(
            Draft(PurePosixPath(f"{name}_Err{status}.html"), "zen/lines.j2", {"lines": [pages[status]]})
            for status in ERROR_STATUSES
        ),
    ]


def _guardian_files(made: Objects, generation: Generation) -> list[Draft]:
    farm = made.main
    view: dict[str, Any] = {"farm": farm.name, "guardian": made.guardian}
    if generation.dialect == "zen3":
        return [Draft(PurePosixPath(f"{farm.name}_guardian.conf"), "zen/guardian.conf.j2", view)]
    view["linked"] = f"{farm.name}_{farm.service}" if isinstance(farm, HttpFarm) else farm.name
    return [Draft(PurePosixPath(GUARDIAN_FILE), "zen/farmguardian.conf.j2", view)]


def _calls(name: str, calls: Iterable[Call]) -> Draft:
    lines = json.dumps([call._asdict() for call in calls], indent=1).splitlines()
    return Draft(PurePosixPath(f"{name}_calls.json"), "zen/lines.j2", {"lines": lines})


def _l4_lines(farm: L4Farm) -> list[str]:
    held = "ip" if farm.affinity.kind == "source" else "none"
    ttl = farm.affinity.ttl if held == "ip" else 120
    states = {"up": "up", "drain": "maintenance", "down": "maintenance"}
    return [
        f"{farm.name};tcp;{farm.vip};{farm.port};nat;{farm.algorithm};{held};{ttl};up",
        *(
            f";server;{one.ip};{one.port};{mark};{one.weight};1;{states[one.state]}"
            for one, mark in zip(farm.backends, farm.marks, strict=True)
        ),
    ]


def _http_view(farm: HttpFarm, generation: Generation) -> dict[str, Any]:
    ng = generation.dialect == "zproxy-ng"
    return {
        "farm": farm,
        "dialect": generation.dialect,
        "config": generation.config,
        "certificate": f"{generation.certificates}/{farm.certificate or f'{farm.name}.pem'}",
        "dh": generation.dh_parameters,
        "socket": f"/tmp/{farm.name}_{generation.suffix}.socket",  # noqa: S108  # where the appliance looks for it
        "statuses": ERROR_STATUSES,
        "verbs": VERBS[generation.dialect],
        "forwarded": HEADER if farm.tls else None,
        "removed": REMOVED if farm.backends else None,
        "secure": "True" if farm.node_tls else "False",
        "session_type": _session_type(farm, ng=ng),
        "session_off": ('#ID "ZENSESSIONID"', '#Path "/"', '#Domain "domainname.com"')
        if ng
        else ('#ID "sessionname"',),
        "backend_cookie": farm.affinity.kind == "cookie" and not ng,
        "backends": [_backend_view(farm, number, ng=ng) for number in range(len(farm.backends))],
    }


def _session_type(farm: HttpFarm, *, ng: bool) -> str:
    if farm.affinity.kind == "source":
        return "IP"
    return "BACKENDCOOKIE" if farm.affinity.kind == "cookie" and ng else ""


def _backend_view(farm: HttpFarm, number: int, *, ng: bool) -> dict[str, Any]:
    one = farm.backends[number]
    lines = ["HTTPS"] if farm.node_tls else []
    lines += [f"Address {one.ip}", f"Port {one.port}", f"TimeOut {farm.times.answer}"]
    if ng:
        lines += [f"Priority {2 if one.backup else 1}", f"Weight {one.weight}"]
    elif not one.backup:
        lines.append(f"Priority {one.weight}")
    return {"block": "Emergency" if one.backup and not ng else "BackEnd", "lines": lines}


GENERATOR: Final = Zen()
