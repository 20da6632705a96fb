"""The hosts of a Redis under Sentinel: each server, each Sentinel, and whether they agree about the master.

A front that works can hide that no failover is possible any more: the front answers, but no replica is left.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Final, NamedTuple

from ..net.connect import Limits
from ..spec.model import Redis, Sentinel
from ..spec.references import SecretValue
from . import redis
from .machine import Endpoint, Machine

_ATTACHED: Final = re.compile(r"slave[0-9]+")


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

    def checks(
        self, connect: Connect, listeners: redis.Listeners | None
    ) -> Iterator[tuple[Machine, Coroutine[object, None, None]]]:
        """Yield each machine with its check. `listeners` is for farms whose front is not asked for them."""
        for host in self._sentinel.servers:
            machine = self._machine(f"redis {host.name}", host.address, host.port)
            yield machine, self._check_server(machine, connect, listeners)
        for host in self._sentinel.nodes:
            machine = self._machine(f"sentinel {host.name}", host.address, host.sentinel_port)
            yield machine, self._check_sentinel(machine, connect)

    def _machine(self, name: str, address: str, port: int) -> Machine:
        return Machine(name, Endpoint(address, port, address, self._store.tls), self._limits)

    async def _check_server(self, machine: Machine, connect: Connect, listeners: redis.Listeners | None) -> None:
        access = await connect(machine)
        if access is not None:
            self._fields[machine] = await redis.check(
                machine, access.password, self._store.user, replicas=True, listeners=listeners
            )

    async def _check_sentinel(self, machine: Machine, connect: Connect) -> None:
        access = await connect(machine)
        found = None if access is None else await redis.announced(machine, access.password, self._sentinel.name)
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
            expected = "the master, as the Sentinels announce" if announced else f"a replica of {master}"
            machine.report("redis-masters", what, expected, "the master" if not announced else "a replica")
        elif announced:
            attached = [name for name, value in fields.items() if _ATTACHED.fullmatch(name) and "state=online" in value]
            machine.facts["replicas"] = f"{len(attached)} of {len(self._sentinel.servers) - 1} replicas attached"
            if not attached:
                machine.report("redis-failover", what, "a replica that can replace it", "no replica")
        elif fields.get("master_link_status") != "up":
            machine.report("redis-link", what, "connected to the master", "not connected")
