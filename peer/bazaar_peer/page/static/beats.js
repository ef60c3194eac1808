/**
 * Whether a silence was one: what a peer heard, and when it gave its trader up. Pure.
 *
 * Peers keep fewer beats of what is long ago. Where a follower went on with its trader over a gap
 * that it would not have borne, beats were left out, and no arc can be drawn.
 */

import { ordinalOf } from "./format.js";
import { upTo } from "./record.js";

/** Of a peer; the oldest go first. */
const KEPT_MAX = 20000;
/** A gap of so many timeouts without a word about it is none. */
const BORNE = 1.6;
const GIVES_UP = new Set(["trader_lost", "election", "promised", "nominee", "stepped_down"]);

export class Beats {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Map<number, {at: number, heard: boolean}[]>} by place */
    this.lists = new Map();
  }

  /** @param {object} entry */
  fold(entry) {
    const heard = entry.kind === "beat";
    const over = entry.kind === "note" && GIVES_UP.has(entry.note);
    if (!heard && !over && entry.kind !== "started" && entry.kind !== "fault") return;
    const place = ordinalOf(entry.peer);
    let list = this.lists.get(place);
    if (!list) this.lists.set(place, (list = []));
    const one = { at: entry.at, heard };
    if (!list.length || list[list.length - 1].at <= entry.at) list.push(one);
    else list.splice(upTo(list, entry.at), 0, one);
    if (list.length > KEPT_MAX) list.splice(0, KEPT_MAX >> 2);
  }

  /**
   * @param {import("./model.js").Peer} peer @param {number} at
   * @param {number} timeout seconds of silence that it bears
   * @returns {boolean} whether beats of then were left out
   */
  areSparse(peer, at, timeout) {
    const list = this.lists.get(ordinalOf(peer.id)) ?? [];
    const next = list[upTo(list, at)];
    const gap = (next ? next.at : at) - peer.heardAt;
    const borne = next ? next.heard : peer.trader >= 0;
    return borne && Number.isFinite(peer.heardAt) && gap > BORNE * timeout;
  }
}
