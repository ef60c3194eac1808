"""Who ends a drill early, and what must be finished all the same.

The first signal ends what is under way, and what was done to the ring is undone. Further ones are
answered and change nothing: the program ends when nothing is left behind, which is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from bazaar_peer.command.drill.plan import DrillError

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Whoever closes the terminal leaves no peer behind that stands still."""


class EndedEarly(Exception):  # noqa: N818 - somebody wished it so
    """What was under way was ended by a signal."""


class Ends:
    """Entered in the loop of a drill, for as long as something could be left behind."""

    def __init__(self, say: Callable[[str], None], by_hand: Callable[[], str]) -> None:
        self._say, self._by_hand = say, by_hand
        self._task: asyncio.Future[Any] | None = None
        self.asked = False

    def __enter__(self) -> Self:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)
        return self

    def __exit__(self, *_wrong: object) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _signalled(self) -> None:
        told = "interrupted: the drill undoes what it did, and sums up"
        if by_hand := self._by_hand():
            told += f"; if it is killed before it has: {by_hand}"
        self._say(told)
        self.asked = True
        if self._task is not None:
            self._task.cancel()
            self._task = None  # once: what it undoes then is left alone

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what a signal may end.

        Raises:
            EndedEarly: one did.
        """
        task: asyncio.Task[T] = asyncio.ensure_future(work)
        self._task = task
        try:
            return await task
        except asyncio.CancelledError:
            if self._task is task or not task.cancelled():
                raise
            raise EndedEarly from None
        finally:
            self._task = None


async def finished(undoing: Coroutine[Any, Any, None]) -> None:
    """Await what may not be left half done; a cancellation meanwhile takes effect behind it."""
    task, cancelled = asyncio.ensure_future(undoing), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


async def healed_after(seconds: float, heal: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Let a cut last so long, and heal it whatever happens; it heals by itself at that moment."""
    try:
        await asyncio.sleep(seconds)
    finally:
        with contextlib.suppress(DrillError):
            await finished(heal())
