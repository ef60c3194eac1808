"""The commands that prove: a load that lists what was acknowledged, its audit, the simulator.

They are registered in app.py.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.command import local, views
from bazaar_peer.command.attempts import UNTRUSTED
from bazaar_peer.command.client import TRUST_HINT
from bazaar_peer.command.options import Json, Record, TokenFile, fail
from bazaar_peer.command.ring_folder import NoProofError

VERIFY_EXAMPLES = (
    "Examples:  bazaar verify ./ring --acknowledged acknowledged.txt  ·  "
    "bazaar verify --url http://127.0.0.1:8600 --token-file token"
)
LOAD_EXAMPLES = (
    "Example:  bazaar load --url http://127.0.0.1:8600 --rate 50 --seconds 60 "
    "--acknowledged acknowledged.txt --strict"
)
SIMULATE_EXAMPLES = (
    "Examples:  bazaar simulate --schedules 2000 --jobs 2  ·  bazaar simulate --seed 42 --trace"
    "  ·  bazaar simulate --plant trunc --schedules 2000  ·  bazaar simulate --seed 42 "
    "--record 42.story"
)
Acknowledged = Annotated[
    Path | None, typer.Option(help="A client's list, one `client key` a line.")
]


def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of a stopped ring.")
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="A peer of a running ring, which names the others; or several."),
    ] = None,
    token_file: TokenFile = None,
    acknowledged: Acknowledged = None,
    as_json: Json = False,
) -> None:
    """Audit the journals of a ring, stopped or running (S1, S3, S4, S6–S8, S10)."""
    from bazaar_peer.command import verify as audit  # noqa: PLC0415 - only this command needs it
    from bazaar_peer.command import verify_running as running  # noqa: PLC0415

    if (folder is None) == (url is None):
        raise fail("name either the folder of a stopped ring or --url of a running one", 2)
    try:
        if folder is not None:
            report = audit.verify(folder, acknowledged)
        else:
            say = partial(typer.echo, err=True)
            report = running.verify(url or [], token_file, acknowledged, say)
    except local.RingError as wrong:
        raise fail(str(wrong), 1 if isinstance(wrong, NoProofError) else 2) from wrong
    if as_json:
        sys.stdout.write(json.dumps(report.told()) + "\n")
    else:
        views.audit(report)
    if report.violations:
        raise typer.Exit(1)


def load(
    url: Annotated[
        list[str], typer.Option(help="Where orders go, http or https; several take turns.")
    ],
    rate: Annotated[float, typer.Option(help="Orders a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(help="How long orders are due.")] = 10.0,
    acknowledged: Annotated[
        str, typer.Option(help="Write `client key` of what was acknowledged there; - prints it.")
    ] = "",
    orders: Annotated[
        str, typer.Option(help="Write what became of each order there: due, ms, outcome, …")
    ] = "",
    item: Annotated[str, typer.Option(help="What is bought; it is put on offer first.")] = "salt",
    buyers: Annotated[int, typer.Option(help="So many names take turns.")] = 1,
    gap_ms: Annotated[
        float, typer.Option(min=1, help="List times so long without an answered order.")
    ] = 100.0,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 if any failed.")] = False,
    progress: Annotated[float, typer.Option(min=0.1, help="Seconds between two lines.")] = 5.0,
) -> None:
    """Order at a rate, whatever happens to the ring, and tell what came of it.

    Each order has one key, and is attempted with it, 1 s at a time, until it is taken or 10 s are
    over. Ctrl-C or SIGTERM ends it early. Prints one JSON object at the end.
    """
    from bazaar_peer.command import load as loading  # noqa: PLC0415 - only this command needs it

    options = loading.Options(
        urls=url,
        rate=rate,
        seconds=seconds,
        item=item,
        buyers=buyers,
        gap_ms=gap_ms,
        acknowledged=acknowledged,
        orders=orders,
        progress_s=progress,
    )
    try:
        tally = loading.load(options)
    except loading.LoadError as wrong:
        raise fail(str(wrong), 2) from wrong
    sys.stdout.write(json.dumps(tally.told()) + "\n")
    if not tally.begun:
        raise fail(_why_nothing(url, untrusted=set(tally.answers) == {UNTRUSTED}))
    if strict and tally.failed:
        raise typer.Exit(1)


def _why_nothing(urls: list[str], *, untrusted: bool) -> str:
    where = ", ".join(urls)
    if untrusted:
        return f"nobody at {where} shows a certificate that is trusted ({TRUST_HINT})"
    return (
        "nobody took the goods that were to be bought, so nothing was ordered. Is a ring "
        f"running at {where}, and has it a trader? `bazaar ring --url` shows it"
    )


def simulate(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    peers: Annotated[int, typer.Option(help="3 to 6; 0: drawn from the seed.")] = 0,
    schedules: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 200,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    plant: Annotated[str, typer.Option(help="A bug to put in; the checkers must find it.")] = "",
    trace: Annotated[bool, typer.Option("--trace", help="Tell one schedule line by line.")] = False,
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Play random schedules of faults against the very same core, and check every rule."""
    from bazaar_peer.command import simulated  # noqa: PLC0415 - only this command needs it

    try:
        if record is not None:
            simulated.record(seed, peers, plant, record)
            return
        failed = simulated.run(seed, peers, schedules, jobs, plant, trace=trace, as_json=as_json)
    except (ValueError, OSError) as wrong:
        raise fail(str(wrong), 2) from wrong
    if failed:
        raise typer.Exit(1)


def selftest(
    url: Annotated[str, typer.Option(help="The ring's Service for clients.")],
    name: Annotated[str, typer.Option(help="The Bazaar; its pods are NAME-0, NAME-1, …")],
    namespace: Annotated[str, typer.Option(help="Where its pods are.")],
) -> None:
    """Buy, delete the trader's pod, buy on, and see that everything was executed once."""
    from bazaar_peer.command import selftest as testing  # noqa: PLC0415 - only this one needs it

    try:
        testing.run(url, name, namespace, typer.echo)
    except testing.SelfTestError as wrong:
        typer.echo(f"bazaar: the ring did not pass: {wrong}", err=True)
        raise typer.Exit(1) from wrong
