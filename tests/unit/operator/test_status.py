"""The status tells what is seen: phases, deadlines, conditions, latches and news."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bazaar_operator.news import news
from bazaar_operator.observation import Observation, Pod
from bazaar_operator.phases import PHASES
from bazaar_operator.spec import Condition, Status, Storage
from bazaar_operator.status import derive
from tests.unit.operator.test_plan import IMAGE, RING, bazaar, healthy, member, pod, seen, view

MEMBERS = tuple(member(i) for i in range(3))
EMPTY: dict[str, Any] = {
    "state": "empty", "role": "", "trader": -1, "epoch": 0, "members": (), "ready": False,
}  # fmt: skip


def ring_of(*there: int, **changes: Any) -> tuple[Pod, ...]:
    return tuple(pod(i, view(i, MEMBERS, **changes)) for i in there)


def at(told: Observation, now: float, status: Status | None = None) -> Observation:
    of = told.bazaar
    if status is not None:
        of = msgspec.structs.replace(of, status=status)
    return Observation(
        bazaar=of, now=now, image=told.image, pods=told.pods, statefulset=told.statefulset
    )


def foreign() -> Observation:
    other = view(0, (), **EMPTY | {"state": "foreign", "found": "ring-0"})
    return seen(bazaar(status={"history": False}), (pod(0, other, ready=False),))


SEEN: dict[str, Observation] = {
    "Pending": seen(bazaar(), (), statefulset=None),
    "Starting": seen(bazaar(status={"history": False}), (pod(0, view(0, (), **EMPTY)),)),
    "Running": healthy(),
    "Scaling": healthy(peers=4),
    "Updating": healthy("old"),
    "Degraded": seen(bazaar(), ring_of(1, 2)),
    "Electing": seen(bazaar(), ring_of(0, 1)),
    "NoMajority": seen(bazaar(), ring_of(2)),
    "Unknown": seen(bazaar(status={"members": MEMBERS}), tuple(pod(i, None) for i in range(3))),
    "Foreign": foreign(),
    "Awaiting": seen(
        bazaar(storage=Storage(restore_from="0" * 32), status={"history": False}),
        tuple(pod(i, view(i, (), **EMPTY | {"state": "awaiting"})) for i in range(3)),
    ),
    "Hibernated": seen(bazaar(hibernated=True), (), replicas=0),
    "Waking": seen(bazaar(status={"phase": "Hibernated"}), ring_of(2)),
    "Paused": healthy(paused=True),
}


@pytest.mark.parametrize("phase", SEEN)
def test_each_phase_is_derived_from_what_is_seen(phase: str) -> None:
    assert derive(SEEN[phase]).phase == phase


def test_every_phase_is_listed_and_has_an_example() -> None:
    assert {*SEEN, "Invalid"} == PHASES.keys()


@pytest.mark.parametrize("phase", SEEN)
def test_who_is_late_is_stalled_and_told_what_to_do(phase: str) -> None:
    told, deadline = SEEN[phase], PHASES[phase].deadline_s
    first = derive(told)
    if deadline == float("inf"):
        deadline = 1e6
    late = derive(at(told, deadline + 1, first))

    stalled = {c.type: c for c in late.conditions}["Stalled"]

    assert (stalled.status == "True") == (
        phase not in {"Running", "Awaiting", "Hibernated", "Paused"}
    )
    assert bool(stalled.message) == (stalled.status == "True")
    early = derive(at(told, max(0, deadline - 1), first))
    expected = "True" if phase == "Foreign" else "False"
    assert {c.type: c.status for c in early.conditions}["Stalled"] == expected


def test_peer_that_stands_still_is_not_ready_whatever_its_kubelet_says() -> None:
    told = seen(bazaar(), (*ring_of(1, 2), pod(0, None)))

    assert (derive(told).phase, derive(told).ready) == ("Degraded", 2)
    assert derive(SEEN["Unknown"]).ready == 3, "nobody can be heard: what the kubelets say stands"


def test_progress_sets_the_clock_back() -> None:
    first = derive(SEEN["Degraded"])
    better = seen(bazaar(), ring_of(1, 2, 0), replicas=3)
    then = derive(at(better, 500, first))

    ready = {c.type: c for c in then.conditions}["Ready"]

    assert ready.last_transition_time == "1970-01-01T00:08:20Z"


def test_an_equal_view_makes_an_equal_status() -> None:
    """Else each pass would write, and each write wake another pass."""
    for told in SEEN.values():
        first = derive(told)
        settled = derive(at(told, 1, first))

        assert derive(at(told, 2, settled)) == settled


def test_all_conditions_are_there_and_say_for_which_generation() -> None:
    for told in SEEN.values():
        conditions = derive(told).conditions
        assert {c.type for c in conditions} == {
            "Ready", "Reconciling", "Available", "TraderElected", "Progressing", "Degraded",
            "Stalled", "Accepted",
        }  # fmt: skip
        assert {c.observed_generation for c in conditions} == {1}


def test_no_observation_is_unknown_and_not_false() -> None:
    conditions: dict[str, Condition] = {c.type: c for c in derive(SEEN["Unknown"]).conditions}

    assert {conditions[t].status for t in ("Available", "TraderElected", "Degraded")} == {"Unknown"}


def test_the_identity_is_latched_once() -> None:
    fresh = bazaar(status={"ring_id": "", "genesis_peers": 0, "history": False})
    first = derive(Observation(bazaar=fresh, now=0.0, image=IMAGE))
    assert (first.ring_id, first.genesis_peers, first.image) == ("uid", 3, IMAGE)

    wish = msgspec.structs.replace(fresh.spec, peers=6)
    later = msgspec.structs.replace(fresh, spec=wish, status=first)

    assert derive(Observation(bazaar=later, now=0.0, image=IMAGE)).genesis_peers == 3


def test_volumes_are_recorded_once_all_are_heard_or_a_majority_after_a_while() -> None:
    fresh = bazaar(status={"history": False})
    two = tuple(pod(i, view(i, (), **EMPTY)) for i in range(2))

    assert derive(seen(fresh, two)).volumes == {}
    assert derive(seen(fresh, two, age_s=61.0)).volumes == {"0": "vol-0", "1": "vol-1"}


@pytest.mark.parametrize("other", [{"state": "damaged"}, {"state": "foreign", "found": "x"}])
def test_nothing_is_recorded_while_an_older_volume_may_be_there(other: dict[str, str]) -> None:
    fresh = bazaar(status={"history": False})
    pods = (
        *(pod(i, view(i, (), **EMPTY)) for i in range(2)),
        pod(2, view(2, (), **EMPTY | other)),
    )

    assert derive(seen(fresh, pods, age_s=61.0)).volumes == {}


def test_an_epoch_is_history_for_ever() -> None:
    fresh = bazaar(status={"history": False, "ring_id": RING})

    assert derive(seen(fresh, ring_of(0, 1, 2))).history is True


def test_news_is_told_once_and_with_stable_reasons() -> None:
    of = bazaar()
    new = derive(SEEN["Running"])

    reasons = [reason for _, reason, _ in news(of, new)]

    assert reasons == [
        "TraderElected", "MemberAdded", "MemberAdded", "MemberAdded", "VolumeAdmitted",
        "VolumeAdmitted", "VolumeAdmitted", "Running",
    ]  # fmt: skip
    assert news(msgspec.structs.replace(of, status=new), new) == []
