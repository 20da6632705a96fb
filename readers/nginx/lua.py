"""Where the Lua code of a `..._by_lua_block` ends, as OpenResty's ngx_http_lua_lex.c finds it."""

import re
from typing import Final

ENDING: Final = "_by_lua_block"
"""How the names of the directives end whose block is Lua code."""

_PIECE: Final = re.compile(
    r"""
    --\[(?P<comment>=*)\[ | --[^\n]*+
    | \[(?P<text>=*)\[
    | "(?:[^"\\]++|\\.)*+" | '(?:[^'\\]++|\\.)*+'
    | (?P<brace>[{}]) | (?P<lone>["'])
    """,
    re.DOTALL | re.VERBOSE,
)


def end(text: str, start: int) -> int | None:
    """The position of the brace that closes the block whose code begins at `start`; None if there is none."""
    depth, position = 1, start
    while (found := _PIECE.search(text, position)) and found["lone"] is None:
        position = found.end()
        if (brace := found["brace"]) is not None:
            depth += 1 if brace == "{" else -1
            if depth == 0:
                return found.start()
        elif (equals := found["comment"] if found["comment"] is not None else found["text"]) is not None:
            closed = text.find(f"]{equals}]", position)
            if closed < 0:
                return None
            position = closed + len(equals) + 2
    return None
