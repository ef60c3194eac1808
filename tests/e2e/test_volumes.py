"""Volumes that are lost, kept, and found again."""

from __future__ import annotations

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.drills import drilling
from tests.e2e.figures import Figures
from tests.e2e.load import Load
from tests.e2e.release import Release
from tests.e2e.ring import PRICELESS, Ring
from tests.e2e.tools import attempt, until


def test_peer_that_lost_its_volume_is_admitted_anew(make_ring: MakeRing, figures: Figures) -> None:
    """R14: without a vote until it has copied the state, then as the next incarnation."""
    ring = make_ring(peers=3)
    with drilling(ring, figures, "claim and pod deleted") as drills:
        for _ in drills.rounds():
            # Peer 0 keeps the whole history, which the audit needs.
            trader = ring.wait_settled()
            lost = next(i for i in (1, 2) if i != trader["ordinal"])
            life = {m["id"]: m["incarnation"] for m in trader["members"]}[lost]
            with drills.one(settle_s=180):
                ring.lose_volume(lost, life)
    known = {str(member["id"]): member["volume"] for member in ring.wait_settled()["members"]}
    until(
        lambda: {k: v for k, v in known.items() if v}.items() <= ring.status()["volumes"].items(),
        "status.volumes follows the members",
    )


def test_lost_majority_is_given_up_for_the_volume_that_is_left(make_ring: MakeRing) -> None:
    """R14: a person names the survivor; whoever has no whole volume is refused."""
    ring = make_ring(peers=3)
    lot = ring.traded("sell", "salt", 7, "--price", PRICELESS)["lot"]
    named = int(ring.wait_settled()["ordinal"])  # the trader has all that was acknowledged
    former, lost = ring.status()["ringId"], [i for i in range(3) if i != named]
    ring.kubectl("delete", "pvc", *(f"data-shop-{i}" for i in lost), "--wait=false")
    ring.kubectl("delete", "pod", *(f"shop-{i}" for i in lost))
    until(lambda: ring.status().get("phase") == "NoMajority", ring.told, 180)

    _give_up(ring, former, lost[0])
    until(lambda: "with a whole volume" in ring.condition("Accepted")["message"], ring.told)
    assert ring.status()["ringId"] == former
    _give_up(ring, former, named)
    until(lambda: ring.status()["ringId"] != former, ring.told)
    ring.wait_settled(300)

    status = ring.status()
    assert status["formerRingIds"] == [former]
    assert status["recoveredFrom"] == {"ring": former, "peer": named}
    assert ring.condition("Accepted")["status"] == "True"
    assert _events(ring).count("RingRecovered") == 1
    assert ring.traded("withdraw", lot, 7)["outcome"] == "withdrawn"
    load = Load(ring.cluster, ring.namespace, ring.name)
    load.start()
    load.stop()
    code, said = load.verify()
    assert code == 0, said
    assert "recovered at index" in " ".join(said.split())
    ring.kubectl("delete", "pod", load.pod, "--now")


def _give_up(ring: Ring, former: str, peer: int) -> None:
    ring.wish(storage={"recoverFrom": {"ring": former, "peer": peer}})


def test_ring_sleeps_and_goes_on_where_it_stopped(make_ring: MakeRing) -> None:
    ring = make_ring(peers=3)
    lot = ring.traded("sell", "salt", 7, "--price", PRICELESS)["lot"]
    until(lambda: len(ring.status()["members"]) == 3, ring.told)
    before, lost = ring.status(), _events(ring).count("MajorityLost")

    ring.wish(hibernated=True)
    until(lambda: not ring.pods(), ring.told)
    until(lambda: ring.condition("Reconciling")["status"] == "False", ring.told)
    assert ring.status()["phase"] == "Hibernated"
    assert len(ring.kubectl("get", "pvc", "-o", "name").split()) == 3
    ring.wish(hibernated=False)
    until(lambda: ring.status()["phase"] != "Hibernated", ring.told)
    ring.wait("Available")
    ring.wait_settled()

    after = ring.status()
    assert after["ringId"] == before["ringId"]
    assert after["epoch"] > before["epoch"]
    assert after["members"] == before["members"]
    assert ring.traded("withdraw", lot, 7)["outcome"] == "withdrawn"
    assert _events(ring).count("MajorityLost") == lost
    assert {"Hibernated", "Waking"} <= set(_events(ring))


def _events(ring: Ring) -> list[str]:
    return ring.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").split()


def test_resource_deleted_without_the_operator_leaves_nothing_terminating(
    cluster: Cluster, operator: Release, make_ring: MakeRing
) -> None:
    ring = make_ring(peers=3)

    with operator.absent():
        ring.kubectl("delete", "bazaar", "shop", "--timeout=60s", seconds=90)
        until(lambda: not ring.pods() or None, "the pods are gone", 120)

        def gone() -> bool:
            kinds = "bazaars,statefulsets,services,configmaps,secrets,pdb"
            words = ("-l", "bazaar.dev/bazaar=shop", "-o", "name")
            return not ring.kubectl("get", kinds, *words).split()

        until(gone, "everything that it owned is gone", 120)

    assert len(ring.kubectl("get", "pvc", "-o", "name").split()) == 3  # whenDeleted: Retain


def test_volumes_of_a_ring_that_wants_it_so_go_with_it(
    cluster: Cluster, operator: Release, make_ring: MakeRing
) -> None:
    ring: Ring = make_ring(
        peers=3, storage={"retentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}}
    )

    ring.kubectl("scale", "bazaar", "shop", "--replicas=2")
    until(
        lambda: len(ring.kubectl("get", "pvc", "-o", "name").split()) == 2,
        "the removed peer's claim is gone",
        120,
    )
    ring.kubectl("delete", "bazaar", "shop")
    until(
        lambda: (
            not attempt(
                *("kubectl", "-n", ring.namespace, "get", "pvc", "-o", "name"), env=cluster.env
            ).stdout.split()
        ),
        "all claims are gone",
        120,
    )
