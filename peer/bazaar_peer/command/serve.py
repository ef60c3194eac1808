"""What a pod of a ring runs, by __main__.py: `bazaar serve` needs nothing of app.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.runtime import pod, process


def serve(
    settings: Annotated[Path, typer.Option(help="ring.json, the ring's settings.")],
    token_file: Annotated[Path, typer.Option(help="File with the ring's token.")],
    volume: Annotated[Path, typer.Option(help="Folder that holds this peer's volume.")],
) -> None:
    """Run one peer of a ring in a cluster, as the operator's pods do.

    POD_NAME says which one it is, POD_IP where others find it at once.
    """
    try:
        found = pod.pod_settings(settings, volume, token_file, os.environ)
    except pod.PodError as error:
        typer.echo(f"bazaar: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(process.main(found))


def main(program: str) -> None:
    """Run the command line of `serve` alone."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(serve)
    app(sys.argv[2:], prog_name=f"{program} serve")
