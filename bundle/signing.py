"""Signatures of bundles in the format of minisign, which checks them as well: `minisign -Vm FILE -p KEY.pub`.

Sources: https://jedisct1.github.io/minisign/ (the formats of keys and signatures); libsodium's
crypto_pwhash_scryptsalsa208sha256 (how its two limits become scrypt's parameters). Keys are made by `minisign -G`.
Ed25519 and the comments depend on nothing but the key and the file: the same bundle gets the same signature.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import DifferenceError, FileError, NlbgenError, UsageError
from ..core.files import content, hint_for
from ..core.wording import shown

ENDING: Final = ".minisig"
"""What the name of a signature adds to the bundle's."""
_LONGEST: Final = 4096
_HASHED: Final = b"ED"
"""The signature is one of the file's BLAKE2b hash."""
_WHOLE: Final = b"Ed"
"""The signature is one of the file itself: minisign before 0.6, and `minisign -l`. Also the algorithm of every key."""
_ENCRYPTED, _PLAIN, _CHECKED = b"Sc", b"\0\0", b"B2"
_PUBLIC, _SECRET, _SIGNATURE = 42, 158, 74
"""The lengths of public keys, secret keys and signatures."""
_MOST_MEMORY: Final = 1 << 30
"""What minisign's own keys need to be decrypted, in bytes."""
_BLOCK: Final = 8
"""The parameter r of scrypt."""

AskPassword = Callable[[], str]
"""Returns the password of an encrypted key; called only for such a key."""


class PublicKey(NamedTuple):
    """A public key of minisign."""

    id: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return self.id[::-1].hex().upper()


class SecretKey(NamedTuple):
    """A secret key of minisign, decrypted; `repr` shows only its id."""

    id: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.id.hex()})"


class Signature(NamedTuple):
    """A signature file: what it signs, and the comment that is signed with it."""

    algorithm: bytes
    id: bytes
    signature: bytes
    comment: str
    comment_signature: bytes


# Keys


def public_key(given: str) -> PublicKey:
    """Read a public key: its file, or its text, which begins with RW. Raises FileError or UsageError."""
    text = given if _is_key(given) else _lines(Path(given), "give the public key, or its file")[-1]
    raw = _decoded(text, _PUBLIC)
    if raw is None or raw[:2] != _WHOLE:
        raise UsageError(f"{shown(given)} is not a public key of minisign", "`minisign -G` makes a pair of keys")
    return PublicKey(raw[2:10], raw[10:])


def _is_key(text: str) -> bool:
    return text.startswith("RW") and _decoded(text, _PUBLIC) is not None


def secret_key(path: Path, ask: AskPassword) -> SecretKey:
    """Read the file of a secret key; raises FileError, UsageError, or NlbgenError for a wrong password."""
    raw = _decoded(_lines(path, "give the file of your secret key")[-1], _SECRET)
    if raw is None or raw[:2] != _WHOLE or raw[2:4] not in {_ENCRYPTED, _PLAIN} or raw[4:6] != _CHECKED:
        raise UsageError(f"{path} is not a secret key of minisign", "`minisign -G` makes a pair of keys")
    salt, limits, body = raw[6:38], (_integer(raw[38:46]), _integer(raw[46:54])), raw[54:]
    encrypted = raw[2:4] == _ENCRYPTED
    if encrypted:
        stream = _stream(ask(), salt, *limits, path, len(body))
        body = bytes(one ^ other for one, other in zip(body, stream, strict=True))
    identity, secret, checksum = body[:8], body[8:72], body[72:]
    # A key without a password has no checksum in minisign 0.11.
    wanted = hashlib.blake2b(raw[:2] + identity + secret, digest_size=32).digest()
    if encrypted and not hmac.compare_digest(checksum, wanted):
        raise NlbgenError(f"{path}: the password is wrong", "nothing was signed: try again with the right password")
    return SecretKey(identity, secret[:32])


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _stream(password: str, salt: bytes, operations: int, memory: int, path: Path, length: int) -> bytes:
    """Return the bytes that encrypt the key; as libsodium's `pickparams` chooses the parameters of scrypt."""
    operations = max(operations, 32_768)
    if memory > _MOST_MEMORY or operations > _MOST_MEMORY:
        raise UsageError(
            f"{path}: the decryption of this key needs more than 1 GB of memory",
            "make a key with minisign's own limits",
        )
    if operations < memory // 32:
        cost, parallel = _cost(operations // (_BLOCK * 4)), 1
    else:
        cost = _cost(memory // (_BLOCK * 128))
        parallel = max(1, operations // 4 // cost // _BLOCK)
    space = 128 * _BLOCK * (cost + parallel) + (1 << 20)
    text = password.encode("utf-8")
    return hashlib.scrypt(text, salt=salt, n=cost, r=_BLOCK, p=parallel, maxmem=space, dklen=length)


def _cost(largest: int) -> int:
    """The first power of two above half of `largest`, at least 2."""
    return 1 << max(1, (largest // 2).bit_length())


# Signatures


def sign(data: bytes, comment: str, key: SecretKey) -> bytes:
    """Return the signature file of `data`; `comment` is signed with it, and minisign prints it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    signature = private.sign(_hash(data))
    lines = (
        "untrusted comment: signature of an nlbgen bundle, verify with minisign or `nlbgen bundle verify --key`",
        _encoded(_HASHED + key.id + signature),
        f"trusted comment: {comment}",
        _encoded(private.sign(signature + comment.encode("utf-8"))),
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def read_signature(path: Path) -> Signature:
    """Read a signature file; raises FileError or UsageError."""
    lines = _lines(path, "give the signature's file with --signature, or sign the bundle with `nlbgen bundle sign`")
    raw = _decoded(lines[1], _SIGNATURE) if len(lines) == 4 else None
    comment_signature = _decoded(lines[-1], 64)
    marked = len(lines) == 4 and lines[2].startswith("trusted comment: ")
    if raw is None or comment_signature is None or not marked or raw[:2] not in {_HASHED, _WHOLE}:
        raise UsageError(f"{path} is not a signature of minisign", "copy it again, or sign the bundle again")
    comment = lines[2].removeprefix("trusted comment: ")
    return Signature(raw[:2], raw[2:10], raw[10:], comment, comment_signature)


def verify(data: bytes, signature: Signature, key: PublicKey, name: str) -> str:
    """Return the signed comment; raises DifferenceError if `key` has not signed exactly these bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if signature.id != key.id:
        other = PublicKey(signature.id, b"").name
        raise DifferenceError(
            f"{name}: was signed with the key {other}, not {key.name}",
            "do not use the bundle; if its maker has another key, give that public key",
        )
    public = Ed25519PublicKey.from_public_bytes(key.key)
    try:
        public.verify(signature.signature, _hash(data) if signature.algorithm == _HASHED else data)
        public.verify(signature.comment_signature, signature.signature + signature.comment.encode("utf-8"))
    except InvalidSignature:
        raise DifferenceError(
            f"{name}: the signature does not match: the bundle or the signature was changed",
            "do not use the bundle: get the bundle and its signature again from the maker",
        ) from None
    return signature.comment


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data).digest()


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decoded(text: str, length: int) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length else None


def _lines(path: Path, hint: str) -> list[str]:
    """The lines of a small file; raises FileError or UsageError."""
    try:
        raw = content(path, _LONGEST)
        lines = raw.decode("utf-8").splitlines()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}", hint_for(error, hint)) from None
    except UnicodeDecodeError:
        lines = []
    if not lines or len(raw) > _LONGEST:
        raise UsageError(f"{path} is not a file of minisign", hint)
    return lines
