"""The peer's books: what is appended, committed and applied, and what of it may be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import Effect, Prune, Removed, SaveCheckpoint
from bazaar_peer.core.records import is_over
from bazaar_peer.core.types import Nanos, PeerId, Role, Settings, name_of, ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.durability import DiskQueue
    from bazaar_peer.core.ingress import Ingress
    from bazaar_peer.core.journal import Journal
    from bazaar_peer.core.state import State
    from bazaar_peer.core.trader import Trader
    from bazaar_peer.core.vector_clock import VectorClock

APPLY_MAX = 2000
"""Entries applied in one turn at most, so that no step outlasts a heartbeat interval (N8)."""


class Ledger:
    """The part of `Peer` that keeps journal, commit index, state and checkpoints in step."""

    me: PeerId
    settings: Settings
    now: Nanos
    role: Role
    effects: list[Effect]
    journal: Journal
    disk: DiskQueue
    clock: VectorClock
    state: State
    ingress: Ingress
    trader_role: Trader
    members: msg.MembersChanged
    voters: tuple[PeerId, ...]
    commit: int
    heard_commit: int
    saved_index: int
    keep_index: int
    checkpoint_bytes: int
    grown_bytes: int
    saved_at: Nanos
    """When the newest checkpoint was begun, or this process."""
    saving: bool
    backlog: bool
    was_member: bool
    slice_left: int
    """Entries that this turn may still apply."""

    def begin_slice(self) -> None:
        self.slice_left = APPLY_MAX

    def note(self, kind: str, **fields: int | str) -> None:
        """Tell telemetry; `Peer` does."""
        raise NotImplementedError

    def halt(self, reason: str) -> None:
        """Stop for good; `Peer` does."""
        raise NotImplementedError

    def members_changed(self) -> None:
        """Count over other members from now on (R9); `Peer` does."""
        raise NotImplementedError

    def truncate(self, after: int) -> None:
        """Drop a conflicting suffix; at or below the commit index that is fatal (R6)."""
        if after < self.commit:
            self.halt(f"asked to drop entries behind {after}, but {self.commit} are committed")
            return
        self.note("truncated", after=after, last=self.journal.last[1])
        self.journal.truncate(after)
        self.disk.truncate(after, self.now)
        self.members_changed()

    def add_record(self, stored: msg.Stored, record: msg.Record) -> None:
        """Append to the journal, in memory now and on disk in order."""
        self.journal.append(stored, record)
        self.disk.append(stored, self.now)
        self.clock.merge(record.clock)
        if self.journal.members is not self.members:
            self.members_changed()

    def commit_to(self, index: int) -> None:
        """Take note that the journal is committed up to here, and apply it."""
        if index > self.commit:
            self.commit = index
            self.heard_commit = max(self.heard_commit, index)
            self.apply()

    def apply(self) -> None:
        """Apply what is committed, a slice in each turn at most; the next goes on with the rest."""
        before = self.state.index
        while (stored := self._applicable()) and self.slice_left > 0:
            record = self.journal.entries_of(stored)
            reigns = self.role is Role.TRADER
            wanted = None if reigns else self.ingress.sessions_waiting()
            answers = self.state.apply(record, stored.chain, wanted)
            self.slice_left -= len(record.entries)
            if self.cannot_go_on():
                return
            if answers:
                self.ingress.answered(answers)
            if reigns:
                self.trader_role.applied(answers)
            self._maybe_checkpoint(stored)
        self.backlog = stored is not None
        if self.state.index > before:
            self.ingress.state_advanced()
            self.see_removal()

    def cannot_go_on(self) -> bool:
        """Stop where entries begin that this release would apply otherwise than the ring (U1).

        What raised the version stands alone in its record, so nothing was applied by it yet.
        """
        why = self.state.beyond_release()
        if why:
            self.halt(why)
        return bool(why)

    def see_removal(self) -> None:
        """Say once that this life was removed; one that is not yet a member was not."""
        member = name_of(self.me) in self.state.sessions.admission.lives
        if self.was_member and not member:
            self.end_life()
        self.was_member = member

    def knows_over(self, life: PeerId) -> bool:
        """Tell whether a life is over by what is committed (R14)."""
        committed = self.state.members
        return committed is not None and is_over(committed, life)

    def end_life(self) -> None:
        """This life is over, or goes on without this volume: nothing that it holds counts (R14)."""
        self.note("removed", index=self.state.index)
        self.effects.append(Removed())

    def _applicable(self) -> msg.Stored | None:
        if self.state.index >= self.commit:
            return None
        stored = self.journal.next_behind(self.state.index)
        return stored if stored is not None and stored.last <= self.commit else None

    def _maybe_checkpoint(self, stored: msg.Stored) -> None:
        """Begin a checkpoint every so many entries, peers in turn, and not more than is worth it.

        Or at the interval, if one is set: what a start reads is bounded in time, too.

        Writing the state costs as much as its size: a checkpoint that waits until the journal has
        grown by the size of the last one costs a constant share of the work.
        """
        self.grown_bytes += len(stored.blob)
        every = self.settings.checkpoint_entries
        turn = every * ordinal_of(self.me) // max(1, len(self.voters))
        interval = self.settings.checkpoint_interval
        late = 0 < interval <= self.now - self.saved_at
        if not late and (stored.last + turn) // every == (stored.first - 1 + turn) // every:
            return
        if not self.saving and (late or self.grown_bytes >= self.checkpoint_bytes):
            self.saving, self.grown_bytes, self.saved_at = True, 0, self.now
            state = self.state
            self.effects.append(SaveCheckpoint(state.epoch, state.index, state.snapshot()))

    def keep_from(self, index: int) -> None:
        """Every follower has the journal up to here: what waited for the slowest may go (C1)."""
        self.keep_index = index
        if self.journal.base[1] < self.saved_index <= index:
            self.prune()

    def prune(self) -> None:
        """Forget records behind checkpoint and slowest follower, whichever is lower (C1)."""
        to = min(self.saved_index, self.state.index)
        if self.journal.bytes <= self.settings.journal_max_bytes:
            to = min(to, self.keep_index)
        if to > self.journal.base[1]:
            self.journal.prune(to)
            self.effects.append(Prune(self.journal.base[1]))
