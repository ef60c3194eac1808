"""What several commands share: their options, and how they end and show."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from bazaar_peer.command import views

Url = Annotated[str, typer.Option(help="Any peer of the ring.", envvar="BAZAAR_URL")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
URL = "http://127.0.0.1:8600"


def fail(message: str, code: int = 1) -> typer.Exit:
    """Say what went wrong on standard error."""
    typer.echo(f"bazaar: {message}", err=True)
    return typer.Exit(code)


def show(found: dict[str, object], as_json: bool, view: views.View) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        view(found)
