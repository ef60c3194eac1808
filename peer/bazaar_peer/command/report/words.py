"""Figures as people read them: units, thousands, shares, and short sentences of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
FOOT_MAX = 96
SPACE = "\N{NO-BREAK SPACE}"
"""Between a figure and its unit."""


def ms(value: float | None, none: str = "unknown") -> str:
    """Return milliseconds with as many digits as say something; seconds from ten of them on."""
    if value is None:
        return none
    if value >= 10_000:
        return f"{value / 1000:,.1f}{SPACE}s"
    digits = 0 if value >= 100 else 1 if value >= 1 else 2
    return f"{value:,.{digits}f}{SPACE}ms"


def signed_ms(value: float) -> str:
    """Return a moment of a failover, to a tenth of a millisecond at least."""
    digits = 2 if abs(value) < 1 else 1
    return f"{'−' if value < 0 else '+'}{abs(value):,.{digits}f}{SPACE}ms"


def moment(iso: str) -> str:
    """Return a date and time as people write it, or what stands there if it is none."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return shortened(iso, 40)
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname() or ''}".rstrip()


def count(number: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: 1 fault, 2,000 faults."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×"


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile of values in any order; there is at least one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def listed(parts: Iterable[str]) -> str:
    """Join with commas and a last "and"."""
    found = list(parts)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def shortened(text: str, length: int = FOOT_MAX) -> str:
    """Return one printable line of a text that may hold anything."""
    kept = {" ", SPACE}
    line = "".join(one if one.isprintable() or one in kept else " " for one in text)
    return line if len(line) <= length else line[: length - 1] + "…"
