/**
 * All entries that the page keeps, in the order of time, and the state at any moment. Pure.
 *
 * Bounded: of what would be more, the older half loses its traffic first (beats, moves, orders; a
 * key of each second stands for them), and then its oldest part altogether. `thinned` and `begins`
 * say how far back which of it reaches.
 */

import { State } from "./model.js";

const ENTRIES_MAX = 240000;
/** Between two states that are kept, so that seeking replays at most so many entries. */
const FRAME_ENTRIES = 1500;
const TRAFFIC = new Set(["beat", "moved", "order"]);
/** Traffic so near to a step of the protocol is kept with it. */
const NEAR_S = 0.25;
/** What a person steps through. */
const STEPS = new Set(["note", "sent", "got", "fault", "started", "ended"]);

/** @param {object[]} list @param {number} at @returns {number} how many are then or before */
export function upTo(list, at) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].at <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {object[]} entries @returns {boolean[]} of each, whether it is near a step */
function nearSteps(entries) {
  const near = new Array(entries.length).fill(false);
  const pass = (from, by) => {
    let step = NaN;
    for (let i = from; i >= 0 && i < entries.length; i += by) {
      if (STEPS.has(entries[i].kind)) step = entries[i].at;
      if (Math.abs(entries[i].at - step) <= NEAR_S) near[i] = true;
    }
  };
  pass(0, 1);
  pass(entries.length - 1, -1);
  return near;
}

const byTime = (a, b) => a.at - b.at;
/** One number a peer's life and boot, so that keys are cheap. */
const lifeOf = (peer, boot) => peer * 65536 + (boot % 65536);

export class Record {
  /** @param {(added: object[], late: boolean) => void} observe hears of what came in */
  constructor(observe = () => {}, limit = ENTRIES_MAX) {
    this.entries = [];
    this.thinned = -Infinity;
    this.begins = -Infinity;
    this.observe = observe;
    this.limit = limit;
    /** @type {Map<number, Set<number>>} which sequence numbers of a boot are here */
    this.known = new Map();
    /** @type {{count: number, state: State}[]} */
    this.frames = [];
    this.cursor = { count: 0, state: new State() };
  }

  get first() {
    return this.entries.length ? this.entries[0].at : 0;
  }

  get last() {
    return this.entries.length ? this.entries[this.entries.length - 1].at : 0;
  }

  /** Take a batch; what is known already is not taken again. @param {object[]} batch */
  add(batch) {
    const fresh = batch.filter((entry) => this._isNew(entry)).sort(byTime);
    if (!fresh.length) return;
    const late = fresh[0].at < this.last;
    if (late) {
      const begin = upTo(this.entries, fresh[0].at);
      this._forgetFrom(begin);
      for (const entry of this.entries.splice(begin).concat(fresh).sort(byTime)) {
        this.entries.push(entry);
      }
    } else {
      for (const entry of fresh) this.entries.push(entry);
    }
    this.observe(fresh, late);
    if (this.entries.length > this.limit) this._trim();
  }

  /**
   * Take a story in place of what was known. What was before it stays, and so do peers of whom it
   * has no word: whoever is down does not hand in its part.
   * @param {object[]} story
   */
  replace(story) {
    const sorted = [...story].sort(byTime);
    const told = new Set(sorted.map((entry) => entry.peer));
    const first = sorted[0].at;
    const end = sorted[sorted.length - 1].at;
    const ahead = this.entries.filter((entry) => entry.at > end && told.has(entry.peer));
    this.entries = this.entries.filter((entry) => entry.at < first || !told.has(entry.peer));
    this._forgetFrom(0);
    this.known.clear();
    for (const entry of this.entries) this._isNew(entry);
    this.observe([], true);
    this.add(sorted);
    this.add(ahead);
  }

  _isNew(entry) {
    if (entry.at < this.begins) return false;
    if (entry.at < this.thinned && TRAFFIC.has(entry.kind)) return false;
    const life = lifeOf(entry.peer, entry.boot);
    let seen = this.known.get(life);
    if (!seen) this.known.set(life, (seen = new Set()));
    if (seen.has(entry.seq)) return false;
    seen.add(entry.seq);
    return true;
  }

  _trim() {
    const half = this.entries.length >> 1;
    const until = this.entries[half].at;
    const old = this.entries.slice(0, half);
    const near = nearSteps(old);
    let kept = old.filter((entry, i) => near[i] || !TRAFFIC.has(entry.kind));
    kept = kept.concat(this.entries.slice(half));
    this.thinned = until;
    const most = Math.floor(0.8 * this.limit);
    if (kept.length > most) {
      kept = kept.slice(kept.length - most);
      this.begins = kept[0].at;
    }
    this.entries = kept;
    this._forgetFrom(0);
    this._forgetKnown();
  }

  /** What is older than all that is kept is not asked for again, so its numbers can go. */
  _forgetKnown() {
    const lowest = new Map();
    for (const entry of this.entries) {
      const life = lifeOf(entry.peer, entry.boot);
      if (!lowest.has(life)) lowest.set(life, entry.seq);
    }
    for (const [life, seen] of this.known) {
      const from = lowest.get(life) ?? Infinity;
      for (const seq of seen) if (seq < from) seen.delete(seq);
      if (!seen.size) this.known.delete(life);
    }
  }

  _forgetFrom(count) {
    this.frames = this.frames.filter((frame) => frame.count <= count);
    if (this.cursor.count > count) this.cursor = { count: 0, state: new State() };
  }

  /** @param {number} at @returns {State} to be read before the next call, and not changed */
  stateAt(at) {
    const wanted = upTo(this.entries, at);
    if (wanted < this.cursor.count || wanted - this.cursor.count > FRAME_ENTRIES) {
      const frame = this._frameBefore(wanted);
      const nearer = this.cursor.count > wanted || frame.count > this.cursor.count;
      if (nearer) this.cursor = { count: frame.count, state: frame.state.copy() };
    }
    while (this.cursor.count < wanted) {
      this.cursor.state.apply(this.entries[this.cursor.count]);
      this.cursor.count += 1;
      this._keepFrame();
    }
    return this.cursor.state;
  }

  _frameBefore(count) {
    let best = { count: 0, state: new State() };
    for (const frame of this.frames) {
      if (frame.count > count) break;
      best = frame;
    }
    return best;
  }

  _keepFrame() {
    const { count, state } = this.cursor;
    const newest = this.frames.length ? this.frames[this.frames.length - 1].count : 0;
    if (count - newest >= FRAME_ENTRIES) this.frames.push({ count, state: state.copy() });
  }

  /**
   * @param {number} at @param {number} direction 1 or -1
   * @returns {object | null} the next entry there that a person would step to
   */
  stepFrom(at, direction) {
    let i = direction > 0 ? upTo(this.entries, at) : upTo(this.entries, at) - 1;
    for (; i >= 0 && i < this.entries.length; i += direction) {
      const entry = this.entries[i];
      if (STEPS.has(entry.kind) && (direction > 0 || entry.at < at)) return entry;
    }
    return null;
  }
}
