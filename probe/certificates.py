"""What a server's certificate says: whether it chains to a CA, which names it carries, until when it is valid."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from ..core.errors import FileError
from ..net.reach import Limits, ReachError, connected

OF_ITS_DAYS: Final = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED, of the leaf or of a CA."""


class Certificate(NamedTuple):
    """A leaf certificate, and how OpenSSL judged its chain."""

    der: bytes
    names: tuple[str, ...]
    """The subject alternative names: DNS names in lower case, and addresses."""
    common_name: str
    """What certificates without alternative names call themselves; in lower case, empty if there is none."""
    begins: dt.datetime
    ends: dt.datetime
    version: str
    """The TLS version that was agreed on, as in `TLSv1.3`."""
    verdict: str
    """Why the chain was refused; empty if it was accepted or not checked."""
    verdict_code: int

    def carries(self, name: str, *, by_common_name: bool = False) -> bool:
        """Whether it is valid for a name of the farm: by that name, or by a wildcard for its first label alone.

        As OpenSSL sees it, a wildcard has two dots at the least (X509_check_host, valid_star). HAProxy and NGINX also
        take the common name of a certificate without alternative names from a node; browsers do not from anybody.
        """
        names = self.names or ((self.common_name,) if by_common_name else ())
        wildcard = "*." + name.partition(".")[2]
        return name in names or (wildcard.count(".") > 1 and wildcard in names)


def trusting(ca: Path | None, *, host_checked: bool = False) -> ssl.SSLContext:
    """A client's TLS from 1.2 on that trusts `ca`, or else what this machine trusts. Raises FileError.

    Judged as HAProxy and NGINX judge a node: without the stricter rules that Python 3.13 adds to its default, and
    without its leniency, by which a CA that is no root would do.
    """
    context = _client()
    context.check_hostname = host_checked
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        raise FileError(f"{ca}: holds no certificate", "a CA file holds certificates in PEM form") from None
    except OSError as error:
        raise FileError(f"{ca}: cannot be read: {error.strerror}", "check the path and its rights") from None
    return context


def unchecked() -> ssl.SSLContext:
    """A client's TLS from 1.2 on that takes any certificate."""
    context = _client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def look(host: str, port: int, name: str, judge: ssl.SSLContext | None, limits: Limits) -> Certificate:
    """The certificate that a server shows for `name`, judged by `judge`. Raises ReachError.

    The first connection takes any certificate, to read it; the second one only asks whether `judge` takes it too.
    """
    async with connected(host, port, limits, tls=unchecked(), name=name) as peer:
        tls = peer.tls
        der = tls.getpeercert(binary_form=True) if tls else None
        version = (tls.version() if tls else None) or ""
    verdict, code = "", 0
    if judge is not None:
        try:
            async with connected(host, port, limits, tls=judge, name=name):
                pass
        except ssl.SSLCertVerificationError as error:
            verdict, code = error.verify_message, error.verify_code
    return _read(der or b"", version, verdict, code)


def _read(der: bytes, version: str, verdict: str, code: int) -> Certificate:
    from cryptography import x509

    try:
        leaf = x509.load_der_x509_certificate(der)
    except ValueError:
        raise ReachError("tls-handshake", "the server's certificate cannot be read") from None
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = (
            *(name.lower() for name in found.get_values_for_type(x509.DNSName)),
            *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
        )
    except (x509.ExtensionNotFound, ValueError):
        names = ()
    common = [str(one.value) for one in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
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
