"""Who leaves waits for an heir, but not where there is nobody left (R11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bazaar_peer.runtime import leaving

SECONDS = 2.0


class Clock:
    """Time that goes by in sleeps only; `happens` is what happens at which second."""

    def __init__(self, peer: Any, happens: dict[float, Callable[[Any], None]]) -> None:
        self.now, self.peer, self.happens = 0.0, peer, happens

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.happens if at <= self.now]:
            self.happens.pop(at)(self.peer)
        assert self.now < 60, "it waits for ever"


def linked(*others: int) -> Callable[[Any], None]:
    return lambda peer: setattr(peer, "linked", dict.fromkeys(others, True))


def idle(peer: Any) -> None:
    peer.ingress.idle = True


@pytest.mark.parametrize(
    ("voters", "first", "busy", "happens", "ends"),
    [
        ((0, 1, 2), (), False, {}, 2),
        ((0, 1, 2), (1,), False, {5.0: linked()}, 7),
        ((0, 1, 2), (), False, {1.0: linked(1), 1.5: linked()}, 3.5),
        ((0, 1, 2), (), True, {6.0: idle}, 6),
        ((0, 1), (), False, {}, 2),
        ((0, 1, 2, 3, 4), (1,), False, {}, 2),
    ],
    ids=[
        "nobody is left",
        "somebody is, for a while",
        "a link that broke begins the time anew",
        "somebody waits for an answer",
        "of two",
        "a minority is no majority",
    ],
)
async def test_who_leaves_goes_when_no_majority_was_there_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
    voters: tuple[int, ...],
    first: tuple[int, ...],
    busy: bool,
    happens: dict[float, Callable[[Any], None]],
    ends: float,
) -> None:
    peer: Any = SimpleNamespace(me=0, voters=voters, ingress=SimpleNamespace(idle=not busy))
    linked(*first)(peer)
    clock = Clock(peer, dict(happens))
    monkeypatch.setattr(leaving, "time", clock)
    monkeypatch.setattr(leaving, "asyncio", clock)

    await leaving.deserted(peer, SECONDS)

    assert ends - 0.01 <= clock.now <= ends + 3 * leaving.LOOK_S


async def test_who_reaches_a_majority_is_not_deserted() -> None:
    peer: Any = SimpleNamespace(
        me=0, voters=(0, 1, 2), linked={1: True}, ingress=SimpleNamespace(idle=True)
    )

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(leaving.deserted(peer, 4 * leaving.LOOK_S), 1.0)
