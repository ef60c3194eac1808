"""`bazaar drill --name`: pods and nodes as the API shows them, and a real ring behind them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rig import Ring
from tests.integration.ring.conftest import (
    StartRing,
    bazaar,
    drilled,
    events,
    handed_over,
    lines_of,
    trader_of,
)
from tests.integration.ring.kube import NAME, PODS, SPACE, FakeKube

RING = ("--namespace", SPACE, "--name", NAME)


@pytest.fixture
def kube(start: StartRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKube]:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    with _kube(rig, tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def unhurt(trading: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKube]:
    """The same, with a ring that tests share: it comes to no harm, and no peer begins anew."""
    lives = [line["pid"] for line in lines_of(trading)]
    with _kube(trading, tmp_path, monkeypatch) as fake:
        yield fake
    assert [line["pid"] for line in lines_of(trading)] == lives


@contextlib.contextmanager
def _kube(rig: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKube]:
    fake = FakeKube(rig, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig()))
    yield fake
    fake.close()


def drill(kind: str, *words: object, code: int = 0) -> dict[str, Any]:
    return drilled(kind, *RING, "--rate", 50, *words, code=code)


def is_clean(found: dict[str, Any], faults: int) -> None:
    assert (found["lost"], found["twice"], found["verify"]) == (0, 0, "clean")
    assert found["counts"]["sent"] == found["counts"]["acknowledged"] > 10
    assert found["target"] == f"{SPACE}/{NAME}"
    assert len(found["faults"]) == faults
    assert {one[3] for one in found["orders"]} == {-1}  # behind a Service nobody knows
    assert all(0 <= one[0] <= found["seconds"] for one in found["orders"])


def test_pods_are_deleted_by_force_or_in_good_order(kube: FakeKube) -> None:
    crash = drill("crash", "--times", 2, "--max-interregnum", 20_000)
    by_force, kube.log = kube.log, []
    resign = drill("resign")

    is_clean(crash, 2)
    is_clean(resign, 1)
    first, second = (fault["victim"] for fault in crash["faults"])
    made, *deleted, unmade = by_force
    assert made == f"POST {PODS}"
    assert deleted == [f"DELETE {PODS}/{NAME}-{peer} by force" for peer in (first, second)]
    assert unmade.startswith(f"DELETE {PODS}/{NAME}-drill-")
    (planned,) = resign["faults"]
    assert kube.log[1] == f"DELETE {PODS}/{NAME}-{planned['victim']}"
    assert events(kube.rig.data, planned["victim"], "hand_over")
    assert kube.load == {}
    for fault in (*crash["faults"], planned):
        assert fault["victim"] != fault["trader_after"]
        assert 0 < fault["interregnum_ms"] < 20_000
        assert fault["planned"] is handed_over(kube.rig.data, fault)
    assert (crash["kind"], crash["planned"]) == ("deletion by force", False)
    assert events(kube.rig.data, first, "hand_over"), "it is asked to go either way"


@pytest.mark.parametrize(
    ("planted", "said", "lost"),
    [
        ("exit 137 #", "bazaar verify ended with 137: without a word", None),
        ("echo nobody is there >&2; exit 2 #", "ended with 2: nobody is there", None),
        ("echo ann never >>/load/acknowledged; bazaar verify", "key never of ann", 1),
    ],
    ids=["died", "refused", "planted lost"],
)
def test_ring_is_clean_only_if_it_was_audited(
    kube: FakeKube, planted: str, said: str, lost: int | None
) -> None:
    kube.audit = planted

    found = drill("crash", code=1)

    assert found["verify"] != "clean"
    assert (found["unaudited"] is None) is (lost is not None)
    assert any(said in sentence for sentence in found["wrong"])
    assert found["lost"] == lost
    assert len(found["faults"]) == 1


@pytest.mark.parametrize("kind", ["pause", "cut"])
def test_peer_stands_still_or_is_cut_off_and_comes_back_by_itself(
    kube: FakeKube, kind: str
) -> None:
    found = drill(kind, "--seconds", 2, "--times", 2)

    is_clean(found, 2)
    for fault in found["faults"]:
        assert fault["victim"] != fault["trader_after"]
        assert 100 < fault["interregnum_ms"] < 20_000, "it was noticed by silence"
        assert fault["planned"] is False
    made, unmade = kube.log  # and nothing else in the cluster was changed
    assert made == f"POST {PODS}"
    assert unmade.startswith(f"DELETE {PODS}/{NAME}-drill-")
    victim = found["faults"][0]["victim"]
    asked = events(kube.rig.data, victim, kind)
    assert [one["seconds"] for one in asked if float(one["seconds"]) > 1] != []


@pytest.mark.parametrize("kind", ["pause", "cut"])
def test_ring_that_lets_no_peer_be_paused_is_left_alone(unhurt: FakeKube, kind: str) -> None:
    unhurt.drills = False

    done = bazaar("drill", kind, *RING, "--no-report")

    assert done.returncode == 1, done
    assert "lets no peer be paused or cut off" in done.stderr
    assert """--patch '{"spec": {"drills": true}}'""" in done.stderr
    assert unhurt.log == []


def test_peer_of_before_drills_were_let_is_named(unhurt: FakeKube) -> None:
    """It answers 404: here by a path of the API that is none."""
    unhurt.pause_path = "/v1/nowhere"

    found = drill("pause", code=1)

    assert "was not paused: 404: " in found["wrong"][0]
    assert "wait until `kubectl get bazaar` says Running" in found["wrong"][0]


def test_peer_without_an_address_is_named(unhurt: FakeKube) -> None:
    unhurt.addressed = False

    found = drill("pause", code=1)

    assert "has no address yet" in found["wrong"][0]


def test_peer_that_refuses_to_be_paused_is_quoted(unhurt: FakeKube) -> None:
    """Here by a path where it takes POST, and none of this body."""
    unhurt.pause_path = "/v1/cut"

    found = drill("pause", code=1)

    assert "was not paused: 400: " in found["wrong"][0]
    assert "peers" in found["wrong"][0]
    assert "spec.drills" not in found["wrong"][0]


def test_node_is_drained_of_the_ring_and_uncordoned(kube: FakeKube) -> None:
    kube.refuse_evictions = 1

    found = drill("drain", "--yes")

    is_clean(found, 1)
    (fault,) = found["faults"]
    evicted = [line for line in kube.log if line.endswith("/eviction")]
    # Once it was refused by the budget, and asked for again.
    assert evicted == [f"POST {PODS}/{NAME}-{fault['victim']}/eviction"] * 2
    patched = f"PATCH /api/v1/nodes/node-{fault['victim']}"
    assert [line for line in kube.log if "nodes" in line] == [patched] * 2
    assert (kube.cordoned, kube.away) == (set(), set())
    trader_of(kube.rig)


def test_node_that_holds_more_peers_than_the_budget_lets_go_is_left_alone(unhurt: FakeKube) -> None:
    unhurt.nodes = ["node-0"] * 3

    found = drill("drain", "--yes", code=1)

    assert "node node-0 holds peers 0, 1, 2 of the ring" in found["wrong"][0]
    assert "lets 1 be away at once" in found["wrong"][0]
    assert unhurt.cordoned == set()
    assert not [line for line in unhurt.log if "nodes" in line or "eviction" in line]


def test_who_interrupts_the_uncordoning_leaves_no_node_cordoned(kube: FakeKube) -> None:
    words = ("drain", *RING, "--yes", "--no-report", "--rate", "50")
    with subprocess.Popen(
        [sys.executable, "-m", "bazaar_peer", "drill", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        kube.uncordoning = lambda: running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=200)

    assert kube.uncordoning is None
    assert (kube.cordoned, kube.away) == (set(), set())
    assert "kubectl uncordon node-" in errors
    assert "Traceback" not in errors
    assert kube.load == {}


def test_node_that_is_cordoned_is_left_alone(unhurt: FakeKube) -> None:
    unhurt.cordoned = {"node-0", "node-1", "node-2"}

    found = drill("drain", "--yes", code=1)

    assert found["faults"] == []
    assert len(unhurt.cordoned) == 3
    assert not [line for line in unhurt.log if "nodes" in line or "eviction" in line]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drain", *RING), 2, "--yes"),
        (("pause", *RING, "--seconds", "21"), 2, "paused for 20 s at most"),
        (
            ("crash", "--namespace", SPACE, "--name", "nobody"),
            1,
            "there is no pod of a Bazaar nobody",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    unhurt: FakeKube, words: tuple[str, ...], code: int, said: str
) -> None:
    done = bazaar("drill", *words, "--no-report")

    assert done.returncode == code, done
    assert said in done.stderr
    assert unhurt.log == []


def test_without_a_cluster_the_kubeconfig_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    done = bazaar("drill", "crash", *RING, "--no-report")

    assert done.returncode == 1
    assert "no kubeconfig that names a cluster" in done.stderr


def test_a_context_chooses_the_cluster(unhurt: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    """The present one's API server is gone."""
    path = unhurt.kubeconfig()
    told = json.loads(path.read_text())
    told["clusters"].append({"name": "gone", "cluster": {"server": "http://127.0.0.1:9"}})
    told["contexts"].append({"name": "gone", "context": {"cluster": "gone", "user": "me"}})
    path.write_text(json.dumps(told | {"current-context": "gone"}))
    monkeypatch.setenv("KUBECONFIG", str(path))

    said = [
        bazaar("drill", "crash", "--name", "nobody", *more, "--no-report").stderr
        for more in ((), ("--context", "fake"), ("--context", "none"))
    ]

    assert "the Kubernetes API answers nothing" in said[0]
    assert "the Kubernetes API answers 404" in said[1]  # the fake has one namespace, another one
    assert "no kubeconfig that names a cluster" in said[2]


WITHOUT = """
import sys
sys.modules["kubernetes"] = None
from bazaar_peer.command.app import main
sys.argv[1:] = {words}
main()
"""


def test_without_the_package_it_is_said_how_to_get_it() -> None:
    words = ["drill", "crash", *RING, "--no-report"]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(words=words)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "pip install 'bazaar[operator]'" in done.stderr
