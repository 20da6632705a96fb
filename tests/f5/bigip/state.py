"""The state of the device, and what tests read from it."""

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .answers import Json, JsonValue, Key
from .faults import Fault
from .kinds import BUILT_IN

if TYPE_CHECKING:
    from tests.f5.soap import Portal

    from .device import BigIp


@dataclass
class Transaction:
    number: int
    commands: list[tuple[str, str, Any]] = field(default_factory=list)
    state: str = "STARTED"


@dataclass
class State:
    """The state of a device; `lock` is held while a request is processed."""

    version: str = "16.1.2"
    user: str = "admin"
    password: str = "correct horse"
    failover: str = "active"
    bigd_tmm: str = "enable"
    """Whether monitors send SNI; a device as delivered has `disable`."""
    connections: dict[str, int] = field(default_factory=dict)
    """The open connections of members, as in `/Common/web /Common/orch-1:443`; others have none."""
    readable_statistics: bool = True
    objects: dict[Key, Json] = field(default_factory=dict)
    saved: dict[Key, Json] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    groups: set[str] = field(default_factory=lambda: {"pair"})
    synced: list[str] = field(default_factory=list)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    deferred: list[list[Any]] = field(default_factory=list)
    """Requests that the device processes later: how many others come before, and the request."""
    log: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Every request: method, path with query, transaction, status (0 where the connection was cut)."""
    latency: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)
    """When each request was worked on, from its arrival to its answer."""
    hook: Callable[[str, str, bytes], None] | None = None
    """Called with method, path and body before each request is processed, without the lock."""
    deep_policies: bool = True
    spells_domains: bool = False
    """Whether addresses are shown with their partition's default route domain; that of `source` always is."""
    portal: "Portal | None" = None
    """The SOAP service."""
    generation: int = 100
    tokens_made: int = 0
    extensions: list[Callable[["BigIp", str, str, Any, Json], tuple[int, Any] | None]] = field(default_factory=list)

    stop_listening: Callable[[], None] = lambda: None
    resume: Callable[[], None] = lambda: None
    """Set by the listener."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.objects[("auth partition", "Common")] = {"name": "Common"}
        for kind, path, own in BUILT_IN:
            if kind == "ltm profile websocket" and self.parts < (12, 1):
                continue
            self.objects[kind, path] = {**own, "name": path.rpartition("/")[2], "partition": "Common"}
        self.saved = copy.deepcopy(self.objects)

    def renew(self, **own: JsonValue) -> None:
        """Become a device as new, with this state; the listener and the tests keep their reference."""
        self.__init__(**own)  # type: ignore[misc]  # every field gets its value again

    @property
    def parts(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    def rounds(self) -> int:
        """How many requests were one after another: the longest chain of spans that do not overlap."""
        count, last = 0, 0.0
        for began, ended in sorted(self.spans, key=lambda span: span[1]):
            if began >= last:
                count, last = count + 1, ended
        return count

    def own(self) -> dict[Key, Json]:
        """The objects that are not built in, without certificate files."""
        built_in = {(kind, path) for kind, path, _ in BUILT_IN} | {("auth partition", "Common")}
        return copy.deepcopy(
            {
                key: value
                for key, value in self.objects.items()
                if key not in built_in and not key[0].startswith("sys file")
            }
        )

    def files(self) -> set[str]:
        built_in = {path for _, path, _ in BUILT_IN}
        return {path for kind, path in self.objects if kind.startswith("sys file") and path not in built_in}

    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something, without logins and logouts."""
        return [
            (method, path)
            for method, path, _, _ in self.log
            if method != "GET" and "/shared/authn/" not in path and "/shared/authz/" not in path
        ]
