"""Peers as pods run them: each at an address of its own, on volumes that begin empty (R14, K1).

127.0.P.i stands for pod i: all of a ring have the same two ports, as in a cluster.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.pods import TOKEN, Pods

from .conftest import bazaar, until


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    found = Pods(tmp_path)
    yield found
    found.end()


def test_empty_volume_is_alive_unready_and_has_no_vote(pods: Pods) -> None:
    """R14: only who shows the token, and names exactly this volume, makes it a first one."""
    pods.start(0, peers=1)
    volume = pods.volume(0)
    probes = pods.ask(0, "/healthz")[0], pods.ask(0, "/readyz")[0], pods.ask(0, "/v1/stock")[0]
    seen = pods.get(0)
    refused = [
        pods.format(0, volume, token="another"),
        pods.format(0, "another"),
        pods.format(0, volume, ring="another"),
    ]

    assert probes == (200, 503, 503)
    assert (seen["state"], seen["ring"], seen["ordinal"]) == ("empty", "ring-a", 0)
    assert refused == [401, 409, 409]
    assert pods.get(0)["state"] == "empty"
    assert pods.format(0, volume) == 200
    until(lambda: pods.votes(0), "it votes")
    assert (pods.get(0)["volume"], pods.format(0, volume), pods.format(0, "x")) == (
        volume,
        200,
        409,
    )


def test_ring_is_made_grows_shrinks_and_grows_again(pods: Pods) -> None:
    """R10, R14: who came later asks by itself; who was removed waits, and is a new life then."""
    pods.make(3)
    assert pods.ask(1, "/v1/deposits", {"item": "salt", "quantity": 9, "price": 1})[0] == 200
    assert pods.ask(0, "/v1/members", {"size": 4, "generation": 1}, "wrong")[0] == 401
    assert pods.ask(0, "/v1/members", {"size": 4, "generation": 1})[0] == 200
    pods.start(3)
    until(lambda: pods.votes(3), "pod 3 votes")
    first = pods.get(3)["volume"]

    assert pods.ask(0, "/v1/members", {"size": 3, "generation": 2})[0] == 200
    until(lambda: pods.get(3).get("state") == "unwanted", "pod 3 waits")
    assert pods.ask(3, "/readyz")[0] == 503
    assert pods.format(3, pods.volume(3)) == 409, "it held a life before"
    assert pods.ask(0, "/v1/members", {"size": 4, "generation": 3})[0] == 200
    until(lambda: pods.votes(3), "pod 3 votes again")

    again = pods.get(3)
    assert (again["incarnation"], again["volume"] != first) == (1, True)
    assert pods.ask(3, "/v1/orders", {"item": "salt", "quantity": 1})[0] == 200


def test_volume_lost_in_a_cluster_comes_back_as_a_learner(pods: Pods) -> None:
    """R14: an empty disk must not vote, though nobody tells the pod that it had one before."""
    pods.make(3)
    lost = pods.processes[2]
    lost.kill()
    lost.wait()
    (pods.folder / "data-2").rename(pods.folder / "lost")
    pods.start(2)
    until(lambda: pods.votes(2), "pod 2 votes again")

    assert pods.get(2)["incarnation"] == 1


def test_second_process_on_a_volume_waits_for_the_first(pods: Pods) -> None:
    """K1: a deletion by force leaves the old process while the new pod starts."""
    pods.make(3)
    old = pods.processes[2]
    pods.start(2, at=102)
    until(lambda: pods.get(102).get("state") == "locked", "the second waits")
    assert (pods.ask(102, "/healthz")[0], pods.ask(102, "/readyz")[0]) == (200, 503)
    assert pods.votes(2)

    old.kill()
    until(lambda: pods.votes(102), "the second goes on")
    assert pods.get(0, "/v1/ring")["epoch"] >= 1


def test_volume_of_another_ring_says_how_to_go_on_with_it(pods: Pods) -> None:
    """R14, row 22: the resource was made anew over retained claims."""
    pods.make(1)
    pods.processes[0].terminate()
    assert pods.processes[0].wait(30) == 0
    second = pods.start(0, peers=1, ring="ring-b")
    seen = until(lambda: pods.get(0), "it serves")

    until(lambda: pods.get(0).get("state") == "foreign", "it waits")
    seen = pods.get(0)
    assert (seen["found"], pods.ask(0, "/healthz")[0]) == ("ring-a", 200)
    assert "spec.storage.adoptRing to ring-a" in seen["why"]
    assert pods.format(0, "any", ring="ring-b") == 409
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    pods.start(0, peers=1, ring="ring-a")
    until(lambda: pods.votes(0), "the ring goes on where it was")


def test_ring_that_goes_as_a_whole_does_not_wait_for_an_heir(pods: Pods) -> None:
    """R11: as a deleted or a sleeping one does; who leaves waits for others that may take over."""
    pods.make(3, grace_s=60.0)

    for process in pods.processes:
        process.terminate()

    assert [process.wait(30) for process in pods.processes] == [0, 0, 0]


def _lose(pods: Pods, *who: int) -> None:
    for pod in who:
        (pods.folder / f"data-{pod}").rename(pods.folder / f"lost-{pod}")


def _bought(pods: Pods, pod: int, key: str) -> dict[str, Any]:
    headers = {"Idempotency-Key": key, "Bazaar-Client": "ann"}
    status, found = pods.ask(pod, "/v1/orders", {"item": "salt", "quantity": 1}, headers=headers)
    assert status == 200, found
    return found


B: dict[str, Any] = {"ring": "ring-b", "former": ("ring-a",)}


def test_ring_that_lost_a_majority_goes_on_with_what_the_named_peer_has(pods: Pods) -> None:
    """R14: a new ring in place of the survivor's volume; it grows by empty ones."""
    pods.make(3, keep=True)
    assert pods.ask(1, "/v1/deposits", {"item": "salt", "quantity": 9, "price": 1})[0] == 200
    answered = [_bought(pods, pod, f"k{pod}") for pod in range(3)]
    until(
        lambda: pods.get(1).get("applied_index", 0) >= max(a["index"] for a in answered),
        "peer 1 has them all",
    )
    end = pods.get(1)["last_epoch"], pods.get(1)["last_index"]
    pods.end()
    _lose(pods, 0, 2)

    pods.start(0, keep=True, **B)
    pods.start(2, keep=True, **B)
    assert pods.format(0, pods.volume(0), ring="ring-b") == 409, "the ring has a history"
    pods.start(1, keep=True, **B, recovers="ring-a")
    for pod in range(3):
        until(lambda p=pod: pods.votes(p), f"pod {pod} votes")  # type: ignore[misc]

    seen = pods.get(1)
    assert (seen["ring"], seen["incarnation"], seen["size"]) == ("ring-b", 1, 3)
    assert (seen["last_epoch"], seen["last_index"]) > end
    assert [_bought(pods, 2 - pod, f"k{pod}") for pod in range(3)] == answered
    assert _bought(pods, 0, "after")["index"] > max(a["index"] for a in answered)
    stock = pods.get(2, "/v1/stock?consistency=linearizable")
    assert stock["items"]["salt"]["on_offer"] == 9 - 4
    assert (pods.folder / "data-1/peer/set-aside/ring-a/identity").exists()
    code, said = _audited(pods, "ann k0", "ann after")
    assert (code, said.endswith("no violation found")) == (0, True), said
    assert "recovered at index" in said, "the history is executed from the recovered state on"
    code, said = _audited(pods, "ann after", "ann of-the-former-ring")
    assert code == 1, "what only the former ring's journals have cannot be told from what is lost"
    assert "key of-the-former-ring of ann was acknowledged and is in no journal" in said
    assert "only the former ring's journals have count as missing" in said


def _audited(pods: Pods, *keys: str) -> tuple[int, str]:
    """Audit the running ring with a list of keys; return the exit code, and what is said."""
    listed, token = pods.folder / "listed", pods.folder / "token"
    listed.write_text("".join(f"{key}\n" for key in keys))
    token.write_text(TOKEN)
    urls = [word for i in range(3) for word in ("--url", f"http://{pods.net}.{i}:8600")]
    audit = bazaar("verify", *urls, "--token-file", token, "--acknowledged", listed)
    return audit.returncode, " ".join(audit.stdout.split())


def test_new_ring_begins_with_a_backup_of_one_that_trades(pods: Pods) -> None:
    """R14: peer 0 is given it and votes alone at first; repeats are answered as before."""
    pods.make(3)
    assert pods.ask(1, "/v1/deposits", {"item": "salt", "quantity": 9, "price": 1})[0] == 200
    answered = [_bought(pods, pod, f"k{pod}") for pod in range(3)]
    file, token = pods.folder / "fair.backup", pods.folder / "token"
    token.write_text(TOKEN)
    told = bazaar("backup", file, "--url", pods.url(1), "--token-file", token, "--json")
    assert told.returncode == 0, told
    mark = json.loads(told.stdout)["backup"]
    later = _bought(pods, 0, "later")
    (pods.folder / "second").mkdir()
    second = Pods(pods.folder / "second")
    try:
        for pod in range(3):
            second.start(pod, ring="ring-b", keep=True, restores=mark)
        volume = second.volume(0)
        until(lambda: second.get(0).get("state") == "awaiting", "peer 0 waits")
        assert mark in second.get(0)["why"]
        assert second.format(0, volume, "ring-b", restores=mark) == 409
        where = ("--url", second.url(0), "--token-file", token)
        given = [bazaar("restore", file, *where).returncode for _ in range(2)]
        formatted = second.format(0, volume, "ring-b", restores=mark)
        assert (given, formatted) == ([0, 0], 200)
        for pod in range(3):
            until(lambda p=pod: second.votes(p), f"pod {pod} votes")  # type: ignore[misc]

        assert [_bought(second, 2 - pod, f"k{pod}") for pod in range(3)] == answered
        assert _bought(second, 1, "later") != later, "it was bought behind the backup"
        assert pods.get(2, "/v1/stock")["items"]["salt"]["on_offer"] == 5, "the first is left alone"
        assert second.get(2, "/v1/stock?consistency=linearizable")["items"]["salt"]["on_offer"] == 5
        code, said = _audited(second, "ann k0", "ann later")
        assert (code, said.endswith("no violation found")) == (0, True), said
        refused = bazaar("restore", file, *where)
        assert (refused.returncode, "serves already" in refused.stderr) == (2, True), refused
    finally:
        second.end()


def test_former_volume_stays_until_the_next_ring_has_let_its_peer_in(pods: Pods) -> None:
    """Peer 2 survived, too: if nothing came of the recovery its volume would be wanted."""
    pods.make(3)
    pods.end()
    _lose(pods, 0)
    volume = pods.folder / "data-2/peer"
    pods.start(2, **B)
    until(lambda: pods.get(2).get("state") == "former", "it waits")

    seen = pods.get(2)
    assert (seen["ring"], seen["found"], pods.ask(2, "/readyz")[0]) == ("ring-b", "ring-a", 503)
    assert seen["last_index"] >= 2
    assert not (volume / "set-aside").exists()
    pods.start(1, **B, recovers="ring-a")
    until(lambda: pods.votes(2), "pod 2 votes")
    assert (volume / "set-aside/ring-a/identity").exists()
    assert pods.get(2)["incarnation"] == 2, "no life that was, nor the one that kept its place"


def test_no_ring_is_made_of_a_damaged_volume(pods: Pods) -> None:
    """D2: what it acknowledged may be gone; a person names another peer."""
    pods.make(3)
    pods.end()
    mark = pods.folder / "data-1/peer/mark"
    mark.write_bytes(b"\xff" + mark.read_bytes()[1:])

    pods.start(1, **B, recovers="ring-a")
    until(lambda: pods.get(1).get("state") == "damaged", "it says so")

    seen = pods.get(1)
    assert "ring ring-b cannot be made of its volume" in seen["why"]
    assert "spec.storage.recoverFrom" in seen["why"]
    assert (pods.folder / "data-1/peer/identity").exists()


def test_pod_of_the_former_ring_is_no_member_of_the_next(pods: Pods) -> None:
    """A pod that was not restarted yet: it reaches nobody's majority, and disturbs nobody."""
    pods.make(3)
    pods.end()
    _lose(pods, 0)
    pods.start(2)
    pods.start(1, **B, recovers="ring-a")
    until(lambda: pods.votes(1), "pod 1 votes")
    pods.start(0, **B)
    until(lambda: pods.votes(0), "pod 0 votes")
    until(lambda: pods.get(2).get("state") == "serving", "pod 2 serves")

    seen = pods.get(2)
    assert (seen["ring"], seen["trader"]) == ("ring-a", -1)
    assert {m["id"]: m["voter"] for m in pods.get(1)["members"]} == {0: True, 1: True, 2: False}
