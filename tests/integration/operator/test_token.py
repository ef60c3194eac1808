"""The ring's token goes by TLS alone, once everybody can: before, nobody is left behind for it.

`World.check` fails if the operator sends it in clear to a ring that is said to require TLS for it.
"""

from __future__ import annotations

from functools import partialmethod
from typing import Any

import pytest

from bazaar_operator import labels, trust
from bazaar_operator.trust import TRUST_FILE
from bazaar_operator.trust_modes import TOKEN_FILE, mode_of
from bazaar_operator.views import REQUIRED
from tests.integration.operator.pod_secrets import REFRESH_TICKS
from tests.integration.operator.store import Key
from tests.integration.operator.test_scale import running
from tests.integration.operator.test_tls import DAY_S, OFF, ON, lose, rotate, secret
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

    world.wish(peers=4)
    await operator.go_on(60)

    world.check()
    assert world.ring.voters == {0, 1, 2, 3}
    assert await asked(operator) == {True}


async def test_token_is_kept_while_nobody_knows_whom_the_ring_trusts() -> None:
    """And goes again when the peers have certificates of the authority that follows."""
    world, operator = await running(3, tls=ON)
    world.wish(peers=4)
    for name in ("ca", "certificates"):
        lose(world, name)

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


async def test_operator_of_a_former_release_gives_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not write the file, and peers take the token in clear as before."""
    world, _ = await running(3, tls=ON)
    with monkeypatch.context() as former:
        former.setattr(trust, "token_mode_of", lambda _seen: "")
        former.setattr(trust, "_modes", lambda bazaar: {"mode": bazaar.status.tls.mode})
        rotate(world)  # so that it writes the Secret
        await Operator(world).settle()
        await Operator(world).go_on(REFRESH_TICKS)
        assert TOKEN_FILE not in secret(world, "certificates")
        assert TRUST_FILE in secret(world, "certificates")
        assert token_modes(world) == {""}

    await Operator(world).settle()
    await Operator(world).go_on(REFRESH_TICKS)
    assert token_modes(world) == {REQUIRED}


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
