"""What the peers' logs tell of elections: read as they grow, put in order, and summed up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bazaar_peer.runtime.logs import parse

NOTICED = {
    "trader_lost": "crash",
    "election": "silence",
    "hand_over": "hand-over",
    "stepped_down": "stepped down",
}
"""Events by which a loss is noticed → the reason that they give for the election."""
LOOK_BACK_NS = 60_000_000_000


class LogTail:
    """Yields whole new lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0

    def skip(self) -> None:
        """Leave out what an earlier run wrote."""
        self._at = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> Iterator[str]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._at)
            while (line := file.readline()).endswith(b"\n"):
                self._at += len(line)
                yield line.decode(errors="replace").rstrip("\n")


class Elections:
    """Pairs each reign that begins with the earliest sign that the one before was lost."""

    def __init__(self, logs: list[Path]) -> None:
        self.tails: list[LogTail] = []
        for path in logs:
            self.add(path)
        self.signs: list[tuple[int, str, str]] = []
        """(monotonic ns, reason, peer) of losses noticed since the last reign."""
        self.found: list[dict[str, int | str | float]] = []
        self.epochs: set[int] = set()
        self.killed: set[int] = set()
        """Whom another peer has killed, as it says; whoever sees them end takes them out."""

    def add(self, log: Path) -> None:
        """Follow one more log, from its present end on."""
        if all(tail.path != log for tail in self.tails):
            tail = LogTail(log)
            tail.skip()
            self.tails.append(tail)

    def read(self) -> list[dict[str, int | str | float]]:
        """Read what is new; return the elections that ended since the last call."""
        lines = [line for tail in self.tails for line in tail.lines()]
        return self.take([event for line in lines if (event := parse(line))])

    def take(self, events: list[dict[str, str]]) -> list[dict[str, int | str | float]]:
        """Take events of several peers of one machine, in any order; return as `read` does."""
        timed = [event for event in events if event.get("mono_ns", "").isdigit()]
        before = len(self.found)
        for event in sorted(timed, key=lambda event: int(event["mono_ns"])):
            self._take(event)
        return self.found[before:]

    def _take(self, event: dict[str, str]) -> None:
        now, name = int(event["mono_ns"]), event.get("event", "")
        if name in NOTICED:
            if int(event.get("epoch", "0")) < max(self.epochs, default=0):
                return  # of a peer that starts and has not heard of the newest reign yet
            self.signs.append((now, NOTICED[name], event.get("peer", "")))
        elif name == "hears_again" or (
            name == "follows" and int(event.get("epoch", "0")) in self.epochs
        ):
            # It was never lost: this peer did not hear it for a while, or, just started, not yet.
            self.signs = [sign for sign in self.signs if sign[2] != event.get("peer", "")]
        elif name == "fault" and event.get("what") == "killed":
            self.killed.add(int(event["peer"]))
        elif name == "reign_begun" and int(event["epoch"]) not in self.epochs:
            self.epochs.add(int(event["epoch"]))
            signs = [sign for sign in self.signs if now - sign[0] < LOOK_BACK_NS]
            first = min(signs, default=(now, "start", ""))
            reason = first[1] if len(self.epochs) > 1 or first[1] != "silence" else "start"
            self.found.append(
                {
                    "epoch": int(event["epoch"]),
                    "trader": int(event["peer"]),
                    "reason": reason,
                    "ms": round((now - first[0]) / 1e6, 3),
                }
            )
            self.signs.clear()
