"""Child processes that never outlive this process: simulated nodes and load balancers.

with NodeProcess(NodeOptions(name="orch-1")) as node:
    node.kill(); node.restart()          # SIGKILL, then the same port again
    node.freeze(); node.thaw()           # SIGSTOP, SIGCONT: a virtual machine that hangs

with BalancerProcess(["haproxy", "-W", "-f", cfg], ports=[8443], reload=signal.SIGUSR2) as balancer:
    balancer.reload()
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from ...core.errors import NlbgenError
from ...net.loopback import free_port, release_port, wait_port
from ..nodes.control import ControlClient
from ..nodes.event_log import read_post_log
from ..nodes.options import NodeOption, NodeOptions, to_argv
from .guard import GUARD, ScratchFolder, kill_group

TERMINATE = signal.SIGTERM
START_SECONDS = 15.0
STOP_SECONDS = 5.0
MAX_NODES = 64


class ProcessError(NlbgenError):
    """A child did not start or ended unexpectedly; the message holds the end of its output."""


class Child:
    """One child process in its own process group, its output in a file."""

    def __init__(self, argv: Sequence[str], output: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = list(argv)
        self.output_path = output
        self._env = dict(os.environ if env is None else env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; ProcessError when not running."""
        if self._process is None:
            raise ProcessError(f"{self.argv[0]} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs (a stopped one counts as running)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its output is appended to the output file."""
        if self.running:
            raise ProcessError(f"{self.argv[0]} runs already")
        self.forget()
        with self.output_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the caller's own program
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        GUARD.add(self._process.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process itself (not to its group)."""
        os.kill(self.pid, number)

    def stop(self, number: int = TERMINATE, seconds: float = STOP_SECONDS) -> None:
        """Send a signal, wait `seconds`, then kill the whole group. Never raises."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
        self.forget()

    def kill(self) -> None:
        """SIGKILL the whole group and wait for the process."""
        self.forget()

    def forget(self) -> None:
        """Kill what is left of the group and release it."""
        process, self._process = self._process, None
        if process is None:
            return
        # The group can outlive its leader (workers of a balancer whose master died): always kill it.
        kill_group(process.pid)
        process.wait(timeout=STOP_SECONDS)
        GUARD.remove(process.pid)

    def output(self, limit: int | None = 4000) -> str:
        """Return the last `limit` characters that the process wrote, or all of them."""
        if not self.output_path.exists():
            return ""
        written = self.output_path.read_text(encoding="utf-8", errors="replace")
        return written if limit is None else written[-limit:]


class NodeProcess:
    """A simulated node in its own process.

    Its ports are chosen outside the ephemeral range, so that a restart finds them free again.
    """

    def __init__(
        self,
        options: NodeOptions | None = None,
        **changes: NodeOption,
    ) -> None:
        self._folder = ScratchFolder("nlbgen-node-")
        folder = Path(self._folder.name)
        options = replace(options or NodeOptions(), **changes)
        self._ports = [free_port(options.host) for port in (options.port, options.control_port) if not port]
        given = iter(self._ports)
        self.options = replace(
            options,
            port=options.port or next(given),
            control_port=options.control_port or next(given),
            post_log=options.post_log or folder / "posts.log",
        )
        argv = [sys.executable, "-m", "nlbgen.prove.nodes.node", *to_argv(self.options)]
        self._child = Child(argv, folder / "output.txt")
        self.control = ControlClient(self.options.control_port, self.options.host)
        self.condition = "not started"
        """The node's condition for the live view: `up`, `killed`, `hangs`, or its switches."""

    @property
    def name(self) -> str:
        """The node's name, as in its answers and in X-Node."""
        return self.options.name

    @property
    def port(self) -> int:
        """The main port, which the load balancer uses."""
        return self.options.port

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._child.running

    @property
    def url(self) -> str:
        """The base URL of the main port."""
        scheme = "https" if self.options.tls_cert else "http"
        return f"{scheme}://{self.options.host}:{self.options.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # a stopped process would not react to SIGTERM, and there is nothing to save
        for port in self._ports:
            release_port(port)
        self._folder.cleanup()

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start the process and wait for its ready line."""
        seen = len(self._child.output(1 << 20))
        self._child.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._ready(self._child.output(1 << 20)[seen:]):
                self.condition = "up"
                return
            if not self._child.running:
                break
            time.sleep(0.02)
        output = self._child.output()
        self._child.kill()
        raise ProcessError(f"node {self.options.name} did not start within {seconds:g} s: {output}")

    def _ready(self, text: str) -> bool:
        for line in text.splitlines():
            with suppress(ValueError, TypeError, KeyError):
                return bool(json.loads(line)["port"] == self.options.port)
        return False

    def stop(self) -> None:
        """Send SIGTERM; kill a node that does not end within 2 s."""
        self._child.stop(seconds=2.0)
        self.condition = "stopped"

    def kill(self) -> None:
        """Send SIGKILL, like a crashed process: the system still answers with resets."""
        self._child.kill()
        self.condition = "killed"

    def restart(self) -> None:
        """Start again on the same ports, after `kill` or `stop`."""
        self._child.kill()
        self.start()

    def freeze(self) -> None:
        """Send SIGSTOP: the kernel still accepts connections, but the node does not answer."""
        self._child.signal(signal.SIGSTOP)
        self.condition = "hangs"

    def thaw(self) -> None:
        """Send SIGCONT: the node resumes and processes what it received while stopped."""
        self._child.signal(signal.SIGCONT)
        self.condition = "up"

    def posts(self) -> list[str]:
        """Return the ids of all POSTs this node executed since its first start, also before a kill."""
        assert self.options.post_log is not None  # noqa: S101 - set above, for mypy
        return read_post_log(self.options.post_log)

    def set(self, **switches: bool | float) -> None:
        """Set switches: `set(pool_stopped=True)`, `set(drain=True)`, `set(delay=0.3)` (see NodeState)."""
        self.control.set(**switches)
        self.condition = ", ".join(name.replace("_", " ") for name, value in switches.items() if value) or "up"

    def reset(self) -> None:
        """Switch everything off."""
        self.control.reset()
        self.condition = "up"

    def output(self) -> str:
        """Return the end of what the process wrote."""
        return self._child.output()


class BalancerProcess:
    """A load balancer or any other program that listens on ports."""

    def __init__(
        self,
        argv: Sequence[str],
        ports: Sequence[int],
        *,
        reload: int | Callable[["BalancerProcess"], object] | None = None,
        stop: int = signal.SIGTERM,
        env: Mapping[str, str] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        """`prepare` is called before each start, as systemd's ExecStartPre."""
        self._folder = ScratchFolder("nlbgen-balancer-")
        self._child = Child(argv, Path(self._folder.name) / "output.txt", env)
        self._ports = tuple(ports)
        self._reload = reload
        self._stop = stop
        self._prepare = prepare

    @property
    def pid(self) -> int:
        """The process id of the program itself (the master, where it has workers)."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._child.running

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start the program and wait until each of its ports accepts."""
        if self._prepare is not None:
            self._prepare()
        self._child.start()
        deadline = time.monotonic() + seconds
        for port in self._ports:
            while not wait_port(port, seconds=0.1):
                if not self.running or time.monotonic() > deadline:
                    output = self.output()
                    self._child.kill()
                    raise ProcessError(f"{self._child.argv[0]} does not listen on port {port}: {output}")

    def reload(self) -> None:
        """Reload the configuration, by signal or callback."""
        if self._reload is None:
            raise ProcessError("this program has no reload")
        if callable(self._reload):
            self._reload(self)
        else:
            self._child.signal(self._reload)

    def signal(self, number: int) -> None:
        """Send a signal to the (master) process."""
        self._child.signal(number)

    def kill(self) -> None:
        """SIGKILL the program and all of its workers."""
        self._child.kill()

    def stop(self) -> None:
        """End the program and all of its workers. Never raises."""
        self._child.stop(self._stop)

    def output(self, limit: int | None = 4000) -> str:
        """Return the last `limit` characters that the program wrote, or all of them."""
        return self._child.output(limit)
