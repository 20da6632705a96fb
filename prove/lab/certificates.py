"""Short-lived certificates for tests and scenarios: a root CA, an intermediate CA, a leaf; P-256, valid for a few days.

The intermediate CA signs the leaf, as in most companies: clients do not trust a server that sends only the leaf.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 7


@dataclass(frozen=True)
class TestCertificates:
    """Paths of PEM files.

    `certificate` is the leaf and the intermediate CA; `bundle` is both and the key in one file, as HAProxy's `crt`
    needs it. `ca` is the root CA, which clients trust.
    """

    __test__ = False

    ca: Path
    certificate: Path
    key: Path
    bundle: Path


def make_certificates(folder: Path, names: Sequence[str]) -> TestCertificates:
    """Write a root CA and one leaf for `names` (DNS names and addresses) into `folder`.

    >>> made = make_certificates(tmp, ["orchestrator.test", "127.0.0.1"])     # doctest: +SKIP
    """
    ca_key, between_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ca_name, between_name = _name("nlbgen test authority"), _name("nlbgen test authority between")
    ca = _authority(_builder(ca_name, ca_name, ca_key), ca_key, below=1).sign(ca_key, hashes.SHA256())
    between = _authority(_builder(between_name, ca_name, between_key), between_key, below=0)
    leaf = (
        _builder(_name(names[0]), between_name, leaf_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(_issued_by(between_key), critical=False)
        .sign(between_key, hashes.SHA256())
    )
    between_signed = between.add_extension(_issued_by(ca_key), critical=False).sign(ca_key, hashes.SHA256())
    chain_pem = _pem(leaf) + _pem(between_signed)
    key_pem = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    folder.mkdir(parents=True, exist_ok=True)
    return TestCertificates(
        ca=_write(folder / "ca.pem", _pem(ca)),
        certificate=_write(folder / "leaf.pem", chain_pem),
        key=_write(folder / "leaf.key", key_pem),
        bundle=_write(folder / "bundle.pem", chain_pem + key_pem),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _authority(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, *, below: int
) -> x509.CertificateBuilder:
    """Add the extensions of a CA with at most `below` intermediate CAs."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _issued_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path
