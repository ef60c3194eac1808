"""The hash chain over a journal's records (D1)."""

from __future__ import annotations

import hashlib


def chain_hash(previous: bytes, blob: bytes) -> bytes:
    """Chain one encoded record to all before it; `previous` is empty before the first."""
    return hashlib.blake2b(previous + blob, digest_size=16).digest()
