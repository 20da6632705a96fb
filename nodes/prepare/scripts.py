"""The PowerShell scripts: what the templates of prepare-node and sessionstate show."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from ...core import templating
from ...core.artifacts import Artifact
from ...core.errors import NodeError
from ...spec.load import Spec
from ...spec.model import Node, SqlLogin
from .. import keys, powershell, public_url, stores
from ..config.effective import CLASSIC_FILE, CORE_FILE, MACHINE_KEY, SESSION_STATE, Config
from ..fingerprints import Fingerprints
from ..values import DesiredSetting, SecretPart, Value
from . import redis_scripts
from .services import ServiceChange
from .texts import default, header, missing, script


def prepare_node(
    spec: Spec,
    node: Node,
    config: Config,
    source: Config,
    shared: stores.Stores,
    services: Sequence[ServiceChange] = (),
    *,
    with_secrets: bool,
) -> Artifact:
    """The script that prepares one node, with the keys of `source`; `config` is the node's own file if it is known.

    `services` are the prepared files of the node's services.
    """
    farm = spec.farm
    own_keys = node is farm.primary and farm.keys.source == "primary"
    cloned = keys.keys_to_clone(source)
    desired = (
        *(() if own_keys else keys.desired_settings(cloned, config)),
        *stores.desired_settings(spec, shared, config, source),
        *public_url.desired_settings(spec, config),
    )
    redis = redis_scripts.login(spec, desired, config)
    core = config.kind == "core"
    scheme = "https" if farm.node_tls else "http"
    port = farm.port_of(node)
    base = f"{scheme}://localhost:{port}"
    name = CORE_FILE if core else CLASSIC_FILE
    view = {
        "header": header(spec, f"Preparation of the node {node.name}"),
        "node": node.name,
        "node_literal": powershell.literal(node.name),
        "address": powershell.literal(node.address),
        "others": [
            {"name": powershell.literal(other.name), "address": powershell.literal(other.address)}
            for other in farm.nodes
            if other is not node
        ],
        "own_keys": own_keys,
        "farm_key": powershell.literal(_fingerprint(cloned.encryption)),
        "http": scheme == "http",
        "farm": farm.farm,
        "with_secrets": with_secrets,
        "config_path": powershell.literal(f"{farm.orchestrator.directory}\\{name}"),
        "site": powershell.literal(farm.orchestrator.site),
        "secrets": [_secret(setting, part, with_secrets=with_secrets) for setting, part in _parts(desired)],
        "protection_tool": config.protection_tool,
        "statements": [_statement(setting) for setting in desired],
        "status_urls": [powershell.literal(f"{base}{path}") for path in farm.health_paths or ("/",)],
        "host": powershell.literal(farm.frontend.host),
        "expect": farm.balancer.health.expect,
        "done": powershell.literal(f"{node.name} answers: the node is ready."),
        "services": [
            {"path": powershell.literal(one.path.replace("/", "\\")), "before": one.before, "after": one.after}
            for one in services
        ],
        "redis": [] if redis is None else redis_scripts.functions(redis),
        "several_redis": redis is not None and len(redis.servers) > 1,
        "redis_password": redis is not None and redis.password is not None,
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
        "fingerprint": powershell.literal(_fingerprint(Value((part,), "key")) if cloned else ""),
    }


def _fingerprint(key: Value) -> str:
    """The fingerprint of a key, as `nlbgen nodes keys` shows it."""
    return Fingerprints().shown(key.reveal(), "key").text


def _statement(setting: DesiredSetting) -> str:
    """The line of the script that sets or removes one setting; raises NodeError for a value that no script holds."""
    try:
        return _command(setting)
    except ValueError as error:
        hint = "correct the value in the file that it comes from"
        raise NodeError(f"{setting.path}: cannot be written into a script: {error}", hint) from None


def _command(setting: DesiredSetting) -> str:
    attribute = setting.section in {MACHINE_KEY, SESSION_STATE}
    section, key = powershell.literal(setting.section), powershell.literal(setting.key)
    if setting.value is None:
        return f"Remove-SectionAttribute $File {section} {key}"
    secrets = [part for part in setting.value.parts if isinstance(part, SecretPart)]
    if setting.secrecy == "key":
        return f"Set-Key $File {section} {key} {powershell.literal(secrets[0].parameter)}"
    command = "Set-SectionAttribute" if attribute else "Set-Setting"
    secret = "$true" if secrets else "$false"
    return f"{command} $File {section} {key} {powershell.expression(setting.value)} {secret}"


def session_tables(spec: Spec, *, with_secrets: bool) -> Artifact:
    """The script that creates the session tables."""
    database = spec.farm.stores.database
    if database is None:
        raise ValueError("a spec without a database passed the planning")
    login = database.auth if isinstance(database.auth, SqlLogin) else None
    part = stores.sql_password(spec)
    view = {
        "header": header(spec, "Session tables"),
        "server": powershell.literal(database.server),
        "job_name": expired_job(database.name),
        "database": powershell.literal(database.name),
        "windows": login is None,
        "user": powershell.literal((login.user or "") if login else ""),
        "password": default(part, with_secrets=with_secrets),
        "missing": powershell.literal(missing(part)),
    }
    return script("sessionstate.ps1", view, secret=with_secrets and part is not None)


def expired_job(database: str) -> str:
    """The job of SQL Server Agent that aspnet_regsql creates.

    Source: Microsoft's InstallSqlStateTemplate.sql, which names it after the database.
    """
    return f"{database}_Job_DeleteExpiredSessions"
