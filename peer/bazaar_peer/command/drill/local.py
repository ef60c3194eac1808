"""A ring on this machine, that `bazaar up` runs in another terminal and starts anew what dies."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bazaar_peer.command import verify_running
from bazaar_peer.command.client import HINT
from bazaar_peer.command.drill.ending import healed_after
from bazaar_peer.command.drill.loading import LoadProcess
from bazaar_peer.command.drill.place import (
    Audit,
    Interregna,
    Line,
    Loaded,
    View,
    interregna_of,
    view_of,
)
from bazaar_peer.command.drill.plan import SETTLE_S, DrillError, Kind, MisuseError, Options
from bazaar_peer.command.recording import asks_of
from bazaar_peer.command.ring_folder import RingError
from bazaar_peer.record.collect import Story, collect
from bazaar_peer.record.entries import BadRecordError
from bazaar_peer.runtime import processes
from bazaar_peer.runtime.answers import body_within

ANSWER_S = 1.0
PATIENT = aiohttp.ClientTimeout(total=10.0)
"""For what is asked once, and not until the ring has settled."""
BODY_MAX_BYTES = 4 << 20
GONE = (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError)
"""A peer that is down, or whose answer is not one."""
ELSEWHERE = (
    "{} is not on this machine, and no process elsewhere can be signalled: a ring in a cluster is "
    "named by --namespace and --name"
)


class LocalRing:
    """`Place` on this machine; made and closed in the loop that uses it."""

    settle_s = SETTLE_S
    late_s = 0.0
    one_clock = True

    def __init__(self, options: Options) -> None:
        self.target = options.url.rstrip("/")
        if not is_loopback(self.target):
            raise MisuseError(ELSEWHERE.format(options.url))
        self._options = options
        limit = aiohttp.ClientTimeout(total=ANSWER_S)
        self._http = aiohttp.ClientSession(timeout=limit)
        self._folder = Path(tempfile.mkdtemp(prefix="bazaar-drill-"))
        self._view: View | None = None
        self._load: LoadProcess | None = None
        self.by_hand = ""

    # ---- what it is

    async def look(self) -> View:
        urls = [line.url for line in self._view.lines] if self._view else [self.target]
        answers = await asyncio.gather(*(self._ring(url) for url in urls))
        first = next((answer for answer in answers if answer is not None), None)
        if first is None:
            if self._view is None:
                raise DrillError(f"no answer from {self.target} ({HINT})")
            return View(self._view.ring, tuple(Line(one.peer, one.url) for one in self._view.lines))
        try:
            members = [str(row["url"]) for row in first["peers"]]
            if members != urls:
                if far := [url for url in members if not is_loopback(url)]:
                    raise MisuseError(ELSEWHERE.format(far[0]))
                answers = await asyncio.gather(*(self._ring(url) for url in members))
            self._view = view_of(first, answers)
        except (KeyError, TypeError, ValueError) as error:
            raise DrillError(
                f"{self.target} answers, but is no peer of a ring: {error!r}"
            ) from error
        return self._view

    async def _ring(self, url: str) -> dict[str, Any] | None:
        try:
            async with self._http.get(f"{url}/v1/ring") as answer:
                answer.raise_for_status()
                found = await answer.json()
        except GONE:
            return None
        return found if isinstance(found, dict) else None

    async def interregna(self, line: Line) -> Interregna:
        try:
            async with self._http.get(f"{line.url}/metrics", timeout=PATIENT) as answer:
                answer.raise_for_status()
                return interregna_of((await body_within(answer, BODY_MAX_BYTES)).decode())
        except GONE as error:
            raise DrillError(f"peer {line.peer} shows no metrics: {error!r}") from error

    # ---- what is done to it

    async def hurt(self, kind: Kind, victim: Line, view: View, seconds: float) -> None:
        try:
            await self._hurt(kind, victim, view, seconds)
        except processes.NotOursError as wrong:
            raise DrillError(str(wrong)) from wrong

    async def _hurt(self, kind: Kind, victim: Line, view: View, seconds: float) -> None:
        ring, peer, pid = view.ring, victim.peer, victim.pid
        match kind:
            case Kind.CRASH | Kind.FOLLOWER | Kind.RESIGN:
                number = signal.SIGTERM if kind is Kind.RESIGN else signal.SIGKILL
                processes.send(pid, number, ring, peer)
                await processes.gone(pid, ring, peer)
            case Kind.PAUSE:
                self.by_hand = f"kill -CONT {pid}"
                processes.send(pid, signal.SIGSTOP, ring, peer)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    processes.send(pid, signal.SIGCONT, ring, peer)
                    self.by_hand = ""
            case Kind.CUT:
                others = [line.peer for line in view.lines if line.peer != peer]
                await self._cut(victim, others, seconds)
                await healed_after(seconds, lambda: self._cut(victim, [], seconds))
            case Kind.DRAIN:
                raise AssertionError(kind)

    async def _cut(self, victim: Line, others: list[int], seconds: float) -> None:
        body = {"peers": others, "seconds": seconds}
        try:
            async with self._http.post(
                f"{victim.url}/v1/cut", json=body, timeout=PATIENT
            ) as answer:
                status = answer.status
        except GONE as error:
            raise DrillError(f"peer {victim.peer} was not cut off: {error!r}") from error
        if status != 200:
            raise DrillError(
                f"peer {victim.peer} cannot be cut off (status {status}): only peers that "
                "`bazaar up` of this release started can"
            )

    # ---- the load and the audit

    async def begin_load(self, seconds: float) -> None:
        view = self._view or await self.look()
        peers = [line.peer for line in view.lines]
        self._load = LoadProcess(self._folder, [line.url for line in view.lines], peers)
        await self._load.begin(self._options.rate, self._options.buyers, seconds)

    async def loaded(self) -> str:
        assert self._load is not None
        return self._load.so_far()

    async def end_load(self) -> Loaded:
        assert self._load is not None
        return await self._load.end()

    async def audit(self) -> Audit:
        assert self._view is not None
        assert self._load is not None
        urls = [line.url for line in self._view.lines]
        try:
            report = await asyncio.to_thread(
                verify_running.verify, urls, None, self._load.acknowledged
            )
        except RingError as wrong:
            return Audit(failed=str(wrong))
        return Audit(report.violations, report.omitted, len(report.lost), len(report.twice))

    async def story(self, seconds: float) -> Story | None:
        assert self._view is not None
        urls = [line.url for line in self._view.lines]
        try:
            return await collect(asks_of(self._http, urls), "drill", int(seconds))
        except BadRecordError:
            return None

    async def keep(self, folder: Path) -> None:
        assert self._load is not None
        for path in (self._load.acknowledged, self._load.orders):
            await asyncio.to_thread(shutil.copy, path, folder)

    async def close(self) -> None:
        if self._load is not None:
            await self._load.close()
        await self._http.close()
        await asyncio.to_thread(shutil.rmtree, self._folder)


def is_loopback(url: str) -> bool:
    """Tell whether a URL is of this machine alone."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
