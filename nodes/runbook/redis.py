"""The step of the runbook for a Redis under Sentinel, behind the balancer's front."""

from ...spec.model import Farm
from .blocks import Step, blocks, code, prompts


def sentinel(farm: Farm, variables: dict[str, str]) -> Step:
    """The step that installs Redis and Sentinel on hosts of their own."""
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None:
        raise ValueError("a farm without Sentinel has no such step")
    hosts = ", ".join(f"{host.name} ({host.address})" for host in redis.sentinel.nodes)
    return Step(
        "Install Redis and Sentinel",
        [
            f"Install them on {hosts} as `redis/INSTALL.md` in the files of HAProxy describes.",
            (
                f"The nodes connect to the balancer, {code(f'{redis.host}:{redis.port}')}, which leads to the master. "
                "Install the balancer's files on it before you prepare the nodes."
            ),
        ],
        "`test-redis.ps1` reports on every node that it answers, and `INSTALL.md`'s test of a failover passes.",
        "stop Redis and Sentinel. Nothing uses them before the nodes are prepared.",
        blocks(
            (
                "powershell",
                [*prompts(name for what, name in variables.items() if what == "redis"), r".\test-redis.ps1"],
                "On every node",
            )
        ),
    )
