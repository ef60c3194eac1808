/**
 * The story as it comes: server-sent events of one peer, and of another one when that one dies.
 *
 * The page's own origin is asked first; the others are learnt from the ring. A peer that is silent
 * for long is left as one that is gone: a story that lives says something every second.
 */

import { get } from "./asking.js";
import { isSound } from "./sound.js";

const OWN = location.hostname === "localhost" ? "localhost" : "127.0.0.1";
const SILENT_MS = 4000;
const AGAIN_MS = 300;
/** After a round in which nobody answered. */
const REST_MS = 1000;
const URLS_MAX = 64;
/** Told again when another peer tells on: a peer that was away may still hand in what it kept. */
const AGAIN_S = 30;

/** @param {string} text @returns {object | null} null: whoever sent that is no peer of ours */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export class Stream {
  /** @param {{header: Function, entries: Function, phase: (phase: string) => void}} to */
  constructor(to) {
    this.to = to;
    this.urls = [location.origin];
    this.at = 0;
    this.failed = 0;
    this.ring = null;
    this.source = null;
    this.heardAt = 0;
    /** `at` of the newest entry that came. */
    this.newest = 0;
    this.isFile = false;
    this.over = false;
  }

  /** @returns {string} who is listened to */
  get url() {
    return this.urls[this.at];
  }

  start() {
    this._open();
    setInterval(() => this._watch(), 1000);
  }

  /** @param {string[]} urls of peers of this ring */
  learn(urls) {
    for (const told of urls) {
      // Two names of this machine are two origins; the peers let in pages of either.
      const url = told.replace("//127.0.0.1:", `//${OWN}:`);
      const known = this.urls.includes(url) || this.urls.length >= URLS_MAX;
      if (!known && /^https?:\/\/[^/]+$/.test(url)) this.urls.push(url);
    }
  }

  _open() {
    const known = this.newest > AGAIN_S && !this.isFile;
    const after = known ? `?after=${this.newest - AGAIN_S}` : "";
    const source = new EventSource(`${this.url}/v1/story${after}`);
    this.source = source;
    this.heardAt = performance.now();
    const on = (kind, take) => {
      source.addEventListener(kind, (event) => {
        if (source !== this.source) return;
        this.heardAt = performance.now();
        const told = parsed(event.data);
        if (told === null) this._next();
        else take(told);
      });
    };
    on("file", () => (this.isFile = true));
    on("header", (told) => this._begin(told));
    on("entries", (told) => this._take([told].flat().filter(isSound)));
    on("end", () => this._end());
    source.addEventListener("error", () => source === this.source && this._next());
  }

  _take(entries) {
    for (const { at } of entries) if (at > this.newest) this.newest = at;
    this.to.entries(entries);
  }

  _begin(told) {
    if (this.ring !== null && told.ring !== this.ring) {
      this._strange();
      return;
    }
    this.ring = told.ring;
    this.failed = 0;
    this.to.header(told);
    if (!this.isFile) this.to.phase("live");
  }

  /** Somebody else's peer has that address now; where the page came from, its ring is over. */
  _strange() {
    if (this.at > 0) {
      this._next();
      return;
    }
    this.over = true;
    this.source.close();
    this.to.phase("other");
  }

  _end() {
    this.over = true;
    this.source.close();
    this.to.phase("file");
  }

  _watch() {
    if (!this.over && this.source && performance.now() - this.heardAt > SILENT_MS) this._next();
  }

  _next() {
    this.source.close();
    this.source = null;
    this.failed += 1;
    this.at = (this.at + 1) % this.urls.length;
    const round = this.failed >= this.urls.length;
    if (round) this._ask();
    else this.to.phase("moving");
    setTimeout(() => this._open(), round ? REST_MS : AGAIN_MS);
  }

  /** Nobody tells a story: is nobody there, or do they keep none? */
  async _ask() {
    const there = await get(this.url, "/v1/ring").then(
      () => true,
      () => false,
    );
    if (!this.source || this.failed) this.to.phase(there ? "mute" : "lost");
  }
}
