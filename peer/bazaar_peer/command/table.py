"""The live table of `bazaar up`, and its plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bazaar_peer.command.ring_folder import RingFolder
from bazaar_peer.command.views import clock_text
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stats import Stats

if TYPE_CHECKING:
    from bazaar_peer.command.up import Supervisor

ASK_S = 0.5
SENTENCES = 6


class Board:
    """What is shown while a ring runs."""

    def __init__(
        self, folder: RingFolder, settings: ProcessSettings, sentences: Callable[[str], object]
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.live: Live | None = None
        self._print = sentences
        self._story: deque[str] = deque(maxlen=SENTENCES)
        self._stats: dict[int, Stats] = {}
        self._last: dict[int, tuple[float, int]] = {}
        self._rates: dict[int, float] = {}
        self._shown: tuple[int, ...] = ()
        self._peers: dict[int, dict[str, Any]] = {}
        self._asked = 0.0
        self._asking: asyncio.Task[None] | None = None

    def say(self, sentence: str) -> None:
        """Tell a sentence: in the story below the table, or as a line."""
        if self.live is None:
            self._print(sentence)
        else:
            self._story.append(sentence)

    def refresh(self, supervisor: Supervisor) -> None:
        """Draw the table anew; ask the peers now and then."""
        now = time.monotonic()
        if now - self._asked > ASK_S and (self._asking is None or self._asking.done()):
            self._asked = now
            self._shown = tuple(p for p, child in supervisor.children.items() if not child.out)
            self._asking = asyncio.create_task(self._ask())
            self._follow(supervisor)
            self._measure(now)
        if self.live is not None:
            self.live.update(Group(self._table(supervisor), Text("\n".join(self._story))))

    def plain_ticker(self, supervisor: Supervisor, every_s: float) -> Callable[[], None]:
        """Return a ticker that prints one line now and then."""
        last = [time.monotonic()]

        def tick() -> None:
            now = time.monotonic()
            if now - last[0] >= every_s:
                last[0] = now
                self._follow(supervisor)
                orders, failed = self._sum("orders"), self._sum("failed")
                self._print(
                    f"epoch {supervisor.epoch}, trader {supervisor.trader}: {orders} orders, "
                    f"{failed} failed"
                )

        return tick

    def _follow(self, supervisor: Supervisor) -> None:
        """Open the counters of peers that were started since."""
        for peer in supervisor.children.keys() - self._stats.keys():
            self._stats[peer] = Stats(self.folder.stats(peer))

    def _sum(self, word: str) -> int:
        return sum(stats.get(word) for stats in self._stats.values())

    def _measure(self, now: float) -> None:
        for peer, stats in self._stats.items():
            count = stats.get("filled")
            before, filled = self._last.get(peer, (now, count))
            self._rates[peer] = (count - filled) / max(now - before, 1e-3)
            self._last[peer] = (now, count)

    async def _ask(self) -> None:
        """Ask every peer for what it says of itself; who does not answer shows as silent."""
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def one(peer: int) -> None:
                try:
                    async with session.get(self.settings.client_url(peer) + "/v1/ring") as answer:
                        found = await answer.json()
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    self._peers.pop(peer, None)
                else:
                    for own in found["peers"]:
                        if own["id"] == peer and "pid" in own:
                            self._peers[peer] = {**own, "commit_index": found["commit_index"]}

            await asyncio.gather(*(one(peer) for peer in self._shown))

    def _table(self, supervisor: Supervisor) -> Table:
        table = Table(box=None, header_style="bold")
        for column in ("peer", "pid", "role", "trader", "epoch", "clock", "lag", "trades/s"):
            table.add_column(column, justify="left" if column == "role" else "right")
        commit = max((p["commit_index"] for p in self._peers.values()), default=0)
        for peer in sorted(supervisor.children):
            if supervisor.children[peer].out:
                continue
            found = self._peers.get(peer)
            pid = supervisor.pid(peer)
            if found is None:
                gone = "silent" if pid else "down"
                table.add_row(str(peer), str(pid or "-"), gone, style="red")
                continue
            is_trader = found["trader"] == peer
            table.add_row(
                str(peer),
                str(pid),
                "trader" if is_trader else str(found["role"]),
                str(found["trader"] if found["trader"] is not None else "-"),
                str(found["epoch"]),
                clock_text(found["clock"]),
                str(max(0, commit - found["applied_index"])),
                f"{self._rates.get(peer, 0.0):.0f}",
                style="bold green" if is_trader else "",
            )
        return table
