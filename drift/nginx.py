"""NGINX: the digest that the running process answers on its loopback port, and the file.

`nginx -T` reads the disk, so it does not show what runs.
"""

from pathlib import Path
from typing import Final

from ..generators.base import Site, generator
from ..generators.digest import unchanged
from ..spec.load import Spec
from .hosted import Expected, file_differences, process_difference
from .places import Place
from .report import Difference

FILE: Final = Path("/etc/nginx/nginx.conf")


def differences(spec: Spec, site: Site, place: Place, file: Path) -> list[Difference]:
    """Compare the running process and its file with the spec.

    Raises:
        UnreachedError: The process or the file cannot be read.
        UnsupportedError: NGINX does not support the farm.
    """
    expected = Expected.of(generator("nginx"), spec, site)
    found = process_difference(place.digest_of_nginx(spec.farm.balancer.metrics_port), expected)
    return found + file_differences(place, file, expected, unchanged)
