"""The ring's token goes by TLS alone, once everybody can: before, nobody is left behind for it.

`World.check` fails if the operator sends it in clear to a ring that is said to require TLS for it.
"""

from __future__ import annotations

import base64
from functools import partialmethod
from typing import Any

import pytest

from bazaar_operator import labels, trust
from bazaar_operator.trust_modes import mode_of
from tests.integration.operator.pod_secrets import REFRESH_TICKS
from tests.integration.operator.store import Key
from tests.integration.operator.test_scale import running
from tests.integration.operator.test_tls import DAY_S, OFF, ON, foreign_pair, lose, secret, uids
from tests.integration.operator.world import (
    FORMER,
    IMAGE,
    NAME,
    SPACE,
    MemoryPeers,
    Operator,
    World,
)


def token_modes(world: World) -> set[str]:
    """What the peers were given that run."""
    return {mine.tls.token_mode if mine.tls else "" for mine in world.peers.running.values()}


async def asked(operator: Operator) -> set[bool]:
    """Tell by which of clear and TLS the operator looks at peers in a pass."""
    peers = operator.reconciler.peers
    assert isinstance(peers, MemoryPeers)
    peers.asked.clear()
    await operator.once()
    return {by_tls for path, by_tls in peers.asked if path == "/v1/peer"}


async def of_a_former_release(peers: int = 3, **spec: Any) -> World:
    """A ring that requires TLS between peers, whose peers serve clients none."""
    with pytest.MonkeyPatch.context() as former:
        former.setattr(trust, "token_mode_of", lambda _seen: "")
        world = World()
        world.make(peers=peers, tls=ON, **spec)
        await Operator(world, image=FORMER).settle()
    assert (world.status["phase"], world.status["tls"]["mode"]) == ("Running", "Required")
    return world


def upgraded(world: World) -> tuple[str, str, set[str]]:
    images = {pod["spec"]["image"] for pod in world.store.all("pods")}
    return world.status["phase"], world.status["tls"].get("token", ""), images


DONE = ("Running", "Required", {IMAGE})


async def test_new_ring_takes_its_token_by_tls_from_its_first_moment() -> None:
    world, operator = await running(3, tls=ON)

    world.check()
    assert world.status["tls"]["token"] == "Required"
    assert token_modes(world) == {"Required"}
    assert await asked(operator) == {True}


async def test_token_goes_by_tls_once_the_ring_does_and_in_clear_again_without() -> None:
    world, operator = await running(3)
    assert await asked(operator) == {False}

    world.wish(tls=ON)
    await operator.settle()
    world.check()
    assert (world.status["tls"]["token"], token_modes(world)) == ("Required", {"Required"})

    world.wish(peers=4)
    await operator.settle()
    world.wish(tls=OFF)
    await operator.settle()
    world.check()
    assert world.status["tls"].get("token", "") == ""
    assert (world.status["phase"], world.ring.voters) == ("Running", {0, 1, 2, 3})
    assert await asked(operator) == {False}


@pytest.mark.parametrize("peers", [1, 2, 3])
async def test_ring_of_a_former_release_is_rolled_and_then_requires_it(peers: int) -> None:
    world = await of_a_former_release(peers)

    await Operator(world).settle()

    world.check()
    assert upgraded(world) == DONE


@pytest.mark.parametrize("peers", [1, 2, 3])
async def test_ring_that_waits_for_its_update_is_seen_and_goes_on(peers: int) -> None:
    world = await of_a_former_release(peers, updatePolicy="Supervised")
    pods = {pod["metadata"]["uid"] for pod in world.store.all("pods")}
    operator = Operator(world)
    await operator.settle()
    world.check()
    assert {pod["metadata"]["uid"] for pod in world.store.all("pods")} == pods
    assert upgraded(world)[1:] == ("", {FORMER})
    world.wish(peers=peers + 1)
    await operator.settle()
    assert world.ring.voters == set(range(peers + 1))

    note = {"metadata": {"annotations": {labels.UPDATE_TO: IMAGE}}}
    world.store.merge(Key(labels.PLURAL, SPACE, NAME), note)
    await operator.settle()

    world.check()
    assert upgraded(world) == DONE


async def until_rolling(world: World, operator: Operator) -> None:
    """Go on until the first pod is of the new release."""
    while all(pod["spec"]["image"] == FORMER for pod in world.store.all("pods")):
        await operator.once()
        world.tick()


async def test_volume_that_is_lost_in_the_middle_of_an_upgrade_gets_in() -> None:
    """Peers that run take its question in clear alone."""
    world = await of_a_former_release()
    operator = Operator(world)
    await until_rolling(world, operator)
    lost = next(
        int(pod["metadata"]["name"][-1])
        for pod in world.store.all("pods")
        if pod["spec"]["image"] == IMAGE
    )
    world.lose_volume(lost)

    await operator.settle()

    world.check()
    assert upgraded(world) == DONE
    assert world.ring.voters == {0, 1, 2}


async def test_ring_grows_in_the_middle_of_an_upgrade() -> None:
    world = await of_a_former_release()
    operator = Operator(world)
    await until_rolling(world, operator)
    world.wish(peers=5)

    await operator.settle()

    world.check()
    assert upgraded(world) == DONE
    assert world.ring.voters == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", ["ca", "keys", "certificates"])
async def test_secret_that_belongs_to_somebody_else_still_says_whom_pods_trust(name: str) -> None:
    world, operator = await running(3, tls=ON)
    key = Key("secrets", SPACE, f"{NAME}-{name}")
    world.store.objects[key]["metadata"]["ownerReferences"] = []
    before = secret(world, name)

    world.wish(peers=4)
    await operator.go_on(60)

    world.check()
    assert world.ring.voters == {0, 1, 2, 3}
    assert secret(world, name) == before, "it is not ours"
    assert await asked(operator) == {True}


async def test_token_is_kept_while_nobody_knows_whom_the_ring_trusts() -> None:
    """And goes again when the peers have certificates of the authority that follows."""
    world, operator = await running(3, tls=ON)
    world.wish(peers=4)
    for name in ("ca", "certificates"):
        lose(world, name)

    await operator.go_on(2 * REFRESH_TICKS)
    await operator.settle()

    assert not [wrong for wrong in world.wrongs if "token" in wrong]
    assert (world.status["phase"], world.ring.voters) == ("Running", {0, 1, 2, 3})


async def test_authority_that_ended_is_replaced_though_nobody_can_be_asked_by_it() -> None:
    world, _ = await running(3, tls=ON)
    late = Operator(world, ahead_s=800 * DAY_S)
    for peer in world.peers.running.values():
        peer.silent = True
    await late.go_on(20)
    assert world.status["tls"]["step"] == "Issuing"

    for peer in world.peers.running.values():
        peer.silent = False
    await late.settle()

    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")


async def test_ring_whose_certificates_were_all_deleted_sleeps_and_wakes() -> None:
    """Nobody trusts anybody: peers that run cannot use what is made anew for other keys."""
    world, operator = await running(3, tls=ON)
    for name in ("ca", "keys", "certificates"):
        lose(world, name)
    await operator.go_on(60)
    await Operator(world, ahead_s=300.0).once()
    assert world.status["phase"] == "Unknown"
    assert "has to sleep and wake" in str(world.status["conditions"])

    for wish in (True, False):
        world.wish(hibernated=wish)
        await operator.settle()

    assert (world.status["phase"], world.status["tls"]["token"]) == ("Running", "Required")
    assert world.ring.voters == {0, 1, 2}


def put(world: World, name: str, **files: str) -> None:
    """Let somebody write into a Secret of the ring."""
    data = {file: base64.b64encode(text.encode()).decode() for file, text in files.items()}
    world.store.merge(Key("secrets", SPACE, f"{NAME}-{name}"), {"data": data})


async def test_foreign_secret_of_another_content_does_not_hide_whom_running_peers_trust() -> None:
    world, operator = await running(3, tls=ON)
    key = Key("secrets", SPACE, f"{NAME}-certificates")
    world.secrets.frozen = True
    world.store.objects[key]["metadata"]["ownerReferences"] = []
    put(world, "certificates", **{"ca.crt": foreign_pair().certificate})
    before = secret(world, "certificates")

    world.wish(peers=2)
    await operator.go_on(40)

    assert not [wrong for wrong in world.wrongs if "token" in wrong]
    assert world.ring.voters == {0, 1}
    assert secret(world, "certificates") == before, "it is not ours"


async def test_trust_that_somebody_put_there_is_replaced_step_by_step() -> None:
    """And what peers show is trusted on until they have others."""
    world, operator = await running(3, tls=ON)
    pods = uids(world)
    put(world, "certificates", **{"ca.crt": foreign_pair().certificate})

    await operator.settle()

    world.check()
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert uids(world) == pods
    assert foreign_pair().certificate not in secret(world, "certificates").values()


async def test_authority_without_a_key_whose_certificates_are_gone_is_followed_at_once() -> None:
    """It could sign none, and who has none never says that it trusts the next one."""
    world, operator = await running(3, tls=ON)
    lose(world, "ca")
    while world.status["tls"]["step"] != "Trusting":
        await operator.once()
    lose(world, "certificates")

    await operator.settle()

    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert all(secret(world, "certificates").values())
    world.crash(1)
    await operator.settle()
    assert world.ring.voters == {0, 1, 2}


async def test_definition_that_does_not_know_it_is_told_of_and_makes_no_haste() -> None:
    world, operator = await running(3)
    world.store.dropped = ("tls.token",)
    world.wish(tls=ON)

    await operator.settle()

    done = await operator.once()
    assert done is not None
    assert done.again_s > 1
    assert "tls.token" in str(world.status["conditions"])
    assert token_modes(world) == {"Offered"}


async def test_ring_that_sleeps_with_an_older_image_does_not_require_it() -> None:
    world = await of_a_former_release(updatePolicy="Supervised")
    for wish in (True, False):
        world.wish(hibernated=wish)
        await Operator(world).settle()
        assert world.status["tls"].get("token", "") == ""

    assert upgraded(world) == ("Running", "", {FORMER})


async def test_who_requires_it_before_all_can_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: as soon as peers require TLS of each other."""
    world = await of_a_former_release()
    monkeypatch.setattr(trust, "token_mode_of", mode_of)
    operator = Operator(world)
    await operator.go_on(20)
    world.wish(peers=5)

    await operator.go_on(100)

    assert upgraded(world) != DONE
    assert world.ring.voters != {0, 1, 2, 3, 4}


async def test_who_sends_it_in_clear_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug."""
    world, operator = await running(3, tls=ON)
    monkeypatch.setattr(MemoryPeers, "post", partialmethod(MemoryPeers._post, by_tls=False))
    world.wish(peers=4)

    await operator.go_on(20)

    with pytest.raises(AssertionError, match="the token went to"):
        world.check()
