"""One Redis server without Sentinel: SignalR's store of the simulated nodes."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ...net.loopback import free_port, release_port, wait_port
from .guard import ScratchFolder
from .processes import Child, ProcessError

PROGRAM: Final = "redis-server"
START_SECONDS: Final = 10.0


class PlainRedis:
    """A server on loopback that keeps nothing; ends with the context."""

    def __init__(self) -> None:
        self._folder = ScratchFolder("nlbgen-redis-")
        self.port: Final = free_port()
        arguments = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "dir": self._folder.name}
        words = [word for name, value in arguments.items() for word in (f"--{name}", value)]
        self._child = Child([shutil.which(PROGRAM) or PROGRAM, *words], Path(self._folder.name) / "output.txt")

    @property
    def address(self) -> str:
        """Its address and port, as the option `backplane` of a node."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._child.start()
        if not wait_port(self.port, seconds=START_SECONDS):
            raise ProcessError(f"{PROGRAM} does not listen on port {self.port}: {self._child.output()}")

    def kill(self) -> None:
        """Send SIGKILL."""
        self._child.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        release_port(self.port)
        self._folder.cleanup()
