"""`bazaar verify --url` audits a ring that runs, and finds what was planted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from bazaar_peer.command import copied_logs, verify_running
from bazaar_peer.command.ring_folder import NoProofError, RingError
from bazaar_peer.core.messages import EpochStarted, Member, MembersChanged
from bazaar_peer.core.types import Limits, PeerId
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.credential import admin_headers
from bazaar_peer.runtime.driver import Driver
from bazaar_peer.runtime.log_files import LogFiles
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stub import Nothing, StubPeer
from bench.rig import kill
from tests.integration.ring.conftest import StartRing, bazaar, take_ports, trader_of
from tests.integration.ring.test_verify import History, fill, history, order

__all__ = ["history"]
SECRET = "a-token-of-the-ring"


# ---- a real ring


def test_running_ring_that_lost_its_trader_under_load_has_no_violation(
    start: StartRing, folder: Path
) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    listed = folder / "listed"
    urls = [word for port in rig.ports for word in ("--url", f"http://127.0.0.1:{port}")]
    words = ("load", *urls, "--rate", 60, "--seconds", 3, "--acknowledged", listed, "--strict")
    loaded: list[str] = []
    thread = threading.Thread(target=lambda: loaded.append(bazaar(*words).stdout))
    thread.start()
    kill(int(trader_of(rig)["pid"]), 9)  # type: ignore[arg-type]
    thread.join()
    trader_of(rig)

    clean = bazaar("verify", *urls[:2], "--acknowledged", listed)
    with listed.open("a") as file:
        file.write("zoe never-sent\n")
    missing = bazaar("verify", *urls, "--acknowledged", listed)

    told = json.loads(loaded[0])
    assert (told["failed"], told["acknowledged"]) == (0, 181)
    assert (clean.returncode, "181 acknowledged keys looked up" in clean.stdout) == (0, True), clean
    assert missing.returncode == 1
    assert "key never-sent of zoe was acknowledged and is in no journal" in " ".join(
        missing.stdout.split()
    )


# ---- planted histories, served by the very handlers


async def served_by(
    planted: History, peer: int, port: int, token: str, members: tuple[Member, ...]
) -> tuple[Driver, ClientPort]:
    """Serve one peer's log at a port of this machine."""
    core, nothing = StubPeer(), cast("Any", Nothing())
    core.me = PeerId(peer)
    core.journal.recovered(planted.records)
    core.state.index = planted.records[-1].last
    core.state.members = MembersChanged(members, planted.folder.made.ring, Limits(), b"")
    settings = ProcessSettings(
        me=peer,
        peers=3,
        ring=planted.folder.made.ring,
        volume=str(planted.folder.volume(peer)),
        archive=str(planted.folder.archive(peer)),
        token=token,
    )
    driver = Driver(core, nothing, nothing)
    app = make_app(driver, core, settings)  # type: ignore[arg-type]
    clients = ClientPort(app, driver, "127.0.0.1", port)
    await clients.start()
    return driver, clients


@contextlib.contextmanager
def served(
    planted: History,
    *peers: int,
    token: str = "",
    size: int = 3,
    learners: Sequence[int] = (),
    at: int = 0,
) -> Iterator[list[str]]:
    """Serve the logs of a folder's peers, of a ring of `size`; yield their URLs.

    `at`: the port of the only one.
    """
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    ports = {peer: at or take_ports(1) for peer in peers}
    members = tuple(Member(i, voter=i not in learners) for i in range(size))

    async def serve() -> None:
        running = [await served_by(planted, *one, token, members) for one in ports.items()]
        ready.set()
        await stop.wait()
        for driver, clients in running:
            await clients.close()
            await driver.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield [f"http://127.0.0.1:{port}" for port in ports.values()]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def violations(urls: list[str], planted: History, keys: list[str]) -> list[str]:
    listed = planted.folder.path / "listed"
    listed.write_text("".join(f"ann {key}\n" for key in keys))
    return verify_running.verify(urls, None, listed).violations


def test_archived_segments_are_read_from_the_first_entry(history: History) -> None:
    """C1: what is archived or still in the journal is one history."""
    fill(history)
    history.write(archived=40, segment_bytes=1024)

    with served(history, 0, 1, 2) as urls:
        found = violations(urls, history, ["k2", "k40", "k61"])
        lost = violations(urls, history, ["lost"])

    assert found == []
    assert lost == ["key lost of ann was acknowledged and is in no journal"]


def test_segments_are_listed_in_order_so_many_at_a_time(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    files = LogFiles(history.folder.volume(0), history.folder.archive(0))

    everything = [one.number for one in files.segments(0, 1000)]
    pages = [[one.number for one in files.segments(after, 2)] for after in (0, 2, everything[-1])]

    assert everything == list(range(1, len(everything) + 1))
    assert pages == [[1, 2], [3, 4], []]
    assert files.read(everything[-1] + 1, 0) is None


def test_unwritten_space_is_read_as_the_end(history: History) -> None:
    history.write(segment_bytes=1024 * 1024)
    files = LogFiles(history.folder.volume(0), None)

    written, beyond = files.read(1, 0), files.read(1, 512 * 1024)

    assert written is not None
    assert written.rstrip(b"\0")
    assert beyond == b""


def test_record_that_differs_between_two_running_peers_is_found(history: History) -> None:
    """S3, and S4: the record is known to be committed."""
    other = History(history.folder, history.records[1:])
    other.records = history.records.copy()
    history.add(order(2, "k1"))
    history.add(EpochStarted(2))
    other.add(order(2, "k1", quantity=7))
    other.add(EpochStarted(2))
    history.write(0, 1)
    other.write(2)

    with served(history, 0, 1, 2) as urls:
        found = violations(urls, history, ["k1"])

    assert any("differ at index 5 of epoch 1" in one for one in found)
    assert any("holds another batch at index 5, which is committed (S4)" in one for one in found)


def test_key_that_took_effect_twice_in_a_running_ring_is_found(history: History) -> None:
    """S6."""
    history.add(order(2, "k1"))
    for _ in range(3):
        history.add(EpochStarted(2), elapsed=60_000)
    history.add(order(3, "k1", received=180_000))
    history.write()

    with served(history, 0, 1, 2) as urls:
        assert violations(urls, history, ["k1"]) == ["key k1 of ann took effect 2 times"]


def test_journals_that_begin_late_cannot_be_audited(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    for peer in range(3):
        for path in history.folder.archive(peer).iterdir():
            path.unlink()

    with served(history, 0, 1, 2) as urls, pytest.raises(RingError, match="keepJournal"):
        verify_running.verify(urls, None, None)


def test_minority_that_does_not_answer_is_told_and_a_majority_ends_the_audit(
    history: History,
) -> None:
    history.add(order(2, "k1"))
    history.write()
    nobody = f"http://127.0.0.1:{take_ports(1)}"

    with served(history, 0, 1) as urls:
        report = verify_running.verify([*urls, nobody], None, None)
        with pytest.raises(
            NoProofError, match=r"1 of 3 voters.*Missing: peer 1.*peer 2.*not audited"
        ):
            verify_running.verify([urls[0], nobody], None, None)

    assert report.violations == []
    assert any(one.startswith(f"{nobody}: not audited") for one in report.counted)


def test_who_is_named_and_not_there_yet_is_looked_for(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name leads to a pod's former address for a while."""
    history.add(order(2, "k1"))
    history.write()
    port, times = take_ports(1), 0

    with contextlib.ExitStack() as later, served(history, 0) as urls:

        def sleep(_: float) -> None:
            nonlocal times
            if (times := times + 1) == 2:
                later.enter_context(served(history, 1, at=port))

        monkeypatch.setattr(verify_running, "sleep", sleep)
        report = verify_running.verify([*urls, f"http://localhost:{port}"], None, None)

    assert (report.violations, times) == ([], 2)
    assert not any("not audited" in one for one in report.counted)


def test_nobody_is_taken_for_who_was_there_before(history: History, tmp_path: Path) -> None:
    """A former pod's address may be another peer's by now."""
    history.add(order(2, "k1"))
    history.write()

    with served(history, 1) as (url,):
        copies = copied_logs.Copies([url], "", tmp_path / "copies")
        rows = [copied_logs.Row(id=0, url=url)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(copied_logs, "_members", AsyncMock(return_value=rows))
            asyncio.run(copies.take())

    assert copies.copied == {}
    assert copies.told() == [f"{url}: not audited, peer 1 is there, and not peer 0"]
    assert list((tmp_path / "copies").iterdir()) == [], "what was begun in vain takes no room"


@pytest.mark.parametrize(("host", "looked_for"), [("localhost", True), ("127.0.0.1", False)])
def test_the_one_that_was_named_may_be_found_yet(
    tmp_path: Path, host: str, looked_for: bool
) -> None:
    copies = copied_logs.Copies([f"http://{host}:{take_ports(1)}"], "", tmp_path)

    with pytest.raises(NoProofError, match="no answer"):
        asyncio.run(copies.take())

    assert copies.may_be_found is looked_for


@pytest.mark.parametrize(
    ("host", "asked"), [("localhost", True), ("127.0.0.1", False)], ids=["a name", "an address"]
)
def test_who_is_not_found_is_given_up(
    history: History, monkeypatch: pytest.MonkeyPatch, host: str, asked: bool
) -> None:
    history.add(order(2, "k1"))
    history.write()
    slept: list[float] = []
    said: list[str] = []
    monkeypatch.setattr(verify_running, "FOUND_S", 0.5)
    monkeypatch.setattr(verify_running, "AGAIN_S", 0.1)
    monkeypatch.setattr(verify_running, "sleep", slept.append)

    with (
        served(history, 0) as urls,
        pytest.raises(NoProofError, match="1 of 3 voters"),
    ):
        verify_running.verify([*urls, f"http://{host}:{take_ports(1)}"], None, None, said.append)

    assert bool(slept) is asked
    assert [host in line and "at most" in line for line in said] == [True] * asked, "said once"


def test_minority_that_was_named_is_refused_with_who_is_missing(history: History) -> None:
    """What was acknowledged may be on the journals of the others alone."""
    history.add(order(2, "k1"))
    history.write()

    with served(history, 0, 1, size=6) as urls:
        with pytest.raises(RingError, match=r"2 of 6 voters.* 4\. Missing: peer 2 .*peer 5") as two:
            verify_running.verify(urls, None, None)
        done = bazaar("verify", *(word for url in urls for word in ("--url", url)))

    assert not isinstance(two.value, NoProofError)
    assert done.returncode == 2


def test_learner_does_not_count(history: History) -> None:
    """R9."""
    history.add(order(2, "k1"))
    history.write()

    with (
        served(history, 0, 1, size=4, learners=[1]) as urls,
        pytest.raises(RingError, match="1 of 3 voters"),
    ):
        verify_running.verify(urls, None, None)
    with served(history, 0, 1, size=4, learners=[2, 3]) as urls:
        assert verify_running.verify(urls, None, None).violations == []


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        (b"<html>welcome</html>", 200, 1, "not as a peer does"),
        (b"[]", 200, 1, "not as a peer does"),
        (b'{"peers": 3}', 200, 1, "not as a peer does"),
        (b"nothing here", 404, 2, "status 404"),
        (b"later", 503, 1, "status 503"),
        (b'{"detail": "ask by https"}', 403, 2, "refuses: ask by https"),
        (b"<html>no</html>", 403, 2, "refuses: status 403"),
    ],
)
def test_who_is_no_peer_is_told_in_a_sentence(
    body: bytes, status: int, code: int, said: str
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        done = bazaar("verify", "--url", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
        thread.join()

    assert (done.returncode, said in done.stderr) == (code, True), done
    assert "Traceback" not in done.stderr


def test_no_answer_is_a_failure_and_a_wrong_url_is_misuse() -> None:
    silent = bazaar("verify", "--url", f"http://127.0.0.1:{take_ports(1)}")
    misused = bazaar("verify", "--url", "127.0.0.1:8600")

    assert (silent.returncode, misused.returncode) == (1, 2)
    assert "no answer from" in silent.stderr


def test_logs_are_shown_to_who_has_the_token(history: History, tmp_path: Path) -> None:
    history.add(order(2, "k1"))
    history.write()
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(SECRET + "\n")
    bad.write_text("another-token-altogether")

    with served(history, 0, 1, 2, token=SECRET) as urls:
        report = verify_running.verify(urls, good, None)
        for token in (bad, None):
            with pytest.raises(RingError, match="--token-file"):
                verify_running.verify(urls, token, None)

    assert report.violations == []


def test_entries_show_whose_they_are_with_the_token_only(history: History) -> None:
    history.add(order(2, "k1"))
    history.write()

    def keys(url: str, headers: dict[str, str]) -> list[str]:
        asking = urllib.request.Request(f"{url}/v1/journal", headers=headers)
        with urllib.request.urlopen(asking, timeout=10) as answer:
            return [entry.get("key", "") for entry in json.load(answer)["entries"]]

    with served(history, 0, token=SECRET) as (url,):
        shown = keys(url, admin_headers(SECRET))
        hidden = keys(url, {})

    assert shown[-1] == "k1"
    assert set(hidden) == {""}


def test_folder_and_url_at_once_are_misuse(tmp_path: Path) -> None:
    both = bazaar("verify", tmp_path, "--url", "http://127.0.0.1:1")
    neither = bazaar("verify")

    assert (both.returncode, neither.returncode) == (2, 2)
    assert "name either the folder" in both.stderr
