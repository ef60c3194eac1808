"""Peers that show each other certificates: who gets in, and how that changes under load."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tests.e2e.conftest import MakeRing
from tests.e2e.drills import drilling
from tests.e2e.figures import Figures
from tests.e2e.ring import Ring
from tests.e2e.test_trader_lost import CRASH_GAP_MS, crash
from tests.e2e.tools import until

ON, OFF = {"enabled": True}, {"enabled": False}
KNOCK = """
import json, socket, ssl
from pathlib import Path
from bazaar_peer.core.types import peer_id
from bazaar_peer.runtime.connections import Identity
from bazaar_peer.runtime.credential import between_peers
ring = json.loads(Path("/etc/bazaar/ring.json").read_text())["ring"]
secret = between_peers(Path("/etc/bazaar-admin/token").read_text().strip())
folder, key = "/etc/bazaar-certificates/", "/etc/bazaar-key.pem"
def come(port, says, shows):
    me = Identity(ring=ring, life=peer_id(says, 0), boot=1, address="127.0.0.1:9", secret=secret)
    door = socket.create_connection(("{address}", port), 5)
    door.settimeout(4)
    if shows is not None:
        context = ssl.create_default_context(cafile=folder + "ca.crt")
        if shows:
            context.load_cert_chain(folder + shows, key)
        door = context.wrap_socket(door, server_hostname="{host}")
    door.sendall(me.hello(peer_id(0, 0), 0))
    return len(door.recv(1))
def told(*how):
    try:
        return come(*how)
    except OSError as error:
        return type(error).__name__
print(json.dumps([told(8601, *how) for how in {knocks}]))
"""
"""What comes of it: 1 is a welcome, 0 or an error is a door that is shut."""


def knock(ring: Ring, *knocks: tuple[int, str | None]) -> list[Any]:
    """Come to peer 0 from peer 1's pod, each time as another peer that shows a certificate.

    At its address: DNS may not know its name yet.
    """
    host, address = f"{ring.name}-0.{ring.name}-peers", ring.pod(0).status.pod_ip
    script = KNOCK.replace("{host}", host).replace("{address}", address)
    script = script.replace("{knocks}", repr(list(knocks)))
    found = json.loads(ring.program(1, script))
    assert isinstance(found, list)
    return found


ASK = """
import ssl, urllib.error, urllib.request
token = open("/etc/bazaar-admin/token").read().strip()
asked = urllib.request.Request("{url}/v1/log?after=0", None, {"Authorization": "Bearer " + token})
context = ssl.create_default_context(cafile="/etc/bazaar-certificates/ca.crt")
try:
    print(urllib.request.urlopen(asked, timeout=5, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
except urllib.error.URLError as nobody:
    print(0, nobody)
"""


def ask(ring: Ring, url: str) -> int:
    """Ask from peer 1's pod for what takes the ring's token; return the status.

    Nodes hear of a Service's pods some time after these are ready, and DNS may keep for half a
    minute what it knew before: until then nobody answers.
    """
    told = ""

    def answered() -> int:
        nonlocal told
        told = ring.program(1, ASK.replace("{url}", url))
        return int(told.split()[0])

    return until(answered, lambda: f"somebody answers at {url}: {told}", 60, 1.0)


def tls(ring: Ring) -> dict[str, Any]:
    found = ring.status().get("tls") or {}
    assert isinstance(found, dict)
    return found


def has(ring: Ring, **wished: str) -> bool:
    return wished.items() <= tls(ring).items()


def test_only_peers_with_a_certificate_get_in_and_each_sees_its_own_key(
    make_ring: MakeRing,
) -> None:
    ring = make_ring(peers=3, tls=ON)
    assert has(ring, mode="Required", token="Required", step="Stable")
    told = [ring.peer(ordinal) or {} for ordinal in range(3)]
    assert {one["tls"]["mode"] for one in told} == {"Required"}

    # A client sees whom it speaks with, and the token is taken in clear from the own host alone.
    assert ask(ring, f"https://{ring.name}-client:8602") == 200
    assert ask(ring, f"https://{ring.name}-0.{ring.name}-peers:8602") == 200
    assert ask(ring, f"http://{ring.name}-0.{ring.name}-peers:8600") == 403
    assert ask(ring, "http://127.0.0.1:8600") == 200

    # Who it says it is, and what it shows: nothing, no certificate, or that of peer 1.
    plain, nobody, other = knock(ring, (20, None), (20, ""), (20, "peer-1.crt"))
    assert 1 not in {plain, nobody, other}
    seen = "grep -rl 'PRIVATE KEY' /etc 2>/dev/null || true"  # some of it nobody may read
    found = ring.kubectl("exec", f"{ring.name}-1", "-c", "peer", "--", "sh", "-c", seen).split()
    assert found == ["/etc/bazaar-key.pem"]


def test_lost_volume_and_new_peers_find_their_ring_by_tls(make_ring: MakeRing) -> None:
    """They show the token, to whoever answers at the Service and shows a certificate."""
    ring = make_ring(peers=3, tls=ON)
    trader = ring.wait_settled()
    lost = next(peer for peer in range(3) if peer != trader["ordinal"])

    ring.lose_volume(lost, life=0)
    ring.wish(peers=4)
    ring.wait_size(4)
    assert has(ring, mode="Required", token="Required", step="Stable")


def test_tls_is_switched_on_and_off_under_load(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3)
    assert knock(ring, (20, None)) == [1]  # so it is the ring that shuts its door below
    with drilling(ring, figures, "TLS switched on, off", changes=1) as drills:
        for number in drills.rounds():
            wish, mode = (OFF, "") if number % 2 else (ON, "Required")
            ring.wait_settled()
            before = ring.uids()
            with drills.one():
                ring.wish(tls=wish)
                ring.wait_rolled(before)
                until(partial(has, ring, mode=mode), f"mode {mode!r}: {tls(ring)}", 300)


def test_authority_is_replaced_under_load(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3, tls=ON)
    pods = ring.uids()
    with drilling(ring, figures, "authority replaced", changes=0) as drills:
        for number in drills.rounds():
            wish = f"bazaar.dev/rotate-certificates={number}"
            with drills.one():
                ring.kubectl("annotate", "bazaar", ring.name, "--overwrite", wish)
                until(lambda: not has(ring, step="Stable"), "a rotation begins", 60)
                until(partial(has, ring, step="Stable"), "a rotation ends", 300)
    assert ring.uids() == pods


def test_crash_of_a_peer_that_speaks_tls(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3, tls=ON)
    with drilling(ring, figures, "crash, TLS", gap_p99_ms=CRASH_GAP_MS) as drills:
        for _ in drills.rounds():
            crash(ring, drills)
