/** Puts the page together: what streams in, what is kept, and what a frame draws. */

import { Beats } from "./beats.js";
import { Card } from "./card.js";
import { Chapters } from "./chapters.js";
import { drawChart } from "./chart.js";
import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { Doing } from "./doing.js";
import { Flights } from "./flights.js";
import { moment, ordinalOf } from "./format.js";
import { Goods } from "./goods.js";
import { Hands } from "./hands.js";
import { Intake } from "./intake.js";
import { phaseWords, veilOf } from "./phases.js";
import { Range } from "./range.js";
import { Record } from "./record.js";
import { Ring, put } from "./ring.js";
import { Samples } from "./samples.js";
import { Story } from "./story.js";
import { Stream } from "./stream.js";
import { drawMap, drawTape } from "./tape.js";
import { Telling } from "./telling.js";
import { readTheme, still } from "./theme.js";

const $ = (id) => document.getElementById(id);
/** Text and chart are drawn so often, the rest with every frame. */
const SLOW_MS = 100;
/** The ring's own pace, for as long as no header has told it. */
const PACE = { beat_ms: 50, timeout_ms: 150 };
const PLACES_MAX = 64;
/** What has a sense in the order of time alone; the rest can be taken as it comes. */
const IN_ORDER = new Set(["note", "fault", "started", "ended"]);
const REFOLD_MS = 300;
/** Where motion is unwanted, the picture changes this seldom. */
const STILL_MS = 250;

const folded = {
  chapters: new Chapters(),
  flights: new Flights(),
  beats: new Beats(),
  samples: new Samples(),
  story: new Story(),
  goods: new Goods(),
};
const parts = Object.values(folded);
const places = new Set();
const clock = new Clock();
const range = new Range();
const record = new Record(take);
const intake = new Intake(record);
const page = {
  header: null,
  phase: "connecting",
  dirty: true,
  refold: false,
  refoldAt: 0,
  drawnAt: 0,
  heardAt: 0,
  slowAt: 0,
  told: "",
  /** The moment of the link that opened the page, until it is there; then NaN. */
  wanted: wanted(),
};

const stream = new Stream({ header: begin, entries: add, phase: enter });
const doing = new Doing(stream);
const card = new Card(() => stream.url);
const ring = new Ring((place, kept) => {
  card.choose(place, kept);
  page.dirty = true;
});
const controls = new Controls(clock, range, record, folded.chapters);
const telling = new Telling(go);
new Hands(controls, whole);

/** @returns {{from: number, to: number}} all there is, and a little room */
function whole() {
  return { from: record.first, to: record.first + Math.max(record.last - record.first, 1) * 1.005 };
}

/** @param {object[]} added @param {boolean} late some belong between what is here already */
function take(added, late) {
  for (const entry of added) {
    if (places.size < PLACES_MAX) places.add(ordinalOf(entry.peer));
    if (late && IN_ORDER.has(entry.kind)) page.refold = true;
    else for (const part of parts) part.fold(entry);
  }
  if (!added.length) {
    page.refold = true; // what was told before is taken back
    page.refoldAt = 0;
  }
  page.dirty = true;
}

/** Late entries change what follows: all is told again, once for many of them. */
function refold(now) {
  page.refold = false;
  page.refoldAt = now;
  for (const part of parts) part.clear();
  for (const entry of record.entries) for (const part of parts) part.fold(entry);
}

function begin(header) {
  intake.begin();
  page.header = header;
  doing.cluster = header.cluster === true;
  put($("name"), String(header.name ?? ""));
  document.title = `${header.name || "ring"} · Bazaar`;
}

function add(entries) {
  const empty = !record.entries.length;
  page.heardAt = performance.now();
  intake.take(entries);
  if (empty && record.entries.length) clock.moment = record.first;
  if (page.wanted <= record.last) travel();
}

/** @param {string} phase one of those of phases.js */
function enter(phase) {
  page.phase = phase;
  page.dirty = true;
  document.body.dataset.phase = phase;
  if (phase === "live") doing.start();
  if (phase === "file") {
    document.body.dataset.source = "file";
    clock.seek(record.first);
    clock.playing = !still();
    travel();
  }
}

function phase() {
  const { first, last, entries } = record;
  const { live, moment: at } = clock;
  document.body.dataset.now = live ? "yes" : "no";
  const silent = (performance.now() - page.heardAt) / 1000;
  const facts = { live, silent, past: last - at, length: last - first, url: stream.url };
  put($("phase"), phaseWords(page.phase, { ...facts, asked: stream.urls.length }));
  const veil = entries.length ? null : veilOf(page.phase);
  document.body.dataset.veil = veil ? "yes" : "no";
  put($("curtain-head"), veil?.head ?? "");
  put($("curtain-words"), veil?.words ?? "");
}

function viewOf(dt) {
  const state = record.stateAt(clock.moment);
  const pace = page.header ?? PACE;
  return {
    ...folded,
    record,
    state,
    dt,
    header: page.header,
    moment: clock.moment,
    speed: clock.speed,
    playing: clock.playing,
    live: clock.live,
    first: record.first,
    last: record.last,
    members: state.members(),
    places: [...places].sort((a, b) => a - b),
    still: still(),
    beat: pace.beat_ms / 1000,
    timeout: pace.timeout_ms / 1000,
    rate: folded.samples.rateAt(clock.moment),
    latency: page.latency,
  };
}

function kept() {
  const { thinned, begins } = record;
  const told = [];
  if (begins > 0) told.push(`The page keeps the story from ${moment(begins, 0)} on`);
  if (thinned > begins) told.push(`single beats and orders from ${moment(thinned, 0)} on`);
  return told.join(", ");
}

function drawSlowly(view) {
  view.latency = page.latency = folded.samples.latencyAt(clock.moment);
  telling.draw(view);
  folded.goods.draw(view, { alive: doing.ring !== null, lost: stream.failed > 0 });
  drawChart($("chart"), view);
  put($("kept"), kept());
  phase();
  if (!record.entries.length && page.phase === "live") {
    put($("c-trader"), "no trader yet");
    put($("c-since"), "the peers elect one once a majority of them runs");
  }
}

function frame(now) {
  requestAnimationFrame(frame);
  const least = still() && clock.playing ? STILL_MS : 0;
  if (now - page.drawnAt < least) return;
  const dt = Math.min(0.25, (now - page.drawnAt) / 1000);
  page.drawnAt = now;
  const slow = now - page.slowAt >= SLOW_MS;
  if (page.refold && now - page.refoldAt > REFOLD_MS) refold(now);
  clock.tick(dt, record.first, record.last);
  range.follow(clock, record.first, record.last);
  const { moment: at, step, playing } = clock;
  const told = [at, step, playing, range.from, range.to, innerWidth, innerHeight].join();
  if (told === page.told && !page.dirty && !slow) return;
  page.told = told;
  page.dirty = false;
  const view = viewOf(dt);
  if (slow) {
    page.slowAt = now;
    drawSlowly(view);
  }
  ring.draw(view);
  card.draw(view, ring.layout);
  controls.draw(view);
  drawTape($("tape"), view, range);
  drawMap($("map"), view, range, whole());
}

/** A link can name a moment: `#at=` and its seconds on the story's axis. */
function wanted() {
  return Number(new URLSearchParams(location.hash.slice(1)).get("at") ?? NaN);
}

function travel() {
  page.wanted = NaN;
  const at = wanted();
  if (Number.isFinite(at) && record.entries.length) go(at);
}

/** @param {number} at a moment to stand at, and to have in sight */
function go(at) {
  clock.stand(Math.min(record.last, Math.max(record.first, at)));
  range.reveal(clock.moment);
  page.slowAt = 0;
}

addEventListener("hashchange", travel);
document.addEventListener("keydown", (event) => event.key === "Escape" && card.close());
$("ring").addEventListener("click", () => card.close());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readTheme();
  for (const known of ring.buttons.values()) known.told = "";
  page.dirty = true;
});
page.latency = { p50: NaN, p99: NaN, of: 0 };
readTheme();
stream.start();
requestAnimationFrame(frame);
