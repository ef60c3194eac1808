"""The command `bazaar drill`, as it is typed; app.py registers it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bazaar_peer.command.client import CallError
from bazaar_peer.command.drill.plan import URL, DrillError, Kind, MisuseError, Options
from bazaar_peer.command.options import Json, fail
from bazaar_peer.command.reach import SCHEME, named

EXAMPLES = (
    "Examples:  bazaar drill crash --times 20  ·  bazaar drill pause --seconds 2 --peer follower  ·"
    "  bazaar drill resign --times 10 --max-interregnum 50 --json  ·  "
    "bazaar drill crash --namespace shop --name bazaar"
)


class Victim(Enum):
    """Whom it is done to."""

    TRADER = "trader"
    FOLLOWER = "follower"


Url = Annotated[
    str | None,
    typer.Option(
        help=f"Any peer of a ring on this machine, or kube:NAMESPACE/NAME. Default: {URL}",
        envvar="BAZAAR_URL",
    ),
]
Limit = Annotated[
    float | None, typer.Option(metavar="MS", help="End with 1 if there was no trader longer.")
]
Report = Annotated[
    Path | None, typer.Option(help="Folder for the report. Default: ./drill-KIND-TIME")
]


def drill(
    kind: Annotated[Kind, typer.Argument(help="What is done to a peer.", show_default=False)],
    times: Annotated[int, typer.Option(help="So many faults, one behind the other.")] = 1,
    rate: Annotated[float, typer.Option(help="Orders a second meanwhile.")] = 200.0,
    buyers: Annotated[int, typer.Option(help="So many buyers take turns.")] = 8,
    url: Url = None,
    namespace: Annotated[str, typer.Option(help="Of a Bazaar in a cluster.")] = "default",
    name: Annotated[str, typer.Option(help="Of a Bazaar in a cluster, by your kubeconfig.")] = "",
    context: Annotated[str, typer.Option(help="Of your kubeconfig. Default: the present.")] = "",
    peer: Annotated[Victim, typer.Option(help="Whom it is done to.")] = Victim.TRADER,
    seconds: Annotated[float, typer.Option(help="How long a pause or a cut lasts.")] = 1.0,
    max_interregnum: Limit = None,
    report: Report = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before a node is drained.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hurt a ring under load, and tell what it cost and whether anything was lost or done twice.

    crash: kill -9 of the trader · resign: it is asked to go, and hands over · pause: it stands
    still · cut: the others and it do not hear each other · follower: kill -9 of a follower · drain:
    its node is emptied (cluster only). In a cluster nothing is killed: crash and follower delete a
    pod by force, which still asks the peer to go, and resign deletes it in good order; pause and
    cut take spec.drills of the Bazaar. Whether the trader handed over is told of each. Ends with 1
    if an order is lost, doubled or failed, or an interregnum was too long.
    """
    url, namespace, name = _ring(url, namespace, name)
    options = Options(
        kind=kind,
        times=times,
        rate=rate,
        buyers=buyers,
        url=url or URL,
        namespace=namespace,
        name=name,
        context=context,
        follower=peer is Victim.FOLLOWER,
        seconds=seconds,
        max_interregnum_ms=max_interregnum,
        report=None if no_report else report or _folder(kind),
        yes=yes,
        command=shlex.join(["bazaar", *sys.argv[1:]]),
    )
    _carry_out(options, as_json=as_json)


def _ring(url: str | None, namespace: str, name: str) -> tuple[str | None, str, str]:
    """Return the one address, or the one namespace and name, that is meant."""
    if url is not None and url.startswith(SCHEME):
        if not name:
            try:
                return None, *asyncio.run(named(url))
            except CallError as wrong:
                raise fail(str(wrong), wrong.exit_code) from wrong
        if url == os.environ.get("BAZAAR_URL"):
            return None, namespace, name  # that says where rings are, not which one is meant
    if name and url is not None:
        raise fail("name a ring by --url (or BAZAAR_URL) or by --name, not by both", 2)
    return url, namespace, name


def _carry_out(options: Options, *, as_json: bool) -> NoReturn:
    """Run the drill, and end with its code, or with what was wrong."""
    from bazaar_peer.command.drill.run import run  # noqa: PLC0415 - only this command needs it

    try:
        _agreed(options)
        raise typer.Exit(run(options, as_json=as_json))
    except DrillError as wrong:
        raise fail(str(wrong), 2 if isinstance(wrong, MisuseError) else 1) from wrong


def _agreed(options: Options) -> None:
    """Ask before a node of a cluster is touched.

    Raises:
        MisuseError: nobody can be asked.
    """
    if options.kind is not Kind.DRAIN or options.yes or not options.name:
        return
    if not sys.stdin.isatty():
        raise MisuseError("nobody can be asked here: run it on a terminal, or with --yes")
    question = (
        f"Cordon the nodes of {options.namespace}/{options.name}'s trader, {options.times} times, "
        "evict the ring's peers there, and uncordon them?"
    )
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _folder(kind: Kind) -> Path:
    return Path(f"drill-{kind.value}-{time.strftime('%Y%m%d-%H%M%S')}")
