"""What HAProxy and NGINX have in common: the file on the disk, and the digest that the running process reports."""

from pathlib import Path
from typing import NamedTuple

from ..generators.base import Generator, Site, render
from ..generators.digest import Normal, digest_of, found_in
from ..spec.load import Spec
from .places import Place
from .report import Difference


class Expected(NamedTuple):
    """What the spec makes."""

    digest: str

    @classmethod
    def of(cls, vendor: Generator, spec: Spec, site: Site) -> "Expected":
        """Render the configuration; raises UnsupportedError."""
        main = next(file for file in render(vendor, spec, site) if file.main)
        return cls(found_in(main.content.decode("utf-8")))


def file_differences(place: Place, path: Path, expected: Expected, normal: Normal) -> list[Difference]:
    """Return whether the file on the disk is another configuration; raises UnreachedError if it cannot be read."""
    found = digest_of(place.read(path), normal)
    return [] if found == expected.digest else [Difference(f"the file {path.as_posix()}", expected.digest, found)]


def process_difference(answer: str, expected: Expected) -> list[Difference]:
    """Return whether the running process has loaded another configuration, by what it reports."""
    found = found_in(answer)
    if found == expected.digest:
        return []
    return [Difference("the running process", expected.digest, found or "no digest (not a file of this nlbgen)")]
