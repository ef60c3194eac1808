"""`bazaar up` from options to the end: make or open the ring's folder, run it, sum it up."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.live import Live

from bazaar_peer.agents.roles import assign_roles
from bazaar_peer.command import nursery, ring_folder
from bazaar_peer.command.recorded import record_ring
from bazaar_peer.command.ring_folder import RingError, RingFile, RingFolder, Running
from bazaar_peer.command.summary import clear_totals, print_summary, summary
from bazaar_peer.command.table import Board
from bazaar_peer.command.up import Supervisor, check_start
from bazaar_peer.core.admission import PEERS_MAX
from bazaar_peer.runtime.settings import ProcessSettings

__all__ = ["Options", "RingError", "UsageError", "up"]

PEERS_DEFAULT = 6


class UsageError(Exception):
    """Options that cannot be; the text says which and how to mend them."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `bazaar up`."""

    peers: int | None
    roles: str
    seed: int
    rate: float
    agents: bool
    data: Path
    port: int
    duration: float | None
    as_json: bool
    election: str
    restart_after: str
    log_json: bool
    commission_bp: int
    record: Path | None = None
    no_record: bool = False


def up(options: Options) -> None:
    """Run a ring until its time is over or Ctrl-C, then print the summary."""
    restart_after = _check(options)
    found = _open(options)
    wanted = PEERS_DEFAULT if options.peers is None else options.peers
    peers = found.size() if found else wanted
    _roles(options, found.made.peers if found else wanted)
    _check_ports(options.port, peers)
    folder = found or _make(options, peers)
    say = Console(stderr=True, highlight=False)
    for sentence in check_start(folder):
        say.print(sentence)
    clear_totals(folder)
    settings = partial(_settings, options, folder)
    board = Board(folder, settings(0), sentences=say.print)
    forks = nursery.begin() if nursery.can_fork() else None
    supervisor = Supervisor(
        folder=folder,
        settings=settings,
        restart_after_s=restart_after,
        say=board.say,
        nursery=forks,
    )
    url = settings(0).client_url(0)
    say.print(f"ring of {peers} at {url} and up, data in {folder.path}")
    say.print(f"see it live: {url}/")
    folder.note_running(Running(os.getpid(), options.port))
    try:
        asyncio.run(_watch(options, supervisor, board))
    finally:
        folder.note_running(None)
        if forks is not None:
            forks.close()
    if options.record is not None:
        count = record_ring(folder, options.record)
        say.print(f"{count:,} steps in {options.record}: bazaar watch {options.record}")
    print_summary(summary(supervisor), as_json=options.as_json)


async def _watch(options: Options, supervisor: Supervisor, board: Board) -> None:
    if options.as_json or not sys.stderr.isatty():
        plain = board.plain_ticker(supervisor, every_s=5.0)
        await supervisor.run(options.duration, plain)
        return
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        board.live = live
        await supervisor.run(options.duration, lambda: board.refresh(supervisor))
        board.live = None


def _check(options: Options) -> float | None:
    """See that options make sense alone; return the restart delay."""
    if options.election not in ("ring", "bully"):
        raise UsageError(f"--election must be ring or bully, not {options.election!r}")
    if options.rate < 0:
        raise UsageError(f"--rate must be 0 or more orders a second, not {options.rate:g}")
    if not 0 <= options.commission_bp <= 10_000:
        raise UsageError(f"--commission is 0 to 10000 basis points, not {options.commission_bp}")
    if options.record is not None and not options.record.absolute().parent.is_dir():
        raise UsageError(f"--record {options.record}: there is no folder to write it into")
    if options.record is not None and options.no_record:
        raise UsageError("--record needs what --no-record keeps from being kept: leave one out")
    if options.duration is not None and options.duration <= 0:
        raise UsageError(f"--duration must be more than 0 seconds, not {options.duration:g}")
    if options.restart_after == "never":
        return None
    try:
        delay = float(options.restart_after)
    except ValueError:
        delay = -1.0
    if not 0 <= delay < 3600:
        raise UsageError(f"--restart-after is seconds or never, not {options.restart_after!r}")
    return delay


def _open(options: Options) -> RingFolder | None:
    folder = ring_folder.open_ring(options.data)
    if folder is None:
        return None
    if options.peers not in (None, folder.size()):
        raise RingError(
            f"{options.data} is a ring of {folder.size()} peers; --peers {options.peers} "
            "would make two rings of it. Leave --peers out, and `bazaar scale` it while it runs; "
            "or name another --data."
        )
    if (running := folder.running()) is not None:
        raise RingError(f"{options.data} runs already: `bazaar up` has process {running.pid}")
    return folder


def _make(options: Options, peers: int) -> RingFolder:
    """Make a new ring; caller duty: options and ports are checked."""
    made = RingFile(
        ring=ring_folder.new_ring_id(),
        peers=peers,
        roles=options.roles,
        seed=options.seed,
        commission_bp=options.commission_bp,
    )
    leftovers = [p for p in options.data.glob("peer-*") if (p / "identity").exists()]
    if leftovers:
        raise RingError(
            f"{options.data} has volumes of a ring ({leftovers[0].name}, …) but no ring.json: its "
            "first start was interrupted, or the file was lost. Restore ring.json from a copy; if "
            "nothing was traded yet, remove the folder."
        )
    return ring_folder.create(options.data, made)


def _roles(options: Options, peers: int) -> list[str]:
    if not 1 <= peers <= PEERS_MAX:
        raise UsageError(f"--peers must be 1 to {PEERS_MAX}, not {peers}")
    try:
        return [role.value for role in assign_roles(options.roles, peers, options.seed)]
    except ValueError as wrong:
        raise UsageError(str(wrong)) from wrong


def _settings(options: Options, folder: RingFolder, peer: int) -> ProcessSettings:
    """Return what a peer's process is started with; who joins later is buyer and seller."""
    roles = _roles(options, folder.made.peers)
    buyers = sum(role != "seller" for role in roles) or 1
    role = roles[peer] if peer < len(roles) else "both"
    return ProcessSettings(
        me=peer,
        peers=max(folder.size(), folder.made.peers),
        ring=folder.made.ring,
        volume=str(folder.volume(peer)),
        archive=str(folder.archive(peer)),
        log=str(folder.log(peer)),
        log_json=options.log_json,
        stats=str(folder.stats(peer)),
        port=options.port,
        drills=True,
        record=not options.no_record,
        election=options.election,
        role=role if options.agents else "",
        seed=options.seed,
        rate=options.rate / buyers,
    )


def _check_ports(port: int, peers: int) -> None:
    """See that every port is free before anything is started."""
    if not 1024 <= port <= 65_535 - 1000 - peers:
        raise UsageError(f"--port must be 1024 to {65_535 - 1000 - peers}, not {port}")
    for number in [*range(port, port + peers), *range(port + 1000, port + 1000 + peers)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                raise UsageError(
                    f"port {number} is taken ({error.strerror}); end what uses it, or choose "
                    "another --port"
                ) from error
