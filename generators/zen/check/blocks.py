"""The blocks of a farm file, for the constraints on them."""

from collections.abc import Iterable, Iterator

from .reader import Block, Complaint, Reader

Found = Iterator[Complaint]


def walk(block: Block) -> Iterator[tuple[int, Block]]:
    """Yield a block and all its inner blocks, each with its depth."""
    todo = [(0, block)]
    while todo:
        depth, found = todo.pop()
        yield depth, found
        todo += ((depth + 1, inner) for inner in found.blocks)


def listeners(reader: Reader) -> list[Block]:
    """The listeners of the file."""
    return reader.root.inner("ListenHTTP", "ListenHTTPS")


def services(reader: Reader) -> Iterator[Block]:
    """Yield the services of all listeners."""
    for listener in listeners(reader):
        yield from listener.inner("Service")


def missing(block: Block, names: Iterable[str]) -> Found:
    """Require each of these directives in a block."""
    for name in names:
        if block.first(name) is None:
            yield Complaint(block.opened.line or 1, f"{name} is missing")
