"""`bazaar recover`: a new ring of what is left when a majority of volumes is lost (R14)."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from bazaar_peer.command import ring_folder
from bazaar_peer.command.recover import Talk, recover
from bazaar_peer.command.ring_folder import RingError, RingFile, RingFolder, open_ring
from bazaar_peer.command.verify import verify
from bazaar_peer.core.effects import Hard, Recovered, Write, WriteHard, WriteRecord
from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import (
    COMMAND,
    OPEN_PEER,
    OPEN_SESSION,
    Entry,
    EpochStarted,
    MembersChanged,
    Record,
    Stored,
    Submission,
    decode_record,
)
from bazaar_peer.core.records import SET_SIZE
from bazaar_peer.core.state import State
from bazaar_peer.core.types import incarnation_of, ordinal_of
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of
from bazaar_peer.market.commands import Deposit, Order, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Files
from bazaar_peer.runtime.volume import Identity, Layout, format_volume
from bench.rig import Ring, kill
from tests.integration.disk.rig import Failing
from tests.integration.ring.conftest import (
    Answer,
    StartRing,
    ask,
    bazaar,
    deposit,
    lines_of,
    order,
    trader_of,
    until,
)
from tests.integration.ring.killer import Killed, Killer

SMALL = Layout(segment_bytes=64 * 1024, reserve_bytes=0)


class Quick(Files):
    """A disk for looking at: nothing crashes under it."""

    def sync(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


@dataclass
class History:
    """Records one behind the other, and how many of them each peer's volume has."""

    folder: RingFolder
    records: list[Stored] = field(default_factory=list)

    def add(self, *entries: Entry, epoch: int = 1, committed: int = 1) -> Stored:
        end = self.records[-1] if self.records else self.folder.genesis()
        record = Record(epoch, end.last + 1, committed, 0, {0: end.last}, list(entries))
        self.records.append(store(record, end.chain))
        return self.records[-1]

    def write(self, peer: int, count: int, promised: int = 1) -> None:
        """Write the first so many records behind the genesis to a peer's volume."""
        volume = Volume.open(
            self.folder.volume(peer), Identity(self.folder.made.ring, peer, 0), SMALL, Quick()
        )
        volume.recover()
        writes: list[Write] = [WriteHard(1, Hard(promised=promised))]
        writes += [WriteRecord(2 + n, stored) for n, stored in enumerate(self.records[:count])]
        volume.perform(writes)
        volume.close()


def submission(body: bytes, number: int, key: str = "", kind: int = COMMAND) -> Submission:
    stamp = sealed({0: number})
    return Submission(3, number, 1, kind, "ann", key, digest_of(kind, body), 0, *stamp, body)


def opening(boot: int) -> Submission:
    return Submission(-1, boot, 1, OPEN_PEER, "0.0", "", 0, 0, *sealed({0: 1}), b"")


@pytest.fixture
def history(folder: Path) -> History:
    """A ring of three: salt, and two orders in batches of their own."""
    made = History(make(folder / "ring", 3))
    made.add(EpochStarted(0), opening(1))
    made.add(submission(encode_command(Deposit("salt", 100, 5, "ali")), 1), committed=3)
    made.add(submission(encode_command(Order("salt", 3, "zoe")), 2, "k1"), committed=4)
    made.add(submission(encode_command(Order("salt", 2, "zoe")), 3, "k2"), committed=5)
    return made


def make(path: Path, peers: int) -> RingFolder:
    """Make a ring as `create` does, with small volumes."""
    folder = ring_folder.make_ring(path, RingFile(ring="ring-1", peers=peers))
    for peer in range(peers):
        identity = Identity("ring-1", peer, 0)
        format_volume(folder.volume(peer), identity, folder.genesis(), SMALL, Quick())
    ring_folder.finish(folder)
    return folder


def lose(folder: RingFolder, *peers: int) -> None:
    for peer in peers:
        shutil.rmtree(folder.volume(peer))


def damage(folder: RingFolder, peer: int) -> None:
    mark = folder.volume(peer) / "mark"
    mark.write_bytes(b"\xff" + mark.read_bytes()[1:])


def tree(path: Path) -> dict[str, bytes]:
    """Return what lies there, but for locks, which a look makes."""
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "lock"]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def recovered(history: History, files: Files | None = None) -> tuple[dict[str, Any], list[str]]:
    """Recover the folder; return what was done and what was said."""
    said: list[str] = []
    done = recover(history.folder.path, Talk(said.append, lambda: True), files or Quick())
    return done, said


def volumes(path: Path) -> list[tuple[int, Recovered]]:
    """Open every volume of a ring's folder as its peer would; return incarnations and contents."""
    folder = open_ring(path)
    assert folder is not None
    found = []
    for peer in range(folder.made.peers):
        identity = Identity(folder.made.ring, peer, 0)
        volume = Volume.open(folder.volume(peer), identity, SMALL, Quick())
        found.append((volume.identity.incarnation, volume.recover()))
        volume.close()
    return found


def state_of(one: Recovered) -> State:
    state = State(Market)
    for part in one.parts:
        state.restore(part)
    for stored in one.records:
        state.apply(decode_record(stored.blob), stored.chain)
    return state


# ---- what it refuses, with nothing changed


def refused(history: History) -> str:
    before = tree(history.folder.path)
    with pytest.raises(RingError) as why:
        recovered(history)
    assert tree(history.folder.path) == before
    return str(why.value)


def test_ring_with_a_majority_of_whole_volumes_is_not_recovered(history: History) -> None:
    history.write(0, 4)
    history.write(1, 2)
    lose(history.folder, 2)

    why = refused(history)

    assert why.startswith("2 of the ring's 3 voters have whole volumes, which is a majority")
    assert f"`bazaar up --data {history.folder.path}`" in why


def test_majority_is_counted_over_the_newest_members_of_the_best_journal(history: History) -> None:
    """R9: two of five folders, but the ring had become one of these two and a third."""
    genesis = decode_record(history.folder.genesis().blob).entries[0]
    assert isinstance(genesis, MembersChanged)
    history.add(MembersChanged(genesis.members[:2], "ring-1", genesis.limits, genesis.machine))
    history.write(0, 5)
    lose(history.folder, 1, 2)

    _, said = recovered(history)

    assert any(line.startswith("1 of the ring's 2 voters have whole volumes") for line in said)


def test_volume_in_use_is_left_alone(history: History) -> None:
    history.write(1, 4)
    lose(history.folder, 0, 2)
    running = Volume.open(history.folder.volume(1), Identity("ring-1", 1, 0), SMALL)

    why = refused(history)

    running.close()
    assert "a running process holds the volume of peer 1" in why
    assert recovered(history)[0]["survivor"] == 1


def test_volume_in_use_whose_identity_was_taken_away_is_left_alone(history: History) -> None:
    lose(history.folder, 0)
    running = Volume.open(history.folder.volume(2), Identity("ring-1", 2, 0), SMALL)
    (history.folder.volume(2) / "identity").unlink()

    why = refused(history)

    running.close()
    assert "a running process holds the volume of peer 2" in why


def test_without_a_whole_volume_there_is_nothing_to_recover(history: History) -> None:
    lose(history.folder, 0, 1)
    damage(history.folder, 2)

    why = refused(history)

    assert "no volume in" in why
    assert "peer 0: lost" in why
    assert "peer 2: damaged: the mark of what was acknowledged is unreadable" in why


def test_two_at_once_do_not_work_on_one_folder(history: History) -> None:
    lose(history.folder, 0, 1)
    said: list[str] = []

    def agreed() -> bool:
        said.append(refused(history))
        return False

    with pytest.raises(RingError, match="nothing was changed"):
        recover(history.folder.path, Talk(lambda _: None, agreed), Quick())
    assert "another `bazaar recover" in said[0]


def test_nobody_to_ask_is_misuse_and_no_ring_a_failure(history: History) -> None:
    lose(history.folder, 0, 1)
    before = tree(history.folder.path)

    unasked = bazaar("recover", history.folder.path)
    nowhere = bazaar("recover", history.folder.path / "logs")

    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "What only the lost or damaged volumes had is lost" in unasked.stderr
    assert "with --yes" in unasked.stderr
    assert (nowhere.returncode, "no ring.json" in nowhere.stderr) == (1, True)
    assert tree(history.folder.path) == before


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0)])
def test_person_is_asked_on_a_terminal(history: History, answer: bytes, code: int) -> None:
    lose(history.folder, 0, 1)
    before = tree(history.folder.path)
    person, terminal = os.openpty()
    os.write(person, answer)

    done = subprocess.run(
        [sys.executable, "-m", "bazaar_peer", "recover", history.folder.path],
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )

    os.close(person)
    os.close(terminal)
    assert (done.returncode, "Make the new ring? [y/N]" in done.stderr) == (code, True), done
    assert (tree(history.folder.path) == before) == bool(code)
    assert ("nothing was changed" in done.stderr) == bool(code)


# ---- what it recovers


def test_whole_volume_is_the_survivor_however_far_a_damaged_one_goes(history: History) -> None:
    history.write(0, 4)
    history.write(1, 2)
    damage(history.folder, 0)
    lose(history.folder, 2)

    done, said = recovered(history)

    assert (done["survivor"], done["index"], done["committed"]) == (1, 4, 3)
    assert done["volumes"] == {"0": "damaged", "1": "whole", "2": "lost"}
    assert "  peer 0: damaged: the mark of what was acknowledged is unreadable" in said
    assert "  peer 1: whole, up to index 4 of epoch 1" in said


def test_best_survivor_is_that_of_the_last_epoch(folder: Path) -> None:
    """R9: a longer journal of an older epoch lacks what the newer one committed."""
    made = make(folder / "ring", 5)
    longer, newer = History(made), History(made)
    for one in (longer, newer):
        one.add(EpochStarted(0), opening(1))
    longer.add(*(submission(b"?", n) for n in range(1, 9)), committed=3)
    newer.add(EpochStarted(1), epoch=2, committed=3)
    longer.write(2, 2)
    newer.write(4, 2, promised=7)
    lose(made, 0, 1, 3)

    done, _ = recovered(newer)

    assert (done["survivor"], done["epoch"], done["index"]) == (4, 2, 4)
    assert volumes(made.path)[0][1].base_epoch == 8  # above every promise


def test_what_is_known_to_be_committed_is_told_apart_from_what_is_not(history: History) -> None:
    history.write(2, 4)
    lose(history.folder, 0, 1)

    done, said = recovered(history)

    told = " ".join(said)
    assert (done["index"], done["committed"]) == (6, 5)
    assert "Its entries up to index 5 are known to be committed." in told
    assert "Those from 6 to 6 were perhaps acknowledged, perhaps never" in told
    assert "lost, even if it was acknowledged" in told


def test_every_new_volume_begins_with_the_survivors_state_under_a_new_life(
    history: History,
) -> None:
    history.add(submission(b"", 4, kind=OPEN_SESSION))
    history.write(2, 5, promised=4)
    lose(history.folder, 0, 1)
    old = tree(history.folder.volume(2))

    done, _ = recovered(history)

    found = volumes(history.folder.path)
    assert [incarnation for incarnation, _ in found] == [1, 1, 1]
    assert found[0] == found[1] == found[2]
    state = state_of(found[0][1])
    assert state.members is not None
    assert (state.members.ring, state.members.recovered_from) == (done["ring"], "ring-1:7")
    assert [(ordinal_of(m.id), incarnation_of(m.id)) for m in state.members.members] == [
        (0, 1), (1, 1), (2, 1)]  # fmt: skip
    assert found[0][1].hard.promised == found[0][1].base_epoch == 5
    assert {key for _, key in state.sessions.keys} == {"k1", "k2"}
    assert state.sessions.sessions.keys() == {7}  # the client's; the peer's ended with its life
    assert json.loads(state.lookup_key("ann", "k1")[3])["outcome"] == "filled"  # type: ignore[index]
    aside = history.folder.set_aside("ring-1")
    assert tree(aside / "peer-2") == old


@pytest.mark.parametrize(("size", "retired"), [(2, (2,)), (5, ())])
def test_new_ring_has_the_size_that_the_former_one_wished_for_at_last(
    history: History, size: int, retired: tuple[int, ...]
) -> None:
    """Peers beyond it are set aside; peers that had no folder yet get one."""
    history.add(submission(msgpack.encode((size, 1)), 4, kind=SET_SIZE))
    history.write(1, 5)
    lose(history.folder, 0)
    damage(history.folder, 2)

    done, _ = recovered(history)

    found = volumes(history.folder.path)
    assert (done["peers"], len(found)) == (size, size)
    for _, one in found:
        state = state_of(one)
        assert state.members is not None
        assert len(state.members.members) == size
        assert state.members.retired == retired
    assert history.folder.volume(2).exists() == (size > 2)
    assert (history.folder.set_aside("ring-1") / "peer-2").exists()
    assert not history.folder.recovering.exists()


def test_both_rings_are_audited_and_a_second_loss_is_recovered_too(history: History) -> None:
    history.write(1, 4)
    lose(history.folder, 0, 2)
    recovered(history)
    made = open_ring(history.folder.path)
    assert made is not None
    lose(made, 1, 2)

    done, _ = recovered(history)

    listed = history.folder.path / "acknowledged.txt"
    listed.write_text("ann k1\nann k2\n")
    report = verify(history.folder.path, listed)
    assert report.violations == []
    assert any(f"recovered from ring {made.made.ring} at index 7" in s for s in report.counted)
    assert volumes(history.folder.path)[0][0] == 2
    for former in ("ring-1", made.made.ring):
        assert verify(history.folder.set_aside(former)).violations == []
    after = open_ring(history.folder.path)
    assert after is not None
    assert (after.made.ring, after.made.former) == (done["ring"], ["ring-1", made.made.ring])
    listed.write_text("ann k1\nann k9\n")
    assert verify(history.folder.path, listed).violations == [
        "key k9 of ann was acknowledged and is in no journal"
    ]


def test_audit_goes_on_when_peers_dropped_the_recovered_state(history: History) -> None:
    """The archive keeps it: checkpoint and first segments of every volume have gone."""
    history.write(1, 4)
    lose(history.folder, 0, 2)
    recovered(history)
    made = open_ring(history.folder.path)
    assert made is not None
    for peer in range(3):
        _trade_and_prune(made, peer)

    report = verify(history.folder.path)

    assert report.violations == []
    assert any(line.startswith("history of 28 entries") for line in report.counted)
    for peer in range(3):
        archived = [path.name for path in made.newest_archive(peer).iterdir()]
        assert f"{1:012}.journal" in archived


def _trade_and_prune(folder: RingFolder, peer: int) -> None:
    layout = Layout(
        segment_bytes=1024, reserve_bytes=0, archive=folder.path / f"archive/peer-{peer}.1"
    )
    assert layout.archive is not None
    layout.archive.mkdir()
    volume = Volume.open(folder.volume(peer), Identity(folder.made.ring, peer, 0), layout, Quick())
    found = volume.recover()
    state, chain = state_of(found), found.base_chain
    for index in range(8, 29):
        record = Record(4, index, index - 1, 0, {}, [EpochStarted(65_536)])
        stored = store(record, chain)
        volume.perform([WriteRecord(index, stored)])
        state.apply(record, stored.chain)
        chain = stored.chain
    writer = volume.checkpoint(4, 28)
    for part in state.snapshot():
        writer.write(part)
    volume.save(writer)
    volume.prune(27)
    volume.close()


# ---- interruptions


@pytest.mark.long
def test_interrupted_at_any_step_it_is_run_again_and_ends_well(
    history: History, killer: Killer, folder: Path
) -> None:
    history.write(1, 4)
    lose(history.folder, 0)
    damage(history.folder, 2)
    (history.folder.archive(1)).mkdir(parents=True, exist_ok=True)
    fresh, path = folder / "fresh", history.folder.path
    path.rename(fresh)
    steps = 0
    while True:
        steps += 1
        shutil.copytree(fresh, path)
        try:
            with killer.at(steps):
                recovered(history)
        except Killed:
            _goes_on_after(history)
            shutil.rmtree(path)
        else:
            break

    assert steps > 60


def _goes_on_after(history: History) -> None:
    """Whatever state it is in, a second run makes the folder a whole ring."""
    path = history.folder.path
    moved = history.folder.set_aside("ring-1").exists()
    known = ring_folder.read_ring(path)
    assert known is not None
    if known.made.ring == "ring-1":
        if moved:
            with pytest.raises(RingError, match="was interrupted"):
                open_ring(path)
        recovered(history)
    elif (path / "recovering/ring.json").exists():
        recovered(history)
    states = [state_of(one) for _, one in volumes(path)]
    assert len({state.full_hash() for state in states}) == 1
    assert states[0].index == 7
    assert verify(path).violations == []
    aside = history.folder.set_aside("ring-1")
    assert sorted(p.name for p in aside.iterdir()) == ["archive", "peer-1", "peer-2", "ring.json"]
    assert sorted(p.name for p in (path / "archive").iterdir()) == [f"{6:020}.checkpoint"]


def test_recovery_that_moved_something_waits_for_a_process_that_runs(
    history: History, killer: Killer
) -> None:
    history.write(1, 4)
    lose(history.folder, 0, 2)
    steps = 0
    while not history.folder.set_aside("ring-1").exists():
        steps += 1
        with pytest.raises(Killed), killer.at(steps):
            recovered(history)
    running = Volume.open(history.folder.volume(1), Identity("ring-1", 1, 0), SMALL)

    why = refused(history)

    running.close()
    assert "a running process holds the volume of peer 1" in why
    assert recovered(history)[0]["former"] == "ring-1"


@pytest.mark.parametrize("nth", [1, 5, 9])
def test_full_disk_changes_nothing_and_is_told(history: History, nth: int) -> None:
    history.write(1, 4)
    lose(history.folder, 0, 2)

    with pytest.raises(RingError, match=r"No space left.* run `bazaar recover"):
        recovered(history, Failing(nth, "reserve", errno.ENOSPC))

    assert history.folder.volume(1).exists()
    assert recovered(history)[0]["survivor"] == 1


# ---- rings of processes


def test_recovered_ring_trades_on_and_answers_what_the_survivor_knew(
    start: StartRing, folder: Path
) -> None:
    rig = start(3, "--no-agents")
    assert deposit(rig, 0, "stock").status == 200
    bought = [order(rig, n % 3, f"k{n}", Bazaar_Client="ann") for n in range(20)]
    opened = ask(rig, 1, "POST /v1/sessions", None, {"Idempotency-Key": "open-1"})
    head = {"Bazaar-Session": str(opened.body["session"]), "Bazaar-Number": "1"}
    numbered = ask(rig, 2, "POST /v1/orders", SALT, head)
    survivor = _follower_with(rig, numbered)
    busy = bazaar("recover", rig.data, "--yes")
    rig.stop()
    for peer in {0, 1, 2} - {survivor}:
        shutil.rmtree(rig.data / f"peer-{peer}")

    done = bazaar("recover", rig.data, "--yes", "--json")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done
    again = start(3, "--no-agents", "--restart-after", "0.5", data=rig.data)

    assert (busy.returncode, "a `bazaar up` (pid" in busy.stderr) == (1, True)
    told = json.loads(done.stdout)
    assert told["survivor"] == survivor
    assert told["index"] >= numbered.body["index"]
    for n, answer in enumerate(bought):
        known = ask(again, n % 3, f"GET /v1/commands/k{n}", headers={"Bazaar-Client": "ann"})
        assert (known.status, known.body) == (200, answer.body)
        assert order(again, (n + 1) % 3, f"k{n}", Bazaar_Client="ann").body == answer.body
    assert ask(again, 0, "POST /v1/orders", SALT, head).body == numbered.body
    old_index = {"Bazaar-Index": numbered.headers["bazaar-index"]}
    refused_ = ask(again, 0, "GET /v1/stock", headers=old_index)
    assert (refused_.status, refused_.body["field"]) == (409, "Bazaar-Index")
    assert order(again, 1, "after", Bazaar_Client="ann").status == 200
    stock = ask(again, 2, "GET /v1/stock?consistency=linearizable").body["items"]["salt"]
    assert stock["on_offer"] == 1000 - 20 - 2 - 1
    _heals_by_itself(again)
    again.stop()
    _audited(told, rig.data, [f"k{n}" for n in range(20)] + ["after", "healed"])


SALT = {"item": "salt", "quantity": 2}


def _follower_with(rig: Ring, answer: Answer) -> int:
    """Return a follower that has applied this answer's entry."""
    trader = trader_of(rig)["id"]
    peer = next(p for p in range(3) if p != trader)
    seen = ask(rig, peer, "GET /v1/stock", headers={"Bazaar-Index": answer.headers["bazaar-index"]})
    assert seen.status == 200
    return peer


def _heals_by_itself(rig: Ring) -> None:
    """A minority that is lost comes back under lives above those of the recovery (R10)."""
    shutil.rmtree(rig.data / "peer-1")
    kill(next(line["pid"] for line in lines_of(rig) if line["id"] == 1), signal.SIGKILL)
    until(lambda: _members(rig) == [(0, 1, True), (1, 2, True), (2, 1, True)], "peer 1 votes")
    assert order(rig, 0, "healed", Bazaar_Client="ann").status == 200


def _members(rig: Ring) -> list[tuple[int, int, bool]]:
    found: dict[str, Any] = rig.ask(0, "/v1/ring") or {"peers": []}
    return [(peer["id"], peer["incarnation"], peer["voter"]) for peer in found["peers"]]


def _audited(told: dict[str, Any], data: Path, keys: list[str]) -> None:
    """Both rings' journals are sound, and every key is in one of them."""
    listed = data / "acknowledged.txt"
    listed.write_text("".join(f"ann {key}\n" for key in keys))
    audit = bazaar("verify", data, "--acknowledged", listed)
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "no violation found"), audit
    assert f"is in {data}/set-aside/{told['former']}" in " ".join(audit.stdout.split())
    assert bazaar("verify", told["set_aside"]).returncode == 0
