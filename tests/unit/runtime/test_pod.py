"""What is wrong with a pod's settings is said in a sentence that tells how to mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bazaar_operator import labels, views
from bazaar_operator.observation import RESTORER
from bazaar_peer.runtime.pod import HTTPS_PORT, PORT, PodError, pod_settings
from bazaar_peer.runtime.restoring import AWAITING, FIRST

RING = {"ring": "r-1", "name": "shop", "peers": 3, "domain": "shop-peers.market.svc"}
TOKEN = "0123456789abcdef"
POD = {"POD_NAME": "shop-1", "POD_IP": "10.0.0.7"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ring.json").write_text(json.dumps(RING))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path


def settings(folder: Path, **environment: str) -> Any:
    return pod_settings(folder / "ring.json", folder, folder / "token", {**POD, **environment})


def wrong(folder: Path, **environment: str) -> str:
    with pytest.raises(PodError) as caught:
        settings(folder, **environment)
    return str(caught.value)


def test_pod_is_the_peer_of_its_ordinal(folder: Path) -> None:
    found = settings(folder)

    assert (found.me, found.peers, found.ring, found.token) == (1, 3, "r-1", TOKEN)
    assert found.address == "10.0.0.7:8601"
    assert found.client_url(2) == "http://shop-2.shop-peers.market.svc:8600"


def test_service_is_the_one_that_the_operator_makes(folder: Path) -> None:
    """A lost volume looks for its ring there (joining.py)."""
    assert settings(folder).service == labels.client_service("shop")


def test_ports_are_those_that_the_operator_knows(folder: Path) -> None:
    found = settings(folder)
    ports = found.client_port, found.peer_port, found.https_port
    assert ports == (labels.CLIENT_PORT, labels.PEER_PORT, labels.HTTPS_PORT)
    assert (found.client_port, found.https_port) == (PORT, HTTPS_PORT)


def test_operator_and_peers_mean_the_same_by_a_ring_of_a_backup() -> None:
    assert (FIRST, AWAITING) == (RESTORER, views.AWAITING)


def test_record_is_kept_unless_it_is_switched_off(folder: Path) -> None:
    assert settings(folder).record
    (folder / "ring.json").write_text(json.dumps({**RING, "record": False}))
    assert not settings(folder).record


def test_address_of_the_newer_internet_is_written_in_brackets(folder: Path) -> None:
    assert settings(folder, POD_IP="fd00::7").address == "[fd00::7]:8601"


@pytest.mark.parametrize("name", ["", "shop", "shop-x", "other-1", "shop-96", "shop-0001"])
def test_name_that_is_no_peers_says_which_would_be(folder: Path, name: str) -> None:
    assert wrong(folder, POD_NAME=name).startswith(
        f"POD_NAME is {name!r}, and should be shop-0 to shop-95: a StatefulSet"
    )


def test_missing_settings_name_what_to_mount(folder: Path) -> None:
    (folder / "ring.json").unlink()

    assert wrong(folder).endswith("mount the ring's ConfigMap")


def test_missing_token_names_what_to_mount(folder: Path) -> None:
    (folder / "token").unlink()

    assert wrong(folder).endswith("mount the ring's Secret")


@pytest.mark.parametrize("token", ["", "short", "x" * 257, "sixteen chars äö"])
def test_token_that_is_none_is_refused_and_not_repeated(folder: Path, token: str) -> None:
    (folder / "token").write_text(token)
    told = wrong(folder)

    assert told.endswith("should hold 16 to 256 plain characters, the ring's token")
    assert not token or token not in told


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"peers": 0}, "$.peers"),
        ({"peers": "six"}, "$.peers"),
        ({"domain": "Not A Domain"}, "$.domain"),
        ({"heartbeat": {"intervalMs": 1}}, "$.heartbeat.intervalMs"),
        ({"market": {"items": []}}, "$.market.items"),
        ({"checkpoint": {"entries": 1}}, "$.checkpoint.entries"),
        ({"former": ["no ring"]}, "$.former[0]"),
        ({"recoverFrom": {"ring": "r-0", "peer": -1}}, "$.recoverFrom.peer"),
        ({"peerz": 3}, "peerz"),
    ],
)
def test_wrong_field_is_named(folder: Path, change: dict[str, object], place: str) -> None:
    (folder / "ring.json").write_text(json.dumps({**RING, **change}))

    assert place in wrong(folder)


def test_roles_that_are_none_are_named(folder: Path) -> None:
    ring = {**RING, "market": {"roles": "everybody"}}
    (folder / "ring.json").write_text(json.dumps(ring))

    assert wrong(folder).startswith("market.roles: ")


@pytest.mark.parametrize(("peer", "recovers"), [(1, "r-0"), (2, "")])
def test_ring_is_made_of_the_named_peers_volume_and_of_no_other(
    folder: Path, peer: int, recovers: str
) -> None:
    more = {"former": ["r-0"], "recoverFrom": {"ring": "r-0", "peer": peer}}
    (folder / "ring.json").write_text(json.dumps({**RING, **more}))

    found = settings(folder)

    assert (found.former, found.recovers) == (("r-0",), recovers)


def test_archive_of_a_former_ring_is_left_alone(folder: Path) -> None:
    """Its lives and segments have the numbers that the next ring's will have."""
    kept = {"checkpoint": {"keepJournal": True}}
    (folder / "ring.json").write_text(json.dumps({**RING, **kept}))
    before = settings(folder).archive
    (folder / "ring.json").write_text(json.dumps({**RING, **kept, "former": ["r-0"]}))

    assert (before, settings(folder).archive) == (
        str(folder / "archive"),
        str(folder / "archive-r-1"),
    )
