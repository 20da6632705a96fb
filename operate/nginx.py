"""NGINX, open source: a state is a rendered configuration, which is installed and loaded by a reload.

The installed `nginx.conf` is where the states are kept: it differs from that of the spec only in them, and the names of
nodes in its comments have their states. NGINX has no active checks, so nlbgen requests the nodes' health itself.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ..core import templating
from ..core.errors import DeviceError
from ..generators.base import Site, generator, render
from ..generators.design import Design
from ..spec.load import Spec
from ..spec.model import Farm, Node
from .contract import Balancer, Health, NodeStatus, Sessions, Wanted, status_of
from .health import healthy
from .shell import Output, Shell

_SERVES_SECONDS: Final = 15
_PAUSE: Final = 0.25
_PENDING: Final = (
    "a change was interrupted, and NGINX may not have loaded the current nginx.conf; to load it, repeat the change"
)
_FAILURES: Final[Mapping[int, tuple[str, str]]] = {
    31: ("a file cannot be written", "check the permissions and the free space there (--sudo)"),
    32: ("another process changed nginx.conf at the same time; nothing was changed", "repeat the command"),
    33: ("NGINX refuses the new configuration; nothing was changed", "run `nlbgen render nginx` to check the spec"),
    34: ("NGINX does not answer with the new configuration; the old one was restored", "read NGINX's error log"),
    35: ("NGINX does not run; nothing was changed", "start it: systemctl start nginx"),
    36: (
        "the command that reloads NGINX fails with the new configuration; the old one was restored",
        "give another command: --reload-command COMMAND",
    ),
}
"""The exit codes of the script that loads a configuration."""


class Paths(NamedTuple):
    """Where NGINX is on the balancer's host, and the command that reloads it."""

    config: str = "/etc/nginx/nginx.conf"
    program: str = "/usr/sbin/nginx"
    pid: str = "/run/nginx.pid"
    reload: tuple[str, ...] = ("systemctl", "reload", "nginx")


class Nginx(Balancer):
    """One NGINX."""

    vendor = "nginx"

    def __init__(
        self,
        spec: Spec,
        shell: Shell,
        paths: Paths | None = None,
        site: Site | None = None,
        checks: Callable[[Farm], Mapping[str, bool]] = healthy,
    ) -> None:
        """`site` is that of the installed configuration; `checks` requests the health of each node."""
        self.name = shell.name
        self._spec: Final = spec
        self._farm: Final = spec.farm
        self._shell: Final = shell
        self._paths: Final = paths or Paths()
        self._site: Final = site or Site()
        self._checks: Final = checks

    # Read

    def read(self) -> tuple[NodeStatus, ...]:
        """Return the nodes with the states of the installed configuration."""
        farm, _ = self._installed()
        states = {node.name: _state(node) for node in farm.nodes}
        sessions = self._sessions()
        answers = self._checks(self._farm)
        note = _PENDING if self._is_pending() else ""
        return tuple(
            NodeStatus(name, state, _health(answers, name), "", sessions.get(name, Sessions()), note=note)
            for name, state in states.items()
        )

    def _installed(self) -> tuple[Farm, str]:
        """Return the farm with the installed states, and the SHA-256 of the file.

        Raises DeviceError if the file is not what this spec gives with any states: a change would change more.
        """
        found = self._shell.run(["cat", "--", self._paths.config])
        if found.status != 0:
            raise DeviceError(
                f"{self.name}: {self._paths.config} cannot be read: {found.reason}",
                "check the host and the path",
            )
        farm = self._farm.replace(nodes=tuple(self._as_installed(node, found.out) for node in self._farm.nodes))
        if self._rendered(farm) != found.out:
            raise DeviceError(
                f"{self.name}: {self._paths.config} is not what nlbgen renders from {self._spec.name}",
                "install the rendered file first (`nlbgen render nginx`, INSTALL.md): this command changes only states",
            )
        return farm, hashlib.sha256(found.out.encode()).hexdigest()

    def _as_installed(self, node: Node, text: str) -> Node:
        """The node with its state in the upstream of the web pool; a node that is not there is down."""
        block = re.search(rf"(?ms)^ *upstream {re.escape(Design(self._farm).web.name)} \{{$.*?^ *\}}$", text)
        named = re.search(rf"(?m); +# {re.escape(node.name)}(?:, (?P<state>[a-z]+))?$", block[0] if block else "")
        state = "down" if named is None else named["state"] or "up"
        usual = "backup" if node.state == "backup" else "up"
        return node.replace(state=state if state in {"drain", "down"} else usual)

    def _rendered(self, farm: Farm) -> str:
        files = render(generator("nginx"), self._spec._replace(farm=farm), self._site)
        return next(file.content for file in files if file.main).decode()

    def _is_pending(self) -> bool:
        return self._shell.run(["test", "-e", f"{self._paths.config}.pending-nlbgen"]).status == 0

    def _sessions(self) -> dict[str, Sessions]:
        """Count the established connections of all workers to each node; nodes with a host name have no count."""
        found = self._shell.run(["ss", "--no-header", "--tcp", "--numeric", "state", "established"])
        if found.status != 0:
            raise DeviceError(f"{self.name}: ss cannot list the connections: {found.reason}", "install iproute2 there")
        peers = Counter(words[-1] for line in found.out.splitlines() if (words := line.split()))
        members = Design(self._farm).members
        return {one.name: Sessions(peers[one.endpoint]) for one in members if not one.is_name}

    # Change

    def change(self, node: str, state: Wanted) -> None:
        """Install and load the configuration with the node's state; load it too if an earlier run was interrupted."""
        farm, digest = self._installed()
        nodes = tuple(_with_state(one, state) if one.name == node else one for one in farm.nodes)
        new = self._rendered(farm.replace(nodes=nodes))
        if hashlib.sha256(new.encode()).hexdigest() == digest and not self._is_pending():
            return
        self._load(new, digest)
        found = status_of(self, self.read(), node)
        if not found.is_in(state):
            raise DeviceError(f"{self.name}: {node} is {found.state} after the change to {state}")

    def _load(self, text: str, digest: str) -> None:
        view = {"tries": round(_SERVES_SECONDS / _PAUSE), "pause": _PAUSE, "seconds": _SERVES_SECONDS}
        script = templating.render("operate/nginx-load.sh.j2", view).decode()
        paths = self._paths
        arguments = [paths.config, digest, paths.program, paths.pid, *paths.reload]
        found = self._shell.run(["sh", "-c", script, "nlbgen", *arguments], text)
        if found.status != 0:
            raise self._failed(found)

    def _failed(self, found: Output) -> DeviceError:
        what, hint = _FAILURES.get(found.status, ("the configuration cannot be loaded", "read NGINX's error log"))
        return DeviceError(f"{self.name}: {what}: {found.reason}", hint)


def _state(node: Node) -> Wanted:
    return "drain" if node.state == "drain" else "down" if node.state == "down" else "up"


def _with_state(node: Node, state: Wanted) -> Node:
    """A node that was a backup stays one when it is up."""
    if state != "up":
        return node.replace(state=state)
    return node if node.state == "backup" else node.replace(state="up")


def _health(answers: Mapping[str, bool], name: str) -> Health:
    return "passing" if answers[name] else "failing"
