"""`nlbgen prove`: test the configuration in a lab before the change."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import DifferenceError, NlbgenError, UsageError
from . import console

if TYPE_CHECKING:
    from ..prove.foreign.plan import Foreign
    from ..prove.lab.bench import TestBench
    from ..prove.run import RunOptions, Watch
    from ..prove.scenarios.base import Scenario
    from ..prove.score.limits import Limits
    from ..prove.score.scorecard import Scorecard
    from ..spec.load import Spec
    from .beside import Rendered

NONE = "none"
"""`--scenario none`: start the lab without scenarios, for `--keep`."""
REVIVE_SECONDS = 15.0
"""With `--keep`, a killed node restarts after this many seconds."""


@click.command()
@click.argument("vendor")
@console.ONE_SPEC
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Run only this scenario; repeatable; `none` for no scenario [default: all].",
)
@click.option(
    "--robots",
    type=click.IntRange(1, 60_000),
    metavar="NUMBER",
    help="Connect this number of robots, and run the scenarios for robots.",
)
@click.option(
    "--threshold", "threshold_file", type=console.FilePath(), metavar="FILE", help="YAML file with your own limits."
)
@click.option("--bar", "old_threshold_file", type=console.FilePath(), hidden=True)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "junit", "html"]),
    default="text",
    help="The format of the scorecard.",
)
@click.option(
    "--diff", is_flag=True, help="Show how the lab's configuration differs from the rendered one; run no scenario."
)
@click.option(
    "--config",
    "configs",
    type=console.FilePath(),
    multiple=True,
    metavar="FILE",
    help="Run this haproxy.cfg or nginx.conf instead of the rendered configuration. For HAProxy: repeatable; a folder "
    "stands for its *.cfg files.",
)
@click.option("--host", metavar="NAME", help="With --config: the host name that the clients request.")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="LIVE=FOLDER",
    help="With --config: read the files of the live machine's folder LIVE from FOLDER; repeatable.",
)
@click.option(
    "--beside",
    is_flag=True,
    help=(
        "With --config: also run the configuration that nlbgen renders, and show both results side by side. nlbgen "
        "renders the spec of -s; without -s, the spec that `init --from` makes of the file of --config."
    ),
)
@click.option("--keep", is_flag=True, help="Keep the lab running after the scenarios, until Ctrl-C.")
@click.option("--quick", is_flag=True, help="Run five scenarios under a shorter load, in less than 90 seconds.")
@click.option("--real-time", is_flag=True, help="Use the real timeouts instead of scaled ones; the run takes longer.")
@click.option(
    "--requests",
    "log",
    type=console.FilePath(dir_okay=False),
    metavar="FILE",
    help="Log every request of the load to FILE, one JSON object per line.",
)
def command(
    vendor: str,
    file: Path,
    names: tuple[str, ...],
    robots: int | None,
    threshold_file: Path | None,
    old_threshold_file: Path | None,
    style: str,
    diff: bool,
    configs: tuple[Path, ...],
    host: str | None,
    maps: tuple[str, ...],
    beside: bool,
    keep: bool,
    quick: bool,
    real_time: bool,
    log: Path | None,
) -> None:
    """Run the configuration in the real HAProxy or NGINX on this machine, and compare the results with thresholds.

    Simulated nodes run behind the balancer, and the scenarios make them fail. All processes are bound to loopback and
    end with the command. For F5 and Zen, the command runs the checks that need no device.
    """
    from ..generators.base import generator
    from ..generators.output import chosen as vendors_of
    from ..prove.score import limits as thresholds
    from ..spec.load import load

    console.on_refusal("no scenario ran")
    if diff and keep:
        raise UsageError("--diff and --keep cannot be combined", "use only one of them")
    if quick:
        _refuse_with_quick({"--scenario": names, "--robots": robots, "--diff": diff, "--real-time": real_time})
    if len(names_of := vendors_of((vendor,), ())) > 1:
        raise UsageError("the command takes one vendor", f"write {_with_programs()}")
    vendor = names_of[0]
    own_file = threshold_file or old_threshold_file
    own = thresholds.read(own_file) if own_file else {}
    limits = {**thresholds.defaults(vendor), **own}

    def run_options() -> "RunOptions":
        options = _options(names, limits, robots, quick=quick)
        options.requests, options.real_time = log, real_time
        options.keep = _Keeper(style) if keep else None
        return options

    if configs:
        _require_library()
        _refuse_with_beside({"--diff": diff, "--keep": keep, "--requests": log} if beside else {})
        options = run_options()
        given = _given_spec()
        options.foreign = _foreign(vendor, configs, given.farm.frontend.host if given else host, maps)
        _prove_file(vendor, given, options.foreign, options, style, diff=diff, beside=beside)
        return
    _refuse_without_config(host, maps, beside=beside)
    spec = load(file)
    console.show_warnings(spec)
    _require_library()
    if not generator(vendor).program:
        from ..prove.static_checks import static_scorecard

        _refuse_scenario_options(
            vendor,
            {
                "--scenario": names,
                "--robots": robots,
                "--diff": diff,
                "--keep": keep,
                "--quick": quick,
                "--real-time": real_time,
                "--requests": log,
            },
        )
        _finish(static_scorecard(spec, vendor, limits), style)
        return
    if diff:
        _show_difference(spec, vendor)
        return
    _require_posix()
    _run(spec, vendor, run_options(), style)


def _foreign(vendor: str, configs: tuple[Path, ...], host: str | None, maps: tuple[str, ...]) -> "Foreign":
    """Read a configuration that nlbgen did not write."""
    from ..prove.foreign.load import foreign
    from ..prove.foreign.maps import Maps

    _require_posix()
    return foreign(vendor, configs, host, Maps.of(maps))


def _given_spec() -> "Spec | None":
    """Return the spec that the command line names; without one, the clients are those of the configuration."""
    from ..spec.load import load

    context = click.get_current_context()
    named = context.get_parameter_source("file") is click.core.ParameterSource.COMMANDLINE
    return load(context.params["file"]) if named else None


def _prove_file(
    vendor: str,
    given: "Spec | None",
    found: "Foreign",
    options: "RunOptions",
    style: str,
    *,
    diff: bool,
    beside: bool,
) -> None:
    """Run a configuration that nlbgen did not write."""
    from ..prove.foreign.plan import farm_of
    from .beside import rendered_for

    if beside:
        rendered = rendered_for(found.files, vendor, found.plan.host, given)
        own = farm_of(found, rendered.spec)
        _run_beside(own, rendered, vendor, options, style)
        return
    spec = farm_of(found, given)
    if diff:
        _show_difference(spec, vendor, found)
    else:
        _run(spec, vendor, options, style)


def _run_beside(own: "Spec", rendered: "Rendered", vendor: str, options: "RunOptions", style: str) -> None:
    """Run both configurations, print one scorecard, and raise DifferenceError if a scenario of either failed."""
    from ..prove.beside import prove_beside
    from ..prove.score import beside, formats

    both = prove_beside(own, rendered.spec, vendor, options, _watched)
    if rendered.note:
        both.rendered.notes.insert(0, rendered.note)
    console.show(beside.STYLES[style](both))
    if style != "text":
        for label, card in both.cards.items():
            console.info(f"{label}: {formats.summary(card)}")
    _refuse_failures(both.cards)


def _refuse_with_quick(options: dict[str, object]) -> None:
    """Refuse the options that select other scenarios or other times than `--quick`."""
    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"--quick and {given[0]} cannot be combined",
            "remove one of them: --quick selects its own scenarios and times",
        )


def _refuse_without_config(host: str | None, maps: tuple[str, ...], *, beside: bool) -> None:
    """Refuse the options that are about another configuration than the rendered one."""
    if maps:
        raise UsageError("--map is for --config only", "remove it: nlbgen's own configuration includes no files")
    if host is not None:
        raise UsageError("--host is for --config only", "write frontend.host in the spec")
    if beside:
        raise UsageError("--beside is for --config only", "give the configuration to compare with --config FILE")


def _refuse_with_beside(options: dict[str, object]) -> None:
    """Refuse the options that are about one lab."""
    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"--beside and {given[0]} cannot be combined",
            "remove one of them: --beside runs two labs, one after another",
        )


def _refuse_scenario_options(vendor: str, options: dict[str, object]) -> None:
    """Refuse the options of scenarios for a vendor without a local program."""
    from ..generators.base import generator

    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"{', '.join(given)}: {generator(vendor).title} runs only on its own device, so there are no scenarios",
            f"remove {given[0] if len(given) == 1 else 'them'}, or use {_with_programs()}",
        )


def _with_programs() -> str:
    """Return the vendors whose programs run in the lab, as a choice: `a or b`."""
    from ..core.wording import one_of
    from ..generators.base import hosted_generators

    return one_of([vendor.name for vendor in hosted_generators()])


def _require_library() -> None:
    """Refuse to run without the optional packages of the lab."""
    if find_spec("aiohttp") is None:
        raise NlbgenError("the lab needs the library aiohttp, which is not installed", "pip install 'nlbgen[prove]'")


def _require_posix() -> None:
    if sys.platform == "win32":
        raise NlbgenError("the lab does not run on Windows", "run it on Linux or macOS, or in WSL")


def _show_difference(spec: "Spec", vendor: str, foreign: "Foreign | None" = None) -> None:
    from ..prove.foreign.lab import ForeignLab
    from ..prove.lab.mapping import difference
    from ..prove.run import make_lab

    lab = make_lab(spec, vendor, foreign)
    try:
        lab.prepare()
        console.show(lab.difference() if isinstance(lab, ForeignLab) else difference(lab))
    finally:
        lab.close()


def _options(names: tuple[str, ...], limits: "Limits", robots: int | None, *, quick: bool) -> "RunOptions":
    from ..prove.run import RunOptions
    from ..prove.scenarios.registry import QUICK, chosen

    scenarios = [] if names == (NONE,) else chosen(QUICK if quick else names, robots=robots is not None)
    return RunOptions(scenarios, limits, quick=quick, robots=robots)


def _run(spec: "Spec", vendor: str, options: "RunOptions", style: str) -> None:
    from ..prove.run import prove

    if options.requests is not None:
        _empty(options.requests)
    with _watched(len(options.scenarios)) as watch:
        card = prove(spec, vendor, options, watch)
    _finish(card, style, shown=options.keep is not None)


def _empty(log: Path) -> None:
    from ..core.files import write_atomically

    write_atomically(log, b"")


def _finish(card: "Scorecard", style: str, *, shown: bool = False) -> None:
    """Print the scorecard, unless `shown`, and raise DifferenceError if a scenario failed."""
    from ..prove.score import formats

    if not shown:
        console.show(formats.STYLES[style](card))
    if style != "text":
        console.info(formats.summary(card))
    _refuse_failures({"": card})


def _refuse_failures(cards: "Mapping[str, Scorecard]") -> None:
    """Raise DifferenceError for what failed, or else for what is inconclusive; the names of cards come first."""
    named = [(f"{name}: " if name else "", card) for name, card in cards.items()]
    if failed := [f"{name}{one}" for name, card in named for one in card.failed()]:
        raise DifferenceError(
            f"failed: {', '.join(failed)}",
            "repeat one scenario with --scenario NAME; set your own limits with --threshold FILE",
        )
    if unclear := [f"{name}{one}" for name, card in named for one in card.inconclusive()]:
        raise DifferenceError(
            f"inconclusive: {', '.join(unclear)}",
            "the processors of this machine were the limit: repeat on an idle machine, or with fewer --robots",
        )


@contextmanager
def _watched(total: int) -> "Iterator[Watch]":
    """Show a live view on a terminal; elsewhere print one line for each event."""
    if not (console.animated() and find_spec("rich")):
        watched: set[int] = set()

        def listen(bench: "TestBench", _: "Scenario | None") -> None:
            if id(bench) not in watched:
                watched.add(id(bench))
                bench.timeline.listeners.append(lambda at, what: console.info(f"{at:7.1f} s  {what}"))

        yield listen
        return
    from rich.console import Console
    from rich.live import Live

    from ..prove.watch import View

    view = View(total)
    with Live(view, console=Console(stderr=True), refresh_per_second=4, transient=True, redirect_stdout=False) as live:

        def show(bench: "TestBench", scenario: "Scenario | None") -> None:
            view.watch(bench, scenario)
            if scenario is None:
                live.stop()

        yield show


class _Keeper:
    """`--keep`: after the last scenario, print the scorecard and how to use the lab, then wait for Ctrl-C."""

    def __init__(self, style: str) -> None:
        self._style = style

    def __call__(self, bench: "TestBench", card: "Scorecard") -> None:
        from ..prove.score import formats

        console.show(formats.STYLES[self._style](card))
        for line in _directions(bench):
            console.notice(line)  # the user needs these ports also with --quiet
        try:
            self._wait(bench)
        except KeyboardInterrupt:
            console.info("stopping the lab")

    @staticmethod
    def _wait(bench: "TestBench") -> None:
        from time import monotonic, sleep

        died: dict[str, float] = {}
        while bench.lab.balancer.running:
            for node in bench.nodes:
                if node.running:
                    died.pop(node.name, None)
                elif monotonic() - died.setdefault(node.name, monotonic()) > REVIVE_SECONDS:
                    node.restart()
                    console.info(f"{node.name} restarted, process {node.pid}")
            sleep(0.5)
        raise NlbgenError("the balancer stopped", bench.lab.balancer.output())


def _directions(bench: "TestBench") -> Iterator[str]:
    """Yield the commands that reach the lab and that make its nodes fail."""
    lab = bench.lab
    ca = lab.certificates.ca
    statistics = "" if lab.generator.hosting is None else lab.generator.hosting.statistics
    yield ""
    yield f"the farm runs at {lab.url}, with the CA {ca}; its name must resolve to 127.0.0.1, as in these commands:"
    connect = f"--resolve {lab.host}:{lab.port}:127.0.0.1" if lab.renders else f"--connect-to ::127.0.0.1:{lab.port}"
    yield f"    curl {connect} --cacert {ca} {lab.url}/odata/Jobs"
    here = "127.0.0.1" if lab.renders else f"127.0.0.1:{lab.port}"
    yield f'    chromium --host-resolver-rules="MAP {lab.host} {here}" --ignore-certificate-errors {lab.url}/'
    if lab.renders:
        yield f"the balancer's statistics: http://127.0.0.1:{lab.metrics_port}{statistics}"
    for node in bench.nodes:
        state = f"http://127.0.0.1:{node.options.control_port}"
        yield f"{node.name}, process {node.pid}:"
        yield f"    kill -KILL {node.pid}     # crash; the node restarts after {REVIVE_SECONDS:.0f} s"
        yield f"    kill -STOP {node.pid}     # hang; kill -CONT {node.pid} resumes it"
        yield f"    curl {state}/state -d '{{\"pool_stopped\": true}}'     # answers 503, as a stopped app pool does"
        yield f"    curl {state}/state -d '{{\"drain\": true}}'            # its health endpoint answers 503"
        yield f"    curl {state}/reset -d ''                            # back to normal"
    yield "Ctrl-C stops the lab"
