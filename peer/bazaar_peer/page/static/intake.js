/**
 * A story may begin anew: another peer tells it now, or what came late has changed it. Pure.
 *
 * Its times may differ a little, so old and new are never mixed: what comes is held back until it
 * has reached what was known, and takes its place at once.
 */

/** So near to the newest entry that was known it is there. */
const NEAR_S = 1;
/** It is not held back for longer. */
const HELD_MS = 4000;

export class Intake {
  /** @param {import("./record.js").Record} record @param {() => number} now milliseconds */
  constructor(record, now = () => performance.now()) {
    this.record = record;
    this.now = now;
    /** @type {object[] | null} */
    this.held = null;
    this.since = 0;
  }

  /** A header came: what follows begins with history. */
  begin() {
    this.held = this.record.entries.length ? [] : null;
    this.since = this.now();
  }

  /** @param {object[]} entries */
  take(entries) {
    if (!entries.length) return;
    if (!this.held) {
      this.record.add(entries);
      return;
    }
    for (const entry of entries) this.held.push(entry);
    const there = entries[entries.length - 1].at >= this.record.last - NEAR_S;
    if (!there && this.now() - this.since < HELD_MS) return;
    this.record.replace(this.held);
    this.held = null;
  }
}
