"""A story as a file: a header, then an entry a line (docs/record.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bazaar_peer import __version__
from bazaar_peer.core.types import MS, Timing
from bazaar_peer.record.merge import Told


def in_ms(timing: Timing) -> tuple[float, float]:
    """Return a heartbeat's interval and timeout as stories tell them."""
    return timing.heartbeat_interval / MS, timing.heartbeat_timeout / MS


def header(
    ring: str, source: str, beat_ms: float, timeout_ms: float, name: str = ""
) -> dict[str, Any]:
    """Return a story's first line. `source`: ring, drill, simulation or up."""
    return {
        "bazaar_story": 1,
        "ring": ring,
        "name": name or ring,
        "source": source,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "beat_ms": beat_ms,
        "timeout_ms": timeout_ms,
    }


def write_story(path: Path, first: dict[str, Any], entries: Iterable[Told]) -> int:
    """Write a story, whole or not at all; return how many entries it has. Raises OSError."""
    count = 0
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        file.write(json.dumps(first) + "\n")
        for entry in entries:
            file.write(json.dumps(entry) + "\n")
            count += 1
    os.replace(fresh, path)
    return count
