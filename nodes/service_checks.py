"""Problems of the services' files beside Orchestrator: with them a service does not start, or a farm does not work."""

from collections.abc import Iterator
from typing import Final

from ..spec.strings import redis, servers, sql, sql_clients
from . import store_strings
from .config.appsettings import Service, ServiceSetting
from .config.effective import Config
from .file_checks import FileFinding
from .service_plan import problems
from .service_settings import CERTIFICATE, CERTIFICATE_STORE, IDENTITY, MIRRORS, mirrored, service, shared_settings

MIRROR_ID: Final = "service-keys"
"""The id of a key of Identity that is not the one in Orchestrator's file."""


def findings(config: Config, *, several: bool = True) -> Iterator[FileFinding]:
    """The problems of a node's services; with `several`, also those that only two or more nodes have."""
    for error in problems(config):
        yield FileFinding(error.rule, error.description, error.hint or "", error.location)
    for one in config.services:
        if not one.is_encrypted:
            yield from _strings(config, one, several=several)
            yield from _mirrors(config, one)


def _strings(config: Config, one: Service, *, several: bool) -> Iterator[FileFinding]:
    """The strings with which the service's library does not start, or that name this machine."""
    for setting, shared in shared_settings(one):
        name, text = f"{one.name} {setting.name}", setting.text or ""
        if shared.secrecy == "redis":
            refusal = redis.refusal(text, store_strings.redis_clients_of(None, config))
        elif shared.secrecy == "pairs":
            refusal = sql.refusal(text, sql_clients.candidates(core=True))
            yield from _local(name, setting) if several and refusal is None else ()
        else:
            continue
        if refusal is not None:
            message = f"{name}: {refusal.message}"
            yield FileFinding(store_strings.STRING_ID, message, refusal.hint, setting.location)


def _local(name: str, setting: ServiceSetting) -> Iterator[FileFinding]:
    server = sql.read(setting.text or "", sql_clients.candidates(core=True)[-1]).text("Data Source")
    if server and servers.is_local(server):
        message = f"{name} is the SQL Server of this machine ({server}): each node would use its own"
        yield FileFinding("database-local", message, "write the server's name on every node", setting.location)


def _mirrors(config: Config, one: Service) -> Iterator[FileFinding]:
    """The keys of Identity that are not those in Orchestrator's own file."""
    for name, key in MIRRORS.items() if one.name == IDENTITY else ():
        setting, wanted = one.get(name), mirrored(config, name)
        if setting is not None and setting.text and wanted is not None and setting.text != wanted:
            yield FileFinding(
                MIRROR_ID,
                f"{one.name} {setting.name} is not the {key} of {config.path.name}: Identity and Orchestrator "
                "cannot decrypt each other's data",
                "on the node whose keys the farm uses (the first one, or that of keys.from), write the key that "
                "encrypted the stored data into both files; then `nlbgen nodes apply` copies it to the other nodes",
                setting.location,
            )


def certificate_note(config: Config) -> str:
    """A note on what no file shows about the certificate with which Identity signs; empty without one."""
    one = service(config, IDENTITY)
    name = None if one is None or one.is_encrypted else one.get(CERTIFICATE)
    if one is None or name is None or not name.text or config.collected is not None:
        return ""
    store = one.get(CERTIFICATE_STORE)
    where = f" in {store.text}" if store is not None and store.text else ""
    return (
        f"Identity signs with the certificate {name.text}{where}. Check on every node that this certificate "
        "exists with its private key (2048 to 4096 bits), that it has not expired, and that the app pool of "
        "Identity can read the private key"
    )
