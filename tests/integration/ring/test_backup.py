"""`bazaar backup` of a ring that trades, and `bazaar restore` to a folder of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.command import backup
from bazaar_peer.command.ring_folder import open_ring
from bazaar_peer.runtime.checkpoint_file import read_checkpoint
from bazaar_peer.runtime.files import Files
from bazaar_peer.runtime.salvage import restored
from bench.rig import Ring
from tests.integration.ring.conftest import (
    StartRing,
    bazaar,
    buying,
    deposit,
    every_order_answered_once,
    one_object,
    order,
    state_of,
)
from tests.integration.ring.test_restore import BACKUP, MARK


def url(rig: Ring, peer: int) -> str:
    return f"http://127.0.0.1:{rig.port + peer}"


def keys_in(file: Path) -> set[str]:
    """Return every key that a backup remembers."""
    return {key for _, key in restored(read_checkpoint(Files(), file)[1]).sessions.keys}


def test_what_was_acknowledged_before_is_in_a_backup_of_any_peer(
    start: StartRing, tmp_path: Path
) -> None:
    """Linearizable (R12): a follower that has not heard of it yet waits until it has."""
    rig = start(3, "--no-agents")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    told: dict[str, Any] = {}
    file = tmp_path / "none"
    with buying(rig) as buyers:
        for number in range(6):
            assert order(rig, number % 3, f"own-{number}").status == 200
            before = {*buyers.acknowledged, *(f"own-{i}" for i in range(number + 1))}
            file = tmp_path / f"{number}.backup"
            told = one_object("backup", file, "--url", url(rig, (number + 1) % 3))
            assert before - keys_in(file) == set()
    piped = bazaar("restore", file, "--json")

    held = json.loads(piped.stdout)
    assert {name: held[name] for name in told} == told
    assert (held["peers"], held["commission_bp"]) == (3, 0)
    every_order_answered_once(rig, buyers, tmp_path)


def test_backup_becomes_a_ring_of_a_folder_of_its_own(start: StartRing, folder: Path) -> None:
    rig = start(3, "--no-agents", "--commission", "30")
    assert deposit(rig, 0, "stock").status == 200
    answered = [order(rig, peer, f"k{peer}", 2).body for peer in range(3)]
    file, there = folder / "fair.backup", folder / "again"
    one_object("backup", file, "--url", url(rig, 0))
    state = state_of(rig, 0)
    assert order(rig, 0, "later").status == 200

    made = one_object("restore", file, "--data", there, "--peers", 5)
    again = start(5, "--no-agents", data=there)

    assert (made["peers"], made["former"]) == (5, one_object("restore", file)["ring"])
    assert state_of(again, 4) == state
    assert [order(again, 4 - peer, f"k{peer}", 2).body for peer in range(3)] == answered
    later = order(again, 1, "later", Bazaar_Index=f"{made['former']}:1")
    assert later.status == 409, "an index of the former ring is not waited for"
    assert order(again, 1, "later").status == 200
    assert state_of(rig, 1) != state
    rig.stop()
    again.stop()
    for data in (rig.data, there):
        audit = bazaar("verify", data)
        assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "no violation found"), audit


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("restore", "FILE", "--data", "full"), 1, "full is not empty"),
        (("restore", "half", "--data", "new"), 1, "half is no backup, or not a whole one"),
        (("restore", "half"), 1, "half is no backup, or not a whole one"),
        (("restore", "none"), 1, "there is no file none"),
        (("restore", "FILE", "--peers", 3), 2, "--peers is for a ring in --data"),
        (("restore", "FILE", "--url", "nonsense"), 2, "--url is http://HOST:PORT"),
        (("backup", "new", "--url", "kube:shop/fair"), 2, "--url is http://HOST:PORT"),
        (("backup", "full"), 2, "full is a folder"),
        (("restore", "FILE", "--data", "new", "--peers", 97), 1, "--peers must be 1 to 96"),
        (("restore", "FILE", "--data", "new", "--url", "http://h"), 2, "name either --data"),
        (("restore", "-", "--data", "new"), 2, "a pipe can be given to a peer only"),
        (("restore", "FILE", "--url", "http://127.0.0.1:9"), 1, "does not take the backup"),
        (("backup", "new", "--url", "http://127.0.0.1:9"), 1, "no backup from"),
        (("backup", "new", "--token-file", "none"), 2, "none cannot be read"),
    ],
)
def test_misuse_is_told_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Any, code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_bytes(BACKUP)
    (tmp_path / "half").write_bytes(BACKUP[: len(BACKUP) // 2])
    (tmp_path / "full").mkdir()
    (tmp_path / "full/other").write_text("something")
    before = sorted(tmp_path.rglob("*"))

    done = bazaar(*words)

    assert (done.returncode, said in " ".join(done.stderr.split())) == (code, True), done
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", [".", "there", "link", "new", "far/new"])
def test_ring_is_made_where_it_was_asked_for_and_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A folder that is there may be a volume's mount: nothing can take its place."""
    file, home = tmp_path / "fair.backup", tmp_path / "home"
    file.write_bytes(BACKUP)
    (home / "there").mkdir(parents=True)
    (home / "link").symlink_to("there")
    (home / "empty").mkdir()
    inside = home / "empty" if place == "." else home
    monkeypatch.chdir(inside)
    before = set(inside.iterdir())

    made = backup.make(file, Path(place), 2)

    folder = open_ring(Path(place))
    assert folder is not None
    assert (folder.made.ring, folder.made.peers) == (made["ring"], 2)
    assert {path.name for path in Path(place).iterdir()} == {
        "archive", "logs", "peer-0", "peer-1", "ring.json", "stats"
    }  # fmt: skip
    if place != ".":
        first = place.split("/", maxsplit=1)[0]
        assert {path.name for path in set(inside.iterdir()) - before} <= {first}


def test_file_says_what_it_holds_in_plain_words(tmp_path: Path) -> None:
    file = tmp_path / "fair.backup"
    file.write_bytes(BACKUP)

    done = bazaar("restore", file)

    assert done.returncode == 0
    assert f"backup {MARK}: all that ring ring-1 had up to index 4 of epoch 1" in done.stdout
