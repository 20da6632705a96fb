"""Compiled templates, kept beside the templates as Python keeps compiled modules beside the modules.

Without them, a short command spends a fifth of its time on compiling templates.
"""

import sys
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket

from .. import __version__


class CompiledTemplates(FileSystemBytecodeCache):
    """A folder of compiled templates. A template that was changed is compiled again: its digest is in the file."""

    def __init__(self, templates: Path) -> None:
        super().__init__(str(templates / "__pycache__"), f"%s.{__version__}.jinja")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load a compiled template; one that cannot be read or is damaged is compiled again."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, UnpicklingError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, if the folder can be written and Python may keep compiled modules."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)
