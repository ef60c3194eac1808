/** The story and the numbers of the moment, as text. */

import { millis, moment, nameOf, rate } from "./format.js";
import { arrange, put } from "./ring.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 80;
/** In slow motion the newest sentence stands beside the ring, for so long. */
const SLOW = 0.2;
const CAPTION_S = 6;
/** New sentences are read out this far apart at least. */
const SAY_MS = 1500;

export class Telling {
  /** @param {(at: number) => void} go travels to a line's moment */
  constructor(go) {
    this.go = go;
    this.told = "";
    this.said = "";
    this.saidAt = 0;
    /** @type {Map<string, HTMLElement>} the lines that are shown, by key */
    this.items = new Map();
    this.none = document.createElement("li");
    this.none.className = "none";
    this.none.textContent = "Nothing has happened so far.";
    /** @type {Element | null} The list is one stop of the Tab key: this line. */
    this.current = null;
    const list = $("story");
    list.addEventListener("focusin", (event) => {
      this.current = event.target.closest("li");
      this._rove();
    });
    list.addEventListener("keydown", (event) => this._key(event));
  }

  /** @param {object} view */
  draw(view) {
    this._numbers(view);
    const voters = view.members.length;
    const lines = view.story.linesAt(view.moment, SHOWN, view.chapters, voters);
    this._lines(lines);
    this._say(lines, view);
    const newest = lines[0];
    const fresh = newest && view.moment - newest.at < CAPTION_S * view.speed;
    put($("caption"), fresh && view.speed < SLOW ? newest.text : "");
    $("caption").className = newest?.tone ?? "";
  }

  _numbers(view) {
    const trader = view.state.trader();
    const epoch = view.state.epoch();
    const { p50, p99, of } = view.latency;
    put($("n-epoch"), epoch ? String(epoch) : "–");
    put($("n-trader"), trader ? nameOf(trader.id) : "none");
    $("n-trader").classList.toggle("alarm", !trader && epoch > 0);
    put($("n-members"), view.members.length ? String(view.members.length) : "–");
    put($("n-rate"), rate(view.rate));
    put($("n-p50"), millis(p50));
    put($("n-p99"), millis(p99));
    $("n-p50").title = $("n-p99").title = `of ${of} sampled orders of 10 s`;
  }

  /** Lines that stay keep their elements: who points at one, or is at it by key, keeps it. */
  _lines(lines) {
    const told = lines.map((line) => `${line.key}${line.text}`).join("\n");
    if (told === this.told && told) return;
    this.told = told;
    const items = new Map();
    for (const line of lines) {
      let { key } = line;
      while (items.has(key)) key += "'";
      const item = this.items.get(key) ?? this._made(line);
      put(/** @type {HTMLElement} */ (item.lastElementChild), line.text);
      items.set(key, item);
    }
    for (const [key, item] of this.items) if (!items.has(key)) item.remove();
    this.items = items;
    if (lines.length) this.none.remove();
    arrange($("story"), lines.length ? [...items.values()] : [this.none]);
    this._rove();
  }

  _made(line) {
    const item = document.createElement("li");
    const time = document.createElement("button");
    item.className = line.tone;
    time.type = "button";
    time.title = "Go there";
    time.textContent = moment(line.at, 4);
    time.addEventListener("click", () => this.go(line.at));
    item.append(time, document.createElement("span"));
    return item;
  }

  _rove() {
    const items = [...this.items.values()];
    if (!items.includes(this.current)) this.current = items[0] ?? null;
    for (const item of items) {
      item.firstElementChild.tabIndex = item === this.current ? 0 : -1;
    }
  }

  _key(event) {
    const item = event.target.closest("li");
    const ways = { ArrowUp: item.previousElementSibling, ArrowDown: item.nextElementSibling };
    if (!(event.key in ways)) return;
    event.preventDefault();
    ways[event.key]?.firstElementChild.focus();
  }

  _say(lines, view) {
    const now = performance.now();
    if (!view.live || !lines.length || now - this.saidAt < SAY_MS) return;
    if (lines[0].text === this.said) return;
    this.said = lines[0].text;
    this.saidAt = now;
    put($("said"), this.said);
  }
}
