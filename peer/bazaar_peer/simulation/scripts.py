"""Named scenarios: PROTOCOL §1's rows as scripts, each a function from a fresh world to facts.

A script passes with the core as it is; with the plants that it names it must fail, be it by a
checker or by the fact that it states. `SCRIPTS` maps its name to the plants that it shows.
"""

from __future__ import annotations

from collections.abc import Callable

from bazaar_peer.core import events as ev
from bazaar_peer.core.types import MS, Limits, Role, Timing
from bazaar_peer.simulation.script import Script

SCRIPTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {}
CALM = Timing(heartbeat_timeout=150 * MS)


def script(*plants: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(scenario: Callable[[], None]) -> Callable[[], None]:
        SCRIPTS[scenario.__name__] = (scenario, plants)
        return scenario

    return keep


# ---- investiture and replication: reference/model/scripts, rows 1–11, 16 ----


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


# ---- exactly once: rows 61–65, 82–85 ----


def own_limits() -> Limits:
    return Limits(key_retention_ms=400, peer_window=4)


@script("received_again", "expiry_ignored")
def row_61_a_submission_that_sleeps_past_the_retention_executes_nothing() -> None:
    """Key x through 0 is held; through 1 it executes and is forgotten; then 0's comes."""
    s = Script(3, limits=own_limits())
    trader = s.trader()
    sleeper, other = [p for p in range(3) if p != trader]
    s.run(200)
    s.world.network.hold("Submit", sleeper)
    s.submit(sleeper, 5, "x")
    s.run(10)
    done = s.submit(other, 5, "x")
    s.run(170)  # sent again meanwhile, as no answer comes
    assert s.status(done) == 0
    for beat in range(16):
        s.submit(other, 1, f"beat{beat}")
        s.run(15)
    held = s.world.network.holds[("Submit", sleeper)]
    late = held[-1]
    held.clear()
    held.append(late)
    s.world.network.release()
    s.run(50)


@script("floor_stuck")
def row_82_a_number_given_up_is_no_longer_waited_for() -> None:
    """A lost submission ends with 504; the window moves on without it."""
    s = Script(3, limits=own_limits())
    trader = s.trader()
    peer = next(p for p in range(3) if p != trader)
    s.run(200)
    s.world.network.hold("Submit", peer)
    short = s.world.hosts[peer].local(s.world.now) + 50 * MS
    lost = s.submit(peer, 1, "lost", deadline=short)
    s.run(120)
    s.world.network.holds.clear()
    assert s.status(lost) == 8
    for key in range(8):
        fresh = s.submit(peer, 1, f"fresh{key}")
        s.run(30)
        assert s.status(fresh) == 0, "the window is stuck"


@script("older_boot_opens")
def row_85_a_late_open_of_an_earlier_boot_opens_nothing() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1, 2)
    s.deliver_all("Submit", 2, 0)
    s.replicate(0, 1, 2)
    early = list(s.pool)
    s.restart(2)
    s.pool = [entry for entry in s.pool if entry not in early]
    session = s.peer(2).ingress.opening.sub
    opens = [session, type(session)(*[getattr(session, f) for f in session.__struct_fields__])]
    s.peer(0).trader_role.post.offer(opens[0], 2)
    s.turn(0)
    s.replicate(0, 1, 2)
    live = s.peer(0).state.sessions.peers["2.1"]
    older = opens[1].__class__(opens[1].session, opens[1].number - 1, *_rest(opens[1]))
    s.peer(0).trader_role.post.offer(older, 2)
    s.turn(0)
    s.replicate(0, 1, 2)
    assert s.peer(0).state.sessions.peers["2.1"] == live


def _rest(sub: object) -> list[object]:
    return [getattr(sub, field) for field in sub.__struct_fields__[2:]]  # type: ignore[attr-defined]
