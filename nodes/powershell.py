"""PowerShell 5.1: texts as safe literals, values as expressions.

Source: the lexical structure of the PowerShell language specification: in single quotes nothing is expanded, and a
quote is doubled; the typographic quotes count as quotes, too.
"""

import codecs
import re
from typing import Final

from .consumers import UNWRITABLE
from .values import SecretPart, Value

_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")
_FUNCTIONS: Final = {
    "plain": "{}",
    "sql": "(ConvertTo-SqlValue {})",
    "redis": "(ConvertTo-RedisPassword {})",
    "sentinel": "(ConvertTo-RedisPassword {})",
}


def literal(text: str) -> str:
    """A text in single quotes; raises ValueError for one with line ends or other characters that no file holds."""
    if found := UNWRITABLE.search(text):
        raise ValueError(f"a text for PowerShell holds a control character, U+{ord(found[0]):04X}")
    return "'" + _QUOTES.sub(lambda match: match[0] * 2, text) + "'"


def secret_literal(part: SecretPart) -> str:
    """A secret in single quotes, as it is before a connection string quotes it; raises SecretError."""
    return literal(part.bare())


def expression(value: Value) -> str:
    """A value as an expression; secrets come from the script's own parameters. Raises ValueError, see `literal`."""
    parts = [literal(part) if isinstance(part, str) else _secret(part) for part in value.parts]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def _secret(part: SecretPart) -> str:
    return _FUNCTIONS[part.quoting].format(f"(Get-Secret {literal(part.parameter)})")


def script(text: bytes) -> bytes:
    """A script as Windows PowerShell and sqlcmd read it: without a byte order mark they take everything for ANSI."""
    return text if text.isascii() else codecs.BOM_UTF8 + text
