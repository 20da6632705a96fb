"""A server's certificate: its chain, its names, its validity."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import FileError
from ..core.files import hint_for, require_regular
from ..net.connect import ConnectError, Limits, connected

VALIDITY_ERRORS: Final = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED, of the leaf or of a CA."""


class Certificate(NamedTuple):
    """A leaf certificate, and OpenSSL's verdict on its chain."""

    der: bytes
    names: tuple[str, ...]
    """The subject alternative names: DNS names in lower case, and addresses."""
    common_name: str
    """The common name, in lower case; empty if there is none."""
    begins: dt.datetime
    ends: dt.datetime
    version: str
    """The negotiated TLS version, as in `TLSv1.3`."""
    verdict: str
    """Why OpenSSL rejects the chain; empty if it accepts it or was not asked."""
    verdict_code: int

    def carries(self, name: str, *, by_common_name: bool = False) -> bool:
        """Return whether it is valid for a name: by that name, or by a wildcard for only the first label.

        OpenSSL requires at least two dots in a wildcard (X509_check_host, valid_star). For nodes, HAProxy and NGINX
        also accept the common name of a certificate without alternative names; browsers never do.
        """
        names = self.names or ((self.common_name,) if by_common_name else ())
        wildcard = "*." + name.partition(".")[2]
        return name in names or (wildcard.count(".") > 1 and wildcard in names)


def trusting(ca: Path | None, *, host_checked: bool = False) -> ssl.SSLContext:
    """Return a client context for TLS 1.2 or later that trusts `ca` (default: this computer's CAs).

    It verifies as HAProxy and NGINX verify a node: without the strict checks that Python 3.13 added to its default
    context, and without partial chains (a CA that is not a root is no trust anchor).

    Raises:
        FileError: The CA file cannot be read, or contains no certificate.
    """
    context = _client()
    context.check_hostname = host_checked
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        require_regular(ca)
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        raise FileError(f"{ca}: contains no certificate", "a CA file contains certificates in PEM format") from None
    except OSError as error:
        hint = hint_for(error, "check the path and its permissions")
        raise FileError(f"{ca}: cannot be read: {error.strerror}", hint) from None
    return context


def unchecked() -> ssl.SSLContext:
    """Return a client context for TLS 1.2 or later that accepts any certificate."""
    context = _client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def fetch(host: str, port: int, name: str, verifier: ssl.SSLContext | None, limits: Limits) -> Certificate:
    """Return the certificate that a server sends for `name`, with the verdict of `verifier`. Raises ConnectError.

    The first connection accepts any certificate, to read it; the second one verifies it.
    """
    async with connected(host, port, limits, tls=unchecked(), name=name) as peer:
        tls = peer.tls
        der = tls.getpeercert(binary_form=True) if tls else None
        version = (tls.version() if tls else None) or ""
    verdict, code = "", 0
    if verifier is not None:
        try:
            async with connected(host, port, limits, tls=verifier, name=name):
                pass
        except ssl.SSLCertVerificationError as error:
            verdict, code = error.verify_message, error.verify_code
    return _read(der or b"", version, verdict, code)


def _read(der: bytes, version: str, verdict: str, code: int) -> Certificate:
    from cryptography import x509

    try:
        leaf = x509.load_der_x509_certificate(der)
    except ValueError:
        raise ConnectError("tls-handshake", "the server's certificate cannot be read") from None
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = (
            *(name.lower() for name in found.get_values_for_type(x509.DNSName)),
            *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
        )
    except (x509.ExtensionNotFound, ValueError):
        names = ()
    common = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return Certificate(
        der,
        names,
        (common or [""])[-1].lower(),
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        version,
        verdict,
        code,
    )
