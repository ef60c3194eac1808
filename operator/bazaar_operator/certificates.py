"""Certificates of a ring: its own authority, and one a peer, for both ends of a connection.

P-256 keys. A ring's authority may sign names of the ring's own Service alone, and no other
authority. What Python's `ssl` asks for with VERIFY_X509_STRICT is there (RFC 5280): subject and
authority key identifiers, and constraints that are critical.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

AUTHORITY_DAYS, CERTIFICATE_DAYS = 730, 90
BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
SKEW = timedelta(hours=1)
"""So far a node's clock may be behind."""
NEVER = (0.0, 0.0)
REMEMBERED = 4096
"""Each pass over each ring looks at all its certificates; they seldom change."""
USED = 2 / 3
"""After so much of its time a certificate is made anew: an operator may be away for a month."""


class Pair(Struct, frozen=True):
    """A certificate and its key, PEM; an empty key is lost or not wanted."""

    certificate: str
    key: str = ""


def new_key() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def authority(title: str, domains: list[str], now: float) -> Pair:
    """Make a ring's authority; `domains`: under which it may name peers."""
    key = new_key()
    public = _public(key)
    within = x509.NameConstraints([x509.DNSName(domain) for domain in domains], None)
    builder = (
        _begun(title, public, now, AUTHORITY_DAYS, signs=True)
        .issuer_name(_name(title))
        .add_extension(within, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return Pair(_signed(builder, key), key)


def issue(by: Pair, key: str, title: str, names: list[str], now: float) -> str:
    """Certify a peer's key, under these names."""
    issuer, public = x509.load_pem_x509_certificate(by.certificate.encode()), _public(key)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    both = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        _begun(title, public, now, CERTIFICATE_DAYS, signs=False)
        .issuer_name(issuer.subject)
        .add_extension(x509.ExtendedKeyUsage(BOTH_ENDS), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(both, critical=False)
    )
    return _signed(builder, by.key)


def issuers(authorities: str, certificates: Iterable[str]) -> str:
    """Return those of these authorities that issued any of these certificates."""
    found = x509.load_pem_x509_certificates(authorities.encode()) if authorities else []
    pems = [each.public_bytes(Encoding.PEM).decode() for each in found]
    return "".join(pem for pem in pems if any(_is_issued(text, pem) for text in certificates))


@functools.lru_cache(REMEMBERED)
def _is_issued(certificate: str, by: str) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(by.encode()))
    except Exception:  # whatever somebody else wrote there
        return False
    return True


@functools.lru_cache(REMEMBERED)
def is_key(text: str) -> bool:
    """Tell whether it is a key as they are made here."""
    try:
        return isinstance(_public(text).curve, ec.SECP256R1)
    except Exception:  # whatever somebody else wrote there
        return False


@functools.lru_cache(REMEMBERED)
def is_pair(authority: str, key: str) -> bool:
    """Tell whether this authority can sign with this key."""
    try:
        found = x509.load_pem_x509_certificate(authority.encode())
        found.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return is_key(key) and found.public_key() == _public(key)
    except Exception:  # whatever somebody else wrote there
        return False


@functools.lru_cache(REMEMBERED)
def normal(text: str) -> str:
    """Return the certificates in a text and nothing else; nothing if one cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except Exception:  # whatever somebody else wrote there
        return ""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def is_good(certificate: str, by: str, key: str, names: Iterable[str], now: float) -> bool:
    """Tell whether that authority issued it for this key and these names, and it is not due."""
    if not _belongs(certificate, by, key) or is_due(certificate, now):
        return False
    return set(names) <= _named(certificate)


def may_name(authority: str, *names: str) -> bool:
    """Tell whether an authority may certify all these names."""
    within = tuple(f".{domain}" for domain in _domains(authority))
    return all(f".{name}".endswith(within) for name in names)


def is_due(certificate: str, now: float) -> bool:
    """Tell whether it is to be made anew; also if it is none."""
    begins, ends = _times(certificate)
    return now > begins + (ends - begins) * USED


def ends_at(certificate: str) -> float:
    """Return until when it is good, in seconds since 1970; 0 if it is no certificate."""
    return _times(certificate)[1]


@functools.lru_cache(REMEMBERED)
def _belongs(certificate: str, by: str, key: str) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        return _is_issued(certificate, by) and found.public_key() == _public(key)
    except Exception:  # whatever is wrong with it, another one is made
        return False


@functools.lru_cache(REMEMBERED)
def _named(certificate: str) -> frozenset[str]:
    found = x509.load_pem_x509_certificate(certificate.encode()).extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return frozenset(names.get_values_for_type(x509.DNSName))


@functools.lru_cache(REMEMBERED)
def _domains(authority: str) -> tuple[str, ...]:
    try:
        found = x509.load_pem_x509_certificate(authority.encode()).extensions
        within = found.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    except Exception:  # whatever somebody else wrote there
        return ()
    return tuple(name.value for name in within or () if isinstance(name, x509.DNSName))


@functools.lru_cache(REMEMBERED)
def _times(certificate: str) -> tuple[float, float]:
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except Exception:  # whatever is wrong with it, another one is made
        return NEVER
    return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()


def _private(key: str) -> ec.EllipticCurvePrivateKey:
    found = load_pem_private_key(key.encode(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


def _public(key: str) -> ec.EllipticCurvePublicKey:
    return _private(key).public_key()


def _begun(
    title: str, public: ec.EllipticCurvePublicKey, now: float, days: int, *, signs: bool
) -> x509.CertificateBuilder:
    """What an authority's certificate and a peer's have in common."""
    at = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(title))
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - SKEW)
        .not_valid_after(at + timedelta(days=days))
        .public_key(public)
        .add_extension(x509.BasicConstraints(signs, 0 if signs else None), critical=True)
        .add_extension(_usage(signs_certificates=signs), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, key: str) -> str:
    return builder.sign(_private(key), hashes.SHA256()).public_bytes(Encoding.PEM).decode()
