"""Where the peers of `bazaar up` come from: one process that has imported everything, and forks.

Python takes a third of a second of a core to import what a peer is made of, from those who elect
meanwhile. The nursery is forked before there is a loop or a thread, and neither runs one itself.
Packets go to and fro on a pair of sockets; whose other end is gone is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from bazaar_peer.runtime import process, processes
from bazaar_peer.runtime.settings import ProcessSettings

PACKET = 64 * 1024
"""Bytes; settings are far shorter."""
ORPHANED = 70
"""What peers end with whose nursery is gone: nobody is left to tell."""


class Start(Struct, frozen=True, tag=True):
    """Fork a peer that appends what it prints to a file."""

    settings: ProcessSettings
    errors: str


class Send(Struct, frozen=True, tag=True):
    """Signal a peer, unless it has ended."""

    pid: int
    number: int


class Started(Struct, frozen=True, tag=True):
    pid: int


class Refused(Struct, frozen=True, tag=True):
    """This machine has no room for one process more, or the like."""

    number: int


class Ended(Struct, frozen=True, tag=True):
    """As `subprocess` has it: a negative code is a signal's number."""

    pid: int
    code: int


ASKED = msgspec.json.Decoder(Start | Send)
TOLD = msgspec.json.Decoder(Started | Refused | Ended)


class Forked:
    """One peer's process, with what is used of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid, self._nursery = pid, nursery
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    def send_signal(self, number: int) -> None:
        if not self._code.done():
            self._nursery.ask(Send(self.pid, number))

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        if not self._code.done():
            self._code.set_result(code)


class Nursery:
    """The supervisor's end."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._pid, self._channel = pid, channel
        self._asked: deque[asyncio.Future[Forked]] = deque()
        self._living: dict[int, Forked] = {}
        self._listener: asyncio.Task[None] | None = None

    async def start(self, settings: ProcessSettings, errors: Path) -> Forked:
        """Start a peer.

        Raises:
            ConnectionError: the nursery is gone.
            OSError: this machine refuses.
        """
        loop = asyncio.get_running_loop()
        if self._listener is None:
            self._listener = loop.create_task(self._listen())
        if self._listener.done():
            raise ConnectionResetError
        began: asyncio.Future[Forked] = loop.create_future()
        self.ask(Start(settings, str(errors)))  # first: what is not sent is not answered
        self._asked.append(began)
        return await began

    def ask(self, what: Start | Send) -> None:
        with contextlib.suppress(ConnectionError):  # the listener notices that, too
            self._channel.send(msgspec.json.encode(what))

    async def _listen(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            while packet := await loop.sock_recv(self._channel, PACKET):
                self._take(TOLD.decode(packet))
        except ConnectionError:
            pass
        finally:
            for forked in self._living.values():
                forked.end(ORPHANED)
            for began in self._asked:
                if not began.done():
                    began.set_exception(ConnectionResetError())

    def _take(self, told: Started | Refused | Ended) -> None:
        if isinstance(told, Ended):
            self._living.pop(told.pid).end(told.code)
            return
        began = self._asked.popleft()
        if isinstance(told, Refused):
            if not began.done():
                began.set_exception(OSError(told.number, os.strerror(told.number)))
            return
        forked = self._living[told.pid] = Forked(told.pid, self)
        if began.done():  # nobody waits for it any more
            forked.kill()
        else:
            began.set_result(forked)

    def close(self) -> None:
        """End the nursery; peers that are left notice, and end."""
        self._channel.close()
        os.kill(self._pid, signal.SIGKILL)  # it may stand still
        os.waitpid(self._pid, 0)


async def alone(settings: ProcessSettings, errors: Path) -> asyncio.subprocess.Process:
    """Start a peer that imports everything itself: without a nursery."""
    with errors.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *processes.program_of(settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )


def can_fork() -> bool:
    """Tell whether a nursery works here.

    On other systems than Linux a fork without exec is not safe; some sandboxes have no pidfds.
    """
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def begin() -> Nursery:
    """Fork the nursery; caller duty: no loop has run, and there is one thread."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if pid := os.fork():
        there.close()
        return Nursery(pid, here)
    try:
        _stand_alone(os.devnull, keep=there.fileno())
        processes.name_itself("bazaar: nursery of peers")
        gc.collect()
        gc.freeze()  # what is never looked at is never copied for a peer
        _serve(there)
    finally:
        os._exit(0)


def _serve(channel: socket.socket) -> None:
    """Fork peers and tell how they end, until nobody asks any more."""
    waits = selectors.DefaultSelector()
    waits.register(channel, selectors.EVENT_READ)
    living: dict[int, int] = {}
    own = os.getpid()

    def tell(what: Started | Refused | Ended) -> None:
        channel.send(msgspec.json.encode(what))

    while True:
        for key, _ in waits.select():
            if key.data is not None:
                waits.unregister(key.fd)
                tell(_ended(key.data, living.pop(key.data)))
                continue
            packet = channel.recv(PACKET)
            if not packet:
                return
            asked = ASKED.decode(packet)
            if isinstance(asked, Send):
                _signal(asked, living)
                continue
            try:
                pid = os.fork() or _peer(asked, own)
            except OSError as error:
                tell(Refused(error.errno or 0))
                continue
            living[pid] = os.pidfd_open(pid)
            waits.register(living[pid], selectors.EVENT_READ, pid)
            tell(Started(pid))


def _ended(pid: int, pidfd: int) -> Ended:
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    return Ended(pid, os.waitstatus_to_exitcode(status))


def _signal(asked: Send, living: dict[int, int]) -> None:
    if asked.pid in living:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(living[asked.pid], asked.number)


def _peer(start: Start, parent: int) -> NoReturn:
    """Be a peer, to its end; its parent may be gone before it looks."""
    code = 1
    try:
        _stand_alone(start.errors)
        processes.name_itself(processes.title_of(start.settings.ring, start.settings.me))
        code = process.main(start.settings, parent)
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)


def _stand_alone(errors: str, keep: int = 2) -> None:
    """Leave the terminal, and every file that was open but the three streams and one to keep."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number, given in enumerate((nothing, file, file)):
        os.dup2(given, number)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
