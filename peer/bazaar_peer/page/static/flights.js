/**
 * Messages on their way: who sent what to whom, when, and when it came in, if it did. Pure.
 */

import { upTo } from "./record.js";

/** More are not kept; the oldest go first. */
const FLIGHTS_MAX = 60000;
/** A message that takes longer is drawn as one that was lost. */
const LONGEST_S = 5;

/**
 * @typedef {{at: number, until: number | null, from: number, to: number, message: string,
 *   epoch: number}} Flight `until`: when it came in; null: nobody says that it did
 */

export class Flights {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Flight[]} */ this.list = [];
    /** @type {Map<string, Flight>} */ this.waiting = new Map();
    /** @type {Map<string, number>} arrivals whose sending is told later */
    this.early = new Map();
    this.longest = 0;
  }

  /** @param {object} entry */
  fold(entry) {
    if (entry.kind === "sent") this._sent(entry);
    else if (entry.kind === "got" && entry.cause) this._got(entry);
  }

  _sent(entry) {
    for (const to of entry.to) {
      const name = `${entry.peer}:${entry.boot}:${entry.seq}:${to}`;
      const came = this.early.get(name) ?? null;
      this.early.delete(name);
      const flight = {
        at: entry.at,
        until: came,
        from: entry.peer,
        to,
        message: entry.message,
        epoch: entry.epoch,
      };
      const last = this.list[this.list.length - 1];
      if (!last || last.at <= flight.at) this.list.push(flight);
      else this.list.splice(upTo(this.list, flight.at), 0, flight);
      if (came === null) this.waiting.set(name, flight);
      else this._measure(flight);
    }
    if (this.list.length > FLIGHTS_MAX) this._trim();
  }

  _got(entry) {
    const name = `${entry.cause.join(":")}:${entry.peer}`;
    const flight = this.waiting.get(name);
    if (!flight) {
      if (this.early.size < FLIGHTS_MAX) this.early.set(name, entry.at);
      return;
    }
    this.waiting.delete(name);
    flight.until = entry.at;
    this._measure(flight);
  }

  _measure(flight) {
    this.longest = Math.min(LONGEST_S, Math.max(this.longest, flight.until - flight.at));
  }

  _trim() {
    this.list.splice(0, FLIGHTS_MAX >> 2);
    const first = this.list[0].at;
    for (const [name, flight] of this.waiting) if (flight.at < first) this.waiting.delete(name);
    this.early.clear();
  }

  /**
   * @param {number} from @param {number} until
   * @param {number} least so long each is shown, at least
   * @returns {Flight[]} those that are on their way in that stretch
   */
  between(from, until, least = 0) {
    const found = [];
    const reach = Math.max(this.longest, least);
    const end = upTo(this.list, until);
    for (let i = upTo(this.list, from - reach - 1e-9); i < end; i += 1) {
      const flight = this.list[i];
      if (Math.max(flight.until ?? flight.at, flight.at + least) >= from) found.push(flight);
    }
    return found;
  }
}
