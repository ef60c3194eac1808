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
import json, socket, ssl, sys
folder, key = "/etc/bazaar-certificates", "/etc/bazaar-key.pem"
def come(tls, shows):
    raw = socket.create_connection(("{host}", 8601), 5)
    if not tls:
        raw.sendall(bytes(64))
        return len(raw.recv(1))
    context = ssl.create_default_context(cafile=folder + "/ca.crt")
    if shows:
        context.load_cert_chain(folder + "/" + shows, key)
    with context.wrap_socket(raw, server_hostname="{host}") as connection:
        connection.settimeout(2)
        try:
            return len(connection.recv(1))
        except TimeoutError:
            return -1
def told(*how):
    try:
        return come(*how)
    except OSError as error:
        return type(error).__name__
print(json.dumps([told(True, "peer-1.crt"), told(True, ""), told(False, "")]))
"""
"""What comes of it: -1 is to be let in, and waited for; 0 or an error is a door that is shut."""


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
    assert has(ring, mode="Required", step="Stable")
    told = [ring.peer(ordinal) or {} for ordinal in range(3)]
    assert {one["tls"]["mode"] for one in told} == {"Required"}

    def inside(*command: str) -> str:
        return ring.kubectl("exec", f"{ring.name}-1", "-c", "peer", "--", *command)

    host = f"{ring.name}-0.{ring.name}-peers"
    own, nobody, plain = json.loads(inside("python3", "-c", KNOCK.replace("{host}", host)))
    assert own == -1
    assert nobody not in {-1, 1}
    assert plain not in {-1, 1}
    seen = "grep -rl 'PRIVATE KEY' /etc 2>/dev/null || true"  # some of it nobody may read
    found = inside("sh", "-c", seen).split()
    assert found == ["/etc/bazaar-key.pem"]


def test_tls_is_switched_on_and_off_under_load(make_ring: MakeRing, figures: Figures) -> None:
    ring = make_ring(peers=3)
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
