"""The timer of a core's deadline: a loop that was held up reads its sockets before it rings."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from bazaar_peer.core.types import MS, NEVER, Nanos
from bazaar_peer.runtime import alarm
from bazaar_peer.runtime.alarm import LATE, Alarm

HELD_UP_S = 0.15
"""Thrice `LATE`, with what a busy machine adds: far less than what any test waits for."""
SOON: Nanos = 5 * MS
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def held_up() -> None:
    """Keep the loop from all that it has to do, as a machine that has no time for it does."""
    time.sleep(HELD_UP_S)


class Peer:
    """An alarm, a deadline, and a socket: what is heard puts the deadline off, as a heartbeat."""

    def __init__(self, *, follows: bool = True) -> None:
        self.deadline: Nanos = NEVER
        self.story: list[str] = []
        self.alarm = Alarm(time.monotonic_ns, lambda: self.deadline, lambda: follows, self.ring)
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        asyncio.get_running_loop().add_reader(self.here, self.hear)

    def ring(self) -> None:
        self.story.append("rang")
        self.deadline = NEVER

    def hear(self) -> None:
        self.story.append(self.here.recv(100).decode())
        self.deadline = NEVER

    def due_in(self, wait: Nanos) -> None:
        self.deadline = time.monotonic_ns() + wait
        self.alarm.set(self.deadline)

    async def told(self) -> list[str]:
        """Wait until something has happened, and then for whatever else would have."""
        async with asyncio.timeout(20):
            while not self.story:  # noqa: ASYNC110 - the loop turns meanwhile
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0.005)
        return self.story

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.here)
        self.alarm.cancel()
        self.here.close()
        self.there.close()


def played(loop: str, play: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await play()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
def test_what_lies_in_a_socket_is_read_before_a_late_alarm_rings(loop: str, follows: bool) -> None:
    """Held up while it reads: its timers come before the next look at the sockets."""

    async def play() -> None:
        peer = Peer(follows=follows)
        asked, asks = socket.socketpair()

        def work() -> None:
            asked.recv(1)
            peer.there.send(b"heard")
            held_up()

        asyncio.get_running_loop().add_reader(asked, work)
        peer.due_in(SOON)
        asks.send(b"x")

        assert await peer.told() == ["heard"]
        asyncio.get_running_loop().remove_reader(asked)
        for one in (asked, asks):
            one.close()
        peer.close()

    played(loop, play)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_was_held_up_too_is_waited_for_by_those_that_follow_it(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm, "HEAR_S", 60.0)

    async def play() -> None:
        follower, trader = Peer(), Peer(follows=False)
        for peer in (follower, trader):
            peer.due_in(SOON)
        held_up()

        assert await trader.told() == ["rang"]
        follower.there.send(b"heard")
        assert await follower.told() == ["heard"]
        follower.close()
        trader.close()

    played(loop, play)


@pytest.mark.parametrize("loop", LOOPS)
def test_late_alarm_rings_once_if_nobody_is_heard(loop: str) -> None:
    async def play() -> None:
        peer = Peer()
        peer.due_in(SOON)
        held_up()
        assert await peer.told() == ["rang"]

        peer.due_in(SOON)
        held_up()
        await peer.told()
        assert peer.story[:2] == ["rang", "rang"], "and each time that it is late"
        peer.close()

    played(loop, play)


def test_alarm_in_time_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm, "LATE", NEVER)
    monkeypatch.setattr(alarm, "HEAR_S", 60.0)

    async def play() -> None:
        peer = Peer()
        peer.due_in(SOON)
        held_up()
        assert await peer.told() == ["rang"]
        peer.close()

    played("uvloop", play)


def test_deadline_that_was_put_off_is_waited_for() -> None:
    async def play() -> None:
        peer = Peer()
        peer.due_in(SOON)
        peer.deadline += LATE
        put_off = peer.deadline

        assert await peer.told() == ["rang"]
        assert time.monotonic_ns() >= put_off
        peer.due_in(LATE)
        peer.due_in(SOON)
        peer.due_in(LATE // 5)
        peer.story.clear()
        assert await peer.told() == ["rang"], "once, however often it was set"
        peer.close()

    played("asyncio", play)
