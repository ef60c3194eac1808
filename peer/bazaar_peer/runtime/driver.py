"""Runs one peer's core: events in, effects out, all events of a loop turn in one call.

Whoever has an event submits it; the first one of a turn schedules the drain, so nothing switches
tasks for a single event. One loop timer stands for the core's next deadline. The inbox needs no
bound of its own: commands and reads are bounded by `ask`, the rest by what one turn's sockets and
the disk queue can bring.

A process that was stopped for long must not look up keys from requests that lay in its sockets
meanwhile (R13 c): when its client sockets have not been read empty for `STALL`, the driver drops
the commands that are not looked up yet and calls `on_stall`, which closes all client connections.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Protocol, TypeAlias

from bazaar_peer.core import effects as fx
from bazaar_peer.core.events import Command, Event, Forget, Read, Received, Tick
from bazaar_peer.core.messages import Message
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import NEVER, SECOND, Nanos, PeerId, incarnation_of, name_of
from bazaar_peer.record.tap import FREQUENT
from bazaar_peer.runtime.disk_queue import DiskEffect, DiskQueue, Store
from bazaar_peer.runtime.transport import Transport
from bazaar_peer.telemetry.meter import Mark, Unmetered

log = logging.getLogger("bazaar.peer")

STALL: Nanos = 30 * SECOND
"""A quarter of `key.retention` (R13 c)."""
PULSE_S = 1.0
EXIT_HALTED = 70
EXIT_REMOVED = 76
"""This life is no member any more, or the ring has no place for this peer."""
LIVES = ("initiator", "lost", "nominee", "peer", "second", "successor", "to", "trader", "wish")
"""Fields of notes that name a life."""


def named(fields: Mapping[str, int | str]) -> Mapping[str, int | str]:
    """Return a note's fields as people read them: a peer's later lives as 3.1, and so on."""
    return {
        key: name_of(value)
        if key in LIVES and isinstance(value, int) and incarnation_of(value) > 0
        else value
        for key, value in fields.items()
    }


class Core(Protocol):
    """What the driver needs of a core's `Peer`."""

    def handle(self, events: Sequence[Event], now: Nanos) -> list[fx.Effect]: ...
    def next_deadline(self) -> Nanos: ...

    @property
    def is_trader(self) -> bool: ...


_Answer: TypeAlias = "asyncio.Future[fx.Reply | fx.ReadReady]"


class Busy(Exception):  # noqa: N818 - an answer, not a fault
    """As many requests are under way as this peer takes; nothing was sent."""


class Driver:
    """Owns a core, its disk queue and the futures of the requests that wait for it."""

    def __init__(
        self,
        peer: Core,
        transport: Transport,
        store: Store,
        *,
        meter: Unmetered | None = None,
        requests_max: int = 8192,
        clock: Callable[[], Nanos] = time.monotonic_ns,
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopped: asyncio.Future[int] = self.loop.create_future()
        """The exit code, once the core has left or halted."""
        self.meter = meter or Unmetered()
        self.observers: list[Callable[[fx.Note], None]] = [self.meter.note]
        self.on_stall: Callable[[], None] = lambda: None
        self.disk = DiskQueue(
            store, self.loop, done=self._submit_all, failed=self._disk_failed, meter=self.meter
        )
        self.now = clock
        self._peer, self._transport = peer, transport
        self._exit = exit_process
        self._requests_max = requests_max
        self._inbox: list[Event] = []
        self._scheduled = False
        self._halted = False
        self._armed = NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[int, tuple[_Answer, Mark]] = {}
        self.new_request = count(1).__next__
        self._pulse_at = self._read_at = clock()
        self._pulse = self.loop.call_later(PULSE_S, self._beat)

    def start(self) -> None:
        """Let the core take its first step."""
        self.submit(Tick())

    async def close(self) -> None:
        """Stop handling events, finish what the disk queue has, let every request go."""
        self._halted = True
        self._pulse.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for future, _ in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self.disk.close)

    # ---- events

    def submit(self, event: Event) -> None:
        self._inbox.append(event)
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._drain)

    def _submit_all(self, events: list[Event]) -> None:
        self._inbox.extend(events)
        self._drain()  # a disk completion is on the path of every trade: no turn to lose

    def deliver(self, sender: PeerId, messages: list[Message]) -> None:
        """Take messages from the transport."""
        for message in messages:
            self._inbox.append(Received(sender, message))
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._drain)

    def has_room(self, count: int) -> bool:
        return len(self._waiting) + count <= self._requests_max

    def ask(self, event: Command | Read) -> asyncio.Future[fx.Reply | fx.ReadReady]:
        """Submit a client's request; the future is its answer. Call `forget` if it is cancelled.

        Raises:
            Busy: too many are under way.
        """
        if len(self._waiting) >= self._requests_max:
            self.meter.refused("busy")
            raise Busy
        future: _Answer = self.loop.create_future()
        self._waiting[event.request] = (future, self.meter.asked(event))
        self.submit(event)
        return future

    @property
    def waiting(self) -> int:
        """So many requests wait for an answer."""
        return len(self._waiting)

    def forget(self, request: int) -> None:
        if self._waiting.pop(request, None) is not None:
            self.submit(Forget(request))

    def _drain(self) -> None:
        self._scheduled = False
        if self._halted:
            self._inbox.clear()
            return
        now = self.now()
        if now - self._read_at > STALL:
            self._stalled(now)
        try:
            while self._inbox:
                events, self._inbox = self._inbox, []
                self._inbox += self._do(self._peer.handle(events, now))
                if self._halted:
                    return
                now = self.now()
        except Exception:
            log.exception("the core failed")
            self._halt("the core failed")
            return
        deadline = self._peer.next_deadline()
        if deadline < self._armed:
            self._arm(deadline, now)

    # ---- time

    def _arm(self, deadline: Nanos, now: Nanos) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = deadline
        # uvloop's timers count whole milliseconds: round up, an early one would have to go twice.
        delay_ms = max(0, -((now - deadline) // 1_000_000))
        self._timer = self.loop.call_later(delay_ms / 1000, self._expired)

    def _expired(self) -> None:
        self._timer, self._armed = None, NEVER
        now, deadline = self.now(), self._peer.next_deadline()
        if now < deadline:
            self._arm(deadline, now)
        elif not self._halted:
            self._inbox.append(Tick())
            self._drain()

    def _beat(self) -> None:
        """Between two beats the loop has polled: the sockets were read empty after the first."""
        now = self.now()
        if now - self._read_at > STALL:
            self._stalled(now)
        self._read_at, self._pulse_at = self._pulse_at, now
        self._pulse = self.loop.call_later(PULSE_S, self._beat)

    def _stalled(self, now: Nanos) -> None:
        self._read_at = self._pulse_at = now
        dropped = [event for event in self._inbox if isinstance(event, Command)]
        self._inbox = [event for event in self._inbox if not isinstance(event, Command)]
        for command in dropped:
            if (asked := self._waiting.pop(command.request, None)) is not None:
                asked[0].cancel()
        self.meter.refused("stalled", len(dropped))
        log.warning(
            "stalled: closing all client connections", extra={"fields": {"dropped": len(dropped)}}
        )
        self.on_stall()

    # ---- effects

    def _do(self, effects: list[fx.Effect]) -> list[Event]:
        disk: list[DiskEffect] = []
        save: fx.SaveCheckpoint | None = None
        for effect in effects:
            match effect:
                case fx.Reply() | fx.ReadReady():
                    asked = self._waiting.pop(effect.request, None)
                    if asked is not None and not asked[0].done():
                        asked[0].set_result(effect)
                        self.meter.answered(asked[1], effect)
                case fx.Send():
                    self._transport.send(effect.to, effect.message)
                case fx.Note():
                    self._note(effect)
                case fx.SaveCheckpoint():
                    save = effect
                case fx.Meet():
                    self._transport.meet(effect.others)
                case fx.Left():
                    if not self.stopped.done():
                        self.stopped.set_result(0)
                case fx.Removed():
                    self._removed()
                case fx.Halt():
                    self._halt(effect.reason)
                    return []
                case _:
                    disk.append(effect)
        told = self.disk.put(disk, inline=not self._peer.is_trader) if disk else []
        if save is not None and not any(isinstance(one, fx.InstallCheckpoint) for one in disk):
            self.disk.save(save)  # behind the turn's writes: its record may be one of them
        return told

    def _note(self, note: fx.Note) -> None:
        if note.kind not in FREQUENT:
            log.info(note.kind, extra={"fields": named(note.fields)})
        for observer in self.observers:
            observer(note)

    def _removed(self) -> None:
        """Nobody will tell this life what its requests came to: their callers ask again."""
        for request, (future, mark) in self._waiting.items():
            if not future.done():
                reply = fx.Reply(request, Status.UNKNOWN, None)
                future.set_result(reply)
                self.meter.answered(mark, reply)
        self._waiting.clear()
        if not self.stopped.done():
            self.stopped.set_result(EXIT_REMOVED)

    def _disk_failed(self, error: BaseException) -> None:
        log.critical("the store failed", exc_info=error)
        self._halt(f"the store failed: {error}")

    def _halt(self, reason: str) -> None:
        log.critical("halted", extra={"fields": {"reason": reason}})
        self._halted = True
        if not self.stopped.done():
            self.stopped.set_result(EXIT_HALTED)
        self._exit(EXIT_HALTED)
