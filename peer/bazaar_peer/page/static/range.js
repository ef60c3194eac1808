/** Which stretch of the story the tape shows. Pure. */

/** The shortest and the longest stretch, in seconds. */
const SHORTEST_S = 0.0005;
const AHEAD = 0.03;
const KEPT_IN = 0.85;

export class Range {
  /** @param {number} length so many seconds to begin with */
  constructor(length = 60) {
    this.from = 0;
    this.to = length;
    /** Whether it shows all there is, whatever comes. */
    this.all = true;
  }

  get length() {
    return this.to - this.from;
  }

  /**
   * Keep what matters in sight.
   * @param {import("./clock.js").Clock} clock @param {number} first @param {number} last
   */
  follow(clock, first, last) {
    if (this.all) {
      const length = Math.max(last - first, 1);
      this.from = first;
      this.to = first + length * (1 + (clock.live ? AHEAD : 0));
    } else if (clock.live) {
      this._shift(clock.moment + AHEAD * this.length - this.to);
    } else if (clock.playing) {
      const at = (clock.moment - this.from) / this.length;
      if (at > KEPT_IN && at < 1.2) this._shift(this.length * (at - KEPT_IN));
      else if (at < 0 || at > 1) this.centre(clock.moment);
    }
  }

  _shift(by) {
    this.from += by;
    this.to += by;
  }

  /** @param {number} at */
  centre(at) {
    this._shift(at - this.length / 2 - this.from);
  }

  /** Bring a moment into sight, if it is not. @param {number} at */
  reveal(at) {
    if (at < this.from || at > this.to) this.centre(at);
  }

  /** @param {number} factor above 1 shows more @param {number} at stays where it is */
  zoom(factor, at, first, last) {
    const longest = Math.max(last - first, 1) * (1 + AHEAD);
    const length = Math.min(longest, Math.max(SHORTEST_S, this.length * factor));
    this.all = length === longest;
    const share = Math.min(1, Math.max(0, (at - this.from) / this.length));
    this.from = at - share * length;
    this.to = this.from + length;
  }

  /** @param {number} by seconds */
  pan(by, first, last) {
    if (this.all) return;
    const least = first - this.length / 2 - this.from;
    const most = last + this.length / 2 - this.to;
    this._shift(Math.min(most, Math.max(least, by)));
  }

  /** @param {number} from @param {number} to */
  show(from, to) {
    Object.assign(this, { from, to, all: false });
  }
}
