"""What pods of a cluster run: a peer of a ring, and the drill of `helm test`."""

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


def main(program: str) -> None:
    """Run `serve` without what the other commands need."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(serve)
    app(sys.argv[2:], prog_name=f"{program} serve")
