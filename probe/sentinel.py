"""The hosts of a Redis under Sentinel: each server, each Sentinel, and whether they agree about the master.

A front that works can hide that no failover is possible any more: the front answers, but no replica is left.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..core.wording import one_of
from ..generators.redis_hosts import SERVERS_FOR_MIN_REPLICAS
from ..net.connect import Limits
from ..spec.model import Redis, RedisHost, Sentinel
from ..spec.references import SecretValue
from ..spec.units import Version
from . import redis
from .machine import Endpoint, Machine

_ATTACHED: Final = re.compile(r"slave[0-9]+")
MAX_LAG_SECONDS: Final = 10
"""A replica answers each second; `min-replicas-max-lag` of redis.conf is the same."""


class Access(NamedTuple):
    """How the probe logs in."""

    password: SecretValue | None


Connect = Callable[[Machine], Awaitable[Access | None]]
"""Connects, checks TLS and reads the secret; None if no further check is possible."""


class Hosts:
    """The servers and Sentinels of one farm."""

    def __init__(self, store: Redis, sentinel: Sentinel, limits: Limits) -> None:
        self._store = store
        self._sentinel = sentinel
        self._limits = limits
        self._fields: dict[Machine, dict[str, str]] = {}
        self._announced: dict[Machine, str] = {}
        self._hosts: dict[Machine, RedisHost] = {}

    def checks(
        self, connect: Connect, listeners: redis.Listeners | None
    ) -> Iterator[tuple[Machine, Coroutine[object, None, None]]]:
        """Yield each machine with its check. `listeners` is for farms whose front is not asked for them."""
        for host in self._sentinel.servers:
            machine = self._machine(f"redis {host.name}", host, host.port)
            yield machine, self._check_server(machine, connect, listeners)
        for host in self._sentinel.nodes:
            machine = self._machine(f"sentinel {host.name}", host, host.sentinel_port)
            yield machine, self._check_sentinel(machine, connect)

    def _machine(self, name: str, host: RedisHost, port: int) -> Machine:
        machine = Machine(name, Endpoint(host.address, port, host.address, self._store.tls), self._limits)
        self._hosts[machine] = host
        return machine

    async def _check_server(self, machine: Machine, connect: Connect, listeners: redis.Listeners | None) -> None:
        access = await connect(machine)
        if access is None:
            return
        fields = await redis.check(machine, access.password, self._store.user, replicas=True, listeners=listeners)
        self._fields[machine] = fields
        found = fields.get("redis_version")
        if found is not None and Version(found) < self._sentinel.version:
            machine.report("redis-version", "INFO server", f"{self._sentinel.version} or later", found)

    async def _check_sentinel(self, machine: Machine, connect: Connect) -> None:
        access = await connect(machine)
        if access is None:
            return
        # Sentinel of Redis for Windows has no password, which `check` reports.
        password = None if self._sentinel.on_windows else access.password
        found = await redis.announced(machine, password, self._sentinel.name)
        if found is not None:
            self._announced[machine] = found
            machine.facts["announces"] = f"announces {found or 'no master'}"

    def compare(self) -> None:
        """Report servers and Sentinels that disagree about the master, and a master without a replica."""
        votes = Counter(found for found in self._announced.values() if found)
        if not votes:
            return
        master = votes.most_common(1)[0][0]
        for machine, found in self._announced.items():
            if found != master:
                machine.report(
                    "redis-masters", f"the master {self._sentinel.name}", master, found or "no master of this name"
                )
        for machine, fields in self._fields.items():
            if "role" in fields:
                self._compare_server(machine, fields, master)

    def _compare_server(self, machine: Machine, fields: dict[str, str], master: str) -> None:
        endpoint, what = machine.endpoint, "INFO replication"
        announced = redis.joined(endpoint.host, endpoint.port) == master
        if announced != (fields["role"] == "master"):
            expected = "the master that the Sentinels announce" if announced else f"a replica of {master}"
            machine.report("redis-masters", what, expected, "the master" if not announced else "a replica")
        elif announced:
            attached = _attached(fields)
            machine.facts["replicas"] = f"{len(attached)} of {len(self._sentinel.servers) - 1} replicas attached"
            for replica in attached:
                if replica.lag > MAX_LAG_SECONDS:
                    found = f"{replica.endpoint}: no answer for {replica.lag} s, {replica.behind} bytes behind"
                    machine.report("redis-lag", what, f"at most {MAX_LAG_SECONDS} s", found)
            self._after_a_failure(machine, attached)
        elif fields.get("master_link_status") != "up":
            machine.report("redis-link", what, "connected to the master", "not connected")

    def _after_a_failure(self, master: Machine, attached: Sequence["Replica"]) -> None:
        """Say what happens if the master fails now, and report what prevents a failover."""
        what = "INFO replication"
        able = [self._hosts[machine] for machine in self._announced if "quorum" in machine.facts]
        if not attached:
            master.facts["failure"] = "if this server fails, no server replaces it"
            master.report("redis-failover", what, "a replica that can replace it", "no replica")
        elif not able:
            master.facts["failure"] = "if this server fails, no failover begins"
        else:
            names = {redis.joined(host.address, host.port): host.name for host in self._sentinel.servers}
            candidates = one_of([names.get(replica.endpoint, replica.endpoint) for replica in attached])
            master.facts["failure"] = (
                f"if this server fails, {candidates} replaces it after {self._sentinel.down_after}"
            )
        votes = max(self._sentinel.quorum, self._sentinel.majority)
        elsewhere = sum(host != self._hosts[master] for host in able)
        if able and elsewhere < votes:
            checked = "SENTINEL CKQUORUM on the other hosts"
            master.report("redis-host", checked, f"{votes} Sentinels that can begin a failover", str(elsewhere))
        if len(attached) == 1 and len(self._sentinel.servers) >= SERVERS_FOR_MIN_REPLICAS:
            master.report("redis-writes", what, "2 or more replicas", "1 replica")


class Replica(NamedTuple):
    """A replica that is attached to the master, as the master sees it."""

    endpoint: str
    lag: int
    """Seconds since its last answer."""
    behind: int
    """The bytes that it has not confirmed."""


def _attached(fields: Mapping[str, str]) -> list[Replica]:
    """The replicas in the fields of INFO replication."""
    found = []
    written = _number(fields.get("master_repl_offset"))
    for name, value in fields.items():
        if not _ATTACHED.fullmatch(name):
            continue
        parts = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        if parts.get("state") == "online":
            endpoint = redis.joined(parts.get("ip", ""), parts.get("port", ""))
            behind = max(0, written - _number(parts.get("offset")))
            found.append(Replica(endpoint if endpoint.isprintable() else "", _number(parts.get("lag")), behind))
    return found


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 20 else 0
