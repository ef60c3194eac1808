"""A peer's certificate, its key, and whom its ring trusts: read anew whenever the files change.

In a cluster they come with the pod: `ca.crt` (the certificates that the ring trusts), `mode` and
each peer's certificate in one folder, which changes while the peer runs; the peer's own key in a
file that does not. What cannot be used is told, and what was read before stays in use.

A context is never changed, but made anew: each handshake uses the present one, so that a
certificate is renewed, and one that is trusted no more is refused, without a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

log = logging.getLogger("bazaar.certificates")

OFFERED, REQUIRED = "Offered", "Required"
"""TLS with whoever speaks it, as a ring is on the way to it or back; TLS with everybody."""
MODE_FILE, TOKEN_FILE, TRUST_FILE = "mode", "token-mode", "ca.crt"
FILE_MAX_BYTES = 64 * 1024
AGAIN_S = 0.5
LOOK_S = 2.0
"""So often files are looked at."""
DOUBTED_S = 120.0


class CertificateError(Exception):
    """Files that are no certificate, key or mode of this peer; the text says which and why."""


class _Found(NamedTuple):
    mode: str
    token_mode: str
    trust: bytes
    certificate: bytes


class Certificates:
    """What one peer shows, and what it asks of others."""

    def __init__(self, folder: Path, key: Path, me: int, name_of: Callable[[int], str]) -> None:
        self._folder, self._key = folder, key
        self._own = folder / f"peer-{me}.crt"
        self._found = _Found("", "", b"", b"")
        self.name_of = name_of
        """The name that peer i's certificate must bear."""
        self.mode = ""
        self.token_mode = ""
        """Whether the ring's token is taken in clear: that it is not is *Required* later than TLS
        between peers, when everybody who shows it can speak TLS with everybody who asks for it."""
        self.server: ssl.SSLContext | None = None
        self.client: ssl.SSLContext | None = None
        self.for_clients: ssl.SSLContext | None = None
        """They have no certificates, but see whom they speak with."""
        self.why = "nothing was read yet"
        """Why the files, as they are now, cannot be used; empty: they are used."""
        self._doubts: dict[int, tuple[str, float]] = {}
        self.first_end = 0.0
        """When the first certificate ends that others show, in seconds since 1970; 0: none do."""

    def look(self) -> bool:
        """Use what lies there now; tell whether it is new.

        The folder may change while it is read, or come before the key that belongs to it: then the
        next look finds them together.
        """
        try:
            found = self._read()
            if found == self._found:
                self.why = ""
                return False
            server, client, for_clients = self._contexts(found)
            if self._read() != found:
                return False
        except (CertificateError, OSError, ssl.SSLError) as error:
            if self.why != (why := str(error)):
                log.warning("certificates_unusable", extra={"fields": {"why": why}})
            self.why = why
            return False
        self._found, self.mode, self.token_mode = found, found.mode, found.token_mode
        self.server, self.client, self.for_clients, self.why = server, client, for_clients, ""
        log.info("certificates", extra={"fields": self.told()})
        return True

    async def usable(self, tell: Callable[[str], None]) -> None:
        """Wait until the files can be used; `tell` hears why they cannot yet."""
        while not self.look() and (self.why or not self.mode):
            tell(self.why)
            await asyncio.sleep(AGAIN_S)

    async def renew(self, looked: Callable[[], None] = lambda: None) -> None:
        """Look again and again, until cancelled; `looked` is called after each look."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except Exception:  # a bug, and no reason to keep what has ended
                log.exception("certificates")
            looked()

    def told(self) -> dict[str, Any]:
        """Say what is in use: whoever changes the files learns so when a change has come here."""
        return {
            "mode": self.mode,
            "trust": mark_of(self._found.trust),
            "certificate": mark_of(self._found.certificate),
            "why": self.why or self._doubted(),
        }

    def doubt(self, peer: int, why: str) -> None:
        """Note that TLS with a peer came to nothing, and why; empty: that it is well."""
        former, _ = self._doubts.pop(peer, ("", 0.0))
        if why and former != why:
            log.warning("no_tls", extra={"fields": {"with": peer, "why": why}})
        if why:
            self._doubts[peer] = why, time.monotonic()

    def _doubted(self) -> str:
        """Return a doubt of late; one that nobody repeats is of a peer that is gone."""
        since = time.monotonic() - DOUBTED_S
        return next((why for why, at in self._doubts.values() if at > since), "")

    def objection(self, shown: Mapping[str, Any] | None, peer: int) -> str:
        """Return what is wrong with the certificate that peer number so-and-so shows, or nothing.

        `shown`: as `ssl` tells a certificate that it has verified; None: the connection is plain.
        """
        if shown is None:
            told = "it speaks no TLS, and this ring requires it"
            return told if self.mode == REQUIRED else ""
        names = [name for _, name in shown.get("subjectAltName", ())]
        if self.name_of(peer) in names:
            return ""
        return f"its certificate is {', '.join(names) or 'nobody'}'s, not peer {peer}'s"

    def note(self, shown: Iterable[Mapping[str, Any] | None]) -> None:
        """Note what others show now."""
        ends = [ssl.cert_time_to_seconds(each["notAfter"]) for each in shown if each]
        self.first_end = min(ends, default=0.0)

    def _read(self) -> _Found:
        mode = _content(self._folder / MODE_FILE).decode(errors="replace").strip()
        if mode not in {OFFERED, REQUIRED}:
            place = self._folder / MODE_FILE
            raise CertificateError(f"{place} says {mode!r}: it may say {OFFERED} or {REQUIRED}")
        token = self._folder / TOKEN_FILE  # an operator of a former release writes none
        token_mode = _content(token).decode(errors="replace").strip() if token.exists() else ""
        trust = _content(self._folder / TRUST_FILE)
        return _Found(mode, token_mode, trust, _content(self._own))

    def _contexts(self, found: _Found) -> list[ssl.SSLContext]:
        """Make those of a server and a client that ask for certificates, and of one for anybody."""
        server, client, for_clients = made = [
            ssl.SSLContext(side)
            for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER)
        ]
        for context in made:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            try:
                context.load_cert_chain(self._own, self._key)
            except (ssl.SSLError, OSError) as error:
                told = f"{self._own} and {self._key} do not go together: {error}"
                raise CertificateError(told) from error
        for context in (server, client):
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            try:
                context.load_verify_locations(cadata=found.trust.decode())
            except (ssl.SSLError, ValueError, TypeError) as error:
                place = self._folder / TRUST_FILE
                raise CertificateError(f"{place} is no certificate: {error}") from error
        server.num_tickets = 0  # nobody resumes: each connection shows its certificate
        for_clients.set_alpn_protocols(["http/1.1"])
        return made


def mark_of(content: bytes) -> str:
    """Name a file by what is in it; the operator does the same."""
    return hashlib.sha256(content).hexdigest()[:16] if content else ""


def _content(place: Path) -> bytes:
    with place.open("rb") as file:
        found = file.read(FILE_MAX_BYTES + 1)
    if len(found) > FILE_MAX_BYTES:
        raise CertificateError(f"{place} has more than {FILE_MAX_BYTES} bytes")
    return found
