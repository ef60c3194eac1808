/**
 * The moment that the page shows, and how it moves: live, playing at a speed, or standing. Pure.
 */

/** From ten times as fast as life to ten thousand times as slow, in equal steps to the eye. */
export const SPEEDS = [
  0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
];
const LIFE_SPEED = SPEEDS.indexOf(1);
/** Live runs this far behind the newest entry: what peers tell comes in a moment apart. */
const BEHIND_S = 0.5;
/** Further off than that, live jumps. */
const JUMP_S = 1.5;
/** An election fills so many seconds of the one who watches it. */
const FILL_S = 10;

export class Clock {
  constructor() {
    this.moment = 0;
    this.live = true;
    this.playing = true;
    this.step = LIFE_SPEED;
  }

  get speed() {
    return this.live ? 1 : SPEEDS[this.step];
  }

  /**
   * Let time pass.
   * @param {number} dt seconds of the one who watches
   * @param {number} first where the story begins
   * @param {number} last where it ends so far
   */
  tick(dt, first, last) {
    if (this.live) {
      const wanted = Math.max(first, last - BEHIND_S);
      const off = wanted - this.moment;
      if (Math.abs(off) > JUMP_S) this.moment = wanted;
      else this.moment += Math.max(0, dt + 0.1 * (off - dt));
      this.moment = Math.min(this.moment, last);
    } else if (this.playing) {
      this.moment += dt * this.speed;
      if (this.moment >= last) {
        this.moment = last;
        this.playing = false;
      }
    }
    this.moment = Math.max(this.moment, first);
  }

  /** @param {number} at */
  seek(at) {
    this.live = false;
    this.moment = at;
  }

  /** @param {number} at a moment to stand still at */
  stand(at) {
    this.seek(at);
    this.playing = false;
  }

  toggle() {
    if (this.live) this.live = this.playing = false;
    else this.playing = !this.playing;
  }

  goLive() {
    this.live = this.playing = true;
    this.step = LIFE_SPEED;
  }

  /** @param {number} by steps; time that is slowed down is not live any more */
  faster(by) {
    this.setStep(this.step + by);
  }

  /** @param {number} step */
  setStep(step) {
    this.step = Math.min(SPEEDS.length - 1, Math.max(0, step));
    if (this.live && this.step !== LIFE_SPEED) this.live = false;
  }

  /**
   * Watch a stretch of time so that it fills the time one has for it.
   * @param {number} from @param {number} until
   */
  watch(from, until) {
    this.seek(from);
    this.playing = true;
    const wanted = Math.max((until - from) / FILL_S, SPEEDS[0]);
    const near = (speed) => Math.abs(Math.log(speed / wanted));
    this.step = SPEEDS.reduce((best, speed, i) => (near(speed) < near(SPEEDS[best]) ? i : best), 0);
    this.step = Math.min(this.step, LIFE_SPEED);
  }
}
