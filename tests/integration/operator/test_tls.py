"""Certificates of a ring: on, off and replaced while it trades, and nobody is deaf meanwhile.

`World.check` fails if two peers that run could not speak with each other at any moment.
"""

from __future__ import annotations

import base64
import copy
import re
import time
from collections import Counter
from typing import Any

import pytest

from bazaar_operator import certificates, labels, trust
from tests.integration.operator.store import Key, Object
from tests.integration.operator.test_faults import Blow, Killed
from tests.integration.operator.test_faults import gist as plain_gist
from tests.integration.operator.test_scale import running
from tests.integration.operator.trusting import names
from tests.integration.operator.world import NAME, SPACE, Operator, World

DAY_S = 86_400.0
ON, OFF = {"enabled": True}, {"enabled": False}
KEYS = re.compile(r"'bazaar.dev/keys-hash': '\w+'")


def secret(world: World, suffix: str) -> dict[str, str]:
    data: dict[str, str] = world.store.get("secrets", f"{NAME}-{suffix}")["data"]
    return data


def lose(world: World, suffix: str) -> None:
    world.store.remove(Key("secrets", SPACE, f"{NAME}-{suffix}"))


def modes(world: World) -> set[str]:
    return {mine.tls.mode if mine.tls else "" for mine in world.peers.running.values()}


def uids(world: World) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.store.all("pods")}


def rotate(world: World, wish: str = "now") -> None:
    world.store.merge(
        Key(labels.PLURAL, SPACE, NAME), {"metadata": {"annotations": {labels.ROTATE: wish}}}
    )


def gist(world: World) -> Any:
    """As of other stories, without what is random: which keys there are."""
    found = KEYS.sub("", str(plain_gist(world)))
    tls = world.status["tls"]
    return found, tls["mode"], tls["step"], modes(world)


def news(world: World, about: str) -> dict[str, int]:
    return Counter(reason for reason in world.events if reason.startswith(about))


def held(world: World) -> dict[str, Object]:
    return {name: secret(world, name) for name in ("ca", "keys", "certificates")}


async def test_new_ring_requires_tls_from_its_first_moment() -> None:
    world, _ = await running(3, tls=ON)

    world.check()
    assert modes(world) == {"Required"}
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert len(secret(world, "keys")) == len(secret(world, "certificates")) - 3 == 24
    assert secret(world, "ca").keys() == {"ca.crt", "ca.key"}
    mounted = str(world.store.get("statefulsets", NAME)["spec"])
    assert f"{NAME}-keys" in mounted
    assert f"{NAME}-ca" not in mounted
    for name in ("ca", "keys", "certificates"):
        owners = world.store.get("secrets", f"{NAME}-{name}")["metadata"]["ownerReferences"]
        assert [owner["kind"] for owner in owners] == ["Bazaar"]


async def test_ring_grows_and_shrinks_with_the_keys_that_are_there() -> None:
    world, operator = await running(3, tls=ON)
    before = held(world)

    for size in (6, 2):
        world.wish(peers=size)
        await operator.settle()

    world.check()
    assert held(world) == before
    assert world.ring.voters == {0, 1}


async def test_tls_is_switched_on_and_off_while_the_ring_trades() -> None:
    world, operator = await running(3)
    assert modes(world) == {""}
    changes = len(world.ring.changes)

    world.wish(tls=ON)
    await operator.settle()
    world.check()
    assert (modes(world), world.status["tls"]["mode"]) == ({"Required"}, "Required")
    assert len(world.ring.changes) == changes + 1

    world.wish(tls=OFF)
    await operator.settle()
    world.check()
    assert (modes(world), world.status["tls"]["mode"]) == ({""}, "")
    assert len(world.ring.changes) == changes + 2
    assert news(world, "Tls") == {"TlsOffered": 2, "TlsRequired": 1, "TlsOff": 1}


async def test_tls_is_not_required_while_a_peer_is_silent() -> None:
    world, operator = await running(3)
    world.wish(tls=ON)
    while modes(world) != {"Offered"}:
        await operator.once()
        world.tick()
    world.peers.running[1].silent = True
    await operator.go_on(30)
    assert world.status["tls"]["mode"] == "Offered"

    world.peers.running[1].silent = False
    await operator.settle()
    world.check()
    assert modes(world) == {"Required"}


async def test_ring_that_sleeps_wakes_with_tls() -> None:
    world, operator = await running(3)
    world.wish(hibernated=True)
    await operator.settle()
    world.wish(tls=ON)
    await operator.settle()
    world.wish(hibernated=False)
    await operator.settle()

    world.check()
    assert modes(world) == {"Required"}
    assert "TlsOffered" not in world.events


@pytest.mark.parametrize("stopped", ["hibernated", "paused"])
async def test_two_wishes_at_once_start_no_peer_that_the_others_cannot_hear(stopped: str) -> None:
    """The mode is latched before any pod is built by it."""
    world = World()
    world.make(peers=4, **{stopped: True})
    await Operator(world).settle()

    world.wish(tls=ON, **{stopped: False})
    await Operator(world).settle()

    world.check()
    assert modes(world) == {"Required"}
    assert world.status["phase"] == "Running"


async def test_who_sleeps_with_an_image_that_knows_no_tls_does_not_require_it() -> None:
    world, _ = await running(3, updatePolicy="Supervised")
    world.wish(hibernated=True)
    newer = Operator(world, image="bazaar:2")
    await newer.settle()

    world.wish(tls=ON)
    await newer.settle()

    assert world.status["tls"]["mode"] == "Offered"


async def test_peers_that_require_tls_are_not_forgotten_with_the_status() -> None:
    """As after a restore without it, of a ring whose pods run on."""
    world, operator = await running(3, tls=ON)
    lost = {"mode": "", "keys": "", "step": "", "until": ""}
    world.store.merge(Key(labels.PLURAL, SPACE, NAME), {"status": {"tls": lost}}, "status")
    world.wish(tls=OFF)

    await operator.settle()

    world.check()
    assert modes(world) == {""}
    assert len(world.ring.changes) == 2


async def test_peer_that_cannot_use_tls_keeps_it_from_being_required() -> None:
    """Its clock is wrong, say: it speaks plainly as long as it may."""
    world, operator = await running(3)
    world.wish(tls=ON)
    while modes(world) != {"Offered"}:
        await operator.once()
        world.tick()
    mine = world.peers.running[1].tls
    assert mine is not None
    mine.why = "the certificate of peer 2: certificate is not yet valid"
    await operator.go_on(30)
    assert world.status["tls"]["mode"] == "Offered"

    mine.why = ""
    await operator.settle()
    assert modes(world) == {"Required"}


@pytest.mark.parametrize("name", ["ca", "keys", "certificates"])
async def test_secret_of_somebody_else_is_left_alone_and_told(name: str) -> None:
    world = World()
    data = {"tls.key": base64.b64encode(b"mine").decode()}
    theirs = {"name": f"{NAME}-{name}", "namespace": SPACE}
    world.store.create("secrets", {"kind": "Secret", "metadata": theirs, "data": data})
    world.make(peers=3, tls=ON)
    await Operator(world).settle()

    assert secret(world, name) == data
    assert world.store.all("statefulsets") == []
    told = {c["type"]: c["message"] for c in world.status["conditions"]}
    assert f"Secret {NAME}-{name} belongs to somebody else" in told["Accepted"]

    lose(world, name)
    await Operator(world).settle()
    world.check()
    assert modes(world) == {"Required"}


async def test_authority_is_replaced_while_the_ring_trades() -> None:
    world, operator = await running(3, tls=ON)
    before, pods = held(world), uids(world)

    rotate(world)
    await operator.settle()

    world.check()
    assert held(world)["ca"]["ca.key"] != before["ca"]["ca.key"]
    assert held(world)["keys"] == before["keys"]
    assert world.status["tls"]["step"] == "Stable"
    assert uids(world) == pods
    assert len(world.ring.changes) == 1
    said = {"CertificatesIssued": 1, "CertificatesRotating": 1, "CertificatesRotated": 1}
    assert news(world, "Certificates") == said
    after = held(world)
    await Operator(world).settle()  # the same wish again is no wish
    assert held(world) == after


async def test_authority_is_not_replaced_while_a_peer_is_silent() -> None:
    world, operator = await running(3, tls=ON)
    before = held(world)
    world.peers.running[1].silent = True
    rotate(world)
    await operator.go_on(60)
    assert world.status["tls"]["step"] == "Trusting"
    assert held(world)["ca"]["ca.key"] == before["ca"]["ca.key"]

    world.peers.running[1].silent = False
    await operator.settle()
    world.check()
    assert world.status["tls"]["step"] == "Stable"


@pytest.mark.parametrize("paused", [False, True])
async def test_certificates_are_renewed_in_time(paused: bool) -> None:
    """A ring that is left alone goes on: it must not run out of them."""
    world, _ = await running(3, tls=ON)
    before, pods, until = held(world), uids(world), world.status["tls"]["until"]
    world.wish(paused=paused)

    await Operator(world, ahead_s=59 * DAY_S).settle()
    assert held(world) == before
    await Operator(world, ahead_s=61 * DAY_S).settle()

    world.check()
    assert held(world)["certificates"].keys() == before["certificates"].keys()
    assert held(world)["certificates"]["peer-0.crt"] != before["certificates"]["peer-0.crt"]
    assert (held(world)["ca"], held(world)["keys"]) == (before["ca"], before["keys"])
    assert world.status["tls"]["until"] > until
    assert uids(world) == pods


async def test_authority_is_replaced_in_time() -> None:
    world, _ = await running(3, tls=ON)
    before = held(world)

    await Operator(world, ahead_s=500 * DAY_S).settle()

    world.check()
    assert held(world)["ca"]["ca.key"] != before["ca"]["ca.key"]
    assert world.status["tls"]["step"] == "Stable"


@pytest.mark.parametrize(
    "names",
    [["ca"], ["keys"], ["certificates"], ["ca", "keys"], ["keys", "certificates"]],
)
async def test_lost_secret_is_made_again_and_nobody_is_deaf(names: list[str]) -> None:
    world, operator = await running(3, tls=ON)
    pods = uids(world)

    for name in names:
        lose(world, name)
    await operator.settle()

    world.check()
    assert modes(world) == {"Required"}
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert not (uids(world) & pods) if "keys" in names else uids(world) == pods
    assert len(world.ring.changes) == (2 if "keys" in names else 1)


async def story(name: str) -> World:
    world, _ = await running(3, tls=OFF if name == "on" else ON)
    if name == "rotate":
        rotate(world)
    else:
        world.wish(tls=ON if name == "on" else OFF)
    return world


@pytest.mark.parametrize("name", ["on", "off", "rotate"])
async def test_a_kill_at_any_write_changes_nothing_in_the_end(name: str) -> None:
    base, whole = await story(name), Blow(0, late=False)
    world = copy.deepcopy(base)
    await Operator(world, before=whole.before).settle()
    wished = gist(world)
    assert whole.count > 5

    for at in range(1, whole.count + 1, 1 if name == "rotate" else 3):
        for late in (False, True):
            world, blow = copy.deepcopy(base), Blow(at, late)
            try:
                await Operator(world, before=blow.before, after=blow.after).settle()
            except Killed:
                world.tick()
                await Operator(world).settle()
            world.check()
            assert gist(world) == wished, f"{name} killed at write {at}, late: {late}"


@pytest.mark.parametrize(
    ("name", "bug", "said"),
    [
        ("on", "mode_of", "requires TLS"),
        ("off", "mode_of", "requires TLS"),
        ("rotate", "_all_say", "does not trust"),
    ],
)
async def test_who_does_not_wait_for_all_peers_is_seen(
    name: str, bug: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted bugs: TLS is required, or given up, at once; a step does not wait for the others."""
    world = await story(name)
    at_once = {"on": "Required", "off": ""}.get(name, True)
    monkeypatch.setattr(trust, bug, lambda *_: at_once)

    for _ in range(60):
        await Operator(world).once()
        world.tick()

    with pytest.raises(AssertionError, match=said):
        world.check()


@pytest.mark.parametrize("name", ["ca", "keys", "certificates"])
async def test_secret_that_somebody_spoilt_is_mended(name: str) -> None:
    world, operator = await running(3, tls=ON)
    key = Key("secrets", SPACE, f"{NAME}-{name}")
    rubbish = base64.b64encode(b"\xff rubbish").decode()
    spoilt = {file: rubbish for file in secret(world, name) if file != "mode"}
    world.store.merge(key, {"data": spoilt | {"mine": rubbish}})

    await operator.settle()

    world.check()
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert modes(world) == {"Required"}
    left = {file for file, text in secret(world, name).items() if text == rubbish}
    assert left <= {"mine"}


def certified(world: World, peer: int) -> frozenset[str]:
    return names(base64.b64decode(secret(world, "certificates")[f"peer-{peer}.crt"]).decode())


async def with_a_former_authority(monkeypatch: pytest.MonkeyPatch) -> World:
    """A ring whose authority may name peers, and not the Services that clients know."""
    with monkeypatch.context() as former:
        domains = labels.domains(NAME, SPACE)[:2]
        former.setattr(labels, "domains", lambda *_: domains)
        world, _ = await running(3, tls=ON)
    assert certified(world, 1) == {f"{NAME}-1.{NAME}-peers", f"{NAME}-1.{NAME}-peers.{SPACE}.svc"}
    return world


async def test_authority_that_may_not_name_the_services_is_replaced_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await with_a_former_authority(monkeypatch)
    pods, changes = uids(world), len(world.ring.changes)

    await Operator(world).settle()

    world.check()
    assert world.status["tls"]["step"] == "Stable"
    assert (uids(world), len(world.ring.changes)) == (pods, changes)
    assert {f"{NAME}-client", f"{NAME}-client.{SPACE}.svc", f"{NAME}-1.{NAME}-peers"} <= certified(
        world, 1
    )


async def test_name_that_an_authority_may_not_give_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted bug: certificates are made anew for the Services at once, by the former authority."""
    world = await with_a_former_authority(monkeypatch)
    monkeypatch.setattr(trust, "names", lambda *_: labels.names_of(NAME, SPACE, 1))

    for _ in range(60):
        await Operator(world).once()
        world.tick()

    with pytest.raises(AssertionError, match="does not trust"):
        world.check()


def foreign_pair() -> certificates.Pair:
    return certificates.authority("somebody", [f"{NAME}-peers"], time.time())


@pytest.mark.parametrize("changed", ["ca.crt", "ca.key", "both", "comment"])
async def test_other_authority_that_was_put_there_is_replaced_step_by_step(changed: str) -> None:
    """Peers trust what they trusted before until all trust what follows it."""
    world, operator = await running(3, tls=ON)
    pods, other = uids(world), foreign_pair()
    told = {"ca.crt": other.certificate, "ca.key": other.key}
    if changed == "comment":
        own = base64.b64decode(secret(world, "ca")["ca.crt"]).decode()
        told = {"ca.crt": "Müller's own:\n" + own}
    elif changed != "both":
        told = {changed: told[changed]}
    data = {name: base64.b64encode(text.encode()).decode() for name, text in told.items()}
    world.store.merge(Key("secrets", SPACE, f"{NAME}-ca"), {"data": data})

    await operator.settle()

    world.check()
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
    assert uids(world) == pods
    assert other.key not in base64.b64decode(secret(world, "ca")["ca.key"]).decode()


async def test_words_beside_what_is_trusted_are_taken_away() -> None:
    """Peers name the file by all that is in it, and would seem to lag for ever."""
    world, operator = await running(3, tls=ON)
    own = secret(world, "certificates")["ca.crt"]
    noted = base64.b64encode(b"the ring's own:\n" + base64.b64decode(own)).decode()
    key = Key("secrets", SPACE, f"{NAME}-certificates")
    world.store.merge(key, {"data": {"ca.crt": noted}})

    await operator.settle()

    world.check()
    assert secret(world, "certificates")["ca.crt"] == own


async def test_rubbish_in_the_place_of_the_former_authority_is_not_passed_on() -> None:
    world, operator = await running(3, tls=ON)
    rotate(world)
    while world.status["tls"]["step"] != "Issuing":
        await operator.once()
        world.tick()
    rubbish = base64.b64encode(b"\xff rubbish").decode()
    world.store.merge(Key("secrets", SPACE, f"{NAME}-ca"), {"data": {"old.crt": rubbish}})

    await operator.settle()

    assert world.status["tls"]["step"] == "Stable"
    assert {mine.tls.told()["trust"] for mine in world.peers.running.values() if mine.tls} == {
        trust.mark_of(base64.b64decode(secret(world, "certificates")["ca.crt"]).decode())
    }


async def test_paused_ring_gets_no_keys_that_its_pods_do_not_have() -> None:
    world, operator = await running(3, tls=ON)
    before = secret(world, "certificates")
    world.wish(paused=True)
    lose(world, "keys")
    await operator.settle()
    assert secret(world, "certificates") == before

    world.wish(paused=False)
    await operator.settle()
    world.check()
    assert world.status["phase"] == "Running"


async def test_peer_that_waits_for_a_certificate_holds_nothing_up() -> None:
    """It starts with its new key beside the old certificate, before the new authority signs."""
    world, operator = await running(3, tls=ON)
    lose(world, "ca")
    lose(world, "keys")
    await operator.once()
    world.wish(paused=True)  # or the roll makes the pod anew, and it is away for a moment
    world.crash(1)
    world.tick()
    world.tick()
    assert world.peers.state(world.peers.running[1]) == "starting"
    await operator.settle()
    assert world.status["tls"]["step"] == "Issuing"
    assert world.peers.state(world.peers.running[1]) == "serving"

    world.wish(paused=False)
    await operator.settle()
    world.check()
    assert (world.status["phase"], world.status["tls"]["step"]) == ("Running", "Stable")
