"""Commands on a balancer's host: on this machine, or through ssh as the operator's own configuration has it."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from ..core import activity
from ..core.errors import DeviceError, UsageError
from ..core.wording import legible, shortened

CONNECT_SECONDS: Final = 10
COMMAND_SECONDS: Final = 60
_SSH_FAILED: Final = 255
_NOT_FOUND: Final = 127
_LONGEST_TEXT: Final = 300


class Output(NamedTuple):
    """What a command printed, and its exit code."""

    status: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """The last words of the command, on one line."""
        text = " ".join((self.err.strip() or self.out.strip()).split())
        return shortened(legible(text), _LONGEST_TEXT) or f"exit code {self.status}"


class Shell(Protocol):
    """Runs commands on one host."""

    @property
    def name(self) -> str:
        """The host in messages."""

    def run(self, command: Sequence[str], text: str = "") -> Output:
        """Run a command with `text` as its input; raises DeviceError if it cannot be run at all."""


class LocalShell:
    """This machine."""

    def __init__(self, *, sudo: bool = False, name: str = "this machine") -> None:
        self.name: Final = name
        self._sudo: Final = sudo

    def run(self, command: Sequence[str], text: str = "") -> Output:
        """Run a command here."""
        return _checked(self.name, command, _run(self.name, _with_sudo(command, self._sudo), text))


class SshShell:
    """A host by OpenSSH's client: its configuration, keys and agent are the operator's."""

    def __init__(self, host: str, *, sudo: bool = False, program: str = "ssh") -> None:
        """`host` is `[USER@]HOST`, or a name of the operator's ssh configuration."""
        if not host or host.startswith("-") or not all(char.isprintable() and not char.isspace() for char in host):
            raise UsageError(f"{legible(host) or '(empty)'} is not a host for ssh", "give HOST or USER@HOST")
        self.name: Final = host
        self._sudo: Final = sudo
        self._program: Final = program

    def run(self, command: Sequence[str], text: str = "") -> Output:
        """Run a command there; the remote shell gets it as one quoted line."""
        options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
        line = shlex.join(_with_sudo(command, self._sudo))
        found = _run(self.name, [self._program, *options, "--", self.name, line], text)
        if found.status == _SSH_FAILED:
            raise DeviceError(
                f"{self.name}: cannot be reached by ssh: {found.reason}",
                f"check `ssh {shlex.quote(self.name)} true`: it must work without a password prompt",
            )
        return _checked(self.name, command, found)


def _with_sudo(command: Sequence[str], sudo: bool) -> list[str]:
    return ["sudo", "-n", "--", *command] if sudo else [*command]


def _checked(host: str, command: Sequence[str], found: Output) -> Output:
    if found.status == _NOT_FOUND:
        raise DeviceError(f"{host}: {command[0]} cannot be run: {found.reason}", f"install {command[0]} on {host}")
    return found


def _run(host: str, command: Sequence[str], text: str) -> Output:
    activity.note(f"run: {shlex.join(command)}")
    try:
        return execute(command, COMMAND_SECONDS, text)
    except FileNotFoundError:
        raise DeviceError(f"{host}: {command[0]} is not installed", f"install {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{host}: {command[0]} has not ended after {COMMAND_SECONDS} s",
            "check the host, then run `nlbgen nodes status`",
        ) from None
    except OSError as error:
        raise DeviceError(f"{host}: {command[0]} cannot be run: {error.strerror or error}") from None


def execute(command: Sequence[str], seconds: float, text: str | None) -> Output:
    """Run a program of this computer without a shell; raises OSError or TimeoutExpired.

    Without a `text` as its input, it has no input, and what it prints goes to standard error.
    """
    shown = None if text is None else subprocess.PIPE
    done = subprocess.run(  # noqa: S603  # no shell; a host that begins with - is refused, a command is the user's own
        [*command],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=sys.stderr if text is None else shown,
        stderr=shown,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return Output(done.returncode, done.stdout or "", done.stderr or "")
