"""What a peer that lets itself be drilled is asked for (cut.py, pause.py, faults.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from bazaar_peer.core.admission import PEERS_MAX
from bazaar_peer.runtime.bodies import Body

CUT_MAX_S, PAUSE_MAX_S = 60.0, 20.0


class Fault(Body, frozen=True):
    """What is done to a peer of a ring on this machine."""

    what: Literal["killed", "paused", "resumed", "cut", "healed"]
    peer: Annotated[int, Meta(ge=0, lt=PEERS_MAX)]


class CutOff(Body, frozen=True):
    """From whom a peer is cut off, and for how long at most; from nobody: it is healed."""

    peers: Annotated[list[Annotated[int, Meta(ge=0, lt=PEERS_MAX)]], Meta(max_length=PEERS_MAX)]
    seconds: Annotated[float, Meta(ge=0.1, le=CUT_MAX_S)] = 1.0


class Stillness(Body, frozen=True):
    """For how long a peer stands still; after 30 s the kubelet would start its container anew."""

    seconds: Annotated[float, Meta(ge=0.1, le=PAUSE_MAX_S)]
