"""What several commands share: their options, and how they end and show."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer import __version__
from bazaar_peer.command import views
from bazaar_peer.command.ring_folder import RingError, token_in

Url = Annotated[
    str,
    typer.Option(
        help="Any peer of the ring; in a cluster the ring: kube:NAME or kube:NAMESPACE/NAME.",
        envvar="BAZAAR_URL",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
Record = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a story, for `bazaar watch FILE`.")
]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token of a ring that has one.")]
Peers = Annotated[int | None, typer.Option(help="Number of peers. Default 6, or the ring's.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the ring; goes on where it stopped.")]
NoRecord = Annotated[
    bool, typer.Option("--no-record", help="Keep no record: the live page has no story then.")
]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bazaar {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version",
        is_eager=True,
        callback=_tell_version,
        help="Show the version and exit.",
    ),
]
URL = "http://127.0.0.1:8600"


def root(version: Version = False) -> None:
    """Take the options that stand before any command."""


def fail(message: str, code: int = 1) -> typer.Exit:
    """Say what went wrong on standard error."""
    typer.echo(f"bazaar: {message}", err=True)
    return typer.Exit(code)


def token_of(path: Path | None) -> str:
    """Return the token that the file holds; nothing if there is none. Raises typer.Exit."""
    try:
        return token_in(path)
    except RingError as wrong:
        raise fail(str(wrong), 2) from wrong


def show(found: dict[str, object], as_json: bool, view: views.View) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        view(found)
