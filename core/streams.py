"""The standard streams of a process that was started without one of them, as `nlbgen check >&-` is."""

import os
import sys
from typing import Final

_STREAMS: Final = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
"""Name, mode and flags by descriptor. Standard output is opened for reading, so that each write to it fails."""


def open_missing() -> None:
    """Open each standard stream that the caller has closed.

    Otherwise, the first file that a command opens would get its descriptor, and messages would go into that file.
    Standard input is then empty, standard error is discarded, and standard output fails like a full disk: data must
    not be lost without an error.
    """
    for descriptor, (name, mode, flags) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            # The system gives the lowest free descriptor: this one.
            os.set_inheritable(os.open(os.devnull, flags), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
