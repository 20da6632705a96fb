"""`nlbgen nodes status`, `drain`, `down`, `up`: the nodes of the running farm."""

import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import click

from ..core.errors import DeviceError, DifferenceError, UsageError
from . import console

if TYPE_CHECKING:
    _ParamType = click.ParamType[float]
    from collections.abc import Iterator, Sequence
    from typing import Unpack

    from ..operate.changing import Limits, Operator
    from ..operate.contract import Balancer, NodeStatus, Wanted
    from ..operate.hosts import Reach
    from ..operate.nginx import Paths
    from ..spec.load import Spec
    from .tables import Block, Style

    Seen = dict[str, Sequence[NodeStatus]]
else:
    _ParamType = click.ParamType  # not generic before click 8.2

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
_LOG: Final = Path("outputs/events.jsonl")
_WATCH_SECONDS: Final = 2.0


class Given(TypedDict):
    """The options with which the balancers are reached."""

    vendor: str | None
    hosts: tuple[str, ...]
    local: bool
    sudo: bool
    socket: str | None
    master_socket: str | None
    nginx_config: str | None
    reload_command: str | None
    sync: str


_REACH: Final = (
    click.option("--vendor", type=console.VendorName(), help="The vendor in use, if the spec names several."),
    click.option(
        "--ssh",
        "hosts",
        multiple=True,
        metavar="[USER@]HOST",
        help="A balancer's host for ssh; repeatable [default: the hosts of the spec].",
    ),
    click.option("--local", is_flag=True, help="The balancer is this machine: do not use ssh."),
    click.option("--sudo", is_flag=True, help="Run the commands on the balancer through `sudo -n`."),
    click.option("--socket", metavar="PATH", help="HAProxy's runtime socket [default: /run/haproxy/admin.sock]."),
    click.option(
        "--master-socket", metavar="PATH", help="The socket of HAProxy's master [default: /run/haproxy-master.sock]."
    ),
    click.option("--nginx-config", metavar="PATH", help="NGINX's configuration [default: /etc/nginx/nginx.conf]."),
    click.option(
        "--reload-command", metavar="COMMAND", help="The command that reloads NGINX [default: systemctl reload nginx]."
    ),
    click.option(
        "--sync",
        metavar="GROUP",
        default="",
        help="F5: synchronize the configuration to this device group after each change.",
    ),
)


def together(options: "Sequence[Decorator]") -> Decorator:
    """Return one decorator for several options, in their order."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


REACH: Final = together(_REACH)


class Seconds(_ParamType):
    """A number of seconds, or a duration of the spec (`90s`, `10m`)."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; a negative number is a usage error."""
        from ..spec.units import Duration

        text = str(value)
        if text.isdecimal():
            return float(text)
        try:
            return Duration.of(text) / 1000
        except ValueError as error:
            self.fail(f"{error}; or write a number of seconds", param, ctx)


AUDIT: Final = together(
    (
        click.option("--ticket", default="", metavar="TEXT", help="The reason or the ticket, for the event log."),
        click.option(
            "--log",
            type=console.FilePath(dir_okay=False),
            default=_LOG,
            show_default=True,
            metavar="FILE",
            help="The event log: one JSON line for each event.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation."),
    )
)


def _complete_node(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the spec's nodes that begin so; none if the spec cannot be read."""
    from ..core.errors import NlbgenError
    from ..spec.load import load

    file = context.params.get("file") or console.default_specs()[0]
    try:
        return [node.name for node in load(file).farm.nodes if node.name.startswith(incomplete)]
    except NlbgenError:
        return []


NODE: Final = click.argument("node", shell_complete=_complete_node)
FORCE: Final = click.option("--force", is_flag=True, help="Allow fewer nodes in rotation than balancer.minimum.")
_FOR: Final = click.option(
    "--for",
    "spread",
    type=Seconds(),
    metavar="DURATION",
    help="Close the long-lived sessions gradually over this time (HAProxy).",
)


def reach_of(given: Given) -> "Reach":
    """Return how the balancers are reached."""
    from ..operate.haproxy import Sockets
    from ..operate.hosts import Reach

    default = Sockets()
    sockets = Sockets(given["socket"] or default.runtime, given["master_socket"] or default.master)
    hosts, local, sudo = given["hosts"], given["local"], given["sudo"]
    return Reach(given["vendor"] or "", hosts, local, sudo, sockets, _paths(given), given["sync"])


def _paths(given: Given) -> "Paths | None":
    """Return where NGINX is, if an option says so."""
    config, reload = given["nginx_config"], given["reload_command"]
    if config is None and reload is None:
        return None
    from ..operate.nginx import Paths

    default = Paths()
    try:
        words = tuple(shlex.split(reload)) if reload else default.reload
    except ValueError as error:
        raise UsageError(f"--reload-command: {error}", "quote the command as in a shell: close each quote") from None
    return default._replace(config=config or default.config, reload=words)


# Status


@click.command("status", short_help="Show the nodes' states at the balancers.")
@console.ONE_SPEC
@console.STYLE
@REACH
@click.option("--watch", is_flag=True, help="Repeat every 2 seconds, until Ctrl-C.")
def status(file: Path, style: str, watch: bool, **given: "Unpack[Given]") -> None:
    """Show each node at each load balancer: state in the spec, current state, checks, sessions, last change.

    Exit with 1 if a node has another state than in the spec, or if its checks fail.
    """
    from ..operate import report
    from ..operate.hosts import connected
    from ..spec.load import load

    console.on_refusal("nothing was read")
    spec = load(file)
    with connected(spec, reach_of(given)) as balancers:
        while True:
            seen, unread = _read(balancers)
            if style == "json":
                console.show(report.data(spec.farm, seen, {name: one.message for name, one in unread.items()}))
            else:
                console.show(report.text(spec.farm, seen, tuple(unread)), partial(_table, spec, seen, tuple(unread)))
            for error in unread.values():
                console.error(error)
            if not watch:
                break
            time.sleep(_WATCH_SECONDS)
    if unread:
        raise console.Exit(DeviceError.exit_code)
    if report.differs(spec.farm, seen):
        raise console.Exit(DifferenceError.exit_code)


def _read(balancers: "Sequence[Balancer]") -> "tuple[Seen, dict[str, DeviceError]]":
    """Return the nodes at each balancer, and the errors of those that cannot be read; raises if that is all of them."""
    seen: Seen = {}
    unread: dict[str, DeviceError] = {}
    for balancer in balancers:
        try:
            seen[balancer.name] = balancer.read()
        except DeviceError as error:
            unread[balancer.name] = error
    if not seen:
        raise next(iter(unread.values()))
    return seen, unread


def _table(spec: "Spec", seen: "Seen", unread: "Sequence[str]") -> "Iterator[Block]":
    from ..operate import report
    from .tables import Cell, Line, Table

    colours: dict[str, Style] = {"up": "green", "passing": "green", "drain": "yellow", "down": "red", "missing": "red"}
    rows = [
        [Cell(word, "red" if word.startswith("failing") else colours.get(word, "")) for word in row]
        for row in report.rows(spec.farm, seen)
    ]
    yield Table([Cell(title) for title in report.HEAD], rows)
    for line in report.closing(spec.farm, seen, unread):
        yield Line(line, "bold")


# Changes


def _leaving(state: "Wanted", short: str, text: str, wait: str) -> click.Command:
    """Return the command that removes a node from rotation; `wait` is the help of --wait."""

    @click.command(state, short_help=short, help=text)
    @console.ONE_SPEC
    @REACH
    @click.option("--wait", type=Seconds(), metavar="DURATION", help=wait)
    @_FOR
    @FORCE
    @AUDIT
    @NODE
    def command(
        file: Path, node: str, wait: float | None, spread: float | None, ticket: str, log: Path, force: bool, yes: bool,
        **given: "Unpack[Given]",
    ) -> None:  # fmt: skip
        _change(state, file, node, _limits(wait, spread, force=force), (ticket, log, yes), given)

    return command


drain: Final = _leaving(
    "drain",
    "Give a node no new clients.",
    "Give NODE no new clients, at every load balancer; open sessions continue.",
    "Wait until the node has no sessions; after this time exit with 1.",
)
down: Final = _leaving(
    "down",
    "Give a node no requests.",
    "Give NODE no requests, at every load balancer.",
    "Drain the node first; set it to down when it has no sessions, or after this time.",
)


@click.command("up", short_help="Give a node requests again.")
@console.ONE_SPEC
@REACH
@click.option(
    "--wait",
    type=Seconds(),
    metavar="DURATION",
    help="Wait until the node's health checks pass; after this time exit with 1.",
)
@AUDIT
@NODE
def up(file: Path, node: str, wait: float | None, ticket: str, log: Path, yes: bool, **given: "Unpack[Given]") -> None:
    """Give NODE requests again, at every load balancer."""
    _change("up", file, node, _limits(wait, None, force=False), (ticket, log, yes), given)


def _limits(wait: float | None, spread: float | None, *, force: bool) -> "Limits":
    from ..operate.changing import Limits

    if spread is not None and wait is not None and wait < spread:
        raise UsageError("--wait is shorter than --for", "make --wait at least as long as --for, or omit it")
    return Limits(wait, spread, force)


def _change(
    state: "Wanted", file: Path, node: str, limits: "Limits", audit: tuple[str, Path, bool], given: Given
) -> None:
    """Check, ask, and change the node at every balancer."""
    from ..operate.changing import Operator
    from ..operate.events import EventLog
    from ..operate.hosts import connected
    from ..spec.load import load

    console.on_refusal("nothing was changed")
    ticket, log, agreed = audit
    spec = load(file)
    with connected(spec, reach_of(given)) as balancers:
        operator = Operator(spec, balancers, EventLog(log, spec.farm.farm, ticket), console.progress)
        operator.require(node)
        if state != "up":
            operator.check(node, limits)
        names = ", ".join(balancer.name for balancer in balancers)
        console.confirm(agreed, f"Set {node} to {state} at {names}?", "see `nlbgen nodes status`", "--yes")
        _run(operator, state, node, limits)


def _run(operator: "Operator", state: "Wanted", node: str, limits: "Limits") -> None:
    if state == "up":
        operator.up(node, limits)
    elif state == "drain":
        operator.drain(node, limits)
    else:
        operator.down(node, limits)


COMMANDS: Final = (status, drain, down, up)
