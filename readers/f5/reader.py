"""Read a bigip.conf, a single configuration file (SCF), a or a UCS archive."""

from pathlib import Path

from ...core.errors import Location
from ..errors import UnreadableError
from ..text import Source, without_collection
from ..tree import Configuration
from . import tmsh, ucs


def read(path: Path, content: bytes) -> Configuration:
    """Return the objects; those of an archive in the order of its files' names.

    The location of a word in an archive has the name `ARCHIVE/PATH`. Raises FileError and UnreadableError.
    """
    name = str(path)
    if ucs.is_archive(content):
        sources = [Source(f"{name}/{member}", text) for member, text in ucs.members(name, content).items()]
    else:
        sources = [Source(name, content)]
    if sources[0].text.lstrip().startswith(("{", "[")):
        hint = "give bigip.conf, a UCS archive, or the file of `tmsh save sys config file NAME no-passphrase`"
        raise UnreadableError.at(Location(sources[0].name, 1, 1), "it is JSON, such as a declaration of AS3", hint)
    with without_collection():
        found = [tmsh.parse(source) for source in sources]
    return Configuration(
        "f5",
        tuple(statement for one in found for statement in one.statements),
        tuple(comment for one in found for comment in one.comments),
        tuple(unread for one in found for unread in one.unread),
        {source.name: source.lines for source in sources},
    )
