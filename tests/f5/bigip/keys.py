"""Certificates and keys for the device and for farms."""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

Pair: TypeAlias = "tuple[Certificate, EllipticCurvePrivateKey]"


def pair(subject: str, issuer: "Pair | None" = None, *, ca: bool = False, names: tuple[str, ...] = ()) -> "Pair":
    """A certificate and its key; self-signed without an issuer (a pair as well)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        general: list[x509.GeneralName] = []
        for each in names:
            try:
                general.append(x509.IPAddress(ipaddress.ip_address(each)))
            except ValueError:
                general.append(x509.DNSName(each))
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(certificate.public_bytes(Encoding.PEM))


def key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    return bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))


def certificates(folder: Path) -> tuple[Path, Path]:
    """The server's certificate with its key, and the CA, as files."""
    ca = pair("device CA", ca=True)
    server = pair("bigip", ca, names=("127.0.0.1", "localhost"))
    (folder / "device.pem").write_bytes(pem(server[0]) + key_pem(server[1]))
    (folder / "device-ca.pem").write_bytes(pem(ca[0]))
    return folder / "device.pem", folder / "device-ca.pem"
