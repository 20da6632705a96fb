"""`nlbgen prove`: tonight's configuration, run before tonight."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ..errors import DifferenceError, NlbgenError, UsageError
from . import talk

if TYPE_CHECKING:
    from ..prove.run import Watch, Wishes
    from ..prove.scenarios.base import Scenario
    from ..prove.scorecard import Scorecard
    from ..prove.stage import Stage
    from ..spec.load import Spec

NONE = "none"
"""`--scenario none`: the laboratory alone, for `--keep`."""
REVIVE_SECONDS = 15.0
"""With `--keep`, a node that was killed starts again after this time."""


@click.command()
@click.argument("vendor")
@talk.ONE_SPEC
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Play this one alone (several times: these) [default: all]; `none` plays nothing.",
)
@click.option(
    "--bar", "bar_file", type=click.Path(path_type=Path), metavar="FILE", help="YAML with limits of your own."
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "junit", "html"]),
    default="text",
    help="How the scorecard is shown.",
)
@click.option("--diff", is_flag=True, help="Show what differs from what goes live, and play nothing.")
@click.option("--keep", is_flag=True, help="Leave everything up afterwards, until Ctrl-C.")
@click.option(
    "--requests",
    "log",
    type=click.Path(path_type=Path, dir_okay=False),
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
    log: Path | None,
) -> None:
    """Run the configuration by the real VENDOR (haproxy or nginx) on this machine, and score it.

    Stand-in nodes serve behind it, and what happens in life happens to them. Only loopback is used; all that is
    started ends with the command. For f5 and zen it says what can be proved without the device.
    """
    from ..generators.base import generator
    from ..generators.output import chosen as vendors_of
    from ..prove import limits as bars
    from ..spec.load import load

    talk.on_refusal("nothing was played")
    if diff and keep:
        raise UsageError("--diff and --keep exclude each other", "leave one of them out")
    (vendor,) = vendors_of((vendor,), ())
    own = bars.read(bar_file) if bar_file else {}
    spec = load(file)
    talk.warn(spec)
    limits = {**bars.defaults(vendor), **own}
    if not generator(vendor).program:
        _on_paper(spec, vendor, limits, style)
        return
    _require_library()
    if diff:
        _show_difference(spec, vendor)
        return
    _play(spec, vendor, _Asked(names, limits, log, keep=keep), style)


def _require_library() -> None:
    """What the laboratory is built on is an extra of the package, for balancers and nodes do without it."""
    if sys.platform == "win32":
        raise NlbgenError("the laboratory needs a POSIX system", "run it on Linux or macOS, or in WSL")
    if find_spec("aiohttp") is None:
        raise NlbgenError("the laboratory needs the library aiohttp", "pip install 'nlbgen[prove]'")


def _on_paper(spec: "Spec", vendor: str, limits: dict[str, float | None], style: str) -> None:
    _require_library()
    from ..prove.paper import prove_on_paper

    _finish(prove_on_paper(spec, vendor, limits), style)


def _show_difference(spec: "Spec", vendor: str) -> None:
    from ..prove.mapping import difference
    from ..prove.run import laboratory

    lab = laboratory(spec, vendor)
    try:
        lab.prepare()
        talk.show(difference(lab))
    finally:
        lab.close()


class _Asked:
    """What the options say about the play."""

    def __init__(
        self, names: tuple[str, ...], limits: dict[str, float | None], log: Path | None, *, keep: bool
    ) -> None:
        self.names = names
        self.limits = limits
        self.log = log
        self.keep = keep

    def scenarios(self) -> "list[Scenario]":
        from ..prove.scenarios.registry import chosen

        return [] if self.names == (NONE,) else chosen(self.names)

    def wishes(self, style: str) -> "Wishes":
        from ..prove.run import Wishes

        keep = _Keeper(style) if self.keep else None
        return Wishes(self.scenarios(), self.limits, requests=self.log, keep=keep)


def _play(spec: "Spec", vendor: str, asked: _Asked, style: str) -> None:
    from ..prove.run import prove

    wishes = asked.wishes(style)
    if asked.log is not None:
        _empty(asked.log)
    with _ends_on_sigterm(), _watched(len(wishes.scenarios)) as watch:
        card = prove(spec, vendor, wishes, watch)
    _finish(card, style, shown=asked.keep)


def _empty(log: Path) -> None:
    from ..files import write_atomically

    write_atomically(log, b"")


def _finish(card: "Scorecard", style: str, *, shown: bool = False) -> None:
    """Print the scorecard, unless it was, and leave with 1 where a bar was missed."""
    from ..prove import formats

    if not shown:
        talk.show(formats.STYLES[style](card))
    if style != "text":
        talk.say(formats.summary(card))
    if not card.passed:
        raise DifferenceError(
            f"missed: {', '.join(card.missed())}",
            "play one alone with --scenario NAME; a limit of your own goes into a file for --bar",
        )


@contextmanager
def _watched(total: int) -> "Iterator[Watch]":
    """The live view on a terminal, a line for each event elsewhere."""
    if not (talk.animated() and find_spec("rich")):
        heard: set[int] = set()

        def listen(stage: "Stage", _: "Scenario | None") -> None:
            if id(stage) not in heard:
                heard.add(id(stage))
                stage.diary.listeners.append(lambda at, what: talk.say(f"{at:7.1f} s  {what}"))

        yield listen
        return
    from rich.console import Console
    from rich.live import Live

    from ..prove.watch import View

    view = View(total)
    with Live(view, console=Console(stderr=True), refresh_per_second=4, transient=True):
        yield view.watch


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does: everything that was started ends in order."""

    def end(_: int, frame: FrameType | None) -> None:
        interrupted = signal.getsignal(signal.SIGINT)
        if callable(interrupted):
            interrupted(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Keeper:
    """What `--keep` does when all is played: show the scorecard, say how to look and what to break, and wait."""

    def __init__(self, style: str) -> None:
        self._style = style

    def __call__(self, stage: "Stage", card: "Scorecard") -> None:
        from ..prove import formats

        talk.show(formats.STYLES[self._style](card))
        for line in _directions(stage):
            talk.say(line)
        try:
            self._wait(stage)
        except KeyboardInterrupt:
            talk.say("the laboratory ends")

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
                    talk.say(f"{node.name} starts again, process {node.pid}")
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
