"""The commands that prove something: a load that lists what was acknowledged, and the audit of it.

They are registered in app.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.command import local, views
from bazaar_peer.command.options import fail

VERIFY_EXAMPLES = (
    "Examples:  bazaar verify ./ring --acknowledged acknowledged.txt  ·  "
    "bazaar verify --url http://127.0.0.1:8600 --token-file token"
)
LOAD_EXAMPLES = (
    "Example:  bazaar load --url http://127.0.0.1:8600 --rate 50 --seconds 60 "
    "--acknowledged acknowledged.txt --strict"
)
Acknowledged = Annotated[
    Path | None, typer.Option(help="A client's list, one `client key` a line.")
]


def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of a stopped ring.")
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option(help="A peer of a running ring; it names the others.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token of a ring that has one.")
    ] = None,
    acknowledged: Acknowledged = None,
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
            report = running.verify(url or [], token_file, acknowledged)
    except local.RingError as wrong:
        raise fail(str(wrong), 2) from wrong
    views.audit(report)
    if report.violations:
        raise typer.Exit(1)


def load(
    url: Annotated[list[str], typer.Option(help="Where orders go; several take turns.")],
    rate: Annotated[float, typer.Option(help="Orders a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(help="How long orders are due.")] = 10.0,
    acknowledged: Annotated[
        str, typer.Option(help="Write `client key` of what was acknowledged there; - prints it.")
    ] = "",
    item: Annotated[str, typer.Option(help="What is bought; it is put on offer first.")] = "salt",
    gap_ms: Annotated[
        float, typer.Option(min=1, help="List times so long without an answered order.")
    ] = 100.0,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 if any failed.")] = False,
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
        gap_ms=gap_ms,
        acknowledged=acknowledged,
    )
    try:
        tally = loading.load(options)
    except loading.LoadError as wrong:
        raise fail(str(wrong), 2) from wrong
    sys.stdout.write(json.dumps(tally.told()) + "\n")
    if strict and tally.failed:
        raise typer.Exit(1)
