"""What a checker raises."""

from __future__ import annotations


class Violation(Exception):  # noqa: N818 - it is a finding, not a failure of the simulator
    """A rule is broken: the schedule is a counterexample."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f"{rule}: {why}")
        self.rule = rule


def must(holds: object, rule: str, why: str) -> None:
    if not holds:
        raise Violation(rule, why)
