"""What HAProxy and NGINX have in common: the file on the disk, and the digest that the running process reports."""

from pathlib import Path
from typing import Final, NamedTuple

from ..core import activity
from ..core.files import content
from ..generators.base import Generator, Site, render
from ..generators.digest import Normal, digest_of, found_in
from ..spec.load import Spec
from .report import Difference, UnreachedError

LARGEST: Final = 16 * 1024 * 1024


class Expected(NamedTuple):
    """What the spec makes."""

    digest: str

    @classmethod
    def of(cls, vendor: Generator, spec: Spec, site: Site) -> "Expected":
        """Render the configuration; raises UnsupportedError."""
        main = next(file for file in render(vendor, spec, site) if file.main)
        return cls(found_in(main.content.decode("utf-8")))


def file_differences(path: Path, expected: Expected, normal: Normal) -> list[Difference]:
    """Return whether the file on the disk is another configuration; raises UnreachedError if it cannot be read."""
    activity.note(f"file read: {path}")
    try:
        text = content(path, LARGEST).decode("utf-8", "replace")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise UnreachedError(
            f"{path}: {reason}", "run nlbgen drift on the balancer, as a user who may read it"
        ) from None
    found = digest_of(text, normal)
    return [] if found == expected.digest else [Difference(f"the file {path}", expected.digest, found)]


def process_difference(answer: str, expected: Expected) -> list[Difference]:
    """Return whether the running process has loaded another configuration, by what it reports."""
    found = found_in(answer)
    if found == expected.digest:
        return []
    return [Difference("the running process", expected.digest, found or "no digest (not a file of this nlbgen)")]
