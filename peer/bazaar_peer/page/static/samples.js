/** Numbers over time: how long orders took, and how far the journal was committed. Pure. */

import { upTo } from "./record.js";

const ORDERS_MAX = 60000;
const COMMITS_MAX = 40000;
/** Commits are kept this far apart at least. */
const GRAIN_S = 0.05;
/** Rates and percentiles are of so many seconds, as in `bazaar top`. */
export const SPAN_S = 10;

export class Samples {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {{at: number, ms: number, outcome: string}[]} */ this.orders = [];
    /** @type {{at: number, commit: number}[]} */ this.commits = [];
  }

  /** @param {object} entry */
  fold(entry) {
    if (entry.kind === "order") this._order(entry);
    else if (entry.kind === "moved" || entry.kind === "key") this._commit(entry);
  }

  _order({ at, ms, outcome }) {
    const { orders } = this;
    const point = { at, ms, outcome };
    if (!orders.length || orders[orders.length - 1].at <= at) orders.push(point);
    else orders.splice(upTo(orders, at), 0, point);
    if (orders.length > ORDERS_MAX) orders.splice(0, ORDERS_MAX >> 2);
  }

  _commit({ at, commit }) {
    const { commits } = this;
    const last = commits[commits.length - 1];
    if (last && (commit <= last.commit || at - last.at < GRAIN_S)) return;
    commits.push({ at, commit });
    if (commits.length > COMMITS_MAX) commits.splice(0, COMMITS_MAX >> 2);
  }

  /** @param {number} at @returns {number} how far the journal was committed; NaN: not known */
  commitAt(at) {
    const place = upTo(this.commits, at);
    return place ? this.commits[place - 1].commit : NaN;
  }

  /** @param {number} at @returns {number} entries committed a second, of the seconds before */
  rateAt(at) {
    const { commits } = this;
    const end = upTo(commits, at);
    const begin = Math.max(0, upTo(commits, at - SPAN_S) - 1);
    if (end - begin < 2) return NaN;
    const seconds = at - Math.max(commits[begin].at, at - SPAN_S);
    return (commits[end - 1].commit - commits[begin].commit) / Math.max(seconds, GRAIN_S);
  }

  /** @param {number} at @returns {{p50: number, p99: number, of: number}} ms of filled orders */
  latencyAt(at) {
    const { orders } = this;
    const found = [];
    for (let i = upTo(orders, at) - 1; i >= 0 && orders[i].at > at - SPAN_S; i -= 1) {
      const { outcome, ms } = orders[i];
      if (outcome === "ok" || outcome === "unavailable") found.push(ms);
    }
    found.sort((a, b) => a - b);
    const share = (q) => found[Math.min(found.length - 1, Math.floor(q * found.length))] ?? NaN;
    return { p50: share(0.5), p99: share(0.99), of: found.length };
  }
}
