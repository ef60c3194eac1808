"""When a ring may be given up for the next one, what is latched then, and who is stopped (R14)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bazaar_operator import recovery
from bazaar_operator.manifests import ring_json
from bazaar_operator.news import news
from bazaar_operator.observation import Observation, Pod
from bazaar_operator.plan import StopPod, plan
from bazaar_operator.spec import Bazaar, RecoveredFrom, RecoverFrom, Storage
from bazaar_operator.status import derive
from tests.unit.operator.test_plan import RING, bazaar, member, orders, pod, seen, view

MEMBERS = tuple(member(i) for i in range(3))
FIVE = tuple(member(i) for i in range(5))
NEXT = "uid.r1.0"


def wishing(ring: str = RING, peer: int | None = 1, **changes: Any) -> Bazaar:
    return bazaar(storage=Storage(recover_from=RecoverFrom(ring=ring, peer=peer)), **changes)


def survivor(ordinal: int = 1, **changes: Any) -> Pod:
    told = {"trader": -1, "ready": False, "last_epoch": 1, "last_index": 9}
    return pod(
        ordinal, view(ordinal, MEMBERS, **told | {"role": "follower"} | changes), ready=False
    )


def empty(ordinal: int) -> Pod:
    told = {"state": "empty", "role": "", "trader": -1, "epoch": 0, "ready": False}
    return pod(ordinal, view(ordinal, (), **told), ready=False)


def left(of: Bazaar, *pods: Pod) -> Observation:
    return seen(of, pods or (empty(0), survivor(1), empty(2)))


def test_ring_is_given_up_for_the_named_peer() -> None:
    status = derive(left(wishing()))

    assert status.ring_id.startswith("uid.r1.")
    assert len(status.ring_id) <= 64
    assert status.former_ring_ids == (RING,)
    assert status.recovered_from == RecoveredFrom(ring=RING, peer=1)
    assert (status.history, status.volumes, status.members, status.epoch) == (True, {}, (), 0)
    assert {c.type: c.status for c in status.conditions}["Accepted"] == "True"


def test_another_ring_is_made_of_every_view_so_no_id_is_used_twice() -> None:
    of = wishing()
    later = msgspec.structs.replace(of, resource_version="18")

    assert derive(left(of)).ring_id != derive(left(later)).ring_id
    assert derive(left(of)).ring_id == derive(left(of)).ring_id


WITHOUT: dict[str, tuple[Observation, str]] = {
    "never traded": (left(wishing(status={"history": False})), "never traded"),
    "a majority answers": (left(wishing(), survivor(0), survivor(1)), "goes on by itself"),
    "silent, and ready": (left(wishing(), pod(0, None), survivor(1)), "peers 0 do not tell"),
    "silent, not ready": (
        left(wishing(), pod(0, None, ready=False), survivor(1), empty(2)),
        "delete its pods by force",
    ),
    "reads its volume": (left(wishing(), survivor(0, state="starting"), survivor(1)), "peers 0"),
    "held by another": (left(wishing(), survivor(0, state="locked"), survivor(1)), "peers 0"),
    "no peer is named": (left(wishing(peer=None)), "names no peer"),
    "an empty one is named": (left(wishing(peer=0)), "There are: peer 1 up to index 9 of epoch 1"),
    "a damaged one is named": (
        left(wishing(), empty(0), survivor(1, state="damaged"), empty(2)),
        "There are: none",
    ),
    "another has more": (
        left(
            wishing(),
            survivor(1, members=FIVE),
            survivor(2, members=FIVE, last_epoch=2, last_index=8),
        ),
        "peer 2 has more than peer 1",
    ),
    "an image waits": (left(wishing(status={"image": "bazaar:0"})), "let bazaar:1 in first"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_it_is_not_given_up_and_the_status_says_why(case: str) -> None:
    told, why = WITHOUT[case]

    status = derive(told)

    accepted = {c.type: c for c in status.conditions}["Accepted"]
    assert (status.ring_id, accepted.status) == (RING, "False")
    assert accepted.message.startswith("spec.storage.recoverFrom is not followed: ")
    assert why in accepted.message


def test_pod_that_cannot_run_counts_as_gone() -> None:
    """Never started, or its container ended: nothing of it can acknowledge anything."""
    gone = (pod(0, None, started=False, ready=False), pod(2, None, down=True, ready=False))

    assert recovery.is_due(left(wishing(), gone[0], survivor(1), gone[1]))


def test_majority_counts_by_the_newest_members_that_anybody_knows() -> None:
    """A survivor that lags may know fewer members than there are."""
    of = wishing(status={"members": FIVE})
    pods = (survivor(1), pod(3, None), pod(4, None), empty(0), empty(2))

    assert "peers 3, 4 do not tell" in recovery.refusal(left(of, *pods))


@pytest.mark.parametrize("of", [wishing(ring="another"), wishing(ring=""), wishing(paused=True)])
def test_wish_for_no_present_ring_is_none(of: Bazaar) -> None:
    assert (recovery.is_due(left(of)), recovery.refusal(left(of))) == (False, "")


def after(**changes: Any) -> Bazaar:
    status: dict[str, Any] = {
        "ring_id": NEXT,
        "former_ring_ids": (RING,),
        "recovered_from": RecoveredFrom(ring=RING, peer=1),
    }
    return wishing(status=status | changes)


def test_all_pods_of_the_former_ring_are_stopped_at_once_and_no_other() -> None:
    """None of them can do anything for the next ring, and who goes on serves nobody."""
    new = pod(0, view(0, (), state="former", ring=NEXT, found=RING), ready=False)
    told = seen(after(), (new, survivor(1), survivor(2)))

    stopped = [a.pod.ordinal for a in orders(plan(told)) if isinstance(a, StopPod)]

    assert stopped == [1, 2]


def test_status_waits_for_the_ring_that_nobody_has_seen() -> None:
    waiting = view(1, (), state="damaged", ring=NEXT, why="it is damaged")
    phases = [
        derive(seen(after(), pods)) for pods in ((survivor(1),), (pod(1, waiting, ready=False),))
    ]

    told = [next(c.message for c in s.conditions if c.type == "Ready") for s in phases]
    assert [s.phase for s in phases] == ["Starting", "Starting"]
    assert told[0].endswith("is made of what peer 1 has, once its pod is restarted")
    assert told[1].endswith("is made of what peer 1 has, which says: it is damaged")


def test_ring_json_tells_what_was_given_up_and_only_then() -> None:
    """A pod of an older release takes no field that it does not know."""
    before, then = ring_json(wishing()), ring_json(after())

    assert not {"former", "recoverFrom"} & before.keys()
    assert then["former"] == [RING]
    assert then["recoverFrom"] == {"ring": RING, "peer": 1}


def test_news_of_it_is_told_once() -> None:
    of = wishing()
    status = derive(left(of))

    told = [(kind, said) for kind, reason, said in news(of, status) if reason == "RingRecovered"]

    assert [kind for kind, _ in told] == ["Warning"]
    assert RING in told[0][1]
    assert status.ring_id in told[0][1]
    assert "RingRecovered" not in [
        reason for _, reason, _ in news(msgspec.structs.replace(of, status=status), status)
    ]
