"""The plan on whatever may be observed: what it must never do, however odd the view."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazaar_operator import plan as planning
from bazaar_operator.observation import (
    Address,
    Observation,
    Pod,
    StatefulSet,
    is_majority,
)
from bazaar_operator.plan import Apply, Format, Resign, Resize, StopPod, plan
from bazaar_operator.spec import Bazaar, Member, Spec, Status
from bazaar_operator.views import PeerView

RING, IMAGE = "ring-1", "bazaar:1"


def bazaar(**changes: Any) -> Bazaar:
    status: dict[str, Any] = {
        "ring_id": RING, "genesis_peers": 3, "image": IMAGE, "history": True,
    }  # fmt: skip
    status |= changes.pop("status", {})
    return Bazaar(
        name="fair", namespace="ns", uid="uid", generation=1,
        spec=Spec(**{"peers": 3} | changes), status=Status(**status),
    )  # fmt: skip


def member(ordinal: int, *, voter: bool = True, volume: str = "") -> Member:
    return Member(id=ordinal, incarnation=0, voter=voter, volume=volume or f"vol-{ordinal}")


def view(ordinal: int, members: tuple[Member, ...] = (), /, **changes: Any) -> PeerView:
    told: dict[str, Any] = {
        "state": "serving", "ring": RING, "ordinal": ordinal, "volume": f"vol-{ordinal}",
        "ready": True, "role": "follower", "trader": 2, "epoch": 1, "commit_index": 10,
        "voter": True, "size": 3, "members": members,
    }  # fmt: skip
    told |= {"role": "trader"} if ordinal == 2 else {}
    return PeerView(**told | changes)


def pod(ordinal: int, peer: PeerView | None, **changes: Any) -> Pod:
    told: dict[str, Any] = {
        "revision": "new",
        "started": True,
        "ready": True,
    }
    return Pod(
        name=f"fair-{ordinal}",
        uid=f"pod-{ordinal}",
        ordinal=ordinal,
        at=Address(f"10.0.0.{ordinal}"),
        peer=peer,
        **told | changes,
    )


def seen(of: Bazaar, pods: tuple[Pod, ...], replicas: int = 3, **changes: Any) -> Observation:
    told = Observation(bazaar=of, now=0.0, image=IMAGE, pods=pods, **changes)
    stands = StatefulSet(replicas=replicas, revision="new", applied=told.wished_hash)
    return Observation(
        bazaar=of, now=0.0, image=IMAGE, pods=pods, **{"statefulset": stands} | changes
    )


def healthy(revision: str = "new", **spec: Any) -> Observation:
    members = tuple(member(i) for i in range(3))
    pods = tuple(pod(i, view(i, members), revision=revision) for i in range(3))
    return seen(bazaar(**spec), pods)


def orders(actions: list[planning.Action]) -> list[planning.Action]:
    return [a for a in actions if isinstance(a, Format | Resize | Resign | StopPod)]


def test_a_ring_as_wished_gets_no_order() -> None:
    assert orders(plan(healthy())) == []


def test_up_waits_for_the_replicas() -> None:
    growing = healthy(peers=5)
    assert orders(plan(growing)) == []
    assert growing.replicas == 5

    later = seen(growing.bazaar, growing.pods, replicas=5)

    assert [type(a) for a in orders(plan(later))] == [Resize]


def test_down_begins_with_the_members() -> None:
    shrinking = healthy(peers=1)

    assert shrinking.replicas == 3
    assert [(a.size, a.generation) for a in orders(plan(shrinking)) if isinstance(a, Resize)] == [
        (1, 1)
    ]


def test_a_roll_begins_with_a_follower() -> None:
    stopped = orders(plan(healthy("old")))

    assert [a.pod.ordinal for a in stopped if isinstance(a, StopPod)] == [0]


def test_the_trader_hands_over_to_who_was_updated() -> None:
    members = tuple(member(i) for i in range(3))
    pods = tuple(
        pod(i, view(i, members, commit_index=10 + i), revision="old" if i == 2 else "new")
        for i in range(3)
    )

    handed = orders(plan(seen(bazaar(), pods)))

    assert [(a.pod.ordinal, a.successor.ordinal) for a in handed if isinstance(a, Resign)] == [
        (2, 1)
    ]


def test_nobody_is_stopped_while_one_is_away() -> None:
    members = tuple(member(i) for i in range(3))
    pods = tuple(pod(i, view(i, members), revision="old") for i in (0, 2))

    assert orders(plan(seen(bazaar(), pods))) == []


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_stops_everything_but_the_status(paused: bool) -> None:
    assert (plan(healthy("old", paused=paused)) == []) is paused


def test_a_recorded_volume_is_formatted_until_it_serves() -> None:
    recorded = bazaar(status={"history": False, "volumes": {"0": "vol-0", "1": "other"}})
    empty = {"state": "empty", "role": "", "trader": -1, "epoch": 0, "members": ()}
    pods = tuple(pod(i, view(i, (), **empty), ready=False) for i in range(3))

    formats = orders(plan(seen(recorded, pods)))

    assert [(a.pod.ordinal, a.volume) for a in formats if isinstance(a, Format)] == [(0, "vol-0")]


# ---- whatever is seen

mostly = st.sampled_from([True] * 6 + [False])
states = st.sampled_from(["serving"] * 20 + ["empty", "foreign", "damaged", "unwanted", "locked"])


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Rings as they are in the middle of things: mostly there, mostly in step, told or not."""
    size = draw(st.integers(1, 6))
    members = tuple(member(i, voter=draw(mostly)) for i in range(size) if draw(mostly))
    trader = draw(st.integers(0, size - 1))
    of = bazaar(
        peers=size if draw(mostly) else draw(st.integers(1, 6)),
        status={
            "history": draw(mostly),
            "members": members if draw(mostly) else (),
            "volumes": {str(i): f"vol-{i}" for i in range(size) if draw(mostly)},
        },
    )
    pods = []
    for ordinal in range(size + draw(st.integers(0, 1))):
        told = view(
            ordinal, members,
            state=draw(states), role="trader" if ordinal == trader else "follower", trader=trader,
            epoch=1 if draw(mostly) else draw(st.integers(0, 2)), ready=draw(mostly), size=size,
            volume=f"vol-{ordinal}" if draw(mostly) else "vol-x",
        )  # fmt: skip
        there = pod(
            ordinal, told if draw(mostly) else None,
            revision=draw(st.sampled_from(["old", "old", "new"])),
            started=draw(mostly) or draw(mostly), ready=draw(mostly), leaving=not draw(mostly),
        )  # fmt: skip
        if draw(mostly):
            pods.append(there)
    return seen(of, tuple(pods), replicas=len(pods) or 1)


def wrongs(told: Observation) -> list[str]:
    """What of the plan must never be; empty for a good one."""
    found, actions = [], plan(told)
    status, ring = told.bazaar.status, told.ring
    stops = [a.pod for a in actions if isinstance(a, StopPod)]
    disruptive = [p for p in stops if p.started and (p.peer is None or p.peer.state == "serving")]
    moves = [a for a in actions if isinstance(a, Resize | Resign)]
    if len(disruptive) + len(moves) > 1:
        found.append("two steps at once")
    if ring is None and (disruptive or moves):
        found.append("an action without an observation")
    for stopped in disruptive:
        assert ring is not None
        left = ring.live - {stopped.ordinal}
        none_to_spare = len(ring.voters) <= 2 and left == ring.voters - {stopped.ordinal}
        if stopped.ordinal in ring.voters and not is_majority(left, ring.voters):
            found += [] if none_to_spare else ["below a majority"]
    for action in actions:
        if isinstance(action, Format):
            if status.history or told.epoch:
                found.append("a format once there is history")
            if status.volumes.get(str(action.pod.ordinal)) != action.volume:
                found.append("a format of a volume that is not recorded")
        if isinstance(action, Apply) and action.manifest["kind"] == "StatefulSet":
            replicas = action.manifest["spec"]["replicas"]
            known = [m.id for p in told.serving if p.peer for m in p.peer.members]
            if replicas <= max(known, default=-1):
                found.append("fewer replicas than the highest member + 1")
            if ring is None and told.statefulset and replicas < told.statefulset.replicas:
                found.append("fewer replicas without an observation")
    return found


@settings(max_examples=300, deadline=None)
@given(observations())
def test_whatever_is_seen_the_plan_keeps_the_ring_alive(told: Observation) -> None:
    assert wrongs(told) == []


@settings(max_examples=100, deadline=None)
@given(observations())
def test_equal_observations_have_equal_plans(told: Observation) -> None:
    again = Observation(**{f: getattr(told, f) for f in told.__dataclass_fields__})

    assert plan(told) == plan(again)


@pytest.mark.parametrize(
    "planted",
    [
        {"_can_spare": lambda _ring, _pod: True, "_is_quiet": lambda _seen, _ring: True},
        {"_step": lambda told: [StopPod(p, "planted") for p in told.old]},
        {"_formats": lambda told: [Format(p, p.peer.volume) for p in told.pods if p.peer]},
    ],
    ids=["neither waits nor counts", "all at once", "formats anything"],
)
def test_the_properties_catch_a_planted_bug(
    monkeypatch: pytest.MonkeyPatch, planted: dict[str, Any]
) -> None:
    caught: list[str] = []
    for name, bug in planted.items():
        monkeypatch.setattr(planning, name, bug)

    @settings(max_examples=300, deadline=None, database=None)
    @given(observations())
    def search(told: Observation) -> None:
        caught.extend(_told(told))

    search()
    assert caught


def _told(told: Observation) -> list[str]:
    try:
        return wrongs(told)
    except AssertionError:
        return ["an action without an observation"]
