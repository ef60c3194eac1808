"""The page's pure modules, run where they will run: entries in, and what is made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from bazaar_peer.page.pages import Pages
from tests.browser.stories import T0, Json, realistic

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMPORTS = """
const load = async (...names) =>
  Object.assign({}, ...await Promise.all(names.map((name) => import(`/page/${name}.js`))));
const shown = (state) => JSON.stringify([...state.peers].sort(([a], [b]) => a - b));
const kept = (limit, ...batches) => {
  const seen = [];
  const record = new Record((added, late) => seen.push([added.length, late]), limit);
  for (const batch of batches) record.add(batch);
  return { record, seen };
};
"""

FAULT: Json = {"kind": "fault", "peer": 1, "boot": 1}
KEY: Json = {"kind": "key", "peer": 1, "boot": 1, "role": "follower", "epoch": 7, "trader": 0,
             "end": [7, 9], "commit": 9, "applied": 9, "clock": {}, "members": [0, 1, 2],
             "heard": 0.01}  # fmt: skip


class Modules:
    """Runs a function's body in the browser, with some modules' names and one argument."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def run(self, modules: str, names: str, body: str, given: object = None) -> Any:
        loads = ", ".join(f"'{module}'" for module in modules.split())
        return await self.page.evaluate(
            f"""async (given) => {{
              let Record;
              {IMPORTS}
              const loaded = await load({loads});
              ({{ Record }} = await load('record'));
              const {{ {names} }} = loaded;
              {body}
            }}""",
            given,
        )


@pytest_asyncio.fixture(loop_scope="session")
async def modules(browser: Browser) -> AsyncIterator[Modules]:
    app = web.Application()
    for method, path, handler in Pages().routes():
        app.router.add_route(method, path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/page/icon.svg")
    yield Modules(page)
    await context.close()
    await runner.cleanup()


# ---- the state of a moment


async def test_a_moment_is_the_same_from_wherever_one_comes(modules: Modules) -> None:
    """Key frames change nothing: back, forth and from the beginning, the state is one."""
    found = await modules.run(
        "record", "",
        """
        const { record } = kept(1e6, given);
        const moments = [];
        for (let i = 0; i < 40; i += 1) moments.push(given[(i * 7919) % given.length].at);
        return moments.filter((at) => {
          const there = shown(record.stateAt(at));
          const fresh = kept(1e6, given).record;
          return there !== shown(fresh.stateAt(at));
        });
        """,
        realistic().entries,
    )  # fmt: skip

    assert found == []


async def test_what_comes_late_or_twice_changes_nothing(modules: Modules) -> None:
    entries = realistic().entries
    found = await modules.run(
        "record", "",
        """
        const whole = kept(1e6, given).record;
        const late = given.filter((entry) => entry.peer === 2);
        const rest = given.filter((entry) => entry.peer !== 2);
        const { record, seen } = kept(1e6, rest, late, given.slice(-500));
        const at = given[given.length - 1].at;
        return [record.entries.length, seen.length, seen[1][1],
          shown(record.stateAt(at)) === shown(whole.stateAt(at)),
          record.entries.every((entry, i, all) => !i || all[i - 1].at <= entry.at)];
        """,
        entries,
    )  # fmt: skip

    assert found == [len(entries), 2, True, True, True]


async def test_what_is_kept_is_bounded_and_says_so(modules: Modules) -> None:
    """Traffic of the older half goes first; then the oldest; the present is whole."""
    entries = realistic().entries
    found = await modules.run(
        "record", "",
        """
        const { record } = kept(500, ...given);
        const isStep = (e) => ["note", "sent", "got", "fault", "started"].includes(e.kind);
        const steps = record.entries.filter(isStep);
        const far = (entry) => steps.every((step) => Math.abs(step.at - entry.at) > 0.26);
        const old = record.entries.filter((entry) => entry.at < record.thinned && far(entry));
        const again = record.entries.length;
        record.add(given[0]);
        return {
          most: again, same: record.entries.length === again,
          traffic: old.filter((entry) => ["beat", "moved", "order"].includes(entry.kind)).length,
          thinned: record.thinned, begins: record.begins, known: record.known.size,
          trader: record.stateAt(record.last).trader().id,
        };
        """,
        [entries[i : i + 300] for i in range(0, len(entries), 300)],
    )  # fmt: skip

    assert found["most"] <= 500
    assert found["same"], "what was dropped is not taken again"
    assert found["traffic"] == 0
    assert T0 < found["begins"] < found["thinned"]
    assert found["trader"] == 6


async def test_a_story_that_begins_anew_takes_the_old_one_s_place_at_once(
    modules: Modules,
) -> None:
    """Another peer tells it, with other times and without the peer that died."""
    found = await modules.run(
        "intake", "Intake",
        """
        const { record } = kept(1e6, given);
        const intake = new Intake(record, () => 0);
        const anew = given.filter((e) => e.peer !== 5 && e.at > given[0].at + 10)
          .map((e) => ({ ...e, at: e.at + 0.001 }));
        intake.begin();
        const before = record.entries.length;
        intake.take(anew.slice(0, 2000));
        const held = record.entries.length === before;
        intake.take(anew.slice(2000));
        const of = (peer) => record.entries.filter((e) => e.peer === peer).length;
        const was = (peer) => given.filter((e) => e.peer === peer).length;
        return [held, of(5) === was(5), of(4) === was(4), record.last - given.at(-1).at > 0.0009,
          record.entries.every((e, i, all) => !i || all[i - 1].at <= e.at)];
        """,
        realistic().entries,
    )  # fmt: skip

    assert found == [True, True, True, True, True]


async def test_a_life_that_is_over_counts_no_more(modules: Modules) -> None:
    key = {"kind": "key", "role": "follower", "promised": 1, "trader": 0, "end": [1, 9],
           "commit": 9, "applied": 9, "clock": {}, "members": [0, 3], "heard": 0.1}  # fmt: skip
    life = 3 + 65536
    entries: list[Json] = [
        {**key, "at": 1.0, "peer": 3, "boot": 1, "seq": 1, "epoch": 5},
        {**key, "at": 2.0, "peer": life, "boot": 1, "seq": 1, "epoch": 7},
        {**key, "at": 3.0, "peer": 3, "boot": 1, "seq": 2, "epoch": 6},
    ]
    found = await modules.run(
        "record format", "nameOf",
        """
        const { record } = kept(100, given);
        return [...record.stateAt(9).peers.values()].map((p) => [nameOf(p.id), p.epoch]);
        """,
        entries,
    )  # fmt: skip

    assert found == [["3.1", 7]]


async def test_no_arc_is_drawn_where_beats_were_left_out(modules: Modules) -> None:
    """Old traffic is thinned: a gap that a follower went on over was no silence."""
    beat = {"kind": "beat", "peer": 1, "boot": 1, "from": 0, "epoch": 1}
    lost = {"kind": "note", "peer": 1, "boot": 1, "note": "trader_lost", "fields": {}}
    found = await modules.run(
        "record beats", "Beats",
        """
        return [given.thin, given.silent].map((entries) => {
          const { record } = kept(100, entries);
          const beats = new Beats();
          for (const entry of entries) beats.fold(entry);
          const at = 1.12;
          return beats.areSparse(record.stateAt(at).peers.get(1), at, 0.15);
        });
        """,
        {
            "thin": [{**beat, "at": 1.0, "seq": 1}, {**beat, "at": 4.0, "seq": 2}],
            "silent": [{**beat, "at": 1.0, "seq": 1}, {**lost, "at": 1.16, "seq": 2},
                       {**beat, "at": 4.0, "seq": 3}],
        },
    )  # fmt: skip

    assert found == [True, False]


async def test_an_arc_empties_with_silence_and_fills_with_a_beat(modules: Modules) -> None:
    beat = {"kind": "beat", "peer": 1, "boot": 1, "from": 0, "epoch": 1}
    found = await modules.run(
        "record look", "patience",
        """
        const { record } = kept(100, given);
        return [1.0, 1.075, 1.16, 1.2].map(
          (at) => Math.round(100 * patience(record.stateAt(at).peers.get(1), at, 0.15)));
        """,
        [{**beat, "at": 1.0, "seq": 1}, {**beat, "at": 1.2, "seq": 2}],
    )  # fmt: skip

    assert found == [100, 50, 0, 100]


async def test_who_is_cut_off_can_be_healed_until_it_is_or_starts_anew(modules: Modules) -> None:
    """A process that ends forgets that it was cut off, and nobody else notes that."""
    found = await modules.run(
        "record faults look", "faultsFor, lookOf",
        """
        const { record } = kept(100, given);
        return [1, 2, 3, 4].map((at) => {
          const state = record.stateAt(at);
          const peer = state.peers.get(1);
          return [faultsFor(peer)[2], lookOf(peer, state, at, [0, 1, 2]).detail];
        });
        """,
        [
            {**KEY, "at": 0.9, "seq": 1},
            {**FAULT, "at": 1.0, "seq": 2, "what": "cut", "others": [0, 2], "seconds": 60.0},
            {**FAULT, "at": 2.0, "seq": 3, "what": "healed"},
            {**FAULT, "at": 2.9, "seq": 4, "what": "cut", "others": [0, 2], "seconds": 60.0},
            {**KEY, "at": 3.0, "seq": 5},
            {**KEY, "at": 4.0, "seq": 1, "boot": 2, "kind": "started"},
        ],
    )  # fmt: skip

    assert [what for what, _ in found] == ["healed", "cut", "healed", "cut"]
    assert found[0][1] == "It is cut off from 0 and 2."


async def test_a_peer_that_speaks_again_is_not_paused_any_more(modules: Modules) -> None:
    """`kill -CONT` in a terminal is noted by nobody; what was under way is no word of it."""
    beat = {"kind": "beat", "peer": 1, "boot": 1, "from": 0, "epoch": 7}
    found = await modules.run(
        "record faults look", "faultsFor, lookOf",
        """
        const { record } = kept(100, given);
        return [1.2, 8, 9].map((at) => {
          const state = record.stateAt(at);
          const peer = state.peers.get(1);
          return [faultsFor(peer)[1], lookOf(peer, state, at, [0, 1, 2]).kind];
        });
        """,
        [
            {**KEY, "at": 0.9, "seq": 1},
            {**FAULT, "at": 1.0, "boot": 0, "seq": 1, "what": "paused"},
            {**beat, "at": 1.1, "seq": 2},
            {**FAULT, "at": 7.0, "boot": 0, "seq": 2, "what": "cut", "others": []},
            {**beat, "at": 9.0, "seq": 3},
        ],
    )  # fmt: skip

    assert found == [["resumed", "paused"], ["resumed", "paused"], ["paused", "follower"]]


# ---- what is told


async def test_a_step_goes_from_event_to_event_and_leaves_beats_out(modules: Modules) -> None:
    found = await modules.run(
        "record", "",
        """
        const { record } = kept(1e6, given);
        const kinds = new Set();
        let at = record.first;
        let count = 0;
        for (let e = record.stepFrom(at, 1); e; e = record.stepFrom(at, 1)) {
          kinds.add(e.kind);
          at = e.at;
          count += 1;
        }
        const back = record.stepFrom(at, -1);
        return [[...kinds].sort(), count > 100, back.at < at, record.stepFrom(record.first, -1)];
        """,
        realistic().entries,
    )  # fmt: skip

    assert found == [["fault", "got", "note", "sent", "started"], True, True, None]


async def test_reigns_and_elections_are_those_that_were(modules: Modules) -> None:
    story = realistic()
    found = await modules.run(
        "chapters", "Chapters",
        """
        const chapters = new Chapters();
        for (const entry of given) chapters.fold(entry);
        return [chapters.reigns.map((r) => [r.epoch, r.trader]),
          chapters.elections.map((e) => [e.epoch, e.lost, e.planned]),
          chapters.elections[0].from, chapters.elections[0].until];
        """,
        story.entries,
    )  # fmt: skip

    assert found[0] == [[7, 5], [8, 4], [9, 5], [10, 6]]
    assert found[1] == [[8, 5, False], [9, 4, True], [10, 5, False]]
    assert found[2] == pytest.approx(story.election["at"], abs=1e-6)
    assert found[3] == pytest.approx(story.election["done"], abs=1e-5)


@pytest.mark.parametrize("word", ["follows", "hears_again"])
async def test_a_trader_that_is_heard_again_was_not_elected_anew(
    modules: Modules, word: str
) -> None:
    note = {"kind": "note", "boot": 1}
    entries = [
        {**note, "at": 1, "peer": 0, "seq": 1, "note": "reign_begun", "fields": {"epoch": 3}},
        {**note, "at": 2, "peer": 1, "seq": 1, "note": "trader_lost", "fields": {"trader": 0}},
        {**note, "at": 3, "peer": 1, "seq": 2, "note": word,
         "fields": {"epoch": 3, "trader": 0}},
    ]  # fmt: skip
    found = await modules.run(
        "chapters", "Chapters",
        """
        const chapters = new Chapters();
        for (const entry of given) chapters.fold(entry);
        return [chapters.elections.length, chapters.lossAt(2.5) === null, chapters.open];
        """,
        entries,
    )  # fmt: skip

    assert found == [1, True, None]


async def test_a_loss_begins_when_nobody_hears_the_trader_any_more(modules: Modules) -> None:
    """A peer that was cut off long before does not make the election longer."""
    note = {"kind": "note", "boot": 1}
    beat = {"kind": "beat", "boot": 1, "from": 0, "epoch": 3}
    lost = {"note": "trader_lost", "fields": {"trader": 0}}
    entries = [
        {**note, "at": 1, "peer": 0, "seq": 1, "note": "reign_begun", "fields": {"epoch": 3}},
        {**note, "at": 2, "peer": 1, "seq": 1, **lost},
        {**beat, "at": 9, "peer": 2, "seq": 1},
        {**note, "at": 10, "peer": 2, "seq": 2, **lost},
        {**note, "at": 11, "peer": 2, "seq": 3, "note": "reign_begun", "fields": {"epoch": 4}},
    ]
    found = await modules.run(
        "chapters", "Chapters",
        """
        const chapters = new Chapters();
        const open = given.map((entry) => { chapters.fold(entry); return chapters.open !== null; });
        const { from, until } = chapters.elections[1];
        return [open, from, until];
        """,
        entries,
    )  # fmt: skip

    assert found == [[False, True, False, True, False], 10, 11]


async def test_messages_are_paired_whichever_side_is_told_first(modules: Modules) -> None:
    sent = {"kind": "sent", "at": 1.0, "peer": 0, "boot": 1, "seq": 1, "message": "Poll",
            "to": [1, 2], "epoch": 4}  # fmt: skip
    got = {"kind": "got", "at": 1.2, "peer": 2, "boot": 1, "seq": 1, "message": "Poll", "from": 0,
           "epoch": 4, "cause": [0, 1, 1]}  # fmt: skip
    for entries in ([sent, got], [got, sent]):
        found = await modules.run(
            "flights", "Flights",
            """
            const flights = new Flights();
            for (const entry of given) flights.fold(entry);
            return [flights.list.map((f) => [f.to, f.until]),
              flights.between(1.1, 1.1).map((f) => f.to), flights.between(1.3, 1.3, 0.5).length];
            """,
            entries,
        )  # fmt: skip
        assert found == [[[1, None], [2, 1.2]], [2], 2]


async def test_sentences_are_folded_and_stand_as_of_their_moment(modules: Modules) -> None:
    story = realistic()
    at = story.election["at"]
    found = await modules.run(
        "story chapters", "Story, Chapters",
        """
        const story = new Story();
        const chapters = new Chapters();
        for (const entry of given.entries) { story.fold(entry); chapters.fold(entry); }
        return given.moments.map((at) => story.linesAt(at, 3, chapters, 6).map((l) => l.text));
        """,
        {"entries": story.entries, "moments": [at + 0.26e-3, at + 0.5e-3]},
    )  # fmt: skip

    why = "lost trader 5 of epoch 7: its connection ended"
    assert found[0] == [f"peers 0 and 1 {why}", "peer 5 is killed"]
    assert found[1] == [f"peers 0, 1, 2, 3 and 4 {why}", "peer 5 is killed"]


# ---- numbers and time


async def test_rates_and_percentiles_are_those_of_the_last_seconds(modules: Modules) -> None:
    head = {"peer": 0, "boot": 1}
    moved: list[Json] = [
        {**head, "kind": "moved", "at": i / 10, "seq": i, "epoch": 1, "end": 5 * i,
         "commit": 5 * i, "applied": 5 * i}
        for i in range(400)
    ]  # fmt: skip
    orders: list[Json] = [
        {**head, "kind": "order", "at": 30 + i / 100, "seq": 1000 + i, "ms": i + 1, "outcome": "ok"}
        for i in range(100)
    ]
    orders.append({**head, "kind": "order", "at": 31, "seq": 2000, "ms": 9e6, "outcome": "failed"})
    found = await modules.run(
        "samples", "Samples",
        """
        const samples = new Samples();
        for (const entry of given) samples.fold(entry);
        const { p50, p99, of } = samples.latencyAt(31);
        return [Math.round(samples.rateAt(35)), p50, p99, of, samples.latencyAt(80).of];
        """,
        [*moved, *orders],
    )  # fmt: skip

    assert found == [50, 51, 100, 100, 0]


async def test_an_election_fills_ten_seconds_of_the_one_who_watches(modules: Modules) -> None:
    found = await modules.run(
        "clock", "Clock, SPEEDS",
        """
        const clock = new Clock();
        clock.watch(100, 100.005);
        const slow = clock.speed;
        for (let i = 0; i < 60; i += 1) clock.tick(1 / 60, 0, 200);
        const after = clock.moment;
        clock.goLive();
        clock.tick(1 / 60, 0, 200);
        return [slow, (after - 100) / slow, clock.moment, clock.speed, SPEEDS.includes(0.001)];
        """,
    )  # fmt: skip

    assert found[0] == 0.0005
    assert found[1] == pytest.approx(1.0)
    assert 199 < found[2] <= 200
    assert found[3:] == [1, True]


async def test_live_runs_smoothly_behind_what_comes_in_steps(modules: Modules) -> None:
    """It never goes back, and never stands still for a frame."""
    found = await modules.run(
        "clock", "Clock",
        """
        const clock = new Clock();
        clock.tick(0, 0, 10);
        const steps = [];
        for (let i = 1; i <= 300; i += 1) {
          const before = clock.moment;
          clock.tick(1 / 60, 0, 10 + Math.floor(i / 15) * 0.25);
          steps.push(clock.moment - before);
        }
        return [Math.min(...steps), Math.max(...steps)];
        """,
    )  # fmt: skip

    assert found[0] > 0.0
    assert found[1] < 0.1


async def test_journal_cells_are_committed_outlined_or_missing(modules: Modules) -> None:
    found = await modules.run(
        "strips", "standing, Window",
        """
        const peer = { commit: 40, end: [1, 42] };
        const window = new Window();
        window.follow(1000, 200);
        const cell = window.cell;
        window.follow(42, 0);
        return [[40, 41, 42, 43].map((last) => standing(peer, last, 1)), cell, window.cell,
          window.begin, window.end];
        """,
    )  # fmt: skip

    assert found == [["committed", "uncommitted", "uncommitted", "missing"], 64, 1, 30, 42]


async def test_peers_stand_apart_and_inside(modules: Modules) -> None:
    """Of 1, 3, 6 and 24 peers, on a phone, on a laptop and on a wall."""
    found = await modules.run(
        "layout", "layoutOf",
        """
        const problems = [];
        for (const [width, height] of [[390, 420], [860, 640], [1800, 900]]) {
          for (const count of [1, 3, 6, 24]) {
            const { spots, radius } = layoutOf([...Array(count).keys()], width, height);
            const all = [...spots.values()];
            const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
            const gaps = all.flatMap((a, i) => all.slice(i + 1).map((b) => apart(a, b)));
            const inside = all.map((s) => Math.min(s.x, s.y, width - s.x, height - s.y));
            if (Math.min(1e9, ...gaps) < 2 * radius + 2 || Math.min(...inside) < radius) {
              problems.push([width, height, count]);
            }
            if (all.length !== count) problems.push(all.length);
          }
        }
        return problems;
        """,
    )  # fmt: skip

    assert found == []


async def test_the_tape_keeps_what_matters_in_sight(modules: Modules) -> None:
    found = await modules.run(
        "range clock", "Range, Clock",
        """
        const range = new Range();
        const clock = new Clock();
        clock.moment = 590;
        range.follow(clock, 0, 600);
        const all = [range.from, range.to > 600];
        range.zoom(1e-9, 300, 0, 600);
        const short = range.length;
        clock.watch(400, 400.01);
        range.follow(clock, 0, 600);
        const seen = range.from <= 400 && 400 <= range.to;
        range.zoom(1e12, 300, 0, 600);
        return [all, short, seen, range.all];
        """,
    )  # fmt: skip

    assert found[0] == [0, True]
    assert found[1] == pytest.approx(0.0005)
    assert found[2:] == [True, True]


async def test_the_axis_has_as_many_ticks_as_there_is_room_for(modules: Modules) -> None:
    """Whatever times a story has; far from 0 the next tick may be no other number."""
    found = await modules.run(
        "tape", "axisOf",
        """
        return given.map(([from, to]) => {
          const { step, ticks } = axisOf({ from, to }, 920);
          const inside = ticks.every((at) => at >= from && at <= to);
          return [ticks.length, inside, step];
        });
        """,
        [[0.0, 60.0], [T0, T0 + 0.001], [0.0, 1e15], [1e15, 1e15 + 1e-3]],
    )  # fmt: skip

    assert [count <= 11 for count, _, _ in found] == [True] * 4
    assert [inside for _, inside, _ in found] == [True] * 4
    assert found[0][::2] == [7, 10]


# ---- how peers stand to each other


NOTED: Json = {"kind": "note", "boot": 1}


def numbered(entries: list[Json]) -> list[Json]:
    return [{**entry, "seq": number} for number, entry in enumerate(entries)]


BEAT: Json = {"kind": "beat", "boot": 1, "from": 0, "epoch": 7}
HEARS: Json = {**NOTED, "note": "hears_again", "fields": {"epoch": 7, "trader": 0}}


@pytest.mark.parametrize("hears", [BEAT, HEARS], ids=["a beat", "a note"])
async def test_a_trader_that_most_have_lost_is_suspected(modules: Modules, hears: Json) -> None:
    """It does not know it itself, if it stands still or is cut off; one that few lost trades on."""
    reign = {**NOTED, "peer": 0, "note": "reign_begun", "fields": {"epoch": 7}, "at": 1.0}
    keys = [{**KEY, "peer": peer, "at": 1.0} for peer in (1, 2, 3, 4)]
    members = [{**KEY, "peer": 0, "role": "trader", "members": [0, 1, 2, 3, 4], "at": 1.1}]
    lost = [
        {**NOTED, "peer": 1, "note": "election", "fields": {"epoch": 7, "attempt": 0}, "at": 2.0},
        {**NOTED, "peer": 2, "note": "trader_lost", "fields": {"epoch": 7, "trader": 0}, "at": 2.1},
        {**NOTED, "peer": 3, "note": "poll", "fields": {"epoch": 7}, "at": 2.2},
    ]
    again = [{**hears, "peer": 3, "at": 2.3}]
    found = await modules.run(
        "record model look", "lookOf",
        """
        const { record } = kept(1e6, given);
        return [1.5, 2.05, 2.25, 2.35].map((at) => {
          const state = record.stateAt(at);
          const { kind, detail } = lookOf(state.peers.get(0), state, at, state.members());
          return [kind, detail];
        });
        """,
        numbered([reign, *keys, *members, *lost, *again]),
    )  # fmt: skip

    assert [kind for kind, _ in found] == ["trader", "trader", "suspected", "trader"]
    assert found[1][1] == "It trades: epoch 7; peer 1 lost it."
    assert found[2][1].startswith("Peers 1, 2 and 3 lost it; it may still believe")


async def test_followers_that_are_lost_cut_off_or_gone_have_words_of_their_own(
    modules: Modules,
) -> None:
    entries = [
        *({**KEY, "peer": peer, "at": 1.0} for peer in (0, 1, 2)),
        {**NOTED, "peer": 0, "note": "excluded", "fields": {"peer": 1}, "at": 1.1},
        {**FAULT, "peer": 2, "what": "cut", "others": [0, 1], "seconds": 9, "at": 1.2},
        {**NOTED, "peer": 1, "note": "removed", "fields": {}, "at": 1.4},
    ]
    found = await modules.run(
        "record model look", "lookOf",
        """
        const { record } = kept(1e6, given);
        return [[1, 1.3], [2, 1.3], [1, 1.5]].map(([peer, at]) => {
          const state = record.stateAt(at);
          return lookOf(state.peers.get(peer), state, at, [0, 1, 2]).kind;
        });
        """,
        numbered(entries),
    )  # fmt: skip

    assert found == ["suspected", "cut", "removed"]


async def test_who_starts_again_without_having_ended_has_crashed(modules: Modules) -> None:
    """In a cluster nobody notes that a process was killed; its record says so by what it lacks."""
    entries = [
        {**KEY, "peer": 0, "at": 1.0}, {**KEY, "peer": 1, "at": 1.0}, {**KEY, "peer": 2, "at": 1.0},
        {"kind": "moved", "peer": 0, "boot": 1, "at": 1.5, "epoch": 7, "end": 9, "commit": 9,
         "applied": 9},
        {"kind": "ended", "peer": 1, "boot": 1, "at": 1.6, "why": "left"},
        {**FAULT, "peer": 2, "what": "killed", "at": 1.7},
        *({"kind": "started", "peer": peer, "boot": 2, "at": 3.0 + peer / 10} for peer in range(3)),
    ]  # fmt: skip
    found = await modules.run(
        "chapters", "Chapters",
        """
        const chapters = new Chapters();
        for (const entry of given) chapters.fold(entry);
        return chapters.marks.map(({ at, kind, words }) => [at, kind, words]);
        """,
        entries,
    )  # fmt: skip

    deaths = [mark for mark in found if mark[1] == "killed"]
    assert deaths == [[1.5, "killed", "peer 0 died"], [1.7, "killed", "peer 2 is killed"]]
    assert [mark[0] for mark in found] == sorted(mark[0] for mark in found)


async def test_a_silence_is_told_with_its_length(modules: Modules) -> None:
    entries = [
        {"kind": "beat", "peer": 1, "boot": 1, "from": 0, "epoch": 7, "at": 10.0},
        {**NOTED, "peer": 1, "note": "election", "fields": {"attempt": 0}, "at": 10.512},
        {**NOTED, "peer": 2, "note": "election", "fields": {"attempt": 1}, "at": 20.0},
    ]
    found = await modules.run(
        "story chapters", "Story, Chapters",
        """
        const story = new Story();
        for (const entry of given) story.fold(entry);
        return story.linesAt(99, 9, new Chapters(), 3).map(({ text }) => text);
        """,
        entries,
    )  # fmt: skip

    assert found == [
        "peer 2 hears no trader and starts an election, attempt 1",
        "peer 1 has not heard from trader 0 for 512 ms and starts an election, attempt 0",
    ]
