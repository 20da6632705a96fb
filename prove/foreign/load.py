"""Read a foreign configuration for the lab."""

from pathlib import Path

from ...core.errors import FileError, UsageError
from ...core.files import read_bytes
from .haproxy import HaproxyFile
from .plan import Foreign


def foreign(vendor: str, file: Path, host: str | None = None) -> Foreign:
    """Return the configuration, ready to be mapped; `host` is the name that the lab's clients request.

    Raises FileError, UnreadableError, and UnmappableError with all parts that cannot run.
    """
    if vendor != "haproxy":
        raise UsageError(f"--config does not run a configuration of {vendor}", "use it with haproxy")
    content = read_bytes(file)
    if content is None:
        raise FileError(f"{file}: there is no such file", "check the path")
    return HaproxyFile(file, content, host)
