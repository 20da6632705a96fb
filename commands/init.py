"""`nlbgen init`: write a first farm.yaml."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import UsageError
from . import console

if TYPE_CHECKING:
    from ..spec.starter import Answers


@click.command()
@click.option(
    "-o",
    "--output",
    type=console.FilePath(dir_okay=False, stream=True),
    default=Path("farm.yaml"),
    show_default=True,
    metavar="FILE",
    help="The file to write, or - for standard output.",
)
@click.option(
    "--from",
    "source",
    type=console.FilePath(),
    metavar="CONFIG",
    help="Read answers from the existing node's web.config or UiPath.Orchestrator.dll.config.",
)
@click.option("--farm", help="The farm's name.")
@click.option("--host", help="The name that robots and people use.")
@click.option(
    "--node", "nodes", multiple=True, metavar="NAME=ADDRESS", help="A node; repeatable, the existing node first."
)
@click.option("--orchestrator", metavar="VERSION", help='The Orchestrator version, for example "2019.4".')
@click.option("--tls", type=click.Choice(["bridge", "terminate", "passthrough", "none"]), help="Where TLS ends.")
@click.option(
    "--store",
    type=click.Choice(["redis", "sqlserver"]),
    help="The SignalR backplane, which sends messages between the nodes.",
)
@click.option("--redis", metavar="HOST[:PORT],...", help="The Redis server, or a list with commas.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def command(output: Path, force: bool, source: Path | None, **given: "str | tuple[str, ...] | None") -> None:
    """Write a commented farm.yaml. On a terminal, the command prompts for missing values."""
    from ..core.files import read_bytes
    from ..spec.starter import starter

    if not force and output is not console.STDOUT and read_bytes(output) is not None:
        raise UsageError(f"{output} exists", "choose another name with -o, or replace it with --force")
    content, spec = starter(_answers(given, _read_facts(source, output)), str(output))
    console.deliver(content, output)
    console.show_warnings(spec)
    console.info("next: `nlbgen check`, then `nlbgen render haproxy`")


def _read_facts(source: Path | None, output: Path) -> dict[str, Any]:
    """Return the answers that a node's config file has, by name."""
    if source is None:
        return {}
    import os

    from ..nodes.discovery import facts

    found = facts(source)
    for note in found.notes:
        console.info(note)
    read = {name: value for name, value in found._asdict().items() if name != "notes" and value}
    if found.redis:
        read["redis"] = ",".join(found.redis)
    return {**read, "config": Path(os.path.relpath(source, output.parent)).as_posix()}


def _answers(given: dict[str, Any], read: dict[str, Any]) -> "Answers":
    """Return the answers from the options, a config file, and on a terminal from prompts."""
    from ..spec.starter import STORES, TLS_MODES, Answers, is_core_version, nodes

    ask = sys.stdin.isatty() and sys.stderr.isatty()

    def answer(name: str, question: str, default: str | None = None, choices: tuple[str, ...] = ()) -> str:
        if given[name] is not None:
            return str(given[name])
        default = str(read[name]) if name in read else default
        if ask:
            kind = click.Choice(choices) if choices else None
            return str(click.prompt(question, default=default, type=kind, err=True))
        if default is None:
            raise UsageError(f"--{name} is missing", "there is no terminal for a prompt: give this option")
        return default

    host = answer("host", "Name that robots and people use, for example orchestrator.corp.example")
    farm = answer("farm", "Name of the farm", host.partition(".")[0])
    found = nodes(given["nodes"] or _ask_nodes(ask=ask))
    version = answer("orchestrator", "Orchestrator version, for example 2019.4 (empty if unknown)", "")
    tls = answer("tls", "TLS", "bridge", TLS_MODES)
    core = is_core_version(version)
    only = core and given["store"] is None  # SignalR in SQL Server ended with the classic versions
    store = (
        "redis" if only else answer("store", "SignalR backplane (sends messages between the nodes)", "redis", STORES)
    )
    where = "Host of the High Availability Add-on" if core else "Redis host"
    return Answers(
        farm=farm,
        host=host,
        nodes=found,
        orchestrator=version,
        tls=tls,
        store=store,
        redis=answer("redis", where, "redis-1.corp.example") if store == "redis" else "",
        **{name: value for name, value in read.items() if name not in _ASKED},
    )


_ASKED = frozenset({"orchestrator", "store", "redis"})
"""For these answers the config file gives only the default: options and prompts take precedence."""


def _ask_nodes(*, ask: bool) -> list[str]:
    if not ask:
        raise UsageError("--node is missing", "give each node as --node NAME=ADDRESS, the existing one first")
    found: list[str] = []
    while True:
        number = len(found) + 1
        address = click.prompt(
            f"Address of node {number}" + (" (empty: no more)" if number > 2 else ""),
            default="" if number > 2 else None,
            show_default=False,
            err=True,
        )
        if not address:
            return found
        found.append(f"orch-{number}={address}")
