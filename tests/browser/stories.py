"""Stories made by hand: a ring that loses its trader, hands over, grows, and has a silent peer.

Deterministic: the same arguments give the same bytes. Steps and gaps are those of real elections.
`python -m tests.browser.stories FILE [PEERS] [RATE]` writes one, for `bazaar watch`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

T0 = 1_790_000_000.0
BEAT_S, TIMEOUT_S = 0.04, 0.15
US = 1e-6
Json = dict[str, Any]


@dataclass
class Peer:
    """One peer as the teller of the story knows it."""

    id: int
    boot: int = 1
    seq: int = 0
    role: str = "follower"
    epoch: int = 7
    trader: int = 5
    end: int = 4000
    commit: int = 4000
    alive: bool = True
    silent: bool = False
    heard: float = 0.0
    clock: dict[str, int] = field(default_factory=dict)


@dataclass
class Made:
    """A whole story: what was made, and the facts that a test may ask the page for."""

    header: Json
    entries: list[Json]
    election: Json = field(default_factory=dict)

    def lines(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in [self.header, *self.entries])


class Teller:
    """Writes entries as a ring would, in the order in which they happen."""

    def __init__(self, peers: int, rate: float, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.peers = {i: Peer(i) for i in range(peers)}
        self.members = list(range(peers))
        self.trader = peers - 1
        self.epoch = 7
        self.entries: list[Json] = []
        self.items: list[list[Any]] = [["salt", 41, 6]]
        self.trades: list[list[Any]] = [["zoe", 3, "salt", 18]]
        self.next_order = T0
        self.next_beat = T0
        self.next_key = T0
        for peer in self.peers.values():
            peer.trader, peer.heard = self.trader, T0
            peer.clock = {str(i): 300 + 17 * i for i in range(peers)}
        self.peers[self.trader].role = "trader"

    # ---- entries

    def tell(self, at: float, peer: int, kind: str, **more: Any) -> tuple[int, int, int]:
        found = self.peers[peer]
        found.seq += 1
        if not found.silent:
            name = {"from_": "from"}
            told = {name.get(key, key): value for key, value in more.items()}
            head = {"at": round(at, 6), "peer": peer, "boot": found.boot, "seq": found.seq}
            self.entries.append({**head, "kind": kind, **told})
        return peer, found.boot, found.seq

    def note(self, at: float, peer: int, note: str, **fields: Any) -> None:
        self.tell(at, peer, "note", note=note, fields=fields)

    def send(self, at: float, source: int, to: list[int], message: str, **more: Any) -> list[float]:
        """Tell a message and its arrivals; return when it came in at each."""
        cause = self.tell(at, source, "sent", message=message, to=to, epoch=self.epoch, **more)
        arrivals = []
        for target in to:
            came = at + (90 + self.random.random() * 120) * US
            arrivals.append(came)
            if self.peers[target].alive:
                self.tell(
                    came, target, "got", message=message, from_=source, epoch=self.epoch,
                    cause=list(cause), **more,
                )  # fmt: skip
        return arrivals

    def key(self, at: float, peer: int) -> None:
        p = self.peers[peer]
        heard = None if p.role == "trader" else round(at - p.heard, 6)
        clock = {f"{part}.0": ticks for part, ticks in p.clock.items()}
        self.tell(
            at, peer, "key", role=p.role, epoch=p.epoch, trader=p.trader,
            end=[p.epoch, p.end], commit=p.commit, applied=p.commit, clock=clock,
            members=list(self.members), heard=heard,
            market=("buyer", "seller", "both", "")[peer % 4],
        )  # fmt: skip

    def goods(self, at: float) -> None:
        """Tell what is on offer and what was sold last: a lot of everything that there is."""
        commit = self.peers[self.trader].commit
        self.tell(at, self.trader, "market", index=commit, items=self.items, trades=self.trades)

    # ---- calm

    def until(self, end: float) -> None:
        """Beat, trade and tell keys up to a moment."""
        while True:
            at = min(self.next_order, self.next_beat, self.next_key)
            if at >= end:
                return
            if at == self.next_key:
                self.next_key += 1.0
                for peer in self.living():
                    self.key(at + peer * 900 * US, peer)
                if self.peers[self.trader].alive:
                    self.goods(at + self.trader * 900 * US)
            elif at == self.next_beat:
                self.next_beat += BEAT_S
                self._beat(at)
            else:
                self.next_order += self.random.expovariate(self.rate)
                self._order(at)

    def living(self) -> list[int]:
        return [i for i, peer in self.peers.items() if peer.alive]

    def followers(self) -> list[int]:
        return [i for i in self.living() if i != self.trader]

    def _beat(self, at: float) -> None:
        for peer in self.followers():
            came = at + (80 + self.random.random() * 150) * US
            found = self.peers[peer]
            if found.epoch == self.epoch:
                found.heard = came
                self.tell(came, peer, "beat", from_=self.trader, epoch=self.epoch)

    def _order(self, at: float) -> None:
        trader = self.peers[self.trader]
        asked = self.random.choice(self.living())
        took = 0.6 + self.random.lognormvariate(0.2, 0.5)
        trader.end += 1
        self._moved(at + 30 * US, self.trader)
        done = at + took / 1000
        followers = [i for i in self.followers() if self.peers[i].epoch == self.epoch]
        for peer in followers:
            self.peers[peer].end = trader.end
            self._moved(at + (150 + self.random.random() * 200) * US, peer)
        trader.commit = trader.end
        self._moved(at + 450 * US, self.trader)
        for peer in followers:
            self.peers[peer].commit = trader.end
        for peer in (asked, self.trader):
            self.peers[peer].clock[str(asked)] = self.peers[peer].clock.get(str(asked), 0) + 1
        outcome = "unavailable" if self.random.random() < 0.02 else "ok"
        self.tell(done, asked, "order", ms=round(took, 3), outcome=outcome)

    def _moved(self, at: float, peer: int) -> None:
        p = self.peers[peer]
        self.tell(at, peer, "moved", epoch=p.epoch, end=p.end, commit=p.commit, applied=p.commit)

    # ---- what happens to it

    def kill_trader(self, at: float) -> Json:
        """Kill the trader; a token goes round, the nominee is promised, a reign begins."""
        self.until(at)
        lost, old = self.trader, self.epoch
        self.tell(at, lost, "fault", what="killed", others=[])
        self.peers[lost].alive = False
        self.peers[lost].boot += 1
        living = self.living()
        for turn, peer in enumerate(living):
            found = self.peers[peer]
            found.trader = -1
            seen = at + (210 + 40 * turn) * US
            self.note(seen, peer, "trader_lost", epoch=old, trader=lost, why="its connection ended")
        start = living[0]
        now = at + 0.6e-3
        self.note(now, start, "election", epoch=old, attempt=0, lost=lost)
        now = self._token(now, start, [p for p in self.members if p in living])
        heir = max(living)
        self.note(now, start, "nominated", epoch=old, nominee=heir, tally=len(living))
        (now,) = self.send(now + 20 * US, start, [heir], "Nominated")
        return self._invest(now, heir, lost, at, slow=0.5e-3)

    def _token(self, now: float, start: int, ring: list[int]) -> float:
        begin = ring.index(start)
        order = [*ring[begin:], *ring[:begin], start]
        for source, target in pairwise(order):
            (now,) = self.send(now + 20 * US, source, [target], "Election")
            self.send(now + 15 * US, target, [source], "TokenTaken")
            now += 30 * US
        return now

    def _invest(self, now: float, heir: int, lost: int, began: float, slow: float) -> Json:
        """Let one be promised by the others and begin to reign; return what came of it."""
        self.epoch += 1
        found = self.peers[heir]
        found.role, found.epoch = "nominee", self.epoch
        self.note(now, heir, "nominee", epoch=self.epoch, transfer=0)
        others = [p for p in self.living() if p != heir]
        asked = now + slow
        need = len(self.members) // 2
        came = []
        for peer, got in zip(others, self.send(asked, heir, others, "IWon"), strict=True):
            self.peers[peer].epoch = self.epoch
            self.note(got + 10 * US, peer, "promised", epoch=self.epoch, to=heir, transfer=0)
            synced = got + (350 + self.random.random() * 500) * US
            came += self.send(synced, peer, [heir], "Promise")
        now = sorted(came)[need - 1]
        self.note(now + 5 * US, heir, "invested", epoch=self.epoch, promises=need + 1, ns=0)
        self.trader, found.role, found.trader = heir, "trader", heir
        found.end += 1
        self.note(now + 10 * US, heir, "epoch_started", epoch=self.epoch, index=found.end)
        self._moved(now + 12 * US, heir)
        for peer in others:
            p, got = self.peers[peer], now + (140 + self.random.random() * 90) * US
            p.trader, p.heard, p.role = heir, got, "follower"
            self.note(got, peer, "follows", epoch=self.epoch, trader=heir)
            p.end = found.end
            self._moved(got + 260 * US, peer)
        done = now + 0.62e-3
        found.commit = found.end
        self._moved(done, heir)
        self.note(done + 5 * US, heir, "reign_begun", epoch=self.epoch, index=found.end, ns=0)
        for peer in others:
            self.peers[peer].commit = found.end
        waited = 1000 * (done - began) + 1.1
        self.tell(began + waited / 1000, heir, "order", ms=round(waited, 3), outcome="ok")
        self.next_order, self.next_beat = max(self.next_order, done + 1e-3), done + BEAT_S
        return {"lost": lost, "trader": heir, "epoch": self.epoch, "at": began, "done": done}

    def hand_over(self, at: float, heir: int) -> None:
        self.until(at)
        old = self.trader
        self.note(at, old, "hand_over", epoch=self.epoch, wish=heir)
        self.note(at + 0.3e-3, old, "successor_named", epoch=self.epoch, successor=heir)
        (now,) = self.send(at + 0.32e-3, old, [heir], "Nominated")
        self.peers[old].role = "follower"
        self._invest(now, heir, old, at, slow=0.3e-3)
        self.note(now + 0.5e-3, old, "role_ended", role="trader", epoch=self.epoch - 1, why="gone")

    def start(self, at: float, peer: int) -> None:
        """Let a peer that ended start again, copy what it lacks, and follow."""
        self.until(at)
        found = self.peers.setdefault(peer, Peer(peer, end=0, commit=0))
        found.alive, found.role, found.trader, found.epoch = True, "follower", -1, self.epoch
        found.clock = {str(peer): 1}
        self.tell(at, peer, "started")
        self.key(at + 0.01, peer)
        self.until(at + 0.3)
        trader = self.peers[self.trader]
        found.trader, found.heard = self.trader, at + 0.3
        self.note(at + 0.3, peer, "follows", epoch=self.epoch, trader=self.trader)
        found.end = found.commit = trader.end
        found.clock = dict(trader.clock)
        self._moved(at + 0.32, peer)

    def join(self, at: float, peer: int) -> None:
        """Let a new peer copy the state as a learner, and then vote."""
        self.until(at)
        self.peers[peer] = Peer(peer, role="learner", end=0, commit=0, epoch=self.epoch)
        self.peers[peer].trader, self.peers[peer].heard = self.trader, at
        self.tell(at, peer, "started")
        self.members.append(peer)
        self.key(at + 0.01, peer)
        self.note(at + 0.1, self.trader, "checkpoint_sent", to=peer, index=4000)
        self.until(at + 1.2)
        self.note(at + 1.2, peer, "checkpoint_installed", epoch=self.epoch, index=4000)
        self.peers[peer].end = self.peers[peer].commit = self.peers[self.trader].end
        self.peers[peer].role = "follower"
        voters = " ".join(map(str, self.members))
        self.note(at + 1.25, self.trader, "members_changed", epoch=self.epoch, voters=voters)
        self.key(at + 1.3, peer)
        self.key(at + 1.3, self.trader)

    def pause(self, at: float, until: float, peer: int) -> None:
        self.until(at)
        self.tell(at, peer, "fault", what="paused", others=[])
        self.peers[peer].alive = False
        self.until(until)
        self.peers[peer].alive = True
        self.tell(until, peer, "fault", what="resumed", others=[])
        self.peers[peer].end = self.peers[peer].commit = self.peers[self.trader].end
        self._moved(until + 2e-3, peer)

    def silence(self, at: float, until: float, peer: int) -> None:
        """Let nothing be known of a peer for a while."""
        self.until(at)
        self.peers[peer].silent = True
        self.until(until)
        self.peers[peer].silent = False


def header(**more: Any) -> Json:
    return {
        "bazaar_story": 1, "ring": "3f9c1a", "name": "shop", "source": "up",
        "made": "2026-11-24T03:00:00Z", "version": "0.1.0",
        "beat_ms": 1000 * BEAT_S, "timeout_ms": 1000 * TIMEOUT_S, **more,
    }  # fmt: skip


def made(teller: Teller, election: Json | None = None, **more: Any) -> Made:
    """Return all that a teller told, in the order of time."""
    entries = sorted(teller.entries, key=lambda e: (e["at"], e["kind"] == "got"))
    return Made(header(**more), entries, election or {})


def realistic(peers: int = 6, rate: float = 20.0) -> Made:
    """A minute of a ring: a kill, a hand-over, a new member, a pause, a silence, another kill."""
    teller = Teller(peers, rate)
    election = teller.kill_trader(T0 + 12.31)
    teller.start(T0 + 15.2, election["lost"])
    teller.hand_over(T0 + 22.47, election["lost"])
    teller.join(T0 + 28.0, peers)
    teller.pause(T0 + 36.2, T0 + 38.0, 2)
    teller.silence(T0 + 42.0, T0 + 46.0, 1)
    teller.kill_trader(T0 + 52.63)
    teller.until(T0 + 56.0)
    return made(teller, election)


def calm(seconds: float = 4.0, peers: int = 3, **more: Any) -> Made:
    """A short story in which nothing happens."""
    teller = Teller(peers, 20.0)
    teller.until(T0 + seconds)
    return made(teller, None, **more)


def hostile() -> Made:
    """Names and reasons that would be markup, were they ever taken for it."""
    teller = Teller(3, 10.0)
    teller.items, teller.trades = [[EVIL, 1, 1]], [[EVIL, 1, EVIL, 1]]
    teller.until(T0 + 1.0)
    teller.note(T0 + 1.0, 0, "trader_lost", epoch=7, trader=2, why=EVIL)
    teller.note(T0 + 1.1, 1, "stepped_down", epoch=7, why=EVIL)
    teller.tell(T0 + 1.2, 1, "sent", message=EVIL, to=[0], epoch=7)
    teller.tell(T0 + 1.3, 0, "fault", what=EVIL, others=[])
    teller.until(T0 + 3.0)
    return made(teller, None, name=EVIL)


EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def batches(entries: Iterable[Json], seconds: float = 0.25) -> list[list[Json]]:
    """Cut entries as a stream does."""
    found: list[list[Json]] = []
    end = float("-inf")
    for entry in entries:
        if entry["at"] >= end:
            found.append([])
            end = entry["at"] + seconds
        found[-1].append(entry)
    return found


if __name__ == "__main__":
    place, count, orders = [*sys.argv[1:], "", ""][:3]
    Path(place).write_text(realistic(int(count or 6), float(orders or 20)).lines())
