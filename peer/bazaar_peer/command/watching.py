"""`bazaar watch`: the page, with a story that was written to a file."""

from __future__ import annotations

import asyncio
import contextlib
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.command.options import fail

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Serve there; 0: wherever there is room.")
]
InBrowser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
]
WATCH_EXAMPLES = "Examples:  bazaar watch ring.story  ·  bazaar watch ring.story --no-browser"


def watch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A story: a recorded ring.")],
    port: Port = 0,
    browser: InBrowser = True,
) -> None:
    """Look at a recorded ring in a browser, at any moment and as slowly as you like."""
    from bazaar_peer.page.story_file import StoryError, StoryFile  # noqa: PLC0415 - only here
    from bazaar_peer.page.watch import make_app, serve  # noqa: PLC0415 - only this command needs it

    def tell(url: str) -> None:
        typer.echo(f"{story.count:,} entries of {file} at {url}  (Ctrl-C ends it)")
        if browser:
            webbrowser.open(url)

    try:
        story = StoryFile(file)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(make_app(story), port, tell))
    except StoryError as wrong:
        raise fail(str(wrong)) from wrong
    except OSError as wrong:
        raise fail(f"port {port} cannot be served at: {wrong.strerror or wrong}") from wrong
