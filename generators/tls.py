"""Mozilla's server side TLS profiles, guideline 6.0, as data.

Source: github.com/mozilla/ssl-config-generator, src/static/guidelines/6.0.json. The lists have OpenSSL's names in the
guideline's order; the client's order is used. The post-quantum group needs OpenSSL 3.5: older versions refuse a list
that contains it.
"""

from typing import Final, NamedTuple

from ..spec.units import Version

HSTS_SECONDS: Final = 63_072_000
POST_QUANTUM_GROUP: Final = "X25519MLKEM768"
POST_QUANTUM_SINCE: Final = Version("3.5")

_GROUPS: Final = ("X25519", "prime256v1", "secp384r1")
_SUITES_13: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CIPHERS_12: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


class TlsProfile(NamedTuple):
    """One profile for one OpenSSL: the versions, the TLS 1.2 ciphers (may be empty), the 1.3 suites, the groups."""

    versions: tuple[str, ...]
    ciphers: tuple[str, ...]
    suites: tuple[str, ...]
    groups: tuple[str, ...]


def profile(name: str, openssl: Version) -> TlsProfile:
    """The profile `modern` or `intermediate` for this version of OpenSSL."""
    groups = (POST_QUANTUM_GROUP, *_GROUPS) if openssl >= POST_QUANTUM_SINCE else _GROUPS
    if name == "modern":
        return TlsProfile(("TLSv1.3",), (), _SUITES_13, groups)
    return TlsProfile(("TLSv1.2", "TLSv1.3"), _CIPHERS_12, _SUITES_13, groups)
