/** A peer's card: all that is known of it at the moment, its clock, and what can be done to it. */

import { confirmed, post, whyOf } from "./asking.js";
import { faultsFor, labelOf, questionOf } from "./faults.js";
import { count, incarnationOf, nameOf, ordinalOf, span } from "./format.js";
import { lookOf } from "./look.js";
import { put } from "./ring.js";
import { colourOf } from "./theme.js";

const $ = (id) => document.getElementById(id);
const MARKET = {
  __proto__: null,
  buyer: "buys",
  seller: "sells",
  both: "buys and sells",
  "": "has no agent",
};

export class Card {
  /** @param {() => string} base whom faults are asked of */
  constructor(base) {
    this.base = base;
    this.box = $("card");
    this.pinned = null;
    this.hovered = null;
    this.place = null;
    this.peer = null;
    this.facts = new Map();
    this.bars = new Map();
  }

  /** @param {number | null} place @param {boolean} kept */
  choose(place, kept) {
    if (kept) this.pinned = this.pinned === place ? null : place;
    else this.hovered = place;
  }

  close() {
    this.pinned = this.hovered = null;
  }

  /** @param {object} view @param {import("./layout.js").Layout} layout */
  draw(view, layout) {
    const place = this.hovered ?? this.pinned;
    const peer = place === null ? null : view.state.peers.get(place);
    this.box.hidden = !peer;
    if (!peer) {
      this.place = null;
      return;
    }
    if (this.place !== place) this._build(place, layout);
    const look = lookOf(peer, view.state, view.moment, view.members);
    put(this.title, `Peer ${nameOf(peer.id)}`);
    put(this.word, look.word);
    put(this.detail, look.detail);
    for (const [name, text] of Object.entries(factsOf(peer, view))) this._fact(name, text);
    this._clock(peer.clock, colourOf(peer.epoch));
    this._offer(peer, view);
  }

  _build(place, layout) {
    this.place = place;
    this.facts.clear();
    this.bars.clear();
    const spot = layout.spots.get(place);
    const left = Boolean(spot) && spot.x < layout.x - 1;
    this.box.style.left = left ? "auto" : "";
    this.box.style.right = left ? "var(--gap)" : "";
    const head = add(this.box, "header", true);
    this.title = add(head, "h2");
    this.word = add(head, "span");
    const shut = add(head, "button");
    shut.type = "button";
    shut.textContent = "×";
    shut.setAttribute("aria-label", "Close");
    shut.addEventListener("click", () => this.close());
    this.detail = add(this.box, "p");
    this.list = add(this.box, "dl");
    this.list.className = "facts";
    put(add(this.box, "h3"), "Vector clock");
    this.clock = add(this.box, "div");
    this.faults = add(this.box, "div");
    this.faults.className = "faults";
    this.said = add(this.box, "p");
    this.offered = "";
  }

  _fact(name, text) {
    if (!this.facts.has(name)) {
      put(add(this.list, "dt"), name);
      this.facts.set(name, add(this.list, "dd"));
    }
    put(this.facts.get(name), text);
  }

  /** A bar for each component, as long as its part of the largest. */
  _clock(clock, colour) {
    const parts = Object.entries(clock)
      .sort(([a], [b]) => Number(a) - Number(b))
      .slice(0, 64);
    const most = Math.max(1, ...parts.map(([, ticks]) => ticks));
    for (const [part, ticks] of parts) {
      if (!this.bars.has(part)) {
        const row = add(this.clock, "div");
        row.className = "bar";
        this.bars.set(
          part,
          ["b", "i", "em"].map((tag) => add(row, tag)),
        );
      }
      const [name, bar, told] = this.bars.get(part);
      put(name, part.replace(/\.0$/, ""));
      put(told, count(ticks));
      bar.style.setProperty("--share", `${((100 * ticks) / most).toFixed(1)}%`);
      bar.style.setProperty("--own", colour);
    }
  }

  /** Faults, where this machine may do them, and only now: nothing can be done to the past. */
  _offer(peer, view) {
    const can = view.header?.faults && view.live ? faultsFor(peer) : [];
    this.peer = peer;
    const offered = can.join();
    if (this.offered === offered) return;
    this.offered = offered;
    this.faults.replaceChildren(
      ...can.map((what) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = labelOf(what);
        if (what === "killed") button.className = "danger";
        button.addEventListener("click", () => this._do(what, view.timeout));
        return button;
      }),
    );
  }

  async _do(what, timeout) {
    const { head, words, yes } = questionOf(what, this.peer, timeout);
    const { id } = this.peer;
    if (!(await confirmed(head, words, yes))) return;
    try {
      await post(this.base(), "/v1/faults", { what, peer: ordinalOf(id) });
      put(this.said, `Peer ${nameOf(id)} is ${what}.`);
    } catch (error) {
      put(this.said, `Not done: ${whyOf(error)}.`);
    }
  }
}

/** @returns {Record<string, string>} */
function factsOf(peer, view) {
  const heard = view.moment - peer.heardAt;
  const trades = peer.role === "trader";
  const told = {
    epoch: String(peer.epoch),
    hears: trades ? "itself" : peer.trader < 0 ? "nobody" : `trader ${nameOf(peer.trader)}`,
    "last heard": trades || !Number.isFinite(heard) ? "–" : `${span(heard)} ago`,
    journal: `${count(peer.end[1])} (epoch ${peer.end[0]})`,
    committed: count(peer.commit),
    applied: count(peer.applied),
    agent: trades ? "rests, for it trades" : (MARKET[peer.market] ?? peer.market),
    life: `${incarnationOf(peer.id)}, started ${peer.boot}×`,
  };
  return told;
}

/** @param {HTMLElement} parent @param {string} tag @param {boolean} [only] instead of all in it */
function add(parent, tag, only = false) {
  const child = document.createElement(tag);
  if (only) parent.replaceChildren(child);
  else parent.append(child);
  return child;
}
