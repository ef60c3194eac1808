"""`bazaar page`: the live page of a ring in a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import webbrowser
from typing import Annotated

import typer

from bazaar_peer.command.options import fail
from bazaar_peer.command.watching import InBrowser, Port

PAGE_EXAMPLES = (
    "Examples:  bazaar page --name bazaar  ·  bazaar page --namespace shop --name shop --no-browser"
)


def page(
    name: Annotated[str, typer.Option(help="The Bazaar: `kubectl get bazaars` lists them.")],
    namespace: Annotated[str, typer.Option(help="Where it is.")] = "default",
    context: Annotated[str, typer.Option(help="Of your kubeconfig. Default: the present.")] = "",
    port: Port = 0,
    browser: InBrowser = True,
) -> None:
    """Look at a ring in a cluster, live, through whichever of its pods answers."""
    from bazaar_peer.page import cluster, kubectl  # noqa: PLC0415 - only this command needs them

    def tell(url: str) -> None:
        typer.echo(f"{name} in namespace {namespace} at {url}  (Ctrl-C ends it)")
        if browser:
            webbrowser.open(url)

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(cluster.serve(namespace, name, context, port, tell))
    except kubectl.ClusterError as wrong:
        raise fail(str(wrong)) from wrong
    except OSError as wrong:
        raise fail(f"port {port} cannot be served at: {wrong.strerror or wrong}") from wrong
