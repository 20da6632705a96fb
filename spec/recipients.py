"""Public keys that a bundle's secrets can be encrypted for: age's own (X25519), and SSH keys that age can use.

The check does not need the encryption library, so that `nlbgen check` finds a typing error before the change window.
Sources: age-encryption.org/v1 ("The X25519 recipient type"), BIP 173 (Bech32), RFC 4253 section 6.6 and RFC 8709
section 4 (the keys of SSH).
"""

import base64
import re
from typing import Final

from ..core.wording import shortened

_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_AGE_KEY: Final = re.compile(rf"age1[{_BECH32}]{{58}}")
"""32 bytes are 52 characters, the checksum is 6."""
_SSH_KEY: Final = re.compile(r"(ssh-ed25519|ssh-rsa) +([A-Za-z0-9+/]{1,4000}={0,2})(?: +[^\r\n]*)?")
_LEAST_RSA_BITS: Final = 2048

EXPECTED: Final = "a public key of age (age1...) or of SSH (ssh-ed25519 or ssh-rsa)"


def recipient(text: str) -> str:
    """The public key in its canonical form, an SSH key without its comment; raises ValueError."""
    text = text.strip()
    if text.upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in text:
        raise ValueError(f"a private key is a secret and must not be written here: write {EXPECTED}")
    if _AGE_KEY.fullmatch(text):
        if not _checksum_fits(text):
            raise ValueError(f"{text} is not a public key of age: its checksum does not match; a character is wrong")
        return text
    found = _SSH_KEY.fullmatch(text)
    if found is None:
        shown = _shown(text) if text.startswith(("age", "ssh-", "ecdsa-", "sk-")) else "the value"
        raise ValueError(f"{shown} is not {EXPECTED}")
    _check_ssh(found[1], found[2])
    return f"{found[1]} {found[2]}"


def _shown(text: str) -> str:
    return shortened(text if text.isprintable() else ascii(text), 60)


def _checksum_fits(text: str) -> bool:
    """BIP 173's verification for the prefix `age`."""
    prefix, _one, data = text.partition("1")
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = 1
    for value in [*values, *map(_BECH32.index, data)]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check == 1


def _check_ssh(kind: str, encoded: str) -> None:
    try:
        fields = _fields(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise ValueError(f"the {kind} key is truncated or damaged: copy the whole line of its .pub file") from None
    if not fields or fields[0] != kind.encode() or len(fields) != (2 if kind == "ssh-ed25519" else 3):
        raise ValueError(f"the key is labelled {kind}, but contains another type: copy the whole line of its .pub file")
    if kind == "ssh-ed25519" and len(fields[1]) != 32:
        raise ValueError(f"the {kind} key does not have 32 bytes: copy the whole line of its .pub file")
    if kind == "ssh-rsa" and (bits := int.from_bytes(fields[2]).bit_length()) < _LEAST_RSA_BITS:
        raise ValueError(
            f"the {kind} key has {bits} bits: write a key of at least {_LEAST_RSA_BITS} bits, "
            "because shorter keys are not safe"
        )


def _fields(blob: bytes) -> list[bytes]:
    """The strings that an SSH key is made of, each after its length in four bytes; raises ValueError."""
    fields = []
    offset = 0
    while offset < len(blob):
        length = int.from_bytes(blob[offset : offset + 4])
        field = blob[offset + 4 : offset + 4 + length]
        if len(blob) < offset + 4 or len(field) < length:
            raise ValueError("truncated")
        fields.append(field)
        offset += 4 + length
    return fields
