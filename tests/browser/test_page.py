"""The live page in a real browser: what it shows happened, and it survives what it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.rings import FakeRing
from tests.browser.stories import EVIL, T0, Made, Teller, calm, header, hostile, made, realistic

pytestmark = pytest.mark.asyncio(loop_scope="session")

RingOf = Callable[..., Awaitable[FakeRing]]
FileOf = Callable[[Made], Awaitable[str]]


async def at(page: Page, moment: float) -> None:
    """Travel to a moment of the story."""
    await page.evaluate("at => { location.hash = `at=${at}` }", moment)
    await page.wait_for_function(
        "document.getElementById('tape').getAttribute('aria-valuetext') !== 'nothing yet'"
    )


async def told(page: Page) -> list[str]:
    return await page.locator("#story li span").all_inner_texts()


# ---- what is shown happened


async def test_an_election_that_happens_is_on_the_page(ring_of: RingOf, open_page: Open) -> None:
    teller = Teller(6, 20.0)
    teller.until(T0 + 3.0)
    ring = await ring_of(Made(header(), list(teller.entries)))
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#n-trader")).to_have_text("5")
    before = len(teller.entries)

    election = teller.kill_trader(T0 + 3.3)
    teller.until(T0 + 5.0)
    ring.tell(sorted(teller.entries[before:], key=lambda entry: entry["at"]))

    await expect(page.locator("#n-trader")).to_have_text("4")
    await expect(page.locator("#n-epoch")).to_have_text("8")
    await expect(page.get_by_role("button", name="peer 4, trader, epoch 8")).to_be_visible()
    await expect(page.get_by_role("button", name="peer 5, dead")).to_be_visible()
    took = f"{1000 * (election['done'] - election['at']):.1f} ms"
    assert f"peer 4 trades: epoch 8 has begun, {took} after the loss" in await told(page)
    assert "peer 5 is killed" in await told(page)


async def test_scrubbing_back_shows_the_old_trader(file_of: FileOf, open_page: Open) -> None:
    story = realistic()
    page = (await open_page(await file_of(story))).page
    tape = page.locator("#tape")
    box = await tape.bounding_box()
    assert box is not None
    await at(page, T0 + 20)
    await expect(page.locator("#n-trader")).to_have_text("4")

    await page.mouse.click(box["x"] + 0.05 * box["width"], box["y"] + 60)

    await expect(page.locator("#n-trader")).to_have_text("5")
    await expect(page.locator("#n-epoch")).to_have_text("7")
    await expect(page.get_by_role("button", name="peer 5, trader, epoch 7")).to_be_visible()
    assert await told(page) == []


async def test_a_jump_shows_the_election_message_by_message(
    file_of: FileOf, open_page: Open
) -> None:
    story = realistic()
    page = (await open_page(await file_of(story))).page
    await at(page, T0 + 5)

    await page.keyboard.press("Shift+ArrowRight")

    await expect(page.locator("#speed-told")).to_have_text("0.0005×")
    await expect(page.locator("#n-trader")).to_have_text("none")
    await at(page, story.election["done"] - 2e-3)
    assert await page.locator('.peer[data-kind="dead"]').count() == 1
    await at(page, story.election["done"] - 1e-3)
    await expect(page.locator('.peer[data-kind="nominee"] span')).to_contain_text("of 6")


STANDINGS = [
    (12.5, 5, "dead", "dead"),
    (12.5, 4, "trader", "trader"),
    (28.5, 6, "catching", "catching up"),
    (37.5, 2, "paused", "paused"),
    (45.5, 1, "unknown", "unknown"),
    (5.0, 6, "absent", "not there yet"),
    (50.0, 0, "follower", "follows 5"),
]
"""Seconds of the story, peer, how it is drawn and what is written."""


async def test_each_standing_has_its_word(file_of: FileOf, open_page: Open) -> None:
    page = (await open_page(await file_of(realistic()))).page
    for moment, place, kind, word in STANDINGS:
        await at(page, T0 + moment)
        peer = page.locator(f'.peer[data-place="{place}"]')
        await expect(peer).to_have_attribute("data-kind", kind)
        await expect(peer.locator("span")).to_have_text(word)


async def test_numbers_are_those_of_the_api(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page

    await expect(page.locator("#n-epoch")).to_have_text(str(ring.facts["epoch"]))
    await expect(page.locator("#n-trader")).to_have_text(str(ring.facts["trader"]))
    await expect(page.locator("#n-members")).to_have_text(str(ring.facts["members"]))
    await expect(page.locator("#stock tr").first).to_have_text("salt41at 6")
    await expect(page.locator("#trades tr").first).to_have_text("zoe: 3 salt18")


async def test_the_market_is_that_of_the_moment(ring_of: RingOf, open_page: Open) -> None:
    teller = Teller(3, 20.0)
    teller.until(T0 + 3.5)
    teller.items, teller.trades = [["fish", 2, 9], ["salt", 40, 6]], [["yan", 1, "salt", 6]]
    teller.until(T0 + 6.5)
    ring = await ring_of(made(teller))
    page = (await open_page(ring.urls[0])).page
    stock, trades, when = (page.locator(f"#{name}") for name in ("stock", "trades", "market-when"))
    await expect(stock).to_have_text("fish2at 9salt40at 6")
    await expect(when).to_have_text("")

    await at(page, T0 + 3.4)
    await expect(stock).to_have_text("salt41at 6")
    await expect(trades).to_have_text("zoe: 3 salt18")
    await expect(when).to_contain_text("as of entry 4")

    await at(page, T0 + 5.4)
    await expect(trades).to_have_text("yan: 1 salt6")


async def test_a_link_to_a_moment_opens_a_living_ring_there(
    ring_of: RingOf, open_page: Open
) -> None:
    story = realistic()
    ring = await ring_of(story)
    page = (await open_page(f"{ring.urls[0]}/#at={T0 + 10.5}", ring.urls)).page

    await expect(page.locator("#n-trader")).to_have_text("5")
    await expect(page.locator("#n-epoch")).to_have_text("7")
    assert story.election["epoch"] == 8, "which was later"
    await page.keyboard.press("l")
    await expect(page.locator("#n-epoch")).not_to_have_text("7")


async def test_the_market_of_a_moment_that_nobody_told_is_not_made_up(
    ring_of: RingOf, open_page: Open
) -> None:
    """As by a peer of before there were such entries."""
    teller = Teller(3, 20.0)
    teller.until(T0 + 3.0)
    told = [e for e in teller.entries if e["kind"] != "market" or e["at"] > T0 + 1.5]
    ring = await ring_of(Made(header(), told))
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#stock")).to_have_text("salt41at 6")

    await at(page, T0 + 1.4)

    await expect(page.locator("#market-when")).to_have_text("not known of this moment")
    await expect(page.locator("#stock")).to_have_text("–")


async def test_a_card_tells_all_that_is_known_of_a_peer(file_of: FileOf, open_page: Open) -> None:
    story = realistic()
    page = (await open_page(await file_of(story))).page
    await at(page, T0 + 10.5)
    await page.locator('.peer[data-place="3"]').click()

    key = next(
        e for e in reversed(story.entries)
        if e["kind"] == "key" and e["peer"] == 3 and e["at"] < T0 + 10.5
    )  # fmt: skip
    bars = [str(ticks) for _, ticks in sorted(key["clock"].items())]
    await expect(page.locator("#card .bar em")).to_have_text(bars)
    await expect(page.locator("#card")).to_contain_text("follows 5")


# ---- what others say is never markup


async def test_text_of_others_stays_text(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(hostile())
    page = (await open_page(ring.urls[0])).page

    await expect(page.locator("#stock td").first).to_have_text(EVIL)
    await expect(page.locator("#name")).to_have_text(EVIL)
    assert any(EVIL in line for line in await told(page))
    assert await page.locator("body img, body script").count() == 1, "the page's own picture alone"
    assert await page.title() != "owned"


async def test_entries_that_are_none_are_left_out(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#n-trader")).to_have_text("2")
    odd: list[Any] = [None, 7, "x", [], {}, {"at": "now", "peer": 1}, {"at": 1, "peer": {}}]
    ring.tell([*odd, {"at": T0 + 3, "peer": -1, "boot": 1, "seq": 1, "kind": "key"}])
    ring.tell([{"at": T0 + 3.99, "peer": 9, "boot": 1, "seq": 1, "kind": "__proto__"}])

    await expect(page.locator('.peer[data-place="9"]')).to_be_attached()
    assert await page.locator(".peer").count() == 4


# ---- it survives


async def test_it_goes_on_when_the_peer_that_served_it_dies(
    ring_of: RingOf, open_page: Open
) -> None:
    teller = Teller(3, 20.0)
    teller.until(T0 + 3.0)
    ring = await ring_of(Made(header(), list(teller.entries)), 2)
    page = (await open_page(ring.urls[0], ring.urls)).page
    await expect(page.locator("#trades tr").first).to_contain_text("zoe")
    before = len(teller.entries)

    await ring.kill(0)
    await expect(page.locator("#phase")).to_contain_text(ring.urls[1].removeprefix("http://"))
    teller.kill_trader(T0 + 3.3)
    teller.trades = [["yan", 2, "salt", 12]]
    teller.until(T0 + 5.0)
    ring.tell(sorted(teller.entries[before:], key=lambda entry: entry["at"]))

    await expect(page.locator("#n-trader")).to_have_text("1")
    await expect(page.locator("#trades tr").first).to_contain_text("yan")


async def test_another_peer_tells_on_and_not_all_over_again(
    ring_of: RingOf, open_page: Open
) -> None:
    """What is told twice is there once, and what lies before it stays."""
    story = realistic()
    ring = await ring_of(story, 2)
    page = (await open_page(ring.urls[0], ring.urls)).page
    await expect(page.locator("#trades tr").first).to_contain_text("zoe")
    await at(page, T0 + 55)
    before = await told(page)

    await ring.kill(0)
    await page.keyboard.press("l")
    await expect(page.locator("#phase")).to_contain_text(ring.urls[1].removeprefix("http://"))
    note = {"kind": "note", "note": "removed", "fields": {}, "peer": 0, "boot": 9}
    ring.tell([{**note, "at": T0 + 57, "seq": 1}, {**note, "at": T0 + 58, "seq": 2}])
    await expect(page.locator("#story li").first).to_contain_text("peer 0 is removed")

    newest = max(entry["at"] for entry in story.entries)
    assert ring.after[0] == ""
    assert [float(after) for after in ring.after[1:]] == [pytest.approx(newest - 30, abs=1e-3)]
    await at(page, T0 + 54)
    await expect(page.locator("#story li span")).to_have_text(before)


async def test_when_nobody_answers_it_says_so_and_the_past_stays(
    ring_of: RingOf, open_page: Open
) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#n-trader")).to_have_text("2")

    await ring.kill(0)

    await expect(page.locator("#phase")).to_contain_text("nobody answers")
    await at(page, T0 + 1)
    await expect(page.get_by_role("button", name="peer 2, trader, epoch 7")).to_be_visible()


async def test_a_ring_without_a_trader_says_so(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(Made(header(), []))
    page = (await open_page(ring.urls[0])).page

    await expect(page.locator("#c-trader")).to_have_text("no trader yet")
    await expect(page.locator("#curtain")).to_be_hidden()


async def test_a_ring_that_keeps_no_record_is_told_from_one_that_is_gone(
    ring_of: RingOf, open_page: Open
) -> None:
    ring = await ring_of(calm())
    ring.mute = True
    watched = await open_page(ring.urls[0])
    await expect(watched.page.locator("#curtain-head")).to_have_text("No record")
    await expect(watched.page.locator("#phase")).to_contain_text("keeps no record")
    ring.mute = False
    await expect(watched.page.locator("#curtain")).to_be_hidden()
    watched.faults = [fault for fault in watched.faults if "404" not in fault]


async def test_another_ring_at_the_same_address_is_not_mixed_in(
    ring_of: RingOf, open_page: Open
) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#n-trader")).to_have_text("2")
    ring.header["ring"] = "another"
    for queue in ring.queues:
        queue.put_nowait(b"")

    await expect(page.locator("#phase")).to_contain_text("another ring is at this address now")
    await expect(page.locator("#n-trader")).to_have_text("2")


async def test_a_file_is_only_looked_at(file_of: FileOf, open_page: Open) -> None:
    page = (await open_page(await file_of(calm()))).page

    await expect(page.locator("#phase")).to_contain_text("a recorded ring")
    await expect(page.locator("#stock tr").first).to_have_text("salt41at 6")
    for only_of_a_living_one in ("#buy", "#admin", "#live"):
        await expect(page.locator(only_of_a_living_one)).to_be_hidden()


async def test_a_file_without_a_market_shows_none(file_of: FileOf, open_page: Open) -> None:
    """A simulated ring may count instead."""
    story = calm()
    story.entries = [entry for entry in story.entries if entry["kind"] != "market"]
    page = (await open_page(await file_of(story))).page

    await expect(page.locator("#phase")).to_contain_text("a recorded ring")
    await expect(page.locator("#market")).to_be_hidden()


# ---- what a person does


async def test_keys_move_the_moment(file_of: FileOf, open_page: Open) -> None:
    page = (await open_page(await file_of(realistic()))).page
    await at(page, T0 + 5)
    now = page.locator("#now")
    play = page.locator("#play")

    await page.keyboard.press("Space")
    await expect(play).to_have_attribute("aria-label", "Pause")
    await page.keyboard.press("Space")
    await expect(play).to_have_attribute("aria-label", "Play")
    await page.keyboard.press("[")
    await expect(page.locator("#speed-told")).to_have_text("0.5×")
    await page.keyboard.press("]")
    await expect(page.locator("#speed-told")).to_have_text("1×")
    await page.keyboard.press("ArrowRight")
    await expect(now).to_contain_text(":32.310")
    await page.keyboard.press("ArrowRight")
    newest = page.locator("#story li").first
    await expect(newest).to_contain_text("peer 0 lost trader 5 of epoch 7: its connection ended")
    await page.keyboard.press("ArrowLeft")
    await expect(newest).to_contain_text("peer 5 is killed")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()


async def test_a_sentence_leads_to_its_moment(file_of: FileOf, open_page: Open) -> None:
    page = (await open_page(await file_of(realistic()))).page
    await at(page, T0 + 55)
    line = page.locator("#story li", has_text="peer 4 hands its reign of epoch 8 over")

    await line.locator("button").click()

    await expect(page.locator("#now")).to_contain_text(":42.470")
    await expect(page.locator('.peer[data-place="4"]')).to_have_attribute("data-kind", "leaving")


async def test_l_jumps_back_to_what_happens_now(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    live = page.locator("#live")
    await expect(live).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("Home")
    await expect(live).to_have_attribute("aria-pressed", "false")

    await page.keyboard.press("l")

    await expect(live).to_have_attribute("aria-pressed", "true")


async def test_every_peer_and_button_is_reached_by_key(file_of: FileOf, open_page: Open) -> None:
    page = (await open_page(await file_of(calm()))).page
    await expect(page.locator(".peer")).to_have_count(3)
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.place || ''"
            )
        )

    wanted = {"0", "1", "2", "help-open", "play", "election-after", "speed", "zoom-in", "tape"}
    assert wanted <= reached
    await page.locator('.peer[data-place="1"]').focus()
    await expect(page.locator("#card h2")).to_have_text("Peer 1")


FOCUSED = "document.activeElement.closest('li')?.textContent ?? document.activeElement.tagName"


async def test_the_story_keeps_the_focus_and_is_one_stop(ring_of: RingOf, open_page: Open) -> None:
    """A new line, and one that says more, are no reason to lose the place or a click."""
    story = realistic()
    ring = await ring_of(story)
    page = (await open_page(ring.urls[0])).page
    lines = page.locator("#story li button")
    await expect(page.locator("#story li").nth(20)).to_be_attached()
    # The whole of it, or a line that comes later moves those that are looked at.
    await expect(page.locator("#story li").first).to_contain_text("peer 6 trades: epoch 10")
    await lines.first.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    place = await page.evaluate(FOCUSED)
    assert place == await page.locator("#story li").nth(2).text_content()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowDown")
    kept = await lines.nth(2).element_handle()
    assert kept is not None

    note = {"kind": "note", "note": "removed", "fields": {}, "boot": 9}
    ring.tell([{**note, "at": T0 + 57, "peer": 0, "seq": 1}, {**note, "at": T0 + 58, "peer": 1,
                "seq": 1}])  # fmt: skip
    await expect(page.locator("#story li").first).to_contain_text("peer 0 is removed")
    ring.tell([{**note, "at": T0 + 58.2, "peer": 2, "seq": 1},
               {**note, "at": T0 + 60, "peer": 3, "seq": 1}])  # fmt: skip
    await expect(page.locator("#story li").first).to_contain_text("peers 0, 1 and 2")

    assert await page.evaluate(FOCUSED) == place
    assert await kept.evaluate("kept => kept === document.activeElement")
    assert await page.locator("#story button[tabindex='0']").count() == 1
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('#story')") is None
    await page.keyboard.press("Shift+Tab")
    assert await page.evaluate(FOCUSED) == place
    await page.keyboard.press("Enter")
    await expect(page.locator("#story li").first).to_have_text(place)
    assert await page.evaluate(FOCUSED) == place


async def test_a_peer_keeps_the_focus_when_another_one_comes(
    ring_of: RingOf, open_page: Open
) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await page.locator('.peer[data-place="2"]').focus()

    ring.tell([{"kind": "started", "at": T0 + 3.9, "peer": 1 + i, "boot": 9, "seq": 1}
               for i in (0, 3, 4)])  # fmt: skip
    await expect(page.locator(".peer")).to_have_count(5)
    await page.set_viewport_size({"width": 1000, "height": 700})
    await expect(page.locator(".peer").nth(4)).to_be_visible()

    assert await page.evaluate("document.activeElement.dataset.place") == "2"
    places = await page.locator(".peer").evaluate_all("all => all.map((one) => one.dataset.place)")
    assert places == ["0", "1", "2", "4", "5"]


async def test_an_order_has_a_key_and_a_repeat_keeps_it(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(calm())
    ring.refusal = "no trader took it by the deadline"
    watched = await open_page(ring.urls[0])
    page = watched.page
    await page.fill("#buy-item", "salt")
    await page.fill("#buy-quantity", "3")
    await page.click("#buy button")
    await expect(page.locator("#bought")).to_contain_text("no trader took it")
    ring.refusal = ""
    await page.click("#buy button")
    await expect(page.locator("#bought")).to_have_text("bought 3 salt for 18 (entry 4001)")
    await page.click("#buy button")
    await page.wait_for_function("document.getElementById('bought').textContent.startsWith('bou')")

    keys = [headers["Idempotency-Key"] for _, _, headers, _ in ring.posted]
    assert ring.posted[0][3] == {"item": "salt", "quantity": 3}
    assert keys[0] == keys[1] != keys[2]
    watched.faults = [fault for fault in watched.faults if "503" not in fault]


async def test_who_buys_on_goes_to_another_peer_once_the_first_is_gone(
    ring_of: RingOf, open_page: Open
) -> None:
    """The same order is the same key there, too: it takes effect once."""
    ring = await ring_of(calm(), 2)
    watched = await open_page(ring.urls[0], ring.urls)
    page = watched.page
    await expect(page.locator("#n-trader")).to_have_text("2")
    await page.fill("#buy-item", "salt")
    ring.refusal = "no trader took it in time"
    await page.click("#buy button")
    await expect(page.locator("#bought")).to_contain_text("no trader took it")

    await ring.kill(0)
    ring.refusal = ""
    await expect(page.locator("#phase")).to_contain_text(ring.urls[1].removeprefix("http://"))
    await page.click("#buy button")

    await expect(page.locator("#bought")).to_have_text("bought 1 salt for 18 (entry 4001)")
    (first, _, headers, body), (second, _, again, same) = ring.posted
    assert (first, second, body) == (*ring.urls, same)
    assert headers["Idempotency-Key"] == again["Idempotency-Key"]
    watched.faults = [fault for fault in watched.faults if "503" not in fault]


async def test_the_trader_resigns_only_once_it_is_confirmed(
    ring_of: RingOf, open_page: Open
) -> None:
    ring = await ring_of(calm(), 3)
    page = (await open_page(ring.urls[0], ring.urls)).page
    await page.click("#admin summary")
    await page.fill("#token", "secret")
    await page.click("#resign")
    await expect(page.locator("#ask")).to_contain_text("hands its reign of epoch 7 over")
    await page.click("#ask-no")
    assert ring.posted == []
    await page.click("#resign")
    await page.click("#ask-yes")

    await expect(page.locator("#changed")).to_have_text("It hands over.")
    ((url, path, headers, _),) = ring.posted
    assert (url, path) == (ring.urls[2], "/v1/resign"), "only the trader resigns"
    assert headers["Authorization"] == "Bearer secret"


async def test_scaling_takes_a_newer_generation(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await page.click("#admin summary")
    await page.fill("#size", "5")
    await page.click("#scale")
    await page.click("#ask-yes")

    await expect(page.locator("#changed")).to_have_text("It goes to 5 peers.")
    assert ring.posted[0][1] == "/v1/members"
    assert ring.posted[0][3] == {"size": 5, "generation": 5}


@pytest.mark.parametrize("faults", [True, False])
async def test_faults_are_offered_where_they_can_be_done(
    ring_of: RingOf, open_page: Open, faults: bool
) -> None:
    ring = await ring_of(calm(faults=faults))
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#n-trader")).to_have_text("2")
    await page.locator('.peer[data-place="2"]').click()
    await expect(page.locator("#card h2")).to_have_text("Peer 2")
    assert await page.locator("#card .faults button").count() == (3 if faults else 0)
    if not faults:
        return
    await page.get_by_role("button", name="Kill …").click()
    await expect(page.locator("#ask")).to_contain_text("It trades in epoch 7")
    await page.click("#ask-yes")
    await expect(page.locator("#card")).to_contain_text("Peer 2 is killed.")
    assert ring.posted[0][1] == "/v1/faults"
    assert ring.posted[0][3] == {"what": "killed", "peer": 2}


# ---- how it looks


FITS = """width => {
  const inside = (peer) => {
    const { left, right } = peer.getBoundingClientRect();
    return left >= 0 && right <= width;
  };
  const peers = [...document.querySelectorAll(".peer")];
  const whole = document.documentElement.scrollWidth <= width && innerWidth === width;
  return whole && peers.length === 13 && peers.every(inside);
}"""


async def test_nothing_sticks_out_at_any_width(ring_of: RingOf, open_page: Open) -> None:
    ring = await ring_of(realistic(12))
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#stock td").first).to_have_text("salt")
    for width in (320, 390, 768, 1440, 2560):
        await page.set_viewport_size({"width": width, "height": 844 if width < 800 else 1000})
        await page.wait_for_function(FITS, arg=width)


async def test_it_is_dark_where_that_is_wanted(file_of: FileOf, open_page: Open) -> None:
    url = await file_of(calm())
    grounds = {}
    for scheme in ("light", "dark"):
        page = (await open_page(url, color_scheme=scheme)).page
        await expect(page.locator(".peer")).to_have_count(3)
        grounds[scheme] = await page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert grounds == {"light": "rgb(246, 247, 249)", "dark": "rgb(12, 15, 19)"}


async def test_nothing_plays_by_itself_where_motion_is_unwanted(
    file_of: FileOf, open_page: Open
) -> None:
    url = await file_of(calm())
    for motion, label in (("reduce", "Play"), ("no-preference", "Pause")):
        page = (await open_page(url, reduced_motion=motion)).page
        await expect(page.locator("#phase")).to_contain_text("recorded")
        await expect(page.locator("#play")).to_have_attribute("aria-label", label)


# ---- the watch itself


async def test_the_watch_sees_scripts_and_origins_that_do_not_belong(
    file_of: FileOf, open_page: Open
) -> None:
    watched = await open_page(await file_of(calm()))
    await watched.page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          document.body.append(script);
          await fetch("http://127.0.0.2:1/").catch(() => {});
          console.error("planted");
        }"""
    )
    faults = await watched.all_faults()

    assert await watched.page.title() != "owned"
    for planted in ("script-src-elem inline", "connect-src http://127.0.0.2", "error: planted"):
        assert any(planted in fault for fault in faults), planted
    watched.faults.clear()
    await watched.page.evaluate("window.violations.length = 0")


async def test_what_cannot_be_done_from_here_is_not_offered(
    ring_of: RingOf, open_page: Open
) -> None:
    """`bazaar page` only looks at a cluster's ring; in the cluster an operator says its size."""
    ring = await ring_of(calm())
    page = (await open_page(ring.urls[0])).page
    await expect(page.locator("#admin")).to_be_visible()
    await expect(page.locator("#elsewhere")).to_be_hidden()

    ring.facts["looks_only"] = True
    await expect(page.locator("#admin")).to_be_hidden()
    await expect(page.locator("#elsewhere")).to_contain_text("kubectl scale bazaar NAME")
    await expect(page.locator("#buy")).to_be_visible()

    pods = await ring_of(calm(cluster=True))
    page = (await open_page(pods.urls[0])).page
    await page.locator("#admin summary").click()
    await expect(page.locator("#resign")).to_be_visible()
    await expect(page.locator("#scale")).to_be_hidden()
    await expect(page.locator("#elsewhere")).to_contain_text("kubectl scale bazaar NAME")
