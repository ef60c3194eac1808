"""Random sequences of everything a driver may ask for, against a model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from bazaar_peer.core.effects import Hard, Truncate, Write, WriteHard, WriteRecord
from bazaar_peer.runtime.disk import Volume
from tests.integration.disk.rig import ME, SMALL, Model, fresh, install, recover, save

blobs = st.binary(max_size=400)
numbers = st.integers(0, 2**63)


class VolumeMachine(RuleBasedStateMachine):
    """Groups, checkpoints, prunes, installs and restarts, in any order the protocol allows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "volume"
        self.model = Model()
        self.committed = 1
        self.volume: Volume

    @initialize()
    def begin(self) -> None:
        self.volume = fresh(self.path)

    @rule(
        content=st.lists(
            st.one_of(
                st.tuples(st.integers(1, 5), blobs),
                st.builds(Hard, numbers, st.integers(-1, 9), numbers, numbers),
                st.floats(0, 1),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def perform(self, content: list[tuple[int, bytes] | Hard | float]) -> None:
        group: list[Write] = []
        for item in content:
            write: Write
            if isinstance(item, tuple):
                write = WriteRecord(0, self.model.record(1, item[1], entries=item[0]))
            elif isinstance(item, Hard):
                write = WriteHard(0, item)
            else:
                write = Truncate(0, self._end(item))
            group.append(write)
            self.model.apply(write)
        self.volume.perform(group)

    def _end(self, fraction: float) -> int:
        """Choose an end of a record that was not committed yet, or the last one that was."""
        ends = [r.last for r in self.model.records if r.last >= self.committed]
        ends = ends or [self.model.end[1]]
        return ends[int(fraction * (len(ends) - 1))]

    @rule(fraction=st.floats(0, 1), parts=st.lists(blobs, min_size=1, max_size=3))
    def checkpoint(self, fraction: float, parts: list[bytes]) -> None:
        index = self._end(fraction)
        if index > self.model.base[1]:
            assert save(self.volume, self.model, index, parts)
            self.committed = index

    @precondition(lambda self: self.model.base[1])
    @rule(fraction=st.floats(0, 1))
    def prune(self, fraction: float) -> None:
        self.volume.prune(int(self.model.base[1] * fraction))

    @rule(above=st.integers(1, 9), parts=st.lists(blobs, min_size=1, max_size=3))
    def install_another(self, above: int, parts: list[bytes]) -> None:
        place = (2, self.committed + above, bytes([above]) * 16)
        install(self.volume, self.model, place, parts, keep=False)
        self.committed = place[1]

    @rule(fraction=st.floats(0, 1), parts=st.lists(blobs, min_size=1, max_size=3))
    def install_below_a_suffix(self, fraction: float, parts: list[bytes]) -> None:
        index = self._end(fraction)
        if index > self.model.base[1]:
            (at,) = [r for r in self.model.records if r.last == index]
            place = (at.epoch, at.last, at.chain)
            install(self.volume, self.model, place, parts, keep=True)
            self.committed = index

    @rule()
    def restart(self) -> None:
        self.volume.close()
        self.volume = Volume.open(self.path, ME, SMALL)
        assert self.volume.recover() == self.model.recovered()

    @invariant()
    def parts_can_be_read(self) -> None:
        for number, part in enumerate(self.model.parts):
            last = number == len(self.model.parts) - 1
            assert self.volume.saved
            assert self.volume.saved.read_part(number) == (part, last)

    def teardown(self) -> None:
        if hasattr(self, "volume"):
            self.volume.close()
            assert recover(self.path) == self.model.recovered()
        self.folder.cleanup()


TestVolumeMachine = VolumeMachine.TestCase
TestVolumeMachine.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
