"""The SQL that gives the clients of Identity Server the public address, in its database.

Source: UiPath's "Changing the Orchestrator / Identity Server URL" for the tables and their columns; IdentityServer4's
entities for `Id` and `ClientId`. UiPath's own statements replace any text that contains the old name: these compare the
complete scheme, host and port.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from ...core import templating
from ...core.artifacts import Artifact
from ...spec.load import Spec
from ...spec.strings import sql, sql_clients
from .. import powershell, public_url
from ..config.effective import Config
from ..service_settings import IDENTITY, service
from . import texts

NAME: Final = "public-url.sql"
_CONNECTION: Final = "ConnectionStrings:DefaultConnection"
_TABLES: Final = {"ClientRedirectUris": "RedirectUri", "ClientPostLogoutRedirectUris": "PostLogoutRedirectUri"}
"""The tables, each with the column that contains the address."""


def script(spec: Spec, first: Config, configs: Sequence[Config]) -> Artifact:
    """The script for the database of Identity Server; `first` is the first node, which knows the database."""
    server, database = _database(spec, first)
    view = {
        "header": texts.header(spec, "Addresses of Identity Server's clients"),
        "where": f"against {server}" if server else "in the database of Identity Server",
        "database": bracketed(database) if database else "",
        "new": literal(str(public_url.of(spec.farm))),
        "old": [literal(origin) for origin in public_url.old_origins(spec, configs)],
        "tables": [
            {"name": name, "column": column, "temporary": f"#nlbgen_{name}"} for name, column in _TABLES.items()
        ],
    }
    return Artifact(PurePosixPath(NAME), powershell.script(templating.render("nodes/public-url.sql.j2", view)))


def _database(spec: Spec, first: Config) -> tuple[str, str]:
    """The server and the database of Identity Server: of its own string, or else of the spec; empty if unknown."""
    identity = service(first, IDENTITY)
    text = None if identity is None or identity.is_encrypted else identity.text(_CONNECTION)
    if text:
        found = sql.read(text, sql_clients.candidates(core=True)[-1])
        if found.refusal is None and found.text("Initial Catalog"):
            return found.text("Data Source"), found.text("Initial Catalog")
    database = spec.farm.stores.database
    return ("", "") if database is None else (database.server, database.name)


def bracketed(name: str) -> str:
    """A name as T-SQL's delimited identifier."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """A text as T-SQL's literal."""
    return "N'" + text.replace("'", "''") + "'"
