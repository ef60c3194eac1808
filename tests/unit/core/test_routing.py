"""Every input of a peer goes somewhere."""

from __future__ import annotations

from typing import get_args

import pytest

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import PeerId
from tests.unit.core.ring import Ring

MESSAGES: tuple[type, ...] = get_args(msg.Message)


def test_every_message_is_routed_and_nothing_else() -> None:
    peer = Ring(3).peers[PeerId(0)]

    assert set(peer.routes) == set(MESSAGES)


def test_every_message_has_a_tag_of_its_own() -> None:
    tags = [kind.__struct_config__.tag for kind in MESSAGES]  # type: ignore[attr-defined]

    assert len(set(tags)) == len(MESSAGES)


EVENTS: list[ev.Event] = [
    ev.LinkUp(PeerId(1)),
    ev.LinkLost(PeerId(1), refused=False),
    ev.DiskDone(1),
    ev.Command(request=1, kind=msg.COMMAND, body=b"", client="c", deadline=1),
    ev.Read(request=2, linearizable=False, deadline=1),
    ev.Forget(2),
    ev.CheckpointSaved(0, 0, 0),
    ev.PartRead(PeerId(1), 0, 0, 0, last=True, data=b""),
    ev.Installed(0),
    ev.Resign(leaving=False),
    ev.Outlived(),
    ev.Tick(),
    ev.Received(PeerId(1), msg.Poll(1)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_is_taken(event: ev.Event) -> None:
    peer = Ring(3).peers[PeerId(0)]

    peer.handle([event], 0)

    assert {type(one) for one in EVENTS} == set(get_args(ev.Event))
