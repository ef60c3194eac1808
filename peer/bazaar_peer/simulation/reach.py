"""Must-reach states: what a campaign has to have seen, or its silence says nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.messages import Stored
from bazaar_peer.core.records import voters_of
from bazaar_peer.core.sessions import Session
from bazaar_peer.core.types import NOBODY, Role, ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.simulation.host import Host
    from bazaar_peer.simulation.world import World

MUST = tuple(
    """
    two_live_traders deposed_by_granting same_epoch_rival_refused promise_answered_again
    catch_up_by_suffix catch_up_by_checkpoint source_refused crash_in_catch_up_third_0
    crash_in_catch_up_third_1 crash_in_catch_up_third_2 old_epoch_committed conflict_dropped
    divergent_got_commit committed_without_own_disk unsynced_tail_lost torn_tail_dropped
    corrupt_refused disk_stall_stepped_down late_ack_of_earlier_epoch append_after_promise
    stale_nomination orphan_dropped poll excluded backoff_3 majority_lost_and_found hand_over_done
    successor_crashed post_reopened key_twice_in_journal key_through_two_peers number_below_floor
    read_over_election deadline_passed_committed batch_reordered checkpoint_sent queue_full
    mixed_versions crash_between_effects status_other_body status_expired status_keys_full
    status_no_session status_sessions_full session_opened numbers_retried stalled_socket_closed
    exactly_a_majority left member_added member_removed members_truncated
    members_committed_by_another widened amnesiac_readmitted learner_promoted_over_an_election
    trader_removed_after_hand_over old_copy_refused old_release_stopped held_up hears_again
    """.split()
)


class Reach:
    """Counts what is worth counting as it goes by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost_majority = False
        self.origins: dict[tuple[str, str], int] = {}
        self.successors: dict[int, int] = {}
        self.handed: dict[int, int] = defaultdict(int)
        self.copy_from: dict[int, int] = defaultdict(int)
        self.lost: list[int] = []
        """Lives whose volume is lost."""
        self.must_go: list[int] = []
        """Lives that handed over as trader to be removed."""
        self.late: list[tuple[str, int, int]] = []
        """Fuses that wait for a later third of a copy: (kind, effects after it, time down)."""
        self.watch: dict[type, Callable[[Host, Peer, int, Any], None]] = {
            msg.IWon: self._i_won,
            msg.Append: self._append,
            msg.Appended: self._appended,
            msg.Chunk: self._chunk,
        }

    def received(self, host: Host, peer: Peer, event: ev.Received) -> None:
        watch = self.watch.get(type(event.message))
        if watch is not None:
            watch(host, peer, event.sender, event.message)

    def _i_won(self, host: Host, peer: Peer, sender: int, message: msg.IWon) -> None:
        hard = peer.disk.hard
        if message.epoch == hard.promised:
            again = sender == hard.promised_to
            self.world.reach("promise_answered_again" if again else "same_epoch_rival_refused")

    def _append(self, host: Host, peer: Peer, sender: int, message: msg.Append) -> None:
        if message.epoch < peer.epoch:
            self.world.reach("append_after_promise")
        last = peer.journal.last[1]
        if peer.commit < message.commit <= last and last > message.prev_index:
            chains = self.world.checkers.committed.chains
            end = peer.journal.floor_of(message.commit)
            stored = peer.journal.next_behind(end - 1)
            if stored is not None and chains.get(end, stored.chain) != stored.chain:
                self.world.reach("divergent_got_commit")

    def _appended(self, host: Host, peer: Peer, sender: int, message: msg.Appended) -> None:
        late = peer.role is Role.TRADER and message.epoch < peer.trader_role.epoch
        if late and self.world.checkers.reigns.get(message.epoch) == host.id:
            self.world.reach("late_ack_of_earlier_epoch")

    def _chunk(self, host: Host, peer: Peer, sender: int, message: msg.Chunk) -> None:
        if message.epoch == peer.nominee.epoch and message.records:
            self.world.reach("catch_up_by_suffix")
            if self.late and host.burning < 0:
                late = 2 if self.late[-1][1] else 1
                if self._third(host, peer, message) == late:
                    host.fuse = self.late.pop()
                    host.burning = host.fuse[1] % 2
            if host.fuse and host.fuse[0] == "Chunk" and host.burning < 0:
                host.burning = host.fuse[1] % 2

    def _third(self, host: Host, peer: Peer, message: msg.Chunk) -> int:
        """Return in which third of its copy a nominee is behind this chunk; 3: at its end."""
        source, last = peer.nominee.source, msg.decode_record(message.records[-1])
        start = self.copy_from[host.id]
        target = peer.nominee.promises[source].last_index if source != NOBODY else start
        end = last.first + len(last.entries) - 1
        return max(0, end - start) * 3 // max(1, target - start)

    def crashing(self, host: Host, peer: Peer) -> None:
        world, source = self.world, peer.nominee.source
        if peer.role is Role.NOMINEE and source != NOBODY:
            target = peer.nominee.promises[source].last_index
            start = self.copy_from[host.id]
            done = max(0, peer.journal.last[1] - start) * 3 // max(1, target - start)
            world.reach(f"crash_in_catch_up_third_{min(2, done)}")
        for other in world.hosts.values():
            if other.peer is not None and other.peer.trader_role.hand_over.successor == host.id:
                world.reach("successor_crashed")

    def committed(self, host: Host, peer: Peer, stored: Stored) -> None:
        if peer.role is Role.TRADER and stored.epoch < peer.epoch:
            self.world.reach("old_epoch_committed")
        for entry in msg.decode_record(stored.blob).entries:
            if type(entry) is msg.MembersChanged:
                self._members(host, stored.epoch, entry)
            elif type(entry) is msg.VersionRaised:
                self.world.reach("mixed_versions")
            elif type(entry) is msg.Submission and entry.key:
                first = self.origins.setdefault((entry.client, entry.key), entry.session)
                self.world.reach(
                    "key_twice_in_journal" if first == entry.session else "key_through_two_peers"
                ) if (entry.client, entry.key) in self.world.checkers.committed.keys else None

    def _members(self, host: Host, epoch: int, change: msg.MembersChanged) -> None:
        """See what a change of members does that this peer is the first to take for committed."""
        world, before = self.world, self.world.checkers.committed.members
        trades = host.peer is not None and host.peer.role is Role.TRADER
        another = trades and world.checkers.reigns.get(epoch, host.id) != host.id
        if another:
            world.reach("members_committed_by_another")
        voted, votes = set(voters_of(before)), set(voters_of(change))
        for life in votes - voted:
            if another:
                world.reach("learner_promoted_over_an_election")
            if any(life != lost and ordinal_of(lost) == ordinal_of(life) for lost in self.lost):
                world.reach("amnesiac_readmitted")
        for life in voted - votes:
            world.reach("member_removed")
            if life in self.must_go:
                world.reach("trader_removed_after_hand_over")

    def truncated(self, host: Host, effect: ef.Truncate) -> None:
        """See whether a change of members goes with a conflicting suffix (R9)."""
        volume = host.volume
        written = [w.record for w in volume.queue if isinstance(w, ef.WriteRecord)]
        for stored in [*volume.records, *written]:
            if stored.last > effect.after:
                entries = msg.decode_record(stored.blob).entries
                if any(type(entry) is msg.MembersChanged for entry in entries):
                    self.world.reach("members_truncated")

    def floor(self, entry: msg.Submission, session: Session) -> None:
        if entry.number < session.floor:
            self.world.reach("number_below_floor")

    def note(self, host: Host, effect: ef.Note) -> None:
        world, kind, fields = self.world, effect.kind, effect.fields
        if kind == "role_ended":
            why = str(fields["why"])
            granted = why.startswith("promised") and not why.endswith(f"to {host.id}")
            if fields["role"] == "trader" and granted:
                world.reach("deposed_by_granting")
        elif kind == "nominee" and host.peer is not None:
            self.copy_from[host.id] = host.peer.journal.last[1]
            chosen = self.successors.get(host.id) == fields["transfer"] != 0
            self.handed[host.id] = int(fields["epoch"]) if chosen else 0
        elif kind == "successor_named":
            self.successors[int(fields["successor"])] = int(fields["epoch"])
        elif kind == "stepped_down":
            self._stepped_down(str(fields["why"]))
        elif kind == "epoch_started":
            if len(world.traders()) > 1:
                world.reach("two_live_traders")
        elif kind == "reign_begun":
            if self.handed[host.id] == fields["epoch"]:
                world.reach("hand_over_done")
            if self.lost_majority:
                world.reach("majority_lost_and_found")
            self.lost_majority = False
        elif kind == "trader_must_go":
            self.must_go.append(host.id)
        elif kind == "attempt_failed":
            if int(fields["failed"]) >= 3:
                world.reach("backoff_3")
        else:
            world.reach(NAMES.get(kind, kind))

    def _stepped_down(self, why: str) -> None:
        if "no majority" in why:
            self.lost_majority = True
        elif "stalled" in why or "still" in why:
            self.world.reach("disk_stall_stepped_down")


NAMES = {
    "fetch_refused": "source_refused",
    "checkpoint_installed": "catch_up_by_checkpoint",
    "truncated": "conflict_dropped",
    "session_open": "session_opened",
}
