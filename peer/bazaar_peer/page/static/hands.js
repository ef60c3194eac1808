/** Pointer and wheel on the tape and on its map: travel, zoom, move along. */

import { moment, span } from "./format.js";

const $ = (id) => document.getElementById(id);
const NEAR_PX = 6;

export class Hands {
  /**
   * @param {import("./controls.js").Controls} controls
   * @param {() => {from: number, to: number}} whole what the map shows
   */
  constructor(controls, whole) {
    Object.assign(this, { controls, whole });
    /** @type {Map<number, number>} pointers that are down, and where */
    this.down = new Map();
    this.spread = 0;
    const tape = $("tape");
    tape.addEventListener("pointerdown", (event) => this._press(event));
    tape.addEventListener("pointermove", (event) => this._move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      tape.addEventListener(end, (event) => this.down.delete(event.pointerId));
    }
    tape.addEventListener("pointerleave", () => ($("tip").hidden = true));
    tape.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    const map = $("map");
    map.addEventListener("pointerdown", (event) => {
      map.setPointerCapture(event.pointerId);
      this._slide(event);
    });
    map.addEventListener("pointermove", (event) => event.buttons && this._slide(event));
  }

  _at(event) {
    const { range } = this.controls;
    const box = $("tape").getBoundingClientRect();
    return range.from + ((event.clientX - box.left) / box.width) * range.length;
  }

  _press(event) {
    $("tape").setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, event.clientX);
    this.spread = 0;
    if (this.down.size === 1) this._seek(event);
  }

  _move(event) {
    if (!this.down.has(event.pointerId)) {
      this._tell(event);
      return;
    }
    this.down.set(event.pointerId, event.clientX);
    if (this.down.size === 2) this._pinch();
    else this._seek(event);
  }

  _seek(event) {
    const { clock, record, range } = this.controls;
    // What is dragged stays where it is: the tape must not slide away below the hand.
    range.all = range.all && !clock.live;
    clock.seek(Math.min(record.last, Math.max(record.first, this._at(event))));
    clock.playing = false;
  }

  _pinch() {
    const [a, b] = [...this.down.values()];
    const spread = Math.max(20, Math.abs(a - b));
    const middle = this._at({ clientX: (a + b) / 2 });
    if (this.spread) this._zoom(this.spread / spread, middle);
    this.spread = spread;
  }

  _wheel(event) {
    event.preventDefault();
    const { range, record } = this.controls;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (event.deltaX || event.deltaY) / $("tape").clientWidth;
      range.pan(by * range.length, record.first, record.last);
    } else {
      this._zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.004), this._at(event));
    }
  }

  _zoom(factor, at) {
    const { range, record } = this.controls;
    range.zoom(factor, at, record.first, record.last);
  }

  _slide(event) {
    const { range, clock, record } = this.controls;
    const box = $("map").getBoundingClientRect();
    const whole = this.whole();
    const at = whole.from + ((event.clientX - box.left) / box.width) * (whole.to - whole.from);
    if (range.all) {
      clock.stand(Math.min(record.last, Math.max(record.first, at)));
      return;
    }
    if (clock.live) clock.stand(clock.moment);
    range.centre(at);
  }

  /** What is under the pointer: the moment, and what happened there. */
  _tell(event) {
    const { range, chapters } = this.controls;
    const tip = $("tip");
    const box = $("tape").getBoundingClientRect();
    const at = this._at(event);
    const near = (NEAR_PX * range.length) / box.width;
    const told = [moment(at, range.length < 2 ? 5 : range.length < 120 ? 2 : 0)];
    for (const mark of chapters.marks) if (Math.abs(mark.at - at) < near) told.push(mark.words);
    for (const each of chapters.elections) {
      if (at < each.from - near || at > each.until + near) continue;
      told.push(
        `${each.planned ? "hand-over" : "election"} to epoch ${each.epoch}`,
        span(each.until - each.from),
      );
    }
    tip.textContent = told.slice(0, 4).join(" · ");
    tip.hidden = false;
    const x = Math.min(
      box.width - tip.offsetWidth,
      Math.max(0, event.clientX - box.left - tip.offsetWidth / 2),
    );
    tip.style.transform = `translateX(${x}px)`;
  }
}
