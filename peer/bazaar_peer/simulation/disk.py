"""A simulated volume: what is durable, and the queue of writes that are not yet.

Writes become durable in order, some at a time (a sync takes all that were issued before it began).
A crash keeps every durable write and a prefix of the rest, the next one possibly torn: the real
store is one log, so no other subset can come back. Checkpoints are atomic (C5).
"""

from __future__ import annotations

from bazaar_peer.core.effects import (
    Hard,
    InstallCheckpoint,
    Prune,
    ReadPart,
    Recovered,
    SaveCheckpoint,
    StorePart,
    Truncate,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.core.events import PartRead
from bazaar_peer.core.messages import MembersChanged, Stored


class Volume:
    """`hard`, `records`, `parts` are durable; `queue` holds what is issued and not durable."""

    def __init__(self, genesis: Stored | None, told: MembersChanged | None = None) -> None:
        self.hard = Hard()
        self.records = [genesis] if genesis is not None else []
        self.told = told
        self.chains = {genesis.last: genesis.chain} if genesis is not None else {}
        """End of each durable record → its chain; pruned ones stay, for the checkers."""
        self.base = (0, 0)
        self.base_chain = b""
        self.parts: list[bytes] = []
        self.queue: list[WriteHard | WriteRecord | Truncate | tuple[InstallCheckpoint, list[bytes]]]
        self.queue = []
        self.syncing = 0
        """How many writes the sync under way takes; 0: none is under way."""
        self.incoming: list[bytes] = []
        self.outgoing: dict[int, tuple[tuple[int, int], list[bytes]]] = {}
        """Receiver → the checkpoint that its transfer began with."""
        self.damaged = False

    def copy(self) -> Volume:
        """Return what is durable now, as a backup of the volume has it."""
        copy = Volume(None, self.told)
        copy.hard, copy.records, copy.chains = self.hard, list(self.records), dict(self.chains)
        copy.base, copy.base_chain, copy.parts = self.base, self.base_chain, self.parts
        return copy

    def issue(self, effect: WriteHard | WriteRecord | Truncate | InstallCheckpoint) -> None:
        if isinstance(effect, InstallCheckpoint):
            self.queue.append((effect, self.incoming))
            self.incoming = []
        else:
            self.queue.append(effect)

    def complete(self, count: int) -> tuple[int, int]:
        """Make the oldest writes durable; return the last one's number, and what was installed."""
        number = installed = 0
        for write in self.queue[:count]:
            if isinstance(write, tuple):
                number, installed = write[0].number, write[0].index
                self._install(*write)
            else:
                number = write.number
                self._write(write)
        del self.queue[:count]
        return number, installed

    def _write(self, write: WriteHard | WriteRecord | Truncate) -> None:
        if isinstance(write, WriteRecord):
            record = write.record
            end = self.records[-1].last if self.records else self.base[1]
            assert record.first == end + 1, "a record is written behind the last one"
            self.records.append(record)
            self.chains[record.last] = record.chain
        elif isinstance(write, WriteHard):
            self.hard = write.hard
        else:
            assert write.after >= self.base[1], "a checkpoint is never truncated"
            while self.records and self.records[-1].last > write.after:
                del self.chains[self.records.pop().last]

    def _install(self, effect: InstallCheckpoint, parts: list[bytes]) -> None:
        if effect.keep_suffix:
            assert self.chains.get(effect.index) == effect.chain, "a kept suffix has the base (C3)"
            self.records = [r for r in self.records if r.last > effect.index]
        else:
            self.records = []
            self.chains = {effect.index: effect.chain}
        self.base, self.base_chain = (effect.epoch, effect.index), effect.chain
        self.parts = parts

    def store_part(self, effect: StorePart) -> None:
        if effect.number == 0:
            self.incoming = []
        assert effect.number == len(self.incoming), "parts are kept in order"
        self.incoming.append(effect.data)

    def save(self, effect: SaveCheckpoint, parts: list[bytes]) -> bool:
        """Save an own checkpoint; False: its record is not durable yet."""
        if effect.index <= self.base[1]:
            return True  # a newer one was installed meanwhile
        place = (effect.epoch, effect.index)
        found = [r.chain for r in self.records if (r.epoch, r.last) == place]
        if not found:
            return False
        self.base, self.base_chain = place, found[0]
        self.parts = parts
        self.records = [r for r in self.records if r.last > effect.index]
        return True

    def prune(self, effect: Prune) -> None:
        assert effect.index <= self.base[1], "a journal is dropped behind its checkpoint only (C5)"

    def read(self, effect: ReadPart) -> PartRead:
        """Read the next part of a transfer, which keeps the checkpoint that it began with."""
        if effect.number == 0:
            self.outgoing[effect.peer] = (self.base, self.parts)
        base, parts = self.outgoing.get(effect.peer, (self.base, []))
        data = parts[effect.number] if effect.number < len(parts) else b""
        last = effect.number == len(parts) - 1
        return PartRead(effect.peer, *base, effect.number, last, data)

    def crash(self, kept: int) -> int:
        """Lose what was not durable but for a prefix; return how many writes are gone."""
        self.complete(kept)
        lost = len(self.queue)
        self.queue = []
        self.incoming = []
        self.outgoing = {}
        self.syncing = 0
        return lost

    def holds(self, last: int, chain: bytes) -> bool:
        """Tell whether the record that ends at `last` is durable here."""
        return self.chains.get(last) == chain or self.base[1] >= last

    def recover(self) -> Recovered:
        base = self.base if self.parts else (0, 0)
        return Recovered(
            hard=self.hard,
            base_epoch=base[0],
            base_index=base[1],
            base_chain=self.base_chain if self.parts else b"",
            parts=list(self.parts),
            records=[r for r in self.records if r.last > base[1]],
            told=self.told,
        )
