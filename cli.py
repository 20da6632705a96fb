"""The command line: parse, call, print. The only module that prints or exits.

What a command makes goes to standard output or into files, what it says about that to standard error. Only click is
imported here; each command imports what it needs, so that `--help` is quick.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .errors import DifferenceError, NlbgenError, Problem, ProblemsError, SpecError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from .spec.load import Spec

FAULT = 70
INTERRUPTED = 130
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
def render(
    vendors: tuple[str, ...], specs: tuple[Path, ...], output: Path, stdout: bool, no_validate: bool, diff: bool
) -> None:
    """Write the configuration for VENDOR (haproxy, nginx, or all).

    The files of each vendor go to DIR/VENDOR/, those of a fleet to DIR/FARM/VENDOR/.
    """
    from .generators import output as out

    if stdout and diff:
        raise UsageError("--stdout and --diff exclude each other", "leave one of them out")
    names = out.chosen(vendors)
    files = out.spec_files(specs or (Path("farm.yaml"),))
    fleet = out.Fleet(output, single=len(files) == 1 and not any(path.is_dir() for path in specs))
    failures = _Failures(single=len(files) == 1)
    changed = False
    for file in _progress(files):
        with failures:
            changed = _render_one(file, names, fleet, stdout=stdout, validate=not no_validate, diff=diff) or changed
    if len(files) > 1 and not (stdout or diff):
        _say(f"{len(files) - failures.count} of {len(files)} farms written below {output}")
    failures.finish()
    if changed:
        raise DifferenceError("the files differ from what the spec makes", "run the command without --diff")


def _render_one(file: Path, vendors: tuple[str, ...], fleet: Any, *, stdout: bool, validate: bool, diff: bool) -> bool:
    """Render one farm; whether something differs, which only `--diff` finds."""
    from .generators import output as out
    from .spec.load import load

    spec = load(file)
    _warn(spec)
    outputs = out.render_all(spec, vendors)
    if diff:
        lines = out.differences(outputs, fleet.place(spec))
        for line in lines:
            click.echo(line)
        return bool(lines)
    said = out.verdicts(spec, vendors) if validate else dict.fromkeys(vendors, "not checked: --no-validate")
    if stdout:
        _print_main(outputs)
        return False
    written = set(out.write(outputs, folder := fleet.place(spec)))
    if fleet.single:
        for made in outputs:
            for path, rendered in made.paths(folder):
                done = "wrote" if path in written else "unchanged"
                _say(f"{done} {path}" + (f" ({said[made.vendor]})" if rendered.main else ""))
    return False


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
    problems = (*spec.warnings, *audit(spec))
    unsupported = any(problem.severity == "error" for problem in problems)
    code = UnsupportedError.exit_code if unsupported else 0
    if strict and any(problem.severity == "warning" for problem in problems):
        code = SpecError.exit_code
    return Result(str(file), spec.digest, tuple(sorted(problems, key=lambda p: (p.place, p.id))), code)


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
@click.option("--farm", help="The farm's name.")
@click.option("--host", help="The name that robots and people use.")
@click.option("--node", "nodes", multiple=True, metavar="NAME=ADDRESS", help="A node; the first one exists already.")
@click.option("--orchestrator", metavar="VERSION", help='The Orchestrator version, as in "2019.4".')
@click.option("--tls", help="bridge, terminate, passthrough or none.")
@click.option("--store", type=click.Choice(["redis", "sqlserver"]), help="Where SignalR keeps its messages.")
@click.option("--redis", metavar="HOST", help="Where Redis is.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def init(output: Path, force: bool, **given: Any) -> None:
    """Write a commented farm.yaml; on a terminal it asks for what no option says."""
    from .files import write_atomically
    from .spec.starter import starter

    if output.exists() and not force:
        raise UsageError(f"{output} exists", "choose another name with -o, or replace it with --force")
    content, spec = starter(_answers(given))
    write_atomically(output, content)
    _say(f"wrote {output}")
    _warn(spec)
    _say("next: `nlbgen check`, then `nlbgen render haproxy`")


def _answers(given: dict[str, Any]) -> Any:
    """The answers from options, and on a terminal from questions."""
    from .spec.starter import Answers, nodes

    ask = sys.stdin.isatty() and sys.stderr.isatty()

    def answer(name: str, question: str, default: str | None = None) -> str:
        if given[name] is not None:
            return str(given[name])
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
    )


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
        _tell(error)
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


def _tell(error: NlbgenError) -> None:
    if isinstance(error, ProblemsError):
        _say(error.message)
        _say(_count(error.problems))
        return
    _say(f"nlbgen: {error.message}")
    if error.hint:
        _say(f"    {error.hint}")


def _count(problems: Iterable[Problem]) -> str:
    kinds = [problem.severity for problem in problems]
    parts = [
        f"{number} {kind}{'s' if number > 1 else ''}" for kind in ("error", "warning") if (number := kinds.count(kind))
    ]
    return f"nlbgen: {' and '.join(parts)}; nothing was written"


def main() -> None:
    """Run the command line and exit: the one place where errors become exit codes."""
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
