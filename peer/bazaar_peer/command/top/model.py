"""What is known of a ring, from its peers' answers and events; pure, so that it can be tested."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bazaar_peer.command.client import url_of
from bazaar_peer.command.top.charts import Sample
from bazaar_peer.command.top.latency import NOTHING, Counts, Latency, between
from bazaar_peer.command.top.reigns import Reigns
from bazaar_peer.command.top.story import Story

TRADES_SHOWN = 50
SPAN_S = 10.0
"""Rates and percentiles are of so many seconds."""
SILENT_S = 3.0
SAMPLES_MAX = 600


@dataclass
class Model:
    """Everything that the screen shows."""

    urls: list[str]
    """Where peers were reached, or are said to be; whoever answered last is first."""
    ring: dict[str, Any] = field(default_factory=dict)
    """The newest view of the ring."""
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What each peer says of itself, by ordinal."""
    seen: dict[int, float] = field(default_factory=dict)
    """When each peer last answered."""
    stock: dict[str, Any] = field(default_factory=dict)
    trades: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=TRADES_SHOWN))
    story: Story = field(default_factory=Story)
    reigns: Reigns = field(default_factory=Reigns)
    latency: Latency = NOTHING
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    """Latency between each two scrapes, the newest last."""
    problem: str = ""
    _counts: deque[tuple[float, dict[int, Counts]]] = field(default_factory=deque)

    def answered(self, now: float, url: str, view: Mapping[str, Any]) -> int:
        """Take a peer's view of the ring; return the ordinal of the peer, −1 if it is not told."""
        me = -1
        for row in view["peers"]:
            if "pid" in row:
                me = int(row["id"])
                self.rows[me] = {**row, "commit_index": view["commit_index"]}
                self.seen[me] = now
        newest = (view["epoch"], view["commit_index"])
        if not self.ring or newest >= (self.ring["epoch"], self.ring["commit_index"]):
            self.ring = dict(view)
            self.reigns.traded(now, int(view["trader"]), int(view["epoch"]))
        for row in view["peers"]:
            if (other := url_of(row, url)) not in self.urls:
                self.urls.append(other)
        self.urls.remove(url)
        self.urls.insert(0, url)
        self.problem = ""
        return me

    def counted(self, now: float, counts: dict[int, Counts]) -> None:
        """Take all peers' metrics of one moment."""
        for peer, each in counts.items():
            self.reigns.counted(now, peer, each.interregna)
        if self._counts and now > self._counts[-1][0] and self.ring:
            before, last = self._counts[-1]
            one = between(last, counts, now - before)
            told = (int(self.ring["epoch"]), int(self.ring["trader"]))
            self.samples.append(Sample(one.p50_ms, one.p99_ms, *told))
        self._counts.append((now, counts))
        while len(self._counts) > 2 and now - self._counts[1][0] >= SPAN_S:
            self._counts.popleft()
        began, old = self._counts[0]
        if now > began:
            self.latency = between(old, counts, now - began)

    def happened(self, now: float, peer: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Take an event of a peer."""
        if kind == "trade":
            if not self.trades or int(fields["index"]) > int(self.trades[-1]["index"]):
                self.trades.append(dict(fields))
        else:
            self.story.tell(now, peer, kind, fields)

    def lost(self, url: str, why: str) -> None:
        """Nobody answers at that address: the others are asked first from now on."""
        if url in self.urls:
            self.urls.remove(url)
            self.urls.append(url)
        if self.ring:
            self.problem = why

    def is_silent(self, peer: int, now: float) -> bool:
        return now - self.seen.get(peer, -SILENT_S) >= SILENT_S
