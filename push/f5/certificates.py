"""The farm's certificates as files on a device; each name contains a hash of the content.

A certificate and its key cannot be replaced one after the other (`key and certificate do not match`). Therefore, new
content gets a new name, and the transaction changes the profile to the new files.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ...core.errors import FileError
from ...core.files import read_bytes
from ...generators.f5.view import DEVICE_CAS, Names
from ...spec.model import Farm

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_CERT: Final = "sys file ssl-cert"
_KEY: Final = "sys file ssl-key"
HASH_SHOWN: Final = 16


class CertificateFile(NamedTuple):
    """One file for the device; its `repr` does not contain the content."""

    kind: str
    path: str
    content: bytes

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def __repr__(self) -> str:
        return f"CertificateFile({self.path})"


def gather(farm: Farm, base: Names, folder: str) -> tuple[Names, tuple[CertificateFile, ...]]:
    """Return the names with those of the certificate files, and the files. Raises FileError for invalid files."""
    found: dict[str, CertificateFile] = {}
    names = base
    if farm.balancer_tls and farm.f5.certificate is None:
        names = _site(farm, names, folder, found)
    verify = farm.frontend.tls.verify_nodes
    if base.ca not in {"none", DEVICE_CAS, farm.f5.node_ca} and isinstance(verify, str):
        ca = _certificate(farm, folder, b"\n".join(_blocks(verify, b"CERTIFICATE")))
        found[ca.path] = ca
        names = names._replace(ca=ca.path)
    return names, tuple(found.values())


def _site(farm: Farm, names: Names, folder: str, found: dict[str, CertificateFile]) -> Names:
    tls = farm.frontend.tls
    leaf, *chain = _blocks(tls.certificate, b"CERTIFICATE")
    key = next(_blocks_of_key(tls.key))
    public = _matching(tls.certificate, tls.key, leaf, key)
    site = _certificate(farm, folder, leaf)
    site_key = CertificateFile(_KEY, f"{folder}/{farm.farm}_{public}.key", key + b"\n")
    found |= {site.path: site, site_key.path: site_key}
    chain_path = "none"
    if chain:
        bundle = _certificate(farm, folder, b"\n".join(chain))
        found[bundle.path] = bundle
        chain_path = bundle.path
    return names._replace(certificate=site.path, key=site_key.path, chain=chain_path)


def _certificate(farm: Farm, folder: str, content: bytes) -> CertificateFile:
    digest = hashlib.sha256(content).hexdigest()[:HASH_SHOWN]
    return CertificateFile(_CERT, f"{folder}/{farm.farm}_{digest}.crt", content + b"\n")


def is_own(farm: Farm, path: str) -> bool:
    """Whether a push of this farm created this file on the device."""
    name = path.rpartition("/")[2]
    return re.fullmatch(rf"{re.escape(farm.farm)}_[0-9a-f]{{{HASH_SHOWN}}}\.(crt|key)", name) is not None


def _text(path: str) -> bytes:
    content = read_bytes(Path(path))
    if content is None:
        raise FileError(
            f"{path}: is not on this machine",
            "a push uploads this file: copy it to this computer; or, if the device already has the certificate and its "
            "key, write the names of these objects as f5.certificate and f5.key",
        )
    return content


def _blocks(path: str, kind: bytes) -> list[bytes]:
    found = [match[0] for match in _BLOCK.finditer(_text(path)) if match[1] == kind]
    if not found:
        raise FileError(
            f"{path}: has no certificate in PEM format", "give a file with the certificate, followed by its chain"
        )
    return found


def _blocks_of_key(path: str) -> Iterator[bytes]:
    keys = [match for match in _BLOCK.finditer(_text(path)) if match[1].endswith(b"PRIVATE KEY")]
    if not keys:
        raise FileError(f"{path}: has no private key in PEM format", "give a file with the key of the certificate")
    if b"ENCRYPTED" in keys[0][0]:
        raise FileError(
            f"{path}: the private key is encrypted",
            "decrypt it with `openssl pkey`; or, if the device already has the key, write the name of this object "
            "as f5.key",
        )
    yield keys[0][0]


def _matching(certificate: str, key: str, leaf: bytes, private: bytes) -> str:
    """Return a digest of the public key of both files. A renewed certificate may have the same key."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        of_certificate = x509.load_pem_x509_certificate(leaf).public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        hint = f"correct the file: `openssl x509 -noout -in {certificate}` must succeed"
        raise FileError(f"{certificate}: its first certificate cannot be read", hint) from None
    try:
        of_key = load_pem_private_key(private, None).public_key().public_bytes(*form)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        hint = f"correct the file: `openssl pkey -noout -in {key}` must succeed"
        raise FileError(f"{key}: the private key cannot be read", hint) from None
    if of_certificate != of_key:
        raise FileError(f"{key}: is not the key of {certificate}", "give a certificate and its own key")
    return hashlib.sha256(of_key).hexdigest()[:HASH_SHOWN]
