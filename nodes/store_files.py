"""What a node's file shows about the stores that nodes share: the database, and what a plan cannot correct.

Source: the guide, step 3, for the session tables.
"""

from collections.abc import Iterator

from ..core.errors import Location
from ..spec.load import Spec
from ..spec.strings import servers, sql, sql_clients
from ..spec.strings.kinds import Client
from ..spec.strings.sql import SqlString
from . import storage
from .config.effective import Config
from .config.settings import Setting
from .stores import QUARTZ


def other_database(spec: Spec, config: Config) -> tuple[Location, str] | None:
    """The location and the message if a node's own connection string names another database than the spec; else None.

    The guide, step 3: the session tables are in the main database.
    """
    database, entry = spec.farm.stores.database, config.connections.get("Default")
    if database is None or entry is None:
        return None
    found = default_string(config)
    if found is None or found.refusal is not None:
        return None
    server, name = found.text("Data Source"), found.text("Initial Catalog")
    same_server = not server or servers.same(server, database.server)
    if same_server and (not name or name.lower() == database.name.lower()):
        return None
    key = ("stores", "database", "name" if same_server else "server")
    sessions = config.kind == "classic" and spec.farm.stores.session == "sqlserver"
    message = (
        f"connectionStrings/Default names the database {name or '(default)'} on {server or '(local)'}, but the "
        f"spec ({spec.document.location(key)}) names {database.name} on {database.server}"
        + (": sessions would go there, but their tables belong in the main database" if sessions else "")
    )
    return entry.document.location(entry.element.start), message


def default_string(config: Config) -> SqlString | None:
    """What the node's SqlClient reads in its main connection string; None if the file has none."""
    entry = config.connections.get("Default")
    if entry is None:
        return None
    found = [sql.read(entry.value, client) for client in sql_clients_of(config, entry)]
    return next((one for one in found if one.refusal is None), found[0])


def sql_clients_of(config: Config, entry: Setting) -> tuple[Client, ...]:
    """The SqlClients that can read one of the node's connection strings."""
    return sql_clients.candidates(core=config.kind == "core", provider=entry.element.get("providerName") or "")


def notes(config: Config, primary: Config) -> Iterator[str]:
    """Notes on a node's stores that a plan cannot correct."""
    shared = storage.shared(primary)
    for name, entry in storage.local(config):
        if name in shared:
            continue
        place = entry.document.location(entry.element.start)
        yield f"{place}: {name} is on the node's own disk: the other nodes cannot serve these packages"
    if config.kind == "core" and config.app.get(QUARTZ) is None:
        yield (
            f"{config.path}: the plan adds {QUARTZ}. No documentation says whether versions from 2020.10 on read "
            "this setting; it does no harm"
        )
