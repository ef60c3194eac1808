"""What a load has seen: counts, latencies, and the gaps, the times in which nothing was answered.

A gap lies between two answers that say that an order was taken; the first begins with the load, the
last ends with it if orders were still due. Gaps carry the wall clock, so that they can be matched
with what was done to the ring meanwhile.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

GAP_MS = 100.0
"""Gaps of more than this are listed."""
GAPS_MAX = 10_000
FAILURES_MAX = 100


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of an ordered list, 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass
class Tally:
    """Counts of one run; times are seconds of the monotonic clock."""

    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)
    gap_ms: float = GAP_MS
    begun: bool = False
    """The goods were taken, and orders became due."""
    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    retried: int = 0
    """Orders that took more than one attempt."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of attempts: each status, and each word for an attempt without an answer."""
    late_s: float = 0.0
    """How far behind its own clock the load was at worst: a long gap may be its own fault."""
    gaps: list[dict[str, float]] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._latencies = array("f")
        self._answered = self.began
        self._longest = 0.0
        self._unanswered_since = False

    def wall(self, moment: float) -> float:
        """Return a moment as seconds of the wall clock."""
        return round(self.began_at + moment - self.began, 6)

    def answered(self, due: float, now: float, attempts: int) -> None:
        """Count an order that was taken."""
        self.acknowledged += 1
        self.retried += attempts > 1
        self._latencies.append((now - due) * 1e3)
        self._gap(now)
        self._answered, self._unanswered_since = now, False

    def gave_up(self, key: str, due: float, attempts: int, last: int | str) -> None:
        """Count an order that no answer took before its deadline."""
        self.failed += 1
        self.retried += attempts > 1
        self._unanswered_since = True
        if len(self.failures) < FAILURES_MAX:
            self.failures.append(
                {"key": key, "due": self.wall(due), "attempts": attempts, "last": last}
            )

    def end(self, now: float) -> None:
        """Count the gap that is open, if orders fell into it."""
        if self._unanswered_since:
            self._gap(now)
            self._answered = now

    def _gap(self, now: float) -> None:
        gap_ms = (now - self._answered) * 1e3
        self._longest = max(self._longest, gap_ms)
        if gap_ms > self.gap_ms and len(self.gaps) < GAPS_MAX:
            self.gaps.append({"began": self.wall(self._answered), "ms": round(gap_ms, 1)})

    def told(self) -> dict[str, object]:
        """Return everything as one JSON object."""
        ordered = sorted(self._latencies)
        shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
        return {
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "failed": self.failed,
            "retried": self.retried,
            "answers": dict(sorted(self.answers.items())),
            **{name: round(percentile(ordered, share), 2) for name, share in shares.items()},
            "longest_gap_ms": round(self._longest, 1),
            "late_ms": round(self.late_s * 1e3, 1),
            "began": self.wall(self.began),
            "seconds": round(time.monotonic() - self.began, 2),
            "gaps": self.gaps,
            "failures": self.failures,
        }
