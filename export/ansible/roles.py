"""The files of the Ansible roles and their templates; they are the same for every farm."""

from pathlib import PurePosixPath
from typing import Final

from ...generators.base import Generator, all_generators, hosted_generators
from ...generators.haproxy import runtime
from ...nodes import plain_http

_SHARED: Final = {
    "keepalived": ("tasks/main", "tasks/address", "tasks/check"),
    "device": ("tasks/main", "tasks/status", "tasks/state"),
    "secrets": ("tasks/main",),
    "node": ("tasks/main", "tasks/plan", "tasks/change", "tasks/return"),
    "upgrade": ("tasks/snapshot", "tasks/stop", "tasks/start", "tasks/node"),
}
"""The task files of the roles that are the same for every vendor."""
_DEVICE_DRAIN: Final = ("others", "out", "back")
"""The task files that drain a node on a device by `nlbgen nodes`."""


_REDIS: Final = tuple(
    f"tasks/{task}" for task in ("main", "system", "check", "change", "configure", "restart", "balancer")
)
"""The task files of the role for the hosts of Redis."""


def roles(*, redis: bool) -> dict[str, str]:
    """Each file of a role, and its template; `redis`: whether a farm has hosts of Redis."""
    found: dict[str, str] = {}
    for vendor in hosted_generators():
        own = vendor.hosting.role_tasks if vendor.hosting is not None else ()
        found |= _role(vendor.name, ("tasks/main", *(f"tasks/{task}" for task in own)))
    for name, tasks in _SHARED.items():
        found |= _role(name, tasks)
    found |= _role("redis", _REDIS) if redis else {}
    found["roles/drain/defaults/main.yml"] = "ansible/drain-defaults.yml.j2"
    for vendor in all_generators():
        found |= _drain(vendor)
    return found


def choices() -> dict[str, object]:
    """Return what the templates of the roles show.

    These are the vendors that their arguments accept, HAProxy's words for the states, and lines of PowerShell.
    """
    devices = sorted(vendor.name for vendor in all_generators() if vendor.api is not None)
    return {
        "device_vendors": devices,
        "vendors": [*(vendor.name for vendor in hosted_generators()), *devices],
        "http_accepted": plain_http.is_accepted(),
        "states": runtime.STATES,
        "accept_http": plain_http.accept("$Port"),
    }


def _role(name: str, tasks: tuple[str, ...]) -> dict[str, str]:
    files = {
        f"roles/{name}/defaults/main.yml": f"ansible/{name}-defaults.yml.j2",
        f"roles/{name}/meta/argument_specs.yml": f"ansible/{name}-arguments.yml.j2",
    }
    return files | {f"roles/{name}/{task}.yml": f"ansible/{name}-{PurePosixPath(task).name}.yml.j2" for task in tasks}


def _drain(vendor: Generator) -> dict[str, str]:
    """Return the tasks that check the other nodes and remove a node from rotation, for this vendor."""
    if vendor.hosting is None:
        return {
            f"roles/drain/tasks/{vendor.name}_{task}.yml": f"ansible/drain-device_{task}.yml.j2"
            for task in _DEVICE_DRAIN
        }
    found = {f"roles/drain/tasks/{vendor.name}_others.yml": "ansible/drain-others.yml.j2"}
    return found | {
        f"roles/drain/tasks/{vendor.name}_{task}.yml": f"ansible/drain-{vendor.name}_{task}.yml.j2"
        for task in vendor.hosting.drain_tasks
    }
