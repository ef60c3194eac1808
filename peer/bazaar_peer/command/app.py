"""Commands and their options; what they do stands in the modules beside this one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bazaar_peer.command import (
    backups,
    client,
    local,
    paging,
    proofs,
    recording,
    reports,
    views,
    watching,
)
from bazaar_peer.command.drill import options as drilled
from bazaar_peer.command.options import (
    URL,
    Data,
    Json,
    NoRecord,
    Peers,
    Record,
    Url,
    fail,
    root,
    show,
)
from bazaar_peer.command.reach import at

app = typer.Typer(
    name="bazaar",
    help="A marketplace that elects its own trader and never loses a trade.\n\n"
    "Start a ring on this machine with `bazaar up`, then trade with it from another terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(
    epilog="Examples:  bazaar up  ·  bazaar up --peers 3 --rate 50 --duration 30 --json  ·  "
    "bazaar up --roles buyers=3,sellers=3 --data ./ring"
)
def up(
    peers: Peers = None,
    roles: Annotated[
        str, typer.Option(help="both | random | buyers=K,sellers=M (buyers take the lowest ids).")
    ] = "both",
    seed: Annotated[int, typer.Option(help="Fixes random roles and the agents' wishes.")] = 0,
    rate: Annotated[float, typer.Option(help="Orders a second of all buyers together.")] = 20.0,
    data: Data = None,
    port: Annotated[int, typer.Option(help="Peer i serves HTTP at PORT + i.")] = 8600,
    duration: Annotated[float | None, typer.Option(help="Seconds of trading, then end.")] = None,
    as_json: Json = False,
    agents: Annotated[
        bool, typer.Option("--agents/--no-agents", help="Let the peers buy and sell themselves.")
    ] = True,
    election: Annotated[str, typer.Option(help="ring | bully")] = "ring",
    restart_after: Annotated[
        str, typer.Option(help="Seconds until a killed peer is started again, or never.")
    ] = "3",
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON lines.")] = False,
    commission: Annotated[int, typer.Option(help="Commission in basis points, of a new ring.")] = 0,
    record: Record = None,
    no_record: NoRecord = False,
) -> None:
    """Run a whole ring on this machine: real processes, real disks, real HTTP."""
    options = local.Options(
        peers=peers,
        roles=roles,
        seed=seed,
        rate=rate if agents else 0.0,
        agents=agents,
        data=data or Path(tempfile.mkdtemp(prefix="bazaar-")),
        port=port,
        duration=duration,
        as_json=as_json,
        election=election,
        restart_after=restart_after,
        log_json=log_json,
        commission_bp=commission,
        record=record,
        no_record=no_record,
    )
    try:
        local.up(options)
    except (local.UsageError, local.RingError) as wrong:
        if data is None:
            shutil.rmtree(options.data, ignore_errors=True)
        raise fail(str(wrong), 2 if isinstance(wrong, local.UsageError) else 1) from wrong


def ask(method: str, url: str, path: str, body: object = None, **headers: str) -> dict[str, object]:
    """Ask a peer; end the program with a plain sentence if it does not answer as wanted."""
    try:
        return at(url, lambda address: client.call(method, address, path, body, headers))
    except client.CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong


def key_header(key: str | None, client_name: str | None) -> dict[str, str]:
    headers = {"Idempotency-Key": key or client.fresh_key()}
    return headers | ({"Bazaar-Client": client_name} if client_name else {})


Key = Annotated[str | None, typer.Option(help="Idempotency key; a repeat is harmless.")]


@app.command(epilog="Examples:  bazaar scale 9 --data ./ring  ·  bazaar scale 3 --data ./ring")
def scale(
    size: Annotated[int, typer.Argument(metavar="N", help="So many peers: 0 … N - 1.")],
    data: Annotated[Path, typer.Option(help="Folder of the ring, whose `bazaar up` runs.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for it.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Let a running ring grow or shrink, one peer at a time, while it trades."""
    from bazaar_peer.command import scale as scaling  # noqa: PLC0415 - only this command needs it

    try:
        say = partial(typer.echo, err=True)
        found = asyncio.run(scaling.scale(data, size, timeout, say))
    except local.RingError as wrong:
        raise fail(str(wrong)) from wrong
    except client.CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong
    show(found, as_json, views.ring)


@app.command(
    epilog="Examples:  bazaar ring --url http://127.0.0.1:8603 --json  ·  "
    "bazaar ring --url kube:shop/bazaar"
)
def ring(url: Url = URL, as_json: Json = False) -> None:
    """Show the ring: members, trader, epoch, clocks, applied indexes."""
    try:
        found = at(url, client.ring)
    except client.CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong
    show(found, as_json, views.ring)


@app.command(
    epilog="Examples:  bazaar buy salt 3 --url http://127.0.0.1:8600  ·  "
    "bazaar buy salt 3 --url kube:shop/bazaar"
)
def buy(
    item: str,
    quantity: int,
    url: Url = URL,
    key: Key = None,
    buyer: Annotated[str | None, typer.Option(help="Who buys. Default: anonymous.")] = None,
    as_json: Json = False,
) -> None:
    """Order goods: all of them or none, cheapest lots first."""
    body: dict[str, object] = {"item": item, "quantity": quantity}
    body |= {"buyer": buyer} if buyer else {}
    found = ask("POST", url, "/v1/orders", body, **key_header(key, buyer))
    show(found, as_json, views.outcome)


@app.command(epilog="Example:  bazaar sell salt 100 --price 7 --seller ali")
def sell(
    item: str,
    quantity: int,
    price: Annotated[int, typer.Option(help="For one, in minor units of money.")],
    url: Url = URL,
    key: Key = None,
    seller: Annotated[str | None, typer.Option(help="Who sells. Default: anonymous.")] = None,
    as_json: Json = False,
) -> None:
    """Deposit goods at the post, as one lot."""
    body: dict[str, object] = {"item": item, "quantity": quantity, "price": price}
    body |= {"seller": seller} if seller else {}
    found = ask("POST", url, "/v1/deposits", body, **key_header(key, seller))
    show(found, as_json, views.outcome)


@app.command(epilog="Example:  bazaar withdraw 42 10")
def withdraw(
    lot: int, quantity: int, url: Url = URL, key: Key = None, as_json: Json = False
) -> None:
    """Take unsold goods of a lot back."""
    body = {"lot": lot, "quantity": quantity}
    found = ask("POST", url, "/v1/withdrawals", body, **key_header(key, None))
    show(found, as_json, views.outcome)


@app.command(
    epilog="Examples:  bazaar top  ·  bazaar top --url http://127.0.0.1:8603  ·  "
    "bazaar top --url kube:shop/bazaar"
)
def top(
    url: Url = URL,
    duration: Annotated[
        float | None, typer.Option(min=0.5, help="End after so many seconds; else with Ctrl-C.")
    ] = None,
) -> None:
    """Watch a ring in this terminal: peers, story, latency, stock and trades.

    Any one peer is enough to begin with; when it dies the others are asked.
    """
    from bazaar_peer.command.top import screen  # noqa: PLC0415 - only this command needs it

    try:
        with contextlib.suppress(KeyboardInterrupt):
            if not at(url, lambda address: screen.run(address, duration)):
                raise typer.Exit(1)
    except client.CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong


@app.command(epilog="Examples:  bazaar stock  ·  bazaar stock --url kube:shop/bazaar --json")
def stock(url: Url = URL, as_json: Json = False) -> None:
    """Show the goods on offer."""
    show(ask("GET", url, "/v1/stock"), as_json, views.stock)


@app.command(epilog="Examples:  bazaar trades  ·  bazaar trades --after 100 --json")
def trades(
    url: Url = URL,
    after: Annotated[int, typer.Option(help="Only those behind this journal index.")] = 0,
    as_json: Json = False,
) -> None:
    """Show trades, oldest first."""
    show(ask("GET", url, f"/v1/trades?after={after}"), as_json, views.trades)


@app.command(epilog="Examples:  bazaar accounts  ·  bazaar accounts --url kube:shop/bazaar --json")
def accounts(url: Url = URL, as_json: Json = False) -> None:
    """Show what everybody paid and earned."""
    show(ask("GET", url, "/v1/accounts"), as_json, views.accounts)


@app.command(epilog="Examples:  bazaar recover ./ring  ·  bazaar recover ./ring --yes --json")
def recover(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a stopped ring.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Make a new ring of what is left of one that lost a majority of its volumes.

    It says what is known and what is lost, and asks. A lost minority heals by itself.
    """
    from bazaar_peer.command import recover as repair  # noqa: PLC0415 - only this command needs it

    try:
        found = repair.recover(folder, repair.talk(yes=yes))
    except (local.UsageError, local.RingError) as wrong:
        raise fail(str(wrong), 2 if isinstance(wrong, local.UsageError) else 1) from wrong
    show(found, as_json, views.recovered)


app.callback()(root)
app.command(epilog=proofs.SIMULATE_EXAMPLES)(proofs.simulate)
app.command(epilog=proofs.VERIFY_EXAMPLES)(proofs.verify)
app.command(epilog=proofs.LOAD_EXAMPLES)(proofs.load)
app.command(hidden=True)(proofs.selftest)
app.command(epilog=backups.BACKUP_EXAMPLES)(backups.backup)
app.command(epilog=backups.RESTORE_EXAMPLES)(backups.restore)
app.command(epilog=watching.WATCH_EXAMPLES)(watching.watch)
app.command(epilog=paging.PAGE_EXAMPLES)(paging.page)
app.command(epilog=recording.RECORD_EXAMPLES)(recording.record)
app.command(epilog=drilled.EXAMPLES)(drilled.drill)
app.command(epilog=reports.BENCH_EXAMPLES)(reports.bench)
app.command(epilog=reports.REPORT_EXAMPLES)(reports.report)


def main(program: str = "bazaar") -> None:
    """Run the command line; misuse exits with 2, failure with 1."""
    app(prog_name=program)
