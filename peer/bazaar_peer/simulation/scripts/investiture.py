"""Promises, nominees and their catch-up: rows 1, 10, 11, 16, and R3, R9."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core.types import Role
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script


@script("fetch")
def row_10_source_that_promised_higher_serves_no_catch_up() -> None:
    """fetch-unguarded.txt: the best journal's owner accepts epoch 3 while nominee 3 copies."""
    s = Script(5, manual=True, chunk_bytes=1 << 18)
    s.elect(0, 1, 2)  # 0 alone holds (1, 2)
    s.drop("Append")
    s.silence()
    s.restart(0)
    s.stand(3, 2)
    for promiser in (0, 1):
        s.deliver("IWon", 3, promiser)
        s.deliver("Promise", promiser, 3)
    s.elect(4, 1, 2, epoch=3)
    s.submit(4)
    s.replicate(4, 1, 2)  # commits in epoch 3
    s.slow_disk(2)
    s.submit(4)
    for _ in range(3):
        s.deliver_all("Append", 4, 0)
        s.deliver_all("AppendRefused", 0, 4)
    for _ in range(8):
        s.deliver_all("Fetch", 3, 0)
        s.deliver_all("Chunk", 0, 3)
    for _ in range(3):
        s.deliver_all("Append", 3, 0, 1, 2)
        s.deliver_all("Append", 4, 3)
        s.deliver_all("AppendRefused", 3, 4)
    s.deliver_all("Appended", 3, 4)
    s.deliver_all("Appended", 0, 4)
    s.silence()
    s.sync(2)
    s.stand(2, 4)
    for promiser in (1, 3):
        s.deliver("IWon", 2, promiser)
        s.deliver("Promise", promiser, 2)
    s.deliver_all("Fetch", 2, 1, 3)
    assert s.peer(3).role is not Role.TRADER


@script("fetchnoprev")
def row_11_chunks_are_checked_against_prev() -> None:
    """fetch-chunks.txt: the source's journal changes between two chunks."""
    s = Script(5, manual=True, chunk_bytes=1)
    s.elect(0, 1, 2)
    s.deliver_all("Append", 0, 1, 2)
    s.slow_disk(1)
    s.slow_disk(2)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Appended", 2, 0)  # 0 commits (1, 2), and alone holds (1, 3)
    s.drop("Append")
    s.sync(1)
    s.sync(2)
    s.silence()
    s.restart(0)
    s.stand(3, 2)
    for promiser in (0, 1):
        s.deliver("IWon", 3, promiser)
        s.deliver("Promise", promiser, 3)
    s.deliver("Fetch", 3, 0)
    s.deliver("Chunk", 0, 3)  # the first of two
    s.elect(4, 1, 2, epoch=3)
    s.submit(4)
    s.replicate(4, 1, 2)
    s.submit(4)
    for _ in range(4):
        s.replicate(4, 0, 1, 2)
    for _ in range(8):
        s.deliver_all("Fetch", 3, 0)
        s.deliver_all("Chunk", 0, 3)
    assert s.peer(3).role is not Role.TRADER


@script("keeprole")
def row_1_granting_ends_the_reign() -> None:
    """The trader of epoch 1 grants epoch 2, goes on, and counts its own disk."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.stand(2, 2)
    s.peer(0).follower.grant(2, 2)
    s.turn(0)
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    assert s.peer(0).role is Role.FOLLOWER


@script("badbest")
def the_best_journal_is_the_one_of_the_latest_epoch() -> None:
    """0 holds a long suffix of epoch 1, 1 a short and committed one of epoch 2 (R9)."""
    s = Script(5, manual=True)
    s.elect(0, 1, 2)
    s.deliver_all("Append", 0, 1, 2)
    s.deliver_all("Submit", 1, 0)
    s.deliver_all("Submit", 2, 0)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Appended", 2, 0)  # commits (1, 2), writes (1, 3) to (1, 5) at once
    s.drop("Append")
    s.silence()
    s.elect(3, 1, 2, epoch=2)
    s.deliver_all("Append", 3, 1, 2)
    s.deliver_all("Appended", 1, 3)
    s.deliver_all("Appended", 2, 3)  # commits (2, 3)
    s.drop("Append")
    s.silence()
    s.restart(0)
    s.elect(4, 0, 1, epoch=3)


@script("handover")
def row_16_a_successor_goes_through_investiture() -> None:
    """Named by the trader of epoch 1, 1 begins epoch 2 only with a majority's promises."""
    s = Script(5, manual=True)
    s.elect(0, 1, 2)
    s.replicate(0, 1, 2, 3, 4)
    s.turn(0, ev.Resign(leaving=False, successor=1))
    s.replicate(0, 1, 2)
    s.deliver("Nominated", 0, 1)
    assert s.peer(1).role is Role.NOMINEE


@script("reprom")
def same_epoch_goes_to_one_nominee() -> None:
    """R3: the same (epoch, nominee) is answered again, a rival is refused."""
    s = Script(3, manual=True)
    s.stand(0, 1)
    s.stand(2, 1)
    s.deliver("IWon", 0, 1, keep=True)
    s.deliver("Promise", 1, 0)
    s.deliver("IWon", 0, 1)
    s.deliver("Promise", 1, 0)
    s.deliver("IWon", 2, 1)
    s.deliver("Refused", 1, 2)
    assert s.peer(2).role is not Role.TRADER


@script("reuse")
def row_6_a_restarted_nominee_stands_for_another_epoch() -> None:
    """0 promised epoch 1 to itself, and may have been promised it, before it crashed."""
    s = Script(3, manual=True)
    s.stand(0)
    s.deliver("IWon", 0, 1)
    s.drop("IWon")
    s.restart(0)
    s.silence()
    s.stand(0)
    asked = [message.epoch for message in s.told("IWon", 0)]
    assert asked, "it stands"
    assert min(asked) > 1


@script("overtake")
def row_3_a_promise_stands_behind_the_append_in_the_disks_queue() -> None:
    """1 is syncing when 2 asks for epoch 2: it reports that end, and acknowledges no more."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.drop("Append")
    s.slow_disk(1)
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    end = s.peer(1).journal.last
    s.silence()
    s.stand(2, 2)
    s.deliver("IWon", 2, 1)
    assert not s.told("Promise", 1), "a promise is answered once it is durable"
    s.sync(1)
    (promise,) = s.told("Promise", 1)
    assert (promise.last_epoch, promise.last_index) == end
    assert end not in [(1, answer.match) for answer in s.told("Appended", 1)]
