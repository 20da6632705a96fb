"""`nlbgen prove`: tonight's configuration, run before tonight."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import DifferenceError, NlbgenError, UsageError
from . import console

if TYPE_CHECKING:
    from ..prove.lab.bench import Stage
    from ..prove.run import Watch, Wishes
    from ..prove.scenarios.base import Scenario
    from ..prove.score.limits import Limits
    from ..prove.score.scorecard import Scorecard
    from ..spec.load import Spec

NONE = "none"
"""`--scenario none`: the laboratory alone, for `--keep`."""
REVIVE_SECONDS = 15.0
"""With `--keep`, a node that was killed starts again after this time."""


@click.command(short_help="Play failures to the configuration, and score it.")
@click.argument("vendor")
@console.ONE_SPEC
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Play this one alone (several times: these) [default: all]; `none` plays nothing.",
)
@click.option("--bar", "bar_file", type=console.FilePath(), metavar="FILE", help="YAML with limits of your own.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "junit", "html"]),
    default="text",
    help="How the scorecard is shown.",
)
@click.option("--diff", is_flag=True, help="Show what differs from what goes live, and play nothing.")
@click.option("--keep", is_flag=True, help="Leave everything up afterwards, until Ctrl-C.")
@click.option("--real-time", is_flag=True, help="Wait as long as it really takes where time-outs would be divided.")
@click.option(
    "--requests",
    "log",
    type=console.FilePath(dir_okay=False),
    metavar="FILE",
    help="Write every request of the load into FILE, one line of JSON each.",
)
def command(
    vendor: str,
    file: Path,
    names: tuple[str, ...],
    bar_file: Path | None,
    style: str,
    diff: bool,
    keep: bool,
    real_time: bool,
    log: Path | None,
) -> None:
    """Run the configuration by the real VENDOR (haproxy or nginx) on this machine, and score it.

    Stand-in nodes serve behind it, and what happens in life happens to them. Only loopback is used; all that is
    started ends with the command. For f5 and zen it says what can be proved without the device.
    """
    from ..generators.base import generator
    from ..generators.output import chosen as vendors_of
    from ..prove.score import limits as bars
    from ..spec.load import load

    console.on_refusal("nothing was played")
    if diff and keep:
        raise UsageError("--diff and --keep exclude each other", "leave one of them out")
    if len(names_of := vendors_of((vendor,), ())) > 1:
        raise UsageError("one vendor is proved at a time", "name haproxy or nginx")
    vendor = names_of[0]
    own = bars.read(bar_file) if bar_file else {}
    spec = load(file)
    console.warn(spec)
    limits = {**bars.defaults(vendor), **own}
    _require_library()
    if not generator(vendor).program:
        from ..prove.static_checks import prove_on_paper

        _refuse_play(
            vendor, {"--scenario": names, "--diff": diff, "--keep": keep, "--real-time": real_time, "--requests": log}
        )
        _finish(prove_on_paper(spec, vendor, limits), style)
        return
    if diff:
        _show_difference(spec, vendor)
        return
    _require_posix()
    wishes = _wishes(names, limits)
    wishes.requests, wishes.real_time = log, real_time
    if keep:
        wishes.keep = _Keeper(style)
    _play(spec, vendor, wishes, style)


def _refuse_play(vendor: str, options: dict[str, object]) -> None:
    """Without a program nothing is played: an option that is about playing would be passed over in silence."""
    from ..generators.base import generator

    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"{', '.join(given)}: nothing is played for {generator(vendor).title}, a device that does not run here",
            f"leave {given[0] if len(given) == 1 else 'them'} out, or prove haproxy or nginx",
        )


def _require_library() -> None:
    """What the laboratory is built on is an extra of the package, for balancers and nodes do without it."""
    if find_spec("aiohttp") is None:
        raise NlbgenError("the laboratory needs the library aiohttp", "pip install 'nlbgen[prove]'")


def _require_posix() -> None:
    if sys.platform == "win32":
        raise NlbgenError("the laboratory needs a POSIX system", "run it on Linux or macOS, or in WSL")


def _show_difference(spec: "Spec", vendor: str) -> None:
    from ..prove.lab.mapping import difference
    from ..prove.run import laboratory

    lab = laboratory(spec, vendor)
    try:
        lab.prepare()
        console.show(difference(lab))
    finally:
        lab.close()


def _wishes(names: tuple[str, ...], limits: "Limits") -> "Wishes":
    from ..prove.run import Wishes
    from ..prove.scenarios.registry import chosen

    return Wishes([] if names == (NONE,) else chosen(names), limits)


def _play(spec: "Spec", vendor: str, wishes: "Wishes", style: str) -> None:
    from ..prove.run import prove

    if wishes.requests is not None:
        _empty(wishes.requests)
    with console.ends_on_sigterm(), _watched(len(wishes.scenarios)) as watch:
        card = prove(spec, vendor, wishes, watch)
    _finish(card, style, shown=wishes.keep is not None)


def _empty(log: Path) -> None:
    from ..core.files import write_atomically

    write_atomically(log, b"")


def _finish(card: "Scorecard", style: str, *, shown: bool = False) -> None:
    """Print the scorecard, unless it was, and leave with 1 where a bar was missed."""
    from ..prove.score import formats

    if not shown:
        console.show(formats.STYLES[style](card))
    if style != "text":
        console.say(formats.summary(card))
    if not card.passed:
        raise DifferenceError(
            f"missed: {', '.join(card.missed())}",
            "play one alone with --scenario NAME; a limit of your own goes into a file for --bar",
        )


@contextmanager
def _watched(total: int) -> "Iterator[Watch]":
    """The live view on a terminal, a line for each event elsewhere."""
    if not (console.animated() and find_spec("rich")):
        heard: set[int] = set()

        def listen(stage: "Stage", _: "Scenario | None") -> None:
            if id(stage) not in heard:
                heard.add(id(stage))
                stage.diary.listeners.append(lambda at, what: console.say(f"{at:7.1f} s  {what}"))

        yield listen
        return
    from rich.console import Console
    from rich.live import Live

    from ..prove.watch import View

    view = View(total)
    with Live(view, console=Console(stderr=True), refresh_per_second=4, transient=True, redirect_stdout=False) as live:

        def show(stage: "Stage", scenario: "Scenario | None") -> None:
            view.watch(stage, scenario)
            if scenario is None:
                live.stop()

        yield show


class _Keeper:
    """What `--keep` does when all is played: show the scorecard, say how to look and what to break, and wait."""

    def __init__(self, style: str) -> None:
        self._style = style

    def __call__(self, stage: "Stage", card: "Scorecard") -> None:
        from ..prove.score import formats

        console.show(formats.STYLES[self._style](card))
        for line in _directions(stage):
            console.insist(line)  # without them nobody finds what was kept up
        try:
            self._wait(stage)
        except KeyboardInterrupt:
            console.say("the laboratory ends")

    @staticmethod
    def _wait(stage: "Stage") -> None:
        from time import monotonic, sleep

        died: dict[str, float] = {}
        while stage.lab.balancer.running:
            for node in stage.nodes:
                if node.running:
                    died.pop(node.name, None)
                elif monotonic() - died.setdefault(node.name, monotonic()) > REVIVE_SECONDS:
                    node.restart()
                    console.say(f"{node.name} starts again, process {node.pid}")
            sleep(0.5)
        raise NlbgenError("the balancer ended", stage.lab.balancer.output())


def _directions(stage: "Stage") -> Iterator[str]:
    """How to look at a laboratory, and how to break its nodes."""
    lab = stage.lab
    ca = lab.certificates.ca
    yield ""
    yield f"the farm answers at {lab.url}; its name must lead to this machine, and the authority is {ca}"
    yield f"    curl --resolve {lab.host}:{lab.port}:127.0.0.1 --cacert {ca} {lab.url}/odata/Jobs"
    yield f'    chromium --host-resolver-rules="MAP {lab.host} 127.0.0.1" --ignore-certificate-errors {lab.url}/'
    yield f"the balancer's statistics: http://127.0.0.1:{lab.metrics_port}{_STATISTICS[stage.vendor]}"
    for node in stage.nodes:
        state = f"http://127.0.0.1:{node.options.control_port}"
        yield f"{node.name}, process {node.pid}:"
        yield f"    kill -KILL {node.pid}     # dies; it starts again after {REVIVE_SECONDS:.0f} s"
        yield f"    kill -STOP {node.pid}     # hangs; kill -CONT {node.pid} wakes it up"
        yield f"    curl {state}/state -d '{{\"pool_stopped\": true}}'     # answers 503, as a stopped app pool does"
        yield f"    curl {state}/state -d '{{\"drain\": true}}'            # its health endpoint says 503"
        yield f"    curl {state}/reset -d ''                            # all is well again"
    yield "Ctrl-C ends it"


_STATISTICS = {"haproxy": "/", "nginx": "/status"}
