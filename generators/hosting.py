"""Facts about a vendor that the export, the report and the lab need: where it runs, and how its files look."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple


class Syntax(NamedTuple):
    """How the report shows a kind of file."""

    files: str
    """A regular expression that matches the whole path."""
    lexer: str
    """The name of a Pygments lexer."""
    reasons: Literal["comments", "objects", "directives", "none"] = "none"
    """Where the reason for each line comes from."""


class TimeoutSyntax(NamedTuple):
    """How a configuration sets its timeouts, so that the lab can scale them."""

    pattern: str
    """A regular expression with the groups `before` and `time` for every timeout."""
    unit: str
    """The unit of a bare number."""
    defaults: Mapping[str, float] = {}
    """The program's own defaults, in seconds, for directives that the configuration leaves out."""
    section: str = ""
    """A regular expression for the line after which the defaults are written."""


class RoleVariable(NamedTuple):
    """One variable of the vendor's Ansible role."""

    name: str
    value: str | tuple[str, ...]
    from_spec: bool = False
    """Whether the value is text of the spec, in which Ansible must not evaluate expressions."""


class RoleSetting(NamedTuple):
    """One default of the vendor's Ansible role, for the table in the rollout's README."""

    name: str
    default: str
    meaning: str


class StateFile(NamedTuple):
    """A file with the states of nodes: a reload saves them from the running program, a start begins without them."""

    path: str
    """The path below the folder of the configuration."""
    empty: bytes
    """The content before a start."""
    socket: str
    """The path of the program's runtime socket, below the same folder."""
    master: str
    """The path of the socket of the program's master process, below the same folder."""
    save: str
    """The command to the socket whose answer is the file's content."""
    info: str
    """The command to the socket whose answer holds the process id."""
    process: str
    """A regular expression with the group `id` for the process id in that answer."""


class Companion(NamedTuple):
    """A rendered shell script that runs beside the program."""

    file: str
    """The path of the file below the vendor's folder."""
    arguments: tuple[str, ...]
    needs: str
    """The program that the script calls and that may not be installed."""


class Foreground(NamedTuple):
    """How the program runs in the foreground, as a child process with the user of its parent."""

    arguments: tuple[str, ...]
    reload: str
    """The name of the signal that reloads the configuration, as in `SIGHUP`."""
    environment: Mapping[str, str] = {}
    """What the program needs besides the environment of its parent."""
    states: StateFile | None = None
    pid_file: str = ""
    """The path of the file with the id of the master process, below the folder of the configuration; empty: none."""
    companion: Companion | None = None


class Steps(NamedTuple):
    """What a push creates on an empty device."""

    made: Sequence[str]
    """Each step, in order."""
    early: Sequence[str]
    """The steps that use an object of a later step."""


class Hosting(NamedTuple):
    """How a vendor's program is installed and runs on hosts."""

    main: str
    """The configuration file, which belongs to one farm as a whole."""
    statistics: str
    """The path of the statistics page on the metrics port."""
    timeouts: TimeoutSyntax
    role_tasks: tuple[str, ...]
    """The task files of the Ansible role besides `main`."""
    drain_tasks: tuple[str, ...]
    """The task files that remove a node from rotation and return it."""
    drains_by: Literal["runtime", "files"]
    """Whether a node is drained by a command to the running program, or by another configuration file."""
    load_commands: tuple[str, ...]
    """The shell commands that load the configuration in FILE into the running program."""
    enable_command: str = ""
    """The shell command that enables a drained node; empty where the rollout's playbook does it."""
    first_rollout: str = ""
    """What the first run of the rollout does that later ones do not, as a sentence."""
    role_settings: tuple[RoleSetting, ...] = ()
    stop_note: str = ""
    """What happens to connections when all nodes stop, as a sentence."""


class Api(NamedTuple):
    """How a device with an API is reached."""

    address: str
    """The key of the vendor's section that holds the device's address."""
    hint: str
    """What to write where the address is missing."""
    secret: str
    """The key that refers to the password or API key."""
