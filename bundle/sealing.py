"""Files with secrets, encrypted for their readers in the age format (https://age-encryption.org/v1) by pyrage.

Encryption uses random numbers, so two bundles with secrets always differ. No error message contains any part of a
secret or of an identity.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from ..core.errors import FileError, NlbgenError, UsageError
from ..core.files import content, hint_for
from ..spec.recipients import recipient

ENDING: Final = ".age"
"""The ending of an encrypted file's name."""
HEAD: Final = b"age-encryption.org/v1\n"
"""The first bytes of every encrypted file."""
_LONGEST_IDENTITY: Final = 64 * 1024


def recipients(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the public keys in canonical form, sorted, without duplicates; raises UsageError for an invalid one."""
    found = set()
    for text in texts:
        try:
            found.add(recipient(text))
        except ValueError as error:
            raise UsageError(
                f"--recipient: {error}", "`age-keygen -y KEYFILE` shows the public key of an age key"
            ) from None
    return tuple(sorted(found))


class Sealer:
    """Encrypts files for a list of public keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises UsageError where the library is missing or does not take one of the keys."""
        self._age = _library()
        self._keys = [self._key(text) for text in keys]

    def _key(self, text: str) -> object:
        kind = self._age.ssh if text.startswith("ssh-") else self._age.x25519
        try:
            return kind.Recipient.from_str(text)
        except self._age.RecipientError as error:
            raise UsageError(f"{text} is not a usable public key: {error}", "use another public key") from None

    def seal(self, content: bytes) -> bytes:
        """Return the content, encrypted for the owners of the keys."""
        try:
            return bytes(self._age.encrypt(content, self._keys))
        except self._age.EncryptError as error:
            raise NlbgenError(f"the files with secrets cannot be encrypted: {error}", "name other recipients") from None


class Opener:
    """Decrypts files with the identities of one file: age's own format, or an SSH private key without a passphrase."""

    def __init__(self, path: Path) -> None:
        """Raises FileError or UsageError."""
        self._path = path
        self._age = _library()
        self._identities = self._read()

    def _read(self) -> list[object]:
        try:
            raw = content(self._path, _LONGEST_IDENTITY)
        except OSError as error:
            hint = hint_for(error, "give the file with your private key")
            raise FileError(f"{self._path}: cannot be read: {error.strerror}", hint) from None
        if len(raw) > _LONGEST_IDENTITY:
            raise UsageError(f"{self._path} is too large for a private key", "give the file with your private key")
        if raw.lstrip().startswith(b"-----BEGIN"):
            return [self._ssh(raw)]
        lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines()]
        found = [self._line(line) for line in lines if line and not line.startswith("#")]
        if not found:
            raise UsageError(f"{self._path} contains no private key", "`age-keygen -o FILE` makes one")
        return found

    def _ssh(self, raw: bytes) -> object:
        try:
            return self._age.ssh.Identity.from_buffer(raw)
        except self._age.IdentityError:
            raise UsageError(
                f"{self._path} is not an SSH private key of type ed25519 or RSA, or it has a passphrase",
                "decrypt a copy of it first (`ssh-keygen -p -f COPY`), or use an age key",
            ) from None

    def _line(self, line: str) -> object:
        try:
            return self._age.x25519.Identity.from_str(line)
        except self._age.IdentityError:
            raise UsageError(
                f"{self._path} contains a line that is not a private key of age",
                "each line must be empty, or begin with # (a comment) or AGE-SECRET-KEY-1",
            ) from None

    def open(self, content: bytes, name: str) -> bytes:
        """Return the decrypted content of a file; raises NlbgenError where no identity is one of its recipients."""
        try:
            return bytes(self._age.decrypt(content, self._identities))
        except self._age.DecryptError:
            raise NlbgenError(
                f"{name} cannot be decrypted with {self._path}",
                "the manifest lists the recipients: use the private key of one of them",
            ) from None


def _library() -> ModuleType:
    try:
        import pyrage
        import pyrage.ssh
        import pyrage.x25519
    except ImportError:
        raise UsageError(
            "encryption needs the library pyrage, which is not installed",
            'install it with `pip install "nlbgen[secrets]"`',
        ) from None
    library: ModuleType = pyrage
    return library
