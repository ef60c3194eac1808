/**
 * What the tape tells: reigns, the elections between them, and what befell peers. Pure.
 *
 * An election lasts from the first sign of the loss to the new reign's beginning; a hand-over is
 * one that somebody asked for.
 */

import { nameOf } from "./format.js";
import { upTo } from "./record.js";

/**
 * @typedef {{from: number, until: number, epoch: number, trader: number}} Reign
 * @typedef {{from: number, until: number, epoch: number, trader: number, lost: number,
 *   planned: boolean}} Election
 * @typedef {{at: number, kind: string, words: string}} Mark
 */

const SIGNS = new Set(["trader_lost", "election", "hand_over", "stepped_down", "nominee"]);
const FAULTS = {
  __proto__: null, // words of others are looked up here
  killed: "killed",
  deleted: "killed",
  paused: "paused",
  resumed: "back",
  cut: "cut",
  healed: "back",
};
/** A sign that no reign follows for so long was a false one. */
const STALE_S = 120;

export class Chapters {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Reign[]} */ this.reigns = [];
    /** @type {Election[]} */ this.elections = [];
    /** @type {Mark[]} */ this.marks = [];
    /** @type {{epoch: number, index: number}[]} where in the journal epochs begin */
    this.starts = [];
    /** @type {{at: number, lost: number, planned: boolean, own: boolean} | null} */
    this.open = null;
    /** @type {Map<number, {boot: number, at: number, over: boolean}>} by peer, its last word */
    this.last = new Map();
  }

  /** @param {object} entry the next one, in the order of time */
  fold(entry) {
    if (entry.kind === "beat") this._beat(entry);
    else if (entry.kind === "note") this._note(entry);
    else if (entry.kind === "fault") this._fault(entry);
    else if (entry.kind === "started") this._started(entry);
    else if (entry.kind === "ended") this._mark(entry, "ended", `ended: ${entry.why}`);
    else if (entry.kind === "key" && entry.role === "trader") this._seen(entry);
    this._hear(entry);
  }

  /** Who starts again and never said that it ended has crashed, when it was last heard of. */
  _started(entry) {
    const last = this.last.get(entry.peer);
    if (last && !last.over && last.boot < entry.boot) {
      const mark = { at: last.at, kind: "killed", words: `peer ${nameOf(entry.peer)} died` };
      this.marks.splice(upTo(this.marks, last.at), 0, mark);
    }
    this._mark(entry, "back", "starts");
  }

  _hear({ peer, boot, at, kind, what }) {
    const over = kind === "ended" || (kind === "fault" && FAULTS[what] === "killed");
    const last = this.last.get(peer);
    if (over && last) last.over = true;
    else if (!over && kind !== "fault" && !(last && last.boot > boot))
      this.last.set(peer, { boot, at, over: last?.boot === boot && last.over });
  }

  _note(entry) {
    const fields = entry.fields ?? {};
    if (SIGNS.has(entry.note)) {
      this._sign(entry, fields.trader ?? this._trader(), entry.note === "hand_over");
    } else if (entry.note === "reign_begun") {
      this._elected(entry, fields.epoch);
    } else if (entry.note === "epoch_started") {
      this.starts.push({ epoch: fields.epoch, index: fields.index });
    } else if (entry.note === "post_reopened") {
      this.open = null;
    } else if (entry.note === "follows" && fields.epoch === this._epoch()) {
      this.open = null; // it was found again, in the same reign
    } else if (entry.note === "hears_again") {
      this._beat({ epoch: fields.epoch });
    } else if (entry.note === "members_changed") {
      this._mark(entry, "members", `the members change: ${fields.voters} vote`);
    } else if (entry.note === "removed") {
      this._mark(entry, "members", "is removed from the ring");
    }
  }

  _fault(entry) {
    const kind = FAULTS[entry.what] ?? "other";
    this._mark(entry, kind, `is ${entry.what}`);
    if (kind !== "back" && entry.peer === this._trader()) this._sign(entry, entry.peer, false);
  }

  /** Somebody hears the trader still: who lost it before was cut off from it, and alone. */
  _beat(entry) {
    if (this.open && !this.open.own && entry.epoch === this._epoch()) this.open = null;
  }

  /** A sign of the trader itself, or of what was done to it, is not taken back by a late beat. */
  _sign({ at, peer }, lost, planned) {
    const own = peer === this._trader();
    if (this.open && (this.open.own || !own) && at - this.open.at < STALE_S) return;
    this.open = { at: Math.min(at, this.open?.at ?? at), lost, planned, own };
  }

  /** A reign that is seen in a key: its beginning was before the story's, or is told next. */
  _seen(entry) {
    const { open } = this;
    if (this._epoch() < entry.epoch) this._reign(entry, entry.epoch, open?.at);
    this.open = open;
  }

  _elected(entry, epoch) {
    if (this.elections.some((each) => each.epoch === epoch)) return;
    if (this._epoch() === epoch) this.reigns.pop();
    const { at, lost, planned } = this.open ?? { at: entry.at, lost: -1, planned: false };
    this.elections.push({ from: at, until: entry.at, epoch, trader: entry.peer, lost, planned });
    this._reign(entry, epoch, at);
  }

  _reign(entry, epoch, lostAt = entry.at) {
    const last = this.reigns[this.reigns.length - 1];
    if (last && last.epoch >= epoch) return;
    if (last && last.until === Infinity) last.until = lostAt;
    this.reigns.push({ from: entry.at, until: Infinity, epoch, trader: entry.peer });
    this.open = null;
  }

  _mark(entry, kind, words) {
    this.marks.push({ at: entry.at, kind, words: `peer ${nameOf(entry.peer)} ${words}` });
  }

  _trader() {
    return this.reigns.length ? this.reigns[this.reigns.length - 1].trader : -1;
  }

  _epoch() {
    return this.reigns.length ? this.reigns[this.reigns.length - 1].epoch : 0;
  }

  /** @param {number} at @returns {Reign | null} of the reign that there is then */
  reignAt(at) {
    return this.reigns.findLast((reign) => reign.from <= at && at < reign.until) ?? null;
  }

  /** @param {number} at @returns {{at: number} | null} what goes on since when, if nobody reigns */
  lossAt(at) {
    const past = this.elections.findLast((each) => each.from <= at);
    if (past && at < past.until) return { at: past.from, planned: past.planned };
    return this.open && this.open.at <= at ? this.open : null;
  }

  /** @param {number} index @returns {number} the epoch of a journal's entry, 0: not known */
  epochOf(index) {
    return this.starts.findLast((start) => start.index <= index)?.epoch ?? this._before();
  }

  _before() {
    return this.reigns.length ? this.reigns[0].epoch : 0;
  }

  /** @param {number} at @param {number} direction @returns {Election | null} */
  electionFrom(at, direction) {
    const { elections } = this;
    if (direction > 0) return elections.find((each) => each.from > at) ?? null;
    return elections.findLast((each) => each.until < at) ?? null;
  }
}
