/** Buttons and keys that move the moment. */

import { moment, span, times } from "./format.js";
import { put } from "./ring.js";

const $ = (id) => document.getElementById(id);
/** A watched election begins and ends with so much of its length. */
const MARGIN = 0.12;
const ZOOM = 0.5;

export class Controls {
  /**
   * @param {import("./clock.js").Clock} clock @param {import("./range.js").Range} range
   * @param {import("./record.js").Record} record @param {import("./chapters.js").Chapters} chapters
   */
  constructor(clock, range, record, chapters) {
    Object.assign(this, { clock, range, record, chapters });
    const does = {
      play: () => this.toggle(),
      live: () => this.live(),
      "step-before": () => this.step(-1),
      "step-after": () => this.step(1),
      "election-before": () => this.election(-1),
      "election-after": () => this.election(1),
      "zoom-in": () => this.zoom(ZOOM),
      "zoom-out": () => this.zoom(1 / ZOOM),
      "zoom-all": () => this.showAll(),
      "help-open": () => $("help").showModal(),
    };
    for (const [id, act] of Object.entries(does)) $(id).addEventListener("click", act);
    $("speed").addEventListener("input", () => clock.setStep(Number($("speed").value)));
    document.addEventListener("keydown", (event) => this._key(event));
  }

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
      return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, textarea, select")) return;
    if (event.key === " " && target.matches("button, summary")) return; // it presses that
    const act = this._keys(event)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  _keys(event) {
    const arrow = (way) => () => (event.shiftKey ? this.election(way) : this.step(way));
    return {
      " ": () => this.toggle(),
      ArrowLeft: arrow(-1),
      ArrowRight: arrow(1),
      Home: () => this.clock.stand(this.record.first),
      End: () => this.clock.stand(this.record.last),
      "[": () => this.clock.faster(-1),
      "]": () => this.clock.faster(1),
      "+": () => this.zoom(ZOOM),
      "=": () => this.zoom(ZOOM),
      "-": () => this.zoom(1 / ZOOM),
      0: () => this.showAll(),
      l: () => this.live(),
      L: () => this.live(),
      "?": () => $("help").showModal(),
    };
  }

  toggle() {
    const { clock, record } = this;
    if (!clock.live && !clock.playing && clock.moment >= record.last) clock.moment = record.first;
    clock.toggle();
  }

  live() {
    if (document.body.dataset.source === "file") return;
    this.clock.goLive();
    this.range.reveal(this.record.last);
  }

  step(way) {
    const entry = this.record.stepFrom(this.clock.moment, way);
    if (!entry) return;
    this.clock.stand(entry.at);
    this.range.reveal(entry.at);
  }

  /** Go to an election, fit it into the tape, and play it so slowly that it can be followed. */
  election(way) {
    const { from, until } = this.chapters.electionFrom(this.clock.moment, way) ?? {};
    if (from === undefined) return;
    const margin = MARGIN * Math.max(until - from, 1e-3);
    this.clock.watch(from - margin, until + margin);
    this.range.show(from - 2 * margin, until + 2 * margin);
  }

  zoom(factor) {
    const { range, clock, record } = this;
    const inside = clock.moment >= range.from && clock.moment <= range.to;
    const at = inside ? clock.moment : (range.from + range.to) / 2;
    range.zoom(factor, at, record.first, record.last);
  }

  showAll() {
    this.range.all = true;
    this.range.follow(this.clock, this.record.first, this.record.last);
  }

  /** @param {object} view */
  draw(view) {
    const { clock } = this;
    $("deck").classList.toggle("paused", !clock.playing);
    $("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    $("live").setAttribute("aria-pressed", String(clock.live));
    const digits = Math.min(6, Math.max(3, Math.ceil(2 - Math.log10(view.speed) / 1.2)));
    put($("now"), view.last ? moment(clock.moment, digits) : "–");
    const step = String(clock.live ? 12 : clock.step);
    if ($("speed").value !== step) $("speed").value = step;
    put($("speed-told"), times(view.speed));
    put($("speed-words"), view.speed < 0.5 ? `${span(view.speed)} a second` : "");
    const tape = $("tape");
    const share =
      view.last > view.first ? (clock.moment - view.first) / (view.last - view.first) : 0;
    tape.setAttribute("aria-valuenow", String(Math.round(1000 * Math.min(1, Math.max(0, share)))));
    tape.setAttribute("aria-valuetext", view.last ? moment(clock.moment, 3) : "nothing yet");
  }
}
