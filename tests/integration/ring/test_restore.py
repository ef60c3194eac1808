"""A ring that begins with a backup (R14): what peer 0 takes, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import (
    COMMAND,
    OPEN_PEER,
    EpochStarted,
    Record,
    Submission,
    decode_record,
)
from bazaar_peer.core.state import State
from bazaar_peer.core.types import incarnation_of, ordinal_of
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of
from bazaar_peer.market.commands import Deposit, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime import opening, process, recovering, restoring
from bazaar_peer.runtime.checkpoint_file import encoded
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Damaged, DiskFull, Locked, Missing, StoreFailed
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.joining import join
from bazaar_peer.runtime.opening import open_volume
from bazaar_peer.runtime.restoring import AWAITING, begin_with_backup
from bazaar_peer.runtime.salvage import executed
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import lock_folder
from bazaar_peer.runtime.waiting import Waiting
from bazaar_peer.telemetry.telemetry import Telemetry
from tests.integration.ring.killer import Killed, Killer
from tests.integration.ring.test_recover_in_place import NoSpace, Quick, Stopping
from tests.unit.runtime.test_joining import TOKEN, pod

OLD, VOLUME = "ring-1", "b3f1"


def backup(commission_bp: int = 0) -> bytes:
    """Return that of a ring of two: salt on offer."""
    state, begin = State(Market), genesis(OLD, 2, commission_bp)
    opened = Submission(-1, 1, 1, OPEN_PEER, "0.0", "", 0, 0, *sealed({0: 1}), b"")
    body = encode_command(Deposit("salt", 100, 5, "ali"))
    deposit = Submission(
        3, 1, 1, COMMAND, "ann", "k1", digest_of(COMMAND, body), 0, *sealed({0: 2}), body
    )
    state.apply(decode_record(begin.blob), begin.chain)
    for record in (
        Record(1, 2, 1, 0, {0: 1}, [EpochStarted(0), opened]),
        Record(1, 4, 3, 0, {0: 2}, [deposit]),
    ):
        state.apply(record, store(record, state.chain).chain)
    place = Place(state.epoch, state.index, state.chain)
    return b"".join(encoded(place, state.snapshot()))


BACKUP = backup()
MARK = BACKUP[-16:].hex()


def settings_of(path: Path, me: int = 0, **changes: Any) -> ProcessSettings:
    return structs.replace(pod(path, me), restores=MARK, reserve_bytes=0, **changes)


@asynccontextmanager
async def waiting_peer(settings: ProcessSettings, state: str = "") -> AsyncIterator[Waiting]:
    """Serve a peer that waits, at a free port."""
    waiting = Waiting(settings)
    state = state or (AWAITING if restoring.awaits(settings) else "empty")
    waiting.tell(state, "it waits", volume=VOLUME)
    waiting.settings = structs.replace(settings, port=0)
    await waiting.start()
    try:
        yield waiting
    finally:
        await waiting.close()


async def asked(
    waiting: Waiting, method: str, path: str, body: Any, token: str = TOKEN
) -> tuple[int, dict[str, Any]]:
    assert waiting._runner is not None
    host, port = waiting._runner.addresses[0][:2]
    headers = {"Authorization": f"Bearer {token}"}
    kind: Any = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, f"http://{host}:{port}{path}", **kind) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def give(waiting: Waiting, content: bytes, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    return await asked(waiting, "PUT", "/v1/backup", content, token)


async def form(waiting: Waiting, volume: str = VOLUME) -> int:
    mark = waiting.settings.restores
    body = {"ring": "r", "ordinal": waiting.settings.me, "volume": volume, "restores": mark}
    return (await asked(waiting, "POST", "/v1/format", body))[0]


async def test_peer_takes_the_backup_that_it_waits_for_and_begins_when_it_is_told_to(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    async with waiting_peer(settings) as waiting:
        assert await form(waiting) == 409, "there is nothing yet to begin with"

        given = await give(waiting, BACKUP)
        again = await give(waiting, BACKUP)

        told = {"outcome": "given", "backup": MARK, "ring": OLD, "index": 4}
        assert given == again == (200, told)
        assert (waiting.state, restoring.awaits(settings)) == ("empty", False)
        assert await form(waiting, "another") == 409
        assert await form(waiting) == await form(waiting) == 200
        assert (await give(waiting, BACKUP))[0] == 409
    begun(settings)


def begun(settings: ProcessSettings) -> None:
    """See that the volume begins a ring of its own with all that the backup has."""
    volume, recovered = open_volume(settings)
    volume.close()
    state, own = executed(recovered), volume.identity
    members = state.members
    assert members is not None
    assert (own.ring, own.ordinal, own.incarnation, own.volume) == ("r", 0, 1, VOLUME)
    assert [ordinal_of(m.id) for m in members.members] == [0, 1, 2]
    assert {incarnation_of(m.id) for m in members.members} == {1}
    assert [(m.voter, m.volume) for m in members.members] == [
        (True, VOLUME), (False, ""), (False, "")]  # fmt: skip
    assert (members.ring, members.recovered_from) == ("r", f"{OLD}:4")
    assert (state.index, state.epoch, state.sessions.admission.size) == (5, 2, 3)
    assert state.lookup_key("ann", "k1") is not None, "a repeat is known"
    assert isinstance(state.machine, Market)
    assert dict(state.machine.lots.items())
    rests = {"asks", restoring.COMING, recovering.BUILDING, recovering.WHOLE}
    rests.add(f"{restoring.KEPT}{MARK}")
    assert not set(names(Path(settings.volume))) & rests


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


OTHER = backup(30)
CHANGED = BACKUP[:90] + bytes([BACKUP[90] ^ 1]) + BACKUP[91:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (OTHER, f"this is backup {OTHER[-16:].hex()}: the ring is to begin with {MARK}"),
        (BACKUP[:-1], "no backup, or not a whole one"),
        (CHANGED, "no backup, or not a whole one"),
        (b"", "no backup, or not a whole one"),
    ],
)
async def test_anything_else_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, said: str
) -> None:
    settings = settings_of(tmp_path)
    async with waiting_peer(settings) as waiting:
        status, told = await give(waiting, content)

        assert status == 409
        assert said in told["detail"]
        assert (waiting.state, names(tmp_path)) == (AWAITING, [])
        assert (await give(waiting, BACKUP))[0] == 200


async def test_commission_is_the_backups(tmp_path: Path) -> None:
    """All accounts are computed by it: a resource that says otherwise would be wrong for ever."""
    settings = structs.replace(settings_of(tmp_path), restores=OTHER[-16:].hex())
    async with waiting_peer(settings) as waiting:
        status, told = await give(waiting, OTHER)
    assert status == 409
    assert "takes 30 basis points of commission, and this one is to take 0" in told["detail"]

    async with waiting_peer(structs.replace(settings, commission_bp=30)) as waiting:
        assert (await give(waiting, OTHER))[0] == 200


async def test_only_peer_0_of_a_ring_that_wants_one_takes_it_from_who_may(tmp_path: Path) -> None:
    refusals = [
        (settings_of(tmp_path, me=1), "empty", "peer 0 is given the backup; this is peer 1"),
        (structs.replace(settings_of(tmp_path), restores=""), "empty", "does not begin with"),
        (settings_of(tmp_path, former=("r0",)), "empty", "does not begin with"),
        (settings_of(tmp_path), "damaged", "waits for no backup"),
        (settings_of(tmp_path), "full", "waits for no backup"),
    ]
    for settings, state, said in refusals:
        async with waiting_peer(settings, state) as waiting:
            status, told = await give(waiting, BACKUP)
            assert (status, said in told["detail"]) == (409, True), told
    async with waiting_peer(settings_of(tmp_path)) as waiting:
        assert (await give(waiting, BACKUP, "another token, as long"))[0] == 401
    assert names(tmp_path) == []


async def test_backup_that_is_too_large_or_has_no_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "peer"
    async with waiting_peer(settings_of(folder)) as waiting:
        status, told = await give(waiting, BACKUP)
        assert status == 507
        assert "cannot take the backup" in told["detail"]
        await asyncio.to_thread(folder.mkdir)
        with monkeypatch.context() as less:
            less.setattr(restoring, "BACKUP_MAX_BYTES", len(BACKUP) - 1)
            assert (await give(waiting, BACKUP))[0] == 413
        assert (await give(waiting, BACKUP))[0] == 200


async def test_file_of_another_ring_is_none_of_this_ones(tmp_path: Path) -> None:
    """Claims are retained: an earlier Bazaar of that name may have waited for another backup."""
    settings = settings_of(tmp_path)
    await asyncio.to_thread((tmp_path / f"{restoring.KEPT}{OTHER[-16:].hex()}").write_bytes, OTHER)

    async with waiting_peer(settings) as waiting:
        assert waiting.state == AWAITING
        assert (await give(waiting, BACKUP))[0] == 200
        assert await form(waiting) == 200
    begun(settings)
    assert not [name for name in names(tmp_path) if name.startswith(restoring.KEPT)]


async def test_settings_that_changed_since_it_was_given_are_seen(tmp_path: Path) -> None:
    async with waiting_peer(settings_of(tmp_path)) as waiting:
        assert (await give(waiting, BACKUP))[0] == 200
    async with waiting_peer(settings_of(tmp_path, commission_bp=30)) as waiting:
        assert waiting.state == "empty"
        assert await form(waiting) == 409
        assert "it cannot begin: the backup's ring takes 0 basis points" in waiting.why


async def test_order_to_begin_otherwise_than_the_settings_say_is_refused(tmp_path: Path) -> None:
    """An operator of another release may not know of backups, and would begin an empty ring."""
    file = tmp_path / f"{restoring.KEPT}{MARK}"
    await asyncio.to_thread(file.write_bytes, BACKUP)
    plain = structs.replace(settings_of(tmp_path), restores="")
    for settings, restores in [(settings_of(tmp_path), ""), (plain, MARK)]:
        async with waiting_peer(settings) as waiting:
            body = {"ring": "r", "ordinal": 0, "volume": VOLUME, "restores": restores}
            status, told = await asked(waiting, "POST", "/v1/format", body)
        assert (status, "begin otherwise" in told["detail"]) == (409, True), told
    async with waiting_peer(settings_of(tmp_path, me=1)) as waiting:
        assert await form(waiting) == 409, "a recorded volume of another peer, whoever recorded it"


@pytest.mark.parametrize(
    "wrong", [StoreFailed("the disk failed to rename: EIO"), OSError(5, "EIO")]
)
async def test_disk_that_fails_in_the_middle_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    """R7: what lies there is half moved, and the next start goes on with it."""

    def fails(*_: object) -> None:
        raise wrong

    made: list[Waiting] = []

    class Seen(Waiting):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            made.append(self)
            self.settings = structs.replace(self.settings, port=0)

    monkeypatch.setattr("bazaar_peer.runtime.waiting.begin_with_backup", fails)
    monkeypatch.setattr(process, "Waiting", Seen)
    file = tmp_path / f"{restoring.KEPT}{MARK}"
    await asyncio.to_thread(file.write_bytes, BACKUP)
    settings = settings_of(tmp_path)
    life = asyncio.create_task(
        process._awaited(settings, process.Asked(os.getppid()), Telemetry(), None)
    )
    async with asyncio.timeout(20):
        while not (made and made[0].volume):  # noqa: ASYNC110 - it names its volume
            await asyncio.sleep(0.01)
    assert await form(made[0], made[0].volume) == 500

    with pytest.raises(StoreFailed, match="EIO"):
        await asyncio.wait_for(life, 20)


async def test_nothing_is_formatted_on_a_disk_that_failed(tmp_path: Path) -> None:
    waiting = Waiting(settings_of(tmp_path))
    waiting.formatted.set()  # the questions end
    waiting.failure = StoreFailed("EIO")

    with pytest.raises(StoreFailed):
        await join(waiting.settings, waiting)

    assert names(tmp_path) == ["asks", "lock"]


async def test_lock_is_kept_until_a_format_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1: a process that is asked to end in the middle of it leaves nothing to another one."""
    begins, goes_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begins.set()
        assert goes_on.wait(20)

    monkeypatch.setattr("bazaar_peer.runtime.waiting.begin_with_backup", slow)
    settings = settings_of(tmp_path)
    file = tmp_path / f"{restoring.KEPT}{MARK}"
    await asyncio.to_thread(file.write_bytes, BACKUP)
    async with waiting_peer(settings) as waiting:
        joining = asyncio.create_task(join(settings, waiting))
        async with asyncio.timeout(20):
            while waiting.volume == VOLUME:  # noqa: ASYNC110 - it names its own
                await asyncio.sleep(0.01)
        order = asyncio.create_task(form(waiting, waiting.volume))
        await asyncio.to_thread(begins.wait, 20)
        again = asyncio.create_task(form(waiting, waiting.volume))
        await asyncio.sleep(0.1)
        joining.cancel()
        await asyncio.sleep(0.1)

        with pytest.raises(Locked):
            lock_folder(tmp_path)

        goes_on.set()
        assert [await order, await again] == [200, 200]
        await asyncio.gather(joining, return_exceptions=True)
        os.close(lock_folder(tmp_path))


# ---- interruptions


def goes_on(settings: ProcessSettings) -> None:
    """Start the peer as its process does: it has begun, or is formatted once more."""
    try:
        open_volume(settings)[0].close()
    except Missing:
        assert not restoring.awaits(settings), "the backup is kept until the ring has begun"
        begin_with_backup(settings, VOLUME, Quick())
    begun(settings)


def interrupt_everywhere(path: Path, killer: Killer) -> tuple[int, int]:
    settings = settings_of(path, archive=str(path.with_name("archive")))
    changes = calls = 0
    while True:
        changes += 1
        _fresh(path)
        try:
            with killer.at(changes):
                begin_with_backup(settings, VOLUME, Quick())
        except Killed:
            goes_on(settings)
        else:
            break
    while True:
        calls += 1
        _fresh(path)
        try:
            begin_with_backup(settings, VOLUME, Stopping(calls))
        except Killed:
            goes_on(settings)
        else:
            return changes, calls


def _fresh(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(path.with_name("archive.1"), ignore_errors=True)
    path.mkdir()
    (path / f"{restoring.KEPT}{MARK}").write_bytes(BACKUP)


def test_interrupted_at_any_step_it_begins_well(tmp_path: Path, killer: Killer) -> None:
    changes, calls = interrupt_everywhere(tmp_path / "peer", killer)

    assert changes > 15
    assert calls > 20


def test_full_disk_at_any_step_costs_nothing(tmp_path: Path) -> None:
    settings, refused = settings_of(tmp_path / "peer"), 0
    while True:
        _fresh(tmp_path / "peer")
        try:
            begin_with_backup(settings, VOLUME, NoSpace(refused + 1))
        except DiskFull:
            refused += 1
            goes_on(settings)
        else:
            break

    assert refused > 5


def _takes_a_half_volume(path: Path, files: Any = None) -> None:
    """Planted: the identity comes first, and a start believes it."""
    whole = path / recovering.WHOLE
    if (whole / "identity").exists():
        (whole / "identity").rename(path / "identity")
        for entry in sorted(whole.iterdir()):
            entry.rename(path / entry.name)
    if whole.exists():
        shutil.rmtree(whole)


def test_planted_bug_is_seen(
    tmp_path: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "finish_recovering", _takes_a_half_volume)
    monkeypatch.setattr(opening, "finish_recovering", _takes_a_half_volume)

    with pytest.raises((AssertionError, Damaged)):
        interrupt_everywhere(tmp_path / "peer", killer)
