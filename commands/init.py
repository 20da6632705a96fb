"""`nlbgen init`: write a first farm.yaml."""

import sys
from collections.abc import Callable
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
    help="Read values from the existing load balancer's haproxy.cfg, nginx.conf, bigip.conf or AS3 declaration, or "
    "from the existing node's web.config or UiPath.Orchestrator.dll.config.",
)
@click.option(
    "--frontend",
    metavar="NAME",
    help="With --from: the frontend, server or virtual server of the farm, if the load balancer has several.",
)
@click.option("--farm", help="The farm's name [default: the first label of the host name].")
@click.option("--host", help="The name that robots and people use.")
@click.option("--address", help="The address on which the balancer listens; * for every address.")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="A node; give the option for each node, the existing node first.",
)
@click.option("--orchestrator", metavar="VERSION", help='The Orchestrator version, for example "2019.4".')
@click.option(
    "--tls",
    type=click.Choice(["bridge", "terminate", "passthrough", "none"]),
    help="Where TLS is terminated. bridge: at the balancer, with new TLS connections to the nodes; terminate: at the "
    "balancer; passthrough: at the nodes; none: no TLS.",
)
@click.option(
    "--store",
    type=click.Choice(["redis", "sqlserver"]),
    help="The SignalR backplane, which sends messages between the nodes.",
)
@click.option("--redis", metavar="HOST[:PORT],...", help="One or more Redis servers, separated by commas.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="With --from: the format of the list that shows what becomes of each statement of CONFIG.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("-y", "--yes", is_flag=True, help="Never prompt, even on a terminal (for scripts).")
def command(
    output: Path,
    style: str,
    force: bool,
    yes: bool,
    source: Path | None,
    **given: "str | tuple[str, ...] | None",
) -> None:
    """Write a commented farm.yaml. On a terminal, the command prompts for missing values.

    Beside it, the command writes the JSON Schema for editors, nlbgen.schema.json.
    """
    from ..core.files import read_bytes
    from ..core.wording import json_text
    from ..spec.model import Farm
    from ..spec.schema import json_schema
    from ..spec.starter import starter
    from .takeover import take_over

    if not force and output is not console.STDOUT and read_bytes(output) is not None:
        raise UsageError(f"{output} exists", "choose another name with -o, or replace it with --force")
    if style == "json" and output is console.STDOUT:
        raise UsageError(
            "--format json and -o - cannot be combined: both use standard output", "write the spec to a file: -o FILE"
        )
    ask = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    taken = take_over(source, given, answerer(given, {}, ask=ask), output) if source is not None else None
    if taken is None:
        if style == "json":
            hint = "remove it, or give the load balancer's configuration with --from"
            raise UsageError(
                "--format json: there is no load balancer's configuration whose statements could be listed", hint
            )
        if given["frontend"] is not None:
            hint = "remove it, or give the load balancer's configuration with --from"
            raise UsageError("--frontend: there is no load balancer's configuration with a frontend", hint)
        content, spec = starter(_answers(given, _read_facts(source, output), ask=ask), str(output))
    else:
        content, spec = taken.content, taken.spec
    console.deliver(content, output)
    if output is not console.STDOUT:
        schema = f"{json_text(json_schema(Farm, 'nlbgen farm.yaml'))}\n"
        console.deliver(schema.encode("utf-8"), output.with_name(_SCHEMA))
    if taken is not None:
        taken.show(to_errors=output is console.STDOUT, as_json=style == "json")
    console.show_warnings(spec)
    vendor = taken.vendor if taken is not None else "haproxy"
    console.info(f"next: `nlbgen check`, then `nlbgen render {vendor}`")


_SCHEMA = "nlbgen.schema.json"
"""The file that the first line of the spec names for editors."""


def _read_facts(source: Path | None, output: Path) -> dict[str, Any]:
    """Return the answers that a node's config file has, by name."""
    if source is None:
        return {}
    from ..core.files import relative
    from ..nodes.discovery import facts

    found = facts(source)
    for note in found.notes:
        console.info(note)
    read = {name: value for name, value in found._asdict().items() if name != "notes" and value}
    if found.redis:
        read["redis"] = ",".join(found.redis)
    return {**read, "config": relative(source, output.parent)}


def answerer(given: dict[str, Any], read: dict[str, Any], *, ask: bool) -> Callable[..., str]:
    """Return a function for one answer: from the options, from a prompt with `ask`, or from what was read."""

    def answer(name: str, question: str, default: str | None = None, missing: str = "give this option") -> str:
        if given[name] is not None:
            return str(given[name])
        default = str(read[name]) if name in read else default
        if ask:
            return _prompt(name, question, default)
        if default is None:
            raise UsageError(f"--{name} is missing", missing)
        return default

    return answer


def _answers(given: dict[str, Any], read: dict[str, Any], *, ask: bool) -> "Answers":
    """Return the answers from the options, a config file, and with `ask` from prompts."""
    from ..spec.starter import Answers, is_core_version, nodes

    if not ask:
        _refuse_missing(given, read)
    answer = answerer(given, read, ask=ask)
    host = answer("host", "Name that robots and people use")
    found = nodes(given["nodes"] or _ask_nodes(ask=ask))
    address = answer("address", "Address of the balancer (* for every address of its machine)", "*")
    version = answer("orchestrator", "Orchestrator version, for example 2019.4 (empty if unknown)", "")
    if ask and given["tls"] is None:
        _explain_tls()
    tls = answer("tls", "TLS mode", "bridge")
    core = is_core_version(version)
    store = given["store"] or read.get("store") or "redis"
    where = (
        "Host of the High Availability Add-on" if core else "Redis host (sends SignalR's messages between the nodes)"
    )
    hint = f"give its host{'' if core else ', or use SQL Server with --store sqlserver'}"
    return Answers(
        farm=given["farm"] or host.partition(".")[0],
        host=host,
        nodes=found,
        address=address,
        orchestrator=version,
        tls=tls,
        store=store,
        redis=answer("redis", where, missing=hint) if store == "redis" else "",
        **{name: value for name, value in read.items() if name not in _ASKED},
    )


_EXAMPLES = {
    "host": "--host orchestrator.example.com",
    "node": "--node orch-1=10.0.0.11 --node orch-2=10.0.0.12",
    "redis": "--redis redis.example.com",
}
"""What each farm needs, and no default can give."""


def _refuse_missing(given: dict[str, Any], read: dict[str, Any]) -> None:
    """Raise UsageError with all options that are missing, if these are more than one."""
    from ..core.wording import all_of

    store = given["store"] or read.get("store") or "redis"
    needed = {"host": given["host"] or read.get("host"), "node": given["nodes"]}
    if store == "redis":
        needed["redis"] = given["redis"] or read.get("redis")
    missing = [name for name, value in needed.items() if not value]
    if len(missing) > 1:
        example = " ".join(_EXAMPLES[name] for name in missing)
        raise UsageError(f"{all_of([f'--{name}' for name in missing])} are missing", f"add for example: {example}")


_ASKED = frozenset({"orchestrator", "store", "redis"})
"""For these answers the config file gives only the default: options and prompts take precedence."""


def _prompt(name: str, question: str, default: str | None) -> str:
    """Prompt until the answer is valid; an empty default is a valid answer."""
    from ..spec.starter import TLS_MODES, problem_of

    def checked(text: str) -> str:
        if text != default and (problem := problem_of(name, text)):
            raise click.UsageError(problem)
        return text

    if name == "tls":
        return str(click.prompt(question, default=default, type=click.Choice(list(TLS_MODES)), err=True))
    return str(click.prompt(question, default=default, show_default=bool(default), value_proc=checked, err=True))


def _explain_tls() -> None:
    from ..spec.starter import TLS_MODES

    for mode, meaning in TLS_MODES.items():
        console.notice(f"  {mode:<12} {meaning}")


def _ask_nodes(*, ask: bool) -> list[str]:
    if not ask:
        raise UsageError("--node is missing", "give each node as --node NAME=ADDRESS, the existing one first")
    found: list[str] = []
    while True:
        number = len(found) + 1
        more = " (empty: no more)" if number > 2 else ", the existing one" if number == 1 else ""
        address = _prompt("node", f"Address of node {number}{more}", "" if number > 2 else None)
        if not address:
            return found
        found.append(f"orch-{number}={address}")
