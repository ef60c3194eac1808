"""Who trusts which certificate, as whoever verifies it finds."""

from __future__ import annotations

import functools
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@functools.cache
def is_pair(certificate: str, key: str) -> bool:
    found = x509.load_pem_x509_certificate(certificate.encode())
    return found.public_key() == load_pem_private_key(key.encode(), None).public_key()


@functools.cache
def is_readable(trusts: str) -> bool:
    """As a peer reads it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=trusts)
    except (ssl.SSLError, TypeError):
        return False
    return True


@functools.cache
def is_trusted(certificate: str, trusts: str) -> bool:
    found = x509.load_pem_x509_certificate(certificate.encode())
    for authority in x509.load_pem_x509_certificates(trusts.encode()):
        try:
            found.verify_directly_issued_by(authority)
        except (ValueError, InvalidSignature):
            continue
        return _may_name(authority, found)
    return False


def _may_name(authority: x509.Certificate, found: x509.Certificate) -> bool:
    """Whether whoever verifies the certificate finds only names that its authority may give."""
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    within = [subtree.value for subtree in constraints.permitted_subtrees or []]
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(
        any(name == domain or name.endswith(f".{domain}") for domain in within)
        for name in named.get_values_for_type(x509.DNSName)
    )


@functools.cache
def names(certificate: str) -> frozenset[str]:
    found = x509.load_pem_x509_certificate(certificate.encode()).extensions
    named = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return frozenset(named.get_values_for_type(x509.DNSName))
