"""`bazaar load` against a server whose answers the test chooses."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

from bazaar_peer.command import load as loading
from bazaar_peer.command.attempts import UNTRUSTED
from bazaar_peer.command.load import PAUSE_S, Load, LoadError, Options
from bazaar_peer.command.orders import OK, REJECTED, UNKNOWN, read_orders
from bench.pods import Folder
from tests.integration.ring.conftest import bazaar

Answer = Callable[[str, int], int | None]


@dataclass
class Server:
    """Answers the n-th attempt of a key with the status that the test says; None: with silence."""

    answer: Answer = lambda _key, _attempt: 200
    port: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    peers: set[tuple[str, int]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        key = request.headers["Idempotency-Key"]
        self.attempts[key] += 1
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        status = self.answer(key, self.attempts[key])
        if status is None:
            request.transport.abort()
            return web.Response()
        return web.json_response({}, status=status)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/v1/{what}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def options(server: Server, rate: float = 200.0, seconds: float = 0.1) -> Options:
    return Options(urls=[server.url], rate=rate, seconds=seconds)


async def test_every_order_is_due_and_sent_over_a_connection_of_its_own(server: Server) -> None:
    listed = io.StringIO()
    load = Load(options(server), listed)

    told = (await load.run()).told()

    keys = ["stock-0", *(f"order-{number}" for number in range(20))]
    assert (told["sent"], told["acknowledged"], told["failed"]) == (21, 21, 0)
    assert told["answers"] == {"200": 21}
    assert len(server.peers) == 21
    assert sorted(listed.getvalue().splitlines()) == sorted(f"{load.client} {k}" for k in keys)


async def test_attempt_without_a_2xx_is_repeated_with_the_same_key(server: Server) -> None:
    def answer(key: str, attempt: int) -> int | None:
        if key != "order-3" or attempt == 4:
            return 200
        return (503, 429, None)[attempt - 1]

    server.answer = answer

    told = (await Load(options(server), None).run()).told()

    assert server.attempts["order-3"] == 4
    assert (told["acknowledged"], told["failed"], told["retried"]) == (21, 0, 1)
    assert told["answers"] == {"200": 21, "429": 1, "503": 1, "broken": 1}


async def test_order_that_is_refused_for_good_has_failed(server: Server) -> None:
    server.answer = lambda key, _attempt: 422 if key == "order-3" else 200
    listed = io.StringIO()

    tally = await Load(options(server), listed).run()

    assert server.attempts["order-3"] == 1
    assert (tally.sent, tally.acknowledged, tally.failed) == (21, 20, 1)
    assert "order-3" not in listed.getvalue().split()
    assert tally.failures[0]["last"] == 422


async def test_each_order_is_listed_with_what_became_of_it_and_who_answered(server: Server) -> None:
    def answer(key: str, attempt: int) -> int | None:
        return {"order-2": 503 if attempt == 1 else 200, "order-3": 422}.get(key, 200)

    server.answer = answer
    given, orders = options(server), io.StringIO()
    load = Load(replace(given, urls=[server.url, server.url]), None, orders)

    tally = await load.run()

    found = sorted(read_orders(orders.getvalue().splitlines()))
    assert [one.outcome for one in found] == [OK, OK, OK, REJECTED, *[OK] * 16]
    assert [one.attempts for one in found] == [1, 1, 2, *[1] * 17]
    assert {one.place for one in found} == {0, 1}
    assert found[2].latency_ms > PAUSE_S * 1e3  # counted through both attempts
    dues = [one.due - found[0].due for one in found]
    assert dues == pytest.approx([number / given.rate for number in range(20)], abs=1e-5)
    assert (tally.acknowledged, tally.failed) == (20, 1)


async def test_order_that_nobody_answers_in_time_is_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "DEADLINE_S", 0.5)
    server.answer = lambda key, _attempt: None if key == "order-0" else 200
    orders = io.StringIO()

    await Load(options(server, seconds=0.005), None, orders).run()

    (one,) = read_orders(orders.getvalue().splitlines())
    assert one.outcome == UNKNOWN
    assert one.attempts > 1


async def test_where_nobody_listens_the_next_peer_is_asked_at_once(server: Server) -> None:
    """A pause would be the price of the load, not of the ring."""
    orders, given = io.StringIO(), options(server)
    load = Load(replace(given, urls=["http://127.0.0.1:9", server.url]), None, orders)

    told = (await load.run()).told()

    assert (told["acknowledged"], told["failed"]) == (21, 0)
    found = list(read_orders(orders.getvalue().splitlines()))
    assert {(one.place, one.attempts) for one in found} == {(1, 1), (1, 2)}
    assert load.tally.answers["refused"] == load.tally.retried


async def test_buyers_take_turns_with_names_and_keys_of_their_own(server: Server) -> None:
    listed = io.StringIO()
    load = Load(replace(options(server), buyers=3), listed)

    await load.run()

    buyers = Counter(line.split()[0] for line in listed.getvalue().splitlines())
    own = load.client
    assert buyers == {own: 1, f"{own}-0": 7, f"{own}-1": 7, f"{own}-2": 6}  # own: the goods


async def test_nothing_is_begun_when_nobody_takes_the_goods(server: Server) -> None:
    server.answer = lambda _key, _attempt: 400

    tally = await Load(options(server), None).run()

    assert (tally.sent, tally.failed) == (1, 1)


async def test_load_whose_goods_nobody_takes_ends_with_1_and_a_sentence(server: Server) -> None:
    server.answer = lambda _key, _attempt: 400

    done = await asyncio.to_thread(bazaar, "load", "--url", server.url)

    assert done.returncode == 1
    assert json.loads(done.stdout)["failed"] == 1
    assert "nobody took the goods" in done.stderr
    assert server.url in done.stderr


async def test_stopped_load_ends_what_is_under_way(server: Server) -> None:
    load = Load(options(server, rate=20.0, seconds=3600.0), None)

    async def stop_soon() -> None:
        while not server.attempts["order-2"]:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0)
        load.stop()

    tally, _ = await asyncio.gather(load.run(), stop_soon())

    assert tally.sent == tally.acknowledged
    assert 4 <= tally.sent < 100


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"urls": []}, "--url 1 to 64 times"),
        ({"urls": ["127.0.0.1:8600"]}, "http://HOST:PORT"),
        ({"rate": 0.0}, "--rate is above 0"),
        ({"buyers": 0}, "--buyers is 1 to 1000"),
        ({"rate": 1001.0}, "--rate is above 0 and at most 1000"),
        ({"seconds": 1e9}, "--rate times --seconds"),
    ],
)
def test_load_that_cannot_be_is_refused(given: dict[str, object], told: str) -> None:
    fields: dict[str, object] = {"urls": ["http://a:1"], "rate": 1.0, "seconds": 1.0, **given}

    with pytest.raises(LoadError, match=told):
        loading.check(Options(**fields))  # type: ignore[arg-type]


async def test_strict_load_ends_with_1_if_any_failed(server: Server, tmp_path: Path) -> None:
    server.answer = lambda key, _attempt: 422 if key == "order-3" else 200
    words = ("load", "--url", server.url, "--rate", 200, "--seconds", 0.1)
    listed = tmp_path / "listed"

    strict, plain = await asyncio.gather(
        asyncio.to_thread(bazaar, *words, "--strict"),
        asyncio.to_thread(bazaar, *words, "--acknowledged", listed),
    )

    assert (strict.returncode, plain.returncode) == (1, 0)
    # The server counts attempts by key: both loads have the same ones.
    assert json.loads(plain.stdout)["failed"] == 1
    assert len(listed.read_text().splitlines()) == 20


@pytest.fixture
async def by_tls(tmp_path: Path) -> AsyncIterator[tuple[Server, Path]]:
    """Serve by TLS; yield the server, and the file of whom to trust."""
    folder, made = Folder(tmp_path / "certificates", "127.0.0"), Server()
    app = web.Application()
    app.router.add_post("/v1/{what}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    context = folder.certificates(1).for_clients
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made, folder.path / "ca.crt"
    await runner.cleanup()


async def test_orders_go_by_tls_to_who_shows_a_trusted_certificate(
    by_tls: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, trusted = by_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    url = f"https://127.0.0.1:{server.port}"

    told = (await Load(replace(options(server), urls=[url]), None).run()).told()

    assert (told["sent"], told["acknowledged"], told["failed"]) == (21, 21, 0)
    assert server.attempts.total() == 21


async def test_who_shows_none_that_is_trusted_is_told_nothing(
    by_tls: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = by_tls
    monkeypatch.setattr(loading, "DEADLINE_S", 0.5)
    url = f"https://127.0.0.1:{server.port}"

    tally = await Load(replace(options(server), urls=[url]), None).run()
    done = await asyncio.to_thread(bazaar, "load", "--url", url, "--seconds", 1)

    assert not tally.begun
    assert set(tally.answers) == {UNTRUSTED}
    assert server.attempts.total() == 0
    assert (done.returncode, "SSL_CERT_FILE names the file" in done.stderr) == (1, True), done
