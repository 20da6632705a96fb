"""The command line: parse, call, print. The only module that prints or exits.

What a command makes goes to standard output or into files, what it says about that to standard error. Only click is
imported here; each command imports what it needs, so that `--help` is quick.
"""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from . import __version__
from .errors import (
    DifferenceError,
    NlbgenError,
    NodeError,
    Problem,
    ProblemsError,
    SpecError,
    UnsupportedError,
    UsageError,
)

if TYPE_CHECKING:
    from .spec.load import Spec

FAULT = 70
INTERRUPTED = 130
NODES = "nodes"
PROGRESS_FROM = 20
"""From so many farms on, a bar shows how far the work is."""

_SPEC = click.option(
    "-s",
    "--spec",
    "specs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The spec [default: farm.yaml]. Several, or a folder of them, make a fleet.",
)
_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("outputs"),
    show_default=True,
    metavar="DIR",
    help="Where files go.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nlbgen")
def cli() -> None:
    """One farm.yaml makes a highly available UiPath Orchestrator farm.

    It renders load balancer configurations and checks them with the real program.

    \b
    Exit codes: 0 done, 1 a difference or anything else, 2 usage, 3 the spec is wrong,
    4 a vendor cannot do what the spec asks, 5 a node's config, 6 a device, 70 a fault of nlbgen.
    """


@cli.command()
@click.argument("vendors", nargs=-1, required=True, metavar="VENDOR...")
@_SPEC
@_OUTPUT
@click.option("--stdout", is_flag=True, help="Print the configuration instead of writing files.")
@click.option("--no-validate", is_flag=True, help="Do not ask the installed program to check the result.")
@click.option("--diff", is_flag=True, help="Show what would change, write nothing, exit 1 on a difference.")
@click.option("--with-secrets", is_flag=True, help="nodes: write the secrets into the scripts.")
def render(
    vendors: tuple[str, ...],
    specs: tuple[Path, ...],
    output: Path,
    stdout: bool,
    no_validate: bool,
    diff: bool,
    with_secrets: bool,
) -> None:
    """Write the configuration for VENDOR (haproxy, nginx, or all), or what prepares the nodes (nodes).

    The files of each vendor go to DIR/VENDOR/, those of a fleet to DIR/FARM/VENDOR/.
    """
    from .generators import output as out

    if stdout and diff:
        raise UsageError("--stdout and --diff exclude each other", "leave one of them out")
    names = out.chosen(vendors, (NODES,))
    files = out.spec_files(specs or (Path("farm.yaml"),))
    fleet = out.Fleet(output, single=len(files) == 1 and (not specs or files[0] in specs))
    failures = _Failures(single=len(files) == 1)
    changed = False
    prepare = None if NODES not in names else _Preparation(named=NODES in vendors, with_secrets=with_secrets)
    names = tuple(name for name in names if name != NODES)
    for file in _progress(files):
        with failures:
            changed |= _render_one(
                file, names, fleet, stdout=stdout, validate=not no_validate, diff=diff, prepare=prepare
            )
    if len(files) > 1 and not (stdout or diff):
        _say(f"{len(files) - failures.count} of {len(files)} farms written below {output}")
    failures.finish()
    if changed:
        raise DifferenceError("the files differ from what the spec makes", "run the command without --diff")


class _Preparation(NamedTuple):
    """How the nodes' files are rendered: asked for by name, or along with all vendors."""

    named: bool
    with_secrets: bool

    def of(self, spec: "Spec") -> Any:
        """The nodes' files; None where `all` meets a farm whose configs are not here."""
        from .nodes import steps

        absent = "" if self.named else steps.absent(spec)
        if absent:
            _say(f"nodes: nothing was prepared: {absent}")
            return None
        prepared = steps.render(spec, with_secrets=self.with_secrets)
        for note in prepared.notes:
            _say(f"nodes: {note}")
        return prepared


def _render_one(
    file: Path,
    vendors: tuple[str, ...],
    fleet: Any,
    *,
    stdout: bool,
    validate: bool,
    diff: bool,
    prepare: _Preparation | None,
) -> bool:
    """Render one farm; whether something differs, which only `--diff` finds."""
    from .generators import output as out
    from .spec.load import load

    spec = load(file)
    _warn(spec)
    outputs = out.render_all(spec, vendors)
    prepared = None if prepare is None else prepare.of(spec)
    if diff:
        lines = out.differences(outputs, folder := fleet.place(spec)) + _node_differences(prepared, folder)
        for line in lines:
            click.echo(line)
        return bool(lines)
    said = out.verdicts(spec, vendors) if validate else dict.fromkeys(vendors, "not checked: --no-validate")
    if stdout:
        _print_main(outputs)
        _print_runbook(prepared)
        return False
    written = set(out.write(outputs, folder := fleet.place(spec)))
    if fleet.single:
        for made in outputs:
            for path, rendered in made.paths(folder):
                done = "wrote" if path in written else "unchanged"
                _say(f"{done} {path}" + (f" ({said[made.vendor]})" if rendered.main else ""))
    _write_nodes(prepared, folder, say=fleet.single)
    return False


def _node_differences(prepared: Any, folder: Path) -> list[str]:
    from .nodes import steps

    return [] if prepared is None else steps.differences(prepared, folder / NODES)


def _print_runbook(prepared: Any) -> None:
    """The one file for people among the nodes' files."""
    for file in () if prepared is None else prepared.files:
        if file.path.name == "RUNBOOK.md":
            sys.stdout.buffer.write(file.content)


def _write_nodes(prepared: Any, folder: Path, *, say: bool) -> None:
    if prepared is None:
        return
    from .nodes import steps

    secret = {folder / NODES / file.path for file in prepared.files if file.secret}
    for path, new in steps.write(prepared, folder / NODES):
        if say:
            _say(f"{'wrote' if new else 'unchanged'} {path}" + (" (holds secrets)" if path in secret else ""))


def _print_main(outputs: Iterable[Any]) -> None:
    """The configurations themselves; how to install them is for files."""
    for made in outputs:
        for rendered in made.files:
            if rendered.main:
                sys.stdout.buffer.write(rendered.content)


@cli.command()
@_SPEC
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "github"]), default="text", help="How problems are shown."
)
@click.option("--strict", is_flag=True, help="Warnings are errors.")
def check(specs: tuple[Path, ...], style: str, strict: bool) -> None:
    """Say everything that is wrong or doubtful in a spec, each with its place and the way out."""
    from . import reports
    from .generators.output import spec_files

    files = spec_files(specs or (Path("farm.yaml"),))
    results = [_check_one(file, strict=strict) for file in files]
    click.echo(reports.STYLES[style](results), nl=False)
    worst = max(result.exit_code for result in results)
    if style == "text":
        _say(reports.summary(results))
    if worst:
        raise _Exit(worst)


def _check_one(file: Path, *, strict: bool) -> Any:
    from .generators.base import audit
    from .reports import Result
    from .spec.load import load

    try:
        spec = load(file)
    except SpecError as error:
        return Result(str(file), "", error.problems, SpecError.exit_code)
    unsupported = audit(spec)
    unprepared = _node_problems(spec)
    problems = (*spec.warnings, *unsupported, *unprepared)
    code = NodeError.exit_code if unprepared else 0
    if any(problem.severity == "error" for problem in unsupported):
        code = UnsupportedError.exit_code
    if strict and any(problem.severity == "warning" for problem in problems):
        code = SpecError.exit_code
    return Result(str(file), spec.digest, tuple(sorted(problems, key=lambda p: (p.place, p.id))), code)


def _node_problems(spec: "Spec") -> list[Problem]:
    """What is wrong with the nodes' configs, where the spec names any."""
    if all(node.config is None for node in spec.farm.nodes) and spec.farm.keys.source == "primary":
        return []
    from .nodes.rules import problems

    return problems(spec)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the spec, for editors."""
    import json

    from .spec.model import Farm
    from .spec.schema import json_schema

    click.echo(json.dumps(json_schema(Farm, "nlbgen farm.yaml"), indent=2, ensure_ascii=False))


@cli.command()
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="How it is shown."
)
def vendors(style: str) -> None:
    """Show which vendor has which feature, from which version on, and what can be accepted."""
    import json

    from .generators import matrix

    if style == "json":
        click.echo(json.dumps(matrix.as_data(), indent=2, ensure_ascii=False))
    else:
        click.echo(matrix.as_markdown() if style == "markdown" else matrix.as_text(), nl=False)


@cli.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("farm.yaml"),
    show_default=True,
    metavar="FILE",
    help="The file to write.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="CONFIG",
    help="The existing node's web.config or UiPath.Orchestrator.dll.config, to prefill from.",
)
@click.option("--farm", help="The farm's name.")
@click.option("--host", help="The name that robots and people use.")
@click.option("--node", "nodes", multiple=True, metavar="NAME=ADDRESS", help="A node; the first one exists already.")
@click.option("--orchestrator", metavar="VERSION", help='The Orchestrator version, as in "2019.4".')
@click.option("--tls", help="bridge, terminate, passthrough or none.")
@click.option("--store", type=click.Choice(["redis", "sqlserver"]), help="Where SignalR keeps its messages.")
@click.option("--redis", metavar="HOST", help="Where Redis is.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def init(output: Path, force: bool, source: Path | None, **given: Any) -> None:
    """Write a commented farm.yaml; on a terminal it asks for what no option says."""
    from .files import read_bytes, write_atomically
    from .spec.starter import starter

    if not force and read_bytes(output) is not None:
        raise UsageError(f"{output} exists", "choose another name with -o, or replace it with --force")
    content, spec = starter(_answers(given, _read_facts(source, output)), str(output))
    write_atomically(output, content)
    _say(f"wrote {output}")
    _warn(spec)
    _say("next: `nlbgen check`, then `nlbgen render haproxy`")


def _read_facts(source: Path | None, output: Path) -> dict[str, Any]:
    """What a node's config file says: answers by their names."""
    if source is None:
        return {}
    import os

    from .nodes.starting import facts

    found = facts(source)
    for note in found.notes:
        _say(note)
    read = {name: value for name, value in found._asdict().items() if name != "notes" and value}
    return {**read, "config": Path(os.path.relpath(source, output.parent)).as_posix()}


def _answers(given: dict[str, Any], read: dict[str, Any]) -> Any:
    """The answers from options, from a config file, and on a terminal from questions."""
    from .spec.starter import Answers, nodes

    ask = sys.stdin.isatty() and sys.stderr.isatty()

    def answer(name: str, question: str, default: str | None = None) -> str:
        if given[name] is not None:
            return str(given[name])
        default = str(read[name]) if name in read else default
        if ask:
            return str(click.prompt(question, default=default, err=True))
        if default is None:
            raise UsageError(f"--{name} is missing", "without a terminal nothing can be asked: give the option")
        return default

    host = answer("host", "Name that robots and people use, as in orchestrator.corp.example")
    store = answer("store", "SignalR's messages go through (redis, sqlserver)", "redis")
    return Answers(
        farm=answer("farm", "Name of the farm", host.partition(".")[0]),
        host=host,
        nodes=nodes(given["nodes"] or _ask_nodes(ask=ask)),
        orchestrator=answer("orchestrator", 'Orchestrator version, as in 2019.4 ("" if unknown)', ""),
        tls=answer("tls", "TLS (bridge, terminate, passthrough, none)", "bridge"),
        store=store,
        redis=answer("redis", "Redis host", "redis-1.corp.example") if store == "redis" else "",
        **{name: value for name, value in read.items() if name not in _ASKED},
    )


_ASKED = frozenset({"orchestrator", "store", "redis"})
"""What a config file only suggests: options and answers count for more."""


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


_ONE_SPEC = click.option(
    "-s",
    "--spec",
    "file",
    type=click.Path(path_type=Path),
    default=Path("farm.yaml"),
    show_default=True,
    metavar="FILE",
    help="The spec.",
)
_STYLE = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="How the result is shown."
)
_CONFIGS = click.argument("configs", nargs=-1, type=click.Path(path_type=Path), metavar="[CONFIG]...")


@cli.group(NODES)
def nodes_group() -> None:
    """Look at the nodes' own config files, and change them.

    Secrets are shown as fingerprints alone: 12 hex digits of SHA-256 for keys, of an HMAC for passwords.
    """


@nodes_group.command("keys")
@_ONE_SPEC
@_STYLE
@_CONFIGS
def nodes_keys(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """List the keys of the spec's nodes, or of these CONFIG files: what, where, which; never a value."""
    from .nodes import tables
    from .nodes.fingerprints import Fingerprints
    from .nodes.keys import inventory

    found = {name: inventory(config, Fingerprints()) for name, config in _node_configs(file, configs).items()}
    _print(tables.data(found) if style == "json" else tables.text(found))


@nodes_group.command("plan")
@_ONE_SPEC
@_STYLE
def nodes_plan(file: Path, style: str) -> None:
    """Show what would change in each node's config; nothing is written."""
    planned = _planned(file)
    _print(planned.plan.data() if style == "json" else planned.plan.text())


@nodes_group.command("apply")
@_ONE_SPEC
@_STYLE
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def nodes_apply(file: Path, style: str, expect: str | None, yes: bool) -> None:
    """Change the nodes' configs in place: all of them or none, each with a dated backup."""
    from datetime import datetime

    from .nodes.apply import apply

    planned = _planned(file)
    if expect is not None:
        planned.plan.expect(expect)
    _say(planned.plan.text().rstrip())
    if planned.plan.changes:
        _confirmed(yes or expect is not None, "Change these files?", "review with `nlbgen nodes plan`")
    written = apply(planned, datetime.now().astimezone())
    if style == "json":
        files = [{"file": str(one.path), "backup": str(one.backup)} for one in written]
        _print({"digest": planned.plan.digest, "written": files})
        return
    for one in written:
        click.echo(f"changed {one.path}; the old file is {one.backup}")


@nodes_group.command("audit")
@_ONE_SPEC
@_STYLE
@_CONFIGS
def nodes_audit(file: Path, style: str, configs: tuple[Path, ...]) -> None:
    """Compare what the spec's nodes, or these CONFIG files, must share; exit 1 where they differ."""
    from .nodes.audit import audit

    loaded = _node_configs(file, configs)
    result = audit(loaded)
    for note in dict.fromkeys(note for config in loaded.values() for note in config.notes):
        _say(note)
    _print(result.data() if style == "json" else result.text())
    if result.drift:
        raise _Exit(DifferenceError.exit_code)


def _planned(file: Path) -> Any:
    from .nodes.planning import plan_farm
    from .spec.load import load

    spec = load(file)
    _warn(spec)
    planned = plan_farm(spec)
    for note in planned.notes:
        _say(note)
    for name in planned.without_config:
        _say(f"{name}: the spec names no config, so it is left out; its own prepare-node.ps1 prepares it")
    return planned


def _node_configs(file: Path, configs: tuple[Path, ...]) -> dict[str, Any]:
    """The configs given, or those of the spec's nodes, by the names to call them by."""
    from .nodes import planning

    if configs:
        return planning.load_files(configs)
    from .spec.load import load

    spec = load(file)
    loaded = {node.name: config for node, config in planning.load_configs(spec).items()}
    if not loaded:
        raise NodeError(f"{file}: no node names its config", "write `config: PATH` at the nodes, or name files")
    return loaded


def _print(result: object) -> None:
    """A text as it is, data as JSON."""
    import json

    text = result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    click.echo(text, nl=False)


_DEVICE_QUESTION = "Change the device?"
_DEVICE_REVIEW = "review with --dry-run"


@cli.group()
def push() -> None:
    """Bring a device to what the spec says: plan, confirm, apply, read back."""


@push.command("zen")
@_ONE_SPEC
@_STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit 1 where something would change.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="DIGEST", help="Change only what the plan with this digest says.")
@click.option("--adopt", is_flag=True, help="Take over a farm that does not carry nlbgen's mark.")
@click.option("--prune", is_flag=True, help="Remove nodes and the redirect that the spec does not have any more.")
@click.option("--force", is_flag=True, help="Take out more than half of the nodes at once.")
def push_zen(file: Path, style: str, dry_run: bool, yes: bool, expect: str | None, **wishes: bool) -> None:
    """Make the farm on a Zevenet, Skudonet or Relianoid by its API; on failure everything is taken back."""
    from .push.zen import connect
    from .push.zen_plan import Wishes
    from .spec.load import load

    spec = load(file)
    _warn(spec)
    with connect(spec) as target:
        planned = target.plan(Wishes(**wishes))
        for note in planned.notes:
            _say(note)
        go = bool(planned.plan.changes) and not dry_run
        if expect is not None:
            planned.plan.expect(expect)
        if go and style == "text" and not yes and expect is None:
            click.echo(planned.plan.text(), err=True, nl=False)
        if go:
            _confirmed(yes or expect is not None, _DEVICE_QUESTION, _DEVICE_REVIEW)
            target.apply(planned, Wishes(**wishes), _say)
    _print({**planned.plan.data(), "applied": go} if style == "json" else planned.plan.text())
    if dry_run and planned.plan.changes:
        raise _Exit(DifferenceError.exit_code)


@push.command("f5")
@_ONE_SPEC
@_STYLE
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit 1 where something would change.")
@click.option("--validate", is_flag=True, help="Have the device check the plan, and change nothing; exit as --dry-run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="DIGEST", default="", help="Change only what the plan with this digest says.")
@click.option("--adopt", is_flag=True, help="Take over objects that do not carry the farm's mark.")
@click.option("--prune", is_flag=True, help="Remove marked objects that the farm does not have any more.")
@click.option("--force", is_flag=True, help="Take out more than half of a pool's members at once.")
@click.option("--sync", metavar="GROUP", default="", help="Synchronise this device group afterwards.")
@click.option(
    "--restore",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SNAPSHOT",
    help="Bring back what a push has saved before it changed something.",
)
@click.option(
    "--snapshots",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("outputs/snapshots"),
    show_default=True,
    metavar="DIR",
    help="Where a push saves what it is about to change.",
)
def push_f5(file: Path, style: str, yes: bool, **wishes: Any) -> None:
    """Bring the farm onto a BIG-IP: by iControl REST in one transaction, by AS3, or by iControl SOAP (f5.api)."""
    from .push.f5 import push as push_to
    from .push.f5_session import Options
    from .spec.load import load

    spec = load(file)
    _warn(spec)
    options = Options(**wishes)
    talk = _Talk(ask=not (yes or options.expect), shown=style == "text" and not options.dry_run)
    report = push_to(spec, options, talk)
    if style == "json":
        _print(report.data())
    else:
        applied = report.outcome == "applied"
        _print(report.table() if applied else report.plan.text())
    if report.outcome in {"planned", "valid"}:
        raise _Exit(DifferenceError.exit_code)


class _Talk:
    """How a push to a BIG-IP speaks with the user: everything but the result goes to standard error."""

    def __init__(self, *, ask: bool, shown: bool) -> None:
        self._ask = ask
        self._shown = shown

    def say(self, text: str) -> None:
        _say(text)

    def show(self, plan: Any) -> None:
        if self._shown and plan.changes:
            click.echo(plan.text(), err=True, nl=False)

    def agree(self, question: str) -> bool:
        _say(question)
        _confirmed(not self._ask, _DEVICE_QUESTION, _DEVICE_REVIEW)
        return True


def _confirmed(agreed: bool, question: str, review: str) -> None:
    """Go on only where someone agrees."""
    if agreed:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here", f"{review}, then run it with --expect DIGEST or --yes")
    click.confirm(question, abort=True, err=True)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "nlbgen", "_NLBGEN_COMPLETE").source())


class _Exit(Exception):  # noqa: N818  # no error: everything was said already
    """Leave with a status and without a word."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Failures:
    """Lets a fleet go on after a farm that fails, and remembers the worst exit code; a single farm just fails."""

    def __init__(self, *, single: bool) -> None:
        self._single = single
        self._worst = 0
        self.count = 0

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if self._single or not isinstance(error, NlbgenError):
            return False
        _tell(error, "this farm was skipped")
        self.count += 1
        self._worst = max(self._worst, error.exit_code)
        return True

    def finish(self) -> None:
        if self._worst:
            raise _Exit(self._worst)


def _progress(files: tuple[Path, ...]) -> Iterator[Path]:
    if len(files) < PROGRESS_FROM or not sys.stderr.isatty():
        yield from files
        return
    with click.progressbar(files, label="farms", file=sys.stderr) as bar:
        yield from bar


def _say(text: str) -> None:
    click.echo(text, err=True)


def _warn(spec: "Spec") -> None:
    for problem in spec.warnings:
        _say(str(problem))


def _tell(error: NlbgenError, outcome: str = "nothing was written") -> None:
    if isinstance(error, ProblemsError):
        _say(error.message)
        _say(f"nlbgen: {_count(error.problems)}; {outcome}")
        return
    _say(f"nlbgen: {error.message}")
    if error.hint:
        _say(f"    {error.hint}")


def _count(problems: Iterable[Problem]) -> str:
    kinds = [problem.severity for problem in problems]
    parts = [
        f"{number} {kind}{'s' if number > 1 else ''}" for kind in ("error", "warning") if (number := kinds.count(kind))
    ]
    return " and ".join(parts)


def main() -> None:
    """Run the command line and exit: the one place where errors become exit codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and specs hold what a terminal may not know
    try:
        cli.main(standalone_mode=False)
    except _Exit as done:
        sys.exit(done.status)
    except NlbgenError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is left to say, not even at exit.
        sys.stdout = None
        sys.exit(1)
    except Exception:  # whatever else arrives here is our fault, and is reported as such
        import traceback

        _say(traceback.format_exc())
        _say("nlbgen: this is a fault of nlbgen: please report it with the command and the text above")
        sys.exit(FAULT)
