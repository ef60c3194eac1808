"""Appends, acknowledgements, commits and reads: rows 2, 4–9, 17, 23."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import PeerId, Role
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import cut_off, ring


@script("commitold")
def entries_of_earlier_epochs_are_not_committed_by_counting() -> None:
    """Raft's figure 8: (1, 3) reaches a majority in epoch 3 before its `EpochStarted` does."""
    s = Script(3, manual=True, chunk_bytes=1)
    s.elect(0, 1)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    s.drop("Append")  # 0 alone holds (1, 3)
    s.silence()
    s.elect(2, 1, epoch=2)  # 2 alone holds (2, 3)
    s.drop("Append")
    s.silence()
    s.restart(0)
    s.elect(0, 1, epoch=3)
    s.deliver("Append", 0, 1)
    s.deliver("AppendRefused", 1, 0)
    s.deliver("Append", 0, 1)  # (1, 3) alone
    s.deliver_all("Appended", 1, 0)
    s.silence()
    s.elect(2, 1, epoch=4)


@script("appendnopromise")
def row_2_an_accepted_append_raises_the_promise() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.restart(0)
    s.deliver_all("Append", 2, 0)
    assert s.peer(0).epoch == 2


@script("acknoepoch")
def row_4_an_acknowledgement_of_an_earlier_reign_counts_for_nothing() -> None:
    """0 loses the unsynced (1, 3) and leads again; 1's late acknowledgement of it comes."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.deliver_all("Append", 0, 1)
    s.slow_disk(0)
    s.deliver_all("Appended", 1, 0)  # commits (1, 2), writes (1, 3)
    s.deliver_all("Append", 0, 1)
    late = [entry for entry in s.pool if type(entry[2]).__name__ == "Appended"]
    s.drop("Appended")
    s.silence()
    s.restart(0, kept=0)
    s.elect(0, 2, epoch=2)
    s.drop("Append")
    s.pool = late + s.pool
    s.deliver_all("Appended", 1, 0)
    assert s.peer(0).commit < s.peer(0).trader_role.started


@script("resume")
def row_5_a_restarted_trader_never_resumes_its_epoch() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.slow_disk(0)
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    s.restart(0, kept=0)
    s.submit(0, 7)
    assert s.peer(0).role is Role.FOLLOWER


@script("unclamped")
def row_7_the_commit_index_is_capped_at_what_the_message_verified() -> None:
    """1 holds a divergent suffix; a heartbeat vouches for less than it commits."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Append", 0, 1)  # 1 holds (1, 2), (1, 3); 0 lost (1, 3)
    s.drop("Appended")
    s.silence()
    before = s.peer(1).commit
    heartbeat = msg.Append(9, 1, 0, 1, 3, 0, [], {})
    s.turn(1, ev.Received(PeerId(2), heartbeat))
    assert s.peer(1).commit == before


@script("trunc", "acklast")
def row_8_9_an_old_short_append_truncates_and_acknowledges_nothing_more() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    first = [entry for entry in s.pool if type(entry[2]).__name__ == "Append"]
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Append", 0, 1)
    last = s.peer(1).journal.last
    s.drop("Appended")
    s.peer(1).follower._acked_match = -1
    s.peer(1).follower.verified = 0
    s.pool += [entry for entry in first if entry[1] == 1]
    s.deliver("Append", 0, 1)
    told = [m.match for _, _, m in s.pool if isinstance(m, msg.Appended)]
    assert s.peer(1).journal.last == last
    assert told == [2]


@script("selfack")
def row_17_the_trader_counts_its_own_disk_when_its_sync_is_done() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.slow_disk(0)
    commit = s.peer(0).commit
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    assert s.peer(0).commit == commit


@script("readlocal")
def row_23_a_deposed_trader_answers_no_linearizable_read() -> None:
    s, old, others = ring(3, lingers=True)
    cut_off(s, old)
    s.world.sleep(old)
    s.run(400)
    s.submit(others[0], 5, "later")
    s.run(100)
    host = s.world.hosts[old]
    host.asleep_since, host.backlog = -1, []
    read = s.read(old)
    s.run(60)
    assert s.status(read) != 0 or s.peer(old).state.index >= s.peer(others[0]).state.index
