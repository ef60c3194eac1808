"""The goals, as one table: a figure, its gate and its target, and what a run says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Goal:
    """`at_most`: the figure must stay below gate and target; else it must reach them."""

    name: str
    what: str
    gate: float
    target: float
    at_most: bool
    unit: str = "×"

    def holds(self, figure: float, bar: float) -> bool:
        return figure <= bar if self.at_most else figure >= bar


def at_least(name: str, what: str, gate: float, target: float, unit: str = "×") -> Goal:
    return Goal(name, what, gate, target, at_most=False, unit=unit)


def at_most(name: str, what: str, gate: float, target: float, unit: str = "×") -> Goal:
    return Goal(name, what, gate, target, at_most=True, unit=unit)


GOALS = [
    at_least("P1", "durable trades/s at c=64, of E(64)", 0.33, 0.60),
    at_least("P2", "durable trades/s at c=256, of E(256)", 0.43, 0.70),
    at_least("P3a", "durable trades/s at c=8, of E(8)", 0.13, 0.25),
    at_least("P3b", "durable trades/s at c=1, of E(1)", 0.08, 0.20),
    at_most("P4", "p50 at c=1 above E's, in syncs of 6 writers", 3.0, 1.4),
    at_most("P5a", "p99 / p50 at c=1", 4.0, 2.5),
    at_most("P5b", "p99 / p50 at c=64", 2.5, 1.8),
    at_most("P5c", "p99 / p50 at c=256", 2.5, 1.8),
    at_least("P6a", "batches of 16 at c=64 over single orders at c=64", 2.0, 5.0),
    at_least("P6b", "pipelined session at c=256 over single orders at c=256", 1.5, 3.0),
    at_most("P7a", "CPU of the trader a trade at c=256, where E takes 35 µs", 75.0, 55.0, "µs"),
    at_most("P7b", "CPU of all five followers a trade at c=256, likewise", 55.0, 25.0, "µs"),
    at_most("P8", "syncs of the trader a trade at c=64", 1 / 20, 1 / 30),
    at_least("P9a", "trades/s at 8 buyers over Pyro4 with fdatasync", 2.5, 4.0),
    at_least("P9b", "trades/s at 8 buyers over Pyro4 without", 1.7, 2.8),
    at_most("P10a", "p50 of one buyer over Pyro4's with fdatasync", 1.15, 0.7),
    at_most("P10b", "p50 of one buyer over Pyro4's without", 2.2, 1.2),
    at_most("P11", "p50 of the last tenth of 10⁶ trades over the first", 1.15, 1.05),
    at_most("P12a", "p50 at c=1, 6 peers over 5", 1.3, 1.1),
    at_most("P12b", "p50 at c=1, 12 peers over 6", 2.0, 1.35),
    at_most("F1", "kill -9 of the trader: p50 of the gap", 50.0, 15.0, "ms"),
    at_most("F2", "SIGSTOP of the trader: p50 of the gap", 230.0, 180.0, "ms"),
    at_most("F3a", "election among 6: p50, where E takes 35 µs", 13.6, 6.8, "ms"),
    at_most("F3b", "election among 12: p50, where E takes 35 µs", 17.2, 8.6, "ms"),
    at_most("F3c", "election among 24: p50, where E takes 35 µs", 36.0, 12.2, "ms"),
    at_most("F4", "acknowledged orders lost, doubled or unanswered", 0.0, 0.0, ""),
    at_most("F5", "SIGTERM of the trader: p50 of the gap, where E takes 35 µs", 10.0, 3.0, "ms"),
    at_most("F5e", "SIGTERM of the trader: unanswered orders", 0.0, 0.0, ""),
    at_least("S0a", "report's 850 ms over ours, 1200 orders, 5 peers", 150.0, 500.0),
    at_least("S0b", "report's 1190 ms over ours, 1200 orders, 6 peers", 150.0, 500.0),
]


@dataclass
class Table:
    """Figures as they come in, several rounds of each; the median is what counts."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, figure: float, note: str = "") -> None:
        self.figures.setdefault(name, []).append(figure)
        if note:
            self.notes[name] = note

    def lines(self) -> list[str]:
        """Return the table as Markdown."""
        told = [
            "| goal | what | figure | rounds | gate | target | gate holds | target reached |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for goal in GOALS:
            rounds = self.figures.get(goal.name)
            if not rounds:
                continue
            figure = median(rounds)
            bars = ["yes" if goal.holds(figure, bar) else "NO" for bar in (goal.gate, goal.target)]
            sign = "≤" if goal.at_most else "≥"
            spread = f"{min(rounds):.3g} … {max(rounds):.3g}"
            what = goal.what + (f" ({self.notes[goal.name]})" if goal.name in self.notes else "")
            told.append(
                f"| {goal.name} | {what} | {figure:.3g} {goal.unit} | {spread} | {sign} "
                f"{goal.gate:.3g} | {sign} {goal.target:.3g} | {bars[0]} | {bars[1]} |"
            )
        return told

    def missed_gates(self) -> list[str]:
        """Return the goals whose gate does not hold."""
        return [
            goal.name
            for goal in GOALS
            if goal.name in self.figures
            and not goal.holds(median(self.figures[goal.name]), goal.gate)
        ]
