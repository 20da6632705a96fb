"""Render the files of `nlbgen render nodes`: prepared configs, transforms, scripts, the runbook."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...core import templating
from ...core.artifacts import Artifact, made_by
from ...core.plan import Plan
from ...spec.load import Spec
from ...spec.model import Farm, Node, SqlLogin
from ...spec.references import MissingSecretError
from .. import keys, planning, powershell, spec_checks, stores
from ..config import effective as configs
from ..config.effective import CLASSIC_FILE, CORE_FILE, ENCRYPT, MACHINE_KEY, SESSION_STATE, Config
from ..fingerprints import Fingerprints
from ..planning import FarmPlan, NodePlan
from ..runbook import view as runbook
from ..values import DesiredSetting, SecretPart
from . import xdt


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
    loaded = planning.load_configs(spec)
    source = planning.keys_source(spec, loaded)
    notes: list[str] = []
    files: list[Artifact] = []
    farm_plan = _without_secrets(loaded)
    try:
        if with_configs:
            farm_plan = planning.plan_configs(spec, loaded, source)
            notes += farm_plan.notes
            for plan in farm_plan.nodes:
                files += _configs(spec, plan)
    except MissingSecretError as error:
        if with_secrets:
            raise
        notes.append(f"no prepared config and no transform was written: {error.message}; {error.hint}")
        farm_plan = _without_secrets(loaded)
    shared = stores.stores_of(spec, classic=source.kind == "classic")
    for node in spec.farm.nodes:
        files.append(_prepare_node(spec, node, loaded.get(node, source), source, shared, with_secrets=with_secrets))
    files += _farm_files(spec, farm_plan, source, with_secrets=with_secrets)
    notes += [f"{node.name}: the spec names no config, so only its script was written" for node in _unnamed(spec.farm)]
    return Prepared(tuple(sorted(files, key=lambda file: file.path)), tuple(notes))


def absent(spec: Spec) -> str:
    """Why no file can be rendered because a config file is missing; empty if all exist."""
    primary = spec.farm.primary
    if spec.farm.keys.source == "primary" and primary.config is None:
        return f"the spec does not name the config of {primary.name}"
    missing = (f"{file} does not exist" for _path, file in spec_checks.named(spec) if not configs.is_there(file))
    return next(missing, "")


def _unnamed(farm: Farm) -> Iterator[Node]:
    return (node for node in farm.nodes if node.config is None)


def _without_secrets(loaded: dict[Node, Config]) -> FarmPlan:
    """The farm with an empty plan, for files that need only the existing configs."""
    plans = tuple(NodePlan(node, config, (), (), (), ()) for node, config in loaded.items())
    return FarmPlan(plans, Plan((), {}), Fingerprints())


def header(spec: Spec, what: str) -> list[str]:
    """What every file starts with."""
    return [
        f"{what} of the farm {spec.farm.farm}",
        *made_by("render nodes", spec.digest),
    ]


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
        lines = [line.replace("--", "- -") for line in header(spec, f"Transform for {plan.node.name}")]
        view = {"header": lines, "tags": xdt.tags(own, document.root)}
        content = templating.render("nodes/transform.config.j2", view)
        yield Artifact(place.with_name(_transform_name(relative.name)), content, secret=True)


def _transform_name(name: str) -> str:
    """`Web.nlb.config` for web.config, and `NAME.nlb.config` for any other file."""
    if name.lower() == CLASSIC_FILE:
        return "Web.nlb.config"
    stem = name[: -len(".config")] if name.lower().endswith(".config") else name
    return f"{stem}.nlb.config"


def _prepare_node(
    spec: Spec, node: Node, config: Config, source: Config, shared: stores.Stores, *, with_secrets: bool
) -> Artifact:
    farm = spec.farm
    own_keys = node is farm.primary and farm.keys.source == "primary"
    desired = (
        *(() if own_keys else keys.desired_settings(keys.keys_to_clone(source), config)),
        *stores.desired_settings(spec, shared, config, source),
    )
    core = config.kind == "core"
    scheme = "https" if farm.node_tls else "http"
    port = farm.port_of(node)
    path = farm.health_path or "/"
    name = CORE_FILE if core else CLASSIC_FILE
    view = {
        "header": header(spec, f"Preparation of the node {node.name}"),
        "node": node.name,
        "primary": node is farm.primary,
        "farm": farm.farm,
        "with_secrets": with_secrets,
        "config_path": powershell.literal(f"{farm.orchestrator.directory}\\{name}"),
        "site": powershell.literal(farm.orchestrator.site),
        "secrets": [_secret(setting, part, with_secrets=with_secrets) for setting, part in _parts(desired)],
        "protection_tool": config.protection_tool,
        "statements": [_statement(setting) for setting in desired],
        "status_url": powershell.literal(f"{scheme}://localhost:{port}{path}"),
        "host": powershell.literal(farm.frontend.host),
        "expect": farm.balancer.health.expect,
        "done": powershell.literal(f"{node.name} answers: the node is ready."),
    }
    content = templating.render("nodes/prepare-node.ps1.j2", view)
    return Artifact(PurePosixPath(node.name) / "prepare-node.ps1", powershell.script(content), secret=with_secrets)


def _parts(desired: Iterable[DesiredSetting]) -> list[tuple[DesiredSetting, SecretPart]]:
    """Every secret once, with the setting that contains it."""
    found: dict[str, tuple[DesiredSetting, SecretPart]] = {}
    for setting in desired:
        for part in setting.value.parts if setting.value is not None else ():
            if isinstance(part, SecretPart):
                found.setdefault(part.parameter, (setting, part))
    return list(found.values())


def _secret(setting: DesiredSetting, part: SecretPart, *, with_secrets: bool) -> dict[str, str]:
    default = f"$env:{part.variable}"
    if with_secrets:
        default = powershell.secret_literal(part)
    cloned = setting.secrecy == "key"
    return {
        "parameter": part.parameter,
        "name": powershell.literal(part.parameter),
        "default": default,
        "variable": powershell.literal(part.variable),
        "section": powershell.literal(setting.section if cloned else ""),
        "key": powershell.literal(setting.key if cloned else ""),
    }


def _statement(setting: DesiredSetting) -> str:
    """The line of the script that sets or removes one setting."""
    attribute = setting.section in {MACHINE_KEY, SESSION_STATE}
    section, key = powershell.literal(setting.section), powershell.literal(setting.key)
    if setting.value is None:
        return f"Remove-SectionAttribute $document {section} {key}"
    command = "Set-SectionAttribute" if attribute else "Set-Setting"
    secret = "$true" if any(isinstance(part, SecretPart) for part in setting.value.parts) else "$false"
    return f"{command} $document {section} {key} {powershell.expression(setting.value)} {secret}"


def _farm_files(spec: Spec, farm_plan: FarmPlan, source: Config, *, with_secrets: bool) -> Iterator[Artifact]:
    farm = spec.farm
    if source.kind == "classic" and farm.stores.session == "sqlserver":
        yield _session_script(spec, with_secrets=with_secrets)
    if source.kind == "classic" and farm.stores.signalr == "redis":
        yield _redis_script(spec, with_secrets=with_secrets)
    sessions = source.kind == "classic" and farm.stores.session == "sqlserver"
    messages = farm.stores.signalr == "sqlserver"
    if (sessions or messages) and farm.stores.database is not None:
        view = {
            "header": header(spec, "Tables that the nodes share,"),
            "server": farm.stores.database.server,
            "database": _bracketed(farm.stores.database.name),
            "tables": list(_tables(sessions=sessions, messages=messages)),
            "sessions": sessions,
            "messages": messages,
        }
        yield Artifact(PurePosixPath("verify.sql"), templating.render("nodes/verify.sql.j2", view))
    secrets = {"sql": stores.sql_password(spec), "redis": stores.redis_password(spec)}
    variables = {what: part.variable for what, part in secrets.items() if part is not None}
    encrypt = source.protection_command(ENCRYPT, "SECTION")
    shown = runbook.view(farm_plan, farm, variables, core=source.kind == "core", encrypt=encrypt)
    view = {"header": header(spec, "Runbook"), **shown}
    yield Artifact(PurePosixPath("RUNBOOK.md"), templating.render("nodes/RUNBOOK.md.j2", view))


def _session_script(spec: Spec, *, with_secrets: bool) -> Artifact:
    database = spec.farm.stores.database
    if database is None:
        raise ValueError("a spec without a database passed the planning")
    login = database.auth if isinstance(database.auth, SqlLogin) else None
    part = stores.sql_password(spec)
    view = {
        "header": header(spec, "Session tables"),
        "server": powershell.literal(database.server),
        "database": powershell.literal(database.name),
        "windows": login is None,
        "user": powershell.literal((login.user or "") if login else ""),
        "password": _default(part, with_secrets=with_secrets),
        "missing": powershell.literal(_missing(part)),
    }
    content = templating.render("nodes/sessionstate.ps1.j2", view)
    return Artifact(
        PurePosixPath("sessionstate.ps1"), powershell.script(content), secret=with_secrets and part is not None
    )


def _redis_script(spec: Spec, *, with_secrets: bool) -> Artifact:
    redis = spec.farm.stores.redis
    if redis is None:
        raise ValueError("a spec without Redis passed the checks")
    part = stores.redis_password(spec)
    on_node = f", also whenever the node {redis.install_on} is down" if redis.install_on else ""
    view = {
        "header": header(spec, "Redis"),
        "farm": spec.farm.farm,
        "machine": redis.install_on or redis.host,
        "port": redis.port,
        "password": _default(part, with_secrets=with_secrets) if part else "",
        "missing": powershell.literal(_missing(part)),
        "warning": powershell.literal(
            f"One Redis is a single point of failure: while it is down{on_node}, the nodes do not pass messages on."
        ),
    }
    content = templating.render("nodes/redis.ps1.j2", view)
    return Artifact(PurePosixPath("redis.ps1"), powershell.script(content), secret=with_secrets and part is not None)


def _default(part: SecretPart | None, *, with_secrets: bool) -> str:
    if part is None:
        return "''"
    if with_secrets:
        return powershell.secret_literal(part)
    return f"$env:{part.variable}"


def _missing(part: SecretPart | None) -> str:
    return f"The password is missing: set $env:{part.variable}, or pass it as a parameter." if part else ""


def _tables(*, sessions: bool, messages: bool) -> Iterator[dict[str, str]]:
    """The shared tables, from the guide's appendix."""
    if sessions:
        for name in ("ASPStateTempApplications", "ASPStateTempSessions"):
            yield {"name": f"N'[dbo].[{name}]'", "made_by": "N'sessionstate.ps1'"}
    if messages:
        for name in ("Messages_0", "Messages_0_Id", "Schema"):
            yield {"name": f"N'[SignalR].[{name}]'", "made_by": "N'the first start of the Orchestrator'"}


def _bracketed(name: str) -> str:
    """A name as T-SQL's delimited identifier."""
    return "[" + name.replace("]", "]]") + "]"
