"""The vendor of a configuration, found by its content."""

import re
from typing import Final

from .tree import Vendor

_ARCHIVES: Final = (b"\x1f\x8b", b"ustar")
"""A UCS archive of F5 is a tar file, usually compressed with gzip."""
_ENCRYPTED: Final = b"Salted__"
"""How a UCS archive with a passphrase begins: OpenSSL's mark."""
_TAR_MAGIC: Final = 257

_PATTERNS: Final[dict[Vendor, re.Pattern[str]]] = {
    "haproxy": re.compile(
        r"^[ \t]*(?:global|defaults(?:[ \t]+[^{;\n]+)?"
        r"|(?:frontend|backend|listen|userlist|peers|resolvers|mailers|cache|ring|http-errors|fcgi-app|crt-store"
        r"|log-forward|program)[ \t]+[^{;\n]+)[ \t]*$"
        r"|^[ \t]*(?:default_backend|use_backend|default-server|acl|bind|balance|option|timeout|mode|http-request"
        r"|stick-table|server)[ \t]+[^{;\n]+$",
        re.MULTILINE,
    ),
    "nginx": re.compile(
        r"^[ \t]*(?:(?:http|events|stream|server|mail|upstream|location|map|geo|if|split_clients|types|limit_except)"
        r"\b[^;\n]*\{|[a-z_0-9]+(?:[ \t][^\n]*)?;)",
        re.MULTILINE,
    ),
}
_F5: Final = re.compile(
    r"^#TMSH-VERSION|^[ \t]*(?:ltm|net|sys|auth|cm|apm|asm|gtm|security|pem|cli|wom|analytics)[ \t]+\S[^;\n]*\{"
    r"|\"class\"[ \t]*:[ \t]*\"(?:AS3|ADC)\"",
    re.MULTILINE,
)


def vendor_of(content: bytes) -> Vendor | None:
    """The vendor whose statements are the most frequent ones in the content; None if there are none.

    An object of a BIG-IP decides at once: only F5 has such words, and the lines of its iRules look like those of NGINX.
    """
    if content.startswith((_ARCHIVES[0], _ENCRYPTED)) or content[_TAR_MAGIC : _TAR_MAGIC + 5] == _ARCHIVES[1]:
        return "f5"
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    if _F5.search(text):
        return "f5"
    votes = {vendor: sum(1 for _ in pattern.finditer(text)) for vendor, pattern in _PATTERNS.items()}
    best = max(votes, key=lambda vendor: votes[vendor])
    return best if votes[best] else None
