"""`bazaar up` and the folder of a ring: what it goes on with, and what it refuses (R14)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.runtime import frames
from tests.integration.ring.conftest import bazaar, events, take_ports

CONTRACT = {"peers", "trader", "epoch", "orders", "filled", "unavailable", "failed", "elections",
            "latency_ms"}  # fmt: skip


def up(data: Path, *options: object, peers: int = 3, seconds: float = 2.5) -> tuple[Any, str]:
    """Run a ring for a while; return its summary and what it said."""
    words = ("--duration", seconds, "--json", "--data", data, "--port", take_ports(peers))
    done = bazaar("up", *words, *options)
    assert done.returncode == 0, done
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def traded() -> Iterator[Path]:
    """The folder of a ring that has traded and was stopped."""
    with tempfile.TemporaryDirectory(prefix="ring-test-") as path:
        told, _ = up(Path(path) / "ring", "--peers", 3, "--rate", 100)
        assert told["filled"] > 0
        yield Path(path) / "ring"


@pytest.fixture
def ring_of_three(traded: Path, folder: Path) -> Path:
    """A copy of it, to be damaged; what is only set aside on its disks becomes holes."""
    subprocess.run(["cp", "-a", "--sparse=always", traded, folder / "ring"], check=True)
    return folder / "ring"


def test_run_for_a_time_ends_with_exactly_one_object(ring_of_three: Path) -> None:
    """And the same folder goes on where it stopped, whatever `--peers` is left out."""
    accounts = bazaar("verify", ring_of_three).stdout

    told, said = up(ring_of_three, "--rate", 100)

    assert told.keys() >= CONTRACT
    assert (told["peers"], told["failed"]) == (3, 0)
    assert told["orders"] == told["filled"] + told["unavailable"]
    assert told["epoch"] > 1
    assert {"epoch", "trader", "reason", "ms"} == told["elections"][0].keys()
    assert told["latency_ms"].keys() == {"mean", "p50", "p99", "max"}
    assert f"peer {told['trader']} is the trader of epoch {told['epoch']}" in said
    audit = bazaar("verify", ring_of_three)
    assert audit.returncode == 0
    assert _entries(audit.stdout) > _entries(accounts)


def _entries(audit: str) -> int:
    line = next(line for line in audit.splitlines() if line.startswith("history of "))
    return int(line.split()[2])


def test_another_number_of_peers_is_refused(ring_of_three: Path) -> None:
    """Row 60: fourteen peers on a folder of six would be two rings."""
    done = bazaar("up", "--peers", 14, "--data", ring_of_three)

    assert (done.returncode, done.stdout) == (1, "")
    assert "is a ring of 3 peers; --peers 14 would make two rings of it" in done.stderr


def test_peer_without_its_volume_asks_to_join_and_the_ring_goes_on(ring_of_three: Path) -> None:
    """Row 21: an empty disk of a ring with a history is a lost one, and does not vote."""
    shutil.rmtree(ring_of_three / "peer-2")

    told, said = up(ring_of_three, "--rate", 100)

    assert f"peer 2: its volume {ring_of_three}/peer-2 is lost" in " ".join(said.split())
    assert told["filled"] > 0
    assert events(ring_of_three, 2, "asks_to_join")


def test_peer_with_a_damaged_journal_asks_to_join_and_the_ring_goes_on(
    ring_of_three: Path,
) -> None:
    """D2: one bit below the mark, and the peer has no vote."""
    journal = min((ring_of_three / "peer-1" / "journal").glob("*.journal"))
    log = bytearray(journal.read_bytes())
    first = frames.parse(bytes(log), 0, 0)
    assert first is not None
    log[first.size + 40] ^= 0x10
    journal.write_bytes(log)

    told, _ = up(ring_of_three, "--rate", 100)

    assert journal.name in events(ring_of_three, 1, "volume_lost")[-1]["why"]
    assert events(ring_of_three, 1, "asks_to_join")
    assert told["filled"] > 0


def test_ring_that_lost_a_majority_of_volumes_is_not_started(ring_of_three: Path) -> None:
    for peer in (0, 2):
        shutil.rmtree(ring_of_three / f"peer-{peer}")

    done = bazaar("up", "--data", ring_of_three, "--port", take_ports(3))

    assert (done.returncode, done.stdout) == (1, "")
    assert "a majority of the ring's volumes is lost" in done.stderr
    assert "peer 0" in done.stderr
    assert "peer 2" in done.stderr


def test_volumes_without_ring_json_are_no_new_ring(ring_of_three: Path) -> None:
    (ring_of_three / "ring.json").unlink()

    done = bazaar("up", "--peers", 3, "--data", ring_of_three, "--port", take_ports(3))

    assert (done.returncode, done.stdout) == (1, "")
    assert "no ring.json" in done.stderr


def test_taken_port_is_misuse(folder: Path) -> None:
    port = take_ports(3)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not of rings that ended
        other.bind(("127.0.0.1", port + 1))
        other.listen()

        done = bazaar("up", "--peers", 3, "--port", port, "--data", folder / "ring")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {port + 1} is taken" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peers", "0"), "--peers must be 1 to 96"),
        (("--peers", "97"), "--peers must be 1 to 96"),
        (("--peers", "4", "--roles", "buyers=3,sellers=3"), "must add up to 4"),
        (("--roles", "clowns"), "'clowns' are not understood"),
        (("--election", "coin"), "--election must be ring or bully"),
        (("--rate", "-1"), "--rate must be 0 or more"),
        (("--duration", "0"), "--duration must be more than 0"),
        (("--restart-after", "soon"), "--restart-after is seconds or never"),
        (("--commission", "10001"), "--commission is 0 to 10000 basis points"),
        (("--port", "80"), "--port must be 1024 to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_cannot_be_are_misuse(
    options: tuple[str, ...], said: str, folder: Path
) -> None:
    done = bazaar("up", "--data", folder / "ring", *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert not list(folder.glob("ring/peer-*/journal/*"))
