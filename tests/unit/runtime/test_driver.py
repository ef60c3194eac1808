"""The driver and its disk queue: order, merging, deadlines, and what ends a process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core.events import CheckpointSaved, Command, DiskDone, Event, Installed, Tick
from bazaar_peer.core.records import Stored
from bazaar_peer.core.types import NEVER
from bazaar_peer.runtime import disk_queue
from bazaar_peer.runtime.driver import EXIT_HALTED, STALL, Busy, Driver
from bazaar_peer.runtime.files import DiskFull
from bazaar_peer.telemetry.meter import Unmetered

HARD = fx.Hard()


class Core:
    """Does what the test queued for its next calls."""

    def __init__(self) -> None:
        self.is_trader = False
        self.turns: list[list[Event]] = []
        self.todo: list[list[fx.Effect]] = []
        self.deadline = NEVER

    def handle(self, events: Sequence[Event], now: int) -> list[fx.Effect]:
        self.turns.append(list(events))
        return self.todo.pop(0) if self.todo else []

    def next_deadline(self) -> int:
        return self.deadline

    @property
    def events(self) -> list[Event]:
        return [event for turn in self.turns for event in turn]


class Store:
    """Remembers what was performed, in which groups and by which thread; may be held up."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.threads: list[bool] = []
        self.told: list[Any] = []
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()
        self.errors: list[Exception] = []

    def perform(self, writes: Sequence[fx.Write]) -> None:
        self.begun.set()
        self.free.wait(10)
        if self.errors:
            raise self.errors.pop()
        self.groups.append([write.number for write in writes])
        self.threads.append(threading.current_thread() is not threading.main_thread())

    def begin_checkpoint(self, epoch: int, index: int) -> Store:
        self.told.append(("begin", index))
        return self

    def write(self, part: bytes) -> None:
        self.told.append(part)

    def finish(self) -> None:
        self.told.append("finish")

    def drop(self) -> None:
        self.told.append("drop")

    def install(self, effect: fx.InstallCheckpoint) -> None:
        self.told.append(("install", effect.index))

    def prune(self, index: int) -> None:
        self.told.append(("prune", index))

    def store_part(self, effect: fx.StorePart) -> None:
        self.told.append(("part", effect.number))

    def read_part(self, effect: fx.ReadPart) -> Any:
        raise OSError("no such part")


class Wire:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, to: Any, message: Any) -> None:
        self.sent.append((to, message))

    def meet(self, others: Any) -> None:
        self.met = tuple(others)


def large(number: int) -> fx.WriteRecord:
    """A record of many entries."""
    return fx.WriteRecord(number, Stored(1, 100 * number, 100 * number + 99, b"c", b"r"))


class Waits(Unmetered):
    """Counts the groups of writes that waited for room."""

    count = 0

    def full(self) -> None:
        self.count += 1


class Run:
    def __init__(self) -> None:
        self.core, self.store, self.wire = Core(), Store(), Wire()
        self.waits = Waits()
        self.exits: list[int] = []
        store: Any = self.store
        self.driver = Driver(
            self.core, self.wire, store, meter=self.waits, requests_max=2,
            exit_process=self.exits.append,
        )  # fmt: skip

    def do(self, *effects: fx.Effect) -> None:
        """Have the core return these for one event of its own."""
        self.core.todo.append(list(effects))
        self.driver.submit(Tick())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - turns of the loop are counted here
                await asyncio.sleep(0)


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    running = Run()
    yield running
    running.store.free.set()
    await running.driver.close()


async def test_a_follower_writes_in_the_loop_and_learns_of_it_in_the_same_turn(run: Run) -> None:
    run.do(fx.WriteHard(1, HARD), fx.Truncate(2, 0))

    await run.until(lambda: len(run.core.turns) == 2)

    assert run.store.groups == [[1, 2]]
    assert run.store.threads == [False]
    assert run.core.turns[1] == [DiskDone(2)]


async def test_a_trader_writes_in_the_thread_and_merges_what_queued_up(run: Run) -> None:
    run.core.is_trader = True
    run.store.free.clear()
    run.do(large(1))
    await run.until(run.store.begun.is_set)
    for number in (2, 3, 4):
        run.do(large(number))
        await run.until(lambda: not run.core.todo)

    run.store.free.set()
    await run.until(lambda: DiskDone(4) in run.core.events)

    assert run.store.groups == [[1], [2, 3, 4]]
    assert run.store.threads == [True, True]


async def test_nothing_is_written_in_the_loop_while_the_thread_has_work(run: Run) -> None:
    run.core.is_trader = True
    run.store.free.clear()
    run.do(large(1))
    await run.until(run.store.begun.is_set)
    run.core.is_trader = False
    run.do(fx.WriteHard(2, HARD))
    await run.until(lambda: not run.core.todo)

    run.store.free.set()
    await run.until(lambda: DiskDone(2) in run.core.events)

    assert run.store.groups == [[1], [2]]
    assert run.store.threads == [True, True]


async def test_an_install_keeps_its_place_among_the_writes(run: Run) -> None:
    install = fx.InstallCheckpoint(2, 1, 9, b"", keep_suffix=False)
    run.do(fx.WriteHard(1, HARD), fx.StorePart(9, 0, b"p"), install, fx.WriteHard(3, HARD))

    await run.until(lambda: DiskDone(3) in run.core.events)

    assert run.store.groups == [[1], [3]]
    assert run.store.told == [("part", 0), ("install", 9)]
    disk = [event for event in run.core.events if not isinstance(event, Tick)]
    assert disk == [DiskDone(1), DiskDone(2), Installed(9), DiskDone(3)]


async def test_a_full_disk_is_waited_out_and_counted_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4: nothing is acknowledged until there is room."""
    monkeypatch.setattr(disk_queue, "FULL_RETRY_S", 0.001)
    run.store.errors = [DiskFull("full") for _ in range(4)]
    run.do(fx.WriteHard(1, HARD))

    await run.until(lambda: DiskDone(1) in run.core.events)

    assert run.store.groups == [[1]]
    assert run.waits.count == 1
    assert run.exits == []


@pytest.mark.parametrize("trader", [False, True])
async def test_a_failed_write_ends_the_process(run: Run, trader: bool) -> None:
    run.core.is_trader = trader
    run.store.errors = [OSError("broken")]
    run.do(fx.WriteHard(1, HARD))

    await run.until(lambda: run.exits)
    run.driver.submit(Tick())
    await asyncio.sleep(0.01)

    assert run.exits == [EXIT_HALTED]
    assert run.driver.stopped.result() == EXIT_HALTED
    assert len(run.core.turns) == 1


async def test_nothing_after_halt_is_done(run: Run) -> None:
    message: Any = "m"
    run.do(fx.WriteHard(1, HARD), fx.Halt("why"), fx.Send((1,), message))  # type: ignore[arg-type]

    await run.until(lambda: run.exits)

    assert run.wire.sent == []
    assert run.store.groups == []


async def test_a_checkpoint_is_written_in_slices_and_told_when_durable(run: Run) -> None:
    parts = [b"%d" % number for number in range(50)]
    run.do(fx.SaveCheckpoint(3, 7, iter(parts)))

    await run.until(lambda: CheckpointSaved(3, 7, 90) in run.core.events)

    assert run.store.told == [("begin", 7), *parts, "finish"]


async def test_a_checkpoint_comes_behind_the_records_of_its_own_turn(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who catches up applies in one turn what it writes in it; a checkpoint of that is no earlier.

    A send lets go of the interpreter, and the thread took the checkpoint first: now and then, and
    the volume refused it, as no record ended there.
    """
    durable: list[list[list[int]]] = []

    def begin(_epoch: int, _index: int) -> Store:
        durable.append(list(run.store.groups))
        return run.store

    monkeypatch.setattr(run.store, "begin_checkpoint", begin)
    monkeypatch.setattr(run.wire, "send", lambda _to, _message: time.sleep(0.05))
    message: Any = "m"
    save = fx.SaveCheckpoint(1, 199, iter([b"1"]))
    run.do(save, fx.Send((1,), message), large(1))  # type: ignore[arg-type]

    await run.until(lambda: CheckpointSaved(1, 199, 1) in run.core.events)

    assert durable == [[[1]]]


async def test_a_checkpoint_is_not_begun_in_the_turn_of_an_install(run: Run) -> None:
    install = fx.InstallCheckpoint(1, 1, 9, b"", keep_suffix=False)
    run.do(fx.SaveCheckpoint(3, 7, iter([b"1"])), install)

    await run.until(lambda: Installed(9) in run.core.events)
    await asyncio.sleep(2 * disk_queue.REST_S)

    assert run.store.told == [("install", 9)]


async def test_an_install_abandons_a_checkpoint_under_way(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_queue, "SLICE_S", 0.0)
    install = fx.InstallCheckpoint(1, 1, 9, b"", keep_suffix=False)
    run.do(fx.SaveCheckpoint(3, 7, iter([b"1", b"2", b"3"])))
    await run.until(lambda: run.store.told)

    run.do(install)
    await run.until(lambda: "drop" in run.store.told and Installed(9) in run.core.events)
    await asyncio.sleep(2 * disk_queue.REST_S)

    assert "finish" not in run.store.told
    assert not any(isinstance(event, CheckpointSaved) for event in run.core.events)


async def test_pauses_add_up_when_the_sockets_were_not_read_between_them(run: Run) -> None:
    """Row 75, R13 c: two pauses of less than `STALL`, with one beat of the loop between them."""
    driver, stalls = run.driver, []
    driver.on_stall = lambda: stalls.append(driver.now())
    begin = driver._read_at
    pause = STALL * 2 // 3

    for pauses in (1, 2):
        driver.now = lambda n=pauses: begin + n * pause  # type: ignore[misc]
        driver._beat()

    assert len(stalls) == 1


async def test_a_deadline_ticks_once_it_is_reached(run: Run) -> None:
    run.core.deadline = run.driver.now() + 3_000_000
    run.driver.submit(Tick())
    await run.until(lambda: run.core.turns)
    run.core.turns.clear()

    await run.until(lambda: run.core.turns)

    assert run.driver.now() >= run.core.deadline
    run.core.deadline = NEVER


async def test_more_requests_than_fit_are_busy(run: Run) -> None:
    asked = [
        run.driver.ask(Command(request=request, kind=0, body=b"", client="", deadline=0))
        for request in (1, 2)
    ]

    with pytest.raises(Busy):
        _ = run.driver.ask(Command(request=3, kind=0, body=b"", client="", deadline=0))

    assert not any(future.done() for future in asked)


async def test_a_reply_reaches_its_request_and_no_other(run: Run) -> None:
    one = run.driver.ask(Command(request=1, kind=0, body=b"", client="", deadline=0))
    run.core.todo.append([fx.Reply(9, 7, None), fx.Reply(1, 6, None), fx.Reply(1, 5, None)])

    assert await one == fx.Reply(1, 6, None)
    assert run.driver.has_room(2)


async def test_the_core_leaving_ends_the_process_in_peace(run: Run) -> None:
    run.do(fx.Left())

    assert await run.driver.stopped == 0
    assert run.exits == []
