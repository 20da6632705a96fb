"""The vendors whose configurations can be taken over.

The importer of a vendor is the function `take` of `takeover/VENDOR/importer.py`: it takes the configuration, the name
of its file and the name of the frontend, and returns a [`Draft`][nlbgen.takeover.draft.Draft]. It raises UsageError for
a configuration that has no farm.
"""

from importlib import import_module
from typing import Final, Protocol, cast

from ..core.errors import UsageError
from ..core.wording import one_of
from ..readers.tree import Configuration, Vendor
from .draft import Draft

IMPORTERS: Final[dict[Vendor, str]] = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf", "f5": "bigip.conf"}
"""The vendors with an importer, each with the usual name of its file."""


class _Take(Protocol):
    def __call__(self, configuration: Configuration, source: str, frontend: str) -> Draft: ...


def require_importer(vendor: Vendor, source: str) -> None:
    """Raise UsageError for a configuration of a vendor without an importer."""
    if vendor not in IMPORTERS:
        hint = "give the values with the options of `nlbgen init`; `nlbgen lint` checks the file"
        reads = one_of(tuple(IMPORTERS.values()))
        raise UsageError(f"{source}: init --from reads {reads}, but this is a configuration of {vendor}", hint)


def take(configuration: Configuration, source: str, frontend: str = "") -> Draft:
    """Take over what a configuration has; the module of its vendor is imported on the first call.

    `frontend` is the name of the frontend, server or virtual server of the farm, or empty. Raises UsageError.
    """
    require_importer(configuration.vendor, source)
    module = import_module(f"{__package__}.{configuration.vendor}.importer")
    return cast("_Take", module.take)(configuration, source, frontend)
