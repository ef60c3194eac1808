"""Whatever moment a process or its machine dies at, what was reported durable is there (G13)."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bazaar_peer.core.effects import (
    Hard,
    InstallCheckpoint,
    Recovered,
    StorePart,
    Truncate,
    Write,
    WriteHard,
)
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Damaged, DiskFull, Files, Missing, StoreFailed
from bazaar_peer.runtime.mark_file import MarkFile
from bazaar_peer.runtime.volume import Layout, format_volume
from tests.integration.disk.rig import (
    GENESIS,
    ME,
    SMALL,
    Failing,
    Model,
    Rebooted,
    Recorder,
    Unsynced,
    fresh,
    hard,
    perform,
    rebuild,
    record,
    recover,
    save,
    truncate,
)

Step = Callable[[Volume, Model], list[Recovered]]
"""Does something, and names the states that a crash in the middle of it may leave, in order."""


def group(*makers: Callable[[Model], Write]) -> Step:
    def step(volume: Volume, model: Model) -> list[Recovered]:
        writes, states = [], []
        for make in makers:
            writes.append(make(model))
            model.apply(writes[-1])
            states.append(model.recovered())
        volume.perform(writes)
        return states

    return step


def checkpoint(index: int) -> Step:
    def step(volume: Volume, model: Model) -> list[Recovered]:
        assert save(volume, model, index, [b"state", b"of %d" % index])
        return [model.recovered()]

    return step


def prune(index: int) -> Step:
    def step(volume: Volume, model: Model) -> list[Recovered]:
        volume.prune(index)
        return [model.recovered()]

    return step


def install(above: int, *, keep: bool) -> Step:
    def step(volume: Volume, model: Model) -> list[Recovered]:
        at = model.records[-2]
        place = (at.epoch, at.last, at.chain) if keep else (9, model.end[1] + above, b"f" * 16)
        states = []
        for number, part in enumerate([b"foreign", b"parts"]):
            volume.store_part(StorePart(place[1], number, part))
        writes: list[Write | InstallCheckpoint] = [WriteHard(0, Hard(above + 50))]
        writes.append(InstallCheckpoint(0, *place, keep))
        for write in writes:
            model.apply(write, [b"foreign", b"parts"])
            states.append(model.recovered())
        volume.perform(writes)
        return states

    return step


STORY: list[Step] = [
    group(hard(1), record(1, b"a" * 30)),
    group(*[record(1, b"b" * n) for n in range(8)]),
    group(record(1, b"c" * 300), hard(2), record(2, b"d" * 300)),
    checkpoint(5),
    group(truncate(9), record(3, b"conflict")),
    group(truncate(8)),
    *[group(record(3, b"e" * (90 + n)), hard(3 + n)) for n in range(12)],
    checkpoint(12),
    prune(12),
    group(record(4, b"f" * 1500)),
    install(3, keep=False),
    *[group(record(9, b"g" * 200)) for _ in range(6)],
    install(0, keep=True),
    group(*[record(9, b"i" * n) for n in range(7)]),
    install(-2, keep=False),
    *[group(record(10, b"h" * 100), hard(20 + n)) for n in range(4)],
]


def tell(
    path: Path, story: Sequence[Step], recorder: Recorder, volume_type: type[Volume] = Volume
) -> list[list[Recovered]]:
    """Play a story on a recorded disk; return the states between which each step lies."""
    fresh(path).close()
    recorder.begin()
    opened = Volume.open(path, ME, SMALL)
    opened.close()
    volume = volume_type.open(path, ME, SMALL, recorder)
    model = Model()
    states = [[volume.recover()]]
    for step in story:
        states.append(step(volume, model))
        recorder.step += 1
    volume.close()
    return states


def lost(path: Path, states: list[list[Recovered]], recorder: Recorder, reboots: int) -> list[str]:
    """Crash at every moment; return what is wrong after it."""
    faults = []
    target = path.with_name("after")
    for n, moment in enumerate(recorder.moments):
        done, doing = states[moment.step], states[moment.step + 1 : moment.step + 2]
        allowed = [done[-1], *(doing[0] if doing else [])]
        for seed in [None, *range(reboots)]:
            rng = None if seed is None else random.Random(f"{n} {seed}")
            rebuild(moment, path, target, rng)
            try:
                found = recover(target, SMALL, Rebooted() if rng else Unsynced())
            except Damaged as damaged:
                faults.append(f"moment {n}, step {moment.step}, seed {seed}: {damaged}")
                continue
            if found not in allowed:
                faults.append(f"moment {n}, step {moment.step}, seed {seed}: other state")
            elif recover(target, SMALL, Rebooted() if rng else Unsynced()) != found:
                faults.append(f"moment {n}, step {moment.step}, seed {seed}: no fixed point")
    return faults


def test_every_moment_of_a_story_is_survived(tmp_path: Path) -> None:
    """G13, row 18: every prefix of the write log, for a killed process and a lost machine."""
    recorder = Recorder(tmp_path / "volume")

    states = tell(recorder.root, STORY, recorder)

    assert len(recorder.moments) > 200
    assert lost(recorder.root, states, recorder, reboots=4) == []


def test_truncation_lowers_the_mark_first(tmp_path: Path) -> None:
    """Row 68: acknowledged 3–22, truncated to 12, killed at any moment of it."""
    recorder = Recorder(tmp_path / "volume")
    story = [group(*[record(1, b"x")] * 20), group(truncate(12)), group(record(2, b"y"))]

    states = tell(recorder.root, story, recorder)

    assert lost(recorder.root, states, recorder, reboots=4) == []


class NeverLowered(Volume):
    """Planted: the mark stays where it was."""

    def _lower(self, mark: MarkFile, writes: Sequence[Write | InstallCheckpoint]) -> None:
        pass


class NeverSynced(Recorder):
    def sync(self, fd: int) -> None:
        self._moment()


class FolderNeverSynced(Recorder):
    def sync_folder(self, path: Path) -> None:
        self._moment()


class EagerMark(Volume):
    """Planted: the mark is raised before what it speaks of is durable."""

    def perform(self, writes: Sequence[Write | InstallCheckpoint]) -> None:
        assert self._mark
        mark = self._mark.mark
        self._mark.raise_to(mark.position + 1, mark.epoch, mark.last)
        super().perform(writes)


@pytest.mark.parametrize(
    ("volume_type", "disk"),
    [
        (NeverLowered, Recorder),
        (EagerMark, Recorder),
        (Volume, NeverSynced),
        (Volume, FolderNeverSynced),
    ],
)
def test_planted_bug_is_found(
    tmp_path: Path, volume_type: type[Volume], disk: type[Recorder]
) -> None:
    recorder = disk(tmp_path / "volume")

    states = tell(recorder.root, STORY, recorder, volume_type)

    assert lost(recorder.root, states, recorder, reboots=4)


def test_interrupted_format_leaves_a_volume_or_none(tmp_path: Path) -> None:
    path, target = tmp_path / "volume", tmp_path / "after"
    recorder = Recorder(path)
    format_volume(path, ME, GENESIS, SMALL, recorder)

    for n, moment in enumerate(recorder.moments):
        for seed in [None, 0, 1, 2]:
            rng = None if seed is None else random.Random(f"{n} {seed}")
            rebuild(moment, path, target, rng)
            if not any(p.is_file() for p in target.rglob("*")):
                shutil.rmtree(target)
            try:
                assert (
                    recover(target, SMALL, Rebooted() if rng else Unsynced()) == Model().recovered()
                )
            except Missing:
                format_volume(target, ME, GENESIS, SMALL)
                assert recover(target) == Model().recovered()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_any_failing_call_ends_the_store_and_loses_nothing(tmp_path: Path, code: int) -> None:
    """R7, D3: fail each call of the story in turn; what was reported is there at the next start."""
    counter = Failing(-1, code=code)
    _, states = play(tmp_path / "counted", counter)
    calls = -counter.left - 1

    refusals = 0
    for n in range(1, calls + 1):
        path = tmp_path / f"volume-{n}"
        error, played = play(path, Failing(n, code=code))
        refusals += not isinstance(error, StoreFailed)
        at = max(0, len(played) - 1)
        done, doing = states[at], states[at + 1 : at + 2]
        assert error or code == errno.ENOSPC
        assert recover(path, SMALL, Unsynced()) in [done[-1], *(doing[0] if doing else [])]
        shutil.rmtree(path)

    assert calls > 100
    assert (refusals > 0) == (code == errno.ENOSPC)


def play(path: Path, files: Files) -> tuple[Exception | None, list[list[Recovered]]]:
    """Play the story until an error; return it, and the states between the steps before it."""
    format_volume(path, ME, GENESIS, SMALL, Unsynced())
    volume, model, states = Volume.open(path, ME, SMALL, files), Model(), list[list[Recovered]]()
    error = None
    try:
        volume.recover()
        states.append([model.recovered()])
        for step in STORY:
            states.append(step(volume, model))
    except (StoreFailed, DiskFull) as raised:
        error = raised
    if isinstance(error, StoreFailed) and states:
        with pytest.raises(AssertionError, match="not used again"):
            volume.perform([Truncate(0, 1)])
    volume.close()
    return error, states


def test_start_after_a_failed_sync_rewrites_the_tail_into_a_new_file(tmp_path: Path) -> None:
    """D3, row 20: the cache may show what the disk does not have."""
    path = tmp_path / "volume"
    fresh(path).close()
    volume, model = Volume.open(path, ME, SMALL, Failing(3, "sync")), Model()
    volume.recover()
    with pytest.raises(StoreFailed):
        perform(volume, model, record(1, b"uncertain"))
    volume.close()
    tail = max((path / "journal").iterdir())
    before = tail.stat().st_ino
    keep_alive = tail.open("rb")

    found = recover(path)

    assert tail.stat().st_ino != before
    assert found == model.recovered()
    keep_alive.close()


class SmallDisk(Files):
    """Has so many bytes for all files of a volume."""

    def __init__(self, root: Path, size: int) -> None:
        super().__init__()
        self.root, self.size, self.asked = root, size, 0

    def reserve(self, fd: int, offset: int, length: int) -> None:
        self.asked = length
        super().reserve(fd, offset, length)

    def before(self, name: str) -> None:
        if name == "reserve":
            used = sum(p.stat().st_size for p in self.root.rglob("*") if p.is_file())
            if used + self.asked > self.size:
                raise OSError(errno.ENOSPC, "no space")


def performed(volume: Volume, write: Write) -> bool:
    try:
        volume.perform([write])
    except DiskFull:
        return False
    return True


def test_full_disk_refuses_whole_groups_and_recovers_by_a_checkpoint(tmp_path: Path) -> None:
    """D4: the journal stops before the reserve, which then takes a checkpoint; that frees space."""
    path = tmp_path / "volume"
    layout = Layout(segment_bytes=4096, reserve_bytes=16_384)
    disk = SmallDisk(path, 80_000)
    fresh(path, layout).close()
    volume, model = Volume.open(path, ME, layout, disk), Model()
    volume.recover()
    refused = record(1, b"x" * 1000)(model)
    while performed(volume, refused):
        model.apply(refused)
        refused = record(1, b"x" * 1000)(model)
    assert not performed(volume, refused)
    last = model.end[1]
    assert 20 < last < 100

    assert save(volume, model, last, [b"s" * 6000, b"t" * 6000])
    volume.prune(last)
    volume.perform([refused])
    model.apply(refused)
    volume.close()

    assert recover(path, layout, SmallDisk(path, 80_000)) == model.recovered()


def test_full_disk_lets_a_peer_start(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    layout = Layout(segment_bytes=4096, reserve_bytes=16_384)
    volume, model = fresh(path, layout), Model()
    perform(volume, model, record(1, b"x" * 1000))
    volume.close()
    disk = SmallDisk(path, sum(p.stat().st_size for p in path.rglob("*") if p.is_file()))

    volume = Volume.open(path, ME, layout, disk)
    assert volume.recover() == model.recovered()
    perform(volume, model, record(1, b"y" * 1000))
    with pytest.raises(DiskFull):
        perform(volume, model.copy(), record(1, b"y" * 5000))
    disk.size *= 2
    perform(volume, model, record(1, b"y" * 5000))
    volume.close()

    assert recover(path, layout) == model.recovered()
