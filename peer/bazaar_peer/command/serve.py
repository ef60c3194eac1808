"""`bazaar serve`: one peer of a ring in a cluster, as the operator's pods run it."""

from __future__ import annotations

import os
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
