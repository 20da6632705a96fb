"""Real Redis and Sentinel in the lab, from the rendered files, on the addresses that the rendered front checks.

    async with RedisLab(lab) as redis:
        redis.server("redis-1").kill()
        await redis.master()          # the server that most Sentinels announce

Each host of `stores.redis.sentinel` has two processes: a server (if it runs Redis) and a Sentinel.
"""

import asyncio
import shutil
import signal
import ssl
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Final, Self

from ...core.errors import NlbgenError
from ...core.files import write_atomically
from ...generators.base import Site, render
from ...generators.redis_hosts import (
    REDIS_FILE,
    SENTINEL_FILE,
    USERS,
    file_names,
    redis_secret_lines,
    sentinel_secret_lines,
    user_lines,
)
from ...generators.relocation import LOOPBACK
from ...net.connect import Limits, connected
from ...net.resp import Reply, encode, read_reply
from ...spec.model import Redis, RedisHost, Sentinel
from ..clients.backplane import LOST, Access
from .lab import REDIS_LOGIN, Lab
from .processes import Child, ProcessError
from .relay import BEHIND, Relay

PROGRAM: Final = "redis-server"
READY_SECONDS: Final = 30.0
"""How long servers and Sentinels may take to find each other: a Sentinel learns of the others within two seconds."""
LIMITS: Final = Limits(connect=1.0, answer=1.0)


class RedisProcess(Child):
    """One server of Redis, or one Sentinel."""

    def __init__(self, name: str, port: int, argv: list[str], output: Path) -> None:
        super().__init__(argv, output)
        self.name: Final = name
        self.port: Final = port

    def freeze(self) -> None:
        """Send SIGSTOP: the kernel still accepts connections, but the process does not answer."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self.signal(signal.SIGCONT)


class RedisLab:
    """The servers and the Sentinels of a lab's farm."""

    def __init__(self, lab: Lab, *, relayed: bool = False) -> None:
        """With `relayed`, Sentinels and replicas reach each server through a relay, which can be cut."""
        redis = lab.spec.farm.stores.redis
        if redis is None or redis.sentinel is None:
            raise NlbgenError("the farm has no Sentinel", "write `stores.redis.sentinel`")
        if shutil.which(PROGRAM) is None:
            raise NlbgenError(f"{PROGRAM} is not installed here", f"apt-get install {PROGRAM}")
        self._lab = lab
        self._redis: Final[Redis] = redis
        self._sentinel: Final[Sentinel] = redis.sentinel
        self._tls = ssl.create_default_context(cafile=str(lab.certificates.ca)) if redis.tls else None
        names = self._names = file_names(redis.sentinel)
        self.servers: Final = [self._process(host, names.redis) for host in redis.sentinel.servers]
        self.sentinels: Final = [self._process(host, names.sentinel) for host in redis.sentinel.nodes]
        self.relays: Final = {host.name: Relay(host.port) for host in redis.sentinel.servers if relayed}

    def _process(self, host: RedisHost, file: str) -> RedisProcess:
        folder = self._lab.folder / "redis" / host.name
        sentinel = file == self._names.sentinel
        argv = [PROGRAM, str(folder / file), *(["--sentinel"] if sentinel else [])]
        return RedisProcess(host.name, host.sentinel_port if sentinel else host.port, argv, folder / f"{file}.output")

    async def __aenter__(self) -> Self:
        try:
            self._write()
            for relay in self.relays.values():
                await relay.start()
            for process in (*self.servers, *self.sentinels):
                process.start()
            await self.settled()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill everything."""
        for relay in self.relays.values():
            relay.close()
        for process in (*self.sentinels, *self.servers):
            process.kill()

    def _write(self) -> None:
        folder = self._lab.folder
        for file in render(self._lab.generator, self._lab.spec, Site(str(folder))):
            if file.path.parts[0] == "redis":
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(folder / file.path, self._behind_relays(file.path.name, file.content))
        for name, lines in (
            (REDIS_FILE, redis_secret_lines(self._redis)),
            (USERS, user_lines(self._redis, self._sentinel)),
            (SENTINEL_FILE, sentinel_secret_lines(self._redis, self._sentinel)),
        ):
            text = "".join(f"{line}\n" for line in lines).replace("%s", REDIS_LOGIN)
            write_atomically(folder / name, text.encode(), mode=0o600)

    def _behind_relays(self, name: str, content: bytes) -> bytes:
        if not self.relays or name != self._names.redis:
            return content
        return content.replace(f"\nbind {LOOPBACK}\n".encode(), f"\nbind {BEHIND}\n".encode())

    def server(self, name: str) -> RedisProcess:
        """Return the server of a host."""
        return next(server for server in self.servers if server.name == name)

    def access(self, port: int) -> Access:
        """Return how the nodes connect to a port of the lab, with the login of the farm."""
        return Access("127.0.0.1", port, REDIS_LOGIN, self._redis.user, self._tls)

    async def ask(self, port: int, *words: str, sentinel: bool = False, host: str = LOOPBACK) -> Reply:
        """Send one command with a login; raises one of `LOST`."""
        user = None if sentinel else self._redis.user
        login = ("AUTH", *([user] if user else []), REDIS_LOGIN)
        # Sentinel of Redis for Windows has no login.
        commands = (words,) if sentinel and self._sentinel.on_windows else (login, words)
        async with connected(host, port, LIMITS, tls=self._tls) as peer:
            async with asyncio.timeout(LIMITS.answer):
                for command in commands:
                    peer.writer.write(encode(*command))
                    reply = await read_reply(peer.reader)
        return reply

    async def master(self) -> RedisProcess | None:
        """Return the server that most of all Sentinels announce; None without a majority."""
        announced = Counter([await self._announced(sentinel.port) for sentinel in self.sentinels if sentinel.running])
        port, votes = max(announced.items(), key=lambda one: one[1], default=(None, 0))
        if port is None or votes < self._sentinel.majority:
            return None
        return next(server for server in self.servers if server.port == port)

    async def _announced(self, port: int) -> int | None:
        with suppress(*LOST):
            reply = await self.ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._sentinel.name, sentinel=True)
            if isinstance(reply, list) and isinstance(reply[1], bytes):
                return int(reply[1])
        return None

    async def role(self, port: int) -> tuple[str, int]:
        """Return the role of a server and the number of its connected replicas; an empty role if it does not answer."""
        with suppress(*LOST):
            reply = await self.ask(port, "INFO", "replication")
            text = reply.decode() if isinstance(reply, bytes) else ""
            lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            return lines.get("role", ""), int(lines.get("connected_slaves", "0"))
        return "", 0

    async def settled(self, seconds: float = READY_SECONDS) -> None:
        """Wait until a master has all replicas and the Sentinels that run know each other and the replicas."""
        deadline = perf_counter() + seconds
        while not await self._complete():
            if perf_counter() > deadline:
                outputs = "".join(process.output(500) for process in (*self.servers, *self.sentinels))
                raise ProcessError(f"Redis and Sentinel did not find each other within {seconds:g} s: {outputs}")
            await asyncio.sleep(0.2)

    async def _complete(self) -> bool:
        master = await self.master()
        if master is None or await self.role(master.port) != ("master", len(self.servers) - 1):
            return False
        known = [await self._knows(sentinel.port) for sentinel in self.sentinels if sentinel.running]
        return all(known)

    async def _knows(self, port: int) -> bool:
        """Whether a Sentinel knows all other ones and all replicas."""
        with suppress(*LOST):
            reply = await self.ask(port, "SENTINEL", "MASTER", self._sentinel.name, sentinel=True)
            words = [word.decode() for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []
            facts = dict(zip(words[::2], words[1::2], strict=False))
            return (
                int(facts.get("num-other-sentinels", "0")) == len(self.sentinels) - 1
                and int(facts.get("num-slaves", "0")) == len(self.servers) - 1
                and facts.get("flags") == "master"
            )
        return False
