"""A client's own list of what was acknowledged to it, held against the journals (S6)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bazaar_peer.command.ring_folder import RingError

if TYPE_CHECKING:
    from bazaar_peer.command.audit import Report
    from bazaar_peer.command.replay import Replay


def read_list(path: Path) -> list[tuple[str, str]]:
    """Read `client key` pairs, one a line.

    Raises:
        RingError: the list cannot be read.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise RingError(f"{path} cannot be read: {wrong}") from wrong
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 2:
            raise RingError(f"{path}, line {number}: wanted `client key`, found {line!r}")
        pairs.append((words[0], words[1]))
    return pairs


def check_acknowledged(
    keys: list[tuple[str, str]], replay: Replay, before: set[tuple[str, str]], report: Report
) -> None:
    """Every acknowledged key took effect once, and once only; `before`: those of former rings."""
    for key, count in Counter(keys).items():
        if count > 1:
            report.violation(f"key {key[1]} of {key[0]} is in the list {count} times")
        times = replay.times[key]
        if times == 0 and key not in before:
            report.lost.add(key)
            report.violation(f"key {key[1]} of {key[0]} was acknowledged and is in no journal")
        elif times > 1:
            report.twice.add(key)
            report.violation(f"key {key[1]} of {key[0]} took effect {times} times")
    report.counted.append(f"{len(set(keys))} acknowledged keys looked up")
