"""A ring that a test makes up: a `Place` without processes, whose clock is the test's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bazaar_peer.command.drill.counting import Spell
from bazaar_peer.command.drill.figures import Drilled, Fault, drill_json
from bazaar_peer.command.drill.place import Audit, Interregna, Line, Loaded, View
from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.command.drill.run import FILE
from bazaar_peer.command.orders import OK, Order
from bazaar_peer.record.collect import Story

TOLD = {"sent": 3, "acknowledged": 2, "failed": 0, "retried": 0}


def view(trader: int = 2, epoch: int = 1, peers: int = 3, *, pid: int = 100) -> View:
    """A ring that is settled; each process has the pid of its peer."""
    lines = (
        Line(peer, f"http://127.0.0.1:{8600 + peer}", True, pid + peer, trader, epoch, 10)
        for peer in range(peers)
    )
    return View("r", tuple(lines))


@dataclass
class FakeRing:
    """After each fault the next lower peer trades; `spells` are counted by all that live on."""

    peers: int = 3
    target: str = "http://127.0.0.1:8600"
    settle_s: float = 0.0
    late_s: float = 0.0
    one_clock: bool = False
    last_end: float = 0.0
    by_hand: str = ""
    told: dict[str, Any] = field(default_factory=lambda: dict(TOLD))
    orders: list[Order] = field(default_factory=list)
    found: Audit = field(default_factory=Audit)
    spell_s: float = 0.004
    spells: dict[int, float] = field(default_factory=dict)
    """Before which epoch it was another one."""
    planned: bool = False
    hurting: Callable[[int], None] = lambda _number: None
    """Told the number of each fault; it may raise."""
    hurt_peers: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view = view(trader=self.peers - 1, peers=self.peers)

    async def look(self) -> View:
        return self.view

    async def interregna(self, line: Line) -> Interregna:
        ended = self.view.lines[0].epoch - 1
        spells = (self.spells.get(epoch, self.spell_s) for epoch in range(2, ended + 2))
        return Interregna(ended, sum(spells), self.last_end, ended * self.planned)

    async def hurt(self, kind: Kind, victim: Line, view: View, seconds: float) -> None:
        self.hurt_peers.append(victim.peer)
        self.hurting(len(self.hurt_peers))
        trader = view.trader
        assert trader is not None
        if victim.peer == trader.peer:
            self.elect()

    def elect(self) -> None:
        """Let the next lower peer trade."""
        trader = self.view.trader
        assert trader is not None
        self.view = view((trader.peer - 1) % self.peers, trader.epoch + 1, self.peers)

    async def begin_load(self, seconds: float) -> None:
        self.calls.append("load")

    async def loaded(self) -> str:
        return ""

    async def end_load(self) -> Loaded:
        self.calls.append("end of load")
        return Loaded(self.told, self.orders, list(range(self.peers)))

    async def audit(self) -> Audit:
        self.calls.append("audit")
        return self.found

    async def story(self, seconds: float) -> Story | None:
        self.calls.append("story")
        return None

    async def keep(self, folder: Path) -> None:
        self.calls.append("keep")
        (folder / "acknowledged").write_text("ann k1\n")

    async def close(self) -> None:
        self.calls.append("close")


def order(due: float, ms: float = 1.0, outcome: str = OK, place: int = 0) -> Order:
    return Order(due, ms, outcome, place, 1)


def fault(
    at: float = 0.0, ended: float | None = None, ms: float | None = 4.0, **more: Any
) -> Fault:
    given: dict[str, Any] = {
        "number": 1, "kind": Kind.CRASH, "victim": 2,
        "epoch_before": 1, "epoch_after": 2, "trader_after": 1,
    } | more  # fmt: skip
    reigns = int(given["epoch_after"] != given["epoch_before"])
    cost = given.pop("cost", Spell(reigns, ms, ms, None if ms is None else False))
    return Fault(began=at, ended=at if ended is None else ended, cost=cost, **given)


def drilled(
    orders: Sequence[Order] = (), faults: Sequence[Fault] = (fault(),), **more: Any
) -> dict[str, Any]:
    """Return drill.json of a drill whose clock begins at 0."""
    told = {**TOLD, **more.pop("told", {})}
    given: dict[str, Any] = {
        "options": Options(kind=Kind.CRASH), "target": "http://127.0.0.1:8600", "peers": 3,
        "began": 0.0, "ended": 10.0, "audit": Audit(),
    } | more  # fmt: skip
    loaded = Loaded(told, list(orders), [0, 1, 2])
    return drill_json(Drilled(faults=faults, loaded=loaded, **given))


def written(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / FILE).read_text())
    assert isinstance(found, dict)
    return found
