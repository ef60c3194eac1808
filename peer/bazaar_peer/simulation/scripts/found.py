"""Bugs that the core once had, told anew: what simulated schedules found by chance."""

from __future__ import annotations

from bazaar_peer.core.types import Role
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script


def alone_with_a_batch(s: Script) -> None:
    """Let 0, trader of epoch 1, write (1, 3) to (1, 5) as one record that nobody else gets."""
    s.elect(0, 1, 2)
    s.deliver_all("Append", 0, 1, 2)
    s.deliver_all("Submit", 1, 0)
    s.deliver_all("Submit", 2, 0)
    s.deliver_all("Appended", 1, 0)
    assert s.peer(0).journal.ends == [1, 2, 5]
    s.drop("Append")
    s.silence()


@script("install_acknowledged_early")
def an_installed_checkpoint_is_acknowledged_once_it_is_durable() -> None:
    """R4, R6 (seeds 964, 1351): 0's old journal is durable beyond the checkpoint, and differs."""
    s = Script(3, manual=True, checkpoint_entries=5, journal_max_bytes=1)
    alone_with_a_batch(s)
    s.elect(1, 2, epoch=2)
    s.beat(1, 2, times=6)  # 1 saves a checkpoint and prunes
    s.drop("Append")
    s.beat(1, 2)
    base, before = s.peer(1).journal.base[1], s.peer(0).commit
    assert before < base < 5, "the checkpoint ends within the journal that 0 had"
    s.deliver_all("Append", 1, 0)
    s.deliver_all("AppendRefused", 0, 1)
    s.slow_disk(0)
    s.copy(1, 0)
    early = [answer.match for answer in s.told("Appended", 0)]
    s.sync(0)
    told = [answer.match for answer in s.told("Appended", 0)]
    assert s.peer(0).journal.base[1] == base
    assert max(early, default=0) <= before
    assert max(told) == base


@script("hint_inside_a_record")
def a_hint_inside_one_of_the_traders_records_is_stepped_back_from() -> None:
    """R6 (seed 5110): 0 names an end of its own, where the trader has none and nothing pruned."""
    s = Script(3, manual=True)
    alone_with_a_batch(s)
    s.elect(1, 2, epoch=2)
    s.deliver_all("Append", 1, 2)
    s.deliver_all("Appended", 2, 1)  # commits (2, 3), writes (2, 4)
    s.submit(1)
    s.deliver_all("Submit", 2, 1)
    s.replicate(1, 2)  # (2, 5) and (2, 6) are one record
    assert s.peer(1).journal.epoch_at(5) < 0 < s.peer(0).journal.epoch_at(5)
    s.silence()
    s.restart(1)
    s.elect(2, 1, epoch=3)
    s.replicate(2, 0, 1)
    s.go_on()
    s.run(600)
    request = s.submit(0, 7)
    s.run(100)
    assert s.peer(0).journal.last == s.peer(s.trader()).journal.last
    assert s.status(request) == 0


@script("rivals_undo_copies")
def a_rival_does_not_undo_a_copy_that_advances() -> None:
    """N8 (seeds 20007191, 20305137): 0 and 3 do not see each other; 1 has what both lack."""
    s = Script(4, manual=True, chunk_bytes=1)
    s.elect(1, 0, 2, 3)
    s.replicate(1, 0, 2)
    for _ in range(3):
        s.submit(1)
        s.replicate(1, 2)
    s.drop("Append")
    s.silence()
    s.restart(1)
    s.stand(0)
    epoch = s.peer(0).epoch
    for promiser in (1, 2):
        s.deliver("IWon", 0, promiser)
        s.deliver("Promise", promiser, 0)
    for promiser in (1, 2):
        s.deliver_all("IWon", 0, promiser)  # the copy advances, it says
    s.stand(3, epoch + 1)
    for promiser in (1, 2):
        s.deliver("IWon", 3, promiser)
    assert {told.epoch for told in s.told("Promise", 1) + s.told("Promise", 2)} == {epoch}
    while s.told("Fetch", 0):
        s.deliver("Fetch", 0, 1)
        s.deliver("Chunk", 1, 0)
    assert s.peer(0).role is Role.TRADER
    s.replicate(0, 1, 2)
    assert s.peer(0).is_trader
    assert s.peer(0).epoch == s.peer(1).epoch == epoch
