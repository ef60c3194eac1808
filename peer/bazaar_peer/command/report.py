"""What an audit comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

VIOLATIONS_MAX = 100


@dataclass
class Report:
    """What was counted, and a sentence for each violation."""

    counted: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def violation(self, sentence: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(sentence)
