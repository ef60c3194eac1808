"""Which store should hold a peer's journal: SQLite, or an append-only record file of our own?

Each worker makes durable writes one after another, as a follower does: one record blob, then the
mark. Rounds are interleaved (every store in every round) because the machine is shared; the table
shows medians over rounds. CPU is user + system of the worker (`resource.getrusage`).

    python bench/disk_choice.py [--rounds 5] [--writes 300] [--folder DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import shutil
import sqlite3
import statistics
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Protocol

SUBMISSION_BYTES = 150
SIZES = (1, 16, 64, 256)
SEGMENT = 16 * 1024 * 1024
STEP = 256 * 1024
HEADER = struct.Struct("<IIQ16s")


class Store(Protocol):
    def write(self, index: int, blob: bytes) -> None: ...


class Mark:
    """The acknowledged index, outside the store's own log (D1)."""

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder / "mark", os.O_RDWR | os.O_CREAT)
        os.pwrite(self.fd, bytes(4096), 0)
        os.fsync(self.fd)

    def set(self, index: int) -> None:
        payload = struct.pack("<QQ", 1, index)
        os.pwrite(self.fd, payload + struct.pack("<I", zlib.crc32(payload)), 0)


class SqliteStore:
    def __init__(self, folder: Path) -> None:
        self.mark = Mark(folder)
        self.base = sqlite3.connect(folder / "peer.db", isolation_level=None)
        self.base.execute("PRAGMA locking_mode=EXCLUSIVE")
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("PRAGMA synchronous=FULL")
        self.base.execute("CREATE TABLE hard (id INTEGER PRIMARY KEY, state BLOB)")
        self.base.execute(
            "CREATE TABLE journal (last INTEGER PRIMARY KEY, epoch INTEGER, first INTEGER,"
            " chain BLOB, crc INTEGER, blob BLOB)"
        )
        self.chain = bytes(16)

    def write(self, index: int, blob: bytes) -> None:
        self.chain = hashlib.blake2b(self.chain + blob, digest_size=16).digest()
        self.base.execute(
            "INSERT INTO journal VALUES (?, 1, ?, ?, ?, ?)",
            (index, index, self.chain, zlib.crc32(blob), blob),
        )
        self.mark.set(index)


class RecordFile:
    """Frames of length, CRC, index and chain; `ahead` prepares space before the file's end."""

    def __init__(self, folder: Path, ahead: Callable[[int, int], None] | None) -> None:
        self.mark = Mark(folder)
        self.folder = folder
        self.ahead = ahead
        self.chain = bytes(16)
        self.segment = 0
        self.open()

    def open(self) -> None:
        self.fd = os.open(self.folder / f"{self.segment:08}.journal", os.O_RDWR | os.O_CREAT)
        self.end = self.prepared = 0
        self.segment += 1

    def write(self, index: int, blob: bytes) -> None:
        self.chain = hashlib.blake2b(self.chain + blob, digest_size=16).digest()
        frame = HEADER.pack(len(blob), zlib.crc32(blob), index, self.chain) + blob
        if self.end + len(frame) > SEGMENT:
            self.open()
        while self.ahead and self.end + len(frame) > self.prepared:
            self.ahead(self.fd, self.prepared)
            self.prepared += STEP
        os.pwrite(self.fd, frame, self.end)
        self.end += len(frame)
        os.fdatasync(self.fd)
        self.mark.set(index)


def fallocate(fd: int, offset: int) -> None:
    os.posix_fallocate(fd, offset, STEP)


def zeros(fd: int, offset: int) -> None:
    if offset == 0:
        os.posix_fallocate(fd, 0, SEGMENT)
    os.pwrite(fd, bytes(STEP), offset)


STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": SqliteStore,
    "file, grown": lambda folder: RecordFile(folder, None),
    "file, fallocate": lambda folder: RecordFile(folder, fallocate),
    "file, zeroed": lambda folder: RecordFile(folder, zeros),
}


def worker(
    name: str,
    folder: Path,
    size: int,
    writes: int,
    barrier: Barrier,
    results: multiprocessing.Queue[tuple[list[float], float]],
) -> None:
    folder.mkdir(parents=True)
    store = STORES[name](folder)
    blob = os.urandom(size * SUBMISSION_BYTES)
    for index in range(1, 20):
        store.write(index, blob)
    barrier.wait()
    times = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for index in range(20, 20 + writes):
        start = time.perf_counter()
        store.write(index, blob)
        times.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    results.put((times, cpu / writes))


def measure(
    name: str, folder: Path, processes: int, size: int, writes: int
) -> tuple[float, float, float]:
    """Return p50 and p99 of a durable write and CPU a write, in microseconds."""
    barrier = multiprocessing.Barrier(processes)
    results: multiprocessing.Queue[tuple[list[float], float]] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(
            target=worker, args=(name, folder / str(i), size, writes, barrier, results)
        )
        for i in range(processes)
    ]
    for process in workers:
        process.start()
    found = [results.get() for _ in workers]
    for process in workers:
        process.join()
    shutil.rmtree(folder)
    times = sorted(t for run, _ in found for t in run)
    cpu = statistics.mean(cpu for _, cpu in found)
    return times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6, cpu * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writes", type=int, default=300)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    found: dict[tuple[int, int, str], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as base:
        for number in range(options.rounds):
            for processes in (1, 6):
                for size in SIZES:
                    names = (
                        list(STORES)[number % len(STORES) :] + list(STORES)[: number % len(STORES)]
                    )
                    for name in names:
                        result = measure(name, Path(base) / "run", processes, size, options.writes)
                        found.setdefault((processes, size, name), []).append(result)
    print(
        f"{'processes':>9} {'submissions':>11} {'store':<16} {'p50':>6} {'p99':>6} {'CPU':>6}  µs"
    )
    for (processes, size, name), rounds in sorted(found.items()):
        p50, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{processes:>9} {size:>11} {name:<16} {p50:>6.0f} {p99:>6.0f} {cpu:>6.0f}")


if __name__ == "__main__":
    main()
