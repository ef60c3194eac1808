"""`bazaar bench` and `bazaar report`: their options; what they do stands beside this module."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, TaskID

import bazaar_peer
from bazaar_peer.command import client, views
from bazaar_peer.command.options import Json, fail, show
from bazaar_peer.command.report import bench_json, drill_json, write
from bazaar_peer.core.admission import PEERS_MAX

BENCH_EXAMPLES = (
    "Examples:  bazaar bench  ·  bazaar bench --report ./measured  ·  "
    "bazaar bench --peers 3 --requests 5000 --kills 0 --json"
)
REPORT_EXAMPLES = "Example:  bazaar report ./drill"
PORT_MIN, PORT_MAX, PEER_PORTS, RING_PORTS = 1024, 65_535, 1000, 100
"""Of clients; so much above them those of peers; so far apart those of one ring and the next."""


def bench(
    requests: Annotated[int, typer.Option(min=10, max=100_000, help="Orders a run.")] = 1200,
    peers: Annotated[
        list[int] | None, typer.Option(help="Peers of a ring; give it again for another one.")
    ] = None,
    kills: Annotated[
        int, typer.Option(min=0, max=100, help="So often is the trader killed in the second run.")
    ] = 6,
    port: Annotated[int, typer.Option(help="First port that may be used.")] = 8700,
    compare: Annotated[
        str | None, typer.Option(help="pyro4: the same on Pyro4; needs a checkout of the project.")
    ] = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="Folder for a page, pictures and raw figures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Repeat the measurement of the report that this system comes from: 5 and 6 peers.

    Each ring is measured without re-elections, and then while its trader is killed again and again.
    """
    if compare not in {None, "pyro4"}:
        raise fail(f"--compare knows pyro4, not {compare!r}", 2)
    sizes = peers or [5, 6]
    if wrong := _misuse(sizes, requests, kills) or _no_port(port, sizes) or _no_place(report_to):
        raise fail(wrong, 2)
    began = datetime.now(UTC)
    rings = _measure(sizes, requests, kills, port, pyro4=compare is not None)
    if report_to is not None:
        found = bench_json.Bench(
            version=bazaar_peer.__version__,
            command=shlex.join(["bazaar", *sys.argv[1:]]),
            began=began.isoformat(timespec="seconds"),
            rings=rings,
        )
        _draw(report_to, {bench_json.NAME: msgspec.to_builtins(found)}, new=True)
    show({"rings": [ring.told() for ring in rings]}, as_json, views.bench)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="It has a drill.json, or a bench.json.")
    ],
) -> None:
    """Draw a report anew from its raw figures: a page and its pictures, in the same folder."""
    there = [name for name in (bench_json.NAME, drill_json.NAME) if (folder / name).exists()]
    if len(there) != 1:
        both = " and ".join(there) if there else f"no {bench_json.NAME} and no {drill_json.NAME}"
        raise fail(f"{folder} has {both}: name a folder that has one of them", 2)
    [name] = there
    try:
        found = {name: drill_json.read(folder / name)}
    except drill_json.ReportError as wrong:
        raise fail(str(wrong), 2) from wrong
    typer.echo("\n".join(str(path) for path in _draw(folder, found)))


def _misuse(sizes: list[int], requests: int, kills: int) -> str:
    """Say which options cannot be, before anything is measured."""
    if not all(1 <= size <= PEERS_MAX for size in sizes):
        return f"--peers must be 1 to {PEERS_MAX}, not {', '.join(map(str, sizes))}"
    if twice := [str(size) for size in sorted(set(sizes)) if sizes.count(size) > 1]:
        return f"--peers {', '.join(twice)} is there twice: each size is measured once"
    if kills and min(sizes) < 3:
        return "without its trader a ring of fewer than 3 peers has no majority: --kills 0"
    if kills > requests:
        return f"--kills must be at most --requests, {requests}, not {kills}"
    return ""


def _no_port(port: int, sizes: list[int]) -> str:
    """Say that there are no such ports, or nothing."""
    most = PORT_MAX - PEER_PORTS - RING_PORTS * len(sizes)
    return "" if PORT_MIN <= port <= most else f"--port must be {PORT_MIN} to {most}, not {port}"


def _no_place(folder: Path | None) -> str:
    """Say why no report can be written into a folder, or nothing."""
    if folder is None:
        return ""
    if folder.exists():
        if not folder.is_dir() or any(folder.iterdir()):
            return f"--report {folder} is there already, and not empty: name another folder"
        place = folder
    else:
        place = folder.absolute().parent
        if not place.is_dir():
            return f"--report {folder}: there is no folder {place}"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"--report {folder}: nothing may be written into {place}"
    return ""


def _measure(
    sizes: list[int], requests: int, kills: int, port: int, *, pyro4: bool
) -> list[bench_json.Ring]:
    from bazaar_peer.command import baseline, measure  # noqa: PLC0415 - only this command needs it

    rings: list[bench_json.Ring] = []
    try:
        if pyro4:
            baseline.check()
        with _progress() as tell:
            for place, peers in enumerate(sizes):
                first = port + RING_PORTS * place
                ring = asyncio.run(measure.measure(peers, requests, kills, first, tell))
                if pyro4:
                    tell(f"{peers} peers, the Pyro4 baseline", 0, requests)
                    ring = msgspec.structs.replace(ring, pyro4=baseline.run(peers, requests))
                    tell(f"{peers} peers, the Pyro4 baseline", requests, requests)
                rings.append(ring)
    except (measure.BenchError, client.CallError, baseline.BaselineError) as wrong:
        raise fail(str(wrong)) from wrong
    return rings


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar a run on a terminal's standard error, or else a line when a run begins."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: None if done else typer.echo(f"{what}: {of:,} …", err=True)
        return
    # Drawn when it is told to, by no thread beside the measurement.
    with Progress(console=Console(stderr=True), auto_refresh=False) as progress:
        bars: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=of)
            progress.update(bars[what], completed=done, refresh=True)

        yield tell


def _draw(folder: Path, found: dict[str, dict[str, Any]], *, new: bool = False) -> list[Path]:
    """Draw the one raw file that was found; a new one is written first."""
    [(name, raw)] = found.items()
    try:
        if new:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(msgspec.json.encode(raw))
        draw = write.write_bench if name == bench_json.NAME else write.write
        files = draw(folder, raw)
    except drill_json.ReportError as wrong:
        raise fail(f"{folder / name}: {wrong}", 2) from wrong
    except OSError as wrong:
        raise fail(f"the report cannot be written: {wrong}") from wrong
    if not write.can_draw():
        typer.echo(f"bazaar: {write.INSTALL}", err=True)
    return files
