"""The settings that a service gets from the environment variables in its web.config.

ASP.NET Core reads them over the files: `__` stands for a colon, names have any case. IIS sets them when it starts the
service. Sources: Microsoft's "ASP.NET Core Module" for `<environmentVariables>` of `<aspNetCore>`, and
EnvironmentVariablesConfigurationProvider of .NET for the names and for the prefixes of connection strings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .json_settings import fold
from .lexer import Element
from .webconfig import ConfigError, Document

FILE: Final = "web.config"
_PREFIXES: Final = ("CUSTOMCONNSTR_", "SQLCONNSTR_", "SQLAZURECONNSTR_", "MYSQLCONNSTR_")
"""Before the name of a connection string."""
_CHOOSERS: Final = ("ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT")
"""The variables that choose the file over `appsettings.json`."""
_PRODUCTION: Final = "production"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable as a setting: its name for the configuration, and its element in the web.config."""

    name: str
    element: Element

    @property
    def text(self) -> str:
        """The value; empty if the element has none."""
        return self.element.get("value") or ""


class Environment:
    """The environment variables of one service."""

    def __init__(self, document: Document, rule: str) -> None:
        """Read the web.config of a service; raises ConfigError with this rule if its settings are elsewhere."""
        self.document: Final = document
        self.variables: Final[dict[str, Variable]] = {}
        for element in _elements(document, rule):
            written = element.get("name") or ""
            if written.upper() in _CHOOSERS and (element.get("value") or "").lower() != _PRODUCTION:
                raise document.error(
                    element.start,
                    f"the variable {written} is not Production: the service does not read appsettings.Production.json",
                    "write Production, or remove the variable",
                    rule,
                )
            name = setting_name(written)
            # IIS replaces an earlier variable of the same name.
            self.variables[fold(name)] = Variable(name, element)


def setting_name(variable: str) -> str:
    """The name of the setting that a variable sets."""
    prefix = next((one for one in _PREFIXES if variable.upper().startswith(one)), "")
    name = variable[len(prefix) :].replace("__", ":")
    return f"ConnectionStrings:{name}" if prefix else name


def _elements(document: Document, rule: str) -> Iterator[Element]:
    root = document.root
    holders = (root, *(one for one in root.named("location") if one.get("path") in {None, "", "."}))
    found: list[Element] = []
    for server in (server for holder in holders for server in holder.named("system.webServer")):
        for module in server.named("aspNetCore"):
            _require_here(document, module, rule)
            for group in module.named("environmentVariables"):
                for child in group.children:
                    if child.name == "clear":
                        found.clear()
                    elif child.name == "environmentVariable":
                        found.append(child)
    yield from found


def _require_here(document: Document, module: Element, rule: str) -> None:
    if module.get("configSource") is not None:
        raise document.error(
            module.start,
            "<aspNetCore> has a configSource: nlbgen does not read the environment variables in another file",
            f"move its content into this {FILE}",
            rule,
        )


def problem(error: ConfigError, rule: str) -> ConfigError:
    """The same problem with this rule, for a file that IIS cannot read."""
    return ConfigError(error.location, error.description, error.hint or "", error.rule or rule)
