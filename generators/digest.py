"""The digest of a configuration: the running program reports it, and `nlbgen drift` compares it with the spec.

The file contains the digest of its own text without comments. So a program that runs a configuration reports which one,
also if the file on the disk has changed since the program loaded it.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Final

MARK: Final = "nlbgen-digest-"
"""How the digest begins in a file, and in the answer of a running program."""
SHOWN: Final = 16
"""The number of hex digits in a file."""
PLACEHOLDER: Final = MARK + "0" * SHOWN
"""What a template writes: the digest is known only when the text is complete."""
_COMMENT: Final = re.compile(r"^[ \t]*#.*\n?", re.MULTILINE)
_MARKED: Final = re.compile(rf"{MARK}([0-9a-f]*)")
Normal = Callable[[str], str]
"""Removes from a configuration what the running program can change without loading the file."""


def unchanged(text: str) -> str:
    """Return the text: the program loads the file for each change."""
    return text


def digest_of(text: str, normal: Normal) -> str:
    """Return the digest of a configuration, marked; comments and the digest in the text do not count.

    >>> digest_of("# a\\nx 1;\\n", unchanged) == digest_of("# b\\nx 1;\\n", unchanged)
    True
    """
    bare = normal(_MARKED.sub(MARK, _COMMENT.sub("", text)))
    return MARK + hashlib.sha256(bare.encode("utf-8")).hexdigest()[:SHOWN]


def found_in(text: str) -> str:
    """Return the first digest in a text, marked; empty if it has none."""
    found = _MARKED.search(text)
    return found[0] if found and len(found[1]) == SHOWN else ""


def with_digest(content: bytes, normal: Normal) -> bytes:
    """Return a rendered configuration with its digest in place of the placeholder."""
    text = content.decode("utf-8")
    return text.replace(PLACEHOLDER, digest_of(text, normal)).encode("utf-8")
