"""NGINX: the digest that the running process answers on its loopback port, and the file.

`nginx -T` reads the disk, so it does not show what runs.
"""

import http.client
from pathlib import Path
from typing import Final

from ..core import activity
from ..generators.base import Site, generator
from ..generators.digest import unchanged
from ..spec.load import Spec
from .hosted import Expected, file_differences, process_difference
from .report import Difference, UnreachedError

FILE: Final = Path("/etc/nginx/nginx.conf")
PATH: Final = "/digest"
SECONDS: Final = 5.0
LONGEST: Final = 1024
PROCESSES: Final = Path("/proc")
OLD_WORKER: Final = b"nginx: worker process is shutting down"


def differences(spec: Spec, site: Site, file: Path) -> list[Difference]:
    """Compare the running process and its file with the spec.

    Raises:
        UnreachedError: The process or the file cannot be read.
        UnsupportedError: NGINX does not support the farm.
    """
    expected = Expected.of(generator("nginx"), spec, site)
    found = process_difference(_digest(spec.farm.balancer.metrics_port), expected)
    return found + file_differences(file, expected, unchanged)


def _digest(port: int) -> str:
    """Return what the process answers; an NGINX with another configuration answers 404, or anything."""
    where = f"http://127.0.0.1:{port}{PATH}"
    activity.note(f"GET {where}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().read(LONGEST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or "no answer"
        raise UnreachedError(
            f"NGINX does not answer at {where}: {reason}",
            "run nlbgen drift on the balancer; check balancer.metrics_port",
        ) from None
    finally:
        connection.close()


def old_workers(processes: Path = PROCESSES) -> int | None:
    """Return the number of workers that a reload replaced; None on systems without /proc."""
    if not processes.is_dir():
        return None
    return sum(OLD_WORKER in _command(entry) for entry in processes.iterdir() if entry.name.isdecimal())


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""
