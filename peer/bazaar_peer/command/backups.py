"""`bazaar backup` and `bazaar restore`; what they do stands in backup.py. Registered in app.py."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.command import local, views
from bazaar_peer.command.client import CallError
from bazaar_peer.command.options import URL, Json, TokenFile, fail, show, token_of

BACKUP_EXAMPLES = (
    "Examples:  bazaar backup fair.backup  ·  kubectl exec bazaar-0 -c peer -- bazaar backup - "
    "--token-file /etc/bazaar-admin/token > fair.backup"
)
RESTORE_EXAMPLES = (
    "Examples:  bazaar restore fair.backup  ·  bazaar restore fair.backup --data ./ring  ·  "
    "kubectl exec -i bazaar-0 -c peer -- bazaar restore - --url http://127.0.0.1:8600 "
    "--token-file /etc/bazaar-admin/token < fair.backup"
)
STANDARD = Path("-")
File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup; - is a pipe.")]


def backup(
    file: File,
    url: Annotated[
        str, typer.Option(help="Any peer of the ring: http://HOST:PORT.", envvar="BAZAAR_URL")
    ] = URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Write all that a ring has executed to a file, while it trades.

    What was acknowledged before is in it, with every key, so that repeats are known. The file has a
    mark, by which a new ring in a cluster names it (spec.storage.restoreFrom).
    """
    from bazaar_peer.command import backup as copying  # noqa: PLC0415 - only this command needs it

    piped = file == STANDARD
    _check(url)
    if file.is_dir():
        raise fail(f"{file} is a folder: name a file", 2)
    try:
        found = asyncio.run(copying.fetch(url, None if piped else file, token_of(token_file)))
    except CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong
    except OSError as error:
        raise fail(f"{file} cannot be written: {error}") from error
    if not piped:
        show(found, as_json, views.backup)
    else:
        typer.echo(json.dumps(found), err=True)


def restore(
    file: File,
    data: Annotated[Path | None, typer.Option(help="New folder of a ring on this machine.")] = None,
    peers: Annotated[
        int | None, typer.Option(help="Peers of the ring in --data. Default: the backup's.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The peer of a new ring in a cluster that waits for it.")
    ] = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Make a new ring of a backup, here or in a cluster; with neither, tell what a file holds.

    What was traded after the backup is not in it. The ring that it came from is left alone.
    """
    from bazaar_peer.command import backup as copying  # noqa: PLC0415 - only this command needs it

    if data is not None and url is not None:
        raise fail("name either --data, a folder of this machine, or --url, a peer that waits", 2)
    if peers is not None and data is None:
        raise fail("--peers is for a ring in --data; spec.peers says it in a cluster", 2)
    if file == STANDARD and url is None:
        raise fail("a pipe can be given to a peer only: name --url", 2)
    try:
        if url is not None:
            _check(url)
            given = None if file == STANDARD else file
            found = asyncio.run(copying.give(url, given, token_of(token_file)))
        elif data is not None:
            found = copying.make(file, data, peers)
        else:
            found = copying.described(file)
    except CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong
    except (local.RingError, OSError) as wrong:
        raise fail(str(wrong)) from wrong
    show(found, as_json, views.backup)


def _check(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise fail(f"--url is http://HOST:PORT, not {url!r}: in a cluster see --help", 2)
