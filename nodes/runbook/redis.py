"""The steps of the runbook for a Redis under Sentinel: behind the balancer's front, and named in the nodes' strings."""

from ...core.markdown import code
from ...core.wording import all_of
from ...spec.model import Farm, Redis
from .blocks import Step, blocks, prompts


def sentinel(farm: Farm, variables: dict[str, str]) -> Step:
    """The step that installs Redis and Sentinel on hosts of their own."""
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None:
        raise ValueError("a farm without Sentinel has no such step")
    hosts = ", ".join(f"{host.name} ({host.address})" for host in redis.sentinel.nodes)
    return Step(
        "Install Redis and Sentinel",
        [
            f"Install them on {hosts} as `redis/INSTALL.md` beside the balancer's files describes.",
            (
                f"The nodes connect to the balancer, {code(f'{redis.host}:{redis.port}')}, which forwards them to the "
                "master. Install the balancer's files on it before you prepare the nodes."
            ),
        ],
        "`test-redis.ps1` reports on every node that Redis answers, and `INSTALL.md`'s test of a failover passes.",
        "stop Redis and Sentinel. Nothing uses them before the nodes are prepared.",
        blocks(
            (
                "powershell",
                [*prompts(name for what, name in variables.items() if what == "redis"), r".\test-redis.ps1"],
                "On every node",
            )
        ),
    )


def named_sentinels(store: Redis, variables: dict[str, str]) -> Step:
    """The step for sentinels that the nodes ask themselves: their strings have a `serviceName`."""
    names = all_of([code(str(server)) for server in store.servers])
    return Step(
        "Install Redis and Sentinel",
        [
            (
                f"Install the sentinels ({names}) and the servers of Redis that they watch, on machines of their own. "
                "The nodes ask the sentinels for the master, "
                "so that every node must reach each sentinel and each server of Redis."
            )
        ],
        "`test-redis.ps1` reports on every node that each sentinel names a master that answers.",
        "stop Redis and Sentinel. Nothing uses them before the nodes are prepared.",
        blocks(
            (
                "powershell",
                [*prompts(name for what, name in variables.items() if what == "redis"), r".\test-redis.ps1"],
                "On every node",
            )
        ),
    )
