"""The notes of INSTALL.md: how the spec was translated, and what the engine of this product needs or lacks."""

from collections.abc import Iterator

from ...spec.model import Farm
from ..features import ELSEWHERE
from ..redis import WITHOUT_VOTES
from .objects import HttpFarm, L4Farm, Objects, Times, shares
from .products import Edition


def silence_limit(times: Times) -> str | None:
    """A note where zproxy closes silent WebSockets sooner than the spec asks; None where it does not."""
    if times.websocket <= times.answer:
        return None
    return (
        f"zproxy closes a silent WebSocket after {times.answer} seconds (a node's TimeOut, which also limits "
        f"responses), not after the {times.websocket} seconds of balancer.signalr.idle_timeout. Do not switch off "
        "SignalR's keep-alives, which come every 10 or 15 seconds."
    )


def notes(farm: Farm, edition: Edition, made: Objects) -> Iterator[str]:
    """What an administrator of the appliance and its nodes must know about a farm, as sentences."""
    main, guardian = made.main, made.guardian
    answer = (guardian.timeout - 1) // guardian.checks
    # FarmGuardian sleeps for the interval between two rounds, and in a round each node before may use up its timeout.
    slowest = guardian.interval + guardian.timeout * len(main.backends)
    yield f"If a node hangs, FarmGuardian marks it down after at most {slowest} seconds: it checks the nodes in turn."
    generation = edition.generation
    cuts = " and closes its connections" if generation is not None and generation.websockets else ""
    yield (
        f"One failed check marks a node down{cuts}, because FarmGuardian has no `fall`. Therefore a check waits "
        f"{answer} seconds for the response: `fall` times the timeout of balancer.health."
    )
    if guardian.checks > 1:
        yield (
            f"One check requests {guardian.checks} services, one after another, and all must answer. Each service "
            f"has {answer} seconds to answer."
        )
    if made.redis is not None:
        yield from _redis(made.redis)
    elif farm.redis_front and generation is not None and generation.websockets:
        yield f"There is no Redis frontend: {ELSEWHERE}."
    if not shares([node.weight for node in farm.nodes])[1]:
        yield "The weights of the spec are rounded to numbers from 1 to 9."
    if isinstance(main, L4Farm):
        yield from _layer4(farm)
    elif edition.zproxy:
        yield from _zproxy(farm, edition, main)
    if isinstance(main, HttpFarm) and main.affinity.kind == "cookie":
        yield "The affinity cookie contains the node's address, so clients can see it."


def _redis(front: L4Farm) -> Iterator[str]:
    guardian = front.guardian
    slowest = guardian.interval + guardian.timeout * len(front.backends)
    yield (
        f"The farm {front.name} forwards the connections to the master of Redis. Its check only asks each server "
        f"for its role: {WITHOUT_VOTES}."
    )
    yield (
        f"After a failover of Redis, FarmGuardian detects the new master within {slowest} seconds. It removes the "
        "connections to the old master without closing them. A node that only listens may therefore notice the "
        "failover only at its next keep-alive, by default after 60 seconds: write `keepAlive: 5` under "
        "`stores.redis.options`."
    )


def _layer4(farm: Farm) -> Iterator[str]:
    if farm.frontend.tls.mode == "bridge":
        yield (
            "This is an L4xNAT farm: the nodes terminate TLS, and their certificates must contain the farm's "
            "name. (An HTTP farm of this product opens WebSockets but forwards no frames, and it refuses PATCH.)"
        )
    yield "The nodes see the address of the appliance instead of the client's: an L4xNAT farm translates it."
    yield "In an L4xNAT farm, only FarmGuardian detects a failed node: never remove its check from the farm."


def _zproxy(farm: Farm, edition: Edition, main: HttpFarm) -> Iterator[str]:
    yield "zproxy sends no SNI to the nodes: IIS's binding must not require it."
    if main.node_tls:
        yield (
            "TLS 1.3 must be disabled on every node: zproxy closes POSTs to nodes with TLS 1.3 without a response. "
            "Windows Server 2022 and later enable TLS 1.3. Disable it in IIS Manager (the site's bindings, "
            "`Disable TLS 1.3 over TCP`) or in the registry of Schannel, before this farm serves."
        )
    if edition.classic:
        yield (
            "The WebSocket Protocol must be removed from IIS on every node: zproxy forwards the data of a node on "
            "a WebSocket only after the client has sent a frame, but with SignalR 2 (Orchestrator before 2020.10) "
            "the node sends first. Clients then use server-sent events or long polling."
        )
    yield "zproxy closes the client's connection after each response: each request needs another TLS handshake."
    if (limit := silence_limit(main.times)) is not None:
        yield limit
    if main.affinity.kind == "cookie":
        yield "zproxy sets the cookie's Max-Age 1000 times too large."
    if farm.frontend.tls.hsts and main.tls:
        yield "Strict-Transport-Security is not sent: it is not tested on this engine."
