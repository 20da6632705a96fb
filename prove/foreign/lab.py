"""The lab with a foreign configuration in place of the one that nlbgen renders."""

import difflib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...generators.hosting import Foreground
from ...net.loopback import free_ports, published
from ...spec.load import Spec
from ...spec.model import Farm
from ..lab.lab import Lab, farm_options
from ..lab.processes import BalancerProcess, NodeProcess
from ..nodes.options import NodeOptions
from .plan import Foreign, Places, names_of

if TYPE_CHECKING:
    from ..lab.mapping import Mapped

_START: Final[Mapping[str, tuple[tuple[str, ...], str, str]]] = {
    "haproxy": (("-W", "-db"), "-f", "SIGUSR2"),
    "nginx": (("-g", "daemon off;"), "-c", "SIGHUP"),
}
"""The arguments, the option before each file, and the signal that reloads: as the programs' own services do it."""


_STANDARD: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class ForeignLab(Lab):
    """A lab that runs a configuration as it is written, but for the mapped words."""

    renders = False

    def __init__(self, foreign: Foreign, spec: Spec, vendor: str, *, program: str | None = None) -> None:
        """`spec` is what `farm_of` returned."""
        super().__init__(spec, vendor, program=program)
        self.foreign: Final = foreign
        self.rest_seconds = foreign.plan.rest_seconds
        self.own_addresses = foreign.plan.own_addresses
        self.post_path = foreign.plan.post_path
        self.rows: Sequence[Mapped] = ()

    def prepare(self) -> None:
        """Choose ports and write the configuration, as for nlbgen's own; the clients' URLs have no port.

        A configuration for live names compares the Host header with a name, and a port would make it another one.
        """
        super().prepare()
        self._stack.enter_context(published(self.host, {_STANDARD[self._scheme]: self.port}))

    @property
    def _scheme(self) -> str:
        return "http" if self.spec.farm.frontend.tls.mode == "none" else "https"

    @property
    def url(self) -> str:
        """The URL for clients, as on the live machine."""
        return f"{self._scheme}://{self.host}"

    @property
    def authority(self) -> str:
        """The Host header of the lab's clients, without a port."""
        return self.host

    @property
    def listener(self) -> str:
        """The file, and the address of the listener as it is written there."""
        return f"{names_of(self.foreign.files)}: the listener {self.foreign.plan.listener}"

    @property
    def client_ports(self) -> tuple[str, ...]:
        """The port here, which HAProxy and NGINX see, or the standard port, which a file may have as text."""
        return (str(self.port), str(_STANDARD[self._scheme]))

    def change(self, farm: Farm) -> None:
        """Refuse: nlbgen cannot change a configuration that it did not write."""
        del farm
        raise NlbgenError(
            f"{names_of(self.foreign.files)} is not rendered from a spec, so that its farm cannot change",
            "run this scenario without --config",
        )

    def difference(self) -> str:
        """Return a unified diff of the files and of the texts that run."""
        pairs = zip(self.foreign.files, self.foreign.contents, self.configurations, strict=True)
        lines = (
            difflib.unified_diff(
                content.splitlines(keepends=True),
                here.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True),
                str(file),
                f"lab/{here.name}",
            )
            for file, content, here in pairs
        )
        return "".join(chain.from_iterable(lines))

    @property
    def configurations(self) -> tuple[Path, ...]:
        """The files that the program reads, in their order: later ones have a number, because names may be equal."""
        names = (file.name if not number else f"{number}-{file.name}" for number, file in enumerate(self.foreign.files))
        return tuple(self.folder / name for name in names)

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*super()._names(), *self.foreign.plan.names)))

    def _node(self, name: str) -> NodeProcess:
        plan = self.foreign.plan
        wanted = next(one for one in plan.nodes if one.name == name)
        options = NodeOptions(**{**farm_options(self.live), "name": name, "health_status": plan.health_status})
        paths = dict.fromkeys((*options.health_paths, *plan.health_paths))
        options = replace(options, health_paths=tuple(paths))
        if wanted.key.tls:
            options = replace(options, tls_cert=self.certificates.certificate, tls_key=self.certificates.key)
        return NodeProcess(options)

    def _write(self) -> Path:
        plan = self.foreign.plan
        ports = {one.key: process.port for one, process in zip(plan.nodes, self.nodes, strict=True)}
        spare = self._stack.enter_context(free_ports(self.foreign.spare_ports)) if self.foreign.spare_ports else ()
        places = Places(self.folder, self.certificates, self.port, self.http_port, ports, tuple(spare))
        texts, self.rows = self.foreign.mapped(places)
        for path, text in zip(self.configurations, texts, strict=True):
            write_atomically(path, text.encode("utf-8", "surrogateescape"))
        return self.configurations[0]

    def _foreground(self) -> Foreground:
        arguments, option, reload = _START[self.generator.name]
        files = [word for path in self.configurations for word in (option, str(path))]
        return Foreground((*arguments, *files), reload=reload)

    def _balancer(self) -> BalancerProcess:
        running = self._foreground()
        return BalancerProcess(
            [self.program, *running.arguments],
            ports=[self.port],
            reload=signal.Signals[running.reload],
            stop=signal.SIGTERM,
            env=dict(os.environ),
        )
