"""What an audit comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VIOLATIONS_MAX = 100


@dataclass
class Report:
    """What was counted, and a sentence for each violation.

    Sentences are cut, counts never: a hundred orders that were done twice may not hide a lost one.
    """

    counted: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    omitted: int = 0
    """Violations without a sentence here."""
    lost: set[tuple[str, str]] = field(default_factory=set)
    """`client, key` of what was acknowledged and is in no journal."""
    twice: set[tuple[str, str] | tuple[int, int]] = field(default_factory=set)
    """`client, key` of what took effect more than once; without a key, its session and number."""

    def violation(self, sentence: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(sentence)
        else:
            self.omitted += 1

    def told(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return {
            "counted": self.counted,
            "violations": self.violations,
            "omitted": self.omitted,
            "lost": len(self.lost),
            "twice": len(self.twice),
        }
