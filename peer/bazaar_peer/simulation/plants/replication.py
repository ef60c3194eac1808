"""Planted bugs of Appends, acknowledgements, commits and reads (R4–R6, R12)."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import messages as msg
from bazaar_peer.core.durability import DiskQueue
from bazaar_peer.core.follower import Follower
from bazaar_peer.core.reads import Reads
from bazaar_peer.core.replication import Replication
from bazaar_peer.core.trader import Trader
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def commitold() -> list[Patch]:
    """Entries of earlier epochs are committed by counting (Raft 5.4.2)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        started, self.started = self.started, 0
        inner(self)
        self.started = started

    return [(Trader, "advance", advance)]


@plant
def trunc() -> list[Patch]:
    """An Append drops what stands behind its records, conflict or not (R6)."""
    inner = Follower.take_records

    def take(self: Follower, blobs: Any, prev: int, epoch: int) -> int:
        end = inner(self, blobs, prev, epoch)
        if self.peer.commit <= end < self.peer.journal.last[1]:
            self.peer.truncate(end)
        return end

    return [(Follower, "take_records", take)]


@plant
def acklast() -> list[Patch]:
    """An acknowledgement names the journal's end (R6)."""

    def match(self: Follower) -> int:
        return self.peer.disk.durable_index

    return [(Follower, "match", property(match))]


@plant
def unclamped() -> list[Patch]:
    """The commit index is taken over beyond what the message vouches for (R6)."""
    inner = Follower.on_append

    def on_append(self: Follower, sender: Any, message: msg.Append) -> None:
        inner(self, sender, message)
        if (self.epoch, self.trader) == (message.epoch, sender):
            self.peer.commit_to(self.peer.journal.floor_of(message.commit))

    return [(Follower, "on_append", on_append)]


@plant
def acknoepoch() -> list[Patch]:
    """An acknowledgement of an earlier reign counts in this one (R5)."""
    inner = Replication.on_appended

    def on_appended(self: Trader, sender: Any, message: msg.Appended) -> None:
        seen = min(message.round, self.round)
        inner(self, sender, msgspec.structs.replace(message, epoch=self.epoch, round=seen))

    return [(Replication, "on_appended", on_appended)]


@plant
def selfack() -> list[Patch]:
    """The trader counts its own disk before its sync is done (R5)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        disk = self.peer.disk
        durable, disk.durable_index = disk.durable_index, self.peer.journal.last[1]
        inner(self)
        disk.durable_index = durable

    return [(Trader, "advance", advance)]


@plant
def ackunsynced() -> list[Patch]:
    """Records are acknowledged before they are durable (R4)."""
    return [(Follower, "match", property(lambda self: self.verified))]


@plant
def readlocal() -> list[Patch]:
    """The trader answers reads without asking anybody (R12)."""

    def ask(self: Reads, read: int, sender: Any) -> None:
        answer = msg.ReadAt(read, self.peer.commit)
        if sender == self.peer.me:
            self.peer.ingress.reader.on_read_at(sender, answer)
        else:
            self.peer.send(sender, answer)

    return [(Reads, "ask", ask)]


@plant
def queue_forgets() -> list[Patch]:
    """An answered command is answered from the journal's end, not from its commit (S5)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        inner(self)
        if self.open:
            self.peer.commit_to(self.peer.journal.last[1])

    return [(Trader, "advance", advance)]


# ---- bugs that the core once had, as the simulator found them ----


@plant
def install_acknowledged_early() -> list[Patch]:
    """A checkpoint on its way to the disk counts as durable as far as the old journal is (R4)."""
    inner = DiskQueue.install

    def install(
        self: DiskQueue, epoch: int, index: int, chain: bytes, keep: bool, *rest: int
    ) -> int:
        _, now = rest
        return inner(self, epoch, index, chain, keep, min(index, self.durable_index), now)

    return [(DiskQueue, "install", install)]


@plant
def hint_inside_a_record() -> list[Patch]:
    """A hint inside one of the trader's records is taken for a pruned place (R6)."""
    inner = Replication.on_append_refused

    def on_append_refused(self: Trader, sender: Any, message: msg.AppendRefused) -> None:
        journal = self.peer.journal
        floor_of, journal.floor_of = journal.floor_of, lambda index: index  # type: ignore[method-assign]
        inner(self, sender, message)
        journal.floor_of = floor_of  # type: ignore[method-assign]

    return [(Replication, "on_append_refused", on_append_refused)]
