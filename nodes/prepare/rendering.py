"""Render the files of `nlbgen render nodes`: prepared configs, transforms, scripts, the runbook."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ...core import templating
from ...core.artifacts import Artifact
from ...core.errors import NodeError
from ...core.plan import Plan
from ...spec.load import Spec
from ...spec.model import Farm, Node
from ...spec.references import MissingSecretError
from .. import planning, powershell, public_url, reading, service_plan, spec_files, stores
from ..config import effective as configs
from ..config.effective import CLASSIC_FILE, ENCRYPT, Config
from ..fingerprints import Fingerprints
from ..planning import FarmPlan, NodePlan
from ..runbook import view as runbook
from ..service_settings import IDENTITY, service
from . import address_sql, redis_scripts, scripts, services, texts, xdt
from .redis_scripts import Login


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rendered files, and notes on files that were left out."""

    files: tuple[Artifact, ...]
    notes: tuple[str, ...]


def render(spec: Spec, *, with_secrets: bool = False, with_configs: bool = True) -> Prepared:
    """Render all files for a farm's nodes, sorted by path; raises NodeError or SpecError.

    If a secret is missing, the prepared configs and transforms are left out with a note; the other files need no
    secret. Without `with_configs` they are always left out, and no secret is read.
    """
    loaded = reading.load_configs(spec)
    source = reading.keys_source(spec, loaded)
    notes: list[str] = []
    files: list[Artifact] = []
    try:
        if with_configs:
            farm_plan = planning.plan_configs(spec, loaded, source)
            notes += farm_plan.notes
            for plan in farm_plan.nodes:
                files += _configs(spec, plan)
        else:
            farm_plan = _without_secrets(spec, loaded, source, notes)
    except MissingSecretError as error:
        if with_secrets:
            raise
        notes.append(f"no prepared config and no transform was written: {error.message}; {error.hint}")
        farm_plan = _without_secrets(spec, loaded, source, notes)
    for plan in farm_plan.nodes if with_configs else ():
        files += services.files(plan)
    notes += [
        f"{node}/{path}: prepare-node.ps1 installs this prepared file: copy it to the node together with the script"
        for node, path in services.prepared(farm_plan)
    ]
    shared = stores.stores_of(spec, classic=source.kind == "classic")
    changed = {plan.node: services.changes(plan) for plan in farm_plan.nodes}
    for node in spec.farm.nodes:
        config, own = loaded.get(node, source), changed.get(node, [])
        files.append(scripts.prepare_node(spec, node, config, source, shared, own, with_secrets=with_secrets))
    first = loaded.get(spec.farm.primary, source)
    login = redis_scripts.login(spec, stores.desired_settings(spec, shared, first, source), first)
    files += _farm_files(spec, farm_plan, source, login, with_secrets=with_secrets)
    notes += [
        f"{node.name}: the spec has no `config` for this node, so only its script was written"
        for node in _unnamed(spec.farm)
    ]
    return Prepared(tuple(sorted(files, key=lambda file: file.path)), tuple(notes))


def absent(spec: Spec) -> str:
    """Why no file can be rendered because a config file is missing; empty if all exist."""
    primary = spec.farm.primary
    if spec.farm.keys.source == "primary" and primary.config is None:
        return f"the spec has no `config` for {primary.name}"
    missing = (f"{file} does not exist" for _path, file in spec_files.named(spec) if not configs.is_there(file))
    return next(missing, "")


def _unnamed(farm: Farm) -> Iterator[Node]:
    return (node for node in farm.nodes if node.config is None)


def _without_secrets(spec: Spec, loaded: dict[Node, Config], source: Config, notes: list[str]) -> FarmPlan:
    """The farm with a plan of the services' files only, which needs no secret of the spec."""
    plans: list[NodePlan] = []
    url = public_url.of(spec.farm)
    for node, config in loaded.items():
        plan = NodePlan(node, config, (), (), (), ())
        try:
            services_plan = service_plan.planned(node.name, config, source, Fingerprints(), url)
            plan = replace(plan, service_files=services_plan.files)
        except NodeError as error:
            notes.append(f"{node.name}: no file of its services was prepared: {error.message}")
        plans.append(plan)
    return FarmPlan(tuple(plans), Plan((), {}), Fingerprints())


def _configs(spec: Spec, plan: NodePlan) -> Iterator[Artifact]:
    """The prepared files of one node, each with its transform."""
    changed = dict(plan.files)
    folder = plan.config.path.parent
    for document in plan.config.documents:
        relative = PurePosixPath(document.path.relative_to(folder).as_posix())
        place = PurePosixPath(plan.node.name) / relative
        yield Artifact(place, changed.get(document, document.raw), secret=True)
        own = [operation for operation in plan.operations if operation.document is document]
        # XML comments end at two hyphens, and names may hold two.
        lines = [line.replace("--", "- -") for line in texts.header(spec, f"Transform for {plan.node.name}")]
        view = {"header": lines, "tags": xdt.tags(own, document.root)}
        content = templating.render("nodes/transform.config.j2", view)
        yield Artifact(place.with_name(_transform_name(relative.name)), content, secret=True)


def _transform_name(name: str) -> str:
    """`Web.nlb.config` for web.config, and `NAME.nlb.config` for any other file."""
    if name.lower() == CLASSIC_FILE:
        return "Web.nlb.config"
    stem = name[: -len(".config")] if name.lower().endswith(".config") else name
    return f"{stem}.nlb.config"


def _farm_files(
    spec: Spec, farm_plan: FarmPlan, source: Config, login: Login | None, *, with_secrets: bool
) -> Iterator[Artifact]:
    farm = spec.farm
    if source.kind == "classic" and farm.stores.session == "sqlserver":
        yield scripts.session_tables(spec, with_secrets=with_secrets)
    if login is not None and source.kind == "classic" and not farm.redis_front:
        yield redis_scripts.server(spec, login, with_secrets=with_secrets)
    if login is not None:
        yield redis_scripts.check(spec, login, with_secrets=with_secrets)
    sessions = source.kind == "classic" and farm.stores.session == "sqlserver"
    messages = farm.stores.signalr == "sqlserver"
    if (sessions or messages) and farm.stores.database is not None:
        view = {
            "header": texts.header(spec, "Tables that the nodes share,"),
            "server": farm.stores.database.server,
            "database": address_sql.bracketed(farm.stores.database.name),
            "job_quoted": _nested(scripts.expired_job(farm.stores.database.name)),
            "tables": list(_tables(sessions=sessions, messages=messages)),
            "sessions": sessions,
            "messages": messages,
        }
        content = templating.render("nodes/verify.sql.j2", view)
        yield Artifact(PurePosixPath("verify.sql"), powershell.script(content))
    nodes = [plan.config for plan in farm_plan.nodes] or [source]
    if source.kind == "core" or any(service(config, IDENTITY) is not None for config in nodes):
        yield address_sql.script(spec, source, nodes)
    secrets = {"sql": stores.sql_password(spec), "redis": stores.redis_password(spec)}
    variables = {what: part.variable for what, part in secrets.items() if part is not None}
    encrypt = source.protection_command(ENCRYPT, "SECTION")
    sentinels = login is not None and bool(login.service)
    core = source.kind == "core"
    prepared = services.prepared(farm_plan)
    shown = runbook.view(farm_plan, farm, variables, core=core, encrypt=encrypt, sentinels=sentinels, services=prepared)
    view = {"header": texts.header(spec, "Runbook"), **shown}
    yield Artifact(PurePosixPath("RUNBOOK.md"), templating.render("nodes/RUNBOOK.md.j2", view))


def _tables(*, sessions: bool, messages: bool) -> Iterator[dict[str, str]]:
    """The shared tables, from the guide's appendix."""
    if sessions:
        for name in ("ASPStateTempApplications", "ASPStateTempSessions"):
            yield {"name": f"N'[dbo].[{name}]'", "made_by": "N'sessionstate.ps1'"}
    if messages:
        for name in ("Messages_0", "Messages_0_Id", "Schema"):
            yield {"name": f"N'[SignalR].[{name}]'", "made_by": "N'the first start of the Orchestrator'"}


def _nested(text: str) -> str:
    """A text as T-SQL's literal, inside another literal."""
    return "N''" + text.replace("'", "''''") + "''"
