"""Read a bigip.conf, a single configuration file (SCF), a UCS archive or an AS3 declaration."""

from pathlib import Path

from ..text import Source, without_collection
from ..tree import Configuration
from . import as3, tmsh, ucs


def read(path: Path, content: bytes) -> Configuration:
    """Return the objects; those of an archive in the order of its files' names.

    The location of a word in an archive has the name `ARCHIVE/PATH`. Raises FileError and UnreadableError.
    """
    name = str(path)
    if ucs.is_archive(content):
        sources = [Source(f"{name}/{member}", text) for member, text in ucs.members(name, content).items()]
    else:
        sources = [Source(name, content)]
    if as3.is_declaration(sources[0].text):
        with without_collection():
            declared = as3.parse(sources[0])
        return Configuration("f5", declared.statements, (), declared.unread, {name: sources[0].lines})
    with without_collection():
        found = [tmsh.parse(source) for source in sources]
    return Configuration(
        "f5",
        tuple(statement for one in found for statement in one.statements),
        tuple(comment for one in found for comment in one.comments),
        tuple(unread for one in found for unread in one.unread),
        {source.name: source.lines for source in sources},
    )
