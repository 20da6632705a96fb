"""What each vendor's balancer can do with a running node, as data: for the refusals and for the table of the docs."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from ..core.errors import UnsupportedError
from ..generators.base import VENDORS, generator
from ..generators.features import No, Yes
from ..spec.load import Spec

Ability = Literal["drain", "down", "sessions", "kinds", "workers", "checks", "since", "spread", "reload", "pair"]


class Row(NamedTuple):
    """One ability: its title, and the answer of each vendor."""

    title: str
    vendors: Mapping[str, Yes | No]


_DEVICE_RELOAD: Final = Yes(
    "the device saves the state in its configuration; the next push sets the states of the spec"
)
ABILITIES: Final[Mapping[Ability, Row]] = {
    "drain": Row(
        "`drain`: no new clients",
        {
            "haproxy": Yes("state `drain`; clients with an affinity cookie stay"),
            "nginx": Yes(
                "nlbgen sets the state in `nginx.conf` and reloads NGINX; open connections stay in the old workers"
            ),
            "zen": Yes("maintenance in the mode `drain`"),
            "f5": Yes("session `user-disabled`; clients with a persistence record stay"),
        },
    ),
    "down": Row(
        "`down`: no requests",
        {
            "haproxy": Yes("state `maint`; WebSockets are closed, also in old workers"),
            "nginx": Yes(
                "nlbgen sets the state in `nginx.conf` and reloads NGINX; open connections stay in the old workers"
            ),
            "zen": Yes("maintenance in the mode `cut`"),
            "f5": Yes("state `user-down` (forced offline)"),
        },
    ),
    "sessions": Row(
        "Number of sessions",
        {
            "haproxy": Yes("from `show stat`"),
            "nginx": Yes("established connections to the node (`ss`), including NGINX's idle connections"),
            "zen": Yes("established connections to the node (`GET /stats/farms/FARM`), if the zapi user may read them"),
            "f5": Yes("`serverside.curConns` of the members"),
        },
    ),
    "kinds": Row(
        "Number of WebSockets and long polls",
        {
            "haproxy": Yes("the sessions of the SignalR pool"),
            "nginx": No("NGINX does not show which connections are WebSockets or long polls"),
            "zen": No("zapi does not show which connections are WebSockets or long polls"),
            "f5": Yes("if the farm has a separate SignalR pool"),
        },
    ),
    "workers": Row(
        "Sessions in old workers after a reload",
        {
            "haproxy": Yes("through the master socket"),
            "nginx": Yes("`ss` counts the connections of all workers"),
            "zen": No("a restart of the farm closes its connections"),
            "f5": Yes("not needed: a BIG-IP has no reload"),
        },
    ),
    "checks": Row(
        "Result of the health checks",
        {
            "haproxy": Yes("the last check, with its status"),
            "nginx": Yes("nlbgen requests the node's health endpoints itself: NGINX has no active checks"),
            "zen": Yes("FarmGuardian's status of the backend"),
            "f5": Yes("the monitor's status of the member"),
        },
    ),
    "since": Row(
        "Time since the last change",
        {
            "haproxy": Yes("from `show servers state`"),
            "nginx": No("NGINX does not record this time"),
            "zen": No("zapi does not show this time"),
            "f5": No("the statistics of a member do not show this time"),
        },
    ),
    "spread": Row(
        "Gradual closing of sessions (`--for`)",
        {
            "haproxy": Yes("with `shutdown session`, in all workers"),
            "nginx": No("NGINX cannot close single connections"),
            "zen": No("zapi cannot close single connections"),
            "f5": No("nlbgen does not close single connections of a BIG-IP"),
        },
    ),
    "reload": Row(
        "The state persists across reloads",
        {
            "haproxy": Yes(
                "the rendered systemd drop-in saves the state, until the node's line in `haproxy.cfg` changes"
            ),
            "nginx": Yes("the state is in `nginx.conf`, until a new `nginx.conf` is installed"),
            "zen": _DEVICE_RELOAD,
            "f5": _DEVICE_RELOAD,
        },
    ),
    "pair": Row(
        "Several balancers",
        {
            "haproxy": Yes("nlbgen changes each balancer, then reads its state"),
            "nginx": Yes("nlbgen changes each balancer, then reads its state"),
            "zen": No("the spec names one device"),
            "f5": Yes("nlbgen changes the active unit; `--sync GROUP` synchronizes the others"),
        },
    ),
}
"""All abilities, in the order of the table."""


def refuse(spec: Spec, vendor: str, ability: Ability) -> None:
    """Raise UnsupportedError if the vendor lacks the ability."""
    answer = ABILITIES[ability].vendors[vendor]
    if isinstance(answer, No):
        place = spec.problem(
            (vendor,), f"{ABILITIES[ability].title.replace('`', '')} is not possible: {answer.reason}", "omit --for"
        )
        raise UnsupportedError([place])


def as_markdown() -> str:
    """The table of the docs."""
    titles = [generator(vendor).title for vendor in VENDORS]
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for row in ABILITIES.values():
        cells = (_cell(row.vendors[vendor]) for vendor in VENDORS)
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(answer: Yes | No) -> str:
    return f"no: {answer.reason}" if isinstance(answer, No) else answer.note
